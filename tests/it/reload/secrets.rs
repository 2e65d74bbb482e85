//! Secrets that change in their files.

use serde_json::json;

use super::{apply, start};
use crate::support::agent::{Agent, Setup, account};
use crate::support::fake::Fake;
use crate::support::simulator::Simulator;
use crate::support::{http, secs};
use crate::webhooks::post;

/// A body of the usual sort.
const FORM: &str = "application/x-www-form-urlencoded";

fn write(setup: &Setup, file: &str, secret: &str) {
    std::fs::write(setup.path().join(file), secret).unwrap();
}

/// Status of the API for a token.
fn api(agent: &Agent, token: &str) -> u16 {
    let url = format!("{}/api/monitoring/sync/status", agent.base);
    http::ask("GET", &url, &[("Authorization", &format!("Bearer {}", token.trim()))]).unwrap().status
}

#[test]
fn a_new_secret_of_the_api_takes_over_and_tokens_of_the_old_one_end() {
    let exotel = Fake::start();
    let setup = Setup::new(&[account("acme", &exotel.base)]).with("api", json!({"jwt_secret_file": "jwt"}));
    write(&setup, "jwt", "the first secret of at least 32 bytes");
    let agent = start(&setup);
    let token = || setup.finish(&["token", "--role", "manager"]).stdout;
    let first = token();
    assert_eq!(api(&agent, &first), 200);
    write(&setup, "jwt", "the second secret of at least 32 bytes");
    let second = token();
    assert_eq!((api(&agent, &first), api(&agent, &second)), (200, 401), "nothing changes before the reload");
    apply(&setup, &agent);
    assert_eq!((api(&agent, &first), api(&agent, &second)), (401, 200));
    let said = agent.process.log() + &agent.scrape().text;
    assert!(!said.contains("secret of at least"), "{said}");
}

#[test]
fn webhook_secrets_rotate_through_their_file() {
    let exotel = Fake::start();
    let mut acme = account("acme", &exotel.base);
    acme["webhook_secrets_file"] = json!("hooks");
    let setup = Setup::new(&[acme]);
    write(&setup, "hooks", "the-first-webhook-secret\n");
    let mut agent = start(&setup);
    let statuses = |base: &str| {
        let status = |secret: &str| post(base, &format!("/webhooks/acme/{secret}/sms"), FORM, b"a=1").0;
        (status("the-first-webhook-secret"), status("the-second-webhook-secret"))
    };
    assert_eq!(statuses(&agent.base), (200, 401));
    for (file, expected) in [
        ("the-first-webhook-secret\nthe-second-webhook-secret\n", (200, 200)),
        ("the-second-webhook-secret\n", (401, 200)),
    ] {
        write(&setup, "hooks", file);
        apply(&setup, &agent);
        assert_eq!(statuses(&agent.base), expected, "{file}");
    }
    // Networks too, and back.
    let closed = setup.with("webhooks", json!({"allow_from": ["192.0.2.0/24"]}));
    apply(&closed, &agent);
    assert_eq!(statuses(&agent.base), (403, 403));
    agent.process.must_run();
}

#[test]
fn an_api_token_is_read_again_from_its_file() {
    let simulator = Simulator::started("demo", 5);
    let mut acme = account("acme", &simulator.base);
    acme.as_object_mut().unwrap().remove("api_token");
    acme["api_token_file"] = json!("token");
    let setup = Setup::new(&[acme]);
    write(&setup, "token", "not-the-token");
    let mut agent = start(&setup);
    let accepted = |agent: &mut Agent, ok: f64| {
        agent.scrape_until(secs(30), "the key is judged", |scrape| {
            scrape.metric("exotel_api_auth_ok").label("account", "acme").sums_to(ok)
        });
    };
    accepted(&mut agent, 0.0);
    write(&setup, "token", "simtoken\n");
    apply(&setup, &agent);
    accepted(&mut agent, 1.0);
    agent.scrape_until(secs(30), "calls are counted", |scrape| {
        scrape.metric("exotel_calls_total").at_least(1.0).map(|_| ())
    });
}
