//! What the pollers of one account share: settings, client, store, numbers, and the state that gauges and
//! the status page show.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc, oneshot};

use super::plan::Settings;
use crate::config;
use crate::exotel::{CallsPage, CallsQuery, Client, Error, Priority};
use crate::ingest::{Context, Summary};
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
    /// Calls were taken in: something may be due.
    pub took_in: Notify,
    /// Where a manual run is asked for.
    pub manual: mpsc::Sender<oneshot::Sender<ManualRun>>,
    api_answered: AtomicI64,
    up_since: Timestamp,
}

/// Answer to the wish for a manual run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManualRun {
    /// It began.
    Started,
    /// One is under way.
    AlreadyRunning,
}

/// What gauges and pages show of an account; replaced piecemeal, read at each scrape.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Known ExoPhones, as last stored.
    pub exophones: Vec<KnownExoPhone>,
    /// How many the list had when it was last read.
    pub exophones_listed: Option<u64>,
    /// Every call created before this is read and final.
    pub watermark: Option<Timestamp>,
    /// Everything visible up to this creation time is read.
    pub head: Option<Timestamp>,
    /// End of the last successful run; the first start before any.
    pub last_success: Option<Timestamp>,
    /// How long the last run took.
    pub last_duration: Option<Duration>,
    /// The last run that ended, or the one under way.
    pub last_run: Option<SyncRun>,
    /// Whether the newest finished sync failed.
    pub sync_failed: bool,
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
    /// The last failure, in words.
    pub last_error: Option<(Timestamp, String)>,
}

impl Account {
    /// Puts an account together; `manual` is where wishes for manual runs go.
    #[expect(clippy::too_many_arguments, reason = "it is the one place where an account is put together")]
    pub fn new(
        config: config::Account,
        sync: config::Sync,
        exophone_cap: usize,
        (id, row): (AccountId, AccountRow),
        exophones: Vec<KnownExoPhone>,
        client: Client,
        store: Store,
        clock: Clock,
        manual: mpsc::Sender<oneshot::Sender<ManualRun>>,
    ) -> Self {
        let directory = Directory::new(&exophones, None, exophone_cap);
        let up_since = clock.now();
        let status = Status { exophones, ..Status::default() };
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
            took_in: Notify::new(),
            manual,
            api_answered: AtomicI64::new(i64::MIN),
            up_since,
        }
    }

    /// The status, for a look or a change; held for as long as that takes, never across an await.
    pub fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account's row in the store.
    pub fn row(&self) -> AccountRow {
        *self.row.lock().unwrap_or_else(PoisonError::into_inner)
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
