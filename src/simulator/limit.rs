//! Exotel's rate limits as Exotel counts them, by arrival, and a record of every arrival.

use std::collections::VecDeque;

use serde::Serialize;

/// The span over which Exotel counts.
const WINDOW_MILLIS: u64 = 60_000;

/// Most arrivals that are remembered; the oldest go first. 24 bytes each.
const REMEMBERED: usize = 1 << 20;

/// Requests that share a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// Calls, and every path that is not known.
    Voice,
    /// ExoPhones.
    Exophones,
    /// Messages.
    Sms,
    /// The balance.
    Balance,
}

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// A page of calls.
    Bulk,
    /// One call.
    Call,
    /// A call that a client makes.
    Connect,
    /// A list of ExoPhones.
    ExoPhoneList,
    /// One ExoPhone.
    ExoPhone,
    /// One message.
    Message,
    /// The balance.
    Balance,
    /// Anything else.
    Unknown,
}

/// One request as it arrived, whatever became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Milliseconds on the simulator's monotonic clock ([`crate::model::Clock::monotonic_millis`]).
    pub at_millis: u64,
    /// Which account of the options.
    pub account: usize,
    /// What was asked for.
    pub kind: PathKind,
    /// Status of the answer; 0 if the connection was cut or the answer is still being made.
    pub status: u16,
}

/// Every arrival so far, oldest first, at most the last million.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    list: VecDeque<Arrival>,
    forgotten: u64,
}

impl PathKind {
    /// The limit it counts against.
    pub fn pool(self) -> Pool {
        match self {
            Self::Bulk | Self::Call | Self::Connect | Self::Unknown => Pool::Voice,
            Self::ExoPhoneList | Self::ExoPhone => Pool::Exophones,
            Self::Message => Pool::Sms,
            Self::Balance => Pool::Balance,
        }
    }
}

impl Arrivals {
    /// Notes an arrival and says under which number its status can be noted later.
    pub(super) fn note(&mut self, arrival: Arrival) -> u64 {
        self.list.push_back(arrival);
        if self.list.len() > REMEMBERED {
            self.list.pop_front();
            self.forgotten += 1;
        }
        self.forgotten + self.list.len() as u64 - 1
    }

    /// Notes the answer to an arrival that is still remembered.
    pub(super) fn answered(&mut self, number: u64, status: u16) {
        let place = number.checked_sub(self.forgotten).and_then(|n| usize::try_from(n).ok());
        if let Some(arrival) = place.and_then(|n| self.list.get_mut(n)) {
            arrival.status = status;
        }
    }

    /// All that are remembered.
    pub fn iter(&self) -> impl Iterator<Item = &Arrival> {
        self.list.iter()
    }

    /// How many there were in all.
    pub fn count(&self) -> u64 {
        self.forgotten + self.list.len() as u64
    }

    /// The largest number of arrivals of one account and pool in any window of `millis`, half-open.
    pub fn largest(&self, account: usize, pool: Pool, millis: u64) -> usize {
        let times = self.times(account, pool);
        let (mut first, mut largest) = (0, 0);
        for (n, time) in times.iter().enumerate() {
            while time.saturating_sub(times[first]) >= millis {
                first += 1;
            }
            largest = largest.max(n + 1 - first);
        }
        largest
    }

    /// Arrivals of one account and pool in each second since the first of them.
    pub fn per_second(&self, account: usize, pool: Pool) -> Vec<u32> {
        let times = self.times(account, pool);
        let mut counts = Vec::new();
        for time in &times {
            let second = usize::try_from((time - times[0]) / 1000).unwrap_or(usize::MAX);
            // A pause of more than a day is cut: nobody reads such a list.
            let second = second.min(86_400);
            counts.resize(counts.len().max(second + 1), 0);
            counts[second] += 1;
        }
        counts
    }

    fn times(&self, account: usize, pool: Pool) -> Vec<u64> {
        let ours = self.list.iter().filter(|a| a.account == account && a.kind.pool() == pool);
        ours.map(|arrival| arrival.at_millis).collect()
    }
}

/// The limit of one account and pool.
#[derive(Debug)]
pub(super) struct Gate {
    limit: Option<u32>,
    /// Arrivals that were let through in the last window.
    passed: VecDeque<u64>,
}

/// What a gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) pass: Pass,
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// Until the oldest arrival leaves the window.
    pub(super) reset_millis: u64,
}

/// Whether a request is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    Through,
    Refused,
}

impl Gate {
    pub(super) fn new(limit: Option<u32>) -> Self {
        Self { limit, passed: VecDeque::new() }
    }

    /// Lets an arrival through unless the window is full; none if there is no limit.
    pub(super) fn arrive(&mut self, at: u64) -> Option<Verdict> {
        let limit = self.limit?;
        while self.passed.front().is_some_and(|first| at.saturating_sub(*first) >= WINDOW_MILLIS) {
            self.passed.pop_front();
        }
        let free = u64::from(limit).saturating_sub(self.passed.len() as u64);
        let pass = if free > 0 { Pass::Through } else { Pass::Refused };
        if pass == Pass::Through {
            self.passed.push_back(at);
        }
        let oldest = self.passed.front().copied().unwrap_or(at);
        Some(Verdict {
            pass,
            limit,
            remaining: u32::try_from(free.saturating_sub(1)).unwrap_or(0),
            reset_millis: (oldest + WINDOW_MILLIS).saturating_sub(at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_lets_its_limit_through_in_any_60_seconds() {
        let mut gate = Gate::new(Some(2));
        let pass = |gate: &mut Gate, at| gate.arrive(at).unwrap().pass;
        assert_eq!(gate.arrive(0).unwrap().remaining, 1);
        assert_eq!(pass(&mut gate, 30_000), Pass::Through);
        let refused = gate.arrive(59_999).unwrap();
        assert_eq!((refused.pass, refused.remaining, refused.reset_millis), (Pass::Refused, 0, 1));
        assert_eq!(pass(&mut gate, 60_000), Pass::Through);
        assert_eq!(pass(&mut gate, 60_001), Pass::Refused);
        assert_eq!(Gate::new(None).arrive(5), None);
    }

    #[test]
    fn the_largest_window_is_found_wherever_it_lies() {
        let mut arrivals = Arrivals::default();
        for at_millis in [0, 10, 50_000, 60_005, 60_006, 110_000, 300_000] {
            arrivals.note(Arrival { at_millis, account: 0, kind: PathKind::Bulk, status: 0 });
        }
        let other = Arrival { at_millis: 60_006, account: 0, kind: PathKind::ExoPhone, status: 0 };
        let number = arrivals.note(other);
        arrivals.answered(number, 200);
        assert_eq!(arrivals.largest(0, Pool::Voice, 60_000), 4);
        assert_eq!(arrivals.largest(0, Pool::Exophones, 60_000), 1);
        assert_eq!(arrivals.largest(1, Pool::Voice, 60_000), 0);
        assert_eq!(arrivals.per_second(0, Pool::Voice)[..2], [2, 0]);
        assert_eq!(arrivals.per_second(0, Pool::Voice).len(), 301);
        assert_eq!(arrivals.iter().last().unwrap().status, 200);
    }
}
