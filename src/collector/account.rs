//! What the pollers of one account share: settings, client, store, numbers, and the state that gauges and
//! the status page show.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, OnceCell, mpsc, oneshot, watch};

use super::health;
use super::plan::Settings;
use super::status::{HealthStatus, Status};
use super::terms::{Stored, Terms};
use crate::config;
use crate::exotel::{CallsPage, CallsQuery, Client, Error, Priority};
use crate::ingest::{Context, Summary};
use crate::model::{
    AccountId, AccountRow, Clock, Directory, KnownExoPhone, Observation, Sid, Timestamp, WallTime,
};
use crate::settle::{Callbacks, Rules};
use crate::store::{self, Operation, Store};

/// One account at work, under settings that do not change: other settings make another value, which shares
/// the [`Memory`] of the former.
#[derive(Debug)]
pub struct Account {
    /// Its configuration.
    pub config: config::Account,
    /// Settings of reading.
    pub sync: config::Sync,
    /// Cap on numbers with a label of their own.
    pub exophone_cap: usize,
    /// `webhooks.missed_after`.
    pub missed_after: Duration,
    /// Polling of ExoPhones.
    pub heartbeat: config::Heartbeat,
    /// Its number in the store.
    pub id: AccountId,
    /// The door to Exotel.
    pub client: Client,
    /// The door to the store.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// What outlives a change of its settings.
    pub memory: Arc<Memory>,
}

/// What is known of an account in this process, whatever its settings.
#[derive(Debug)]
pub struct Memory {
    /// When it was first started, and what was pruned; refreshed after pruning.
    pub row: Mutex<AccountRow>,
    /// Its numbers.
    pub directory: ArcSwap<Directory>,
    /// What gauges and pages show.
    status: Mutex<Status>,
    /// A call waits for the list of ExoPhones to be read again.
    pub wants_exophones: Notify,
    /// How reading the list of ExoPhones last ended; none before the first time.
    pub listing: watch::Sender<Option<Listing>>,
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

impl Account {
    /// Puts an account together; `manual` is where wishes for manual runs go.
    pub fn new(
        terms: Terms,
        stored: Stored,
        client: Client,
        store: Store,
        clock: Clock,
        manual: mpsc::Sender<oneshot::Sender<ManualRun>>,
    ) -> Self {
        let Stored { row: (id, row), exophones, health: known, received } = stored;
        let directory = Directory::new(&exophones, None, terms.exophone_cap);
        let health = HealthStatus {
            numbers: known.numbers,
            heartbeat: known.heartbeat.map(Arc::new),
            last_success: known.last_success.or(Some(Timestamp(row.first_start))),
            ..HealthStatus::default()
        };
        let last_callbacks = received.into_iter().collect();
        let status = Status { exophones, health, last_callbacks, ..Status::default() };
        let memory = Memory {
            row: Mutex::new(row),
            directory: ArcSwap::from_pointee(directory),
            status: Mutex::new(status),
            wants_exophones: Notify::new(),
            listing: watch::Sender::new(None),
            wishes: health::Wishes::default(),
            heartbeat_turn: tokio::sync::Mutex::new(()),
            took_in: Notify::new(),
            manual,
            api_answered: AtomicI64::new(i64::MIN),
            up_since: clock.now(),
            last_run: OnceCell::new(),
        };
        Self::assembled(terms, id, client, store, clock, Arc::new(memory))
    }

    /// The same account under other settings. Whoever still holds the former one works on the same memory.
    #[must_use]
    pub fn under(&self, terms: Terms, client: Client) -> Self {
        let (store, clock, memory) = (self.store.clone(), self.clock.clone(), Arc::clone(&self.memory));
        Self::assembled(terms, self.id, client, store, clock, memory)
    }

    fn assembled(
        terms: Terms,
        id: AccountId,
        client: Client,
        store: Store,
        clock: Clock,
        memory: Arc<Memory>,
    ) -> Self {
        let Terms { config, sync, heartbeat, exophone_cap, missed_after, retry: _ } = terms;
        Self { config, sync, exophone_cap, missed_after, heartbeat, id, client, store, clock, memory }
    }

    /// For when its tasks have ended and others may follow: no run is under way, and numbers have their
    /// labels by the cap that is now in force.
    pub fn tasks_ended(&self) {
        if !self.heartbeat.enabled {
            self.polls_ended();
        }
        let mut status = self.status();
        status.running_since = None;
        status.newest_run = None;
        if !self.sync.enabled {
            status.sync_failing = None;
        }
        if !self.config.balance.enabled {
            status.balance = None;
        }
        let list_read = self.memory.directory.load().list_read;
        let directory = Directory::new(&status.exophones, list_read, self.exophone_cap);
        self.memory.directory.store(Arc::new(directory));
    }

    /// The number of a run that begins: no two have the same.
    ///
    /// # Errors
    /// The store's, until it could be read once.
    pub async fn next_run(&self) -> Result<u64, store::Error> {
        let last = self
            .memory
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
        self.memory.status.lock().unwrap_or_else(PoisonError::into_inner)
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
        *self.memory.row.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `sync.settle_after` in seconds, the unit of most waits.
    pub fn settle_after(&self) -> i64 {
        i64::try_from(self.sync.settle_after.as_secs()).unwrap_or(i64::MAX / 4).max(1)
    }

    /// Now, UTC, by Exotel's clock where that is known: windows must fit what Exotel files.
    pub fn now(&self) -> Timestamp {
        self.client.now()
    }

    /// Now on Exotel's wall clock.
    pub fn wall_now(&self) -> WallTime {
        self.now().to_wall(self.config.utc_offset)
    }

    /// Whether to ask for leg details in bulk: always the same way, so that no row counts with fewer than
    /// its neighbour only because another query brought it.
    pub fn asks_details(&self) -> bool {
        !self.details_refused()
    }

    /// Whether bulk rows are known to carry no leg details, whoever asked.
    pub fn details_refused(&self) -> bool {
        self.status().details_inline == Some(false)
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
        let answered = self.memory.api_answered.load(Ordering::Relaxed);
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
            directory: self.memory.directory.load_full(),
            up_since: self.memory.up_since,
            api_answered: (answered != i64::MIN).then_some(Timestamp(answered)),
            now: self.now(),
        }
    }

    /// Asks for a page of calls. Whether the bulk API takes `details` at all is not documented: what it
    /// refuses is asked for once more without, and if that is answered, details are asked for no more.
    ///
    /// # Errors
    /// The client's.
    pub async fn calls(&self, query: &CallsQuery, priority: Priority) -> Result<CallsPage, Error> {
        let mut result = self.client.calls(query, priority).await;
        if result.as_ref().is_err_and(|error| error.status == Some(400))
            && let Some(plain) = query.without_details()
        {
            result = self.client.calls(&plain, priority).await;
            if result.is_ok() {
                self.status().details_inline = Some(false);
            }
        }
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
            self.memory.wants_exophones.notify_one();
        }
        if summary.new + summary.updated > 0 {
            self.memory.took_in.notify_waiters();
        }
        Ok(summary)
    }

    /// Notes that Exotel answered, or what went wrong.
    pub fn note<T>(&self, result: &Result<T, Error>) {
        match result {
            Ok(_) => self.memory.api_answered.store(self.now().0, Ordering::Relaxed),
            Err(error) => {
                if matches!(error.status, Some(400 | 404)) {
                    self.memory.api_answered.store(self.now().0, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::super::trial::{START, Trial};
    use super::*;
    use crate::exotel::Window;

    fn window(trial: &Trial) -> Option<Window> {
        let to = START.to_wall(trial.account.config.utc_offset);
        Some(Window { from: to.plus(-3600), to })
    }

    fn list(window: Option<Window>) -> CallsQuery {
        CallsQuery::Sids { sids: vec![Sid::parse("c1").expect("a sid")], window, details: true }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_with_details_is_asked_for_without_them_by_everybody() {
        let trial = Trial::new(0).await;
        let account = &trial.account;
        let (one, two) = (list(window(&trial)), list(window(&trial)));
        let (one, two) =
            tokio::join!(account.calls(&one, Priority::Settle), account.calls(&two, Priority::Settle));
        assert!(one.is_ok() && two.is_ok(), "whoever was under way is answered: {one:?} {two:?}");
        assert!(!account.asks_details(), "nobody asks for them any more");
        assert_eq!(account.status().last_error, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_that_is_refused_either_way_says_nothing_of_details() {
        let trial = Trial::new(0).await;
        let error = trial.account.calls(&list(None), Priority::Settle).await.expect_err("a refusal");
        assert_eq!(error.status, Some(400));
        assert_eq!(trial.exotel().queries.len(), 2);
        assert!(trial.account.asks_details());
    }
}
