//! Records of one transaction: merged row by row, then settled, then compared with what they were.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::set_aside::set_aside_id;
use super::{Context, Summary};
use crate::model::sync::hourly;
use crate::model::{
    CallRecord, DetailsState, ExoPhoneId, HourKey, HourTotals, Observation, Sid, SidMap, Task, Unlisted,
    WallTime,
};
use crate::reconcile::{Effect, Origin, join, merge};
use crate::settle::{
    Deltas, InVain, Root, Wanted, count_answer, details_in_vain, is_due, not_known, note_reading, settle,
    silent,
};
use crate::store::{Erased, Held, LONGEST_CHAIN, Lost, WriteSet};

/// Records as they were and as they are.
pub(super) struct Batch<'c> {
    context: &'c Context,
    before: SidMap<Box<CallRecord>>,
    now: SidMap<Box<CallRecord>>,
    lost: SidMap<Lost>,
    unlisted: SidMap<Unlisted>,
    taken: Vec<(Sid, Option<Unlisted>, Option<Unlisted>)>,
    prune_floor: WallTime,
    erased: Arc<Erased>,
    any_set_aside: bool,
    touched: Vec<Sid>,
    deltas: Deltas,
    healed: Vec<u64>,
}

impl<'c> Batch<'c> {
    pub(super) fn new(context: &'c Context, held: Held) -> Self {
        Self {
            context,
            now: held.calls.clone(),
            before: held.calls,
            lost: held.lost,
            unlisted: held.unlisted,
            taken: Vec::new(),
            // The store's own floor: retention may have removed calls since the context was made.
            prune_floor: context.prune_floor.max(held.prune_floor),
            erased: held.erased,
            any_set_aside: held.any_set_aside,
            touched: Vec::new(),
            deltas: Deltas::default(),
            healed: Vec::new(),
        }
    }

    /// Calls that are to be settled if they can be.
    pub(super) fn touch(&mut self, calls: Vec<Sid>) {
        self.touched.extend(calls);
    }

    pub(super) fn merge(&mut self, said: &Observation, origin: Origin, summary: &mut Summary) {
        if said.created < self.prune_floor {
            summary.unchanged += 1;
            return;
        }
        if self.any_set_aside {
            self.healed.push(set_aside_id(Some(&said.sid), ""));
        }
        let (now, live_from) = (self.context.now, self.context.live_from);
        let less = self.erased.less(said);
        let said = less.as_ref().unwrap_or(said);
        let mut merged = merge(self.now.get(&said.sid).map(Box::as_ref), said, origin, live_from, now);
        if let Effect::Moved { .. } = merged.effect
            && let Some(less) = self.erased.less(&merged.record.call)
        {
            // Whoever erases may have passed its new place already.
            merged.record.call = less;
        }
        let was_unlisted = self.take_over(&mut merged.record);
        let is_last_look =
            origin != Origin::Newer && note_reading(&mut merged.record, &self.context.rules, now);
        match (merged.effect, self.lost.get(&said.sid)) {
            (Effect::New, Some(lost)) => {
                summary.updated += 1;
                if *lost == Lost::Counted {
                    merged.record.book.live = true;
                    merged.record.book.settled = Some(silent(&merged.record, now));
                }
            }
            (Effect::New, None) => summary.new += 1,
            (Effect::Updated | Effect::Moved { .. }, _) => summary.updated += 1,
            (Effect::Unchanged, _) => {
                summary.unchanged += 1;
                // A task that is overdue is done on the way, should the agenda have lost it.
                if is_due(&merged.record, now) {
                    self.touched.push(said.sid.clone());
                }
                if !was_unlisted && !is_last_look {
                    return;
                }
            }
        }
        self.touched.push(said.sid.clone());
        self.now.insert(said.sid.clone(), Box::new(merged.record));
    }

    /// What callbacks said of a call before the API named it goes into its record; gives whether there was
    /// anything.
    fn take_over(&mut self, record: &mut CallRecord) -> bool {
        let Some(unlisted) = self.unlisted.remove(&record.call.sid) else { return false };
        let told = unlisted.heard.clone();
        let mut heard = match record.book.heard.take() {
            Some(heard) => join(*heard, told),
            None => told,
        };
        let context = self.context;
        count_answer(context.account, &mut heard, Some(&record.call), &context.rules, &mut self.deltas);
        record.book.heard = Some(Box::new(heard));
        self.taken.push((record.call.sid.clone(), Some(unlisted), None));
        true
    }

    /// Notes that a call that only callbacks named was asked for and did not come.
    fn asked_in_vain(&mut self, sid: &Sid) {
        let Some(before) = self.unlisted.remove(sid) else { return };
        let (mut call, context) = (before.clone(), self.context);
        not_known(context.account, &mut call, &context.rules, context.now, &mut self.deltas);
        self.taken.push((sid.clone(), Some(before), Some(call)));
    }

    /// Notes that a call was asked for, whether it came or not.
    pub(super) fn asked(&mut self, task: Task, sid: &Sid, answer: InVain) {
        if task == Task::Confirm {
            return self.asked_in_vain(sid);
        }
        let Some(record) = self.now.get_mut(sid) else { return };
        let book = &mut record.book;
        match task {
            Task::Recheck => book.asks = book.asks.saturating_add(1),
            Task::Price => book.price_asks = book.price_asks.saturating_add(1),
            Task::DetailsFirst | Task::Details if book.details == DetailsState::Missing => {
                details_in_vain(record, answer, &self.context.rules, &self.context.surroundings());
            }
            Task::DetailsFirst
            | Task::Details
            | Task::Settle
            | Task::Child
            | Task::Callback
            | Task::Confirm => {}
        }
        self.touched.push(sid.clone());
    }

    /// Notes that Exotel refused the details of a call for good.
    pub(super) fn refused(&mut self, sid: &Sid) {
        let Some(record) = self.now.get_mut(sid) else { return };
        if record.book.details == DetailsState::Missing {
            record.book.details = DetailsState::Failed;
        }
        self.touched.push(sid.clone());
    }

    /// Settles what was touched: roots first, so that their legs find them settled.
    pub(super) fn settle_touched(&mut self, summary: &mut Summary) {
        let mut seen: SidMap<()> = SidMap::default();
        seen.reserve(self.touched.len());
        let mut order: Vec<Sid> = std::mem::take(&mut self.touched)
            .into_iter()
            .filter(|sid| seen.insert(sid.clone(), ()).is_none())
            .collect();
        order
            .sort_by_cached_key(|sid| self.now.get(sid).map(|r| (r.call.leg_of().is_some(), r.call.created)));
        for sid in &order {
            let Some(mut record) = self.now.remove(sid) else { continue };
            let root = self.root(&record);
            let was_settled = record.book.settled.is_some();
            let wanted = settle(
                self.context.account,
                self.before.get(sid).map(Box::as_ref),
                &mut record,
                root,
                &self.context.rules,
                &self.context.surroundings(),
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
        let Some(parent) = record.call.leg_of() else { return Root::Missing };
        let Some(root) = self.now.get(parent) else {
            return match self.lost.get(parent) {
                // It will be read anew; or it has counted, under labels that nobody knows any more.
                Some(Lost::Waiting) => Root::Waiting,
                Some(Lost::Counted) => Root::NotLive,
                None => Root::Missing,
            };
        };
        match root.book.settled {
            _ if !root.book.live => Root::NotLive,
            Some(settled) => Root::Settled(settled),
            // Each would wait for the other for ever.
            None if self.in_circle(&record.call.sid, root) => Root::Missing,
            None => Root::Waiting,
        }
    }

    /// Whether the legs above a call lead back to it: then none of them has a root.
    fn in_circle(&self, sid: &Sid, root: &CallRecord) -> bool {
        let mut above = root;
        for _ in 0..LONGEST_CHAIN {
            match above.call.leg_of() {
                Some(next) if next == sid => return true,
                Some(next) => match self.now.get(next) {
                    Some(record) if record.book.settled.is_none() => above = record,
                    _ => return false,
                },
                None => return false,
            }
        }
        // Exotel knows legs, and no legs of legs of legs.
        true
    }

    pub(super) fn finish(mut self) -> WriteSet {
        let mut calls = Vec::with_capacity(self.touched.len());
        let mut hours: BTreeMap<HourKey, HourTotals> = BTreeMap::new();
        for sid in self.touched {
            let Some(record) = self.now.remove(&sid) else { continue };
            let before = self.before.remove(&sid);
            if before.as_ref() == Some(&record) {
                continue;
            }
            if let Some((key, totals)) = before.as_deref().and_then(hourly) {
                hours.entry(key).or_default().apply(&totals, -1);
            }
            if let Some((key, totals)) = hourly(&record) {
                hours.entry(key).or_default().apply(&totals, 1);
            }
            calls.push((before, record));
        }
        hours.retain(|_, change| *change != HourTotals::default());
        WriteSet {
            calls,
            unlisted: self.taken,
            deltas: self.deltas,
            hours,
            healed: self.healed,
            ..WriteSet::default()
        }
    }
}
