//! Accounts stand side by side: what goes wrong with one costs the others nothing.

use std::time::Duration;

use crate::support::agent::{Agent, Setup, account};
use crate::support::fake::{Fake, Reply};
use crate::support::scrape::Scrape;
use crate::support::secs;

const GOOD: &str = "good";
const BAD: &str = "bad";

/// An agent with a good account and one whose Exotel is twisted; each has its own Exotel and its own sid.
fn two_accounts(twist: impl Fn(usize, Reply) -> Reply + Send + 'static) -> (Fake, Fake, Setup, Agent) {
    let (good, bad) = (Fake::start(), Fake::start());
    bad.twist(twist);
    // The bad one first: whoever takes accounts in turn must not wait for it.
    let setup = Setup::new(&[account(BAD, &bad.base), account(GOOD, &good.base)])
        .with("accounts.0.sid", "exampleacct2")
        // Only the call list is twisted: what a health poll hears must not hide it.
        .with("heartbeat.enabled", false)
        .with("accounts.0.channel_limit", 5);
    let agent = setup.start();
    (good, bad, setup, agent)
}

/// Adds a call every half second to the good account, and demands that each is counted within a few sync intervals.
#[track_caller]
fn the_good_account_keeps_its_pace(good: &Fake, agent: &mut Agent) -> Scrape {
    let runs = |scrape: &Scrape| {
        scrape.metric("exotel_sync_runs_total").label("account", GOOD).label("outcome", "success").sum()
    };
    let before = runs(&agent.scrape());
    for number in 1..=10 {
        good.add_call(&format!("good{number}"));
        std::thread::sleep(Duration::from_millis(500));
    }
    let scrape = agent.scrape_until(secs(5), "every call of the good account is counted", |scrape| {
        scrape.metric("exotel_calls_total").label("account", GOOD).sums_to(10.0)
    });
    let runs = runs(&scrape) - before;
    assert!(runs >= 3.0, "{runs} runs of the good account in 5 s, one a second expected");
    scrape.metric("exotel_up").label("account", GOOD).is(1);
    scrape.metric("exotel_api_auth_ok").label("account", GOOD).is(1);
    scrape.metric("exotel_api_request_failures_total").label("account", GOOD).sums_to(0.0).unwrap();
    scrape
}

#[test]
fn a_bad_key_of_one_account_does_not_delay_the_other() {
    let (good, bad, _setup, mut agent) = two_accounts(|_, truth| Reply {
        status: 401,
        body: r#"{"RestException": {"Status": 401, "Message": "Unauthorized"}}"#.to_owned(),
        ..truth
    });
    let scrape = the_good_account_keeps_its_pace(&good, &mut agent);
    scrape.metric("exotel_api_auth_ok").label("account", BAD).is(0);
    let failures = scrape.metric("exotel_api_request_failures_total").label("account", BAD);
    failures.label("reason", "auth").at_least(1.0).unwrap();
    // A refused key is tried about once an interval, never hammered.
    assert!(bad.requests() <= 30, "{} requests with a refused key", bad.requests());
    let log = agent.process.log();
    assert!(log.contains("region"), "the log asks whether the region is wrong: {log}");
    assert!(!log.contains("simtoken"), "the log holds the token");

    // The key is put right at Exotel: the account recovers by itself.
    bad.behave();
    bad.add_call("recovered");
    agent.scrape_until(secs(30), "the other account recovers", |scrape| {
        scrape.metric("exotel_calls_total").label("account", BAD).sums_to(1.0)?;
        scrape.metric("exotel_api_auth_ok").label("account", BAD).sums_to(1.0)?;
        scrape.metric("exotel_up").label("account", BAD).sums_to(1.0)
    });
}

#[test]
fn an_account_whose_exotel_hangs_does_not_delay_the_other() {
    let (good, _bad, _setup, mut agent) =
        two_accounts(|_, truth| Reply { after: Duration::from_secs(600), ..truth });
    the_good_account_keeps_its_pace(&good, &mut agent);
}

#[test]
fn an_account_that_is_throttled_does_not_delay_the_other() {
    let (good, _bad, _setup, mut agent) =
        two_accounts(|_, truth| Reply { status: 429, body: "{}".to_owned(), ..truth });
    let scrape = the_good_account_keeps_its_pace(&good, &mut agent);
    let failures = scrape.metric("exotel_api_request_failures_total").label("account", BAD);
    failures.label("reason", "throttled").at_least(1.0).unwrap();
}
