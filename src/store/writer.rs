//! The one writer: drains what waits, runs it in one transaction, commits, then answers.
//!
//! Callbacks and pages thus share commits, and their rate is far above one sync of the disk each. There is
//! no artificial delay: a lone operation commits at once.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::engine::{Engine, Group, Queued};
use super::{Error, Operation, Shared, open};
use crate::metrics::StoreOp;

/// Operations that share a commit at most: bounds the transaction's memory.
const GROUP: usize = 256;
/// After a fault the file is opened again after this long, doubled each time up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// Something that has the engine to itself.
type Alone = Box<dyn FnOnce(&mut Engine) -> Result<(), Error> + Send>;

pub(super) enum Message {
    Run(Box<dyn Queued>),
    /// Something that needs the engine alone: pruning, accounts.
    With(Alone, oneshot::Sender<Result<(), Error>>),
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

/// Runs something on the engine between two groups.
pub(super) async fn with_engine(
    queue: &mpsc::Sender<Message>,
    act: impl FnOnce(&mut Engine) -> Result<(), Error> + Send + 'static,
) -> Result<(), Error> {
    let (answer, reply) = oneshot::channel();
    queue.send(Message::With(Box::new(act), answer)).await.map_err(|_| Error::Closed)?;
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
    let mut state = State { shared, engine: Some(engine), retry_at: Instant::now(), wait: FIRST_RETRY };
    let mut next = None;
    loop {
        let message = match next.take() {
            Some(message) => message,
            // While the file is closed after a fault it is opened again without waiting for work: readers
            // wait for it too.
            None if state.engine.is_none() => tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => message,
                    None => break,
                },
                () = sleep_until(state.retry_at) => {
                    state.reopen().await;
                    continue;
                }
            },
            None => match messages.recv().await {
                Some(message) => message,
                None => break,
            },
        };
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
                let result = state.run(move |engine| act(engine).map(|()| Vec::new())).await;
                // As above: the caller may be gone.
                drop(answer.send(result));
            }
            Message::Close(answer) => {
                state.shut();
                answer.send(()).unwrap_or_default();
                return;
            }
        }
    }
    state.shut();
}

struct State {
    shared: Arc<Shared>,
    engine: Option<Engine>,
    retry_at: Instant,
    wait: Duration,
}

impl State {
    async fn run_group(&mut self, group: Vec<Box<dyn Queued>>) {
        let (mut group, result) = self.run_queue(group).await;
        match result {
            // One of several is at fault: each for itself, so that the others are stored.
            Err(Error::Damaged(_)) if group.len() > 1 => {
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

    async fn run_queue(&mut self, group: Vec<Box<dyn Queued>>) -> (Vec<Box<dyn Queued>>, Result<(), Error>) {
        let slot = Arc::new(std::sync::Mutex::new(group));
        let inside = Arc::clone(&slot);
        let result = self
            .run(move |engine| {
                let mut group = inside.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                engine.run_group(&mut group)
            })
            .await;
        let mut group = slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (std::mem::take(&mut *group), result)
    }

    /// Runs something that blocks on the engine, away from the async threads, and looks after faults.
    async fn run(
        &mut self,
        act: impl FnOnce(&mut Engine) -> Result<Vec<(u64, u64)>, Error> + Send + 'static,
    ) -> Result<(), Error> {
        let mut engine = self.engine.take().ok_or(Error::Unavailable {
            action: "written",
            reason: "it failed a moment ago and is being opened again".into(),
        })?;
        let done = tokio::task::spawn_blocking(move || {
            let result = std::panic::catch_unwind(AssertUnwindSafe(|| act(&mut engine)));
            (engine, result)
        })
        .await;
        let Ok((engine, result)) = done else { return Err(Error::Closed) };
        match result {
            Ok(Ok(changed)) => {
                self.engine = Some(engine);
                self.wait = FIRST_RETRY;
                self.shared.show(&changed);
                Ok(())
            }
            Ok(Err(error)) => {
                self.shared.metrics.failed(StoreOp::Commit);
                if matches!(error, Error::Unavailable { .. }) {
                    self.fault(engine, &error.to_string());
                } else {
                    tracing::error!(reason = %error, "a store operation failed");
                    self.engine = Some(engine);
                }
                Err(error)
            }
            Err(_) => {
                self.shared.metrics.failed(StoreOp::Write);
                self.fault(engine, "a panic inside the store");
                Err(Error::Unavailable { action: "written", reason: "an internal fault".into() })
            }
        }
    }

    /// After a fault redb refuses further writes until the file is opened again.
    fn fault(&mut self, engine: Engine, reason: &str) {
        tracing::error!(reason, retry_in_s = self.wait.as_secs(), "the store is opened again");
        self.shared.db.store(None);
        drop(engine);
        self.retry_at = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(LONGEST_RETRY);
    }

    /// Opens the file again, away from the async threads.
    async fn reopen(&mut self) {
        let (path, metrics) = (self.shared.path.clone(), self.shared.metrics.clone());
        let opened = tokio::task::spawn_blocking(move || {
            open::open(&path)
                .map_err(|error| error.to_string())
                .and_then(|db| open::prepare(db, metrics).map_err(|error| error.to_string()))
        })
        .await;
        match opened.unwrap_or_else(|_| Err("its pages contradict each other".into())) {
            Ok((engine, _)) => {
                tracing::info!("the store is open again");
                self.shared.db.store(Some(Arc::clone(&engine.db)));
                self.engine = Some(engine);
            }
            Err(reason) => {
                self.shared.metrics.failed(StoreOp::Write);
                self.retry_at = Instant::now() + self.wait;
                self.wait = (self.wait * 2).min(LONGEST_RETRY);
                tracing::error!(reason, "the store could not be opened again");
            }
        }
    }

    fn shut(&mut self) {
        self.shared.db.store(None);
        self.engine = None;
    }
}
