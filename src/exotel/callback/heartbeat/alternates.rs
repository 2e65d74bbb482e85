//! The numbers to use instead of those that are out: what is read of the `data` of a heartbeat.
//!
//! Shape: `{"data": {"<ExoPhone sid>": {"connectivity": {"incoming_call": {"status": "major_outage",
//! "alternate_exophone": "+918000000022"}, "outgoing_call": …}}}}`, with or without `connectivity`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::exotel::wire::alternate;
use crate::model::callback::Heartbeat;
use crate::model::health::Alternate;

/// Longest block of one number that is looked into; they have some hundred bytes.
const LONGEST: usize = 16 * 1024;

/// The numbers named for those that a heartbeat says are affected, sorted by sid. What cannot be read names
/// none.
pub(super) fn read(body: &[u8], heartbeat: &Heartbeat) -> Vec<(String, [Option<Alternate>; 2])> {
    let Ok(Outer { data: Some(Blocks(blocks)) }) = serde_json::from_slice(body) else { return Vec::new() };
    let is_affected = |sid: &str| {
        [&heartbeat.incoming, &heartbeat.outgoing]
            .iter()
            .any(|list| list.binary_search_by(|known| known.as_str().cmp(sid)).is_ok())
    };
    let mut named: Vec<_> = blocks
        .into_iter()
        .filter(|(sid, block)| is_affected(sid) && block.get().len() <= LONGEST)
        .filter_map(|(sid, block)| Some((sid.into_owned(), of_block(block)?)))
        .collect();
    named.sort_by(|(a, _), (b, _)| a.cmp(b));
    named.dedup_by(|(a, _), (b, _)| a == b);
    named
}

/// What the block of one number names for calls to it and from it; none if it names nothing.
fn of_block(block: &RawValue) -> Option<[Option<Alternate>; 2]> {
    let block: Value = serde_json::from_str(block.get()).ok()?;
    let lines = block.get("connectivity").filter(|lines| lines.is_object()).unwrap_or(&block);
    let named = ["incoming_call", "outgoing_call"]
        .map(|line| lines.get(line)?.get("alternate_exophone").and_then(alternate));
    named.iter().any(Option::is_some).then_some(named)
}

/// A heartbeat, but for what was read before.
#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow, default)]
    data: Option<Blocks<'a>>,
}

/// The blocks by sid, as they came.
struct Blocks<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Blocks<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Blocks<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of blocks")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Blocks<'de>, A::Error> {
                let mut blocks = Vec::new();
                while let Some(sid) = entries.next_key::<Cow<'de, str>>()? {
                    if blocks.len() < super::MOST {
                        blocks.push((sid, entries.next_value()?));
                    } else {
                        entries.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Blocks(blocks))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}
