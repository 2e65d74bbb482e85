//! Reload: a changed configuration takes effect while everything else goes on.

mod accounts;
mod faults;
mod limit;
mod load;
mod secrets;

use crate::support::agent::{Agent, Setup};
use crate::support::http::{self, Answer};
use crate::support::process::Process;
use crate::support::{ensure, eventually, secs};

/// Starts the agent with `--web.enable-lifecycle` and waits until it is ready.
#[track_caller]
fn start(setup: &Setup) -> Agent {
    let process = Process::start("exotel-exporter", setup.command(&["run", "--web.enable-lifecycle"]));
    let mut agent = Agent { process, base: setup.base() };
    eventually(secs(20), "the agent is ready", || {
        agent.process.must_run();
        let status = agent.get("/-/ready")?.status;
        ensure(status == 200, || format!("status {status}"))
    });
    agent
}

/// `POST /-/reload`.
fn post(agent: &Agent) -> Answer {
    http::ask("POST", &format!("{}/-/reload", agent.base), &[]).expect("an answer")
}

/// Writes the configuration and has it applied; gives what was answered.
#[track_caller]
fn apply(setup: &Setup, agent: &Agent) -> String {
    setup.config_file();
    let answer = post(agent);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}
