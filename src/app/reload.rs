//! Reload: the configuration read anew, and all of it applied or nothing.
//!
//! First everything that can fail, then what cannot. Reloads take turns, and each is seen to its end though
//! whoever asked for it goes away.

use std::fmt;
use std::sync::{Arc, OnceLock};

use tokio::sync::Mutex;

use super::fleet::{Done, Fleet};
use super::keeper::Keeper;
use crate::collector::Terms;
use crate::config::{Config, Faults, Loaded, Privacy};
use crate::metrics::ExporterMetrics;
use crate::metrics::webhooks::WebhookMetrics;
use crate::model::Clock;
use crate::receive::Receiver;
use crate::store::{self, Store};
use crate::telemetry::LevelHandle;
use crate::upkeep::{Bounds, Upkeep};
use crate::web::NotApplied;
use crate::web::access::Guard;
use crate::web::api::{Manner, Numbers};
use crate::web::webhooks::Door;

/// Where settings are read from again.
pub struct Origin {
    /// Reads and checks all of them: file, environment, files of secrets. May block.
    pub read: Box<dyn Fn() -> Result<Loaded, Faults> + Send + Sync>,
    /// The level of the log, where it can be changed.
    pub level: Option<LevelHandle>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").finish_non_exhaustive()
    }
}

/// Applies the configuration anew. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub struct Reloader(Arc<Inner>);

/// What a reload changes.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) origin: OnceLock<Arc<Origin>>,
    /// Held for the length of a reload: they take turns.
    pub(super) state: Mutex<State>,
    pub(super) receiver: Arc<Receiver>,
    pub(super) webhooks: WebhookMetrics,
    pub(super) door: Door,
    pub(super) guard: Guard,
    pub(super) manner: Manner,
    pub(super) upkeep: Arc<Upkeep>,
    pub(super) exporter: ExporterMetrics,
    pub(super) store: Store,
    pub(super) clock: Clock,
}

/// What is in force.
#[derive(Debug)]
pub(super) struct State {
    pub(super) config: Config,
    pub(super) fleet: Fleet,
}

/// A configuration that is in force now.
#[derive(Debug)]
pub struct Applied {
    /// Keys whose new values wait for a restart.
    pub needs_restart: Vec<&'static str>,
    /// What a person should know, one line each.
    pub warnings: Vec<String>,
}

impl fmt::Display for Applied {
    /// For whoever asked: a line for each thing to know.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("The configuration was applied.")?;
        for key in &self.needs_restart {
            write!(f, "\n{key}: needs a restart; until then the former value stays in force.")?;
        }
        self.warnings.iter().try_for_each(|warning| write!(f, "\nwarning: {warning}"))
    }
}

impl Reloader {
    pub(super) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Says where settings come from; until somebody does, every reload is refused.
    pub fn read_from(&self, origin: Origin) {
        // Said once, at the start.
        self.0.origin.set(Arc::new(origin)).unwrap_or_default();
    }

    /// Reads the configuration and applies it. One that has a fault changes nothing at all. The log tells how
    /// it ended.
    ///
    /// # Errors
    /// Why nothing was applied.
    pub async fn reload(&self) -> Result<Applied, NotApplied> {
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move { inner.reload().await }).await.unwrap_or_else(|_| {
            self.0.exporter.config_refused();
            Err(NotApplied::Unavailable("an internal fault stopped the reload".to_owned()))
        })
    }

    /// Starts the tasks of the accounts.
    pub(super) async fn start(&self, keeper: &Keeper) {
        self.0.state.lock().await.fleet.start(keeper.clone());
        keeper.keep("upkeep", &self.0.upkeep, crate::upkeep::run);
    }
}

impl Inner {
    async fn reload(&self) -> Result<Applied, NotApplied> {
        let mut state = self.state.lock().await;
        let result = self.apply(&mut state).await;
        match &result {
            Ok((applied, done)) => {
                self.exporter.config_applied(self.clock.now());
                tell(applied, done);
            }
            Err(not_applied) => {
                self.exporter.config_refused();
                for reason in not_applied.reason().lines() {
                    tracing::error!(
                        reason,
                        "the configuration was not applied; the former one stays in force"
                    );
                }
            }
        }
        result.map(|(applied, _)| applied)
    }

    async fn apply(&self, state: &mut State) -> Result<(Applied, Done), NotApplied> {
        let origin = self.origin.get().map(Arc::clone);
        let origin = origin
            .ok_or_else(|| NotApplied::Unavailable("there is no configuration to read again".to_owned()))?;
        let level = origin.level.clone();
        let loaded = tokio::task::spawn_blocking(move || (origin.read)())
            .await
            .map_err(|_| NotApplied::Unavailable("an internal fault stopped the reading".to_owned()))?;
        let Loaded { mut config, warnings } =
            loaded.map_err(|faults| NotApplied::Refused(faults.to_string()))?;
        let needs_restart = state.config.needs_restart(&config);
        config.keep_until_restart(&state.config);
        let unavailable =
            |error: store::Error| NotApplied::Unavailable(format!("the store cannot be read: {error}"));
        let numbers = numbers(&config, &self.store).await.map_err(unavailable)?;
        let prepared = state.fleet.prepare(Terms::of(&config)).await.map_err(unavailable)?;
        self.guard
            .change(&config.api)
            .map_err(|error| NotApplied::Refused(format!("the key of the API: {error}")))?;

        // From here on nothing fails.
        self.manner.change(numbers, &config.api.cors_origins);
        let done = state.fleet.apply(prepared).await;
        self.receiver.seed(&self.webhooks, self.clock.now());
        self.door.change(self.receiver.entrances(), config.webhooks.allow_from.clone());
        self.upkeep.bounds.store(Arc::new(Bounds::of(&config)));
        self.upkeep.verdicts();
        if let Some(level) = level {
            level.set(config.log.level);
        }
        state.config = config;
        Ok((Applied { needs_restart, warnings }, done))
    }
}

/// How the API shows numbers under these settings.
pub(super) async fn numbers(config: &Config, store: &Store) -> Result<Numbers, store::Error> {
    Ok(match config.privacy {
        Privacy::Masked => Numbers::Masked,
        Privacy::Plain => Numbers::Plain,
        Privacy::Hashed => Numbers::hashed(&store.privacy_key().await?),
    })
}

fn tell(applied: &Applied, done: &Done) {
    let listed = |sids: &[String]| sids.join(",");
    tracing::info!(
        accounts.added = listed(&done.added),
        accounts.changed = listed(&done.changed),
        accounts.removed = listed(&done.removed),
        "the configuration was applied anew"
    );
    for key in &applied.needs_restart {
        tracing::warn!(key, "a changed setting needs a restart; until then the former value stays in force");
    }
    for warning in &applied.warnings {
        tracing::warn!("{warning}");
    }
}
