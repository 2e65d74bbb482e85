//! The number under which a call counts.

use super::*;

fn stranger() -> Observation {
    let mut call = complete_row();
    call.exophone = Some("08000000099".into());
    call
}

fn read_list(world: &mut World, at: i64, phones: &[(u16, &str, i64)]) {
    let known: Vec<KnownExoPhone> = phones
        .iter()
        .map(|(id, number, from)| KnownExoPhone {
            id: *id,
            sid: format!("s{id}"),
            number: (*number).into(),
            friendly_name: None,
            countable_from: START.plus(*from).0,
        })
        .collect();
    world.directory = Directory::new(&known, Some(START.plus(at)), 500);
}

#[test]
fn an_unknown_number_waits_for_one_reading_of_the_list() {
    let mut world = World::new();
    world.told(5 * MINUTE, &stranger());
    assert_eq!((world.settled_at(), world.wanted), (None, Wanted::ExoPhones));
    world.pass(20 * MINUTE);
    assert_eq!((world.settled_at(), world.wanted), (None, Wanted::ExoPhones), "it goes on asking");
    // The reading failed, yet it was tried: counting is not held up for ever.
    read_list(&mut world, 21 * MINUTE, &[]);
    world.pass(22 * MINUTE);
    assert_eq!(world.settled().exophone, ExoPhoneId::UNKNOWN);
    assert_eq!(world.total(Family::Calls), 1);
}

#[test]
fn the_list_is_asked_for_when_an_unknown_number_is_first_seen() {
    let mut world = World::new();
    let mut call = stranger();
    call.price = None;
    world.told(5 * MINUTE, &call);
    assert_eq!((world.settled_at(), world.wanted), (None, Wanted::ExoPhones), "long before it counts");
    read_list(&mut world, 6 * MINUTE, &[]);
    world.pass(HOUR);
    assert_eq!(world.settled_at(), Some(35 * MINUTE), "and it need not wait any longer");
    assert_eq!(world.wanted, Wanted::Nothing);
}

#[test]
fn a_number_that_the_reading_brings_counts_after_its_series_were_seen_as_0() {
    let mut world = World::new();
    world.told(5 * MINUTE, &stranger());
    read_list(&mut world, 6 * MINUTE, &[(7, "+918000000099", 6 * MINUTE + 30)]);
    world.pass(6 * MINUTE + 29);
    assert_eq!(world.settled_at(), None);
    world.pass(20 * MINUTE);
    assert_eq!(world.settled().exophone, ExoPhoneId(7));
    assert!(world.settled_at().is_some_and(|at| (6 * MINUTE + 30..8 * MINUTE).contains(&at)));
}

#[test]
fn what_was_decided_stays() {
    let mut world = World::new();
    read_list(&mut world, 10 * MINUTE, &[]);
    world.told(5 * MINUTE, &stranger());
    assert_eq!(world.settled().exophone, ExoPhoneId::UNKNOWN);
    read_list(&mut world, HOUR, &[(7, "+918000000099", 0)]);
    let mut dearer = stranger();
    (dearer.price, dearer.updated) = (Some(9_000_000), Some(wall(HOUR)));
    world.told(HOUR, &dearer);
    assert!(world.totals.0.keys().all(|series| series.exophone != ExoPhoneId(7)));
    assert_eq!(world.total(Family::Cost), 9_000_000);
}

#[test]
fn a_call_without_a_number_counts_as_unknown_at_once() {
    for number in [None, Some("sip:agent"), Some("1800")] {
        let mut world = World::new();
        let mut call = complete_row();
        call.exophone = number.map(str::to_owned);
        world.told(5 * MINUTE, &call);
        assert_eq!(world.settled().exophone, ExoPhoneId::UNKNOWN, "{number:?}");
    }
}
