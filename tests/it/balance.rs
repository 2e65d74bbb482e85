//! The balance: shown where it can be read, and nobody else's trouble where it cannot.

use exotel_exporter::model::Clock;
use exotel_exporter::simulator::{Limits, Options, Pool, Simulator};
use serde_json::json;

use crate::support::agent::{Setup, account};
use crate::support::fake::{Balance, Fake};
use crate::support::{ensure, eventually, http, secs};

#[test]
fn a_balance_that_is_refused_with_402_hurts_nothing_else() {
    let exotel = Fake::start();
    exotel.set_balance(Balance::Holds("1543.75"));
    let mut acme = account("acme", &exotel.base);
    acme["balance"] = json!({"enabled": true, "interval": "1s"});
    let setup = Setup::new(&[acme]);
    let mut agent = setup.start();
    let scrape = agent.scrape_until(secs(10), "the balance is read", |scrape| {
        scrape.metric("exotel_account_balance").label("currency", "INR").sums_to(1543.75)
    });
    let read = scrape.metric("exotel_balance_last_success_timestamp_seconds").value();
    let page = agent.get("/").unwrap().text();
    assert!(page.contains("<dt>balance</dt><dd>1,543.75 <span class=\"unit\">INR</span>"), "{page}");

    exotel.set_balance(Balance::Refused);
    let refused = |scrape: &crate::support::scrape::Scrape, least| {
        let failures = scrape.metric("exotel_api_request_failures_total").label("endpoint", "balance");
        failures.label("reason", "payment").at_least(least).map(|_| ())
    };
    let before = agent.scrape_until(secs(10), "it is refused", |scrape| refused(scrape, 1.0));
    exotel.add_call("during");
    let scrape = agent.scrape_until(secs(20), "calls are counted and balances refused", |scrape| {
        scrape.metric("exotel_calls_total").sums_to(1.0)?;
        refused(scrape, before.metric("exotel_api_request_failures_total").sum() + 2.0)
    });
    scrape.metric("exotel_up").is(1);
    scrape.metric("exotel_api_auth_ok").is(1);
    let others = scrape.metric("exotel_api_request_failures_total").sum();
    let of_balance = scrape.metric("exotel_api_request_failures_total").label("endpoint", "balance").sum();
    assert_eq!(others, of_balance, "nothing else failed");
    let successes = scrape.metric("exotel_health_checks_total").label("status", "OK");
    successes
        .at_least(before.metric("exotel_health_checks_total").label("status", "OK").sum() + 1.0)
        .unwrap();
    // What was read stays, with its time, so that its age shows.
    scrape.metric("exotel_account_balance").is(1543.75);
    assert!(scrape.metric("exotel_balance_last_success_timestamp_seconds").value() >= read);

    exotel.set_balance(Balance::Holds("-2.5"));
    agent.scrape_until(secs(10), "it is read again, below 0 as it is", |scrape| {
        scrape.metric("exotel_account_balance").sums_to(-2.5)
    });
    assert!(!agent.process.log().contains("panicked"), "{}", agent.process.log());
}

#[test]
fn the_quota_of_the_balance_of_one_a_minute_holds_up_the_balance_alone() {
    let limits = Limits { voice: None, exophones: None, balance: Some(1), ..Limits::default() };
    let exotel = Simulator::new(Options { limits, ..Options::default() }, Clock::system());
    let mut acme = account("acme", &http::serve(exotel.router()));
    acme["balance"] = json!({"enabled": true, "interval": "1s"});
    let setup = Setup::new(&[acme]);
    let mut agent = setup.start();
    agent.scrape_until(secs(10), "the balance is read", |scrape| {
        scrape.metric("exotel_account_balance").at_least(0.01).map(|_| ())
    });
    let arrived = |pool| exotel.arrivals().largest(0, pool, u64::MAX);
    let before = arrived(Pool::Voice);
    eventually(secs(20), "calls are read on", || {
        let more = arrived(Pool::Voice) - before;
        ensure(more >= 5, || format!("{more} requests since the balance was read"))
    });
    let scrape = agent.scrape();
    scrape.metric("exotel_api_quota_requests").label("pool", "voice").is(6000);
    assert_eq!(scrape.metric("exotel_api_quota_remaining_requests").label("pool", "voice").count(), 0);
    assert_eq!(arrived(Pool::Balance), 1, "it rests until its quota is full again");
    assert_eq!(scrape.metric("exotel_api_request_failures_total").sum(), 0.0);
}
