//! Looking after the file: check, stats, backup, restore, compact. Each blocks; none needs a runtime.

mod backup;
mod check;
mod compact;
mod restore;
mod stats;

use std::path::Path;

pub use backup::backup;
pub use check::{CheckReport, CheckStep, Pages, check};
pub use compact::compact;
pub use restore::restore;
pub use stats::{Stats, TableStats, stats};

use super::open::{CONTRADICTION, guarded};
use super::{Error, OpenError};

/// Runs something on a file that may be damaged: a panic of redb is an error.
pub(super) fn careful<T>(act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    guarded(act, || Error::Damaged(CONTRADICTION.into()))
}

/// An error of the store as one of the file.
pub(super) fn of_file(path: &Path, action: &'static str, error: Error) -> OpenError {
    let path = path.to_owned();
    match error {
        Error::Unavailable { reason, .. } => OpenError::Io { path, action, reason },
        Error::Damaged(reason) => OpenError::Damaged { path, reason },
        other => OpenError::Damaged { path, reason: other.to_string() },
    }
}
