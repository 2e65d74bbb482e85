//! Accounts renamed, added, changed and removed while others go on.

use serde_json::{Value, json};

use super::{apply, start};
use crate::support::agent::{Agent, Setup, account};
use crate::support::fake::Fake;
use crate::support::http;
use crate::support::scrape::Scrape;
use crate::support::{ensure, eventually, secs};
use crate::webhooks::post;

/// A body of the usual sort.
const FORM: &str = "application/x-www-form-urlencoded";

const SECRET: &str = "a-secret-of-the-reload-tests";

/// An account with a sid of its own.
fn account_of(name: &str, sid: &str, exotel: &Fake) -> Value {
    let mut account = account(name, &exotel.base);
    account["sid"] = json!(sid);
    account
}

/// How often an account's list of ExoPhones was read: once for each start of its tasks, then hourly.
fn starts(scrape: &Scrape, account: &str) -> f64 {
    let requests = scrape.metric("exotel_api_requests_total").label("account", account);
    requests.label("endpoint", "exophones").label("code", "200").sum()
}

fn failed_runs(scrape: &Scrape, account: &str) -> f64 {
    scrape.metric("exotel_sync_runs_total").label("account", account).label("outcome", "failure").sum()
}

#[track_caller]
fn counts(agent: &mut Agent, account: &str, calls: f64) -> Scrape {
    agent.scrape_until(secs(30), "the calls are counted", |scrape| {
        scrape.metric("exotel_calls_total").label("account", account).sums_to(calls)?;
        scrape.metric("exotel_up").label("account", account).sums_to(1.0)
    })
}

#[test]
fn a_rename_and_an_alias_keep_every_total() {
    let exotel = Fake::start();
    let mut acme = account("acme", &exotel.base);
    acme["webhook_secrets"] = json!([SECRET]);
    let setup = Setup::new(&[acme]);
    let mut agent = start(&setup);
    for n in 0..5 {
        exotel.add_call(&format!("{n}"));
        let body = format!("campaign=spring&step={n}");
        let path = format!("/webhooks/acme/{SECRET}/calls");
        assert_eq!(post(&agent.base, &path, FORM, body.as_bytes()).0, 200);
    }
    let before = counts(&mut agent, "acme", 5.0);
    assert!(before.metric("exotel_calls_total").label("exophone", "+918000000011").sum() > 0.0);

    let setup = setup.with("accounts.0.exophones", json!({"+918000000011": "sales"}));
    apply(&setup, &agent);
    let aliased = agent.scrape();
    aliased.metric("exotel_calls_total").label("exophone", "sales").sums_to(5.0).unwrap();
    assert_eq!(aliased.metric("exotel_calls_total").label("exophone", "+918000000011").count(), 0);
    assert_eq!(starts(&aliased, "acme"), 1.0, "an alias restarts nothing");

    let setup = setup.with("accounts.0.name", "renamed");
    apply(&setup, &agent);
    let after = agent.scrape();
    assert!(!after.text.contains("\"acme\""), "the old name is shown:\n{}", after.text);
    after.metric("exotel_calls_total").label("account", "renamed").sums_to(5.0).unwrap();
    for family in ["exotel_webhook_requests_total", "exotel_call_talk_seconds_total"] {
        let of = |scrape: &Scrape| scrape.metric(family).sum();
        assert_eq!(of(&before), of(&after), "{family}");
    }
    for family in ["exotel_sync_runs_total", "exotel_api_requests_total", "exotel_health_checks_total"] {
        let of = |scrape: &Scrape| scrape.metric(family).sum();
        assert!(of(&after) >= of(&before), "{family}: {} and then {}", of(&before), of(&after));
    }
    after.metric("exotel_exporter_first_cycle_done").label("account", "renamed").is(1);
    exotel.add_call("afterwards");
    counts(&mut agent, "renamed", 6.0);
    let path = format!("/webhooks/renamed/{SECRET}/calls");
    assert_eq!(post(&agent.base, &path, FORM, b"campaign=summer").0, 200);
    let requests = agent.scrape();
    let accepted = requests.metric("exotel_webhook_requests_total").label("account", "renamed");
    accepted.label("kind", "other").label("outcome", "accepted").is(6);
}

#[test]
fn two_accounts_take_each_others_names() {
    let (one, two) = (Fake::start(), Fake::start());
    let accounts = |first: &str, second: &str| {
        json!([account_of(first, "sid1", &one), account_of(second, "sid2", &two)])
    };
    let setup = Setup::new(&[]).with("accounts", accounts("a", "b"));
    let mut agent = start(&setup);
    one.add_call("1");
    counts(&mut agent, "a", 1.0);
    let setup = setup.with("accounts", accounts("b", "a"));
    apply(&setup, &agent);
    let scrape = agent.scrape();
    scrape.metric("exotel_calls_total").label("account", "b").sums_to(1.0).unwrap();
    scrape.metric("exotel_calls_total").label("account", "a").sums_to(0.0).unwrap();
}

#[test]
fn accounts_come_change_and_go_while_another_is_left_alone() {
    let (good, other) = (Fake::start(), Fake::start());
    let (stays, comes) = (account_of("stays", "sid1", &good), account_of("visitor", "sid2", &other));
    let setup = Setup::new(std::slice::from_ref(&stays));
    let mut agent = start(&setup);
    good.add_call("1");
    counts(&mut agent, "stays", 1.0);

    let setup = setup.with("accounts", json!([comes, stays]));
    apply(&setup, &agent);
    other.add_call("2");
    let scrape = counts(&mut agent, "visitor", 1.0);
    assert_eq!((starts(&scrape, "stays"), starts(&scrape, "visitor")), (1.0, 1.0));

    let setup = setup.with("accounts.0.rate_limits.voice", 3000).with("accounts.0.api_token", "another");
    apply(&setup, &agent);
    let scrape = agent.scrape_until(secs(20), "the changed account works anew", |scrape| {
        scrape
            .metric("exotel_api_quota_requests")
            .label("account", "visitor")
            .label("pool", "voice")
            .sums_to(3000.0)?;
        ensure(starts(scrape, "visitor") >= 2.0, || "its list was not read again".to_owned())
    });
    assert_eq!(starts(&scrape, "stays"), 1.0, "the other account's tasks go on");
    other.add_call("3");
    counts(&mut agent, "visitor", 2.0);

    let setup = setup.with("accounts", json!([stays]));
    apply(&setup, &agent);
    let scrape = agent.scrape();
    assert!(!scrape.text.contains("\"visitor\""), "{}", scrape.text);
    assert!(!agent.get("/").unwrap().text().contains("visitor"));
    let requests = other.requests();
    good.add_call("4");
    counts(&mut agent, "stays", 2.0);
    assert!(other.requests() <= requests + 1, "Exotel is asked for an account that left");

    other.add_call("5");
    let setup = setup.with("accounts", json!([comes, stays]));
    apply(&setup, &agent);
    let scrape = counts(&mut agent, "visitor", 3.0);
    assert_eq!((starts(&scrape, "stays"), failed_runs(&scrape, "stays")), (1.0, 0.0));
    scrape.metric("exotel_exporter_task_restarts_total").sums_to(0.0).unwrap();
}

#[test]
fn pollers_are_switched_off_and_on() {
    let exotel = Fake::start();
    let setup = Setup::new(&[account("acme", &exotel.base)]);
    let mut agent = start(&setup);
    exotel.add_call("1");
    counts(&mut agent, "acme", 1.0);
    let setup = setup.with("sync.enabled", false);
    apply(&setup, &agent);
    assert_eq!(agent.scrape().metric("exotel_calls_total").count(), 0);
    exotel.add_call("2");
    let setup = setup.with("sync.enabled", true);
    apply(&setup, &agent);
    counts(&mut agent, "acme", 2.0);
}

#[test]
fn the_api_knows_the_accounts_of_the_configuration_in_force() {
    const KEY: &str = "0123456789abcdef0123456789abcdef";
    let (one, two) = (Fake::start(), Fake::start());
    let (acme, globex) = (account_of("acme", "sid1", &one), account_of("globex", "sid2", &two));
    let setup = Setup::new(&[acme.clone(), globex]).with("api", json!({"jwt_secret": KEY}));
    let agent = start(&setup);
    let token = setup.finish(&["token", "--role", "manager"]).stdout;
    let status = |account: &str| {
        let url = format!("{}/api/monitoring/sync/status?account={account}", agent.base);
        http::ask("GET", &url, &[("Authorization", &format!("Bearer {}", token.trim()))]).unwrap().status
    };
    assert_eq!((status("acme"), status("globex")), (200, 200));
    let setup = setup.with("accounts", json!([acme])).with("accounts.0.name", "renamed");
    apply(&setup, &agent);
    eventually(secs(5), "the API follows", || {
        let seen = (status("renamed"), status("acme"), status("globex"));
        ensure(seen == (200, 404, 404), || format!("{seen:?}"))
    });
}
