//! Sid -> creation time, without a random page write for each call.
//!
//! A Sid is random, so an entry of its own would dirty one 4 KiB leaf of a large tree per call. New entries
//! are therefore appended to a log in order of arrival (12 bytes each) and kept in memory; once enough have
//! gathered they are merged into the tree in order of their hash, a slice with each commit, so that each
//! dirtied leaf takes several. A look-up asks the memory first, then the tree. When a whole round of merging
//! is through, the log before it is dropped. Everything happens in the transaction of the calls themselves.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use redb::{ReadableTable, ReadableTableMetadata, Table};

use super::Error;
use crate::model::WallTime;

/// Merging begins when the entries in memory reach this part of the tree, …
const PART: u64 = 40;
/// … but not below this number, …
const FEWEST: u64 = 8_192;
/// … and at the latest at this one: 6 MB of memory.
const MOST: u64 = 262_144;
/// While a round of merging is under way, this many entries are merged for each new one.
const PACE: usize = 2;

/// The part of the index that lives in memory.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Committed entries that are not in the tree yet.
    entries: BTreeMap<u64, u32>,
    /// Number of the next batch in the log.
    next_batch: u64,
    /// The round of merging under way.
    round: Option<Round>,
}

#[derive(Clone, Copy, Debug)]
struct Round {
    /// Everything up to this hash was merged.
    cursor: u64,
    /// Batches before this one are wholly merged when the round ends.
    batches: u64,
}

/// What a transaction adds; becomes part of [`Recent`] once it is committed.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    entries: HashMap<u64, u32>,
    merged: Vec<u64>,
    round: Option<Option<Round>>,
}

/// Tables of the index within a write transaction.
pub(super) struct Tables<'txn> {
    pub(super) tree: Table<'txn, u64, u32>,
    pub(super) log: Table<'txn, u64, &'static [u8]>,
}

fn stored(time: WallTime) -> u32 {
    u32::try_from(time.0.clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX)
}

impl Recent {
    /// Reads the log back at start.
    pub(super) fn load(log: &impl ReadableTable<u64, &'static [u8]>) -> Result<Self, Error> {
        let mut recent = Self::default();
        for batch in log.iter()? {
            let (number, bytes) = batch?;
            recent.next_batch = number.value() + 1;
            let (entries, sum) = bytes.value().split_at(bytes.value().len().saturating_sub(4));
            if xxhash_rust::xxh3::xxh3_64(entries).to_le_bytes()[..4] != *sum {
                return Err(Error::Damaged("a batch of the index of Sids does not fit its checksum".into()));
            }
            for entry in entries.chunks_exact(12) {
                let (hash, time) = entry.split_at(8);
                let hash = u64::from_be_bytes(hash.try_into().unwrap_or_default());
                let time = u32::from_be_bytes(time.try_into().unwrap_or_default());
                recent.entries.insert(hash, time);
            }
        }
        Ok(recent)
    }

    /// Where the Sid with this hash is filed.
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

    /// Writes what the transaction added and merges a slice into the tree.
    pub(super) fn write(&self, fresh: &mut Fresh, tables: &mut Tables<'_>) -> Result<(), Error> {
        if fresh.entries.is_empty() {
            return Ok(());
        }
        let mut batch = Vec::with_capacity(fresh.entries.len() * 12 + 4);
        for (hash, time) in &fresh.entries {
            batch.extend_from_slice(&hash.to_be_bytes());
            batch.extend_from_slice(&time.to_be_bytes());
        }
        let sum = xxhash_rust::xxh3::xxh3_64(&batch).to_le_bytes();
        batch.extend_from_slice(&sum[..4]);
        tables.log.insert(self.next_batch, batch.as_slice())?;
        self.merge(fresh, tables)
    }

    fn merge(&self, fresh: &mut Fresh, tables: &mut Tables<'_>) -> Result<(), Error> {
        let round = match self.round {
            Some(round) => round,
            None => {
                let enough = (tables.tree.len()? / PART).clamp(FEWEST, MOST);
                if (self.entries.len() as u64) < enough {
                    return Ok(());
                }
                Round { cursor: 0, batches: self.next_batch }
            }
        };
        let start = if self.round.is_some() { Bound::Excluded(round.cursor) } else { Bound::Unbounded };
        let count = (fresh.entries.len() * PACE).max(64);
        let mut last = None;
        for (hash, time) in self.entries.range((start, Bound::Unbounded)).take(count) {
            // A Sid that was filed anew in this very transaction must not be overwritten by its old place.
            let time = fresh.entries.get(hash).unwrap_or(time);
            tables.tree.insert(hash, time)?;
            fresh.merged.push(*hash);
            last = Some(*hash);
        }
        if fresh.merged.len() < count {
            // The round is through: everything in the batches before it is in the tree.
            tables.log.retain_in(..round.batches, |_, _| false)?;
            fresh.round = Some(None);
        } else if let Some(cursor) = last {
            fresh.round = Some(Some(Round { cursor, ..round }));
        }
        Ok(())
    }

    /// The transaction is durable.
    pub(super) fn committed(&mut self, fresh: Fresh) {
        for hash in &fresh.merged {
            self.entries.remove(hash);
        }
        if !fresh.entries.is_empty() {
            self.next_batch += 1;
        }
        self.entries.extend(fresh.entries);
        if let Some(round) = fresh.round {
            self.round = round;
        }
    }

    /// Forgets an entry that was removed from the store; its trace in the log names a call that is gone,
    /// which a look-up finds out.
    pub(super) fn forget(&mut self, hash: u64) {
        self.entries.remove(&hash);
    }
}

impl Fresh {
    /// A call is filed here.
    pub(super) fn insert(&mut self, hash: u64, created: WallTime) {
        self.entries.insert(hash, stored(created));
    }
}
