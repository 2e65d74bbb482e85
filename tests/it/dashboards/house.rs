//! What every board of ours keeps to, beyond what Grafana's linter asks.

use std::collections::BTreeSet;
use std::time::Duration;

use exotel_exporter::metrics::catalogue::Kind;
use serde_json::{Value, json};

use super::board::{Board, Fault, Panel, list, text};
use super::catalogue::known;
use super::promql::{is_ratio, labels, parse, selectors, unguarded_divisors};

/// File and uid of every board. Links and alerts name the uids: they stay.
pub(crate) const UIDS: [(&str, &str); 7] = [
    ("calls.json", "exotel-calls"),
    ("cost.json", "exotel-cost"),
    ("exophones.json", "exotel-exophones"),
    ("exporter.json", "exotel-exporter"),
    ("overview.json", "exotel-overview"),
    ("sms.json", "exotel-sms"),
    ("webhooks.json", "exotel-webhooks"),
];

const VARIABLES: [&str; 5] = ["datasource", "job", "instance", "account", "exophone"];

/// Keys that belong to an export for sharing; a provisioned board has a variable instead.
const UNWANTED: [&str; 5] = ["__inputs", "__requires", "__elements", "id", "gnetId"];

/// Everything in which a board is not as ours are.
pub(crate) fn check(board: &Board) -> Vec<Fault> {
    [frame, variables, links_and_annotations, banner, layout, panels, targets, samples, windows]
        .iter()
        .flat_map(|rule| rule(board))
        .collect()
}

fn frame(board: &Board) -> Vec<Fault> {
    let rule = "frame";
    let mut faults = Vec::new();
    for (key, wanted) in [
        ("schemaVersion", json!(39)),
        ("tags", json!(["exotel"])),
        ("editable", json!(false)),
        ("graphTooltip", json!(1)),
        ("timezone", json!("browser")),
    ] {
        if board.json[key] != wanted {
            faults.push(board.fault(rule, format!("{key} is {}, not {wanted}", board.json[key])));
        }
    }
    let uid = text(&board.json["uid"]);
    let expected = UIDS.iter().find(|(file, _)| *file == board.file).map(|(_, uid)| *uid);
    if expected != Some(uid.as_str()) {
        faults.push(board.fault(rule, format!("its uid is {uid:?}, not {expected:?}")));
    }
    if !board.title().starts_with("Exotel / ") || text(&board.json["description"]).is_empty() {
        faults
            .push(board.fault(rule, "its title does not begin with \"Exotel / \", or it has no description"));
    }
    for key in UNWANTED.iter().filter(|key| board.json.get(key).is_some()) {
        faults.push(board.fault(rule, format!("{key} has no place in it")));
    }
    faults
}

fn variables(board: &Board) -> Vec<Fault> {
    let rule = "variables";
    let list = list(&board.json["templating"]["list"]);
    let names: Vec<&str> = list.iter().filter_map(|variable| variable["name"].as_str()).collect();
    if names != VARIABLES {
        return vec![board.fault(rule, format!("its variables are {names:?}, not {VARIABLES:?}"))];
    }
    let mut faults = Vec::new();
    for variable in &list[1..] {
        let name = text(&variable["name"]);
        if variable["includeAll"] != true || variable["allValue"] != ".+" || variable["multi"] != true {
            faults.push(board.fault(rule, format!("variable {name} does not offer all, or not several")));
        }
        // A hidden one only hands a choice on from board to board.
        let used = board.targets().any(|(_, _, target)| target.expression.contains(&format!("\"${name}\"")));
        if used == (variable["hide"] == 2) {
            let how = if used { "used, but hidden" } else { "shown, but nothing uses it" };
            faults.push(board.fault(rule, format!("variable {name} is {how}")));
        }
    }
    faults
}

fn links_and_annotations(board: &Board) -> Vec<Fault> {
    let rule = "links";
    let links = list(&board.json["links"]);
    let mut faults = Vec::new();
    let to_boards = |link: &Value| {
        link["type"] == "dashboards"
            && link["tags"] == json!(["exotel"])
            && link["includeVars"] == true
            && link["keepTime"] == true
    };
    if !links.iter().any(to_boards) {
        faults.push(board.fault(rule, "no link to the other boards that keeps variables and time"));
    }
    if !links.iter().any(|link| link["title"] == "Runbooks") {
        faults.push(board.fault(rule, "no link to the runbooks"));
    }
    let annotations = list(&board.json["annotations"]["list"]);
    for severity in ["critical", "warning"] {
        let shows =
            |a: &Value| text(&a["expr"]).contains(&format!("severity=\"{severity}\"")) && a["enable"] == true;
        if !annotations.iter().any(shows) {
            faults.push(board.fault(rule, format!("no annotation shows {severity} alerts")));
        }
    }
    for annotation in annotations {
        if let Err(fault) = parse(&text(&annotation["expr"])) {
            faults.push(board.fault(rule, format!("annotation {}: {fault}", annotation["name"])));
        }
    }
    faults
}

/// Whoever looks at figures sees at once how far they can be trusted.
fn banner(board: &Board) -> Vec<Fault> {
    let top = |panel: &&Panel| panel.json["gridPos"]["y"].as_i64() < Some(10);
    let titles: BTreeSet<&str> = board.panels.iter().filter(top).map(|panel| panel.title.as_str()).collect();
    ["Are we blind?", "Age of call data", "Alerts firing"]
        .iter()
        .filter(|title| !titles.contains(*title))
        .map(|title| board.fault("banner", format!("{title:?} is not at its top")))
        .collect()
}

fn layout(board: &Board) -> Vec<Fault> {
    let rule = "layout";
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    let mut taken: Vec<(i64, i64, i64, i64, String)> = Vec::new();
    let rows = list(&board.json["panels"]).iter().filter(|panel| panel["type"] == "row");
    for json in rows.chain(board.panels.iter().map(|panel| &panel.json)) {
        let title = text(&json["title"]);
        if !ids.insert(json["id"].as_i64().unwrap_or(-1)) {
            faults.push(board.fault(rule, format!("{title:?} has an id that another panel has, or none")));
        }
    }
    // Folded rows lie over what comes after them, so each row is looked at by itself.
    let groups = std::iter::once(list(&board.json["panels"]))
        .chain(list(&board.json["panels"]).iter().map(|row| list(&row["panels"])));
    for group in groups {
        taken.clear();
        let mut lines: std::collections::BTreeMap<i64, i64> = std::collections::BTreeMap::new();
        for json in group {
            let place = |key: &str| json["gridPos"][key].as_i64().unwrap_or(-1);
            let (x, y, w, h, title) = (place("x"), place("y"), place("w"), place("h"), text(&json["title"]));
            if x < 0 || y < 0 || w < 4 || h < 1 || x + w > 24 {
                faults.push(board.fault(rule, format!("{title:?} is not on the grid")));
            }
            for (x2, y2, w2, h2, other) in &taken {
                if x < x2 + w2 && *x2 < x + w && y < y2 + h2 && *y2 < y + h {
                    faults.push(board.fault(rule, format!("{title:?} covers {other:?}")));
                }
            }
            *lines.entry(y).or_default() += w;
            taken.push((x, y, w, h, title));
        }
        for (y, width) in lines.into_iter().filter(|(_, width)| *width != 24) {
            faults.push(board.fault(rule, format!("the line at {y} is {width} wide, not 24")));
        }
    }
    faults
}

fn panels(board: &Board) -> Vec<Fault> {
    let rule = "panels";
    let mut faults = Vec::new();
    let mut titles = BTreeSet::new();
    for panel in &board.panels {
        if !titles.insert((panel.title.as_str(), panel.kind.as_str())) {
            faults.push(board.panel_fault(rule, panel, "another panel of its kind has the same title"));
        }
        let description = text(&panel.json["description"]);
        if !description.ends_with('.') || description.len() < 15 {
            faults.push(board.panel_fault(rule, panel, "its description is not a sentence"));
        }
        if panel.defaults()["unit"].as_str().is_none() {
            faults.push(board.panel_fault(rule, panel, "has no unit"));
        }
        let steps = list(&panel.defaults()["thresholds"]["steps"]);
        let values = panel.thresholds();
        if steps.len() != values.len() + 1 || !steps[0]["value"].is_null() || !values.is_sorted() {
            faults.push(board.panel_fault(
                rule,
                panel,
                "its thresholds do not begin with a base, or do not rise",
            ));
        }
        for mapping in list(&panel.defaults()["mappings"]) {
            let results: Vec<&Value> = match mapping["type"].as_str() {
                Some("value") => {
                    mapping["options"].as_object().into_iter().flat_map(|map| map.values()).collect()
                }
                _ => vec![&mapping["options"]["result"]],
            };
            if results
                .iter()
                .any(|result| text(&result["text"]).is_empty() || text(&result["color"]).is_empty())
            {
                faults.push(board.panel_fault(
                    rule,
                    panel,
                    "a state has a colour without a word, or a word without a colour",
                ));
            }
        }
        if panel.kind == "stat" && panel.targets.iter().any(|target| target.json["instant"] != true) {
            // The last value of a range may be hours old.
            faults.push(board.panel_fault(rule, panel, "a figure of now does not ask for now"));
        }
        let references: BTreeSet<&str> =
            panel.targets.iter().map(|target| target.reference.as_str()).collect();
        if references.len() != panel.targets.len() || references.contains("") {
            faults.push(board.panel_fault(rule, panel, "two queries have one reference, or one has none"));
        }
    }
    faults
}

fn targets(board: &Board) -> Vec<Fault> {
    board.check_targets("targets", |panel, target| {
        let mut reasons = Vec::new();
        if target.json["datasource"] != json!({"type": "prometheus", "uid": "${datasource}"}) {
            reasons.push(format!("its data source is {}", target.json["datasource"]));
        }
        let expression = match parse(&target.promql()) {
            Ok(expression) => expression,
            Err(fault) => return vec![fault],
        };
        reasons.extend(
            unguarded_divisors(&expression).into_iter().map(|d| format!("may divide by nothing: {d}")),
        );
        match labels(&expression, &known) {
            Err(fault) => reasons.push(fault),
            Ok(labels) => {
                let labels = labels.unwrap_or_default();
                let named =
                    legend_labels(&target.legend).into_iter().filter(|label| !labels.contains(*label));
                reasons.extend(
                    named.map(|label| format!("its legend names {label}, the result has {labels:?}")),
                );
            }
        }
        if panel.kind == "table" && target.json["format"] != "table" {
            reasons.push("a table asks for the format table".to_owned());
        }
        reasons
    })
}

/// A share says little without the number of calls that it rests on.
fn samples(board: &Board) -> Vec<Fault> {
    board
        .panels
        .iter()
        .filter(|panel| {
            ["stat", "timeseries"].contains(&panel.kind.as_str()) && panel.defaults()["unit"] == "percentunit"
        })
        .filter(|panel| {
            let parsed = panel.targets.iter().filter_map(|target| parse(&target.promql()).ok());
            let (ratios, others): (Vec<_>, Vec<_>) = parsed.partition(is_ratio);
            let sample = |e| selectors(e).iter().any(|s| s.function.as_deref() == Some("increase"));
            !ratios.is_empty() && !others.iter().any(sample)
        })
        .map(|panel| board.panel_fault("samples", panel, "shows a ratio without the number that it rests on"))
        .collect()
}

/// Settled calls move once in a sync interval (15 min), so that a shorter window than four of them jumps.
fn windows(board: &Board) -> Vec<Fault> {
    let settled = |name: &str| name.starts_with("exotel_call") || name.starts_with("exotel_reconcile_");
    board.check_targets("windows", |_, target| {
        let Ok(expression) = parse(&target.promql()) else { return vec![] };
        selectors(&expression)
            .into_iter()
            .filter(|s| settled(&s.name) && known(&s.name).is_some_and(|metric| metric.kind != Kind::Gauge))
            .filter(|s| {
                s.range.is_some_and(|range| range < Duration::from_secs(3600))
                    || s.function.as_deref() == Some("rate")
            })
            .map(|s| format!("{} moves with the sync: it wants increase over an hour or more", s.name))
            .collect()
    })
}

/// `{{a}} and {{b}}`: a, b.
fn legend_labels(legend: &str) -> Vec<&str> {
    legend
        .split("{{")
        .skip(1)
        .filter_map(|rest| rest.split_once("}}"))
        .map(|(label, _)| label.trim())
        .collect()
}
