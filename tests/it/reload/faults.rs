//! What is refused, what needs a restart, and who may ask.

use rustix::process::Signal;
use serde_json::json;

use super::{apply, post, start};
use crate::support::agent::{Agent, Setup, account};
use crate::support::fake::Fake;
use crate::support::{ensure, eventually, secs};

const SUCCESSFUL: &str = "exotel_exporter_config_last_reload_successful";
const APPLIED: &str = "exotel_exporter_config_last_reload_success_timestamp_seconds";

fn setup() -> (Fake, Setup) {
    let exotel = Fake::start();
    let setup = Setup::new(&[account("acme", &exotel.base)]);
    (exotel, setup)
}

/// The names under which accounts are shown.
fn names(agent: &Agent) -> Vec<String> {
    agent.scrape().metric("exotel_up").by("account").into_keys().collect()
}

/// The log comes through a pipe, a moment later.
#[track_caller]
fn is_logged(agent: &Agent, text: &str) {
    eventually(secs(10), "it is logged", || {
        let log = agent.process.log();
        ensure(log.contains(text), || format!("{text} is not in\n{log}"))
    });
}

#[test]
fn a_bad_file_changes_nothing_and_tells_every_fault() {
    let (exotel, setup) = setup();
    let mut agent = start(&setup);
    let applied_at_start = agent.scrape().metric(APPLIED).value();
    agent.scrape().metric(SUCCESSFUL).is(1);

    let bad = setup
        .with("accounts.0.name", "renamed")
        .with("accounts.0.api_key", serde_json::Value::Null)
        .with("sync.interval", "soon")
        .with("sink", json!({"interval": "1s"}));
    bad.config_file();
    let answer = post(&agent);
    assert_eq!(answer.status, 422, "{}", answer.text());
    for fault in ["accounts[0].api_key", "sync.interval", "sink"] {
        assert!(answer.text().contains(fault), "{fault}: {}", answer.text());
        is_logged(&agent, fault);
    }
    let scrape = agent.scrape();
    scrape.metric(SUCCESSFUL).is(0);
    scrape.metric(APPLIED).is(applied_at_start);
    assert_eq!(names(&agent), ["acme"]);
    exotel.add_call("after");
    agent.scrape_until(secs(20), "the former configuration goes on", |scrape| {
        scrape.metric("exotel_calls_total").label("account", "acme").sums_to(1.0)
    });

    // The file that is no file at all.
    std::fs::remove_file(bad.config_file()).unwrap();
    assert_eq!(post(&agent).status, 422);
    std::fs::write(bad.path().join("exotel-exporter.yml"), "\u{0}{[").unwrap();
    assert_eq!(post(&agent).status, 422);

    let good = bad
        .with("accounts.0.api_key", "simkey")
        .with("sync.interval", "1s")
        .with("sink", serde_json::Value::Null);
    let text = std::fs::read_to_string(good.config_file()).unwrap().replace("sink: null\n", "");
    std::fs::write(good.path().join("exotel-exporter.yml"), text).unwrap();
    let answer = post(&agent);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().starts_with("The configuration was applied.\n"), "{}", answer.text());
    // What a person should know is told as at the start.
    assert!(answer.text().contains("warning: ") && !answer.text().contains("restart"), "{}", answer.text());
    let scrape = agent.scrape();
    scrape.metric(SUCCESSFUL).is(1);
    assert!(scrape.metric(APPLIED).value() >= applied_at_start);
    scrape.metric("exotel_calls_total").label("account", "renamed").sums_to(1.0).unwrap();
}

#[test]
fn without_the_flag_only_the_signal_reloads() {
    let (_exotel, setup) = setup();
    let mut agent = setup.start();
    let answer = post(&agent);
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("--web.enable-lifecycle"), "{}", answer.text());
    let setup = setup.with("accounts.0.name", "renamed");
    setup.config_file();
    agent.process.signal(Signal::HUP);
    eventually(secs(20), "the new name is shown, and it alone", || {
        agent.process.must_run();
        let names = names(&agent);
        ensure(names == ["renamed"], || format!("{names:?}"))
    });
    // A bad file by signal: the log tells, and so do the metrics.
    let setup = setup.with("accounts.0.region", "mars");
    setup.config_file();
    agent.process.signal(Signal::HUP);
    agent.scrape_until(secs(20), "the refusal is shown", |scrape| scrape.metric(SUCCESSFUL).sums_to(0.0));
    is_logged(&agent, "accounts[0].region");
    assert!(agent.process.terminate(secs(20)).success());
}

#[test]
fn what_needs_a_restart_is_named_and_the_rest_applied() {
    let (_exotel, setup) = setup();
    let agent = start(&setup);
    let elsewhere = setup.path().join("elsewhere.redb");
    let setup = setup
        .with("store.path", elsewhere.to_str().unwrap())
        .with("web.telemetry_path", "/elsewhere")
        .with("web.webhook_listen", json!(["127.0.0.1:1"]))
        .with("log.format", "json")
        .with("accounts.0.channel_limit", 30);
    for _ in 0..2 {
        // Still pending, so still told.
        let told = apply(&setup, &agent);
        for key in ["store.path", "web.telemetry_path", "web.webhook_listen", "log.format"] {
            assert!(told.contains(&format!("{key}: needs a restart")), "{key}: {told}");
            is_logged(&agent, key);
        }
        assert!(!told.contains("web.listen:"), "{told}");
    }
    assert!(!elsewhere.exists());
    assert_eq!(agent.get("/elsewhere").unwrap().status, 404);
    agent.scrape().metric("exotel_account_channel_limit").label("account", "acme").is(30);
}

#[test]
fn the_level_of_the_log_changes() {
    let (_exotel, setup) = setup();
    let setup = setup.with("log.level", "warn");
    let agent = start(&setup);
    let setup = setup.with("log.level", "debug");
    apply(&setup, &agent);
    eventually(secs(20), "debug lines are logged", || {
        let log = agent.process.log();
        ensure(log.contains("level=debug"), || log)
    });
}

#[test]
fn reloads_at_once_take_turns() {
    let (_exotel, setup) = setup();
    let mut agent = start(&setup);
    let setup = setup.with("accounts.0.name", "renamed");
    setup.config_file();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(post(&agent).status, 200));
        }
    });
    assert_eq!(names(&agent), ["renamed"]);
    agent.process.must_run();
}
