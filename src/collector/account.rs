//! What the pollers of one account share: settings, client, store, numbers, and the state that gauges and
//! the status page show.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, OnceCell, mpsc, oneshot, watch};

use super::health;
use super::plan::Settings;
use crate::config;
use crate::exotel::{Balance, CallsPage, CallsQuery, Client, Error, Priority};
use crate::ingest::{Context, Summary};
use crate::model::callback::Kind;
use crate::model::health::{HealthCheck, HeardHeartbeat, KnownHealth, NumberHealth};
use crate::model::{
    AccountId, AccountRow, Clock, Directory, KnownExoPhone, Observation, Sid, SyncRun, Timestamp, WallTime,
};
use crate::settle::{Callbacks, Rules};
use crate::store::{self, Operation, Store};

/// One account at work.
#[derive(Debug)]
pub struct Account {
    /// Its configuration.
    pub config: config::Account,
    /// Settings of reading.
    pub sync: config::Sync,
    /// Cap on numbers with a label of their own.
    pub exophone_cap: usize,
    /// `webhooks.missed_after`; the default until somebody sets it.
    pub missed_after: Duration,
    /// Its number in the store.
    pub id: AccountId,
    /// When it was first started, and what was pruned; refreshed after pruning.
    pub row: Mutex<AccountRow>,
    /// The door to Exotel.
    pub client: Client,
    /// The door to the store.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Its numbers.
    pub directory: ArcSwap<Directory>,
    /// What gauges and pages show.
    pub status: Mutex<Status>,
    /// A call waits for the list of ExoPhones to be read again.
    pub wants_exophones: Notify,
    /// How reading the list of ExoPhones last ended; none before the first time.
    pub listing: watch::Sender<Option<Listing>>,
    /// Polling of ExoPhones.
    pub heartbeat: config::Heartbeat,
    /// Health checks that somebody wants now.
    pub wishes: health::Wishes,
    /// Heartbeats are taken in one after the other.
    pub heartbeat_turn: tokio::sync::Mutex<()>,
    /// Calls were taken in: something may be due.
    pub took_in: Notify,
    /// Where a manual run is asked for.
    pub manual: mpsc::Sender<oneshot::Sender<ManualRun>>,
    api_answered: AtomicI64,
    up_since: Timestamp,
    /// Number of the last run; read from the store when the first is begun.
    last_run: OnceCell<AtomicU64>,
}

/// Answer to the wish for a manual run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManualRun {
    /// It began.
    Started,
    /// One is under way.
    AlreadyRunning,
}

/// How reading the list of ExoPhones ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// It was read.
    Read,
    /// It could not be read, and why.
    Failed(String),
}

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

impl Account {
    /// Puts an account together; `manual` is where wishes for manual runs go.
    #[expect(clippy::too_many_arguments, reason = "it is the one place where an account is put together")]
    pub fn new(
        config: config::Account,
        sync: config::Sync,
        heartbeat: config::Heartbeat,
        exophone_cap: usize,
        (id, row): (AccountId, AccountRow),
        exophones: Vec<KnownExoPhone>,
        known: KnownHealth,
        client: Client,
        store: Store,
        clock: Clock,
        manual: mpsc::Sender<oneshot::Sender<ManualRun>>,
    ) -> Self {
        let directory = Directory::new(&exophones, None, exophone_cap);
        let up_since = clock.now();
        let health = HealthStatus {
            numbers: known.numbers,
            heartbeat: known.heartbeat.map(Arc::new),
            last_success: known.last_success.or(Some(Timestamp(row.first_start))),
            ..HealthStatus::default()
        };
        let status = Status { exophones, health, ..Status::default() };
        Self {
            config,
            sync,
            exophone_cap,
            missed_after: Duration::from_secs(25 * 60),
            id,
            row: Mutex::new(row),
            client,
            store,
            clock,
            directory: ArcSwap::from_pointee(directory),
            status: Mutex::new(status),
            wants_exophones: Notify::new(),
            listing: watch::Sender::new(None),
            heartbeat,
            wishes: health::Wishes::default(),
            heartbeat_turn: tokio::sync::Mutex::new(()),
            took_in: Notify::new(),
            manual,
            api_answered: AtomicI64::new(i64::MIN),
            up_since,
            last_run: OnceCell::new(),
        }
    }

    /// The number of a run that begins: no two have the same.
    ///
    /// # Errors
    /// The store's, until it could be read once.
    pub async fn next_run(&self) -> Result<u64, store::Error> {
        let last = self
            .last_run
            .get_or_try_init(|| async {
                let newest = self.store.runs(self.id, 1).await?;
                Ok::<_, store::Error>(AtomicU64::new(newest.first().map_or(0, |run| run.id)))
            })
            .await?;
        Ok(last.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The status, for a look or a change; held for as long as that takes, never across an await.
    pub fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The numbers on the list as last read; before that, all that are known.
    pub fn listed(&self) -> Vec<KnownExoPhone> {
        let status = self.status();
        let listed =
            |phone: &&KnownExoPhone| status.listed.as_ref().is_none_or(|ids| ids.contains(&phone.id));
        status.exophones.iter().filter(listed).cloned().collect()
    }

    /// The account's row in the store.
    pub fn row(&self) -> AccountRow {
        *self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `sync.settle_after` in seconds, the unit of most waits.
    pub fn settle_after(&self) -> i64 {
        i64::try_from(self.sync.settle_after.as_secs()).unwrap_or(i64::MAX / 4).max(1)
    }

    /// Now, UTC, by Exotel's clock where that is known: windows must fit what Exotel files.
    pub fn now(&self) -> Timestamp {
        self.clock.now().plus(self.client.clock_offset().unwrap_or(0))
    }

    /// Now on Exotel's wall clock.
    pub fn wall_now(&self) -> WallTime {
        self.now().to_wall(self.config.utc_offset)
    }

    /// Whether to ask for leg details in bulk: always the same way, so that no row counts with fewer than
    /// its neighbour only because another query brought it.
    pub fn asks_details(&self) -> bool {
        self.status().details_inline != Some(false)
    }

    /// Settings of the plan of reading.
    pub fn plan(&self) -> Settings {
        let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX / 4);
        Settings {
            interval: seconds(self.sync.interval).max(1),
            lookback: seconds(self.sync.lookback).max(1),
            lag: seconds(self.sync.lag()),
            slack: seconds(self.sync.settle_after / 2),
        }
    }

    /// Which calls a callback should announce.
    pub fn callbacks(&self) -> Callbacks {
        let missed_after = i64::try_from(self.missed_after.as_secs()).unwrap_or(i64::MAX / 4);
        Callbacks::new(&self.config.expected_callbacks, &self.config.expected_webhooks, missed_after)
    }

    /// What decisions about calls rest on, at this moment.
    pub fn context(&self) -> Context {
        let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX / 4);
        let row = self.row();
        let answered = self.api_answered.load(Ordering::Relaxed);
        Context {
            account: self.id,
            rules: Rules {
                offset: self.config.utc_offset,
                settle_after: seconds(self.sync.settle_after).max(1),
                lookback: seconds(self.sync.lookback).max(1),
                short_call: u32::try_from(self.sync.short_call.as_secs()).unwrap_or(u32::MAX),
                callbacks: self.callbacks(),
            },
            live_from: row.live_from(self.config.utc_offset),
            prune_floor: WallTime(row.prune_floor),
            directory: self.directory.load_full(),
            up_since: self.up_since,
            api_answered: (answered != i64::MIN).then_some(Timestamp(answered)),
            now: self.now(),
        }
    }

    /// Asks for a page of calls.
    ///
    /// # Errors
    /// The client's.
    pub async fn calls(&self, query: &CallsQuery, priority: Priority) -> Result<CallsPage, Error> {
        let result = self.client.calls(query, priority).await;
        self.note(&result);
        result
    }

    /// Asks for one call with its details.
    ///
    /// # Errors
    /// The client's.
    pub async fn call(&self, sid: &Sid, priority: Priority) -> Result<Observation, Error> {
        let result = self.client.call(sid, priority).await;
        self.note(&result);
        result
    }

    /// Runs an operation on calls and follows up on what it found.
    ///
    /// # Errors
    /// The store's; nothing was stored then.
    pub async fn take_in(&self, operation: impl Operation<Reply = Summary>) -> Result<Summary, store::Error> {
        let summary = self.store.transact(operation).await?;
        if summary.overflowed > 0 {
            self.status().overflowed += summary.overflowed;
        }
        if summary.wants_exophones {
            self.wants_exophones.notify_one();
        }
        if summary.new + summary.updated > 0 {
            self.took_in.notify_waiters();
        }
        Ok(summary)
    }

    /// Notes that Exotel answered, or what went wrong.
    pub fn note<T>(&self, result: &Result<T, Error>) {
        match result {
            Ok(_) => self.api_answered.store(self.now().0, Ordering::Relaxed),
            Err(error) => {
                if matches!(error.status, Some(400 | 404)) {
                    self.api_answered.store(self.now().0, Ordering::Relaxed);
                }
                self.failed(&error.message);
            }
        }
    }

    /// Keeps the last failure for the status page.
    pub fn failed(&self, message: &str) {
        let now = self.clock.now();
        self.status().last_error = Some((now, message.to_owned()));
    }

    /// A part of `settle_after`, at least 100 ms: how often the pollers look for work.
    pub fn beat(&self, part: u32) -> Duration {
        (self.sync.settle_after / part).max(Duration::from_millis(100))
    }
}
