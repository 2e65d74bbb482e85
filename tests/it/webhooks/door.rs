//! Who is let in, where, and what is durable then.

use serde_json::json;

use super::sender::{FORM, SECRET, counted, listen, path, post, setup};
use crate::support::agent::Setup;
use crate::support::{ensure, eventually, free_port, http, secs};

/// A callback that is nothing the agent knows: it is kept, whatever else a version can do.
const NEW: &[u8] = b"campaign=spring&step=1";

#[test]
fn a_callback_is_taken_with_each_secret_under_name_and_sid() {
    let (_exotel, setup) = setup();
    let setup = setup.with("log.level", "trace");
    let agent = setup.start();
    for account in ["acme", "exampleacct1"] {
        for secret in ["the-secret-before-it", SECRET] {
            let path = format!("/webhooks/{account}/{secret}/calls");
            assert_eq!(post(&agent.base, &path, FORM, NEW), (200, String::new()));
        }
    }
    assert_eq!(counted(&agent, "acme", "other", "accepted"), 4.0);
    let taken = agent.scrape();
    taken.metric("exotel_webhook_handling_duration_seconds_count").label("kind", "other").is(4);
    assert_eq!(post(&agent.base, "/webhooks/acme/wrong/calls", FORM, NEW).0, 401);
    assert_eq!(post(&agent.base, &format!("/webhooks/nobody/{SECRET}/calls"), FORM, NEW).0, 401);
    assert_eq!(counted(&agent, "acme", "calls", "unauthorized"), 1.0);
    assert_eq!(counted(&agent, "unknown", "calls", "unauthorized"), 1.0);
    let said = agent.process.log() + &agent.scrape().text;
    assert!(
        !said.contains(SECRET) && !said.contains("the-secret-before-it"),
        "a secret was written:\n{said}"
    );
}

#[test]
fn what_was_answered_200_is_there_after_kill_9() {
    let (_exotel, setup) = setup();
    let mut agent = setup.start();
    for n in 0..20 {
        let body = format!("campaign=spring&step={n}");
        assert_eq!(post(&agent.base, &path("sms"), FORM, body.as_bytes()).0, 200);
    }
    agent.process.kill_9();
    let mut agent = setup.start();
    let records = agent.scrape_until(secs(20), "the rows of the store are counted", |scrape| {
        scrape.metric("exotel_store_records").label("table", "kept").at_least(20.0).map(|_| ())
    });
    records.metric("exotel_store_records").label("table", "kept").is(20);
    let finished = {
        agent.process.terminate(secs(10));
        setup.finish(&["store", "check"])
    };
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

#[test]
fn listeners_for_webhooks_alone_serve_nothing_else() {
    let (_exotel, setup) = setup();
    let port = free_port();
    let setup = setup.with("web.webhook_listen", listen(port));
    let agent = setup.start();
    let outside = format!("http://127.0.0.1:{port}");
    assert_eq!(post(&outside, &path("calls"), FORM, NEW).0, 200);
    assert_eq!(post(&agent.base, &path("calls"), FORM, NEW).0, 200);
    for closed in ["/metrics", "/", "/-/healthy", "/-/ready", "/api/monitoring/accounts", "/docs"] {
        assert_eq!(http::get(&format!("{outside}{closed}")).unwrap().status, 404, "{closed}");
    }
    assert_eq!(counted(&agent, "acme", "other", "accepted"), 2.0);
}

#[test]
fn only_named_networks_may_send() {
    let (_exotel, setup) = setup();
    let setup = setup.with("webhooks", json!({"allow_from": ["127.0.0.0/8"]}));
    let mut agent = setup.start();
    assert_eq!(post(&agent.base, &path("calls"), FORM, NEW).0, 200);
    agent.process.terminate(secs(10));
    let setup = setup.with("webhooks", json!({"allow_from": ["192.0.2.0/24"]}));
    let agent = setup.start();
    let (status, said) = post(&agent.base, &path("calls"), FORM, NEW);
    assert_eq!(status, 403);
    assert!(said.contains("webhooks.allow_from"), "{said}");
    assert_eq!(counted(&agent, "acme", "calls", "unauthorized"), 1.0);
}

#[test]
fn expected_kinds_are_told_from_the_start_on_and_others_when_they_came() {
    let (_exotel, setup) = setup();
    let setup = setup.with("accounts.0.expected_webhooks", json!(["heartbeat"]));
    let agent = setup.start();
    let scrape = agent.scrape();
    let last = scrape.metric("exotel_webhook_last_received_timestamp_seconds");
    assert_eq!(last.count(), 1, "{last}");
    let started = scrape.metric("process_start_time_seconds").value();
    let shown = last.label("account", "acme").label("kind", "heartbeat").value();
    assert!((started - 2.0..started + 30.0).contains(&shown), "{shown} is not the start, {started}");
}

#[test]
fn an_account_without_secrets_has_no_series() {
    let (_exotel, setup) = setup();
    let setup: Setup = setup.with("accounts.0.webhook_secrets", json!([]));
    let agent = setup.start();
    assert_eq!(post(&agent.base, &path("calls"), FORM, NEW).0, 401);
    assert!(!agent.scrape().text.contains("exotel_webhook_"));
}

#[test]
fn a_burst_of_wrong_secrets_is_slowed_and_the_owner_gets_in() {
    let (_exotel, setup) = setup();
    let agent = setup.start();
    let base = agent.base.clone();
    let guessers: Vec<_> = (0..8)
        .map(|_| {
            let base = base.clone();
            std::thread::spawn(move || {
                (0..6).for_each(|_| assert_eq!(post(&base, "/webhooks/acme/guess/sms", FORM, NEW).0, 401));
            })
        })
        .collect();
    eventually(secs(10), "the burst is under way", || {
        let wrong = counted(&agent, "acme", "sms", "unauthorized");
        ensure(wrong > 20.0, || format!("{wrong} wrong secrets"))
    });
    let began = std::time::Instant::now();
    assert_eq!(post(&base, &path("sms"), FORM, NEW).0, 200);
    assert!(began.elapsed() < secs(1), "the owner waited {:?}", began.elapsed());
    for guesser in guessers {
        guesser.join().unwrap();
    }
    assert!(began.elapsed() > secs(1), "28 answers of 48 came slowed");
    assert_eq!(counted(&agent, "acme", "sms", "unauthorized"), 48.0);
}
