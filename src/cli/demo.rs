//! `demo`: agent and simulated Exotel in one process.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use ring::rand::{SecureRandom, SystemRandom};

use tokio_util::sync::CancellationToken;

use super::{Flags, run, simulate};
use crate::app::{App, Origin};
use crate::config::{Account, Accounts, ApiKey, Balance, Config, Heartbeat, RateLimits, Secret, Sync};
use crate::exotel::{Transport, TransportOptions};
use crate::model::Clock;
use crate::simulator::{self, Postman, Simulator};
use crate::telemetry;
use crate::web::access::{Role, issue};

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
pub(super) async fn run(flags: &Flags, args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let loaded = flags.load(Accounts::Unused)?;
    let level = telemetry::init(&loaded.config.log)?;
    let scenario = simulate::scenario(&args.scenario)?;
    let mut options = simulator::Options { seed: args.seed, ..scenario.options() };
    options.webhooks.base = Some(format!("http://demo.simulated/webhooks/{{account}}/{SECRET}"));
    // Removed when the demo ends, also when it ends badly.
    let folder = tempfile::Builder::new().prefix("exotel-exporter-demo-").tempdir()?;
    let mut config = loaded.config;
    let demonstrated = Demonstrated {
        options: options.clone(),
        store: folder.path().join("exotel-exporter.redb"),
        // Until the demo ends the printed token is good.
        key: key(),
    };
    demonstrated.change(&mut config);
    let clock = Clock::system();
    let simulated = Simulator::new(options, clock.clone());
    let transport = Transport::in_process(simulated.router(), TransportOptions::default());
    let telemetry_path = config.web.telemetry_path.clone();
    // None where a public key is configured: only its owner can sign.
    let token = issue(&config.api, Role::SuperAdmin, TOKEN_TTL, clock.now()).ok();
    let app = App::build(config, clock, transport).await?;
    let flags = flags.clone();
    let read = move || {
        let mut loaded = flags.load(Accounts::Unused)?;
        demonstrated.change(&mut loaded.config);
        Ok(loaded)
    };
    app.reloader().read_from(Origin { read: Box::new(read), level: Some(level) });
    let scheme = app.scheme().as_str();
    for address in app.addresses() {
        let base = format!("{scheme}://{address}");
        eprintln!("demo: status page {base}/   metrics {base}{telemetry_path}");
    }
    if let (Some(token), Some(address)) = (token, app.addresses().first()) {
        eprintln!("demo: token for the API, for a day, with the role super_admin: {token}");
        eprintln!(
            "demo: curl -H 'Authorization: Bearer TOKEN' {scheme}://{address}/api/monitoring/sync/status; all \
             routes are described at {scheme}://{address}/api/openapi.json"
        );
    }
    eprintln!(
        "demo: a simulated Exotel answers and sends webhooks; nothing leaves this machine. Ctrl-C ends it."
    );
    let shutdown = CancellationToken::new();
    let (postman, stop) = (Postman::in_process(app.webhooks()), shutdown.clone());
    let webhooks = tokio::spawn(async move { simulated.send_webhooks(postman, stop).await });
    let ended = run::attend(app, shutdown).await;
    // It ends with the agent; a panic in it was the simulator's.
    drop(webhooks.await);
    ended
}

/// Of the printed token.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);

/// Of the demo's webhooks; nobody outside the process can use it for anything but making up callbacks.
const SECRET: &str = "demo-webhook-secret";

/// A key for the API that nobody else has.
fn key() -> Option<ApiKey> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(ApiKey::Shared(Secret::new(BASE64_STANDARD.encode(bytes))))
}

/// What the demo is about.
struct Demonstrated {
    options: simulator::Options,
    store: PathBuf,
    /// Key of the API, where none is configured.
    key: Option<ApiKey>,
}

impl Demonstrated {
    /// What the demo changes: the simulated account, a store that goes with it, and everything a few hundred
    /// times faster than in life.
    fn change(&self, config: &mut Config) {
        config.accounts = self
            .options
            .accounts
            .iter()
            .map(|simulated| {
                let mut account = Account::new(&simulated.sid, &simulated.api_key, &simulated.api_token);
                account.name = "demo".to_owned();
                account.base_url = "http://exotel.simulated".to_owned();
                account.ccm_base_url.clone_from(&account.base_url);
                // The simulated quota is ours alone.
                account.rate_limits = RateLimits { voice: 600, exophones: 600, sms: 600 };
                account.background_share = 1.0;
                account.channel_limit = Some(20);
                account.balance = Balance { enabled: true, interval: Duration::from_secs(10) };
                account.webhook_secrets = vec![Secret::new(SECRET)];
                account.expected_webhooks = ["heartbeat", "calls", "sms"].map(str::to_owned).to_vec();
                account.heartbeat_expected_every = Duration::from_secs(5);
                account
            })
            .collect();
        config.sync = Sync {
            enabled: true,
            interval: Duration::from_secs(1),
            lookback: Duration::from_secs(60),
            lag: None,
            settle_after: Duration::from_secs(6),
            short_call: Duration::from_secs(2),
        };
        config.heartbeat = Heartbeat { enabled: true, interval: Duration::from_secs(2) };
        // The simulated Exotel waits up to 5 s and tries for 4 more.
        config.webhooks.missed_after = Duration::from_secs(15);
        config.api.key = config.api.key.take().or_else(|| self.key.clone());
        config.store.path.clone_from(&self.store);
    }
}
