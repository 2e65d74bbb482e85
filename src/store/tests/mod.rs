//! The store against a real file: what it keeps, and what it does when file or disk are at fault.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::metrics::{BuildInfo, Metrics};

/// A folder for a store; in memory where the system offers that, since a test has nothing to lose.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

pub(crate) fn metrics() -> StoreMetrics {
    Metrics::new(BuildInfo::current()).store.clone()
}

pub(crate) fn open_at(path: &Path) -> Result<Store, OpenError> {
    Store::open(Options { path: path.to_owned(), metrics: metrics() })
}
