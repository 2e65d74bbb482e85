//! Runs of the sync by time. What sums need of a run that has ended is kept in memory, 16 bytes each, from the first
//! question on: a year of runs is too much to be read for each.
//!
//! A run that has ended is never written again, and retention removes the oldest first; so what is kept stays right, and
//! the table says what is new and what is gone.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use redb::ReadOnlyTable;

use super::error::intact;
use super::read::Reading;
use super::seal::unseal;
use super::tables::{MOST_RUNS, RUNS, run_key};
use super::{Error, Store};
use crate::model::{AccountId, RunStatus, SyncRun, Timestamp};

/// Runs of an account that are kept: the newest, three years of them at one each 15 minutes. Older ones are read.
const MOST_KEPT: usize = if cfg!(test) { 5 } else { 100_000 };
/// Runs are numbered about in the order in which they begin: one that heals gets its number at its end.
const OUT_OF_ORDER: i64 = 86_400;

/// Runs of a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunSums {
    /// All.
    pub total: u64,
    /// Those that succeeded.
    pub successful: u64,
    /// Those that failed.
    pub failed: u64,
    /// Rows that all of them stored.
    pub stored: u64,
    /// The newest of them, newest first.
    pub newest: Vec<SyncRun>,
}

impl RunSums {
    fn add(&mut self, status: RunStatus, stored: u64) {
        self.total += 1;
        self.successful += u64::from(status == RunStatus::Success);
        self.failed += u64::from(status == RunStatus::Failed);
        self.stored = self.stored.saturating_add(stored);
    }
}

/// What is kept of every account's runs.
pub(super) type KeptRuns = Mutex<BTreeMap<AccountId, Kept>>;

/// What is kept of an account's runs.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Those that ended, in the order of their numbers.
    ended: Vec<Ended>,
    /// Those that have not, or are beyond what [`Ended`] holds: read each time.
    open: Vec<u64>,
    /// Every run from the first number to before the second is in one of the two, or damaged.
    known: std::ops::Range<u64>,
}

/// A run that ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    id: u32,
    started: u32,
    stored: u32,
    status: RunStatus,
}

impl Ended {
    fn new(run: &SyncRun) -> Option<Self> {
        run.ended?;
        Some(Self {
            id: u32::try_from(run.id).ok()?,
            started: u32::try_from(run.started).ok()?,
            stored: u32::try_from(run.stored).ok()?,
            status: run.status,
        })
    }
}

/// The table of runs as one reader sees it.
struct Runs<'r> {
    table: ReadOnlyTable<u64, &'static [u8]>,
    account: AccountId,
    at: &'r Reading,
}

impl Runs<'_> {
    fn read(&self, key: u64, value: &[u8]) -> Result<Option<SyncRun>, Error> {
        intact(unseal("runs", &key.to_be_bytes(), value), &self.at.metrics)
    }

    fn get(&self, id: u64) -> Result<Option<SyncRun>, Error> {
        let key = run_key(self.account, id);
        self.table.get(key)?.map_or(Ok(None), |value| self.read(key, value.value()))
    }

    /// The number of the oldest run.
    fn first(&self) -> Result<u64, Error> {
        let first = self.table.range(run_key(self.account, 0)..=run_key(self.account, MOST_RUNS))?.next();
        first.map_or(Ok(0), |row| Ok(row?.0.value() & MOST_RUNS))
    }

    /// Runs with numbers in a range, the newest first, until `take` has enough.
    fn walk(&self, ids: std::ops::Range<u64>, mut take: impl FnMut(SyncRun) -> bool) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let keys = run_key(self.account, ids.start)..=run_key(self.account, ids.end - 1);
        for row in self.table.range(keys)?.rev() {
            let (key, value) = row?;
            if let Some(run) = self.read(key.value(), value.value())?
                && !take(run)
            {
                break;
            }
        }
        Ok(())
    }
}

impl Kept {
    /// Takes in what is new in the table, and forgets what is no longer there.
    fn renew(&mut self, runs: &Runs<'_>) -> Result<(), Error> {
        let first = runs.first()?;
        self.ended.drain(..self.ended.partition_point(|run| u64::from(run.id) < first));
        self.known.start = self.known.start.max(first);
        let mut fresh = Vec::new();
        for id in std::mem::take(&mut self.open) {
            match runs.get(id)? {
                Some(run) => fresh.push(run),
                None => continue,
            }
        }
        let mut lowest = self.known.end;
        runs.walk(self.known.end..MOST_RUNS, |run| {
            lowest = run.id;
            fresh.push(run);
            fresh.len() < MOST_KEPT
        })?;
        let newest = fresh.iter().map(|run| run.id + 1).max().unwrap_or(0);
        if fresh.len() >= MOST_KEPT {
            // What lies between was not read.
            *self = Self { known: lowest..lowest, ..Self::default() };
            fresh.retain(|run| run.id >= lowest);
        }
        self.known.end = self.known.end.max(newest);
        for run in fresh {
            match Ended::new(&run) {
                Some(ended) => self.ended.push(ended),
                None => self.open.push(run.id),
            }
        }
        self.ended.sort_unstable_by_key(|run| run.id);
        let over = self.ended.len().saturating_sub(MOST_KEPT);
        if let Some(last) = self.ended.drain(..over).next_back() {
            self.known.start = self.known.start.max(u64::from(last.id) + 1);
        }
        self.open.retain(|id| self.known.contains(id));
        Ok(())
    }
}

impl Store {
    /// The runs that began in `[from, to)`: sums of all, and the newest, at most `limit`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn runs_between(
        &self,
        account: AccountId,
        (from, to): (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<RunSums, Error> {
        let kept = std::sync::Arc::clone(&self.shared.runs);
        self.view(move |at| {
            let runs = Runs { table: at.txn.open_table(RUNS)?, account, at };
            let is_in = |started: i64| (from.0..to.0).contains(&started);
            let mut sums = RunSums::default();
            let mut newest = Vec::new();
            let (open, older) = {
                let mut all = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let kept = all.entry(account).or_default();
                kept.renew(&runs)?;
                for run in kept.ended.iter().rev().filter(|run| is_in(i64::from(run.started))) {
                    sums.add(run.status, u64::from(run.stored));
                    if newest.len() < limit {
                        newest.push(u64::from(run.id));
                    }
                }
                // Those that are not kept matter only where the range may reach beyond the kept ones.
                let reaches = kept
                    .ended
                    .first()
                    .is_none_or(|oldest| from.0.saturating_sub(OUT_OF_ORDER) <= i64::from(oldest.started));
                (kept.open.clone(), if reaches { runs.first()?..kept.known.start } else { 0..0 })
            };
            for id in open {
                if let Some(run) = runs.get(id)?.filter(|run| is_in(run.started)) {
                    sums.add(run.status, run.stored);
                    newest.push(id);
                }
            }
            runs.walk(older, |run| {
                if is_in(run.started) {
                    sums.add(run.status, run.stored);
                    if newest.len() < limit {
                        newest.push(run.id);
                    }
                }
                run.started >= from.0.saturating_sub(OUT_OF_ORDER)
            })?;
            newest.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
            newest.truncate(limit);
            for id in newest {
                sums.newest.extend(runs.get(id)?);
            }
            Ok(sums)
        })
        .await
    }
}
