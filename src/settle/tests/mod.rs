//! The rules of counting, one call at a time; time is a number.

mod amounts;
mod legs;
mod places;
mod waiting;

use super::*;
use crate::model::series::{SUM, status_code};
use crate::model::{
    Details, ExoPhoneId, Family, KnownExoPhone, LegStatus, Outcome, Series, SettledKind, Sid, WallTime,
};
use crate::reconcile::{Origin, merge};

const ACCOUNT: AccountId = AccountId(1);
const IST: UtcOffset = UtcOffset(19_800);
/// When the call of each test began, and second 0 of its clock.
const START: Timestamp = Timestamp(1_772_457_400);
const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const RULES: Rules = Rules {
    offset: IST,
    settle_after: 30 * MINUTE,
    lookback: 4 * HOUR + 20 * MINUTE,
    short_call: 10,
    callbacks: Callbacks::NONE,
};
/// The known number.
const OURS: ExoPhoneId = ExoPhoneId(2);

/// One call, its surroundings and the totals.
struct World {
    record: Option<CallRecord>,
    root: Root,
    rules: Rules,
    directory: Directory,
    /// While set, Exotel answers somebody each minute; else the last time it did.
    answering: bool,
    answered: Option<Timestamp>,
    totals: Deltas,
    wanted: Wanted,
}

impl World {
    fn new() -> Self {
        let phone = KnownExoPhone {
            id: OURS.0,
            sid: "s2".into(),
            number: "08000000011".into(),
            friendly_name: None,
            countable_from: 0,
        };
        Self {
            record: None,
            root: Root::Missing,
            rules: RULES,
            directory: Directory::new(&[phone], Some(START), 500),
            answering: true,
            answered: None,
            totals: Deltas::default(),
            wanted: Wanted::Nothing,
        }
    }

    /// A row is read at second `at`.
    fn told(&mut self, at: i64, said: &Observation) -> &mut Self {
        self.told_by(at, said, Origin::Page)
    }

    fn told_by(&mut self, at: i64, said: &Observation, origin: Origin) -> &mut Self {
        self.pass(at - 1);
        let before = self.record.take();
        let now = START.plus(at);
        let mut record = merge(before.as_ref(), said, origin, WallTime(0), now).record;
        note_reading(&mut record, &self.rules, now);
        self.settle(before.as_ref(), &mut record, now);
        self.record = Some(record);
        self
    }

    /// Leg details were asked for in vain.
    fn asked_in_vain(&mut self, at: i64, why: InVain) -> &mut Self {
        self.pass(at - 1);
        let now = START.plus(at);
        let before = self.record.clone().expect("a call");
        let mut record = before.clone();
        if self.answering {
            self.answered = Some(now);
        }
        let around = Surroundings {
            directory: &self.directory,
            api_answered: self.answered,
            up_since: Timestamp(0),
            now,
        };
        details_in_vain(&mut record, why, &self.rules, &around);
        self.settle(Some(&before), &mut record, now);
        self.record = Some(record);
        self
    }

    /// Time passes up to second `until`; what the agenda says is done when it says so.
    fn pass(&mut self, until: i64) -> &mut Self {
        while let Some(record) = &self.record {
            let own = |(task, _): &&(Task, Timestamp)| matches!(task, Task::Settle | Task::Child);
            let next = record.book.agenda.iter().filter(own).map(|(_, due)| *due).min();
            let Some(due) = next.filter(|due| *due <= START.plus(until)) else { break };
            let before = record.clone();
            let mut record = before.clone();
            self.settle(Some(&before), &mut record, due);
            assert!(
                record.book.settled.is_some()
                    || record.book.agenda.iter().all(|(_, next)| *next > due || !is_due(&record, due)),
                "what is done at its time is not due at once again: {:?}",
                record.book.agenda
            );
            self.record = Some(record);
        }
        self
    }

    fn settle(&mut self, before: Option<&CallRecord>, record: &mut CallRecord, now: Timestamp) {
        if self.answering {
            self.answered = Some(now);
        }
        let around = Surroundings {
            directory: &self.directory,
            api_answered: self.answered,
            up_since: Timestamp(0),
            now,
        };
        self.wanted = settle(ACCOUNT, before, record, self.root, &self.rules, &around, &mut self.totals);
    }

    /// The second at which the call was counted.
    fn settled_at(&self) -> Option<i64> {
        self.record.as_ref()?.book.settled.map(|s| s.at - START)
    }

    #[track_caller]
    fn settled(&self) -> Settled {
        self.record.as_ref().and_then(|r| r.book.settled).expect("the call is counted")
    }

    fn details(&self) -> DetailsState {
        self.record.as_ref().expect("a call").book.details
    }

    fn due(&self, task: Task) -> Option<i64> {
        let record = self.record.as_ref()?;
        record.book.agenda.iter().find(|(t, _)| *t == task).map(|(_, due)| *due - START)
    }

    /// A family's total over everything it is labelled with; of histograms the observations.
    fn total(&self, family: Family) -> u64 {
        self.totals.0.iter().filter(|(s, _)| s.family == family && s.b != SUM).map(|(_, n)| n).sum()
    }

    fn sum(&self, family: Family) -> u64 {
        self.totals.0.iter().filter(|(s, _)| s.family == family && s.b == SUM).map(|(_, n)| n).sum()
    }

    fn corrections(&self, field: crate::model::series::CorrectedField) -> u64 {
        self.total_of(Series::new(ACCOUNT, Family::Corrections, field.code(), 0))
    }

    fn total_of(&self, series: Series) -> u64 {
        self.totals.0.get(&series).copied().unwrap_or(0)
    }
}

fn wall(at: i64) -> WallTime {
    START.plus(at).to_wall(IST)
}

fn row(status: Status) -> Observation {
    let mut call = Observation::new(Sid::parse("c1").expect("a sid"), wall(0), status);
    call.direction = Some(Direction::OutboundApi);
    call.start = Some(wall(0));
    call.exophone = Some("+918000000011".into());
    call.updated = Some(wall(0));
    call
}

/// A call of a minute of which everything but leg details is known.
fn ended_row(status: Status) -> Observation {
    let mut call = row(status);
    call.end = Some(wall(MINUTE));
    call.duration = Some(60);
    call.price = Some(1_500_000);
    call.updated = Some(wall(MINUTE));
    call
}

/// The same with leg details: answered, 42 s of talk.
fn complete_row() -> Observation {
    let mut call = ended_row(Status::Completed);
    call.details = Some(talked(42));
    call
}

fn talked(seconds: u32) -> Details {
    Details {
        conversation: Some(seconds),
        leg1: Some(LegStatus::Completed),
        leg2: Some(LegStatus::Completed),
        ..Details::default()
    }
}
