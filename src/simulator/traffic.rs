//! When calls begin. Second by second and in order, each second from its own draws, so that it does
//! not matter how often the simulator is asked.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::birth::{Birth, Kind, birth};
use super::options::{Options, Profile};
use super::random::{Dice, Stream};
use super::table::Table;

/// The source of one account's calls.
#[derive(Debug)]
pub(super) struct Source {
    seed: u64,
    /// The second of the start; what lies before is history.
    start: u32,
    /// First second of history, the start without any.
    history_from: u32,
    /// The next second to fill.
    next: u32,
    /// Wall clock time of day at second 0, in seconds.
    time_of_day: i64,
    /// Leg rows to come: second, place of their root.
    legs: BinaryHeap<Reverse<(u32, u32, u16)>>,
    /// New calls so far, history and legs not counted.
    made: u64,
    /// No new calls after this second.
    stopped: Option<u32>,
}

/// Weight of each hour of the day in [`Profile::BusinessHours`]; 24 in all.
const BUSINESS_HOURS: [f64; 24] = [
    0.1, 0.05, 0.05, 0.05, 0.05, 0.1, 0.2, 0.5, 1.0, 1.8, 2.3, 2.3, 2.0, 1.7, 1.9, 2.1, 2.1, 1.9, 1.5, 1.1,
    0.6, 0.3, 0.2, 0.1,
];

/// How far before the start the first call of these options begins.
pub(super) fn reach(options: &Options) -> Duration {
    let planted = options.traffic.planted.iter().map(|planted| planted.before_start).max();
    let history = options.traffic.history;
    let history = if history.calls > 0 { history.over } else { Duration::ZERO };
    planted.unwrap_or_default().max(history)
}

impl Source {
    /// A source that starts at second `start`; `time_of_day` is the wall clock at second 0.
    pub(super) fn new(options: &Options, seed: u64, start: u32, time_of_day: i64) -> Self {
        let before = |d: Duration| start.saturating_sub(u32::try_from(d.as_secs()).unwrap_or(u32::MAX));
        Self {
            seed,
            start,
            history_from: before(options.traffic.history.over),
            next: before(reach(options)),
            time_of_day,
            legs: BinaryHeap::new(),
            made: 0,
            stopped: None,
        }
    }

    /// Fills every second up to and with `second`.
    pub(super) fn advance(&mut self, options: &Options, table: &mut Table, second: u32) {
        while self.next <= second {
            self.fill(options, table, self.next);
            self.next += 1;
        }
    }

    /// No new calls after `second`; those that began go on.
    pub(super) fn stop(&mut self, second: u32) {
        self.stopped = Some(self.stopped.map_or(second, |earlier| earlier.min(second)));
    }

    /// Whether no further row will ever begin.
    pub(super) fn is_dry(&self, options: &Options) -> bool {
        let traffic = &options.traffic;
        let opening = u32::try_from(traffic.opening.as_secs()).unwrap_or(u32::MAX);
        let ended = self.stopped.is_some_and(|second| self.next > second)
            || traffic.max_calls.is_some_and(|max| self.made >= max)
            || (traffic.calls_per_second <= 0.0 && self.next >= self.start.saturating_add(opening));
        ended && self.next >= self.start && self.legs.is_empty()
    }

    fn fill(&mut self, options: &Options, table: &mut Table, second: u32) {
        for planted in &options.traffic.planted {
            if u64::from(self.start - second.min(self.start)) == planted.before_start.as_secs()
                && second <= self.start
            {
                self.push(options, table, second, Kind::Planted(*planted));
            }
        }
        if second < self.start {
            for _ in 0..self.history(options, second) {
                self.push(options, table, second, Kind::Usual);
            }
        } else if self.stopped.is_none_or(|stop| second <= stop) {
            self.new_calls(options, table, second);
        }
        while let Some(Reverse((due, root, after))) = self.legs.peek().copied()
            && due <= second
        {
            self.legs.pop();
            let Some(call) = table.call(root) else { continue };
            let kind =
                Kind::Leg { root, way: call.way, exophone: call.exophone, room: call.duration - after };
            self.push(options, table, second, kind);
        }
    }

    /// How many calls of history begin in this second: evenly, and in all exactly as many as asked.
    fn history(&self, options: &Options, second: u32) -> u64 {
        let history = options.traffic.history;
        let (Some(n), span) = (second.checked_sub(self.history_from), history.over.as_secs()) else {
            return 0;
        };
        let share = |n: u64| {
            let upto = u128::from(n) * u128::from(history.calls) / u128::from(span.max(1));
            u64::try_from(upto).unwrap_or(u64::MAX)
        };
        share(u64::from(n) + 1) - share(u64::from(n))
    }

    fn new_calls(&mut self, options: &Options, table: &mut Table, second: u32) {
        let traffic = &options.traffic;
        let since = second - self.start;
        let mean = traffic.calls_per_second * self.weight(traffic.profile, second);
        let mut count = Dice::new(self.seed, Stream::Arrivals, u64::from(since)).poisson(mean);
        if let Some(max) = traffic.max_calls {
            count = count.min(max - self.made);
        }
        let opening = u64::from(since) < traffic.opening.as_secs();
        if opening && traffic.max_calls.is_none_or(|max| self.made < max) {
            self.push(options, table, second, Kind::Brisk);
            self.made += 1;
            count = count.saturating_sub(1);
        }
        for _ in 0..count {
            self.push(options, table, second, Kind::Usual);
        }
        self.made += count;
    }

    fn weight(&self, profile: Profile, second: u32) -> f64 {
        match profile {
            Profile::Flat => 1.0,
            Profile::BusinessHours => {
                let time = (self.time_of_day + i64::from(second)).rem_euclid(86_400);
                BUSINESS_HOURS[usize::try_from(time / 3600).unwrap_or(0)]
            }
        }
    }

    /// A call that a client makes now, in the last second that was filled; its place.
    pub(super) fn place(&mut self, options: &Options, table: &mut Table) -> u32 {
        let place = u32::try_from(table.calls().len()).unwrap_or(u32::MAX);
        self.push(options, table, self.next.saturating_sub(1), Kind::Placed);
        place
    }

    fn push(&mut self, options: &Options, table: &mut Table, second: u32, kind: Kind) {
        let place = table.calls().len() as u64;
        let Birth { call, rarity, leg_after } = birth(options, self.seed, place, second, self.start, kind);
        let place = table.push(call, rarity);
        if let Some(after) = leg_after {
            self.legs.push(Reverse((second + u32::from(after), place, after)));
        }
    }
}
