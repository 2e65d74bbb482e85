//! From what happens at Exotel to those who are told: numbers that are out, money that is used up, callbacks and heartbeats
//! that do not come, a store without room. One agent, one Prometheus and one Alertmanager see it all.

use std::time::{Duration, Instant};

use exotel_exporter::model::Clock;
use exotel_exporter::simulator::{
    Faults, HeartbeatSwitch, Lines, Options, Outage, OutageState, Postman, Scenario, Simulator, WhenEmpty,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::paging::hurried_rules;
use super::repository;
use crate::support::agent::{Agent, Setup, account};
use crate::support::alerting::{Alertmanager, Message, Receivers};
use crate::support::prometheus::Prometheus;
use crate::support::tools::Version;
use crate::support::{ensure, eventually, http, note, secs};

const SECRET: &str = "a-secret-of-webhooks";
/// Accounts by name, each of a simulated Exotel of its own, as options are those of all its accounts.
const NAMES: [&str; 4] = ["acme", "beta", "poor", "lossy"];

/// The simulated Exotel of an account, which sends its webhooks to this agent.
struct Exotel {
    simulator: Simulator,
    sid: String,
    base: String,
}

impl Exotel {
    fn start(name: &str, agent: &str) -> Self {
        let mut options = Scenario::Calm.options();
        let sid = format!("example{name}");
        options.accounts[0].sid.clone_from(&sid);
        options.webhooks.base = Some(format!("{agent}/webhooks/{{account}}/{SECRET}"));
        options.webhooks.heartbeats.every = Some(Duration::from_secs(1));
        change(name, &mut options);
        let simulator = Simulator::new(options, Clock::system());
        let (sender, postman) = (simulator.clone(), Postman::network().expect("an HTTP client"));
        http::spawn(async move { sender.send_webhooks(postman, CancellationToken::new()).await });
        let base = http::serve(simulator.router());
        Self { simulator, sid, base }
    }

    /// The number at a place of the list.
    fn number(&self, place: usize) -> String {
        let answer = http::get(&format!("{}/_sim/outages?account={}", self.base, self.sid)).unwrap();
        answer.json().unwrap()["numbers"][place]["number"].as_str().expect("a number").to_owned()
    }

    /// An outage of one number, or of all, for calls in.
    fn begin_outage(&self, exophone: Option<u16>) {
        let outage = Outage { exophone, lines: Lines::Incoming, state: OutageState::MajorOutage };
        assert!(self.simulator.begin_outage(&self.sid, outage, None));
    }
}

fn change(name: &str, options: &mut Options) {
    match name {
        "poor" => {
            options.balance.start_micros = 0;
            options.balance.when_empty = WhenEmpty::Told;
        }
        "lossy" => {
            options.traffic.calls_per_second = 5.0;
            options.durations.median = Duration::from_secs(1);
            options.durations.max = Duration::from_secs(2);
            options.webhooks.lost_share = 0.5;
        }
        _ => {}
    }
}

/// The rules that count in hours ask for fewer calls.
fn rules() -> TempDir {
    let folder = hurried_rules();
    let path = folder.path().join("webhooks.rules.yml");
    let text = std::fs::read_to_string(&path).unwrap();
    let shipped = "(sum by (account) (increase(exotel_webhook_calls_expected_total[6h])) > 20)";
    assert!(text.contains(shipped), "webhooks.rules.yml has no {shipped}");
    std::fs::write(&path, text.replace(shipped, &shipped.replace("> 20", "> 3"))).unwrap();
    folder
}

fn start(setup: Setup) -> ([Exotel; 4], Setup, Agent) {
    let base = setup.base();
    let exotels = NAMES.map(|name| Exotel::start(name, &base));
    let mut setup = setup
        .with("accounts.0.expected_webhooks", vec!["heartbeat"])
        .with("accounts.0.heartbeat_expected_every", "1s")
        .with("accounts.0.page_exophones", vec![exotels[0].number(0)])
        .with("accounts.2.balance", json!({"enabled": true, "interval": "1s"}))
        .with("accounts.3.expected_webhooks", vec!["calls"])
        .with("webhooks", json!({"missed_after": "6s"}))
        .with("store.max_size", "128KiB")
        .with("sync.interval", "3s");
    for (place, exotel) in exotels.iter().enumerate() {
        let with = |key: &str| format!("accounts.{place}.{key}");
        setup = setup
            .with(&with("sid"), exotel.sid.clone())
            .with(&with("base_url"), exotel.base.clone())
            .with(&with("ccm_base_url"), exotel.base.clone())
            .with(&with("webhook_secrets"), vec![SECRET]);
    }
    let mut agent = setup.start();
    agent.scrape_until(secs(30), "every number is seen to be well, by poll and by push", |scrape| {
        for name in ["acme", "beta"] {
            scrape.metric("exotel_exophone_up").label("account", name).sums_to(6.0)?;
            let status = scrape.metric("exotel_heartbeat_status").label("account", name);
            status.label("status", "OK").sums_to(1.0)?;
        }
        Ok(())
    });
    (exotels, setup, agent)
}

/// What a pager shows: an event of the one kind for what has this summary.
fn pages(receivers: &Receivers, action: &str, summary: &str) -> Vec<Value> {
    let events = receivers.got("pagerduty", summary).iter().map(Message::json).collect::<Vec<_>>();
    events.into_iter().filter(|event| event["event_action"] == action).collect()
}

/// Waits until every alert of this name and account is known to Alertmanager and inhibited.
#[track_caller]
fn inhibited(alertmanager: &Alertmanager, name: &str, account: &str, count: usize) {
    eventually(secs(40), &format!("{name} of {account} is known and silent"), || {
        let alerts = alertmanager.alerts(name, account)?;
        let silent =
            |alert: &Value| alert["status"]["inhibitedBy"].as_array().is_some_and(|by| !by.is_empty());
        ensure(alerts.len() == count && alerts.iter().all(silent), || format!("{alerts:?}"))
    });
}

#[test]
fn outages_money_callbacks_heartbeats_and_a_full_store_reach_those_who_are_to_know() {
    what_happens_is_told(Version::Debian);
}

#[track_caller]
fn what_happens_is_told(version: Version) {
    let setup = Setup::new(&NAMES.map(|name| account(name, "http://127.0.0.1:9")));
    let ([acme, beta, poor, _lossy], _setup, mut agent) = start(setup);
    let receivers = Receivers::start();
    let mut alertmanager = Alertmanager::start(version, &repository("alerts"), &receivers);
    let rules = rules();
    let _prometheus =
        Prometheus::start_alerting(version, &[&agent.metrics_url()], rules.path(), &alertmanager.address);
    receivers.wait("dead-man", "ExotelWatchdog");

    // At one account a number that pages and one that does not go down, at the other all.
    let (pager, quiet) = (acme.number(0), acme.number(1));
    for outage in [0, 1] {
        acme.begin_outage(Some(outage));
    }
    beta.begin_outage(None);
    let began = Instant::now();
    let summary = format!("ExoPhone {pager} of acme is down (inbound)");
    let page = receivers.wait("pagerduty", &summary);
    let took = page.at.saturating_duration_since(began);
    note(&format!("a page {:.1} s after the outage began, 3 s of them `for`", took.as_secs_f64()));
    // A poll and a scrape of 1 s each, 3 s of `for`, 1 s for the group; the rest is for a busy machine.
    assert!(took < secs(20), "{took:?}");
    let event = page.json();
    assert_eq!(event["payload"]["severity"], "critical", "{event}");
    let runbook = "https://runbooks.example/exotel-exporter/ExotelExophoneOutagePaging.md";
    assert_eq!(event["links"][0]["href"], runbook, "{event}");
    let board = event["links"][1]["href"].as_str().expect("a link to the board");
    assert!(board.contains("/d/exotel-exophones?var-account=acme"), "{board}");
    let text = event.to_string();
    assert!(text.contains("This number is one of those that page"), "{text}");

    let chat = receivers.wait("slack", &format!("ExoPhone {quiet} of acme is down (inbound)")).json();
    let attachment = &chat["attachments"][0];
    assert_eq!(attachment["color"], "warning", "{chat}");
    assert!(attachment["title"].as_str().unwrap().starts_with("WARNING: "), "{chat}");
    // The number that pages is not said a second time, and the other wakes nobody.
    eventually(secs(20), "the warning about the number that pages is silent", || {
        let alerts = alertmanager.alerts("ExotelExophoneOutage", "acme")?;
        let state = |number: &str| {
            let of_number = |alert: &&Value| alert["labels"]["exophone"] == number;
            alerts.iter().find(of_number).map(|alert| alert["status"]["state"].clone())
        };
        let found = (state(&pager), state(&quiet));
        ensure(found == (Some("suppressed".into()), Some("active".into())), || format!("{found:?}"))
    });
    assert!(receivers.got("pagerduty", &quiet).is_empty());

    // All numbers down is one page.
    receivers.wait("pagerduty", "All ExoPhones of beta are down");
    inhibited(&alertmanager, "ExotelExophoneOutage", "beta", 3);
    inhibited(&alertmanager, "ExotelExophoneOutagePaging", "beta", 3);

    // What else happens meanwhile: no money, callbacks that do not come, no room.
    receivers.wait("pagerduty", "The balance of poor runs out");
    receivers.wait("slack", "A part of the call callbacks of lossy is lost");
    receivers.wait("slack", "is running out of room");
    poor.simulator.set_faults(&Faults { always: Some(402), ..Faults::default() });
    receivers.wait("pagerduty", "Exotel blocks account poor (402 or 403)");

    // The numbers are well again; then one account's heartbeats stop.
    acme.simulator.end_outages(&acme.sid);
    beta.simulator.end_outages(&beta.sid);
    for over in [summary.as_str(), "All ExoPhones of beta are down"] {
        eventually(secs(40), "the pager hears that it is over", || {
            ensure(!pages(&receivers, "resolve", over).is_empty(), || over.to_owned())
        });
        receivers.wait("slack", &format!("OVER: {over}"));
    }
    acme.simulator.set_heartbeats(&acme.sid, HeartbeatSwitch::Silent);
    receivers.wait("slack", "Exotel's heartbeat for acme does not arrive");

    // Each was said once, however often it was evaluated.
    for said in [
        summary.as_str(),
        "All ExoPhones of beta are down",
        "The balance of poor runs out",
        "Exotel blocks account poor (402 or 403)",
    ] {
        let events = pages(&receivers, "trigger", said);
        assert_eq!(events.len(), 1, "{said}: {events:?}");
    }
    agent.process.must_run();

    // Without Alertmanager nobody is told anything, and the service outside notices.
    alertmanager.process.kill_9();
    eventually(secs(30), "the dead-man service hears nothing for 5 s", || {
        let last = receivers.got("dead-man", "").last().map(|message| message.at.elapsed());
        ensure(last.is_some_and(|silence| silence > secs(5)), || format!("{last:?}"))
    });
}
