//! What the file of a former process says about slots that may still be taken. Pure.

use std::collections::{HashMap, HashSet};

use super::record::{Header, Kind, Place, Record, SIZE};
use crate::exotel::limiter::{HOLD_MS, Held};

/// Longest time from taking a slot to the end of its request: the client's timeout, the sync before it,
/// and what the kernel may still deliver for a process that was killed.
const MAX_FLIGHT_MS: u64 = 120_000;

/// Every slot of every pool.
pub(super) const ALL_SLOTS: u32 = u32::MAX;

/// What a new process must respect, and how the file has to look from now on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Restored {
    /// Header from now on.
    pub(super) header: Header,
    /// Places in the file.
    pub(super) places: u32,
    /// Slots still taken, by pool.
    pub(super) slots: HashMap<u64, Vec<Held>>,
    /// Ends of pauses, with their places, by pool.
    pub(super) pauses: HashMap<u64, (u64, u32)>,
    /// Places to write again, empty ones as zeros.
    pub(super) rewrite: Vec<(u32, Option<Record>)>,
    /// Places that are free.
    pub(super) free: Vec<u32>,
    /// Records that could not be read; [`ALL_SLOTS`] if the whole file could not.
    pub(super) unreadable: u32,
}

impl Restored {
    /// Reads a file as it was found. `boot` and `now` are of the running kernel.
    pub(super) fn of(bytes: &[u8], boot: u64, now: u64) -> Self {
        let header = Header::decode(bytes);
        let places = read_places(bytes);
        let whole = header.is_some_and(|h| places.len() as u64 >= u64::from(h.capacity));
        if !whole {
            return Self::nothing_readable(boot, now);
        }
        let newest = newest(&places);
        let mut restored = Self {
            header: Header { capacity: places.len() as u32, held_slots: 0, held_until: 0, boot },
            places: places.len() as u32,
            slots: HashMap::new(),
            pauses: HashMap::new(),
            rewrite: Vec::new(),
            free: Vec::new(),
            unreadable: 0,
        };
        for (place, content) in (0..).zip(places) {
            restored.place(place, content, boot, now, &newest);
        }
        restored.hold_back(header.unwrap_or(restored.header), &newest, now);
        restored
    }

    /// A file of which nothing can be believed.
    fn nothing_readable(boot: u64, now: u64) -> Self {
        Self {
            header: Header { capacity: 0, held_slots: ALL_SLOTS, held_until: now + HOLD_MS, boot },
            places: 0,
            slots: HashMap::new(),
            pauses: HashMap::new(),
            rewrite: Vec::new(),
            free: Vec::new(),
            unreadable: ALL_SLOTS,
        }
    }

    fn place(&mut self, place: u32, content: Place, boot: u64, now: u64, newest: &HashMap<u64, u64>) {
        let record = match content {
            Place::Empty => return self.free.push(place),
            Place::Unreadable => {
                self.unreadable += 1;
                return self.clear(place);
            }
            Place::Record(record) => record,
        };
        // Times of another boot are compared with the last that was written then, which is not after its end.
        let then = if record.boot == boot { now } else { newest.get(&record.boot).copied().unwrap_or(0) };
        match record.kind {
            Kind::Slot(share) => {
                let answered = answered_at(&record, then);
                let free_at = answered.saturating_add(HOLD_MS);
                if free_at <= then {
                    return self.clear(place);
                }
                // Written down with the time it is given now, so that another restart does not extend it.
                let answered = if record.boot == boot { answered } else { now };
                let known = Record { boot, taken: record.taken.min(answered), answered, ..record };
                if known != record {
                    self.rewrite.push((place, Some(known)));
                }
                let held = Held { free_at: answered.saturating_add(HOLD_MS), share, place: Some(place) };
                self.slots.entry(record.pool).or_default().push(held);
            }
            Kind::Pause => {
                let left = record.answered.saturating_sub(then);
                if left == 0 {
                    return self.clear(place);
                }
                let known = Record { boot, taken: now, answered: now + left, ..record };
                if record.boot != boot {
                    self.rewrite.push((place, Some(known)));
                }
                self.pauses.insert(record.pool, (now + left, place));
            }
        }
    }

    fn clear(&mut self, place: u32) {
        self.rewrite.push((place, None));
        self.free.push(place);
    }

    /// Slots held back for records that could not be read, now or by a process not long ago.
    fn hold_back(&mut self, found: Header, newest: &HashMap<u64, u64>, now: u64) {
        let (boot, mut slots, mut until) = (self.header.boot, self.unreadable, 0);
        if slots > 0 {
            until = now + HOLD_MS;
        }
        let over = if found.boot == boot {
            found.held_until <= now
        } else {
            newest.get(&found.boot).is_some_and(|newest| *newest >= found.held_until)
        };
        if found.held_slots > 0 && !over {
            slots = slots.saturating_add(found.held_slots);
            // Never longer than a fresh hold: the clock may be another one.
            let former = if found.boot == boot { found.held_until } else { u64::MAX };
            until = until.max(former.min(now + HOLD_MS));
        }
        (self.header.held_slots, self.header.held_until) = (slots, until);
    }
}

/// When the answer of a slot came, at the latest.
fn answered_at(record: &Record, now: u64) -> u64 {
    let known = record.answered != 0 && record.taken <= record.answered && record.answered <= now;
    let at = if known { record.answered } else { record.taken.saturating_add(MAX_FLIGHT_MS) };
    // A time to come is no time; whatever it was, it was before now.
    at.min(now)
}

fn read_places(bytes: &[u8]) -> Vec<Place> {
    let body = bytes.get(SIZE..).unwrap_or_default();
    (0..).zip(body.chunks(SIZE)).map(|(place, chunk)| Place::decode(chunk, place)).collect()
}

/// The last time written in each boot.
fn newest(places: &[Place]) -> HashMap<u64, u64> {
    let mut newest = HashMap::new();
    for place in places {
        if let Place::Record(record) = place {
            let last = match record.kind {
                Kind::Slot(_) => record.taken.max(record.answered),
                Kind::Pause => record.taken,
            };
            let entry = newest.entry(record.boot).or_insert(0);
            *entry = last.max(*entry);
        }
    }
    newest
}

/// Pools named in the file, for the message.
pub(super) fn pools(restored: &Restored) -> usize {
    restored.slots.keys().chain(restored.pauses.keys()).collect::<HashSet<_>>().len()
}
