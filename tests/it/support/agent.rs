//! The agent as a user runs it: a configuration file in a folder of its own, flags, the built binary.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::exposition::Format;
use super::http::{self, Answer};
use super::process::{Finished, Process, exotel_exporter, run};
use super::scrape::{Scrape, scrape};
use super::{ensure, eventually, free_port, secs};

/// A configuration for a fast run: a sync every second, calls settled after seconds.
///
/// It outlives the agents that are started from it, as a folder on a machine does, so a test can kill one and start
/// the next on the same store and port.
#[derive(Debug)]
pub(crate) struct Setup {
    folder: TempDir,
    port: u16,
    config: Value,
}

/// An agent that was started.
#[derive(Debug)]
pub(crate) struct Agent {
    /// The process.
    pub(crate) process: Process,
    /// `http://127.0.0.1:PORT`.
    pub(crate) base: String,
}

/// An account as the configuration names it: with a whole budget, and ceilings that no fast run meets.
pub(crate) fn account(name: &str, base_url: &str) -> Value {
    json!({
        "name": name,
        "sid": "exampleacct1",
        "api_key": "simkey",
        "api_token": "simtoken",
        "base_url": base_url,
        "ccm_base_url": base_url,
        "rate_limits": {"voice": 6000, "exophones": 6000, "sms": 120},
        "background_share": 1,
    })
}

impl Setup {
    /// For these accounts.
    pub(crate) fn new(accounts: &[Value]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let port = free_port();
        let config = json!({
            "accounts": accounts,
            "heartbeat": {"interval": "1s"},
            "sync": {"interval": "1s", "lookback": "60s", "settle_after": "6s"},
            "retry": {"initial_backoff": "100ms"},
            "store": {"path": folder.path().join("store").join("calls.redb")},
            "web": {"listen": [format!("127.0.0.1:{port}")]},
            "log": {"level": "debug"},
        });
        Self { folder, port, config }
    }

    /// The same with one value set: `sync.interval`, `accounts.0.api_token`.
    #[must_use]
    pub(crate) fn with(mut self, path: &str, value: impl Into<Value>) -> Self {
        let mut place = &mut self.config;
        for step in path.split('.') {
            place = match step.parse::<usize>() {
                Ok(index) => &mut place[index],
                Err(_) => &mut place[step],
            };
        }
        *place = value.into();
        self
    }

    /// The folder of this setup.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Where its agent listens: `http://127.0.0.1:PORT`.
    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where the store is.
    pub(crate) fn store(&self) -> PathBuf {
        self.config["store"]["path"].as_str().expect("a path").into()
    }

    /// The configuration file, written anew.
    pub(crate) fn config_file(&self) -> PathBuf {
        let file = self.folder.path().join("exotel-exporter.yml");
        let text = serde_norway::to_string(&self.config).expect("a configuration as YAML");
        std::fs::write(&file, text).expect("a configuration file");
        file
    }

    /// A command line with this configuration: `run`, `store stats`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = exotel_exporter(self.folder.path());
        command.arg(format!("--config.file={}", self.config_file().display())).args(arguments);
        command
    }

    /// Runs a command with this configuration to its end.
    pub(crate) fn finish(&self, arguments: &[&str]) -> Finished {
        run(self.command(arguments))
    }

    /// Starts the agent and waits until it says that it is ready.
    #[track_caller]
    pub(crate) fn start(&self) -> Agent {
        let mut agent = self.start_unready();
        eventually(secs(10), "the agent is ready", || {
            agent.process.must_run();
            let status = agent.get("/-/ready")?.status;
            ensure(status == 200, || format!("status {status}"))
        });
        agent
    }

    /// Starts the agent and does not wait.
    pub(crate) fn start_unready(&self) -> Agent {
        let process = Process::start("exotel-exporter", self.command(&["run"]));
        Agent { process, base: self.base() }
    }
}

impl Agent {
    /// `GET` of one of its paths.
    pub(crate) fn get(&self, path: &str) -> Result<Answer, String> {
        http::get(&format!("{}{path}", self.base))
    }

    /// The address that Prometheus is told.
    pub(crate) fn metrics_url(&self) -> String {
        format!("{}/metrics", self.base)
    }

    /// A scrape in text 0.0.4, read strictly.
    ///
    /// # Panics
    /// When it is not a faultless one: a scrape must work at any time.
    #[track_caller]
    pub(crate) fn scrape(&self) -> Scrape {
        scrape(&self.metrics_url(), Format::Text)
            .unwrap_or_else(|fault| panic!("{fault}\n{}", self.process.log()))
    }

    /// The same in OpenMetrics.
    #[track_caller]
    pub(crate) fn scrape_openmetrics(&self) -> Scrape {
        scrape(&self.metrics_url(), Format::OpenMetrics)
            .unwrap_or_else(|fault| panic!("{fault}\n{}", self.process.log()))
    }

    /// Scrapes until the scrape is as wanted, and gives it.
    #[track_caller]
    pub(crate) fn scrape_until(
        &mut self,
        timeout: Duration,
        what: &str,
        mut wanted: impl FnMut(&Scrape) -> Result<(), String>,
    ) -> Scrape {
        eventually(timeout, what, || {
            self.process.must_run();
            let scrape = scrape(&self.metrics_url(), Format::Text)?;
            wanted(&scrape)?;
            Ok::<_, String>(scrape)
        })
    }
}
