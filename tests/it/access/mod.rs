//! Doors: who gets in by which, over real sockets, seen by curl.

mod activation;
mod certificates;
mod curl;
mod doors;
mod page;
mod slow;
mod tls;
mod tokens;
mod verdicts;
mod wire;

use std::path::Path;

use serde_json::Value;

use self::certificates::Certificates;
use self::curl::{Seen, curl};
use crate::support::agent::{Agent, Setup, account};
use crate::support::{ensure, eventually, secs};

/// Password of `prometheus` in the web configurations below.
const PASSWORD: &str = "sesame";

/// `prometheus` and the hash of [`PASSWORD`], at the least cost there is.
fn users() -> String {
    format!("basic_auth_users: {{prometheus: {}}}\n", bcrypt::hash(PASSWORD, 4).unwrap())
}

/// The section that serves with the certificate of [`Certificates`], and more lines of it.
fn tls(more: &[&str]) -> String {
    let mut text = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n".to_owned();
    for line in more {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

/// A setup without work to do, so that its agent has time for its doors.
fn quiet() -> Setup {
    Setup::new(&[account("acme", "http://127.0.0.1:9")]).with("sync", serde_json::json!({"enabled": false}))
}

/// A setup with this web configuration, certificates beside it.
fn guarded(web_config: &str) -> (Setup, Certificates) {
    let setup = quiet();
    let setup = with_web_key(setup, "config_file", "web.yml".into());
    let certificates = Certificates::make(&setup.path());
    write(&setup.path(), web_config);
    (setup, certificates)
}

/// Sets one more key of the section `web`.
fn with_web_key(setup: Setup, key: &str, value: Value) -> Setup {
    setup.with(&format!("web.{key}"), value)
}

fn write(folder: &Path, web_config: &str) {
    std::fs::write(folder.join("web.yml"), web_config).unwrap();
}

/// Starts the agent and waits until it takes connections.
#[track_caller]
fn start(setup: &Setup) -> Agent {
    let mut agent = setup.start_unready();
    eventually(secs(20), "the agent listens", || {
        agent.process.must_run();
        ensure(agent.process.log().contains("msg=listening"), || agent.process.log())
    });
    agent
}

/// `https://localhost:PORT` of an agent.
fn https(agent: &Agent) -> String {
    agent.base.replace("http://127.0.0.1", "https://localhost")
}

/// curl that trusts the authority of the test.
fn trusting(certificates: &Certificates, arguments: &[&str]) -> Seen {
    let authority = certificates.path("ca.crt");
    let mut all = vec!["--cacert", &authority];
    all.extend(arguments);
    curl(&all)
}
