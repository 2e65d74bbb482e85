//! Reports of messages: each message counts once, in the transaction that stores how it ended.

use crate::model::callback::{SmsReport, Taken};
use crate::model::message::Reporter;
use crate::model::{AccountId, Family, Message, Series, Timestamp};
use crate::settle::Deltas;
use crate::store::{Held, Operation, Wants, WriteSet};

/// Times a message without a final report is asked for, each wait twice the last: with the default
/// `settle_after` after 30 min, 1 h, 2 h, 4 h, 8 h and 16 h. After that nothing is known of it.
const MAX_ASKS: u8 = 6;
/// Times a message that ended is asked for, so that its delivery delay can be known.
const MAX_TIME_ASKS: u8 = 1;

/// A report of one message.
#[derive(Clone, Debug)]
pub struct Report {
    /// Account.
    pub account: AccountId,
    /// What is said.
    pub said: SmsReport,
    /// Who says it.
    pub reporter: Reporter,
    /// Unit of the waits, in seconds.
    pub settle_after: i64,
    /// Now.
    pub now: Timestamp,
}

impl Operation for Report {
    type Reply = Taken;

    fn wants(&self) -> Wants {
        Wants { messages: vec![self.said.sid.clone()], ..Wants::nothing(self.account) }
    }

    fn decide(&mut self, mut held: Held) -> (WriteSet, Taken) {
        let before = held.messages.remove(&self.said.sid);
        let mut message = before.clone().unwrap_or_else(|| Message::new(self.now));
        let heard = message.hear(&self.said, self.reporter, self.now);
        if self.reporter == Reporter::Answer {
            count_ask(&mut message);
        }
        message.due = due(&message, self.settle_after, self.now);
        let mut writes = WriteSet::default();
        if let Some((status, family)) = heard.ended {
            writes.deltas.add(Series::new(self.account, Family::SmsMessages, status.code(), 0), 1);
            writes.deltas.add(Series::new(self.account, Family::SmsCodes, family.code(), 0), 1);
        }
        if let Some(delay) = heard.delay {
            writes.deltas.observe(self.account, Family::SmsDelay, 0, delay);
        }
        let taken = match () {
            () if heard.new || before.is_none() => Taken::Accepted,
            () if heard.stale => Taken::Stale,
            () => Taken::Duplicate,
        };
        if before.as_ref() != Some(&message)
            && (taken == Taken::Accepted || self.reporter == Reporter::Answer)
        {
            writes.messages.push((self.said.sid.clone(), before, message));
        }
        (writes, taken)
    }
}

/// A message that was asked for in vain: Exotel does not know it.
#[derive(Clone, Debug)]
pub struct NotKnown {
    /// Account.
    pub account: AccountId,
    /// Its Sid.
    pub sid: String,
    /// Unit of the waits, in seconds.
    pub settle_after: i64,
    /// Now.
    pub now: Timestamp,
}

impl Operation for NotKnown {
    type Reply = ();

    fn wants(&self) -> Wants {
        Wants { messages: vec![self.sid.clone()], ..Wants::nothing(self.account) }
    }

    fn decide(&mut self, mut held: Held) -> (WriteSet, ()) {
        let Some(before) = held.messages.remove(&self.sid) else { return (WriteSet::default(), ()) };
        let mut message = before.clone();
        count_ask(&mut message);
        message.due = due(&message, self.settle_after, self.now);
        let messages = vec![(self.sid.clone(), Some(before), message)];
        (WriteSet { messages, deltas: Deltas::default(), ..WriteSet::default() }, ())
    }
}

fn count_ask(message: &mut Message) {
    let asks = if message.done.is_some() { &mut message.time_asks } else { &mut message.asks };
    *asks = asks.saturating_add(1);
}

/// When a message is asked for next: while it has not ended; and once afterwards for its creation time,
/// soon, since nobody waits for it.
fn due(message: &Message, settle_after: i64, now: Timestamp) -> Option<Timestamp> {
    let unit = settle_after.max(1);
    match message.done {
        None if message.asks < MAX_ASKS => {
            let waited = unit.saturating_mul((1 << (message.asks + 1)) - 1);
            Some(message.first_seen.plus(waited).max(now.plus(unit / 10)))
        }
        Some(_) if message.created.is_none() && message.time_asks < MAX_TIME_ASKS => {
            // A repeat does not put it off.
            Some(message.due.filter(|due| *due <= now.plus(unit)).unwrap_or(now.plus(unit / 10)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::callback::SmsStatus;

    const A: AccountId = AccountId(1);

    fn report(status: SmsStatus, now: i64) -> Report {
        let said = SmsReport { sid: "m1".into(), status, code: None, created: None, sent: None };
        Report { account: A, said, reporter: Reporter::Callback, settle_after: 1_800, now: Timestamp(now) }
    }

    fn tell(known: &mut Option<Message>, mut report: Report) -> (WriteSet, Taken) {
        let mut held = Held::default();
        held.messages.extend(known.clone().map(|m| ("m1".to_owned(), m)));
        let (writes, taken) = report.decide(held);
        if let Some((_, _, message)) = writes.messages.first() {
            *known = Some(message.clone());
        }
        (writes, taken)
    }

    fn count(writes: &WriteSet, family: Family, a: u8) -> u64 {
        writes.deltas.0.get(&Series::new(A, family, a, 0)).copied().unwrap_or(0)
    }

    #[test]
    fn a_message_counts_when_its_first_final_report_comes_and_never_again() {
        let mut known = None;
        let (writes, taken) = tell(&mut known, report(SmsStatus::Queued, 0));
        assert_eq!((taken, writes.deltas.0.len()), (Taken::Accepted, 0));
        let (writes, taken) = tell(&mut known, report(SmsStatus::Sent, 60));
        assert_eq!(taken, Taken::Accepted);
        assert_eq!(count(&writes, Family::SmsMessages, SmsStatus::Sent.code()), 1);
        for (status, expected) in [
            (SmsStatus::Sent, Taken::Duplicate),
            (SmsStatus::Failed, Taken::Stale),
            (SmsStatus::Submitted, Taken::Stale),
        ] {
            let (writes, taken) = tell(&mut known, report(status, 120));
            assert_eq!(taken, expected, "{status:?}");
            assert!(writes.is_empty(), "{status:?} must change nothing");
        }
    }

    #[test]
    fn a_message_without_an_end_is_asked_for_with_growing_waits_and_given_up() {
        let mut known = None;
        tell(&mut known, report(SmsStatus::Queued, 0));
        let mut asked = Vec::new();
        while let Some(due) = known.as_ref().and_then(|m| m.due) {
            asked.push(due.0);
            let mut held = Held::default();
            held.messages.extend(known.clone().map(|m| ("m1".to_owned(), m)));
            let mut none = NotKnown { account: A, sid: "m1".into(), settle_after: 1_800, now: due };
            let (writes, ()) = none.decide(held);
            known = writes.messages.into_iter().next().map(|(_, _, message)| message);
        }
        assert_eq!(asked, [1_800, 5_400, 12_600, 27_000, 55_800, 113_400]);
    }

    #[test]
    fn a_message_that_ended_is_asked_once_for_when_it_began() {
        let mut known = None;
        tell(&mut known, report(SmsStatus::Sent, 1_000));
        assert_eq!(known.as_ref().and_then(|m| m.due), Some(Timestamp(1_180)));
        let mut answer = report(SmsStatus::Sent, 1_200);
        answer.reporter = Reporter::Answer;
        answer.said.created = Some(Timestamp(990));
        let (writes, _) = tell(&mut known, answer);
        assert_eq!(known.as_ref().and_then(|m| m.due), None);
        assert_eq!(count(&writes, Family::SmsMessages, 0), 0, "it has counted");
        let delay = Series::new(A, Family::SmsDelay, 0, crate::model::series::SUM);
        assert_eq!(writes.deltas.0.get(&delay), Some(&10), "from creation to the callback");
    }
}
