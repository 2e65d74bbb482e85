//! What became of a call, from its direction, its status and what is known of its legs.

use super::call::{Direction, LegStatus, Observation, Outcome, Status};

/// The outcome of a call. Rows of the table below are tried from the top, the first match counts.
///
/// | direction | Status | leg 1 | leg 2 | outcome |
/// |---|---|---|---|---|
/// | any | terminal | any | any, conversation > 0 | answered |
/// | any | terminal | completed | completed | answered |
/// | inbound | terminal | completed | no-answer, busy, failed | missed |
/// | inbound | terminal | completed | canceled | abandoned |
/// | inbound | not `completed` | not completed | any | failed |
/// | inbound | terminal | any | none | not connected |
/// | others | terminal | completed | no-answer, busy, canceled, failed | the same |
/// | others | completed | completed | none | not connected |
/// | others | terminal | no-answer, busy | any | agent unanswered |
/// | others | terminal | failed, canceled | any | failed |
/// | others | not `completed` | no leg known | no leg known | the status |
/// | any | any | anything else | | unknown |
///
/// `details_known` says whether leg results were given: a leg that was never dialled and a leg of which
/// nothing is known look alike otherwise.
pub fn outcome(call: &Observation, details_known: bool) -> Outcome {
    if !call.status.is_terminal() {
        return Outcome::Unknown;
    }
    let inbound = call.direction == Some(Direction::Inbound);
    let Some(details) = call.details.filter(|_| details_known) else {
        return if inbound { Outcome::Unknown } else { by_status(call.status) };
    };
    let talked = details.conversation.is_some_and(|seconds| seconds > 0);
    let completed = Some(LegStatus::Completed);
    if talked || (details.leg1 == completed && details.leg2 == completed) {
        return Outcome::Answered;
    }
    if inbound {
        of_inbound(call.status, details.leg1, details.leg2)
    } else {
        of_others(call.status, details.leg1, details.leg2)
    }
}

fn of_inbound(status: Status, leg1: Option<LegStatus>, leg2: Option<LegStatus>) -> Outcome {
    use LegStatus as Leg;
    match (leg1, leg2) {
        (Some(Leg::Completed), Some(Leg::NoAnswer | Leg::Busy | Leg::Failed)) => Outcome::Missed,
        (Some(Leg::Completed), Some(Leg::Canceled)) => Outcome::Abandoned,
        (leg1, _) if leg1 != Some(Leg::Completed) && status != Status::Completed => Outcome::Failed,
        (_, None) => Outcome::NotConnected,
        _ => Outcome::Unknown,
    }
}

fn of_others(status: Status, leg1: Option<LegStatus>, leg2: Option<LegStatus>) -> Outcome {
    use LegStatus as Leg;
    match (leg1, leg2) {
        (Some(Leg::Completed), Some(Leg::NoAnswer)) => Outcome::NoAnswer,
        (Some(Leg::Completed), Some(Leg::Busy)) => Outcome::Busy,
        (Some(Leg::Completed), Some(Leg::Canceled)) => Outcome::Canceled,
        (Some(Leg::Completed), Some(Leg::Failed)) => Outcome::Failed,
        (Some(Leg::Completed), None) if status == Status::Completed => Outcome::NotConnected,
        (Some(Leg::NoAnswer | Leg::Busy), _) => Outcome::AgentUnanswered,
        (Some(Leg::Failed | Leg::Canceled), _) => Outcome::Failed,
        // A details block without any leg says no more than the status does.
        (None, None) => by_status(status),
        _ => Outcome::Unknown,
    }
}

fn by_status(status: Status) -> Outcome {
    match status {
        Status::NoAnswer => Outcome::NoAnswer,
        Status::Busy => Outcome::Busy,
        Status::Failed => Outcome::Failed,
        Status::Canceled => Outcome::Canceled,
        _ => Outcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Details, Sid, WallTime};

    const TERMINAL: [&str; 5] = ["completed", "failed", "busy", "no-answer", "canceled"];
    const UNFINISHED: [&str; 4] = ["queued", "ringing", "in-progress", "exploded"];
    const OTHERS: [Option<Direction>; 4] =
        [Some(Direction::OutboundApi), Some(Direction::OutboundDial), Some(Direction::Other), None];
    const LEGS: [&str; 8] =
        ["", "completed", "busy", "failed", "no-answer", "canceled", "in-progress", "exploded"];

    fn call(direction: Option<Direction>, status: &str, details: Option<Details>) -> Observation {
        let sid = Sid::parse("c1").expect("a sid");
        let mut call = Observation::new(sid, WallTime(0), Status::from_word(status));
        call.direction = direction;
        call.details = details;
        call
    }

    fn legs(leg1: &str, leg2: &str, conversation: Option<u32>) -> Details {
        Details {
            conversation,
            leg1: LegStatus::from_word(leg1),
            leg2: LegStatus::from_word(leg2),
            ..Details::default()
        }
    }

    /// Every combination of the words given has this outcome.
    #[track_caller]
    fn all(
        directions: &[Option<Direction>],
        statuses: &[&str],
        leg1s: &[&str],
        leg2s: &[&str],
        conversations: &[Option<u32>],
        is: impl Fn(&str, &str) -> Outcome,
    ) {
        for direction in directions {
            for status in statuses {
                for leg1 in leg1s {
                    for leg2 in leg2s {
                        for talk in conversations {
                            let call = call(*direction, status, Some(legs(leg1, leg2, *talk)));
                            let what = format!("{direction:?} {status} {leg1:?} {leg2:?} {talk:?}");
                            assert_eq!(outcome(&call, true), is(status, leg2), "{what}");
                        }
                    }
                }
            }
        }
    }

    const INBOUND: [Option<Direction>; 1] = [Some(Direction::Inbound)];
    const SILENT: [Option<u32>; 2] = [None, Some(0)];

    #[test]
    fn talk_is_an_answer_whatever_the_status_and_the_legs_say() {
        for directions in [&INBOUND[..], &OTHERS[..]] {
            all(directions, &TERMINAL, &LEGS, &LEGS, &[Some(1)], |_, _| Outcome::Answered);
            all(directions, &TERMINAL, &["completed"], &["completed"], &SILENT, |_, _| Outcome::Answered);
        }
    }

    #[test]
    fn an_inbound_call_is_judged_by_the_agents_leg() {
        let missed = ["no-answer", "busy", "failed"];
        all(&INBOUND, &TERMINAL, &["completed"], &missed, &SILENT, |_, _| Outcome::Missed);
        all(&INBOUND, &TERMINAL, &["completed"], &["canceled"], &SILENT, |_, _| Outcome::Abandoned);
        let (unanswered, never) = (&TERMINAL[1..], &["", "busy", "failed", "no-answer", "canceled"]);
        all(&INBOUND, unanswered, never, &LEGS, &SILENT, |_, _| Outcome::Failed);
        all(&INBOUND, &TERMINAL, &["completed"], &[""], &SILENT, |_, _| Outcome::NotConnected);
        all(&INBOUND, &["completed"], &LEGS, &[""], &SILENT, |_, _| Outcome::NotConnected);
        let odd = ["in-progress", "exploded"];
        all(&INBOUND, &TERMINAL, &["completed"], &odd, &SILENT, |_, _| Outcome::Unknown);
        all(&INBOUND, &["completed"], never, &LEGS[1..], &SILENT, |_, _| Outcome::Unknown);
    }

    #[test]
    fn other_calls_are_judged_by_the_customers_leg_and_then_by_the_agents() {
        let second = |_: &str, leg2: &str| match leg2 {
            "no-answer" => Outcome::NoAnswer,
            "busy" => Outcome::Busy,
            "canceled" => Outcome::Canceled,
            _ => Outcome::Failed,
        };
        let reached = ["no-answer", "busy", "canceled", "failed"];
        all(&OTHERS, &TERMINAL, &["completed"], &reached, &SILENT, second);
        all(&OTHERS, &["completed"], &["completed"], &[""], &SILENT, |_, _| Outcome::NotConnected);
        all(&OTHERS, &TERMINAL[1..], &["completed"], &[""], &SILENT, |_, _| Outcome::Unknown);
        all(&OTHERS, &TERMINAL, &["no-answer", "busy"], &LEGS, &SILENT, |_, _| Outcome::AgentUnanswered);
        all(&OTHERS, &TERMINAL, &["failed", "canceled"], &LEGS, &SILENT, |_, _| Outcome::Failed);
        let odd = ["in-progress", "exploded"];
        all(&OTHERS, &TERMINAL, &odd, &LEGS, &SILENT, |_, _| Outcome::Unknown);
        all(&OTHERS, &TERMINAL, &[""], &LEGS[1..], &SILENT, |_, _| Outcome::Unknown);
    }

    #[test]
    fn without_leg_details_only_the_status_of_calls_that_are_not_inbound_says_something() {
        let by_word = |status: &str| match status {
            "no-answer" => Outcome::NoAnswer,
            "busy" => Outcome::Busy,
            "failed" => Outcome::Failed,
            "canceled" => Outcome::Canceled,
            _ => Outcome::Unknown,
        };
        for status in TERMINAL.iter().chain(&UNFINISHED) {
            for direction in OTHERS {
                assert_eq!(outcome(&call(direction, status, None), false), by_word(status), "{status}");
                let told = call(direction, status, Some(legs("", "", Some(0))));
                assert_eq!(outcome(&told, true), by_word(status), "no leg in the block, {status}");
            }
            let inbound = call(INBOUND[0], status, None);
            assert_eq!(outcome(&inbound, false), Outcome::Unknown, "inbound {status}");
        }
    }

    #[test]
    fn details_that_are_not_known_to_be_final_say_nothing() {
        let details = Some(legs("completed", "completed", Some(8)));
        assert_eq!(outcome(&call(INBOUND[0], "completed", details), false), Outcome::Unknown);
        assert_eq!(outcome(&call(OTHERS[0], "busy", details), false), Outcome::Busy);
    }

    #[test]
    fn a_call_that_is_not_over_has_no_outcome() {
        for directions in [&INBOUND[..], &OTHERS[..]] {
            all(directions, &UNFINISHED, &LEGS, &LEGS, &[None, Some(0), Some(9)], |_, _| Outcome::Unknown);
        }
    }
}
