//! What a call adds to the totals: when it settles, and afterwards.

use super::{Deltas, Rules, ended, needs_details};
use crate::model::series::{COUNTED_STATUSES, CorrectedField, DetailsResult, Seen, status_code};
use crate::model::{
    AccountId, CallRecord, DetailsState, Direction, ExoPhoneId, Family, LegStatus, Micros, Observation,
    Outcome, Series, Settled, SettledKind, Status, Timestamp, outcome,
};

fn direction(call: &Observation) -> Direction {
    call.direction.unwrap_or(Direction::Other)
}

/// A price that can be counted: Exotel's prices are never negative.
fn price(call: &Observation) -> Option<Micros> {
    call.price.filter(|p| *p >= 0)
}

/// A number of the families that are labelled with number and direction.
fn labelled(account: AccountId, settled: &Settled, family: Family, b: u8) -> Series {
    Series { account, family, exophone: settled.exophone, a: settled.direction.code(), b }
}

/// Counts a call of its own.
pub(super) fn settle_root(
    account: AccountId,
    record: &mut CallRecord,
    exophone: ExoPhoneId,
    rules: &Rules,
    now: Timestamp,
    deltas: &mut Deltas,
) {
    let call = &record.call;
    let settled = Settled {
        at: now,
        kind: SettledKind::Root,
        exophone,
        direction: direction(call),
        status: COUNTED_STATUSES.into_iter().find(|s| *s == call.status).unwrap_or(Status::Other),
        outcome: outcome(call, record.book.details.is_known()),
        seconds: call.duration.unwrap_or(0),
        cost: price(call).unwrap_or(0),
        conversation: None,
    };
    deltas.add(labelled(account, &settled, Family::Calls, status_code(settled.status)), 1);
    deltas.add(labelled(account, &settled, Family::Outcomes, settled.outcome.code()), 1);
    deltas.add(labelled(account, &settled, Family::Seconds, 0), u64::from(settled.seconds));
    deltas.add(labelled(account, &settled, Family::Cost, 0), settled.cost.unsigned_abs());
    if let Some((leg1, leg2)) = legs(record) {
        for (leg, status) in [(1, leg1), (2, leg2)] {
            if let Some(status) = status {
                deltas.add(Series::new(account, Family::Legs, leg, status.code()), 1);
            }
        }
    }
    // Never by callbacks alone: only what the API names can settle.
    let seen = if record.book.heard.is_some() { Seen::Both } else { Seen::Api };
    deltas.add(Series::new(account, Family::Reconciled, seen.code(), 0), 1);
    let delay = (now - ended(record, rules)).max(0);
    deltas.observe(account, Family::SettleDelay, 0, delay.unsigned_abs());
    record.book.settled = Some(settled);
    count_conversation(account, record, rules, deltas);
}

/// Leg results, where they are known to be final.
fn legs(record: &CallRecord) -> Option<(Option<LegStatus>, Option<LegStatus>)> {
    record.call.details.filter(|_| record.book.details.is_known()).map(|d| (d.leg1, d.leg2))
}

/// Talk, likewise.
fn talk(record: &CallRecord) -> Option<u32> {
    record.call.details.filter(|_| record.book.details.is_known()).and_then(|d| d.conversation)
}

/// Talk, its histogram, short and setup move once, together, when the talk is first known.
fn count_conversation(account: AccountId, record: &mut CallRecord, rules: &Rules, deltas: &mut Deltas) {
    let (Some(talk), Some(settled)) = (talk(record), record.book.settled.as_mut()) else { return };
    settled.conversation = Some(talk);
    deltas.add(labelled(account, settled, Family::ConversationSeconds, 0), u64::from(talk));
    if outcome(&record.call, true) != Outcome::Answered {
        return;
    }
    let a = settled.direction.code();
    deltas.observe(account, Family::ConversationDuration, a, u64::from(talk));
    if talk < rules.short_call {
        deltas.add(labelled(account, settled, Family::Short, 0), 1);
    }
    if let Some(duration) = record.call.known_duration() {
        deltas.observe(account, Family::SetupDuration, a, u64::from(duration.saturating_sub(talk)));
    }
}

/// Adds the price of a leg to the labels of its root.
pub(super) fn settle_leg(
    account: AccountId,
    record: &mut CallRecord,
    root: Settled,
    now: Timestamp,
    deltas: &mut Deltas,
) {
    if root.kind == SettledKind::Silent {
        record.book.settled = Some(silent(record, now));
        return;
    }
    let cost = price(&record.call).unwrap_or(0);
    deltas.add(labelled(account, &root, Family::Cost, 0), cost.unsigned_abs());
    record.book.settled =
        Some(Settled { at: now, kind: SettledKind::Child, seconds: 0, cost, conversation: None, ..root });
}

/// What stands for a live call that adds nothing to any total.
pub(crate) fn silent(record: &CallRecord, now: Timestamp) -> Settled {
    Settled {
        at: now,
        kind: SettledKind::Silent,
        exophone: ExoPhoneId::UNKNOWN,
        direction: direction(&record.call),
        status: Status::Other,
        outcome: Outcome::Unknown,
        seconds: 0,
        cost: 0,
        conversation: None,
    }
}

/// Counts what Exotel changed about a call that was counted already.
pub(super) fn after_settling(
    account: AccountId,
    before: &CallRecord,
    record: &mut CallRecord,
    rules: &Rules,
    deltas: &mut Deltas,
) {
    let Some(mut settled) = record.book.settled.filter(|s| s.kind != SettledKind::Silent) else { return };
    let correct = |deltas: &mut Deltas, field: CorrectedField| {
        deltas.add(Series::new(account, Family::Corrections, field.code(), 0), 1);
    };
    if let Some(price) = price(&record.call) {
        if price > settled.cost {
            let more = price.abs_diff(settled.cost);
            deltas.add(labelled(account, &settled, Family::Cost, 0), more);
        } else if price < settled.cost {
            correct(deltas, CorrectedField::Price);
            deltas.add(Series::new(account, Family::Refunds, 0, 0), price.abs_diff(settled.cost));
        }
        settled.cost = price;
    }
    if settled.kind == SettledKind::Root {
        if let Some(duration) = record.call.duration {
            if duration > settled.seconds {
                let more = u64::from(duration - settled.seconds);
                deltas.add(labelled(account, &settled, Family::Seconds, 0), more);
                settled.seconds = duration;
            } else if duration < settled.seconds && before.call.duration.is_some_and(|old| old != duration) {
                correct(deltas, CorrectedField::Duration);
            }
        }
        if record.call.status != before.call.status {
            correct(deltas, CorrectedField::Status);
        }
        if let (Some(old), Some(new)) = (legs(before), legs(record))
            && old != new
        {
            correct(deltas, CorrectedField::Leg);
        }
        if settled.conversation.is_some_and(|counted| talk(record) != Some(counted))
            && talk(record) != talk(before)
        {
            correct(deltas, CorrectedField::Conversation);
        }
    }
    record.book.settled = Some(settled);
    if let (SettledKind::Root, Some(talk)) = (settled.kind, settled.conversation)
        && before.call.known_duration().is_none()
        && let Some(duration) = record.call.known_duration()
        && outcome(&record.call, true) == Outcome::Answered
    {
        // Talk was counted before the Duration was known: the set-up time could not be.
        let set_up = u64::from(duration.saturating_sub(talk));
        deltas.observe(account, Family::SetupDuration, settled.direction.code(), set_up);
    }
    if settled.kind == SettledKind::Root && settled.conversation.is_none() {
        count_conversation(account, record, rules, deltas);
    }
}

/// How leg details came is counted when that is decided, for live calls of their own: once, and once more
/// if details come after the call counted without.
pub(super) fn count_details(
    account: AccountId,
    before: Option<&CallRecord>,
    record: &CallRecord,
    deltas: &mut Deltas,
) {
    let own = |r: &CallRecord| match r.book.settled {
        Some(settled) => settled.kind == SettledKind::Root,
        None => r.call.leg_of().is_none(),
    };
    if !own(record) || !needs_details(&record.call) {
        return;
    }
    let counted = |r: &&CallRecord| own(r) && needs_details(&r.call);
    let was = before.filter(counted).map_or(DetailsState::Missing, |b| b.book.details);
    let result = match record.book.details {
        now if now == was => return,
        DetailsState::Missing => return,
        DetailsState::Inline => DetailsResult::Inline,
        DetailsState::Fetched => DetailsResult::Fetched,
        DetailsState::Skipped => DetailsResult::Skipped,
        DetailsState::Failed => DetailsResult::Failed,
    };
    deltas.add(Series::new(account, Family::Details, result.code(), 0), 1);
}
