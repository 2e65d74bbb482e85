//! Background care: gauges that need a look at disk or store, retention, and a slow check of every record.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::collector::{Account, Roster};
use crate::config::Config;
use crate::metrics::{Metrics, StoreSizes};
use crate::model::Clock;
use crate::store::{COUNTED, Store};

/// How often the verdicts `exotel_up` and the like are renewed.
const BEAT: Duration = Duration::from_millis(500);
/// How often the disk is asked.
const SIZES_EVERY: Duration = Duration::from_secs(5);
/// How often old records are removed.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// The slow check: this many records this often go through 10 million in four days.
const SCRUB_EVERY: Duration = Duration::from_secs(60);
const SCRUB_ROWS: usize = 2_000;

/// What is cared for.
#[derive(Debug)]
pub(crate) struct Upkeep {
    /// Where it shows.
    pub(crate) metrics: Arc<Metrics>,
    /// The store.
    pub(crate) store: Store,
    /// Accounts.
    pub(crate) roster: Roster,
    /// Ages and sizes.
    pub(crate) bounds: ArcSwap<Bounds>,
    /// Accounts that have verdicts.
    pub(crate) judged: Mutex<BTreeSet<String>>,
    /// Time.
    pub(crate) clock: Clock,
}

/// What the configuration says of ages and sizes; may change at any time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// `store.retention`.
    retention: Duration,
    /// `retention.sync_runs`.
    runs: Duration,
    /// `retention.health_checks`.
    health_checks: Duration,
    /// `retention.health_checks_raw`.
    health_checks_raw: Duration,
    /// `store.max_size`.
    max_size: Option<u64>,
}

impl Bounds {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            retention: config.store.retention,
            runs: config.retention.sync_runs,
            health_checks: config.retention.health_checks,
            health_checks_raw: config.retention.health_checks_raw,
            max_size: config.store.max_size,
        }
    }
}

/// Works until told to stop.
pub(crate) async fn run(upkeep: Arc<Upkeep>, shutdown: CancellationToken) {
    let mut sizes = Every::new(SIZES_EVERY);
    let mut prune = Every::new(PRUNE_EVERY);
    let mut scrub = Every::new(SCRUB_EVERY);
    let mut place = Vec::new();
    loop {
        upkeep.verdicts();
        if sizes.is_due() {
            upkeep.sizes().await;
        }
        if prune.is_due() {
            upkeep.prune().await;
        }
        if scrub.is_due() {
            place = upkeep.scrub(place).await;
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep(BEAT) => {}
        }
    }
}

struct Every {
    period: Duration,
    next: Instant,
}

impl Every {
    fn new(period: Duration) -> Self {
        Self { period, next: Instant::now() }
    }

    fn is_due(&mut self) -> bool {
        let due = Instant::now() >= self.next;
        if due {
            self.next = Instant::now() + self.period;
        }
        due
    }
}

impl Upkeep {
    /// `exotel_up` and `exotel_exporter_first_cycle_done`, of the accounts that are at work and no others.
    pub(crate) fn verdicts(&self) {
        let accounts = self.roster.accounts();
        for account in accounts.iter() {
            let name = &account.config.name;
            let (done, failed, overflowed) = {
                let mut status = account.status();
                let overflowed = std::mem::take(&mut status.overflowed);
                let cycles = status.cycles(account);
                (cycles.all_done, cycles.all_failed, overflowed)
            };
            for _ in 0..overflowed {
                self.metrics.exporter.label_overflowed(crate::metrics::Overflow::Exophone);
            }
            if done {
                self.metrics.exporter.first_cycle_done(name);
            }
            if failed {
                self.metrics.exporter.set_down(name);
            } else {
                self.metrics.exporter.set_up(name);
            }
        }
        let names: BTreeSet<String> = accounts.iter().map(|account| account.config.name.clone()).collect();
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in judged.difference(&names) {
            self.metrics.exporter.remove_account(gone);
        }
        *judged = names;
    }

    async fn sizes(&self) {
        if let Ok(rows) = self.store.table_rows().await {
            for (table, rows) in COUNTED.into_iter().zip(rows) {
                self.metrics.store.set_records(table, rows);
            }
        }
        let path = self.store.path().to_owned();
        let limit = self.bounds.load().max_size;
        let read = tokio::task::spawn_blocking(move || {
            let file = std::fs::metadata(&path)?.len();
            let system = rustix::fs::statvfs(&path)?;
            Ok::<_, std::io::Error>(StoreSizes {
                file,
                limit,
                avail: system.f_bavail.saturating_mul(system.f_frsize),
                filesystem: system.f_blocks.saturating_mul(system.f_frsize),
            })
        })
        .await;
        match read {
            Ok(Ok(sizes)) => self.metrics.store.set_sizes(sizes),
            _ => self.metrics.store.clear_sizes(),
        }
    }

    /// Removes what is older than its retention; never beyond the watermark.
    async fn prune(&self) {
        let now = self.clock.now();
        let before = |age: Duration| now.plus(-i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        let (accounts, bounds) = (self.roster.accounts(), **self.bounds.load());
        for account in accounts.iter() {
            let (raw, hours) = (before(bounds.health_checks_raw), before(bounds.health_checks));
            if let Err(error) = self.store.prune_health_checks(account.id, raw, hours).await {
                account.failed(&error.to_string());
            }
        }
        for account in accounts.iter() {
            self.prune_inbox(account, bounds.retention).await;
            let Ok(Some(state)) = self.store.sync_state(account.id).await else { continue };
            let keep = i64::try_from(bounds.retention.as_secs()).unwrap_or(i64::MAX);
            let runs = i64::try_from(bounds.runs.as_secs()).unwrap_or(i64::MAX);
            // From the watermark, not from the machine's clock: one that ran ahead must not remove anything.
            let floor = account.wall_now().min(state.watermark()).plus(-keep);
            let before = self.clock.now().plus(-runs);
            if let Err(error) = self.store.prune_messages(account.id, self.clock.now().plus(-keep)).await {
                account.failed(&error.to_string());
            }
            match self.store.prune(account.id, &account.config.sid, floor, before).await {
                Ok(()) => {
                    if let Ok((_, row)) = self.store.account(&account.config.sid, self.clock.now()).await {
                        *account.memory.row.lock().unwrap_or_else(PoisonError::into_inner) = row;
                    }
                }
                Err(error) => account.failed(&error.to_string()),
            }
        }
    }

    /// Removes what only callbacks named, when it is older than calls are kept. An account whose calls are
    /// not read has no watermark to go by.
    async fn prune_inbox(&self, account: &Account, retention: Duration) {
        let keep = i64::try_from(retention.as_secs()).unwrap_or(i64::MAX);
        let newest = match self.store.sync_state(account.id).await {
            Ok(Some(state)) => account.wall_now().min(state.watermark()),
            Ok(None) if !account.sync.enabled => account.wall_now(),
            Ok(None) | Err(_) => return,
        };
        if let Err(error) = self.store.prune_inbox(account.id, newest.plus(-keep)).await {
            account.failed(&error.to_string());
        }
    }

    async fn scrub(&self, place: Vec<u8>) -> Vec<u8> {
        match self.store.scrub(place, SCRUB_ROWS).await {
            Ok((next, damaged)) => {
                for _ in 0..damaged {
                    self.metrics.store.failed(crate::metrics::StoreOp::Read);
                }
                if damaged > 0 {
                    tracing::error!(
                        records = damaged,
                        "stored calls do not fit their checksum; run `exotel-exporter store check`"
                    );
                }
                next.unwrap_or_default()
            }
            // Reported where it happened; from the start again.
            Err(_) => Vec::new(),
        }
    }
}
