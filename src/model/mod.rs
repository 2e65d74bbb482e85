//! Call records, time windows and words: plain types, no I/O.

pub mod call;
pub mod callback;
pub mod clock;
pub mod exophones;
pub mod health;
pub mod heard;
pub mod identity;
pub mod message;
pub mod outcome;
pub mod record;
pub mod series;
pub mod sid;
pub mod sync;
pub mod time;

pub use call::{
    AnsweredBy, Details, Direction, ExoPhone, LegStatus, Micros, Observation, Outcome, Status, UnreadableRow,
    last_ten_digits,
};
pub use clock::Clock;
pub use exophones::{Directory, KnownExoPhone, Place};
pub use heard::{Answered, Awaited, Final, Heard, Unlisted};
pub use message::Message;
pub use outcome::outcome;
pub use record::{Book, CallRecord, DetailsState, Settled, SettledKind, Task};
pub use series::{AccountId, ExoPhoneId, Family, Series};
pub use sid::{Sid, SidMap};
pub use sync::{AccountRow, HourKey, HourTotals, Pass, RunStatus, SetAside, Slice, SyncRun, SyncState};
pub use time::{NotATime, Timestamp, UtcOffset, WallTime, parse_time};
