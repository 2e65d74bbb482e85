//! When numbers cannot be reached, and how that is told.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::calls::Delay;

/// When numbers cannot be reached.
#[derive(Clone, Debug)]
pub struct Outages {
    /// In each span of this length since the start one outage begins, at any time in it; none without.
    pub every: Option<Duration>,
    /// How long each of those lasts.
    pub lasts: Delay,
    /// Share of those that concern every number; the others concern one.
    pub all_share: f64,
    /// Outages that come whatever chance says.
    pub planned: Vec<PlannedOutage>,
    /// How often Exotel checks a line when nothing happens; a change is noticed at once.
    pub check_every: Duration,
    /// How the number to use meanwhile is named.
    pub alternate: Alternate,
}

/// An outage with known times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedOutage {
    /// Begins this long after the start of the simulator.
    pub after: Duration,
    /// Lasts this long.
    pub lasts: Duration,
    /// What is out.
    pub outage: Outage,
}

/// What is out, and how far.
///
/// As JSON: `{"exophone": 0, "lines": "incoming", "state": "major_outage"}`; each key may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outage {
    /// Place of the number in the list, from 0; all of them without.
    pub exophone: Option<u16>,
    /// Which ways.
    pub lines: Lines,
    /// How far.
    pub state: OutageState,
}

/// Which ways calls cannot go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lines {
    /// To the number.
    Incoming,
    /// From the number.
    Outgoing,
    /// Neither way.
    #[default]
    Both,
}

/// How far a number is out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutageState {
    /// Some networks cannot reach it.
    PartialNetworkOutage,
    /// Nobody can.
    #[default]
    MajorOutage,
}

/// `alternate_exophone` of a number with a major outage; its type is not documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alternate {
    /// `null`.
    Nothing,
    /// The number.
    Text,
    /// `{"sid": …, "phone_number": …}`.
    Object,
    /// The number for incoming calls, the object for outgoing ones.
    Mixed,
}

impl Lines {
    /// Whether calls to the number are concerned.
    pub fn incoming(self) -> bool {
        self != Self::Outgoing
    }

    /// Whether calls from the number are concerned.
    pub fn outgoing(self) -> bool {
        self != Self::Incoming
    }
}

impl Default for Outages {
    /// None.
    fn default() -> Self {
        Self {
            every: None,
            lasts: Delay::seconds(300.0, 1800.0),
            all_share: 0.1,
            planned: Vec::new(),
            check_every: Duration::from_secs(60),
            alternate: Alternate::Text,
        }
    }
}
