//! Every query of every panel, asked of a real Prometheus that scrapes the demo under a lively and faulty Exotel.

use std::collections::BTreeMap;
use std::path::Path;

use super::board::{Board, Panel, Target, all, interpolate};
use crate::support::exposition::Format;
use crate::support::process::{Process, exotel_exporter};
use crate::support::prometheus::Prometheus;
use crate::support::scrape::scrape;
use crate::support::tools::Version;
use crate::support::{eventually, free_port, secs};

/// Queries that may find nothing: board, title of the panel, reference of the query, why.
const MAY_BE_EMPTY: &[(&str, &str, &str, &str)] = &[
    ("calls.json", "Leg details and corrections", "B", "Exotel may change nothing after a call was counted"),
    ("calls.json", "Waiting to be counted", "A", "there is no oldest call while none waits"),
    ("exporter.json", "Budget used", "C", "the simulated Exotel may not say what remains"),
    ("exporter.json", "Errors and rows removed", "B", "nothing is old enough to be removed"),
    ("exporter.json", "Failed requests", "C", "retries may help every time"),
    ("exporter.json", "Store used", "A", "the demo sets no store.max_size"),
    ("exporter.json", "Size", "B", "the demo sets no store.max_size"),
];

/// What the variables stand for when all is chosen.
fn chosen() -> BTreeMap<&'static str, &'static str> {
    ["job", "instance", "account", "exophone"].into_iter().map(|name| (name, ".+")).collect()
}

/// A query as Grafana would send it.
fn sent(target: &Target) -> String {
    interpolate(&target.expression, &chosen())
}

/// The same for a world that is a minute old: a week and a day before are seconds before.
fn in_a_young_world(expression: &str) -> String {
    expression.replace(" offset 1w", " offset 5s").replace(" offset 1d", " offset 5s")
}

fn is_excused(board: &Board, panel: &Panel, target: &Target) -> bool {
    // This Prometheus has no rules, so that nothing ever fires.
    target.expression.contains("ALERTS{")
        || MAY_BE_EMPTY.iter().any(|(file, title, reference, _)| {
            *file == board.file && *title == panel.title && *reference == target.reference
        })
}

/// What is wrong with the answers, query by query.
fn wrong_answers(prometheus: &Prometheus) -> Vec<String> {
    let mut wrong = Vec::new();
    for board in all() {
        for (panel, number, target) in board.targets() {
            let place = |reason: String| super::Fault {
                target: Some(number),
                ..board.panel_fault("live", panel, reason)
            };
            // As it is: no error and no warning; an empty answer may be due to the world's youth.
            if let Err(fault) = prometheus.query(&sent(target)) {
                wrong.push(place(fault).to_string());
                continue;
            }
            match prometheus.query(&in_a_young_world(&sent(target))) {
                Err(fault) => wrong.push(place(fault).to_string()),
                Ok(series) if series.is_empty() && !is_excused(&board, panel, target) => {
                    wrong.push(place("finds nothing".to_owned()).to_string());
                }
                Ok(series) => {
                    let values = series.into_iter().filter(|(_, value)| value.is_nan());
                    wrong.extend(
                        values.map(|(labels, _)| place(format!("is not a number for {labels}")).to_string()),
                    );
                }
            }
        }
    }
    wrong
}

/// A demo, and where it is scraped.
fn demo(folder: &Path, scenario: &str) -> (Process, String) {
    let port = free_port();
    let mut command = exotel_exporter(folder);
    command.args(["demo", "--scenario", scenario, "--log.level=error"]);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).env("TMPDIR", folder);
    let mut demo = Process::start(&format!("the demo of {scenario}"), command);
    let url = format!("http://127.0.0.1:{port}/metrics");
    eventually(secs(20), "the demo is scraped", || {
        demo.must_run();
        scrape(&url, Format::Text).map(|_| ())
    });
    (demo, url)
}

#[test]
fn every_query_of_every_dashboard_finds_something_on_a_real_prometheus() {
    let folder = tempfile::TempDir::new().unwrap();
    // Two agents with an account of the same name: what is not made for several fails by series that match twice.
    let (mut faulty, faulty_url) = demo(folder.path(), "mixed");
    let (mut calm, calm_url) = demo(folder.path(), "demo");
    let start = |version| Prometheus::start(version, &[&faulty_url, &calm_url]);
    let servers: Vec<Prometheus> = Version::here().into_iter().map(start).collect();
    for prometheus in &servers {
        eventually(secs(120), "every query finds something", || {
            faulty.must_run();
            calm.must_run();
            let wrong = wrong_answers(prometheus);
            if wrong.is_empty() {
                Ok(())
            } else {
                Err(format!("{} queries:\n{}", wrong.len(), wrong.join("\n")))
            }
        });
    }
}

#[test]
fn what_may_be_empty_is_a_query_that_there_is() {
    let boards = all();
    for (file, title, reference, reason) in MAY_BE_EMPTY {
        let there = boards
            .iter()
            .filter(|board| board.file == *file)
            .flat_map(Board::targets)
            .any(|(panel, _, target)| panel.title == *title && target.reference == *reference);
        assert!(there, "{file}: {title}, query {reference} ({reason})");
    }
}
