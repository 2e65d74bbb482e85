//! Groups in a line: while the record of one is written, the next one runs.
//!
//! The second stands upon what the first wrote, in the transaction that both share; its record is written after
//! the first one's, and nobody is answered before his own record is durable. Should writing fail, the file is
//! closed, and both are answered with the error.

use std::time::Instant;

use tokio::sync::mpsc;

use super::Shared;
use super::engine::{Engine, Queued};
use super::writer::{Failed, Message};
use crate::metrics::StoreOp;

/// Operations that share a record at most: bounds the memory of their transaction.
const GROUP: usize = 256;

type Group = Vec<Box<dyn Queued>>;

/// What waits.
pub(super) struct Queue {
    messages: mpsc::Receiver<Message>,
    /// Taken while a group was gathered, and no operation.
    next: Option<Message>,
}

/// Operations that are at work and not answered yet.
#[derive(Default)]
pub(super) struct Line {
    /// Those that ran, and whose record is being written.
    before: Option<Before>,
    current: Group,
    next: Group,
}

struct Before {
    group: Group,
    /// The totals that they changed.
    changed: Vec<(u64, u64)>,
    began: Instant,
}

impl Queue {
    pub(super) fn new(messages: mpsc::Receiver<Message>) -> Self {
        Self { messages, next: None }
    }

    /// The next message; none once every handle is gone. May be dropped while it waits.
    pub(super) async fn take(&mut self) -> Option<Message> {
        match self.next.take() {
            Some(message) => Some(message),
            None => self.messages.recv().await,
        }
    }

    /// Adds the operations that wait, up to the next message of another kind.
    fn gather(&mut self, group: &mut Group) {
        while self.next.is_none() && group.len() < GROUP {
            match self.messages.try_recv() {
                Ok(Message::Run(operation)) => group.push(operation),
                Ok(other) => self.next = Some(other),
                Err(_) => return,
            }
        }
    }
}

impl Line {
    /// With one operation at its head.
    pub(super) fn of(first: Box<dyn Queued>) -> Self {
        Self { current: vec![first], ..Self::default() }
    }

    /// Everybody who is not answered yet.
    pub(super) fn rest(&mut self) -> Group {
        let before = self.before.take().map(|before| before.group).unwrap_or_default();
        let (current, next) = (std::mem::take(&mut self.current), std::mem::take(&mut self.next));
        before.into_iter().chain(current).chain(next).collect()
    }

    /// Works until nobody waits, or something else than an operation does; then everybody is answered.
    ///
    /// # Errors
    /// The first: who is in [`Self::rest`] is not answered. If the error is confined to operations, that is the
    /// group that it comes from and nobody else.
    pub(super) fn work(
        &mut self,
        engine: &mut Engine,
        shared: &Shared,
        queue: Option<&mut Queue>,
    ) -> Result<(), Failed> {
        let mut queue = queue;
        if let Some(queue) = &mut queue {
            queue.gather(&mut self.current);
        }
        loop {
            let ran = engine.run_group(&mut self.current);
            // Also if this one failed: what went before is no part of it.
            self.answer_before(engine, shared)?;
            let ran = ran?;
            if let Some(queue) = &mut queue {
                queue.gather(&mut self.next);
            }
            let began = Instant::now();
            let write = |error| (StoreOp::Commit, error);
            match ran.notes.filter(|_| !engine.is_checkpoint_due()) {
                None => engine.for_good().map_err(write)?,
                Some(notes) if self.next.is_empty() => engine.append(&notes).map_err(write)?,
                Some(notes) => {
                    engine.begin_to_append(notes).map_err(write)?;
                    let group = std::mem::take(&mut self.current);
                    self.before = Some(Before { group, changed: ran.changed, began });
                    self.current = std::mem::take(&mut self.next);
                    continue;
                }
            }
            answer(engine, shared, &mut self.current, &ran.changed, began);
            if self.next.is_empty() {
                return Ok(());
            }
            self.current = std::mem::take(&mut self.next);
        }
    }

    fn answer_before(&mut self, engine: &mut Engine, shared: &Shared) -> Result<(), Failed> {
        if self.before.is_some() {
            engine.finish_appending().map_err(|error| (StoreOp::Commit, error))?;
        }
        if let Some(Before { mut group, changed, began }) = self.before.take() {
            answer(engine, shared, &mut group, &changed, began);
        }
        Ok(())
    }
}

/// What these operations wrote is durable: it is shown, and they are answered. From here and not from the
/// writer's task, which would have to be woken first.
fn answer(engine: &Engine, shared: &Shared, group: &mut Group, changed: &[(u64, u64)], began: Instant) {
    engine.metrics.observe(StoreOp::Commit, began.elapsed());
    shared.set_pending(engine.pending_since().is_some());
    shared.show(changed);
    for operation in group.drain(..) {
        operation.finish(Ok(()));
    }
}
