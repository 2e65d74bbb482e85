//! The main promise: every call counted exactly once, whatever happens, and Prometheus sees the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::agent::{Agent, Setup, account};
use crate::support::fake::{Fake, epoch_now, ist};
use crate::support::prometheus::{Prometheus, promtool_check, python_samples};
use crate::support::scrape::Scrape;
use crate::support::simulator::{Simulator, Truth};
use crate::support::tools::Version;
use crate::support::{ensure, eventually, note, secs};

const ACCOUNT: &str = "acme";

/// Compares the truth with what a Prometheus answers, series by series.
fn prometheus_equals(prometheus: &Prometheus, truth: &Truth) -> Result<(), String> {
    truth.compare(|metric, labels| {
        let matchers: Vec<String> =
            labels.iter().map(|(name, value)| format!(",{name}=\"{value}\"")).collect();
        prometheus.number(&format!("sum({metric}{{account=\"{ACCOUNT}\"{}}})", matchers.concat()))
    })
}

/// Counters and what belongs to histograms: what may never fall.
fn counters(scrape: &Scrape) -> BTreeMap<String, f64> {
    let persisted = |name: &str| name.starts_with("exotel_call") && !name.starts_with("exotel_calls_u");
    let falls_never =
        |name: &str| name.contains("_total{") || name.contains("_count{") || name.contains("_bucket{");
    scrape.series().into_iter().filter(|(name, _)| persisted(name) && falls_never(name)).collect()
}

/// Asserts that no persisted counter is below what it was.
#[track_caller]
fn none_fell(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) {
    for (series, value) in before {
        let now = after.get(series).copied();
        assert!(now.is_some_and(|now| now >= *value), "{series} was {value} and is {now:?}");
    }
}

/// The whole account is read and counted: nothing more will change. The agent's first start lies in `first_start`.
#[track_caller]
fn ends_in_the_truth(simulator: &Simulator, agent: &mut Agent, first_start: RangeInclusive<i64>) -> Truth {
    eventually(secs(180), "the simulated day is over", || simulator.is_quiet());
    let truths: Vec<Truth> = first_start.map(|live_from| simulator.truth(live_from)).collect();
    assert!(truths.iter().all(|truth| truth.doubtful == 0), "a scenario whose truth is exact");
    let equal = |scrape: &Scrape| {
        let mut faults =
            truths.iter().map(|truth| truth.equals_scrape(scrape, ACCOUNT).map(|()| truth.clone()));
        let first = faults.next().expect("a truth");
        faults.fold(first, Result::or)
    };
    let scrape =
        agent.scrape_until(secs(120), "the totals are the simulator's", |scrape| equal(scrape).map(|_| ()));
    let truth = equal(&scrape).unwrap();
    // And they stay there: nothing is counted again while the same windows are read over and over.
    sleep(secs(5));
    truth.equals_scrape(&agent.scrape(), ACCOUNT).unwrap();
    truth
}

#[test]
fn calls_with_faults_duplicates_late_prices_child_legs_and_five_crashes_end_in_exactly_the_truth() {
    let mut simulator = Simulator::planned("storm", 7);
    // As in the field, settle_after is longer than a row takes to appear (15 s here), and the look-back holds the latest
    // price. With one request in ten going wrong, three retries would give up on one page in ten thousand.
    let setup = Setup::new(&[account(ACCOUNT, &simulator.base)])
        .with("sync.lookback", "90s")
        .with("sync.settle_after", "30s")
        .with("retry.attempts", 6);
    let mut agent = setup.start();
    let live_from = epoch_now() - 1;
    sleep(secs(1));
    simulator.start();

    let start = Instant::now();
    let mut last = counters(&agent.scrape());
    for crash in 1..=5_u32 {
        // At moments that have nothing to do with the sync's own rhythm.
        sleep(Duration::from_millis(9_000 + u64::from(crash) * 1_370));
        last = counters(&agent.scrape());
        agent.process.kill_9();
        let restart = Instant::now();
        agent = setup.start();
        let scrape = agent.scrape();
        let took = restart.elapsed();
        assert!(took < secs(5), "{took:?} until the first scrape after a crash");
        none_fell(&last, &counters(&scrape));
    }
    let wanted = 1_500.0;
    eventually(secs(240), "enough calls have begun", || {
        let roots = simulator.truth(live_from).roots as f64;
        ensure(roots >= wanted, || format!("{roots} of {wanted}"))
    });
    simulator.stop_traffic();
    let truth = ends_in_the_truth(&simulator, &mut agent, live_from..=live_from);
    none_fell(&last, &counters(&agent.scrape()));

    let scrape = agent.scrape();
    assert!(
        truth.rows > truth.roots,
        "child legs are part of it: {} rows, {} roots",
        truth.rows,
        truth.roots
    );
    for family in [
        "exotel_calls_total",
        "exotel_call_seconds_total",
        "exotel_call_outcomes_total",
        "exotel_call_cost_micros",
    ] {
        let sum: u64 = truth.families.get(family).into_iter().flatten().map(|total| total.value).sum();
        assert!(sum > 0, "{family} is part of the truth");
    }
    let failures = scrape.metric("exotel_api_request_failures_total").sum();
    assert!(failures > 0.0, "faults are part of it");
    note(&format!(
        "counting: {} calls in {} rows with 5 crashes and {failures} failed requests since the last one are exact after {:?}",
        truth.roots,
        truth.rows,
        start.elapsed()
    ));

    // Once more with what is on disk alone.
    assert!(agent.process.terminate(secs(5)).success(), "{}", agent.process.log());
    let agent = setup.start();
    truth.equals_scrape(&agent.scrape(), ACCOUNT).unwrap();
    assert!(!agent.process.log().contains("simtoken"), "the log holds the token");
}

/// Exotel files a call under its start and lists it when it is over: 3 h 40 min later for this one.
#[test]
fn a_call_that_began_hours_ago_and_ends_now_is_found() {
    let exotel = Fake::start();
    let setup = Setup::new(&[account(ACCOUNT, &exotel.base)]).with("sync.lookback", "4h20m");
    let mut agent = setup.start();
    exotel.add_call("short");
    agent.scrape_until(secs(30), "a call is counted", |scrape| {
        scrape.metric("exotel_calls_total").sums_to(1.0)
    });
    let new = |scrape: &Scrape| scrape.metric("exotel_sync_records_total").label("result", "new").sum();
    assert_eq!(new(&agent.scrape()), 1.0);
    exotel.add_call("long");
    let began = epoch_now() - (3 * 60 + 40) * 60;
    exotel.change_call(&format!("{:0>32}", "long"), |row| {
        row["DateCreated"] = json!(ist(began));
        row["StartTime"] = json!(ist(began));
        row["Duration"] = json!("13200");
    });
    let scrape = agent.scrape_until(secs(30), "the long call is read", |scrape| {
        ensure(new(scrape) == 2.0, || format!("{} new rows", new(scrape)))
    });
    // It began before this agent's first start: kept, and part of the history that no counter starts with.
    scrape.metric("exotel_calls_total").sums_to(1.0).unwrap();
    agent.scrape_until(secs(120), "both are stored", |scrape| {
        scrape.metric("exotel_store_records").label("table", "calls").sums_to(2.0)
    });
}

#[test]
fn raw_counters_in_prometheus_equal_the_truth() {
    let mut simulator = Simulator::planned("child-legs", 11);
    // Within Exotel's own limit of 200 requests a minute, leg details included.
    let setup = Setup::new(&[account(ACCOUNT, &simulator.base)])
        .with("sync.interval", "3s")
        .with("accounts.0.rate_limits.voice", 200)
        .with("accounts.0.rate_limits.exophones", 40)
        .with("heartbeat.interval", "10s");
    // Prometheus is there before the agent, so that it sees how every series begins.
    let url = format!("{}/metrics", setup.base());
    let servers: Vec<Prometheus> =
        Version::here().into_iter().map(|version| Prometheus::start_before(version, &[&url])).collect();
    simulator.start();
    let spawned = epoch_now();
    let mut agent = setup.start();
    let first_start = spawned..=epoch_now();

    agent.scrape_until(secs(60), "calls are counted", |scrape| {
        scrape.metric("exotel_calls_total").at_least(20.0).map(|_| ())
    });
    busy_scrapes_are_clean(&agent, &servers);
    simulator.stop_traffic();
    let truth = ends_in_the_truth(&simulator, &mut agent, first_start);
    for prometheus in &servers {
        eventually(secs(10), "Prometheus has the last scrape", || prometheus_equals(prometheus, &truth));
        // What a user asks: the shares of outcomes come from the same numbers.
        let all = prometheus.number("sum(exotel_call_outcomes_total)").unwrap();
        assert_eq!(all, truth.roots as f64);
        let samples = prometheus.number("scrape_samples_scraped").unwrap();
        assert_eq!(samples, agent.scrape_openmetrics().samples().count() as f64, "every sample was taken");
        assert_eq!(prometheus.number("max_over_time(exotel_exporter_ready[1m])").unwrap(), 1.0);
    }

    // Each label set was there as 0 before its first call, so the increase over the run misses none of them.
    for prometheus in &servers {
        let seeded = prometheus.number("count(exotel_calls_total > 0)").unwrap();
        assert!(seeded > 3.0, "{seeded} series with calls");
        let firsts = prometheus.query("min_over_time(exotel_calls_total[10m]) > 0").unwrap();
        assert!(firsts.is_empty(), "first seen above 0: {firsts:?}");
    }
}

/// promtool, a foreign OpenMetrics parser, and our own strict readers agree that a scrape of a busy agent is faultless.
fn busy_scrapes_are_clean(agent: &Agent, servers: &[Prometheus]) {
    let text = agent.scrape();
    for version in Version::here() {
        promtool_check(version, &text.text)
            .unwrap_or_else(|fault| panic!("promtool of {version:?}: {fault}"));
    }
    let open = agent.scrape_openmetrics();
    assert_eq!(python_samples(&open.text).unwrap(), open.samples().count());
    let names = |scrape: &Scrape| -> BTreeSet<String> {
        // The only one that comes and goes while calls settle.
        let lasting = |name: &String| name != "exotel_calls_unsettled_oldest_timestamp_seconds";
        scrape.samples().map(|sample| sample.name.clone()).filter(lasting).collect()
    };
    assert_eq!(names(&text), names(&open), "both formats show the same metrics");
    for prometheus in servers {
        prometheus.targets_are_up(1).unwrap();
    }
    let customers = ["simtoken", "simkey", "+919", "sip:"];
    for secret in customers {
        assert!(!text.text.contains(secret), "{secret} is in the scrape");
    }
    for name in ["process_resident_memory_bytes", "process_start_time_seconds", "exotel_exporter_build_info"]
    {
        assert_eq!(text.metric(name).count(), 1, "{name}");
    }
}
