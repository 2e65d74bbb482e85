//! What is remembered of reading: slices of creation time, runs, rows set aside, hourly roll-ups.

use serde::{Deserialize, Serialize};

use super::call::{Direction, Micros};
use super::outcome::outcome;
use super::record::{CallRecord, SettledKind};
use super::time::{Timestamp, UtcOffset, WallTime};

/// A slice of creation time and how far it has been read. Times are on Exotel's wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// First second.
    pub from: i64,
    /// First second that is no longer in it.
    pub to: i64,
    /// Everything of it that was visible at this time is stored; none before its first reading ended.
    pub seen: Option<i64>,
    /// A reading that has not ended: resumed after a crash.
    pub pass: Option<Pass>,
}

/// A reading of a slice that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// When it began.
    pub started: i64,
    /// Everything of the slice before this is stored.
    pub at: i64,
}

/// What is remembered of reading one account, stored in the transaction of each page.
///
/// `slices` are contiguous, oldest first. Everything before the first is final: the watermark.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncState {
    /// Creation time that is still looked at.
    pub slices: Vec<Slice>,
    /// End of the last slice when there is none left; else its `from` is the watermark.
    pub watermark: i64,
    /// Whole hours (or shorter units) before this were compared with Exotel's own total once.
    pub audited: i64,
    /// The same, a day later, for what appeared late.
    pub audited_again: i64,
    /// Whether bulk rows carry leg details when asked; none while that was not tried.
    pub details_inline: Option<bool>,
    /// End of the last successful run, UTC.
    pub last_success: Option<i64>,
}

impl SyncState {
    /// Every call created before this is read and final.
    pub fn watermark(&self) -> WallTime {
        WallTime(self.slices.first().map_or(self.watermark, |s| s.from))
    }

    /// Everything that was visible up to this creation time is read.
    pub fn head(&self) -> WallTime {
        let unread = self.slices.iter().find(|s| s.seen.is_none());
        let end = self.slices.last().map_or(self.watermark, |s| s.to);
        WallTime(unread.map_or(end, |s| s.pass.map_or(s.from, |p| p.at)))
    }
}

/// How a run of the sync ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunStatus {
    /// It goes on.
    InProgress,
    /// Every page was stored; rows may have been set aside.
    Success,
    /// A page failed or was refused.
    Failed,
}

/// One run of the sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRun {
    /// Number of the run within its account, from 1.
    pub id: u64,
    /// `schedule`, `manual`, `heal`, `backfill`.
    pub trigger: String,
    /// When it began, UTC.
    pub started: i64,
    /// When it ended, UTC.
    pub ended: Option<i64>,
    /// How it ended.
    pub status: RunStatus,
    /// Pages read.
    pub pages: u64,
    /// Rows that brought a new call.
    pub new: u64,
    /// Rows stored, new or changed.
    pub stored: u64,
    /// Rows read.
    pub rows: u64,
    /// Rows set aside.
    pub set_aside: u64,
    /// What went wrong, without secrets and numbers.
    pub error: Option<String>,
}

/// A row that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Identifies the row: a hash of its Sid where that was readable, of its text otherwise.
    pub id: u64,
    /// The row's JSON text, cut to 16 KiB.
    pub raw: String,
    /// What was expected and what came.
    pub reason: String,
    /// Sid, where it could be read.
    pub sid: Option<String>,
    /// It was created at or after this, on Exotel's wall clock.
    pub after: i64,
    /// It was created at or before this.
    pub before: i64,
    /// When it was first read, UTC.
    pub first_seen: i64,
    /// When it is to be read again, UTC.
    pub retry_at: i64,
    /// Times it was read again in vain.
    pub tries: u32,
}

/// Calls of one hour of creation time and one direction, as far as they are counted or history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourTotals {
    /// By status, in the order of [`super::series::COUNTED_STATUSES`].
    pub statuses: [i64; 6],
    /// By outcome, in the order of [`super::Outcome::ALL`].
    pub outcomes: [i64; 10],
    /// Calls of them that are not live, and so in no counter.
    pub history: i64,
    /// Call seconds.
    pub seconds: i64,
    /// Conversation seconds.
    pub conversation: i64,
    /// Cost in millionths.
    pub cost: Micros,
}

impl HourTotals {
    /// Calls in all.
    pub fn calls(&self) -> i64 {
        self.statuses.iter().sum()
    }

    /// Adds `other`, or takes it away with a `sign` of -1. Sums stop at their bounds rather than wrap.
    pub fn apply(&mut self, other: &Self, sign: i64) {
        let add = |mine: &mut i64, theirs: i64| *mine = mine.saturating_add(theirs.saturating_mul(sign));
        for (mine, theirs) in self.statuses.iter_mut().zip(other.statuses) {
            add(mine, theirs);
        }
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            add(mine, theirs);
        }
        add(&mut self.history, other.history);
        add(&mut self.seconds, other.seconds);
        add(&mut self.conversation, other.conversation);
        add(&mut self.cost, other.cost);
    }
}

/// Hour of creation on Exotel's wall clock (hours since its epoch) and direction.
pub type HourKey = (u32, Direction);

/// What a record adds to the hourly roll-ups: nothing while it is live and not counted.
pub fn hourly(record: &CallRecord) -> Option<(HourKey, HourTotals)> {
    let hour = u32::try_from(record.call.created.0.max(0) / 3600).unwrap_or(u32::MAX);
    let mut totals = HourTotals::default();
    let mut count = |status: u8, outcome: u8| {
        totals.statuses[usize::from(status)] = 1;
        totals.outcomes[usize::from(outcome)] = 1;
    };
    let direction = match (&record.book.settled, record.book.live) {
        (Some(settled), true) => {
            if settled.kind == SettledKind::Silent {
                return None;
            }
            if settled.kind == SettledKind::Root {
                count(super::series::status_code(settled.status), settled.outcome.code());
                totals.seconds = i64::from(settled.seconds);
                totals.conversation = settled.conversation.map_or(0, i64::from);
            }
            totals.cost = settled.cost;
            settled.direction
        }
        (None, true) => return None,
        (_, false) => {
            if !record.call.is_over() {
                return None;
            }
            if record.call.leg_of().is_none() {
                let outcome = outcome(&record.call, record.book.details.is_known());
                count(super::series::status_code(record.call.status), outcome.code());
                totals.history = 1;
                totals.seconds = record.call.duration.map_or(0, i64::from);
                totals.conversation = record.call.details.and_then(|d| d.conversation).map_or(0, i64::from);
            }
            totals.cost = record.call.price.unwrap_or(0).max(0);
            record.call.direction.unwrap_or(Direction::Other)
        }
    };
    Some(((hour, direction), totals))
}

/// An account as the store knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    /// Its small number.
    pub id: u16,
    /// First start of this program for it, UTC: calls created before are history.
    pub first_start: i64,
    /// Below this creation time (Exotel's wall clock) nothing is stored, counted or audited any more.
    pub prune_floor: i64,
}

impl AccountRow {
    /// Calls created from this time on are counted.
    pub fn live_from(&self, offset: UtcOffset) -> WallTime {
        Timestamp(self.first_start).to_wall(offset).max(WallTime(self.prune_floor))
    }
}
