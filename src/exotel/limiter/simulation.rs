//! Hours of traffic in milliseconds: the promises of the limiter, measured by arrival.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::core::{Allowance, Core, Share, Step};
use super::shell::slots_of;
use crate::exotel::Priority;
use crate::exotel::ledger::image::Image;

/// A small generator of numbers, so that a seed repeats a run.
struct Dice(u64);

impl Dice {
    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

/// What the world does to the limiter.
#[derive(Clone, Debug)]
struct World {
    allowance: Allowance,
    /// Latency in milliseconds, from and to.
    latency: (u64, u64),
    /// One request in so many hangs for up to 30 s; 0 = none.
    stalls: u64,
    /// A timer fires so many milliseconds late at most.
    lateness: u64,
    /// Who has a backlog without end.
    backlog: Vec<Priority>,
    /// Mean time between kills; 0 = none.
    kills: u64,
    /// Whether a kill may be a reboot.
    reboots: bool,
    /// Whether a kill may damage the file.
    damage: bool,
    /// Mean time between pauses; 0 = none.
    pauses: u64,
    seed: u64,
}

/// A request as Exotel saw it.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    sent: u64,
    at: u64,
    priority: Priority,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// Only the last one ordered counts.
    Wake(u64),
    Answer {
        share: bool,
        place: u32,
        life: u64,
    },
    Kill,
    Pause,
}

struct Run {
    world: World,
    dice: Dice,
    core: Core<()>,
    image: Image,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    /// Boot clock minus true time; another one after each reboot.
    skew: i64,
    boot: u64,
    /// Number of the process.
    life: u64,
    /// Number of the last wake.
    wake: u64,
    /// Waiting, by priority.
    queued: [usize; 7],
    /// No process runs before this.
    down_until: u64,
    arrivals: Vec<Arrival>,
    /// Requests of the running process that are under way: index into `arrivals`.
    in_flight: Vec<usize>,
}

impl Run {
    fn new(world: World) -> Self {
        let mut dice = Dice(world.seed);
        let skew = i64::try_from(dice.below(1_000_000_000)).unwrap();
        let now = u64::try_from(skew).unwrap();
        Self {
            core: Core::new(world.allowance, now),
            image: Image::new(1),
            events: BinaryHeap::new(),
            skew,
            boot: 1,
            life: 0,
            wake: 0,
            queued: [0; 7],
            down_until: 0,
            arrivals: Vec::new(),
            in_flight: Vec::new(),
            dice,
            world,
        }
    }

    /// What the boot clock reads.
    fn clock(&self, time: u64) -> u64 {
        u64::try_from(i64::try_from(time).unwrap() + self.skew).unwrap()
    }

    fn at(&mut self, time: u64, event: Event) {
        self.events.push(Reverse((time, event)));
    }

    fn wake_at(&mut self, time: u64) {
        self.wake += 1;
        self.at(time, Event::Wake(self.wake));
    }

    fn some_time(&mut self, mean: u64) -> u64 {
        1 + self.dice.below(2 * mean)
    }

    /// Every request that arrived within `length` milliseconds.
    fn go(mut self, length: u64) -> Vec<Arrival> {
        self.wake_at(0);
        if self.world.kills > 0 {
            let first = self.some_time(self.world.kills);
            self.at(first, Event::Kill);
        }
        if self.world.pauses > 0 {
            let first = self.some_time(self.world.pauses);
            self.at(first, Event::Pause);
        }
        while let Some(Reverse((time, event))) = self.events.pop() {
            if time > length {
                break;
            }
            match event {
                Event::Wake(number) if number == self.wake => {}
                Event::Wake(_) => continue,
                Event::Answer { share, place, life } if life == self.life => self.answer(time, share, place),
                Event::Answer { .. } => continue,
                Event::Kill => self.kill(time),
                Event::Pause => {
                    let until = self.clock(time) + self.dice.below(40_000);
                    self.core.pause_until(until);
                    let next = time + self.some_time(self.world.pauses);
                    self.at(next, Event::Pause);
                }
            }
            if time >= self.down_until {
                self.serve(time);
            }
        }
        self.arrivals
    }

    fn answer(&mut self, time: u64, background: bool, place: u32) {
        let share = if background { Share::Background } else { Share::Foreground };
        let now = self.clock(time);
        self.core.answered(share, Some(place), now);
        // A kill may come before this is written; the record of the take is the safe side.
        if self.dice.below(10) > 0 {
            self.image.answered(place, now);
        }
    }

    fn serve(&mut self, time: u64) {
        loop {
            // The backlog never ends.
            for priority in self.world.backlog.clone() {
                while self.queued[priority as usize] < 3 {
                    self.queued[priority as usize] += 1;
                    self.core.enqueue(priority, ());
                }
            }
            let now = self.clock(time);
            let step = self.core.step(now);
            let freed = self.core.take_freed();
            self.image.release(freed);
            match step {
                Step::Grant(priority, ()) => {
                    self.queued[priority as usize] -= 1;
                    self.send(time, priority);
                }
                Step::WaitUntil(at) => {
                    let wait = at - now;
                    assert!(wait > 0, "it would spin");
                    let late = self.dice.below(self.world.lateness + 1);
                    return self.wake_at(time + wait + late);
                }
                Step::WaitForAnswer | Step::Idle => return,
            }
        }
    }

    fn send(&mut self, time: u64, priority: Priority) {
        let share = Share::of(priority);
        let now = self.clock(time);
        let place = self.image.take(share, now);
        let (from, to) = self.world.latency;
        let stalled = self.world.stalls > 0 && self.dice.below(self.world.stalls) == 0;
        let latency = if stalled { self.dice.below(30_000) } else { from + self.dice.below(to - from + 1) };
        let at = time + self.dice.below(latency + 1);
        self.in_flight.push(self.arrivals.len());
        self.arrivals.push(Arrival { sent: time, at, priority });
        let background = share == Share::Background;
        self.at(time + latency, Event::Answer { share: background, place, life: self.life });
    }

    /// The process dies; requests under way may still arrive, or not.
    fn kill(&mut self, time: u64) {
        self.life += 1;
        for request in std::mem::take(&mut self.in_flight) {
            let arrival = &mut self.arrivals[request];
            arrival.at = arrival.at.min(time);
        }
        // Several restarts may follow each other at once.
        let down = if self.dice.below(2) == 0 { self.dice.below(10) } else { self.dice.below(30_000) };
        if self.world.reboots && self.dice.below(3) == 0 {
            self.boot += 1;
            self.skew = -i64::try_from(time).unwrap() + i64::try_from(self.dice.below(20_000)).unwrap();
        }
        if self.world.damage && self.dice.below(3) == 0 {
            let (at, cut) = (self.dice.below(u64::MAX), self.dice.below(4) == 0);
            self.image.damage(at, cut);
        }
        let up = time + down;
        let now = self.clock(up);
        let inherited = self.image.restart(self.boot, now);
        self.core = Core::new(self.world.allowance, now);
        self.queued = [0; 7];
        self.core.restore(slots_of(&inherited, self.world.allowance, now));
        let next = up + self.some_time(self.world.kills);
        self.at(next, Event::Kill);
        self.down_until = up;
        self.wake_at(up);
    }
}

/// No 60 s hold more than `limit`.
fn keeps(times: &[u64], limit: u32) -> Result<(), TestCaseError> {
    for pair in times.windows(limit as usize + 1) {
        let span = pair[limit as usize] - pair[0];
        prop_assert!(span >= 60_000, "{} requests in {span} ms from {}", pair.len(), pair[0]);
    }
    Ok(())
}

fn sorted(arrivals: &[Arrival], which: impl Fn(&Arrival) -> bool) -> Vec<u64> {
    let mut times: Vec<u64> = arrivals.iter().filter(|a| which(a)).map(|a| a.at).collect();
    times.sort_unstable();
    times
}

fn calm(ceiling: u32, background_share: f64, backlog: &[Priority]) -> World {
    World {
        allowance: Allowance { ceiling, background_share },
        latency: (50, 1000),
        stalls: 0,
        lateness: 2,
        backlog: backlog.to_vec(),
        kills: 0,
        reboots: false,
        damage: false,
        pauses: 0,
        seed: u64::from(ceiling),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_minute_holds_more_than_the_ceiling_whatever_happens(
        ceiling in prop_oneof![1_u32..6, 6_u32..300],
        share in 0.01_f64..=1.0,
        latency in prop_oneof![Just((20, 200)), Just((50, 1000)), Just((500, 8000))],
        stalls in prop_oneof![Just(0_u64), Just(20)],
        kills in prop_oneof![Just(0_u64), Just(3_000), Just(45_000)],
        reboots in any::<bool>(),
        damage in any::<bool>(),
        pauses in prop_oneof![Just(0_u64), Just(40_000)],
        classes in 1_usize..128,
        seed in any::<u64>(),
    ) {
        let backlog: Vec<Priority> =
            (0..7).filter(|n| classes & (1 << n) != 0).map(|n| Priority::ALL[n]).collect();
        let allowance = Allowance { ceiling, background_share: share };
        let world = World {
            allowance, latency, stalls, lateness: 2, backlog, kills, reboots, damage, pauses, seed,
        };
        let arrivals = Run::new(world).go(400_000);
        keeps(&sorted(&arrivals, |_| true), ceiling)?;
        keeps(&sorted(&arrivals, |a| a.priority.is_background()), allowance.background())?;
    }
}

#[test]
fn a_backlog_uses_97_percent_of_what_it_may_from_the_third_second_on() {
    const FROM: u64 = 2_000;
    for (ceiling, share) in [
        (1, 1.0),
        (2, 1.0),
        (7, 0.3),
        (40, 1.0),
        (200, 0.3),
        (200, 1.0),
        (1199, 1.0),
        (6000, 0.5),
        (60_000, 1.0),
    ] {
        let world = calm(ceiling, share, &[Priority::Sync]);
        let allowed = f64::from(world.allowance.background());
        // As long as 40 minutes where little is allowed, so that one request more or less does not decide.
        let minutes = if ceiling < 10 { 40 } else { 4 };
        let to = FROM + minutes * 60_000;
        let arrivals = Run::new(world).go(to);
        let sent = arrivals.iter().filter(|a| (FROM..to).contains(&a.sent)).count() as f64;
        let share = sent / (allowed * minutes as f64);
        assert!(share >= 0.97, "{share:.4} of {allowed}/min");
    }
}

#[test]
fn restarts_do_not_cost_what_may_be_used() {
    // Killed every 45 s or so: what was in flight is held, the rest goes on.
    let world = World { kills: 45_000, latency: (50, 200), ..calm(200, 1.0, &[Priority::Sync]) };
    let arrivals = Run::new(world).go(1_200_000);
    // On average 7 s of each 52 s the process is down.
    assert!(arrivals.len() > 200 * 20 * 8 / 10, "{}", arrivals.len());
}

#[test]
fn requests_are_spread_evenly() {
    for ceiling in [60, 200, 6000] {
        for pauses in [0, 60_000] {
            let world = World { pauses, ..calm(ceiling, 1.0, &[Priority::Sync]) };
            let arrivals = Run::new(world).go(300_000);
            let mut sends: Vec<u64> = arrivals.iter().map(|a| a.sent).collect();
            sends.sort_unstable();
            // In any second: what a second may hold, and the burst that makes up for late timers.
            let most = (ceiling.div_ceil(60) + ceiling.div_ceil(1200) + 2) as usize;
            for pair in sends.windows(most + 1) {
                assert!(pair[most] - pair[0] >= 1000, "{} at {} of {ceiling}/min", pair.len(), pair[0]);
            }
        }
    }
}

#[test]
fn every_class_gets_its_twentieth_and_precedence_the_rest() {
    let minutes = 10;
    let arrivals = Run::new(calm(200, 0.3, &Priority::ALL)).go(minutes * 60_000);
    let count = |p: Priority| arrivals.iter().filter(|a| a.priority == p).count();
    // 5 % of what the pool uses, and the background within its share.
    for priority in Priority::ALL {
        assert!(
            count(priority) * 20 >= arrivals.len() - 40,
            "{priority:?}: {} of {}",
            count(priority),
            arrivals.len()
        );
    }
    assert!(count(Priority::Health) > arrivals.len() / 2, "health keeps its precedence");
}

#[test]
fn background_work_leaves_the_rest_of_the_pool_alone() {
    let world = calm(200, 0.3, &[Priority::Sync, Priority::Backfill]);
    let arrivals = Run::new(world).go(600_000);
    let per_minute = arrivals.len() / 10;
    assert!((57..=60).contains(&per_minute), "{per_minute}");
    let backfill = arrivals.iter().filter(|a| a.priority == Priority::Backfill).count();
    assert!((28..=32).contains(&backfill), "a twentieth: {backfill}");
}

#[test]
fn a_lower_limit_is_kept_to_until_exotel_says_otherwise() {
    let mut core: Core<u32> = Core::new(Allowance { ceiling: 4, background_share: 1.0 }, 0);
    core.learn(2, 0);
    assert_eq!(core.in_force(), Allowance { ceiling: 2, background_share: 1.0 });
    for n in 0..4 {
        core.enqueue(Priority::Sync, n);
    }
    assert_eq!(core.step(0), Step::Grant(Priority::Sync, 0));
    assert_eq!(core.step(0), Step::Grant(Priority::Sync, 1));
    assert_eq!(core.step(0), Step::WaitForAnswer);
    core.learn(4, 0);
    assert_eq!(core.in_force().ceiling, 4);
    assert_eq!(core.step(0), Step::WaitUntil(15_000), "a quarter of a minute after the last one");
    assert_eq!(core.step(15_000), Step::Grant(Priority::Sync, 2));
    core.learn(0, 15_000);
    assert_eq!(core.in_force().ceiling, 1, "absurd, but obeyed as far as one can");
}

#[test]
fn the_background_share_is_rounded_down_and_never_nothing() {
    let background = |ceiling, background_share| Allowance { ceiling, background_share }.background();
    assert_eq!(background(200, 0.3), 60);
    assert_eq!(background(100, 0.29), 29, "not 28.999…");
    assert_eq!(background(10, 0.25), 2);
    assert_eq!(background(2, 0.3), 1);
    assert_eq!(background(1, 1.0), 1);
    assert_eq!(background(7, 1.0), 7);
}
