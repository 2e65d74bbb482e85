//! The request budget, as Exotel sees it: by arrival, in any minute, across crashes.

use std::time::{Duration, Instant};

use crate::support::agent::{Agent, Setup, account};
use crate::support::simulator::{Arrival, Simulator};
use crate::support::{ensure, eventually, note, now_seconds, secs};

/// The most arrivals in any half-open span of this many seconds.
fn densest(arrivals: &[f64], seconds: f64) -> usize {
    let mut from = 0;
    let mut most = 0;
    for (place, at) in arrivals.iter().enumerate() {
        while at - arrivals[from] >= seconds {
            from += 1;
        }
        most = most.max(place + 1 - from);
    }
    most
}

/// Arrivals at the call list and at single calls, in seconds and in order.
fn of_voice(arrivals: &[Arrival]) -> Vec<f64> {
    let mut times: Vec<f64> =
        arrivals.iter().filter(|arrival| arrival.is_voice()).map(|arrival| arrival.seconds).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Asserts that no minute holds more than the ceiling, and that no short span holds a burst.
#[track_caller]
fn never_above_and_even(arrivals: &[f64], per_minute: usize) {
    let most = densest(arrivals, 60.0);
    assert!(most <= per_minute, "{most} requests in 60 s, {per_minute} allowed");
    for seconds in [1, 5, 15] {
        let most = densest(arrivals, seconds as f64);
        // One more than the even share for where the span begins, one more for a request that was held up on its way.
        let even = (per_minute * seconds).div_ceil(60) + 2;
        assert!(most <= even, "{most} requests in {seconds} s, {even} at most when they are spread evenly");
    }
}

/// The share of what is allowed between two instants that was used.
fn used(arrivals: &[f64], per_minute: usize, from: f64, to: f64) -> f64 {
    let arrived = arrivals.iter().filter(|at| (from..to).contains(*at)).count();
    arrived as f64 / ((to - from) * per_minute as f64 / 60.0)
}

#[test]
fn spans_are_counted_as_exotel_counts_them() {
    let arrivals = [0.0, 0.5, 59.9, 60.0, 60.4, 119.0];
    assert_eq!(densest(&arrivals, 60.0), 4);
    assert_eq!(densest(&arrivals, 1.0), 3);
    assert_eq!(densest(&[], 60.0), 0);
    assert_eq!(used(&arrivals, 6, 0.0, 60.0), 0.5);
    never_above_and_even(&[0.0, 1.0, 2.0, 3.0], 60);
    let burst: Vec<f64> = (0..20).map(|number| f64::from(number) / 100.0).collect();
    assert!(std::panic::catch_unwind(|| never_above_and_even(&burst, 60)).is_err());
    let steady_but_above: Vec<f64> = (0..130).map(|number| f64::from(number) * 0.92).collect();
    assert!(std::panic::catch_unwind(|| never_above_and_even(&steady_but_above, 60)).is_err());
}

const CALLS: f64 = 60_000.0;
const PER_MINUTE: usize = 300;

#[test]
fn a_backlog_of_sixty_thousand_calls_runs_at_the_allowed_rate_evenly_and_across_a_crash() {
    let simulator = Simulator::started("backlog", 3);
    let setup = Setup::new(&[account("acme", &simulator.base)])
        .with("sync.lookback", "4h20m")
        .with("sync.settle_after", "30s")
        .with("heartbeat.interval", "1m")
        .with("accounts.0.rate_limits.voice", PER_MINUTE);
    let started = now_seconds();
    let mut agent = setup.start();
    std::thread::sleep(secs(40));
    let crashed = now_seconds();
    agent.process.kill_9();
    let restarted = now_seconds();
    let mut agent = setup.start();
    let read = |agent: &Agent| agent.scrape().metric("exotel_store_records").label("table", "calls").sum();
    let clock = Instant::now();
    let done = eventually(secs(300), "the whole backlog is stored", || {
        agent.process.still_runs()?;
        let stored = read(&agent);
        ensure(stored >= CALLS, || format!("{stored} calls stored"))?;
        Ok::<_, String>(now_seconds())
    });
    let arrivals = of_voice(&simulator.arrivals());
    never_above_and_even(&arrivals, PER_MINUTE);
    let before = used(&arrivals, PER_MINUTE, started + 2.0, crashed);
    let after = used(&arrivals, PER_MINUTE, restarted + 2.0, done - 1.0);
    note(&format!(
        "budget: {} requests, {:.1} % of the allowed rate before a crash and {:.1} % after, backlog read in {:?}",
        arrivals.len(),
        before * 100.0,
        after * 100.0,
        clock.elapsed()
    ));
    assert!(before >= 0.97, "{before} of the allowed rate used before the crash");
    assert!(after >= 0.97, "{after} of the allowed rate used after the crash");
    let failures =
        agent.scrape().metric("exotel_api_request_failures_total").label("reason", "throttled").sum();
    assert_eq!(failures, 0.0, "Exotel never had to throttle us");
}

#[test]
fn background_work_stays_within_its_share_and_leaves_the_rest_to_others() {
    let simulator = Simulator::started("backlog", 4);
    let setup = Setup::new(&[account("acme", &simulator.base)])
        .with("sync.lookback", "4h20m")
        .with("heartbeat.interval", "1m")
        .with("accounts.0.rate_limits.voice", 200)
        .with("accounts.0.background_share", 0.3);
    let agent = setup.start();
    let started = now_seconds();
    std::thread::sleep(secs(75));
    let arrivals = of_voice(&simulator.arrivals());
    never_above_and_even(&arrivals, 60);
    let share = used(&arrivals, 60, started + 2.0, started + 74.0);
    assert!(share >= 0.97, "{share} of the share used");
    agent.scrape().metric("exotel_api_quota_requests").label("pool", "voice").is(200);
    let waiting =
        agent.scrape().metric("exotel_api_throttle_wait_seconds_count").label("pool", "voice").sum();
    assert!(waiting > 0.0, "the wait for budget is measured");
}

#[test]
fn live_calls_do_not_wait_for_a_backlog() {
    // The scenario's own traffic goes on while its history is read.
    let simulator = Simulator::started("backlog", 5);
    let setup = Setup::new(&[account("acme", &simulator.base)])
        .with("sync.lookback", "4h20m")
        .with("heartbeat.interval", "1m")
        .with("accounts.0.rate_limits.voice", PER_MINUTE);
    let mut agent = setup.start();
    let start = Instant::now();
    agent.scrape_until(secs(60), "a live call is counted", |scrape| {
        scrape.metric("exotel_calls_total").at_least(1.0).map(|_| ())
    });
    let stored = agent.scrape().metric("exotel_store_records").label("table", "calls").sum();
    assert!(stored < CALLS, "the backlog was already read after {:?}", start.elapsed());
    assert!(
        start.elapsed() < Duration::from_secs(45),
        "{:?} until the first live call counted",
        start.elapsed()
    );
}
