//! The file as bytes in memory, for simulations: what [`super::journal`] does, without threads and disk.

use super::journal::Inherited;
use super::record::{Header, Kind, Place, Record, SIZE, offset};
use super::restore::Restored;
use crate::exotel::limiter::Share;

/// A ledger of one pool.
#[derive(Debug)]
pub(crate) struct Image {
    bytes: Vec<u8>,
    free: std::collections::VecDeque<u32>,
    boot: u64,
}

const POOL: u64 = 7;

impl Image {
    pub(crate) fn new(boot: u64) -> Self {
        let header = Header { capacity: 0, held_slots: 0, held_until: 0, boot };
        Self { bytes: header.encode().to_vec(), free: [].into(), boot }
    }

    /// A new process finds the file.
    pub(crate) fn restart(&mut self, boot: u64, now: u64) -> Inherited {
        let mut restored = Restored::of(&self.bytes, boot, now);
        self.bytes.resize(usize::try_from(offset(restored.places)).unwrap(), 0);
        self.bytes[..SIZE].copy_from_slice(&restored.header.encode());
        for (place, record) in restored.rewrite {
            self.put(place, record.map_or([0; SIZE], |r| r.encode(place)));
        }
        self.free = restored.free.into();
        self.boot = boot;
        Inherited {
            slots: restored.slots.remove(&POOL).unwrap_or_default(),
            unknown: (restored.header.held_slots, restored.header.held_until),
            paused_until: 0,
        }
    }

    fn put(&mut self, place: u32, bytes: [u8; SIZE]) {
        let at = usize::try_from(offset(place)).unwrap();
        if self.bytes.len() < at + SIZE {
            self.bytes.resize(at + SIZE, 0);
        }
        self.bytes[at..at + SIZE].copy_from_slice(&bytes);
    }

    pub(crate) fn take(&mut self, share: Share, now: u64) -> u32 {
        let places = u32::try_from(self.bytes.len() / SIZE - 1).unwrap();
        let place = self.free.pop_front().unwrap_or_else(|| {
            let header = Header::decode(&self.bytes).unwrap();
            self.put(places, [0; SIZE]);
            self.bytes[..SIZE].copy_from_slice(&Header { capacity: places + 1, ..header }.encode());
            places
        });
        let record = Record {
            kind: Kind::Slot(share),
            pool: POOL,
            boot: self.boot,
            taken: now,
            answered: 0,
            number: 0,
        };
        self.put(place, record.encode(place));
        place
    }

    pub(crate) fn answered(&mut self, place: u32, now: u64) {
        let at = usize::try_from(offset(place)).unwrap();
        if let Place::Record(record) = Place::decode(&self.bytes[at..at + SIZE], place) {
            self.put(place, Record { answered: now, ..record }.encode(place));
        }
    }

    pub(crate) fn release(&mut self, places: Vec<u32>) {
        self.free.extend(places);
    }

    /// Flips bits somewhere, or cuts the end off.
    pub(crate) fn damage(&mut self, at: u64, cut: bool) {
        let at = usize::try_from(at % self.bytes.len() as u64).unwrap();
        if cut {
            self.bytes.truncate(at);
        } else {
            self.bytes[at] ^= 0x5a;
        }
    }
}
