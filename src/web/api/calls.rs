//! Calls: a list with filters, one call, one asked for anew, sums by hour or day.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Shared;
use super::ask::{Ask, DAY, bad, unknown_call};
use super::desk::{CallFilter, CallsWanted, Who};
use super::figures::{money, ratio};
use super::numbers::Numbers;
use super::schema::{Counts, Schema, Time};
use crate::model::series::COUNTED_STATUSES;
use crate::model::{
    Awaited, CallRecord, Direction, HourTotals, Outcome, SettledKind, Status, Timestamp, WallTime,
    last_ten_digits, outcome,
};
use crate::web::access::Refusal;

/// Words of `status`.
pub(super) fn statuses() -> Vec<&'static str> {
    Status::ALL.iter().map(|status| status.as_str()).collect()
}

/// Words of `direction`.
pub(super) fn directions() -> Vec<&'static str> {
    Direction::ALL.iter().map(|direction| direction.as_str()).collect()
}

/// Words of `outcome`.
pub(super) fn outcomes() -> Vec<&'static str> {
    Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect()
}

/// Words of `by`.
pub(super) fn units() -> Vec<&'static str> {
    vec!["hour", "day"]
}

/// The last second that calls are filed under, but for a day that offsets need.
const END: Timestamp = Timestamp(u32::MAX as i64 - DAY);

answer! {
    /// One leg of a call.
    Leg {
        /// Its result; null for one that was never dialled.
        status: Option<&'static str>,
        /// Seconds on call.
        seconds: Option<u64>,
    }
}

answer! {
    /// What callbacks said of a call.
    Heard {
        /// When the first came.
        first: Time,
        /// When the last came that said something new.
        last: Time,
        /// When the first final one came; null if none did.
        ended: Option<Time>,
        /// Final status by callbacks.
        status: Option<&'static str>,
        /// Whether a final callback was expected and came in time: no (none is expected), waiting, came or
        /// missed.
        awaited: &'static str,
    }
}

answer! {
    /// A call.
    Call {
        /// Exotel's id of it.
        sid: String,
        /// The call of which this one is a leg.
        parent_sid: Option<String>,
        /// Start of the call: Exotel's DateCreated.
        created: Time,
        /// Start, where Exotel gives one of its own.
        start: Option<Time>,
        /// End.
        end: Option<Time>,
        /// Last change on Exotel's side.
        updated: Option<Time>,
        /// completed, failed, busy, no-answer, canceled, queued, ringing, in-progress or other.
        status: &'static str,
        /// inbound, outbound-dial, outbound-api or other.
        direction: Option<&'static str>,
        /// What became of it; null while it is not over, and of a leg.
        outcome: Option<&'static str>,
        /// Calling number, as privacy.phone_numbers says unless it is the account's own.
        from: Option<String>,
        /// Called number, as privacy.phone_numbers says unless it is the account's own.
        to: Option<String>,
        /// The account's own number in the call, as privacy.phone_numbers says where it is none of them.
        exophone: Option<String>,
        /// Whole call in seconds.
        duration: Option<u64>,
        /// Seconds both parties spoke.
        conversation: Option<u64>,
        /// Price.
        price: Option<f64>,
        /// Currency of the price.
        currency: String,
        /// human, machine, notsure, na or other.
        answered_by: Option<&'static str>,
        /// Legs as far as they are known.
        legs: Vec<Leg>,
        /// The customer's own text; null unless privacy.phone_numbers is plain.
        custom_field: Option<String>,
        /// Where the recording is; null unless privacy.phone_numbers is plain.
        recording_url: Option<String>,
        /// Whether it counts in the metrics: false of history.
        live: bool,
        /// When it was counted; null while it is not.
        counted_at: Option<Time>,
        /// When it was first heard of.
        first_seen: Time,
        /// What callbacks said; null if none came.
        callbacks: Option<Heard>,
    }
}

/// A call, and which version of Exotel's API told of it.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Refreshed {
    #[serde(flatten)]
    call: Call,
    api_version: &'static str,
}

impl Schema for Refreshed {
    fn schema() -> Value {
        let mut schema = Call::schema();
        schema["properties"]["apiVersion"] = json!({
            "type": "string",
            "enum": ["v1", "v2", "v3"],
            "description": "Version of Exotel's API that answered.",
        });
        if let Some(required) = schema["required"].as_array_mut() {
            required.push("apiVersion".into());
        }
        schema
    }
}

answer! {
    /// Calls, newest first.
    Page {
        /// The calls. With filters there may be fewer than asked for although more follow.
        calls: Vec<Call>,
        /// What to give as cursor for those that follow; null at the end.
        next_cursor: Option<String>,
    }
}

answer! {
    /// Calls that began in one hour or on one day of the account.
    Bucket {
        /// When it begins.
        start: Time,
        /// Calls.
        calls: u64,
        /// Answered of all calls, from 0 to 1; null of none.
        answer_ratio: Option<f64>,
        /// Calls by status.
        statuses: Counts,
        /// Calls by outcome.
        outcomes: Counts,
        /// Calls by direction.
        directions: Counts,
        /// Call seconds.
        seconds: i64,
        /// Conversation seconds.
        conversation_seconds: i64,
        /// Cost, legs included.
        cost: f64,
        /// Calls of them that are history and in no counter.
        history: u64,
    }
}

answer! {
    /// Calls by hour or day of their start, in the account's offset. What is not counted yet is left out.
    Stats {
        /// hour or day.
        by: &'static str,
        /// Offset of hours and days.
        utc_offset: String,
        /// Currency of the cost.
        currency: String,
        /// Hours or days with calls, oldest first.
        buckets: Vec<Bucket>,
    }
}

/// What became of a call, where that can be said: as it was counted, else by what is known of it.
pub(super) fn outcome_of(record: &CallRecord) -> Option<Outcome> {
    match &record.book.settled {
        Some(settled) if settled.kind == SettledKind::Root => Some(settled.outcome),
        Some(settled) if settled.kind == SettledKind::Child => None,
        _ if record.call.leg_of().is_some() || !record.call.is_over() => None,
        _ => Some(outcome(&record.call, record.book.details.is_known())),
    }
}

impl CallFilter {
    /// Whether a call is wanted.
    pub fn fits(&self, record: &CallRecord) -> bool {
        self.status.is_none_or(|status| record.call.status == status)
            && self.direction.is_none_or(|direction| record.call.direction == Some(direction))
            && self.outcome.is_none_or(|outcome| outcome_of(record) == Some(outcome))
            && self.exophone.is_none_or(|digits| {
                record.call.exophone.as_deref().and_then(last_ten_digits) == Some(digits)
            })
    }
}

impl Call {
    /// How a call is shown.
    pub(super) fn new(record: CallRecord, who: &Who, numbers: &Numbers) -> Self {
        let outcome = outcome_of(&record);
        let CallRecord { call, book } = record;
        let wall = |at: WallTime| Time(at.to_timestamp(who.offset));
        // Our own numbers are no secret, on whichever side of the call one stands. Where Exotel puts somebody
        // else's as ours, that is shown as any other.
        let is_own = |number: &str| last_ten_digits(number).is_some_and(|ten| who.own_numbers.contains(&ten));
        let shown = |number: Option<String>| {
            number.map(|number| if is_own(&number) { number } else { numbers.show(&number) })
        };
        let plain = |text: Option<String>| text.filter(|_| numbers.are_plain());
        let legs = call.details.map(|details| {
            let leg = |status: Option<crate::model::LegStatus>, seconds: Option<u32>| Leg {
                status: status.map(crate::model::LegStatus::as_str),
                seconds: seconds.map(u64::from),
            };
            vec![leg(details.leg1, details.leg1_seconds), leg(details.leg2, details.leg2_seconds)]
        });
        let callbacks = book.heard.as_deref().map(|heard| Heard {
            first: Time(heard.first),
            last: Time(heard.last),
            ended: heard.end.map(|end| Time(end.at)),
            status: heard.end.and_then(|end| end.status).map(Status::as_str),
            awaited: match book.awaited {
                Awaited::No => "no",
                Awaited::Yes => "waiting",
                Awaited::Came => "came",
                Awaited::Missed => "missed",
            },
        });
        Self {
            parent_sid: call.parent.as_ref().map(ToString::to_string),
            sid: call.sid.to_string(),
            created: wall(call.created),
            start: call.start.map(wall),
            end: call.end.map(wall),
            updated: call.updated.map(wall),
            status: call.status.as_str(),
            direction: call.direction.map(Direction::as_str),
            outcome: outcome.map(Outcome::as_str),
            from: shown(call.from),
            to: shown(call.to),
            exophone: shown(call.exophone),
            duration: call.duration.map(u64::from),
            conversation: call.details.and_then(|details| details.conversation).map(u64::from),
            price: call.price.map(money),
            currency: who.currency.clone(),
            answered_by: call.answered_by.map(crate::model::AnsweredBy::as_str),
            legs: legs.unwrap_or_default(),
            custom_field: plain(call.custom_field),
            recording_url: plain(call.recording_url),
            live: book.live,
            counted_at: book.settled.map(|settled| Time(settled.at)),
            first_seen: Time(book.first_seen),
            callbacks,
        }
    }
}

/// Calls of a range that fit, newest first.
pub(super) async fn list(State(shared): State<Shared>, ask: Ask) -> Result<Json<Page>, Refusal> {
    const LIST: &str = "calls";
    // Exotel's clock may be ahead of ours: without an end there is none.
    let range = ask.range(("from", "to"), END, i64::MAX)?;
    let below = ask.below(LIST)?;
    let word = |name: &str| ask.text(name);
    let exophone = match word("exophone") {
        None => None,
        Some(number) => Some(shared.desk.exophone_digits(ask.who.account, number).ok_or_else(|| {
            bad("parameter_invalid", "The parameter exophone cannot be read.").with_detail(
                "expected a number with at least ten digits, or the label of one of the account's",
            )
        })?),
    };
    let filter = CallFilter {
        status: word("status").map(Status::from_word),
        direction: word("direction").map(Direction::from_word),
        outcome: word("outcome").and_then(|word| Outcome::ALL.iter().copied().find(|o| o.as_str() == word)),
        exophone,
    };
    let wanted = CallsWanted { range, below, filter, limit: ask.limit(100) };
    let found = shared.desk.calls(ask.who.account, wanted).await?;
    let numbers = shared.manner.numbers();
    let calls = found.calls.into_iter().map(|record| Call::new(record, &ask.who, &numbers));
    Ok(Json(Page { calls: calls.collect(), next_cursor: ask.cursor(LIST, found.next) }))
}

/// One call as the store knows it.
pub(super) async fn one(State(shared): State<Shared>, ask: Ask) -> Result<Json<Call>, Refusal> {
    let record = shared.desk.call(ask.who.account, ask.sid()?).await?.ok_or_else(unknown_call)?;
    Ok(Json(Call::new(record, &ask.who, &shared.manner.numbers())))
}

/// One call, asked for at Exotel first.
pub(super) async fn refresh(State(shared): State<Shared>, ask: Ask) -> Result<Json<Refreshed>, Refusal> {
    let refreshed = shared.desk.refresh(ask.who.account, ask.sid()?).await?.ok_or_else(unknown_call)?;
    let call = Call::new(refreshed.record, &ask.who, &shared.manner.numbers());
    Ok(Json(Refreshed { call, api_version: refreshed.api_version }))
}

/// Calls by hour or day.
pub(super) async fn stats(State(shared): State<Shared>, ask: Ask) -> Result<Json<Stats>, Refusal> {
    let (by, hours, length) = match ask.text("by") {
        Some("day") => ("day", 24, 30 * DAY),
        _ => ("hour", 1, DAY),
    };
    let (from, to) = ask.range(("from", "to"), shared.desk.now(), length)?;
    let clamp = |hours: i64| u32::try_from(hours.max(0)).unwrap_or(u32::MAX);
    let unit = |at: u32| at / hours * hours;
    // Hours that begin in the range; of the first day all.
    let seconds = [from, to].map(|at| at.to_wall(ask.who.offset).0);
    let begun = if hours == 1 {
        (seconds[0].saturating_add(3599)).div_euclid(3600)
    } else {
        seconds[0].div_euclid(3600)
    };
    let (first, last) = (unit(clamp(begun)), clamp(seconds[1].saturating_add(3599).div_euclid(3600)));
    let rows = shared.desk.hours(ask.who.account, (first, last)).await?;
    let start = |hour: u32| Time(WallTime(i64::from(hour) * 3600).to_timestamp(ask.who.offset));
    // They come in order of time.
    let buckets = rows
        .chunk_by(|(a, ..), (b, ..)| unit(*a) == unit(*b))
        .map(|rows| bucket(start(unit(rows[0].0)), rows));
    Ok(Json(Stats {
        by,
        utc_offset: ask.who.offset.to_string(),
        currency: ask.who.currency.clone(),
        buckets: buckets.collect(),
    }))
}

fn bucket(start: Time, rows: &[(u32, Direction, HourTotals)]) -> Bucket {
    let mut all = HourTotals::default();
    let mut directions = [0; Direction::ALL.len()];
    for (_, direction, totals) in rows {
        all.apply(totals, 1);
        let place = Direction::ALL.iter().position(|one| one == direction);
        directions[place.expect("every direction is among all")] += totals.calls();
    }
    let positive = |n: i64| u64::try_from(n).unwrap_or(0);
    let answered = all.outcomes[usize::from(Outcome::Answered.code())];
    Bucket {
        start,
        calls: positive(all.calls()),
        answer_ratio: ratio(positive(answered), positive(all.calls())),
        statuses: Counts::of(COUNTED_STATUSES.iter().map(|status| status.as_str()), &all.statuses),
        outcomes: Counts::of(Outcome::ALL.iter().map(|outcome| outcome.as_str()), &all.outcomes),
        directions: Counts::of(Direction::ALL.iter().map(|direction| direction.as_str()), &directions),
        seconds: all.seconds,
        conversation_seconds: all.conversation,
        cost: money(all.cost),
        history: positive(all.history),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use super::*;
    use crate::model::{AccountId, Book, Observation, Sid, UtcOffset};

    #[test]
    fn the_accounts_own_number_is_shown_on_either_side_and_others_are_not() {
        let who = Who {
            account: AccountId(0),
            sid: "acme1".to_owned(),
            offset: UtcOffset(19_800),
            currency: "INR".to_owned(),
            own_numbers: Arc::new(HashSet::from([8_000_000_011])),
        };
        let (ours, theirs) = ("08000000011", "09876543210");
        let at = Timestamp(1_772_457_400);
        let between = |from: &str, to: &str, exophone: &str| {
            let sid = Sid::parse("c1").expect("a sid");
            let mut call = Observation::new(sid, WallTime(at.0), Status::Completed);
            (call.from, call.to) = (Some(from.to_owned()), Some(to.to_owned()));
            call.exophone = Some(exophone.to_owned());
            CallRecord { call, book: Book::new(at) }
        };
        for numbers in [Numbers::Masked, Numbers::hashed(b"key"), Numbers::Plain] {
            let theirs_shown = numbers.show(theirs);
            let inbound = Call::new(between(theirs, ours, ours), &who, &numbers);
            assert_eq!(inbound.from.as_ref(), Some(&theirs_shown), "{numbers:?}");
            assert_eq!((inbound.to.as_deref(), inbound.exophone.as_deref()), (Some(ours), Some(ours)));
            let outbound = Call::new(between("+918000000011", theirs, theirs), &who, &numbers);
            assert_eq!(outbound.from.as_deref(), Some("+918000000011"), "however it is written");
            assert_eq!(
                (outbound.to.as_ref(), outbound.exophone.as_ref()),
                (Some(&theirs_shown), Some(&theirs_shown))
            );
        }
    }
}
