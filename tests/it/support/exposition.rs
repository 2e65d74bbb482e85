//! A strict reader of both exposition formats: text 0.0.4 and OpenMetrics 1.0.0.
//!
//! It refuses what a lenient scraper would let pass: a family without TYPE or HELP, a sample under the wrong family or
//! with the wrong suffix, a series twice, buckets that fall, a missing `# EOF`, a timestamp.

mod line;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use line::Line;

/// Which format a text is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `text/plain; version=0.0.4`.
    Text,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

/// A family with its samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Family {
    /// As in its TYPE line: with `_total` for a counter of the text format, without in OpenMetrics.
    pub(crate) name: String,
    /// counter, gauge, histogram, info or unknown.
    pub(crate) kind: String,
    /// HELP, unescaped.
    pub(crate) help: String,
    /// UNIT of OpenMetrics, else empty.
    pub(crate) unit: String,
    /// In the order they came.
    pub(crate) samples: Vec<Sample>,
}

/// One line with a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// With its suffix.
    pub(crate) name: String,
    /// Unescaped.
    pub(crate) labels: BTreeMap<String, String>,
    /// The value.
    pub(crate) value: f64,
}

/// Reads a whole scrape.
///
/// # Errors
/// The first fault, with the number of its line.
pub(crate) fn parse(format: Format, text: &str) -> Result<Vec<Family>, String> {
    let body = match format {
        Format::Text => text,
        Format::OpenMetrics => text
            .strip_suffix('\n')
            .unwrap_or(text)
            .strip_suffix("# EOF")
            .ok_or("the last line is not # EOF")?,
    };
    if !body.is_empty() && !body.ends_with('\n') {
        return Err("the last line does not end".to_owned());
    }
    let mut reader = Reader { format, families: Vec::new(), names: HashSet::new(), series: HashSet::new() };
    for (number, text) in body.lines().enumerate() {
        line::parse(format, text)
            .and_then(|line| reader.take(line))
            .map_err(|fault| format!("line {}: {fault}: {text}", number + 1))?;
    }
    for family in &reader.families {
        check(format, family).map_err(|fault| format!("family {}: {fault}", family.name))?;
    }
    Ok(reader.families)
}

struct Reader {
    format: Format,
    families: Vec<Family>,
    names: HashSet<String>,
    series: HashSet<String>,
}

impl Reader {
    fn take(&mut self, line: Line) -> Result<(), String> {
        match line {
            Line::Help(name, help) => set(&mut self.open(name)?.help, help, "a second HELP, or an empty one"),
            Line::Type(name, kind) => set(&mut self.open(name)?.kind, kind, "a second TYPE"),
            Line::Unit(name, unit) => set(&mut self.open(name)?.unit, unit, "a second UNIT, or an empty one"),
            Line::Sample(sample) => {
                let format = self.format;
                let family = self.families.last_mut().ok_or("a sample before any family")?;
                if !suffixes(format, &family.kind)
                    .iter()
                    .any(|suffix| sample.name.strip_suffix(suffix) == Some(family.name.as_str()))
                {
                    return Err(format!("no sample of {} {}", family.kind, family.name));
                }
                if !self.series.insert(format!("{}{:?}", sample.name, sample.labels)) {
                    return Err("the same series twice".to_owned());
                }
                family.samples.push(sample);
                Ok(())
            }
        }
    }

    /// The family that a line of metadata speaks of: the last one while it has no samples, or a new one.
    fn open(&mut self, name: String) -> Result<&mut Family, String> {
        let goes_on = self.families.last().is_some_and(|family| family.name == name);
        if goes_on {
            let family = self.families.last_mut().expect("the family just seen");
            return if family.samples.is_empty() {
                Ok(family)
            } else {
                Err("metadata after samples".to_owned())
            };
        }
        if !self.names.insert(name.clone()) {
            return Err("a family in two places".to_owned());
        }
        self.families.push(Family { name, ..Family::default() });
        Ok(self.families.last_mut().expect("the family just made"))
    }
}

fn set(field: &mut String, value: String, fault: &str) -> Result<(), String> {
    if !field.is_empty() || value.is_empty() {
        return Err(fault.to_owned());
    }
    *field = value;
    Ok(())
}

fn suffixes(format: Format, kind: &str) -> &'static [&'static str] {
    match (format, kind) {
        (Format::Text, "counter" | "gauge" | "untyped") => &[""],
        (Format::OpenMetrics, "gauge" | "unknown") => &[""],
        (Format::OpenMetrics, "counter") => &["_total", "_created"],
        (Format::OpenMetrics, "info") => &["_info"],
        (Format::Text, "histogram") => &["_bucket", "_sum", "_count"],
        (Format::OpenMetrics, "histogram") => &["_bucket", "_sum", "_count", "_created"],
        _ => &[],
    }
}

fn check(format: Format, family: &Family) -> Result<(), String> {
    let Family { name, kind, help, unit, samples } = family;
    if kind.is_empty() || suffixes(format, kind).is_empty() {
        return Err(format!("TYPE {kind:?}"));
    }
    if help.is_empty() {
        return Err("no HELP".to_owned());
    }
    if !unit.is_empty() && !name.ends_with(&format!("_{unit}")) {
        return Err(format!("its name does not end in its unit, {unit}"));
    }
    match (format, kind.as_str()) {
        (Format::Text, "counter") if !name.ends_with("_total") => {
            return Err("a counter without _total".to_owned());
        }
        (Format::OpenMetrics, _) if name.ends_with("_total") => return Err("_total in the name".to_owned()),
        (_, "gauge") if name.ends_with("_total") => return Err("a gauge with _total".to_owned()),
        _ => {}
    }
    for sample in samples {
        let falls_never = kind == "counter" || kind == "histogram" && !sample.name.ends_with("_sum");
        if falls_never && (sample.value < 0.0 || !sample.value.is_finite()) {
            return Err(format!("{} of a {kind}", sample.value));
        }
        if sample.labels.contains_key("le") != (kind == "histogram" && sample.name.ends_with("_bucket")) {
            return Err("the label le belongs on every bucket, and only there".to_owned());
        }
    }
    if kind == "histogram" { check_histogram(format, samples) } else { Ok(()) }
}

/// Buckets rise with `le`, end with `+Inf`, and agree with `_count`; `_sum` is there.
fn check_histogram(format: Format, samples: &[Sample]) -> Result<(), String> {
    #[derive(Default)]
    struct Parts {
        buckets: Vec<(f64, f64)>,
        sum: bool,
        count: Option<f64>,
    }
    let mut metrics: BTreeMap<BTreeMap<String, String>, Parts> = BTreeMap::new();
    for sample in samples {
        let mut labels = sample.labels.clone();
        let le = labels.remove("le");
        let parts = metrics.entry(labels).or_default();
        if let Some(le) = le {
            if format == Format::OpenMetrics && le != "+Inf" && !le.contains(['.', 'e']) {
                return Err(format!("le={le:?} is not a canonical float"));
            }
            parts.buckets.push((line::number(&le)?, sample.value));
        } else if sample.name.ends_with("_sum") {
            parts.sum = true;
        } else if sample.name.ends_with("_count") {
            parts.count = Some(sample.value);
        }
    }
    for (labels, parts) in metrics {
        let rising = parts.buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let last = parts.buckets.last().copied();
        if !rising {
            return Err(format!("buckets of {labels:?} do not rise"));
        }
        if last.is_none_or(|(le, _)| le != f64::INFINITY) {
            return Err(format!("{labels:?} has no +Inf bucket at its end"));
        }
        if !parts.sum || parts.count != last.map(|(_, count)| count) {
            return Err(format!("_sum or _count of {labels:?} is missing or not that of +Inf"));
        }
    }
    Ok(())
}
