//! Health of ExoPhones: by poll, by push, and the checks that are kept.

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// State of one number in one direction, as Exotel's `connectivity` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// `active`.
    Active,
    /// `partial_network_outage`.
    Partial,
    /// `major_outage`.
    Outage,
    /// A word we do not know, or none.
    Unknown,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Active, Self::Partial, Self::Outage, Self::Unknown];

    /// The `state` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Partial => "partial",
            Self::Outage => "outage",
            Self::Unknown => "unknown",
        }
    }
}

/// Which way calls go; the `direction` label of connectivity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Way {
    /// Customers call the number.
    Inbound,
    /// We call from it.
    Outbound,
}

impl Way {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Inbound, Self::Outbound];

    /// The label's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// What Exotel says of one direction of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connectivity {
    /// State.
    pub state: State,
    /// Exotel's own time of its check, UTC, where given.
    pub checked: Option<Timestamp>,
}

/// Connectivity of a number in both directions; none where Exotel says nothing of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reachability {
    /// Incoming calls.
    pub inbound: Option<Connectivity>,
    /// Outgoing calls.
    pub outbound: Option<Connectivity>,
}

/// Verdict of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// All numbers are reachable.
    Ok,
    /// Some are not.
    Warning,
    /// None is, in one direction at least.
    Critical,
    /// It could not be found out.
    Error,
    /// Push only: Exotel left the details out.
    PayloadTooLarge,
}

impl Verdict {
    /// Those of a poll, in the order of their codes in the store.
    pub const POLLED: [Self; 4] = [Self::Ok, Self::Warning, Self::Critical, Self::Error];

    /// The word in labels and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Error => "ERROR",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
        }
    }
}

/// Who found it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CheckSource {
    /// We asked.
    Poll,
    /// Exotel told us.
    Push,
}

/// One check of an account's numbers, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Number within the account, rising with time.
    pub id: u64,
    /// When it was made, UTC; for a push Exotel's timestamp.
    pub at: Timestamp,
    /// When it was stored, UTC.
    pub stored: Timestamp,
    /// Who found it out.
    pub source: CheckSource,
    /// Verdict.
    pub verdict: Verdict,
    /// Sids of the numbers that cannot be called; none where that is not known.
    pub incoming: Option<Vec<String>>,
    /// Sids of the numbers from which nobody can be called; none where that is not known.
    pub outgoing: Option<Vec<String>>,
    /// Why it failed, without secrets and numbers.
    pub error: Option<String>,
}
