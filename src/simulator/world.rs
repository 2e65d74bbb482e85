//! One account as it stands at a moment: its calls so far, and each of them as Exotel would tell it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::call::{Agent, Call, Flaw, Parent, Tick};
use super::ident::{Faces, e164, national};
use super::options::{Numbers, Options};
use super::plot::{Talk, Way};
use super::random::{Dice, Stream};
use super::table::{Key, Table};
use super::traffic::{Source, reach};
use crate::model::{Timestamp, WallTime};

/// One account.
#[derive(Debug)]
pub(super) struct World {
    options: Arc<Options>,
    pub(super) faces: Faces,
    table: Table,
    source: Source,
    /// The instant of second 0.
    origin: Timestamp,
    /// When the simulator started.
    start: Tick,
    /// Sid of the account.
    sid: String,
    /// Whom clients wanted to speak, by the place of their call: `From` and `To`.
    placed: HashMap<u32, (String, String)>,
}

/// A day, so that a moved call cannot fall before the origin.
const MARGIN: i64 = 86_400;

/// A call as it can be told at a moment; nothing of how it is spelled.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sheet {
    pub(super) sid: String,
    pub(super) parent: Option<String>,
    pub(super) created: WallTime,
    pub(super) updated: WallTime,
    pub(super) start: WallTime,
    pub(super) end: Option<WallTime>,
    pub(super) duration: Option<u32>,
    /// Millionths.
    pub(super) price: Option<i64>,
    pub(super) to: String,
    pub(super) from: String,
    pub(super) exophone: String,
    pub(super) status: &'static str,
    pub(super) direction: &'static str,
    pub(super) answered_by: Option<&'static str>,
    pub(super) custom: Option<String>,
    pub(super) recorded: bool,
    pub(super) legs: Legs,
    pub(super) flaw: Option<Flaw>,
    /// Numbers as texts or as numbers.
    pub(super) numbers: Numbers,
    /// Duration is said to be 0 while it is not known.
    pub(super) zero: bool,
}

/// What `Details` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Legs {
    pub(super) talk: u32,
    pub(super) leg1: &'static str,
    pub(super) leg2: Option<&'static str>,
    pub(super) leg1_seconds: u32,
}

impl World {
    /// The account with this number, from `start` on.
    pub(super) fn new(options: Arc<Options>, account: u64, start: Timestamp) -> Self {
        let seed = options.seed ^ account.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let before = i64::try_from(reach(&options).as_secs()).unwrap_or(0) + MARGIN;
        let origin = start.plus(-before);
        let start = u32::try_from(before).unwrap_or(u32::MAX);
        let source = Source::new(&options, seed, start, origin.to_wall(options.utc_offset).0);
        let faces = Faces { seed, account, sids: options.wire.sids };
        let place = usize::try_from(account).unwrap_or(usize::MAX);
        let sid = options.accounts.get(place).map_or_else(String::new, |account| account.sid.clone());
        Self {
            options,
            faces,
            table: Table::default(),
            source,
            origin,
            start: Tick::of_second(start),
            sid,
            placed: HashMap::new(),
        }
    }

    /// Lets calls begin up to the moment `at` since the epoch, and says what time that is here.
    pub(super) fn advance(&mut self, at: Duration) -> Tick {
        let origin = Duration::from_secs(u64::try_from(self.origin.0).unwrap_or(0));
        let tenths = at.saturating_sub(origin).as_millis() / 100;
        let now = Tick(u32::try_from(tenths).unwrap_or(u32::MAX - 1));
        self.source.advance(&self.options, &mut self.table, now.second());
        now
    }

    /// A call that a client makes now; its place. Later calls differ from what they would have been.
    pub(super) fn place(&mut self, from: String, to: String) -> u32 {
        let place = self.source.place(&self.options, &mut self.table);
        self.placed.insert(place, (from, to));
        place
    }

    /// No new calls from the next second on.
    pub(super) fn stop(&mut self, now: Tick) {
        self.source.stop(now.second());
    }

    /// Whether nothing will ever change again.
    pub(super) fn is_quiet(&self, now: Tick) -> bool {
        self.source.is_dry(&self.options) && self.table.settled().is_none_or(|settled| settled <= now)
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// Sid of the account.
    pub(super) fn account(&self) -> &str {
        &self.sid
    }

    /// When the simulator started.
    pub(super) fn start(&self) -> Tick {
        self.start
    }

    /// Milliseconds since the epoch.
    pub(super) fn millis(&self, tick: Tick) -> u64 {
        u64::try_from(self.origin.0).unwrap_or(0) * 1000 + u64::from(tick.0) * 100
    }

    /// The instant of a second of the table.
    pub(super) fn instant(&self, second: u32) -> Timestamp {
        self.origin.plus(i64::from(second))
    }

    /// The second of the table at an instant; the first for all before it.
    pub(super) fn second(&self, instant: Timestamp) -> u32 {
        u32::try_from((instant - self.origin).max(0)).unwrap_or(u32::MAX)
    }

    /// What the account's wall clock reads in a second of the table.
    pub(super) fn wall(&self, second: u32) -> WallTime {
        self.instant(second).to_wall(self.options.utc_offset)
    }

    /// The Sid of the call at a place; it never changes, even if the call moves.
    pub(super) fn sid(&self, place: u32) -> String {
        let second = self.table.call(place).map_or(0, Call::second);
        self.faces.sid(place, self.wall(second))
    }

    /// The place of the call with this Sid.
    pub(super) fn find(&self, sid: &str) -> Option<u32> {
        let place = self.faces.place(sid)?;
        self.table.call(place)?;
        (self.sid(place) == sid).then_some(place)
    }

    /// The key that a cursor stands for; none if no call of ours made it.
    pub(super) fn key(&self, epoch: i64, sid: &str) -> Option<Key> {
        Some(Key { second: self.second(Timestamp(epoch)), place: self.find(sid)? })
    }

    /// Duration as bulk filters see it.
    pub(super) fn duration(&self, place: u32, now: Tick) -> Option<u32> {
        let call = self.table.call(place)?;
        (call.duration_known <= now).then_some(u32::from(call.duration))
    }

    /// Price in millionths as known now.
    pub(super) fn price(&self, place: u32, now: Tick) -> Option<i64> {
        let call = self.table.call(place)?;
        let repriced = self.table.rarity(place).and_then(|rarity| rarity.repriced);
        match repriced {
            Some((at, price)) if at <= now => Some(i64::from(price)),
            _ => (call.price_known <= now).then_some(i64::from(call.price)),
        }
    }

    /// Whether the list of ExoPhones names this number.
    pub(super) fn is_listed(&self, exophone: u16) -> bool {
        exophone < self.options.exophones.listed
    }

    /// Caller and callee as the row shows them.
    pub(super) fn parties(&self, place: u32) -> Option<(String, String)> {
        let call = self.table.call(place)?;
        if let Some(parties) = self.placed.get(&place) {
            return Some(parties.clone());
        }
        let customer = national(self.faces.customer(place));
        let agent = self.faces.agent(place);
        Some(match (call.way, call.agent) {
            (Way::Inbound, Agent::Phone) => (customer, national(self.faces.exophone(call.exophone))),
            (Way::Inbound, Agent::Sip) => (customer, format!("sip:agent{agent}")),
            (_, Agent::Phone) => (national(agent), customer),
            (_, Agent::Sip) => (format!("sip:agent{agent}"), customer),
        })
    }

    /// The number of an ExoPhone as labels show it.
    pub(super) fn exophone(&self, exophone: u16) -> String {
        e164(self.faces.exophone(exophone))
    }

    /// The call at a place as it can be told now; none before it began.
    pub(super) fn sheet(&self, place: u32, now: Tick) -> Option<Sheet> {
        let call = self.table.call(place).filter(|call| call.start <= now)?;
        let odd = &self.options.oddities;
        let mut looks = self.faces.looks(place);
        let respelled = looks.chance(odd.respelled_share);
        let zero = looks.chance(odd.zero_duration_share);
        let mixed = if looks.chance(0.5) { Numbers::Texts } else { Numbers::Numbers };
        let custom = looks.chance(0.4).then(|| format!("lead-{}", looks.below(10_000)));
        let machine = looks.chance(0.1);

        let over = call.end() <= now;
        let status = if over { call.plot().status } else { "in-progress" };
        let end = call.second() + u32::from(call.duration);
        let (from, to) = self.parties(place)?;
        let recorded = call.talk > 0 && self.recording(place, call) <= now;
        let talked = over && call.plot().talk == Talk::Some && call.way != Way::Inbound;
        Some(Sheet {
            sid: self.sid(place),
            parent: self.parent(place, call),
            created: self.wall(self.table.filed(place, now)),
            updated: self.wall(self.updated(place, call, now).second()),
            start: self.wall(call.second()),
            end: (call.end_known <= now && over).then(|| self.wall(end)),
            duration: self.duration(place, now),
            price: self.price(place, now),
            to,
            from,
            exophone: national(self.faces.exophone(call.exophone)),
            status: if respelled { respell(status) } else { status },
            direction: call.way.word(),
            answered_by: talked.then_some(if machine { "machine" } else { "human" }),
            custom: custom.filter(|_| call.way != Way::Inbound),
            recorded,
            legs: self.legs(place, call, now),
            flaw: self
                .table
                .rarity(place)
                .and_then(|rarity| rarity.unreadable)
                .and_then(|(healed, flaw)| (now < healed).then_some(flaw)),
            numbers: if self.options.wire.numbers == Numbers::Mixed {
                mixed
            } else {
                self.options.wire.numbers
            },
            zero,
        })
    }

    fn parent(&self, place: u32, call: &Call) -> Option<String> {
        match call.parent {
            Parent::Nobody => None,
            Parent::Call(root) => Some(self.sid(root)),
            Parent::Missing => Some(self.faces.missing_sid(place, self.wall(call.second()))),
        }
    }

    fn legs(&self, place: u32, call: &Call, now: Tick) -> Legs {
        if now < call.end() {
            return Legs { talk: 0, leg1: "in-progress", leg2: None, leg1_seconds: 0 };
        }
        let plot = call.plot();
        let before = self.table.rarity(place).and_then(|rarity| rarity.leg2_before);
        let leg2 = match before {
            Some((at, status)) if now < at => Some(status),
            _ => plot.leg2,
        };
        // Leg 1 may be on the line a little longer than the whole call is said to last.
        let leg1_seconds = if plot.leg1 == "completed" {
            u32::from(call.duration) + u32::from(place.is_multiple_of(3))
        } else {
            0
        };
        Legs { talk: u32::from(call.talk), leg1: plot.leg1, leg2, leg1_seconds }
    }

    fn recording(&self, place: u32, call: &Call) -> Tick {
        let mut dice = Dice::new(self.faces.seed, Stream::Recording, u64::from(place));
        call.end().after(self.options.delays.recording.draw(&mut dice))
    }

    /// The last of the changes so far.
    fn updated(&self, place: u32, call: &Call, now: Tick) -> Tick {
        let rarity = self.table.rarity(place).cloned().unwrap_or_default();
        let recording = if call.talk > 0 { self.recording(place, call) } else { Tick::NEVER };
        let times = [
            Some(call.end()),
            Some(call.end_known),
            Some(call.duration_known),
            Some(call.price_known),
            Some(recording),
            rarity.moved.map(|m| m.0),
            rarity.unreadable.map(|u| u.0),
            rarity.leg2_before.map(|l| l.0),
            rarity.repriced.map(|r| r.0),
        ];
        times.into_iter().flatten().filter(|time| *time <= now).max().unwrap_or(call.start)
    }
}

/// The same word as some accounts spell it.
fn respell(status: &'static str) -> &'static str {
    match status {
        "no-answer" => "No_Answer",
        "canceled" => "cancelled",
        "completed" => "Completed",
        other => other,
    }
}
