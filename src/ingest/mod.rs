//! The one door to call records: read, reconcile, settle, put, in one transaction.
//!
//! Pages, answers for single calls, callbacks and tasks that are due come here; nothing else writes calls. What is
//! decided is decided by [`crate::reconcile`] and [`crate::settle`]; here it is only brought together.

mod batch;
mod callback;
pub mod messages;
mod set_aside;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

pub use callback::Callback;
pub use set_aside::set_aside_id;

use crate::exotel::{Row, Window};
use crate::model::series::RowResult;
use crate::model::{
    AccountId, Directory, Family, Observation, Series, Sid, SyncRun, SyncState, Task, Timestamp, WallTime,
};
use crate::reconcile::Origin;
use crate::settle::{Deltas, InVain, Rules, Surroundings};
use crate::store::{Due, Held, Operation, Wants, WriteSet};
use batch::Batch;

/// What the decisions about an account's calls rest on, at one moment.
#[derive(Clone, Debug)]
pub struct Context {
    /// Account.
    pub account: AccountId,
    /// Counting rules.
    pub rules: Rules,
    /// Calls created from this time on are counted.
    pub live_from: WallTime,
    /// Calls created before this are not stored.
    pub prune_floor: WallTime,
    /// The account's numbers.
    pub directory: Arc<Directory>,
    /// When Exotel last answered this account.
    pub api_answered: Option<Timestamp>,
    /// When this program started to read this account.
    pub up_since: Timestamp,
    /// Now.
    pub now: Timestamp,
}

impl Context {
    fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            directory: &self.directory,
            api_answered: self.api_answered,
            up_since: self.up_since,
            now: self.now,
        }
    }
}

/// Rows to take in, with what is to be remembered of their reading.
#[derive(Debug)]
pub struct Page {
    /// The surroundings.
    pub context: Context,
    /// Rows in Exotel's order.
    pub rows: Vec<Row>,
    /// Whether they are rows of a page or answers for single calls.
    pub origin: Origin,
    /// The window that was asked for, where one was: bounds rows that carry no readable time.
    pub window: Option<Window>,
    /// Calls that were asked for by name, and why: each is counted as asked, whether it came or not.
    pub asked: Option<(Task, Vec<(Sid, WallTime)>)>,
    /// Calls whose leg details Exotel refused for good.
    pub refused: Vec<(Sid, WallTime)>,
    /// The state of reading after this page.
    pub sync: Option<SyncState>,
    /// The run this page belongs to.
    pub run: Option<SyncRun>,
    /// Further additions to the totals that belong to this commit.
    pub deltas: Deltas,
    /// Rows set aside that this reading showed to be gone.
    pub healed: Vec<u64>,
}

/// What was done with a page, or with tasks that were due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Calls that were not known.
    pub new: u64,
    /// Calls about which something changed.
    pub updated: u64,
    /// Rows that said nothing new.
    pub unchanged: u64,
    /// Rows that could not be read.
    pub rejected: u64,
    /// Calls that were counted.
    pub settled: u64,
    /// Tasks that were due.
    pub due: u64,
    /// Whether a call waits for the list of ExoPhones to be read again.
    pub wants_exophones: bool,
    /// Calls that were counted under `_other` because too many numbers have a label already.
    pub overflowed: u64,
    /// Ids under which rows were set aside.
    pub set_aside: Vec<u64>,
}

impl Page {
    /// A page of rows without anything else to remember.
    pub fn new(context: Context, rows: Vec<Row>, origin: Origin) -> Self {
        Self {
            context,
            rows,
            origin,
            window: None,
            asked: None,
            refused: Vec::new(),
            sync: None,
            run: None,
            deltas: Deltas::default(),
            healed: Vec::new(),
        }
    }

    /// Rows that could be read.
    fn calls(&self) -> impl Iterator<Item = &Observation> {
        self.rows.iter().filter_map(|row| match row {
            Row::Call(call) => Some(call.as_ref()),
            Row::Unreadable(_) => None,
        })
    }

    /// Sids of rows that could not be read, with the time under which their calls may be filed.
    fn unreadable(&self) -> impl Iterator<Item = (&Sid, WallTime)> {
        let now = self.context.now.to_wall(self.context.rules.offset);
        let near = self.window.map_or(now, |window| window.from);
        self.rows.iter().filter_map(move |row| match row {
            Row::Call(_) => None,
            Row::Unreadable(row) => Some((row.sid.as_ref()?, row.created.unwrap_or(near))),
        })
    }
}

impl Operation for Page {
    type Reply = Summary;

    fn wants(&self) -> Wants {
        let rows = self.calls().map(|call| (call.sid.clone(), call.created));
        // A leg is judged by its root, which is mostly filed close to it.
        let roots = self.calls().filter_map(|call| Some((call.leg_of()?.clone(), call.created)));
        let asked = self.asked.iter().flat_map(|(_, calls)| calls.iter().cloned());
        let unreadable = self.unreadable().map(|(sid, near)| (sid.clone(), near));
        Wants {
            calls: rows
                .chain(asked)
                .chain(unreadable)
                .chain(self.refused.iter().cloned())
                .chain(roots)
                .collect(),
            ..Wants::nothing(self.context.account)
        }
    }

    fn decide(&mut self, held: Held) -> (WriteSet, Summary) {
        let filed = |(sid, _): (&Sid, _)| Some((sid.clone(), held.calls.get(sid)?.call.created));
        let set_aside = set_aside::of_page(self, &self.unreadable().filter_map(filed).collect());
        let mut batch = Batch::new(&self.context, held);
        let mut summary = Summary::default();
        for call in self.calls() {
            batch.merge(call, self.origin, &mut summary);
        }
        if let Some((task, calls)) = &self.asked {
            let came: HashSet<&Sid> = self.calls().map(|call| &call.sid).collect();
            for (sid, _) in calls {
                let answer = if came.contains(sid) { InVain::Answered } else { InVain::Unanswered };
                batch.asked(*task, sid, answer);
            }
        }
        for (sid, _) in &self.refused {
            batch.refused(sid);
        }
        batch.settle_touched(&mut summary);
        let mut writes = batch.finish();
        writes.set_aside = set_aside;
        writes.healed.extend(&self.healed);
        summary.rejected = (self.rows.len() - self.calls().count()) as u64;
        summary.set_aside = writes.set_aside.iter().map(|row| row.id).collect();
        for (series, amount) in &self.deltas.0 {
            writes.deltas.add(*series, *amount);
        }
        if self.origin == Origin::Page {
            let rows =
                |result: RowResult| Series::new(self.context.account, Family::SyncRecords, result.code(), 0);
            writes.deltas.add(rows(RowResult::New), summary.new);
            writes.deltas.add(rows(RowResult::Updated), summary.updated);
            writes.deltas.add(rows(RowResult::Unchanged), summary.unchanged);
            writes.deltas.add(rows(RowResult::Rejected), summary.rejected);
        }
        writes.sync.clone_from(&self.sync);
        writes.run.clone_from(&self.run);
        if let Some(run) = &mut writes.run {
            run.rows += summary.new + summary.updated + summary.unchanged + summary.rejected;
            run.new += summary.new;
            run.stored += summary.new + summary.updated;
            run.set_aside += summary.rejected;
        }
        (writes, summary)
    }
}

/// Tasks that need nobody's answer: counting calls whose time has come, looking for the roots of legs, and
/// deciding that a callback was missed.
#[derive(Debug)]
pub struct Tasks {
    /// The surroundings.
    pub context: Context,
    /// [`Task::Settle`], [`Task::Child`] or [`Task::Callback`].
    pub task: Task,
    /// At most so many in this transaction.
    pub limit: usize,
}

impl Operation for Tasks {
    type Reply = Summary;

    fn wants(&self) -> Wants {
        let due = Due { task: self.task, now: self.context.now, limit: self.limit };
        Wants { due: Some(due), ..Wants::nothing(self.context.account) }
    }

    fn decide(&mut self, mut held: Held) -> (WriteSet, Summary) {
        let due = std::mem::take(&mut held.due);
        let mut summary = Summary { due: due.len() as u64, ..Summary::default() };
        let mut batch = Batch::new(&self.context, held);
        batch.touch(due);
        batch.settle_touched(&mut summary);
        (batch.finish(), summary)
    }
}
