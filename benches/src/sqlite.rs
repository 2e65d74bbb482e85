//! The same work on SQLite: the same decoding, the same decisions ([`Operation::decide`]), the same bytes of
//! a call, one transaction a page. WAL with `synchronous = FULL`, so that a commit is as durable as ours.

use std::path::Path;

use exotel_exporter::ingest::Page;
use exotel_exporter::model::{AccountId, HourTotals, Timestamp};
use exotel_exporter::store::codec::{call_key, decode_call, encode_call};
use exotel_exporter::store::{Held, Operation};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::calls::{ACCOUNT, Calls};
use crate::ours::Reader;

/// The account's number.
const ID: AccountId = AccountId(1);
/// Bytes of a key before the Sid: account and time.
const HEAD: usize = 6;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -16384;
    CREATE TABLE calls (key BLOB PRIMARY KEY, sid BLOB NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE UNIQUE INDEX calls_sid ON calls (sid);
    CREATE TABLE agenda (task INTEGER, due INTEGER, key BLOB, PRIMARY KEY (task, due, key)) WITHOUT ROWID;
    CREATE TABLE totals (series INTEGER PRIMARY KEY, value INTEGER NOT NULL);
    CREATE TABLE hours (hour INTEGER, direction INTEGER, value BLOB, PRIMARY KEY (hour, direction)) WITHOUT ROWID;
    CREATE TABLE sync (account INTEGER PRIMARY KEY, value BLOB NOT NULL);
    CREATE TABLE runs (id INTEGER PRIMARY KEY, value BLOB NOT NULL);
";

/// Calls in SQLite.
pub struct Sqlite {
    connection: Connection,
    reader: Reader,
}

impl Sqlite {
    /// A new database.
    pub fn open(path: &Path, calls: &Calls) -> anyhow::Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(SCHEMA)?;
        connection.set_prepared_statement_cache_capacity(32);
        let first_start = calls.from.to_timestamp(exotel_exporter::model::UtcOffset::default());
        Ok(Self { connection, reader: Reader::new(ID, first_start) })
    }

    /// Takes a page in; returns when it is durable.
    pub fn page(&mut self, body: &[u8]) -> anyhow::Result<()> {
        let operation = self.reader.read(body)?;
        let transaction = self.connection.transaction()?;
        take_in(&transaction, operation)?;
        Ok(transaction.commit()?)
    }
}

fn take_in(db: &Transaction<'_>, mut page: Page) -> anyhow::Result<()> {
    let mut held = Held::default();
    let mut by_sid = db.prepare_cached("SELECT key, value FROM calls WHERE sid = ?")?;
    for (sid, created) in page.wants().calls {
        let key = call_key(ID, created, &sid);
        let row: Option<(Vec<u8>, Vec<u8>)> =
            by_sid.query_row([&key[HEAD..]], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        if let Some((key, value)) = row {
            let record = decode_call(&key, &value, ACCOUNT).map_err(|_| anyhow::anyhow!("a damaged call"))?;
            held.calls.insert(sid, Box::new(record));
        }
    }
    let (writes, _) = page.decide(held);
    let mut put = db.prepare_cached("INSERT OR REPLACE INTO calls (key, sid, value) VALUES (?, ?, ?)")?;
    let mut remove = db.prepare_cached("DELETE FROM calls WHERE key = ?")?;
    let mut due = db.prepare_cached("INSERT OR IGNORE INTO agenda (task, due, key) VALUES (?, ?, ?)")?;
    let mut done = db.prepare_cached("DELETE FROM agenda WHERE task = ? AND due = ? AND key = ?")?;
    for (before, record) in &writes.calls {
        let key = call_key(ID, record.call.created, &record.call.sid);
        if let Some(before) = before {
            let old = call_key(ID, before.call.created, &before.call.sid);
            for (task, Timestamp(at)) in &before.book.agenda {
                done.execute(params![*task as u8, at, old])?;
            }
            if old != key {
                remove.execute([&old])?;
            }
        }
        put.execute(params![key, &key[HEAD..], encode_call(record, &key, ACCOUNT)])?;
        for (task, Timestamp(at)) in &record.book.agenda {
            due.execute(params![*task as u8, at, key])?;
        }
    }
    let mut count = db.prepare_cached(
        "INSERT INTO totals (series, value) VALUES (?1, ?2) ON CONFLICT (series) DO UPDATE SET value = value + ?2",
    )?;
    for (series, amount) in &writes.deltas.0 {
        count.execute(params![series.to_key() as i64, *amount as i64])?;
    }
    let mut hour_of = db.prepare_cached("SELECT value FROM hours WHERE hour = ? AND direction = ?")?;
    let mut put_hour =
        db.prepare_cached("INSERT OR REPLACE INTO hours (hour, direction, value) VALUES (?, ?, ?)")?;
    for ((hour, direction), change) in &writes.hours {
        let known: Option<Vec<u8>> =
            hour_of.query_row(params![hour, direction.code()], |row| row.get(0)).optional()?;
        let mut totals: HourTotals =
            known.map(|bytes| postcard::from_bytes(&bytes)).transpose()?.unwrap_or_default();
        totals.apply(change, 1);
        put_hour.execute(params![hour, direction.code(), postcard::to_allocvec(&totals)?])?;
    }
    if let Some(state) = &writes.sync {
        db.prepare_cached("INSERT OR REPLACE INTO sync (account, value) VALUES (?, ?)")?
            .execute(params![ID.0, postcard::to_allocvec(state)?])?;
    }
    if let Some(run) = &writes.run {
        db.prepare_cached("INSERT OR REPLACE INTO runs (id, value) VALUES (?, ?)")?
            .execute(params![run.id as i64, postcard::to_allocvec(run)?])?;
    }
    Ok(())
}
