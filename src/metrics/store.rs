//! Metrics of the embedded store: what the store records while it works, and sizes that a background
//! tick brings here, so that no scrape ever asks the disk.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{catalogue, seed};

/// What the store did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOp {
    /// A read transaction.
    Read,
    /// The body of a write transaction, before its commit.
    Write,
    /// A durable commit.
    Commit,
    /// A compaction of the file.
    Compact,
}

impl StoreOp {
    /// All.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Commit, Self::Compact];

    /// The `op` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Commit => "commit",
            Self::Compact => "compact",
        }
    }
}

/// Sizes in bytes, read from the file system by a background tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreSizes {
    /// The store file.
    pub file: u64,
    /// `store.max_size`, where set.
    pub limit: Option<u64>,
    /// Space left for us on the file system.
    pub avail: u64,
    /// The whole file system.
    pub filesystem: u64,
}

/// Seconds. A commit takes 0.5 to 2 ms on a disk at rest; compaction takes minutes at worst.
const EDGES: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0, 60.0];

type ByWord = [(&'static str, &'static str); 1];

/// A gauge that is absent until it is set, and again when it is cleared.
#[derive(Clone, Debug)]
struct Late(Arc<AtomicI64>);

impl Late {
    /// Stands for "no value"; no size is negative.
    const ABSENT: i64 = -1;

    fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn clear(&self) {
        self.set(Self::ABSENT);
    }
}

impl Default for Late {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(Self::ABSENT)))
    }
}

impl EncodeMetric for Late {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        // Cleared since `is_empty` was asked: HELP and TYPE are out, no sample is.
        match self.0.load(Ordering::Relaxed) {
            Self::ABSENT => Ok(()),
            value => encoder.encode_gauge(&value),
        }
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::ABSENT
    }
}

/// The store's metrics. Cheap to clone; all clones count into the same values.
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    size: Late,
    size_limit: Late,
    filesystem_avail: Late,
    filesystem_size: Late,
    records: Family<ByWord, Gauge>,
    errors: Family<ByWord, Counter>,
    durations: Family<ByWord, Histogram>,
    pruned: Family<ByWord, Counter>,
}

impl StoreMetrics {
    /// Registers the families; every operation is there at once.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            size: Late::default(),
            size_limit: Late::default(),
            filesystem_avail: Late::default(),
            filesystem_size: Late::default(),
            records: Family::default(),
            errors: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(EDGES)),
            pruned: Family::default(),
        };
        for op in StoreOp::ALL {
            seed(&metrics.errors, &by_op(op));
            seed(&metrics.durations, &by_op(op));
        }
        catalogue::STORE_SIZE.register(registry, metrics.size.clone());
        catalogue::STORE_SIZE_LIMIT.register(registry, metrics.size_limit.clone());
        catalogue::STORE_FILESYSTEM_AVAIL.register(registry, metrics.filesystem_avail.clone());
        catalogue::STORE_FILESYSTEM_SIZE.register(registry, metrics.filesystem_size.clone());
        catalogue::STORE_RECORDS.register(registry, metrics.records.clone());
        catalogue::STORE_ERRORS.register(registry, metrics.errors.clone());
        catalogue::STORE_OPERATION_DURATION.register(registry, metrics.durations.clone());
        catalogue::STORE_PRUNED.register(registry, metrics.pruned.clone());
        metrics
    }

    /// Seeds the series of a table.
    pub fn add_table(&self, table: &'static str) {
        seed(&self.records, &[("table", table)]);
        seed(&self.pruned, &[("table", table)]);
    }

    /// An operation took this long, whatever its result.
    pub fn observe(&self, op: StoreOp, took: Duration) {
        self.durations.get_or_create(&by_op(op)).observe(took.as_secs_f64());
    }

    /// An operation failed.
    pub fn failed(&self, op: StoreOp) {
        self.errors.get_or_create(&by_op(op)).inc();
    }

    /// A table has this many rows.
    pub fn set_records(&self, table: &'static str, rows: u64) {
        self.records.get_or_create(&[("table", table)]).set(gauge_value(rows));
    }

    /// Rows of a table as last set.
    pub fn records(&self, table: &'static str) -> u64 {
        u64::try_from(self.records.get_or_create(&[("table", table)]).get()).unwrap_or(0)
    }

    /// Size of the store file as last set.
    pub fn file_size(&self) -> Option<u64> {
        u64::try_from(self.size.0.load(Ordering::Relaxed)).ok()
    }

    /// Rows were removed from a table by retention or erasure; counted after the commit.
    pub fn pruned(&self, table: &'static str, rows: u64) {
        self.pruned.get_or_create(&[("table", table)]).inc_by(rows);
    }

    /// The sizes as they are now.
    pub fn set_sizes(&self, sizes: StoreSizes) {
        self.size.set(gauge_value(sizes.file));
        self.filesystem_avail.set(gauge_value(sizes.avail));
        self.filesystem_size.set(gauge_value(sizes.filesystem));
        match sizes.limit {
            Some(limit) => self.size_limit.set(gauge_value(limit)),
            None => self.size_limit.clear(),
        }
    }

    /// The sizes could not be read: gauges go, they do not lie.
    pub fn clear_sizes(&self) {
        for gauge in [&self.size, &self.size_limit, &self.filesystem_avail, &self.filesystem_size] {
            gauge.clear();
        }
    }
}

fn by_op(op: StoreOp) -> ByWord {
    [("op", op.as_str())]
}

fn gauge_value(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::rendered::{self, has};

    fn rendered(act: impl FnOnce(&StoreMetrics)) -> String {
        let mut registry = Registry::default();
        let metrics = StoreMetrics::register(&mut registry);
        act(&metrics);
        rendered::text(&registry)
    }

    #[test]
    fn every_operation_and_table_is_seeded() {
        let text = rendered(|metrics| metrics.add_table("calls"));
        for op in ["read", "write", "commit", "compact"] {
            has(&text, &format!("exotel_store_errors_total{{op=\"{op}\"}} 0"));
            has(&text, &format!("exotel_store_operation_duration_seconds_count{{op=\"{op}\"}} 0"));
        }
        has(&text, "exotel_store_records{table=\"calls\"} 0");
        has(&text, "exotel_store_pruned_records_total{table=\"calls\"} 0");
    }

    #[test]
    fn what_the_store_does_is_counted() {
        let text = rendered(|metrics| {
            metrics.observe(StoreOp::Commit, Duration::from_millis(2));
            metrics.failed(StoreOp::Write);
            metrics.set_records("calls", 7);
            metrics.pruned("calls", 3);
        });
        has(&text, "exotel_store_operation_duration_seconds_sum{op=\"commit\"} 0.002");
        has(&text, "exotel_store_operation_duration_seconds_bucket{le=\"0.001\",op=\"commit\"} 0");
        has(&text, "exotel_store_operation_duration_seconds_bucket{le=\"0.0025\",op=\"commit\"} 1");
        has(&text, "exotel_store_errors_total{op=\"write\"} 1");
        has(&text, "exotel_store_records{table=\"calls\"} 7");
        has(&text, "exotel_store_pruned_records_total{table=\"calls\"} 3");
    }

    #[test]
    fn sizes_are_absent_until_they_are_known_and_when_they_no_longer_are() {
        assert!(!rendered(|_| {}).contains("_bytes"));
        let sizes = StoreSizes { file: 1, limit: Some(2), avail: 3, filesystem: u64::MAX };
        let text = rendered(|metrics| metrics.set_sizes(sizes));
        has(&text, "exotel_store_size_bytes 1");
        has(&text, "exotel_store_size_limit_bytes 2");
        has(&text, "exotel_store_filesystem_avail_bytes 3");
        has(&text, "exotel_store_filesystem_size_bytes 9223372036854775807");
        let text = rendered(|metrics| {
            metrics.set_sizes(sizes);
            metrics.set_sizes(StoreSizes { limit: None, ..sizes });
        });
        assert!(!text.contains("exotel_store_size_limit_bytes"), "{text}");
        let text = rendered(|metrics| {
            metrics.set_sizes(sizes);
            metrics.clear_sizes();
        });
        assert!(!text.contains("_bytes"), "{text}");
    }
}
