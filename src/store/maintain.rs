//! Looking after the file: check, stats, backup, restore, compact. Each blocks; none needs a runtime.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use redb::{
    Key, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, Value,
};

use super::codec::{decode_call, read_call_key, sid_hash};
use super::error::io_reason;
use super::open::{guarded, open, open_for_reading};
use super::tables::{
    ACCOUNTS, AGENDA, BASE, CALLS, EXOPHONES, HOURS, LAYOUT, META, RUNS, SET_ASIDE, SID_INDEX, SID_RECENT,
    SYNC, TOTALS, unseal,
};
use super::{Error, OpenError};
use crate::model::{AccountRow, HourTotals, SyncState, Timestamp, WallTime};

/// What `store check` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Calls whose checksum was verified.
    pub calls: u64,
    /// What is wrong, one sentence each; empty = sound.
    pub faults: Vec<String>,
}

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

fn fault(path: &Path) -> impl Fn(Error) -> OpenError {
    let path = path.to_owned();
    move |error| match error {
        Error::Unavailable { reason, .. } => OpenError::Io { path: path.clone(), action: "read", reason },
        other => OpenError::Damaged { path: path.clone(), reason: other.to_string() },
    }
}

/// Reads every record and verifies checksums and cross references; works beside an agent.
/// `progress` is told how many of how many calls are done.
///
/// # Errors
/// [`OpenError`] if the file cannot be opened at all.
pub fn check(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<CheckReport, OpenError> {
    let db = open_for_reading(path)?;
    let mut report = CheckReport::default();
    let outcome = guarded(|| {
        Ok(db.begin_read().map_err(Error::from).and_then(|txn| check_tables(&txn, &mut report, progress)))
    });
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => report.faults.push(error.to_string()),
        Err(error) => report.faults.push(error.to_string()),
    }
    Ok(report)
}

fn check_tables(
    txn: &ReadTransaction,
    report: &mut CheckReport,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Error> {
    let calls = txn.open_table(CALLS)?;
    let total = calls.len()?;
    let tree = txn.open_table(SID_INDEX)?;
    let recent = super::index::Recent::load(&txn.open_table(SID_RECENT)?)?;
    let (mut damaged, mut unindexed) = (0u64, 0u64);
    for row in calls.iter()? {
        let (key, value) = row?;
        report.calls += 1;
        if report.calls.is_multiple_of(10_000) {
            progress(report.calls, total);
        }
        match decode_call(key.value(), value.value(), "") {
            Ok(record) => {
                let (account, created, sid) = read_call_key(key.value())?;
                let place = recent.find(sid_hash(account, &sid), None, &tree)?;
                if place != Some(created) || record.call.created != created {
                    unindexed += 1;
                }
            }
            Err(_) => damaged += 1,
        }
    }
    progress(report.calls, total);
    if damaged > 0 {
        report.faults.push(format!("{damaged} calls do not fit their checksum"));
    }
    if unindexed > 0 {
        report.faults.push(format!("{unindexed} calls cannot be found by their Sid"));
    }
    for row in txn.open_table(ACCOUNTS)?.iter()? {
        unseal::<AccountRow>("accounts", row?.1.value())?;
    }
    for row in txn.open_table(SYNC)?.iter()? {
        unseal::<SyncState>("sync", row?.1.value())?;
    }
    for row in txn.open_table(HOURS)?.iter()? {
        unseal::<HourTotals>("hours", row?.1.value())?;
    }
    for row in txn.open_table(SET_ASIDE)?.iter()? {
        unseal::<crate::model::SetAside>("set_aside", row?.1.value())?;
    }
    for row in txn.open_table(RUNS)?.iter()? {
        unseal::<crate::model::SyncRun>("runs", row?.1.value())?;
    }
    Ok(())
}

/// Sizes of everything; works beside an agent.
///
/// # Errors
/// [`OpenError`].
pub fn stats(path: &Path) -> Result<Stats, OpenError> {
    let db = open_for_reading(path)?;
    let file = fs::metadata(path).map_or(0, |m| m.len());
    let read = || -> Result<Stats, Error> {
        let txn = db.begin_read()?;
        let layout = txn.open_table(META)?.get("layout")?;
        let layout = layout.and_then(|v| v.value().try_into().ok().map(u64::from_be_bytes)).unwrap_or(0);
        let tables = vec![
            size(&txn, "calls", CALLS)?,
            size(&txn, "sid_index", SID_INDEX)?,
            size(&txn, "sid_recent", SID_RECENT)?,
            size(&txn, "agenda", AGENDA)?,
            size(&txn, "totals", TOTALS)?,
            size(&txn, "hours", HOURS)?,
            size(&txn, "runs", RUNS)?,
            size(&txn, "set_aside", SET_ASIDE)?,
            size(&txn, "exophones", EXOPHONES)?,
        ];
        let sync = txn.open_table(SYNC)?;
        let mut accounts = Vec::new();
        for row in txn.open_table(ACCOUNTS)?.iter()? {
            let (sid, value) = row?;
            let row: AccountRow = unseal("accounts", value.value())?;
            let state: Option<SyncState> = match sync.get(row.id)? {
                Some(value) => Some(unseal("sync", value.value())?),
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
    };
    guarded(|| Ok(read())).unwrap_or_else(|e| Err(Error::Damaged(e.to_string()))).map_err(fault(path))
}

fn size<K: Key + 'static, V: Value + 'static>(
    txn: &ReadTransaction,
    name: &'static str,
    table: TableDefinition<'_, K, V>,
) -> Result<TableStats, Error> {
    let stats = match txn.open_table(table) {
        Ok(table) => (table.len()?, table.stats()?),
        Err(redb::TableError::TableDoesNotExist(_)) => {
            return Ok(TableStats { name, rows: 0, stored: 0, pages: 0 });
        }
        Err(error) => return Err(error.into()),
    };
    let (rows, sizes) = stats;
    let pages = sizes.leaf_pages() + sizes.branch_pages();
    Ok(TableStats { name, rows, stored: sizes.stored_bytes(), pages: pages * 4096 })
}

/// Copies one committed state of the store into a new file, beside a running agent too, and marks the copy:
/// a store that is restored from it counts from 0 again.
///
/// # Errors
/// [`OpenError`]; `to` must not exist.
pub fn backup(path: &Path, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), OpenError> {
    let from = open_for_reading(path)?;
    let target = PathBuf::from(to);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(|error| OpenError::Io {
        path: target.clone(),
        action: "created",
        reason: io_reason(&error),
    })?;
    let mut copy = || -> Result<(), Error> {
        let txn = from.begin_read()?;
        let total = txn.open_table(CALLS)?.len()?;
        let copy = redb::Builder::new()
            .create(&target)
            .map_err(|error| Error::Unavailable { action: "written", reason: error.to_string() })?;
        let mut done = 0;
        copy_table(&txn, &copy, META, &mut |_| {})?;
        copy_table(&txn, &copy, ACCOUNTS, &mut |_| {})?;
        copy_table(&txn, &copy, EXOPHONES, &mut |_| {})?;
        copy_table(&txn, &copy, CALLS, &mut |rows| {
            done += rows;
            progress(done, total);
        })?;
        copy_table(&txn, &copy, SID_INDEX, &mut |_| {})?;
        copy_table(&txn, &copy, SID_RECENT, &mut |_| {})?;
        copy_table(&txn, &copy, AGENDA, &mut |_| {})?;
        copy_table(&txn, &copy, TOTALS, &mut |_| {})?;
        copy_table(&txn, &copy, BASE, &mut |_| {})?;
        copy_table(&txn, &copy, HOURS, &mut |_| {})?;
        copy_table(&txn, &copy, SYNC, &mut |_| {})?;
        copy_table(&txn, &copy, RUNS, &mut |_| {})?;
        copy_table(&txn, &copy, SET_ASIDE, &mut |_| {})?;
        let txn = copy.begin_write()?;
        txn.open_table(META)?.insert("restored", [1].as_slice())?;
        txn.commit()?;
        Ok(())
    };
    let result = guarded(|| Ok(copy())).unwrap_or_else(|e| Err(Error::Damaged(e.to_string())));
    if result.is_err() {
        // Half a backup is worse than none.
        drop(fs::remove_file(to));
    }
    result.map_err(fault(path))
}

/// Rows copied in one transaction.
const COPY: usize = 50_000;

fn copy_table<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    to: &redb::Database,
    definition: TableDefinition<'static, K, V>,
    done: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    let source = match from.open_table(definition) {
        Ok(source) => source,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
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

/// Brings a backup back: checks it, then puts it in the place of the store, which is kept beside it under
/// the name given back. Refuses while an agent holds the store.
///
/// # Errors
/// [`OpenError`]; the store is untouched then.
pub fn restore(path: &Path, from: &Path) -> Result<Option<PathBuf>, OpenError> {
    let report = check(from, &mut |_, _| {})?;
    if let Some(fault) = report.faults.first() {
        return Err(OpenError::Damaged { path: from.to_owned(), reason: fault.clone() });
    }
    let stats = stats(from)?;
    if stats.layout > LAYOUT {
        return Err(OpenError::Newer { path: from.to_owned(), found: stats.layout, known: LAYOUT });
    }
    let io = |action: &'static str| {
        let path = path.to_owned();
        move |error: std::io::Error| OpenError::Io { path: path.clone(), action, reason: io_reason(&error) }
    };
    let exists = fs::metadata(path).is_ok_and(|m| m.len() > 0);
    // Held until the files have changed places, so that no agent can start in between.
    let held = if exists {
        match open(path) {
            Ok(db) => Some(db),
            // A damaged store is just what a backup is for.
            Err(OpenError::Damaged { .. } | OpenError::Newer { .. }) => None,
            Err(error) => return Err(error),
        }
    } else {
        None
    };
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(io("created"))?;
    }
    let fresh = beside(".restoring");
    fs::copy(from, &fresh).map_err(io("written"))?;
    fs::File::open(&fresh).and_then(|file| file.sync_all()).map_err(io("written"))?;
    let kept = exists.then(|| beside(".before-restore"));
    if let Some(kept) = &kept {
        fs::rename(path, kept).map_err(io("moved"))?;
    }
    fs::rename(&fresh, path).map_err(io("moved"))?;
    drop(held);
    Ok(kept)
}

/// Gives the space of removed records back to the file system; gives the sizes before and after. Refuses
/// while an agent holds the store.
///
/// # Errors
/// [`OpenError`].
pub fn compact(path: &Path) -> Result<(u64, u64), OpenError> {
    let length = |path: &Path| fs::metadata(path).map_or(0, |m| m.len());
    if !path.exists() {
        return Err(OpenError::Io { path: path.to_owned(), action: "opened", reason: "no such file".into() });
    }
    let before = length(path);
    let mut db = open(path)?;
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| db.compact()));
    match outcome {
        Ok(Ok(_)) => {
            drop(db);
            Ok((before, length(path)))
        }
        Ok(Err(error)) => {
            Err(OpenError::Io { path: path.to_owned(), action: "compacted", reason: error.to_string() })
        }
        Err(_) => Err(OpenError::Damaged {
            path: path.to_owned(),
            reason: "its pages contradict each other".into(),
        }),
    }
}
