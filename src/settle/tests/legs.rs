//! A leg adds its price to its root's labels and counts nothing else.

use super::*;

fn leg() -> Observation {
    let mut call = complete_row();
    call.parent = Sid::parse("root");
    call.exophone = None;
    call.direction = Some(Direction::OutboundDial);
    call
}

fn root() -> Settled {
    Settled {
        at: START,
        kind: SettledKind::Root,
        exophone: OURS,
        direction: Direction::Inbound,
        status: Status::Completed,
        outcome: Outcome::Answered,
        seconds: 90,
        cost: 1_000_000,
        conversation: Some(10),
    }
}

fn cost_of_root() -> Series {
    Series { account: ACCOUNT, family: Family::Cost, exophone: OURS, a: Direction::Inbound.code(), b: 0 }
}

#[test]
fn a_leg_waits_for_its_root_and_then_adds_its_price_to_the_roots_labels() {
    let mut world = World::new();
    world.root = Root::Waiting;
    world.told(5 * MINUTE, &leg()).pass(2 * HOUR);
    assert_eq!(world.settled_at(), None);
    world.root = Root::Settled(root());
    world.pass(4 * HOUR);
    assert_eq!(world.settled().kind, SettledKind::Child);
    assert_eq!(world.totals.0.into_iter().collect::<Vec<_>>(), [(cost_of_root(), 1_500_000)]);
}

#[test]
fn a_leg_that_comes_after_its_root_adds_at_once_and_later_increases_too() {
    let mut world = World::new();
    world.root = Root::Settled(root());
    let mut call = leg();
    call.price = None;
    world.told(5 * MINUTE, &call);
    assert_eq!(world.settled_at(), Some(5 * MINUTE));
    assert_eq!(world.due(Task::Price), Some(35 * MINUTE), "its price is asked for");
    world.root = Root::Missing;
    for (at, price) in [(1, 200), (2, 900), (3, 400)] {
        let mut call = leg();
        (call.price, call.updated) = (Some(price), Some(wall(at * HOUR)));
        (call.duration, call.status) = (Some(at as u32), Status::Failed);
        world.told(at * HOUR, &call);
    }
    assert_eq!(world.total_of(cost_of_root()), 900);
    assert_eq!(world.total(Family::Cost), 900);
    assert_eq!(world.total(Family::Refunds), 500);
    assert_eq!(world.total(Family::Corrections), 1, "the price alone");
    assert_eq!(world.total(Family::Calls) + world.total(Family::Seconds) + world.total(Family::Details), 0);
}

#[test]
fn a_leg_of_a_call_that_is_not_live_or_silent_adds_nothing() {
    for root in [Root::NotLive, Root::Settled(Settled { kind: SettledKind::Silent, ..root() })] {
        let mut world = World::new();
        world.root = root;
        world.told(5 * MINUTE, &leg());
        assert_eq!(world.settled().kind, SettledKind::Silent);
        let mut dearer = leg();
        (dearer.price, dearer.updated) = (Some(9_000_000), Some(wall(HOUR)));
        world.told(HOUR, &dearer).pass(24 * HOUR);
        assert!(world.totals.0.is_empty(), "{:?}", world.totals);
        assert!(world.record.expect("a call").book.agenda.is_empty());
    }
}

#[test]
fn a_leg_of_a_leg_adds_to_the_labels_at_the_end_of_the_chain() {
    let mut world = World::new();
    world.root = Root::Settled(Settled { kind: SettledKind::Child, cost: 5, ..root() });
    world.told(5 * MINUTE, &leg());
    assert_eq!(world.total_of(cost_of_root()), 1_500_000);
    assert_eq!(world.settled().kind, SettledKind::Child);
}

#[test]
fn a_leg_without_a_root_counts_as_a_call_when_the_look_back_has_passed() {
    let mut world = World::new();
    world.told(5 * MINUTE, &leg()).pass(RULES.lookback - 1);
    assert_eq!(world.settled_at(), None);
    world.pass(RULES.lookback);
    assert_eq!(world.settled_at(), Some(RULES.lookback));
    assert_eq!(world.settled().kind, SettledKind::Root);
    assert_eq!(world.total(Family::Calls), 1);
    assert_eq!(world.total(Family::Details), 1, "its details count as those of any call");
    // Should the root turn up now, nothing moves.
    world.root = Root::Settled(root());
    let mut call = leg();
    (call.price, call.updated) = (Some(2_000_000), Some(wall(6 * HOUR)));
    world.told(6 * HOUR, &call);
    assert_eq!(world.settled().kind, SettledKind::Root);
    assert_eq!(world.total_of(cost_of_root()), 0);
    assert_eq!(world.total(Family::Cost), 2_000_000);
}

#[test]
fn an_orphan_asks_for_its_details_like_any_call() {
    let mut call = leg();
    call.details = None;
    let orphan = || {
        let mut world = World::new();
        world.told(5 * MINUTE, &call).pass(RULES.lookback - 1);
        assert_eq!(world.due(Task::Details), None, "while it may be a leg, nobody needs them");
        world.pass(RULES.lookback);
        assert_eq!(world.due(Task::Details), Some(RULES.lookback));
        assert_eq!(world.settled_at(), None, "its deadline is long over, but nobody could ask before");
        world
    };
    let mut world = orphan();
    world.told_by(RULES.lookback + MINUTE, &leg(), Origin::Single);
    assert_eq!(world.settled().outcome, Outcome::Answered);
    assert_eq!(world.details(), DetailsState::Fetched);

    let mut world = orphan();
    world.pass(RULES.lookback + HOUR);
    assert_eq!(world.settled_at(), Some(RULES.lookback + 6 * MINUTE), "no budget in the usual time");
    assert_eq!(world.details(), DetailsState::Skipped);
}

#[test]
fn a_leg_from_a_backlog_waits_for_a_root_that_is_read_after_it() {
    let mut world = World::new();
    world.told(48 * HOUR, &leg()).pass(48 * HOUR + RULES.lookback - 1);
    assert_eq!(world.settled_at(), None, "its look-back had passed when it was first read");
    world.root = Root::Settled(root());
    world.pass(72 * HOUR);
    assert_eq!(world.settled().kind, SettledKind::Child);
    assert_eq!(world.total(Family::Calls), 0);
}

#[test]
fn a_leg_whose_root_waits_is_no_orphan() {
    let mut world = World::new();
    world.root = Root::Waiting;
    world.told(5 * MINUTE, &leg()).pass(10 * 24 * HOUR);
    assert_eq!(world.settled_at(), None);
    assert!(world.totals.0.is_empty());
}

#[test]
fn a_root_is_looked_for_often_at_first_and_then_ever_more_rarely() {
    let mut world = World::new();
    world.root = Root::Waiting;
    world.told(5 * MINUTE, &leg());
    let mut looks = 0;
    let mut last = 5 * MINUTE;
    while let Some(due) = world.due(Task::Child).filter(|due| *due < 7 * 24 * HOUR) {
        assert!(due - last <= (3 * MINUTE).max((last - 5 * MINUTE) / 4), "{last} {due}");
        last = due;
        looks += 1;
        world.pass(due);
    }
    assert!(looks < 40, "{looks} rewritten records in a week");
}

#[test]
fn a_row_that_names_itself_as_its_root_is_no_leg() {
    let mut world = World::new();
    let mut call = complete_row();
    call.parent = Some(call.sid.clone());
    world.told(5 * MINUTE, &call);
    assert_eq!(world.settled().kind, SettledKind::Root);
    assert_eq!(world.settled_at(), Some(5 * MINUTE));
}
