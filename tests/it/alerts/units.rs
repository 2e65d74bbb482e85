//! `promtool test rules`, and that no alert goes without a case that fires and one that stays silent.

use std::collections::{BTreeMap, BTreeSet};

use serde_norway::Value;

use super::rules::alerts;
use super::{files_of, tool};
use crate::support::tools::Version;

#[test]
fn the_unit_tests_of_the_rules_pass() {
    for version in Version::here() {
        let mut arguments = vec!["test".to_owned(), "rules".to_owned()];
        arguments.extend(files_of("alerts/tests", ".yml").iter().map(|path| path.display().to_string()));
        tool(version, "promtool", &arguments).unwrap_or_else(|fault| panic!("{version:?}: {fault}"));
    }
}

#[test]
fn each_alert_has_a_case_that_fires_and_one_that_is_silent() {
    let mut cases: BTreeMap<String, BTreeSet<bool>> = BTreeMap::new();
    let mut severities = BTreeSet::new();
    for path in files_of("alerts/tests", ".yml") {
        let text = std::fs::read_to_string(&path).unwrap();
        let file: Value = serde_norway::from_str(&text).unwrap();
        for test in file["tests"].as_sequence().expect("tests") {
            assert!(test["name"].is_string(), "{}: a test without a name", path.display());
            for case in test["alert_rule_test"].as_sequence().into_iter().flatten() {
                let name = case["alertname"].as_str().expect("an alertname").to_owned();
                let expected = case["exp_alerts"].as_sequence();
                for alert in expected.into_iter().flatten() {
                    let severity = alert["exp_labels"]["severity"].as_str().expect("a severity").to_owned();
                    severities.insert((name.clone(), severity));
                }
                cases.entry(name).or_default().insert(expected.is_some_and(|alerts| !alerts.is_empty()));
            }
        }
    }
    for rule in alerts() {
        let seen = cases.remove(&rule.name);
        let wanted = if rule.name == "ExotelWatchdog" { vec![true] } else { vec![false, true] };
        assert_eq!(
            seen.clone().into_iter().flatten().collect::<Vec<_>>(),
            wanted,
            "{}: cases that are silent (false) and that fire (true)",
            rule.place
        );
        assert!(
            severities.contains(&(rule.name.clone(), rule.severity().to_owned())),
            "{}: never fires as {}",
            rule.place,
            rule.severity()
        );
        // Two rules may share a name.
        cases.insert(rule.name.clone(), seen.unwrap_or_default());
    }
    let names: BTreeSet<String> = alerts().into_iter().map(|rule| rule.name).collect();
    for name in cases.keys() {
        assert!(names.contains(name), "a test asks for {name}, which no rule has");
    }
}
