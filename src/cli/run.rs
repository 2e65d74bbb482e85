//! `run`: the agent.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use super::Flags;
use crate::app::{App, Origin, Reloader, Signals, Wish};
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
    let level = telemetry::init(&loaded.config.log)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let options = TransportOptions { https_proxy: https_proxy(), ..TransportOptions::default() };
    let flags = flags.clone();
    let origin = Origin { read: Box::new(move || flags.load(Accounts::Required)), level: Some(level) };
    serve(loaded.config, Clock::system(), Transport::network(options), origin).await
}

/// Builds the agent, runs it until a signal says stop, and says where it listens.
async fn serve(
    config: Config,
    clock: Clock,
    transport: Transport,
    origin: Origin,
) -> anyhow::Result<ExitCode> {
    let telemetry_path = config.web.telemetry_path.clone();
    let app = App::build(config, clock, transport).await?;
    app.reloader().read_from(origin);
    let scheme = app.scheme().as_str();
    for address in app.addresses() {
        tracing::info!(address = %address, scheme, metrics = telemetry_path, "listening");
    }
    for address in app.webhook_addresses() {
        tracing::info!(address = %address, scheme, "listening for webhooks alone");
    }
    attend(app, CancellationToken::new()).await
}

/// Runs the agent until a signal says stop; whoever shares `shutdown` stops with it.
pub(super) async fn attend(app: App, shutdown: CancellationToken) -> anyhow::Result<ExitCode> {
    let signals = tokio::spawn(attend_signals(app.reloader(), shutdown.clone()));
    app.run(shutdown).await;
    signals.abort();
    Ok(ExitCode::SUCCESS)
}

/// Does what signals ask for, until one asks to stop.
async fn attend_signals(reloader: Reloader, stop: CancellationToken) {
    match Signals::listen() {
        Ok(mut signals) => {
            while signals.next().await == Wish::Reload {
                let reloader = reloader.clone();
                // A signal to stop does not wait for it. The log tells how it ends.
                tokio::spawn(async move { drop(reloader.reload().await) });
            }
            tracing::info!("stopping after the last write");
        }
        Err(error) => tracing::error!(reason = %error, "signals cannot be received; stopping"),
    }
    stop.cancel();
}

/// The proxy that the environment names for HTTPS.
fn https_proxy() -> Option<String> {
    let named = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    named("https_proxy").or_else(|| named("HTTPS_PROXY"))
}
