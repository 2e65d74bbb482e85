//! Heartbeats: the health of every ExoPhone of the account, pushed every few minutes.
//!
//! Shape: `{"timestamp": "2018-08-22T15:19:23Z", "status_type": "WARNING", "incoming_affected":
//! ["<ExoPhone sid>"] or null, "outgoing_affected": the same, "data": {"<ExoPhone sid>": {…}}}`, up to
//! 10 MB. The lists say who is affected: a number that stands in a list is affected even if `data` does not
//! name it. `data` comes in three shapes, `{"incoming_call": …, "outgoing_call": …}`, the same under
//! `connectivity`, and `{"phone_number": …}`; of it the numbers to use instead are read (`alternates`) and no
//! more, apart from the rest, so that whatever stands there cannot spoil a heartbeat.
//! Source: Exotel "HeartBeat" (beta), read 2026-11.

mod alternates;

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::model::callback::{Heartbeat, HeartbeatStatus, Told};
use crate::model::health::Alternate;
use crate::model::{UtcOffset, parse_time};

use super::fields::{Fields, hash};
use super::json::{broken, without_mark};
use super::{Read, Unreadable};

/// Most numbers in a list; no account is near it. A bound on memory, since 11 MB hold 300,000.
pub(super) const MOST: usize = 20_000;

/// Longest id of an ExoPhone.
const LONGEST_SID: usize = 128;

/// What is read of the body; the rest is skipped without a tree, however deep.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    timestamp: Text,
    status_type: Text,
    incoming_affected: Affected,
    outgoing_affected: Affected,
}

/// Reads a heartbeat in JSON.
pub(super) fn from_json(body: &[u8]) -> Result<Read, Unreadable> {
    let wire: Wire = serde_json::from_slice(without_mark(body)).map_err(|error| {
        if error.is_data() {
            Unreadable::new("expected a heartbeat, got JSON with other types or too many numbers")
        } else {
            broken(&error)
        }
    })?;
    let read = wire.read()?;
    let Read::Told(Told::Heartbeat(mut heartbeat)) = read else { return Ok(read) };
    if !heartbeat.incoming.is_empty() || !heartbeat.outgoing.is_empty() {
        heartbeat.alternates = alternates::read(without_mark(body), &heartbeat);
        if !heartbeat.alternates.is_empty() {
            heartbeat.content = hash(content(&heartbeat));
        }
    }
    Ok(Read::Told(Told::Heartbeat(heartbeat)))
}

/// Everything by which a heartbeat is told from another one of the same second.
fn content(heartbeat: &Heartbeat) -> impl Iterator<Item = &str> {
    fn text(alternate: &Option<Alternate>) -> &str {
        alternate.as_ref().map_or("", Alternate::as_str)
    }
    let named = heartbeat.alternates.iter();
    let named = named.flat_map(|(sid, [incoming, outgoing])| [sid.as_str(), text(incoming), text(outgoing)]);
    [heartbeat.status.as_str()]
        .into_iter()
        .chain(heartbeat.incoming.iter().map(String::as_str))
        .chain(["/"])
        .chain(heartbeat.outgoing.iter().map(String::as_str))
        .chain(named)
}

/// Reads a heartbeat that came as a form.
pub(super) fn from_fields(fields: &Fields) -> Result<Read, Unreadable> {
    let text = |name| Text(fields.text(name).map(str::to_owned));
    let wire = Wire {
        timestamp: text("timestamp"),
        status_type: text("status_type"),
        incoming_affected: Affected(fields.list("incoming_affected")),
        outgoing_affected: Affected(fields.list("outgoing_affected")),
    };
    wire.read()
}

impl Wire {
    fn read(self) -> Result<Read, Unreadable> {
        let Some(word) = self.status_type.0 else {
            let nothing = self.timestamp.0.is_none()
                && self.incoming_affected.0.is_empty()
                && self.outgoing_affected.0.is_empty();
            if nothing {
                return Ok(Read::Unknown("it has no field of a heartbeat"));
            }
            return Err(Unreadable::new("status_type is absent"));
        };
        let Some(status) = HeartbeatStatus::from_word(&word) else {
            return Ok(Read::Unknown("its status_type is not known"));
        };
        let Some(time) = self.timestamp.0 else { return Err(Unreadable::new("timestamp is absent")) };
        // Alone among Exotel's times these are UTC, with a `Z`.
        let at = match parse_time(&time, UtcOffset(0)) {
            Ok(Some(wall)) => wall.to_timestamp(UtcOffset(0)),
            _ => return Err(Unreadable::new("timestamp cannot be read")),
        };
        let (incoming, outgoing) = (self.incoming_affected.sorted(), self.outgoing_affected.sorted());
        let mut heartbeat = Heartbeat { at, status, incoming, outgoing, alternates: Vec::new(), content: 0 };
        heartbeat.content = hash(content(&heartbeat));
        Ok(Read::Told(Told::Heartbeat(heartbeat)))
    }
}

/// A text or a number; none for what means "no value".
#[derive(Default)]
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl Visitor<'_> for Visit {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text(None))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Text, E> {
                Ok(Text(Some(number.to_string())))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                let text = text.trim();
                if text.len() > LONGEST_SID {
                    return Err(E::custom("too long"));
                }
                Ok(Text((!text.is_empty() && text != "null").then(|| text.to_owned())))
            }
        }
        deserializer.deserialize_any(Visit)
    }
}

/// A list of ids; `null` and `[]` alike mean none.
#[derive(Default)]
struct Affected(Vec<String>);

impl Affected {
    /// Each once, in order: Exotel's order means nothing.
    fn sorted(mut self) -> Vec<String> {
        self.0.sort_unstable();
        self.0.dedup();
        self.0
    }
}

impl<'de> Deserialize<'de> for Affected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Affected;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of ids")
            }
            fn visit_unit<E>(self) -> Result<Affected, E> {
                Ok(Affected::default())
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Affected, E> {
                match text.trim() {
                    "" | "null" => Ok(Affected::default()),
                    _ => Err(E::custom("a text")),
                }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Affected, A::Error> {
                let mut sids = Vec::new();
                while let Some(Text(sid)) = items.next_element()? {
                    if sids.len() == MOST {
                        return Err(de::Error::custom("too many"));
                    }
                    sids.extend(sid);
                }
                Ok(Affected(sids))
            }
            // PHP writes an empty list as an empty object at times.
            fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Affected, A::Error> {
                match entries.next_entry::<IgnoredAny, IgnoredAny>()? {
                    None => Ok(Affected::default()),
                    Some(_) => Err(de::Error::custom("an object")),
                }
            }
        }
        deserializer.deserialize_any(Visit)
    }
}
