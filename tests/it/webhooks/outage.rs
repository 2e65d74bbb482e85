//! An outage of the simulated Exotel, which is a process of its own: seen by poll and by push, apart from each other, over
//! a crash of both, and no longer than it is fresh.

use std::time::Instant;

use serde_json::{Value, json};

use super::sender::{SECRET, attempt};
use crate::support::agent::{Setup, account};
use crate::support::scrape::Scrape;
use crate::support::simulator::Simulator;
use crate::support::{ensure, note, secs};

const POLL: u64 = 2;
const JSON: &str = "application/json";

/// An agent's configuration, and a simulator that sends it webhooks.
fn setup(scenario: &'static str) -> (Setup, Simulator) {
    let simulator = Simulator::planned(scenario, 5);
    let mut acme = account("acme", &simulator.base);
    acme["webhook_secrets"] = json!([SECRET]);
    acme["expected_webhooks"] = json!(["heartbeat"]);
    // The simulator's own.
    acme["heartbeat_expected_every"] = json!("5s");
    let setup = Setup::new(&[acme]).with("heartbeat.interval", format!("{POLL}s"));
    let simulator = simulator.calling(format!("{}/webhooks/{{account}}/{SECRET}", setup.base()));
    (setup, simulator)
}

/// Label and sid of the simulator's first number.
fn first_number(scrape: &Scrape, simulator: &Simulator) -> (String, String) {
    let sid = simulator.ask("outages")["numbers"][0]["sid"].as_str().expect("a sid").to_owned();
    let info = scrape.metric("exotel_exophone_info").label("sid", &sid);
    (info.by("exophone").into_keys().next().expect("a number on the list"), sid)
}

/// `Ok` when this series of the number is there with this value.
fn says(scrape: &Scrape, metric: &str, number: &str, direction: &str, value: f64) -> Result<(), String> {
    let series = scrape.metric(metric).label("exophone", number).label("direction", direction);
    ensure(series.count() == 1 && series.sum() == value, || format!("{value} expected: {series}"))
}

fn polled(scrape: &Scrape, number: &str, up: f64, state: &str) -> Result<(), String> {
    says(scrape, "exotel_exophone_up", number, "inbound", up)?;
    let states = scrape.metric("exotel_exophone_state").label("exophone", number);
    let series = states.label("direction", "inbound").label("state", state);
    ensure(series.sum() == 1.0, || format!("1 expected: {series}"))
}

fn pushed(scrape: &Scrape, number: &str, affected: f64, status: &str) -> Result<(), String> {
    says(scrape, "exotel_heartbeat_exophone_affected", number, "inbound", affected)?;
    scrape.metric("exotel_heartbeat_status").label("status", status).sums_to(1.0)
}

fn incoming() -> Value {
    json!({"exophone": 0, "lines": "incoming", "state": "major_outage"})
}

#[test]
fn an_outage_shows_within_a_poll_by_poll_and_at_once_by_push_and_is_gone_after_its_end() {
    let (setup, mut simulator) = setup("calm");
    simulator.start();
    let mut agent = setup.start();
    let scrape = agent.scrape_until(secs(15), "all is well by poll", |scrape| {
        ensure(scrape.metric("exotel_exophone_up").count() > 0, || "no answer yet".to_owned())
    });
    let (number, sid) = first_number(&scrape, &simulator);
    agent.scrape_until(secs(15), "all is well by push too", |scrape| {
        polled(scrape, &number, 1.0, "active")?;
        pushed(scrape, &number, 0.0, "OK")
    });

    simulator.tell("outages", &incoming());
    let began = Instant::now();
    let scrape = agent
        .scrape_until(secs(POLL + 2), "the outage by poll", |scrape| polled(scrape, &number, 0.0, "outage"));
    let by_poll = began.elapsed();
    // The other direction, and the other numbers, are well.
    says(&scrape, "exotel_exophone_up", &number, "outbound", 1.0).unwrap();
    let down = scrape.metric("exotel_exophone_up").by("exophone");
    assert_eq!(down.iter().filter(|(_, up)| **up < 2.0).count(), 1, "{down:?}");
    agent.scrape_until(secs(8), "the outage by the next heartbeat", |scrape| {
        pushed(scrape, &number, 1.0, "WARNING")?;
        says(scrape, "exotel_heartbeat_exophone_affected", &number, "outbound", 0.0)
    });
    note(&format!(
        "an outage: {by_poll:?} by poll every {POLL} s, {:?} by heartbeats every 5 s",
        began.elapsed()
    ));
    let page = agent.get("/").unwrap().text();
    assert!(
        page.contains("<span class=\"state bad\">outage</span>")
            && page.contains("<span class=\"state bad\">affected</span>"),
        "{page}"
    );
    assert!(page.contains("Heartbeat <span class=\"state waiting\">Warning</span>"), "{page}");

    simulator.tell("end-outages", &Value::Null);
    agent.scrape_until(secs(POLL + 2), "its end by poll", |scrape| polled(scrape, &number, 1.0, "active"));
    let scrape = agent.scrape_until(secs(8), "its end by push", |scrape| pushed(scrape, &number, 0.0, "OK"));
    let changes = scrape.metric("exotel_exophone_state_changes_total").label("exophone", &number);
    changes.label("direction", "inbound").is(2);

    // At once: the scrape after the reply knows it. It is newer than what the simulator has sent by then.
    simulator.tell("heartbeats", &json!("silent"));
    let at = jiff::Timestamp::now() + secs(1);
    let body = json!({
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), "status_type": "WARNING",
        "incoming_affected": [sid], "outgoing_affected": null,
        "data": {&sid: {"incoming_call": {"status": "major_outage", "last_check_time": "2026-03-02T13:20:00Z"}}},
    });
    let path = format!("/webhooks/acme/{SECRET}/heartbeat");
    assert_eq!(attempt(&agent.base, &path, JSON, &body.to_string()), Some(200));
    let scrape = agent.scrape();
    pushed(&scrape, &number, 1.0, "WARNING").unwrap();
    // Polls know better, and push does not talk them into anything.
    polled(&scrape, &number, 1.0, "active").unwrap();
}

#[test]
fn states_by_poll_and_push_are_exported_after_a_crash_while_they_are_fresh_and_no_longer() {
    let (setup, mut simulator) = setup("calm");
    simulator.start();
    let mut agent = setup.start();
    simulator.tell("outages", &incoming());
    let scrape = agent.scrape_until(secs(15), "the list is read", |scrape| {
        ensure(scrape.metric("exotel_exophone_info").count() > 0, || "no number".to_owned())
    });
    let (number, _) = first_number(&scrape, &simulator);
    agent.scrape_until(secs(15), "the outage is known both ways", |scrape| {
        polled(scrape, &number, 0.0, "outage")?;
        pushed(scrape, &number, 1.0, "WARNING")
    });
    // Nobody can tell the next one.
    simulator.process().kill_9();
    agent.process.kill_9();
    let mut agent = setup.start();
    let scrape = agent.scrape();
    polled(&scrape, &number, 0.0, "outage").unwrap();
    pushed(&scrape, &number, 1.0, "WARNING").unwrap();
    let received = scrape.metric("exotel_webhook_last_received_timestamp_seconds").label("kind", "heartbeat");
    let started = scrape.metric("process_start_time_seconds").value();
    assert!(received.value() >= started - 2.0, "{received} before {started}");
    // 3 x 5 s for heartbeats, 3 x 2 s for polls; then blindness is not an outage.
    let scrape = agent.scrape_until(secs(25), "both are too old to say anything", |scrape| {
        let of = |name: &str| scrape.metric(name).count();
        let left = of("exotel_exophone_up") + of("exotel_exophone_state");
        let left = left + of("exotel_heartbeat_exophone_affected") + of("exotel_heartbeat_status");
        ensure(left == 0, || format!("{left} series"))
    });
    scrape.metric("exotel_exophone_paging").label("exophone", &number).is(1);
}
