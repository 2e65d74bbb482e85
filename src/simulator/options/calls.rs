//! Which calls there are, how long they last, what is known when, and what is odd about them.

use std::time::Duration;

use super::super::random::Dice;

/// Which calls there are.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// New calls per second, on the day's average.
    pub calls_per_second: f64,
    /// How the day is filled.
    pub profile: Profile,
    /// Weights of inbound, outbound-api and outbound-dial.
    pub directions: [f64; 3],
    /// No more new calls after this many (history and legs not counted).
    pub max_calls: Option<u64>,
    /// For this long at least one call begins each second, of the shortest and soonest settled kind.
    pub opening: Duration,
    /// Calls from before the start.
    pub history: History,
    /// Calls that are there whatever chance says.
    pub planted: Vec<Planted>,
    /// Share of answered calls that have a second row for a leg, with `ParentCallSid` and own price.
    pub child_share: f64,
    /// Share of calls that name a parent which does not exist.
    pub orphan_share: f64,
    /// Share of calls whose agent is a `sip:` user.
    pub sip_share: f64,
}

/// How a day is filled with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Evenly.
    Flat,
    /// Most of it from 9 to 21 o'clock of the account's wall clock.
    BusinessHours,
}

/// Calls from before the start, spread evenly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// How many.
    pub calls: u64,
    /// Over how long; at most six months are of use.
    pub over: Duration,
}

/// An inbound, answered call with known times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planted {
    /// Begins this long before the start of the simulator.
    pub before_start: Duration,
    /// Lasts this long.
    pub lasts: Duration,
}

/// How long calls last: log-normal, and a share of long ones.
#[derive(Clone, Copy, Debug)]
pub struct Durations {
    /// Median.
    pub median: Duration,
    /// Sigma of the logarithm; 0 for always the median.
    pub sigma: f64,
    /// Shortest; at least one second.
    pub min: Duration,
    /// Longest.
    pub max: Duration,
    /// Share of answered calls that are long.
    pub long_share: f64,
    /// Shortest of the long ones.
    pub long_min: Duration,
    /// Longest of the long ones.
    pub long_max: Duration,
}

/// A time to wait: evenly between two bounds, in a share of cases up to a third.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Delay {
    /// At least.
    pub from: Duration,
    /// Mostly at most.
    pub to: Duration,
    /// Share of cases that take longer than `to`.
    pub tail_share: f64,
    /// At most, for those.
    pub tail_to: Duration,
}

/// What is known when, counted from the end of the call unless said otherwise.
#[derive(Clone, Debug)]
pub struct Delays {
    /// The row appears in bulk.
    pub index: Delay,
    /// `EndTime` appears (and, but for the next two, Duration and Price with it).
    pub settle: Delay,
    /// Duration appears this long after `EndTime`.
    pub duration_lag: Delay,
    /// Price appears this long after `EndTime`.
    pub price_lag: Delay,
    /// The recording appears.
    pub recording: Delay,
    /// Share of completed calls whose price comes very late.
    pub late_price_share: f64,
    /// When such a price comes.
    pub late_price: Delay,
    /// Share of completed calls that never have a price.
    pub unpriced_share: f64,
}

/// Rows that are not as one would wish.
#[derive(Clone, Debug)]
pub struct Oddities {
    /// Share of calls with a `sip:` agent whose leg 2 has another status at first.
    pub sip_change_share: f64,
    /// When that status becomes final, counted from the end of the call.
    pub sip_change: Delay,
    /// Share of rows sent twice, on one page or on two. `Metadata.Total` does not count them.
    pub duplicate_share: f64,
    /// Share of calls that are later filed under another DateCreated.
    pub moved_share: f64,
    /// When, counted from the moment the row appears.
    pub moved_after: Delay,
    /// By how much at most, either way; never across the start of the simulator.
    pub moved_by: Duration,
    /// Share of rows without a readable Sid, DateCreated or Status at first.
    pub unreadable_share: f64,
    /// When they heal, counted from the moment the row appears.
    pub unreadable_for: Delay,
    /// Share of priced calls whose price changes, half of them down. A client sees it if it looks again.
    pub price_change_share: f64,
    /// When, counted from the moment the price is known.
    pub price_change_after: Delay,
    /// Share of calls whose Direction is a word outside the documentation.
    pub odd_direction_share: f64,
    /// Share of rows that spell Status otherwise (`No_Answer`, `cancelled`).
    pub respelled_share: f64,
    /// Share of rows that say Duration 0 until it is known; the filter does not match them until then.
    pub zero_duration_share: f64,
}

impl Delay {
    /// Evenly between two numbers of seconds.
    pub fn seconds(from: f64, to: f64) -> Self {
        let to = to.max(from);
        let [from, to] = [from, to].map(Duration::from_secs_f64);
        Self { from, to, tail_share: 0.0, tail_to: to }
    }

    /// No delay.
    pub fn none() -> Self {
        Self::default()
    }

    /// The same with a share of cases that take up to `to` seconds.
    #[must_use]
    pub fn with_tail(self, share: f64, to: f64) -> Self {
        Self { tail_share: share, tail_to: Duration::from_secs_f64(to).max(self.to), ..self }
    }

    /// One draw.
    pub(in super::super) fn draw(&self, dice: &mut Dice) -> Duration {
        let late = dice.chance(self.tail_share);
        let (from, to) = if late { (self.to, self.tail_to) } else { (self.from, self.to) };
        Duration::from_secs_f64(dice.between(from.as_secs_f64(), to.as_secs_f64()))
    }
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            calls_per_second: 0.2,
            profile: Profile::Flat,
            directions: [0.5, 0.35, 0.15],
            max_calls: None,
            opening: Duration::ZERO,
            history: History::default(),
            planted: Vec::new(),
            child_share: 0.0,
            orphan_share: 0.0,
            sip_share: 0.0,
        }
    }
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            median: Duration::from_secs(90),
            sigma: 1.0,
            min: Duration::from_secs(1),
            max: Duration::from_secs(3600),
            long_share: 0.0,
            long_min: Duration::from_secs(3600),
            long_max: Duration::from_secs(4 * 3600),
        }
    }
}

impl Default for Delays {
    /// As seen in the field: bulk lags by 10 to 30 s, the rest comes after two minutes.
    fn default() -> Self {
        Self {
            index: Delay::seconds(10.0, 30.0),
            settle: Delay::seconds(100.0, 240.0).with_tail(0.03, 900.0),
            duration_lag: Delay::none(),
            price_lag: Delay::none(),
            recording: Delay::seconds(240.0, 360.0),
            late_price_share: 0.0,
            late_price: Delay::seconds(7200.0, 86_400.0),
            unpriced_share: 0.0,
        }
    }
}

impl Default for Oddities {
    fn default() -> Self {
        Self {
            sip_change_share: 0.0,
            sip_change: Delay::seconds(60.0, 900.0),
            duplicate_share: 0.0,
            moved_share: 0.0,
            moved_after: Delay::seconds(0.0, 60.0),
            moved_by: Duration::from_secs(60),
            unreadable_share: 0.0,
            unreadable_for: Delay::seconds(10.0, 60.0),
            price_change_share: 0.0,
            price_change_after: Delay::seconds(60.0, 600.0),
            odd_direction_share: 0.0,
            respelled_share: 0.0,
            zero_duration_share: 0.0,
        }
    }
}
