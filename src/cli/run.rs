//! `run`: the agent.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use super::Flags;
use crate::app::{self, App};
use crate::config::{Accounts, Config};
use crate::exotel::{Transport, TransportOptions};
use crate::model::Clock;
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
    let options = TransportOptions { https_proxy: https_proxy(), ..TransportOptions::default() };
    serve(loaded.config, Clock::system(), Transport::network(options)).await
}

/// Builds the agent, runs it until a signal says stop, and says where it listens.
pub(super) async fn serve(config: Config, clock: Clock, transport: Transport) -> anyhow::Result<ExitCode> {
    let telemetry_path = config.web.telemetry_path.clone();
    let app = App::build(config, clock, transport).await?;
    for address in app.addresses() {
        tracing::info!(address = %address, metrics = telemetry_path, "listening");
    }
    for address in app.webhook_addresses() {
        tracing::info!(address = %address, "listening for webhooks alone");
    }
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let signal = tokio::spawn(async move {
        match app::stop_signal().await {
            Ok(()) => tracing::info!("stopping after the last write"),
            Err(error) => tracing::error!(reason = %error, "signals cannot be received; stopping"),
        }
        stop.cancel();
    });
    app.run(shutdown).await;
    signal.abort();
    Ok(ExitCode::SUCCESS)
}

/// The proxy that the environment names for HTTPS.
fn https_proxy() -> Option<String> {
    let named = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    named("https_proxy").or_else(|| named("HTTPS_PROXY"))
}
