//! Making accounts, and removing what is too old, a bounded piece at a time.

use redb::{ReadableTable, WriteTransaction};

use super::agenda;
use super::codec::{read_call_key, sid_hash, time_key};
use super::engine::{Engine, Known};
use super::error::intact;
use super::seal::{seal, unseal};
use super::tables::{
    ACCOUNTS, AGENDA, CALLS, MOST_RUNS, RUNS, SET_ASIDE, SID_INDEX, run_key, set_aside_bytes,
};
use super::{Error, Store, missed, writer};
use crate::model::{AccountId, AccountRow, SetAside, SyncRun, Task, Timestamp, WallTime};

/// Calls removed in one transaction: about 2 MB of dirty pages.
pub(super) const PIECE: usize = if cfg!(test) { 7 } else { 2_000 };

/// What one piece removed.
struct Removed {
    calls: usize,
    runs: usize,
    set_aside: usize,
}

impl Store {
    /// Removes the calls of an account created before `floor`, and its runs that began before `runs_before`.
    /// The floor is stored first: nothing below it is stored, counted or audited again. It stops at the
    /// oldest call that has not been counted yet.
    ///
    /// # Errors
    /// [`Error`]; what was removed until then stays removed, the next call goes on.
    pub async fn prune(
        &self,
        account: AccountId,
        sid: &str,
        floor: WallTime,
        runs_before: Timestamp,
    ) -> Result<(), Error> {
        loop {
            let sid = sid.to_owned();
            let (count, counted) = std::sync::mpsc::channel();
            writer::with_engine(&self.queue, move |engine| {
                let removed = engine.prune(account, &sid, floor, runs_before)?;
                // The receiver waits below, so this cannot fail.
                count.send(removed).map_err(|_| Error::Closed)
            })
            .await?;
            let Ok(removed) = counted.recv() else { return Err(Error::Closed) };
            self.shared.metrics.pruned("calls", removed.calls as u64);
            self.shared.metrics.pruned("runs", removed.runs as u64);
            self.shared.metrics.pruned("set_aside", removed.set_aside as u64);
            if removed.calls < PIECE && removed.runs < PIECE {
                return Ok(());
            }
        }
    }
}

impl Engine {
    /// The row of an account, made if it is not there.
    pub(super) fn account(&mut self, sid: &str, now: Timestamp) -> Result<AccountRow, Error> {
        let txn = self.begin_act()?;
        let mut table = txn.open_table(ACCOUNTS)?;
        let known = match table.get(sid)? {
            Some(value) => Some(unseal::<AccountRow>("accounts", sid.as_bytes(), value.value())?),
            None => None,
        };
        if let Some(row) = known {
            drop(table);
            txn.abort()?;
            return Ok(row);
        }
        let last = self.accounts.keys().next_back().copied().unwrap_or(0);
        let id =
            last.checked_add(1).ok_or_else(|| Error::Damaged("no number for an account is left".into()))?;
        let row = AccountRow { id, first_start: now.0, prune_floor: 0 };
        table.insert(sid, seal("accounts", sid.as_bytes(), &row).as_slice())?;
        drop(table);
        self.commit_act(txn)?;
        self.accounts.insert(id, Known { sid: sid.to_owned(), prune_floor: WallTime(0) });
        Ok(row)
    }

    fn prune(
        &mut self,
        account: AccountId,
        sid: &str,
        floor: WallTime,
        runs_before: Timestamp,
    ) -> Result<Removed, Error> {
        let txn = self.begin_act()?;
        let Some(floor) = raise_floor(&txn, account, sid, floor)? else {
            txn.abort()?;
            return Err(Error::Damaged("an account that is to be pruned has no row".into()));
        };
        let hashes = remove_calls(&txn, account, floor)?;
        if hashes.len() < PIECE {
            forget_tasks(&txn, account, floor)?;
        }
        missed::forget(&txn, account, floor)?;
        let set_aside = remove_set_aside(self, &txn, account, floor)?;
        let runs = remove_runs(self, &txn, account, runs_before)?;
        self.commit_act(txn)?;
        for hash in &hashes {
            self.recent.forget(*hash);
        }
        if let Some(known) = self.accounts.get_mut(&account.0) {
            known.prune_floor = floor;
        }
        Ok(Removed { calls: hashes.len(), runs, set_aside })
    }
}

/// Raises the account's floor, though not above a call that waits to be counted; gives the floor in force,
/// none for an account that is not known.
fn raise_floor(
    txn: &WriteTransaction,
    account: AccountId,
    sid: &str,
    floor: WallTime,
) -> Result<Option<WallTime>, Error> {
    let mut accounts = txn.open_table(ACCOUNTS)?;
    let row: AccountRow = match accounts.get(sid)? {
        Some(value) => unseal("accounts", sid.as_bytes(), value.value())?,
        None => return Ok(None),
    };
    let waits = |entry: Option<&agenda::Entry>| entry.is_some_and(|e| e.task == Task::Settle);
    let waiting = agenda::select(&txn.open_table(AGENDA)?, account, waits)?;
    let oldest = waiting.iter().filter_map(|(_, entry)| entry.as_ref()).map(|entry| entry.created).min();
    let floor = oldest.map_or(floor, |oldest| floor.min(oldest));
    if floor.0 <= row.prune_floor {
        return Ok(Some(WallTime(row.prune_floor)));
    }
    let row = AccountRow { prune_floor: floor.0, ..row };
    accounts.insert(sid, seal("accounts", sid.as_bytes(), &row).as_slice())?;
    Ok(Some(floor))
}

/// Removes a piece of the calls below the floor; gives the hashes of their Sids.
fn remove_calls(txn: &WriteTransaction, account: AccountId, floor: WallTime) -> Result<Vec<u64>, Error> {
    let mut calls = txn.open_table(CALLS)?;
    let (first, last) = (time_key(account, WallTime(0)), time_key(account, floor));
    let mut keys = Vec::new();
    for row in calls.range::<&[u8]>(first.as_slice()..last.as_slice())?.take(PIECE) {
        keys.push(row?.0.value().to_vec());
    }
    let mut hashes = Vec::with_capacity(keys.len());
    for key in &keys {
        calls.remove(key.as_slice())?;
        // A key that is damaged has no place in the index.
        hashes.push(read_call_key(key).map_or(0, |(_, _, sid)| sid_hash(account, &sid)));
    }
    hashes.sort_unstable();
    let mut tree = txn.open_table(SID_INDEX)?;
    for hash in &hashes {
        tree.remove(hash)?;
    }
    Ok(hashes)
}

/// Removes what was to be done about calls that are gone: prices that were still asked for, legs that
/// waited for their roots, and what damage left behind.
fn forget_tasks(txn: &WriteTransaction, account: AccountId, floor: WallTime) -> Result<(), Error> {
    let mut table = txn.open_table(AGENDA)?;
    for (key, _) in
        agenda::select(&table, account, |e| e.is_none_or(|e| e.task != Task::Confirm && e.created < floor))?
    {
        table.remove(key.as_slice())?;
    }
    Ok(())
}

fn remove_set_aside(
    engine: &Engine,
    txn: &WriteTransaction,
    account: AccountId,
    floor: WallTime,
) -> Result<usize, Error> {
    let mut table = txn.open_table(SET_ASIDE)?;
    let mut old = Vec::new();
    for entry in table.range((account.0, 0)..=(account.0, u64::MAX))? {
        let (key, value) = entry?;
        let row = unseal::<SetAside>("set_aside", &set_aside_bytes(key.value()), value.value());
        if intact(row, &engine.metrics)?.is_some_and(|row| row.before < floor.0) {
            old.push(key.value());
        }
    }
    for key in &old {
        table.remove(*key)?;
    }
    Ok(old.len())
}

fn remove_runs(
    engine: &Engine,
    txn: &WriteTransaction,
    account: AccountId,
    before: Timestamp,
) -> Result<usize, Error> {
    let mut table = txn.open_table(RUNS)?;
    let mut old = Vec::new();
    for entry in table.range(run_key(account, 0)..=run_key(account, MOST_RUNS))?.take(PIECE) {
        let (key, value) = entry?;
        let run = unseal::<SyncRun>("runs", &key.value().to_be_bytes(), value.value());
        match intact(run, &engine.metrics)? {
            Some(run) if run.started >= before.0 => break,
            _ => old.push(key.value()),
        }
    }
    for key in &old {
        table.remove(*key)?;
    }
    Ok(old.len())
}
