//! What we believe of a call: Exotel's fields as merged, and our own bookkeeping.

use super::call::{Direction, Micros, Observation, Outcome, Status};
use super::heard::{Awaited, Heard};
use super::series::ExoPhoneId;
use super::time::Timestamp;

/// A call as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// What Exotel says, merged over everything that was read.
    pub call: Observation,
    /// What we did about it.
    pub book: Book,
}

/// Bookkeeping of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    /// When we first heard of it.
    pub first_seen: Timestamp,
    /// When we first heard that it is over.
    pub over_seen: Option<Timestamp>,
    /// Reported by v1 of the API, whose lists and totals are compared with ours; false while v2 or v3 alone
    /// has told of it.
    pub by_api: bool,
    /// Whether it is counted: created at or after the account's first start.
    pub live: bool,
    /// Leg details: how far we are.
    pub details: DetailsState,
    /// Details requests that brought none, while Exotel answered.
    pub details_tries: u8,
    /// Times it was asked for by Sid before it settled, or its root was looked for.
    pub asks: u8,
    /// Times its price was asked for after it settled.
    pub price_asks: u8,
    /// Whether it was read when an agent's app could change it no more; only ever true of a call that has
    /// such a leg and had not counted.
    pub read_final: bool,
    /// Once counted, what it contributed.
    pub settled: Option<Settled>,
    /// What callbacks said of it. They change nothing else of the record.
    pub heard: Option<Box<Heard>>,
    /// Whether a callback should have announced it.
    pub awaited: Awaited,
    /// What is still to be done about it, at most one entry for each task, sorted.
    pub agenda: Vec<(Task, Timestamp)>,
}

impl Book {
    /// Bookkeeping of a call first heard of now.
    pub fn new(first_seen: Timestamp) -> Self {
        Self {
            first_seen,
            over_seen: None,
            by_api: false,
            live: false,
            details: DetailsState::Missing,
            details_tries: 0,
            asks: 0,
            price_asks: 0,
            read_final: false,
            settled: None,
            heard: None,
            awaited: Awaited::No,
            agenda: Vec::new(),
        }
    }
}

/// How far we are with the leg details of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DetailsState {
    /// None read, none asked for.
    Missing = 0,
    /// Came with a bulk row.
    Inline = 1,
    /// Came with an answer for this call.
    Fetched = 2,
    /// Not asked for: the budget did not allow it in time.
    Skipped = 3,
    /// Asked for, and refused or never answered.
    Failed = 4,
}

impl DetailsState {
    /// The value with this code, as stored.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Missing, Self::Inline, Self::Fetched, Self::Skipped, Self::Failed]
            .get(usize::from(code))
            .copied()
    }

    /// Whether leg details are known.
    pub fn is_known(self) -> bool {
        matches!(self, Self::Inline | Self::Fetched)
    }
}

/// Something to do about a call at a given time; the store keeps them ordered by that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Task {
    /// Count it, whatever is still unknown.
    Settle = 1,
    /// Ask for it again by Sid: it was read before it settled.
    Recheck = 2,
    /// Ask for its leg details; inbound and completed.
    DetailsFirst = 3,
    /// Ask for its leg details; the rest.
    Details = 4,
    /// Look whether the call of which it is a leg has settled.
    Child = 5,
    /// Ask for its price.
    Price = 6,
    /// Decide whether its final callback was missed.
    Callback = 7,
    /// Ask for a call that only callbacks named. Listed by an [`super::Unlisted`], never by a record.
    Confirm = 8,
}

impl Task {
    /// Every task.
    pub const ALL: [Self; 8] = [
        Self::Settle,
        Self::Recheck,
        Self::DetailsFirst,
        Self::Details,
        Self::Child,
        Self::Price,
        Self::Callback,
        Self::Confirm,
    ];

    /// The value with this code, as stored.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|t| *t as u8 == code)
    }

    /// Whether it asks for leg details.
    pub fn is_details(self) -> bool {
        matches!(self, Self::DetailsFirst | Self::Details)
    }
}

/// What a counted call contributed, and under which labels: so that what comes later adds the
/// difference, to the same labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// When it was counted.
    pub at: Timestamp,
    /// As what it was counted.
    pub kind: SettledKind,
    /// Label `exophone`.
    pub exophone: ExoPhoneId,
    /// Label `direction`.
    pub direction: Direction,
    /// Label `status`.
    pub status: Status,
    /// Label `outcome`.
    pub outcome: Outcome,
    /// Call seconds added.
    pub seconds: u32,
    /// Cost added, less refunds: the last price.
    pub cost: Micros,
    /// Conversation seconds added; absent while they are not known.
    pub conversation: Option<u32>,
}

/// As what a call was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SettledKind {
    /// A call of its own.
    Root = 0,
    /// A leg of another call: only its price counts, under that call's labels.
    Child = 1,
    /// Nothing counts: a leg of a call that is not live, or a call whose record was lost to damage after
    /// it had counted.
    Silent = 2,
}

impl SettledKind {
    /// The value with this code, as stored.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Root, Self::Child, Self::Silent].get(usize::from(code)).copied()
    }
}
