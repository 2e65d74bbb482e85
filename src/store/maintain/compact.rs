//! `store compact`: the space of removed records goes back to the file system.

use std::fs;
use std::path::Path;

use super::{careful, of_file};
use crate::store::open::open;
use crate::store::{Error, OpenError};

/// Gives the space of removed records back to the file system; gives the sizes before and after. Refuses
/// while an agent holds the store.
///
/// # Errors
/// [`OpenError`].
pub fn compact(path: &Path) -> Result<(u64, u64), OpenError> {
    let length = || fs::metadata(path).map_or(0, |m| m.len());
    if !path.exists() {
        return Err(OpenError::Io { path: path.to_owned(), action: "opened", reason: "no such file".into() });
    }
    let before = length();
    let mut db = open(path)?;
    let compacted = careful(|| {
        db.compact().map_err(|error| Error::Unavailable { action: "compacted", reason: error.to_string() })
    });
    compacted.map_err(|error| of_file(path, "compacted", error))?;
    drop(db);
    Ok((before, length()))
}
