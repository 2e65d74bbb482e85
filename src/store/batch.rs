//! What goes in and out of one transaction: plain data, so that another backend can do the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Erased, HealthWrites};
use crate::model::callback::{Kept, Kind};
use crate::model::{
    AccountId, CallRecord, HourKey, HourTotals, KnownExoPhone, Message, SetAside, Sid, SidMap, SyncRun,
    SyncState, Task, Timestamp, Unlisted, WallTime,
};
use crate::settle::Deltas;

/// Something that reads records, decides, and writes, all in one transaction.
///
/// `decide` may run again with the same input if its neighbour in a shared commit failed; it must not
/// change anything outside its answer.
pub trait Operation: Send + 'static {
    /// What the caller gets once the commit is durable.
    type Reply: Send + 'static;

    /// What must be read first.
    fn wants(&self) -> Wants;

    /// What is to be written, given what was read.
    fn decide(&mut self, held: Held) -> (WriteSet, Self::Reply);
}

/// What an operation must know.
#[derive(Clone, Debug)]
pub struct Wants {
    /// Account.
    pub account: AccountId,
    /// Calls by Sid, with the creation time under which they are most likely filed.
    pub calls: Vec<(Sid, WallTime)>,
    /// Calls whose task is due.
    pub due: Option<Due>,
    /// Messages by Sid.
    pub messages: Vec<String>,
}

impl Wants {
    /// To know nothing but that the account is there.
    pub fn nothing(account: AccountId) -> Self {
        Self { account, calls: Vec::new(), due: None, messages: Vec::new() }
    }
}

/// Calls with a task that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The task.
    pub task: Task,
    /// Due at or before this.
    pub now: Timestamp,
    /// At most so many.
    pub limit: usize,
}

/// Steps from leg to root that are followed at most.
pub const LONGEST_CHAIN: usize = 8;

/// What the store held.
#[derive(Debug, Default)]
pub struct Held {
    /// Known calls, among them the roots of those that have a parent and have not settled, and theirs.
    pub calls: SidMap<Box<CallRecord>>,
    /// Calls of those asked for that only callbacks named so far.
    pub unlisted: SidMap<Unlisted>,
    /// Calls known to exist whose record was lost to damage.
    pub lost: SidMap<Lost>,
    /// Calls created before this were removed by retention.
    pub prune_floor: WallTime,
    /// Those that were due, soonest first.
    pub due: Vec<Sid>,
    /// Whether the account has rows that were set aside.
    pub any_set_aside: bool,
    /// Known messages.
    pub messages: HashMap<String, Message>,
    /// Numbers of which nothing personal may be stored.
    pub erased: Arc<Erased>,
}

/// A call whose record was lost to damage of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It had not counted yet: what is read anew counts.
    Waiting,
    /// It had counted, or never would: what is read anew adds nothing.
    Counted,
}

/// What is written.
#[derive(Debug, Default)]
pub struct WriteSet {
    /// Records that changed: as they were, and as they are.
    pub calls: Vec<(Option<Box<CallRecord>>, Box<CallRecord>)>,
    /// Calls that only callbacks named: as they were, and as they are.
    pub unlisted: Vec<(Sid, Option<Unlisted>, Option<Unlisted>)>,
    /// Additions to the totals.
    pub deltas: Deltas,
    /// Changes of the hourly roll-ups.
    pub hours: BTreeMap<HourKey, HourTotals>,
    /// The state of reading.
    pub sync: Option<SyncState>,
    /// A run of the sync.
    pub run: Option<SyncRun>,
    /// Rows to set aside.
    pub set_aside: Vec<SetAside>,
    /// Rows set aside that were read, or are gone.
    pub healed: Vec<u64>,
    /// ExoPhones, new or changed.
    pub exophones: Vec<KnownExoPhone>,
    /// Messages by Sid, new or changed: as they were, and as they are.
    pub messages: Vec<(String, Option<Message>, Message)>,
    /// Callbacks that are nothing we know; the store numbers them, keeps the newest and each once.
    pub kept: Vec<Kept>,
    /// When a new callback of a kind came.
    pub received: Vec<(Kind, Timestamp)>,
    /// What became known of the health of its numbers.
    pub health: Option<Box<HealthWrites>>,
}

impl WriteSet {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
            && self.unlisted.is_empty()
            && self.deltas.0.is_empty()
            && self.hours.is_empty()
            && self.sync.is_none()
            && self.run.is_none()
            && self.set_aside.is_empty()
            && self.healed.is_empty()
            && self.exophones.is_empty()
            && self.messages.is_empty()
            && self.kept.is_empty()
            && self.received.is_empty()
            && self.health.is_none()
    }
}
