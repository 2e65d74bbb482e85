//! What the API's description says can be asked, and what it says cannot: asked by schemathesis, which holds each answer
//! against the description. The same requests on each run.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::{SECRET, token};
use crate::support::agent::{Agent, Setup, account};
use crate::support::process::Process;
use crate::support::simulator::Simulator;
use crate::support::tools::schemathesis;
use crate::support::{ensure, eventually, http, note, secs};

/// Of schemathesis: no status, content type, header or body that is not in the description; what it forbids is refused;
/// another method gives 405 with `Allow`; without a token, or with any other, nothing is answered. Ours are in
/// `tests/tools/api_checks.py`.
const CHECKS: &str = "status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,negative_data_rejection,unsupported_method,\
                      allow_header_conformance,ignored_auth,what_is_allowed_is_answered,\
                      only_exotel_may_fail,refusals_name_their_status";

/// Asks an agent; gives what schemathesis told.
///
/// # Panics
/// With what it found.
#[track_caller]
fn asked(program: &Path, agent: &Agent, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    let hooks = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/api_checks.py");
    command.env("SCHEMATHESIS_HOOKS", hooks).env("PYTHONDONTWRITEBYTECODE", "1");
    command.current_dir(std::env::temp_dir());
    command.args(["run", &format!("{}/api/openapi.json", agent.base), "--checks", CHECKS]);
    command.args(["--phases", "examples,coverage,fuzzing", "--generation-deterministic", "--no-color"]);
    // A check of health waits for a poll.
    command.args(["--request-timeout", "30", "--continue-on-failure"]).args(arguments);
    let began = Instant::now();
    let mut process = Process::start("schemathesis", command);
    let status = process.wait(secs(240));
    let log = process.log();
    assert!(status.success(), "{status}: {}", agent.process.log());
    let cases = log.lines().find(|line| line.contains(" generated,")).unwrap_or("no case at all").trim();
    note(&format!("schemathesis: {cases} in {:.0} s", began.elapsed().as_secs_f64()));
    log
}

#[test]
fn whatever_the_description_allows_or_forbids_is_answered_as_it_says() {
    let program = match schemathesis() {
        Ok(program) => program,
        Err(reason) => return note(&format!("SKIPPED: schemathesis: {reason}")),
    };
    // Calls, legs and rows of every odd kind, requests that fail now and then.
    let simulator = Simulator::started("mixed", 7);
    let setup = Setup::new(&[account("acme", &simulator.base)])
        .with("api", serde_json::json!({"jwt_secret": SECRET}));
    let agent = setup.start();
    let [admin, manager] =
        ["admin", "manager"].map(|role| format!("Authorization: Bearer {}", token(&setup, role)));
    eventually(secs(30), "calls are read", || {
        let (name, value) = admin.split_once(": ").expect("a header");
        let answer = http::ask("GET", &format!("{}/api/monitoring/calls", agent.base), &[(name, value)])?;
        ensure(answer.text().contains("\"sid\""), || answer.text())
    });

    asked(&program, &agent, &["--header", &admin, "--max-examples", "20"]);
    // For these every POST is a 403, and everything a 401.
    asked(&program, &agent, &["--header", &manager, "--max-examples", "3", "--include-method", "POST"]);
    asked(&program, &agent, &["--max-examples", "2", "--phases", "fuzzing"]);
    let alive = agent.get("/-/ready").expect("an answer");
    assert_eq!(alive.status, 200, "{}", agent.process.log());
    assert!(!agent.process.log().contains("panicked"), "{}", agent.process.log());
}
