//! Opening the file: who holds it, which layout it has, whether it can be read.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, Once};

use arc_swap::{ArcSwap, ArcSwapOption};
use redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase,
    StorageError,
};
use tokio::sync::mpsc;

use super::error::io_reason;
use super::prepare::{self, Opening, layout};
use super::tables::{COUNTED, LAYOUT};
use super::untouched::Untouched;
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
        let db = open(&path)?;
        for table in COUNTED {
            options.metrics.add_table(table);
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
    if fs::metadata(path).is_ok_and(|m| m.len() > 0) {
        refuse_newer(path)?;
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
    recover(&db, path)?;
    // Old records do no harm, but for the personal data in them.
    if let Err(error) = journal::wipe(&journal::place(path)) {
        tracing::warn!(reason = %io_reason(&error), "the journal beside the store could not be emptied");
    }
    Ok(db)
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

    fn layout(&self) -> Result<Option<u64>, Error> {
        match self {
            Self::Shared(db) => layout(db),
            Self::Crashed(db) => layout(db),
        }
    }
}

/// Opens the file for reading, beside a writer too; never writes to it.
pub(super) fn open_for_reading(path: &Path) -> Result<ForReading, OpenError> {
    let file = File::open(path).map_err(|error| io(path, "opened", &error))?;
    drop(file);
    let opened = guarded(
        || match builder().open_read_only(path) {
            Err(DatabaseError::RepairAborted) => open_behind_glass(path).map(ForReading::Crashed),
            opened => opened.map(ForReading::Shared),
        },
        contradiction,
    );
    let opened = opened.map_err(|error| refused(path, error))?;
    if let ForReading::Crashed(db) = &opened {
        recover(db, path)?;
    }
    Ok(opened)
}

/// Opens a file that no other process has open; what is written to it stays in memory.
pub(super) fn open_behind_glass(path: &Path) -> Result<Database, DatabaseError> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    builder().create_with_backend(Untouched::new(file)?)
}

/// Takes up what a kill left in the journal.
fn recover(db: &Database, path: &Path) -> Result<(), OpenError> {
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
/// anything could write to it.
fn refuse_newer(path: &Path) -> Result<(), OpenError> {
    // What cannot be read is reported by the opening that follows.
    let Ok(db) = open_for_reading(path) else { return Ok(()) };
    let found = guarded(|| db.layout(), || Error::Damaged(CONTRADICTION.into()));
    match found.map_err(|error| damaged(path, error))? {
        Some(found) if found > LAYOUT => {
            Err(OpenError::Newer { path: path.to_owned(), found, known: LAYOUT })
        }
        _ => Ok(()),
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
        Error::Unavailable { reason, .. } => {
            OpenError::Io { path: path.to_owned(), action: "opened", reason }
        }
        Error::Damaged(reason) => OpenError::Damaged { path: path.to_owned(), reason },
        other => OpenError::Damaged { path: path.to_owned(), reason: other.to_string() },
    }
}

pub(super) fn io(path: &Path, action: &'static str, error: &std::io::Error) -> OpenError {
    OpenError::Io { path: path.to_owned(), action, reason: io_reason(error) }
}
