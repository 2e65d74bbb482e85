//! Which of the account's numbers are out, and since when. Outages by chance follow from the seed and
//! the time alone; others were planned, or a test began them.
//!
//! Times are milliseconds since the epoch. Asked is always about now or the moments just before.

use super::options::{Outage, OutageState, Outages as Plan};
use super::random::{Dice, Stream};

/// Which way calls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Incoming,
    Outgoing,
}

/// An outage in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spell {
    from: u64,
    to: u64,
    outage: Outage,
}

/// A line as Exotel tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Check {
    /// None while all is well.
    pub(super) state: Option<OutageState>,
    /// When Exotel looked, in milliseconds since the epoch.
    pub(super) at: u64,
}

/// The outages of one account.
#[derive(Debug)]
pub(super) struct Outages {
    seed: u64,
    start: u64,
    phones: u16,
    plan: Plan,
    /// Begun by hand.
    manual: Vec<Spell>,
    /// What began before this time is over since then.
    ended: Option<u64>,
}

impl Outages {
    /// For an account with so many listed numbers.
    pub(super) fn new(plan: Plan, seed: u64, phones: u16, start: u64) -> Self {
        Self { seed, start, phones, plan, manual: Vec::new(), ended: None }
    }

    /// Begins an outage now, for good or for so many milliseconds.
    pub(super) fn begin(&mut self, outage: Outage, now: u64, lasts: Option<u64>) {
        let remembered = self.remembered();
        self.manual.retain(|spell| spell.to.saturating_add(remembered) > now);
        let to = lasts.map_or(u64::MAX, |lasts| now.saturating_add(lasts));
        self.manual.push(Spell { from: now, to, outage });
    }

    /// Ends every outage that goes on, whatever its origin.
    pub(super) fn end(&mut self, now: u64) {
        for spell in &mut self.manual {
            spell.to = spell.to.min(now);
        }
        self.ended = Some(now);
    }

    /// What Exotel says of one line of one number.
    pub(super) fn check(&self, phone: u16, line: Line, now: u64) -> Check {
        let every = millis(self.plan.check_every).max(1);
        let (mut state, mut at) = (None, now - now % every);
        for spell in self.spells(now).filter(|spell| concerns(spell.outage, phone, line)) {
            if spell.from <= now {
                at = at.max(spell.from);
            }
            if spell.to <= now {
                at = at.max(spell.to);
            }
            if (spell.from..spell.to).contains(&now) {
                state = state.max(Some(spell.outage.state));
            }
        }
        Check { state, at }
    }

    /// Whether either line of a number is out.
    pub(super) fn is_out(&self, phone: u16, now: u64) -> bool {
        [Line::Incoming, Line::Outgoing].iter().any(|line| self.check(phone, *line, now).state.is_some())
    }

    /// Everything that may go on now or ended since the last check.
    fn spells(&self, now: u64) -> impl Iterator<Item = Spell> {
        let planned = self.plan.planned.iter().map(|planned| {
            let from = self.start + millis(planned.after);
            Spell { from, to: from + millis(planned.lasts), outage: planned.outage }
        });
        let ended = self.ended;
        let cut = move |spell: Spell| match ended {
            Some(ended) if spell.from <= ended => Spell { to: spell.to.min(ended.max(spell.from)), ..spell },
            _ => spell,
        };
        self.by_chance(now).chain(planned).map(cut).chain(self.manual.iter().copied())
    }

    fn by_chance(&self, now: u64) -> impl Iterator<Item = Spell> {
        let every = self.plan.every.map_or(0, millis);
        let age = now.saturating_sub(self.start);
        let spans = if every == 0 || now < self.start {
            0..0
        } else {
            age.saturating_sub(self.remembered()) / every..age / every + 1
        };
        spans.map(move |n| self.nth(n, every))
    }

    fn nth(&self, n: u64, every: u64) -> Spell {
        let mut dice = Dice::new(self.seed, Stream::Outages, n);
        let from = self.start + n * every + dice.below(every);
        let to = from + millis(self.plan.lasts.draw(&mut dice));
        let all = dice.chance(self.plan.all_share);
        let phone = u16::try_from(dice.below(u64::from(self.phones))).unwrap_or(0);
        use super::options::Lines::{Both, Incoming, Outgoing};
        let lines = [Incoming, Outgoing, Both][dice.below(3) as usize];
        let state =
            if dice.chance(0.6) { OutageState::MajorOutage } else { OutageState::PartialNetworkOutage };
        Spell { from, to, outage: Outage { exophone: (!all).then_some(phone), lines, state } }
    }

    /// How long after its beginning an outage can still matter.
    fn remembered(&self) -> u64 {
        let longest = self.plan.lasts.to.max(self.plan.lasts.tail_to);
        millis(longest) + millis(self.plan.check_every) + self.plan.every.map_or(0, millis)
    }
}

fn concerns(outage: Outage, phone: u16, line: Line) -> bool {
    let way = match line {
        Line::Incoming => outage.lines.incoming(),
        Line::Outgoing => outage.lines.outgoing(),
    };
    way && outage.exophone.is_none_or(|n| n == phone)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::options::{Delay, Lines, PlannedOutage};
    use super::*;

    const START: u64 = 1_772_456_400_000;

    fn plan() -> Plan {
        Plan { check_every: Duration::from_secs(60), ..Plan::default() }
    }

    #[test]
    fn a_planned_outage_begins_and_ends_in_its_time_for_its_number_and_line() {
        let outage =
            Outage { exophone: Some(1), lines: Lines::Incoming, state: OutageState::PartialNetworkOutage };
        let planned =
            PlannedOutage { after: Duration::from_secs(70), lasts: Duration::from_secs(100), outage };
        let outages = Outages::new(Plan { planned: vec![planned], ..plan() }, 1, 3, START);
        let at = |phone, line, seconds: u64| outages.check(phone, line, START + seconds * 1000);
        assert_eq!(at(1, Line::Incoming, 69).state, None);
        assert_eq!(at(1, Line::Incoming, 70).state, Some(OutageState::PartialNetworkOutage));
        assert_eq!(at(1, Line::Outgoing, 70).state, None);
        assert_eq!(at(0, Line::Incoming, 70).state, None);
        assert_eq!(at(1, Line::Incoming, 170).state, None);
        // Looked each minute, and at the changes.
        for (seconds, checked) in [(69, 60), (75, 70), (125, 120), (172, 170), (181, 180)] {
            assert_eq!(at(1, Line::Incoming, seconds).at, START + checked * 1000, "{seconds}");
        }
    }

    #[test]
    fn outages_by_chance_repeat_with_the_seed_and_come_once_in_each_span() {
        let plan = Plan {
            every: Some(Duration::from_secs(600)),
            lasts: Delay::seconds(60.0, 120.0),
            all_share: 0.3,
            ..plan()
        };
        let story = |seed| {
            let outages = Outages::new(plan.clone(), seed, 3, START);
            let states = |second: u64| {
                [0, 1, 2].map(|phone| {
                    [Line::Incoming, Line::Outgoing]
                        .map(|line| outages.check(phone, line, START + second * 1000).state)
                })
            };
            (0..36_000).step_by(10).map(states).collect::<Vec<_>>()
        };
        let one = story(1);
        assert_eq!(one, story(1));
        assert_ne!(one, story(2));
        let out = |n: &[[Option<OutageState>; 2]; 3]| n.iter().flatten().any(Option::is_some);
        let begun = one.windows(2).filter(|pair| !out(&pair[0]) && out(&pair[1])).count();
        assert!((45..=60).contains(&begun), "{begun} outages in 60 spans");
        let all = |n: &[[Option<OutageState>; 2]; 3]| n.iter().all(|lines| lines.iter().any(Option::is_some));
        assert!(one.iter().any(all) && one.iter().any(|n| out(n) && !all(n)));
    }

    #[test]
    fn outages_begin_and_end_by_hand_and_the_worse_state_is_told() {
        let mut outages = Outages::new(plan(), 1, 2, START);
        let partial =
            Outage { exophone: Some(0), state: OutageState::PartialNetworkOutage, ..Outage::default() };
        outages.begin(partial, START + 1000, None);
        outages.begin(Outage::default(), START + 2000, Some(5000));
        let state = |outages: &Outages, phone, second: u64| {
            outages.check(phone, Line::Outgoing, START + second * 1000).state
        };
        assert_eq!(state(&outages, 0, 1), Some(OutageState::PartialNetworkOutage));
        assert_eq!(state(&outages, 0, 2), Some(OutageState::MajorOutage));
        assert_eq!(state(&outages, 1, 2), Some(OutageState::MajorOutage));
        assert_eq!(state(&outages, 1, 7), None);
        assert_eq!(state(&outages, 0, 7), Some(OutageState::PartialNetworkOutage));
        outages.end(START + 8000);
        assert_eq!(state(&outages, 0, 8), None);
        assert_eq!(outages.check(0, Line::Incoming, START + 9000).at, START + 8000);
        outages.begin(partial, START + 9000, None);
        assert!(outages.is_out(0, START + 9000) && !outages.is_out(1, START + 9000));
    }
}
