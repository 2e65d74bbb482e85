//! The request budget, as Exotel sees it: by arrival, in any minute, across crashes.

use std::time::Instant;

use crate::support::agent::{Agent, Setup, account};
use crate::support::simulator::{Arrivals, Simulator};
use crate::support::{ensure, eventually, note, secs};

const CALLS: f64 = 60_000.0;
/// Exotel's own limit.
const PER_MINUTE: usize = 200;

/// Asserts that no minute holds more than the ceiling, that requests are spread and not sent in bursts, and that nothing
/// was refused. A stall of the machine holds requests up and lets them arrive together, so a few seconds may hold more
/// than their share; never as many as a burst would.
#[track_caller]
fn never_above_and_even(arrivals: &Arrivals, per_minute: usize) {
    let most = arrivals.max_in_60s;
    assert!(most <= per_minute, "{most} requests in 60 s, {per_minute} allowed");
    assert_eq!(arrivals.statuses.get("429"), None, "Exotel never had to refuse one");
    let mut seconds = arrivals.per_second.clone();
    seconds.sort_unstable();
    let share = per_minute.div_ceil(60);
    let (usual, fullest) = (seconds[seconds.len() * 9 / 10], seconds[seconds.len() - 1]);
    assert!(
        usual <= share + 1 && fullest <= 3 * share + 3,
        "{share} requests a second are even; {usual} are in the fullest tenth, {fullest} in the fullest: {:?}",
        arrivals.per_second
    );
}

/// The share of what is allowed that was used, in the median half minute.
fn used(per_second: &[usize], per_minute: usize) -> f64 {
    let mut halves: Vec<usize> = per_second.chunks_exact(30).map(|half| half.iter().sum()).collect();
    halves.sort_unstable();
    halves[halves.len() / 2] as f64 * 2.0 / per_minute as f64
}

#[test]
fn bursts_and_breaches_are_seen() {
    let arrivals = |per_second: &[usize], max_in_60s| Arrivals {
        count: per_second.iter().sum(),
        max_in_60s,
        per_second: per_second.to_vec(),
        statuses: [("200".to_owned(), 1)].into(),
    };
    let refused =
        |arrivals: Arrivals| std::panic::catch_unwind(|| never_above_and_even(&arrivals, 60)).is_err();
    assert!(!refused(arrivals(&[1; 90], 60)));
    assert!(refused(arrivals(&[1; 90], 61)));
    assert!(refused(arrivals(&[0, 0, 7, 0], 7)), "a burst of a second");
    assert!(refused(arrivals(&[3, 3, 3, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 15)), "bursts of many seconds");
    assert!(refused(Arrivals { statuses: [("429".to_owned(), 1)].into(), ..arrivals(&[1], 1) }));
    assert_eq!(used(&[[1, 0]; 45].concat(), 60), 0.5);
}

/// An account with 60,000 calls in the last 30 days, which the agent's first look-back holds.
fn backlog(seed: u64) -> (Simulator, Setup) {
    let simulator = Simulator::started("backlog", seed);
    let setup = Setup::new(&[account("acme", &simulator.base)])
        .with("sync.lookback", "30d1h")
        .with("heartbeat.interval", "1m")
        .with("accounts.0.rate_limits.voice", PER_MINUTE)
        .with("accounts.0.rate_limits.exophones", 40);
    (simulator, setup)
}

fn stored(agent: &Agent) -> f64 {
    agent.scrape().metric("exotel_store_records").label("table", "calls").sum()
}

#[test]
fn a_backlog_of_sixty_thousand_calls_runs_at_the_allowed_rate_evenly_and_across_a_crash() {
    let (simulator, setup) = backlog(3);
    let clock = Instant::now();
    let mut agent = setup.start();
    // Three half minutes: a stall of the machine in one of them says nothing of the limiter.
    std::thread::sleep(secs(100));
    let before = simulator.voice_arrivals();
    agent.process.kill_9();
    let crash = Instant::now();
    let mut agent = setup.start();
    // Seconds since the first request at the restart; requests came several times a second until the crash.
    let restarted = before.per_second.len() + crash.elapsed().as_secs() as usize + 1;
    eventually(secs(400), "the whole backlog is stored", || {
        agent.process.must_run();
        let stored = stored(&agent);
        ensure(stored >= CALLS, || format!("{stored} calls stored"))
    });
    let all = simulator.voice_arrivals();
    never_above_and_even(&all, PER_MINUTE);
    // From 2 s after a start to the last whole second of work.
    let share_before = used(&before.per_second[2..before.per_second.len() - 1], PER_MINUTE);
    let share_after = used(&all.per_second[restarted + 2..all.per_second.len() - 3], PER_MINUTE);
    note(&format!(
        "budget: {} requests, {:.1} % of the allowed rate before a crash and {:.1} % after, 60,000 calls in {:?}",
        all.count,
        share_before * 100.0,
        share_after * 100.0,
        clock.elapsed()
    ));
    assert!(share_before >= 0.97, "{share_before} of the allowed rate used before the crash");
    assert!(share_after >= 0.97, "{share_after} of the allowed rate used after the crash");
}

#[test]
fn background_work_stays_within_its_share_and_leaves_the_rest_to_others() {
    let (simulator, setup) = backlog(4);
    let agent = setup.with("accounts.0.background_share", 0.3).start();
    std::thread::sleep(secs(75));
    let arrivals = simulator.voice_arrivals();
    never_above_and_even(&arrivals, 60);
    let share = used(&arrivals.per_second[2..arrivals.per_second.len() - 1], 60);
    assert!(share >= 0.97, "{share} of the share used");
    let scrape = agent.scrape();
    scrape.metric("exotel_api_quota_requests").label("pool", "voice").is(200);
    scrape.metric("exotel_api_throttle_wait_seconds_count").label("pool", "voice").at_least(1.0).unwrap();
}

#[test]
fn live_calls_do_not_wait_for_a_backlog() {
    // The scenario's own traffic goes on while its history is read.
    let (_simulator, setup) = backlog(5);
    let mut agent = setup.start();
    let start = Instant::now();
    agent.scrape_until(secs(150), "a live call is counted", |scrape| {
        scrape.metric("exotel_calls_total").at_least(1.0).map(|_| ())
    });
    assert!(stored(&agent) < CALLS, "the backlog was already read after {:?}", start.elapsed());
}
