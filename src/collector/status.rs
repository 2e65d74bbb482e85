//! What gauges and pages show of an account; its pollers write it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::account::Account;
use crate::exotel::Balance;
use crate::model::callback::Kind;
use crate::model::health::{HealthCheck, HeardHeartbeat, NumberHealth};
use crate::model::{KnownExoPhone, SyncRun, Timestamp};
use crate::store;

/// What gauges and pages show of the health of an account's numbers.
#[derive(Clone, Debug, Default)]
pub struct HealthStatus {
    /// What polls found, by the number's id.
    pub numbers: BTreeMap<u16, NumberHealth>,
    /// The heartbeat in force.
    pub heartbeat: Option<Arc<HeardHeartbeat>>,
    /// When a poll last succeeded whole; the first start before any.
    pub last_success: Option<Timestamp>,
    /// The last poll; its number is known to the store alone.
    pub last_check: Option<Arc<HealthCheck>>,
    /// Whether the newest finished poll failed.
    pub failed: bool,
    /// Whether the first poll ended, well or not.
    pub first_done: bool,
}

/// What gauges and pages show of an account; replaced piecemeal, read at each scrape.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Known ExoPhones, as last stored.
    pub exophones: Vec<KnownExoPhone>,
    /// How many the list had when it was last read.
    pub exophones_listed: Option<u64>,
    /// Which they were, by id; none before it was read.
    pub listed: Option<BTreeSet<u16>>,
    /// Health of the numbers.
    pub health: HealthStatus,
    /// Every call created before this is read and final.
    pub watermark: Option<Timestamp>,
    /// Everything visible up to this creation time is read.
    pub head: Option<Timestamp>,
    /// End of the last successful run; the first start before any.
    pub last_success: Option<Timestamp>,
    /// How long the last run took.
    pub last_duration: Option<Duration>,
    /// The last regular run that ended; gaps and healing have runs of their own.
    pub last_run: Option<SyncRun>,
    /// The newest regular run as it began or ended: its record in the store comes with its first page.
    pub newest_run: Option<SyncRun>,
    /// When the regular run under way began; none between runs.
    pub running_since: Option<Timestamp>,
    /// Since when every sync has failed, and what the newest said; none after one that succeeded.
    pub sync_failing: Option<(Timestamp, String)>,
    /// Whether the first sync ended, well or not.
    pub first_sync_done: bool,
    /// Whether the whole look-back is read on each tick.
    pub whole: bool,
    /// Whether bulk rows carry leg details when asked; none while that was not tried.
    pub details_inline: Option<bool>,
    /// What waits in the store.
    pub waiting: store::Summary,
    /// Roll-ups of the last hours, by hour of Exotel's wall clock.
    pub hours: Vec<(u32, crate::model::Direction, crate::model::HourTotals)>,
    /// Calls counted under `_other` since this was last brought to the metrics.
    pub overflowed: u64,
    /// The balance as last read, and when; none where it is not read, or was not yet.
    pub balance: Option<(Timestamp, Balance)>,
    /// When a callback of each kind last came and said something new.
    pub last_callbacks: BTreeMap<Kind, Timestamp>,
    /// The last failure, in words.
    pub last_error: Option<(Timestamp, String)>,
}

impl Status {
    /// Notes how a sync ended: the first failure of a row of them stays the beginning.
    pub fn sync_ended(&mut self, now: Timestamp, error: Option<&str>) {
        let since = self.sync_failing.take().map_or(now, |(since, _)| since);
        self.sync_failing = error.map(|error| (since, error.to_owned()));
    }
}

/// How the kinds of cycles that are enabled (sync, health poll) stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cycles {
    /// The first one of each has ended, well or not.
    pub all_done: bool,
    /// The newest finished one of each failed.
    pub all_failed: bool,
}

impl Status {
    /// How the cycles of this account stand.
    pub fn cycles(&self, account: &Account) -> Cycles {
        let kinds = [
            (account.sync.enabled, self.first_sync_done, self.sync_failing.is_some()),
            (account.heartbeat.enabled, self.health.first_done, self.health.failed),
        ];
        let enabled = || kinds.iter().filter(|(enabled, ..)| *enabled);
        Cycles {
            all_done: enabled().all(|(_, done, _)| *done),
            all_failed: enabled().count() > 0 && enabled().all(|(.., failed)| *failed),
        }
    }
}
