//! Removing what is too old, a bounded piece at a time, and making accounts.

use redb::ReadableTable;

use super::codec::{decode_call, read_call_key, sid_hash, time_key};
use super::engine::Engine;
use super::tables::{ACCOUNTS, CALLS, RUNS, SET_ASIDE, SID_INDEX, seal, unseal};
use super::{Error, Store, writer};
use crate::model::{AccountId, AccountRow, SetAside, SyncRun, Timestamp, WallTime};

/// Calls removed in one transaction: about 2 MB of dirty pages.
const PIECE: usize = 2_000;

impl Store {
    /// Removes the calls of an account created before `floor`, and its runs that began before `runs_before`.
    /// The floor is stored first: nothing below it is stored, counted or audited again.
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
            let (calls, runs) = counted.recv().unwrap_or((0, 0));
            self.shared.metrics.pruned("calls", calls as u64);
            self.shared.metrics.pruned("runs", runs as u64);
            if calls < PIECE {
                return Ok(());
            }
        }
    }
}

impl Engine {
    /// The row of an account, made if it is not there.
    pub(super) fn account(&mut self, sid: &str, now: Timestamp) -> Result<AccountRow, Error> {
        let mut txn = self.db.begin_write()?;
        txn.set_quick_repair(true);
        let row = {
            let mut table = txn.open_table(ACCOUNTS)?;
            let known: Option<AccountRow> = match table.get(sid)? {
                Some(value) => Some(unseal("accounts", value.value())?),
                None => None,
            };
            match known {
                Some(row) => row,
                None => {
                    let next = self.sids.keys().next_back().map_or(1, |id| id.saturating_add(1));
                    let row = AccountRow { id: next, first_start: now.0, prune_floor: 0 };
                    table.insert(sid, seal("accounts", &row).as_slice())?;
                    row
                }
            }
        };
        txn.commit()?;
        self.sids.insert(row.id, sid.to_owned());
        Ok(row)
    }

    fn prune(
        &mut self,
        account: AccountId,
        sid: &str,
        floor: WallTime,
        runs_before: Timestamp,
    ) -> Result<(usize, usize), Error> {
        let mut txn = self.db.begin_write()?;
        txn.set_quick_repair(true);
        let mut hashes = Vec::new();
        let runs = {
            let mut accounts = txn.open_table(ACCOUNTS)?;
            let row: Option<AccountRow> = match accounts.get(sid)? {
                Some(value) => Some(unseal("accounts", value.value())?),
                None => None,
            };
            if let Some(row) = row
                && row.prune_floor < floor.0
            {
                let row = AccountRow { prune_floor: floor.0, ..row };
                accounts.insert(sid, seal("accounts", &row).as_slice())?;
            }
            let mut calls = txn.open_table(CALLS)?;
            let (first, last) = (time_key(account, WallTime(0)), time_key(account, floor));
            let mut gone = Vec::new();
            for entry in calls.range::<&[u8]>(first.as_slice()..last.as_slice())?.take(PIECE) {
                let (key, value) = entry?;
                let (_, _, call) = read_call_key(key.value())?;
                // A call that old has nothing left to do; if it has, its entries go when they are due.
                if let Ok(record) = decode_call(key.value(), value.value(), sid) {
                    debug_assert!(record.call.created < floor, "the range ends at the floor");
                }
                hashes.push(sid_hash(account, &call));
                gone.push(key.value().to_vec());
            }
            for key in &gone {
                calls.remove(key.as_slice())?;
            }
            hashes.sort_unstable();
            let mut tree = txn.open_table(SID_INDEX)?;
            for hash in &hashes {
                tree.remove(hash)?;
            }
            let mut table = txn.open_table(SET_ASIDE)?;
            let mut old = Vec::new();
            for entry in table.range((account.0, 0)..=(account.0, u64::MAX))? {
                let (key, value) = entry?;
                let row: SetAside = unseal("set_aside", value.value())?;
                if row.before < floor.0 {
                    old.push(key.value());
                }
            }
            for key in old {
                table.remove(key)?;
            }
            prune_runs(&txn, account, runs_before)?
        };
        txn.commit()?;
        for hash in &hashes {
            self.recent.forget(*hash);
        }
        Ok((hashes.len(), runs))
    }
}

fn prune_runs(txn: &redb::WriteTransaction, account: AccountId, before: Timestamp) -> Result<usize, Error> {
    let mut table = txn.open_table(RUNS)?;
    let first = u64::from(account.0) << 48;
    let mut old = Vec::new();
    for entry in table.range(first..=first | 0xffff_ffff_ffff)?.take(PIECE) {
        let (key, value) = entry?;
        let run: SyncRun = unseal("runs", value.value())?;
        if run.started >= before.0 {
            break;
        }
        old.push(key.value());
    }
    for key in &old {
        table.remove(*key)?;
    }
    Ok(old.len())
}
