//! `store restore`: a copy in the place of the store.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use redb::Database;

use super::backup::mark_restored;
use super::{careful, check, of_file, stats};
use crate::store::OpenError;
use crate::store::error::io_reason;
use crate::store::open::{builder, guarded, open, refused};
use crate::store::tables::LAYOUT;
use crate::store::{journal, redo};

/// Brings a backup back: checks it, then puts it in the place of the store, which is kept beside it under
/// the name given back. The copy counts from 0 again. Refuses while an agent holds the store.
///
/// # Errors
/// [`OpenError`]; the store is untouched then.
pub fn restore(path: &Path, from: &Path) -> Result<Option<PathBuf>, OpenError> {
    let found = stats(from)?;
    if found.layout > LAYOUT {
        return Err(OpenError::Newer { path: from.to_owned(), found: found.layout, known: LAYOUT });
    }
    let report = check(from, &mut |_| {})?;
    if let Some(fault) = report.faults.first() {
        return Err(OpenError::Damaged { path: from.to_owned(), reason: fault.clone() });
    }
    let exists = fs::metadata(path).is_ok_and(|m| m.len() > 0);
    // Held until the files have changed places, so that no agent can start in between.
    let held = if exists { hold(path)? } else { None };
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let io = |action: &'static str| {
        let path = path.to_owned();
        move |error: std::io::Error| OpenError::Io { path: path.clone(), action, reason: io_reason(&error) }
    };
    fs::create_dir_all(folder).map_err(io("created"))?;
    let fresh = beside(path, ".restoring");
    let made = copy(from, &fresh, path);
    if made.is_err() {
        drop(fs::remove_file(&fresh));
    }
    made?;
    let kept = exists.then(|| keep(path)).transpose().map_err(io("kept"))?;
    if let Some(kept) = &kept {
        take_along(path, kept).map_err(io("kept"))?;
    }
    fs::rename(&fresh, path).map_err(io("replaced"))?;
    // The new name must outlive a loss of power.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("replaced"))?;
    drop(held);
    Ok(kept)
}

/// The store, so that nobody else has it. A damaged one is just what a backup is for.
fn hold(path: &Path) -> Result<Option<Database>, OpenError> {
    match open(path) {
        Ok(db) => Ok(Some(db)),
        Err(OpenError::Damaged { .. } | OpenError::Newer { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn copy(from: &Path, fresh: &Path, path: &Path) -> Result<(), OpenError> {
    let io = |error: std::io::Error| OpenError::Io {
        path: path.to_owned(),
        action: "written",
        reason: io_reason(&error),
    };
    fs::copy(from, fresh).map_err(io)?;
    // A copy made with other tools than `store backup` bears no mark yet.
    let contradiction = || redb::DatabaseError::Storage(redb::StorageError::Corrupted(String::new()));
    let db = guarded(|| builder().open(fresh), contradiction).map_err(|error| refused(from, error))?;
    // What a kill left in the journal of the copy is part of it.
    careful(|| redo::recover(&db, from).and_then(|_| mark_restored(&db)))
        .map_err(|error| of_file(fresh, "written", error))?;
    drop(db);
    File::open(fresh).and_then(|file| file.sync_all()).map_err(io)
}

/// Gives the store a second name, so that its own can be taken over in one step: at no time is there none.
fn keep(path: &Path) -> std::io::Result<PathBuf> {
    for n in 0.. {
        let suffix = if n == 0 { ".before-restore".to_owned() } else { format!(".before-restore.{n}") };
        let name = beside(path, &suffix);
        match fs::hard_link(path, &name) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            // A file system without hard links.
            Err(_) if !name.exists() => return fs::copy(path, &name).map(|_| name),
            Err(error) => return Err(error),
        }
    }
    Err(std::io::Error::from(std::io::ErrorKind::AlreadyExists))
}

/// The journal goes with its store.
fn take_along(path: &Path, kept: &Path) -> std::io::Result<()> {
    match fs::rename(journal::place(path), journal::place(kept)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
