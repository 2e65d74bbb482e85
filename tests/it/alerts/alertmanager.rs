//! `alerts/alertmanager.yml`: read by amtool, each alert to its receiver, and who silences whom.

use std::collections::{BTreeMap, BTreeSet};

use serde_norway::Value;

use super::rules::{Rule, alerts};
use super::{file_name, files_of, text_of, tool};
use crate::support::tools::Version;

const CONFIGURATION: &str = "alertmanager.yml";

fn configuration() -> Value {
    serde_norway::from_str(&text_of("alerts/alertmanager.yml")).unwrap()
}

#[test]
fn amtool_reads_it() {
    for version in Version::here() {
        tool(version, "amtool", &["check-config", CONFIGURATION])
            .unwrap_or_else(|fault| panic!("{version:?}: {fault}"));
    }
}

#[test]
fn working_hours_are_one_mark_away() {
    let folder = tempfile::TempDir::new().unwrap();
    let templates = folder.path().join("templates");
    std::fs::create_dir(&templates).unwrap();
    for path in files_of("alerts/templates", ".tmpl") {
        std::fs::copy(&path, templates.join(file_name(&path))).unwrap();
    }
    let text = text_of("alerts/alertmanager.yml");
    let chosen = text.replace("# active_time_intervals", "active_time_intervals");
    assert_eq!(chosen.matches("\n          active_time_intervals").count(), 2);
    let path = folder.path().join("alertmanager.yml");
    for version in Version::here() {
        let check = |text: &str| {
            std::fs::write(&path, text).unwrap();
            tool(version, "amtool", &["check-config", &path.display().to_string()])
        };
        check(&chosen).unwrap_or_else(|fault| panic!("{version:?}: {fault}"));
        // The zone is really looked up, and so is the name.
        for bad in
            [chosen.replace("Asia/Kolkata", "Asia/Nowhere"), chosen.replace("[working-hours]", "[holidays]")]
        {
            check(&bad).unwrap_err();
        }
    }
}

#[test]
fn no_secret_stands_in_it() {
    fn keys(value: &Value, found: &mut BTreeSet<String>) {
        if let Value::Mapping(mapping) = value {
            for (key, value) in mapping {
                found.insert(key.as_str().unwrap_or("").to_owned());
                keys(value, found);
            }
        }
        for value in value.as_sequence().into_iter().flatten() {
            keys(value, found);
        }
    }
    let mut found = BTreeSet::new();
    keys(&configuration(), &mut found);
    assert!(found.contains("routing_key_file") && found.contains("credentials_file"), "{found:?}");
    for secret in [
        "slack_api_url",
        "api_url",
        "routing_key",
        "service_key",
        "smtp_auth_password",
        "auth_password",
        "credentials",
        "password",
    ] {
        assert!(!found.contains(secret), "{secret} belongs into a file");
    }
}

/// Who is told about an alert of this severity.
fn receiver(severity: &str) -> &'static str {
    match severity {
        "critical" => "exotel-page",
        "warning" => "exotel-chat",
        "info" => "exotel-nowhere",
        "none" => "exotel-dead-man",
        other => panic!("severity {other}"),
    }
}

#[test]
fn each_alert_goes_where_its_severity_says() {
    for version in Version::here() {
        for rule in alerts() {
            let labels = [
                format!("alertname={}", rule.name),
                format!("severity={}", rule.severity()),
                "component=exotel-exporter".to_owned(),
                "account=acme".to_owned(),
            ];
            let mut arguments = vec![
                "config".to_owned(),
                "routes".to_owned(),
                "test".to_owned(),
                format!("--config.file={CONFIGURATION}"),
                format!("--verify.receivers={}", receiver(rule.severity())),
            ];
            arguments.extend(labels);
            tool(version, "amtool", &arguments)
                .unwrap_or_else(|fault| panic!("{version:?}: {}: {fault}", rule.place));
        }
    }
}

/// `name=~"value"` and its kin, as Alertmanager writes them.
fn matches(matcher: &str, labels: &BTreeMap<String, String>) -> bool {
    let at = matcher.find('=').unwrap_or_else(|| panic!("no matcher: {matcher}"));
    let (name, rest) = matcher.split_at(at);
    let (regular, value) = match rest.strip_prefix("=~") {
        Some(value) => (true, value),
        None => (false, &rest[1..]),
    };
    let value = value.trim_matches('"');
    let actual = labels.get(name).map_or("", String::as_str);
    let fits = |one: &str| match one.strip_suffix(".+") {
        Some(start) => actual.len() > start.len() && actual.starts_with(start),
        None => actual == one,
    };
    if regular { value.split('|').any(fits) } else { actual == value }
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_sequence().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn labels(rule: &Rule) -> BTreeMap<String, String> {
    let mut labels = rule.labels.clone();
    labels.insert("alertname".to_owned(), rule.name.clone());
    labels
}

/// Alerts of one account that silence others of it, by name and severity, with the labels that have to be equal.
fn inhibitions() -> BTreeSet<(String, String, Vec<String>)> {
    let alerts = alerts();
    let mut found = BTreeSet::new();
    for rule in configuration()["inhibit_rules"].as_sequence().expect("inhibition rules") {
        let equal: Vec<String> = texts(&rule["equal"]).into_iter().map(str::to_owned).collect();
        let fit = |side: &str, alert: &Rule| {
            let matchers = texts(&rule[side]);
            assert!(!matchers.is_empty(), "{rule:?}");
            matchers.iter().all(|matcher| matches(matcher, &labels(alert)))
        };
        for source in alerts.iter().filter(|alert| fit("source_matchers", alert)) {
            for target in alerts.iter().filter(|alert| fit("target_matchers", alert)) {
                // Where the name has to be equal, only those of one name meet.
                if source.name == target.name || !equal.iter().any(|label| label == "alertname") {
                    found.insert((
                        format!("{} {}", source.name, source.severity()),
                        format!("{} {}", target.name, target.severity()),
                        equal.clone(),
                    ));
                }
            }
        }
    }
    found
}

/// Sources and their targets, in words.
const INHIBITIONS: &[(&[&str], &[&str], &[&str])] = &[
    (&["ExotelExporterAbsent critical"], &["ExotelExporterDown critical"], &["component"]),
    (
        &["ExotelAuthFailing critical", "ExotelAccountBlocked critical", "ExotelApiDown critical"],
        &[
            "ExotelApiErrorBudgetBurn critical",
            "ExotelApiErrorBudgetBurn warning",
            "ExotelSyncStalled critical",
            "ExotelSyncBehind warning",
            "ExotelSyncCut warning",
            "ExotelHealthPollStalled critical",
            "ExotelCallsUnsettled warning",
        ],
        &["account"],
    ),
    (
        &["ExotelAllExophonesAffected critical"],
        &[
            "ExotelExophoneOutage warning",
            "ExotelExophoneOutagePaging critical",
            "ExotelExophoneFlapping warning",
            "ExotelAnswerRatioDrop warning",
            "ExotelCallsStopped critical",
        ],
        &["account"],
    ),
    (
        &["ExotelExophoneOutagePaging critical"],
        &["ExotelExophoneOutage warning"],
        &["account", "exophone", "direction"],
    ),
    (
        &["ExotelSyncStalled critical", "ExotelSyncBehind warning"],
        &[
            "ExotelCallFailureBurn critical",
            "ExotelAnswerRatioDrop warning",
            "ExotelCallsStopped critical",
            "ExotelShortCallsHigh warning",
            "ExotelAbandonHigh warning",
            "ExotelConcurrencyHigh warning",
            "ExotelCostSpike warning",
            "ExotelOutcomesUnknown info",
        ],
        &["account"],
    ),
    (
        &["ExotelApiErrorBudgetBurn critical"],
        &["ExotelApiErrorBudgetBurn warning"],
        &["alertname", "account"],
    ),
];

#[test]
fn alerts_silence_what_follows_from_them_and_nothing_else() {
    let mut expected = BTreeSet::new();
    for (sources, targets, equal) in INHIBITIONS {
        for (source, target) in
            sources.iter().flat_map(|source| targets.iter().map(move |target| (source, target)))
        {
            let equal: Vec<String> = equal.iter().map(|label| (*label).to_owned()).collect();
            expected.insert(((*source).to_owned(), (*target).to_owned(), equal));
        }
    }
    let found = inhibitions();
    let surplus: Vec<_> = found.difference(&expected).collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    assert!(surplus.is_empty() && missing.is_empty(), "too many: {surplus:?}\nmissing: {missing:?}");
}

#[test]
fn figures_of_traffic_are_silent_while_calls_are_not_read() {
    let found = inhibitions();
    for rule in
        alerts().iter().filter(|rule| rule.file == "calls.rules.yml" && rule.name != "ExotelBalanceLow")
    {
        let guard = "unless on (account) (\n  max_over_time(account:exotel_sync_head:age_seconds[75m])\n  > on (account) max by (account) (4 * exotel_sync_interval_seconds + exotel_sync_lag_seconds + 60)\n)";
        assert!(
            rule.text.trim_end().ends_with(guard),
            "{} does not end with the clause for a backlog",
            rule.place
        );
        let target = format!("{} {}", rule.name, rule.severity());
        let silenced = |by: &str| found.iter().any(|(source, to, _)| source == by && *to == target);
        assert!(
            silenced("ExotelSyncStalled critical") && silenced("ExotelSyncBehind warning"),
            "{}",
            rule.place
        );
    }
}

#[test]
fn the_watchdog_is_never_silent_and_no_account_silences_another() {
    for (source, target, equal) in inhibitions() {
        assert!(!target.starts_with("ExotelWatchdog"), "{source} silences it");
        assert!(
            equal.iter().any(|label| label == "account" || label == "component"),
            "{source} {target}: {equal:?}"
        );
        let about_accounts = alerts().iter().any(|rule| {
            target == format!("{} {}", rule.name, rule.severity()) && rule.text.contains("account")
        });
        assert!(
            !about_accounts || equal.iter().any(|label| label == "account"),
            "{source} {target}: {equal:?}"
        );
    }
}
