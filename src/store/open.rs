//! Opening the file: who holds it, which layout it has, whether it can be read.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwapOption;
use redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, ReadOnlyDatabase, ReadableDatabase, ReadableTable,
};
use tokio::sync::mpsc;

use super::engine::{self, Engine};
use super::error::io_reason;
use super::index::Recent;
use super::tables::{
    ACCOUNTS, AGENDA, BASE, CALLS, COUNTED, EXOPHONES, HOURS, LAYOUT, META, RUNS, SET_ASIDE, SID_INDEX,
    SID_RECENT, SYNC, TOTALS,
};
use super::{CACHE, Error, OpenError, Options, QUEUE, Shared, Store, writer};
use crate::metrics::StoreMetrics;
use crate::model::Family;
use crate::model::series::Series;

impl Store {
    /// Opens the store, making it if it is not there, and starts its writer on the current runtime.
    ///
    /// # Errors
    /// [`OpenError`], with what to do about it; nothing was changed.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let path = options.path;
        let db = open(&path)?;
        for table in COUNTED {
            options.metrics.add_table(table);
        }
        let (engine, base) = prepare(db, options.metrics.clone()).map_err(|error| damaged(&path, error))?;
        let shown = engine
            .totals
            .iter()
            .map(|(key, value)| (*key, value.saturating_sub(base.get(key).copied().unwrap_or(0))))
            .collect();
        let shared = Arc::new(Shared {
            path,
            db: ArcSwapOption::new(Some(Arc::clone(&engine.db))),
            totals: Mutex::new(Arc::new(shown)),
            base,
            metrics: options.metrics,
        });
        let (queue, messages) = mpsc::channel(QUEUE);
        tokio::spawn(writer::run(Arc::clone(&shared), engine, messages));
        Ok(Self { shared, queue })
    }
}

/// Opens or makes the file for writing. Others may read it meanwhile.
pub(super) fn open(path: &Path) -> Result<Database, OpenError> {
    let exists = fs::metadata(path).is_ok_and(|m| m.len() > 0);
    if exists {
        refuse_newer(path)?;
    } else if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| io(folder, "created", &error))?;
    }
    make_private(path).map_err(|error| io(path, "opened", &error))?;
    let db = guarded(|| builder().create(path)).map_err(|error| refused(path, error))?;
    note_holder(path);
    Ok(db)
}

/// Opens the file for reading beside a writer.
pub(super) fn open_for_reading(path: &Path) -> Result<ReadOnlyDatabase, OpenError> {
    File::open(path).map_err(|error| io(path, "opened", &error))?;
    guarded(|| builder().open_read_only(path)).map_err(|error| refused(path, error))
}

/// Makes the file if it is missing, readable for its owner alone: it holds phone numbers.
fn make_private(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE).set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

/// A damaged file may make redb panic rather than fail.
pub(super) fn guarded<T>(act: impl FnOnce() -> Result<T, DatabaseError>) -> Result<T, DatabaseError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).unwrap_or_else(|_| {
        Err(DatabaseError::Storage(redb::StorageError::Corrupted("its pages contradict each other".into())))
    })
}

/// A store of a newer version is not touched: its layout is read before anything could write to it.
fn refuse_newer(path: &Path) -> Result<(), OpenError> {
    // A file that a crash left behind cannot be opened read-only; then the check after opening decides.
    let Ok(db) = guarded(|| builder().open_read_only(path)) else { return Ok(()) };
    let Ok(found) = layout(&db) else { return Ok(()) };
    match found {
        Some(found) if found > LAYOUT => {
            Err(OpenError::Newer { path: path.to_owned(), found, known: LAYOUT })
        }
        _ => Ok(()),
    }
}

fn layout(db: &impl ReadableDatabase) -> Result<Option<u64>, Error> {
    let txn = db.begin_read()?;
    let meta = match txn.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let value = meta.get("layout")?;
    Ok(value.and_then(|v| v.value().try_into().ok().map(u64::from_be_bytes)))
}

/// Makes the tables, checks the layout, reads what lives in memory.
pub(super) fn prepare(db: Database, metrics: StoreMetrics) -> Result<(Engine, BTreeMap<u64, u64>), Error> {
    if let Some(found) = layout(&db)?.filter(|found| *found > LAYOUT) {
        return Err(Error::Damaged(format!("layout {found} is newer than {LAYOUT}")));
    }
    let mut txn = db.begin_write()?;
    txn.set_quick_repair(true);
    let base = {
        let mut meta = txn.open_table(META)?;
        meta.insert("layout", LAYOUT.to_be_bytes().as_slice())?;
        txn.open_table(ACCOUNTS)?;
        txn.open_table(EXOPHONES)?;
        txn.open_table(CALLS)?;
        txn.open_table(SID_INDEX)?;
        txn.open_table(AGENDA)?;
        txn.open_table(HOURS)?;
        txn.open_table(SYNC)?;
        txn.open_table(RUNS)?;
        txn.open_table(SET_ASIDE)?;
        txn.open_table(SID_RECENT)?;
        let mut totals = txn.open_table(TOTALS)?;
        let mut base = txn.open_table(BASE)?;
        restart_changed_histograms(&mut meta, &mut totals, &mut base)?;
        if meta.remove("restored")?.is_some() {
            // A restored copy counts from 0 again, so that Prometheus sees a reset and not an increase of
            // everything that the copy holds.
            for row in totals.iter()? {
                let (key, value) = row?;
                base.insert(key.value(), value.value())?;
            }
        }
        let mut shown = BTreeMap::new();
        for row in base.iter()? {
            let (key, value) = row?;
            shown.insert(key.value(), value.value());
        }
        shown
    };
    txn.commit()?;
    let (recent, totals) = {
        let read = db.begin_read()?;
        let mut totals = BTreeMap::new();
        for row in read.open_table(TOTALS)?.iter()? {
            let (key, value) = row?;
            totals.insert(key.value(), value.value());
        }
        (Recent::load(&read.open_table(SID_RECENT)?)?, totals)
    };
    let sids = engine::accounts(&db)?.into_iter().map(|(sid, row)| (row.id, sid)).collect();
    Ok((Engine { db: Arc::new(db), recent, totals, sids, metrics }, base))
}

/// A histogram whose edges are not those it was counted with starts again from 0.
fn restart_changed_histograms(
    meta: &mut redb::Table<'_, &str, &[u8]>,
    totals: &mut redb::Table<'_, u64, u64>,
    base: &mut redb::Table<'_, u64, u64>,
) -> Result<(), Error> {
    for family in Family::ALL {
        let Some(edges) = family.edges() else { continue };
        let name = format!("edges/{}", family as u8);
        let now: Vec<u8> = edges.iter().flat_map(|e| e.to_be_bytes()).collect();
        let same = meta.get(name.as_str())?.is_some_and(|was| was.value() == now.as_slice());
        if !same {
            let ours = |key: u64| Series::from_key(key).is_some_and(|s| s.family == family);
            totals.retain(|key, _| !ours(key))?;
            base.retain(|key, _| !ours(key))?;
            meta.insert(name.as_str(), now.as_slice())?;
        }
    }
    Ok(())
}

/// Where it is noted who holds the store, for the message of whoever is refused.
fn holder_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pid");
    PathBuf::from(name)
}

fn note_holder(path: &Path) {
    let note = format!("{}\n", std::process::id());
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(holder_path(path))
        .and_then(|mut file| file.write_all(note.as_bytes()));
    if let Err(error) = written {
        tracing::debug!(reason = %error, "the pid file beside the store was not written");
    }
}

fn refused(path: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            let pid = fs::read_to_string(holder_path(path)).unwrap_or_default();
            let holder = pid.trim().parse::<u32>().map_or(String::new(), |pid| format!(" (pid {pid})"));
            OpenError::InUse { path: path.to_owned(), holder }
        }
        DatabaseError::Storage(redb::StorageError::Io(error)) => match error.kind() {
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => OpenError::Damaged {
                path: path.to_owned(),
                reason: format!("it is no redb file, or cut short ({error})"),
            },
            _ => io(path, "opened", &error),
        },
        DatabaseError::Storage(error) => {
            OpenError::Damaged { path: path.to_owned(), reason: error.to_string() }
        }
        other => OpenError::Damaged { path: path.to_owned(), reason: other.to_string() },
    }
}

fn damaged(path: &Path, error: Error) -> OpenError {
    match error {
        Error::Unavailable { reason, .. } => {
            OpenError::Io { path: path.to_owned(), action: "opened", reason }
        }
        other => OpenError::Damaged { path: path.to_owned(), reason: other.to_string() },
    }
}

fn io(path: &Path, action: &'static str, error: &std::io::Error) -> OpenError {
    OpenError::Io { path: path.to_owned(), action, reason: io_reason(error) }
}
