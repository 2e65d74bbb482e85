//! The truth against a fold over what the API itself says in the end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::simulator::{BulkDetails, History, LegsKnown, Scenario, Truth, TruthQuery};

fn query(live_from: Timestamp) -> TruthQuery {
    TruthQuery { live_from, short_call: 10, legs: LegsKnown::All }
}

fn truth(bench: &Bench, query: TruthQuery) -> Truth {
    bench.simulator.truth("exampleacct1", query).unwrap()
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or("")
}

fn count(row: &Value, key: &str) -> u64 {
    row[key].as_u64().or_else(|| text(row, key).parse().ok()).unwrap_or(0)
}

fn micros(row: &Value) -> u64 {
    let price = row["Price"].as_f64().or_else(|| text(row, "Price").parse().ok()).unwrap_or(0.0);
    (price * 1e6).round() as u64
}

/// The decision table of outcomes, line by line as a reader of it would write it down.
fn outcome(row: &Value) -> &'static str {
    let details = &row["Details"];
    let inbound = row["Direction"] == "inbound";
    let status = text(row, "Status");
    let (one, two) = (text(details, "Leg1Status"), text(details, "Leg2Status"));
    let talked = count(details, "ConversationDuration") > 0;
    let lines: [(bool, &'static str); 15] = [
        (talked, "answered"),
        (one == "completed" && two == "completed", "answered"),
        (inbound && one == "completed" && ["no-answer", "busy", "failed"].contains(&two), "missed"),
        (inbound && one == "completed" && two == "canceled", "abandoned"),
        (inbound && status != "completed" && one != "completed", "failed"),
        (inbound && two.is_empty(), "not_connected"),
        (!inbound && one == "completed" && two == "no-answer", "no_answer"),
        (!inbound && one == "completed" && two == "busy", "busy"),
        (!inbound && one == "completed" && two == "canceled", "canceled"),
        (!inbound && one == "completed" && two == "failed", "failed"),
        (!inbound && status == "completed" && one == "completed" && two.is_empty(), "not_connected"),
        (!inbound && (one == "no-answer" || one == "busy"), "agent_unanswered"),
        (!inbound && (one == "failed" || one == "canceled"), "failed"),
        (!inbound && one.is_empty(), "by status"),
        (true, "unknown"),
    ];
    lines.iter().find(|(fits, _)| *fits).unwrap().1
}

type Fold = BTreeMap<(&'static str, String, String, String), u64>;

/// Counts the rows of a quiet account.
fn fold(rows: &[Value], listed: &HashSet<String>, live_from: &str) -> Fold {
    let by_sid: HashMap<_, _> = rows.iter().map(|row| (text(row, "Sid"), row)).collect();
    let mut fold = Fold::new();
    for row in by_sid.values() {
        let parent = by_sid.get(text(row, "ParentCallSid"));
        let root = parent.unwrap_or(row);
        if text(root, "StartTime") < live_from {
            continue;
        }
        let e164 = format!("+91{}", &text(root, "PhoneNumberSid")[1..]);
        let phone = if listed.contains(&e164) { e164 } else { "unknown".to_owned() };
        let direction = match text(root, "Direction") {
            word @ ("inbound" | "outbound-api" | "outbound-dial") => word.to_owned(),
            _ => "other".to_owned(),
        };
        let mut add = |family, last: &str, value| {
            if value > 0 {
                *fold.entry((family, phone.clone(), direction.clone(), last.to_owned())).or_insert(0) +=
                    value;
            }
        };
        add("exotel_call_cost_micros", "", micros(row));
        if parent.is_some() {
            continue;
        }
        let status = text(row, "Status").to_lowercase().replace('_', "-").replace("cancelled", "canceled");
        let folded = {
            let mut row = (*row).clone();
            row["Status"] = status.clone().into();
            row
        };
        let talk = count(&row["Details"], "ConversationDuration");
        let outcome = outcome(&folded);
        add("exotel_calls_total", &status, 1);
        add("exotel_call_outcomes_total", outcome, 1);
        add("exotel_call_seconds_total", "", count(row, "Duration"));
        add("exotel_call_conversation_seconds_total", "", talk);
        if outcome == "answered" && talk < 10 {
            add("exotel_calls_short_total", "", 1);
        }
    }
    fold
}

/// The same families of the truth in the same form.
fn flatten(truth: &Truth) -> Fold {
    let families = [
        ("exotel_calls_total", "status"),
        ("exotel_call_outcomes_total", "outcome"),
        ("exotel_call_seconds_total", ""),
        ("exotel_call_conversation_seconds_total", ""),
        ("exotel_calls_short_total", ""),
        ("exotel_call_cost_micros", ""),
    ];
    let mut fold = Fold::new();
    for (family, last) in families {
        for (labels, value) in truth.families.get(family).into_iter().flatten() {
            let label = |name| labels.get(name).cloned().unwrap_or_default();
            if *value > 0 {
                fold.insert((family, label("exophone"), label("direction"), label(last)), *value);
            }
        }
    }
    fold
}

async fn listed(bench: &Bench) -> HashSet<String> {
    let list = bench.get("/v2_beta/Accounts/exampleacct1/IncomingPhoneNumbers").await.json();
    let phones = list["incoming_phone_numbers"].as_array().unwrap();
    phones.iter().map(|phone| phone["phone_number"].as_str().unwrap().to_owned()).collect()
}

/// Runs until nothing changes any more and compares.
async fn check(mut options: Options, seconds: u64) -> Truth {
    options.faults = crate::simulator::Faults::default();
    options.limits.voice = None;
    options.limits.exophones = None;
    options.wire.bulk_details = BulkDetails::Sent;
    let bench = Bench::new(options);
    pass(seconds).await;
    bench.simulator.stop_traffic();
    let mut waited = 0;
    while !bench.simulator.quiet() {
        pass(10).await;
        waited += 10;
        assert!(waited < 20_000, "it does not become quiet");
    }
    let rows = bench.rows(&format!("{}&PageSize=100&details=true", window(30 * 86_400, 86_000))).await;
    let truth = truth(&bench, query(START));
    let unique: HashSet<_> = rows.iter().map(|row| text(row, "Sid")).collect();
    assert_eq!(truth.rows, unique.len() as u64);
    assert_eq!(truth.doubtful, 0);
    assert_eq!(flatten(&truth), fold(&rows, &listed(&bench).await, "2026-03-02 18:30:00"));
    let repeated = crate::simulator::TruthQuery { ..query(START) };
    assert_eq!(self::truth(&bench, repeated), truth);
    truth
}

#[tokio::test(start_paused = true)]
async fn the_truth_is_what_a_fold_over_the_final_rows_gives() {
    for scenario in [
        Scenario::Calm,
        Scenario::Mixed,
        Scenario::ChildLegs,
        Scenario::LatePrices,
        Scenario::Moved,
        Scenario::Storm,
    ] {
        let truth = check(scenario.options(), 400).await;
        assert!(truth.roots > 20, "{scenario:?} {}", truth.roots);
    }
}

#[tokio::test(start_paused = true)]
async fn history_is_not_counted() {
    let mut options = plain(1.0);
    options.traffic.history = History { calls: 500, over: Duration::from_secs(86_400) };
    options.traffic.child_share = 0.5;
    let truth = check(options, 100).await;
    assert!((60..150).contains(&truth.roots), "{}", truth.roots);
    assert!(truth.rows > 600, "{}", truth.rows);
}

#[tokio::test(start_paused = true)]
async fn all_outcomes_statuses_and_legs_occur() {
    let bench = Bench::new(plain(5.0));
    pass(1000).await;
    let truth = truth(&bench, query(START));
    let outcomes = "exotel_call_outcomes_total";
    for (direction, words) in [
        ("inbound", &["answered", "missed", "abandoned", "failed", "not_connected", "unknown"][..]),
        (
            "outbound-api",
            &[
                "answered",
                "no_answer",
                "busy",
                "canceled",
                "failed",
                "not_connected",
                "agent_unanswered",
                "unknown",
            ],
        ),
    ] {
        for word in words {
            let seen = truth.sum(outcomes, &[("direction", direction), ("outcome", word)]);
            assert!(seen > 0, "{direction} {word}");
        }
        for status in ["completed", "failed", "busy", "no-answer", "canceled"] {
            let seen = truth.sum("exotel_calls_total", &[("direction", direction), ("status", status)]);
            assert!(seen > 0, "{direction} {status}");
        }
    }
    for status in ["completed", "failed", "busy", "no-answer", "canceled", "other"] {
        assert!(truth.sum("exotel_call_legs_total", &[("status", status)]) > 0, "{status}");
    }
    assert_eq!(truth.sum(outcomes, &[]), truth.roots);
    assert!(truth.sum("exotel_calls_short_total", &[]) > 0);
    assert_eq!(
        truth.sum("exotel_call_conversation_duration_seconds_sum", &[]),
        truth.sum("exotel_call_conversation_seconds_total", &[])
    );
}

#[tokio::test(start_paused = true)]
async fn without_leg_details_outcomes_follow_from_the_status_or_are_unknown() {
    let bench = Bench::new(plain(5.0));
    pass(300).await;
    let all = truth(&bench, query(START));
    let needed = truth(&bench, TruthQuery { legs: LegsKnown::WhereNeeded, ..query(START) });
    let none = truth(&bench, TruthQuery { legs: LegsKnown::None, ..query(START) });
    let outcome = |truth: &Truth, direction, word| {
        truth.sum("exotel_call_outcomes_total", &[("direction", direction), ("outcome", word)])
    };
    assert_eq!(
        outcome(&none, "inbound", "unknown"),
        all.sum("exotel_calls_total", &[("direction", "inbound")])
    );
    let unanswered = all.sum("exotel_calls_total", &[("direction", "outbound-api"), ("status", "no-answer")]);
    assert_eq!(outcome(&none, "outbound-api", "no_answer"), unanswered);
    assert_eq!(outcome(&needed, "inbound", "missed"), outcome(&all, "inbound", "missed"));
    assert_eq!(outcome(&needed, "outbound-api", "answered"), outcome(&all, "outbound-api", "answered"));
    assert_eq!(outcome(&needed, "outbound-api", "agent_unanswered"), 0);
    assert_eq!(none.sum("exotel_call_legs_total", &[]), 0);
    assert_eq!(none.sum("exotel_calls_short_total", &[]), 0);
    assert_eq!(none.sum("exotel_call_cost_micros", &[]), all.sum("exotel_call_cost_micros", &[]));
}

#[tokio::test(start_paused = true)]
async fn cost_minus_refunds_is_the_last_price() {
    let mut options = plain(2.0);
    options.oddities.price_change_share = 0.3;
    options.oddities.price_change_after = Delay::seconds(10.0, 60.0);
    options.traffic.max_calls = Some(200);
    let bench = Bench::new(options);
    pass(400).await;
    assert!(bench.simulator.quiet());
    let rows = bench.rows(&format!("{}&PageSize=100", window(0, 400))).await;
    let last: u64 = rows.iter().map(micros).sum();
    let truth = truth(&bench, query(START));
    let refunds = truth.sum("exotel_call_cost_refunds_micros", &[]);
    assert!(refunds > 0);
    assert_eq!(truth.sum("exotel_call_cost_micros", &[]) - refunds, last);
}

#[tokio::test(start_paused = true)]
async fn the_truth_can_be_had_as_json() {
    let bench = Bench::new(plain(2.0));
    pass(60).await;
    let uri = format!("/_sim/truth?live_from={}&legs=all&short_call=10", START.0);
    let json = bench.get(&uri).await.json();
    let truth = truth(&bench, query(START));
    assert_eq!(json["roots"], truth.roots);
    let samples = json["families"]["exotel_calls_total"].as_array().unwrap();
    let total: u64 = samples.iter().map(|sample| sample["value"].as_u64().unwrap()).sum();
    assert_eq!(total, truth.roots);
    assert!(samples[0]["labels"]["exophone"].as_str().unwrap().starts_with("+91"));
}
