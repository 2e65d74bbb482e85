//! Wiring: builds every part from the configuration, runs them, stops them. Only this file knows all.

mod keeper;
mod signals;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::keeper::Keeper;
use crate::collector::calls::Wishes;
use crate::collector::{Account, balance, calls, details, exophones, health, messages, tasks};
use crate::config::{Config, Privacy, Sockets};
use crate::desk::Accounts;
use crate::exotel::{Client, ClientOptions, Ledger, Transport};
use crate::metrics::api::ApiMetrics;
use crate::metrics::callbacks::Callbacks;
use crate::metrics::calls::Calls;
use crate::metrics::health::Health;
use crate::metrics::messages::Messages;
use crate::metrics::sync::Sync;
use crate::metrics::webhooks::WebhookMetrics;
use crate::metrics::{BuildInfo, Metrics};
use crate::model::Clock;
use crate::picture;
use crate::receive::Receiver;
use crate::store::{self, Store};
use crate::upkeep;
use crate::web::access::{Guard, Scheme, WebConfig};
use crate::web::api::{self, Numbers};
use crate::web::webhooks::Webhooks;
use crate::web::{self, Lifecycle, Listeners, Sites, Web};

pub use self::signals::{Signals, Wish};

/// Tasks that do not end within this time after the signal are left behind; what they had stored is stored.
const PATIENCE: Duration = Duration::from_secs(8);

/// The agent, built: store open, listeners bound, nothing running.
#[derive(Debug)]
pub struct App {
    config: Config,
    clock: Clock,
    metrics: Arc<Metrics>,
    store: Store,
    accounts: Vec<(Arc<Account>, Wishes)>,
    listeners: Listeners,
    access: Option<WebConfig>,
    sites: Sites,
}

impl App {
    /// Opens the store and binds the listeners.
    ///
    /// # Errors
    /// What could not be opened or bound, and what to do about it.
    pub async fn build(config: Config, clock: Clock, transport: Transport) -> anyhow::Result<Self> {
        let mut metrics = Metrics::new(BuildInfo::current());
        let store =
            Store::open(store::Options { path: config.store.path.clone(), metrics: metrics.store.clone() })?;
        let ledger = Ledger::beside_store(&config.store.path, &clock)
            .context("the file that keeps the request limit across restarts cannot be opened")?;
        let requests = ApiMetrics::new(metrics.registry());
        let mut accounts = Vec::with_capacity(config.accounts.len());
        for settings in &config.accounts {
            let row = store.account(&settings.sid, clock.now()).await?;
            let phones = store.exophones(row.0).await?;
            let known = store.known_health(row.0).await?;
            let client = Client::new(ClientOptions {
                account: settings,
                retry: config.retry,
                transport: transport.clone(),
                ledger: ledger.clone(),
                clock: clock.clone(),
                metrics: requests.clone(),
                auth_retry_interval: config.heartbeat.interval.min(config.sync.interval),
            });
            // One wish at a time: a second one finds a run under way anyway.
            let (manual, wishes) = mpsc::channel(1);
            let mut account = Account::new(
                settings.clone(),
                config.sync,
                config.heartbeat,
                config.limits.exophones,
                row,
                phones,
                known,
                client,
                store.clone(),
                clock.clone(),
                manual,
            );
            account.missed_after = config.webhooks.missed_after;
            metrics.exporter.add_account(&settings.name);
            accounts.push((Arc::new(account), Arc::new(Mutex::new(wishes))));
        }
        let shown: Vec<Arc<Account>> = accounts.iter().map(|(account, _)| Arc::clone(account)).collect();
        let view = picture::view(store.clone(), shown.clone());
        metrics.register_collector(Calls::new(Arc::clone(&view)));
        metrics.register_collector(Callbacks::new(Arc::clone(&view)));
        metrics.register_collector(Sync::new(Arc::clone(&view)));
        metrics.register_collector(Messages::new(Arc::clone(&view)));
        metrics.register_collector(Health::new(view));
        let webhook_metrics = WebhookMetrics::register(metrics.registry());
        let receiver = Receiver::new(shown.clone());
        receiver.seed(&webhook_metrics, clock.now()).await?;
        let metrics = Arc::new(metrics);
        metrics.exporter.config_applied(clock.now());
        let webhooks = Webhooks {
            entrances: receiver.entrances(),
            allow_from: config.webhooks.allow_from.clone(),
            sink: receiver.sink(),
            metrics: webhook_metrics.clone(),
            clock: clock.clone(),
        }
        .router();
        let access = config.web.config_file.as_deref().map(WebConfig::load).transpose()?;
        let guard = Guard::new(&config.api).context("the key of the API")?;
        let numbers = match config.privacy {
            Privacy::Masked => Numbers::Masked,
            Privacy::Plain => Numbers::Plain,
            Privacy::Hashed => Numbers::hashed(&store.privacy_key().await?),
        };
        let desk = Accounts { accounts: shown.clone(), webhooks: webhook_metrics, clock: clock.clone() };
        let api = api::router(&guard, Arc::new(desk), numbers, &config.api.cors_origins);
        let listeners = match config.web.sockets {
            Sockets::Own => Listeners::bind(&config.web.listen, &config.web.webhook_listen).await?,
            Sockets::Systemd => web::activated()?,
        };
        let sites = Web {
            metrics: Arc::clone(&metrics),
            status: picture::status(Arc::clone(&metrics), store.clone(), shown, clock.clone()),
            telemetry_path: config.web.telemetry_path.clone(),
            lifecycle: Lifecycle::Disabled,
            access: access.clone(),
            api,
            webhooks,
        }
        .sites();
        Ok(Self { config, clock, metrics, store, accounts, listeners, access, sites })
    }

    /// Addresses that are listened on, with the port the system chose where 0 was asked for.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.addresses()
    }

    /// The door for webhooks, for whoever runs the agent inside another program.
    pub fn webhooks(&self) -> axum::Router {
        self.sites.webhooks.clone()
    }

    /// Addresses that take webhooks alone, likewise.
    pub fn webhook_addresses(&self) -> Vec<SocketAddr> {
        self.listeners.webhook_addresses()
    }

    /// How the listeners speak.
    pub fn scheme(&self) -> Scheme {
        self.access.as_ref().map_or(Scheme::Http, WebConfig::scheme)
    }

    /// The accounts at work, for whoever runs the agent inside another program.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts.iter().map(|(account, _)| account)
    }

    /// The metrics, likewise.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Runs until `shutdown`; returns when the last write is done.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { config, clock, metrics, store, accounts, listeners, access, sites } = self;
        let keeper = Keeper::new(shutdown.clone(), metrics.exporter.clone());
        for (account, wishes) in &accounts {
            keeper.keep("exophones", account, exophones::run);
            if account.config.balance.enabled {
                keeper.keep("balance", account, balance::run);
            }
            // Messages are known from callbacks alone.
            if !account.config.webhook_secrets.is_empty() {
                keeper.keep("messages", account, messages::run);
            }
            if config.heartbeat.enabled {
                keeper.keep("health", account, health::run);
            }
            if config.sync.enabled {
                let wishes = Arc::clone(wishes);
                keeper.keep("sync", account, move |account, stop| {
                    calls::run(account, Arc::clone(&wishes), stop)
                });
                keeper.keep("tasks", account, tasks::run);
                keeper.keep("details", account, details::run);
            }
        }
        let upkeep = Arc::new(upkeep::Upkeep {
            metrics: Arc::clone(&metrics),
            store: store.clone(),
            accounts: accounts.iter().map(|(account, _)| Arc::clone(account)).collect(),
            retention: config.store.retention,
            runs: config.retention.sync_runs,
            health_checks: config.retention.health_checks,
            health_checks_raw: config.retention.health_checks_raw,
            max_size: config.store.max_size,
            clock: clock.clone(),
        });
        keeper.keep("upkeep", &upkeep, upkeep::run);
        metrics.exporter.set_ready();
        web::serve(listeners, sites, access, shutdown.clone()).await;
        // The listeners end only on shutdown; should they ever end otherwise, everything stops with them.
        shutdown.cancel();
        metrics.exporter.set_not_ready();
        if timeout(PATIENCE, keeper.all_ended()).await.is_err() {
            tracing::warn!("some tasks did not stop in time and were left behind");
        }
        store.close().await;
    }
}
