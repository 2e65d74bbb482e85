//! When a call counts, as what, and what is still to be done about it.
//!
//! Pure: takes a merged record and the time, gives the record with its bookkeeping brought up to date
//! and the [`Deltas`] to the totals. The rules are those of `docs/counting.md`.

use std::collections::BTreeMap;

use crate::model::series::{COUNTED_STATUSES, CorrectedField, DetailsResult, SUM, Seen, status_code};
use crate::model::{
    AccountId, CallRecord, DetailsState, Direction, Directory, ExoPhoneId, Family, LegStatus, Micros,
    Observation, Outcome, Place, Series, Settled, SettledKind, Status, Task, Timestamp, UtcOffset,
};
use crate::reconcile::{has_sip_leg, is_over};

/// Times a call is asked for again by Sid before it counts as it is.
const MAX_ASKS: u8 = 5;
/// Details requests without an answer after which a call counts without them.
const MAX_DETAILS_TRIES: u8 = 3;
/// When a settled call's missing price is asked for, in units of `settle_after`: 30 m, 2 h, 8 h, 1 d,
/// 3 d and 7 d with the default.
const PRICE_ASKS: [i64; 6] = [1, 4, 16, 48, 144, 336];

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
}

/// What is known beside the call itself.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The account's numbers.
    pub directory: &'a Directory,
    /// When Exotel last answered a request of this account with anything but a failure of its own:
    /// tells a lack of budget from an outage.
    pub api_answered: Option<Timestamp>,
    /// Whether leg details are fetched at all for this account.
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

/// Additions to the persisted totals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deltas(pub BTreeMap<Series, u64>);

impl Deltas {
    /// Adds to one number; zero is not noted.
    pub fn add(&mut self, series: Series, amount: u64) {
        if amount > 0 {
            *self.0.entry(series).or_default() += amount;
        }
    }

    /// Adds one observation to a histogram.
    pub fn observe(&mut self, account: AccountId, family: Family, a: u8, seconds: u64) {
        let edges = family.edges().unwrap_or(&[]);
        let bucket = edges.iter().position(|e| seconds <= u64::from(*e)).unwrap_or(edges.len());
        self.add(Series::new(account, family, a, bucket as u8), 1);
        self.add(Series::new(account, family, a, SUM), seconds);
    }
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
        if record.book.settled.is_none() {
            wanted = try_settle(account, record, root, rules, around, deltas);
        } else if let Some(before) = before {
            after_settling(account, before, record, rules, deltas);
        }
        count_details(account, before, record, deltas);
    }
    record.book.agenda = agenda(record, rules, around);
    wanted
}

/// What a call asks of the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing.
    Nothing,
    /// Its number is on no list of ExoPhones that was read since the call was first seen.
    ExoPhones,
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
    if record.call.parent.is_some() {
        match root {
            Root::Settled(root) => {
                settle_child(account, record, root, around.now, deltas);
                return Wanted::Nothing;
            }
            Root::NotLive => {
                record.book.settled = Some(silent(record, around.now));
                return Wanted::Nothing;
            }
            Root::Waiting => return Wanted::Nothing,
            Root::Missing if around.now < lookback_end(record, rules) => return Wanted::Nothing,
            Root::Missing => {}
        }
    }
    if !is_over(&record.call) || around.now < sip_hold(record, rules) {
        return Wanted::Nothing;
    }
    if !is_complete(record) && !deadline_reached(record, rules, around) {
        return Wanted::Nothing;
    }
    match around.directory.place(record.call.exophone.as_deref(), record.book.first_seen, around.now) {
        Place::Counts(exophone) => {
            if needs_details(&record.call) && record.book.details == DetailsState::Missing {
                record.book.details = if record.book.details_tries >= MAX_DETAILS_TRIES {
                    DetailsState::Failed
                } else {
                    DetailsState::Skipped
                };
            }
            settle_root(account, record, exophone, rules, around.now, deltas);
            Wanted::Nothing
        }
        Place::From(..) => Wanted::Nothing,
        Place::NotYet => Wanted::ExoPhones,
    }
}

/// Everything that will ever be known is known.
fn is_complete(record: &CallRecord) -> bool {
    let call = &record.call;
    let duration_known = match (call.duration, call.start, call.end) {
        (Some(0), Some(start), Some(end)) => end <= start,
        (Some(_), _, Some(_)) => true,
        _ => false,
    };
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

fn deadline(record: &CallRecord, rules: &Rules) -> Timestamp {
    // An end far in the future is Exotel's mistake or a wrong offset; it must not hold a call for ever.
    let end = ended(record, rules).min(record.book.first_seen.plus(rules.lookback));
    end.max(record.book.first_seen).plus(rules.settle_after)
}

/// The status of an agent's app may change up to 15 minutes after the end: half of `settle_after`.
fn sip_hold(record: &CallRecord, rules: &Rules) -> Timestamp {
    if !has_sip_leg(&record.call) {
        return Timestamp(i64::MIN);
    }
    let end = ended(record, rules).min(record.book.first_seen.plus(rules.lookback));
    end.plus(rules.settle_after / 2)
}

fn lookback_end(record: &CallRecord, rules: &Rules) -> Timestamp {
    record.call.created.to_timestamp(rules.offset).plus(rules.lookback)
}

/// Whether a call that is not complete counts now: its time is up, and details were answered, or refused
/// for lack of budget. While Exotel answers nothing at all it waits.
fn deadline_reached(record: &CallRecord, rules: &Rules, around: &Surroundings<'_>) -> bool {
    if around.now < deadline(record, rules) {
        return false;
    }
    if !needs_details(&record.call) || record.book.details != DetailsState::Missing {
        return true;
    }
    let due = details_due(record, rules);
    record.book.details_tries >= MAX_DETAILS_TRIES || around.api_answered.is_some_and(|t| t >= due)
}

fn details_due(record: &CallRecord, rules: &Rules) -> Timestamp {
    let end = ended(record, rules).min(record.book.first_seen.plus(rules.lookback));
    end.plus(rules.settle_after / 15)
        .max(sip_hold(record, rules))
        .max(record.book.first_seen)
        .plus(i64::from(record.book.details_tries) * (rules.settle_after / 10).max(1))
}

fn direction(call: &Observation) -> Direction {
    call.direction.unwrap_or(Direction::Other)
}

/// A price that can be counted: Exotel's prices are never negative.
fn price(call: &Observation) -> Option<Micros> {
    call.price.filter(|p| *p >= 0)
}

fn settle_root(
    account: AccountId,
    record: &mut CallRecord,
    exophone: ExoPhoneId,
    rules: &Rules,
    now: Timestamp,
    deltas: &mut Deltas,
) {
    let call = &record.call;
    let direction = direction(call);
    let outcome = outcome(call, record.book.details.is_known());
    let settled = Settled {
        at: now,
        kind: SettledKind::Root,
        exophone,
        direction,
        status: COUNTED_STATUSES.into_iter().find(|s| *s == call.status).unwrap_or(Status::Other),
        outcome,
        seconds: call.duration.unwrap_or(0),
        cost: price(call).unwrap_or(0),
        conversation: None,
    };
    let series = |family, b| Series { account, family, exophone, a: direction.code(), b };
    deltas.add(series(Family::Calls, status_code(call.status)), 1);
    deltas.add(series(Family::Outcomes, outcome.code()), 1);
    deltas.add(series(Family::Seconds, 0), u64::from(settled.seconds));
    deltas.add(series(Family::Cost, 0), settled.cost.unsigned_abs());
    if record.book.details.is_known()
        && let Some(details) = call.details
    {
        for (leg, status) in [(1, details.leg1), (2, details.leg2)] {
            if let Some(status) = status {
                deltas.add(Series::new(account, Family::Legs, leg, status.code()), 1);
            }
        }
    }
    let seen = match (record.book.by_api, record.book.by_webhook) {
        (true, true) => Seen::Both,
        (false, true) => Seen::Webhook,
        _ => Seen::Api,
    };
    deltas.add(Series::new(account, Family::Reconciled, seen.code(), 0), 1);
    let delay = (now - ended(record, rules)).max(0);
    deltas.observe(account, Family::SettleDelay, 0, delay.unsigned_abs());
    record.book.settled = Some(settled);
    count_conversation(account, record, rules, deltas);
}

/// Talk, its histogram, short and setup move once, together, when the talk is first known.
fn count_conversation(account: AccountId, record: &mut CallRecord, rules: &Rules, deltas: &mut Deltas) {
    let call = &record.call;
    let (Some(settled), true) = (record.book.settled.as_mut(), record.book.details.is_known()) else {
        return;
    };
    let Some(talk) = call.details.and_then(|d| d.conversation) else { return };
    settled.conversation = Some(talk);
    let a = settled.direction.code();
    let of_number = |family| Series { account, family, exophone: settled.exophone, a, b: 0 };
    deltas.add(of_number(Family::ConversationSeconds), u64::from(talk));
    if outcome(call, true) == Outcome::Answered {
        deltas.observe(account, Family::ConversationDuration, a, u64::from(talk));
        if talk < rules.short_call {
            deltas.add(of_number(Family::Short), 1);
        }
        if let Some(duration) = call.duration {
            deltas.observe(account, Family::SetupDuration, a, u64::from(duration.saturating_sub(talk)));
        }
    }
}

fn settle_child(
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
    deltas.add(
        Series { account, family: Family::Cost, exophone: root.exophone, a: root.direction.code(), b: 0 },
        cost.unsigned_abs(),
    );
    record.book.settled =
        Some(Settled { at: now, kind: SettledKind::Child, seconds: 0, cost, conversation: None, ..root });
}

fn silent(record: &CallRecord, now: Timestamp) -> Settled {
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

/// What Exotel changed about a call that was counted already.
fn after_settling(
    account: AccountId,
    before: &CallRecord,
    record: &mut CallRecord,
    rules: &Rules,
    deltas: &mut Deltas,
) {
    let Some(mut settled) = record.book.settled else { return };
    if settled.kind == SettledKind::Silent {
        return;
    }
    let correct = |deltas: &mut Deltas, field: CorrectedField| {
        deltas.add(Series::new(account, Family::Corrections, field.code(), 0), 1);
    };
    let number =
        |family| Series { account, family, exophone: settled.exophone, a: settled.direction.code(), b: 0 };
    if let Some(price) = price(&record.call) {
        match price - settled.cost {
            more if more > 0 => deltas.add(number(Family::Cost), more.unsigned_abs()),
            less if less < 0 => {
                correct(deltas, CorrectedField::Price);
                deltas.add(Series::new(account, Family::Refunds, 0, 0), less.unsigned_abs());
            }
            _ => {}
        }
        settled.cost = price;
    }
    if settled.kind == SettledKind::Root {
        if let Some(duration) = record.call.duration {
            if duration > settled.seconds {
                deltas.add(number(Family::Seconds), u64::from(duration - settled.seconds));
                settled.seconds = duration;
            } else if before.call.duration.is_some_and(|old| duration < old) {
                correct(deltas, CorrectedField::Duration);
            }
        }
        if record.call.status != before.call.status {
            correct(deltas, CorrectedField::Status);
        }
        let legs =
            |r: &CallRecord| r.call.details.filter(|_| r.book.details.is_known()).map(|d| (d.leg1, d.leg2));
        if let (Some(old), Some(new)) = (legs(before), legs(record))
            && old != new
        {
            correct(deltas, CorrectedField::Leg);
        }
    }
    record.book.settled = Some(settled);
    if settled.kind != SettledKind::Root {
        return;
    }
    match settled.conversation {
        None => count_conversation(account, record, rules, deltas),
        Some(counted) => {
            let talk = |r: &CallRecord| r.call.details.and_then(|d| d.conversation);
            if talk(record) != talk(before) && talk(record) != Some(counted) {
                correct(deltas, CorrectedField::Conversation);
            }
        }
    }
}

/// How leg details came is counted once for each live call of its own, when that is decided.
fn count_details(account: AccountId, before: Option<&CallRecord>, record: &CallRecord, deltas: &mut Deltas) {
    let was = before.map_or(DetailsState::Missing, |b| b.book.details);
    if record.call.parent.is_some() || was == record.book.details || !needs_details(&record.call) {
        return;
    }
    let result = match record.book.details {
        DetailsState::Missing => return,
        DetailsState::Inline => DetailsResult::Inline,
        DetailsState::Fetched => DetailsResult::Fetched,
        DetailsState::Skipped => DetailsResult::Skipped,
        DetailsState::Failed => DetailsResult::Failed,
    };
    deltas.add(Series::new(account, Family::Details, result.code(), 0), 1);
}

/// What is still to be done about a call, and when.
fn agenda(record: &CallRecord, rules: &Rules, around: &Surroundings<'_>) -> Vec<(Task, Timestamp)> {
    let book = &record.book;
    let mut tasks = Vec::new();
    if !book.live {
        return tasks;
    }
    let tenth = (rules.settle_after / 10).max(1);
    let sixth = (rules.settle_after / 6).max(1);
    if let Some(settled) = book.settled {
        if settled.kind != SettledKind::Silent
            && record.call.status == Status::Completed
            && record.call.price.is_none()
            && let Some(wait) = PRICE_ASKS.get(usize::from(book.price_asks))
        {
            tasks.push((Task::Price, settled.at.plus(wait * rules.settle_after.max(1))));
        }
        return tasks;
    }
    if record.call.parent.is_some() && around.now < lookback_end(record, rules) {
        tasks.push((Task::Child, around.now.plus(tenth)));
        return tasks;
    }
    if !is_over(&record.call) {
        // Seen while it runs: asked for at 5, 10, 20 … minutes until it is over, at most 12 times.
        if book.asks < 12 {
            tasks.push((Task::Recheck, book.first_seen.plus(sixth << book.asks.min(6))));
        }
        return tasks;
    }
    let deadline = deadline(record, rules);
    let complete = is_complete(record);
    let mut settle = if complete { sip_hold(record, rules) } else { deadline.max(sip_hold(record, rules)) };
    match around.directory.place(record.call.exophone.as_deref(), book.first_seen, around.now) {
        Place::Counts(_) => {}
        Place::From(from, _) => settle = settle.max(from),
        Place::NotYet => settle = settle.max(around.now.plus((rules.settle_after / 60).max(1))),
    }
    if settle <= around.now {
        // Its time has come, yet something holds it: an outage, or a root that has not settled.
        settle = around.now.plus(tenth);
    }
    tasks.push((Task::Settle, settle));
    if !complete && book.asks < MAX_ASKS {
        let due = ended(record, rules)
            .min(book.first_seen.plus(rules.lookback))
            .max(book.first_seen)
            .plus(sixth * (i64::from(book.asks) + 1));
        if due < deadline
            && (record.call.end.is_none() || record.call.duration.is_none() || record.call.price.is_none())
        {
            tasks.push((Task::Recheck, due));
        }
    }
    if needs_details(&record.call)
        && book.details == DetailsState::Missing
        && book.details_tries < MAX_DETAILS_TRIES
        && record.call.parent.is_none()
    {
        let first =
            record.call.direction == Some(Direction::Inbound) && record.call.status == Status::Completed;
        let task = if first { Task::DetailsFirst } else { Task::Details };
        tasks.push((task, details_due(record, rules)));
    }
    tasks.sort_unstable();
    tasks
}

/// What became of a call. Rows are tried from the top; the first match counts.
///
/// `details_known` says whether leg results were given: a leg that was never dialled and a leg of which
/// we know nothing look alike otherwise.
pub fn outcome(call: &Observation, details_known: bool) -> Outcome {
    use LegStatus as Leg;
    let inbound = direction(call) == Direction::Inbound;
    if !is_over(call) {
        return Outcome::Unknown;
    }
    let details = match call.details {
        Some(details) if details_known => details,
        _ if inbound => return Outcome::Unknown,
        _ => {
            return match call.status {
                Status::NoAnswer => Outcome::NoAnswer,
                Status::Busy => Outcome::Busy,
                Status::Failed => Outcome::Failed,
                Status::Canceled => Outcome::Canceled,
                _ => Outcome::Unknown,
            };
        }
    };
    let (leg1, leg2) = (details.leg1, details.leg2);
    if !call.status.is_terminal() {
        return Outcome::Unknown;
    }
    if details.conversation.is_some_and(|s| s > 0) {
        return Outcome::Answered;
    }
    if (leg1, leg2) == (Some(Leg::Completed), Some(Leg::Completed)) {
        return Outcome::Answered;
    }
    if inbound {
        return match (leg1, leg2) {
            (Some(Leg::Completed), Some(Leg::NoAnswer | Leg::Busy | Leg::Failed)) => Outcome::Missed,
            (Some(Leg::Completed), Some(Leg::Canceled)) => Outcome::Abandoned,
            (leg1, _) if leg1 != Some(Leg::Completed) && call.status != Status::Completed => Outcome::Failed,
            (_, None) => Outcome::NotConnected,
            _ => Outcome::Unknown,
        };
    }
    match (leg1, leg2) {
        (Some(Leg::Completed), Some(Leg::NoAnswer)) => Outcome::NoAnswer,
        (Some(Leg::Completed), Some(Leg::Busy)) => Outcome::Busy,
        (Some(Leg::Completed), Some(Leg::Canceled)) => Outcome::Canceled,
        (Some(Leg::Completed), Some(Leg::Failed)) => Outcome::Failed,
        (Some(Leg::Completed), None) if call.status == Status::Completed => Outcome::NotConnected,
        (Some(Leg::NoAnswer | Leg::Busy), _) => Outcome::AgentUnanswered,
        (Some(Leg::Failed | Leg::Canceled), _) => Outcome::Failed,
        // A details block without any leg says no more than the status does.
        (None, None) => match call.status {
            Status::NoAnswer => Outcome::NoAnswer,
            Status::Busy => Outcome::Busy,
            Status::Failed => Outcome::Failed,
            Status::Canceled => Outcome::Canceled,
            _ => Outcome::Unknown,
        },
        _ => Outcome::Unknown,
    }
}
