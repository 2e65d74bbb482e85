//! The core among tasks: waiting, waking, letting go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::core::{Allowance, Core, Held, Share, Step};
use crate::exotel::Priority;
use crate::exotel::ledger::{Inherited, Journal, Taken, Unwritable};
use crate::metrics::api::PoolGauges;
use crate::model::Clock;

/// The limiter of one pool of one account.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// Name of the pool in the ledger.
    key: u64,
    clock: Clock,
    journal: Option<Arc<Journal>>,
    gauges: Arc<PoolGauges>,
    state: Mutex<State>,
    /// Tells the driver that something changed.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    core: Core<oneshot::Sender<Permit>>,
    /// Whether a task looks after those who wait. It ends when nobody does.
    driven: bool,
}

impl Limiter {
    pub(crate) fn new(key: u64, allowance: Allowance, clock: Clock, journal: Option<Arc<Journal>>) -> Self {
        let now = clock.monotonic_millis();
        let mut core = Core::new(allowance, now);
        let inherited = journal.as_ref().map(|j| j.inherit(key)).unwrap_or_default();
        core.restore(slots_of(&inherited, allowance, now));
        core.pause_until(inherited.paused_until);
        Self {
            key,
            clock,
            journal,
            gauges: Arc::default(),
            state: Mutex::new(State { core, driven: false }),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.clock.monotonic_millis()
    }

    /// What a scrape shows of this pool.
    pub(crate) fn gauges(&self) -> Arc<PoolGauges> {
        Arc::clone(&self.gauges)
    }

    /// What is in force now.
    pub(crate) fn in_force(&self) -> Allowance {
        self.lock().core.in_force()
    }

    /// Slots that are taken now.
    pub(crate) fn used(&self) -> usize {
        let now = self.now();
        self.lock().core.used(now)
    }

    /// Places in the ledger that this pool may need at once.
    pub(crate) fn places(&self) -> usize {
        self.lock().core.most_slots()
    }

    /// Another configuration; what is taken stays taken.
    pub(crate) fn configure(&self, allowance: Allowance) {
        self.change(|core, now| core.configure(allowance, now));
    }

    /// `X-RateLimit-Limit`.
    pub(crate) fn learn(&self, limit: u32) {
        self.change(|core, now| core.learn(limit, now));
    }

    /// Nothing is sent for this long.
    pub(crate) fn pause(&self, length: Duration) {
        let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let now = self.now();
        let until = now.saturating_add(length);
        self.change(|core, _| core.pause_until(until));
        if let Some(journal) = &self.journal {
            journal.pause(self.key, now, until);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Core<oneshot::Sender<Permit>>, u64)) {
        let mut state = self.lock();
        change(&mut state.core, self.now());
        self.gauges.set_quota(state.core.in_force().ceiling);
        drop(state);
        self.changed.notify_one();
    }

    /// Waits for a slot. Dropping the future gives up the place in the queue.
    pub(crate) async fn acquire(self: &Arc<Self>, priority: Priority) -> Permit {
        let (granted, permit) = oneshot::channel();
        let _waiting = Waiting { limiter: self, priority, id: self.enqueue(priority, granted) };
        permit.await.expect("the core keeps a waiter until it is granted or cancelled")
    }

    /// Puts one into the queue and sees to it that a task looks after it.
    fn enqueue(self: &Arc<Self>, priority: Priority, granted: oneshot::Sender<Permit>) -> u64 {
        let mut state = self.lock();
        let id = state.core.enqueue(priority, granted);
        self.gauges.set_queue(state.core.waiting());
        let start = !std::mem::replace(&mut state.driven, true);
        drop(state);
        if start {
            let driver = Driver { limiter: Arc::clone(self), done: false };
            tokio::spawn(driver.run());
        } else {
            self.changed.notify_one();
        }
        id
    }

    /// Grants what may be granted now; what remains to be waited for.
    fn grant(self: &Arc<Self>) -> Step<()> {
        let mut unwanted = Vec::new();
        let mut state = self.lock();
        let next = loop {
            match state.core.step(self.now()) {
                Step::Grant(priority, waiter) => {
                    let permit =
                        Permit { limiter: Arc::clone(self), share: Share::of(priority), taken: None };
                    // A waiter that is gone by now gives the permit back, but not while the lock is held.
                    unwanted.extend(waiter.send(permit).err());
                }
                Step::WaitUntil(at) => break Step::WaitUntil(at),
                Step::WaitForAnswer => break Step::WaitForAnswer,
                Step::Idle => {
                    state.driven = false;
                    break Step::Idle;
                }
            }
        };
        self.gauges.set_queue(state.core.waiting());
        let freed = state.core.take_freed();
        drop(state);
        if let Some(journal) = &self.journal {
            journal.release(freed);
        }
        if !unwanted.is_empty() {
            // The slots they give back may be granted at once.
            drop(unwanted);
            self.changed.notify_one();
        }
        next
    }
}

/// Slots that count as taken when a pool begins.
pub(super) fn slots_of(inherited: &Inherited, allowance: Allowance, now: u64) -> Vec<Held> {
    let mut slots = inherited.slots.clone();
    let (unknown, until) = inherited.unknown;
    if until > now {
        // Whose they were is not known: they fill the background share first, then the rest.
        let unknown = unknown.min(allowance.ceiling);
        let background = unknown.min(allowance.background());
        slots.extend((0..unknown).map(|n| Held {
            free_at: until,
            share: if n < background { Share::Background } else { Share::Foreground },
            place: None,
        }));
    }
    slots
}

/// One who waits; takes itself out of the queue.
struct Waiting<'a> {
    limiter: &'a Limiter,
    priority: Priority,
    id: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.limiter.lock();
        let gave_up = state.core.cancel(self.priority, self.id).is_some();
        self.limiter.gauges.set_queue(state.core.waiting());
        drop(state);
        if gave_up {
            self.limiter.changed.notify_one();
        }
    }
}

/// The task that grants, as long as anybody waits.
struct Driver {
    limiter: Arc<Limiter>,
    done: bool,
}

impl Driver {
    async fn run(mut self) {
        loop {
            match self.limiter.grant() {
                Step::Idle => {
                    self.done = true;
                    return;
                }
                Step::WaitUntil(at) => {
                    let wait = Duration::from_millis(at.saturating_sub(self.limiter.now()));
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.limiter.changed.notified() => {}
                    }
                }
                Step::WaitForAnswer | Step::Grant(..) => self.limiter.changed.notified().await,
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Its runtime ended under it: the next who waits starts another.
        if !self.done {
            self.limiter.lock().driven = false;
        }
    }
}

/// The right to send one request. Dropped, it says that the answer came, or will not come.
#[derive(Debug)]
pub(crate) struct Permit {
    limiter: Arc<Limiter>,
    share: Share,
    /// The slot, once the request may be on its way.
    taken: Option<Slot>,
}

/// A slot that is used.
#[derive(Debug)]
struct Slot(Option<Taken>);

impl Permit {
    /// Writes the slot down; only then may the request be sent.
    ///
    /// # Errors
    /// When it cannot be written. Nothing may be sent, and the slot is free again.
    pub(crate) async fn record(&mut self) -> Result<(), Unwritable> {
        let Some(journal) = &self.limiter.journal else {
            self.taken = Some(Slot(None));
            return Ok(());
        };
        let (taken, durable) = journal.take(self.limiter.key, self.share, self.limiter.now())?;
        let place = taken.place();
        // From here on a dropped permit counts: the caller may be gone, the record is not.
        self.taken = Some(Slot(Some(taken)));
        let result = durable.await.unwrap_or_else(|_| Err(Unwritable::gone()));
        if result.is_err() {
            self.taken = None;
            journal.release(vec![place]);
        }
        result
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let limiter = &self.limiter;
        let now = limiter.now();
        let mut state = limiter.lock();
        match &self.taken {
            None => state.core.unused(self.share),
            Some(Slot(taken)) => state.core.answered(self.share, taken.as_ref().map(Taken::place), now),
        }
        drop(state);
        if let (Some(Slot(Some(taken))), Some(journal)) = (&self.taken, &limiter.journal) {
            journal.answered(taken, now);
        }
        limiter.changed.notify_one();
    }
}
