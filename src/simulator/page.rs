//! The rows that answer a bulk query, page by page.

use super::call::Tick;
use super::ident::cursor;
use super::options::{Cursor, LastPage};
use super::plot::Way as Direction;
use super::query::{Query, Turn, Way};
use super::random::{Dice, Stream};
use super::table::{Key, Order};
use super::world::World;
use crate::model::Timestamp;

/// One page, not yet spelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// Places of the rows in order; a place may stand there twice.
    pub(super) places: Vec<u32>,
    /// Rows of the whole filter, none twice.
    pub(super) total: usize,
    /// The query part of the URI of the page behind this one.
    pub(super) next: Option<String>,
    /// The query part of the URI of the page before this one.
    pub(super) previous: Option<String>,
}

/// Reads a page. The error is the message of a 400.
pub(super) fn read(world: &World, query: &Query, now: Tick) -> Result<Page, String> {
    let edge = query.turn.as_ref().map(|turn| edge(world, turn)).transpose()?;
    let way = query.turn.as_ref().map_or(Way::On, |turn| turn.way);
    // Going back is going on in the other order, turned round at the end.
    let order = match (way, query.order) {
        (Way::On, order) => order,
        (Way::Back, Order::OldestFirst) => Order::NewestFirst,
        (Way::Back, Order::NewestFirst) => Order::OldestFirst,
    };
    let filter = Filter::new(world, query);
    let mut found = filter.rows(edge, order, now).peekable();
    let mut keys: Vec<Key> = Vec::with_capacity(query.page_size);
    while keys.len() < query.page_size
        && let Some(key) = found.next()
    {
        keys.push(key);
        let twice = doubled(world, key.place) == Some(Doubled::Here);
        if twice && way == Way::On && keys.len() < query.page_size {
            keys.push(key);
        }
    }
    let more = found.peek().is_some();
    drop(found);
    if way == Way::Back {
        keys.reverse();
    }
    let lead = |way, key: Key| Some(turned(world, query, way, key));
    let (next, previous) = match way {
        Way::On if more => (next_edge(world, &keys).and_then(|key| lead(Way::On, key)), None),
        Way::On if world.options().wire.last_page == LastPage::EmptyPage => {
            (keys.last().and_then(|key| lead(Way::On, *key)), None)
        }
        Way::On => (None, None),
        Way::Back => {
            (keys.last().and_then(|key| lead(Way::On, *key)), keys.first().filter(|_| more).copied())
        }
    };
    let previous = match way {
        Way::On => keys.first().filter(|_| edge.is_some()).copied(),
        Way::Back => previous,
    };
    Ok(Page {
        total: filter.count(now),
        next,
        previous: previous.and_then(|key| lead(Way::Back, key)),
        places: keys.into_iter().map(|key| key.place).collect(),
    })
}

fn edge(world: &World, turn: &Turn) -> Result<Key, String> {
    world.key(turn.epoch, &turn.sid).ok_or_else(|| "Invalid parameter After. No such row".to_owned())
}

/// How a row is sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubled {
    /// One after the other, where the page has room.
    Here,
    /// As the last of a page and the first of the next.
    OverTheBorder,
}

fn doubled(world: &World, place: u32) -> Option<Doubled> {
    let mut dice = Dice::new(world.faces.seed, Stream::Doubles, u64::from(place));
    if !dice.chance(world.options().oddities.duplicate_share) {
        return None;
    }
    Some(if dice.chance(0.5) { Doubled::Here } else { Doubled::OverTheBorder })
}

/// The row behind which the next page begins: the last, or the one before it if that is to come again.
fn next_edge(world: &World, keys: &[Key]) -> Option<Key> {
    let last = keys.last()?;
    let before = keys.len().checked_sub(2).map(|n| keys[n]).filter(|key| key != last);
    match (doubled(world, last.place), before) {
        (Some(Doubled::OverTheBorder), Some(before)) => Some(before),
        _ => Some(*last),
    }
}

fn turned(world: &World, query: &Query, way: Way, key: Key) -> String {
    let name = match (way, world.options().wire.cursor) {
        (Way::On, Cursor::After) | (Way::Back, Cursor::Before) => "After",
        (Way::On, Cursor::Before) | (Way::Back, Cursor::After) => "Before",
    };
    let Timestamp(epoch) = world.instant(key.second);
    format!("{}&{name}={}", query.canonical, cursor(epoch, &world.sid(key.place)))
}

/// A query in the terms of the table.
struct Filter<'a> {
    world: &'a World,
    query: &'a Query,
    window: (u32, u32),
    places: Option<Vec<u32>>,
    exophones: Vec<u64>,
}

impl<'a> Filter<'a> {
    fn new(world: &'a World, query: &'a Query) -> Self {
        let offset = world.options().utc_offset;
        let second = |wall: crate::model::WallTime| wall.to_timestamp(offset);
        let (from, to) = (second(query.window.0), second(query.window.1));
        // A window that ends before the table begins holds nothing.
        let window = if to < world.instant(0) { (1, 0) } else { (world.second(from), world.second(to)) };
        let places = query.sids.as_ref().map(|sids| {
            let mut places: Vec<_> = sids.iter().filter_map(|sid| world.find(sid)).collect();
            places.sort_unstable();
            places.dedup();
            places
        });
        let exophones = query.exophones.iter().filter_map(|number| digits(number)).collect();
        Self { world, query, window, places, exophones }
    }

    /// The rows that fit, behind `edge`.
    fn rows(&self, edge: Option<Key>, order: Order, now: Tick) -> Box<dyn Iterator<Item = Key> + '_> {
        let fits = move |key: &Key| self.fits(key.place, now);
        let Some(places) = &self.places else {
            return Box::new(self.world.table().rows(self.window, edge, order, now).filter(fits));
        };
        let table = self.world.table();
        let (from, to) = self.window;
        let mut keys: Vec<_> = places
            .iter()
            .map(|place| Key { second: table.filed(*place, now), place: *place })
            .filter(|key| (from..=to).contains(&key.second))
            .filter(|key| table.call(key.place).is_some_and(|call| call.visible <= now))
            .filter(|key| match (edge, order) {
                (None, _) => true,
                (Some(edge), Order::OldestFirst) => *key > edge,
                (Some(edge), Order::NewestFirst) => *key < edge,
            })
            .collect();
        keys.sort_unstable();
        if order == Order::NewestFirst {
            keys.reverse();
        }
        Box::new(keys.into_iter().filter(fits))
    }

    fn count(&self, now: Tick) -> usize {
        if self.places.is_none() && !self.is_narrow() {
            return self.world.table().count(self.window, now);
        }
        self.rows(None, Order::OldestFirst, now).count()
    }

    /// Whether rows have to be looked at one by one.
    fn is_narrow(&self) -> bool {
        let query = self.query;
        let lists = [&query.from, &query.to, &query.exophones, &query.statuses, &query.directions];
        query.duration.is_some() || query.price.is_some() || lists.iter().any(|list| !list.is_empty())
    }

    fn fits(&self, place: u32, now: Tick) -> bool {
        let (query, world) = (self.query, self.world);
        let Some(call) = world.table().call(place) else { return false };
        let named = |list: &[String], word: &str| list.is_empty() || list.iter().any(|item| item == word);
        if !named(&query.statuses, call.plot().status) {
            return false;
        }
        if !query.directions.is_empty()
            && (call.way == Direction::Odd || !named(&query.directions, call.way.word()))
        {
            return false;
        }
        // What is not yet known fits no filter.
        if let Some(bounds) = query.duration
            && !world.duration(place, now).is_some_and(|seconds| bounds.holds(i64::from(seconds)))
        {
            return false;
        }
        if let Some(bounds) = query.price
            && !world.price(place, now).is_some_and(|micros| bounds.holds(micros))
        {
            return false;
        }
        if !query.exophones.is_empty() && !self.exophones.contains(&world.faces.exophone(call.exophone)) {
            return false;
        }
        if query.from.is_empty() && query.to.is_empty() {
            return true;
        }
        let Some((from, to)) = world.parties(place) else { return false };
        let party = |list: &[String], have: &str| list.is_empty() || list.iter().any(|want| same(want, have));
        party(&query.from, &from) && party(&query.to, &to)
    }
}

/// The last ten digits of a number.
fn digits(number: &str) -> Option<u64> {
    let digits: Vec<u8> = number.bytes().filter(u8::is_ascii_digit).collect();
    let last = digits.get(digits.len().checked_sub(10)?..)?;
    std::str::from_utf8(last).ok()?.parse().ok()
}

/// `sip:` users are compared whole, numbers by their last ten digits.
fn same(want: &str, have: &str) -> bool {
    let sip = want.starts_with("sip:") || have.starts_with("sip:");
    want == have || (!sip && digits(want).is_some() && digits(want) == digits(have))
}
