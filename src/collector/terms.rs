//! What an account is taken up with: its settings, and what the store knows of it.

use std::time::Duration;

use crate::config::{self, Config, PageExophones, Secret};
use crate::model::callback::Kind;
use crate::model::health::KnownHealth;
use crate::model::{AccountId, AccountRow, KnownExoPhone, Timestamp};
use crate::store::{self, Store};

/// Settings of one account, with those of all accounts that reading it depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Its entry in the configuration.
    pub config: config::Account,
    /// Settings of reading.
    pub sync: config::Sync,
    /// Polling of ExoPhones.
    pub heartbeat: config::Heartbeat,
    /// Retrying of failed reads.
    pub retry: config::Retry,
    /// Cap on numbers with a label of their own.
    pub exophone_cap: usize,
    /// `webhooks.missed_after`.
    pub missed_after: Duration,
}

impl Terms {
    /// Those of each account, in the order of the configuration.
    pub fn of(config: &Config) -> Vec<Self> {
        let terms = |account: &config::Account| Self {
            config: account.clone(),
            sync: config.sync,
            heartbeat: config.heartbeat,
            retry: config.retry,
            exophone_cap: config.limits.exophones,
            missed_after: config.webhooks.missed_after,
        };
        config.accounts.iter().map(terms).collect()
    }

    /// Whether the tasks of an account can go on when its settings change to `new`: what differs only
    /// decides what is shown, and who may send webhooks.
    pub fn tasks_can_go_on(&self, new: &Self) -> bool {
        let for_tasks = |terms: &Self| {
            let mut terms = terms.clone();
            let config = &mut terms.config;
            config.exophones.clear();
            config.page_exophones = PageExophones::All;
            config.channel_limit = None;
            // Whether there is one at all decides whether messages are asked for.
            config.webhook_secrets.truncate(1);
            config.webhook_secrets.fill(Secret::new(""));
            terms
        };
        for_tasks(self) == for_tasks(new)
    }
}

/// What the store knows of an account.
#[derive(Debug)]
pub struct Stored {
    /// Its number, when it was first started, and what was pruned.
    pub row: (AccountId, AccountRow),
    /// Its numbers.
    pub exophones: Vec<KnownExoPhone>,
    /// Health of its numbers.
    pub health: KnownHealth,
    /// When callbacks of each kind last came.
    pub received: Vec<(Kind, Timestamp)>,
}

impl Stored {
    /// Reads it; an account that the store does not know begins now.
    ///
    /// # Errors
    /// The store's.
    pub async fn read(store: &Store, sid: &str, now: Timestamp) -> Result<Self, store::Error> {
        let row = store.account(sid, now).await?;
        Ok(Self {
            row,
            exophones: store.exophones(row.0).await?,
            health: store.known_health(row.0).await?,
            received: store.received(row.0).await?,
        })
    }
}
