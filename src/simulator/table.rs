//! The calls of one account in the order of their creation, and what of them can be seen when.
//!
//! A row is filed under the second in which its call began, and within that second by its place. A
//! call that moves to another second keeps its place; its second key lies in a small set beside.

use std::collections::{BTreeSet, HashMap};
use std::iter::Peekable;

use super::call::{Call, Rarity, Tick};

/// Where a row stands in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Seconds since the origin.
    pub(super) second: u32,
    /// Place in the table.
    pub(super) place: u32,
}

/// Order of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    OldestFirst,
    NewestFirst,
}

/// Rows summarised together, so that a count over a day need not look at each.
const CHUNK: usize = 1024;

#[derive(Clone, Copy, Debug)]
struct Chunk {
    /// When the last of its rows appears.
    visible: Tick,
    /// Whether any of its calls is kept in `rarities`.
    rare: bool,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Table {
    calls: Vec<Call>,
    rarities: HashMap<u32, Rarity>,
    /// Keys under which moved calls stand after their move.
    moved: BTreeSet<Key>,
    chunks: Vec<Chunk>,
    settled: Option<Tick>,
}

impl Table {
    /// Adds a call that begins no earlier than every call before it, give or take a second's tenths.
    pub(super) fn push(&mut self, call: Call, rarity: Rarity) -> u32 {
        assert!(self.calls.last().is_none_or(|last| last.second() <= call.second()), "calls come in order");
        let place = u32::try_from(self.calls.len()).expect("4 billion calls do not fit the memory");
        if self.calls.len().is_multiple_of(CHUNK) {
            self.chunks.push(Chunk { visible: Tick(0), rare: false });
        }
        let chunk = self.chunks.last_mut().expect("a chunk was just added to an empty list");
        chunk.visible = chunk.visible.max(call.visible);
        self.settled = self.settled.max(Some(call.settled().max(rarity.over())));
        if let Some((_, second)) = rarity.moved {
            self.moved.insert(Key { second, place });
        }
        if !rarity.is_empty() {
            chunk.rare = true;
            self.rarities.insert(place, rarity);
        }
        self.calls.push(call);
        place
    }

    /// Every call, in order of place.
    pub(super) fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The call at a place.
    pub(super) fn call(&self, place: u32) -> Option<&Call> {
        self.calls.get(place as usize)
    }

    /// What is rare about the call at a place.
    pub(super) fn rarity(&self, place: u32) -> Option<&Rarity> {
        self.rarities.get(&place)
    }

    /// When everything about every call so far has happened; none for an empty table.
    pub(super) fn settled(&self) -> Option<Tick> {
        self.settled
    }

    /// The second under which the call at `place` is filed now.
    pub(super) fn filed(&self, place: u32, now: Tick) -> u32 {
        match self.rarity(place).and_then(|rarity| rarity.moved) {
            Some((at, second)) if at <= now => second,
            _ => self.calls[place as usize].second(),
        }
    }

    /// The rows that bulk shows now, filed in `from..=to`, behind `after` in the given order.
    pub(super) fn rows(
        &self,
        (from, to): (u32, u32),
        after: Option<Key>,
        order: Order,
        now: Tick,
    ) -> impl Iterator<Item = Key> {
        let (mut low, mut high) = self.places(from, to);
        let mut first = Key { second: from, place: 0 };
        let mut end = Key { second: to.saturating_add(1), place: 0 };
        if let Some(key) = after {
            let (start, stop) = self.places(key.second, key.second);
            let at = key.place as usize;
            match order {
                Order::OldestFirst => {
                    low = low.max((at + 1).clamp(start, stop));
                    first = first.max(Key { place: key.place.saturating_add(1), ..key });
                }
                Order::NewestFirst => {
                    high = high.min(at.clamp(start, stop));
                    end = end.min(key);
                }
            }
        }
        let home = (low..high.max(low)).map(|place| Key {
            second: self.calls[place].second(),
            place: u32::try_from(place).expect("places fit 32 bits"),
        });
        let moved = self.moved.range(first..end.max(first)).copied();
        let merged: Box<dyn Iterator<Item = Key> + '_> = match order {
            Order::OldestFirst => Box::new(merge(home, moved, |a, b| a < b)),
            Order::NewestFirst => Box::new(merge(home.rev(), moved.rev(), |a, b| a > b)),
        };
        merged.filter(move |key| self.is_shown(*key, now))
    }

    /// How many rows [`Table::rows`] would give without a cursor.
    pub(super) fn count(&self, (from, to): (u32, u32), now: Tick) -> usize {
        let (mut low, high) = self.places(from, to);
        let mut count = 0;
        while low < high {
            let chunk = self.chunks[low / CHUNK];
            let stop = high.min((low / CHUNK + 1) * CHUNK);
            count += match chunk {
                Chunk { visible, rare: false } if visible <= now => stop - low,
                Chunk { rare: false, .. } => {
                    self.calls[low..stop].iter().filter(|call| call.visible <= now).count()
                }
                Chunk { rare: true, .. } => (low..stop)
                    .filter(|place| {
                        let second = self.calls[*place].second();
                        self.is_shown(Key { second, place: *place as u32 }, now)
                    })
                    .count(),
            };
            low = stop;
        }
        let first = Key { second: from, place: 0 };
        let end = Key { second: to.saturating_add(1), place: 0 }.max(first);
        count + self.moved.range(first..end).filter(|key| self.is_shown(**key, now)).count()
    }

    /// Whether bulk shows a row under this key now.
    fn is_shown(&self, key: Key, now: Tick) -> bool {
        self.calls[key.place as usize].visible <= now && self.filed(key.place, now) == key.second
    }

    /// The places of the calls that began in `from..=to`.
    fn places(&self, from: u32, to: u32) -> (usize, usize) {
        let low = self.calls.partition_point(|call| call.second() < from);
        let high = self.calls.partition_point(|call| call.second() <= to);
        (low, high.max(low))
    }
}

/// Two ordered sequences as one.
fn merge(
    a: impl Iterator<Item = Key>,
    b: impl Iterator<Item = Key>,
    first: fn(&Key, &Key) -> bool,
) -> impl Iterator<Item = Key> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    let take = |one: &mut Peekable<_>| one.next();
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(x), Some(y)) if first(x, y) => take(&mut a),
        (Some(_), None) => take(&mut a),
        _ => b.next(),
    })
}
