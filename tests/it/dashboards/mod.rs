//! Dashboards: what Grafana's linter asks, what we ask of ourselves, and every query on a real Prometheus.

mod board;
mod catalogue;
mod deploy;
mod house;
mod limits;
mod linter;
mod live;
mod promql;
mod units;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use self::board::{Board, Fault, all, folder};
use self::linter::{Exceptions, lint};
use crate::support::process::run;
use crate::support::{note, tools};

/// Everything that is wrong with a board, as lines to read.
fn faults(board: &Board, exceptions: &Exceptions) -> Vec<String> {
    let mut faults: Vec<Fault> = lint(board, exceptions);
    faults.extend(house::check(board));
    faults.extend(limits::check(board));
    faults.sort();
    faults.iter().map(Fault::to_string).collect()
}

#[test]
fn every_dashboard_keeps_the_rules_of_grafana_s_linter_and_ours() {
    let exceptions = Exceptions::of_the_project();
    let faults: Vec<String> = all().iter().flat_map(|board| faults(board, &exceptions)).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_dashboard_is_there_and_no_exception_is_idle() {
    let files: Vec<String> = all().into_iter().map(|board| board.file).collect();
    assert_eq!(files, house::UIDS.map(|(file, _)| file));
    let exceptions = Exceptions::of_the_project();
    let idle = exceptions.idle(&all());
    assert!(idle.is_empty(), "dashboards/.lint: {idle:#?}");
    let kinds = [&exceptions.exclusions, &exceptions.warnings].into_iter().flatten();
    for (rule, exception) in kinds {
        assert!(exception.reason.len() > 20, "dashboards/.lint: {rule} needs a reason");
    }
}

#[test]
fn the_files_are_what_their_builder_writes() {
    let mut command = Command::new(tools::python());
    command.arg(folder().join("build.py")).arg("--check");
    let finished = run(command);
    assert_eq!(finished.code, Some(0), "{}{}", finished.stdout, finished.stderr);
}

/// The strict schema that Grafana publishes is not part of this repository; who has it names it.
#[test]
fn the_official_schema_accepts_every_dashboard() {
    let Some(schema) = std::env::var_os("EXOTEL_GRAFANA_SCHEMA") else {
        note("SKIPPED: Grafana's own schema: EXOTEL_GRAFANA_SCHEMA names no file");
        return;
    };
    let files: Vec<PathBuf> = all().iter().map(|board| folder().join(&board.file)).collect();
    assert_eq!(deploy::schema_faults(Path::new(&schema), &files), "");
}

/// A board of the project with something broken in it, and what is said of it.
#[track_caller]
fn broken(file: &str, change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut json = Board::read(&folder().join(file)).json;
    change(&mut json);
    faults(&Board::new(file.to_owned(), json), &Exceptions::of_the_project())
}

/// The panel with a title, wherever it stands.
fn panel<'a>(board: &'a mut Value, title: &str) -> &'a mut Value {
    let panels = board["panels"].as_array_mut().expect("panels");
    panels.iter_mut().find(|panel| panel["title"] == title).expect("a panel of this title")
}

#[test]
fn a_broken_dashboard_is_told_with_file_panel_and_reason() {
    type Change = fn(&mut Value);
    let cases: &[(Change, &str)] = &[
        (
            |board| {
                panel(board, "Short calls")["targets"][0]["expr"] =
                    json!("sum(increase(exotel_calls_short_total[1h])")
            },
            "calls.json: panel \"Short calls\", query A: ",
        ),
        (
            |board| {
                panel(board, "Talk time")["targets"][0]["expr"] =
                    json!("exotel_tallk{job=~\"$job\",instance=~\"$instance\"}")
            },
            "calls.json: panel \"Talk time\", query A: there is no metric exotel_tallk (targets)",
        ),
        (
            |board| panel(board, "Calls by outcome")["targets"][0]["legendFormat"] = json!("{{status}}"),
            "calls.json: panel \"Calls by outcome\", query A: its legend names status, the result has {\"outcome\"} (targets)",
        ),
        (
            |board| {
                panel(board, "Abandoned")["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"] =
                    json!(0.2)
            },
            "calls.json: panel \"Abandoned\": its limit 0.2 is that of no alert it links to (limits)",
        ),
        (
            |board| panel(board, "Abandoned")["fieldConfig"]["defaults"]["unit"] = json!("percents"),
            "calls.json: panel \"Abandoned\": \"percents\" is no unit of Grafana (panel-units-rule)",
        ),
        (
            |board| panel(board, "Abandoned")["description"] = json!(""),
            "calls.json: panel \"Abandoned\": has no title or no description (panel-title-description-rule)",
        ),
        (
            |board| panel(board, "Abandoned")["datasource"]["uid"] = json!("P1809F7CD0C75ACF3"),
            "calls.json: panel \"Abandoned\": its data source is \"P1809F7CD0C75ACF3\" (panel-datasource-rule)",
        ),
        (
            |board| panel(board, "Abandoned")["gridPos"]["x"] = json!(13),
            "calls.json: \"Abandoned\" covers \"Talk time\" (layout)",
        ),
        (
            |board| panel(board, "Abandoned")["targets"].as_array_mut().unwrap().truncate(1),
            "calls.json: panel \"Abandoned\": shows a ratio without the number that it rests on (samples)",
        ),
        (
            |board| panel(board, "Abandoned")["targets"] = json!([]),
            "calls.json: panel \"Abandoned\": has no query (panel-no-targets-rule)",
        ),
        (
            |board| {
                panel(board, "Calls by outcome")["targets"][0]["expr"] = json!(
                    "sum by (outcome) (rate(exotel_call_outcomes_total{job=~\"$job\",instance=~\"$instance\"}[5m]))"
                )
            },
            "calls.json: panel \"Calls by outcome\", query A: rate of exotel_call_outcomes_total is not over $__rate_interval (target-rate-interval-rule)",
        ),
        (
            |board| {
                panel(board, "Calls by outcome")["targets"][0]["expr"] = json!(
                    "sum by (outcome) (exotel_call_outcomes_total{job=~\"$job\",account=~\"$account\"})"
                )
            },
            "calls.json: panel \"Calls by outcome\", query A: exotel_call_outcomes_total is not chosen by instance=~\"$instance\" (target-instance-rule)",
        ),
        (
            |board| {
                panel(board, "Calls by outcome")["targets"][0]["expr"] = json!(
                    "sum by (outcome) (exotel_call_outcomes_total{job=~\"$job\",instance=~\"$instance\"})"
                )
            },
            "calls.json: panel \"Calls by outcome\", query A: the counter exotel_call_outcomes_total is not inside rate, irate or increase (target-counter-agg-rule)",
        ),
        (
            |board| board["uid"] = json!("calls"),
            "calls.json: its uid is \"calls\", not Some(\"exotel-calls\") (frame)",
        ),
        (|board| board["editable"] = json!(true), "calls.json: editable is not false (uneditable-dashboard)"),
        (
            |board| board["templating"]["list"][1]["multi"] = json!(false),
            "calls.json: variable job: multi is false (template-job-rule)",
        ),
        (
            |board| board["templating"]["list"][2]["refresh"] = json!(1),
            "calls.json: variable \"instance\": refresh is 1 (template-on-time-change-reload-rule)",
        ),
        (
            |board| board["templating"]["list"][3]["query"] = json!("label_values(exotel_up{, account)"),
            "calls.json: variable account: label_values(exotel_up{, account): ",
        ),
        (
            |board| board["templating"]["list"][0]["label"] = json!("Prometheus"),
            "calls.json: the variable datasource is labelled \"Prometheus\" (template-datasource-rule)",
        ),
        (
            |board| board["annotations"]["list"] = json!([]),
            "calls.json: no annotation shows critical alerts (links)",
        ),
    ];
    assert!(broken("calls.json", |_| {}).is_empty(), "the whole one has no faults");
    for (change, expected) in cases {
        let faults = broken("calls.json", change);
        assert!(
            faults.iter().any(|fault| fault.starts_with(expected)),
            "{expected}\nis not among\n{}",
            faults.join("\n")
        );
    }
}

#[test]
#[should_panic(expected = "calls.json: no JSON: ")]
fn a_file_that_is_no_json_is_named() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("calls.json");
    std::fs::write(&file, "{\"title\": \"Calls\",}").unwrap();
    Board::read(&file);
}
