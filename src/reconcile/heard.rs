//! `hear(heard, report)`: what callbacks have said after one more; `mismatches`: on what they and the API
//! differ. Nothing here touches a field that the API owns.

use crate::model::callback::{CallEvent, CallReport};
use crate::model::series::{EventStatus, MismatchField};
use crate::model::{
    Answered, CallRecord, Details, Direction, Final, Heard, LegStatus, Status, Timestamp, UtcOffset,
};

/// What a callback changed.
#[derive(Clone, Debug)]
pub struct Hearing {
    /// Everything that was heard by now.
    pub heard: Heard,
    /// The event and status, if this call had not been reported so before.
    pub sighting: Option<(CallEvent, EventStatus)>,
}

/// Adds a callback to what was heard of its call; none for a repeat, which changes nothing.
///
/// Of several final callbacks a value beats an absent one, and of two values the one with the newer
/// `DateUpdated` wins, the earlier heard at a tie.
pub fn hear(
    existing: Option<&Heard>,
    report: &CallReport,
    received: Timestamp,
    offset: UtcOffset,
) -> Option<Hearing> {
    if existing.is_some_and(|heard| heard.same.contains(&report.same)) {
        return None;
    }
    let mut heard = existing.cloned().unwrap_or_else(|| Heard::new(received));
    heard.first = heard.first.min(received);
    heard.last = heard.last.max(received);
    if heard.same.len() >= Heard::MOST_SAME {
        heard.same.remove(0);
    }
    heard.same.push(report.same);
    let said = (report.event, EventStatus::of(report.status));
    let sighting = match heard.said.binary_search(&said) {
        Ok(_) => None,
        Err(place) => {
            heard.said.insert(place, said);
            Some(said)
        }
    };
    // `outbound` of a CCM callback is a direction that says less than the others.
    let vague = heard.direction.is_none_or(|direction| direction == Direction::Other);
    if vague && report.direction.is_some() {
        heard.direction = report.direction;
    }
    heard.start = heard.start.or(report.start).or(report.created);
    if heard.answered == Answered::No && is_answer(report) {
        heard.answered = Answered::At(time_of(report, received, offset));
    }
    if report.event == CallEvent::Passthru {
        heard.passthru = Some(heard.passthru.map_or(received, |first| first.min(received)));
        let dialled = report.details.and_then(|details| details.leg2);
        heard.flow_ended |= report.status.is_some_and(Status::is_terminal)
            || dialled.is_some_and(|leg| leg != LegStatus::InProgress);
    }
    if report.event == CallEvent::Terminal {
        let said = Final {
            at: received,
            updated: report.updated,
            status: report.status.filter(|status| status.is_terminal()),
            duration: report.duration,
            price: report.price,
            details: report.details,
        };
        heard.end = Some(heard.end.map_or(said, |held| merge_final(held, said)));
    }
    Some(Hearing { heard, sighting })
}

/// Whether a callback says that both sides are on the line. Exotel sends `answered` for each leg: with legs
/// given, only the one that shows leg 2 in the call counts. CCM gives none.
fn is_answer(report: &CallReport) -> bool {
    let both = |details: Details| match (details.leg1, details.leg2) {
        (None, None) => true,
        (_, leg2) => matches!(leg2, Some(LegStatus::InProgress | LegStatus::Completed)),
    };
    report.event == CallEvent::Answered && report.details.is_none_or(both)
}

/// When Exotel made the callback: a retry comes minutes later. Its arrival, where it does not say.
fn time_of(report: &CallReport, received: Timestamp, offset: UtcOffset) -> Timestamp {
    let said = report.updated.map(|updated| updated.to_timestamp(offset));
    let start = report.start.or(report.created).map(|start| start.to_timestamp(offset));
    let fits = |at: &Timestamp| *at <= received && start.is_none_or(|start| start <= *at);
    said.filter(fits).unwrap_or(received)
}

fn merge_final(held: Final, said: Final) -> Final {
    let newer = matches!((said.updated, held.updated), (Some(new), Some(old)) if new > old);
    let (first, second) = if newer { (said, held) } else { (held, said) };
    Final {
        at: held.at.min(said.at),
        updated: first.updated.or(second.updated),
        status: first.status.or(second.status),
        duration: first.duration.or(second.duration),
        price: first.price.or(second.price),
        details: match (first.details, second.details) {
            (Some(first), Some(second)) => Some(Details {
                conversation: first.conversation.or(second.conversation),
                leg1: first.leg1.or(second.leg1),
                leg2: first.leg2.or(second.leg2),
                leg1_seconds: first.leg1_seconds.or(second.leg1_seconds),
                leg2_seconds: first.leg2_seconds.or(second.leg2_seconds),
            }),
            (first, second) => first.or(second),
        },
    }
}

/// Brings together what was heard of one call in two places.
pub fn join(mut one: Heard, other: Heard) -> Heard {
    one.said.extend(other.said);
    one.said.sort_unstable();
    one.said.dedup();
    one.same.extend(other.same);
    let surplus = one.same.len().saturating_sub(Heard::MOST_SAME);
    one.same.drain(..surplus);
    Heard {
        first: one.first.min(other.first),
        last: one.last.max(other.last),
        direction: one.direction.or(other.direction),
        start: one.start.or(other.start),
        answered: if one.answered == Answered::No { other.answered } else { one.answered },
        passthru: [one.passthru, other.passthru].into_iter().flatten().min(),
        flow_ended: one.flow_ended || other.flow_ended,
        end: match (one.end, other.end) {
            (Some(held), Some(said)) => Some(merge_final(held, said)),
            (held, said) => held.or(said),
        },
        differs: one.differs | other.differs,
        said: one.said,
        same: one.same,
    }
}

/// Fields on which a final callback and the API differ, where both say something final.
pub fn mismatches(record: &CallRecord) -> Vec<MismatchField> {
    let call = &record.call;
    let Some(end) = record.book.heard.as_deref().and_then(|heard| heard.end) else { return Vec::new() };
    if !call.is_over() {
        return Vec::new();
    }
    fn differ<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
        matches!((one, other), (Some(one), Some(other)) if one != other)
    }
    let ours = call.details.filter(|_| record.book.details.is_known()).unwrap_or_default();
    let theirs = end.details.unwrap_or_default();
    let over = |leg: Option<LegStatus>| leg.filter(|leg| *leg != LegStatus::InProgress);
    let fields = [
        (MismatchField::Status, differ(Some(call.status).filter(|s: &Status| s.is_terminal()), end.status)),
        (
            MismatchField::Duration,
            differ(call.known_duration(), end.duration) || differ(ours.conversation, theirs.conversation),
        ),
        (MismatchField::Price, differ(call.price, end.price)),
        (
            MismatchField::Leg,
            differ(over(ours.leg1), over(theirs.leg1)) || differ(over(ours.leg2), over(theirs.leg2)),
        ),
    ];
    fields.into_iter().filter(|(_, differ)| *differ).map(|(field, _)| field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Book, DetailsState, Observation, Sid, WallTime};

    const IST: UtcOffset = UtcOffset(19_800);
    /// Second 0: when the call began.
    const START: Timestamp = Timestamp(1_772_457_400);

    fn wall(at: i64) -> WallTime {
        START.plus(at).to_wall(IST)
    }

    fn report(event: CallEvent, same: u64) -> CallReport {
        CallReport::outbound(Sid::parse("c1").expect("a sid"), wall(0), event, same)
    }

    fn terminal(same: u64, status: Status, updated: Option<i64>) -> CallReport {
        CallReport { status: Some(status), updated: updated.map(wall), ..report(CallEvent::Terminal, same) }
    }

    fn answered(same: u64, leg2: Option<LegStatus>) -> CallReport {
        let details = Details { leg1: Some(LegStatus::InProgress), leg2, ..Details::default() };
        CallReport {
            status: Some(Status::InProgress),
            details: Some(details),
            ..report(CallEvent::Answered, same)
        }
    }

    /// Hears each at its second; repeats change nothing.
    fn all(reports: &[(CallReport, i64)]) -> Heard {
        let mut heard = None;
        for (report, at) in reports {
            if let Some(hearing) = hear(heard.as_ref(), report, START.plus(*at), IST) {
                heard = Some(hearing.heard);
            }
        }
        heard.expect("at least one")
    }

    fn record(call: Observation, heard: Heard) -> CallRecord {
        let mut book = Book::new(START);
        book.heard = Some(Box::new(heard));
        CallRecord { call, book }
    }

    #[test]
    fn a_repeat_is_known_by_its_hash_and_the_same_event_is_sighted_once() {
        let first = hear(None, &terminal(1, Status::Busy, None), START, IST).expect("new");
        assert_eq!(first.sighting, Some((CallEvent::Terminal, EventStatus::Busy)));
        assert!(hear(Some(&first.heard), &terminal(1, Status::Busy, None), START, IST).is_none());
        let other = hear(Some(&first.heard), &terminal(2, Status::Busy, None), START, IST).expect("new");
        assert_eq!(other.sighting, None);
    }

    #[test]
    fn hashes_are_bounded_and_what_falls_out_counts_nothing_when_it_comes_again() {
        let reports: Vec<(CallReport, i64)> =
            (0..100).map(|n| (terminal(n, Status::Busy, None), n as i64)).collect();
        let heard = all(&reports);
        assert_eq!(heard.same.len(), Heard::MOST_SAME);
        let again = hear(Some(&heard), &reports[0].0, START, IST).expect("it is read again");
        assert_eq!(again.sighting, None);
        assert_eq!(again.heard.end, heard.end);
    }

    #[test]
    fn the_answer_is_when_leg_2_is_on_the_line_by_exotels_own_time() {
        let mut both = answered(2, Some(LegStatus::InProgress));
        assert_eq!(all(&[(answered(1, None), 5)]).answered, Answered::No);
        assert_eq!(all(&[(answered(1, None), 5), (both.clone(), 9)]).answered, Answered::At(START.plus(9)));
        // A retry comes five minutes later.
        both.updated = Some(wall(8));
        assert_eq!(all(&[(both.clone(), 309)]).answered, Answered::At(START.plus(8)));
        // What cannot be is not believed: before the start, or after it was sent.
        for nonsense in [-1, 400] {
            both.updated = Some(wall(nonsense));
            assert_eq!(all(&[(both.clone(), 309)]).answered, Answered::At(START.plus(309)));
        }
    }

    #[test]
    fn an_answer_without_legs_counts_as_it_is() {
        let mut ccm = report(CallEvent::Answered, 1);
        assert_eq!(all(&[(ccm.clone(), 7)]).answered, Answered::At(START.plus(7)));
        ccm.details = Some(Details { conversation: Some(0), ..Details::default() });
        assert_eq!(all(&[(ccm, 7)]).answered, Answered::At(START.plus(7)));
    }

    #[test]
    fn a_passthru_after_the_dialled_leg_ends_a_call_as_far_as_callbacks_can_tell() {
        let mut step = report(CallEvent::Passthru, 1);
        assert!(!all(&[(step.clone(), 5)]).is_over(), "a step on the way");
        step.details = Some(Details { leg2: Some(LegStatus::NoAnswer), ..Details::default() });
        let heard = all(&[(step, 5)]);
        assert!(heard.is_over());
        assert_eq!(heard.end, None, "which is not a final callback");
    }

    #[test]
    fn final_values_fill_each_other_and_the_newer_wins_in_any_order() {
        let mut long = terminal(1, Status::Busy, Some(60));
        (long.duration, long.price) = (Some(60), Some(5));
        let mut corrected = terminal(2, Status::Completed, Some(90));
        corrected.duration = Some(61);
        let short = terminal(3, Status::Failed, None);
        for order in [[0, 1, 2], [1, 0, 2], [0, 2, 1], [1, 2, 0]] {
            let reports = [&long, &corrected, &short];
            let heard = all(&order.map(|n| (reports[n].clone(), n as i64)));
            let end = heard.end.expect("it ended");
            assert_eq!((end.status, end.duration, end.price), (Some(Status::Completed), Some(61), Some(5)));
        }
    }

    #[test]
    fn only_terminal_events_speak_of_the_end_and_only_final_words_of_the_status() {
        let mut agent = report(CallEvent::AgentTerminal, 1);
        agent.status = Some(Status::Busy);
        assert_eq!(all(&[(agent, 5)]).end, None);
        let unclear = all(&[(terminal(1, Status::InProgress, None), 5)]);
        assert_eq!(unclear.end.map(|end| end.status), Some(None));
        assert!(unclear.is_over());
    }

    #[test]
    fn both_sides_differ_only_where_both_say_something_final() {
        let mut said = terminal(1, Status::Busy, None);
        (said.duration, said.price) = (Some(60), Some(5));
        said.details = Some(Details { leg1: Some(LegStatus::Busy), ..Details::default() });
        let heard = all(&[(said, 5)]);
        let mut call = Observation::new(Sid::parse("c1").expect("a sid"), wall(0), Status::InProgress);
        assert_eq!(mismatches(&record(call.clone(), heard.clone())), []);
        call.status = Status::Completed;
        assert_eq!(mismatches(&record(call.clone(), heard.clone())), [MismatchField::Status]);
        // 0 is what Exotel says before it knows.
        call.duration = Some(0);
        assert_eq!(mismatches(&record(call.clone(), heard.clone())), [MismatchField::Status]);
        call.duration = Some(61);
        call.price = Some(6);
        call.details = Some(Details { leg1: Some(LegStatus::Completed), ..Details::default() });
        let all = [MismatchField::Status, MismatchField::Duration, MismatchField::Price, MismatchField::Leg];
        let mut record = record(call, heard);
        assert_eq!(mismatches(&record), all[..3]);
        record.book.details = DetailsState::Fetched;
        assert_eq!(mismatches(&record), all);
    }

    #[test]
    fn what_was_heard_in_two_places_is_joined() {
        let one = all(&[(answered(1, Some(LegStatus::InProgress)), 9)]);
        let other = all(&[(terminal(2, Status::Completed, None), 3)]);
        let joined = join(one, other);
        assert_eq!((joined.first, joined.last), (START.plus(3), START.plus(9)));
        assert_eq!(joined.said.len(), 2);
        assert_eq!(joined.same, [1, 2]);
        assert!(joined.is_over() && joined.answered != Answered::No);
    }
}
