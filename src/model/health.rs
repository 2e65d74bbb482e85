//! Health of ExoPhones: by poll, by push, and the checks that are kept.

mod alternate;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::callback::{Heartbeat, HeartbeatStatus};
use super::exophones::KnownExoPhone;
use super::time::Timestamp;

pub use self::alternate::Alternate;

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

    /// The state for Exotel's word in any case and spelling.
    pub fn from_word(word: &str) -> Self {
        match word.trim().to_ascii_lowercase().replace('-', "_").as_str() {
            "active" => Self::Active,
            "partial_network_outage" => Self::Partial,
            "major_outage" => Self::Outage,
            _ => Self::Unknown,
        }
    }

    /// Whether calls are known to be lost, some or all.
    pub fn is_affected(self) -> bool {
        matches!(self, Self::Partial | Self::Outage)
    }

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
    /// Both, in the order of their codes.
    pub const ALL: [Self; 2] = [Self::Inbound, Self::Outbound];

    /// The code under which it is counted.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The label's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// What Exotel says of one direction of a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connectivity {
    /// State.
    pub state: State,
    /// Exotel's own time of its check, UTC, where given.
    pub checked: Option<Timestamp>,
    /// The number that Exotel names to use meanwhile, where it names one.
    pub alternate: Option<Alternate>,
}

impl Connectivity {
    /// A state of which no more is said.
    pub fn of(state: State) -> Self {
        Self { state, checked: None, alternate: None }
    }
}

/// Connectivity of a number in both directions; none where Exotel says nothing of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reachability {
    /// Incoming calls.
    pub inbound: Option<Connectivity>,
    /// Outgoing calls.
    pub outbound: Option<Connectivity>,
}

impl Reachability {
    /// State in one direction; unknown where Exotel says nothing of it.
    pub fn state(&self, way: Way) -> State {
        self.of(way).map_or(State::Unknown, |c| c.state)
    }

    /// Exotel's own time of its check of one direction.
    pub fn checked(&self, way: Way) -> Option<Timestamp> {
        self.of(way).and_then(|c| c.checked)
    }

    /// The number to use meanwhile in one direction.
    pub fn alternate(&self, way: Way) -> Option<&Alternate> {
        self.of(way).and_then(|c| c.alternate.as_ref())
    }

    fn of(&self, way: Way) -> Option<&Connectivity> {
        match way {
            Way::Inbound => self.inbound.as_ref(),
            Way::Outbound => self.outbound.as_ref(),
        }
    }
}

/// What the last poll of a number found, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberHealth {
    /// What Exotel said.
    pub reachability: Reachability,
    /// When it answered, UTC.
    pub answered: Timestamp,
    /// Since when each direction is in its state, by our own sightings; in the order of [`Way::ALL`].
    pub since: [Timestamp; 2],
    /// When a direction last changed its state; none while that was never seen.
    pub changed: Option<Timestamp>,
}

impl NumberHealth {
    /// What is known of a number after an answer, and the directions that changed their state.
    pub fn after(
        before: Option<&Self>,
        reachability: Reachability,
        answered: Timestamp,
    ) -> (Self, impl Iterator<Item = Way> + use<>) {
        let changes = Way::ALL.map(|way| {
            before.is_some_and(|before| before.reachability.state(way) != reachability.state(way))
        });
        let since = [0, 1].map(|n| match before {
            Some(before) if !changes[n] => before.since[n],
            _ => answered,
        });
        let changed = if changes.contains(&true) { Some(answered) } else { before.and_then(|b| b.changed) };
        let after = Self { reachability, answered, since, changed };
        (after, Way::ALL.into_iter().zip(changes).filter_map(|(way, changed)| changed.then_some(way)))
    }

    /// Since when a direction is in its state.
    pub fn since(&self, way: Way) -> Timestamp {
        self.since[usize::from(way.code())]
    }

    /// Whether calls are known to be lost in some direction.
    pub fn is_affected(&self) -> bool {
        Way::ALL.iter().any(|way| self.reachability.state(*way).is_affected())
    }
}

/// The heartbeat in force, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeardHeartbeat {
    /// What Exotel said.
    pub heartbeat: Heartbeat,
    /// When it came, UTC.
    pub received: Timestamp,
    /// Since when heartbeats have its status, by Exotel's time.
    pub since: Timestamp,
}

impl HeardHeartbeat {
    /// Affected numbers that are kept of one heartbeat in one direction: twice as many as a list of ExoPhones
    /// has at most. More are a fault of the sender, and would only fill memory and disk.
    pub const MOST_NAMED: usize = 20_000;

    /// How far ahead of our clock a heartbeat is believed, in seconds. Without a bound, a single one from
    /// the future would make every later one stale.
    const MOST_AHEAD: i64 = 300;

    /// The time by which heartbeats are put in order: Exotel's, though never much later than they came.
    pub fn order(heartbeat: &Heartbeat, received: Timestamp) -> Timestamp {
        heartbeat.at.min(received.plus(Self::MOST_AHEAD))
    }

    /// The time from which its age counts: a late one is as old as it says.
    pub fn told(&self) -> Timestamp {
        self.heartbeat.at.min(self.received)
    }

    /// Whether it still says how things are: not older than three times the interval in which heartbeats
    /// are expected.
    pub fn is_fresh(&self, now: Timestamp, expected_every: std::time::Duration) -> bool {
        let limit = i64::try_from(expected_every.as_secs().saturating_mul(3)).unwrap_or(i64::MAX);
        now.0.saturating_sub(self.told().0) <= limit
    }

    /// Sids of the affected numbers; none where Exotel left them out.
    pub fn affected(&self, way: Way) -> Option<&[String]> {
        match (self.heartbeat.status, way) {
            (HeartbeatStatus::PayloadTooLarge, _) => None,
            (_, Way::Inbound) => Some(&self.heartbeat.incoming),
            (_, Way::Outbound) => Some(&self.heartbeat.outgoing),
        }
    }

    /// The numbers that it names to use instead of known ones, by the id of these; in the order of [`Way::ALL`].
    pub fn alternates(&self, phones: &[KnownExoPhone]) -> HashMap<u16, [Option<Alternate>; 2]> {
        let named = &self.heartbeat.alternates;
        if named.is_empty() {
            return HashMap::new();
        }
        let sids: HashMap<&str, u16> = phones.iter().map(|phone| (phone.sid.as_str(), phone.id)).collect();
        let id = |name: &str| {
            let by_number = || phones.iter().find(|phone| phone.is_called(name)).map(|phone| phone.id);
            sids.get(name).copied().or_else(by_number)
        };
        named.iter().filter_map(|(name, alternates)| Some((id(name)?, alternates.clone()))).collect()
    }

    /// Ids of the known numbers that it names as affected; none where Exotel left the details out.
    pub fn affected_ids(&self, way: Way, phones: &[KnownExoPhone]) -> Option<HashSet<u16>> {
        let named = self.affected(way)?;
        let mut ids = HashSet::new();
        if named.is_empty() {
            return Some(ids);
        }
        let sids: HashMap<&str, u16> = phones.iter().map(|phone| (phone.sid.as_str(), phone.id)).collect();
        for name in named {
            let by_number = || phones.iter().find(|phone| phone.is_called(name)).map(|phone| phone.id);
            ids.extend(sids.get(name.as_str()).copied().or_else(by_number));
        }
        Some(ids)
    }
}

/// Everything that is known of an account's health, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownHealth {
    /// What polls found, by the number's id within the account.
    pub numbers: BTreeMap<u16, NumberHealth>,
    /// The heartbeat in force.
    pub heartbeat: Option<HeardHeartbeat>,
    /// When a poll last succeeded whole.
    pub last_success: Option<Timestamp>,
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

    /// Every verdict, in the order of their codes.
    pub const ALL: [Self; 5] = [Self::Ok, Self::Warning, Self::Critical, Self::Error, Self::PayloadTooLarge];

    /// The code under which it is counted.
    pub fn code(self) -> u8 {
        self as u8
    }

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

impl From<HeartbeatStatus> for Verdict {
    fn from(status: HeartbeatStatus) -> Self {
        match status {
            HeartbeatStatus::Ok => Self::Ok,
            HeartbeatStatus::Warning => Self::Warning,
            HeartbeatStatus::Critical => Self::Critical,
            HeartbeatStatus::PayloadTooLarge => Self::PayloadTooLarge,
        }
    }
}

/// Who found it out. Codes are stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum CheckSource {
    /// We asked.
    Poll = 0,
    /// Exotel told us.
    Push = 1,
}

impl CheckSource {
    /// The code under which its checks are stored.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// One check of an account's numbers, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Number within the account, from 1, rising in the order in which checks are stored. The store gives it.
    pub id: u64,
    /// When it was made, UTC: the end of a poll's round, the time by which a heartbeat is put in order
    /// ([`HeardHeartbeat::order`]).
    pub at: Timestamp,
    /// When it was stored, UTC.
    pub stored: Timestamp,
    /// Who found it out.
    pub source: CheckSource,
    /// Verdict.
    pub verdict: Verdict,
    /// Sids of the affected numbers, those with a partial outage among them; none where that is not known.
    pub incoming: Option<Vec<String>>,
    /// The same for calls from these numbers.
    pub outgoing: Option<Vec<String>>,
    /// Numbers with their states that the verdict rests on; of a push those that it names.
    pub numbers: u32,
    /// Why it failed or knows only a part, without secrets and numbers.
    pub error: Option<String>,
}

/// Checks by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckCounts([u64; 5]);

impl CheckCounts {
    /// Counts one more.
    pub fn add(&mut self, verdict: Verdict) {
        self.0[usize::from(verdict.code())] += 1;
    }

    /// Adds others.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// Checks with this verdict.
    pub fn of(&self, verdict: Verdict) -> u64 {
        self.0[usize::from(verdict.code())]
    }

    /// All.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(inbound: State, outbound: Option<State>) -> Reachability {
        Reachability { inbound: Some(Connectivity::of(inbound)), outbound: outbound.map(Connectivity::of) }
    }

    #[test]
    fn a_change_is_told_from_the_first_sighting_and_from_a_repeat() {
        let at = Timestamp;
        let (first, changes) = NumberHealth::after(None, reach(State::Outage, None), at(10));
        assert_eq!((changes.count(), first.changed, first.since), (0, None, [at(10), at(10)]));
        let (second, changes) =
            NumberHealth::after(Some(&first), reach(State::Active, Some(State::Unknown)), at(20));
        assert_eq!(changes.collect::<Vec<_>>(), [Way::Inbound], "nothing said is unknown, as before");
        assert_eq!((second.changed, second.since), (Some(at(20)), [at(20), at(10)]));
        let (third, changes) = NumberHealth::after(Some(&second), second.reachability.clone(), at(30));
        assert_eq!((changes.count(), third.changed, third.since), (0, Some(at(20)), second.since));
        assert!(first.is_affected() && !third.is_affected());
        assert_eq!(third.since(Way::Outbound), at(10));
    }

    #[test]
    fn a_heartbeat_ages_by_its_own_time_and_is_not_believed_about_the_future() {
        let heard = |at, received| HeardHeartbeat {
            heartbeat: Heartbeat {
                at: Timestamp(at),
                status: HeartbeatStatus::Critical,
                incoming: Vec::new(),
                outgoing: Vec::new(),
                alternates: Vec::new(),
                content: 0,
            },
            received: Timestamp(received),
            since: Timestamp(at),
        };
        let every = std::time::Duration::from_secs(60);
        assert!(heard(1000, 1005).is_fresh(Timestamp(1180), every));
        assert!(!heard(1000, 1005).is_fresh(Timestamp(1181), every));
        assert!(!heard(9_999_999, 1000).is_fresh(Timestamp(1181), every));
        let order = |at, received| HeardHeartbeat::order(&heard(at, received).heartbeat, Timestamp(received));
        assert_eq!(order(1000, 5000), Timestamp(1000));
        assert_eq!(order(9_999_999, 1000), Timestamp(1300));
    }
}
