//! The one door to call records: read, reconcile, settle, put, in one transaction.
//!
//! Pages, answers for single calls and tasks that are due come here; nothing else writes calls. What is
//! decided is decided by [`crate::reconcile`] and [`crate::settle`]; here it is only brought together.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::exotel::{Row, Window};
use crate::model::series::RowResult;
use crate::model::sync::hourly;
use crate::model::{
    AccountId, CallRecord, DetailsState, Directory, ExoPhoneId, Family, HourKey, HourTotals, Observation,
    Series, SetAside, Sid, SyncRun, SyncState, Task, Timestamp, UnreadableRow, WallTime,
};
use crate::reconcile::{Effect, Origin, merge};
use crate::settle::{Deltas, Root, Rules, Surroundings, Wanted, settle};
use crate::store::{Due, Held, Operation, Wants, WriteSet};

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
    /// Now.
    pub now: Timestamp,
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
    /// Rows set aside.
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
}

impl Operation for Page {
    type Reply = Summary;

    fn wants(&self) -> Wants {
        let rows = self.rows.iter().filter_map(|row| match row {
            Row::Call(call) => Some((call.sid.clone(), call.created)),
            Row::Unreadable(_) => None,
        });
        let asked = self.asked.iter().flat_map(|(_, calls)| calls.iter().cloned());
        Wants {
            account: self.context.account,
            calls: rows.chain(asked).chain(self.refused.iter().cloned()).collect(),
            due: None,
        }
    }

    fn decide(&mut self, held: Held) -> (WriteSet, Summary) {
        let mut batch = Batch::new(&self.context, held);
        let mut summary = Summary::default();
        for row in &self.rows {
            if let Row::Call(call) = row {
                batch.merge(call, self.origin, &mut summary);
            }
        }
        if let Some((task, calls)) = &self.asked {
            for (sid, _) in calls {
                batch.asked(*task, sid);
            }
        }
        for (sid, _) in &self.refused {
            batch.refused(sid);
        }
        batch.settle_touched(&mut summary);
        let mut writes = batch.finish();
        writes.set_aside = set_aside(&self.context, &self.rows, self.window);
        writes.healed.extend(&self.healed);
        summary.rejected = writes.set_aside.len() as u64;
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

/// Tasks that need nobody's answer: counting calls whose time has come, and looking for the roots of legs.
#[derive(Debug)]
pub struct Tasks {
    /// The surroundings.
    pub context: Context,
    /// [`Task::Settle`] or [`Task::Child`].
    pub task: Task,
    /// At most so many in this transaction.
    pub limit: usize,
}

impl Operation for Tasks {
    type Reply = Summary;

    fn wants(&self) -> Wants {
        let due = Due { task: self.task, now: self.context.now, limit: self.limit };
        Wants { account: self.context.account, calls: Vec::new(), due: Some(due) }
    }

    fn decide(&mut self, mut held: Held) -> (WriteSet, Summary) {
        let due = std::mem::take(&mut held.due);
        let mut summary = Summary { due: due.len() as u64, ..Summary::default() };
        let mut batch = Batch::new(&self.context, held);
        batch.touched.extend(due);
        batch.settle_touched(&mut summary);
        (batch.finish(), summary)
    }
}

/// Records of one transaction, as they were and as they are.
struct Batch<'c> {
    context: &'c Context,
    before: HashMap<Sid, CallRecord>,
    now: HashMap<Sid, CallRecord>,
    damaged: HashSet<Sid>,
    any_set_aside: bool,
    touched: Vec<Sid>,
    deltas: Deltas,
    healed: Vec<u64>,
}

impl<'c> Batch<'c> {
    fn new(context: &'c Context, held: Held) -> Self {
        Self {
            context,
            now: held.calls.clone(),
            before: held.calls,
            damaged: held.damaged,
            any_set_aside: held.any_set_aside,
            touched: Vec::new(),
            deltas: Deltas::default(),
            healed: Vec::new(),
        }
    }

    fn merge(&mut self, said: &Observation, origin: Origin, summary: &mut Summary) {
        if said.created < self.context.prune_floor {
            summary.unchanged += 1;
            return;
        }
        // A record that was lost to damage was mostly counted already: it is never counted again.
        let live_from =
            if self.damaged.contains(&said.sid) { WallTime(i64::MAX) } else { self.context.live_from };
        let merged = merge(self.now.get(&said.sid), said, origin, live_from, self.context.now);
        match merged.effect {
            Effect::New => summary.new += 1,
            Effect::Updated | Effect::Moved { .. } => summary.updated += 1,
            Effect::Unchanged => summary.unchanged += 1,
        }
        if self.any_set_aside {
            self.healed.push(set_aside_id(Some(&said.sid), ""));
        }
        if merged.effect != Effect::Unchanged {
            self.touched.push(said.sid.clone());
            self.now.insert(said.sid.clone(), merged.record);
        }
    }

    fn asked(&mut self, task: Task, sid: &Sid) {
        let Some(record) = self.now.get_mut(sid) else { return };
        let book = &mut record.book;
        match task {
            Task::Recheck => book.asks = book.asks.saturating_add(1),
            Task::Price => book.price_asks = book.price_asks.saturating_add(1),
            Task::DetailsFirst | Task::Details => book.details_tries = book.details_tries.saturating_add(1),
            Task::Settle | Task::Child => {}
        }
        self.touched.push(sid.clone());
    }

    fn refused(&mut self, sid: &Sid) {
        let Some(record) = self.now.get_mut(sid) else { return };
        if record.book.details == DetailsState::Missing {
            record.book.details = DetailsState::Failed;
        }
        self.touched.push(sid.clone());
    }

    /// Settles what was touched: roots first, so that their legs find them settled.
    fn settle_touched(&mut self, summary: &mut Summary) {
        let mut seen = HashSet::with_capacity(self.touched.len());
        let mut order: Vec<Sid> =
            std::mem::take(&mut self.touched).into_iter().filter(|sid| seen.insert(sid.clone())).collect();
        order.sort_by_key(|sid| self.now.get(sid).is_some_and(|r| r.call.parent.is_some()));
        for sid in &order {
            let Some(mut record) = self.now.remove(sid) else { continue };
            let root = self.root(&record);
            let was_settled = record.book.settled.is_some();
            let around = Surroundings {
                directory: &self.context.directory,
                api_answered: self.context.api_answered,
                now: self.context.now,
            };
            let wanted = settle(
                self.context.account,
                self.before.get(sid),
                &mut record,
                root,
                &self.context.rules,
                &around,
                &mut self.deltas,
            );
            summary.wants_exophones |= wanted == Wanted::ExoPhones;
            if let Some(settled) = record.book.settled.filter(|_| !was_settled) {
                summary.settled += 1;
                summary.overflowed += u64::from(settled.exophone == ExoPhoneId::OVERFLOW);
            }
            self.now.insert(sid.clone(), record);
        }
        self.touched = order;
    }

    fn root(&self, record: &CallRecord) -> Root {
        let Some(parent) = &record.call.parent else { return Root::Missing };
        match self.now.get(parent) {
            None => Root::Missing,
            // A row that names itself or a leg of a leg: the chain is followed one step a task.
            Some(_) if *parent == record.call.sid => Root::Missing,
            Some(root) if !root.book.live => Root::NotLive,
            Some(root) => root.book.settled.map_or(Root::Waiting, Root::Settled),
        }
    }

    fn finish(mut self) -> WriteSet {
        let mut calls = Vec::with_capacity(self.touched.len());
        let mut hours: BTreeMap<HourKey, HourTotals> = BTreeMap::new();
        for sid in self.touched {
            let Some(record) = self.now.remove(&sid) else { continue };
            let before = self.before.remove(&sid);
            if before.as_ref() == Some(&record) {
                continue;
            }
            if let Some((key, totals)) = before.as_ref().and_then(hourly) {
                hours.entry(key).or_default().apply(&totals, -1);
            }
            if let Some((key, totals)) = hourly(&record) {
                hours.entry(key).or_default().apply(&totals, 1);
            }
            calls.push((before, record));
        }
        hours.retain(|_, change| *change != HourTotals::default());
        WriteSet { calls, deltas: self.deltas, hours, healed: self.healed, ..WriteSet::default() }
    }
}

/// Rows that could not be read, each with the bounds of its creation time: its own where that can be read,
/// else those of its neighbours in the page, else those of the window.
fn set_aside(context: &Context, rows: &[Row], window: Option<Window>) -> Vec<SetAside> {
    let created = |row: &Row| match row {
        Row::Call(call) => Some(call.created),
        Row::Unreadable(row) => row.created,
    };
    let first = window.map_or(WallTime(0), |w| w.from);
    let last = window.map_or(context.now.to_wall(context.rules.offset), |w| w.to.plus(-1));
    let mut all = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let Row::Unreadable(unreadable) = row else { continue };
        let (after, before) = match unreadable.created {
            Some(created) => (created, created),
            None => (
                rows[..place].iter().rev().find_map(created).unwrap_or(first),
                rows[place + 1..].iter().find_map(created).unwrap_or(last),
            ),
        };
        all.push(SetAside::of(unreadable, after.min(before), before.max(after), context));
    }
    all
}

impl SetAside {
    fn of(row: &UnreadableRow, after: WallTime, before: WallTime, context: &Context) -> Self {
        Self {
            id: set_aside_id(row.sid.as_ref(), &row.raw),
            raw: row.raw.clone(),
            reason: row.reason.clone(),
            sid: row.sid.as_ref().map(ToString::to_string),
            after: after.0,
            before: before.0,
            first_seen: context.now.0,
            retry_at: context.now.plus((context.rules.settle_after / 6).max(1)).0,
            tries: 0,
        }
    }
}

/// Identifies a row that was set aside: by its Sid where that can be read, so that it is found when the row
/// can be; by its text otherwise.
pub fn set_aside_id(sid: Option<&Sid>, raw: &str) -> u64 {
    match sid {
        Some(sid) => xxhash_rust::xxh3::xxh3_64_with_seed(sid.as_str().as_bytes(), 1),
        None => xxhash_rust::xxh3::xxh3_64_with_seed(raw.as_bytes(), 2),
    }
}
