//! `docs/runbooks/` and `docs/alerts.md`: a page for each alert and an alert for each page, and every link leads somewhere.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use exotel_exporter::metrics::catalogue;

use super::rules::{Rule, alerts, all};
use super::{file_name, files_of, golden, repository, text_of};

const SECTIONS: [&str; 5] = ["## Meaning", "## Impact", "## Check", "## Do", "## False alarm"];

fn names() -> BTreeSet<String> {
    alerts().into_iter().map(|rule| rule.name).collect()
}

/// Pages of single alerts.
fn pages() -> Vec<(String, String)> {
    files_of("docs/runbooks", ".md")
        .iter()
        .map(|path| (file_name(path), std::fs::read_to_string(path).unwrap()))
        .filter(|(name, _)| name != "README.md")
        .collect()
}

#[test]
fn each_alert_has_a_page_and_each_page_an_alert() {
    let pages: BTreeSet<String> =
        pages().iter().map(|(name, _)| name.trim_end_matches(".md").to_owned()).collect();
    assert_eq!(pages, names());
}

#[test]
fn each_page_says_the_five_things_in_order() {
    for (name, text) in pages() {
        assert!(text.starts_with(&format!("# {}\n", name.trim_end_matches(".md"))), "{name}: its title");
        let found: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(found, SECTIONS, "{name}");
        for section in text.split("\n## ").skip(1) {
            let said = section.split_once('\n').map_or("", |(_, text)| text).trim();
            assert!(said.len() > 20, "{name}: {section:?} says nothing");
        }
        assert!(text.len() < 4_000, "{name}: nobody reads that much at night");
    }
}

/// What GitHub makes of a heading.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_')
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Faults of the links of a page.
fn broken_links(page: &Path, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        if link.starts_with("http") {
            continue;
        }
        let (file, heading) =
            link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
        let target = if file.is_empty() { page.to_owned() } else { page.parent().unwrap().join(file) };
        match (std::fs::metadata(&target), heading) {
            (Err(_), _) => faults.push(format!("{}: no file {link}", page.display())),
            (Ok(_), Some(heading)) => {
                let there = std::fs::read_to_string(&target).unwrap();
                if !there.lines().any(|line| line.starts_with('#') && anchor(line) == heading) {
                    faults.push(format!("{}: no heading {link}", page.display()));
                }
            }
            (Ok(_), None) => {}
        }
    }
    faults
}

#[test]
fn every_link_leads_somewhere() {
    let mut pages = files_of("docs/runbooks", ".md");
    pages.push(repository("docs/alerts.md"));
    let faults: Vec<String> =
        pages.iter().flat_map(|page| broken_links(page, &std::fs::read_to_string(page).unwrap())).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let page = repository("docs/runbooks/README.md");
    assert_eq!(
        broken_links(&page, "[a](nowhere.md) [b](../counting.md#nowhere) [c](../counting.md#as-what)").len(),
        2
    );
}

#[test]
fn metrics_that_pages_name_are_those_of_rules_or_of_the_catalogue() {
    let mut known: BTreeSet<String> = catalogue::ALL.iter().map(|family| family.name.to_owned()).collect();
    for rule in all() {
        known.extend(metrics_in(&rule.text));
        known.insert(rule.name);
    }
    for (name, text) in pages() {
        for metric in metrics_in(&text) {
            assert!(known.contains(&metric), "{name}: no metric {metric}");
        }
    }
    assert_eq!(
        metrics_in("`a:exotel_x:r1h` or exotel_y_bucket{}."),
        ["a:exotel_x:r1h".into(), "exotel_y".into()].into()
    );
}

/// Names of metrics and recorded series, without the end that a histogram has.
fn metrics_in(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
        .filter(|word| word.contains("exotel_") && !word.ends_with(':'))
        .map(|word| word.trim_end_matches("_bucket").to_owned())
        .collect()
}

#[test]
fn the_tables_of_alerts_are_those_of_the_rules() {
    let between = |path: &str, table: String| {
        let text = text_of(path);
        let (head, rest) = text.split_once("<!-- alerts -->\n").unwrap_or_else(|| panic!("{path}: no mark"));
        let (_, tail) = rest.split_once("<!-- /alerts -->").unwrap_or_else(|| panic!("{path}: no mark"));
        golden(path, &format!("{head}<!-- alerts -->\n{table}<!-- /alerts -->{tail}"));
    };
    between("docs/alerts.md", table(&alerts(), "runbooks/"));
    between("docs/runbooks/README.md", table(&alerts(), ""));
}

/// Alerts with what they say, in the order of the files.
fn table(alerts: &[Rule], folder: &str) -> String {
    let mut text = "| alert | severity | after | what it says |\n|---|---|---|---|\n".to_owned();
    for rule in alerts {
        let hold = match rule.hold {
            0 => "at once".to_owned(),
            hold if hold % 3600 == 0 => format!("{} h", hold / 3600),
            hold => format!("{} min", hold / 60),
        };
        let summary = readable(&rule.annotations["summary"]);
        writeln!(text, "| [{0}]({folder}{0}.md) | {1} | {hold} | {summary} |", rule.name, rule.severity())
            .unwrap();
    }
    text
}

/// `{{ $labels.account }}` as *account*.
fn readable(summary: &str) -> String {
    summary
        .split("{{ ")
        .map(|part| match part.split_once(" }}") {
            Some((label, rest)) => format!("*{}*{rest}", label.trim_start_matches("$labels.")),
            None => part.to_owned(),
        })
        .collect()
}
