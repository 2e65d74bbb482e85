//! What a round says about the account as a whole. Pure.

use crate::model::Timestamp;
use crate::model::health::{CheckSource, HealthCheck, Reachability, State, Verdict, Way};

/// What was found out in a round.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings<'a> {
    /// Numbers on the list.
    pub(super) listed: usize,
    /// Sid and state of those whose last answer is not too old.
    pub(super) known: Vec<(&'a str, Reachability)>,
    /// Numbers that were asked in this round.
    pub(super) asked: usize,
    /// Those of them that did not answer, and the first reason.
    pub(super) failed: Option<(usize, String)>,
    /// Why there is no list of numbers.
    pub(super) no_list: Option<String>,
}

impl Findings<'_> {
    /// Whether everything that was asked was answered.
    pub(super) fn is_whole(&self) -> bool {
        self.failed.is_none() && (self.no_list.is_none() || self.listed > 0)
    }

    /// The check that is stored.
    pub(super) fn check(&self, now: Timestamp) -> HealthCheck {
        let affected = |way| {
            let affected = self.known.iter().filter(|(_, r)| r.state(way).is_affected());
            affected.map(|(sid, _)| (*sid).to_owned()).collect::<Vec<_>>()
        };
        let (incoming, outgoing) = (affected(Way::Inbound), affected(Way::Outbound));
        let states = |way| self.known.iter().map(move |(_, r)| r.state(way)).filter(|s| *s != State::Unknown);
        let all_out = |way| states(way).count() > 0 && states(way).all(|s| s == State::Outage);
        let nothing_known = self.listed > 0 && Way::ALL.iter().all(|way| states(*way).count() == 0);
        // What was known before is no finding of this round.
        let silent = self.failed.as_ref().is_some_and(|(failed, _)| *failed >= self.asked);
        let verdict = if silent {
            Verdict::Error
        } else if Way::ALL.into_iter().any(all_out) {
            Verdict::Critical
        } else if incoming.len() + outgoing.len() > 0 {
            Verdict::Warning
        } else if nothing_known || !self.is_whole() {
            Verdict::Error
        } else {
            Verdict::Ok
        };
        let told = !nothing_known && !silent && (self.listed > 0 || self.is_whole());
        HealthCheck {
            id: 0,
            at: now,
            stored: now,
            source: CheckSource::Poll,
            verdict,
            incoming: told.then_some(incoming),
            outgoing: told.then_some(outgoing),
            numbers: u32::try_from(self.known.len()).unwrap_or(u32::MAX),
            error: self.error(nothing_known),
        }
    }

    fn error(&self, nothing_known: bool) -> Option<String> {
        if let (0, Some(reason)) = (self.listed, &self.no_list) {
            return Some(format!("the list of ExoPhones could not be read: {reason}"));
        }
        if let Some((failed, reason)) = &self.failed {
            return Some(format!("{failed} of {} ExoPhones did not answer: {reason}", self.asked));
        }
        if nothing_known {
            return Some("Exotel says nothing of the connectivity of any ExoPhone".to_owned());
        }
        match self.listed.saturating_sub(self.known.len()) {
            0 => None,
            left => Some(format!("{left} of {} ExoPhones were not polled yet", self.listed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::health::Connectivity;

    use State::{Active, Outage, Partial, Unknown};

    fn findings(states: &[(&'static str, State, State)]) -> Findings<'static> {
        let side = |state| Some(Connectivity::of(state));
        let known = states
            .iter()
            .map(|(sid, inbound, outbound)| {
                (*sid, Reachability { inbound: side(*inbound), outbound: side(*outbound) })
            })
            .collect::<Vec<_>>();
        Findings { listed: known.len(), asked: known.len(), known, ..Findings::default() }
    }

    fn verdict(findings: &Findings<'_>) -> (Verdict, usize, usize) {
        let check = findings.check(Timestamp(7));
        (check.verdict, check.incoming.map_or(0, |l| l.len()), check.outgoing.map_or(0, |l| l.len()))
    }

    #[test]
    fn the_verdict_follows_the_states() {
        for (states, expected) in [
            (&[("a", Active, Active), ("b", Active, Unknown)][..], (Verdict::Ok, 0, 0)),
            (&[("a", Outage, Active), ("b", Active, Active)], (Verdict::Warning, 1, 0)),
            (&[("a", Partial, Partial), ("b", Partial, Active)], (Verdict::Warning, 2, 1)),
            (&[("a", Outage, Active), ("b", Outage, Partial)], (Verdict::Critical, 2, 1)),
            (&[("a", Active, Outage), ("b", Active, Unknown)], (Verdict::Critical, 0, 1)),
            (&[("a", Unknown, Unknown)], (Verdict::Error, 0, 0)),
            (&[], (Verdict::Ok, 0, 0)),
        ] {
            assert_eq!(verdict(&findings(states)), expected, "{states:?}");
        }
    }

    #[test]
    fn what_did_not_answer_is_no_ok_and_an_outage_stays_one() {
        let mut some = findings(&[("a", Active, Active)]);
        (some.listed, some.asked, some.failed) = (3, 3, Some((2, "GET exophone: 500".into())));
        let check = some.check(Timestamp(7));
        assert_eq!(check.verdict, Verdict::Error);
        assert_eq!(check.error.unwrap(), "2 of 3 ExoPhones did not answer: GET exophone: 500");
        assert_eq!(check.incoming, Some(Vec::new()));
        some.known = findings(&[("a", Outage, Active), ("b", Active, Active)]).known;
        assert_eq!(verdict(&some), (Verdict::Warning, 1, 0));
        assert!(!some.is_whole());
        some.failed = Some((3, "GET exophone: 500".into()));
        let check = some.check(Timestamp(7));
        assert_eq!((check.verdict, check.incoming), (Verdict::Error, None), "nothing was found out");

        let none = Findings { no_list: Some("401".into()), ..Findings::default() };
        let check = none.check(Timestamp(7));
        assert_eq!((check.verdict, check.incoming.clone()), (Verdict::Error, None));
        assert_eq!(check.error.unwrap(), "the list of ExoPhones could not be read: 401");
    }

    #[test]
    fn a_part_is_said_to_be_one() {
        let mut part = findings(&[("a", Active, Active)]);
        part.listed = 500;
        let check = part.check(Timestamp(7));
        assert_eq!((check.verdict, check.numbers), (Verdict::Ok, 1));
        assert_eq!(check.error.unwrap(), "499 of 500 ExoPhones were not polled yet");
    }
}
