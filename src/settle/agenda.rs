//! What is still to be done about a call, and when.

use super::{
    Root, Rules, Surroundings, awaits_last_look, callbacks, credible_end, deadline, details_due,
    details_refused, is_complete, orphaned_at, sip_hold, time_is_up, waits_for_details,
};
use crate::model::{CallRecord, Direction, Place, Settled, SettledKind, Status, Task, Timestamp};

/// Times a finished call is asked for again by Sid before it counts as it is.
const MAX_ASKS: u8 = 5;
/// Times a call that was seen while it ran is asked for: over 37 hours with the default `settle_after`.
const MAX_RUNNING_ASKS: u8 = 12;
/// When a settled call's missing price is asked for, in units of `settle_after`: 30 m, 2 h, 8 h, 1 d,
/// 3 d and 7 d with the default.
const PRICE_ASKS: [i64; 6] = [1, 4, 16, 48, 144, 336];

/// Tasks of a call, at most one of each, sorted.
pub(super) fn agenda(
    record: &CallRecord,
    root: Root,
    rules: &Rules,
    around: &Surroundings<'_>,
) -> Vec<(Task, Timestamp)> {
    let book = &record.book;
    if !book.live {
        return Vec::new();
    }
    if let Some(settled) = &book.settled {
        let callback = callbacks::decided(record, rules).map(|due| (Task::Callback, due));
        return price(record, settled, rules).into_iter().chain(callback).collect();
    }
    if record.call.leg_of().is_some() && (root == Root::Waiting || around.now < orphaned_at(record, rules)) {
        return vec![(Task::Child, look_for_root(record, rules, around.now))];
    }
    if !record.call.is_over() {
        return running(record, rules).into_iter().collect();
    }
    let mut tasks = vec![(Task::Settle, settle(record, rules, around))];
    tasks.extend(recheck(record, rules));
    tasks.extend(details(record, rules, around));
    tasks.sort_unstable();
    tasks
}

fn price(record: &CallRecord, settled: &Settled, rules: &Rules) -> Option<(Task, Timestamp)> {
    let unpriced = settled.kind != SettledKind::Silent
        && record.call.status == Status::Completed
        && record.call.price.is_none();
    let wait = PRICE_ASKS.get(usize::from(record.book.price_asks)).filter(|_| unpriced)?;
    Some((Task::Price, settled.at.plus(rules.settle_after.max(1).saturating_mul(*wait))))
}

/// Soon at first, then each time a quarter later: a root may stay away for the whole look-back, and each
/// look rewrites the record.
fn look_for_root(record: &CallRecord, rules: &Rules, now: Timestamp) -> Timestamp {
    let next = now.plus(rules.part(10).max((now - record.book.first_seen) / 4));
    let orphaned = orphaned_at(record, rules);
    if now < orphaned { next.min(orphaned) } else { next }
}

/// Asked for after 5, 10, 20 … minutes, at most 5 hours apart, until it is over.
fn running(record: &CallRecord, rules: &Rules) -> Option<(Task, Timestamp)> {
    let asks = record.book.asks;
    let wait = |ask: u8| rules.part(6).saturating_mul(1 << ask.min(6));
    let waits = (0..=asks).fold(0_i64, |sum, ask| sum.saturating_add(wait(ask)));
    (asks < MAX_RUNNING_ASKS).then(|| (Task::Recheck, record.book.first_seen.plus(waits)))
}

fn settle(record: &CallRecord, rules: &Rules, around: &Surroundings<'_>) -> Timestamp {
    let mut due = sip_hold(record, rules);
    if !is_complete(record) {
        due = due.max(time_is_up(record, rules, around));
        if waits_for_details(record) {
            due = due.max(details_refused(record, rules));
        }
    }
    match around.directory.place(record.call.exophone.as_deref(), record.book.first_seen, around.now) {
        Place::Counts(_) => {}
        Place::From(from, _) => due = due.max(from),
        Place::NotYet => due = due.max(around.now.plus(rules.part(60))),
    }
    // Its time has come, yet something holds it: an outage.
    if due <= around.now { around.now.plus(rules.part(10)) } else { due }
}

/// Asked for again by Sid while what a bulk row can bring is not known. The status of an agent's app is
/// not before its hold ends; where leg details are still to be asked for, their answer brings it.
fn recheck(record: &CallRecord, rules: &Rules) -> Option<(Task, Timestamp)> {
    let call = &record.call;
    let open = call.end.is_none()
        || call.known_duration().is_none()
        || (call.price.is_none() && call.status == Status::Completed)
        || (awaits_last_look(record) && !waits_for_details(record));
    let wait = rules.part(6).saturating_mul(i64::from(record.book.asks) + 1);
    let due = credible_end(record, rules).max(record.book.first_seen).plus(wait).max(sip_hold(record, rules));
    (open && record.book.asks < MAX_ASKS && due < deadline(record, rules)).then_some((Task::Recheck, due))
}

fn details(record: &CallRecord, rules: &Rules, around: &Surroundings<'_>) -> Option<(Task, Timestamp)> {
    if !waits_for_details(record) {
        return None;
    }
    let call = &record.call;
    let first = call.direction == Some(Direction::Inbound) && call.status == Status::Completed;
    let task = if first { Task::DetailsFirst } else { Task::Details };
    let due = details_due(record, rules);
    // An outage since it was due: it counts as due from now on, so that it is asked for after the outage
    // before anybody calls that a lack of budget.
    let silence = around.api_answered.is_none_or(|t| t < due);
    Some((task, if silence { due.max(around.now) } else { due }))
}
