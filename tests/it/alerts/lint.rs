//! What promtool does not look for. Most of it is what pint checks without a server.

use std::collections::BTreeSet;

use super::names::Known;
use super::rules::{Rule, all, read};
use super::{file_name, files_of, text_of, tool};
use crate::support::promql::{Expr, seconds};
use crate::support::tools::Version;

/// Where runbooks and dashboards are said to be; docs/alerts.md tells how to put one's own in.
pub(super) const RUNBOOKS: &str = "https://runbooks.example/exotel-exporter/";
const DASHBOARDS: &str = "https://grafana.example/d/";
/// Uids of our boards.
const BOARDS: [&str; 7] = [
    "exotel-overview",
    "exotel-calls",
    "exotel-exophones",
    "exotel-webhooks",
    "exotel-sms",
    "exotel-cost",
    "exotel-exporter",
];
/// The scrape interval of README; more is not advised.
const SCRAPE: u64 = 30;

/// Everything wrong with these rules, one line for each: file, group, rule, reason.
fn faults(rules: &[Rule]) -> Vec<String> {
    let mut faults = Vec::new();
    let known = match Known::new(rules) {
        Ok(known) => known,
        Err(fault) => return vec![fault],
    };
    let mut seen = BTreeSet::new();
    for rule in rules {
        let mut say = |reason: String| faults.push(format!("{}: {reason}", rule.place));
        if !seen.insert((rule.name.clone(), rule.severity().to_owned())) {
            say("there is another rule of this name and severity".to_owned());
        }
        if !seen.insert((String::new(), rule.text.clone())) {
            say("there is another rule with this expression".to_owned());
        }
        if rule.interval.is_some_and(|interval| interval > 300) {
            say("the group is evaluated less often than every 5 minutes".to_owned());
        }
        expression(rule, &mut say);
        match known.labels(&rule.expr) {
            Ok(labels) => {
                if rule.alerts {
                    alert(rule, &labels, &mut say);
                }
            }
            Err(fault) => say(fault),
        }
    }
    faults
}

fn expression(rule: &Rule, say: &mut impl FnMut(String)) {
    for (selector, around) in rule.expr.selectors() {
        let name = &selector.name;
        let counts = name.ends_with("_total") || name.ends_with("_bucket");
        let rated = matches!(around, Some("rate" | "increase"));
        if counts && !rated {
            say(format!("{name} is a counter: its value alone says nothing, use rate or increase"));
        }
        if rated && !counts {
            say(format!("{name} is a gauge: rate and increase take its falls for resets"));
        }
        for (label, op, value) in &selector.matchers {
            if ["job", "instance"].contains(&label.as_str()) {
                say(format!("{name}: users choose the name of the job and its targets"));
            }
            if op.contains('~') && !value.contains(['.', '*', '+', '?', '|', '(', '[', '^', '$']) {
                say(format!("{name}: {label}{op}\"{value}\" needs no regular expression"));
            }
        }
        let Some(range) = &selector.range else { continue };
        let Some(range) = seconds(range) else {
            say(format!("{name}[{range}]: no duration"));
            continue;
        };
        if rated && range < 4 * SCRAPE {
            say(format!("{name}: a window of {range} s holds fewer than four scrapes"));
        }
        // These move once in each run of the sync.
        if rated && (name.starts_with("exotel_call") || name.starts_with("exotel_sync")) && range < 3600 {
            say(format!("{name}: it moves in batches, a window of {range} s holds fewer than four runs"));
        }
    }
    rule.expr.walk(&mut Vec::new(), &mut |expr, _| {
        let Expr::Binary { op, right, .. } = expr else { return };
        let rates = right.selectors().iter().any(|(_, around)| matches!(around, Some("rate" | "increase")));
        if op == "/" && rates && !compares(right) {
            say("a division by a rate that may be 0 gives NaN: put `> 0` behind the divisor".to_owned());
        }
    });
}

fn compares(expr: &Expr) -> bool {
    match expr {
        Expr::Binary { op, left, .. } if ["and", "unless"].contains(&op.as_str()) => compares(left),
        Expr::Binary { op, left, right, .. } if op == "or" => compares(left) && compares(right),
        Expr::Binary { op, .. } => ["==", "!=", ">", "<", ">=", "<="].contains(&op.as_str()),
        Expr::Aggregate { arguments, .. } => arguments.last().is_some_and(compares),
        Expr::Call(name, _) => name.starts_with("absent"),
        _ => false,
    }
}

fn alert(rule: &Rule, labels: &BTreeSet<String>, say: &mut impl FnMut(String)) {
    let name = &rule.name;
    if !name.starts_with("Exotel") || name.contains(['_', '-']) {
        say("names of alerts are ExotelLikeThis".to_owned());
    }
    let watchdog = name == "ExotelWatchdog";
    if !watchdog && !compares(&rule.expr) {
        say("without a comparison it fires whenever the series exists".to_owned());
    }
    if rule.hold > 0 && rule.hold < 2 * SCRAPE {
        say(format!("`for` of {} s is less than two scrapes", rule.hold));
    }
    let severities: &[&str] = if watchdog { &["none"] } else { &["critical", "warning", "info"] };
    if !severities.contains(&rule.severity()) {
        say(format!("severity \"{}\" is none of {severities:?}", rule.severity()));
    }
    if rule.labels.get("component").map(String::as_str) != Some("exotel-exporter") || rule.labels.len() != 2 {
        say("labels are severity and component=\"exotel-exporter\"".to_owned());
    }
    let annotation = |key: &str| rule.annotations.get(key).map_or("", String::as_str);
    for key in ["summary", "description", "runbook_url", "dashboard_url"] {
        if annotation(key).is_empty() {
            say(format!("no {key}"));
        }
    }
    if annotation("summary").contains("$value") || annotation("summary").contains('\n') {
        say("a summary is one line, and stays the same while the alert fires".to_owned());
    }
    if annotation("runbook_url") != format!("{RUNBOOKS}{name}.md") {
        say(format!("runbook_url is not {RUNBOOKS}{name}.md"));
    }
    let board = annotation("dashboard_url").strip_prefix(DASHBOARDS).unwrap_or("");
    if !BOARDS.contains(&board.split('?').next().unwrap_or("")) {
        say(format!("dashboard_url is not {DASHBOARDS} and one of {BOARDS:?}"));
    }
    if labels.contains("account") && !board.contains("var-account=") {
        say("dashboard_url leaves out the account".to_owned());
    }
    for (key, text) in &rule.annotations {
        for used in text.split("$labels.").skip(1) {
            let used =
                &used[..used.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(used.len())];
            if !labels.contains(used) {
                say(format!("{key} shows the label {used}, which the expression drops"));
            }
        }
    }
}

#[test]
fn promtool_accepts_every_rule_file() {
    for version in Version::here() {
        for path in files_of("alerts/rules", ".rules.yml") {
            let path = path.display().to_string();
            tool(version, "promtool", &["check", "rules", "--lint-fatal", &path])
                .unwrap_or_else(|fault| panic!("{version:?}: {fault}"));
        }
    }
}

#[test]
fn rules_hold_what_promtool_does_not_look_for() {
    let faults = faults(&all());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn boards_that_alerts_lead_to_are_there() {
    let folder = super::repository("dashboards");
    if !folder.exists() {
        return;
    }
    let boards: String =
        files_of("dashboards", ".json").iter().map(|p| std::fs::read_to_string(p).unwrap()).collect();
    for uid in BOARDS {
        assert!(boards.contains(&format!("\"uid\": \"{uid}\"")), "no dashboard has the uid {uid}");
    }
}

/// What is put where what was in one of our files, and the complaint that is expected.
const BROKEN: &[(&str, &str, &str, &str)] = &[
    (
        "api",
        "min by (account) (exotel_api_auth_ok) == 0",
        "min by (account) (exotel_api_auth_ok",
        "`)` was expected",
    ),
    (
        "api",
        "min by (account) (exotel_api_auth_ok) == 0",
        "min by (account) (exotel_api_auth_fine) == 0",
        "no metric exotel_api_auth_fine",
    ),
    (
        "api",
        "min by (account) (exotel_api_auth_ok) == 0",
        "min by (account) (exotel_api_auth_ok)",
        "without a comparison",
    ),
    ("api", "{reason=\"throttled\"}", "{why=\"throttled\"}", "has no label why"),
    ("api", "{reason=\"throttled\"}", "{reason=~\"throttled\"}", "needs no regular expression"),
    ("api", "{reason=\"throttled\"}", "{job=\"exotel\"}", "users choose the name of the job"),
    (
        "api",
        "sum by (account, endpoint) (increase(",
        "sum by (account, endpoint, pool) (increase(",
        "has no such label",
    ),
    (
        "api",
        "sum by (account, endpoint) (increase(",
        "sum by (account) (increase(",
        "which the expression drops",
    ),
    ("api", "{reason=\"throttled\"}[15m]", "{reason=\"throttled\"}[1m]", "fewer than four scrapes"),
    (
        "api",
        "abs(exotel_api_clock_offset_seconds) > 60",
        "increase(exotel_api_clock_offset_seconds[15m]) > 60",
        "is a gauge",
    ),
    (
        "sync",
        "increase(exotel_sync_windows_cut_total[1h]) > 0",
        "exotel_sync_windows_cut_total > 0",
        "is a counter",
    ),
    (
        "sync",
        "increase(exotel_sync_windows_cut_total[1h]) > 0",
        "increase(exotel_sync_windows_cut_total[15m]) > 0",
        "fewer than four runs",
    ),
    ("sync", "> on (job, instance, account) (3 * exotel", "> on (account) (3 * exotel", "with two exporters"),
    ("sync", "severity: info", "severity: page", "severity \"page\""),
    ("sync", "component: exotel-exporter", "component: exporter", "component="),
    ("sync", "for: 5m", "for: 30s", "less than two scrapes"),
    ("sync", "          summary: Calls of {{ $labels.account }} are not read any more\n", "", "no summary"),
    (
        "sync",
        "summary: Calls of {{ $labels.account }} are not read any more",
        "summary: '{{ $value }} calls are not read'",
        "stays the same",
    ),
    ("sync", "ExotelSyncCut.md", "ExotelSyncCut.html", "runbook_url is not"),
    ("sync", "d/exotel-calls?", "d/exotel-everything?", "dashboard_url is not"),
    ("sync", "alert: ExotelSyncCut", "alert: SyncCut", "ExotelLikeThis"),
    ("sync", "alert: ExotelSyncBehind", "alert: ExotelRowsSetAside", "another rule of this name"),
    (
        "sync",
        "exotel_sync_rows_set_aside > 0",
        "increase(exotel_sync_windows_cut_total[1h]) > 0",
        "another rule with this expression",
    ),
    (
        "sync",
        "  - name: exotel.sync\n",
        "  - name: exotel.sync\n    interval: 10m\n",
        "less often than every 5 minutes",
    ),
    (
        "sync",
        "(sum by (account) (increase(exotel_call_outcomes_total[6h])) > 100)",
        "sum by (account) (increase(exotel_call_outcomes_total[6h]))",
        "gives NaN",
    ),
    (
        "recording",
        "record: account:exotel_sync_head:age_seconds",
        "record: exophone:exotel_sync_head:age_seconds",
        "the name says",
    ),
    ("sync", "    rules:\n", "    rule:\n", "unknown field `rule`"),
];

#[test]
fn a_broken_rule_is_told_with_file_rule_and_reason() {
    for (stem, good, bad, reason) in BROKEN {
        let broken = format!("{stem}.rules.yml");
        let text = text_of(&format!("alerts/rules/{broken}"));
        assert!(text.contains(good), "{broken} has no {good}");
        let mut rules = Vec::new();
        let mut told = Vec::new();
        for path in files_of("alerts/rules", ".rules.yml") {
            let name = file_name(&path);
            let text = if name == broken {
                text.replacen(good, bad, 1)
            } else {
                std::fs::read_to_string(&path).unwrap()
            };
            match read(&name, &text) {
                Ok(more) => rules.extend(more),
                Err(fault) => told.push(fault),
            }
        }
        if told.is_empty() {
            // Recordings come first, as the other rules rest on them.
            rules.sort_by_key(|rule| rule.alerts);
            told = faults(&rules);
        }
        assert!(
            told.iter().any(|line| line.starts_with(&broken) && line.contains(reason)),
            "{good} -> {bad}: {reason} expected, told:\n{}",
            told.join("\n")
        );
    }
}

#[test]
fn promtool_names_file_and_rule_of_what_it_refuses() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("broken.rules.yml");
    let text =
        text_of("alerts/rules/api.rules.yml").replacen("{{ $labels.account }}", "{{ $label.account }}", 1);
    std::fs::write(&path, text).unwrap();
    for version in Version::here() {
        let fault =
            tool(version, "promtool", &["check", "rules", "--lint-fatal", &path.display().to_string()])
                .unwrap_err();
        assert!(
            fault.contains("broken.rules.yml")
                && fault.contains("ExotelAuthFailing")
                && fault.contains("$label"),
            "{fault}"
        );
    }
}
