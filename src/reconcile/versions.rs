//! What v1, v2 and v3 say of one call, in any order.

use super::*;
use crate::model::{Direction, Sid};

const NOW: Timestamp = Timestamp(1_772_457_400);
const EPOCH: WallTime = WallTime(0);

fn said(status: Status, updated: i64) -> Observation {
    let mut call = Observation::new(Sid::parse("c1").expect("a sid"), WallTime(1_000), status);
    call.updated = Some(WallTime(updated));
    call
}

fn believed(all: &[(Origin, Observation)]) -> CallRecord {
    let mut held: Option<CallRecord> = None;
    for (origin, said) in all {
        held = Some(merge(held.as_ref(), said, *origin, EPOCH, NOW).record);
    }
    held.expect("at least one observation")
}

/// Every order of these.
fn orders<T: Clone>(all: &[T]) -> Vec<Vec<T>> {
    let Some((first, rest)) = all.split_first() else { return vec![Vec::new()] };
    let places = |order: Vec<T>| {
        (0..=order.len()).map(move |at| [&order[..at], std::slice::from_ref(first), &order[at..]].concat())
    };
    orders(rest).into_iter().flat_map(places).collect()
}

/// A running and a final row of v1, and answers of v2 and v3 that say other things.
fn of_all_versions() -> [(Origin, Observation); 4] {
    let running = said(Status::InProgress, 10);
    let mut last = said(Status::NoAnswer, 20);
    (last.duration, last.to, last.end) = (Some(17), Some("09900000001".into()), Some(WallTime(1_017)));
    last.direction = Some(Direction::OutboundDial);
    let newer = |status| Observation { updated: None, created: WallTime(1_001), ..said(status, 0) };
    let active = newer(Status::InProgress);
    let mut over = newer(Status::Busy);
    (over.duration, over.to, over.custom_field) =
        (Some(99), Some("+919900000001".into()), Some("lead-1002".into()));
    over.direction = Some(Direction::OutboundApi);
    over.details = Some(Details { leg2: Some(LegStatus::Busy), ..Details::default() });
    [(Origin::Page, running), (Origin::Single, last), (Origin::Newer, active), (Origin::Newer, over)]
}

#[test]
fn v2_and_v3_fill_what_v1_lacks_and_change_nothing_that_it_says_in_any_order() {
    for order in orders(&of_all_versions()) {
        let record = believed(&order);
        let call = &record.call;
        assert_eq!((call.status, call.created), (Status::NoAnswer, WallTime(1_000)), "{order:?}");
        assert_eq!((call.updated, call.duration), (Some(WallTime(20)), Some(17)));
        assert_eq!((call.to.as_deref(), call.end), (Some("09900000001"), Some(WallTime(1_017))));
        assert_eq!(call.direction, Some(Direction::OutboundDial));
        assert_eq!(call.custom_field.as_deref(), Some("lead-1002"), "v1 does not say");
        assert_eq!(call.details.and_then(|d| d.leg2), Some(LegStatus::Busy));
        assert!(record.book.by_api && record.book.details.is_known());
    }
}

#[test]
fn a_row_without_a_date_of_change_wins_over_v2_and_v3_too() {
    let mut all = of_all_versions().to_vec();
    all.remove(0);
    all[0].1.updated = None;
    for order in orders(&all) {
        let call = believed(&order).call;
        assert_eq!((call.status, call.duration, call.updated), (Status::NoAnswer, Some(17), None));
    }
}

#[test]
fn a_call_that_goes_on_in_v1_and_is_over_in_v3_is_over() {
    let [running, _, active, over] = of_all_versions();
    for order in orders(&[running, active, over]) {
        let record = believed(&order);
        assert_eq!((record.call.status, record.call.created), (Status::Busy, WallTime(1_000)));
        assert_eq!(record.call.duration, Some(99), "v1 does not know it yet");
    }
}

#[test]
fn a_call_that_v2_or_v3_alone_told_of_is_not_one_of_v1s_list() {
    let [.., active, over] = of_all_versions();
    assert!(!believed(&[active, over.clone()]).book.by_api);
    let again =
        merge(Some(&believed(std::slice::from_ref(&over))), &over.1, Origin::Newer, EPOCH, NOW.plus(60));
    assert_eq!(again.effect, Effect::Unchanged);
}
