//! Reads calls by the plan of [`super::plan`]: one owner of the state of reading, several readings at once.
//!
//! Each page is stored in one transaction with the state after it, so that a crash loses nothing and a
//! restart goes on where it was. A failed page ends its run, visibly, and is read again on the next tick.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::account::{Account, ManualRun};
use super::audit::{Audited, NotAudited, audit};
use super::plan::{self, Job, Mode, Settings};
use super::run;
use super::tasks::{instant, next_run};
use crate::exotel::{CallsPage, CallsQuery, Error, Priority, Row, Window};
use crate::ingest::Page;
use crate::model::series::{AuditResult, Trigger};
use crate::model::{Family, Series, SyncRun, SyncState, WallTime};
use crate::reconcile::Origin;
use crate::settle::{Deltas, needs_details};

/// Readings of live slices at once. A reading waits for each answer before it asks on, so that one alone
/// would not use the budget when Exotel answers slowly.
const LIVE_AT_ONCE: usize = 8;
/// Readings of gaps at once, beside the live ones.
const GAPS_AT_ONCE: usize = 6;
/// Pages after which a reading starts anew from where it is, with a fresh cursor.
const PAGES_A_CURSOR: u32 = 500;
/// Rows that must be left for a reading to be worth splitting.
const WORTH_SPLITTING: u64 = 2_000;
/// Exotel refuses windows near six months back with 400; the edge is not documented.
const EDGE: i64 = 170 * 86_400;

/// Wishes for a manual run, kept while the task is restarted.
pub type Wishes = Arc<Mutex<mpsc::Receiver<oneshot::Sender<ManualRun>>>>;

/// Reads until told to stop.
pub async fn run(account: Arc<Account>, wishes: Wishes, shutdown: CancellationToken) {
    let state = loop {
        match account.store.sync_state(account.id).await {
            Ok(state) => break state,
            Err(error) => {
                account.failed(&error.to_string());
                account.status().sync_failed = true;
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
    reader.show();
    reader.work(wishes, shutdown).await;
}

fn instant_of_first_start(account: &Account) -> WallTime {
    crate::model::Timestamp(account.row().first_start).to_wall(account.config.utc_offset)
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

/// One reading: a chain of pages over what is left of a slice.
struct Reading {
    job: Job,
    /// Cursors that were followed, to notice a loop.
    cursors: HashSet<u64>,
    /// Pages since the cursor was fresh.
    pages: u32,
    /// Creation time of the newest row so far.
    last: WallTime,
    /// Where the cursor was fresh.
    anchor: WallTime,
    /// Whether rows came in order: only then is everything before `last` known to be read.
    ordered: bool,
    /// Rows of the filter by Exotel's count, and how many came.
    total: u64,
    rows: u64,
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
                    tick = (tick + self.account.sync.interval).max(Instant::now());
                    self.tick(Trigger::Schedule).await;
                }
                Some(wish) = wishes.recv() => {
                    let answer = if self.live.is_some() { ManualRun::AlreadyRunning } else { ManualRun::Started };
                    if answer == ManualRun::Started {
                        self.tick(Trigger::Manual).await;
                    }
                    if wish.send(answer).is_err() {
                        tracing::debug!("who asked for a sync is gone");
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
        let now = self.account.wall_now();
        if self.live.is_some() {
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
        let id = match next_run(&self.account).await {
            Ok(id) => id,
            Err(error) => {
                self.account.failed(&error.to_string());
                self.account.status().sync_failed = true;
                return;
            }
        };
        // Numbers are told apart by the trigger that takes the next one, should both begin at once.
        let id = id.max(self.gap.as_ref().map_or(0, |run| run.id + 1));
        self.began = Instant::now();
        self.live = Some(run::begin(id, trigger, self.account.clock.now()));
        self.mode = match self.choose_mode(trigger, now).await {
            Ok(mode) => mode,
            Err(error) => {
                self.end_live(Some(error)).await;
                return;
            }
        };
        self.account.status().whole = self.mode == Mode::Whole;
        // An answer may have told that the machine's clock is wrong.
        let now = self.account.wall_now();
        plan::begin_tick(&mut self.state, now, &self.settings, self.mode);
        self.queue = plan::jobs(&self.state, now, &self.settings, self.mode)
            .into_iter()
            .filter(|job| !self.readings.contains_key(&job.slice))
            .collect();
        if self.gap.is_none() && self.queue.iter().any(|job| job.priority == Priority::Heal) {
            self.gap = Some(run::begin(id + 1, Trigger::Heal, self.account.clock.now()));
        }
        self.end_if_done().await;
    }

    /// Whether the whole look-back is a few pages: by what the store holds, or, when it does not know the
    /// last hours, by asking for one page.
    async fn choose_mode(&mut self, trigger: Trigger, now: WallTime) -> Result<Mode, String> {
        let from = now.plus(-self.settings.lookback);
        let fresh = self.settings.lag + 4 * self.settings.interval;
        let knows = self.state.slices.last().is_some_and(|s| s.seen.is_some() && now.0 - s.to <= fresh);
        let rows = if knows {
            let few = plan::FEW_ROWS + 1;
            self.account.store.count_rows(self.account.id, from, now, few).await.map_err(|e| e.to_string())?
        } else {
            let window = Window { from, to: now };
            let query = |details| CallsQuery::Window { window, duration: None, details };
            let asked = self.account.asks_details();
            let page = match self.account.calls(&query(asked), Priority::Sync).await {
                Err(error) if error.status == Some(400) && self.state.details_inline.is_none() => {
                    // Perhaps the bulk API takes no `details` at all: it does not, if it answers without.
                    let plain = self.account.calls(&query(false), Priority::Sync).await;
                    if plain.is_ok() {
                        self.state.details_inline = Some(false);
                        self.show();
                    }
                    plain
                }
                result => result,
            }
            .map_err(|e| e.message)?;
            // Without a total, a further page is all that is known of the rest.
            let total = page.total.unwrap_or(if page.next.is_some() { u64::MAX } else { 0 });
            let mut batch = Page::new(self.account.context(), page.rows, Origin::Page);
            batch.window = Some(window);
            self.account.take_in(batch).await.map_err(|e| e.to_string())?;
            total
        };
        Ok(match trigger {
            _ if rows <= plan::FEW_ROWS => Mode::Whole,
            Trigger::Manual => Mode::Now,
            _ => Mode::Bands,
        })
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
        let reading = Reading {
            job,
            cursors: HashSet::new(),
            pages: 0,
            last: job.window.from,
            anchor: job.window.from,
            ordered: true,
            total: 0,
            rows: 0,
        };
        self.readings.insert(job.slice, reading);
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

    async fn page(&mut self, slice: i64, result: Result<CallsPage, Error>) {
        let Some(mut reading) = self.readings.remove(&slice) else { return };
        let page = match result {
            Ok(page) => page,
            Err(error) => return self.page_failed(reading, error).await,
        };
        reading.pages += 1;
        if reading.total == 0 {
            reading.total = page.total.unwrap_or(0);
        }
        reading.rows += page.rows.len() as u64;
        for row in &page.rows {
            if let Row::Call(call) = row {
                reading.ordered &= call.created >= reading.last;
                reading.last = reading.last.max(call.created);
            }
        }
        let mut next = page.next;
        let looped = next
            .as_ref()
            .is_some_and(|uri| !reading.cursors.insert(xxhash_rust::xxh3::xxh3_64(uri.as_str().as_bytes())));
        // Rows beyond the slice belong to the half that was split off.
        let done = next.is_none() || (reading.ordered && reading.last >= reading.job.window.to);
        let mut state = self.state.clone();
        if reading.ordered {
            plan::progress(&mut state, slice, reading.last);
        }
        if done {
            plan::end_pass(&mut state, slice, self.account.wall_now());
        }
        if state.details_inline.is_none() {
            state.details_inline = details_shown(&page.rows);
        }
        let is_gap = reading.job.priority == Priority::Heal;
        let mut record = if is_gap { self.gap.clone() } else { self.live.clone() };
        if let Some(record) = &mut record {
            record.pages += 1;
        }
        let mut batch = Page::new(self.account.context(), page.rows, Origin::Page);
        batch.window = Some(reading.job.window);
        batch.sync = Some(state.clone());
        batch.run.clone_from(&record);
        let summary = match self.account.take_in(batch).await {
            Ok(summary) => summary,
            Err(error) => return self.failed(reading.job, error.to_string()).await,
        };
        self.state = state;
        if let Some(record) = &mut record {
            record.rows += summary.new + summary.updated + summary.unchanged + summary.rejected;
            record.new += summary.new;
            record.stored += summary.new + summary.updated;
            record.set_aside += summary.rejected;
        }
        if is_gap {
            self.gap = record;
        } else {
            self.live = record;
        }
        self.show();
        if done {
            return self.end_if_done().await;
        }
        if looped || reading.pages >= PAGES_A_CURSOR {
            // A fresh cursor from where we are: a window that is too long is split, not cut.
            if reading.ordered && reading.last > reading.anchor {
                next = None;
                reading.anchor = reading.last;
                reading.cursors.clear();
                reading.pages = 0;
            } else if looped || reading.pages >= 20 * PAGES_A_CURSOR {
                self.count_cut().await;
                let what =
                    if looped { "Exotel's cursor goes in circles" } else { "a second holds too many rows" };
                let message = format!(
                    "{what} in the calls created from {} on; the rest of the window is read on the next run",
                    reading.anchor
                );
                return self.failed(reading.job, message).await;
            }
        }
        let query = match next {
            Some(uri) => CallsQuery::Next(uri),
            None => self.query(&reading.job, reading.anchor),
        };
        let priority = reading.job.priority;
        self.readings.insert(slice, reading);
        self.ask(slice, query, priority);
    }

    async fn page_failed(&mut self, reading: Reading, error: Error) {
        let job = reading.job;
        if error.status == Some(400) && self.state.details_inline.is_none() {
            // Perhaps the bulk API takes no `details` at all.
            self.state.details_inline = Some(false);
            self.show();
            self.queue.push_front(job);
            return;
        }
        let age = self.account.wall_now() - job.window.from;
        if error.status == Some(400) && age > EDGE {
            tracing::warn!(from = %job.window.from, "Exotel does not show calls that old any more; they are left out");
            plan::end_pass(&mut self.state, job.slice, self.account.wall_now());
            let record = if job.priority == Priority::Heal { &mut self.gap } else { &mut self.live };
            if let Some(record) = record {
                let message = || {
                    format!("calls created before {} are too old for Exotel and were left out", job.window.to)
                };
                record.error.get_or_insert_with(message);
            }
            self.count_cut().await;
            return self.end_if_done().await;
        }
        self.failed(job, error.message).await;
    }

    /// A reading failed: its run is noted as failed, and goes on with what else there is to read.
    async fn failed(&mut self, job: Job, message: String) {
        tracing::warn!(account = self.account.config.name, from = %job.window.from, to = %job.window.to, reason = message, "a window of calls could not be read to its end");
        self.account.failed(&message);
        let record = if job.priority == Priority::Heal { &mut self.gap } else { &mut self.live };
        if let Some(record) = record {
            record.error.get_or_insert(message);
        }
        self.end_if_done().await;
    }

    async fn count_cut(&mut self) {
        let mut page = Page::new(self.account.context(), Vec::new(), Origin::Page);
        page.deltas.add(Series::new(self.account.id, Family::WindowsCut, 0, 0), 1);
        page.sync = Some(self.state.clone());
        if let Err(error) = self.account.take_in(page).await {
            self.account.failed(&error.to_string());
        }
    }

    async fn end_if_done(&mut self) {
        let rest = |gap: bool| {
            self.queue
                .iter()
                .chain(self.readings.values().map(|r| &r.job))
                .any(|job| (job.priority == Priority::Heal) == gap)
        };
        let (live, gap) = (rest(false), rest(true));
        if !live && self.live.is_some() {
            self.end_live(None).await;
        }
        if !gap && let Some(mut record) = self.gap.take() {
            let error = record.error.take();
            run::end(&mut record, self.account.clock.now(), error);
            self.store_run(record).await;
        }
    }

    async fn end_live(&mut self, error: Option<String>) {
        let Some(mut record) = self.live.take() else { return };
        let error = error.or_else(|| record.error.take());
        let now = self.account.clock.now();
        run::end(&mut record, now, error.clone());
        if error.is_none() {
            self.state.last_success = Some(now.0);
        }
        {
            let mut status = self.account.status();
            status.first_sync_done = true;
            status.sync_failed = error.is_some();
            status.last_duration = Some(self.began.elapsed());
            status.last_run = Some(record.clone());
        }
        if let Some(reason) = &error {
            self.account.failed(reason);
            tracing::warn!(account = self.account.config.name, reason, "a run of the sync failed");
        }
        tracing::debug!(
            account = self.account.config.name,
            pages = record.pages,
            rows = record.rows,
            "a run of the sync ended"
        );
        self.store_run(record).await;
        self.show();
    }

    async fn store_run(&mut self, record: SyncRun) {
        let mut page = Page::new(self.account.context(), Vec::new(), Origin::Page);
        page.deltas = run::count(self.account.id, &record);
        page.run = Some(record);
        page.sync = Some(self.state.clone());
        if let Err(error) = self.account.take_in(page).await {
            self.account.failed(&error.to_string());
        }
    }

    /// The next window to audit: closed, wholly read, above the prune floor, while nothing is unread.
    fn audit_due(&self) -> Option<(i64, Round)> {
        if self.live.is_some() || self.state.slices.iter().any(|s| s.seen.is_none()) {
            return None;
        }
        let unit = self.settings.audit_unit();
        let now = self.account.wall_now().0;
        let floor = self.account.row().prune_floor.max(now - plan::REACH);
        let above = |at: i64| if at < floor { floor + (-floor).rem_euclid(unit) } else { at };
        let (first, second) = (above(self.state.audited), above(self.state.audited_again));
        let watermark = self.state.watermark().0;
        if first + unit <= watermark && first + unit + self.settings.audit_after() <= now {
            return Some((first, Round::First));
        }
        (second + unit <= first && second + unit + 86_400 <= now).then_some((second, Round::Second))
    }

    async fn audited(&mut self, unit: i64, round: Round, result: Result<Audited, NotAudited>) {
        self.auditing = false;
        let audited = match result {
            Ok(audited) => audited,
            Err(NotAudited::Exotel(error)) if error.status == Some(400) => {
                // It will not be answered any better: near six months back Exotel shows nothing any more.
                self.account.failed(&error.message);
                Audited { result: AuditResult::Failed, found: 0 }
            }
            Err(NotAudited::Exotel(error)) => {
                self.audit_at = Instant::now() + self.account.beat(10);
                self.account.failed(&error.message);
                return;
            }
            Err(NotAudited::Store(error)) => {
                self.audit_at = Instant::now() + self.account.beat(10);
                self.account.failed(&error.to_string());
                return;
            }
        };
        if audited.result != AuditResult::Equal {
            tracing::warn!(account = self.account.config.name, from = %WallTime(unit), found = audited.found, result = audited.result.as_str(), "an audit found a difference");
        }
        let end = unit + self.settings.audit_unit();
        match round {
            Round::First => self.state.audited = end,
            Round::Second => self.state.audited_again = end,
        }
        let mut page = Page::new(self.account.context(), Vec::new(), Origin::Page);
        let mut deltas = Deltas::default();
        deltas.add(Series::new(self.account.id, Family::Audited, audited.result.code(), 0), 1);
        page.deltas = deltas;
        page.sync = Some(self.state.clone());
        if let Err(error) = self.account.take_in(page).await {
            // The state in memory is ahead of the store: at worst the window is audited once more.
            self.account.failed(&error.to_string());
        }
    }

    /// Brings the state of reading to the gauges.
    fn show(&self) {
        let first_start = crate::model::Timestamp(self.account.row().first_start);
        let mut status = self.account.status();
        status.watermark = Some(instant(&self.account, self.state.watermark()));
        status.details_inline = self.state.details_inline;
        // What was read once stays read while it is read again as a whole.
        let head = instant(&self.account, self.state.head());
        let now = self.account.now();
        status.head = Some(status.head.map_or(head, |before| before.min(now).max(head)));
        status.last_success = Some(self.state.last_success.map_or(first_start, crate::model::Timestamp));
    }
}

/// Whether bulk rows carry leg details: none while no row could tell.
fn details_shown(rows: &[Row]) -> Option<bool> {
    let calls = || {
        rows.iter().filter_map(|row| match row {
            Row::Call(call) => Some(call),
            Row::Unreadable(_) => None,
        })
    };
    if calls().any(|call| call.details.is_some()) {
        return Some(true);
    }
    // Details may come later than the row: only a call about which all else is known can tell.
    calls()
        .any(|call| {
            needs_details(call) && call.end.is_some() && call.duration.is_some() && call.price.is_some()
        })
        .then_some(false)
}
