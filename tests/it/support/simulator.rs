//! The simulated Exotel as a process of its own, and its truth.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, exotel_exporter};
use super::scrape::Scrape;
use super::{ensure, eventually, free_port, http, secs};

/// A simulated Exotel, which listens from [`Simulator::start`] on.
///
/// Its address is known before it runs, so that an agent can be started first: then every call that it makes is live
/// for that agent, and the truth needs no exact start.
#[derive(Debug)]
pub(crate) struct Simulator {
    /// Base URL for the agent's configuration.
    pub(crate) base: String,
    scenario: &'static str,
    seed: u64,
    webhooks: Option<String>,
    process: Option<Process>,
    folder: TempDir,
}

/// What a perfect exporter ends with, as the simulator tells it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Truth {
    /// Live calls, child legs not counted.
    pub(crate) roots: u64,
    /// Rows of every kind.
    pub(crate) rows: u64,
    /// Calls that move across the start of counting.
    pub(crate) doubtful: u64,
    /// Totals by metric; money in millionths under a name that ends in `_micros`.
    pub(crate) families: BTreeMap<String, Vec<Total>>,
}

/// One series of the truth; without the account's label.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Total {
    /// Label values by name.
    pub(crate) labels: BTreeMap<String, String>,
    /// The value.
    pub(crate) value: u64,
}

/// The requests for calls, as Exotel saw them come.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Arrivals {
    /// How many.
    pub(crate) count: usize,
    /// The most in any 60 s.
    pub(crate) max_in_60s: usize,
    /// In each second since the first of them.
    pub(crate) per_second: Vec<usize>,
    /// By status of the answer.
    pub(crate) statuses: BTreeMap<String, usize>,
}

impl Simulator {
    /// One that does not run yet.
    pub(crate) fn planned(scenario: &'static str, seed: u64) -> Self {
        let base = format!("http://127.0.0.1:{}", free_port());
        let folder = TempDir::new().expect("a folder");
        Self { base, scenario, seed, webhooks: None, process: None, folder }
    }

    /// The same, sending webhooks below this URL: `http://127.0.0.1:PORT/webhooks/{account}/SECRET`.
    #[must_use]
    pub(crate) fn calling(mut self, base: String) -> Self {
        self.webhooks = Some(base);
        self
    }

    /// One that runs.
    pub(crate) fn started(scenario: &'static str, seed: u64) -> Self {
        let mut simulator = Self::planned(scenario, seed);
        simulator.start();
        simulator
    }

    /// Starts it and waits until it answers.
    #[track_caller]
    pub(crate) fn start(&mut self) {
        let mut command = exotel_exporter(self.folder.path());
        let address = self.base.strip_prefix("http://").expect("a base");
        command.args([
            "simulate",
            "--listen",
            address,
            "--scenario",
            self.scenario,
            "--seed",
            &self.seed.to_string(),
        ]);
        if let Some(base) = &self.webhooks {
            command.args(["--webhooks", base]);
        }
        let process = self.process.insert(Process::start("the simulator", command));
        let url = format!("{}/_sim/truth", self.base);
        eventually(secs(20), "the simulator answers", || {
            process.must_run();
            let answer = http::get(&url)?;
            ensure(answer.status == 200, || format!("status {}: {}", answer.status, answer.text()))
        });
    }

    /// A control endpoint.
    pub(crate) fn ask(&self, path: &str) -> Value {
        let answer = http::get(&format!("{}/_sim/{path}", self.base)).expect("the simulator");
        assert_eq!(answer.status, 200, "/_sim/{path}: {}", answer.text());
        answer.json().expect("JSON")
    }

    /// Tells it something.
    pub(crate) fn tell(&self, path: &str, body: &Value) {
        let answer = http::post(&format!("{}/_sim/{path}", self.base), body).expect("the simulator");
        assert!((200..300).contains(&answer.status), "/_sim/{path}: {} {}", answer.status, answer.text());
    }

    /// The totals of the calls created at or after an instant, in the state that they will have when all is over.
    pub(crate) fn truth(&self, live_from: i64) -> Truth {
        serde_json::from_value(self.ask(&format!("truth?live_from={live_from}"))).expect("a truth")
    }

    /// No more calls begin; those that did go on to their end.
    pub(crate) fn stop_traffic(&self) {
        self.tell("stop-traffic", &Value::Null);
    }

    /// What came so far and counts against the voice limit.
    pub(crate) fn voice_arrivals(&self) -> Arrivals {
        serde_json::from_value(self.ask("arrivals")["pools"]["voice"].take()).expect("arrivals")
    }

    /// The process, while it runs.
    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a simulator that was started")
    }

    /// `Ok` when every call is over, visible and priced as far as it ever will be.
    pub(crate) fn is_quiet(&self) -> Result<(), String> {
        let quiet = self.ask("quiet");
        ensure(quiet["quiet"] == true, || format!("not quiet: {quiet}"))
    }
}

impl Truth {
    /// Compares every series with what `value` finds for a metric and labels (`status="completed",…`), and every family
    /// with the sum over all labels, so that nothing may be missing and nothing may be there in excess.
    pub(crate) fn compare(
        &self,
        mut value: impl FnMut(&str, &BTreeMap<String, String>) -> Result<f64, String>,
    ) -> Result<(), String> {
        let mut faults = Vec::new();
        for (family, totals) in &self.families {
            let (metric, unit) = match family.strip_suffix("_micros") {
                Some(name) => (format!("{name}_total"), 1e-6),
                None => (family.clone(), 1.0),
            };
            let whole =
                Total { labels: BTreeMap::new(), value: totals.iter().map(|total| total.value).sum() };
            for total in totals.iter().chain([&whole]) {
                let (found, expected) = (value(&metric, &total.labels)?, total.value as f64 * unit);
                if (found - expected).abs() > 1e-5 {
                    faults.push(format!("{metric} {:?}: {expected} expected, {found} found", total.labels));
                }
            }
        }
        ensure(faults.is_empty(), || format!("{} differences:\n{}", faults.len(), faults.join("\n")))
    }

    /// Compares with a scrape, for one account.
    pub(crate) fn equals_scrape(&self, scrape: &Scrape, account: &str) -> Result<(), String> {
        self.compare(|metric, labels| {
            let series = scrape.metric(metric).label("account", account);
            Ok(labels.iter().fold(series, |series, (name, value)| series.label(name, value)).sum())
        })
    }
}
