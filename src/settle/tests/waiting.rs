//! When a call settles, and what is asked before.

use super::*;

#[test]
fn a_complete_call_settles_when_it_is_read() {
    let mut world = World::new();
    world.told(5 * MINUTE, &complete_row());
    assert_eq!(world.settled_at(), Some(5 * MINUTE));
    assert_eq!(world.settled().outcome, Outcome::Answered);
    assert_eq!(world.total(Family::Calls), 1);
    assert_eq!(world.total(Family::SettleDelay), 1);
    assert_eq!(world.sum(Family::SettleDelay), 4 * 60);
}

#[test]
fn each_thing_that_is_missing_makes_it_wait_for_the_deadline() {
    let without = |strip: fn(&mut Observation)| {
        let mut call = complete_row();
        strip(&mut call);
        call
    };
    for (what, call) in [
        ("end", without(|c| c.end = None)),
        ("duration", without(|c| c.duration = None)),
        ("duration of 0 though it lasted", without(|c| c.duration = Some(0))),
        ("price", without(|c| c.price = None)),
        ("details", without(|c| c.details = None)),
    ] {
        let mut world = World::new();
        world.told(5 * MINUTE, &call).pass(HOUR);
        assert_eq!(world.settled_at(), Some(35 * MINUTE), "{what}");
        assert_eq!(world.total(Family::Calls), 1, "{what}");
    }
}

#[test]
fn what_the_outcome_does_not_need_is_not_waited_for() {
    let mut world = World::new();
    let mut call = ended_row(Status::NoAnswer);
    call.price = None;
    world.told(5 * MINUTE, &call);
    assert_eq!(world.settled_at(), Some(5 * MINUTE), "no price and no details of a call nobody answered");
    assert_eq!(world.settled().outcome, Outcome::NoAnswer);

    let mut world = World::new();
    call.direction = Some(Direction::Inbound);
    world.told(5 * MINUTE, &call);
    assert_eq!(world.settled_at(), None, "an inbound call needs its legs");
    assert!(world.due(Task::Details).is_some());
}

#[test]
fn a_duration_of_0_is_known_where_the_call_ended_as_it_began() {
    let mut world = World::new();
    let mut call = ended_row(Status::Failed);
    (call.duration, call.end) = (Some(0), Some(wall(0)));
    world.told(MINUTE, &call);
    assert_eq!(world.settled_at(), Some(MINUTE));
}

#[test]
fn the_deadline_counts_from_the_later_of_end_and_first_sighting() {
    let mut call = complete_row();
    call.price = None;
    call.end = Some(wall(HOUR));
    let mut world = World::new();
    world.told(10 * MINUTE, &row(Status::InProgress)).told(70 * MINUTE, &call).pass(3 * HOUR);
    assert_eq!(world.settled_at(), Some(90 * MINUTE), "the end is later");

    let mut world = World::new();
    world.told(5 * HOUR, &call).pass(9 * HOUR);
    assert_eq!(world.settled_at(), Some(5 * HOUR + 30 * MINUTE), "the first sighting is later");

    call.end = None;
    let mut world = World::new();
    world.told(10 * MINUTE, &row(Status::InProgress)).told(70 * MINUTE, &call).pass(3 * HOUR);
    assert_eq!(world.settled_at(), Some(100 * MINUTE), "without an end, the first final sighting");
}

#[test]
fn an_end_in_the_far_future_holds_no_call_for_ever() {
    let mut call = complete_row();
    call.price = None;
    call.end = Some(WallTime(4_102_444_799));
    let mut world = World::new();
    world.told(MINUTE, &call).pass(24 * HOUR);
    assert_eq!(world.settled_at(), Some(MINUTE + RULES.lookback + 30 * MINUTE));
    call.to = Some("sip:agent".into());
    let mut world = World::new();
    world.told(MINUTE, &call).pass(24 * HOUR);
    assert_eq!(world.settled_at(), Some(MINUTE + RULES.lookback + 30 * MINUTE));
}

#[test]
fn a_call_that_is_not_over_never_settles() {
    for status in [Status::Queued, Status::Ringing, Status::InProgress, Status::Other] {
        let mut world = World::new();
        world.told(MINUTE, &row(status)).pass(100 * 24 * HOUR);
        assert_eq!(world.settled_at(), None, "{status:?}");
        assert!(world.totals.0.is_empty());
    }
}

#[test]
fn an_unknown_status_counts_as_other_once_the_call_has_an_end() {
    let mut world = World::new();
    world.told(5 * MINUTE, &ended_row(Status::Other));
    assert_eq!(world.settled().status, Status::Other);
    assert_eq!(world.settled().outcome, Outcome::Unknown);
}

#[test]
fn an_agents_app_holds_a_call_until_it_is_read_after_a_quarter_of_an_hour() {
    for (to, from) in [(Some("sip:agent"), None), (None, Some("sip:agent"))] {
        let mut call = complete_row();
        (call.to, call.from) = (to.map(str::to_owned), from.map(str::to_owned));
        let mut world = World::new();
        world.told(2 * MINUTE, &call);
        assert_eq!(world.due(Task::Recheck), Some(16 * MINUTE), "15 minutes after the end");
        world.told(15 * MINUTE, &call).pass(16 * MINUTE);
        assert_eq!(world.settled_at(), None, "what was read may change yet");
        world.told(17 * MINUTE, &call);
        assert_eq!(world.settled_at(), Some(17 * MINUTE));

        let mut world = World::new();
        world.told(16 * MINUTE, &call);
        assert_eq!(world.settled_at(), Some(16 * MINUTE), "its first reading is late enough");
    }
}

#[test]
fn an_agent_whose_app_reports_late_is_counted_as_having_answered() {
    let mut early = complete_row();
    early.to = Some("sip:agent".into());
    early.direction = Some(Direction::Inbound);
    early.details = Some(Details { conversation: Some(0), leg2: Some(LegStatus::NoAnswer), ..talked(0) });
    let mut late = early.clone();
    (late.details, late.updated) = (Some(talked(7)), Some(wall(10 * MINUTE)));
    let mut world = World::new();
    world.told(2 * MINUTE, &early);
    let due = world.due(Task::Recheck).expect("somebody looks again");
    world.told(due, &late);
    assert_eq!(world.settled().outcome, Outcome::Answered);
    assert_eq!(world.sum(Family::ConversationDuration), 7);
    assert_eq!(world.total(Family::Corrections), 0);
}

#[test]
fn an_agents_app_that_nobody_reads_again_counts_at_the_deadline() {
    let mut call = ended_row(Status::NoAnswer);
    call.to = Some("sip:agent".into());
    let mut world = World::new();
    world.told(2 * MINUTE, &call).pass(HOUR);
    assert_eq!(world.settled_at(), Some(32 * MINUTE));
    assert_eq!(world.settled().outcome, Outcome::NoAnswer);
}

#[test]
fn the_answer_with_leg_details_is_the_last_look_at_an_agents_app() {
    let mut call = ended_row(Status::Completed);
    call.to = Some("sip:agent".into());
    let mut world = World::new();
    world.told(2 * MINUTE, &call);
    assert_eq!((world.due(Task::Details), world.due(Task::Recheck)), (Some(16 * MINUTE), None));
    call.details = Some(talked(42));
    world.told_by(16 * MINUTE, &call, Origin::Single);
    assert_eq!(world.settled_at(), Some(16 * MINUTE));
}

#[test]
fn details_are_asked_for_soon_after_the_end_inbound_completed_first() {
    let mut call = ended_row(Status::Completed);
    let mut world = World::new();
    world.told(90, &call);
    assert_eq!(world.due(Task::Details), Some(3 * MINUTE), "2 minutes after the end");
    assert_eq!(world.due(Task::DetailsFirst), None);
    call.direction = Some(Direction::Inbound);
    let mut world = World::new();
    world.told(90, &call);
    assert_eq!(world.due(Task::DetailsFirst), Some(3 * MINUTE));
    call.to = Some("sip:agent".into());
    let mut world = World::new();
    world.told(90, &call);
    assert_eq!(world.due(Task::DetailsFirst), Some(16 * MINUTE), "an app's status is late");
    call = ended_row(Status::NoAnswer);
    let mut world = World::new();
    call.price = None;
    call.end = None;
    world.told(90, &call);
    assert_eq!((world.due(Task::Details), world.due(Task::DetailsFirst)), (None, None), "not needed");
}

#[test]
fn details_that_come_settle_the_call() {
    let mut world = World::new();
    world.told(2 * MINUTE, &ended_row(Status::Completed));
    world.told_by(4 * MINUTE, &complete_row(), Origin::Single);
    assert_eq!(world.settled_at(), Some(4 * MINUTE));
    assert_eq!(world.details(), DetailsState::Fetched);
    assert_eq!(world.total(Family::Details), 1);
}

#[test]
fn what_the_budget_does_not_reach_is_skipped_at_the_deadline() {
    let mut world = World::new();
    world.told(2 * MINUTE, &ended_row(Status::Completed)).pass(HOUR);
    assert_eq!(world.settled_at(), Some(32 * MINUTE));
    assert_eq!(world.details(), DetailsState::Skipped);
    assert_eq!(world.settled().outcome, Outcome::Unknown);
    assert_eq!(world.total(Family::Details), 1);
    assert_eq!(world.total(Family::Legs), 0);
}

#[test]
fn an_outage_keeps_a_call_waiting_and_leaves_time_to_ask_after_it() {
    let mut world = World::new();
    world.told(2 * MINUTE, &ended_row(Status::Completed));
    world.answering = false;
    world.pass(10 * HOUR);
    assert_eq!(world.settled_at(), None, "nothing was answered since details were due");
    // Attempts during the outage come to nothing, and use nothing up.
    for n in 0..20 {
        world.asked_in_vain(10 * HOUR + n * 5 * MINUTE, InVain::Unanswered);
    }
    assert_eq!(world.record.as_ref().expect("a call").book.details_tries, 0);
    assert_eq!(world.settled_at(), None);
    // Exotel is back. The call does not settle before somebody had the time to ask.
    world.pass(12 * HOUR);
    world.answering = true;
    world.pass(12 * HOUR + 3 * MINUTE);
    assert_eq!(world.settled_at(), None);
    assert!(world.due(Task::Details).is_some_and(|due| due <= 12 * HOUR + 3 * MINUTE));
    let mut fetched = world;
    fetched.told_by(12 * HOUR + 4 * MINUTE, &complete_row(), Origin::Single);
    assert_eq!(fetched.settled().outcome, Outcome::Answered);

    let mut world = World::new();
    world.told(2 * MINUTE, &ended_row(Status::Completed));
    world.answering = false;
    world.pass(12 * HOUR);
    world.answering = true;
    world.pass(13 * HOUR);
    assert_eq!(world.details(), DetailsState::Skipped, "nobody asked although Exotel answered others");
    assert!(world.settled_at().is_some_and(|at| at >= 12 * HOUR + 3 * MINUTE));
}

#[test]
fn details_asked_for_thrice_in_vain_are_failed_at_the_deadline() {
    let mut world = World::new();
    world.told(2 * MINUTE, &ended_row(Status::Completed));
    for (at, why) in [(4, InVain::Answered), (8, InVain::Unanswered), (12, InVain::Answered)] {
        assert!(world.due(Task::Details).is_some_and(|due| due <= at * MINUTE), "{at}");
        world.asked_in_vain(at * MINUTE, why);
    }
    assert_eq!(world.due(Task::Details), None, "enough");
    world.pass(HOUR);
    assert_eq!(world.settled_at(), Some(32 * MINUTE));
    assert_eq!(world.details(), DetailsState::Failed);
}

#[test]
fn a_request_in_vain_is_made_again_a_little_later() {
    let mut world = World::new();
    world.told(2 * MINUTE, &ended_row(Status::Completed));
    world.asked_in_vain(5 * MINUTE, InVain::Unanswered);
    assert_eq!(world.due(Task::Details), Some(8 * MINUTE));
    world.told(6 * MINUTE, &ended_row(Status::Completed));
    assert_eq!(world.due(Task::Details), Some(8 * MINUTE), "a row that says nothing new changes nothing");
}

#[test]
fn what_a_bulk_row_can_bring_is_asked_for_by_sid_until_the_deadline() {
    let mut call = complete_row();
    call.price = None;
    let mut world = World::new();
    world.told(2 * MINUTE, &call);
    let mut asked = Vec::new();
    while let Some(due) = world.due(Task::Recheck) {
        asked.push(due / MINUTE);
        world.record.as_mut().expect("a call").book.asks += 1;
        let before = world.record.clone().expect("a call");
        let mut record = before.clone();
        world.settle(Some(&before), &mut record, START.plus(due));
        world.record = Some(record);
    }
    assert_eq!(asked, [7, 12, 17, 22, 27]);
    let mut call = complete_row();
    call.duration = Some(0);
    let mut world = World::new();
    world.told(2 * MINUTE, &call);
    assert_eq!(world.due(Task::Recheck), Some(7 * MINUTE), "a duration that cannot be true");
    let mut world = World::new();
    world.told(2 * MINUTE, &ended_row(Status::Completed));
    assert_eq!(world.due(Task::Recheck), None, "only details are missing");
}

#[test]
fn a_call_seen_while_it_runs_is_asked_for_ever_more_rarely_and_not_for_ever() {
    let mut world = World::new();
    world.told(0, &row(Status::InProgress));
    let mut asked = Vec::new();
    while let Some(due) = world.due(Task::Recheck) {
        asked.push(due / MINUTE);
        let before = world.record.clone().expect("a call");
        let mut record = before.clone();
        record.book.asks += 1;
        world.settle(Some(&before), &mut record, START.plus(due));
        world.record = Some(record);
    }
    assert_eq!(asked, [5, 15, 35, 75, 155, 315, 635, 955, 1275, 1595, 1915, 2235]);
    // Once it is over, what is asked is another question.
    let mut call = complete_row();
    (call.price, call.end) = (None, Some(wall(40 * HOUR)));
    world.rules.lookback = 50 * HOUR;
    world.told(40 * HOUR + MINUTE, &call);
    assert_eq!(world.due(Task::Recheck), Some(40 * HOUR + 5 * MINUTE));
}

#[test]
fn history_is_neither_counted_nor_asked_for() {
    let mut world = World::new();
    let now = START.plus(MINUTE);
    let mut record = merge(None, &complete_row(), Origin::Page, wall(1), now).record;
    world.settle(None, &mut record, now);
    assert!(!record.book.live && record.book.settled.is_none() && record.book.agenda.is_empty());
    assert!(world.totals.0.is_empty());
    // The second of the first start is in.
    let mut record = merge(None, &complete_row(), Origin::Page, wall(0), now).record;
    world.settle(None, &mut record, now);
    assert!(record.book.live && record.book.settled.is_some());
}

#[test]
fn times_at_the_ends_of_their_range_do_not_panic() {
    for created in [0, 1, 4_102_444_799, i64::from(u32::MAX)] {
        for now in [0, 1, i64::from(u32::MAX), i64::MAX] {
            for settle_after in [1, 1800, i64::MAX / 4] {
                for end in [None, Some(WallTime(0)), Some(WallTime(4_102_444_799))] {
                    let mut world = World::new();
                    world.rules = Rules { settle_after, lookback: settle_after, ..RULES };
                    let mut call = complete_row();
                    (call.created, call.end, call.price) = (WallTime(created), end, None);
                    let now = Timestamp(now);
                    let mut record = merge(None, &call, Origin::Page, WallTime(0), now).record;
                    world.settle(None, &mut record, now);
                    record.book.asks = u8::MAX;
                    record.book.details_tries = u8::MAX;
                    let before = record.clone();
                    world.settle(Some(&before), &mut record, Timestamp(i64::MAX));
                    let around = Surroundings {
                        directory: &world.directory,
                        api_answered: None,
                        up_since: Timestamp(0),
                        now,
                    };
                    details_in_vain(&mut record, InVain::Answered, &world.rules, &around);
                }
            }
        }
    }
}
