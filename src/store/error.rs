//! What can go wrong in the store, by what the caller will do.

use std::path::PathBuf;

use crate::metrics::{StoreMetrics, StoreOp};

/// A failed operation of an open store.
#[derive(PartialEq, Eq, Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The disk or the file refused; nothing of the batch was stored. Try again later.
    #[error("the store cannot be {action} now: {reason}; nothing was lost, it is tried again")]
    Unavailable {
        /// `read` or `written`.
        action: &'static str,
        /// What the system said.
        reason: String,
    },
    /// The store holds something that it should not. A person should look: `store check`.
    #[error("the store is damaged: {0}; run `exotel-exporter store check`")]
    Damaged(String),
    /// The operation panicked. Nothing of it was stored; its neighbours are not affected.
    #[error("an internal fault stopped an operation of the store; nothing of it was stored")]
    Fault,
    /// The store is being closed.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// The same, as it shows to a reader.
    pub(super) fn while_reading(self) -> Self {
        match self {
            Self::Unavailable { reason, .. } => Self::Unavailable { action: "read", reason },
            other => other,
        }
    }
}

/// A row without which the rest goes on: none if it is damaged, which is reported.
///
/// # Errors
/// Any other error.
pub(super) fn intact<T>(row: Result<T, Error>, metrics: &StoreMetrics) -> Result<Option<T>, Error> {
    match row {
        Err(Error::Damaged(reason)) => {
            metrics.failed(StoreOp::Read);
            tracing::error!(reason, "the store is damaged; run `exotel-exporter store check`");
            Ok(None)
        }
        row => row.map(Some),
    }
}

/// A store that could not be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds it.
    #[error("the store {path} is in use by another process{holder}; stop that one first")]
    InUse {
        /// The file.
        path: PathBuf,
        /// ` (pid 4711)`, where known.
        holder: String,
    },
    /// A newer version wrote it.
    #[error(
        "the store {path} has layout {found}, this version knows {known}: a newer exotel-exporter wrote it. \
         It was left untouched; use that version, or another `store.path`"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// It is damaged, or no store at all.
    #[error(
        "the store {path} cannot be read: {reason}. It was left as it is; move it aside and start again \
         (the last hours are read again as history), or bring a backup back with `store restore`"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// The system refused.
    #[error("the store {path} cannot be {action}: {reason}")]
    Io {
        /// The file.
        path: PathBuf,
        /// `opened`, `created`…
        action: &'static str,
        /// What the system said.
        reason: String,
    },
}

/// Why a file cannot be read that ends before its end.
pub(super) const CUT_SHORT: &str = "it is no redb file, or cut short";

/// Reasons of a system error in words that say what to do.
pub(super) fn io_reason(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::PermissionDenied => "permission denied; check the owner and mode of the folder".into(),
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only".into(),
        ErrorKind::StorageFull => "the disk is full".into(),
        ErrorKind::NotFound => "no such file".into(),
        ErrorKind::UnexpectedEof => CUT_SHORT.into(),
        ErrorKind::AlreadyExists => "it exists already; name a file that does not".into(),
        _ => error.to_string(),
    }
}

macro_rules! from_redb {
    ($($name:ident),+) => { $(
        impl From<redb::$name> for Error {
            fn from(error: redb::$name) -> Self { redb::Error::from(error).into() }
        }
    )+ };
}

from_redb!(StorageError, TableError, TransactionError, CommitError);

impl From<redb::Error> for Error {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Corrupted(reason) => Self::Damaged(reason),
            redb::Error::TableDoesNotExist(name) => Self::Damaged(format!("its table {name} is missing")),
            redb::Error::Io(error) => Self::Unavailable { action: "written", reason: io_reason(&error) },
            other => Self::Unavailable { action: "written", reason: other.to_string() },
        }
    }
}

impl From<super::bytes::Malformed> for Error {
    fn from(_: super::bytes::Malformed) -> Self {
        Self::Damaged("a record does not fit its checksum".into())
    }
}

impl From<postcard::Error> for Error {
    fn from(error: postcard::Error) -> Self {
        Self::Damaged(format!("a record cannot be decoded: {error}"))
    }
}
