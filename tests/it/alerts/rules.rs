//! The rule files as data.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{file_name, files_of};
use crate::support::promql::{Expr, seconds};

/// A recording or alerting rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// `file: group: name`, for complaints.
    pub(super) place: String,
    /// `calls.rules.yml`.
    pub(super) file: String,
    /// Name of the alert, or of the series that is recorded.
    pub(super) name: String,
    /// Whether it is an alert.
    pub(super) alerts: bool,
    /// As written.
    pub(super) text: String,
    /// As read.
    pub(super) expr: Expr,
    /// `for`, in seconds.
    pub(super) hold: u64,
    /// What the group sets for itself, in seconds.
    pub(super) interval: Option<u64>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
}

impl Rule {
    pub(super) fn severity(&self) -> &str {
        self.labels.get("severity").map_or("", String::as_str)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    interval: Option<String>,
    rules: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    record: Option<String>,
    alert: Option<String>,
    expr: String,
    #[serde(rename = "for")]
    hold: Option<String>,
    /// Held to be a duration by promtool; nothing here asks for it.
    #[serde(rename = "keep_firing_for")]
    _keep: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Reads one file.
///
/// # Errors
/// With file, rule and reason.
pub(super) fn read(file: &str, text: &str) -> Result<Vec<Rule>, String> {
    let content: File = serde_norway::from_str(text).map_err(|fault| format!("{file}: {fault}"))?;
    let mut rules = Vec::new();
    for group in content.groups {
        let interval = match &group.interval {
            Some(text) => {
                Some(seconds(text).ok_or_else(|| format!("{file}: {}: interval {text}", group.name))?)
            }
            None => None,
        };
        for entry in group.rules {
            let (name, alerts) = match (entry.alert, entry.record) {
                (Some(name), None) => (name, true),
                (None, Some(name)) => (name, false),
                _ => return Err(format!("{file}: {}: a rule is either alert or record", group.name)),
            };
            let place = format!("{file}: {}: {name}", group.name);
            let expr = Expr::read(&entry.expr).map_err(|fault| format!("{place}: {fault}"))?;
            let hold = entry.hold.as_deref().unwrap_or("0s");
            rules.push(Rule {
                hold: seconds(hold).ok_or_else(|| format!("{place}: for {hold}"))?,
                place,
                file: file.to_owned(),
                name,
                alerts,
                text: entry.expr,
                expr,
                interval,
                labels: entry.labels,
                annotations: entry.annotations,
            });
        }
    }
    Ok(rules)
}

/// Those of all files.
#[track_caller]
pub(super) fn all() -> Vec<Rule> {
    let read_file = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        read(&file_name(&path), &text).unwrap_or_else(|fault| panic!("{fault}"))
    };
    files_of("alerts/rules", ".rules.yml").into_iter().flat_map(read_file).collect()
}

/// The alerts among them, each name once per severity.
#[track_caller]
pub(super) fn alerts() -> Vec<Rule> {
    all().into_iter().filter(|rule| rule.alerts).collect()
}
