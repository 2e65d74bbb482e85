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

use super::call::{Parent, Tick};
use super::plot::Way;
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
    for place in 0..world.table().calls().len() as u32 {
        add_call(&mut truth, world, place, query);
    }
    truth
}

fn add_call(truth: &mut Truth, world: &World, place: u32, query: TruthQuery) {
    let table = world.table();
    let Some(call) = table.call(place) else { return };
    let root_place = match call.parent {
        Parent::Call(root) => root,
        Parent::Nobody | Parent::Missing => place,
    };
    let Some(root) = table.call(root_place) else { return };
    let live = |second| world.instant(second) >= query.live_from;
    let moved = table.rarity(place).and_then(|rarity| rarity.moved);
    if moved.is_some_and(|(_, second)| live(second) != live(call.second())) {
        truth.doubtful += 1;
    }
    if !live(root.second()) {
        return;
    }
    let exophone = match world.is_listed(root.exophone) {
        true => world.exophone(root.exophone),
        false => "unknown".to_owned(),
    };
    let direction = if root.way == Way::Odd { "other" } else { root.way.word() };
    let labels = [("exophone", exophone.as_str()), ("direction", direction)];
    add_price(truth, world, place, &labels);
    if root_place != place {
        return;
    }

    truth.roots += 1;
    let plot = call.plot();
    let with = |name, word| [labels[0], labels[1], (name, word)];
    truth.add("exotel_calls_total", &with("status", plot.status), 1);
    truth.add("exotel_call_seconds_total", &labels, u64::from(call.duration));
    let needed = plot.status == "completed" || call.way == Way::Inbound;
    let known = match query.legs {
        LegsKnown::All => true,
        LegsKnown::WhereNeeded => needed,
        LegsKnown::None => false,
    };
    if !known {
        let outcome = if needed { "unknown" } else { outcome_by_status(plot.status) };
        truth.add("exotel_call_outcomes_total", &with("outcome", outcome), 1);
        return;
    }
    let talk = u64::from(call.talk);
    let outcome = outcome(direction, plot.status, plot.leg1, plot.leg2, talk);
    truth.add("exotel_call_outcomes_total", &with("outcome", outcome), 1);
    for (leg, status) in [("1", Some(plot.leg1)), ("2", plot.leg2)] {
        if let Some(status) = status {
            truth.add("exotel_call_legs_total", &[("leg", leg), ("status", leg_label(status))], 1);
        }
    }
    truth.add("exotel_call_conversation_seconds_total", &labels, talk);
    if outcome == "answered" {
        let direction = [labels[1]];
        let setup = u64::from(call.duration).saturating_sub(talk);
        truth.add("exotel_call_conversation_duration_seconds_count", &direction, 1);
        truth.add("exotel_call_conversation_duration_seconds_sum", &direction, talk);
        truth.add("exotel_call_setup_duration_seconds_count", &direction, 1);
        truth.add("exotel_call_setup_duration_seconds_sum", &direction, setup);
        if talk < u64::from(query.short_call) {
            truth.add("exotel_calls_short_total", &labels, 1);
        }
    }
}

fn add_price(truth: &mut Truth, world: &World, place: u32, labels: &[(&'static str, &str)]) {
    let Some(call) = world.table().call(place).filter(|call| call.price_known != Tick::NEVER) else {
        return;
    };
    let first = u64::from(call.price);
    let last = world
        .table()
        .rarity(place)
        .and_then(|rarity| rarity.repriced)
        .map_or(first, |(_, price)| u64::from(price));
    truth.add("exotel_call_cost_micros", labels, first.max(last));
    if last < first {
        truth.add("exotel_call_cost_refunds_micros", &[], first - last);
    }
}

/// What became of a finished call whose legs are known.
fn outcome(direction: &str, status: &str, leg1: &str, leg2: Option<&str>, talk: u64) -> &'static str {
    if talk > 0 || (leg1 == "completed" && leg2 == Some("completed")) {
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
