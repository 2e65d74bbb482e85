//! The rules of Grafana's dashboard-linter, under its names, and the file of exceptions that it reads too.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::board::{Board, Fault, Panel, folder, list, text};
use super::promql::{parse, selectors};
use super::units::UNITS;

/// A rule: its name, and what it finds.
type Rule = (&'static str, fn(&'static str, &Board) -> Vec<Fault>);

const RULES: [Rule; 17] = [
    ("template-datasource-rule", template_datasource),
    ("template-job-rule", template_job),
    ("template-instance-rule", template_instance),
    ("template-label-promql-rule", template_label_promql),
    ("template-on-time-change-reload-rule", template_on_time_change_reload),
    ("panel-datasource-rule", panel_datasource),
    ("panel-title-description-rule", panel_title_description),
    ("panel-units-rule", panel_units),
    ("panel-no-targets-rule", panel_no_targets),
    ("target-promql-rule", target_promql),
    ("target-logql-rule", no_logql),
    ("target-logql-auto-rule", no_logql_auto),
    ("target-rate-interval-rule", target_rate_interval),
    ("target-job-rule", target_job),
    ("target-instance-rule", target_instance),
    ("target-counter-agg-rule", target_counter_agg),
    ("uneditable-dashboard", uneditable),
];

/// `dashboards/.lint`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exceptions {
    /// By rule: what is allowed to break it.
    #[serde(default)]
    pub(crate) exclusions: BTreeMap<String, Exception>,
    /// By rule: what is told and passes.
    #[serde(default)]
    pub(crate) warnings: BTreeMap<String, Exception>,
}

/// What may break a rule, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exception {
    /// Why.
    pub(crate) reason: String,
    /// Where; everywhere when there is none.
    #[serde(default)]
    pub(crate) entries: Vec<Entry>,
}

/// Where a rule may be broken; what is left out stands for all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Title of the board.
    pub(crate) dashboard: Option<String>,
    /// Title of the panel.
    pub(crate) panel: Option<String>,
    /// Number of the query, from 0.
    #[serde(rename = "targetIdx")]
    pub(crate) target: Option<String>,
}

impl Exceptions {
    /// Those of the project.
    pub(crate) fn of_the_project() -> Self {
        let text = std::fs::read_to_string(folder().join(".lint")).expect("dashboards/.lint");
        serde_norway::from_str(&text).expect("dashboards/.lint in the form of dashboard-linter")
    }

    fn covers(&self, board: &Board, fault: &Fault) -> bool {
        [&self.exclusions, &self.warnings].into_iter().filter_map(|kind| kind.get(fault.rule)).any(
            |exception| {
                exception.entries.is_empty()
                    || exception.entries.iter().any(|entry| entry.covers(board, fault))
            },
        )
    }

    /// Entries that no fault needs.
    pub(crate) fn idle(&self, boards: &[Board]) -> Vec<String> {
        let faults: Vec<(&Board, Fault)> =
            boards.iter().flat_map(|board| every_fault(board).into_iter().map(move |f| (board, f))).collect();
        let mut idle = Vec::new();
        for (rule, exception) in self.exclusions.iter().chain(&self.warnings) {
            for entry in &exception.entries {
                if !faults.iter().any(|(board, fault)| fault.rule == rule && entry.covers(board, fault)) {
                    idle.push(format!("{rule}: {entry:?} is not needed"));
                }
            }
        }
        idle
    }
}

impl Entry {
    fn covers(&self, board: &Board, fault: &Fault) -> bool {
        self.dashboard.as_ref().is_none_or(|title| *title == board.title())
            && self.panel.as_ref().is_none_or(|title| *title == fault.panel)
            && self
                .target
                .as_ref()
                .is_none_or(|number| fault.target.map(|n| n.to_string()) == Some(number.clone()))
    }
}

/// Everything that dashboard-linter would say of a board.
pub(crate) fn lint(board: &Board, exceptions: &Exceptions) -> Vec<Fault> {
    every_fault(board).into_iter().filter(|fault| !exceptions.covers(board, fault)).collect()
}

fn every_fault(board: &Board) -> Vec<Fault> {
    RULES.iter().flat_map(|(name, rule)| rule(name, board)).collect()
}

fn template_datasource(rule: &'static str, board: &Board) -> Vec<Fault> {
    let Some(variable) = board.variable("datasource").or_else(|| board.variable("prometheus_datasource"))
    else {
        return vec![board.fault(rule, "there is no variable datasource")];
    };
    let mut faults = Vec::new();
    if variable["type"] != "datasource" || variable["query"] != "prometheus" {
        faults.push(board.fault(rule, "the variable datasource does not choose a Prometheus"));
    }
    if !["Data source", "Prometheus data source"].contains(&text(&variable["label"]).as_str()) {
        faults.push(board.fault(rule, format!("the variable datasource is labelled {}", variable["label"])));
    }
    faults
}

fn template_job(rule: &'static str, board: &Board) -> Vec<Fault> {
    choice(rule, board, "job", "Job")
}

fn template_instance(rule: &'static str, board: &Board) -> Vec<Fault> {
    choice(rule, board, "instance", "Instance")
}

/// A variable from which several values, or all, can be chosen.
fn choice(rule: &'static str, board: &Board, name: &str, label: &str) -> Vec<Fault> {
    let Some(variable) = board.variable(name) else {
        return vec![board.fault(rule, format!("there is no variable {name}"))];
    };
    let wanted = [
        ("type", variable["type"] == "query"),
        ("datasource", is_datasource_variable(&text(&variable["datasource"]["uid"]))),
        ("label", variable["label"] == label),
        ("multi", variable["multi"] == true),
        ("allValue", variable["allValue"] == ".+"),
    ];
    let wrong = wanted.iter().filter(|(_, right)| !right);
    wrong.map(|(key, _)| board.fault(rule, format!("variable {name}: {key} is {}", variable[key]))).collect()
}

fn template_label_promql(rule: &'static str, board: &Board) -> Vec<Fault> {
    query_variables(board)
        .filter_map(|(name, query)| {
            let fault = variable_query_fault(&query)?;
            Some(board.fault(rule, format!("variable {name}: {query}: {fault}")))
        })
        .collect()
}

fn variable_query_fault(query: &str) -> Option<String> {
    let inside = |name: &str| query.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
    if inside("label_names").is_some() || inside("metrics").is_some() {
        return None;
    }
    if let Some(expression) = inside("query_result") {
        return parse(expression).err();
    }
    let Some(arguments) = inside("label_values") else { return Some("no query for a variable".to_owned()) };
    match arguments.rsplit_once(',') {
        Some((expression, _label)) => parse(expression.trim()).err(),
        None => None,
    }
}

fn template_on_time_change_reload(rule: &'static str, board: &Board) -> Vec<Fault> {
    list(&board.json["templating"]["list"])
        .iter()
        .filter(|variable| variable["type"] == "query" && variable["refresh"] != 2)
        .map(|variable| {
            board.fault(rule, format!("variable {}: refresh is {}", variable["name"], variable["refresh"]))
        })
        .collect()
}

fn panel_datasource(rule: &'static str, board: &Board) -> Vec<Fault> {
    let uid = |panel: &Panel| text(&panel.json["datasource"]["uid"]);
    board
        .panels
        .iter()
        .filter(|panel| !is_datasource_variable(&uid(panel)))
        .map(|panel| board.panel_fault(rule, panel, format!("its data source is {:?}", uid(panel))))
        .collect()
}

fn panel_title_description(rule: &'static str, board: &Board) -> Vec<Fault> {
    let missing =
        |panel: &&Panel| ["title", "description"].iter().any(|key| text(&panel.json[key]).is_empty());
    shown(board)
        .filter(missing)
        .map(|panel| board.panel_fault(rule, panel, "has no title or no description"))
        .collect()
}

fn panel_units(rule: &'static str, board: &Board) -> Vec<Fault> {
    let unit = |panel: &Panel| text(&panel.defaults()["unit"]);
    shown(board)
        .filter(|panel| !UNITS.contains(&unit(panel).as_str()))
        .map(|panel| board.panel_fault(rule, panel, format!("{:?} is no unit of Grafana", unit(panel))))
        .collect()
}

fn panel_no_targets(rule: &'static str, board: &Board) -> Vec<Fault> {
    board
        .panels
        .iter()
        .filter(|panel| panel.targets.is_empty() && panel.kind != "text")
        .map(|panel| board.panel_fault(rule, panel, "has no query"))
        .collect()
}

fn target_promql(rule: &'static str, board: &Board) -> Vec<Fault> {
    board.check_targets(rule, |_, target| parse(&target.promql()).err().into_iter().collect())
}

fn no_logql(rule: &'static str, board: &Board) -> Vec<Fault> {
    board.check_targets(rule, |_, target| {
        let kind = text(&target.json["datasource"]["type"]);
        if kind == "prometheus" { vec![] } else { vec![format!("asks a data source of the kind {kind:?}")] }
    })
}

fn no_logql_auto(rule: &'static str, board: &Board) -> Vec<Fault> {
    board.check_targets(rule, |_, target| {
        let uses = target.expression.contains("$__auto");
        uses.then(|| "$__auto is for Loki".to_owned()).into_iter().collect()
    })
}

fn target_rate_interval(rule: &'static str, board: &Board) -> Vec<Fault> {
    board.check_targets(rule, |_, target| {
        // No range in the boards is 61 s long, so that one stands for the variable.
        let marked = target.expression.replace("$__rate_interval", "61s");
        let Ok(expression) = parse(&marked) else { return vec![] };
        selectors(&expression)
            .into_iter()
            .filter(|s| {
                matches!(s.function.as_deref(), Some("rate" | "irate"))
                    && s.range.map(|r| r.as_secs()) != Some(61)
            })
            .map(|s| format!("{} of {} is not over $__rate_interval", s.function.unwrap_or_default(), s.name))
            .collect()
    })
}

fn target_job(rule: &'static str, board: &Board) -> Vec<Fault> {
    matcher(rule, board, "job")
}

fn target_instance(rule: &'static str, board: &Board) -> Vec<Fault> {
    matcher(rule, board, "instance")
}

fn matcher(rule: &'static str, board: &Board, label: &str) -> Vec<Fault> {
    let wanted = (label.to_owned(), "=~".to_owned(), format!("${label}"));
    board.check_targets(rule, |_, target| {
        let Ok(expression) = parse(&target.promql()) else { return vec![] };
        let without: BTreeSet<String> = selectors(&expression)
            .into_iter()
            .filter(|s| !s.matchers.contains(&wanted))
            .map(|s| s.name)
            .collect();
        without.into_iter().map(|name| format!("{name} is not chosen by {label}=~\"${label}\"")).collect()
    })
}

fn target_counter_agg(rule: &'static str, board: &Board) -> Vec<Fault> {
    board.check_targets(rule, |_, target| {
        let Ok(expression) = parse(&target.promql()) else { return vec![] };
        let bare: BTreeSet<String> = selectors(&expression)
            .into_iter()
            .filter(|s| s.name.ends_with("_total"))
            .filter(|s| !matches!(s.function.as_deref(), Some("rate" | "irate" | "increase")))
            .map(|s| s.name)
            .collect();
        bare.into_iter()
            .map(|name| format!("the counter {name} is not inside rate, irate or increase"))
            .collect()
    })
}

fn uneditable(rule: &'static str, board: &Board) -> Vec<Fault> {
    if board.json["editable"] == false { vec![] } else { vec![board.fault(rule, "editable is not false")] }
}

/// The kinds of panel that the rules for titles and units are about.
fn shown(board: &Board) -> impl Iterator<Item = &Panel> {
    board.panels.iter().filter(|panel| {
        ["stat", "singlestat", "graph", "table", "timeseries", "gauge"].contains(&panel.kind.as_str())
    })
}

fn is_datasource_variable(uid: &str) -> bool {
    ["$datasource", "${datasource}", "$prometheus_datasource", "${prometheus_datasource}"].contains(&uid)
}

fn query_variables(board: &Board) -> impl Iterator<Item = (String, String)> {
    list(&board.json["templating"]["list"])
        .iter()
        .filter(|variable| variable["type"] == "query")
        .map(|variable| (text(&variable["name"]), text(&variable["query"])))
}
