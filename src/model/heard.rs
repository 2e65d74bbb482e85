//! What callbacks said of a call, kept apart from what the API says of it: so that the order, the
//! repetition and the loss of callbacks change no field that the API owns.

use super::call::{Details, Direction, Micros, Observation, Status};
use super::callback::CallEvent;
use super::series::EventStatus;
use super::time::{Timestamp, WallTime};

/// What callbacks said of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When the first came, UTC.
    pub first: Timestamp,
    /// When the last came that said something new.
    pub last: Timestamp,
    /// Events that were counted, each with its status once; sorted.
    pub said: Vec<(CallEvent, EventStatus)>,
    /// Hashes by which repeats are known, newest last; at most [`Heard::MOST_SAME`].
    pub same: Vec<u64>,
    /// Direction, where one was given.
    pub direction: Option<Direction>,
    /// Start of the call on Exotel's wall clock, else its creation, where given.
    pub start: Option<WallTime>,
    /// How far the answer delay is.
    pub answered: Answered,
    /// When the first Passthru came.
    pub passthru: Option<Timestamp>,
    /// Whether a Passthru told the result of the leg that its flow dialled, or a final status.
    pub flow_ended: bool,
    /// What final callbacks said.
    pub end: Option<Final>,
    /// Fields counted as different from what the API says: bit n for the n-th
    /// [`super::series::MismatchField`].
    pub differs: u8,
}

/// The answer of a call, as callbacks tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Nothing was heard of one.
    No,
    /// Both sides were on the line at this time; the start of the call is not known yet.
    At(Timestamp),
    /// The delay is in its histogram.
    Counted,
}

/// What final callbacks said of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Final {
    /// When the first of them came, UTC.
    pub at: Timestamp,
    /// Exotel's own time of what follows.
    pub updated: Option<WallTime>,
    /// A final status, where one was given.
    pub status: Option<Status>,
    /// Whole call in seconds.
    pub duration: Option<u32>,
    /// Price in millionths.
    pub price: Option<Micros>,
    /// Leg results and conversation.
    pub details: Option<Details>,
}

impl Heard {
    /// Repeats are known among this many last callbacks of a call: twice as many as a call with ten agents
    /// brings. Those before are read once more, and count nothing.
    pub const MOST_SAME: usize = 24;

    /// Nothing heard yet, at the time when the first callback comes.
    pub fn new(first: Timestamp) -> Self {
        Self {
            first,
            last: first,
            said: Vec::new(),
            same: Vec::new(),
            direction: None,
            start: None,
            answered: Answered::No,
            passthru: None,
            flow_ended: false,
            end: None,
            differs: 0,
        }
    }

    /// Whether callbacks say that the call is over, or all but. An inbound call sends no better sign than the
    /// Passthru that follows the dialled leg.
    pub fn is_over(&self) -> bool {
        self.end.is_some() || self.flow_ended
    }

    /// The minute of UTC in which a call was first heard of that goes on by all we know, and its direction.
    /// `call` is what the API says of it, if anything.
    pub fn in_progress(&self, call: Option<&Observation>) -> Option<(Direction, u32)> {
        if self.is_over() || call.is_some_and(Observation::is_over) {
            return None;
        }
        let direction = call.and_then(|c| c.direction).or(self.direction).unwrap_or(Direction::Other);
        Some((direction, u32::try_from(self.first.0.max(0) / 60).unwrap_or(u32::MAX)))
    }
}

/// A call that callbacks named and the API has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlisted {
    /// Under which time it is filed: when it was first heard of, on Exotel's wall clock.
    pub filed: WallTime,
    /// What callbacks said.
    pub heard: Heard,
    /// When the API is asked for it next; none once it counted as unconfirmed.
    pub ask_at: Option<Timestamp>,
}

/// Whether a final callback should announce a call, and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Awaited {
    /// None is expected, or the call is not counted yet.
    #[default]
    No,
    /// One is expected.
    Yes,
    /// It came in time.
    Came,
    /// It did not come in time: the call counts as missed, whatever comes later.
    Missed,
}
