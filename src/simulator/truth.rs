//! The totals that a perfect exporter ends with, worked out from the table alone.
//!
//! This is a second reading of the counting rules, made without a look at the code that counts. It
//! speaks of the final state: every call over, every row visible, every price that ever comes known.
//! What a call contributes does not depend on when it is read, so the truth can be asked at any time
//! for the calls that began so far.
//!
//! Counted are live calls: those created at or after `live_from`. A row of a leg adds its price to the
//! labels of its root and nothing else, and only if the root is live; a row that names a parent which
//! does not exist is a call of its own (an exporter sees that once its look-back has passed).

use std::collections::BTreeMap;

use serde::Serialize;

use super::call::{Call, Parent, Tick};
use super::plot::{Talk, Way};
use super::world::World;
use crate::model::Timestamp;

/// What the totals are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TruthQuery {
    /// Calls created before are history and not counted. UTC.
    pub live_from: Timestamp,
    /// Answered calls with fewer seconds of talk are short.
    pub short_call: u32,
    /// For which calls the exporter knows leg details.
    pub legs: LegsKnown,
}

/// For which calls leg details are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegsKnown {
    /// For all, because bulk rows carry them.
    All,
    /// For completed and for inbound calls, whose outcome needs them; asked for call by call.
    WhereNeeded,
    /// For none: there is no budget. Outcomes of unanswered outbound calls then follow from Status,
    /// all others are `unknown`; legs, short calls, conversation and setup count nothing.
    None,
}

/// Label names and values, without the account.
pub type Labels = BTreeMap<&'static str, String>;

/// The totals of one account.
///
/// As JSON: `{"account": …, "live_from": 1772477110, "roots": 10, "rows": 12, "doubtful": 0,
/// "families": {"exotel_calls_total": [{"labels": {"exophone": "+918000000011", "direction": "inbound",
/// "status": "completed"}, "value": 7}, …]}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// Account sid.
    pub account: String,
    /// Seconds since the epoch.
    #[serde(serialize_with = "seconds")]
    pub live_from: Timestamp,
    /// Live calls.
    pub roots: u64,
    /// Rows of every kind, history and legs included, as an audit of all windows counts them.
    pub rows: u64,
    /// Calls that move across `live_from`: they may count or not, by the date that is read first. They
    /// are in the totals by their first date.
    pub doubtful: u64,
    /// Totals by the name of the metric. Money is in millionths, and its names end in `_micros`:
    /// `exotel_call_cost_micros` is the highest price that each call ever had,
    /// `exotel_call_cost_refunds_micros` by how much it fell since (`_micros` = the metric's value times
    /// 1,000,000). An exporter that never saw the higher price has both lower by the same amount.
    /// Histograms appear as `_count` and `_sum`.
    #[serde(serialize_with = "families")]
    pub families: BTreeMap<&'static str, BTreeMap<Labels, u64>>,
}

impl Truth {
    /// The sum of a family over the samples that have these label values.
    pub fn sum(&self, family: &str, labels: &[(&str, &str)]) -> u64 {
        let Some(samples) = self.families.get(family) else { return 0 };
        let fits = |sample: &Labels| {
            labels.iter().all(|(name, value)| sample.get(name).is_some_and(|have| have == value))
        };
        samples.iter().filter(|(sample, _)| fits(sample)).map(|(_, value)| value).sum()
    }

    fn add(&mut self, family: &'static str, labels: &[(&'static str, &str)], value: u64) {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        *self.families.entry(family).or_default().entry(labels).or_insert(0) += value;
    }
}

/// The totals of the calls that began so far.
pub(super) fn truth(world: &World, account: &str, query: TruthQuery) -> Truth {
    let mut truth = Truth {
        account: account.to_owned(),
        live_from: query.live_from,
        roots: 0,
        rows: world.table().calls().len() as u64,
        doubtful: 0,
        families: BTreeMap::new(),
    };
    let mut tallies = BTreeMap::new();
    for (place, call) in (0..).zip(world.table().calls()) {
        truth.doubtful += u64::from(straddles(world, place, call, query.live_from));
        if let Some((group, tally)) = contribution(world, place, call, query) {
            tallies.entry(group).or_insert_with(Tally::default).add(&tally);
        }
    }
    for (group, tally) in tallies {
        spell(&mut truth, world, group, &tally, query.legs);
    }
    truth
}

/// Calls that differ in nothing that a label says.
type Group = (u16, Way, u8);

/// What calls of one group add up to.
#[derive(Clone, Debug, Default)]
struct Tally {
    roots: u64,
    seconds: u64,
    talk: u64,
    short: u64,
    setup: u64,
    cost: u64,
    refunds: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.roots += other.roots;
        self.seconds += other.seconds;
        self.talk += other.talk;
        self.short += other.short;
        self.setup += other.setup;
        self.cost += other.cost;
        self.refunds += other.refunds;
    }
}

/// Whether a call moves across `live_from`.
fn straddles(world: &World, place: u32, call: &Call, live_from: Timestamp) -> bool {
    let live = |second| world.instant(second) >= live_from;
    let moved = world.table().rarity(place).and_then(|rarity| rarity.moved);
    moved.is_some_and(|(_, second)| live(second) != live(call.second()))
}

/// What one row adds, and to whom; nothing if its root is not live.
fn contribution(world: &World, place: u32, call: &Call, query: TruthQuery) -> Option<(Group, Tally)> {
    let root = match call.parent {
        Parent::Call(root) => world.table().call(root)?,
        Parent::Nobody | Parent::Missing => call,
    };
    if world.instant(root.second()) < query.live_from {
        return None;
    }
    let group = (root.exophone, root.way, root.plot);
    let (cost, refunds) = price(world, place, call);
    if matches!(call.parent, Parent::Call(_)) {
        return Some((group, Tally { cost, refunds, ..Tally::default() }));
    }
    let (seconds, talk) = (u64::from(call.duration), u64::from(call.talk));
    let short = u64::from(talk < u64::from(query.short_call));
    let setup = seconds.saturating_sub(talk);
    Some((group, Tally { roots: 1, seconds, talk, short, setup, cost, refunds }))
}

/// The highest price that a row ever had, and by how much it fell since.
fn price(world: &World, place: u32, call: &Call) -> (u64, u64) {
    if call.price_known == Tick::NEVER {
        return (0, 0);
    }
    let repriced = world.table().rarity(place).and_then(|rarity| rarity.repriced);
    let first = u64::from(call.price);
    let last = repriced.map_or(first, |(_, price)| u64::from(price));
    (first.max(last), first.saturating_sub(last))
}

/// Puts a tally under its names and labels.
fn spell(truth: &mut Truth, world: &World, (exophone, way, plot): Group, tally: &Tally, legs: LegsKnown) {
    let exophone = match world.is_listed(exophone) {
        true => world.exophone(exophone),
        false => "unknown".to_owned(),
    };
    let direction = if way == Way::Odd { "other" } else { way.word() };
    let labels = [("exophone", exophone.as_str()), ("direction", direction)];
    let with = |name, word| [labels[0], labels[1], (name, word)];
    let plot = &way.plots()[usize::from(plot)];
    truth.roots += tally.roots;
    truth.add("exotel_calls_total", &with("status", plot.status), tally.roots);
    truth.add("exotel_call_seconds_total", &labels, tally.seconds);
    truth.add("exotel_call_cost_micros", &labels, tally.cost);
    if tally.refunds > 0 {
        truth.add("exotel_call_cost_refunds_micros", &[], tally.refunds);
    }

    let needed = plot.status == "completed" || way == Way::Inbound;
    let known = match legs {
        LegsKnown::All => true,
        LegsKnown::WhereNeeded => needed,
        LegsKnown::None => false,
    };
    if !known {
        let outcome = if needed { "unknown" } else { outcome_by_status(plot.status) };
        truth.add("exotel_call_outcomes_total", &with("outcome", outcome), tally.roots);
        return;
    }
    let outcome = outcome(direction, plot.status, plot.leg1, plot.leg2, plot.talk);
    truth.add("exotel_call_outcomes_total", &with("outcome", outcome), tally.roots);
    for (leg, status) in [("1", Some(plot.leg1)), ("2", plot.leg2)] {
        if let Some(status) = status {
            truth.add("exotel_call_legs_total", &[("leg", leg), ("status", leg_label(status))], tally.roots);
        }
    }
    truth.add("exotel_call_conversation_seconds_total", &labels, tally.talk);
    if outcome == "answered" {
        let direction = [labels[1]];
        truth.add("exotel_calls_short_total", &labels, tally.short);
        truth.add("exotel_call_conversation_duration_seconds_count", &direction, tally.roots);
        truth.add("exotel_call_conversation_duration_seconds_sum", &direction, tally.talk);
        truth.add("exotel_call_setup_duration_seconds_count", &direction, tally.roots);
        truth.add("exotel_call_setup_duration_seconds_sum", &direction, tally.setup);
    }
}

/// What became of a finished call whose legs are known.
fn outcome(direction: &str, status: &str, leg1: &str, leg2: Option<&str>, talk: Talk) -> &'static str {
    if talk == Talk::Some || (leg1 == "completed" && leg2 == Some("completed")) {
        return "answered";
    }
    if direction == "inbound" {
        return match (leg1, leg2) {
            ("completed", Some("no-answer" | "busy" | "failed")) => "missed",
            ("completed", Some("canceled")) => "abandoned",
            _ if leg1 != "completed" && status != "completed" => "failed",
            (_, None) => "not_connected",
            _ => "unknown",
        };
    }
    match (leg1, leg2) {
        ("completed", Some("no-answer")) => "no_answer",
        ("completed", Some("busy")) => "busy",
        ("completed", Some("canceled")) => "canceled",
        ("completed", Some("failed")) => "failed",
        ("completed", None) if status == "completed" => "not_connected",
        ("no-answer" | "busy", _) => "agent_unanswered",
        ("failed" | "canceled", _) => "failed",
        _ => "unknown",
    }
}

/// What became of an unanswered outbound call whose legs are not known.
fn outcome_by_status(status: &str) -> &'static str {
    match status {
        "no-answer" => "no_answer",
        "busy" => "busy",
        "failed" => "failed",
        "canceled" => "canceled",
        _ => "unknown",
    }
}

fn leg_label(status: &'static str) -> &'static str {
    match status {
        "completed" | "busy" | "failed" | "no-answer" | "canceled" => status,
        _ => "other",
    }
}

fn seconds<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(at.0)
}

/// Samples as a list, because JSON has no maps whose keys are maps.
fn families<S: serde::Serializer>(
    families: &BTreeMap<&'static str, BTreeMap<Labels, u64>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Sample<'a> {
        labels: &'a Labels,
        value: u64,
    }
    serializer.collect_map(families.iter().map(|(name, samples)| {
        let samples: Vec<_> =
            samples.iter().map(|(labels, value)| Sample { labels, value: *value }).collect();
        (name, samples)
    }))
}
