//! Metrics of the program itself: build, readiness, tasks, configuration, state of each account.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{catalogue, seed};
use crate::model::Timestamp;

/// Which program this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildInfo {
    /// Version of the crate: `0.1.0`.
    pub version: &'static str,
    /// Commit it was built from, `unknown` where the build did not say.
    pub revision: &'static str,
}

impl BuildInfo {
    /// This build. The revision comes from `EXOTEL_EXPORTER_REVISION` in the environment of the build.
    pub fn current() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            revision: option_env!("EXOTEL_EXPORTER_REVISION").unwrap_or("unknown"),
        }
    }
}

/// Labels whose values are limited in number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The `exophone` label, limited by `limits.exophones`.
    Exophone,
}

impl Overflow {
    const ALL: [Self; 1] = [Self::Exophone];

    /// The name of the label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exophone => "exophone",
        }
    }
}

type ByName = [(&'static str, String); 1];
type ByWord = [(&'static str, &'static str); 1];

/// The program's own metrics. Cheap to clone; all clones count into the same values.
#[derive(Clone, Debug)]
pub struct ExporterMetrics {
    build: BuildInfo,
    ready: Gauge,
    first_cycle_done: Family<ByName, Gauge>,
    up: Family<ByName, Gauge>,
    task_restarts: Family<ByWord, Counter>,
    reload_successful: Gauge,
    reload_timestamp: Gauge,
    label_overflows: Family<ByWord, Counter>,
}

impl ExporterMetrics {
    /// Registers the families; everything that does not depend on an account or a task is there at once.
    pub(crate) fn register(registry: &mut Registry, build: BuildInfo) -> Self {
        let metrics = Self {
            build,
            ready: Gauge::default(),
            first_cycle_done: Family::default(),
            up: Family::default(),
            task_restarts: Family::default(),
            reload_successful: Gauge::default(),
            reload_timestamp: Gauge::default(),
            label_overflows: Family::default(),
        };
        let info = Family::<[(&'static str, &'static str); 2], Gauge>::default();
        info.get_or_create(&[("version", build.version), ("revision", build.revision)]).set(1);
        for label in Overflow::ALL {
            seed(&metrics.label_overflows, &[("label", label.as_str())]);
        }
        catalogue::BUILD_INFO.register(registry, info);
        catalogue::READY.register(registry, metrics.ready.clone());
        catalogue::FIRST_CYCLE_DONE.register(registry, metrics.first_cycle_done.clone());
        catalogue::UP.register(registry, metrics.up.clone());
        catalogue::TASK_RESTARTS.register(registry, metrics.task_restarts.clone());
        catalogue::RELOAD_SUCCESSFUL.register(registry, metrics.reload_successful.clone());
        catalogue::RELOAD_TIMESTAMP.register(registry, metrics.reload_timestamp.clone());
        catalogue::LABEL_OVERFLOWS.register(registry, metrics.label_overflows.clone());
        metrics
    }

    /// Which program this is.
    pub fn build(&self) -> BuildInfo {
        self.build
    }

    /// The store is open and the listeners are bound.
    pub fn set_ready(&self) {
        self.ready.set(1);
    }

    /// The program is going down.
    pub fn set_not_ready(&self) {
        self.ready.set(0);
    }

    /// Whether the program is ready; `/-/ready` answers from here, so that it and the metric agree.
    pub fn is_ready(&self) -> bool {
        self.ready.get() == 1
    }

    /// Seeds an account's series: up, and no cycle done. One that is known already keeps its values.
    pub fn add_account(&self, account: &str) {
        let labels = by_account(account);
        if self.up.get(&labels).is_none() {
            self.up.get_or_create(&labels).set(1);
        }
        seed(&self.first_cycle_done, &labels);
    }

    /// Takes the series of an account away that is no longer configured under this name.
    pub fn remove_account(&self, account: &str) {
        let labels = by_account(account);
        self.up.remove(&labels);
        self.first_cycle_done.remove(&labels);
    }

    /// The first cycle of every enabled kind has ended.
    pub fn first_cycle_done(&self, account: &str) {
        self.first_cycle_done.get_or_create(&by_account(account)).set(1);
    }

    /// The newest cycle of some enabled kind succeeded.
    pub fn set_up(&self, account: &str) {
        self.up.get_or_create(&by_account(account)).set(1);
    }

    /// The newest cycle of every enabled kind failed.
    pub fn set_down(&self, account: &str) {
        self.up.get_or_create(&by_account(account)).set(0);
    }

    /// Seeds the series of a background task.
    pub fn add_task(&self, task: &'static str) {
        seed(&self.task_restarts, &[("task", task)]);
    }

    /// A background task stopped and is started again.
    pub fn task_restarted(&self, task: &'static str) {
        self.task_restarts.get_or_create(&[("task", task)]).inc();
    }

    /// A configuration is in force from now on; also the one read at start.
    pub fn config_applied(&self, now: Timestamp) {
        self.reload_successful.set(1);
        self.reload_timestamp.set(now.0);
    }

    /// A new configuration was refused; the old one stays in force.
    pub fn config_refused(&self) {
        self.reload_successful.set(0);
    }

    /// An observation was counted under `_other`.
    pub fn label_overflowed(&self, label: Overflow) {
        self.label_overflows.get_or_create(&[("label", label.as_str())]).inc();
    }
}

fn by_account(account: &str) -> ByName {
    [("account", account.to_owned())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::rendered::{self, has};

    fn rendered(act: impl FnOnce(&ExporterMetrics)) -> String {
        let mut registry = Registry::default();
        let metrics =
            ExporterMetrics::register(&mut registry, BuildInfo { version: "1.2.3", revision: "abc" });
        act(&metrics);
        rendered::text(&registry)
    }

    #[test]
    fn series_are_there_before_anything_happens() {
        let text = rendered(|metrics| {
            metrics.add_account("one");
            metrics.add_task("sync");
        });
        has(&text, "exotel_exporter_build_info{version=\"1.2.3\",revision=\"abc\"} 1");
        has(&text, "exotel_exporter_ready 0");
        has(&text, "exotel_exporter_first_cycle_done{account=\"one\"} 0");
        has(&text, "exotel_up{account=\"one\"} 1");
        has(&text, "exotel_exporter_task_restarts_total{task=\"sync\"} 0");
        has(&text, "exotel_exporter_label_overflows_total{label=\"exophone\"} 0");
    }

    #[test]
    fn what_happens_shows() {
        let text = rendered(|metrics| {
            metrics.add_account("one");
            metrics.set_ready();
            metrics.first_cycle_done("one");
            metrics.set_down("one");
            metrics.add_account("one");
            metrics.task_restarted("sync");
            metrics.config_applied(Timestamp(1_772_477_110));
            metrics.config_refused();
            metrics.label_overflowed(Overflow::Exophone);
            assert!(metrics.is_ready());
        });
        has(&text, "exotel_exporter_ready 1");
        has(&text, "exotel_exporter_first_cycle_done{account=\"one\"} 1");
        has(&text, "exotel_up{account=\"one\"} 0");
        has(&text, "exotel_exporter_task_restarts_total{task=\"sync\"} 1");
        has(&text, "exotel_exporter_config_last_reload_successful 0");
        has(&text, "exotel_exporter_config_last_reload_success_timestamp_seconds 1772477110");
        has(&text, "exotel_exporter_label_overflows_total{label=\"exophone\"} 1");
    }

    #[test]
    fn an_account_that_is_gone_leaves_no_series() {
        let text = rendered(|metrics| {
            metrics.add_account("one");
            metrics.remove_account("one");
        });
        assert!(!text.contains("account="), "{text}");
    }
}
