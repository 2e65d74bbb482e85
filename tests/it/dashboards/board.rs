//! A dashboard file, read for checking.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A dashboard with all its panels, those inside folded rows too.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    /// Name of its file: `calls.json`.
    pub(crate) file: String,
    /// The whole JSON.
    pub(crate) json: Value,
    /// Everything but rows, in order.
    pub(crate) panels: Vec<Panel>,
}

/// A panel.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    /// Its title, or where it stands when it has none.
    pub(crate) title: String,
    /// `stat`, `timeseries`, ...
    pub(crate) kind: String,
    /// The whole JSON.
    pub(crate) json: Value,
    /// Its queries.
    pub(crate) targets: Vec<Target>,
}

/// A query of a panel.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// `A`, `B`, ...
    pub(crate) reference: String,
    /// The expression as written.
    pub(crate) expression: String,
    /// How its series are called.
    pub(crate) legend: String,
    /// The whole JSON.
    pub(crate) json: Value,
}

/// Something wrong: where, and what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    /// File name.
    pub(crate) file: String,
    /// The rule that is broken.
    pub(crate) rule: &'static str,
    /// Title of the panel, empty for the board itself.
    pub(crate) panel: String,
    /// Number of the query, if it is about one.
    pub(crate) target: Option<usize>,
    /// What is wrong.
    pub(crate) reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        if !self.panel.is_empty() {
            write!(f, "panel {:?}", self.panel)?;
            if let Some(target) = self.target {
                write!(f, ", query {}", char::from(b'A' + u8::try_from(target).unwrap_or(0)))?;
            }
            write!(f, ": ")?;
        }
        write!(f, "{} ({})", self.reason, self.rule)
    }
}

/// The folder of the dashboards.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

/// Every dashboard of the project, in the order of their names.
pub(crate) fn all() -> Vec<Board> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("the folder dashboards")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no dashboard in {}", folder().display());
    files.iter().map(|file| Board::read(file)).collect()
}

impl Board {
    /// Reads a file.
    ///
    /// # Panics
    /// When it is no JSON; with the file's name.
    pub(crate) fn read(path: &Path) -> Self {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).unwrap_or_else(|fault| panic!("{file}: {fault}"));
        let json = serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{file}: no JSON: {fault}"));
        Self::new(file, json)
    }

    /// From JSON.
    pub(crate) fn new(file: String, json: Value) -> Self {
        let mut panels = Vec::new();
        for panel in list(&json["panels"]) {
            if panel["type"] == "row" {
                panels.extend(list(&panel["panels"]).iter().map(Panel::new));
            } else {
                panels.push(Panel::new(panel));
            }
        }
        Self { file, json, panels }
    }

    /// Its title.
    pub(crate) fn title(&self) -> String {
        text(&self.json["title"])
    }

    /// A variable of this name.
    pub(crate) fn variable(&self, name: &str) -> Option<&Value> {
        list(&self.json["templating"]["list"]).iter().find(|variable| variable["name"] == name)
    }

    /// A fault of the board itself.
    pub(crate) fn fault(&self, rule: &'static str, reason: impl Into<String>) -> Fault {
        Fault { file: self.file.clone(), rule, panel: String::new(), target: None, reason: reason.into() }
    }

    /// A fault of a panel.
    pub(crate) fn panel_fault(&self, rule: &'static str, panel: &Panel, reason: impl Into<String>) -> Fault {
        Fault { panel: panel.title.clone(), ..self.fault(rule, reason) }
    }

    /// Every query with its panel and number.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (&Panel, usize, &Target)> {
        self.panels
            .iter()
            .flat_map(|panel| panel.targets.iter().enumerate().map(move |(i, target)| (panel, i, target)))
    }

    /// Checks every query; what is wrong with one becomes a fault.
    pub(crate) fn check_targets(
        &self,
        rule: &'static str,
        check: impl Fn(&Panel, &Target) -> Vec<String>,
    ) -> Vec<Fault> {
        self.targets()
            .flat_map(|(panel, number, target)| {
                check(panel, target).into_iter().map(move |reason| Fault {
                    target: Some(number),
                    ..self.panel_fault(rule, panel, reason)
                })
            })
            .collect()
    }
}

impl Panel {
    fn new(json: &Value) -> Self {
        let targets = list(&json["targets"]).iter().map(|target| Target {
            reference: text(&target["refId"]),
            expression: text(&target["expr"]),
            legend: text(&target["legendFormat"]),
            json: target.clone(),
        });
        let title = match text(&json["title"]) {
            empty if empty.is_empty() => format!("without title, id {}", json["id"]),
            title => title,
        };
        Self { title, kind: text(&json["type"]), json: json.clone(), targets: targets.collect() }
    }

    /// Its field's defaults.
    pub(crate) fn defaults(&self) -> &Value {
        &self.json["fieldConfig"]["defaults"]
    }

    /// Threshold values in order, the first (which is always there) left out.
    pub(crate) fn thresholds(&self) -> Vec<f64> {
        list(&self.defaults()["thresholds"]["steps"])
            .iter()
            .filter_map(|step| step["value"].as_f64())
            .collect()
    }

    /// Alerts whose runbooks it links to.
    pub(crate) fn alerts(&self) -> Vec<String> {
        let title = |link: &Value| link["title"].as_str()?.strip_prefix("Runbook: ").map(str::to_owned);
        list(&self.json["links"]).iter().filter_map(title).collect()
    }
}

impl Target {
    /// The expression with Grafana's own variables replaced by what it would put there; those of the board stay.
    pub(crate) fn promql(&self) -> String {
        interpolate(&self.expression, &BTreeMap::new())
    }
}

/// Replaces Grafana's own variables, and those given.
pub(crate) fn interpolate(text: &str, values: &BTreeMap<&str, &str>) -> String {
    let builtin = [("$__rate_interval", "1m"), ("$__interval", "1m"), ("$__range", "6h")];
    let text = builtin.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
    values.iter().fold(text, |text, (name, value)| text.replace(&format!("${name}"), value))
}

/// The elements of an array; none of anything else.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text; empty for anything else.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
