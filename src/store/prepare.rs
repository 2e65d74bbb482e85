//! From an open file to a working one: its tables, its layout, what of it lives in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, Table, TableError, TableHandle, WriteTransaction};

use super::engine::{Engine, Known};
use super::inbox::Inbox;
use super::index::Recent;
use super::seal::{SealedNumber, seal_bytes, seal_number, unseal, unseal_bytes, unseal_number};
use super::tables::{
    ACCOUNTS, AGENDA, BASE, CALLS, EXOPHONES, HOURS, INBOX, LAYOUT, META, MISSED, RUNS, SET_ASIDE, SID_INDEX,
    SID_RECENT, SYNC, TOTALS,
};
use super::{Error, open};
use crate::metrics::StoreMetrics;
use crate::model::series::Series;
use crate::model::{AccountRow, Family, WallTime};

/// A store ready for work.
pub(super) struct Prepared {
    pub(super) engine: Engine,
    /// Totals at the moment of a restore.
    pub(super) base: BTreeMap<u64, u64>,
}

/// Checks the layout, makes what is missing, reads what lives in memory. A panic of redb over a damaged
/// file is an error.
///
/// # Errors
/// [`Error`]; a file with a newer layout is not written to.
pub(super) fn prepare(db: Database, metrics: StoreMetrics) -> Result<Prepared, Error> {
    open::guarded(|| prepare_unguarded(db, metrics), || Error::Damaged(open::CONTRADICTION.into()))
}

fn prepare_unguarded(db: Database, metrics: StoreMetrics) -> Result<Prepared, Error> {
    match layout(&db)? {
        Some(found) if found > LAYOUT => {
            return Err(Error::Damaged(format!("layout {found} is newer than {LAYOUT}")));
        }
        Some(_) => complete(&db)?,
        None => {}
    }
    let mut txn = db.begin_write()?;
    txn.set_quick_repair(true);
    let base = make(&txn)?;
    txn.commit()?;
    let read = db.begin_read()?;
    let totals = numbers("totals", &read.open_table(TOTALS)?)?;
    let recent = Recent::load(&read.open_table(SID_RECENT)?)?;
    let accounts = read
        .open_table(ACCOUNTS)?
        .iter()?
        .map(|row| {
            let (sid, value) = row?;
            let row: AccountRow = unseal("accounts", sid.value().as_bytes(), value.value())?;
            let known = Known { sid: sid.value().to_owned(), prune_floor: WallTime(row.prune_floor) };
            Ok((row.id, known))
        })
        .collect::<Result<_, Error>>()?;
    let inbox = Inbox::load(&read, &accounts, &metrics)?;
    drop(read);
    let engine = Engine { db: Arc::new(db), recent, inbox, totals, accounts, metrics };
    Ok(Prepared { engine, base })
}

/// Tables that every store has had since it was made.
const FIRST: [&str; 12] = [
    "accounts",
    "agenda",
    "base",
    "calls",
    "exophones",
    "hours",
    "runs",
    "set_aside",
    "sid_index",
    "sid_recent",
    "sync",
    "totals",
];

/// A table whose name was damaged would be made anew, and empty: counters would begin again, calls be lost.
fn complete(db: &Database) -> Result<(), Error> {
    let txn = db.begin_read()?;
    let names: BTreeSet<String> = txn.list_tables()?.map(|table| table.name().to_owned()).collect();
    match FIRST.iter().find(|name| !names.contains(**name)) {
        Some(name) => Err(Error::Damaged(format!("its table {name} is missing"))),
        None => Ok(()),
    }
}

/// The layout of a store; none of a file that has no table yet.
///
/// # Errors
/// [`Error::Damaged`] for a file that holds something else.
pub(super) fn layout(db: &impl ReadableDatabase) -> Result<Option<u64>, Error> {
    let txn = db.begin_read()?;
    let meta = match txn.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) if txn.list_tables()?.next().is_none() => return Ok(None),
        Err(TableError::TableDoesNotExist(_)) => {
            return Err(Error::Damaged("it is the redb file of another program".into()));
        }
        Err(error) => return Err(error.into()),
    };
    let value = meta.get("layout")?;
    value.map(|value| unseal_number("meta", b"layout", value.value())).transpose()
}

/// Makes the tables, notes layout and edges, and turns the mark of a restored copy into a base.
fn make(txn: &WriteTransaction) -> Result<BTreeMap<u64, u64>, Error> {
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
    txn.open_table(INBOX)?;
    txn.open_table(MISSED)?;
    let mut meta = txn.open_table(META)?;
    meta.insert("layout", seal_number("meta", b"layout", LAYOUT).as_slice())?;
    let mut totals = txn.open_table(TOTALS)?;
    let mut base = txn.open_table(BASE)?;
    restart_changed_histograms(&mut meta, &mut totals, &mut base)?;
    if meta.remove("restored")?.is_some() {
        // A restored copy counts from 0 again, so that Prometheus sees a reset and not an increase of
        // everything that the copy holds.
        for (key, value) in numbers("totals", &totals)? {
            base.insert(key, seal_number("base", &key.to_be_bytes(), value))?;
        }
    }
    numbers("base", &base)
}

fn numbers(name: &str, table: &impl ReadableTable<u64, SealedNumber>) -> Result<BTreeMap<u64, u64>, Error> {
    table
        .iter()?
        .map(|row| {
            let (key, value) = row?;
            Ok((key.value(), unseal_number(name, &key.value().to_be_bytes(), &value.value())?))
        })
        .collect()
}

/// A histogram whose edges are not those it was counted with starts again from 0.
fn restart_changed_histograms(
    meta: &mut Table<'_, &str, &[u8]>,
    totals: &mut Table<'_, u64, SealedNumber>,
    base: &mut Table<'_, u64, SealedNumber>,
) -> Result<(), Error> {
    for family in Family::ALL {
        let Some(edges) = family.edges() else { continue };
        let name = format!("edges/{}", family as u8);
        let now: Vec<u8> = edges.iter().flat_map(|e| e.to_be_bytes()).collect();
        let same = match meta.get(name.as_str())? {
            Some(was) => unseal_bytes("meta", name.as_bytes(), was.value())? == now,
            None => false,
        };
        if !same {
            let ours = |key: u64| Series::from_key(key).is_some_and(|s| s.family == family);
            totals.retain(|key, _| !ours(key))?;
            base.retain(|key, _| !ours(key))?;
            meta.insert(name.as_str(), seal_bytes("meta", name.as_bytes(), &now).as_slice())?;
        }
    }
    Ok(())
}
