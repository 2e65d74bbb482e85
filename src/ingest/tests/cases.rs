//! Taking in, case by case.

use super::*;
use crate::model::{DetailsState, Direction, SettledKind, UnreadableRow};

fn leg_of(root: &str, name: &str, at: i64) -> Observation {
    let mut call = missed(name, at);
    call.parent = Some(sid(root));
    call
}

/// A call that waits for its details.
fn waiting(name: &str, at: i64) -> Observation {
    let mut call = missed(name, at);
    call.status = Status::Completed;
    call
}

fn unreadable(raw: &str, name: Option<&str>, created: Option<i64>) -> Row {
    Row::Unreadable(UnreadableRow {
        raw: raw.into(),
        reason: "Status is absent".into(),
        sid: name.map(sid),
        created: created.map(wall),
    })
}

impl Bench {
    async fn record(&self, name: &str, at: i64) -> Option<crate::model::CallRecord> {
        self.store.call_at(self.account, SID.into(), sid(name), wall(at)).await.expect("a read")
    }

    async fn read(&mut self, rows: Vec<Observation>) -> Summary {
        self.page(rows, Origin::Page).await
    }

    fn cost(&self) -> u64 {
        self.total(Family::Cost) - self.total(Family::Refunds)
    }
}

#[tokio::test]
async fn a_page_without_rows_stores_what_else_it_brings() {
    let mut bench = Bench::new().await;
    let mut page = Page::new(bench.context(), Vec::new(), Origin::Page);
    page.sync = Some(SyncState { watermark: 7, ..SyncState::default() });
    page.deltas.add(Series::new(bench.account, Family::WindowsCut, 0, 0), 2);
    assert_eq!(bench.take(page).await, Summary::default());
    let state = bench.store.sync_state(bench.account).await.expect("a read").expect("a state");
    assert_eq!((state.watermark, bench.total(Family::WindowsCut)), (7, 2));
}

#[tokio::test]
async fn the_second_of_the_first_start_is_live_and_the_one_before_is_history() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5 * MINUTE);
    let summary = bench.read(vec![missed("live", 0), missed("before", -1)]).await;
    assert_eq!((summary.new, summary.settled), (2, 1));
    assert_eq!(bench.total(Family::Calls), 1);
    let hours = bench.hours().await;
    assert_eq!(hours.values().map(HourTotals::calls).sum::<i64>(), 2);
    assert_eq!(hours.values().map(|h| h.history).sum::<i64>(), 1);
    assert!(bench.record("before", -1).await.expect("history is kept").book.agenda.is_empty());
}

#[tokio::test]
async fn the_same_call_twice_in_a_page_counts_once_with_what_the_newer_row_says() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5 * MINUTE);
    let (mut early, mut late) = (missed("c1", 0), missed("c1", 0));
    (early.price, early.duration) = (Some(900_000), Some(99));
    (late.price, late.updated) = (Some(700_000), Some(wall(2 * MINUTE)));
    let summary = bench.read(vec![late.clone(), early.clone(), late, early]).await;
    assert_eq!((summary.new, summary.updated, summary.unchanged, summary.settled), (1, 0, 3, 1));
    assert_eq!((bench.total(Family::Calls), bench.cost(), bench.total(Family::Seconds)), (1, 700_000, 60));
    assert_eq!(bench.total(Family::Corrections), 0);
    bench.check();
}

#[tokio::test]
async fn an_overdue_call_is_counted_when_a_row_names_it_though_it_says_nothing_new() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5 * MINUTE);
    bench.read(vec![waiting("c1", 0)]).await;
    bench.now = START.plus(2 * HOUR);
    let summary = bench.read(vec![waiting("c1", 0)]).await;
    assert_eq!((summary.unchanged, summary.settled), (1, 1));
}

#[tokio::test]
async fn answers_and_refusals_for_calls_that_are_not_there_change_nothing() {
    let mut bench = Bench::new().await;
    for task in Task::ALL {
        let mut page = Page::new(bench.context(), Vec::new(), Origin::Single);
        page.asked = Some((task, vec![(sid("stranger"), wall(0))]));
        page.refused = vec![(sid("another"), wall(0))];
        assert_eq!(bench.take(page).await, Summary::default());
    }
    assert!(bench.totals().is_empty());
    bench.check();
}

#[tokio::test]
async fn a_refusal_settles_the_matter_of_details() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5 * MINUTE);
    bench.read(vec![waiting("c1", 0)]).await;
    let mut page = Page::new(bench.context(), Vec::new(), Origin::Single);
    page.refused = vec![(sid("c1"), wall(0))];
    assert_eq!(bench.take(page).await.settled, 1);
    assert_eq!(bench.record("c1", 0).await.expect("a call").book.details, DetailsState::Failed);
    bench.check();
}

#[tokio::test]
async fn the_same_row_read_again_ends_the_wait_for_an_agents_app() {
    let mut bench = Bench::new().await;
    let mut call = missed("c1", 0);
    call.to = Some("sip:agent".into());
    bench.now = START.plus(2 * MINUTE);
    bench.read(vec![call.clone()]).await;
    bench.now = START.plus(16 * MINUTE);
    bench.tasks().await;
    assert_eq!(bench.total(Family::Calls), 0, "its app may have changed it since");
    let due = bench.store.due(bench.account, Task::Recheck, bench.now, 10).await.expect("a read");
    assert_eq!(due, [(sid("c1"), wall(0))]);
    bench.read(vec![call]).await;
    assert_eq!(bench.total(Family::Calls), 1);
    bench.check();
}

#[tokio::test]
async fn a_leg_is_judged_by_a_root_that_is_already_there_however_old_both_are() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(48 * HOUR);
    let mut root = missed("root", 10);
    root.direction = Some(Direction::Inbound);
    root.details =
        Some(crate::model::Details { leg1: Some(crate::model::LegStatus::Busy), ..Default::default() });
    bench.read(vec![root]).await;
    bench.read(vec![leg_of("root", "leg", 20)]).await;
    assert_eq!((bench.total(Family::Calls), bench.cost()), (1, 1_000_000));
    // In the hour of the leg, under the direction of the root, and only its price.
    let hours = bench.hours().await;
    assert_eq!(hours.len(), 1);
    let ((_, direction), hour) = hours.iter().next().expect("an hour");
    assert_eq!((*direction, hour.calls(), hour.cost), (Direction::Inbound.code(), 1, 1_000_000));
    assert_eq!(hour.seconds, 60);
    bench.check();
}

#[tokio::test]
async fn a_backlog_that_brings_a_leg_before_its_root_counts_one_call() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(48 * HOUR);
    bench.read(vec![leg_of("root", "leg", 20)]).await;
    bench.tasks().await;
    bench.now = bench.now.plus(HOUR);
    bench.tasks().await;
    bench.read(vec![missed("root", 10)]).await;
    for _ in 0..6 {
        bench.now = bench.now.plus(HOUR);
        bench.tasks().await;
    }
    assert_eq!((bench.total(Family::Calls), bench.cost()), (1, 1_000_000));
}

#[tokio::test]
async fn a_root_that_comes_in_the_same_page_after_its_leg_is_found() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5 * MINUTE);
    let summary = bench.read(vec![leg_of("root", "leg", 20), missed("root", 10)]).await;
    assert_eq!((summary.new, summary.settled), (2, 2));
    assert_eq!((bench.total(Family::Calls), bench.cost()), (1, 1_000_000));
}

#[tokio::test]
async fn a_leg_of_history_adds_nothing_and_a_leg_in_history_neither() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5 * MINUTE);
    bench.read(vec![missed("old", -10), leg_of("old", "leg", 5), leg_of("old", "oldleg", -5)]).await;
    assert_eq!((bench.total(Family::Calls), bench.total(Family::Cost)), (0, 0));
    assert_eq!(
        bench.record("leg", 5).await.and_then(|r| r.book.settled).map(|s| s.kind),
        Some(SettledKind::Silent)
    );
    bench.check();
}

#[tokio::test]
async fn chains_of_legs_add_to_the_call_at_their_end() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5 * MINUTE);
    bench.read(vec![leg_of("b", "c", 30), leg_of("a", "b", 20), missed("a", 10)]).await;
    for _ in 0..5 {
        bench.now = bench.now.plus(HOUR);
        bench.tasks().await;
    }
    assert_eq!((bench.total(Family::Calls), bench.cost()), (1, 1_500_000));
}

#[tokio::test]
async fn legs_that_name_each_other_in_a_circle_count_one_call() {
    for circle in [vec![("a", "b"), ("b", "a")], vec![("a", "b"), ("b", "c"), ("c", "a")]] {
        let mut bench = Bench::new().await;
        bench.now = START.plus(5 * MINUTE);
        let rows = circle.iter().enumerate().map(|(n, (name, root))| leg_of(root, name, n as i64 * 10));
        let rows: Vec<Observation> = rows.collect();
        let all = rows.len() as u64;
        bench.read(rows).await;
        for _ in 0..24 {
            bench.now = bench.now.plus(HOUR);
            bench.tasks().await;
        }
        assert_eq!((bench.total(Family::Calls), bench.cost()), (1, all * 500_000));
        bench.check();
    }
}

#[tokio::test]
async fn a_row_that_names_itself_as_its_root_counts_at_once() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5 * MINUTE);
    bench.read(vec![leg_of("c1", "c1", 0)]).await;
    assert_eq!(bench.total(Family::Calls), 1);
    assert_eq!(bench.hours().await.values().map(HourTotals::calls).sum::<i64>(), 1);
}

#[tokio::test]
async fn a_moved_call_is_filed_anew_and_found_under_either_time() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5 * MINUTE);
    bench.read(vec![waiting("c1", 0), missed("c2", 0)]).await;
    let (mut one, mut two) = (waiting("c1", 2 * HOUR), missed("c2", 2 * HOUR));
    (one.updated, two.updated) = (Some(wall(3 * MINUTE)), Some(wall(3 * MINUTE)));
    let summary = bench.read(vec![one, two]).await;
    assert_eq!((summary.new, summary.updated), (0, 2));
    bench.check();
    for name in ["c1", "c2"] {
        assert!(bench.record(name, 0).await.is_none(), "the old place is empty");
        assert!(bench.record(name, 2 * HOUR).await.is_some());
    }
    assert_eq!(bench.total(Family::Calls), 1);
    let hour = |at: i64| u32::try_from(wall(at).0 / 3600).expect("an hour");
    let hours: Vec<u32> = bench.hours().await.keys().map(|(hour, _)| *hour).collect();
    assert_eq!(hours, [hour(2 * HOUR)], "its roll-up moved along");
    bench.reopen().await;
    // A stale row under the old time finds it by its Sid and changes nothing.
    let summary = bench.read(vec![waiting("c1", 0)]).await;
    assert_eq!((summary.new, summary.unchanged), (0, 1));
    bench.now = START.plus(5 * HOUR);
    bench.tasks().await;
    assert_eq!(bench.total(Family::Calls), 2, "its task moved along");
    bench.check();
}

#[tokio::test]
async fn nothing_below_the_prune_floor_is_stored_or_counted_again_whatever_the_caller_believes() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5 * MINUTE);
    let rows: Vec<Observation> = (0..40).map(|n| missed(&format!("c{n}"), n * 10)).collect();
    bench.read(rows.clone()).await;
    assert_eq!(bench.total(Family::Calls), 40);
    // In flight while retention works: the context still has the old floor.
    let stale =
        Page::new(bench.context(), rows.into_iter().map(|c| Row::Call(Box::new(c))).collect(), Origin::Page);
    bench.store.prune(bench.account, SID, wall(200), START).await.expect("pruned");
    let summary = bench.take(stale).await;
    assert_eq!((summary.new, summary.unchanged), (0, 40));
    assert_eq!(bench.total(Family::Calls), 40);
    bench.check();
    let left = bench.store.count_rows(bench.account, wall(-HOUR), wall(HOUR), 1000).await.expect("a count");
    assert_eq!(left, 20);
    let (_, row) = bench.store.account(SID, bench.now).await.expect("the account");
    assert_eq!(row.prune_floor, wall(200).0);
}

#[tokio::test]
async fn retention_leaves_no_task_behind_and_spares_what_is_not_counted() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5 * MINUTE);
    let mut unpriced = waiting("unpriced", 0);
    unpriced.price = None;
    bench.read(vec![unpriced, leg_of("nobody", "leg", 1)]).await;
    bench.now = START.plus(2 * HOUR);
    bench.tasks().await;
    assert!(bench.store.next_due(bench.account, Task::Price).await.expect("a read").is_some());
    let mut held = waiting("held", 100);
    held.end = Some(wall(2 * HOUR));
    bench.read(vec![held, missed("counted", 101)]).await;
    bench.store.prune(bench.account, SID, wall(HOUR), START).await.expect("pruned");
    let (_, row) = bench.store.account(SID, bench.now).await.expect("the account");
    assert_eq!(row.prune_floor, wall(100).0, "not above the call that waits");
    for task in [Task::Price, Task::Child] {
        assert_eq!(bench.store.due(bench.account, task, Timestamp(i64::MAX), 9).await.expect("a read"), []);
    }
    bench.check();
    bench.now = START.plus(4 * HOUR);
    bench.tasks().await;
    assert_eq!(bench.total(Family::Calls), 3);
    bench.store.prune(bench.account, SID, wall(HOUR), START).await.expect("pruned");
    let left = bench.store.table_rows().await.expect("sizes")[0];
    assert_eq!(left, 0);
    bench.check();
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_kept_with_its_first_sighting_and_healed_by_its_sid() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5 * MINUTE);
    let rows =
        |bad: Row| vec![Row::Call(Box::new(missed("c1", 10))), bad, Row::Call(Box::new(missed("c2", 30)))];
    let summary = bench
        .take(Page::new(bench.context(), rows(unreadable("{1}", Some("bad"), None)), Origin::Page))
        .await;
    assert_eq!((summary.new, summary.rejected, summary.set_aside.len()), (2, 1, 1));
    let first = bench.store.set_aside(bench.account).await.expect("rows").pop().expect("a row");
    assert_eq!((first.after, first.before), (wall(10).0, wall(30).0), "between its neighbours");
    assert_eq!((first.first_seen, first.tries), (bench.now.0, 0));
    // It is read again as it is, then with another text.
    bench.now = START.plus(HOUR);
    bench
        .take(Page::new(bench.context(), rows(unreadable("{2}", Some("bad"), Some(20))), Origin::Page))
        .await;
    let again = bench.store.set_aside(bench.account).await.expect("rows");
    assert_eq!(again.len(), 1, "the same row");
    assert_eq!((again[0].first_seen, again[0].raw.as_str()), (first.first_seen, "{2}"));
    // A row with this Sid that can be read heals it.
    bench.read(vec![missed("bad", 20)]).await;
    assert_eq!(bench.store.set_aside(bench.account).await.expect("rows"), []);
    bench.check();
}

#[tokio::test]
async fn an_unreadable_row_of_a_stored_call_lies_where_the_call_is_filed_and_counts_once() {
    let mut bench = Bench::new().await;
    bench.read(vec![waiting("c1", 10), waiting("c2", 50 * HOUR)]).await;
    bench.now = START.plus(51 * HOUR);
    let asked = vec![(sid("c1"), wall(10)), (sid("c2"), wall(50 * HOUR))];
    let bad = vec![unreadable("{1}", Some("c1"), None), unreadable("{2}", None, None)];
    let mut page = Page::new(bench.context(), bad, Origin::Page);
    page.asked = Some((Task::Price, asked));
    let summary = bench.take(page).await;
    assert_eq!((summary.rejected, summary.set_aside.len()), (2, 1), "what names no call is one of the two");
    let row = bench.store.set_aside(bench.account).await.expect("rows").remove(0);
    assert_eq!((row.after, row.before), (wall(10).0, wall(10).0));
    let rows = bench.store.count_rows(bench.account, wall(0), wall(HOUR), 1000).await.expect("a count");
    assert_eq!(rows, 1, "Exotel lists one call there");
    bench.read(vec![missed("c1", 10)]).await;
    assert_eq!(bench.store.set_aside(bench.account).await.expect("rows"), []);
    bench.check();
}

#[tokio::test]
async fn an_unreadable_row_of_a_call_that_only_callbacks_named_lies_before_they_were_heard() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(6 * HOUR);
    let mut page = Page::new(bench.context(), vec![unreadable("{}", Some("c1"), None)], Origin::Page);
    page.asked = Some((Task::Confirm, vec![(sid("c1"), wall(HOUR))]));
    bench.take(page).await;
    let row = bench.store.set_aside(bench.account).await.expect("rows").remove(0);
    assert_eq!((row.after, row.before), (wall(HOUR).0 - RULES.lookback, wall(HOUR).0));
}

#[tokio::test]
async fn a_row_healed_meanwhile_does_not_come_back_when_another_is_put_off() {
    #[derive(Debug)]
    struct PutOff(AccountId, crate::model::SetAside);
    impl Operation for PutOff {
        type Reply = ();
        fn wants(&self) -> Wants {
            Wants::nothing(self.0)
        }
        fn decide(&mut self, _: Held) -> (WriteSet, ()) {
            (WriteSet { set_aside: vec![self.1.clone()], ..WriteSet::default() }, ())
        }
    }
    let mut bench = Bench::new().await;
    bench.take(Page::new(bench.context(), vec![unreadable("{}", Some("bad"), Some(20))], Origin::Page)).await;
    let mut row = bench.store.set_aside(bench.account).await.expect("rows").remove(0);
    (row.tries, row.retry_at) = (3, bench.now.plus(HOUR).0);
    bench.store.transact(PutOff(bench.account, row.clone())).await.expect("put off");
    let held = bench.store.set_aside(bench.account).await.expect("rows").remove(0);
    assert_eq!((held.tries, held.retry_at), (row.tries, row.retry_at));
    // An untried sighting does not take the tries back.
    bench.take(Page::new(bench.context(), vec![unreadable("{}", Some("bad"), Some(20))], Origin::Page)).await;
    assert_eq!(bench.store.set_aside(bench.account).await.expect("rows"), [held]);
    bench.read(vec![missed("bad", 20)]).await;
    bench.store.transact(PutOff(bench.account, row)).await.expect("put off");
    assert_eq!(bench.store.set_aside(bench.account).await.expect("rows"), []);
}

#[tokio::test]
async fn rows_without_a_readable_time_lie_within_the_window_that_was_asked_for() {
    let mut bench = Bench::new().await;
    let mut page = Page::new(bench.context(), vec![unreadable("{}", None, None)], Origin::Page);
    page.window = Some(Window { from: wall(100), to: wall(200) });
    let summary = bench.take(page).await;
    let row = bench.store.set_aside(bench.account).await.expect("rows").remove(0);
    assert_eq!((row.after, row.before), (wall(100).0, wall(199).0));
    // One that is seen to be gone is taken away by its id.
    let mut page = Page::new(bench.context(), Vec::new(), Origin::Page);
    page.healed = summary.set_aside;
    bench.take(page).await;
    assert_eq!(bench.store.set_aside(bench.account).await.expect("rows"), []);
}

#[tokio::test]
async fn calls_of_any_time_are_filed_found_and_counted() {
    let mut bench = Bench::new().await;
    let last = i64::from(u32::MAX);
    for at in [0, 1, 946_684_800, 4_102_444_799, last] {
        for now in [0, 4_102_444_799, last] {
            bench.now = Timestamp(now);
            let mut context = bench.context();
            context.live_from = WallTime(0);
            let mut call = waiting(&format!("c{at}x{now}"), 0);
            (call.created, call.price) = (WallTime(at), Some(i64::MAX));
            (call.end, call.duration) = (Some(WallTime(i64::MAX)), Some(u32::MAX));
            for _ in 0..2 {
                let page = Page::new(context.clone(), vec![Row::Call(Box::new(call.clone()))], Origin::Page);
                bench.store.transact(page).await.expect("stored");
            }
            let found = bench.store.call_at(bench.account, SID.into(), call.sid.clone(), call.created).await;
            assert_eq!(found.expect("a read").expect("it is there").call, call);
        }
    }
    bench.now = Timestamp(i64::MAX / 2);
    bench.tasks().await;
    assert_eq!(bench.total(Family::Calls), 15);
    bench.check();
    bench.reopen().await;
    assert_eq!(bench.hours().await.values().map(HourTotals::calls).sum::<i64>(), 15);
}

#[tokio::test]
async fn what_waits_is_counted_and_the_oldest_is_the_one_created_first() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(5 * MINUTE);
    let mut old = waiting("old", 10);
    // Its deadline comes last.
    old.end = Some(wall(3 * HOUR));
    bench.read(vec![waiting("young", 100), old, leg_of("nobody", "leg", 5), missed("counted", 1)]).await;
    let summary = bench.store.summary(bench.account, SID.into()).await.expect("a summary");
    assert_eq!((summary.unsettled, summary.unpriced, summary.set_aside), (2, 0, 0));
    assert_eq!(summary.oldest_unsettled, Some(wall(3 * HOUR)));
}

#[tokio::test]
async fn a_call_of_a_newer_api_counts_once_and_is_no_row_of_v1_until_v1_tells_of_it() {
    let mut bench = Bench::new().await;
    bench.now = START.plus(2 * MINUTE);
    let newer =
        Observation { updated: None, price: None, custom_field: Some("lead".into()), ..missed("c1", 0) };
    let rows = async |bench: &Bench| {
        bench.store.count_rows(bench.account, wall(-HOUR), wall(HOUR), 1000).await.expect("a count")
    };
    assert_eq!(bench.page(vec![newer.clone()], Origin::Newer).await.new, 1);
    assert_eq!((rows(&bench).await, bench.total(Family::Calls)), (0, 1), "audits compare with v1's lists");
    assert_eq!(bench.page(vec![newer.clone()], Origin::Newer).await.unchanged, 1);
    let row = missed("c1", 1);
    assert_eq!(bench.page(vec![row], Origin::Page).await.updated, 1, "filed where v1 files it");
    assert_eq!((rows(&bench).await, bench.total(Family::Calls)), (1, 1));
    let record = bench.store.call(bench.account, SID.into(), sid("c1")).await.unwrap().unwrap();
    assert_eq!((record.call.created, record.call.price), (wall(1), Some(500_000)));
    assert_eq!(record.call.custom_field.as_deref(), Some("lead"));
    assert_eq!(bench.page(vec![newer], Origin::Newer).await.unchanged, 1);
    bench.check();
}
