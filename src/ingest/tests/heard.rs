//! Callbacks, case by case.

use super::*;
use crate::model::callback::{CallEvent, CallReport, Taken};
use crate::model::series::{EventStatus, Seen};
use crate::model::{Awaited, CallRecord, Direction};

/// A callback about a call that began at second 0.
fn report(name: &str, event: CallEvent, status: Option<Status>, same: u64) -> CallReport {
    CallReport { status, ..CallReport::outbound(sid(name), wall(0), event, same) }
}

fn terminal(name: &str) -> CallReport {
    report(name, CallEvent::Terminal, Some(Status::NoAnswer), 1)
}

fn answered(name: &str) -> CallReport {
    report(name, CallEvent::Answered, Some(Status::InProgress), 2)
}

impl Bench {
    /// As [`Bench::context`], for an account that expects callbacks.
    fn expecting(&self) -> Context {
        let kinds = ["calls".to_owned(), "passthru".to_owned()];
        let directions = [Direction::OutboundApi, Direction::Inbound];
        let callbacks = Callbacks::new(&directions, &kinds, 25 * MINUTE);
        Context { rules: Rules { callbacks, ..RULES }, ..self.context() }
    }

    async fn hear(&mut self, report: CallReport) -> Taken {
        let callback = Callback { context: self.expecting(), report, received: self.now };
        let taken = self.store.transact(callback).await.expect("stored");
        self.no_counter_falls();
        taken
    }

    async fn see(&mut self, rows: Vec<Observation>) -> Summary {
        let rows = rows.into_iter().map(|call| Row::Call(Box::new(call))).collect();
        self.take(Page::new(self.expecting(), rows, Origin::Page)).await
    }

    async fn decide(&mut self) {
        for task in [Task::Settle, Task::Callback] {
            let tasks = Tasks { context: self.expecting(), task, limit: 100 };
            self.store.transact(tasks).await.expect("done");
        }
        self.no_counter_falls();
    }

    /// Asks for what only callbacks named and is due, in vain; gives how many.
    async fn ask_in_vain(&mut self) -> usize {
        let due = self.store.due(self.account, Task::Confirm, self.now, 100).await.expect("a read");
        let count = due.len();
        let mut page = Page::new(self.expecting(), Vec::new(), Origin::Page);
        page.asked = Some((Task::Confirm, due));
        self.take(page).await;
        count
    }

    async fn at(&self, name: &str, at: i64) -> CallRecord {
        let read = self.store.call_at(self.account, SID.into(), sid(name), wall(at)).await;
        read.expect("a read").expect("a call")
    }

    async fn in_inbox(&self) -> Vec<String> {
        let calls = self.store.unlisted(self.account, None, 100).await.expect("a read");
        calls.into_iter().map(|(sid, _)| sid.to_string()).collect()
    }

    async fn missed_calls(&self) -> Vec<String> {
        let calls = self.store.missed(self.account, SID.into(), None, 100).await.expect("a read");
        calls.into_iter().map(|record| record.call.sid.to_string()).collect()
    }

    fn seen(&self, seen: Seen) -> u64 {
        self.totals()
            .get(&Series::new(self.account, Family::Reconciled, seen.code(), 0))
            .copied()
            .unwrap_or(0)
    }
}

#[tokio::test]
async fn what_callbacks_said_waits_for_the_api_and_goes_into_the_record() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5);
    assert_eq!(bench.hear(answered("c1")).await, Taken::Accepted);
    assert_eq!(bench.hear(answered("c1")).await, Taken::Duplicate);
    bench.now = START.plus(65);
    assert_eq!(bench.hear(terminal("c1")).await, Taken::Accepted);
    assert_eq!(bench.in_inbox().await, ["c1"]);
    assert_eq!((bench.total(Family::CallEvents), bench.total(Family::Calls)), (2, 0));
    bench.reopen().await;
    bench.now = START.plus(5 * MINUTE);
    let summary = bench.see(vec![missed("c1", 0), missed("c2", 0)]).await;
    assert_eq!((summary.new, summary.settled), (2, 2));
    assert_eq!(bench.in_inbox().await, Vec::<String>::new());
    assert_eq!((bench.seen(Seen::Both), bench.seen(Seen::Api), bench.seen(Seen::Webhook)), (1, 1, 0));
    let record = bench.at("c1", 0).await;
    // When the API named it decides when it counts, not when a callback did.
    assert_eq!(record.book.first_seen, bench.now);
    let heard = record.book.heard.expect("heard of");
    assert_eq!(heard.first, START.plus(5));
    let said = [(CallEvent::Answered, EventStatus::InProgress), (CallEvent::Terminal, EventStatus::NoAnswer)];
    assert_eq!(heard.said, said);
    assert_eq!(bench.hear(terminal("c1")).await, Taken::Duplicate, "also now");
    bench.check();
}

#[tokio::test]
async fn a_late_callback_never_reopens_a_finished_call() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5 * MINUTE);
    bench.see(vec![missed("c1", 0)]).await;
    let before = bench.at("c1", 0).await;
    let counted = |bench: &Bench| {
        [Family::Calls, Family::Outcomes, Family::Seconds, Family::Cost, Family::Corrections]
            .map(|family| bench.total(family))
    };
    let totals = counted(&bench);
    for (n, status) in [Status::InProgress, Status::Ringing, Status::Completed].into_iter().enumerate() {
        bench.now = bench.now.plus(HOUR);
        let mut late = report("c1", CallEvent::Answered, Some(status), 10 + n as u64);
        (late.duration, late.price, late.updated) = (Some(999), Some(9_000_000), Some(wall(9 * HOUR)));
        assert_eq!(bench.hear(late).await, Taken::Accepted);
        bench.decide().await;
    }
    let after = bench.at("c1", 0).await;
    assert_eq!((&after.call, after.book.settled), (&before.call, before.book.settled));
    assert_eq!(counted(&bench), totals);
    assert_eq!(bench.store.calls_in_progress(bench.account, START), [0; 4]);
    bench.check();
}

#[tokio::test]
async fn a_call_without_its_callback_is_missed_and_stays_so_when_it_comes_late() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5 * MINUTE);
    bench.see(vec![missed("told", 0), missed("lost", 10)]).await;
    assert_eq!(bench.total(Family::CallbacksExpected), 2);
    bench.hear(terminal("told")).await;
    assert_eq!(bench.at("told", 0).await.book.awaited, Awaited::Came);
    assert!(bench.at("told", 0).await.book.agenda.is_empty(), "nothing is left to decide");
    bench.now = START.plus(10 + MINUTE + 25 * MINUTE - 1);
    bench.decide().await;
    assert_eq!(bench.total(Family::CallbacksMissed), 0);
    bench.now = bench.now.plus(1);
    bench.decide().await;
    assert_eq!(bench.total(Family::CallbacksMissed), 1);
    assert_eq!(bench.missed_calls().await, ["lost"]);
    bench.check();
    bench.now = bench.now.plus(HOUR);
    bench.hear(terminal("lost")).await;
    bench.decide().await;
    assert_eq!(bench.total(Family::CallbacksMissed), 1);
    let missed = bench.store.missed(bench.account, SID.into(), None, 9).await.expect("a read").remove(0);
    let came = missed.book.heard.and_then(|heard| heard.end).expect("it came after all").at;
    let end = missed.call.end.expect("it ended").to_timestamp(IST);
    assert_eq!(came - end, 25 * MINUTE + HOUR);
    bench.reopen().await;
    bench.check();
}

#[tokio::test]
async fn nothing_is_missed_before_it_counts_and_what_came_too_late_by_then_is() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5 * MINUTE);
    let mut call = missed("c1", 0);
    call.duration = None;
    bench.see(vec![call]).await;
    bench.now = START.plus(30 * MINUTE);
    bench.decide().await;
    bench.hear(terminal("c1")).await;
    assert_eq!(bench.total(Family::CallbacksExpected), 0);
    bench.now = START.plus(40 * MINUTE);
    bench.decide().await;
    assert_eq!((bench.total(Family::CallbacksExpected), bench.total(Family::CallbacksMissed)), (1, 1));
}

#[tokio::test]
async fn a_passthru_announces_an_inbound_call_and_not_one_of_the_api() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5 * MINUTE);
    let passthru = |name| report(name, CallEvent::Passthru, None, 5);
    let (mut inbound, api) = (missed("in", 0), missed("api", 0));
    inbound.direction = Some(Direction::Inbound);
    inbound.details =
        Some(crate::model::Details { leg1: Some(crate::model::LegStatus::Busy), ..Default::default() });
    let mut dialled = missed("dial", 0);
    dialled.direction = Some(Direction::OutboundDial);
    bench.see(vec![inbound, api, dialled]).await;
    assert_eq!(bench.total(Family::CallbacksExpected), 2, "a direction that is not named is not expected");
    for name in ["in", "api"] {
        bench.hear(passthru(name)).await;
    }
    bench.now = START.plus(HOUR);
    bench.decide().await;
    assert_eq!(bench.missed_calls().await, ["api"]);
}

#[test]
fn a_kind_that_is_not_expected_announces_nothing() {
    let callbacks = |kinds: &[&str]| {
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        Callbacks::new(&[Direction::OutboundApi, Direction::Inbound], &kinds, 60)
    };
    assert!(!callbacks(&[]).any() && !callbacks(&["heartbeat", "sms"]).any());
    assert!(callbacks(&["calls"]).expects(Direction::OutboundApi));
    assert!(callbacks(&["calls"]).expects(Direction::Inbound));
    assert!(!callbacks(&["passthru"]).expects(Direction::OutboundApi));
    assert!(callbacks(&["passthru"]).expects(Direction::Inbound));
    assert!(!callbacks(&["passthru"]).expects(Direction::OutboundDial));
}

#[tokio::test]
async fn a_sid_that_the_api_does_not_know_is_asked_for_four_times_and_then_unconfirmed() {
    let mut bench = Bench::new().await;
    bench.hear(terminal("ghost")).await;
    for (minutes, asked) in [(59, 0), (60, 1), (90, 0), (120, 1), (239, 0), (240, 1), (359, 0)] {
        bench.now = START.plus(minutes * MINUTE);
        assert_eq!(bench.ask_in_vain().await, asked, "after {minutes} minutes");
        assert_eq!(bench.total(Family::Unconfirmed), 0);
    }
    bench.now = START.plus(6 * HOUR);
    assert_eq!(bench.ask_in_vain().await, 1);
    assert_eq!(bench.total(Family::Unconfirmed), 1);
    bench.now = START.plus(48 * HOUR);
    assert_eq!(bench.ask_in_vain().await, 0, "once");
    assert_eq!((bench.total(Family::Calls), bench.in_inbox().await.len()), (0, 1), "kept, in no call family");
    bench.reopen().await;
    bench.check();
    // The API names it after all: a call like any other.
    let summary = bench.see(vec![missed("ghost", 0)]).await;
    assert_eq!((summary.new, summary.settled), (1, 1));
    assert_eq!((bench.total(Family::Calls), bench.total(Family::Unconfirmed)), (1, 1));
    assert_eq!(bench.seen(Seen::Both), 1);
    assert!(bench.in_inbox().await.is_empty());
    bench.check();
}

#[tokio::test]
async fn while_nobody_could_ask_nothing_is_unconfirmed() {
    let mut bench = Bench::new().await;
    bench.hear(terminal("ghost")).await;
    bench.now = START.plus(24 * HOUR);
    bench.decide().await;
    assert_eq!(bench.total(Family::Unconfirmed), 0);
    assert_eq!(bench.ask_in_vain().await, 1);
    assert_eq!(bench.total(Family::Unconfirmed), 1);
}

#[tokio::test]
async fn calls_in_progress_are_those_heard_of_and_not_known_to_be_over() {
    let mut bench = Bench::new().await;
    let since = START.plus(-HOUR);
    let now = |bench: &Bench| bench.store.calls_in_progress(bench.account, since);
    for name in ["a", "b", "c"] {
        bench.hear(answered(name)).await;
    }
    assert_eq!(now(&bench), [0, 0, 3, 0]);
    bench.hear(terminal("a")).await;
    assert_eq!(now(&bench), [0, 0, 2, 0]);
    bench.see(vec![missed("b", 0)]).await;
    assert_eq!(now(&bench), [0, 0, 1, 0]);
    let mut running = missed("c", 0);
    (running.status, running.end) = (Status::InProgress, None);
    bench.see(vec![running]).await;
    assert_eq!(now(&bench), [0, 0, 1, 0], "the API says that it goes on");
    bench.reopen().await;
    assert_eq!(now(&bench), [0, 0, 1, 0]);
    assert_eq!(bench.store.calls_in_progress(bench.account, START.plus(2 * MINUTE)), [0; 4], "too long ago");
    let mut over = missed("c", 0);
    over.updated = Some(wall(HOUR));
    bench.see(vec![over]).await;
    assert_eq!(now(&bench), [0; 4]);
}

#[tokio::test]
async fn the_answer_delay_of_a_callback_without_a_start_waits_for_the_api() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(8);
    let mut bare = answered("c1");
    (bare.start, bare.created, bare.direction) = (None, None, None);
    bench.hear(bare).await;
    assert_eq!(bench.total(Family::AnswerDelay), 0);
    bench.now = START.plus(5 * MINUTE);
    bench.see(vec![missed("c1", 0)]).await;
    let sum = Series::new(
        bench.account,
        Family::AnswerDelay,
        Direction::OutboundApi.code(),
        crate::model::series::SUM,
    );
    assert_eq!(bench.totals().get(&sum), Some(&8));
    let mut again = answered("c1");
    again.same = 77;
    bench.hear(again).await;
    assert_eq!(bench.totals().get(&sum), Some(&8), "once");
}

#[tokio::test]
async fn what_is_below_the_prune_floor_is_not_kept() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(48 * HOUR);
    bench.store.prune(bench.account, SID, wall(24 * HOUR), START).await.expect("pruned");
    assert_eq!(bench.hear(terminal("old")).await, Taken::Stale);
    assert!(bench.in_inbox().await.is_empty() && bench.totals().is_empty());
}

#[tokio::test]
async fn retention_takes_missed_calls_off_their_list() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(HOUR);
    bench.see(vec![missed("old", 0), missed("new", 30 * MINUTE)]).await;
    bench.now = START.plus(2 * HOUR);
    bench.decide().await;
    assert_eq!(bench.missed_calls().await, ["new", "old"]);
    let page = bench.store.missed(bench.account, SID.into(), Some((wall(30 * MINUTE), sid("new"))), 9).await;
    let page: Vec<String> = page.expect("a read").iter().map(|r| r.call.sid.to_string()).collect();
    assert_eq!(page, ["old"], "what comes after the first page");
    bench.store.prune(bench.account, SID, wall(10 * MINUTE), START).await.expect("pruned");
    assert_eq!(bench.missed_calls().await, ["new"]);
    bench.check();
}

#[tokio::test]
async fn a_missed_call_that_is_filed_anew_stands_on_the_list_once() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(HOUR);
    bench.see(vec![missed("c1", 0)]).await;
    assert_eq!(bench.missed_calls().await, ["c1"]);
    let mut moved = missed("c1", 10);
    moved.updated = Some(wall(HOUR));
    bench.see(vec![moved]).await;
    assert_eq!(bench.missed_calls().await, ["c1"]);
    assert_eq!(bench.total(Family::CallbacksMissed), 1);
    bench.check();
}
