//! Every metric family that this program exports, in one place.
//!
//! The table in `docs/metrics.md`, the page at `/docs`, the registered HELP texts and the checks of
//! a scrape ([`check`]) all come from here, so that none of them can drift from the others. A family
//! that is not listed here fails the checks.

pub mod check;
mod docs;
mod list;

pub use docs::markdown;
pub use list::*;

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Metric, Registry, Unit};

/// One metric family.
#[derive(Debug)]
pub struct Family {
    /// What it tells about; the heading under which it is documented.
    pub group: Group,
    /// Name as Prometheus stores it: with `_total` on a counter, without `_bucket` on a histogram.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Label names, without `le`, in the order in which they are documented.
    pub labels: &'static [&'static str],
    /// Whether a restart of the program resets it.
    pub kept: Kept,
    /// Whether a running program always exports it.
    pub presence: Presence,
    /// One or two plain sentences: no quote and no backslash, which the formats escape differently.
    pub help: &'static str,
}

/// What a family tells about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The program itself.
    Exporter,
    /// Requests to Exotel.
    Api,
    /// Reading of calls.
    Sync,
    /// Health of ExoPhones.
    Health,
    /// Calls and ExoPhones.
    Calls,
    /// Text messages.
    Sms,
    /// The account's balance.
    Balance,
    /// Callbacks.
    Webhooks,
    /// What callbacks say of calls.
    Callbacks,
    /// The embedded store.
    Store,
    /// The operating system's view of the process.
    Process,
}

/// Type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
}

/// Where the values of a family live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In memory: a restart begins anew.
    Process,
    /// In the store: values survive restarts.
    Store,
}

/// When a family is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// With at least one series as soon as an account is configured.
    Always,
    /// Only where its feature is enabled or its value is known; HELP says which.
    Sometimes,
}

static SECONDS: Unit = Unit::Seconds;
static BYTES: Unit = Unit::Bytes;

impl Family {
    /// The unit that OpenMetrics names in its UNIT line.
    pub fn unit(&self) -> Option<&'static Unit> {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        [&SECONDS, &BYTES]
            .into_iter()
            .find(|unit| name.strip_suffix(unit.as_str()).is_some_and(|stem| stem.ends_with('_')))
    }

    /// The name without `_total` and without the unit, both of which the encoder adds.
    pub fn stem(&self) -> &'static str {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        match self.unit() {
            Some(unit) => &name[..name.len() - unit.as_str().len() - 1],
            None => name,
        }
    }

    /// Registers a metric under this family's name, HELP and unit.
    pub fn register(&self, registry: &mut Registry, metric: impl Metric) {
        debug_assert_eq!(metric.metric_type().as_str(), self.kind.as_str(), "{}", self.name);
        // The registry ends every HELP with a period of its own.
        let help = self.help.trim_end_matches('.');
        match self.unit() {
            Some(unit) => registry.register_with_unit(self.stem(), help, unit.clone(), metric),
            None => registry.register(self.stem(), help, metric),
        }
    }

    /// Writes this family's HELP, TYPE and UNIT from a [`prometheus_client::collector::Collector`].
    ///
    /// # Errors
    /// Those of the writer.
    pub fn describe<'a>(
        &self,
        encoder: &'a mut DescriptorEncoder<'_>,
    ) -> Result<MetricEncoder<'a>, fmt::Error> {
        encoder.encode_descriptor(self.stem(), self.help, self.unit(), self.kind.metric_type())
    }
}

impl Group {
    /// All, in the order in which they are documented.
    pub const ALL: [Self; 11] = [
        Self::Exporter,
        Self::Api,
        Self::Sync,
        Self::Health,
        Self::Calls,
        Self::Webhooks,
        Self::Callbacks,
        Self::Sms,
        Self::Balance,
        Self::Store,
        Self::Process,
    ];

    /// Heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Exporter => "The program",
            Self::Api => "Requests to Exotel",
            Self::Sync => "Reading of calls",
            Self::Health => "Health of ExoPhones",
            Self::Calls => "Calls and ExoPhones",
            Self::Sms => "Messages",
            Self::Balance => "The balance",
            Self::Webhooks => "Webhooks",
            Self::Callbacks => "Callbacks about calls",
            Self::Store => "The store",
            Self::Process => "The process",
        }
    }
}

impl Kind {
    /// The word of the TYPE line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }

    fn metric_type(self) -> MetricType {
        match self {
            Self::Counter => MetricType::Counter,
            Self::Gauge => MetricType::Gauge,
            Self::Histogram => MetricType::Histogram,
        }
    }
}

/// The family with this name.
pub fn find(name: &str) -> Option<&'static Family> {
    ALL.iter().copied().find(|family| family.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        for family in ALL {
            let name = family.name;
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), family.kind == Kind::Counter, "{name}");
            let prefix = if family.group == Group::Process { "process_" } else { "exotel_" };
            assert!(name.starts_with(prefix), "{name}");
            for reserved in ["_count", "_sum", "_bucket", "_created"] {
                assert!(!name.ends_with(reserved), "{name}");
            }
            for label in family.labels {
                assert!(!["le", "type", "total", "job", "instance"].contains(label), "{name}{{{label}}}");
            }
        }
    }

    #[test]
    fn no_family_is_listed_twice() {
        let mut names: Vec<_> = ALL.iter().map(|f| f.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn help_is_a_sentence_that_both_formats_write_alike() {
        for Family { name, help, .. } in ALL {
            assert!(help.ends_with('.') && !help.ends_with(".."), "{name}: {help}");
            assert!(help.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit()), "{name}");
            assert!(!help.contains(['"', '\\', '\n', '|']), "{name}: {help}");
            assert!(help.len() <= 200, "{name}: {}", help.len());
        }
    }

    #[test]
    fn units_come_from_the_name() {
        let unit = |name| find(name).and_then(Family::unit).map(Unit::as_str);
        assert_eq!(unit("exotel_call_seconds_total"), Some("seconds"));
        assert_eq!(unit("exotel_store_size_bytes"), Some("bytes"));
        assert_eq!(unit("exotel_api_quota_requests"), None);
        assert_eq!(CALL_SECONDS.stem(), "exotel_call");
        assert_eq!(CALLS.stem(), "exotel_calls");
    }
}
