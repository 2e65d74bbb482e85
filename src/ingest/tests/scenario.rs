//! Random calls, each a list of versions as Exotel might show them over time.

use super::{HOUR, MINUTE, sid, wall};
use crate::model::{Details, Direction, LegStatus, Observation, Status};

/// Numbers from a seed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize].clone()
    }

    fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.roll((to - from) as u64) as i64
    }
}

/// How its leg details come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Legs {
    Inline,
    WhenAsked,
    Never,
}

#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) versions: Vec<Observation>,
    pub(super) legs: Legs,
}

/// Calls around second 0, some of them history, some legs of others, of strangers or of themselves.
pub(super) fn calls(dice: &mut Dice) -> Vec<Script> {
    let count = 4 + dice.roll(9) as usize;
    let roots = (count * 2).div_ceil(3);
    (0..count)
        .map(|n| {
            let parent = match dice.roll(10) {
                _ if n < roots => None,
                0 => Some(format!("call{n}")),
                1 | 2 => Some("nobody".to_owned()),
                _ => Some(format!("call{}", dice.roll(roots as u64))),
            };
            script(dice, &format!("call{n}"), parent.as_deref())
        })
        .collect()
}

fn script(dice: &mut Dice, name: &str, parent: Option<&str>) -> Script {
    let began = dice.between(-HOUR, 5 * HOUR);
    let last = dice.pick(&[
        Status::Completed,
        Status::Completed,
        Status::Completed,
        Status::NoAnswer,
        Status::Busy,
        Status::Failed,
        Status::Canceled,
        Status::Other,
    ]);
    let longest = if dice.one_in(5) { 4 * HOUR } else { 5 * MINUTE };
    let length = dice.between(0, longest);
    let mut call = Observation::new(sid(name), wall(began), last);
    if dice.one_in(4) {
        call.status = dice.pick(&[Status::InProgress, Status::Ringing, Status::Other]);
    }
    let is_leg = parent.is_some_and(|p| p != name);
    call.parent = parent.map(sid);
    call.direction = dice.pick(&[
        Some(Direction::Inbound),
        Some(Direction::OutboundApi),
        Some(Direction::OutboundDial),
        Some(Direction::Other),
        None,
    ]);
    call.start = (!dice.one_in(5)).then(|| wall(began));
    call.exophone = dice
        .pick(&[Some("08000000011"), Some("+918000000022"), Some("08000000099"), None])
        .map(str::to_owned);
    call.to = dice.one_in(6).then(|| "sip:agent".to_owned());
    let mut versions = Vec::new();
    for n in 0..1 + dice.roll(5) {
        let late = |dice: &mut Dice| n > 0 || dice.one_in(2);
        if late(dice) {
            call.status = if call.status == last && n > 2 && dice.one_in(6) { Status::Failed } else { last };
            call.end = Some(wall(began + length));
        }
        if late(dice) {
            let wrong = if dice.one_in(4) { 0 } else { dice.roll(40) as u32 };
            call.duration = Some((length as u32).saturating_sub(wrong));
        }
        if late(dice) && !dice.one_in(3) {
            let price = dice.between(0, 3_000_000);
            // A leg's price only rises: whether it fell before or after its root settled is a matter of luck.
            call.price = Some(if is_leg { call.price.unwrap_or(0) + price } else { price });
        }
        if n > 0 && dice.one_in(6) {
            call.created = wall(began + dice.between(-2 * HOUR, 2 * HOUR));
        }
        if call.details.is_none() || dice.one_in(4) {
            call.details = Some(details(dice));
        }
        call.updated = Some(wall(began + n as i64 * 100));
        versions.push(call.clone());
    }
    Script { versions, legs: dice.pick(&[Legs::Inline, Legs::WhenAsked, Legs::WhenAsked, Legs::Never]) }
}

fn details(dice: &mut Dice) -> Details {
    let legs = [
        Some(LegStatus::Completed),
        Some(LegStatus::Completed),
        Some(LegStatus::NoAnswer),
        Some(LegStatus::Busy),
        Some(LegStatus::InProgress),
        None,
    ];
    Details {
        conversation: dice.pick(&[None, Some(0), Some(5), Some(100)]),
        leg1: dice.pick(&legs),
        leg2: dice.pick(&legs),
        ..Details::default()
    }
}
