//! Where operations run: the real store, or a few maps that do the same as simply as possible, so that
//! thousands of histories take seconds.

use std::collections::{BTreeMap, HashMap};

use super::*;
use crate::model::{CallRecord, HourKey, Unlisted};
use crate::store::LONGEST_CHAIN;

/// Records, the inbox and totals.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) calls: HashMap<Sid, CallRecord>,
    pub(super) unlisted: HashMap<Sid, Unlisted>,
    pub(super) totals: Deltas,
    pub(super) hours: BTreeMap<HourKey, HourTotals>,
}

impl Shelf {
    pub(super) fn run<O: Operation>(&mut self, mut operation: O) -> O::Reply {
        let wants = operation.wants();
        let mut held = Held::default();
        for (sid, _) in &wants.calls {
            held.calls.extend(self.calls.get(sid).map(|record| (sid.clone(), Box::new(record.clone()))));
            held.unlisted.extend(self.unlisted.get(sid).map(|call| (sid.clone(), call.clone())));
        }
        if let Some(due) = &wants.due {
            for (sid, _) in self.due(due.task, due.now).into_iter().take(due.limit) {
                held.calls.insert(sid.clone(), Box::new(self.calls[&sid].clone()));
                held.due.push(sid);
            }
        }
        for _ in 0..LONGEST_CHAIN {
            let roots = held.calls.values().filter(|r| r.book.settled.is_none());
            let roots: Vec<Sid> = roots.filter_map(|r| r.call.leg_of().cloned()).collect();
            for root in roots {
                held.calls.extend(self.calls.get(&root).map(|record| (root, Box::new(record.clone()))));
            }
        }
        let (writes, reply) = operation.decide(held);
        for (before, record) in writes.calls {
            assert_eq!(self.calls.get(&record.call.sid), before.as_deref(), "what was is told as it was");
            self.calls.insert(record.call.sid.clone(), *record);
        }
        for (sid, before, after) in writes.unlisted {
            assert_eq!(self.unlisted.remove(&sid), before, "what was is told as it was");
            self.unlisted.extend(after.map(|call| (sid, call)));
        }
        for (series, amount) in writes.deltas.0 {
            self.totals.add(series, amount);
        }
        for (key, change) in writes.hours {
            self.hours.entry(key).or_default().apply(&change, 1);
        }
        reply
    }

    /// Calls with a task that is due, the soonest first.
    pub(super) fn due(&self, task: Task, now: Timestamp) -> Vec<(Sid, WallTime)> {
        let mut due: Vec<(Timestamp, Sid, WallTime)> = if task == Task::Confirm {
            let of = |(sid, call): (&Sid, &Unlisted)| Some((call.ask_at?, sid.clone(), call.filed));
            self.unlisted.iter().filter_map(of).collect()
        } else {
            let of = |record: &CallRecord| {
                let (_, due) = record.book.agenda.iter().find(|(of, _)| *of == task)?;
                Some((*due, record.call.sid.clone(), record.call.created))
            };
            self.calls.values().filter_map(of).collect()
        };
        due.retain(|(due, ..)| *due <= now);
        due.sort_unstable();
        due.into_iter().map(|(_, sid, created)| (sid, created)).collect()
    }
}

/// The real store or a shelf.
pub(super) enum Place {
    Store(Box<Bench>),
    Shelf(Box<Shelf>),
}

impl Place {
    pub(super) async fn run<O: Operation>(&mut self, operation: O) -> O::Reply {
        match self {
            Self::Store(bench) => bench.store.transact(operation).await.expect("stored"),
            Self::Shelf(shelf) => shelf.run(operation),
        }
    }

    pub(super) async fn due(&self, task: Task, now: Timestamp) -> Vec<(Sid, WallTime)> {
        match self {
            Self::Store(bench) => {
                let mut due = bench.store.due(bench.account, task, now, 1000).await.expect("a read");
                due.reverse();
                due
            }
            Self::Shelf(shelf) => shelf.due(task, now),
        }
    }

    pub(super) fn totals(&self) -> BTreeMap<Series, u64> {
        match self {
            Self::Store(bench) => bench.totals(),
            Self::Shelf(shelf) => shelf.totals.0.clone().into_iter().collect(),
        }
    }
}
