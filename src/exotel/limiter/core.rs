//! The rule that keeps the limit, as a value: no runtime, no clock, no file.
//!
//! A pool has as many slots as requests are allowed in a minute. A slot is taken before a request is sent
//! and becomes free 60 s after its answer came. The request reached Exotel somewhere between the two, so
//! however the network delays it, no 60 seconds hold more arrivals than there are slots. Background work
//! has a smaller number of the same slots. Pacers ([`super::pace`]) spread the grants evenly.

use std::collections::VecDeque;

use super::pace::Pacer;
use super::queue::Queue;
use crate::exotel::Priority;

/// How long a slot stays taken after its answer: the minute, plus what two clocks may drift apart in it.
pub(crate) const HOLD_MS: u64 = 60_050;

/// How much of a pool may be used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Allowance {
    /// Requests in any 60 seconds.
    pub(crate) ceiling: u32,
    /// Part of them for background work, above 0 and at most 1.
    pub(crate) background_share: f64,
}

impl Allowance {
    /// Slots that background work may use; at least one, or it would never run.
    pub(crate) fn background(self) -> u32 {
        // A product such as 0.29 * 100 may fall a hair below the whole number that is meant.
        let slots = (f64::from(self.ceiling) * self.background_share + 1e-9).floor();
        (slots.clamp(1.0, f64::from(self.ceiling.max(1)))) as u32
    }
}

/// Which part of a pool a slot is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// The pool alone.
    Foreground,
    /// The pool, and the background share.
    Background,
}

impl Share {
    pub(crate) fn of(priority: Priority) -> Self {
        if priority.is_background() { Self::Background } else { Self::Foreground }
    }
}

/// A slot whose answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// When it becomes free.
    pub(crate) free_at: u64,
    /// What it is counted in.
    pub(crate) share: Share,
    /// Its place in the ledger, where it has one.
    pub(crate) place: Option<u32>,
}

/// What the core wants next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<W> {
    /// This waiter may send now.
    Grant(Priority, W),
    /// Nothing before this millisecond, unless something changes.
    WaitUntil(u64),
    /// Nothing until an answer comes.
    WaitForAnswer,
    /// Nobody waits.
    Idle,
}

/// One pool of one account. `W` is whoever waits.
#[derive(Debug)]
pub(crate) struct Core<W> {
    allowance: Allowance,
    /// What Exotel last said the limit is, where that is less.
    learned: Option<u32>,
    pool_pace: Pacer,
    background_pace: Pacer,
    in_flight: usize,
    in_flight_background: usize,
    /// Answered slots, in the order in which they become free.
    held: VecDeque<Held>,
    held_background: usize,
    /// Places of slots that became free, for the ledger.
    freed: Vec<u32>,
    paused_until: u64,
    queue: Queue<W>,
}

impl<W> Core<W> {
    pub(crate) fn new(allowance: Allowance, now: u64) -> Self {
        Self {
            allowance,
            learned: None,
            pool_pace: Pacer::new(allowance.ceiling, now),
            background_pace: Pacer::new(allowance.background(), now),
            in_flight: 0,
            in_flight_background: 0,
            held: VecDeque::new(),
            held_background: 0,
            freed: Vec::new(),
            paused_until: 0,
            queue: Queue::new(),
        }
    }

    /// What is in force: as configured, or less where Exotel says so.
    pub(crate) fn in_force(&self) -> Allowance {
        let ceiling = self.learned.map_or(self.allowance.ceiling, |l| l.min(self.allowance.ceiling)).max(1);
        Allowance { ceiling, ..self.allowance }
    }

    /// Another configuration.
    pub(crate) fn configure(&mut self, allowance: Allowance, now: u64) {
        self.change(now, |core| core.allowance = allowance);
    }

    /// What Exotel says the limit is. One below the configured ceiling is kept to until it says otherwise.
    pub(crate) fn learn(&mut self, limit: u32, now: u64) {
        let learned = (limit < self.allowance.ceiling).then_some(limit);
        self.change(now, |core| core.learned = learned);
    }

    fn change(&mut self, now: u64, change: impl FnOnce(&mut Self)) {
        let before = self.in_force();
        change(self);
        let after = self.in_force();
        if before != after {
            self.pool_pace = self.pool_pace.at_rate(after.ceiling, now);
            self.background_pace = self.background_pace.at_rate(after.background(), now);
        }
    }

    /// Nothing is sent before this time.
    pub(crate) fn pause_until(&mut self, until: u64) {
        self.paused_until = self.paused_until.max(until);
    }

    /// Slots taken before this process began.
    pub(crate) fn restore(&mut self, slots: Vec<Held>) {
        self.held_background += slots.iter().filter(|s| s.share == Share::Background).count();
        self.held.extend(slots);
        self.held.make_contiguous().sort_by_key(|s| s.free_at);
    }

    pub(crate) fn enqueue(&mut self, priority: Priority, waiter: W) -> u64 {
        self.queue.push(priority, waiter)
    }

    /// Takes out one that no longer waits; none if it was granted.
    pub(crate) fn cancel(&mut self, priority: Priority, id: u64) -> Option<W> {
        self.queue.remove(priority, id)
    }

    /// Slots that may be taken at once: the ceiling, or more while those of a higher one run out.
    pub(crate) fn most_slots(&self) -> usize {
        (self.allowance.ceiling as usize).max(self.in_flight + self.held.len())
    }

    /// Slots that are taken: requests of about the last minute.
    pub(crate) fn used(&self, now: u64) -> usize {
        self.in_flight + self.held.iter().filter(|held| held.free_at > now).count()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// An answer came, or will not come any more.
    pub(crate) fn answered(&mut self, share: Share, place: Option<u32>, now: u64) {
        self.unused(share);
        let free_at = now.saturating_add(HOLD_MS);
        self.held_background += usize::from(share == Share::Background);
        // Time does not go back, so this is at the end, but for slots that were restored.
        let at = self.held.iter().rposition(|h| h.free_at <= free_at).map_or(0, |at| at + 1);
        self.held.insert(at, Held { free_at, share, place });
    }

    /// A grant was given back before anything was sent.
    pub(crate) fn unused(&mut self, share: Share) {
        self.in_flight -= 1;
        self.in_flight_background -= usize::from(share == Share::Background);
    }

    /// Places of slots that became free since last asked.
    pub(crate) fn take_freed(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.freed)
    }

    /// What may be done now. To be asked again after each grant and each change.
    pub(crate) fn step(&mut self, now: u64) -> Step<W> {
        self.expire(now);
        if self.queue.is_empty() {
            return Step::Idle;
        }
        if now < self.paused_until {
            return Step::WaitUntil(self.paused_until);
        }
        let allowed = self.in_force();
        let pool = room(self.in_flight + self.held.len(), allowed.ceiling, &self.held, |_| true);
        match pool {
            Room::Free => {}
            Room::At(at) => return Step::WaitUntil(at),
            Room::Unknown => return Step::WaitForAnswer,
        }
        if let Err(at) = self.pool_pace.due(now) {
            return Step::WaitUntil(at);
        }
        let background = self.background_room(allowed, now);
        let open = matches!(background, Room::Free);
        match self.queue.pop(|p| open || !p.is_background()) {
            Some((priority, waiter)) => {
                let share = Share::of(priority);
                self.in_flight += 1;
                self.pool_pace.spend(now);
                if share == Share::Background {
                    self.in_flight_background += 1;
                    self.background_pace.spend(now);
                }
                Step::Grant(priority, waiter)
            }
            // Only background work waits, and has used its share.
            None => match background {
                Room::At(at) => Step::WaitUntil(at),
                Room::Free | Room::Unknown => Step::WaitForAnswer,
            },
        }
    }

    fn background_room(&mut self, allowed: Allowance, now: u64) -> Room {
        if !self.queue.any(Priority::is_background) {
            return Room::Unknown;
        }
        let used = self.in_flight_background + self.held_background;
        let room = room(used, allowed.background(), &self.held, |h| h.share == Share::Background);
        match room {
            Room::Free => self.background_pace.due(now).map_or_else(Room::At, |()| Room::Free),
            taken => taken,
        }
    }

    fn expire(&mut self, now: u64) {
        while let Some(slot) = self.held.front().filter(|h| h.free_at <= now).copied() {
            self.held.pop_front();
            self.held_background -= usize::from(slot.share == Share::Background);
            self.freed.extend(slot.place);
        }
    }
}

/// Whether one more slot may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Free,
    /// From this millisecond on.
    At(u64),
    /// When an answer has come; when is not known.
    Unknown,
}

/// Room below `limit` when `used` slots are taken, those of `held` that `counts` names among them.
fn room(used: usize, limit: u32, held: &VecDeque<Held>, counts: impl Fn(&Held) -> bool) -> Room {
    let limit = limit as usize;
    if used < limit {
        return Room::Free;
    }
    // More than one must go where the limit was lowered.
    match held.iter().filter(|h| counts(h)).nth(used - limit) {
        Some(slot) => Room::At(slot.free_at),
        None => Room::Unknown,
    }
}
