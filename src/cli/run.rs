//! `run`: the agent.

use std::process::ExitCode;

use super::Flags;
use crate::config::Accounts;
use crate::telemetry;

pub(super) const EXAMPLE: &str = "\
Example:
  exotel-exporter run --config.file=/etc/exotel-exporter/exotel-exporter.yml
      Prometheus then scrapes 127.0.0.1:10043. SIGTERM stops it after the last write.";

/// Watches the accounts until a signal says stop.
pub(super) async fn run(flags: &Flags) -> anyhow::Result<ExitCode> {
    let loaded = flags.load(Accounts::Required)?;
    let _level = telemetry::init(&loaded.config.log)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    anyhow::bail!("the agent is not wired yet")
}
