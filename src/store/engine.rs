//! The open database and what of it is kept in memory; runs groups of operations and makes them durable.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

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

/// What the journal holds is written for good after this long at the latest: it bounds what is applied after a
/// kill, and how old a state somebody sees who reads the file beside us.
pub(super) const CHECKPOINT: Duration = Duration::from_secs(5);

/// And after so many operations: the commit keeps everybody waiting, a hundredth of a second for a thousand
/// callbacks.
const OPERATIONS: usize = 1_000;

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

/// A group that ran.
pub(super) struct Ran {
    /// The totals that it changed.
    pub(super) changed: Vec<(u64, u64)>,
    /// What it wrote, for the journal; none if that is too much for it.
    pub(super) notes: Option<Vec<u8>>,
}

/// The open database and what of it is kept in memory.
pub(super) struct Engine {
    /// What the journal holds; none if it holds nothing, or after an error.
    pub(super) txn: Option<WriteTransaction>,
    /// Where a group becomes durable before redb writes it.
    pub(super) journal: Journal,
    /// Operations since redb committed.
    pub(super) since_checkpoint: usize,
    pub(super) db: Arc<Database>,
    pub(super) recent: Recent,
    pub(super) inbox: Inbox,
    /// Persisted totals, those of the group at work among them.
    pub(super) totals: Numbers,
    /// Accounts by number.
    pub(super) accounts: BTreeMap<u16, Known>,
    /// Numbers of which nothing personal is stored.
    pub(super) erased: Arc<Erased>,
    pub(super) metrics: StoreMetrics,
}

impl Engine {
    /// Runs a group: all of it is in the open transaction then, or none. It is not durable yet.
    ///
    /// # Errors
    /// The first failing operation's.
    pub(super) fn run_group(&mut self, queue: &mut [Box<dyn Queued>]) -> Result<Ran, writer::Failed> {
        let began = Instant::now();
        let write = |error| (StoreOp::Write, error);
        let txn = self.begin().map_err(write)?;
        // An error drops the transaction, and with it what the journal holds; the next one does that again.
        let (committed, notes) = self.run_in(&txn, queue).map_err(write)?;
        self.txn = Some(txn);
        self.recent.committed(committed.fresh);
        self.inbox.committed(committed.inbox);
        self.totals.replace(committed.totals);
        self.since_checkpoint += queue.len();
        self.metrics.observe(StoreOp::Write, began.elapsed());
        Ok(Ran { changed: committed.changed, notes })
    }

    /// The transaction that holds what the journal does, or a new one.
    fn begin(&mut self) -> Result<WriteTransaction, Error> {
        if let Some(txn) = self.txn.take() {
            return Ok(txn);
        }
        let txn = self.db.begin_write()?;
        if self.pending_since().is_some() {
            self.finish_appending()?;
            redo::again(&txn, &self.journal.read().map_err(of_journal)?)?;
        }
        Ok(txn)
    }

    fn run_in(
        &self,
        txn: &WriteTransaction,
        queue: &mut [Box<dyn Queued>],
    ) -> Result<(Committed, Option<Vec<u8>>), Error> {
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

    /// Whether redb had better commit for good: what the journal holds is much or old.
    pub(super) fn is_checkpoint_due(&self) -> bool {
        // Whether the store was changed since that journal was written must show: the first commit of each opening
        // gives it an id of its own.
        !self.journal.is_own()
            || self.journal.is_long()
            || self.since_checkpoint >= OPERATIONS
            || self.journal.since().is_some_and(|since| since.elapsed() >= CHECKPOINT)
    }

    /// Makes what a group wrote durable. After an error nobody knows whether it is: the file must be closed, and
    /// the next opening finds out. The same goes for the two that follow.
    ///
    /// # Errors
    /// Those of the journal's file.
    pub(super) fn append(&mut self, notes: &[u8]) -> Result<(), Error> {
        self.journal.append(notes).map_err(of_journal)
    }

    /// Begins to make it durable, see [`Self::finish_appending`].
    ///
    /// # Errors
    /// As above.
    pub(super) fn begin_to_append(&mut self, notes: Vec<u8>) -> Result<(), Error> {
        self.journal.begin(notes).map_err(of_journal)
    }

    /// Waits until what was begun is durable.
    ///
    /// # Errors
    /// As above.
    pub(super) fn finish_appending(&mut self) -> Result<(), Error> {
        self.journal.finish().map_err(of_journal)
    }

    /// Commits the open transaction for good; afterwards none is open.
    ///
    /// # Errors
    /// The commit's; what was durable before is in the journal still. Whatever it is, the file must be closed: what
    /// lives in memory is ahead of it.
    pub(super) fn for_good(&mut self) -> Result<(), Error> {
        self.commit_for_good().map_err(|error| match error {
            error @ Error::Unavailable { .. } => error,
            other => failed(&other.to_string()),
        })
    }

    fn commit_for_good(&mut self) -> Result<(), Error> {
        self.finish_appending()?;
        let mut txn = self.begin()?;
        let (key, row) = self.journal.mark().row();
        txn.open_table(META)?.insert(key, row.as_slice())?;
        // Repair after a kill takes milliseconds instead of a walk over the whole file.
        txn.set_quick_repair(true);
        txn.commit()?;
        self.journal.owned();
        self.journal.restart();
        self.since_checkpoint = 0;
        Ok(())
    }

    /// A transaction for an act of its own, beside which the journal holds nothing; to be committed by
    /// [`Self::commit_act`], or aborted.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) fn begin_act(&self) -> Result<WriteTransaction, Error> {
        let mut txn = self.db.begin_write()?;
        txn.set_quick_repair(true);
        if !self.journal.is_own() {
            let (key, row) = self.journal.mark().row();
            txn.open_table(META)?.insert(key, row.as_slice())?;
        }
        Ok(txn)
    }

    /// Commits what [`Self::begin_act`] began.
    ///
    /// # Errors
    /// The commit's.
    pub(super) fn commit_act(&mut self, txn: WriteTransaction) -> Result<(), Error> {
        txn.commit()?;
        self.journal.owned();
        Ok(())
    }

    /// Commits for good what the journal holds, if it holds anything; afterwards no transaction is open.
    ///
    /// # Errors
    /// As above.
    pub(super) fn checkpoint(&mut self) -> Result<(), Error> {
        if self.pending_since().is_none() {
            self.txn = None;
            return Ok(());
        }
        let began = Instant::now();
        self.for_good()?;
        self.metrics.observe(StoreOp::Commit, began.elapsed());
        Ok(())
    }

    /// Since when the journal has held what redb has not written; none if it holds nothing.
    pub(super) fn pending_since(&self) -> Option<tokio::time::Instant> {
        self.journal.since()
    }

    /// Leaves nothing in the journal's file, which must hold nothing that is needed.
    ///
    /// # Errors
    /// Those of the file, which may hold old records still.
    pub(super) fn wipe_journal(&mut self) -> Result<(), Error> {
        self.journal.wipe().map_err(of_journal)
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

fn of_journal(error: std::io::Error) -> Error {
    failed(&io_reason(&error))
}

/// An error after which the file is opened again.
fn failed(reason: &str) -> Error {
    Error::Unavailable { action: "written", reason: reason.to_owned() }
}
