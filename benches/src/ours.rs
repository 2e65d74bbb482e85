//! The program's own way of a page: decode, reconcile, settle, one durable commit. No limiter, no socket.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use exotel_exporter::exotel::callback::{self, Letter};
use exotel_exporter::exotel::{AccountShape, Row, read_page};
use exotel_exporter::ingest::{Callback, Context, Page, Summary};
use exotel_exporter::metrics::{BuildInfo, Format, Metrics};
use exotel_exporter::model::callback::{Kind, Taken, Told};
use exotel_exporter::model::health::HealthCheck;
use exotel_exporter::model::{
    AccountId, Direction, Directory, KnownExoPhone, RunStatus, SetAside, Slice, SyncRun, SyncState,
    Timestamp, UtcOffset, WallTime,
};
use exotel_exporter::reconcile::Origin;
use exotel_exporter::settle::{Callbacks, Rules};
use exotel_exporter::store::{HealthWrites, Held, Operation, Options, Store, Wants, WriteSet};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, JoinSet};

use crate::calls::{ACCOUNT, Calls, PAGE, exophones};

/// How old the newest row of a page is when it is read: as old as the lag makes it.
const READ_AFTER: i64 = 1200;
/// How long after its end a call's callback is waited for: shorter than [`READ_AFTER`], so that what is missed is known at once.
const MISSED_AFTER: i64 = 300;
/// Pages on their way at once while filling.
const IN_FLIGHT: usize = 64;

/// Makes the operation for a page, with everything that the sync stores along with it.
pub struct Reader {
    shape: AccountShape,
    context: Context,
    state: SyncState,
    run: SyncRun,
}

impl Reader {
    /// For the account that was first started at `first_start`.
    pub fn new(account: AccountId, first_start: Timestamp) -> Self {
        let offset = UtcOffset::default();
        let live_from = first_start.to_wall(offset);
        let directory = Directory::new(&exophones(), Some(first_start), usize::MAX);
        // As many slices as the default look-back is cut into.
        let slices = (0..12).map(|n| live_from.0 + n * 900);
        let slices = slices.map(|from| Slice { from, to: from + 900, seen: Some(from + 2000), pass: None });
        Self {
            shape: AccountShape { sid: ACCOUNT.to_owned(), utc_offset: offset },
            context: Context {
                account,
                rules: Rules {
                    offset,
                    settle_after: 1800,
                    lookback: 15_600,
                    short_call: 10,
                    callbacks: Callbacks::NONE,
                },
                live_from,
                prune_floor: WallTime(0),
                directory: Arc::new(directory),
                api_answered: Some(first_start),
                up_since: Timestamp(0),
                now: first_start,
            },
            state: SyncState { slices: slices.collect(), details_inline: Some(true), ..SyncState::default() },
            run: SyncRun {
                id: 1,
                trigger: "schedule".to_owned(),
                started: first_start.0,
                ended: None,
                status: RunStatus::InProgress,
                pages: 0,
                new: 0,
                stored: 0,
                rows: 0,
                set_aside: 0,
                error: None,
            },
        }
    }

    /// Decodes a page.
    pub fn read(&mut self, body: &[u8]) -> anyhow::Result<Page> {
        let page = read_page(body, &self.shape, "")?;
        let Some(Row::Call(newest)) = page.rows.last() else { anyhow::bail!("a page without calls") };
        self.context.now = newest.created.plus(READ_AFTER).to_timestamp(self.context.rules.offset);
        self.context.api_answered = Some(self.context.now);
        let last = self.state.slices.last_mut().context("slices")?;
        last.to = newest.created.0;
        self.run.pages += 1;
        let mut operation = Page::new(self.context.clone(), page.rows, Origin::Page);
        operation.sync = Some(self.state.clone());
        operation.run = Some(self.run.clone());
        Ok(operation)
    }
}

/// When a page is decoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Decoding {
    /// While the one before it is made durable, as in the program: there other threads read than write.
    Beside,
    /// When the one before it is durable.
    InTurn,
}

fn done(result: Result<Summary, exotel_exporter::store::Error>) -> anyhow::Result<()> {
    let summary = result?;
    anyhow::ensure!(summary.new == PAGE && summary.settled == PAGE, "not all new and counted: {summary:?}");
    Ok(())
}

/// The program's own store.
pub struct Ours {
    runtime: Runtime,
    metrics: Metrics,
    store: Store,
    account: AccountId,
    reader: Reader,
}

impl Ours {
    /// A new store whose account was first started when `calls` begin.
    pub fn open(path: &Path, calls: &Calls) -> anyhow::Result<Self> {
        // As many threads as the program itself has.
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let first_start = calls.from.to_timestamp(UtcOffset::default());
        let metrics = Metrics::new(BuildInfo::current());
        let (store, account) = runtime.block_on(async {
            let store = Store::open(Options { path: path.to_owned(), metrics: metrics.store.clone() })?;
            let (account, _) = store.account(ACCOUNT, first_start).await?;
            let phones = Note { exophones: exophones(), ..Note::default() };
            store.transact(Memo { account, note: phones }).await?;
            anyhow::Ok((store, account))
        })?;
        Ok(Self { runtime, metrics, store, account, reader: Reader::new(account, first_start) })
    }

    /// Takes pages in, one a commit; returns when all are durable.
    pub fn pages(&mut self, bodies: &[Vec<u8>], decoding: Decoding) -> anyhow::Result<()> {
        let Self { runtime, store, reader, .. } = self;
        runtime.block_on(async {
            let mut before: Option<JoinHandle<_>> = None;
            for body in bodies {
                let operation = reader.read(body)?;
                // Only then is the next one handed over, so that no commit ever takes two.
                if let Some(before) = before.take() {
                    done(before.await?)?;
                }
                match decoding {
                    Decoding::Beside => {
                        let store = store.clone();
                        before = Some(tokio::spawn(async move { store.transact(operation).await }));
                    }
                    Decoding::InTurn => done(store.transact(operation).await)?,
                }
            }
            match before {
                Some(last) => done(last.await?),
                None => Ok(()),
            }
        })
    }

    /// Takes in the callback of a call that ends now; returns when it is durable.
    pub fn callback(&mut self, sid: &str, now: WallTime) -> anyhow::Result<()> {
        let at = now.to_string().replace(' ', "+");
        let body = format!(
            "CallSid={sid}&EventType=terminal&DateCreated={at}&DateUpdated={at}&Status=completed\
             &StartTime={at}&EndTime={at}&Direction=outbound-api&ConversationDuration=52\
             &Legs[0][Status]=completed&Legs[1][Status]=completed"
        );
        let offset = self.reader.context.rules.offset;
        let content_type = Some("application/x-www-form-urlencoded");
        let letter = Letter { kind: Kind::Calls, content_type, query: None, body: body.as_bytes(), offset };
        let Told::Call(report) = callback::read(&letter)? else { anyhow::bail!("no callback of a call") };
        let context = self.reader.context.clone();
        let operation = Callback { context, report: *report, received: now.to_timestamp(offset) };
        let taken = self.runtime.block_on(self.store.transact(operation))?;
        anyhow::ensure!(taken == Taken::Accepted, "{taken:?}");
        Ok(())
    }

    /// Seconds that the store spent on an operation so far: `write`, `commit`.
    pub fn spent(&self, op: &str) -> f64 {
        let text = self.metrics.render(Format::Text);
        let name = format!("exotel_store_operation_duration_seconds_sum{{op=\"{op}\"}} ");
        let text = String::from_utf8_lossy(&text);
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(f64::NAN)
    }

    /// Decodes a page and forgets it.
    pub fn decode(&mut self, body: &[u8]) -> anyhow::Result<()> {
        self.reader.read(body).map(drop)
    }

    /// Takes in the calls `[from, to)`, many pages a commit.
    pub fn fill(&mut self, calls: &Calls, from: u64, to: u64) -> anyhow::Result<()> {
        let Self { runtime, store, reader, .. } = self;
        runtime.block_on(async {
            let mut waiting = JoinSet::new();
            for first in (from..to).step_by(PAGE as usize) {
                let operation = reader.read(&calls.page(first))?;
                let store = store.clone();
                waiting.spawn(async move { store.transact(operation).await });
                while waiting.len() >= IN_FLIGHT {
                    waiting.join_next().await.context("pages on their way")???;
                }
            }
            for done in waiting.join_all().await {
                done?;
            }
            Ok(())
        })
    }

    /// Leaves the store as an agent would that read everything before `watermark`, and closes it.
    pub fn leave(self, watermark: WallTime) -> anyhow::Result<()> {
        let state = SyncState {
            watermark: watermark.0,
            audited: watermark.0,
            audited_again: watermark.0,
            details_inline: Some(true),
            ..SyncState::default()
        };
        let memo = Memo { account: self.account, note: Note { state: Some(state), ..Note::default() } };
        self.runtime.block_on(async {
            self.store.transact(memo).await?;
            self.store.close().await;
            Ok(())
        })
    }

    /// From now on every outbound-dial call should have been announced by a callback, and none is.
    pub fn miss_callbacks(&mut self) {
        let callbacks = Callbacks::new(&[Direction::OutboundDial], &["calls".to_owned()], MISSED_AFTER);
        self.reader.context.rules.callbacks = callbacks;
    }

    /// Stores what is no call, many a commit.
    pub fn note(&mut self, notes: impl Iterator<Item = Note>) -> anyhow::Result<()> {
        let Self { runtime, store, account, .. } = self;
        runtime.block_on(async {
            let mut waiting = JoinSet::new();
            for note in notes {
                let (store, memo) = (store.clone(), Memo { account: *account, note });
                waiting.spawn(async move { store.transact(memo).await });
                while waiting.len() >= 4 * IN_FLIGHT {
                    waiting.join_next().await.context("notes on their way")???;
                }
            }
            for done in waiting.join_all().await {
                done?;
            }
            Ok(())
        })
    }

    /// Removes the raw checks before a time, as the program does; their hours stay.
    pub fn forget_checks(&mut self, before: Timestamp) -> anyhow::Result<()> {
        let done = self.store.prune_health_checks(self.account, before, Timestamp(0));
        Ok(self.runtime.block_on(done)?)
    }
}

/// What is no call.
#[derive(Clone, Default)]
pub struct Note {
    /// State of reading.
    pub state: Option<SyncState>,
    /// Numbers.
    pub exophones: Vec<KnownExoPhone>,
    /// A run.
    pub run: Option<SyncRun>,
    /// A check.
    pub check: Option<HealthCheck>,
    /// Rows that could not be read.
    pub set_aside: Vec<SetAside>,
}

/// Stores what is no call.
struct Memo {
    account: AccountId,
    note: Note,
}

impl Operation for Memo {
    type Reply = ();

    fn wants(&self) -> Wants {
        Wants::nothing(self.account)
    }

    fn decide(&mut self, _: Held) -> (WriteSet, ()) {
        let Note { state, exophones, run, check, set_aside } = self.note.clone();
        let health =
            check.map(|check| Box::new(HealthWrites { check: Some(check), ..HealthWrites::default() }));
        let writes = WriteSet { sync: state, exophones, run, set_aside, health, ..WriteSet::default() };
        (writes, ())
    }
}
