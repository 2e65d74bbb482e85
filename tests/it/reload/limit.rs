//! The limit holds over reloads, as Exotel sees it.

use std::time::{Duration, Instant};

use super::{apply, start};
use crate::support::agent::{Setup, account};
use crate::support::note;
use crate::support::simulator::{Arrivals, Simulator};

const FIRST: usize = 200;
const THEN: usize = 90;

/// The most requests of any 60 seconds that end with one sent in second `from` or later. Those sent under a
/// higher ceiling before count too: their slots must not have been forgotten.
fn most(arrivals: &Arrivals, from: usize) -> usize {
    let seconds = &arrivals.per_second;
    let ends = (from..seconds.len()).filter(|second| seconds[*second] > 0);
    ends.map(|second| seconds[second.saturating_sub(59)..=second].iter().sum()).max().unwrap_or(0)
}

#[test]
fn no_minute_holds_more_than_the_ceiling_however_often_an_account_is_changed() {
    // A backlog that wants more than it may have, from the first second to the last.
    let simulator = Simulator::started("backlog", 11);
    let mut setup = Setup::new(&[account("acme", &simulator.base)])
        .with("sync.lookback", "30d1h")
        .with("heartbeat.interval", "1m")
        .with("accounts.0.rate_limits.voice", FIRST);
    let mut agent = start(&setup);
    let reloads = |setup: Setup, length: Duration| {
        let (mut setup, begun) = (setup, Instant::now());
        let mut reloads = 0;
        while begun.elapsed() < length {
            reloads += 1;
            // Renamed each time: each time its tasks end, and others begin.
            setup = setup.with("accounts.0.name", format!("acme{reloads}"));
            apply(&setup, &agent);
            // The pace of whoever changes the file, not a wait for something to happen.
            std::thread::sleep(Duration::from_millis(1500));
        }
        (setup, reloads)
    };
    let (last, first_reloads) = reloads(setup, Duration::from_secs(40));
    setup = last.with("accounts.0.rate_limits.voice", THEN);
    apply(&setup, &agent);
    let lowered = simulator.voice_arrivals().per_second.len();
    let (_, then_reloads) = reloads(setup, Duration::from_secs(75));
    agent.process.must_run();
    let arrivals = simulator.voice_arrivals();
    let (before, lower) =
        (arrivals.per_second[..lowered].iter().sum::<usize>(), most(&arrivals, lowered + 2));
    note(&format!(
        "reload: {} requests over {} reloads, at most {} in 60 s, {lower} once {THEN} were allowed",
        arrivals.count,
        first_reloads + then_reloads,
        arrivals.max_in_60s,
    ));
    assert!(first_reloads + then_reloads >= 20, "{first_reloads} and {then_reloads} reloads");
    assert_eq!(arrivals.statuses.get("429"), None, "Exotel never had to refuse one");
    assert!(arrivals.max_in_60s <= FIRST, "{} requests in 60 s", arrivals.max_in_60s);
    // Without these the next line would say nothing: more slots are taken than are allowed from then on.
    assert!(before > THEN, "{before} requests before the ceiling was lowered: {:?}", arrivals.per_second);
    assert!((1..=THEN).contains(&lower), "{lower} requests in 60 s: {:?}", arrivals.per_second);
}
