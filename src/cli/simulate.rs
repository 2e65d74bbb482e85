//! `simulate`: only the simulated Exotel.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Flags, say};
use crate::app::{Signals, Wish};
use crate::config::{Accounts, values};
use crate::model::Clock;
use crate::simulator::{Options, Postman, Scenario, Simulator};
use crate::telemetry;

pub(super) const EXAMPLE: &str = "\
Example:
  exotel-exporter simulate --listen 127.0.0.1:10044 --scenario busy --seed 7
      Then, elsewhere: EXOTEL_BASE_URL=http://127.0.0.1:10044 and the credentials it prints.
  exotel-exporter simulate --scenario outage --webhooks http://127.0.0.1:10043/webhooks/{account}/SECRET
      Heartbeats, callbacks of calls, Passthru and SMS reports go there too, each to its own path.
  curl -X POST 'http://127.0.0.1:10044/_sim/outages?seconds=60' -H 'Content-Type: application/json' \\
       -d '{\"exophone\": 0, \"lines\": \"incoming\", \"state\": \"major_outage\"}'
      An outage of the first number now; GET /_sim/webhooks says which callbacks are lost for good.";

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
    /// Send webhooks to this base, to which /heartbeat, /calls, /sms and /passthru are added; {account}
    /// stands for the account's sid
    #[arg(long, value_name = "URL", value_parser = webhook_base)]
    pub webhooks: Option<String>,
    /// Print the scenarios with what each does, and leave
    #[arg(long)]
    pub list_scenarios: bool,
}

/// Serves until a signal says stop.
pub(super) async fn run(flags: &Flags, args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    if args.list_scenarios {
        for scenario in Scenario::ALL {
            say(&format!("{:<16} {}\n", scenario.name(), scenario.description()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let loaded = flags.load(Accounts::Unauthenticated)?;
    let _level = telemetry::init(&loaded.config.log)?;
    let mut options = Options { seed: args.seed, ..scenario(&args.scenario)?.options() };
    options.webhooks.base.clone_from(&args.webhooks);
    let listener =
        TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    for account in &options.accounts {
        // Credentials of nothing: they are in the source.
        eprintln!(
            "simulate: export EXOTEL_BASE_URL=http://{address} EXOTEL_SID={} EXOTEL_API_KEY={} EXOTEL_API_SECRET={}",
            account.sid, account.api_key, account.api_token
        );
    }
    tracing::info!(address = %address, scenario = args.scenario, seed = args.seed, "the simulated Exotel is listening");
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        match Signals::listen() {
            Ok(mut signals) => {
                while signals.next().await == Wish::Reload {
                    tracing::info!("SIGHUP: the simulated Exotel has no configuration to read again");
                }
            }
            Err(error) => tracing::error!(reason = %error, "signals cannot be received; stopping"),
        }
        stop.cancel();
    });
    let simulator = Simulator::new(options, Clock::system());
    let postman = Postman::network().context("no HTTP client can be made for webhooks")?;
    let webhooks = simulator.send_webhooks(postman, shutdown.clone());
    let serving = async {
        let ended = simulator.clone().serve(listener, shutdown.clone()).await;
        shutdown.cancel();
        ended
    };
    let (served, ()) = tokio::join!(serving, webhooks);
    served?;
    Ok(ExitCode::SUCCESS)
}

/// A whole URL of plain HTTP; the path may hold `{account}`.
fn webhook_base(text: &str) -> Result<String, String> {
    let uri: Result<http::Uri, _> = text.replace("{account}", "account").parse();
    match uri {
        Ok(uri) if uri.scheme_str() == Some("http") && uri.host().is_some() && uri.query().is_none() => {
            Ok(text.to_owned())
        }
        _ => Err("expected http://HOST:PORT/webhooks/{account}/SECRET".to_owned()),
    }
}

/// The scenario with this name.
///
/// # Errors
/// Names those that exist.
pub(super) fn scenario(name: &str) -> anyhow::Result<Scenario> {
    Scenario::parse(name).ok_or_else(|| {
        let names: Vec<&str> = Scenario::ALL.iter().map(|scenario| scenario.name()).collect();
        anyhow::anyhow!("no scenario is called {name:?}; there are {}", names.join(", "))
    })
}
