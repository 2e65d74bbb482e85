//! The demonstration: no credentials, no folder left behind, calls counted at once and for ever.

use std::time::Instant;

use crate::support::process::{Process, exotel_exporter};
use crate::support::scrape::{Scrape, scrape};
use crate::support::{ensure, eventually, exposition::Format, free_port, http, secs};

#[test]
fn the_demo_counts_its_first_call_within_five_seconds_and_stays_lively() {
    let folder = tempfile::TempDir::new().unwrap();
    let temporary = folder.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let port = free_port();
    let mut command = exotel_exporter(folder.path());
    command.arg("demo").arg(format!("--web.listen-address=127.0.0.1:{port}")).env("TMPDIR", &temporary);
    let start = Instant::now();
    let mut demo = Process::start("the demo", command);
    let url = format!("http://127.0.0.1:{port}/metrics");

    let counted = eventually(secs(15), "a call is counted", || {
        demo.must_run();
        scrape(&url, Format::Text)?.metric("exotel_calls_total").at_least(1.0)
    });
    let took = start.elapsed();
    assert!(took <= secs(5), "the first call was counted after {took:?}");

    // The token that was printed opens the API.
    let log = demo.log();
    let token = log.lines().find_map(|line| line.strip_prefix("demo: token for the API")).expect("a token");
    let bearer = format!("Bearer {}", token.rsplit(' ').next().expect("its last word"));
    let calls = format!("http://127.0.0.1:{port}/api/monitoring/calls");
    let answer = http::get_with(&calls, &[("Authorization", &bearer)]).unwrap();
    let page = answer.json().unwrap();
    assert!(page["calls"].as_array().is_some_and(|calls| !calls.is_empty()), "{page}");

    // Lively: within each 20 s there are more calls, and more of what else a dashboard shows.
    let mut last = counted;
    for _ in 0..3 {
        last = eventually(secs(20), "more calls are counted", || {
            demo.must_run();
            scrape(&url, Format::Text)?.metric("exotel_calls_total").at_least(last + 1.0)
        });
    }
    let scrape = eventually(secs(60), "outcomes, seconds and costs too", || {
        let scrape = scrape(&url, Format::OpenMetrics)?;
        scrape.metric("exotel_call_outcomes_total").at_least(3.0)?;
        scrape.metric("exotel_call_seconds_total").at_least(1.0)?;
        scrape.metric("exotel_call_cost_total").at_least(0.01)?;
        Ok::<_, String>(scrape)
    });
    scrape.metric("exotel_exporter_ready").is(1);

    let page = http::get(&format!("http://127.0.0.1:{port}/")).unwrap();
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"), "{:?}", page.headers);
    let text = page.text();
    for part in [env!("CARGO_PKG_VERSION"), "href=\"metrics\""] {
        assert!(text.contains(part), "the page does not say {part}: {text}");
    }
    let account = scrape.metric("exotel_up").by("account").into_keys().next().expect("an account");
    assert!(text.contains(&account), "the page does not name {account}: {text}");
    assert!(!text.contains("https://") && !text.contains("//cdn"), "the page needs no other host: {text}");

    let log = demo.log();
    let token = log.lines().find_map(|line| line.split_once("super_admin: ")).expect("a token is printed").1;
    let api = format!("http://127.0.0.1:{port}/api/nothing");
    let bearer = format!("Bearer {token}");
    assert_eq!(http::get(&api).unwrap().status, 401);
    assert_eq!(http::get_with(&api, &[("Authorization", &bearer)]).unwrap().status, 404, "the door is open");

    assert!(demo.terminate(secs(10)).success(), "{}", demo.log());
    let left: Vec<_> = std::fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "the demo left {left:?}");
    let lost = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(lost, 1, "the demo wrote into the working folder");
    ensure(!demo.log().contains("panicked"), || demo.log()).unwrap();
}

/// A demo of this scenario, and where it is.
fn demo(scenario: &str) -> (Process, String, tempfile::TempDir) {
    let folder = tempfile::TempDir::new().unwrap();
    let base = format!("http://127.0.0.1:{}", free_port());
    let mut command = exotel_exporter(folder.path());
    let listen = base.trim_start_matches("http://");
    command.args(["demo", "--scenario", scenario]).arg(format!("--web.listen-address={listen}"));
    (Process::start("the demo", command), base, folder)
}

#[test]
fn an_outage_in_the_demo_is_told_alike_by_poll_and_by_heartbeat_and_ends_in_both() {
    let (mut demo, base, _folder) = demo("outage");
    let url = format!("{base}/metrics");
    // The first number is out from 10 s to 40 s after the start, polled every 2 s and pushed every 5 s.
    let both = |scrape: &Scrape, up: f64, affected: f64| {
        for direction in ["inbound", "outbound"] {
            let of =
                |name| scrape.metric(name).label("exophone", "+918000000011").label("direction", direction);
            let (polled, pushed) = (of("exotel_exophone_up"), of("exotel_heartbeat_exophone_affected"));
            ensure(polled.count() == 1 && polled.sum() == up, || format!("{up}: {polled}"))?;
            ensure(pushed.count() == 1 && pushed.sum() == affected, || format!("{affected}: {pushed}"))?;
        }
        Ok::<_, String>(())
    };
    for (seconds, what, up, affected) in
        [(12, "all is well", 1.0, 0.0), (15, "the outage", 0.0, 1.0), (90, "its end", 1.0, 0.0)]
    {
        eventually(secs(seconds), what, || {
            demo.must_run();
            both(&scrape(&url, Format::Text)?, up, affected)
        });
    }
    let page = http::get(&base).unwrap().text();
    assert!(page.contains("Heartbeat <span class=\"state") && page.contains("<dt>balance</dt>"), "{page}");
}

#[test]
fn callbacks_that_the_demo_loses_are_found() {
    let (mut demo, base, _folder) = demo("lossy-callbacks");
    let url = format!("{base}/metrics");
    let scrape = eventually(secs(90), "missed callbacks", || {
        demo.must_run();
        let scrape = scrape(&url, Format::Text)?;
        scrape.metric("exotel_webhook_calls_missed_total").at_least(2.0)?;
        Ok::<_, String>(scrape)
    });
    let missed = scrape.metric("exotel_webhook_calls_missed_total").sum();
    let expected = scrape.metric("exotel_webhook_calls_expected_total").sum();
    assert!(missed < expected / 2.0, "{missed} of {expected}: a tenth is lost");
    let page = http::get(&base).unwrap().text();
    assert!(page.contains("<dt>callbacks missed</dt><dd>"), "{page}");
}
