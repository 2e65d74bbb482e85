//! The agent and the simulator in this process, on a clock that jumps: whole days in seconds.
//!
//! Used by the tests and by the benchmark of requests a day. The caller's runtime must be paused.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use exotel_exporter::app::App;
use exotel_exporter::collector::Account;
use exotel_exporter::config::{self, Config};
use exotel_exporter::exotel::{Transport, TransportOptions};
use exotel_exporter::metrics::{Format, Metrics};
use exotel_exporter::model::{Clock, Timestamp};
use exotel_exporter::simulator::{
    BulkDetails, Delay, Delays, Durations, LegsKnown, Options, Postman, Simulator, Traffic, Truth,
    TruthQuery, Wire,
};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub(crate) const SID: &str = "exampleacct1";
/// 2026-03-02 00:00:00 on Exotel's clock.
pub(crate) const MIDNIGHT: Timestamp = Timestamp(1_772_389_800);

pub(crate) const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

pub(crate) const fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}

/// The agent as it would run, but for its clock and its way to Exotel.
pub(crate) struct Running {
    pub(crate) shutdown: CancellationToken,
    pub(crate) ended: JoinHandle<()>,
    pub(crate) account: Arc<Account>,
    pub(crate) metrics: Arc<Metrics>,
    /// Carries webhooks to it.
    pub(crate) postman: Postman,
}

impl Running {
    pub(crate) async fn start(
        simulator: &Simulator,
        clock: &Clock,
        folder: &Path,
        change: impl Fn(&mut Config),
    ) -> Self {
        let mut config = Config::default();
        // These days are about calls, and 1,440 rounds of health polls would take most of their time.
        config.heartbeat.enabled = false;
        let options = &simulator.options().accounts[0];
        let mut account = config::Account::new(&options.sid, &options.api_key, &options.api_token);
        account.base_url = "http://exotel.simulated".to_owned();
        config.accounts = vec![account];
        config.store.path = folder.join("calls.redb");
        config.web.listen = vec![([127, 0, 0, 1], 0).into()];
        change(&mut config);
        let transport = Transport::in_process(simulator.router(), TransportOptions::default());
        let app = App::build(config, clock.clone(), transport).await.unwrap();
        let account = app.accounts().remove(0);
        let metrics = app.metrics();
        let postman = Postman::in_process(app.webhooks());
        let shutdown = CancellationToken::new();
        let ended = tokio::spawn(app.run(shutdown.clone()));
        Self { shutdown, ended, account, metrics, postman }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.ended.await.unwrap();
    }

    pub(crate) fn scrape(&self) -> BTreeMap<String, f64> {
        let text = String::from_utf8(self.metrics.render(Format::Text).to_vec()).unwrap();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').unwrap();
                (series.to_owned(), value.parse().unwrap())
            })
            .collect()
    }
}

/// The sum of a family over the samples that have these labels.
pub(crate) fn sum(scrape: &BTreeMap<String, f64>, family: &str, labels: &[(&str, &str)]) -> f64 {
    let fits = |series: &str| {
        series.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
            && labels.iter().all(|(name, value)| series.contains(&format!("{name}=\"{value}\"")))
    };
    scrape.iter().filter(|(series, _)| fits(series)).map(|(_, value)| value).sum()
}

/// Everything in which a scrape differs from the truth.
pub(crate) fn differences(scrape: &BTreeMap<String, f64>, truth: &Truth) -> Vec<String> {
    let mut all = Vec::new();
    for (family, samples) in &truth.families {
        let metric = |name: &str| match name.strip_suffix("_micros") {
            Some(money) => (format!("{money}_total"), 1e6),
            None => (name.to_owned(), 1.0),
        };
        if *family == "exotel_call_cost_refunds_micros" {
            continue;
        }
        let (name, scale) = metric(family);
        let mut check = |labels: &[(&str, &str)], expected: u64| {
            let mut shown = sum(scrape, &name, labels) * scale;
            let mut expected = expected as f64;
            if *family == "exotel_call_cost_micros" {
                // A price that fell before it was read was never counted: the difference is what must fit.
                shown -= if labels.is_empty() {
                    sum(scrape, "exotel_call_cost_refunds_total", &[]) * scale
                } else {
                    0.0
                };
                expected -= if labels.is_empty() {
                    truth.sum("exotel_call_cost_refunds_micros", &[]) as f64
                } else {
                    0.0
                };
                if !labels.is_empty() && truth.sum("exotel_call_cost_refunds_micros", &[]) > 0 {
                    return;
                }
            }
            if (shown - expected).abs() > 0.5 {
                all.push(format!("{name}{labels:?}: {shown} instead of {expected}"));
            }
        };
        for (labels, value) in samples {
            let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (*n, v.as_str())).collect();
            check(&labels, *value);
        }
        check(&[], samples.values().sum());
    }
    all
}

pub(crate) fn truth(simulator: &Simulator, live_from: Timestamp, legs: LegsKnown) -> Truth {
    simulator.truth(SID, TruthQuery { live_from, short_call: 10, legs }).unwrap()
}

pub(crate) async fn settled(
    running: &Running,
    simulator: &Simulator,
    live_from: Timestamp,
    legs: LegsKnown,
    patience: Duration,
) {
    let end = tokio::time::Instant::now() + patience;
    loop {
        let expected = truth(simulator, live_from, legs);
        let found = differences(&running.scrape(), &expected);
        if found.is_empty() && simulator.quiet() {
            return;
        }
        assert!(
            tokio::time::Instant::now() < end,
            "quiet: {}, {} rows, differences: {found:#?}, last error: {:?}",
            simulator.quiet(),
            expected.rows,
            running.account.status().last_error
        );
        sleep(minutes(5)).await;
    }
}

/// Field-like delays: 97 % are settled 2 to 4 minutes after their end, the rest within 15; 0.3 % are long.
pub(crate) fn field(calls_per_day: f64) -> Options {
    Options {
        traffic: Traffic { calls_per_second: calls_per_day / 86_400.0, ..Traffic::default() },
        durations: Durations { long_share: 0.003, ..Durations::default() },
        delays: Delays { settle: Delay::seconds(120.0, 240.0).with_tail(0.03, 900.0), ..Delays::default() },
        wire: Wire { bulk_details: BulkDetails::Sent, ..Wire::default() },
        latency: Delay::seconds(0.1, 0.4),
        ..Options::default()
    }
}

pub(crate) struct Day {
    /// Requests for calls per 1,000 new ones.
    pub(crate) requests: f64,
    /// New calls.
    pub(crate) calls: f64,
    /// Those that only the audit found.
    pub(crate) audit: f64,
    /// Share counted within 40 minutes of their end.
    pub(crate) prompt: f64,
}

/// Runs a day after four hours of warming up; what it took for each 1,000 calls.
pub(crate) async fn day(options: Options, legs: LegsKnown) -> Day {
    tokio::time::pause();
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::following_tokio(MIDNIGHT);
    let simulator = Simulator::new(options, clock.clone());
    let running = Running::start(&simulator, &clock, folder.path(), |_| {}).await;
    sleep(hours(4)).await;
    let warm = running.scrape();
    let before = sum(&warm, "exotel_api_requests_total", &[("endpoint", "call")])
        + sum(&warm, "exotel_api_requests_total", &[("endpoint", "calls")]);
    sleep(hours(24)).await;
    let scrape = running.scrape();
    let requests = sum(&scrape, "exotel_api_requests_total", &[("endpoint", "call")])
        + sum(&scrape, "exotel_api_requests_total", &[("endpoint", "calls")])
        - before;
    let new = |s| sum(s, "exotel_sync_records_total", &[("result", "new")]);
    let calls = new(&scrape) - new(&warm);
    let audit = sum(&scrape, "exotel_sync_audit_found_calls_total", &[]);
    let within = sum(&scrape, "exotel_call_settle_delay_seconds_bucket", &[("le", "2400.0")]);
    let all = sum(&scrape, "exotel_call_settle_delay_seconds_count", &[]);
    println!(
        "{calls} calls, {requests} requests = {:.1} per 1,000; {audit} found by the audit; {:.2} % counted within 40 min of their end; windows {:?}",
        requests * 1000.0 / calls,
        within * 100.0 / all,
        scrape.iter().filter(|(k, _)| k.starts_with("exotel_sync_audited")).collect::<Vec<_>>(),
    );
    simulator.stop_traffic();
    settled(&running, &simulator, MIDNIGHT, legs, hours(12)).await;
    running.stop().await;
    Day { requests: requests * 1000.0 / calls, calls, audit, prompt: within / all }
}
