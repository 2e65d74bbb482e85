//! The open database and what of it is kept in memory; runs groups of operations in one commit.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use redb::{Database, WriteTransaction};

use super::erased::Erased;
use super::error::io_reason;
use super::group::{Committed, Group};
use super::inbox::Inbox;
use super::index::Recent;
use super::journal::Journal;
use super::numbers::Numbers;
use super::redo::{self, Txn};
use super::tables::META;
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

/// How a group becomes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Commit {
    /// By a record of the journal.
    ToJournal,
    /// By redb itself, with all that the journal holds.
    ForGood,
}

/// The open database and what of it is kept in memory.
pub(super) struct Engine {
    /// What the journal holds; none if it holds nothing, or after an error.
    pub(super) txn: Option<WriteTransaction>,
    /// Where a group becomes durable before redb writes it.
    pub(super) journal: Journal,
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
        commit: Commit,
    ) -> Result<Vec<(u64, u64)>, writer::Failed> {
        let began = Instant::now();
        let txn = self.begin().map_err(|error| (StoreOp::Write, error))?;
        // An error drops the transaction, and with it what the journal holds; the next one does that again.
        let (committed, notes) = self.run_in(&txn, queue).map_err(|error| (StoreOp::Write, error))?;
        self.metrics.observe(StoreOp::Write, began.elapsed());
        let began = Instant::now();
        self.commit(txn, &notes, commit).map_err(|error| (StoreOp::Commit, error))?;
        self.metrics.observe(StoreOp::Commit, began.elapsed());
        self.recent.committed(committed.fresh);
        self.inbox.committed(committed.inbox);
        self.totals.replace(committed.totals);
        Ok(committed.changed)
    }

    /// The transaction that holds what the journal does, or a new one.
    fn begin(&mut self) -> Result<WriteTransaction, Error> {
        if let Some(txn) = self.txn.take() {
            return Ok(txn);
        }
        let txn = self.db.begin_write()?;
        if self.journal.is_pending() {
            redo::again(&txn, &self.journal.read().map_err(|error| failed(&io_reason(&error)))?)?;
        }
        Ok(txn)
    }

    fn run_in(
        &self,
        txn: &WriteTransaction,
        queue: &mut [Box<dyn Queued>],
    ) -> Result<(Committed, Vec<u8>), Error> {
        let txn = Txn::new(txn);
        let mut group = Group::open(self, &txn)?;
        for operation in queue.iter_mut() {
            // Caught here and not around the transaction: one that unwinds is not rolled back in order, and
            // the file would need a whole repair.
            catch_unwind(AssertUnwindSafe(|| operation.run(&mut group))).unwrap_or(Err(Error::Fault))?;
        }
        let committed = group.close()?;
        Ok((committed, txn.into_notes()))
    }

    fn commit(&mut self, txn: WriteTransaction, notes: &[u8], commit: Commit) -> Result<(), Error> {
        if commit == Commit::ForGood || self.journal.is_enough(notes) {
            return self.for_good(txn);
        }
        // Whether it is durable is not known if this fails: the file is closed, and the next opening finds out.
        self.journal.append(notes).map_err(|error| failed(&io_reason(&error)))?;
        self.txn = Some(txn);
        Ok(())
    }

    fn for_good(&mut self, mut txn: WriteTransaction) -> Result<(), Error> {
        let (key, row) = self.journal.mark().row();
        txn.open_table(META)?.insert(key, row.as_slice())?;
        // Repair after a kill takes milliseconds instead of a walk over the whole file.
        txn.set_quick_repair(true);
        txn.commit().map_err(|error| match error.into() {
            error @ Error::Unavailable { .. } => error,
            other => failed(&other.to_string()),
        })?;
        self.journal.restart();
        Ok(())
    }

    /// Writes for good what the journal holds, if it holds anything; afterwards no transaction is open.
    ///
    /// # Errors
    /// The commit's; the journal holds it still.
    pub(super) fn checkpoint(&mut self) -> Result<(), Error> {
        if !self.journal.is_pending() {
            self.txn = None;
            return Ok(());
        }
        let began = Instant::now();
        let txn = self.begin()?;
        self.for_good(txn)?;
        self.metrics.observe(StoreOp::Commit, began.elapsed());
        Ok(())
    }

    /// Whether the journal holds what redb has not written.
    pub(super) fn is_pending(&self) -> bool {
        self.journal.is_pending()
    }

    /// Leaves nothing in the journal's file, which must hold nothing that is needed.
    pub(super) fn wipe_journal(&mut self) {
        if let Err(error) = self.journal.wipe() {
            tracing::warn!(reason = %io_reason(&error), "the journal beside the store could not be emptied");
        }
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

/// An error after which the file is opened again.
fn failed(reason: &str) -> Error {
    Error::Unavailable { action: "written", reason: reason.to_owned() }
}
