//! Taking in a callback about a call.
//!
//! It goes into the record of its call, or into the inbox while the API has not named the call. Of a record
//! it touches what callbacks own and nothing else: neither a field of Exotel's nor whether, when and as what
//! the call counts.

use super::Context;
use crate::model::callback::{CallReport, Taken};
use crate::model::{CallRecord, Sid, Timestamp, Unlisted};
use crate::reconcile::{Hearing, hear};
use crate::settle::{Deltas, after_callback, count_answer, count_sighting, first_ask};
use crate::store::{Held, Operation, Wants, WriteSet};

/// A callback about a call.
#[derive(Clone, Debug)]
pub struct Callback {
    /// The surroundings.
    pub context: Context,
    /// What it says.
    pub report: CallReport,
    /// When it came, UTC.
    pub received: Timestamp,
}

impl Operation for Callback {
    type Reply = Taken;

    fn wants(&self) -> Wants {
        let filed = self.report.created.or(self.report.start);
        let filed = filed.unwrap_or_else(|| self.received.to_wall(self.context.rules.offset));
        Wants { calls: vec![(self.report.sid.clone(), filed)], ..Wants::nothing(self.context.account) }
    }

    fn decide(&mut self, mut held: Held) -> (WriteSet, Taken) {
        let sid = &self.report.sid;
        if let Some(before) = held.calls.remove(sid) {
            return self.of_record(before);
        }
        let floor = self.context.prune_floor.max(held.prune_floor);
        if self.report.created.or(self.report.start).is_some_and(|created| created < floor) {
            // Retention has removed its call, and would remove it again.
            return (WriteSet::default(), Taken::Stale);
        }
        self.of_unlisted(sid.clone(), held.unlisted.remove(sid))
    }
}

impl Callback {
    fn of_record(&self, before: Box<CallRecord>) -> (WriteSet, Taken) {
        let Some(mut heard) = self.hear(before.book.heard.as_deref()) else {
            return (WriteSet::default(), Taken::Duplicate);
        };
        let (account, rules) = (self.context.account, &self.context.rules);
        let mut deltas = self.sighting(&heard);
        count_answer(account, &mut heard.heard, Some(&before.call), rules, &mut deltas);
        let mut record = before.clone();
        record.book.heard = Some(Box::new(heard.heard));
        after_callback(account, &mut record, rules, self.received, &mut deltas);
        (WriteSet { calls: vec![(Some(before), record)], deltas, ..WriteSet::default() }, Taken::Accepted)
    }

    fn of_unlisted(&self, sid: Sid, before: Option<Unlisted>) -> (WriteSet, Taken) {
        let Some(mut heard) = self.hear(before.as_ref().map(|call| &call.heard)) else {
            return (WriteSet::default(), Taken::Duplicate);
        };
        let (account, rules) = (self.context.account, &self.context.rules);
        let mut deltas = self.sighting(&heard);
        count_answer(account, &mut heard.heard, None, rules, &mut deltas);
        let after = match &before {
            Some(before) => Unlisted { heard: heard.heard, ..before.clone() },
            None => Unlisted {
                filed: heard.heard.first.to_wall(rules.offset),
                ask_at: Some(first_ask(heard.heard.first, rules)),
                heard: heard.heard,
            },
        };
        let unlisted = vec![(sid, before, Some(after))];
        (WriteSet { unlisted, deltas, ..WriteSet::default() }, Taken::Accepted)
    }

    fn hear(&self, heard: Option<&crate::model::Heard>) -> Option<Hearing> {
        hear(heard, &self.report, self.received, self.context.rules.offset)
    }

    fn sighting(&self, hearing: &Hearing) -> Deltas {
        let mut deltas = Deltas::default();
        if let Some(sighting) = hearing.sighting {
            count_sighting(self.context.account, sighting, &mut deltas);
        }
        deltas
    }
}
