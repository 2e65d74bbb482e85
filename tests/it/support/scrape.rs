//! A scrape, read strictly, and questions to it that fail with what was there instead.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::exposition::{self, Family, Format, Sample};
use super::http;

/// What Prometheus 2.42 asks for.
pub(crate) const ACCEPT_OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
     text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// The Content-Type of text 0.0.4.
pub(crate) const TEXT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The Content-Type of OpenMetrics.
pub(crate) const OPENMETRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One scrape.
#[derive(Clone, Debug)]
pub(crate) struct Scrape {
    /// As it came.
    pub(crate) text: String,
    /// Read.
    pub(crate) families: Vec<Family>,
}

/// Scrapes `url` in a format, and demands status 200, the exact Content-Type and a body without fault.
pub(crate) fn scrape(url: &str, format: Format) -> Result<Scrape, String> {
    let (accept, expected) = match format {
        Format::Text => ("text/plain", TEXT_TYPE),
        Format::OpenMetrics => (ACCEPT_OPENMETRICS, OPENMETRICS_TYPE),
    };
    let answer = http::get_with(url, &[("Accept", accept)])?;
    if answer.status != 200 || answer.header("content-type") != expected {
        return Err(format!("status {}, Content-Type {:?}", answer.status, answer.header("content-type")));
    }
    Scrape::read(format, answer.text())
}

impl Scrape {
    /// Reads a text.
    pub(crate) fn read(format: Format, text: String) -> Result<Self, String> {
        let families = exposition::parse(format, &text)?;
        Ok(Self { text, families })
    }

    /// The series of this name (with its suffix), to be narrowed by labels.
    pub(crate) fn metric(&self, name: &str) -> Series<'_> {
        let samples = self.samples().filter(|sample| sample.name == name).collect();
        Series { question: name.to_owned(), of_name: samples, labels: Vec::new() }
    }

    /// Every sample.
    pub(crate) fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.families.iter().flat_map(|family| &family.samples)
    }

    /// Every series with its value, comparable between two scrapes.
    pub(crate) fn series(&self) -> BTreeMap<String, f64> {
        self.samples().map(|sample| (sample_text(sample), sample.value)).collect()
    }
}

/// Series of one name that carry certain labels.
#[derive(Clone, Debug)]
pub(crate) struct Series<'a> {
    question: String,
    of_name: Vec<&'a Sample>,
    labels: Vec<(String, String)>,
}

impl Series<'_> {
    /// Only those with this label.
    pub(crate) fn label(mut self, name: &str, value: &str) -> Self {
        write!(self.question, " {name}={value:?}").expect("writing into a text");
        self.labels.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The value of the only series.
    ///
    /// # Panics
    /// When there is none, or more than one.
    #[track_caller]
    pub(crate) fn value(&self) -> f64 {
        match self.matching()[..] {
            [sample] => sample.value,
            ref several => panic!("{self} asks for one series, {} match", several.len()),
        }
    }

    /// Asserts that there is exactly one series, with this value.
    #[track_caller]
    pub(crate) fn is(&self, expected: impl Into<f64>) {
        let (found, expected) = (self.value(), expected.into());
        assert!(found == expected, "{expected} expected, {found} found: {self}");
    }

    /// The sum of all, 0 when there is none.
    pub(crate) fn sum(&self) -> f64 {
        self.matching().iter().map(|sample| sample.value).sum()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.matching().len()
    }

    /// `Ok` when the sum is `expected` to a millionth, for use in `eventually`.
    pub(crate) fn sums_to(&self, expected: f64) -> Result<(), String> {
        let sum = self.sum();
        if (sum - expected).abs() < 1e-6 {
            Ok(())
        } else {
            Err(format!("{expected} expected, {sum} found: {self}"))
        }
    }

    /// `Ok` when the sum is at least this much, for use in `eventually`.
    pub(crate) fn at_least(&self, least: f64) -> Result<f64, String> {
        let sum = self.sum();
        if sum >= least { Ok(sum) } else { Err(format!("at least {least} expected, {sum} found: {self}")) }
    }

    /// The values by one label, summed over the others.
    pub(crate) fn by(&self, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for sample in self.matching() {
            *sums.entry(sample.labels.get(label).cloned().unwrap_or_default()).or_default() += sample.value;
        }
        sums
    }

    fn matching(&self) -> Vec<&Sample> {
        let fits = |sample: &&&Sample| {
            self.labels
                .iter()
                .all(|(name, value)| sample.labels.get(name).is_some_and(|found| found == value))
        };
        self.of_name.iter().filter(fits).copied().collect()
    }
}

/// The question, and every series of the name with its value.
impl fmt::Display for Series<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; of this name there are {}:", self.question, self.of_name.len())?;
        for sample in self.of_name.iter().take(80) {
            writeln!(f, "    {} {}", sample_text(sample), sample.value)?;
        }
        Ok(())
    }
}

fn sample_text(sample: &Sample) -> String {
    let labels: Vec<String> = sample.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{}{{{}}}", sample.name, labels.join(","))
}
