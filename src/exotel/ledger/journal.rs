//! Writing the ledger: many takes share one sync, answers go along.
//!
//! A take is acknowledged when its record is on the disk. Takes that wait while a sync runs are written
//! together with the next one. Answers are written without a sync: a killed process leaves them in the
//! page cache, and after a crash of the machine the record of the take alone is the safe side.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::record::{Header, Kind, Record, SIZE, offset};
use super::restore::Restored;
use crate::exotel::limiter::{Held, Share};

/// Why a slot could not be recorded. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the slots file cannot be written: {0}")]
pub(crate) struct Unwritable(String);

impl Unwritable {
    /// Whoever was to write it is gone: the runtime ends.
    pub(crate) fn gone() -> Self {
        Self("the program ends".to_owned())
    }
}

/// A slot that was recorded.
#[derive(Debug)]
pub(crate) struct Taken {
    place: u32,
    record: Record,
}

impl Taken {
    pub(crate) fn place(&self) -> u32 {
        self.place
    }
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    boot: u64,
    state: Mutex<State>,
    #[cfg(test)]
    pub(crate) faults: Faults,
}

/// For tests: a disk that refuses, and how often it was synced.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) refuse: std::sync::atomic::AtomicBool,
    pub(crate) syncs: std::sync::atomic::AtomicUsize,
}

#[derive(Debug)]
struct State {
    header: Header,
    /// Places the file has room for on disk; the header's may be more until the next write.
    on_disk: u32,
    free: VecDeque<u32>,
    pending: Vec<Write>,
    /// Whether a thread is writing; it takes along what is pending when it comes to it.
    writing: bool,
    next_number: u64,
    failing: bool,
    slots: HashMap<u64, Vec<Held>>,
    pauses: HashMap<u64, (u64, u32)>,
}

#[derive(Debug)]
struct Write {
    place: u32,
    record: Record,
    /// Whoever waits until it is durable.
    ack: Option<oneshot::Sender<Result<(), Unwritable>>>,
}

#[cfg(test)]
impl Faults {
    fn check(&self) -> io::Result<()> {
        let refuse = self.refuse.load(std::sync::atomic::Ordering::Relaxed);
        if refuse { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

/// Slots and a pause that a pool has from before this process.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Inherited {
    /// Slots still taken.
    pub(crate) slots: Vec<Held>,
    /// Slots taken by nobody knows whom, and until when.
    pub(crate) unknown: (u32, u64),
    /// End of a pause, 0 for none.
    pub(crate) paused_until: u64,
}

impl Journal {
    /// Takes over an open, locked file in which `restored` was found.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn begin(file: File, restored: Restored, boot: u64) -> io::Result<Self> {
        // First what holds everything back, then what makes it needless to.
        file.write_all_at(&restored.header.encode(), 0)?;
        file.sync_data()?;
        file.set_len(offset(restored.places))?;
        for (place, record) in &restored.rewrite {
            let bytes = record.map_or([0; SIZE], |r| r.encode(*place));
            file.write_all_at(&bytes, offset(*place))?;
        }
        file.sync_all()?;
        let state = State {
            header: restored.header,
            on_disk: restored.places,
            free: restored.free.into(),
            pending: Vec::new(),
            writing: false,
            next_number: 1,
            failing: false,
            slots: restored.slots,
            pauses: restored.pauses,
        };
        Ok(Self {
            file,
            boot,
            state: Mutex::new(state),
            #[cfg(test)]
            faults: Faults::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn is_writing(&self) -> bool {
        self.lock().writing
    }

    /// What a pool has from before; its slots are the pool's from now on.
    pub(crate) fn inherit(&self, pool: u64) -> Inherited {
        let mut state = self.lock();
        Inherited {
            slots: state.slots.remove(&pool).unwrap_or_default(),
            unknown: (state.header.held_slots, state.header.held_until),
            paused_until: state.pauses.get(&pool).map_or(0, |p| p.0),
        }
    }

    /// Makes room for `slots` slots in use at once, beside those that nobody inherited, and one pause
    /// for each of `pools`. The file grows with the next write.
    pub(crate) fn reserve(&self, slots: usize, pools: usize) {
        let mut state = self.lock();
        let unclaimed: usize = state.slots.values().map(Vec::len).sum();
        let unclaimed = unclaimed + state.pauses.len();
        let needed = u32::try_from(slots + pools + unclaimed).unwrap_or(u32::MAX - 1);
        let capacity = state.header.capacity;
        if needed > capacity {
            state.free.extend(capacity..needed);
            state.header.capacity = needed;
        }
    }

    /// Writes down that a slot is taken. The receiver says when that is durable; only then may the
    /// request go out.
    ///
    /// # Errors
    /// When there is no place left, which [`Journal::reserve`] prevents.
    pub(crate) fn take(
        self: &Arc<Self>,
        pool: u64,
        share: Share,
        now: u64,
    ) -> Result<(Taken, oneshot::Receiver<Result<(), Unwritable>>), Unwritable> {
        let (ack, durable) = oneshot::channel();
        let mut state = self.lock();
        let place = state.free.pop_front().ok_or_else(|| Unwritable("no place is left".to_owned()))?;
        let number = state.next_number;
        state.next_number += 1;
        let record =
            Record { kind: Kind::Slot(share), pool, boot: self.boot, taken: now, answered: 0, number };
        state.pending.push(Write { place, record, ack: Some(ack) });
        self.write_pending(state);
        Ok((Taken { place, record }, durable))
    }

    /// Writes down that the answer came. The place stays taken until it is released.
    pub(crate) fn answered(self: &Arc<Self>, taken: &Taken, now: u64) {
        let record = Record { answered: now, ..taken.record };
        let mut state = self.lock();
        state.pending.push(Write { place: taken.place, record, ack: None });
        self.write_pending(state);
    }

    /// Writes down a pause, so that a restart keeps to it.
    pub(crate) fn pause(self: &Arc<Self>, pool: u64, now: u64, until: u64) {
        let mut state = self.lock();
        let place = match state.pauses.get(&pool) {
            Some((_, place)) => *place,
            None => match state.free.pop_front() {
                Some(place) => place,
                None => return,
            },
        };
        state.pauses.insert(pool, (until, place));
        let number = state.next_number;
        state.next_number += 1;
        let record = Record { kind: Kind::Pause, pool, boot: self.boot, taken: now, answered: until, number };
        state.pending.push(Write { place, record, ack: None });
        self.write_pending(state);
    }

    /// Places whose slots became free.
    pub(crate) fn release(&self, places: Vec<u32>) {
        if !places.is_empty() {
            self.lock().free.extend(places);
        }
    }

    /// Has what is pending written by a thread that may block. Outside of a runtime (a permit dropped at
    /// the very end) it waits for the next write.
    fn write_pending(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if state.writing {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            state.writing = true;
            drop(state);
            let writer = Writer { journal: Arc::clone(self), done: false };
            runtime.spawn_blocking(move || writer.run());
        }
    }
}

/// The one who writes; a writer that never ran or broke off leaves the place to another.
struct Writer {
    journal: Arc<Journal>,
    done: bool,
}

impl Writer {
    fn run(mut self) {
        while let Some((batch, header, on_disk)) = self.next() {
            let result = self.write(&batch, header, on_disk);
            self.note(&result, header);
            let result = result.map_err(|e| Unwritable(e.to_string()));
            for ack in batch.into_iter().filter_map(|w| w.ack) {
                // Whoever gave up waiting has let go of the slot too.
                ack.send(result.clone()).unwrap_or_default();
            }
        }
    }

    fn next(&mut self) -> Option<(Vec<Write>, Header, u32)> {
        let mut state = self.journal.lock();
        if state.pending.is_empty() {
            state.writing = false;
            self.done = true;
            return None;
        }
        Some((std::mem::take(&mut state.pending), state.header, state.on_disk))
    }

    fn write(&self, batch: &[Write], header: Header, on_disk: u32) -> io::Result<()> {
        let file = &self.journal.file;
        #[cfg(test)]
        self.journal.faults.check()?;
        if header.capacity > on_disk {
            grow(file, offset(header.capacity))?;
            file.write_all_at(&header.encode(), 0)?;
            file.sync_all()?;
        }
        for write in batch {
            file.write_all_at(&write.record.encode(write.place), offset(write.place))?;
        }
        if batch.iter().any(|w| w.ack.is_some()) {
            #[cfg(test)]
            self.journal.faults.syncs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            file.sync_data()?;
        }
        Ok(())
    }

    fn note(&self, result: &io::Result<()>, header: Header) {
        let mut state = self.journal.lock();
        match result {
            Ok(()) => {
                state.on_disk = state.on_disk.max(header.capacity);
                if std::mem::take(&mut state.failing) {
                    tracing::info!("the slots file can be written again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut state.failing, true) {
                    tracing::error!(%error, "the slots file cannot be written; no request is sent until it can");
                }
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.done {
            self.journal.lock().writing = false;
        }
    }
}

/// Lengthens the file with blocks of its own, so that a full disk does not stop us later.
fn grow(file: &File, len: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, len) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => file.set_len(len),
        Err(error) => Err(error.into()),
    }
}
