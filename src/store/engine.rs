//! The open database and what of it is kept in memory; runs groups of operations in one commit.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use redb::Database;

use super::erased::Erased;
use super::group::{Committed, Group};
use super::inbox::Inbox;
use super::index::Recent;
use super::numbers::Numbers;
use super::{Error, writer};
use crate::metrics::{StoreMetrics, StoreOp};
use crate::model::{AccountId, WallTime};

/// A queued operation, its types erased.
pub(super) trait Queued: Send {
    /// Reads, decides and writes into the transaction; keeps the reply for later.
    fn run(&mut self, group: &mut Group<'_, '_>) -> Result<(), Error>;
    /// Sends the reply, or the error.
    fn finish(self: Box<Self>, result: Result<(), Error>);
}

/// What of an account's row decides about calls.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) sid: String,
    pub(super) prune_floor: WallTime,
}

/// The open database and what of it is kept in memory.
pub(super) struct Engine {
    pub(super) db: Arc<Database>,
    pub(super) recent: Recent,
    pub(super) inbox: Inbox,
    /// Persisted totals as of the last commit.
    pub(super) totals: Numbers,
    /// Accounts by number.
    pub(super) accounts: BTreeMap<u16, Known>,
    /// Numbers of which nothing personal is stored.
    pub(super) erased: Arc<Erased>,
    pub(super) metrics: StoreMetrics,
}

impl Engine {
    /// Runs a group; all of it is durable, or none. Gives the totals that changed.
    ///
    /// # Errors
    /// The first failing operation's, or the commit's: then nothing was written.
    pub(super) fn run_group(
        &mut self,
        queue: &mut [Box<dyn Queued>],
    ) -> Result<Vec<(u64, u64)>, writer::Failed> {
        let began = Instant::now();
        let write = |error: Error| (StoreOp::Write, error);
        let mut txn = self.db.begin_write().map_err(|e| write(e.into()))?;
        // Repair after a kill takes milliseconds instead of a walk over the whole file.
        txn.set_quick_repair(true);
        let committed = Self::run_in(self, &txn, queue).map_err(write)?;
        self.metrics.observe(StoreOp::Write, began.elapsed());
        let began = Instant::now();
        txn.commit().map_err(|e| (StoreOp::Commit, e.into()))?;
        self.metrics.observe(StoreOp::Commit, began.elapsed());
        self.recent.committed(committed.fresh);
        self.inbox.committed(committed.inbox);
        self.totals.replace(committed.totals);
        Ok(committed.changed)
    }

    fn run_in(
        &self,
        txn: &redb::WriteTransaction,
        queue: &mut [Box<dyn Queued>],
    ) -> Result<Committed, Error> {
        let mut group = Group::open(self, txn)?;
        for operation in queue.iter_mut() {
            // Caught here and not around the transaction: one that unwinds is not rolled back in order, and
            // the file would need a whole repair.
            catch_unwind(AssertUnwindSafe(|| operation.run(&mut group))).unwrap_or(Err(Error::Fault))?;
        }
        group.close()
    }

    /// The account's sid; empty for a number that was never given.
    pub(super) fn account_sid(&self, account: AccountId) -> &str {
        self.accounts.get(&account.0).map_or("", |known| &known.sid)
    }

    /// Calls of the account created before this were removed.
    pub(super) fn prune_floor(&self, account: AccountId) -> WallTime {
        self.accounts.get(&account.0).map_or(WallTime(0), |known| known.prune_floor)
    }
}
