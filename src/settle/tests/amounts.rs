//! Amounts add what is newly known, to the same labels, and never fall.

use super::*;
use crate::model::series::CorrectedField;

/// A complete call that has settled, and the row that said so.
fn settled() -> (World, Observation) {
    let mut world = World::new();
    let call = complete_row();
    world.told(5 * MINUTE, &call);
    assert_eq!(world.settled_at(), Some(5 * MINUTE));
    (world, call)
}

fn later(call: &Observation, at: i64, change: impl FnOnce(&mut Observation)) -> Observation {
    let mut call = call.clone();
    call.updated = Some(wall(at));
    change(&mut call);
    call
}

fn labelled(family: Family, b: u8) -> Series {
    Series { account: ACCOUNT, family, exophone: OURS, a: Direction::OutboundApi.code(), b }
}

#[test]
fn a_call_counts_once_under_its_labels() {
    let (mut world, call) = settled();
    assert_eq!(world.total_of(labelled(Family::Calls, status_code(Status::Completed))), 1);
    assert_eq!(world.total_of(labelled(Family::Outcomes, Outcome::Answered.code())), 1);
    assert_eq!(world.total_of(labelled(Family::Seconds, 0)), 60);
    assert_eq!(world.total_of(labelled(Family::Cost, 0)), 1_500_000);
    assert_eq!(world.total_of(labelled(Family::ConversationSeconds, 0)), 42);
    assert_eq!(world.total(Family::Legs), 2);
    let before = world.totals.clone();
    for at in 6..20 {
        world.told(at * MINUTE, &call);
    }
    assert_eq!(world.totals, before, "the same row again adds nothing");
}

#[test]
fn a_higher_price_adds_the_difference_to_the_same_labels() {
    let (mut world, call) = settled();
    let dearer = later(&call, 10 * MINUTE, |c| {
        c.price = Some(2_000_000);
        c.exophone = Some("08000000099".into());
        c.direction = Some(Direction::Inbound);
    });
    world.told(10 * MINUTE, &dearer);
    assert_eq!(world.total_of(labelled(Family::Cost, 0)), 2_000_000);
    assert_eq!(world.total(Family::Cost), 2_000_000, "and to no other");
    assert_eq!((world.total(Family::Corrections), world.total(Family::Refunds)), (0, 0));
}

#[test]
fn cost_less_refunds_is_the_last_price() {
    let (mut world, call) = settled();
    let mut corrections = 0;
    for (n, price) in [1_000_000, 1_000_000, 3_000_000, 0, 500_000, 499_999].into_iter().enumerate() {
        let at = (10 + n as i64) * MINUTE;
        let last = world.settled().cost;
        world.told(at, &later(&call, at, |c| c.price = Some(price)));
        corrections += u64::from(price < last);
        let (cost, refunds) = (world.total(Family::Cost), world.total(Family::Refunds));
        assert_eq!(cost - refunds, price.unsigned_abs());
        assert_eq!(world.corrections(CorrectedField::Price), corrections, "one for each lower value");
    }
    assert_eq!(corrections, 3);
}

#[test]
fn a_price_days_late_is_counted_and_asked_for_until_then() {
    let mut world = World::new();
    let mut call = complete_row();
    call.price = None;
    world.told(5 * MINUTE, &call).pass(HOUR);
    let settled = world.settled_at().expect("the deadline has passed");
    let mut asked = Vec::new();
    while let Some(due) = world.due(Task::Price) {
        asked.push((due - settled) / (30 * MINUTE));
        let before = world.record.clone().expect("a call");
        let mut record = before.clone();
        record.book.price_asks += 1;
        world.settle(Some(&before), &mut record, START.plus(due));
        world.record = Some(record);
    }
    assert_eq!(asked, [1, 4, 16, 48, 144, 336], "30 m, 2 h, 8 h, 1 d, 3 d, 7 d");
    let at = 8 * 24 * HOUR;
    world.told(at, &later(&call, at, |c| c.price = Some(700_000)));
    assert_eq!(world.total_of(labelled(Family::Cost, 0)), 700_000);
    assert_eq!(world.total(Family::Calls), 1);
}

#[test]
fn the_longest_duration_stays_and_each_shorter_value_is_a_correction() {
    let (mut world, call) = settled();
    let mut at = 10 * MINUTE;
    for (duration, counted, corrections) in
        [(70, 70, 0), (50, 70, 1), (50, 70, 1), (60, 70, 2), (70, 70, 2), (40, 70, 3), (80, 80, 3)]
    {
        at += MINUTE;
        world.told(at, &later(&call, at, |c| c.duration = Some(duration)));
        assert_eq!(world.total_of(labelled(Family::Seconds, 0)), counted, "{duration}");
        assert_eq!(world.corrections(CorrectedField::Duration), corrections, "{duration}");
    }
}

#[test]
fn a_duration_that_comes_after_settling_is_added() {
    let mut world = World::new();
    let mut call = complete_row();
    (call.duration, call.price) = (None, None);
    world.told(5 * MINUTE, &call).pass(HOUR);
    assert_eq!(world.total(Family::Seconds), 0);
    world.told(2 * HOUR, &later(&call, 2 * HOUR, |c| c.duration = Some(60)));
    assert_eq!(world.total_of(labelled(Family::Seconds, 0)), 60);
    assert_eq!(world.total(Family::Corrections), 0);
}

#[test]
fn another_status_or_leg_afterwards_is_a_correction_and_moves_no_count() {
    let (mut world, call) = settled();
    let calls = world.total_of(labelled(Family::Calls, status_code(Status::Completed)));
    world.told(HOUR, &later(&call, HOUR, |c| c.status = Status::Failed));
    world.told(HOUR + 1, &later(&call, HOUR + 1, |c| c.status = Status::Failed));
    assert_eq!(world.corrections(CorrectedField::Status), 1);
    world.told(
        HOUR + 2,
        &later(&call, HOUR + 2, |c| {
            c.status = Status::Failed;
            c.details.as_mut().expect("details").leg2 = Some(LegStatus::Failed);
        }),
    );
    assert_eq!(world.corrections(CorrectedField::Leg), 1);
    assert_eq!(world.total_of(labelled(Family::Calls, status_code(Status::Completed))), calls);
    assert_eq!(world.total(Family::Calls), 1);
    assert_eq!(world.total(Family::Outcomes), 1);
    assert_eq!(world.total(Family::Legs), 2);
}

#[test]
fn talk_that_is_known_after_settling_moves_everything_about_it_once() {
    let mut world = World::new();
    let call = ended_row(Status::Completed);
    world.told(5 * MINUTE, &call).pass(HOUR);
    assert_eq!(world.settled().outcome, Outcome::Unknown);
    assert_eq!(world.total(Family::ConversationSeconds), 0);
    let told = later(&call, 2 * HOUR, |c| c.details = Some(talked(7)));
    for _ in 0..2 {
        world.told(2 * HOUR, &told);
        assert_eq!(world.total_of(labelled(Family::ConversationSeconds, 0)), 7);
        assert_eq!(
            (world.total(Family::ConversationDuration), world.sum(Family::ConversationDuration)),
            (1, 7)
        );
        assert_eq!((world.total(Family::SetupDuration), world.sum(Family::SetupDuration)), (1, 53));
        assert_eq!(world.total_of(labelled(Family::Short, 0)), 1, "7 s is short of 10");
    }
    assert_eq!(world.settled().outcome, Outcome::Unknown, "the outcome was decided");
    assert_eq!(world.total(Family::Outcomes), 1);
    assert_eq!(world.total(Family::Corrections), 0);
    assert_eq!(world.total(Family::Details), 2, "skipped, and inline after all");
}

#[test]
fn other_talk_afterwards_is_a_correction_for_each_value() {
    let (mut world, call) = settled();
    let mut at = HOUR;
    for (talk, corrections) in [(42, 0), (50, 1), (50, 1), (30, 2), (42, 2)] {
        at += MINUTE;
        world.told(at, &later(&call, at, |c| c.details = Some(talked(talk))));
        assert_eq!(world.corrections(CorrectedField::Conversation), corrections, "{talk}");
    }
    assert_eq!(world.total(Family::ConversationSeconds), 42);
    assert_eq!(world.total(Family::ConversationDuration), 1);
}

#[test]
fn setup_is_not_counted_from_a_duration_that_is_not_known() {
    for duration in [None, Some(0)] {
        let mut world = World::new();
        let mut call = complete_row();
        call.duration = duration;
        world.told(5 * MINUTE, &call).pass(HOUR);
        assert_eq!(world.total(Family::ConversationDuration), 1);
        assert_eq!(world.total(Family::SetupDuration), 0, "{duration:?}");
    }
    // Talk longer than the call: Exotel's mistake, no negative setup.
    let mut world = World::new();
    let mut call = complete_row();
    call.details = Some(talked(600));
    world.told(5 * MINUTE, &call);
    assert_eq!((world.total(Family::SetupDuration), world.sum(Family::SetupDuration)), (1, 0));
}

#[test]
fn an_answered_call_without_talk_is_short() {
    let mut world = World::new();
    let mut call = complete_row();
    call.details = Some(talked(0));
    world.told(5 * MINUTE, &call);
    assert_eq!(world.settled().outcome, Outcome::Answered);
    assert_eq!(world.total(Family::Short), 1);
}

#[test]
fn amounts_at_the_end_of_their_range_stop_there() {
    let (mut world, call) = settled();
    for (at, price) in [(1, i64::MAX), (2, 0), (3, i64::MAX), (4, 0), (5, i64::MAX)] {
        let at = at * HOUR;
        world.told(
            at,
            &later(&call, at, |c| {
                c.price = Some(price);
                c.duration = Some(u32::MAX);
                c.details = Some(talked(u32::MAX));
            }),
        );
    }
    assert_eq!(world.settled().cost, i64::MAX);
    assert_eq!(world.total_of(labelled(Family::Cost, 0)), u64::MAX);
    assert_eq!(world.total_of(labelled(Family::Seconds, 0)), u64::from(u32::MAX));
    let negative = later(&call, 6 * HOUR, |c| c.price = Some(-5));
    world.told(6 * HOUR, &negative);
    assert_eq!(world.settled().cost, i64::MAX, "a negative price is no price");
}
