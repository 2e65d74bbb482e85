//! A panel turns red where its alert fires: both have the same numbers.

use serde_json::Value;

use super::board::{Board, Fault, Panel, all, list, text};
use super::catalogue::rules;
use super::promql::{numbers, parse};
use crate::support::note;

/// Alerts whose limit is a line in a panel.
const LIMITS: &[(&str, f64)] = &[
    ("ExotelAbandonHigh", 0.15),
    ("ExotelApiErrorBudgetBurn", 0.144),
    ("ExotelApiThrottled", 5.0),
    ("ExotelAuditDifference", 0.01),
    ("ExotelBalanceLow", 2.0),
    ("ExotelCallFailureBurn", 0.10),
    ("ExotelCallbacksLost", 0.05),
    ("ExotelCallsUnsettled", 21_600.0),
    ("ExotelClockSkew", 60.0),
    ("ExotelExophoneFlapping", 6.0),
    ("ExotelExporterRestarting", 3.0),
    ("ExotelHealthPollStalled", 10.0),
    ("ExotelHeartbeatMissing", 3.0),
    ("ExotelOutcomesUnknown", 0.2),
    ("ExotelRateBudgetSaturated", 30.0),
    ("ExotelReconcileDrift", 0.02),
    ("ExotelShortCallsHigh", 0.25),
    ("ExotelSmsFailureHigh", 0.10),
    ("ExotelStoreFilling", 0.85),
    ("ExotelStoreFilling", 0.90),
    ("ExotelSyncStalled", 3.0),
    ("ExotelTaskRestarting", 4.0),
    ("ExotelWebhookRejected", 20.0),
    ("ExotelWebhookSlow", 5.0),
];

/// Lines that no alert has: a first sign of what an alert will say later.
const EARLY: &[(&str, f64)] = &[("Days left", 7.0)];

/// Limits of a board that no alert shares.
pub(crate) fn check(board: &Board) -> Vec<Fault> {
    let mut faults = Vec::new();
    // Where a value stands for a state, the steps are its colours.
    let is_state = |panel: &&Panel| {
        list(&panel.defaults()["mappings"]).iter().any(|mapping| mapping["type"] != "special")
    };
    for panel in board.panels.iter().filter(|panel| !is_state(panel)) {
        for limit in panel.thresholds() {
            if !is_shared(panel, limit) && !EARLY.contains(&(&panel.title, limit)) {
                let reason = format!("its limit {limit} is that of no alert it links to");
                faults.push(board.panel_fault("limits", panel, reason));
            }
        }
    }
    faults
}

/// One thing too many, the limit of an alert that the panel links to, or one minus it.
fn is_shared(panel: &Panel, limit: f64) -> bool {
    let alerts = panel.alerts();
    let mut limits = LIMITS.iter().filter(|(alert, _)| alerts.iter().any(|linked| linked == alert));
    limit == 1.0 || limits.any(|(_, shared)| same(*shared, limit) || same(1.0 - shared, limit))
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

/// The expressions of an alert; none while there are no rules.
fn expressions(rules: &[Value], alert: &str) -> Vec<String> {
    rules.iter().filter(|rule| rule["alert"] == alert).map(|rule| text(&rule["expr"])).collect()
}

#[test]
fn limits_in_panels_are_those_of_the_rules() {
    let rules = rules();
    if rules.is_empty() {
        note("SKIPPED: limits against the rules: there are none in alerts/");
        return;
    }
    let mut faults = Vec::new();
    for (alert, limit) in LIMITS {
        let expressions = expressions(&rules, alert);
        // `14.4 * 0.01` and `6 * 3600` say it as a product.
        let says = |expression: &String| {
            let numbers = numbers(&parse(expression).expect("a rule that parses"));
            numbers.iter().any(|a| same(*a, *limit) || numbers.iter().any(|b| same(a * b, *limit)))
        };
        if !expressions.iter().any(says) {
            faults.push(format!("{alert}: panels say {limit}, the rules {expressions:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// "BLIND" is a word for the point at which one of two alerts starts to count.
#[test]
fn every_board_says_blind_where_the_alerts_about_it_stand() {
    for board in all() {
        let panel = board.panels.iter().find(|panel| panel.title == "Are we blind?").expect("the banner");
        let divisors = numbers(&parse(&panel.targets[0].promql()).expect("a query that parses"));
        for (alert, limit) in
            LIMITS.iter().filter(|(alert, _)| panel.alerts().iter().any(|linked| linked == alert))
        {
            assert!(
                divisors.contains(limit),
                "{}: the banner does not divide by {limit} of {alert}",
                board.file
            );
        }
        assert_eq!(panel.alerts(), ["ExotelSyncStalled", "ExotelHealthPollStalled"], "{}", board.file);
    }
}

#[test]
fn every_alert_that_a_panel_links_to_is_a_rule_with_that_runbook() {
    let rules = rules();
    for board in all() {
        for panel in &board.panels {
            for alert in panel.alerts() {
                let url = list(&panel.json["links"])
                    .iter()
                    .find(|link| text(&link["title"]).ends_with(&alert))
                    .map(|link| text(&link["url"]))
                    .unwrap_or_default();
                let file = format!("/{alert}.md");
                assert!(
                    url.ends_with(&file),
                    "{}: panel {:?}: {url} is not the runbook of {alert}",
                    board.file,
                    panel.title
                );
                if rules.is_empty() {
                    continue;
                }
                let rule = rules.iter().find(|rule| rule["alert"] == alert);
                let rule = rule.unwrap_or_else(|| {
                    panic!("{}: panel {:?}: there is no rule {alert}", board.file, panel.title)
                });
                assert_eq!(
                    rule["annotations"]["runbook_url"], url,
                    "{}: panel {:?}",
                    board.file, panel.title
                );
            }
        }
    }
}

#[test]
fn every_dashboard_that_a_rule_links_to_is_there() {
    let uids: Vec<String> = all().iter().map(|board| text(&board.json["uid"])).collect();
    for rule in rules().iter().filter(|rule| rule["alert"].is_string()) {
        let url = text(&rule["annotations"]["dashboard_url"]);
        let there = uids.iter().any(|uid| url.split(['/', '?']).any(|part| part == uid));
        assert!(there, "{}: {url:?} leads to none of {uids:?}", rule["alert"]);
    }
}
