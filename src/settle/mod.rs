//! When a call counts, as what, and what is still to be done about it.
//!
//! Pure: takes a merged record and the time, gives the record with its bookkeeping brought up to date
//! and the [`Deltas`] to the totals.
//!
//! - A call settles, and counts once, when everything about it is known, or `settle_after` after its end.
//! - One with an agent's app is looked at once more when the app can change it no more.
//! - Leg details are asked for before; only a lack of budget, never an outage, makes a call count without.
//! - A leg of another call adds its price to that call's labels and counts nothing else. One whose root
//!   is not found counts as a call of its own when the look-back has passed.
//! - After settling, more seconds and a higher price add the difference; less is a correction, and for
//!   money a refund. Talk counts once, when it is first known.
//! - What callbacks said decides none of this. It is counted beside it: who had reported the call, whether
//!   an expected callback was missed, on what both sides differ.

mod agenda;
mod amounts;
mod callbacks;
mod deltas;
#[cfg(test)]
mod tests;

pub(crate) use amounts::silent;
pub use callbacks::{Callbacks, after_callback, count_answer, count_sighting, first_ask, not_known};
pub use deltas::Deltas;

use crate::model::{
    AccountId, CallRecord, DetailsState, Direction, Directory, Observation, Place, Settled, Status, Task,
    Timestamp, UtcOffset,
};

/// Details requests in vain after which a call counts without them.
const MAX_DETAILS_TRIES: u8 = 3;

/// What of the configuration the counting depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Offset of Exotel's wall clock.
    pub offset: UtcOffset,
    /// `sync.settle_after` in seconds.
    pub settle_after: i64,
    /// `sync.lookback` in seconds.
    pub lookback: i64,
    /// `sync.short_call` in seconds.
    pub short_call: u32,
    /// Which calls a callback should announce.
    pub callbacks: Callbacks,
}

impl Rules {
    /// A part of `settle_after`, at least a second: no wait is a constant.
    pub fn part(&self, parts: i64) -> i64 {
        (self.settle_after / parts).max(1)
    }
}

/// What is known beside the call itself.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The account's numbers.
    pub directory: &'a Directory,
    /// When Exotel last answered a request of this account with anything but a failure of its own:
    /// tells a lack of budget from an outage.
    pub api_answered: Option<Timestamp>,
    /// When this program started: what went overdue while it was down is asked for once more first.
    pub up_since: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// The call of which a row is a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// Not in the store.
    Missing,
    /// In the store, not counted yet.
    Waiting,
    /// Counted under these labels, or silent.
    Settled(Settled),
    /// In the store, not live.
    NotLive,
}

/// What a call asks of the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing.
    Nothing,
    /// Its number is on no list of ExoPhones that was read since the call was first seen.
    ExoPhones,
}

/// Brings bookkeeping and totals up to date after a merge, or when a task of the call is due.
///
/// `before` is the record as it was stored, none for a new one; `root` is looked at only for rows with a
/// parent. Gives whether the list of ExoPhones should be read again because the number is on none.
pub fn settle(
    account: AccountId,
    before: Option<&CallRecord>,
    record: &mut CallRecord,
    root: Root,
    rules: &Rules,
    around: &Surroundings<'_>,
    deltas: &mut Deltas,
) -> Wanted {
    let mut wanted = Wanted::Nothing;
    if record.book.live {
        let newly = record.book.settled.is_none();
        if newly {
            wanted = try_settle(account, record, root, rules, around, deltas);
        } else if let Some(before) = before {
            amounts::after_settling(account, before, record, rules, deltas);
        }
        amounts::count_details(account, before, record, deltas);
        callbacks::follow(account, newly, record, rules, around.now, deltas);
    }
    record.book.agenda = agenda::agenda(record, root, rules, around);
    wanted
}

/// Whether leg details decide the outcome.
pub fn needs_details(call: &Observation) -> bool {
    call.status == Status::Completed || call.direction == Some(Direction::Inbound)
}

fn try_settle(
    account: AccountId,
    record: &mut CallRecord,
    root: Root,
    rules: &Rules,
    around: &Surroundings<'_>,
    deltas: &mut Deltas,
) -> Wanted {
    if record.call.leg_of().is_some() {
        match root {
            Root::Settled(root) => {
                amounts::settle_leg(account, record, root, around.now, deltas);
                return Wanted::Nothing;
            }
            Root::NotLive => {
                record.book.settled = Some(silent(record, around.now));
                return Wanted::Nothing;
            }
            Root::Waiting => return Wanted::Nothing,
            Root::Missing if around.now < orphaned_at(record, rules) => return Wanted::Nothing,
            Root::Missing => {}
        }
    }
    let place = around.directory.place(record.call.exophone.as_deref(), record.book.first_seen, around.now);
    // Asked for as soon as the number is seen, so that the call does not wait for the list in the end.
    let wanted = if place == Place::NotYet { Wanted::ExoPhones } else { Wanted::Nothing };
    if !record.call.is_over() || around.now < sip_hold(record, rules) {
        return wanted;
    }
    if !is_complete(record) && !deadline_reached(record, rules, around) {
        return wanted;
    }
    if let Place::Counts(exophone) = place {
        if needs_details(&record.call) && record.book.details == DetailsState::Missing {
            record.book.details = if record.book.details_tries >= MAX_DETAILS_TRIES {
                DetailsState::Failed
            } else {
                DetailsState::Skipped
            };
        }
        amounts::settle_root(account, record, exophone, rules, around.now, deltas);
    }
    wanted
}

/// Everything that will ever be known is known.
fn is_complete(record: &CallRecord) -> bool {
    let call = &record.call;
    if awaits_last_look(record) {
        return false;
    }
    let duration_known = call.end.is_some() && call.known_duration().is_some();
    let price_known = call.price.is_some() || call.status != Status::Completed;
    let details_known =
        !needs_details(call) || record.book.details.is_known() || record.book.details == DetailsState::Failed;
    duration_known && price_known && details_known
}

/// The call's end, else the first time we heard that it is over, else the first time we heard of it.
fn ended(record: &CallRecord, rules: &Rules) -> Timestamp {
    record
        .call
        .end
        .map(|end| end.to_timestamp(rules.offset))
        .or(record.book.over_seen)
        .unwrap_or(record.book.first_seen)
}

/// The same, for what waits on it: an end far in the future is Exotel's mistake or a wrong offset, and
/// must not hold a call for ever.
fn credible_end(record: &CallRecord, rules: &Rules) -> Timestamp {
    ended(record, rules).min(record.book.first_seen.plus(rules.lookback))
}

fn deadline(record: &CallRecord, rules: &Rules) -> Timestamp {
    credible_end(record, rules).max(record.book.first_seen).plus(rules.settle_after)
}

/// The status of an agent's app may change up to 15 minutes after the end: half of `settle_after`.
fn sip_hold(record: &CallRecord, rules: &Rules) -> Timestamp {
    if !record.call.has_sip_leg() {
        return Timestamp(i64::MIN);
    }
    credible_end(record, rules).plus(rules.settle_after / 2)
}

/// Whether what was read of an agent's app may have changed since.
fn awaits_last_look(record: &CallRecord) -> bool {
    record.call.has_sip_leg() && !record.book.read_final
}

/// Notes that v1 has just told of the call, whether it said anything new or not; gives whether that is the
/// last look which a call with an agent's app waits for.
pub fn note_reading(record: &mut CallRecord, rules: &Rules, now: Timestamp) -> bool {
    let is_last = record.book.live
        && record.book.settled.is_none()
        && record.call.is_over()
        && awaits_last_look(record)
        && now >= sip_hold(record, rules);
    record.book.read_final |= is_last;
    is_last
}

/// When a leg whose root was not found counts as a call of its own: the look-back after its creation.
/// One that was first read when that had passed already was read from a backlog, in which its root may
/// come hours later.
fn orphaned_at(record: &CallRecord, rules: &Rules) -> Timestamp {
    let by_creation = record.call.created.to_timestamp(rules.offset).plus(rules.lookback);
    let seen = record.book.first_seen;
    if seen < by_creation {
        by_creation.max(seen.plus(rules.settle_after))
    } else {
        seen.plus(rules.lookback)
    }
}

/// From when on leg details are asked for: a little after the end, of a leg when it is known to have no
/// root, or when the agenda says after a request in vain or an outage.
fn details_due(record: &CallRecord, rules: &Rules) -> Timestamp {
    let own = if record.call.leg_of().is_some() { orphaned_at(record, rules) } else { Timestamp(i64::MIN) };
    let planned = record.book.agenda.iter().filter(|(task, _)| task.is_details()).map(|(_, due)| *due).max();
    credible_end(record, rules)
        .plus(rules.settle_after / 15)
        .max(sip_hold(record, rules))
        .max(record.book.first_seen)
        .max(own)
        .max(planned.unwrap_or(Timestamp(i64::MIN)))
}

/// Whether leg details are still to be asked for.
fn waits_for_details(record: &CallRecord) -> bool {
    needs_details(&record.call)
        && record.book.details == DetailsState::Missing
        && record.book.details_tries < MAX_DETAILS_TRIES
}

/// An answer to anybody at this time or later shows that the budget does not reach for the details: Exotel
/// answers, and has for a while. It is twice the time between two looks at a call that an outage holds, so
/// that between the end of the outage and the verdict there is the time of one look to ask.
fn details_refused(record: &CallRecord, rules: &Rules) -> Timestamp {
    details_due(record, rules).plus(rules.part(5))
}

/// When a call that is not complete counts as it is: at its deadline, but not before this program has been
/// up long enough to ask for what the last one had no time for.
fn time_is_up(record: &CallRecord, rules: &Rules, around: &Surroundings<'_>) -> Timestamp {
    deadline(record, rules).max(around.up_since.plus(rules.part(6)))
}

/// Whether a call that is not complete counts now: its time is up, and its details are known, were asked
/// for in vain, or were refused by the budget. While Exotel answers nothing at all it waits.
fn deadline_reached(record: &CallRecord, rules: &Rules, around: &Surroundings<'_>) -> bool {
    around.now >= time_is_up(record, rules, around)
        && (!waits_for_details(record)
            || around.api_answered.is_some_and(|t| t >= details_refused(record, rules)))
}

/// A request for leg details that brought none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InVain {
    /// Exotel answered, and the answer has no final details.
    Answered,
    /// Exotel did not answer.
    Unanswered,
}

/// Notes a request for leg details in vain; the next one waits a little. While Exotel answers nothing at
/// all no try is used up: that is an outage, and the call waits for its end.
pub fn details_in_vain(record: &mut CallRecord, why: InVain, rules: &Rules, around: &Surroundings<'_>) {
    let due = details_due(record, rules);
    if why == InVain::Answered || around.api_answered.is_some_and(|t| t >= due) {
        record.book.details_tries = record.book.details_tries.saturating_add(1);
    }
    let next = around.now.plus(rules.part(10));
    for (_, due) in record.book.agenda.iter_mut().filter(|(task, _)| task.is_details()) {
        *due = next.max(*due);
    }
}

/// Whether a task of the call is due that needs nobody's answer.
pub fn is_due(record: &CallRecord, now: Timestamp) -> bool {
    record
        .book
        .agenda
        .iter()
        .any(|(task, due)| matches!(task, Task::Settle | Task::Child | Task::Callback) && *due <= now)
}
