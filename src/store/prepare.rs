//! From an open file to a working one: its tables, its layout, what of it lives in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableError, TableHandle,
    WriteTransaction,
};

use super::engine::{Engine, Known};
use super::erased::Erased;
use super::error::io_reason;
use super::inbox::Inbox;
use super::index::Recent;
use super::journal::Journal;
use super::numbers::Numbers;
use super::redo::Mark;
use super::seal::{seal_bytes, seal_number, unseal, unseal_bytes, unseal_number};
use super::tables::{
    ACCOUNTS, AGENDA, BASE, CALLS, ERASED, EXOPHONES, HOURS, INBOX, KEPT, KEPT_BY_HASH, LAYOUT, MESSAGES,
    MESSAGES_DUE, META, MISSED, RECEIVED, RUNS, SET_ASIDE, SID_INDEX, SID_RECENT, SYNC, TABLES, TOTALS,
};
use super::{Error, open};
use crate::metrics::StoreMetrics;
use crate::model::{AccountRow, Family, WallTime};

/// A store ready for work.
pub(super) struct Prepared {
    pub(super) engine: Engine,
    /// Totals at the moment of a restore.
    pub(super) base: BTreeMap<u64, u64>,
}

/// When a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// At the start of the program: a store in which nothing is to be changed is not written to.
    Start,
    /// After a fault: a commit shows that the disk takes writes again.
    Again,
}

/// Checks the layout, makes what is missing, reads what lives in memory. A panic of redb over a damaged
/// file is an error.
///
/// # Errors
/// [`Error`]; a file with a newer layout is not written to.
pub(super) fn prepare(
    db: Database,
    path: &Path,
    metrics: StoreMetrics,
    opening: Opening,
) -> Result<Prepared, Error> {
    open::guarded(
        || prepare_unguarded(db, path, metrics, opening),
        || Error::Damaged(open::CONTRADICTION.into()),
    )
}

fn prepare_unguarded(
    db: Database,
    path: &Path,
    metrics: StoreMetrics,
    opening: Opening,
) -> Result<Prepared, Error> {
    match layout(&db)? {
        Some(found) if found > LAYOUT => {
            return Err(Error::Damaged(format!("layout {found} is newer than {LAYOUT}")));
        }
        Some(_) => complete(&db)?,
        None => {}
    }
    if opening == Opening::Again || !is_made(&db.begin_read()?)? {
        let mut txn = db.begin_write()?;
        txn.set_quick_repair(true);
        make(&txn)?;
        txn.commit()?;
    }
    let read = db.begin_read()?;
    let no_mark = || Error::Damaged("it has no mark of its journal".into());
    let mark = Mark::read(&read.open_table(META)?)?.ok_or_else(no_mark)?;
    let journal = Journal::open(path, mark)
        .map_err(|error| Error::Unavailable { action: "opened", reason: io_reason(&error) })?;
    let base = Numbers::load("base", &read.open_table(BASE)?)?.iter().collect();
    let totals = Numbers::load("totals", &read.open_table(TOTALS)?)?;
    let recent = Recent::load_at_start(&db)?;
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
    let erased = Arc::new(Erased::load(&read, &metrics)?);
    drop(read);
    let engine = Engine {
        txn: None,
        since_checkpoint: 0,
        journal,
        db: Arc::new(db),
        recent,
        inbox,
        totals,
        accounts,
        erased,
        metrics,
    };
    Ok(Prepared { engine, base })
}

/// Under this name it is noted which tables a store has.
const NOTED: &str = "tables";

/// Tables of a store in which that is not noted yet.
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
    let names = names(&txn)?;
    let noted = noted(&txn.open_table(META)?)?;
    let noted: Vec<&str> =
        noted.as_deref().map_or_else(|| FIRST.to_vec(), |noted| noted.split(',').collect());
    match noted.iter().find(|name| !names.contains(**name)) {
        Some(name) => Err(Error::Damaged(format!("its table {name} is missing"))),
        None => Ok(()),
    }
}

fn names(txn: &ReadTransaction) -> Result<BTreeSet<String>, Error> {
    Ok(txn.list_tables()?.map(|table| table.name().to_owned()).collect())
}

/// The names of the tables that were made, with commas between.
fn noted(meta: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Option<String>, Error> {
    let Some(value) = meta.get(NOTED)? else { return Ok(None) };
    let text = unseal_bytes("meta", NOTED.as_bytes(), value.value())?;
    Ok(Some(String::from_utf8_lossy(text).into_owned()))
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

/// Whether [`make`] would change nothing.
pub(super) fn is_made(txn: &ReadTransaction) -> Result<bool, Error> {
    let tables = names(txn)?;
    if !TABLES.iter().all(|name| tables.contains(*name)) {
        return Ok(false);
    }
    let meta = txn.open_table(META)?;
    if noted(&meta)? != Some(TABLES.join(",")) {
        return Ok(false);
    }
    let layout = match meta.get("layout")? {
        Some(value) => unseal_number("meta", b"layout", value.value())?,
        None => return Ok(false),
    };
    if layout != LAYOUT || meta.get("restored")?.is_some() || Mark::read(&meta)?.is_none() {
        return Ok(false);
    }
    for family in Family::ALL {
        if other_edges(&meta, family)?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes the tables, notes layout and edges, and turns the mark of a restored copy into a base.
fn make(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(ACCOUNTS)?;
    txn.open_table(EXOPHONES)?;
    txn.open_table(CALLS)?;
    txn.open_table(SID_INDEX)?;
    txn.open_table(AGENDA)?;
    txn.open_table(HOURS)?;
    txn.open_table(SYNC)?;
    txn.open_table(RUNS)?;
    txn.open_table(SET_ASIDE)?;
    txn.open_table(MESSAGES)?;
    txn.open_table(MESSAGES_DUE)?;
    txn.open_table(KEPT)?;
    txn.open_table(KEPT_BY_HASH)?;
    txn.open_table(RECEIVED)?;
    super::health::make(txn)?;
    txn.open_table(SID_RECENT)?;
    txn.open_table(INBOX)?;
    txn.open_table(MISSED)?;
    txn.open_table(ERASED)?;
    let mut meta = txn.open_table(META)?;
    meta.insert(NOTED, seal_bytes("meta", NOTED.as_bytes(), TABLES.join(",").as_bytes()).as_slice())?;
    meta.insert("layout", seal_number("meta", b"layout", LAYOUT).as_slice())?;
    if Mark::read(&meta)?.is_none() {
        let (key, row) = Mark::new().row();
        meta.insert(key, row.as_slice())?;
    }
    let mut totals = txn.open_table(TOTALS)?;
    let mut base = txn.open_table(BASE)?;
    restart_changed_histograms(&mut meta, &mut totals, &mut base)?;
    if meta.remove("restored")?.is_some() {
        // A restored copy counts from 0 again, so that Prometheus sees a reset and not an increase of
        // everything that the copy holds.
        put("base", &mut base, &Numbers::load("totals", &totals)?)?;
    }
    Ok(())
}

fn put(name: &str, table: &mut Table<'_, u32, &'static [u8]>, numbers: &Numbers) -> Result<(), Error> {
    for (key, row) in numbers.rows(name) {
        table.insert(key, row.as_slice())?;
    }
    Ok(())
}

/// A histogram's edges, with the name under which they are noted, unless they are noted so.
fn other_edges(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    family: Family,
) -> Result<Option<(String, Vec<u8>)>, Error> {
    let Some(edges) = family.edges() else { return Ok(None) };
    let name = format!("edges/{}", family as u8);
    let now: Vec<u8> = edges.iter().flat_map(|e| e.to_be_bytes()).collect();
    let same = match meta.get(name.as_str())? {
        Some(was) => unseal_bytes("meta", name.as_bytes(), was.value())? == now,
        None => false,
    };
    Ok((!same).then_some((name, now)))
}

/// A histogram whose edges are not those it was counted with starts again from 0.
fn restart_changed_histograms(
    meta: &mut Table<'_, &'static str, &'static [u8]>,
    totals: &mut Table<'_, u32, &'static [u8]>,
    base: &mut Table<'_, u32, &'static [u8]>,
) -> Result<(), Error> {
    for family in Family::ALL {
        if let Some((name, now)) = other_edges(meta, family)? {
            let changed = Numbers::load("totals", totals)?.forget(family);
            put("totals", totals, &changed)?;
            let changed = Numbers::load("base", base)?.forget(family);
            put("base", base, &changed)?;
            meta.insert(name.as_str(), seal_bytes("meta", name.as_bytes(), &now).as_slice())?;
        }
    }
    Ok(())
}
