//! The one writer: drains what waits, runs it in one transaction, commits, then answers.
//!
//! Callbacks and pages thus share commits, and their rate is far above one sync of the disk each. There is
//! no artificial delay: a lone operation commits at once. Whatever touches the disk runs on a thread that
//! may block.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::engine::{Commit, Engine, Queued};
use super::group::Group;
use super::{Error, Operation, Shared, open, prepare};
use crate::metrics::StoreOp;

/// Operations that share a commit at most: bounds the transaction's memory.
const GROUP: usize = 256;
/// After a fault the file is opened again after this long, doubled each time up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// What the journal holds is written for good after this long at the latest: it bounds what is applied after a
/// kill, and how old a state somebody sees who reads the file beside us.
const CHECKPOINT: Duration = Duration::from_secs(5);

/// What failed, for the metric, and how.
pub(super) type Failed = (StoreOp, Error);

/// Something that needs the engine alone: pruning, accounts.
type Act = Box<dyn FnOnce(&mut Engine) -> Result<(), Error> + Send>;

pub(super) enum Message {
    Run(Box<dyn Queued>),
    With(Act, oneshot::Sender<Result<(), Error>>),
    /// Makes everything that was answered visible to who reads the file.
    Checkpoint(oneshot::Sender<Result<(), Error>>),
    Close(oneshot::Sender<()>),
}

struct Pending<O: Operation> {
    operation: O,
    reply: Option<O::Reply>,
    answer: oneshot::Sender<Result<O::Reply, Error>>,
}

impl<O: Operation> Queued for Pending<O> {
    fn run(&mut self, group: &mut Group<'_, '_>) -> Result<(), Error> {
        let wants = self.operation.wants();
        let held = group.read(&wants)?;
        let (writes, reply) = self.operation.decide(held);
        group.write(wants.account, writes)?;
        self.reply = Some(reply);
        Ok(())
    }

    fn finish(self: Box<Self>, result: Result<(), Error>) {
        let Self { reply, answer, .. } = *self;
        // The caller may have given up; what it asked for is stored all the same.
        drop(answer.send(result.and_then(|()| reply.ok_or(Error::Closed))));
    }
}

pub(super) async fn transact<O: Operation>(
    queue: &mpsc::Sender<Message>,
    operation: O,
) -> Result<O::Reply, Error> {
    let (answer, reply) = oneshot::channel();
    let pending = Box::new(Pending { operation, reply: None, answer });
    queue.send(Message::Run(pending)).await.map_err(|_| Error::Closed)?;
    reply.await.map_err(|_| Error::Closed)?
}

/// Runs something on the engine between two groups; it makes its own transaction.
pub(super) async fn with_engine(
    queue: &mpsc::Sender<Message>,
    act: impl FnOnce(&mut Engine) -> Result<(), Error> + Send + 'static,
) -> Result<(), Error> {
    let (answer, reply) = oneshot::channel();
    queue.send(Message::With(Box::new(act), answer)).await.map_err(|_| Error::Closed)?;
    reply.await.map_err(|_| Error::Closed)?
}

/// Makes everything that was answered visible to who reads the file.
pub(super) async fn checkpoint(queue: &mpsc::Sender<Message>) -> Result<(), Error> {
    let (answer, reply) = oneshot::channel();
    queue.send(Message::Checkpoint(answer)).await.map_err(|_| Error::Closed)?;
    reply.await.map_err(|_| Error::Closed)?
}

pub(super) async fn close(queue: &mpsc::Sender<Message>) {
    let (answer, closed) = oneshot::channel();
    if queue.send(Message::Close(answer)).await.is_ok() {
        // An error means that the writer has ended already: closed all the same.
        drop(closed.await);
    }
}

/// Runs until [`Message::Close`] or until every handle is gone.
pub(super) async fn run(shared: Arc<Shared>, engine: Engine, mut messages: mpsc::Receiver<Message>) {
    let mut state = State {
        shared,
        engine: Some(engine),
        checkpoint_at: None,
        retry_at: Instant::now(),
        wait: FIRST_RETRY,
    };
    let mut next = None;
    loop {
        let message = match next.take() {
            Some(message) => Some(message),
            // While the file is closed after a fault it is opened again without waiting for work: readers
            // wait for it too.
            None if state.engine.is_none() => tokio::select! {
                message = messages.recv() => message,
                () = sleep_until(state.retry_at) => {
                    // What fails is reported where it fails, and tried again.
                    drop(state.run(|_, _| Ok(())).await);
                    continue;
                }
            },
            None => match state.checkpoint_at {
                Some(at) => tokio::select! {
                    message = messages.recv() => message,
                    () = sleep_until(at) => {
                        // As above.
                        drop(state.checkpoint().await);
                        continue;
                    }
                },
                None => messages.recv().await,
            },
        };
        let Some(message) = message else { break };
        match message {
            Message::Run(first) => {
                let mut group = vec![first];
                while group.len() < GROUP {
                    match messages.try_recv() {
                        Ok(Message::Run(another)) => group.push(another),
                        Ok(other) => {
                            next = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                state.run_group(group).await;
            }
            Message::With(act, answer) => {
                let act = |engine: &mut Engine, _: &Shared| {
                    // It makes a transaction of its own, and what it removes shall be nowhere.
                    engine.checkpoint().map_err(|error| (StoreOp::Commit, error))?;
                    engine.wipe_journal();
                    act(engine).map_err(|error| (StoreOp::Write, error))
                };
                let result = state.run(act).await;
                // As above: the caller may be gone.
                drop(answer.send(result));
            }
            Message::Checkpoint(answer) => {
                let result = state.checkpoint().await;
                // Likewise.
                drop(answer.send(result));
            }
            Message::Close(answer) => {
                state.shut().await;
                answer.send(()).unwrap_or_default();
                return;
            }
        }
    }
    state.shut().await;
}

struct State {
    shared: Arc<Shared>,
    /// None after a fault, until the file is open again.
    engine: Option<Engine>,
    /// When what the journal holds is to be written for good; none if it holds nothing.
    checkpoint_at: Option<Instant>,
    retry_at: Instant,
    wait: Duration,
}

/// How a visit to the disk ended.
enum Visit {
    /// Well.
    Done(Engine),
    /// With an error that the file has nothing to do with, or that is confined to a record.
    Failed(Engine, Failed),
    /// With an error after which redb refuses further writes. The file was closed.
    Broken(Failed),
    /// The file could not be opened again.
    Shut(Error),
}

impl State {
    async fn run_group(&mut self, group: Vec<Box<dyn Queued>>) {
        let (mut group, result) = self.run_queue(group).await;
        match result {
            // One of several is at fault: each for itself, so that the others are stored.
            Err(Error::Damaged(_) | Error::Fault) if group.len() > 1 => {
                for operation in group {
                    let (mut one, result) = self.run_queue(vec![operation]).await;
                    if let Some(operation) = one.pop() {
                        operation.finish(result);
                    }
                }
            }
            result => {
                for operation in group.drain(..) {
                    operation.finish(result.clone());
                }
            }
        }
    }

    async fn checkpoint(&mut self) -> Result<(), Error> {
        if self.checkpoint_at.is_none() {
            return Ok(());
        }
        self.run(|engine, _| engine.checkpoint().map_err(|error| (StoreOp::Commit, error))).await
    }

    /// Runs a group and gives back what of it is not answered yet: all of it if it failed, whatever happened
    /// to the thread.
    async fn run_queue(&mut self, group: Vec<Box<dyn Queued>>) -> (Vec<Box<dyn Queued>>, Result<(), Error>) {
        let slot = Arc::new(Mutex::new(group));
        let due = self.checkpoint_at.is_some_and(|at| Instant::now() >= at);
        let commit = if due { Commit::ForGood } else { Commit::ToJournal };
        let inside = Arc::clone(&slot);
        let result = self
            .run(move |engine, shared| {
                let mut group = inside.lock().unwrap_or_else(PoisonError::into_inner);
                let changed = engine.run_group(&mut group, commit)?;
                shared.is_pending.store(engine.is_pending(), Ordering::Release);
                shared.show(&changed);
                // From here and not from the writer's task, which would have to be woken first.
                for operation in group.drain(..) {
                    operation.finish(Ok(()));
                }
                Ok(())
            })
            .await;
        let mut group = slot.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut *group), result)
    }

    /// Runs something on the engine, away from the async threads, and looks after faults.
    async fn run(
        &mut self,
        act: impl FnOnce(&mut Engine, &Shared) -> Result<(), Failed> + Send + 'static,
    ) -> Result<(), Error> {
        let engine = self.engine.take();
        if engine.is_none() && Instant::now() < self.retry_at {
            let reason = "it failed a moment ago".into();
            return Err(Error::Unavailable { action: "written", reason });
        }
        let shared = Arc::clone(&self.shared);
        let Ok(visit) = spawn_blocking(move || visit(&shared, engine, act)).await else {
            return Err(Error::Closed);
        };
        match visit {
            Visit::Done(engine) => {
                self.checkpoint_at = engine
                    .is_pending()
                    .then(|| self.checkpoint_at.unwrap_or_else(|| Instant::now() + CHECKPOINT));
                self.engine = Some(engine);
                self.wait = FIRST_RETRY;
                Ok(())
            }
            Visit::Failed(engine, (op, error)) => {
                self.engine = Some(engine);
                self.shared.metrics.failed(op);
                tracing::error!(reason = %error, "a store operation failed");
                Err(error)
            }
            Visit::Broken((op, error)) => {
                self.shared.metrics.failed(op);
                // A panic is no matter of time; a disk is.
                if matches!(error, Error::Fault) {
                    self.retry_at = Instant::now();
                } else {
                    self.back_off();
                }
                tracing::error!(reason = %error, "the store was closed after a fault and is opened again");
                Err(error)
            }
            Visit::Shut(error) => {
                self.shared.metrics.failed(StoreOp::Write);
                self.back_off();
                tracing::error!(reason = %error, "the store could not be opened again");
                Err(error)
            }
        }
    }

    fn back_off(&mut self) {
        self.retry_at = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(LONGEST_RETRY);
    }

    async fn shut(&mut self) {
        self.shared.db.store(None);
        let engine = self.engine.take();
        // Closing writes. An error means that the runtime is ending, and the engine with it.
        drop(
            spawn_blocking(move || {
                if let Some(mut engine) = engine
                    && engine.checkpoint().is_ok()
                {
                    engine.wipe_journal();
                }
            })
            .await,
        );
    }
}

/// Opens the file if it is not, and runs something on it. Blocks.
fn visit(
    shared: &Shared,
    engine: Option<Engine>,
    act: impl FnOnce(&mut Engine, &Shared) -> Result<(), Failed>,
) -> Visit {
    let mut engine = match engine.map_or_else(|| reopen(shared), Ok) {
        Ok(engine) => engine,
        Err(error) => return Visit::Shut(error),
    };
    let failed = match catch_unwind(AssertUnwindSafe(|| act(&mut engine, shared))) {
        Ok(Ok(())) => {
            shared.is_pending.store(engine.is_pending(), Ordering::Release);
            return Visit::Done(engine);
        }
        Ok(Err(failed)) if !matches!(failed.1, Error::Unavailable { .. }) => {
            return Visit::Failed(engine, failed);
        }
        Ok(Err(failed)) => failed,
        Err(_) => (StoreOp::Write, Error::Fault),
    };
    // Closed here, before anybody may open it again.
    shared.db.store(None);
    drop(catch_unwind(AssertUnwindSafe(|| drop(engine))));
    Visit::Broken(failed)
}

fn reopen(shared: &Shared) -> Result<Engine, Error> {
    let db = open::open(&shared.path)
        .map_err(|error| Error::Unavailable { action: "opened", reason: error.to_string() })?;
    let prepared = prepare::prepare(db, &shared.path, shared.metrics.clone(), prepare::Opening::Again)?;
    tracing::info!("the store is open again");
    shared.is_pending.store(false, Ordering::Release);
    shared.db.store(Some(Arc::clone(&prepared.engine.db)));
    shared.live.store(prepared.engine.inbox.live());
    // A commit that reported an error may have reached the disk all the same.
    shared.show(&prepared.engine.totals.iter().collect::<Vec<_>>());
    Ok(prepared.engine)
}
