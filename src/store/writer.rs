//! The one writer: drains what waits, runs it, makes it durable, then answers ([`super::line`]).
//!
//! Callbacks and pages thus share records of the journal, and their rate is far above one sync of the disk each. There is
//! no artificial delay: a lone operation commits at once. Whatever touches the disk runs on a thread that
//! may block.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::engine::{CHECKPOINT, Engine, Queued};
use super::group::Group;
use super::line::{Line, Queue};
use super::{Error, Operation, Shared, open, prepare};
use crate::metrics::StoreOp;

/// After a fault the file is opened again after this long, doubled each time up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

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
    /// Takes the operation back too: to take a page of calls apart is work that the caller can do.
    answer: oneshot::Sender<(O, Result<O::Reply, Error>)>,
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
        let Self { operation, reply, answer } = *self;
        // The caller may have given up; what it asked for is stored all the same.
        drop(answer.send((operation, result.and_then(|()| reply.ok_or(Error::Closed)))));
    }
}

pub(super) async fn transact<O: Operation>(
    queue: &mpsc::Sender<Message>,
    operation: O,
) -> Result<O::Reply, Error> {
    let (answer, reply) = oneshot::channel();
    let pending = Box::new(Pending { operation, reply: None, answer });
    queue.send(Message::Run(pending)).await.map_err(|_| Error::Closed)?;
    reply.await.map_err(|_| Error::Closed)?.1
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
pub(super) async fn run(shared: Arc<Shared>, engine: Engine, messages: mpsc::Receiver<Message>) {
    let mut state = State {
        shared,
        engine: Some(engine),
        checkpoint_at: None,
        retry_at: Instant::now(),
        wait: FIRST_RETRY,
    };
    // Held by this task while it waits, and by the thread at work, which looks who waits next.
    let queue = Arc::new(Mutex::new(Queue::new(messages)));
    loop {
        let message = async { queue.lock().await.take().await };
        let message = match (&state.engine, state.checkpoint_at) {
            // While the file is closed after a fault it is opened again without waiting for work: readers
            // wait for it too.
            (None, _) => tokio::select! {
                message = message => message,
                () = sleep_until(state.retry_at) => {
                    // What fails is reported where it fails, and tried again.
                    drop(state.run(|_, _| Ok(())).await);
                    continue;
                }
            },
            (Some(_), Some(at)) => tokio::select! {
                message = message => message,
                () = sleep_until(at) => {
                    // As above.
                    drop(state.checkpoint().await);
                    continue;
                }
            },
            (Some(_), None) => message.await,
        };
        let Some(message) = message else { break };
        match message {
            Message::Run(first) => state.run_line(first, &queue).await,
            Message::With(act, answer) => {
                let act = |engine: &mut Engine, _: &Shared| {
                    // It makes a transaction of its own, and what it removes shall be nowhere.
                    engine
                        .checkpoint()
                        .and_then(|()| engine.wipe_journal())
                        .map_err(|error| (StoreOp::Commit, error))?;
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
    /// Runs what waits, beginning with this one, until everybody is answered.
    async fn run_line(&mut self, first: Box<dyn Queued>, queue: &Arc<Mutex<Queue>>) {
        let (rest, result) = self.work(Line::of(first), Some(Arc::clone(queue))).await;
        match result {
            // One of several is at fault: each for itself, so that the others are stored.
            Err(Error::Damaged(_) | Error::Fault) if rest.len() > 1 => {
                for operation in rest {
                    let (rest, result) = self.work(Line::of(operation), None).await;
                    for operation in rest {
                        operation.finish(result.clone());
                    }
                }
            }
            result => {
                for operation in rest {
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

    /// Lets a line work, and gives back who was not answered, whatever happened to the thread.
    async fn work(
        &mut self,
        line: Line,
        queue: Option<Arc<Mutex<Queue>>>,
    ) -> (Vec<Box<dyn Queued>>, Result<(), Error>) {
        let slot = Arc::new(std::sync::Mutex::new(line));
        let inside = Arc::clone(&slot);
        let result = self
            .run(move |engine, shared| {
                let mut line = inside.lock().unwrap_or_else(PoisonError::into_inner);
                let mut queue = queue.as_ref().map(|queue| queue.blocking_lock());
                line.work(engine, shared, queue.as_deref_mut())
            })
            .await;
        let mut line = slot.lock().unwrap_or_else(PoisonError::into_inner);
        (line.rest(), result)
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
                self.checkpoint_at = engine.pending_since().map(|since| since + CHECKPOINT);
                self.engine = Some(engine);
                self.wait = FIRST_RETRY;
                Ok(())
            }
            Visit::Failed(engine, (op, error)) => {
                // What went before it may have been answered from the journal.
                self.checkpoint_at = engine.pending_since().map(|since| since + CHECKPOINT);
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
                let Some(mut engine) = engine else { return };
                if let Err(error) = engine.checkpoint().and_then(|()| engine.wipe_journal()) {
                    // The next start takes it up.
                    tracing::warn!(reason = %error, "what the journal holds was not written for good");
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
            shared.set_pending(engine.pending_since().is_some());
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
    shared.set_pending(false);
    shared.db.store(Some(Arc::clone(&prepared.engine.db)));
    shared.live.store(prepared.engine.inbox.live());
    // A commit that reported an error may have reached the disk all the same.
    shared.show(&prepared.engine.totals.iter().collect::<Vec<_>>());
    Ok(prepared.engine)
}
