//! What we know of a text message.

use serde::{Deserialize, Serialize};

use super::callback::{SmsReport, SmsStatus};
use super::time::Timestamp;

/// A message as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// When we first heard of it.
    pub first_seen: Timestamp,
    /// When it was handed in at Exotel, where known.
    pub created: Option<Timestamp>,
    /// The newest status that was not final.
    pub last: Option<SmsStatus>,
    /// The first final report.
    pub done: Option<Done>,
    /// Whether its delivery delay is counted.
    pub delay_counted: bool,
    /// Times it was asked for while no final report had come.
    pub asks: u8,
    /// Times it was asked for afterwards, for its creation time.
    pub time_asks: u8,
    /// When it is asked for next; none if it is not.
    pub due: Option<Timestamp>,
}

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Final status.
    pub status: SmsStatus,
    /// Exotel's number for it.
    pub code: Option<u32>,
    /// When the report came, or, for one that was asked for, what Exotel gives as its time.
    pub at: Timestamp,
}

/// What a final code means; the `family` label. Codes are stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CodeFamily {
    /// The handset has it.
    Handset = 0,
    /// The operator has it; nothing is known of the handset.
    Operator = 1,
    /// Refused: unwanted, spam, unknown number, no route.
    Refused = 2,
    /// Refused by the Indian registration of senders and templates (DLT).
    Dlt = 3,
    /// An error of handset, operator or system.
    Error = 4,
    /// Without a number, or with one that we do not know.
    Other = 5,
}

impl CodeFamily {
    /// Every family, in the order of their codes.
    pub const ALL: [Self; 6] =
        [Self::Handset, Self::Operator, Self::Refused, Self::Dlt, Self::Error, Self::Other];

    /// The label's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handset => "handset",
            Self::Operator => "operator",
            Self::Refused => "refused",
            Self::Dlt => "dlt",
            Self::Error => "error",
            Self::Other => "other",
        }
    }

    /// The code under which it is counted.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The family of a `DetailedStatusCode`.
    pub fn of(code: Option<u32>) -> Self {
        match code {
            Some(20_005) => Self::Handset,
            Some(20_006) => Self::Operator,
            Some(23_080..=23_089 | 23_100..=23_299) => Self::Dlt,
            Some(23_000..=23_999) => Self::Refused,
            Some(24_000..=24_999) => Self::Error,
            _ => Self::Other,
        }
    }
}

/// Who reports of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reporter {
    /// Exotel, by itself.
    Callback,
    /// Exotel, because we asked.
    Answer,
}

/// What a report did to a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Whether it told anything new; false for a repeat.
    pub new: bool,
    /// Whether something newer was known.
    pub stale: bool,
    /// The message ended now: it counts under this.
    pub ended: Option<(SmsStatus, CodeFamily)>,
    /// Seconds from creation to final report, when both are known for the first time.
    pub delay: Option<u64>,
}

impl Message {
    /// A message first heard of now.
    pub fn new(first_seen: Timestamp) -> Self {
        Self {
            first_seen,
            created: None,
            last: None,
            done: None,
            delay_counted: false,
            asks: 0,
            time_asks: 0,
            due: None,
        }
    }

    /// Takes in a report. A message ends once: of several final reports the first counts, and nothing
    /// reopens it.
    pub fn hear(&mut self, report: &SmsReport, reporter: Reporter, now: Timestamp) -> Heard {
        let mut heard = Heard::default();
        if self.created.is_none() && report.created.is_some() {
            self.created = report.created;
            heard.new = true;
        }
        match (report.status.is_final(), self.done) {
            (true, None) => {
                let at = match reporter {
                    Reporter::Callback => now,
                    Reporter::Answer => report.sent.unwrap_or(now).min(now),
                };
                self.done = Some(Done { status: report.status, code: report.code, at });
                heard.new = true;
                heard.ended = Some((report.status, CodeFamily::of(report.code)));
            }
            (true, Some(done)) => heard.stale = (done.status, done.code) != (report.status, report.code),
            (false, Some(_)) => heard.stale = true,
            (false, None) if self.last == Some(report.status) => {}
            (false, None) => {
                // The order of Exotel's own words; a late "queued" says nothing new.
                heard.stale = self.last.is_some_and(|last| last > report.status);
                heard.new |= !heard.stale;
                self.last = self.last.max(Some(report.status));
            }
        }
        if let (Some(done), Some(created), false) = (self.done, self.created, self.delay_counted) {
            self.delay_counted = true;
            heard.delay = Some(u64::try_from(done.at - created).unwrap_or(0));
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn report(status: SmsStatus, code: Option<u32>, created: Option<i64>) -> SmsReport {
        SmsReport { sid: "m1".into(), status, code, created: created.map(Timestamp), sent: None }
    }

    #[test]
    fn codes_are_told_by_their_number() {
        for (code, family) in [
            (20_005, CodeFamily::Handset),
            (20_006, CodeFamily::Operator),
            (23_005, CodeFamily::Refused),
            (23_072, CodeFamily::Refused),
            (23_081, CodeFamily::Dlt),
            (23_183, CodeFamily::Dlt),
            (23_281, CodeFamily::Dlt),
            (24_990, CodeFamily::Error),
            (30_004, CodeFamily::Other),
        ] {
            assert_eq!(CodeFamily::of(Some(code)), family, "{code}");
        }
        assert_eq!(CodeFamily::of(None), CodeFamily::Other);
    }

    #[test]
    fn a_delay_counts_once_whichever_half_comes_last() {
        let mut message = Message::new(Timestamp(100));
        let first =
            message.hear(&report(SmsStatus::Sent, Some(20_005), None), Reporter::Callback, Timestamp(130));
        assert_eq!((first.ended.is_some(), first.delay), (true, None));
        let second =
            message.hear(&report(SmsStatus::Sent, Some(20_005), Some(90)), Reporter::Answer, Timestamp(500));
        assert_eq!((second.ended, second.delay, second.new), (None, Some(40), true));
        let third =
            message.hear(&report(SmsStatus::Sent, Some(20_005), Some(90)), Reporter::Answer, Timestamp(600));
        assert_eq!(third, Heard::default(), "a repeat");
    }

    fn reports() -> impl Strategy<Value = Vec<(u8, bool)>> {
        prop::collection::vec((0_u8..7, any::<bool>()), 1..12)
    }

    const BY_CODE: [SmsStatus; 7] = [
        SmsStatus::Sent,
        SmsStatus::Failed,
        SmsStatus::FailedDnd,
        SmsStatus::Other,
        SmsStatus::Queued,
        SmsStatus::Sending,
        SmsStatus::Submitted,
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_message_ends_once_with_its_first_final_report(all in reports()) {
            let mut message = Message::new(Timestamp(0));
            let (mut ended, mut delays) = (Vec::new(), 0);
            for (n, (status, created)) in all.iter().enumerate() {
                let status = BY_CODE[usize::from(*status)];
                let said = report(status, None, created.then_some(5));
                let heard = message.hear(&said, Reporter::Callback, Timestamp(10 + n as i64));
                ended.extend(heard.ended.map(|(status, _)| status));
                delays += u32::from(heard.delay.is_some());
                prop_assert!(!(heard.ended.is_some() && heard.stale));
                let again = message.clone().hear(&said, Reporter::Callback, Timestamp(99));
                prop_assert!(!again.new && again.ended.is_none() && again.delay.is_none());
            }
            let first = all.iter().map(|(s, _)| BY_CODE[usize::from(*s)]).find(|s| s.is_final());
            prop_assert_eq!(ended, first.into_iter().collect::<Vec<_>>());
            let timed = all.iter().any(|(_, created)| *created);
            prop_assert_eq!(delays, u32::from(first.is_some() && timed));
        }
    }
}
