//! Wiring: builds every part from the configuration, runs them, stops them. Only this file knows all.

mod fleet;
mod keeper;
mod reload;
mod signals;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::fleet::{Fleet, Parts};
use self::keeper::Keeper;
use crate::collector::{Account, Roster, Terms};
use crate::config::{Config, Sockets};
use crate::control::{self, Control};
use crate::desk::Accounts;
use crate::exotel::{Ledger, Transport};
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
use crate::upkeep::{Bounds, Upkeep};
use crate::web::access::{Guard, Scheme, WebConfig};
use crate::web::api::{self, Manner};
use crate::web::webhooks::Webhooks;
use crate::web::{self, Lifecycle, Listeners, Sites, Web};

pub use self::reload::{Applied, Origin, Reloader};
pub use self::signals::{Signals, Wish};

/// Tasks that do not end within this time after the signal are left behind; what they had stored is stored.
const PATIENCE: Duration = Duration::from_secs(8);

/// The agent, built: store open, listeners bound, nothing running.
#[derive(Debug)]
pub struct App {
    metrics: Arc<Metrics>,
    store: Store,
    roster: Roster,
    clock: Clock,
    listeners: Listeners,
    access: Option<WebConfig>,
    sites: Sites,
    reloader: Reloader,
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
        let parts = Parts {
            store: store.clone(),
            ledger,
            transport,
            clock: clock.clone(),
            requests: ApiMetrics::new(metrics.registry()),
            exporter: metrics.exporter.clone(),
        };
        let roster = Roster::default();
        let mut fleet = Fleet::new(parts, roster.clone());
        let prepared = fleet.prepare(Terms::of(&config)).await?;
        fleet.apply(prepared).await;
        let view = picture::view(store.clone(), roster.clone());
        metrics.register_collector(Calls::new(Arc::clone(&view)));
        metrics.register_collector(Callbacks::new(Arc::clone(&view)));
        metrics.register_collector(Sync::new(Arc::clone(&view)));
        metrics.register_collector(Messages::new(Arc::clone(&view)));
        metrics.register_collector(Health::new(view));
        let webhooks = WebhookMetrics::register(metrics.registry());
        let receiver = Receiver::new(roster.clone());
        receiver.seed(&webhooks, clock.now());
        let metrics = Arc::new(metrics);
        metrics.exporter.config_applied(clock.now());
        let door = Webhooks {
            entrances: receiver.entrances(),
            allow_from: config.webhooks.allow_from.clone(),
            sink: receiver.sink(),
            metrics: webhooks.clone(),
            clock: clock.clone(),
        }
        .door();
        let access = config.web.config_file.as_deref().map(WebConfig::load).transpose()?;
        let guard = Guard::new(&config.api).context("the key of the API")?;
        let manner = Manner::new(reload::numbers(&config, &store).await?, &config.api.cors_origins);
        let desk = Accounts { roster: roster.clone(), webhooks: webhooks.clone(), clock: clock.clone() };
        let listeners = match config.web.sockets {
            Sockets::Own => Listeners::bind(&config.web.listen, &config.web.webhook_listen).await?,
            Sockets::Systemd => web::activated()?,
        };
        let upkeep = Arc::new(Upkeep {
            metrics: Arc::clone(&metrics),
            store: store.clone(),
            roster: roster.clone(),
            bounds: ArcSwap::from_pointee(Bounds::of(&config)),
            judged: std::sync::Mutex::default(),
            clock: clock.clone(),
        });
        let (telemetry_path, enable_lifecycle) =
            (config.web.telemetry_path.clone(), config.web.enable_lifecycle);
        let reloader = Reloader::new(reload::Inner {
            origin: OnceLock::new(),
            state: Mutex::new(reload::State { config, fleet }),
            receiver,
            webhooks,
            door: door.clone(),
            guard: guard.clone(),
            manner: manner.clone(),
            upkeep,
            exporter: metrics.exporter.clone(),
            store: store.clone(),
            clock: clock.clone(),
        });
        let sites = Web {
            metrics: Arc::clone(&metrics),
            status: picture::status(Arc::clone(&metrics), store.clone(), roster.clone(), clock.clone()),
            telemetry_path,
            lifecycle: if enable_lifecycle { lifecycle(reloader.clone()) } else { Lifecycle::Disabled },
            access: access.clone(),
            api: api::router(&guard, Arc::new(desk), &manner),
            webhooks: door.router(),
        }
        .sites();
        Ok(Self { metrics, store, roster, clock, listeners, access, sites, reloader })
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
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        self.roster.accounts().to_vec()
    }

    /// The same, whatever a reload makes of them.
    #[cfg(test)]
    pub(crate) fn roster(&self) -> Roster {
        self.roster.clone()
    }

    /// Applies the configuration anew, once it was told where to read it.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// The metrics, likewise.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Runs until `shutdown`; returns when the last write is done.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { metrics, store, roster: _, clock, listeners, access, sites, reloader } = self;
        let keeper = Keeper::new(shutdown.clone(), metrics.exporter.clone());
        reloader.start(&keeper).await;
        keeper.keep("control", &Arc::new(Control::new(store.clone(), clock)), control::run);
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

/// `POST /-/reload`, for the web.
fn lifecycle(reloader: Reloader) -> Lifecycle {
    Lifecycle::Enabled(Arc::new(move || {
        let reloader = reloader.clone();
        Box::pin(async move { reloader.reload().await.map(|applied| applied.to_string()) })
    }))
}
