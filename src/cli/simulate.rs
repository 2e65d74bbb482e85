//! `simulate`: only the simulated Exotel.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;

use super::Flags;
use crate::config::{Accounts, values};
use crate::telemetry;

pub(super) const EXAMPLE: &str = "\
Example:
  exotel-exporter simulate --listen 127.0.0.1:10044 --scenario outage --seed 7
      Then, elsewhere: EXOTEL_BASE_URL=http://127.0.0.1:10044 and the credentials it prints.";

/// Arguments of `simulate`.
#[derive(Args, Clone, Debug)]
pub struct SimulateArgs {
    /// Address to serve the simulated API on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10044", value_parser = values::listen_address)]
    pub listen: SocketAddr,
    /// Seed of the traffic: the same seed brings the same calls
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Traffic and trouble to simulate; --list-scenarios names them
    #[arg(long, value_name = "NAME", default_value = "demo")]
    pub scenario: String,
    /// Print the scenarios with what each does, and leave
    #[arg(long)]
    pub list_scenarios: bool,
}

/// Serves until a signal says stop.
pub(super) async fn run(flags: &Flags, _args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let loaded = flags.load(Accounts::Unused)?;
    let _level = telemetry::init(&loaded.config.log)?;
    anyhow::bail!("the simulator is not wired yet")
}
