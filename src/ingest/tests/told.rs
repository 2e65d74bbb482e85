//! Random histories of pages, answers and callbacks. Whatever callbacks say, in whatever order and however
//! often: what the API owns and what counts is as without them, and what they add is what a naive model of
//! them says.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::scenario::{Dice, Legs, Script, calls};
use super::shelf::{Place, Shelf};
use super::*;
use crate::model::callback::{CallEvent, CallReport, Taken};
use crate::model::series::{EventStatus, MismatchField};
use crate::model::{Awaited, CallRecord, Details, Direction, HourKey, LegStatus, Observation, SettledKind};
use crate::settle::Callbacks;

const MISSED_AFTER: i64 = 25 * MINUTE;

/// One callback that came.
struct Told {
    report: CallReport,
    at: Timestamp,
}

/// Everything told so far, and what follows from it by the simplest rules.
#[derive(Default)]
struct Model {
    told: BTreeMap<Sid, Vec<Told>>,
    decided: BTreeMap<Sid, bool>,
    differs: BTreeSet<(Sid, MismatchField)>,
    unconfirmed: BTreeSet<Sid>,
    settled: BTreeSet<Sid>,
    /// Settled calls that had been heard of by then.
    both: u64,
}

fn callbacks() -> Callbacks {
    let kinds = ["calls".to_owned(), "passthru".to_owned()];
    Callbacks::new(&[Direction::OutboundApi, Direction::Inbound], &kinds, MISSED_AFTER)
}

fn context(account: AccountId, directory: &Arc<Directory>, now: Timestamp) -> Context {
    Context {
        account,
        rules: Rules { callbacks: callbacks(), ..RULES },
        live_from: wall(0),
        prune_floor: WallTime(0),
        directory: Arc::clone(directory),
        api_answered: Some(now),
        up_since: Timestamp(0),
        now,
    }
}

fn report(sid: &Sid, event: CallEvent, same: u64) -> CallReport {
    CallReport {
        direction: None,
        created: None,
        start: None,
        ..CallReport::outbound(sid.clone(), WallTime(0), event, same)
    }
}

/// The callbacks of a call: for each leg that answered, at its end, steps of its flow, events of agents.
fn voice(dice: &mut Dice, script: &Script) -> Vec<CallReport> {
    let last = script.versions.last().expect("a version");
    let first = &script.versions[0];
    let sid = last.sid.clone();
    let direction = last.direction.or(Some(Direction::OutboundApi));
    let full = |event, same| CallReport {
        direction,
        created: Some(first.created),
        start: Some(first.created),
        ..report(&sid, event, same)
    };
    let legs = |leg1, leg2| Some(Details { leg1, leg2, ..Details::default() });
    let running = Some(LegStatus::InProgress);
    let mut reports = Vec::new();
    for (same, leg2) in [(1, None), (2, running)] {
        let mut answered = full(CallEvent::Answered, same);
        answered.status = Some(Status::InProgress);
        answered.details = legs(running, leg2);
        answered.updated = Some(first.created.plus(5 * same as i64));
        reports.push(answered);
    }
    let mut terminal = full(CallEvent::Terminal, 3);
    terminal.status = Some(if dice.one_in(4) { Status::Busy } else { last.status });
    terminal.duration = dice.pick(&[None, last.duration, Some(77)]);
    terminal.price = dice.pick(&[None, last.price, Some(12_345)]);
    terminal.details = dice.pick(&[None, last.details, legs(Some(LegStatus::Busy), None)]);
    reports.push(terminal.clone());
    // The short form says the same and less.
    reports.push(CallReport { status: terminal.status, ..report(&sid, CallEvent::Terminal, 4) });
    reports.push(full(CallEvent::Passthru, 5));
    reports
        .push(CallReport { details: legs(None, Some(LegStatus::NoAnswer)), ..full(CallEvent::Passthru, 6) });
    for (n, event) in
        [CallEvent::AgentDial, CallEvent::AgentRinging, CallEvent::AgentTerminal].into_iter().enumerate()
    {
        reports.push(full(event, 7 + n as u64));
    }
    reports.retain(|_| !dice.one_in(3));
    reports
}

/// Calls that no page ever names.
fn strangers(dice: &mut Dice) -> Vec<Vec<CallReport>> {
    let call = |name: &str| {
        let mut call = missed(name, 0);
        call.direction = Some(Direction::OutboundApi);
        Script { versions: vec![call], legs: Legs::Never }
    };
    ["stranger0", "stranger1"].map(|name| voice(dice, &call(name))).into()
}

/// The same history twice: with callbacks, and without. Gives the totals that it ends with.
async fn history(
    seed: u64,
    mut with: Place,
    account: AccountId,
    directory: Arc<Directory>,
) -> BTreeMap<Series, u64> {
    let dice = &mut Dice::new(seed);
    let scripts = calls(dice);
    let mut voices: Vec<Vec<CallReport>> = scripts.iter().map(|script| voice(dice, script)).collect();
    voices.extend(strangers(dice));
    let mut without = Shelf::default();
    let mut model = Model::default();
    let mut now = START;
    for round in 0..40 {
        let quiet = round >= 30;
        now = now.plus(if quiet { HOUR } else { dice.roll(20 * 60) as i64 });
        for _ in 0..dice.roll(4) {
            let context = context(account, &directory, now);
            match dice.roll(if quiet { 3 } else { 5 }) {
                0..=2 => {
                    let voice = dice.pick(&voices);
                    if voice.is_empty() {
                        continue;
                    }
                    let report = dice.pick(&voice);
                    let taken = with.run(Callback { context, report: report.clone(), received: now }).await;
                    model.hear(report, now, taken);
                }
                3 => {
                    let rows: Vec<Row> = (0..1 + dice.roll(5)).map(|_| row(dice, &scripts)).collect();
                    with.run(Page::new(context.clone(), rows.clone(), Origin::Page)).await;
                    without.run(Page::new(context, rows, Origin::Page));
                }
                _ => details(dice, &scripts, &context, &mut with, &mut without).await,
            }
            model.follow(&without, now);
            tasks(account, &directory, now, &mut with, &mut without).await;
            model.follow(&without, now);
        }
        tasks(account, &directory, now, &mut with, &mut without).await;
        model.follow(&without, now);
        confirm(dice, &scripts, &context(account, &directory, now), &mut with, &mut without, &mut model)
            .await;
        model.follow(&without, now);
        if let Place::Store(bench) = &mut with {
            bench.no_counter_falls();
            assert_eq!(
                bench.store.calls_in_progress(account, now.plus(-RULES.lookback)),
                model.in_progress(&without, now)
            );
            if dice.one_in(8) {
                bench.now = now;
                bench.reopen().await;
                assert_eq!(
                    bench.store.calls_in_progress(account, now.plus(-RULES.lookback)),
                    model.in_progress(&without, now),
                    "after a restart"
                );
            }
        }
    }
    compare(&with, &without, account).await;
    model.check(&with.totals(), account, &without);
    with.totals()
}

fn row(dice: &mut Dice, scripts: &[Script]) -> Row {
    let script = dice.pick(scripts);
    let mut call = dice.pick(&script.versions);
    if script.legs != Legs::Inline {
        call.details = None;
    }
    Row::Call(Box::new(call))
}

/// Everything that is due now, on both sides: with nobody's help but the agenda's.
async fn tasks(
    account: AccountId,
    directory: &Arc<Directory>,
    now: Timestamp,
    with: &mut Place,
    without: &mut Shelf,
) {
    for task in [Task::Settle, Task::Child, Task::Callback] {
        let tasks = || Tasks { context: context(account, directory, now), task, limit: 100 };
        for round in 0.. {
            assert!(round < 50, "tasks are due again at once");
            if with.run(tasks()).await.due + without.run(tasks()).due == 0 {
                break;
            }
        }
    }
}

/// Asks for details where they are due: the same calls on both sides.
async fn details(
    dice: &mut Dice,
    scripts: &[Script],
    context: &Context,
    with: &mut Place,
    without: &mut Shelf,
) {
    for task in [Task::DetailsFirst, Task::Details] {
        let due = without.due(task, context.now);
        assert_eq!(
            with.due(task, context.now).await.len(),
            due.len(),
            "callbacks change nothing of what is due"
        );
        for (sid, created) in due {
            let script = scripts.iter().find(|s| s.versions[0].sid == sid).expect("one of ours");
            let mut rows = Vec::new();
            if script.legs != Legs::Never && !dice.one_in(4) {
                rows.push(Row::Call(Box::new(dice.pick(&script.versions))));
            }
            let page = || {
                let mut page = Page::new(context.clone(), rows.clone(), Origin::Single);
                page.asked = Some((task, vec![(sid.clone(), created)]));
                page
            };
            with.run(page()).await;
            without.run(page());
        }
    }
}

/// Asks for calls that only callbacks named: the API knows them or does not.
async fn confirm(
    dice: &mut Dice,
    scripts: &[Script],
    context: &Context,
    with: &mut Place,
    without: &mut Shelf,
    model: &mut Model,
) {
    let due = with.due(Task::Confirm, context.now).await;
    if due.is_empty() || dice.one_in(3) {
        return;
    }
    let mut rows = Vec::new();
    for (sid, _) in &due {
        assert!(!without.calls.contains_key(sid), "what the API named is not asked for");
        if let Some(script) = scripts.iter().find(|s| s.versions[0].sid == *sid)
            && dice.one_in(2)
        {
            rows.push(Row::Call(Box::new(script.versions[0].clone())));
        } else {
            model.not_known(sid, context.now);
        }
    }
    let mut page = Page::new(context.clone(), rows.clone(), Origin::Page);
    page.asked = Some((Task::Confirm, due));
    with.run(page).await;
    without.run(Page::new(context.clone(), rows, Origin::Page));
}

/// A record without what callbacks own.
fn bare(record: &CallRecord) -> CallRecord {
    let mut record = record.clone();
    record.book.heard = None;
    record.book.awaited = Awaited::No;
    record.book.agenda.retain(|(task, _)| *task != Task::Callback);
    record
}

/// Families that only callbacks move.
fn of_callbacks(family: Family) -> bool {
    matches!(
        family,
        Family::CallEvents
            | Family::AnswerDelay
            | Family::CallbacksExpected
            | Family::CallbacksMissed
            | Family::Unconfirmed
            | Family::Reconciled
            | Family::Mismatches
    )
}

async fn compare(with: &Place, without: &Shelf, account: AccountId) {
    let of_api = |totals: BTreeMap<Series, u64>| -> BTreeMap<Series, u64> {
        totals.into_iter().filter(|(series, n)| *n > 0 && !of_callbacks(series.family)).collect()
    };
    assert_eq!(of_api(with.totals()), of_api(without.totals.0.clone().into_iter().collect()));
    for (sid, plain) in &without.calls {
        let told = match with {
            Place::Store(bench) => {
                let read = bench.store.call_at(account, SID.into(), sid.clone(), plain.call.created);
                read.await.expect("a read").expect("it is filed where it belongs")
            }
            Place::Shelf(shelf) => shelf.calls[sid].clone(),
        };
        assert_eq!(bare(&told), bare(plain));
    }
    match with {
        Place::Store(bench) => {
            let hours = without.hours.iter().filter(|(_, hour)| **hour != HourTotals::default());
            let hours: BTreeMap<(u32, u8), HourTotals> = hours
                .map(|((hour, direction), totals): (&HourKey, _)| ((*hour, direction.code()), totals.clone()))
                .collect();
            assert_eq!(bench.hours().await, hours);
            bench.check();
        }
        Place::Shelf(shelf) => {
            assert_eq!(shelf.calls.len(), without.calls.len());
            assert_eq!(shelf.hours, without.hours);
        }
    }
}

impl Model {
    fn hear(&mut self, report: CallReport, at: Timestamp, taken: Taken) {
        let told = self.told.entry(report.sid.clone()).or_default();
        let repeat = told.iter().any(|before| before.report.same == report.same);
        assert_eq!(taken, if repeat { Taken::Duplicate } else { Taken::Accepted });
        told.push(Told { report, at });
    }

    fn not_known(&mut self, sid: &Sid, now: Timestamp) {
        if now >= self.told[sid][0].at.plus(6 * HOUR) {
            self.unconfirmed.insert(sid.clone());
        }
    }

    /// Looks at every call once more.
    fn follow(&mut self, api: &Shelf, now: Timestamp) {
        for (sid, record) in &api.calls {
            let told = self.told.get(sid).map_or(&[][..], Vec::as_slice);
            let Some(settled) = record.book.settled.filter(|s| s.kind == SettledKind::Root) else { continue };
            if self.settled.insert(sid.clone()) {
                self.both += u64::from(!told.is_empty());
            }
            let terminal = told.iter().filter(|t| t.report.event == CallEvent::Terminal);
            if matches!(settled.direction, Direction::OutboundApi | Direction::Inbound)
                && !self.decided.contains_key(sid)
            {
                let inbound = settled.direction == Direction::Inbound;
                let announces = |t: &&Told| {
                    t.report.event == CallEvent::Terminal
                        || (inbound && t.report.event == CallEvent::Passthru)
                };
                let end = record.call.end.map(|end| end.to_timestamp(IST)).or(record.book.over_seen);
                let end =
                    end.expect("a counted call is over").min(record.book.first_seen.plus(RULES.lookback));
                let limit = end.plus(MISSED_AFTER);
                let came = told.iter().filter(announces).any(|t| t.at <= limit);
                if came || now >= limit {
                    self.decided.insert(sid.clone(), came);
                }
            }
            for end in terminal {
                self.differs.extend(differences(&end.report, record).map(|field| (sid.clone(), field)));
            }
        }
    }

    /// Calls in progress by direction.
    fn in_progress(&self, api: &Shelf, now: Timestamp) -> [u64; 4] {
        let mut counts = [0; 4];
        for (sid, told) in &self.told {
            let ends = |t: &Told| {
                t.report.event == CallEvent::Terminal
                    || (t.report.event == CallEvent::Passthru && t.report.details.is_some())
            };
            let record = api.calls.get(sid);
            // Of history and of legs only the inbox is counted.
            let over = record.is_some_and(|r| r.call.is_over() || !r.book.live || r.book.settled.is_some());
            if over || told.iter().any(ends) || told[0].at.0 / 60 < (now.0 - RULES.lookback) / 60 {
                continue;
            }
            let said = told.iter().find_map(|t| t.report.direction);
            let direction = record.and_then(|r| r.call.direction).or(said).unwrap_or(Direction::Other);
            counts[usize::from(direction.code())] += 1;
        }
        counts
    }

    fn check(&self, totals: &BTreeMap<Series, u64>, account: AccountId, api: &Shelf) {
        let mut sightings: BTreeMap<(CallEvent, EventStatus), u64> = BTreeMap::new();
        let mut delays: BTreeMap<(u8, u8), u64> = BTreeMap::new();
        for (sid, told) in &self.told {
            let events: BTreeSet<_> =
                told.iter().map(|t| (t.report.event, EventStatus::of(t.report.status))).collect();
            for event in events {
                *sightings.entry(event).or_default() += 1;
            }
            let answer = told.iter().find(|t| {
                t.report.event == CallEvent::Answered && t.report.details.is_some_and(|d| d.leg2.is_some())
            });
            if let Some(answer) = answer {
                let start = answer.report.start.expect("given").to_timestamp(IST);
                let said = answer.report.updated.expect("given").to_timestamp(IST);
                // The call may be dated after the callback: then its arrival counts.
                let at = if said <= answer.at { said } else { answer.at };
                let known = api.calls.get(sid).and_then(|r| r.call.direction);
                let direction = known.or(answer.report.direction).expect("given").code();
                let delay = (at - start).max(0) as u64;
                let edges = Family::AnswerDelay.edges().expect("a histogram");
                let bucket = edges.iter().filter(|edge| u64::from(**edge) < delay).count() as u8;
                *delays.entry((direction, bucket)).or_default() += 1;
                *delays.entry((direction, crate::model::series::SUM)).or_default() += delay;
            }
        }
        delays.retain(|_, n| *n > 0);
        let of = |family: Family| {
            totals.iter().filter(move |(s, n)| s.family == family && s.account == account && **n > 0)
        };
        let counted: BTreeMap<_, _> = of(Family::CallEvents)
            .map(|(s, n)| ((CallEvent::ALL[usize::from(s.a)], EventStatus::ALL[usize::from(s.b)]), *n))
            .collect();
        assert_eq!(counted, sightings);
        assert_eq!(
            of(Family::AnswerDelay).map(|(s, n)| ((s.a, s.b), *n)).collect::<BTreeMap<_, _>>(),
            delays
        );
        let sum = |family: Family| of(family).map(|(_, n)| n).sum::<u64>();
        let expected = of(Family::Calls)
            .filter(|(s, _)| [Direction::OutboundApi.code(), Direction::Inbound.code()].contains(&s.a));
        assert_eq!(sum(Family::CallbacksExpected), expected.map(|(_, n)| n).sum::<u64>());
        assert_eq!(sum(Family::CallbacksMissed), self.decided.values().filter(|came| !**came).count() as u64);
        assert_eq!(sum(Family::Unconfirmed), self.unconfirmed.len() as u64);
        let seen = |b: u8| of(Family::Reconciled).filter(|(s, _)| s.a == b).map(|(_, n)| n).sum::<u64>();
        assert_eq!((seen(1), seen(2)), (self.settled.len() as u64 - self.both, self.both));
        let mut differs: BTreeMap<u8, u64> = BTreeMap::new();
        for (_, field) in &self.differs {
            *differs.entry(field.code()).or_default() += 1;
        }
        assert_eq!(of(Family::Mismatches).map(|(s, n)| (s.a, *n)).collect::<BTreeMap<_, _>>(), differs);
    }
}

/// On what a final callback and the API differ.
fn differences(said: &CallReport, record: &CallRecord) -> impl Iterator<Item = MismatchField> {
    let call: &Observation = &record.call;
    let last = [Status::Completed, Status::Failed, Status::Busy, Status::NoAnswer, Status::Canceled];
    let status = |s: Status| last.contains(&s).then_some(s);
    let known = record.book.details.is_known();
    let ours = call.details.filter(|_| known).unwrap_or_default();
    let theirs = said.details.unwrap_or_default();
    let leg = |leg: Option<LegStatus>| leg.filter(|l| *l != LegStatus::InProgress).map(LegStatus::code);
    let number = |n: Option<u32>| n.map(i64::from);
    let pairs = [
        (
            MismatchField::Status,
            status(call.status).map(|s| s.code() as i64),
            said.status.and_then(status).map(|s| s.code() as i64),
        ),
        (MismatchField::Duration, number(call.known_duration()), number(said.duration)),
        (MismatchField::Duration, number(ours.conversation), number(theirs.conversation)),
        (MismatchField::Price, call.price, said.price),
        (MismatchField::Leg, leg(ours.leg1).map(i64::from), leg(theirs.leg1).map(i64::from)),
        (MismatchField::Leg, leg(ours.leg2).map(i64::from), leg(theirs.leg2).map(i64::from)),
    ];
    pairs.into_iter().filter(|(_, a, b)| a.is_some() && b.is_some() && a != b).map(|(field, ..)| field)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(future)
}

/// A history in maps alone.
fn on_a_shelf(seed: u64) -> BTreeMap<Series, u64> {
    let directory = Arc::new(Directory::new(&[], Some(Timestamp(i64::MAX)), 500));
    run(history(seed, Place::Shelf(Box::default()), AccountId(1), directory))
}

#[test]
fn the_histories_bring_everything_that_callbacks_can_add() {
    let mut all: BTreeMap<(Family, u8), u64> = BTreeMap::new();
    for (series, n) in (0..60).flat_map(on_a_shelf) {
        *all.entry((series.family, series.a)).or_default() += n;
    }
    let all_but = |family: Family, codes: &[u8]| {
        let missing = |code: &&u8| all.get(&(family, **code)).is_none_or(|n| *n <= 5);
        codes.iter().filter(missing).copied().collect::<Vec<u8>>()
    };
    assert_eq!(all_but(Family::Mismatches, &[0, 1, 2, 3]), [] as [u8; 0]);
    assert_eq!(all_but(Family::Reconciled, &[1, 2]), [] as [u8; 0]);
    for family in [Family::CallbacksExpected, Family::CallbacksMissed, Family::Unconfirmed] {
        assert_eq!(all_but(family, &[0]), [] as [u8; 0], "{family:?}");
    }
    let (expected, missed) = (all[&(Family::CallbacksExpected, 0)], all[&(Family::CallbacksMissed, 0)]);
    assert!(missed * 10 < expected * 9, "some came in time: {missed} of {expected} were missed");
    assert!(all.keys().any(|(family, _)| *family == Family::AnswerDelay));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn callbacks_change_nothing_that_the_api_owns_and_add_what_a_naive_model_says(seed: u64) {
        on_a_shelf(seed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn so_it_is_in_a_real_store(seed: u64) {
        run(async move {
            let bench = Bench::new().await;
            let (account, directory) = (bench.account, Arc::clone(&bench.directory));
            history(seed, Place::Store(Box::new(bench)), account, directory).await;
        });
    }
}
