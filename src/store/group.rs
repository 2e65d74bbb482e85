//! Operations that share a transaction: reads what they want, writes what they decide.

use std::collections::{BTreeMap, HashMap, HashSet, hash_map};
use std::sync::Arc;

use redb::ReadableTable;

use super::Error;
use super::agenda::{self, Agenda, Entry, due_seconds};
use super::batch::{Due, Held, LONGEST_CHAIN, Lost, Wants, WriteSet};
use super::codec::{call_key, decode_call, encode_call, read_call_key, sid_hash, time_key};
use super::engine::Engine;
use super::error::intact;
use super::index::{self, Fresh};
use super::kept;
use super::messages;
use super::numbers::Numbers;
use super::redo::{Table, Txn};
use super::seal::{seal, unseal};
use super::tables::{
    AGENDA, CALLS, EXOPHONES, HOURS, RUNS, SET_ASIDE, SID_INDEX, SID_RECENT, SYNC, TOTALS, exophone_key,
    hour_key, run_key, set_aside_bytes,
};
use super::{inbox, missed};
use crate::metrics::StoreOp;
use crate::model::sync::hourly;
use crate::model::{AccountId, CallRecord, HourKey, HourTotals, SetAside, Sid, Task, WallTime};
use crate::settle::Deltas;

/// How long after a call that was lost was asked for in vain it is asked for again.
const LOST_AGAIN: u32 = 3600;

/// Operations that share a commit.
pub(super) struct Group<'e, 'txn> {
    pub(super) engine: &'e Engine,
    calls: Table<'txn, &'static [u8], &'static [u8]>,
    pub(super) agenda: Agenda<'txn>,
    index: index::Tables<'txn>,
    fresh: Fresh,
    deltas: Deltas,
    hours: BTreeMap<(u16, HourKey), HourTotals>,
    lost: HashSet<(AccountId, Sid)>,
    pub(super) inbox: inbox::Changes,
    /// The last key of each account that was looked at; none for one without calls.
    newest: HashMap<AccountId, Option<Vec<u8>>>,
    pub(super) txn: &'txn Txn<'txn>,
}

/// What a whole group changed in memory.
pub(super) struct Committed {
    pub(super) fresh: Fresh,
    pub(super) inbox: inbox::Changes,
    /// Rows of totals that changed, …
    pub(super) totals: Numbers,
    /// … and the numbers in them.
    pub(super) changed: Vec<(u64, u64)>,
}

enum Found {
    Nothing,
    Call(Box<CallRecord>),
    Damaged,
}

impl<'e, 'txn> Group<'e, 'txn> {
    pub(super) fn open(engine: &'e Engine, txn: &'txn Txn<'txn>) -> Result<Self, Error> {
        Ok(Self {
            engine,
            calls: txn.open_table(CALLS)?,
            agenda: txn.open_table(AGENDA)?,
            index: index::Tables { tree: txn.open_table(SID_INDEX)?, log: txn.open_table(SID_RECENT)? },
            fresh: Fresh::default(),
            deltas: Deltas::default(),
            hours: BTreeMap::new(),
            lost: HashSet::new(),
            inbox: inbox::Changes::default(),
            newest: HashMap::new(),
            txn,
        })
    }

    /// Reads what an operation wants to know.
    pub(super) fn read(&mut self, wants: &Wants) -> Result<Held, Error> {
        let account = wants.account;
        let mut held = Held {
            prune_floor: self.engine.prune_floor(account),
            erased: Arc::clone(&self.engine.erased),
            ..Held::default()
        };
        for (sid, created) in &wants.calls {
            self.hold(account, sid, Some(*created), &mut held)?;
        }
        self.hold_unlisted(account, &wants.calls, &mut held)?;
        if let Some(due) = &wants.due {
            self.hold_due(account, due, &mut held)?;
        }
        let mut tried = HashSet::new();
        for _ in 0..LONGEST_CHAIN {
            let waiting = held.calls.values().filter(|r| r.book.settled.is_none());
            let roots: Vec<Sid> = waiting
                .filter_map(|r| r.call.leg_of())
                .filter(|sid| !held.calls.contains_key(*sid) && tried.insert((*sid).clone()))
                .cloned()
                .collect();
            if roots.is_empty() {
                break;
            }
            for root in roots {
                self.hold(account, &root, None, &mut held)?;
            }
        }
        for sid in &wants.messages {
            if let Some(message) = messages::read(self.txn, &self.engine.metrics, account, sid)? {
                held.messages.insert(sid.clone(), message);
            }
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
        match self.look_up(account, sid, created)? {
            Found::Nothing => {}
            Found::Call(record) => {
                held.calls.insert(sid.clone(), record);
            }
            Found::Damaged => {
                let lost = self.lose(account, sid)?;
                self.engine.metrics.failed(StoreOp::Read);
                tracing::error!(call.sid = %sid, counted = lost == Lost::Counted, "a stored call is damaged; it is read anew");
                held.lost.insert(sid.clone(), lost);
            }
        }
        Ok(())
    }

    fn look_up(&mut self, account: AccountId, sid: &Sid, created: Option<WallTime>) -> Result<Found, Error> {
        let mut looked_at = None;
        if let Some(created) = created
            && self.may_hold(account, created)?
        {
            match self.at(account, sid, created)? {
                Found::Nothing => looked_at = Some(created),
                found => return Ok(found),
            }
        }
        let hash = sid_hash(account, sid);
        let Some(place) = self.engine.recent.find(hash, Some(&self.fresh), &*self.index.tree)? else {
            return Ok(Found::Nothing);
        };
        if Some(place) != looked_at
            && let found @ (Found::Call(_) | Found::Damaged) = self.at(account, sid, place)?
        {
            return Ok(found);
        }
        // The index knows a call that is not in its place. Unless retention removed it, or another call
        // shares its hash, its key was damaged.
        let explained =
            place < self.engine.prune_floor(account) || self.shares_hash(account, place, hash, sid)?;
        Ok(if explained { Found::Nothing } else { Found::Damaged })
    }

    /// Whether an account has calls as new as this: most rows that are read are newer than all that is
    /// stored, and need no walk through the tree.
    fn may_hold(&mut self, account: AccountId, created: WallTime) -> Result<bool, Error> {
        let newest = match self.newest.entry(account) {
            hash_map::Entry::Occupied(known) => known.into_mut(),
            hash_map::Entry::Vacant(unknown) => {
                let first = time_key(account, WallTime(0));
                let last = [&account.0.to_be_bytes()[..], &[u8::MAX; 5]].concat();
                let mut calls = self.calls.range::<&[u8]>(first.as_slice()..last.as_slice())?;
                unknown.insert(calls.next_back().transpose()?.map(|(key, _)| key.value().to_vec()))
            }
        };
        Ok(newest.as_ref().is_some_and(|key| key.as_slice() >= time_key(account, created).as_slice()))
    }

    fn at(&self, account: AccountId, sid: &Sid, created: WallTime) -> Result<Found, Error> {
        let key = call_key(account, created, sid);
        let Some(value) = self.calls.get(key.as_slice())? else { return Ok(Found::Nothing) };
        Ok(match decode_call(&key, value.value(), self.engine.account_sid(account)) {
            Ok(record) => Found::Call(Box::new(record)),
            Err(_) => Found::Damaged,
        })
    }

    /// Whether another call of that time has this hash. The call itself, where a walk along the leaves meets
    /// it although a look-up did not, tells of a damaged branch of the tree.
    fn shares_hash(&self, account: AccountId, place: WallTime, hash: u64, sid: &Sid) -> Result<bool, Error> {
        let (first, last) = (time_key(account, place), time_key(account, place + 1));
        for row in self.calls.range::<&[u8]>(first.as_slice()..last.as_slice())? {
            let other = |found: &Sid| found != sid && sid_hash(account, found) == hash;
            if read_call_key(row?.0.value()).is_ok_and(|(_, _, found)| other(&found)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is known of a call whose record is lost: only one that has not counted yet has something on the
    /// agenda, but for its price and its callback. All of that gives way to one request by Sid, so that it is read anew.
    fn lose(&mut self, account: AccountId, sid: &Sid) -> Result<Lost, Error> {
        let found = agenda::select(&*self.agenda, account, |e| e.is_some_and(|e| is_of_record(e, sid)))?;
        let entries: Vec<&Entry> = found.iter().filter_map(|(_, entry)| entry.as_ref()).collect();
        let waiting = entries.iter().any(|e| !matches!(e.task, Task::Price | Task::Callback));
        let asked_for = matches!(entries[..], [one] if one.task == Task::Recheck);
        let first = entries.iter().min_by_key(|e| e.due).map(|e| (*e).clone());
        for (key, _) in &found {
            self.agenda.remove(key.as_slice())?;
        }
        if let Some(first) = first.filter(|_| waiting) {
            let due = if asked_for { first.due.saturating_add(LOST_AGAIN) } else { first.due };
            let entry = Entry { task: Task::Recheck, due, ..first };
            self.agenda.insert(agenda::key(account, &entry).as_slice(), ())?;
        }
        self.lost.insert((account, sid.clone()));
        Ok(if waiting { Lost::Waiting } else { Lost::Counted })
    }

    fn hold_due(&mut self, account: AccountId, due: &Due, held: &mut Held) -> Result<(), Error> {
        let (first, last) = agenda::until(account, due.task, due.now);
        let mut keys = Vec::new();
        for row in self.agenda.range::<&[u8]>(first.as_slice()..last.as_slice())?.take(due.limit) {
            keys.push(row?.0.value().to_vec());
        }
        for key in keys {
            if let Ok(entry) = agenda::read(&key) {
                self.hold(account, &entry.sid, Some(entry.created), held)?;
                if held.calls.get(&entry.sid).is_some_and(|record| lists(record, &entry)) {
                    held.due.push(entry.sid);
                    continue;
                }
                if held.lost.contains_key(&entry.sid) {
                    continue;
                }
            }
            // An entry that no record lists: nothing else would ever remove it.
            self.agenda.remove(key.as_slice())?;
        }
        Ok(())
    }

    /// Writes what an operation decided.
    pub(super) fn write(&mut self, account: AccountId, mut writes: WriteSet) -> Result<(), Error> {
        for (before, record) in &writes.calls {
            self.put_call(account, before.as_deref(), record)?;
            self.inbox.follow(account, before.as_deref(), record);
            missed::note(self.txn, account, before.as_deref(), record)?;
        }
        self.put_unlisted(account, &writes.unlisted)?;
        if self.deltas.0.is_empty() {
            std::mem::swap(&mut self.deltas, &mut writes.deltas);
        }
        for (series, amount) in &writes.deltas.0 {
            self.deltas.add(*series, *amount);
        }
        for (key, change) in &writes.hours {
            self.hours.entry((account.0, *key)).or_default().apply(change, 1);
        }
        if let Some(state) = &writes.sync {
            let value = seal("sync", &account.0.to_be_bytes(), state);
            self.txn.open_table(SYNC)?.insert(account.0, value.as_slice())?;
        }
        if let Some(run) = &writes.run {
            let key = run_key(account, run.id);
            let value = seal("runs", &key.to_be_bytes(), run);
            self.txn.open_table(RUNS)?.insert(key, value.as_slice())?;
        }
        if !writes.set_aside.is_empty() || !writes.healed.is_empty() {
            self.put_set_aside(account, &writes)?;
        }
        messages::write(self.txn, account, &writes.messages)?;
        kept::write(self.txn, self.engine, account, &writes)?;
        if !writes.exophones.is_empty() {
            let mut table = self.txn.open_table(EXOPHONES)?;
            for phone in &writes.exophones {
                let key = exophone_key(account, phone.id);
                table.insert(key, seal("exophones", &key.to_be_bytes(), phone).as_slice())?;
            }
        }
        if let Some(health) = &writes.health {
            health.write(self.txn, account, &self.engine.metrics)?;
        }
        Ok(())
    }

    fn put_set_aside(&self, account: AccountId, writes: &WriteSet) -> Result<(), Error> {
        let mut table = self.txn.open_table(SET_ASIDE)?;
        for row in &writes.set_aside {
            let key = (account.0, row.id);
            // What is known already keeps its first sighting and its tries.
            let known = match table.get(key)? {
                Some(value) => {
                    let known = unseal("set_aside", &set_aside_bytes(key), value.value());
                    intact(known, &self.engine.metrics)?
                }
                // It was healed while it was read again.
                None if row.tries > 0 => continue,
                None => None,
            };
            let row = match known {
                Some(SetAside { first_seen, tries, retry_at, .. }) => SetAside {
                    first_seen,
                    tries: tries.max(row.tries),
                    retry_at: retry_at.max(row.retry_at),
                    ..row.clone()
                },
                None => row.clone(),
            };
            let row = SetAside { raw: self.engine.erased.text(&row.raw), ..row };
            table.insert(key, seal("set_aside", &set_aside_bytes(key), &row).as_slice())?;
        }
        for id in &writes.healed {
            table.remove((account.0, *id))?;
        }
        Ok(())
    }

    fn put_call(
        &mut self,
        account: AccountId,
        before: Option<&CallRecord>,
        record: &CallRecord,
    ) -> Result<(), Error> {
        let sid = &record.call.sid;
        let key = call_key(account, record.call.created, sid);
        let value = encode_call(record, &key, self.engine.account_sid(account));
        let moved = before.is_some_and(|b| b.call.created != record.call.created);
        if before.is_none() && self.lost.remove(&(account, sid.clone())) {
            missed::unlist(self.txn, &key)?;
            for (key, _) in
                agenda::select(&*self.agenda, account, |e| e.is_some_and(|e| is_of_record(e, sid)))?
            {
                self.agenda.remove(key.as_slice())?;
            }
        }
        if let Some(before) = before {
            if moved {
                self.calls.remove(call_key(account, before.call.created, sid).as_slice())?;
            }
            for gone in entries(before).filter(|e| moved || !lists(record, e)) {
                self.agenda.remove(agenda::key(account, &gone).as_slice())?;
            }
        }
        self.calls.insert(key.as_slice(), value.as_slice())?;
        if let Some(newest) = self.newest.get_mut(&account)
            && newest.as_ref().is_none_or(|newest| *newest < key)
        {
            *newest = Some(key);
        }
        if moved || before.is_none() {
            self.fresh.insert(sid_hash(account, sid), record.call.created);
        }
        for new in entries(record).filter(|e| moved || before.is_none_or(|b| !lists(b, e))) {
            self.agenda.insert(agenda::key(account, &new).as_slice(), ())?;
        }
        Ok(())
    }

    /// Writes what the group gathered: totals, roll-ups and the index once, however many operations.
    pub(super) fn close(mut self) -> Result<Committed, Error> {
        let floor = self.engine.accounts.values().map(|known| known.prune_floor).min();
        self.engine.recent.write(&mut self.fresh, &mut self.index, floor.unwrap_or(WallTime(0)))?;
        let mut changed = Vec::with_capacity(self.deltas.0.len());
        let mut totals = Numbers::default();
        if !self.deltas.0.is_empty() {
            for (series, amount) in &self.deltas.0 {
                let key = series.to_key();
                changed.push((key, totals.add(&self.engine.totals, key, *amount)));
            }
            let mut table = self.txn.open_table(TOTALS)?;
            for (key, row) in totals.rows("totals") {
                table.insert(key, row.as_slice())?;
            }
        }
        if !self.hours.is_empty() {
            let mut table = self.txn.open_table(HOURS)?;
            for ((account, at), change) in &self.hours {
                let key = hour_key(AccountId(*account), *at);
                let held = match table.get(key)? {
                    Some(value) => {
                        let held = unseal::<HourTotals>("hours", &key.to_be_bytes(), value.value());
                        intact(held, &self.engine.metrics)?
                    }
                    None => Some(HourTotals::default()),
                };
                let totals = match held {
                    Some(mut totals) => {
                        totals.apply(change, 1);
                        totals
                    }
                    None => self.sum_hour(AccountId(*account), *at)?,
                };
                table.insert(key, seal("hours", &key.to_be_bytes(), &totals).as_slice())?;
            }
        }
        Ok(Committed { fresh: self.fresh, inbox: self.inbox, totals, changed })
    }

    /// A roll-up from the calls themselves, the changes of this transaction among them.
    fn sum_hour(&self, account: AccountId, (hour, direction): HourKey) -> Result<HourTotals, Error> {
        let begin = WallTime(i64::from(hour) * 3600);
        let (first, last) = (time_key(account, begin), time_key(account, begin + 3600));
        let mut totals = HourTotals::default();
        for row in self.calls.range::<&[u8]>(first.as_slice()..last.as_slice())? {
            let (key, value) = row?;
            let record = decode_call(key.value(), value.value(), self.engine.account_sid(account));
            if let Some((at, part)) = record.ok().as_ref().and_then(hourly)
                && at == (hour, direction)
            {
                totals.apply(&part, 1);
            }
        }
        Ok(totals)
    }
}

/// Whether an entry of the agenda is one that a record of this Sid would list.
fn is_of_record(entry: &Entry, sid: &Sid) -> bool {
    entry.task != Task::Confirm && entry.sid == *sid
}

/// Entries of the agenda that a record lists.
pub(super) fn entries(record: &CallRecord) -> impl Iterator<Item = Entry> + '_ {
    record.book.agenda.iter().map(|(task, due)| Entry {
        task: *task,
        due: due_seconds(*due),
        created: record.call.created,
        sid: record.call.sid.clone(),
    })
}

/// Whether a record lists an entry of the agenda.
pub(super) fn lists(record: &CallRecord, entry: &Entry) -> bool {
    record.call.created == entry.created
        && record.book.agenda.iter().any(|(task, due)| *task == entry.task && due_seconds(*due) == entry.due)
}
