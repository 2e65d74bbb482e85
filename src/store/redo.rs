//! A write transaction that notes what it writes, so that the journal can do it again.
//!
//! Its tables can be read as redb's own; they are changed through [`Table::insert`] and [`Table::remove`] alone,
//! and these take notes. A note is the bytes of table, key and value, so doing it again needs no idea of what was
//! meant. Notes are only good on top of the very state that they were taken on.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::ops::Deref;
use std::path::Path;

use redb::{
    Database, Key, ReadTransaction, ReadableDatabase as _, ReadableTable, TableDefinition, TableError,
    TableHandle as _, Value, WriteTransaction,
};

use super::Error;
use super::bytes::{Malformed, Reader, Writer};
use super::error::io_reason;
use super::journal::{self, Found, Record, Rest};
use super::seal::{seal_bytes, unseal_bytes};
use super::tables::{
    ACCOUNTS, AGENDA, BASE, CALLS, ERASED, EXOPHONE_HEALTH, EXOPHONES, HEALTH, HEALTH_CHECKS, HEALTH_HOURS,
    HOURS, INBOX, KEPT, KEPT_BY_HASH, MESSAGES, MESSAGES_DUE, META, MISSED, RECEIVED, RUNS, SET_ASIDE,
    SID_INDEX, SID_RECENT, SYNC, TOTALS,
};

/// In `meta`: the journal's id and the number of the last record whose changes are here.
pub(super) const KEY: &str = "journal";

/// How the error begins over the journal of a newer version.
pub(super) const UNKNOWN_TABLE: &str = "its journal names a table that this version does not know:";

/// A write transaction whose changes can be done again.
pub(super) struct Txn<'t> {
    txn: &'t WriteTransaction,
    notes: RefCell<Notes>,
}

/// What is noted, unless it becomes too much for a journal.
#[derive(Default)]
struct Notes {
    all: Writer,
    is_too_much: bool,
}

/// A table within it.
pub(super) struct Table<'t, K: Key + 'static, V: Value + 'static> {
    table: redb::Table<'t, K, V>,
    code: u8,
    notes: &'t RefCell<Notes>,
}

impl<'t> Txn<'t> {
    pub(super) fn new(txn: &'t WriteTransaction) -> Self {
        Self { txn, notes: RefCell::default() }
    }

    pub(super) fn open_table<K: Key + 'static, V: Value + 'static>(
        &'t self,
        definition: TableDefinition<'_, K, V>,
    ) -> Result<Table<'t, K, V>, Error> {
        let code = code(definition.name()).expect("every table has a code");
        Ok(Table { table: self.txn.open_table(definition)?, code, notes: &self.notes })
    }

    /// What was written, as [`again`] reads it; none if it was too much.
    pub(super) fn into_notes(self) -> Option<Vec<u8>> {
        let notes = self.notes.into_inner();
        (!notes.is_too_much).then_some(notes.all.0)
    }
}

impl<K: Key + 'static, V: Value + 'static> Table<'_, K, V> {
    pub(super) fn insert<'k, 'v>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
        value: impl Borrow<V::SelfType<'v>>,
    ) -> Result<(), Error> {
        let bytes = V::as_bytes(value.borrow());
        self.notes.borrow_mut().take(self.code, K::as_bytes(key.borrow()).as_ref(), Some(bytes.as_ref()));
        drop(bytes);
        self.table.insert(key, value)?;
        Ok(())
    }

    pub(super) fn remove<'k>(&mut self, key: impl Borrow<K::SelfType<'k>>) -> Result<(), Error> {
        self.notes.borrow_mut().take(self.code, K::as_bytes(key.borrow()).as_ref(), None);
        self.table.remove(key)?;
        Ok(())
    }
}

impl<'t, K: Key + 'static, V: Value + 'static> Deref for Table<'t, K, V> {
    type Target = redb::Table<'t, K, V>;

    fn deref(&self) -> &Self::Target {
        &self.table
    }
}

impl Notes {
    fn take(&mut self, code: u8, key: &[u8], value: Option<&[u8]>) {
        let more = key.len() + value.map_or(0, <[u8]>::len);
        if self.is_too_much || self.all.0.len() + more > journal::MOST {
            // A commit by redb pays for itself then, and nothing is held twice.
            *self = Self { is_too_much: true, ..Self::default() };
            return;
        }
        let all = &mut self.all;
        all.byte(code);
        all.counted(key);
        all.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            all.counted(value);
        }
    }
}

/// One change: key, and the value unless the row goes.
type Change<'a> = (u8, &'a [u8], Option<&'a [u8]>);

fn changes(notes: &[u8]) -> Result<Vec<Change<'_>>, Malformed> {
    let mut r = Reader(notes);
    let mut changes = Vec::new();
    while !r.0.is_empty() {
        let (code, key) = (r.byte()?, r.counted()?);
        let value = match r.byte()? {
            0 => None,
            _ => Some(r.counted()?),
        };
        changes.push((code, key, value));
    }
    Ok(changes)
}

/// Gives every table a code, which journals hold: never change one, and raise the layout with each new one, so that
/// an older version leaves a store alone whose journal it cannot read.
macro_rules! coded {
    ($($code:literal $table:ident)+) => {
        pub(super) fn code(name: &str) -> Option<u8> {
            [$(($code, $table.name())),+].into_iter().find(|(_, known)| *known == name).map(|(code, _)| code)
        }

        /// Does again what these records noted, in order.
        ///
        /// # Errors
        /// [`Error::Damaged`] if they are no notes.
        pub(super) fn again(txn: &WriteTransaction, records: &[Record]) -> Result<(), Error> {
            let mut all = Vec::new();
            for record in records {
                all.extend(changes(&record.payload)?);
            }
            if let Some((code, ..)) = all.iter().find(|(code, ..)| ![$($code),+].contains(code)) {
                return Err(Error::Damaged(format!("{UNKNOWN_TABLE} {code}")));
            }
            // Table by table: the order matters within one alone.
            $(of_table(txn, $table, all.iter().filter(|(code, ..)| *code == $code))?;)+
            Ok(())
        }
    };
}

coded! {
    1 META  2 ACCOUNTS  3 EXOPHONES  4 CALLS  5 SID_INDEX  6 SID_RECENT  7 AGENDA  8 TOTALS  9 BASE  10 HOURS
    11 SYNC  12 RUNS  13 SET_ASIDE  14 MESSAGES  15 MESSAGES_DUE  16 KEPT  17 KEPT_BY_HASH  18 RECEIVED
    19 HEALTH  20 EXOPHONE_HEALTH  21 HEALTH_CHECKS  22 HEALTH_HOURS  23 INBOX  24 MISSED  25 ERASED
}

fn of_table<'a, K: Key + 'static, V: Value + 'static>(
    txn: &WriteTransaction,
    definition: TableDefinition<'static, K, V>,
    changes: impl Iterator<Item = &'a Change<'a>>,
) -> Result<(), Error> {
    let mut changes = changes.peekable();
    if changes.peek().is_none() {
        return Ok(());
    }
    let mut table = txn.open_table(definition)?;
    for (_, key, value) in changes {
        match value {
            Some(value) => drop(table.insert(K::from_bytes(key), V::from_bytes(value))?),
            None => drop(table.remove(K::from_bytes(key))?),
        }
    }
    Ok(())
}

/// A journal's id, and the number of the last record whose changes the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) id: u64,
    pub(super) applied: u64,
}

impl Mark {
    /// With an id that no other journal has; for a store that has had none.
    pub(super) fn new() -> Self {
        Self { id: RandomState::new().build_hasher().finish(), applied: 0 }
    }

    /// As the row of `meta` holds it; none where there is none.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub(super) fn read(
        meta: &impl ReadableTable<&'static str, &'static [u8]>,
    ) -> Result<Option<Self>, Error> {
        let Some(value) = meta.get(KEY)? else { return Ok(None) };
        let mut r = Reader(unseal_bytes("meta", KEY.as_bytes(), value.value())?);
        let mut number =
            || Ok::<_, Malformed>(u64::from_le_bytes(r.bytes(8)?.try_into().map_err(|_| Malformed)?));
        Ok(Some(Self { id: number()?, applied: number()? }))
    }

    /// The row, to be written under its key.
    pub(super) fn row(self) -> (&'static str, Vec<u8>) {
        let bytes = [self.id.to_le_bytes(), self.applied.to_le_bytes()].concat();
        (KEY, seal_bytes("meta", KEY.as_bytes(), &bytes))
    }
}

/// What [`recover`] met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    /// Records that were taken into the store.
    pub(super) records: usize,
    /// What could not be.
    pub(super) rest: Rest,
}

/// What the journal of this store holds beyond it.
///
/// # Errors
/// [`Error`].
pub(super) fn pending(txn: &ReadTransaction, store: &Path) -> Result<(Option<Mark>, Found), Error> {
    let mark = match txn.open_table(META) {
        Ok(meta) => Mark::read(&meta)?,
        Err(TableError::TableDoesNotExist(_)) => None,
        Err(error) => return Err(error.into()),
    };
    // A store that has had no journal: if there is a file, it is another's.
    let Some(mark) = mark else { return Ok((None, Found::default())) };
    let unread = |error| Error::Unavailable { action: "read", reason: io_reason(&error) };
    let mut found = journal::read(&journal::place(store), mark).map_err(unread)?;
    if found.records.first().is_some_and(|first| first.number != mark.applied + 1) {
        // Of a later state than the store is.
        found = Found { records: Vec::new(), rest: Rest::Foreign };
    }
    Ok((Some(mark), found))
}

/// Takes what the journal of this store holds, and the store itself does not, into the store.
///
/// # Errors
/// [`Error`]; nothing was changed then.
pub(super) fn recover(db: &Database, store: &Path) -> Result<Recovered, Error> {
    let (mark, found) = pending(&db.begin_read()?, store)?;
    let recovered = Recovered { records: found.records.len(), rest: found.rest };
    let (Some(mark), Some(last)) = (mark, found.records.last()) else { return Ok(recovered) };
    let mut txn = db.begin_write()?;
    txn.set_quick_repair(true);
    again(&txn, &found.records)?;
    // The id stays until the store is written to: should this be interrupted, the journal is read once more.
    let (key, row) = Mark { applied: last.number, ..mark }.row();
    txn.open_table(META)?.insert(key, row.as_slice())?;
    txn.commit()?;
    Ok(recovered)
}

/// Draws a new id for the store's journal, before it is changed without one: what an old journal held beyond the
/// store, wherever it is now, fits it no more.
///
/// # Errors
/// [`Error`].
pub(super) fn disown(db: &Database) -> Result<(), Error> {
    let mark = match db.begin_read()?.open_table(META) {
        Ok(meta) => Mark::read(&meta)?,
        Err(TableError::TableDoesNotExist(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let Some(mark) = mark else { return Ok(()) };
    let mut txn = db.begin_write()?;
    txn.set_quick_repair(true);
    let (key, row) = Mark { applied: mark.applied, ..Mark::new() }.row();
    txn.open_table(META)?.insert(key, row.as_slice())?;
    txn.commit()?;
    Ok(())
}
