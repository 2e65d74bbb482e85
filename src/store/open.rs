//! Opening the file: who holds it, which layout it has, whether it can be read.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, Once};
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};
use redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase,
    StorageError,
};
use tokio::sync::mpsc;

use super::error::{CUT_SHORT, io_reason};
use super::journal::Rest;
use super::prepare::{self, Opening, layout};
use super::redo::Recovered;
use super::tables::{COUNTED, LAYOUT};
use super::untouched::Untouched;
use crate::metrics::StoreOp;

use super::{CACHE, Error, OpenError, Options, QUEUE, Shared, Store, holder, journal, redo, writer};

/// What is said of a file over which redb panics.
pub(super) const CONTRADICTION: &str = "its pages contradict each other";

impl Store {
    /// Opens the store, making it if it is not there, and starts its writer on the current runtime.
    ///
    /// # Errors
    /// [`OpenError`], with what to do about it; nothing was changed.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let path = options.path;
        let (db, recovered) = open_telling(&path)?;
        for table in COUNTED {
            options.metrics.add_table(table);
        }
        if recovered.rest == Rest::Damaged {
            options.metrics.failed(StoreOp::Read);
        }
        let prepared = prepare::prepare(db, &path, options.metrics.clone(), Opening::Start)
            .map_err(|error| damaged(&path, error))?;
        let shared = Arc::new(Shared {
            path,
            db: ArcSwapOption::new(Some(Arc::clone(&prepared.engine.db))),
            is_pending: AtomicBool::new(false),
            totals: Mutex::default(),
            base: prepared.base,
            summaries: Mutex::default(),
            runs: Arc::default(),
            live: ArcSwap::new(prepared.engine.inbox.live()),
            metrics: options.metrics,
        });
        shared.show(&prepared.engine.totals.iter().collect::<Vec<_>>());
        let (queue, messages) = mpsc::channel(QUEUE);
        tokio::spawn(writer::run(Arc::clone(&shared), prepared.engine, messages));
        Ok(Self { shared, queue })
    }
}

/// Opens or makes the file for writing. Others may read it meanwhile.
pub(super) fn open(path: &Path) -> Result<Database, OpenError> {
    open_telling(path).map(|(db, _)| db)
}

/// The same, and says what the journal beside it held.
pub(super) fn open_telling(path: &Path) -> Result<(Database, Recovered), OpenError> {
    let journal = journal::place(path);
    let length = fs::metadata(path).map(|file| file.len());
    let mut was_killed = false;
    if length.as_ref().is_ok_and(|length| *length > 0) {
        was_killed = refuse_newer(path)?;
    } else if length.is_ok() && journal.exists() {
        // It was a store: a new one in its place would begin to count from nothing, and say nothing.
        let reason = format!("it is empty, and {} shows that it was not", journal.display());
        return Err(OpenError::Damaged { path: path.to_owned(), reason });
    } else if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| io(folder, "created", &error))?;
    }
    make_private(path).map_err(|error| io(path, "opened", &error))?;
    let db = guarded(|| builder().create(path), contradiction).map_err(|error| refused(path, error))?;
    holder::note(path);
    let recovered = recover(&db, path)?;
    if was_killed && !journal.exists() {
        tracing::warn!(
            journal = %journal.display(),
            "the store was not closed in order, and its journal is not beside it: what came in the last seconds is missing"
        );
    }
    match recovered.rest {
        Rest::Nothing => {
            if recovered.records > 0 {
                tracing::info!(records = recovered.records, "took up what the journal held");
            }
            // Old records do no harm, but for the personal data in them.
            if let Err(error) = journal::wipe(&journal) {
                tracing::warn!(reason = %io_reason(&error), "the journal beside the store could not be emptied");
            }
        }
        rest => put_aside(path, rest, recovered.records)?,
    }
    Ok((db, recovered))
}

/// What cannot be read of a journal is kept for who wants to look at it, and said aloud.
fn put_aside(path: &Path, rest: Rest, records: usize) -> Result<(), OpenError> {
    let kept = journal::unread_place(path);
    journal::put_aside(path).map_err(|error| io(&journal::place(path), "put aside", &error))?;
    let kept = kept.display();
    match rest {
        Rest::Damaged => tracing::error!(
            taken = records, %kept,
            "the journal beside the store is damaged: what it held behind the damage is lost. Calls are read again; callbacks and heartbeats are not sent again"
        ),
        _ => tracing::warn!(
            %kept,
            "the journal beside the store is none of this store, or of another state of it, and was put aside"
        ),
    }
    Ok(())
}

/// A store that is only read.
pub(super) enum ForReading {
    /// Beside a writer, or a file that was closed in order.
    Shared(ReadOnlyDatabase),
    /// A file that a crash left behind, repaired in memory alone.
    Crashed(Database),
}

impl ForReading {
    pub(super) fn begin_read(&self) -> Result<ReadTransaction, Error> {
        Ok(match self {
            Self::Shared(db) => db.begin_read()?,
            Self::Crashed(db) => db.begin_read()?,
        })
    }

    /// Whether it has to be put in order, or its journal holds more.
    fn is_crashed(&self) -> bool {
        matches!(self, Self::Crashed(_))
    }

    fn layout(&self) -> Result<Option<u64>, Error> {
        match self {
            Self::Shared(db) => layout(db),
            Self::Crashed(db) => layout(db),
        }
    }
}

/// Whether others are kept from writing to a file that is read from behind glass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// As long as it is read.
    Locked,
    /// Nobody is: who reads looks at [`Signature`]s before and after.
    Free,
}

/// What changes whenever somebody writes to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signature(u64, Option<SystemTime>);

impl Signature {
    /// Of the file as it is now.
    pub(super) fn of(path: &Path) -> Result<Self, OpenError> {
        let file = fs::metadata(path).map_err(|error| io(path, "opened", &error))?;
        Ok(Self(file.len(), file.modified().ok()))
    }
}

/// Opens the file for reading, beside a writer too; never writes to it.
pub(super) fn open_for_reading(path: &Path) -> Result<ForReading, OpenError> {
    open_held(path, Hold::Locked)
}

/// The same, with a say about who may write meanwhile.
pub(super) fn open_held(path: &Path, hold: Hold) -> Result<ForReading, OpenError> {
    let file = File::open(path).map_err(|error| io(path, "opened", &error))?;
    drop(file);
    let glass = || open_behind_glass(path, hold).map(ForReading::Crashed);
    let opened = guarded(
        || match builder().open_read_only(path) {
            Err(DatabaseError::RepairAborted) => glass(),
            opened => opened.map(ForReading::Shared),
        },
        contradiction,
    );
    let mut opened = opened.map_err(|error| refused(path, error))?;
    // The journal of a newer version is not ours to read. A fault is told by whoever reads on.
    let layout = guarded(|| opened.layout(), || Error::Damaged(CONTRADICTION.into()));
    if layout.is_ok_and(|layout| layout.is_some_and(|layout| layout > LAYOUT)) {
        return Ok(opened);
    }
    if !opened.is_crashed() && has_pending(&opened, path)? {
        // A writer holds more than it has written to the file, or one that ended in trouble did.
        drop(opened);
        opened = guarded(
            || {
                if is_written_to(path) {
                    builder().open_read_only(path).map(ForReading::Shared)
                } else {
                    glass()
                }
            },
            contradiction,
        )
        .map_err(|error| refused(path, error))?;
    }
    if let ForReading::Crashed(db) = &opened {
        recover(db, path)?;
    }
    Ok(opened)
}

fn has_pending(opened: &ForReading, path: &Path) -> Result<bool, OpenError> {
    let pending = || Ok(!redo::pending(&opened.begin_read()?, path)?.1.records.is_empty());
    guarded(pending, || Error::Damaged(CONTRADICTION.into())).map_err(|error| damaged(path, error))
}

/// Whether a process has the file open for writing.
pub(super) fn is_written_to(path: &Path) -> bool {
    let held = guarded(|| open_behind_glass(path, Hold::Locked).map(drop), contradiction);
    matches!(held, Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch))
}

/// Opens a file of which what is written to it stays in memory. Locking needs a file that may be written; one
/// that may only be read nobody writes to.
pub(super) fn open_behind_glass(path: &Path, hold: Hold) -> Result<Database, DatabaseError> {
    let locked = match hold {
        Hold::Locked => OpenOptions::new().read(true).write(true).open(path),
        Hold::Free => Err(ErrorKind::PermissionDenied.into()),
    };
    let glass = match locked {
        Ok(file) => Untouched::new(file)?,
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            Untouched::free(File::open(path)?)?
        }
        Err(error) => return Err(error.into()),
    };
    builder().create_with_backend(glass)
}

/// Takes up what a kill left in the journal.
fn recover(db: &Database, path: &Path) -> Result<Recovered, OpenError> {
    guarded(|| redo::recover(db, path), || Error::Damaged(CONTRADICTION.into()))
        .map_err(|error| damaged(path, error))
}

/// Makes the file if it is missing, readable for its owner alone: it holds phone numbers.
fn make_private(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}

pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE).set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

/// A damaged file may make redb panic rather than fail.
pub(super) fn guarded<T, E>(
    act: impl FnOnce() -> Result<T, E>,
    on_panic: impl FnOnce() -> E,
) -> Result<T, E> {
    expect_panics_of_redb();
    let outer = GUARDED.replace(true);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
    GUARDED.set(outer);
    outcome.unwrap_or_else(|_| Err(on_panic()))
}

thread_local! {
    /// Whether this thread is within [`guarded`].
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// A panic that is caught and told as an error of the file needs no stack trace on the user's screen.
fn expect_panics_of_redb() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            match panic.location().filter(|at| GUARDED.get() && at.file().contains("redb-")) {
                Some(place) => tracing::debug!(%place, "redb panicked over the file"),
                None => loud(panic),
            }
        }));
    });
}

fn contradiction() -> DatabaseError {
    DatabaseError::Storage(StorageError::Corrupted(CONTRADICTION.into()))
}

/// A store of a newer version, or something else altogether, is not touched: its layout is read before
/// anything could write to it. Gives whether a kill left it behind.
fn refuse_newer(path: &Path) -> Result<bool, OpenError> {
    let db = match open_for_reading(path) {
        Ok(db) => db,
        Err(error @ OpenError::Newer { .. }) => return Err(error),
        // What cannot be read is reported by the opening that follows.
        Err(_) => return Ok(false),
    };
    let found = guarded(|| db.layout(), || Error::Damaged(CONTRADICTION.into()));
    match found.map_err(|error| damaged(path, error))? {
        Some(found) if found > LAYOUT => {
            Err(OpenError::Newer { path: path.to_owned(), found, known: LAYOUT })
        }
        _ => Ok(db.is_crashed()),
    }
}

pub(super) fn refused(path: &Path, error: DatabaseError) -> OpenError {
    let damaged = |reason: String| OpenError::Damaged { path: path.to_owned(), reason };
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            OpenError::InUse { path: path.to_owned(), holder: holder::named(path) }
        }
        DatabaseError::Storage(StorageError::Io(error)) => match error.kind() {
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => {
                damaged(format!("it is no redb file, or cut short ({error})"))
            }
            _ => io(path, "opened", &error),
        },
        DatabaseError::Storage(StorageError::Corrupted(reason)) => damaged(reason),
        other => damaged(other.to_string()),
    }
}

pub(super) fn damaged(path: &Path, error: Error) -> OpenError {
    match error {
        Error::Unavailable { reason, .. } if reason != CUT_SHORT => {
            OpenError::Io { path: path.to_owned(), action: "opened", reason }
        }
        Error::Unavailable { reason, .. } => OpenError::Damaged { path: path.to_owned(), reason },
        // At least the next one: each new table raises the layout.
        Error::Damaged(reason) if reason.starts_with(redo::UNKNOWN_TABLE) => {
            OpenError::Newer { path: path.to_owned(), found: LAYOUT + 1, known: LAYOUT }
        }
        Error::Damaged(reason) => OpenError::Damaged { path: path.to_owned(), reason },
        other => OpenError::Damaged { path: path.to_owned(), reason: other.to_string() },
    }
}

pub(super) fn io(path: &Path, action: &'static str, error: &std::io::Error) -> OpenError {
    OpenError::Io { path: path.to_owned(), action, reason: io_reason(error) }
}
