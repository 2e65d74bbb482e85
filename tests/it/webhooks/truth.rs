//! What callbacks the simulated Exotel lost, and how its messages ended, as the agent finds out.

use serde_json::{Value, json};

use super::sender::SECRET;
use crate::support::agent::{Setup, account};
use crate::support::scrape::Scrape;
use crate::support::simulator::Simulator;
use crate::support::{ensure, eventually, note, secs};

/// An agent's configuration, and a simulator that sends it webhooks.
fn setup(scenario: &'static str, seed: u64, kind: &str) -> (Setup, Simulator) {
    let simulator = Simulator::planned(scenario, seed);
    let mut acme = account("acme", &simulator.base);
    acme["webhook_secrets"] = json!([SECRET]);
    acme["expected_webhooks"] = json!([kind]);
    acme["rate_limits"]["sms"] = json!(6000);
    // The simulator's callbacks come 10 s after the end at the latest: half a second, 5 more out of order, and retries.
    let setup = Setup::new(&[acme]).with("webhooks", json!({"missed_after": "12s"}));
    let simulator = simulator.calling(format!("{}/webhooks/{{account}}/{SECRET}", setup.base()));
    (setup, simulator)
}

/// Lets an agent that ran before see so many seconds of traffic, and everything to its end.
fn traffic(simulator: &mut Simulator, seconds: u64) -> Value {
    simulator.start();
    std::thread::sleep(secs(seconds));
    simulator.stop_traffic();
    eventually(secs(60), "everything was sent", || simulator.is_quiet());
    let truth = simulator.ask("webhooks");
    for (kind, deliveries) in truth["deliveries"].as_object().expect("deliveries") {
        assert_eq!(deliveries["given_up"], 0, "{kind}: {truth}");
    }
    truth
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn callbacks_that_the_simulator_lost_are_those_counted_as_missed() {
    let (setup, mut simulator) = setup("lossy-callbacks", 12, "calls");
    let mut agent = setup.start();
    let truth = traffic(&mut simulator, 20);
    let (expected, lost) =
        (number(&truth["calls"]["expected"]), truth["calls"]["lost"].as_array().unwrap().len());
    assert!(expected >= 10.0 && lost >= 2, "{truth}");
    let equal = |scrape: &Scrape| {
        scrape.metric("exotel_webhook_calls_expected_total").sums_to(expected)?;
        scrape.metric("exotel_webhook_calls_missed_total").sums_to(lost as f64)
    };
    let scrape = agent.scrape_until(secs(60), "the missed are the lost", equal);
    let outcomes = scrape.metric("exotel_webhook_requests_total").label("kind", "calls").by("outcome");
    assert!(outcomes["accepted"] > 0.0 && outcomes["duplicate"] > 0.0, "{outcomes:?}");
    note(&format!("callbacks: {expected} expected, {lost} missed, as the simulator says; {outcomes:?}"));
    let page = agent.get("/").unwrap().text();
    let tile = format!("{lost} of {expected} expected");
    assert!(page.contains(&tile), "the page does not tell of lost callbacks: {page}");
    assert!(agent.process.terminate(secs(10)).success(), "{}", agent.process.log());
    equal(&setup.start().scrape()).unwrap();
}

#[test]
fn messages_end_as_the_simulator_says_though_a_fifth_of_the_reports_is_lost() {
    let (setup, mut simulator) = setup("sms", 3, "sms");
    let mut agent = setup.start();
    let truth = traffic(&mut simulator, 15);
    let reported = truth["messages_reported"].as_object().expect("messages").clone();
    let all: f64 = reported.values().map(number).sum();
    let known_at_all: f64 = truth["messages"].as_object().expect("messages").values().map(number).sum();
    assert!(all >= 15.0 && all < known_at_all, "some left no trace: {truth}");
    let equal = |scrape: &Scrape| {
        for (status, count) in &reported {
            let messages = scrape.metric("exotel_sms_messages_total").label("status", status);
            messages.sums_to(number(count))?;
        }
        scrape.metric("exotel_sms_messages_total").sums_to(all)?;
        // Asked for where no report says when they began.
        scrape.metric("exotel_sms_delivery_delay_seconds_count").sums_to(all)
    };
    let scrape = agent.scrape_until(secs(60), "messages are counted as they ended", equal);
    scrape.metric("exotel_api_requests_total").label("endpoint", "sms").at_least(1.0).unwrap();
    note(&format!(
        "messages: {all} of {known_at_all} reported and counted; lost reports {}",
        truth["sms"]["lost"].as_array().unwrap().len()
    ));
    assert!(agent.process.terminate(secs(10)).success(), "{}", agent.process.log());
    ensure(equal(&setup.start().scrape()).is_ok(), || "a restart changed it".to_owned()).unwrap();
}
