//! The bytes of the ledger: 64 for the header, then 64 for each place.
//!
//! ```text
//! header  0  magic "EXOSLOT1"     8  capacity u32   12  held slots u32   16  held until u64
//!        24  boot u64            32  zeros          56  checksum u64
//! place   0  kind u8   1  share u8   2  zeros        8  pool u64         16  boot u64
//!        24  taken u64           32  answered u64   40  number u64       48  zeros   56  checksum u64
//! ```
//!
//! Little-endian; times are milliseconds of the boot clock. A place of zeros was never used. The checksum
//! is XXH3 over the first 56 bytes, seeded with the place's own number, so that a record that moved is
//! noticed. A place never crosses a page or a sector, so a kill leaves it old or new.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::exotel::limiter::Share;

pub(super) const SIZE: usize = 64;

const MAGIC: [u8; 8] = *b"EXOSLOT1";

/// Seed of the header's checksum; no place has this number.
const HEADER_SEED: u64 = u64::MAX;

/// Start of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Places in the file.
    pub(super) capacity: u32,
    /// Slots that every pool counts as taken, because records could not be read; `u32::MAX` = all.
    pub(super) held_slots: u32,
    /// Until when.
    pub(super) held_until: u64,
    /// Boot whose clock that is.
    pub(super) boot: u64,
}

/// What one place says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// What it records.
    pub(super) kind: Kind,
    /// Hash of account and pool.
    pub(super) pool: u64,
    /// Hash of the kernel's boot id: the boot whose clock the times are of.
    pub(super) boot: u64,
    /// When the slot was taken, or the pause was ordered.
    pub(super) taken: u64,
    /// When the answer came, 0 while it has not; the end of a pause.
    pub(super) answered: u64,
    /// Counts up; for whoever looks at the file.
    pub(super) number: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Slot(Share),
    Pause,
}

/// What a place holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Empty,
    Record(Record),
    Unreadable,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.capacity.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.held_slots.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.held_until.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.boot.to_le_bytes());
        seal(&mut bytes, HEADER_SEED);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SIZE] = bytes.get(..SIZE)?.try_into().ok()?;
        let whole = bytes[..8] == MAGIC && is_sealed(bytes, HEADER_SEED);
        whole.then(|| Self {
            capacity: u32_at(bytes, 8),
            held_slots: u32_at(bytes, 12),
            held_until: u64_at(bytes, 16),
            boot: u64_at(bytes, 24),
        })
    }
}

impl Record {
    pub(super) fn encode(&self, place: u32) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        (bytes[0], bytes[1]) = match self.kind {
            Kind::Slot(Share::Foreground) => (1, 0),
            Kind::Slot(Share::Background) => (1, 1),
            Kind::Pause => (2, 0),
        };
        for (at, value) in
            [(8, self.pool), (16, self.boot), (24, self.taken), (32, self.answered), (40, self.number)]
        {
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        seal(&mut bytes, u64::from(place));
        bytes
    }
}

impl Place {
    pub(super) fn decode(bytes: &[u8], place: u32) -> Self {
        let Ok(bytes) = <&[u8; SIZE]>::try_from(bytes) else { return Self::Unreadable };
        if bytes.iter().all(|b| *b == 0) {
            return Self::Empty;
        }
        let kind = match (bytes[0], bytes[1]) {
            (1, 0) => Kind::Slot(Share::Foreground),
            (1, 1) => Kind::Slot(Share::Background),
            (2, 0) => Kind::Pause,
            _ => return Self::Unreadable,
        };
        if !is_sealed(bytes, u64::from(place)) {
            return Self::Unreadable;
        }
        Self::Record(Record {
            kind,
            pool: u64_at(bytes, 8),
            boot: u64_at(bytes, 16),
            taken: u64_at(bytes, 24),
            answered: u64_at(bytes, 32),
            number: u64_at(bytes, 40),
        })
    }
}

/// Where a place begins in the file.
pub(super) fn offset(place: u32) -> u64 {
    (u64::from(place) + 1) * SIZE as u64
}

fn seal(bytes: &mut [u8; SIZE], seed: u64) {
    let checksum = xxh3_64_with_seed(&bytes[..56], seed);
    bytes[56..].copy_from_slice(&checksum.to_le_bytes());
}

fn is_sealed(bytes: &[u8; SIZE], seed: u64) -> bool {
    u64_at(bytes, 56) == xxh3_64_with_seed(&bytes[..56], seed)
}

fn u64_at(bytes: &[u8; SIZE], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]))
}

fn u32_at(bytes: &[u8; SIZE], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|n| bytes[at + n]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_headers_survive_the_round_trip() {
        for kind in [Kind::Slot(Share::Foreground), Kind::Slot(Share::Background), Kind::Pause] {
            let record = Record { kind, pool: 1, boot: 2, taken: 3, answered: 4, number: u64::MAX };
            assert_eq!(Place::decode(&record.encode(7), 7), Place::Record(record));
            assert_eq!(Place::decode(&record.encode(7), 8), Place::Unreadable, "moved");
        }
        let header = Header { capacity: 9, held_slots: u32::MAX, held_until: 8, boot: 7 };
        assert_eq!(Header::decode(&header.encode()), Some(header));
        assert_eq!(Place::decode(&[0; SIZE], 3), Place::Empty);
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let record =
            Record { kind: Kind::Pause, pool: 1, boot: 2, taken: 3, answered: 4, number: 5 }.encode(7);
        let header = Header { capacity: 9, held_slots: 0, held_until: 8, boot: 7 }.encode();
        for bit in 0..SIZE * 8 {
            let (mut r, mut h) = (record, header);
            r[bit / 8] ^= 1 << (bit % 8);
            h[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Place::decode(&r, 7), Place::Unreadable);
            assert_eq!(Header::decode(&h), None);
        }
        assert_eq!(Header::decode(b"EXOSLOT1"), None);
        assert_eq!(Place::decode(&record[..63], 7), Place::Unreadable);
    }
}
