//! Reloads under load: not one scrape fails, and every call is counted once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::Signal;
use serde_json::json;

use super::{apply, post, start};
use crate::support::agent::{Setup, account};
use crate::support::exposition::Format;
use crate::support::fake::{Fake, epoch_now};
use crate::support::scrape::scrape;
use crate::support::simulator::Simulator;
use crate::support::{ensure, eventually, note, secs};
use crate::webhooks::post as send;

/// A body of the usual sort.
const FORM: &str = "application/x-www-form-urlencoded";

/// Scrapers side by side, some of them in each format.
const SCRAPERS: usize = 6;
const ROUNDS: usize = 6;

#[test]
fn many_reloads_under_load_fail_no_scrape_and_lose_no_call() {
    let mut simulator = Simulator::planned("child-legs", 21);
    let guest = Fake::start();
    let mut host = account("host", &simulator.base);
    host["webhook_secrets_file"] = json!("hooks");
    let mut visitor = account("visitor", &guest.base);
    visitor["sid"] = json!("exampleacct2");
    // Within Exotel's own limit, leg details and what each restart of the tasks asks for included.
    host["rate_limits"]["voice"] = json!(195);
    let setup = Setup::new(std::slice::from_ref(&host))
        .with("sync.interval", "3s")
        .with("sync.lookback", "90s")
        .with("sync.settle_after", "30s")
        .with("heartbeat.interval", "10s");
    std::fs::write(setup.path().join("hooks"), "webhook-secret-number-0").unwrap();
    let from = epoch_now();
    let mut agent = start(&setup);
    let first_start = from..=epoch_now();
    simulator.start();
    guest.add_call("1");

    let (done, scrapes, url) = (AtomicBool::new(false), AtomicUsize::new(0), agent.metrics_url());
    let setup = std::thread::scope(|scope| {
        for n in 0..SCRAPERS {
            let (done, scrapes, url) = (&done, &scrapes, &url);
            scope.spawn(move || {
                let format = if n % 2 == 0 { Format::Text } else { Format::OpenMetrics };
                while !done.load(Ordering::Relaxed) {
                    scrape(url, format).unwrap_or_else(|fault| panic!("a scrape failed: {fault}"));
                    scrapes.fetch_add(1, Ordering::Relaxed);
                    // The machine is for the agent too.
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
            });
        }
        // Whatever fails here, the scrapers must end.
        let reloads = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut setup = setup;
            for round in 0..ROUNDS {
                setup = setup.with("accounts.0.exophones", json!({"+918000000011": format!("alias{round}")}));
                apply(&setup, &agent);
                setup = setup.with("accounts", json!([visitor, host]));
                apply(&setup, &agent);
                eventually(secs(30), "the account that came is read", || {
                    let scrape = agent.scrape();
                    scrape.metric("exotel_calls_total").label("account", "visitor").sums_to(1.0)
                });
                setup = setup.with("accounts", json!([host])).with("accounts.0.name", format!("host{round}"));
                apply(&setup, &agent);
                let secret = |n: usize| format!("webhook-secret-number-{n}");
                std::fs::write(setup.path().join("hooks"), secret(round + 1)).unwrap();
                agent.process.signal(Signal::HUP);
                let hook = |n| {
                    let path = format!("/webhooks/exampleacct1/{}/sms", secret(n));
                    send(&agent.base, &path, FORM, format!("a={round}").as_bytes()).0
                };
                eventually(secs(30), "the secret was rotated by a signal", || {
                    let statuses = (hook(round), hook(round + 1));
                    ensure(statuses == (401, 200), || format!("{statuses:?}"))
                });
                std::fs::write(setup.path().join("exotel-exporter.yml"), "accounts: nobody").unwrap();
                assert_eq!(post(&agent).status, 422);
            }
            setup.with("accounts.0.name", "host")
        }));
        done.store(true, Ordering::Relaxed);
        reloads.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    apply(&setup, &agent);
    agent.scrape().metric("exotel_exporter_task_restarts_total").sums_to(0.0).unwrap();
    note(&format!("reload: {} scrapes beside {} reloads", scrapes.into_inner(), ROUNDS * 5 + 1));

    simulator.stop_traffic();
    eventually(secs(180), "every call is over", || simulator.is_quiet());
    let truths: Vec<_> = first_start.map(|live_from| simulator.truth(live_from)).collect();
    agent.scrape_until(secs(120), "the totals are the simulator's", |scrape| {
        let faults = truths.iter().map(|truth| truth.equals_scrape(scrape, "host"));
        faults.reduce(Result::or).expect("a truth")
    });
}
