//! What callbacks add to the totals: sightings, the answer delay, expected and missed ones, differences to
//! what the API says, and calls that only callbacks named.

use super::{Deltas, Rules, credible_end};
use crate::model::callback::{CallEvent, Kind};
use crate::model::series::EventStatus;
use crate::model::{
    AccountId, Answered, Awaited, CallRecord, Direction, Family, Heard, Observation, Series, SettledKind,
    Timestamp, Unlisted,
};
use crate::reconcile::mismatches;

/// When a call that only callbacks named is asked for, in units of `settle_after` after it was first heard
/// of: 1 h, 2 h and 4 h with the default. By the first of them pages have mostly brought it.
const CONFIRM_ASKS: [i64; 3] = [2, 4, 8];
/// When the answer that does not know it is believed: 6 h. Exotel's calls last 4 h at most.
const UNCONFIRMED_AFTER: i64 = 12;

/// Which calls a callback should announce, and by when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Callbacks {
    /// Bit n for the n-th direction.
    directions: u8,
    /// Whether a Passthru announces a call whose direction sends no StatusCallback.
    passthru: bool,
    /// `webhooks.missed_after` in seconds.
    missed_after: i64,
}

impl Callbacks {
    /// No call.
    pub const NONE: Self = Self { directions: 0, passthru: false, missed_after: 0 };

    /// Of these directions, as far as the kinds of webhook that are expected can announce them: `calls`
    /// announces every direction, `passthru` every one but calls of the API.
    pub fn new(directions: &[Direction], kinds: &[String], missed_after: i64) -> Self {
        let named = |kind: Kind| kinds.iter().any(|name| name == kind.as_str());
        let (calls, passthru) = (named(Kind::Calls), named(Kind::Passthru));
        let can = |direction: &&Direction| calls || (passthru && **direction != Direction::OutboundApi);
        let directions = directions.iter().filter(can).fold(0, |all, d| all | (1 << d.code()));
        Self { directions, passthru, missed_after }
    }

    /// Whether any call is expected to be announced.
    pub fn any(self) -> bool {
        self.directions != 0
    }

    /// Whether calls of this direction are.
    pub fn expects(self, direction: Direction) -> bool {
        self.directions & (1 << direction.code()) != 0
    }

    /// When a call was announced, if it was.
    fn announced(self, heard: Option<&Heard>, direction: Direction) -> Option<Timestamp> {
        let heard = heard?;
        let passthru = heard.passthru.filter(|_| self.passthru && direction != Direction::OutboundApi);
        [heard.end.map(|end| end.at), passthru].into_iter().flatten().min()
    }
}

/// Counts an event with a status that this call had not been reported with before.
pub fn count_sighting(account: AccountId, (event, status): (CallEvent, EventStatus), deltas: &mut Deltas) {
    deltas.add(Series::new(account, Family::CallEvents, event.code(), status.code()), 1);
}

/// Counts the time from the start of a call until both sides were on the line, once it is known.
pub fn count_answer(
    account: AccountId,
    heard: &mut Heard,
    call: Option<&Observation>,
    rules: &Rules,
    deltas: &mut Deltas,
) {
    let Answered::At(at) = heard.answered else { return };
    let start = heard.start.or_else(|| call.map(|call| call.start.unwrap_or(call.created)));
    let Some(start) = start else { return };
    let direction = call.and_then(|call| call.direction).or(heard.direction).unwrap_or(Direction::Other);
    let delay = (at - start.to_timestamp(rules.offset)).max(0);
    deltas.observe(account, Family::AnswerDelay, direction.code(), delay.unsigned_abs());
    heard.answered = Answered::Counted;
}

/// Follows up on a counted call: whether its callback is expected, came or was missed, and on what both
/// sides differ. Each is counted once. `newly` tells whether it was counted just now.
pub(super) fn follow(
    account: AccountId,
    newly: bool,
    record: &mut CallRecord,
    rules: &Rules,
    now: Timestamp,
    deltas: &mut Deltas,
) {
    let Some(settled) = record.book.settled.filter(|settled| settled.kind == SettledKind::Root) else {
        return;
    };
    if newly && rules.callbacks.expects(settled.direction) {
        record.book.awaited = Awaited::Yes;
        deltas.add(Series::new(account, Family::CallbacksExpected, 0, 0), 1);
    }
    if record.book.awaited == Awaited::Yes {
        let limit = limit(record, rules);
        let announced = rules.callbacks.announced(record.book.heard.as_deref(), settled.direction);
        if announced.is_some_and(|at| at <= limit) {
            record.book.awaited = Awaited::Came;
        } else if now >= limit {
            record.book.awaited = Awaited::Missed;
            deltas.add(Series::new(account, Family::CallbacksMissed, 0, 0), 1);
        }
    }
    let found = mismatches(record);
    if let Some(heard) = record.book.heard.as_deref_mut() {
        for field in found {
            if heard.differs & (1 << field.code()) == 0 {
                heard.differs |= 1 << field.code();
                deltas.add(Series::new(account, Family::Mismatches, field.code(), 0), 1);
            }
        }
    }
}

/// The same after a callback: nothing but what hangs on callbacks is looked at, so that a call counts as
/// and when it would without them.
pub fn after_callback(
    account: AccountId,
    record: &mut CallRecord,
    rules: &Rules,
    now: Timestamp,
    deltas: &mut Deltas,
) {
    follow(account, false, record, rules, now, deltas);
    if record.book.awaited != Awaited::Yes {
        record.book.agenda.retain(|(task, _)| *task != crate::model::Task::Callback);
    }
}

/// Until when a callback must have come. The end may become known better later; then this moves.
fn limit(record: &CallRecord, rules: &Rules) -> Timestamp {
    credible_end(record, rules).plus(rules.callbacks.missed_after)
}

/// When it is decided that the callback of a counted call was missed.
pub(super) fn decided(record: &CallRecord, rules: &Rules) -> Option<Timestamp> {
    (record.book.awaited == Awaited::Yes).then(|| limit(record, rules))
}

/// When the API is to be asked first for a call that a callback named now.
pub fn first_ask(first: Timestamp, rules: &Rules) -> Timestamp {
    first.plus(rules.settle_after.saturating_mul(CONFIRM_ASKS[0]))
}

/// Notes that the API was asked for a call that only callbacks named, and did not know it.
pub fn not_known(
    account: AccountId,
    call: &mut Unlisted,
    rules: &Rules,
    now: Timestamp,
    deltas: &mut Deltas,
) {
    if call.ask_at.is_none() {
        return;
    }
    let after = |units: i64| call.heard.first.plus(rules.settle_after.saturating_mul(units));
    let asks = CONFIRM_ASKS.into_iter().chain([UNCONFIRMED_AFTER]).map(after);
    call.ask_at = asks.into_iter().find(|at| *at > now);
    if call.ask_at.is_none() {
        deltas.add(Series::new(account, Family::Unconfirmed, 0, 0), 1);
    }
}
