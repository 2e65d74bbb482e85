//! What Exotel tells us by callback, read into plain types, and what the receiver makes of it.
//!
//! Bodies are read in [`crate::exotel::callback`]; what follows from them is decided in [`crate::ingest`].

use serde::{Deserialize, Serialize};

use super::call::{Details, Direction, Micros, Status};
use super::health::Alternate;
use super::sid::Sid;
use super::time::{Timestamp, WallTime};

/// The last part of a webhook's address, and the `kind` label.
/// Codes are stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Kind {
    /// Health of the ExoPhones, pushed by Exotel.
    Heartbeat = 0,
    /// StatusCallback, CCM callback.
    Calls = 1,
    /// Delivery reports of messages.
    Sms = 2,
    /// Passthru applet and agent events of the Connect applet.
    Passthru = 3,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Heartbeat, Self::Calls, Self::Sms, Self::Passthru];

    /// The word in addresses and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Calls => "calls",
            Self::Sms => "sms",
            Self::Passthru => "passthru",
        }
    }

    /// The code under which it is stored.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind of this name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What a callback says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Something about a call.
    Call(Box<CallReport>),
    /// Something about a message.
    Sms(SmsReport),
    /// Health of the account's ExoPhones.
    Heartbeat(Heartbeat),
    /// It could be read, and is nothing that we know: kept as it came, counted as kind `other`.
    Unknown(Unknown),
}

/// A callback about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallReport {
    /// The call.
    pub sid: Sid,
    /// What happened.
    pub event: CallEvent,
    /// Status of the call; none where the callback does not give one. Never an agent's `busy` or `free`.
    pub status: Option<Status>,
    /// Direction, where given.
    pub direction: Option<Direction>,
    /// Creation time of the call on Exotel's wall clock, where given.
    pub created: Option<WallTime>,
    /// Start of the call, where given.
    pub start: Option<WallTime>,
    /// End of the call; none while it runs (Passthru's 1970 included).
    pub end: Option<WallTime>,
    /// Last change on Exotel's side.
    pub updated: Option<WallTime>,
    /// Whole call in seconds.
    pub duration: Option<u32>,
    /// Price in millionths.
    pub price: Option<Micros>,
    /// Leg results and seconds of conversation, where given.
    pub details: Option<Details>,
    /// Hash of what makes two callbacks the same: for a StatusCallback (event, status, status of leg 2),
    /// for others what they consist of without the time of sending.
    pub same: u64,
}

#[cfg(test)]
impl CallReport {
    /// Of an outbound call that began when it was made, and nothing else said.
    pub(crate) fn outbound(sid: Sid, created: WallTime, event: CallEvent, same: u64) -> Self {
        Self {
            sid,
            event,
            status: None,
            direction: Some(Direction::OutboundApi),
            created: Some(created),
            start: Some(created),
            end: None,
            updated: None,
            duration: None,
            price: None,
            details: None,
            same,
        }
    }
}

/// What a callback about a call reports; the `event` label. Codes are stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CallEvent {
    /// A leg was answered; the call goes on.
    Answered = 0,
    /// The call is over: StatusCallback `terminal`, one without events, CCM `terminal`.
    Terminal = 1,
    /// A step of the call's flow.
    Passthru = 2,
    /// An agent's phone is dialled.
    AgentDial = 3,
    /// An agent's phone rings.
    AgentRinging = 4,
    /// An agent answered.
    AgentAnswered = 5,
    /// An agent's part is over.
    AgentTerminal = 6,
    /// An event we do not know.
    Other = 7,
}

impl CallEvent {
    /// Every event, in the order of their codes.
    pub const ALL: [Self; 8] = [
        Self::Answered,
        Self::Terminal,
        Self::Passthru,
        Self::AgentDial,
        Self::AgentRinging,
        Self::AgentAnswered,
        Self::AgentTerminal,
        Self::Other,
    ];

    /// The label's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Terminal => "terminal",
            Self::Passthru => "passthru",
            Self::AgentDial => "agent_dial",
            Self::AgentRinging => "agent_ringing",
            Self::AgentAnswered => "agent_answered",
            Self::AgentTerminal => "agent_terminal",
            Self::Other => "other",
        }
    }

    /// The code under which it is stored.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// A callback about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmsReport {
    /// Exotel's id of the message, letters and digits, at most 64.
    pub sid: String,
    /// Status as said, folded.
    pub status: SmsStatus,
    /// `DetailedStatusCode`, `ExoStatusCode`; the number decides, not the name.
    pub code: Option<u32>,
    /// When the message was handed in, UTC, where given.
    pub created: Option<Timestamp>,
    /// When it was sent on or last changed, UTC, where given.
    pub sent: Option<Timestamp>,
}

/// Status of a message. Codes are stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum SmsStatus {
    /// Final: delivered, at least as far as the operator.
    Sent = 0,
    /// Final: it did not arrive.
    Failed = 1,
    /// Final: the receiver does not want such messages.
    FailedDnd = 2,
    /// A final report that we do not know how to read.
    Other = 3,
    /// Waits at Exotel.
    Queued = 4,
    /// On its way to the operator.
    Sending = 5,
    /// The operator has it.
    Submitted = 6,
}

impl SmsStatus {
    /// Those that end a message, in the order of their codes.
    pub const FINAL: [Self; 4] = [Self::Sent, Self::Failed, Self::FailedDnd, Self::Other];

    /// The label's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::FailedDnd => "failed_dnd",
            Self::Other => "other",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Submitted => "submitted",
        }
    }

    /// The code under which it is stored and counted.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Whether nothing follows it.
    pub fn is_final(self) -> bool {
        Self::FINAL.contains(&self)
    }

    /// The status for what Exotel says: the number decides, names vary. A number of a family that we do
    /// not know, as one page of the portal shows, leaves it to the word.
    pub fn read(word: &str, code: Option<u32>) -> Self {
        let word = Self::from_word(word);
        match code {
            Some(20_000..=20_999) => Self::Sent,
            Some(21_000..=21_999) => word.filter(|w| !w.is_final()).unwrap_or(Self::Submitted),
            Some(23_005) => Self::FailedDnd,
            Some(23_000..=24_999) => Self::Failed,
            _ => word.unwrap_or(Self::Other),
        }
    }

    /// The status for a word of Exotel's in any spelling; none for one we do not know.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word.trim().to_ascii_lowercase().replace('-', "_").as_str() {
            "sent" | "delivered" => Self::Sent,
            "failed" | "undelivered" => Self::Failed,
            "failed_dnd" => Self::FailedDnd,
            "queued" => Self::Queued,
            "sending" => Self::Sending,
            "submitted" => Self::Submitted,
            _ => return None,
        })
    }
}

/// Verdict of a heartbeat; the `status` label of `exotel_heartbeat_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HeartbeatStatus {
    /// No number is affected.
    Ok,
    /// Some are.
    Warning,
    /// All are.
    Critical,
    /// Exotel left the details out: the numbers must be polled.
    PayloadTooLarge,
}

impl HeartbeatStatus {
    /// Every verdict.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Warning, Self::Critical, Self::PayloadTooLarge];

    /// Exotel's word, and the label's.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
        }
    }

    /// The verdict for Exotel's word in any case.
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_uppercase().replace('-', "_");
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// A heartbeat: the full state of the account at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Exotel's time of it, UTC.
    pub at: Timestamp,
    /// Verdict.
    pub status: HeartbeatStatus,
    /// Sids of the ExoPhones that cannot be called. A missing list is empty.
    pub incoming: Vec<String>,
    /// Sids of those from which nobody can be called.
    pub outgoing: Vec<String>,
    /// Numbers to use instead, by the sid of one that is affected: for calls to it and for calls from it. Sorted
    /// by sid, and only of those for which Exotel names one.
    pub alternates: Vec<(String, [Option<Alternate>; 2])>,
    /// Hash of its content, so that a repeat can be told from another one of the same second.
    pub content: u64,
}

/// A callback that is nothing we know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What it says, as text, at most 16 KiB. Personal data.
    pub raw: String,
    /// Why it is unknown, without any value.
    pub reason: String,
}

/// A callback that is nothing we know, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Number within the account, rising with time; given by the store.
    pub id: u64,
    /// The kind in its address.
    pub kind: Kind,
    /// When it came, UTC.
    pub received: Timestamp,
    /// Why it is unknown, without any value.
    pub reason: String,
    /// What it says, as text, at most 16 KiB. Personal data.
    pub raw: String,
}

/// What became of a callback that could be read; the `outcome` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It said something new, and that is stored.
    Accepted,
    /// It was known word for word: nothing changed.
    Duplicate,
    /// Something newer is known: nothing changed.
    Stale,
}
