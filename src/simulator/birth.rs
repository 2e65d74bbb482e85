//! How a call comes into being: its whole life is thrown at once, from its own dice.

use std::time::Duration;

use super::call::{Agent, Call, Flaw, Parent, Rarity, Tick};
use super::options::{Delay, Options, Planted};
use super::plot::{Length, Talk, Way};
use super::random::{Dice, Stream};

/// What kind of call it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// One like any other.
    Usual,
    /// Short, answered, and settled as soon as the options allow.
    Brisk,
    /// Inbound, answered, of known length.
    Planted(Planted),
    /// Made by a client, through the API.
    Placed,
    /// The row of a leg of another call.
    Leg {
        /// Place of that call in the table.
        root: u32,
        way: Way,
        exophone: u16,
        /// Seconds until that call ends.
        room: u16,
    },
}

/// A new call, and what is rare about it.
pub(super) struct Birth {
    pub(super) call: Call,
    pub(super) rarity: Rarity,
    /// For a call that has a leg row: seconds after its own second at which that begins.
    pub(super) leg_after: Option<u16>,
}

/// Throws call `n` of an account, beginning in `second`; `border` is the second that no move crosses.
pub(super) fn birth(options: &Options, seed: u64, n: u64, second: u32, border: u32, kind: Kind) -> Birth {
    let mut dice = Dice::new(seed, Stream::Fate, n);
    let (way, plot) = fate(options, &mut dice, kind);
    let shape = way.plots()[plot];
    let (duration, talk) = length(options, &mut dice, kind, shape.length, shape.talk);
    let tenth = u32::try_from(dice.below(10)).unwrap_or(0);
    let start = match kind {
        Kind::Planted(_) | Kind::Brisk => Tick::of_second(second),
        Kind::Usual | Kind::Placed | Kind::Leg { .. } => Tick(Tick::of_second(second).0 + tenth),
    };
    let end = start.after(Duration::from_secs(u64::from(duration)));
    let mut wait = |delay: &Delay| match kind {
        Kind::Brisk => delay.from,
        _ => delay.draw(&mut dice),
    };
    let delays = &options.delays;
    let visible = end.after(wait(&delays.index));
    let end_known = end.after(wait(&delays.settle));
    let duration_known = end_known.after(wait(&delays.duration_lag));
    let price_known = end_known.after(wait(&delays.price_lag));
    let late_price = end.after(wait(&delays.late_price));

    let exophone = exophone(options, &mut dice, kind);
    let price_known = match kind {
        Kind::Brisk => price_known,
        _ if shape.status == "completed" && dice.chance(delays.unpriced_share) => Tick::NEVER,
        _ if shape.status == "completed" && dice.chance(delays.late_price_share) => late_price,
        _ if shape.status == "completed" => price_known,
        // Some ringing costs, and that price is there with EndTime: nobody waits for one of an
        // unanswered call.
        _ if shape.leg2.is_some() && dice.chance(0.3) => end_known,
        _ => Tick::NEVER,
    };
    let parent = match kind {
        Kind::Leg { root, .. } => Parent::Call(root),
        Kind::Usual if dice.chance(options.traffic.orphan_share) => Parent::Missing,
        _ => Parent::Nobody,
    };
    let agent = if dice.chance(options.traffic.sip_share) { Agent::Sip } else { Agent::Phone };
    let call = Call {
        start,
        visible,
        end_known,
        duration_known,
        price_known,
        price: price(&mut dice, duration),
        parent,
        duration,
        talk,
        exophone,
        way,
        plot: u8::try_from(plot).expect("there are fewer than 256 plots"),
        agent,
    };
    let rarity = rarity(options, &mut dice, &call, border, kind);
    let leg_after = leg_after(options, &mut dice, &call, kind);
    Birth { call, rarity, leg_after }
}

/// Direction and the place of the plot.
fn fate(options: &Options, dice: &mut Dice, kind: Kind) -> (Way, usize) {
    let way = match dice.pick(options.traffic.directions.into_iter()) {
        0 => Way::Inbound,
        1 => Way::OutboundApi,
        _ => Way::OutboundDial,
    };
    let way = if dice.chance(options.oddities.odd_direction_share) { Way::Odd } else { way };
    let way = if matches!(kind, Kind::Placed) { Way::OutboundApi } else { way };
    let plot = dice.pick(way.plots().iter().map(|plot| plot.weight));
    match kind {
        Kind::Usual | Kind::Placed => (way, plot),
        Kind::Brisk => (way, 0),
        Kind::Planted(_) => (Way::Inbound, 0),
        Kind::Leg { way, .. } => (way, 0),
    }
}

/// Duration and talk in seconds.
fn length(options: &Options, dice: &mut Dice, kind: Kind, length: Length, talk: Talk) -> (u16, u16) {
    let durations = &options.durations;
    let seconds = |d: Duration| d.as_secs_f64();
    let (min, max) = (seconds(durations.min).max(1.0), seconds(durations.max).max(1.0));
    let usual = seconds(durations.median) * (durations.sigma * dice.normal()).exp();
    let long = dice.between(seconds(durations.long_min), seconds(durations.long_max));
    let is_long = dice.chance(durations.long_share) && talk == Talk::Some;
    let duration = match (kind, length) {
        (Kind::Planted(planted), _) => seconds(planted.lasts),
        (Kind::Brisk, _) => min,
        (Kind::Leg { room, .. }, _) => f64::from(room),
        (Kind::Usual | Kind::Placed, Length::Nothing) => 0.0,
        (Kind::Usual | Kind::Placed, Length::Talk) if is_long => long,
        (Kind::Usual | Kind::Placed, Length::Talk) => usual.clamp(min, max.max(min)),
        (Kind::Usual | Kind::Placed, Length::Ring) => (usual / 3.0).clamp(min, max.max(min)),
    };
    let duration = duration.round() as u16;
    // Ringing, menus and queues take a part of the call.
    let setup = f64::from(duration) * dice.between(0.05, 0.4);
    let talk = if talk == Talk::Some { (duration - setup as u16).max(1) } else { 0 };
    (duration, talk)
}

fn exophone(options: &Options, dice: &mut Dice, kind: Kind) -> u16 {
    let phones = &options.exophones;
    let unlisted = phones.unlisted > 0 && dice.chance(phones.unlisted_share);
    let (first, count) = if unlisted { (phones.listed, phones.unlisted) } else { (0, phones.listed) };
    let drawn = first + dice.below(u64::from(count)) as u16;
    match kind {
        Kind::Leg { exophone, .. } => exophone,
        Kind::Brisk | Kind::Planted(_) => 0,
        Kind::Usual | Kind::Placed => drawn,
    }
}

/// By started minutes; some amounts have all six decimals.
fn price(dice: &mut Dice, duration: u16) -> u32 {
    let minutes = u32::from(duration).div_ceil(60).max(1);
    let fraction = if dice.chance(0.2) { 30 } else { 0 };
    minutes * 300_000 + fraction
}

fn rarity(options: &Options, dice: &mut Dice, call: &Call, border: u32, kind: Kind) -> Rarity {
    let odd = &options.oddities;
    let mut rarity = Rarity::default();
    let moves = dice.chance(odd.moved_share);
    let by = dice.between(-odd.moved_by.as_secs_f64(), odd.moved_by.as_secs_f64()).round() as i64;
    let moved_at = call.visible.after(odd.moved_after.draw(dice));
    let unreadable = dice.chance(odd.unreadable_share);
    let flaw = [Flaw::NoSid, Flaw::BadCreated, Flaw::NoStatus][dice.below(3) as usize];
    let healed_at = call.visible.after(odd.unreadable_for.draw(dice));
    let changes = dice.chance(odd.sip_change_share);
    let before = ["in-progress", "canceled"][dice.below(2) as usize];
    let changed_at = call.end().after(odd.sip_change.draw(dice));
    let reprices = dice.chance(odd.price_change_share);
    let dearer = dice.chance(0.5);
    let repriced_at = call.price_known.after(odd.price_change_after.draw(dice));
    if matches!(kind, Kind::Brisk | Kind::Planted(_)) {
        return rarity;
    }
    if moves && by != 0 {
        let to = (i64::from(call.second()) + by).max(0);
        let to = u32::try_from(to).unwrap_or(u32::MAX);
        let to = if call.second() < border { to.min(border - 1) } else { to.max(border) };
        rarity.moved = (to != call.second()).then_some((moved_at, to));
    }
    if unreadable {
        rarity.unreadable = Some((healed_at, flaw));
    }
    if changes && call.agent == Agent::Sip && call.plot().leg2.is_some() {
        rarity.leg2_before = Some((changed_at, before));
    }
    if reprices && call.price_known != Tick::NEVER {
        let price = if dearer { call.price + 100_000 } else { call.price - 100_000 };
        rarity.repriced = Some((repriced_at, price));
    }
    rarity
}

fn leg_after(options: &Options, dice: &mut Dice, call: &Call, kind: Kind) -> Option<u16> {
    let drawn = dice.chance(options.traffic.child_share);
    let after = call.duration.saturating_sub(call.talk).min(call.duration.saturating_sub(1));
    let is_root = matches!(kind, Kind::Usual) && call.parent == Parent::Nobody;
    (drawn && is_root && call.talk > 0).then_some(after)
}
