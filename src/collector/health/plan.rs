//! Which numbers a round asks: all of them, or, where there are more than the limit has room for, the
//! affected ones with a small part of the room and the others in turn. Pure.

use std::time::Duration;

use crate::model::Timestamp;

/// Part of the room of the limit that rounds use; the rest is for the list of ExoPhones and for people.
const USED: f64 = 0.95;
/// One in so many requests of a round goes to the affected numbers, as long as not all can be asked. The
/// others take 12.5 min for 500 numbers at 40 requests a minute without that, and 14.4 min with it.
const URGENT_EVERY: u64 = 12;
/// How long a round waits for answers beyond the time that its requests need.
const PATIENCE: Duration = Duration::from_secs(10);

/// How fast polls may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Requests in any minute.
    pub per_minute: u32,
    /// Time between rounds.
    pub interval: Duration,
}

/// How long a round waits for a number that hangs, however long the interval: by then every retry of the
/// defaults has timed out, and somebody may be waiting for the check.
const LONGEST: Duration = Duration::from_secs(180);

/// A number that may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its id within the account.
    pub id: u16,
    /// When it was last asked; none if never.
    pub asked: Option<Timestamp>,
    /// Whether it is affected, or changed recently.
    pub urgent: bool,
}

impl Pace {
    /// Numbers that one round can ask, at least 1.
    pub fn room(&self) -> usize {
        let room = f64::from(self.per_minute.max(1)) * USED * self.interval.as_secs_f64() / 60.0;
        (room as usize).max(1)
    }

    /// Places for urgent numbers in round `n`: evenly spread where a round has less than one.
    pub fn urgent(&self, n: u64) -> usize {
        let until = |n: u64| n.saturating_mul(self.room() as u64) / URGENT_EVERY;
        (until(n.saturating_add(1)) - until(n)) as usize
    }

    /// How long a round waits for its answers.
    pub fn patience(&self, numbers: usize) -> Duration {
        self.interval.min(LONGEST).max(self.spread(numbers) + PATIENCE)
    }

    /// How long it takes until each of so many numbers was asked.
    pub fn cycle(&self, numbers: usize) -> Duration {
        let room = self.room();
        if numbers <= room {
            return self.interval.max(self.spread(numbers));
        }
        let in_turn = room as f64 * (URGENT_EVERY - 1) as f64 / URGENT_EVERY as f64;
        self.interval.max(self.spread(room)).mul_f64((numbers as f64 / in_turn).ceil().min(1e6))
    }

    /// The age from which an answer no longer says how things are.
    pub fn stale_after(&self, numbers: usize) -> Duration {
        (self.interval * 3).max(self.cycle(numbers) * 2)
    }

    /// Time that so many requests take, spaced evenly.
    fn spread(&self, requests: usize) -> Duration {
        Duration::from_secs_f64(requests as f64 * 60.0 / f64::from(self.per_minute.max(1)))
    }
}

/// The numbers to ask, first first: at most `room`, of which up to `urgent` places go to urgent numbers
/// before all others have had their turn.
pub fn choose(mut candidates: Vec<Candidate>, room: usize, urgent: usize) -> Vec<u16> {
    candidates.sort_by_key(|c| (c.asked, c.id));
    let first: Vec<u16> = candidates
        .iter()
        .filter(|c| c.urgent)
        .take(if candidates.len() <= room { room } else { urgent.min(room) })
        .map(|c| c.id)
        .collect();
    let others = candidates.iter().map(|c| c.id).filter(|id| !first.contains(id));
    first.iter().copied().chain(others).take(room).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PUBLISHED: Pace = Pace { per_minute: 40, interval: Duration::from_secs(60) };

    fn candidate(id: u16, asked: i64, urgent: bool) -> Candidate {
        Candidate { id, asked: (asked >= 0).then_some(Timestamp(asked)), urgent }
    }

    #[test]
    fn few_numbers_are_all_asked_the_urgent_ones_first() {
        let few = vec![candidate(1, 5, false), candidate(2, 9, true), candidate(3, -1, false)];
        assert_eq!(choose(few, 38, 0), [2, 3, 1]);
    }

    #[test]
    fn many_take_turns_and_the_urgent_ones_have_a_bounded_part() {
        let many: Vec<Candidate> = (0..100).map(|n| candidate(n, i64::from(n), n >= 50)).collect();
        let chosen = choose(many, 10, 2);
        assert_eq!(chosen, [50, 51, 0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(choose(vec![candidate(7, 0, true); 1], 0, 3), Vec::<u16>::new());
    }

    #[test]
    fn the_room_is_that_of_the_limit() {
        assert_eq!((PUBLISHED.room(), PUBLISHED.urgent(0)), (38, 3));
        assert_eq!(PUBLISHED.cycle(10), Duration::from_secs(60));
        assert_eq!(PUBLISHED.stale_after(10), Duration::from_secs(180));
        assert_eq!(PUBLISHED.patience(10), Duration::from_secs(60));
        let hourly = Pace { interval: Duration::from_secs(3600), ..PUBLISHED };
        assert_eq!((hourly.patience(10).as_secs(), hourly.patience(500).as_secs()), (180, 760));
        assert!(PUBLISHED.cycle(500) <= Duration::from_secs(900), "{:?}", PUBLISHED.cycle(500));
        let often = Pace { per_minute: 40, interval: Duration::from_secs(1) };
        assert_eq!(often.room(), 1);
        assert_eq!((0..24).map(|n| often.urgent(n)).sum::<usize>(), 2);
        let none = Pace { per_minute: 0, interval: Duration::MAX / 8 };
        assert!(none.room() >= 1 && none.patience(3) > Duration::ZERO && none.cycle(3) > Duration::ZERO);
    }

    proptest! {
        /// Whatever is affected, in whatever numbers: within the budget no answer of 500 numbers is older
        /// than 15 minutes, and up to three affected ones are asked in each round.
        #[test]
        fn five_hundred_numbers_are_asked_within_fifteen_minutes(
            affected in proptest::collection::btree_set(0u16..500, 0..500),
        ) {
            let mut asked = [None; 500];
            for round in 0..60u64 {
                let now = round as i64 * 60;
                let candidates = (0..500u16)
                    .map(|id| Candidate {
                        id,
                        asked: asked[usize::from(id)],
                        urgent: affected.contains(&id),
                    })
                    .collect();
                let chosen = choose(candidates, PUBLISHED.room(), PUBLISHED.urgent(round));
                prop_assert!(chosen.len() <= 38);
                for (place, id) in chosen.iter().enumerate() {
                    // Requests are spaced evenly over the minute.
                    asked[usize::from(*id)] = Some(Timestamp(now + place as i64 * 60 / 40));
                }
                if affected.len() <= 3 {
                    prop_assert!(affected.iter().all(|id| chosen.contains(id)));
                }
                let oldest = asked.iter().flatten().map(|at| now + 60 - at.0).max().unwrap_or(0);
                prop_assert!(oldest < 900, "{oldest} s in round {round}");
                prop_assert!(round < 15 || asked.iter().all(Option::is_some));
            }
        }
    }
}
