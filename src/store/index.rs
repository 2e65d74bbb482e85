//! Sid -> creation time, without a random page write for each call.
//!
//! A Sid is random, so an entry of its own would dirty one 4 KiB leaf of a large tree per call. New entries
//! are therefore appended to a log in order of arrival (12 bytes each) and kept in memory; once enough have
//! gathered they are merged into the tree in order of their hash, a slice with each commit, so that each
//! dirtied leaf takes several. A look-up asks the memory first, then the tree. When a whole round of merging
//! is through, the log before it is dropped. Everything happens in the transaction of the calls themselves.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::panic::resume_unwind;
use std::thread::ScopedJoinHandle;

use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::Error;
use super::codec::stored_time;
use super::redo::Table;
use super::tables::SID_RECENT;
use crate::model::WallTime;

/// Merging begins when the entries that wait reach this part of the tree, …
const PART: u64 = if cfg!(test) { 4 } else { 40 };
/// … but not below this number, …
const FEWEST: u64 = if cfg!(test) { 64 } else { 8_192 };
/// … and at the latest at this one: 6 MB of memory.
const MOST: u64 = if cfg!(test) { 256 } else { 262_144 };
/// While a round of merging is under way, this many entries are merged for each new one, …
const PACE: usize = 2;
/// … and at least this many with each commit.
const SLICE: usize = if cfg!(test) { 8 } else { 64 };
/// Bytes of an entry in the log: hash and time.
const ENTRY: usize = 12;
/// Threads that read the log at start.
const READERS: u64 = 4;

/// The part of the index that lives in memory.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Committed entries that are not in the tree yet.
    entries: BTreeMap<u64, u32>,
    /// Entries in the log: those above, those they replaced, and those of calls that are gone.
    logged: u64,
    /// Number of the next batch in the log.
    next_batch: u64,
    /// The round of merging under way.
    round: Option<Round>,
}

#[derive(Clone, Copy, Debug)]
struct Round {
    /// Everything up to this hash was merged.
    cursor: Option<u64>,
    /// Batches before this one are wholly merged when the round ends; …
    batches: u64,
    /// … they hold this many entries.
    logged: u64,
}

/// What a transaction adds; becomes part of [`Recent`] once that is whole.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    entries: HashMap<u64, u32, foldhash::fast::RandomState>,
    merged: Vec<u64>,
    round: Progress,
}

/// What a transaction did to the round of merging.
#[derive(Clone, Copy, Debug, Default)]
enum Progress {
    #[default]
    None,
    Under(Round),
    Ended(Round),
}

/// A part of the log, in order of arrival.
#[derive(Debug, Default)]
struct Log {
    entries: Vec<(u64, u32)>,
    /// Number of its last batch.
    last: Option<u64>,
}

fn read_log(log: &impl ReadableTable<u64, &'static [u8]>, first: u64, last: u64) -> Result<Log, Error> {
    let mut part = Log::default();
    for batch in log.range(first..=last)? {
        let (number, bytes) = batch?;
        part.last = Some(number.value());
        let entries = super::seal::unseal_bytes("sid_recent", &number.value().to_be_bytes(), bytes.value())?;
        for entry in entries.chunks_exact(ENTRY) {
            let (hash, time) = entry.split_at(8);
            let hash = u64::from_be_bytes(hash.try_into().unwrap_or_default());
            part.entries.push((hash, u32::from_be_bytes(time.try_into().unwrap_or_default())));
        }
    }
    Ok(part)
}

/// Tables of the index within a write transaction.
pub(super) struct Tables<'txn> {
    pub(super) tree: Table<'txn, u64, u32>,
    pub(super) log: Table<'txn, u64, &'static [u8]>,
}

impl Recent {
    /// Reads the log back.
    pub(super) fn load(log: &impl ReadableTable<u64, &'static [u8]>) -> Result<Self, Error> {
        Ok(Self::of(vec![read_log(log, 0, u64::MAX)?]))
    }

    /// Reads the log back at start, in several places at once: its pages lie scattered in the file, and a disk
    /// gives many of them in the time of one.
    pub(super) fn load_at_start(db: &(impl ReadableDatabase + Sync)) -> Result<Self, Error> {
        let read = &|first, last| -> Result<Log, Error> {
            read_log(&db.begin_read()?.open_table(SID_RECENT)?, first, last)
        };
        let log = db.begin_read()?.open_table(SID_RECENT)?;
        let (Some(first), Some(last)) = (log.first()?, log.last()?) else { return Ok(Self::default()) };
        let (first, last) = (first.0.value(), last.0.value());
        let share = (last - first) / READERS + 1;
        let parts = std::thread::scope(|scope| {
            let readers: Vec<_> = (0..READERS)
                .map(|n| first + n * share)
                .map(|from| scope.spawn(move || read(from, from.saturating_add(share - 1))))
                .collect();
            // A panic is redb's over a damaged file; who called looks after it.
            let part = |reader: ScopedJoinHandle<'_, _>| reader.join().unwrap_or_else(|p| resume_unwind(p));
            readers.into_iter().map(part).collect::<Result<Vec<_>, Error>>()
        })?;
        Ok(Self::of(parts))
    }

    fn of(parts: Vec<Log>) -> Self {
        let next_batch = parts.iter().filter_map(|part| part.last).max().map_or(0, |last| last + 1);
        // Built in one go, which takes a fraction of inserting one after the other; of two entries with a hash
        // the later one stays.
        let logged = parts.iter().map(|part| part.entries.len() as u64).sum();
        let entries = parts.into_iter().flat_map(|part| part.entries).collect();
        Self { entries, logged, next_batch, round: None }
    }

    /// Where the Sid with this hash is filed. The entry of a call that retention removed may still be
    /// there: who looks for the call finds out.
    pub(super) fn find(
        &self,
        hash: u64,
        fresh: Option<&Fresh>,
        tree: &impl ReadableTable<u64, u32>,
    ) -> Result<Option<WallTime>, Error> {
        let near = fresh.and_then(|f| f.entries.get(&hash)).or_else(|| self.entries.get(&hash)).copied();
        let time = match near {
            Some(time) => Some(time),
            None => tree.get(hash)?.map(|guard| guard.value()),
        };
        Ok(time.map(|t| WallTime(i64::from(t))))
    }

    /// Writes what the transaction added and merges a slice into the tree. Calls created before `floor` are
    /// gone: their entries are dropped instead.
    pub(super) fn write(
        &self,
        fresh: &mut Fresh,
        tables: &mut Tables<'_>,
        floor: WallTime,
    ) -> Result<(), Error> {
        if fresh.entries.is_empty() {
            return Ok(());
        }
        let mut batch = Vec::with_capacity(fresh.entries.len() * ENTRY);
        for (hash, time) in &fresh.entries {
            batch.extend_from_slice(&hash.to_be_bytes());
            batch.extend_from_slice(&time.to_be_bytes());
        }
        let batch = super::seal::seal_bytes("sid_recent", &self.next_batch.to_be_bytes(), &batch);
        tables.log.insert(self.next_batch, batch.as_slice())?;
        self.merge(fresh, tables, floor)
    }

    fn merge(&self, fresh: &mut Fresh, tables: &mut Tables<'_>, floor: WallTime) -> Result<(), Error> {
        let round = match self.round {
            Some(round) => round,
            None => {
                // By the log and not by the entries: calls that move or go leave nothing but the log behind.
                let enough = (tables.tree.len()? / PART).clamp(FEWEST, MOST);
                if self.logged < enough {
                    return Ok(());
                }
                Round { cursor: None, batches: self.next_batch, logged: self.logged }
            }
        };
        let start = round.cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let count = (fresh.entries.len() * PACE).max(SLICE);
        for (hash, time) in self.entries.range((start, Bound::Unbounded)).take(count) {
            // A Sid that was filed anew in this very transaction must not be overwritten by its old place.
            let time = fresh.entries.get(hash).unwrap_or(time);
            if *time >= stored_time(floor) {
                tables.tree.insert(hash, time)?;
            }
            fresh.merged.push(*hash);
        }
        fresh.round = match fresh.merged.last() {
            Some(last) if fresh.merged.len() == count => {
                Progress::Under(Round { cursor: Some(*last), ..round })
            }
            _ => {
                // The round is through: everything in the batches before it is in the tree.
                let through = tables.log.range(..round.batches)?.map(|row| Ok(row?.0.value()));
                for batch in through.collect::<Result<Vec<u64>, Error>>()? {
                    tables.log.remove(batch)?;
                }
                Progress::Ended(round)
            }
        };
        Ok(())
    }

    /// The transaction is whole: it becomes durable, or the file is closed and this is read anew.
    pub(super) fn committed(&mut self, fresh: Fresh) {
        for hash in &fresh.merged {
            self.entries.remove(hash);
        }
        if !fresh.entries.is_empty() {
            self.next_batch += 1;
            self.logged += fresh.entries.len() as u64;
        }
        self.entries.extend(fresh.entries);
        match fresh.round {
            Progress::None => {}
            Progress::Under(round) => self.round = Some(round),
            Progress::Ended(round) => {
                self.logged = self.logged.saturating_sub(round.logged);
                self.round = None;
            }
        }
    }

    /// Forgets an entry that was removed from the store. Its trace in the log comes back after a restart and
    /// names a call that is gone, until merging drops it.
    pub(super) fn forget(&mut self, hash: u64) {
        self.entries.remove(&hash);
    }

    /// Entries in memory, and in the log.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, u64) {
        (self.entries.len(), self.logged)
    }
}

impl Fresh {
    /// A call is filed here.
    pub(super) fn insert(&mut self, hash: u64, created: WallTime) {
        self.entries.insert(hash, stored_time(created));
    }
}
