//! `demo`: agent and simulated Exotel in one process.

use std::process::ExitCode;

use clap::Args;

use super::Flags;
use crate::config::Accounts;
use crate::telemetry;

pub(super) const EXAMPLE: &str = "\
Example:
  exotel-exporter demo
      No account and no file needed: calls arrive, are counted and show up at
      http://127.0.0.1:10043/metrics within seconds. The store goes when the demo ends.";

/// Arguments of `demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Seed of the traffic: the same seed brings the same calls
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Traffic and trouble to simulate; `simulate --list-scenarios` names them
    #[arg(long, value_name = "NAME", default_value = "demo")]
    pub scenario: String,
}

/// Runs both until a signal says stop.
pub(super) async fn run(flags: &Flags, _args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let loaded = flags.load(Accounts::Unused)?;
    let _level = telemetry::init(&loaded.config.log)?;
    anyhow::bail!("the demo is not wired yet")
}
