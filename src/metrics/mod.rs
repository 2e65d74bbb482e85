//! Metrics: one file for each group of families. Events are counted when committed; state is built when
//! a scrape is rendered.
//!
//! A scrape reads memory only: it waits for no network, no disk and no lock that is held across either.
//! It must not know who reads it: the formats are here, the choice between them is in [`crate::web`].

pub mod api;
pub mod callbacks;
pub mod calls;
pub mod catalogue;
pub mod exporter;
pub mod health;
pub mod messages;
mod process;
#[cfg(test)]
pub(crate) mod rendered;
pub mod store;
pub mod sync;
mod text;
pub mod view;
pub mod webhooks;

use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use prometheus_client::collector::Collector;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::registry::Registry;

pub use exporter::{BuildInfo, ExporterMetrics, Overflow};
pub use store::{StoreMetrics, StoreOp, StoreSizes};

/// Every metric of this program.
///
/// Made once at start, filled by [`Metrics::registry`] and [`Metrics::register_collector`], then shared
/// behind an `Arc`, after which nothing can be registered any more.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// The program's own.
    pub exporter: ExporterMetrics,
    /// Those of the embedded store.
    pub store: StoreMetrics,
    /// Length of the last rendered text, so that the next one allocates once.
    last_length: AtomicUsize,
}

/// How a scrape is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Prometheus text 0.0.4.
    Text,
}

impl Metrics {
    /// The program's, the store's and the process's own metrics; those of the API, of sync and of calls
    /// register themselves.
    pub fn new(build: BuildInfo) -> Self {
        let mut registry = Registry::default();
        let exporter = ExporterMetrics::register(&mut registry, build);
        let store = StoreMetrics::register(&mut registry);
        registry.register_collector(Box::new(process::Process::default()));
        Self { registry, exporter, store, last_length: AtomicUsize::new(16 * 1024) }
    }

    /// Where further families register themselves.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Adds a source of families that is asked at each scrape. It must answer from memory.
    pub fn register_collector(&mut self, collector: impl Collector) {
        self.registry.register_collector(Box::new(collector));
    }

    /// Every metric as it stands now.
    pub fn render(&self, format: Format) -> Bytes {
        let room = self.last_length.load(Ordering::Relaxed);
        let mut openmetrics = String::with_capacity(room + room / 8);
        prometheus_client::encoding::text::encode(&mut openmetrics, &self.registry)
            .expect("a String takes every write");
        self.last_length.store(openmetrics.len(), Ordering::Relaxed);
        match format {
            Format::OpenMetrics => openmetrics.into(),
            Format::Text => text::from_openmetrics(&openmetrics).into(),
        }
    }
}

/// Makes a series exist, so that its first event shows as an increase.
pub(crate) fn seed<S, M, C>(family: &Family<S, M, C>, labels: &S)
where
    S: Clone + Hash + Eq,
    C: MetricConstructor<M>,
{
    drop(family.get_or_create(labels));
}

#[cfg(test)]
mod tests {
    use super::catalogue::Group;
    use super::*;
    use std::process::{Command, Stdio};

    /// Metrics of a program at work.
    fn busy() -> Metrics {
        let metrics = Metrics::new(BuildInfo { version: "0.1.0", revision: "abc" });
        metrics.exporter.add_account("a \"quoted\" \\ name");
        metrics.exporter.add_task("sync");
        metrics.store.add_table("calls");
        metrics.store.observe(StoreOp::Commit, std::time::Duration::from_millis(2));
        metrics.store.set_sizes(StoreSizes { file: 10, limit: Some(20), avail: 30, filesystem: 40 });
        metrics
    }

    fn text(metrics: &Metrics) -> String {
        String::from_utf8(metrics.render(Format::Text).to_vec()).unwrap()
    }

    fn is_ours(family: &catalogue::Family) -> bool {
        matches!(family.group, Group::Exporter | Group::Store)
    }

    #[test]
    fn what_is_exported_is_what_the_catalogue_says() {
        assert_eq!(catalogue::check::differences(&text(&busy()), is_ours), Vec::<String>::new());
    }

    #[test]
    fn a_program_without_accounts_exports_itself() {
        let text = text(&Metrics::new(BuildInfo::current()));
        assert!(text.contains("exotel_exporter_build_info{version="), "{text}");
        assert!(text.contains("exotel_exporter_ready 0\n"), "{text}");
    }

    #[test]
    fn openmetrics_ends_with_its_mark_and_names_units() {
        let bytes = busy().render(Format::OpenMetrics);
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.ends_with("\n# EOF\n"));
        assert!(
            text.contains("# UNIT exotel_store_size_bytes bytes\nexotel_store_size_bytes 10\n"),
            "{text}"
        );
        for line in text.lines().filter(|l| l.starts_with("# UNIT ")) {
            let words: Vec<_> = line.split(' ').collect();
            assert!(words[2].ends_with(&format!("_{}", words[3])), "{line}");
        }
    }

    #[test]
    fn every_series_stands_once() {
        let text = text(&busy());
        let mut series: Vec<_> =
            text.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.rsplit_once(' ')).collect();
        series.sort_unstable();
        let all = series.len();
        series.dedup_by_key(|(name, _)| *name);
        assert_eq!(series.len(), all);
    }

    #[test]
    fn promtool_finds_nothing_to_say() {
        let child = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            println!("skipped: promtool is not installed");
            return;
        };
        let text = text(&busy());
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    }
}
