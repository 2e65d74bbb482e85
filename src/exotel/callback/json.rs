//! A JSON body as the fields of a form: `{"Legs": [{"Status": "busy"}]}` is `Legs[0][Status]=busy`.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::Unreadable;
use super::fields::{Fields, MOST};

/// Deepest nesting; the deepest known callback has four levels.
const DEEPEST: usize = 16;

/// The fields of a JSON object; `null` is an empty text, as in a form.
pub(super) fn fields(body: &[u8]) -> Result<Fields, Unreadable> {
    let mut sink = Sink { fields: Fields::default(), path: String::new(), depth: 0, fault: None };
    let mut reader = serde_json::Deserializer::from_slice(without_mark(body));
    let read = Value(&mut sink).deserialize(&mut reader).and_then(|()| reader.end());
    match (sink.fault, read) {
        (Some(fault), _) => Err(fault),
        (None, Err(error)) => Err(broken(&error)),
        (None, Ok(())) => Ok(sink.fields),
    }
}

/// A body without a byte order mark.
pub(super) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Only where it broke: the parser's own words may quote a value.
pub(super) fn broken(error: &serde_json::Error) -> Unreadable {
    let how = if error.is_eof() { "cut off" } else { "broken" };
    Unreadable(format!("expected JSON, got JSON {how} at line {} column {}", error.line(), error.column()))
}

struct Sink {
    fields: Fields,
    path: String,
    depth: usize,
    fault: Option<Unreadable>,
}

impl Sink {
    fn put<E: Error>(&mut self, value: &str) -> Result<(), E> {
        if self.depth == 0 {
            return Err(self.fail(Unreadable::new("expected a JSON object, got a single value")));
        }
        self.fields.push(self.path.as_str(), value).map_err(|fault| self.fail(fault))
    }

    fn fail<E: Error>(&mut self, fault: Unreadable) -> E {
        let words = fault.to_string();
        self.fault = Some(fault);
        E::custom(words)
    }

    /// Goes one level down and back.
    fn inside<T, E: Error>(
        &mut self,
        step: &str,
        act: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let length = self.path.len();
        if self.depth == DEEPEST {
            let fault = format!("expected JSON of at most {DEEPEST} levels, got more");
            return Err(self.fail(Unreadable(fault)));
        }
        if length == 0 {
            self.path.push_str(step);
        } else {
            self.path.push('[');
            self.path.push_str(step);
            self.path.push(']');
        }
        self.depth += 1;
        let result = act(self);
        self.depth -= 1;
        self.path.truncate(length);
        result
    }
}

/// One value, put into the sink under its path.
struct Value<'s>(&'s mut Sink);

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.put("")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.0.put(if value { "true" } else { "false" })
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.0.put(&value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.0.put(&value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        // The shortest text that is the same number: 0.3 is 0.3.
        self.0.put(&value.to_string())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.0.put(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0..=MOST {
            let more = self.0.inside(&index.to_string(), |sink| items.next_element_seed(Value(sink)))?;
            if more.is_none() {
                return Ok(());
            }
        }
        // A list of empty lists would bring no field, and so never meet the bound on these.
        Err(self.0.fail(Unreadable(format!("expected lists of at most {MOST} items, got a longer one"))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut count = 0;
        while let Some(name) = entries.next_key::<String>()? {
            count += 1;
            if count > MOST {
                let fault = format!("expected at most {MOST} fields, got more");
                return Err(self.0.fail(Unreadable(fault)));
            }
            self.0.inside(&name, |sink| entries.next_value_seed(Value(sink)))?;
        }
        Ok(())
    }
}
