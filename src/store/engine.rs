//! Runs operations against redb: reads what they want, writes what they decide, several in one commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, WriteTransaction};

use super::batch::{Due, Held, WriteSet};
use super::bytes::Reader;
use super::codec::{call_key, decode_call, encode_call, push_sid, read_sid, sid_hash};
use super::index::{self, Fresh, Recent};
use super::tables::{
    ACCOUNTS, AGENDA, CALLS, EXOPHONES, HOURS, RUNS, SET_ASIDE, SID_INDEX, SID_RECENT, SYNC, TOTALS, seal,
    unseal,
};
use super::{Error, Wants};
use crate::metrics::{StoreMetrics, StoreOp};
use crate::model::{
    AccountId, AccountRow, CallRecord, HourKey, HourTotals, SetAside, Sid, Task, Timestamp, WallTime,
};
use crate::settle::Deltas;

/// A queued operation, its types erased.
pub(super) trait Queued: Send {
    /// Reads, decides and writes into the transaction; keeps the reply for later.
    fn run(&mut self, group: &mut Group<'_, '_>) -> Result<(), Error>;
    /// Sends the reply, or the error.
    fn finish(self: Box<Self>, result: Result<(), Error>);
}

/// The open database and what of it is kept in memory.
pub(super) struct Engine {
    pub(super) db: Arc<Database>,
    pub(super) recent: Recent,
    /// Persisted totals as of the last commit.
    pub(super) totals: BTreeMap<u64, u64>,
    /// Account sids by number, for the codec.
    pub(super) sids: BTreeMap<u16, String>,
    pub(super) metrics: StoreMetrics,
}

/// Operations that share a commit.
pub(super) struct Group<'e, 'txn> {
    engine: &'e Engine,
    calls: Table<'txn, &'static [u8], &'static [u8]>,
    agenda: Table<'txn, &'static [u8], ()>,
    index: index::Tables<'txn>,
    fresh: Fresh,
    deltas: Deltas,
    hours: BTreeMap<(u16, HourKey), HourTotals>,
    /// Whether anything was written.
    dirty: bool,
    txn: &'txn WriteTransaction,
}

/// What a durable group changed in memory.
pub(super) struct Committed {
    fresh: Fresh,
    pub(super) changed: Vec<(u64, u64)>,
}

impl Engine {
    /// Runs a group; all of it is durable, or none.
    ///
    /// # Errors
    /// The first failing operation's, or the commit's: then nothing was written.
    pub(super) fn run_group(&mut self, queue: &mut [Box<dyn Queued>]) -> Result<Vec<(u64, u64)>, Error> {
        let began = Instant::now();
        let mut txn = self.db.begin_write()?;
        // Repair after a kill takes milliseconds instead of a walk over the whole file.
        txn.set_quick_repair(true);
        let committed = {
            let mut group = Group::open(self, &txn)?;
            for op in queue.iter_mut() {
                op.run(&mut group)?;
            }
            if !group.dirty {
                // Nothing to make durable: no sync of the disk either.
                return Ok(Vec::new());
            }
            group.close()?
        };
        self.metrics.observe(StoreOp::Write, began.elapsed());
        let began = Instant::now();
        txn.commit()?;
        self.metrics.observe(StoreOp::Commit, began.elapsed());
        self.recent.committed(committed.fresh);
        for (key, value) in &committed.changed {
            self.totals.insert(*key, *value);
        }
        Ok(committed.changed)
    }
}

impl<'e, 'txn> Group<'e, 'txn> {
    fn open(engine: &'e Engine, txn: &'txn WriteTransaction) -> Result<Self, Error> {
        Ok(Self {
            engine,
            calls: txn.open_table(CALLS)?,
            agenda: txn.open_table(AGENDA)?,
            index: index::Tables { tree: txn.open_table(SID_INDEX)?, log: txn.open_table(SID_RECENT)? },
            fresh: Fresh::default(),
            deltas: Deltas::default(),
            hours: BTreeMap::new(),
            dirty: false,
            txn,
        })
    }

    fn account_sid(&self, account: AccountId) -> &'e str {
        self.engine.sids.get(&account.0).map_or("", String::as_str)
    }

    /// Reads what an operation wants to know.
    pub(super) fn read(&mut self, wants: &Wants) -> Result<Held, Error> {
        let mut held = Held::default();
        let account = wants.account;
        for (sid, created) in &wants.calls {
            self.hold(account, sid, Some(*created), &mut held)?;
        }
        if let Some(due) = &wants.due {
            self.hold_due(account, due, &mut held)?;
        }
        let roots: Vec<Sid> = held
            .calls
            .values()
            .filter(|r| r.book.settled.is_none())
            .filter_map(|r| r.call.parent.clone())
            .collect();
        for root in roots {
            self.hold(account, &root, None, &mut held)?;
        }
        let set_aside = self.txn.open_table(SET_ASIDE)?;
        held.any_set_aside = set_aside.range((account.0, 0)..=(account.0, u64::MAX))?.next().is_some();
        Ok(held)
    }

    fn hold(
        &mut self,
        account: AccountId,
        sid: &Sid,
        created: Option<WallTime>,
        held: &mut Held,
    ) -> Result<(), Error> {
        if held.calls.contains_key(sid) || held.lost.contains_key(sid) {
            return Ok(());
        }
        let found = match created.map(|c| self.at(account, sid, c)).transpose()? {
            Some(Found::Nothing) | None => {
                let hash = sid_hash(account, sid);
                match self.engine.recent.find(hash, Some(&self.fresh), &self.index.tree)? {
                    Some(place) if Some(place) != created => self.at(account, sid, place)?,
                    _ => Found::Nothing,
                }
            }
            Some(found) => found,
        };
        match found {
            Found::Nothing => {}
            Found::Call(record) => {
                held.calls.insert(sid.clone(), *record);
            }
            Found::Damaged => {
                tracing::error!(call.sid = %sid, "a stored call does not fit its checksum; it is read anew and not counted again");
                self.engine.metrics.failed(StoreOp::Read);
                held.lost.insert(sid.clone(), super::batch::Lost::Counted);
            }
        }
        Ok(())
    }

    fn at(&self, account: AccountId, sid: &Sid, created: WallTime) -> Result<Found, Error> {
        let key = call_key(account, created, sid);
        let Some(value) = self.calls.get(key.as_slice())? else { return Ok(Found::Nothing) };
        Ok(match decode_call(&key, value.value(), self.account_sid(account)) {
            Ok(record) => Found::Call(Box::new(record)),
            Err(_) => Found::Damaged,
        })
    }

    fn hold_due(&mut self, account: AccountId, due: &Due, held: &mut Held) -> Result<(), Error> {
        let mut stale = Vec::new();
        let mut places = Vec::new();
        let range = agenda_range(account, due.task, due.now);
        for entry in self.agenda.range::<&[u8]>(range.0.as_slice()..range.1.as_slice())?.take(due.limit) {
            let (key, ()) = {
                let (key, value) = entry?;
                (key.value().to_vec(), value.value())
            };
            let (created, sid) = read_agenda_key(&key)?;
            places.push((key, created, sid));
        }
        for (key, created, sid) in places {
            self.hold(account, &sid, Some(created), held)?;
            let listed = held.calls.get(&sid).is_some_and(|record| {
                record.call.created == created
                    && record
                        .book
                        .agenda
                        .iter()
                        .any(|(t, at)| *t == due.task && agenda_seconds(*at) == key_due(&key))
            });
            if listed {
                held.due.push(sid);
            } else {
                stale.push(key);
            }
        }
        // Entries of records that were damaged or replaced: nothing else would ever remove them.
        self.dirty |= !stale.is_empty();
        for key in stale {
            self.agenda.remove(key.as_slice())?;
        }
        Ok(())
    }

    /// Writes what an operation decided.
    pub(super) fn write(&mut self, account: AccountId, writes: WriteSet) -> Result<(), Error> {
        self.dirty |= !writes.is_empty();
        let sid = self.account_sid(account);
        for (before, record) in &writes.calls {
            self.put_call(account, sid, before.as_ref(), record)?;
        }
        for (series, amount) in writes.deltas.0 {
            self.deltas.add(series, amount);
        }
        for (key, change) in writes.hours {
            self.hours.entry((account.0, key)).or_default().apply(&change, 1);
        }
        if let Some(state) = &writes.sync {
            self.txn.open_table(SYNC)?.insert(account.0, seal("sync", state).as_slice())?;
        }
        if let Some(run) = &writes.run {
            let key = u64::from(account.0) << 48 | run.id;
            self.txn.open_table(RUNS)?.insert(key, seal("runs", run).as_slice())?;
        }
        if !writes.set_aside.is_empty() || !writes.healed.is_empty() {
            let mut table = self.txn.open_table(SET_ASIDE)?;
            for row in &writes.set_aside {
                // What is known already keeps its first sighting and its tries.
                let known: Option<SetAside> = match table.get((account.0, row.id))? {
                    Some(value) => Some(unseal("set_aside", value.value())?),
                    None => None,
                };
                let row = match known {
                    Some(known) => SetAside {
                        first_seen: known.first_seen,
                        tries: known.tries.max(row.tries),
                        retry_at: known.retry_at.max(row.retry_at),
                        ..row.clone()
                    },
                    None => row.clone(),
                };
                table.insert((account.0, row.id), seal("set_aside", &row).as_slice())?;
            }
            for id in &writes.healed {
                table.remove((account.0, *id))?;
            }
        }
        if !writes.exophones.is_empty() {
            let mut table = self.txn.open_table(EXOPHONES)?;
            for phone in &writes.exophones {
                let key = u32::from(account.0) << 16 | u32::from(phone.id);
                table.insert(key, seal("exophones", phone).as_slice())?;
            }
        }
        Ok(())
    }

    fn put_call(
        &mut self,
        account: AccountId,
        account_sid: &str,
        before: Option<&CallRecord>,
        record: &CallRecord,
    ) -> Result<(), Error> {
        let key = call_key(account, record.call.created, &record.call.sid);
        let value = encode_call(record, &key, account_sid);
        let moved = before.is_some_and(|b| b.call.created != record.call.created);
        if let Some(before) = before {
            if moved {
                let old = call_key(account, before.call.created, &before.call.sid);
                self.calls.remove(old.as_slice())?;
            }
            for entry in &before.book.agenda {
                if moved || !record.book.agenda.contains(entry) {
                    self.agenda.remove(
                        agenda_key(account, *entry, &before.call.sid, before.call.created).as_slice(),
                    )?;
                }
            }
        }
        self.calls.insert(key.as_slice(), value.as_slice())?;
        if moved || before.is_none() {
            self.fresh.insert(sid_hash(account, &record.call.sid), record.call.created);
        }
        for entry in &record.book.agenda {
            if moved || before.is_none_or(|b| !b.book.agenda.contains(entry)) {
                let key = agenda_key(account, *entry, &record.call.sid, record.call.created);
                self.agenda.insert(key.as_slice(), ())?;
            }
        }
        Ok(())
    }

    /// Writes what the group gathered: totals, roll-ups and the index once, however many operations.
    fn close(mut self) -> Result<Committed, Error> {
        self.engine.recent.write(&mut self.fresh, &mut self.index)?;
        let mut changed = Vec::with_capacity(self.deltas.0.len());
        if !self.deltas.0.is_empty() {
            let mut totals = self.txn.open_table(TOTALS)?;
            for (series, amount) in &self.deltas.0 {
                let key = series.to_key();
                let value = self.engine.totals.get(&key).copied().unwrap_or(0).saturating_add(*amount);
                totals.insert(key, value)?;
                changed.push((key, value));
            }
        }
        if !self.hours.is_empty() {
            let mut hours = self.txn.open_table(HOURS)?;
            for ((account, (hour, direction)), change) in &self.hours {
                let key = hour_key(AccountId(*account), *hour, direction.code());
                let mut totals: HourTotals = match hours.get(key)? {
                    Some(value) => unseal("hours", value.value())?,
                    None => HourTotals::default(),
                };
                totals.apply(change, 1);
                hours.insert(key, seal("hours", &totals).as_slice())?;
            }
        }
        Ok(Committed { fresh: self.fresh, changed })
    }
}

enum Found {
    Nothing,
    Call(Box<CallRecord>),
    Damaged,
}

/// Key of a roll-up.
pub(super) fn hour_key(account: AccountId, hour: u32, direction: u8) -> u64 {
    u64::from(account.0) << 48 | u64::from(hour) << 8 | u64::from(direction)
}

fn agenda_seconds(due: Timestamp) -> u32 {
    u32::try_from(due.0.clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX)
}

fn agenda_head(account: AccountId, task: Task, due: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(29);
    key.extend_from_slice(&account.0.to_be_bytes());
    key.push(task as u8);
    key.extend_from_slice(&due.to_be_bytes());
    key
}

fn agenda_key(account: AccountId, (task, due): (Task, Timestamp), sid: &Sid, created: WallTime) -> Vec<u8> {
    let mut key = agenda_head(account, task, agenda_seconds(due));
    key.extend_from_slice(&super::codec::time_key(account, created)[2..]);
    push_sid(&mut key, sid);
    key
}

/// Keys of a task due at or before `now`.
pub(super) fn agenda_range(account: AccountId, task: Task, now: Timestamp) -> (Vec<u8>, Vec<u8>) {
    let end = agenda_head(account, task, agenda_seconds(now).saturating_add(1));
    (agenda_head(account, task, 0), end)
}

fn key_due(key: &[u8]) -> u32 {
    key.get(3..7).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// Creation time and Sid of a key of the agenda.
pub(super) fn read_agenda_key(key: &[u8]) -> Result<(WallTime, Sid), Error> {
    let mut r = Reader(key);
    r.bytes(7)?;
    let created = u32::from_be_bytes(r.bytes(4)?.try_into().map_err(|_| super::bytes::Malformed)?);
    Ok((WallTime(i64::from(created)), read_sid(r.0)?))
}

/// Accounts by sid.
pub(super) fn accounts(db: &Database) -> Result<Vec<(String, AccountRow)>, Error> {
    let txn = db.begin_read()?;
    let table = txn.open_table(ACCOUNTS)?;
    let mut all = Vec::with_capacity(table.len()? as usize);
    for row in table.iter()? {
        let (sid, value) = row?;
        all.push((sid.value().to_owned(), unseal("accounts", value.value())?));
    }
    Ok(all)
}
