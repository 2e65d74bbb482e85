//! The inbox: calls that only callbacks named, until the API does.
//!
//! Filed by when they were first heard of, so that new ones go to the end of the tree and dirty few pages;
//! where a Sid is filed stands in memory, so that a page of rows that nobody announced asks no tree. With it
//! goes an estimate of the calls in progress, counted by minute. Both are read from the tables at start.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};

use super::agenda::{self, Entry, due_seconds};
use super::codec::{
    call_key, decode_call, decode_unlisted, encode_unlisted, read_call_key, sid_hash, stored_time, time_key,
};
use super::engine::{Engine, Known};
use super::error::intact;
use super::group::Group;
use super::seal::{seal_bytes, unseal_bytes};
use super::tables::{AGENDA, CALLS, INBOX};
use super::{Error, Held, Store, writer};
use crate::metrics::StoreMetrics;
use crate::model::{AccountId, CallRecord, Direction, Sid, Task, Timestamp, Unlisted, WallTime};

/// Entries of an account kept at most, the newest: 24 MB of memory. Without reading of calls nothing else
/// would take an entry away before its retention; with it, this is a day of a million calls.
const MOST: u64 = if cfg!(test) { 50 } else { 1_000_000 };
/// Entries removed in one transaction.
const PIECE: usize = if cfg!(test) { 7 } else { 2_000 };

/// Account, direction and minute of first hearing.
type Slot = (u16, u8, u32);

/// Calls in progress by what callbacks say; shared with those who show it.
#[derive(Debug, Default)]
pub(super) struct Live(Mutex<BTreeMap<Slot, i64>>);

/// What of the inbox lives in memory.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Where the Sid with this hash is filed.
    places: HashMap<u64, u32, foldhash::fast::RandomState>,
    live: Arc<Live>,
}

/// What a transaction changes of it, effective once the transaction is whole.
#[derive(Debug, Default)]
pub(super) struct Changes {
    places: HashMap<u64, Option<u32>>,
    live: BTreeMap<Slot, i64>,
}

impl Live {
    /// Held for sums only, never across I/O or an await.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Slot, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, changes: impl IntoIterator<Item = (Slot, i64)>) {
        let mut slots = self.lock();
        for (slot, change) in changes {
            let count = slots.entry(slot).or_default();
            *count += change;
            if *count == 0 {
                slots.remove(&slot);
            }
        }
    }

    /// Calls first heard of since then, by code of their direction.
    pub(super) fn since(&self, account: AccountId, since: Timestamp) -> [u64; 4] {
        let from = u32::try_from(since.0.max(0) / 60).unwrap_or(u32::MAX);
        let slots = self.lock();
        let mut counts = [0; 4];
        for (direction, count) in Direction::ALL.iter().zip(&mut counts) {
            let code = direction.code();
            let range = slots.range((account.0, code, from)..=(account.0, code, u32::MAX));
            *count = u64::try_from(range.map(|(_, n)| n).sum::<i64>()).unwrap_or(0);
        }
        counts
    }
}

impl Changes {
    fn count(&mut self, account: AccountId, slot: Option<(Direction, u32)>, change: i64) {
        if let Some((direction, minute)) = slot {
            *self.live.entry((account.0, direction.code(), minute)).or_default() += change;
        }
    }

    /// Counts a record before and after a change.
    pub(super) fn follow(&mut self, account: AccountId, before: Option<&CallRecord>, after: &CallRecord) {
        self.count(account, before.and_then(in_progress), -1);
        self.count(account, in_progress(after), 1);
    }
}

/// Of history, and of a leg that went with its root, nothing stands on the agenda by which it would be found
/// again.
fn in_progress(record: &CallRecord) -> Option<(Direction, u32)> {
    if !record.book.live || record.book.settled.is_some() {
        return None;
    }
    record.book.heard.as_deref().and_then(|heard| heard.in_progress(Some(&record.call)))
}

impl Inbox {
    /// Reads it at start. What is damaged is left where it is, for `store check` to tell of.
    pub(super) fn load(
        txn: &ReadTransaction,
        accounts: &BTreeMap<u16, Known>,
        metrics: &StoreMetrics,
    ) -> Result<Self, Error> {
        let (mut inbox, mut live) = (Self::default(), Changes::default());
        for row in txn.open_table(INBOX)?.iter()? {
            let (key, value) = row?;
            let Some((account, sid, call)) = intact(read(key.value(), value.value()), metrics)? else {
                continue;
            };
            inbox.places.insert(sid_hash(account, &sid), stored_time(call.filed));
            live.count(account, call.heard.in_progress(None), 1);
        }
        // Calls that the API named while they ran are asked for again until they are over.
        let (calls, agenda) = (txn.open_table(CALLS)?, txn.open_table(AGENDA)?);
        // Legs wait for their roots instead.
        let tasks = || [Task::Recheck, Task::Child].into_iter();
        for ((id, known), task) in accounts.iter().flat_map(|known| tasks().map(move |task| (known, task))) {
            let account = AccountId(*id);
            let (first, last) = agenda::whole(account, task);
            for row in agenda.range::<&[u8]>(first.as_slice()..last.as_slice())? {
                let Ok(entry) = agenda::read(row?.0.value()) else { continue };
                let key = call_key(account, entry.created, &entry.sid);
                if let Some(value) = calls.get(key.as_slice())?
                    && let Ok(record) = decode_call(&key, value.value(), &known.sid)
                {
                    live.count(account, in_progress(&record), 1);
                }
            }
        }
        inbox.live.add(live.live);
        Ok(inbox)
    }

    /// The estimate of calls in progress.
    pub(super) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live)
    }

    /// The transaction is whole: it becomes durable, or the file is closed and this is read anew.
    pub(super) fn committed(&mut self, changes: Changes) {
        for (hash, place) in changes.places {
            match place {
                Some(place) => self.places.insert(hash, place),
                None => self.places.remove(&hash),
            };
        }
        self.live.add(changes.live);
    }

    fn find(&self, hash: u64, changes: &Changes) -> Option<WallTime> {
        let place = changes.places.get(&hash).copied().unwrap_or_else(|| self.places.get(&hash).copied());
        place.map(|seconds| WallTime(i64::from(seconds)))
    }
}

/// Reads a row of the table.
///
/// # Errors
/// [`Error::Damaged`].
pub(super) fn read(key: &[u8], value: &[u8]) -> Result<(AccountId, Sid, Unlisted), Error> {
    let (account, filed, sid) = read_call_key(key)?;
    let call = decode_unlisted(filed, unseal_bytes("inbox", key, value)?)?;
    Ok((account, sid, call))
}

/// The entry of the agenda that a call of the inbox has.
pub(super) fn entry(sid: &Sid, call: &Unlisted) -> Option<Entry> {
    let due = due_seconds(call.ask_at?);
    Some(Entry { task: Task::Confirm, due, created: call.filed, sid: sid.clone() })
}

impl Group<'_, '_> {
    /// Reads those of the calls that stand in the inbox.
    pub(super) fn hold_unlisted(
        &self,
        account: AccountId,
        calls: &[(Sid, WallTime)],
        held: &mut Held,
    ) -> Result<(), Error> {
        if self.engine.inbox.places.is_empty() && self.inbox.places.is_empty() {
            return Ok(());
        }
        let mut table = None;
        for (sid, _) in calls {
            let Some(filed) = self.engine.inbox.find(sid_hash(account, sid), &self.inbox) else { continue };
            let table = match &table {
                Some(table) => table,
                None => table.insert(self.txn.open_table(INBOX)?),
            };
            let key = call_key(account, filed, sid);
            if let Some(value) = table.get(key.as_slice())?
                && let Some((.., call)) = intact(read(&key, value.value()), &self.engine.metrics)?
            {
                held.unlisted.insert(sid.clone(), call);
            }
        }
        Ok(())
    }

    /// Writes what changed of the inbox.
    pub(super) fn put_unlisted(
        &mut self,
        account: AccountId,
        changes: &[(Sid, Option<Unlisted>, Option<Unlisted>)],
    ) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut table = self.txn.open_table(INBOX)?;
        for (sid, before, after) in changes {
            let hash = sid_hash(account, sid);
            let (was, is) =
                (before.as_ref().and_then(|c| entry(sid, c)), after.as_ref().and_then(|c| entry(sid, c)));
            if let Some(gone) = was.as_ref().filter(|was| is.as_ref() != Some(*was)) {
                self.agenda.remove(agenda::key(account, gone).as_slice())?;
            }
            if let Some(new) = is.as_ref().filter(|is| was.as_ref() != Some(*is)) {
                self.agenda.insert(agenda::key(account, new).as_slice(), ())?;
            }
            let live = |call: &Option<Unlisted>| call.as_ref().and_then(|c| c.heard.in_progress(None));
            self.inbox.count(account, live(before), -1);
            self.inbox.count(account, live(after), 1);
            if let Some(call) = after {
                let key = call_key(account, call.filed, sid);
                table.insert(key.as_slice(), seal_bytes("inbox", &key, &encode_unlisted(call)).as_slice())?;
                self.inbox.places.insert(hash, Some(stored_time(call.filed)));
            } else if let Some(call) = before {
                table.remove(call_key(account, call.filed, sid).as_slice())?;
                self.inbox.places.insert(hash, None);
            }
        }
        Ok(())
    }
}

impl Engine {
    /// Removes a piece of what is older than its retention, or beyond what is kept; gives how many.
    fn prune_inbox(&mut self, account: AccountId, before: WallTime) -> Result<usize, Error> {
        let txn = self.begin_act()?;
        let mut changes = Changes::default();
        let mut keys = Vec::new();
        {
            let mut table = txn.open_table(INBOX)?;
            let mut agenda = txn.open_table(AGENDA)?;
            let (first, last) = (time_key(account, WallTime(0)), time_key(account, before));
            for row in table.range::<&[u8]>(first.as_slice()..last.as_slice())?.take(PIECE) {
                keys.push(row?.0.value().to_vec());
            }
            if keys.is_empty() && table.len()? > MOST {
                let end = time_key(account, WallTime(i64::from(u32::MAX)));
                let rows = || table.range::<&[u8]>(first.as_slice()..end.as_slice());
                let surplus = (rows()?.count() as u64).saturating_sub(MOST);
                for row in rows()?.take(usize::try_from(surplus).map_or(PIECE, |n| n.min(PIECE))) {
                    keys.push(row?.0.value().to_vec());
                }
            }
            for key in &keys {
                let gone = match table.remove(key.as_slice())? {
                    Some(value) => intact(read(key, value.value()), &self.metrics)?,
                    None => None,
                };
                let Some((account, sid, call)) = gone else { continue };
                if let Some(entry) = entry(&sid, &call) {
                    agenda.remove(agenda::key(account, &entry).as_slice())?;
                }
                changes.places.insert(sid_hash(account, &sid), None);
                changes.count(account, call.heard.in_progress(None), -1);
            }
        }
        if keys.is_empty() {
            txn.abort()?;
            return Ok(0);
        }
        self.commit_act(txn)?;
        self.inbox.committed(changes);
        Ok(keys.len())
    }
}

impl Store {
    /// Estimate of the calls in progress that were first heard of since then, by code of their direction.
    /// From memory.
    pub fn calls_in_progress(&self, account: AccountId, since: Timestamp) -> [u64; 4] {
        self.shared.live.load().since(account, since)
    }

    /// Removes what only callbacks named and was first heard of before that time, and the oldest of what is
    /// more than the inbox keeps.
    ///
    /// # Errors
    /// [`Error`]; what was removed until then stays removed, the next call goes on.
    pub async fn prune_inbox(&self, account: AccountId, before: WallTime) -> Result<(), Error> {
        loop {
            let (count, counted) = std::sync::mpsc::channel();
            writer::with_engine(&self.queue, move |engine| {
                // The receiver waits below, so this cannot fail.
                count.send(engine.prune_inbox(account, before)?).map_err(|_| Error::Closed)
            })
            .await?;
            let Ok(removed) = counted.recv() else { return Err(Error::Closed) };
            self.shared.metrics.pruned("inbox", removed as u64);
            // Less than a piece is the end of what is too old; what is too much follows in a round of its own.
            if removed == 0 {
                return Ok(());
            }
        }
    }

    /// Calls that only callbacks named, the last heard of first: from `below` on, a place that an earlier
    /// answer ended with.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn unlisted(
        &self,
        account: AccountId,
        below: Option<(WallTime, Sid)>,
        limit: usize,
    ) -> Result<Vec<(Sid, Unlisted)>, Error> {
        self.view(move |at| {
            let table = at.txn.open_table(INBOX)?;
            let (first, last) = super::missed::bounds(account, below.as_ref());
            let mut calls = Vec::new();
            for row in table.range::<&[u8]>(first.as_slice()..last.as_slice())?.rev() {
                if calls.len() == limit {
                    break;
                }
                let (key, value) = row?;
                let call = intact(read(key.value(), value.value()), &at.metrics)?;
                calls.extend(call.map(|(_, sid, call)| (sid, call)));
            }
            Ok(calls)
        })
        .await
    }
}
