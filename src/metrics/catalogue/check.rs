//! Compares a scrape with the catalogue. Used by the tests; it needs nothing but the text.

use std::collections::{BTreeMap, BTreeSet};

use super::{ALL, Family, Kind, Presence, find};

/// What a scrape in the text format 0.0.4 has that the catalogue has not, and the other way round.
///
/// Compared are names, types and label names. `expected` says which families of
/// [`Presence::Always`] must be there. One sentence for each difference; none if they agree.
pub fn differences(text: &str, expected: impl Fn(&Family) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    let mut with_series: BTreeSet<&str> = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, ""));
            if types.insert(name, kind).is_some() {
                found.push(format!("{name}: two TYPE lines"));
            }
        } else if !line.starts_with('#') && !line.is_empty() {
            match sample(line) {
                None => found.push(format!("not a sample: {line}")),
                Some((name, labels)) => {
                    let (family, labels) = family_of(name, labels, &types);
                    with_series.insert(family);
                    found.extend(wrong_labels(family, &labels));
                }
            }
        }
    }
    for (name, kind) in &types {
        match find(name) {
            None => found.push(format!("{name}: not in the catalogue")),
            Some(family) if family.kind.as_str() != *kind => {
                found.push(format!("{name}: is a {kind}, the catalogue says {}", family.kind.as_str()));
            }
            Some(_) => {}
        }
    }
    for family in ALL.iter().filter(|f| f.presence == Presence::Always && expected(f)) {
        if !with_series.contains(family.name) {
            found.push(format!("{}: missing from the scrape", family.name));
        }
    }
    found.sort();
    found.dedup();
    found
}

fn wrong_labels(name: &str, labels: &BTreeSet<&str>) -> Option<String> {
    let family = find(name)?;
    let expected: BTreeSet<&str> = family.labels.iter().copied().collect();
    (expected != *labels).then(|| format!("{name}: labels {labels:?}, the catalogue says {expected:?}"))
}

/// The family of a sample, and the labels without `le` on a histogram's bucket.
fn family_of<'a>(
    name: &'a str,
    mut labels: BTreeSet<&'a str>,
    types: &BTreeMap<&'a str, &'a str>,
) -> (&'a str, BTreeSet<&'a str>) {
    for suffix in ["_bucket", "_sum", "_count"] {
        if let Some(stem) = name.strip_suffix(suffix)
            && types.get(stem) == Some(&Kind::Histogram.as_str())
        {
            if suffix == "_bucket" {
                labels.remove("le");
            }
            return (stem, labels);
        }
    }
    (name, labels)
}

/// Name and label names of `name{a="x",b="y"} 1`; none if the line is not of that form.
fn sample(line: &str) -> Option<(&str, BTreeSet<&str>)> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let mut labels = BTreeSet::new();
    let Some(mut rest) = rest.strip_prefix('{') else { return Some((name, labels)) };
    loop {
        if let Some(value) = rest.strip_prefix("} ") {
            return value.parse::<f64>().is_ok().then_some((name, labels));
        }
        let (label, value) = rest.split_once("=\"")?;
        labels.insert(label);
        let mut escaped = false;
        let close = value.find(|c| match c {
            _ if escaped => {
                escaped = false;
                false
            }
            '\\' => {
                escaped = true;
                false
            }
            c => c == '"',
        })?;
        rest = &value[close + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
# HELP exotel_up x
# TYPE exotel_up gauge
exotel_up{account=\"a \\\"b\\\", } 1\"} 1
# TYPE exotel_store_operation_duration_seconds histogram
exotel_store_operation_duration_seconds_sum{op=\"read\"} 0.5
exotel_store_operation_duration_seconds_count{op=\"read\"} 1
exotel_store_operation_duration_seconds_bucket{le=\"+Inf\",op=\"read\"} 1
";

    fn only(names: &'static [&str]) -> impl Fn(&Family) -> bool {
        move |family| names.contains(&family.name)
    }

    #[test]
    fn a_scrape_that_agrees_has_no_differences() {
        let expected = only(&["exotel_up", "exotel_store_operation_duration_seconds"]);
        assert_eq!(differences(GOOD, expected), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_difference_is_named() {
        let text = "\
# TYPE exotel_up counter
exotel_up{acount=\"a\"} 1
# TYPE exotel_made_up gauge
exotel_made_up 1
exotel_ready{
";
        assert_eq!(
            differences(text, only(&["exotel_up", "exotel_exporter_ready"])),
            [
                "exotel_exporter_ready: missing from the scrape",
                "exotel_made_up: not in the catalogue",
                "exotel_up: is a counter, the catalogue says gauge",
                "exotel_up: labels {\"acount\"}, the catalogue says {\"account\"}",
                "not a sample: exotel_ready{",
            ]
        );
    }
}
