//! Reads calls by the plan of [`super::plan`]: one owner of the state of reading, several readings at once.
//!
//! Each page is stored in one transaction with the state after it, so that a crash loses nothing and a
//! restart goes on where it was. A failed page ends its run, visibly, and is read again on the next tick.

mod audits;
mod mode;
mod pages;
mod reading;
mod runs;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::account::{Account, ManualRun};
use super::audit::{Audited, NotAudited, audit};
use super::plan::{self, Job, Mode, Settings};
use super::run;
use super::tasks::instant;
use crate::exotel::{CallsPage, CallsQuery, Error, Priority, Window};
use crate::model::series::Trigger;
use crate::model::{SyncRun, SyncState, Timestamp, WallTime};
use crate::store;
use reading::Reading;

/// Readings of live slices at once. A reading waits for each answer before it asks on, so that one alone
/// would not use the budget when Exotel answers slowly.
const LIVE_AT_ONCE: usize = 8;
/// Readings of gaps at once, beside the live ones.
const GAPS_AT_ONCE: usize = 6;
/// Rows that must be left for a reading to be worth splitting.
const WORTH_SPLITTING: u64 = 2_000;

/// Between two ticks, however late the machine is: answers are handled in between.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// Wishes for a manual run, kept while the task is restarted.
pub type Wishes = Arc<Mutex<mpsc::Receiver<oneshot::Sender<ManualRun>>>>;

/// Reads until told to stop.
pub async fn run(account: Arc<Account>, wishes: Wishes, shutdown: CancellationToken) {
    let state = loop {
        match begin(&account).await {
            Ok(state) => break state,
            Err(error) => {
                account.failed(&error.to_string());
                account.status().sync_ended(account.clock.now(), Some(&error.to_string()));
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(account.beat(60)) => {}
                }
            }
        }
    };
    let settings = account.plan();
    let first_start = instant_of_first_start(&account);
    let state = state.unwrap_or_else(|| plan::first_state(first_start, &settings));
    let mut reader = Reader {
        settings,
        state,
        readings: HashMap::new(),
        answers: JoinSet::new(),
        queue: VecDeque::new(),
        live: None,
        began: Instant::now(),
        gap: None,
        mode: Mode::Bands,
        audit_at: Instant::now(),
        auditing: false,
        account,
    };
    reader.account.status().details_inline = reader.state.details_inline;
    reader.show();
    reader.work(wishes, shutdown).await;
}

/// The state of reading as it was left; runs that were cut short are ended.
async fn begin(account: &Account) -> Result<Option<SyncState>, store::Error> {
    let last_run = runs::take_over(account).await?;
    account.status().last_run = last_run;
    let mut state = account.store.sync_state(account.id).await?;
    if let Some(state) = &mut state
        && state.details_inline == Some(false)
    {
        // Exotel may have learnt it since; one page tells.
        state.details_inline = None;
    }
    Ok(state)
}

fn instant_of_first_start(account: &Account) -> WallTime {
    Timestamp(account.row().first_start).to_wall(account.config.utc_offset)
}

struct Reader {
    account: Arc<Account>,
    settings: Settings,
    state: SyncState,
    /// Readings under way, by the first second of their slice.
    readings: HashMap<i64, Reading>,
    answers: JoinSet<Answer>,
    queue: VecDeque<Job>,
    live: Option<SyncRun>,
    /// When the live run began.
    began: Instant,
    gap: Option<SyncRun>,
    mode: Mode,
    audit_at: Instant,
    auditing: bool,
}

enum Answer {
    Page(i64, Result<CallsPage, Error>),
    Audit(i64, Round, Result<Audited, NotAudited>),
}

/// Windows are audited once they are closed, and again a day later.
#[derive(Clone, Copy)]
enum Round {
    First,
    Second,
}

impl Reader {
    async fn work(&mut self, wishes: Wishes, shutdown: CancellationToken) {
        let mut tick = Instant::now();
        let mut wishes = wishes.lock().await;
        loop {
            self.dispatch();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = sleep_until(tick) => {
                    // From the planned time, so that ticks do not drift; after a long stop from now.
                    tick = (tick + self.account.sync.interval).max(Instant::now() + SHORTEST_WAIT);
                    tokio::select! {
                        () = shutdown.cancelled() => return,
                        () = self.tick(Trigger::Schedule) => {}
                    }
                }
                Some(wish) = wishes.recv() => {
                    let answer = if self.live.is_some() { ManualRun::AlreadyRunning } else { ManualRun::Started };
                    if wish.send(answer).is_err() {
                        tracing::debug!("who asked for a sync is gone");
                    }
                    if answer == ManualRun::Started {
                        tokio::select! {
                            () = shutdown.cancelled() => return,
                            () = self.tick(Trigger::Manual) => {}
                        }
                    }
                }
                Some(answer) = self.answers.join_next(), if !self.answers.is_empty() => match answer {
                    Ok(Answer::Page(slice, result)) => self.page(slice, result).await,
                    Ok(Answer::Audit(unit, round, result)) => self.audited(unit, round, result).await,
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => {
                        tracing::error!(reason = %error, "a reading of calls stopped unexpectedly");
                        self.start_over().await;
                    }
                },
                () = sleep_until(self.audit_at), if !self.auditing => {
                    // One that is due is started above; otherwise there is time until the next look.
                    if self.audit_due().is_none() {
                        self.audit_at = Instant::now() + self.account.beat(10);
                    }
                }
            }
        }
    }

    /// After a panic in a request every reading starts anew on the next tick, and an audit waits a little:
    /// one that panics each time must not take the readings with it again and again.
    async fn start_over(&mut self) {
        let message = "a reading stopped unexpectedly";
        self.answers = JoinSet::new();
        self.readings.clear();
        self.queue.clear();
        self.auditing = false;
        self.audit_at = Instant::now() + self.account.beat(10);
        if let Some(gap) = &mut self.gap {
            gap.error.get_or_insert_with(|| message.to_owned());
        }
        self.end_live(Some(message.to_owned())).await;
        self.end_if_done().await;
    }

    /// Begins a run, or extends the head if one is under way.
    async fn tick(&mut self, trigger: Trigger) {
        if self.live.is_some() {
            let now = self.account.wall_now();
            let known: HashSet<i64> = self.state.slices.iter().map(|s| s.from).collect();
            plan::extend_head(&mut self.state, now, &self.settings);
            for job in plan::jobs(&self.state, now, &self.settings, self.mode) {
                // The newest calls do not wait for a place among long readings.
                if !known.contains(&job.slice) {
                    if self.readings.len() < LIVE_AT_ONCE + GAPS_AT_ONCE + 4 {
                        self.start(job);
                    } else {
                        self.queue.push_front(job);
                    }
                }
            }
            return;
        }
        let id = match self.account.next_run().await {
            Ok(id) => id,
            Err(error) => {
                self.account.failed(&error.to_string());
                self.account.status().sync_ended(self.account.clock.now(), Some(&error.to_string()));
                return;
            }
        };
        self.began = Instant::now();
        let started = self.account.clock.now();
        let record = run::begin(id, trigger, started);
        {
            let mut status = self.account.status();
            status.running_since = Some(started);
            status.newest_run = Some(record.clone());
        }
        self.live = Some(record);
        self.mode = match self.choose_mode(trigger).await {
            Ok(mode) => mode,
            Err(error) => {
                self.end_live(Some(error)).await;
                return;
            }
        };
        self.account.status().whole = self.mode == Mode::Whole;
        let now = self.account.wall_now();
        let first_start = instant_of_first_start(&self.account);
        plan::known_time(&mut self.state, first_start, now, &self.settings);
        if plan::begin_tick(&mut self.state, now, &self.settings, self.mode).is_err() {
            let watermark = self.state.watermark();
            self.end_live(Some(format!(
                "Exotel's clock says {now}, earlier than {watermark}, up to which everything was read: nothing is read until then (is accounts[].utc_offset right?)"
            )))
            .await;
            return;
        }
        self.queue = plan::jobs(&self.state, now, &self.settings, self.mode)
            .into_iter()
            .filter(|job| !self.readings.contains_key(&job.slice))
            .collect();
        if self.gap.is_none() && self.queue.iter().any(|job| job.priority == Priority::Heal) {
            // Without a number, gaps are read all the same and noted in the run.
            if let Ok(id) = self.account.next_run().await {
                self.gap = Some(run::begin(id, Trigger::Heal, self.account.clock.now()));
            }
        }
        self.end_if_done().await;
    }

    /// Starts what there is room for: readings, newest first; then halves of long ones; then an audit.
    fn dispatch(&mut self) {
        for (gaps, room) in [(false, LIVE_AT_ONCE), (true, GAPS_AT_ONCE)] {
            let is_gap = |job: &Job| job.priority == Priority::Heal;
            while self.readings.values().filter(|r| is_gap(&r.job) == gaps).count() < room {
                let place = self.queue.iter().position(|job| is_gap(job) == gaps);
                let job = match place.and_then(|place| self.queue.remove(place)) {
                    Some(job) => Some(job),
                    None => self.split_longest(gaps),
                };
                let Some(job) = job else { break };
                self.start(job);
            }
        }
        if let Some((unit, round)) = self.audit_due()
            && !self.auditing
            && Instant::now() >= self.audit_at
        {
            self.auditing = true;
            let account = Arc::clone(&self.account);
            let window = Window { from: WallTime(unit), to: WallTime(unit + self.settings.audit_unit()) };
            self.answers.spawn(async move { Answer::Audit(unit, round, audit(&account, window).await) });
        }
    }

    fn start(&mut self, job: Job) {
        plan::begin_pass(&mut self.state, job.slice, self.account.wall_now());
        self.readings.insert(job.slice, Reading::new(job));
        self.ask(job.slice, self.query(&job, job.window.from), job.priority);
    }

    fn query(&self, job: &Job, from: WallTime) -> CallsQuery {
        let window = Window { from, to: job.window.to };
        CallsQuery::Window { window, duration: job.duration, details: self.account.asks_details() }
    }

    fn ask(&mut self, slice: i64, query: CallsQuery, priority: Priority) {
        let account = Arc::clone(&self.account);
        self.answers.spawn(async move { Answer::Page(slice, account.calls(&query, priority).await) });
    }

    /// Cuts the longest reading in two, so that both halves go on at once.
    fn split_longest(&mut self, gaps: bool) -> Option<Job> {
        let (slice, left) = self
            .readings
            .iter()
            .filter(|(_, r)| (r.job.priority == Priority::Heal) == gaps && r.job.duration.is_none())
            .map(|(slice, r)| (*slice, r.total.saturating_sub(r.rows)))
            .max_by_key(|(_, left)| *left)?;
        if left < WORTH_SPLITTING {
            return None;
        }
        let new = plan::split(&mut self.state, slice)?;
        let reading = self.readings.get_mut(&slice)?;
        let to = reading.job.window.to;
        reading.job.window.to = WallTime(new);
        reading.total = reading.rows + left / 2;
        Some(Job { slice: new, window: Window { from: WallTime(new), to }, ..reading.job })
    }

    /// Brings the state of reading to the gauges.
    fn show(&self) {
        let first_start = Timestamp(self.account.row().first_start);
        let mut status = self.account.status();
        status.watermark = Some(instant(&self.account, self.state.watermark()));
        // Others than the reader may have learnt that they are refused.
        status.details_inline = status.details_inline.filter(|inline| !inline).or(self.state.details_inline);
        // What was read once stays read while it is read again as a whole.
        let head = instant(&self.account, self.state.head());
        let now = self.account.now();
        status.head = Some(status.head.map_or(head, |before| before.min(now).max(head)));
        status.last_success = Some(self.state.last_success.map_or(first_start, Timestamp));
    }
}
