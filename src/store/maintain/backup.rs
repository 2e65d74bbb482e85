//! `store backup`: a whole copy of one committed state, made while an agent goes on.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use redb::{
    Database, Key, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, TableError, Value,
};

use super::{careful, of_file};
use crate::store::error::io_reason;
use crate::store::open::{builder, open_for_reading};
use crate::store::tables::{
    ACCOUNTS, AGENDA, BASE, CALLS, ERASED, EXOPHONE_HEALTH, EXOPHONES, HEALTH, HEALTH_CHECKS, HEALTH_HOURS,
    HOURS, INBOX, KEPT, KEPT_BY_HASH, MESSAGES, MESSAGES_DUE, META, MISSED, RECEIVED, RUNS, SET_ASIDE,
    SID_INDEX, SID_RECENT, SYNC, TOTALS,
};
use crate::store::{Error, OpenError, redo};

/// Rows copied in one transaction: bounds its memory.
const COPY: usize = if cfg!(test) { 50 } else { 50_000 };

/// Copies one committed state of the store into a new file, beside a running agent too, and marks the copy:
/// a store that is restored from it counts from 0 again.
///
/// # Errors
/// [`OpenError`]; `to` must not exist.
pub fn backup(path: &Path, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), OpenError> {
    let from = open_for_reading(path)?;
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    created.map_err(|error| OpenError::Io {
        path: to.to_owned(),
        action: "created",
        reason: io_reason(&error),
    })?;
    // A fault of the one file is not told from one of the other; the copy is the one that is written.
    let copied = careful(|| copy(&from.begin_read()?, to, progress));
    if copied.is_err() {
        // Half a backup is worse than none.
        drop(fs::remove_file(to));
    }
    copied.map_err(|error| match error {
        Error::Unavailable { .. } => of_file(to, "written", error),
        error => of_file(path, "read", error),
    })
}

fn copy(txn: &ReadTransaction, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Error> {
    let total = txn.open_table(CALLS)?.len()?;
    let copy = builder()
        .create(to)
        .map_err(|error| Error::Unavailable { action: "written", reason: error.to_string() })?;
    let quiet = &mut |_| {};
    copy_table(txn, &copy, META, quiet)?;
    copy_table(txn, &copy, ACCOUNTS, quiet)?;
    copy_table(txn, &copy, EXOPHONES, quiet)?;
    let mut done = 0;
    copy_table(txn, &copy, CALLS, &mut |rows| {
        done += rows;
        progress(done, total);
    })?;
    copy_table(txn, &copy, SID_INDEX, quiet)?;
    copy_table(txn, &copy, SID_RECENT, quiet)?;
    copy_table(txn, &copy, AGENDA, quiet)?;
    copy_table(txn, &copy, TOTALS, quiet)?;
    copy_table(txn, &copy, BASE, quiet)?;
    copy_table(txn, &copy, HOURS, quiet)?;
    copy_table(txn, &copy, SYNC, quiet)?;
    copy_table(txn, &copy, RUNS, quiet)?;
    copy_table(txn, &copy, SET_ASIDE, quiet)?;
    copy_table(txn, &copy, MESSAGES, quiet)?;
    copy_table(txn, &copy, MESSAGES_DUE, quiet)?;
    copy_table(txn, &copy, KEPT, quiet)?;
    copy_table(txn, &copy, KEPT_BY_HASH, quiet)?;
    copy_table(txn, &copy, RECEIVED, quiet)?;
    copy_table(txn, &copy, HEALTH, quiet)?;
    copy_table(txn, &copy, EXOPHONE_HEALTH, quiet)?;
    copy_table(txn, &copy, HEALTH_CHECKS, quiet)?;
    copy_table(txn, &copy, HEALTH_HOURS, quiet)?;
    copy_table(txn, &copy, INBOX, quiet)?;
    copy_table(txn, &copy, MISSED, quiet)?;
    copy_table(txn, &copy, ERASED, quiet)?;
    mark_restored(&copy)
}

/// Makes a store count from 0 when it is opened next.
pub(super) fn mark_restored(db: &Database) -> Result<(), Error> {
    let mut txn = db.begin_write()?;
    txn.set_quick_repair(true);
    {
        let mut meta = txn.open_table(META)?;
        meta.insert("restored", [1].as_slice())?;
        // The journal is the other store's.
        meta.remove(redo::KEY)?;
    }
    txn.commit()?;
    Ok(())
}

fn copy_table<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    to: &Database,
    definition: TableDefinition<'static, K, V>,
    done: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    let source = match from.open_table(definition) {
        Ok(source) => source,
        Err(TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut rows = source.iter()?.peekable();
    loop {
        let mut count = 0u64;
        let txn = to.begin_write()?;
        {
            let mut target = txn.open_table(definition)?;
            for row in rows.by_ref().take(COPY) {
                let (key, value) = row?;
                target.insert(key.value(), value.value())?;
                count += 1;
            }
        }
        txn.commit()?;
        done(count);
        if rows.peek().is_none() {
            return Ok(());
        }
    }
}
