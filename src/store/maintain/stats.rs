//! `store stats`: sizes of everything.

use std::fs;
use std::path::{Path, PathBuf};

use redb::{Key, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, TableError, Value};

use super::{careful, of_file};
use crate::model::{AccountRow, SyncState, Timestamp, WallTime};
use crate::store::open::open_for_reading;
use crate::store::seal::{unseal, unseal_number};
use crate::store::tables::{
    ACCOUNTS, AGENDA, CALLS, ERASED, EXOPHONE_HEALTH, EXOPHONES, HEALTH, HEALTH_CHECKS, HEALTH_HOURS, HOURS,
    INBOX, KEPT, MESSAGES, MESSAGES_DUE, META, MISSED, RUNS, SET_ASIDE, SID_INDEX, SID_RECENT, SYNC, TOTALS,
};
use crate::store::{Error, OpenError};

/// Size of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStats {
    /// Name.
    pub name: &'static str,
    /// Rows.
    pub rows: u64,
    /// Bytes of keys and values.
    pub stored: u64,
    /// Bytes of its pages.
    pub pages: u64,
}

/// What `store stats` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub file: u64,
    /// Layout of the tables.
    pub layout: u64,
    /// Tables.
    pub tables: Vec<TableStats>,
    /// Accounts: sid, first start, prune floor, watermark.
    pub accounts: Vec<(String, Timestamp, WallTime, Option<WallTime>)>,
}

/// Sizes of everything; works beside an agent.
///
/// # Errors
/// [`OpenError`].
pub fn stats(path: &Path) -> Result<Stats, OpenError> {
    let db = open_for_reading(path)?;
    let file = fs::metadata(path).map_or(0, |m| m.len());
    careful(|| read(&db.begin_read()?, path, file)).map_err(|error| of_file(path, "read", error))
}

fn read(txn: &ReadTransaction, path: &Path, file: u64) -> Result<Stats, Error> {
    let layout = match txn.open_table(META)?.get("layout")? {
        Some(value) => unseal_number("meta", b"layout", value.value())?,
        None => 0,
    };
    let tables = vec![
        size(txn, "calls", CALLS)?,
        size(txn, "sid_index", SID_INDEX)?,
        size(txn, "sid_recent", SID_RECENT)?,
        size(txn, "agenda", AGENDA)?,
        size(txn, "totals", TOTALS)?,
        size(txn, "hours", HOURS)?,
        size(txn, "runs", RUNS)?,
        size(txn, "set_aside", SET_ASIDE)?,
        size(txn, "messages", MESSAGES)?,
        size(txn, "messages_due", MESSAGES_DUE)?,
        size(txn, "exophones", EXOPHONES)?,
        size(txn, "kept", KEPT)?,
        size(txn, "health", HEALTH)?,
        size(txn, "exophone_health", EXOPHONE_HEALTH)?,
        size(txn, "health_checks", HEALTH_CHECKS)?,
        size(txn, "health_hours", HEALTH_HOURS)?,
        size(txn, "inbox", INBOX)?,
        size(txn, "missed", MISSED)?,
        size(txn, "erased", ERASED)?,
    ];
    let sync = txn.open_table(SYNC)?;
    let mut accounts = Vec::new();
    for row in txn.open_table(ACCOUNTS)?.iter()? {
        let (sid, value) = row?;
        let row: AccountRow = unseal("accounts", sid.value().as_bytes(), value.value())?;
        let state: Option<SyncState> = match sync.get(row.id)? {
            Some(value) => Some(unseal("sync", &row.id.to_be_bytes(), value.value())?),
            None => None,
        };
        accounts.push((
            sid.value().to_owned(),
            Timestamp(row.first_start),
            WallTime(row.prune_floor),
            state.map(|s| s.watermark()),
        ));
    }
    Ok(Stats { path: path.to_owned(), file, layout, tables, accounts })
}

fn size<K: Key + 'static, V: Value + 'static>(
    txn: &ReadTransaction,
    name: &'static str,
    table: TableDefinition<'_, K, V>,
) -> Result<TableStats, Error> {
    let (rows, sizes) = match txn.open_table(table) {
        Ok(table) => (table.len()?, table.stats()?),
        Err(TableError::TableDoesNotExist(_)) => {
            return Ok(TableStats { name, rows: 0, stored: 0, pages: 0 });
        }
        Err(error) => return Err(error.into()),
    };
    let pages = sizes.leaf_pages() + sizes.branch_pages();
    Ok(TableStats { name, rows, stored: sizes.stored_bytes(), pages: pages * 4096 })
}
