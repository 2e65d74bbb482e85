//! Dashboards, rules and the catalogue of the code name the same metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use exotel_exporter::metrics::catalogue::{self, Kind};
use serde_json::Value;

use super::board::{Board, all, list, text};
use super::promql::{Metric, exported, metric, parse, selectors};

/// Families that neither a panel nor a rule names, and why.
const UNUSED: &[(&str, &str)] = &[
    (
        "process_virtual_memory_bytes",
        "reserved addresses: no sign of anything, kept because every exporter has it",
    ),
    ("process_virtual_memory_max_bytes", "mostly without limit"),
];

/// Every metric that a query may name: the program's, and what Prometheus itself makes.
pub(crate) fn known(name: &str) -> Option<Metric> {
    let alerts = || {
        let labels = ["alertname", "alertstate", "severity", "component", "account", "exophone", "direction"];
        (name == "ALERTS").then(|| metric(name, Kind::Gauge, &labels, name)).flatten()
    };
    exported(name).or_else(alerts)
}

/// Families named by panels and variables, by board.
fn named_by(boards: &[Board]) -> BTreeMap<String, BTreeSet<String>> {
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for board in boards {
        let variables =
            list(&board.json["templating"]["list"]).iter().filter(|variable| variable["type"] == "query");
        let of_variables = variables.map(|variable| text(&variable["query"]));
        let of_panels = board.targets().map(|(_, _, target)| target.promql());
        for query in of_panels.chain(of_variables) {
            let query = query
                .strip_prefix("label_values(")
                .and_then(|q| q.rsplit_once(','))
                .map_or(query.as_str(), |(q, _)| q);
            for selector in parse(query).map(|e| selectors(&e)).unwrap_or_default() {
                let mut names: Vec<String> = vec![selector.name];
                names.extend(
                    selector
                        .matchers
                        .into_iter()
                        .filter(|m| m.0 == "__name__")
                        .flat_map(|m| m.2.split('|').map(str::to_owned).collect::<Vec<_>>()),
                );
                for name in names.into_iter().filter(|name| !name.is_empty()) {
                    let family = known(&name).map_or(name, |metric| metric.family);
                    named.entry(family).or_default().insert(board.file.clone());
                }
            }
        }
    }
    named
}

/// Families named by the rules, where there are any yet.
fn named_by_rules() -> BTreeSet<String> {
    rules()
        .iter()
        .flat_map(|rule| parse(&text(&rule["expr"])).map(|e| selectors(&e)).unwrap_or_default())
        .map(|selector| known(&selector.name).map_or(selector.name, |metric| metric.family))
        .collect()
}

/// The rules in alerts/ and the folder rules in it; none while there are no such files.
pub(crate) fn rules() -> Vec<Value> {
    let alerts = Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts");
    let folders = [alerts.join("rules"), alerts];
    let files = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let files = files.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(".rules.yml"));
    files
        .flat_map(|path| {
            let text = std::fs::read_to_string(&path).expect("a file of rules");
            let file: Value =
                serde_norway::from_str(&text).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
            list(&file["groups"]).iter().flat_map(|group| list(&group["rules"]).to_vec()).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_metric_that_a_dashboard_names_is_exported() {
    // A histogram has no series of its own name.
    let exists = |family: &str| known(family).is_some() || known(&format!("{family}_bucket")).is_some();
    let named = named_by(&all()).into_iter();
    let unknown: Vec<String> = named
        .filter(|(family, _)| !exists(family))
        .map(|(family, files)| format!("{family} in {files:?}"))
        .collect();
    assert!(unknown.is_empty(), "not in the catalogue: {unknown:#?}");
}

#[test]
fn every_exported_metric_is_in_a_dashboard_or_rule_or_is_left_out_with_a_reason() {
    let named: BTreeSet<String> = named_by(&all()).into_keys().chain(named_by_rules()).collect();
    let unused: BTreeSet<&str> = UNUSED.iter().map(|(family, _)| *family).collect();
    let families = catalogue::ALL.iter().map(|family| family.name);
    let forgotten: Vec<&str> =
        families.clone().filter(|f| !named.contains(*f) && !unused.contains(f)).collect();
    assert!(forgotten.is_empty(), "in no dashboard, rule or list of reasons: {forgotten:#?}");
    let shown: Vec<&&str> = unused.iter().filter(|family| named.contains(**family)).collect();
    assert!(shown.is_empty(), "shown after all, so they need no reason: {shown:?}");
    let gone: Vec<&&str> = unused.iter().filter(|family| catalogue::find(family).is_none()).collect();
    assert!(gone.is_empty(), "a reason for what is not exported: {gone:?}");
}
