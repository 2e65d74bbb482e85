//! Shapes of answers: each is written once, and gives both the JSON and its description.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::model::Timestamp;

/// What can be described in an `OpenAPI` document.
pub(super) trait Schema {
    /// Its JSON schema (2020-12, as `OpenAPI` 3.1 has it).
    fn schema() -> Value;
}

/// A time in an answer: RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time(pub(super) Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Time {
    pub(super) fn seconds(seconds: i64) -> Self {
        Self(Timestamp(seconds))
    }
}

/// Counts by word, for an object whose keys are not fixed: one of many thousand buckets must cost no tree of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts(pub(super) Vec<(&'static str, u64)>);

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

impl Counts {
    /// The counts in the order of their words, those of 0 left out.
    pub(super) fn of(words: impl IntoIterator<Item = &'static str>, counts: &[i64]) -> Self {
        let pairs = words.into_iter().zip(counts).filter(|(_, n)| **n != 0);
        Self(pairs.map(|(word, n)| (word, u64::try_from(*n).unwrap_or(0))).collect())
    }
}

macro_rules! plain {
    ($($type:ty => $schema:tt),+ $(,)?) => {
        $(impl Schema for $type {
            fn schema() -> Value { json!($schema) }
        })+
    };
}

plain! {
    u64 => {"type": "integer", "minimum": 0},
    i64 => {"type": "integer"},
    f64 => {"type": "number"},
    bool => {"type": "boolean"},
    String => {"type": "string"},
    &'static str => {"type": "string"},
    Time => {"type": "string", "format": "date-time"},
    Counts => {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
}

impl<T: Schema> Schema for Option<T> {
    fn schema() -> Value {
        json!({"oneOf": [T::schema(), {"type": "null"}]})
    }
}

impl<T: Schema> Schema for Vec<T> {
    fn schema() -> Value {
        json!({"type": "array", "items": T::schema()})
    }
}

/// Schema of an object with these fields: name, meaning, schema. All are always there.
pub(super) fn object(about: &str, fields: &[(&str, &str, Value)]) -> Value {
    let mut properties = Map::new();
    for (name, meaning, schema) in fields {
        let mut schema = schema.clone();
        schema["description"] = meaning.trim().into();
        properties.insert(camel_case(name), schema);
    }
    let required: Vec<String> = properties.keys().cloned().collect();
    json!({"type": "object", "description": about.trim(), "properties": properties, "required": required})
}

/// `created_at` as `createdAt`.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let (head, rest) = word.split_at(word.len().min(1));
        name.push_str(&head.to_ascii_uppercase());
        name.push_str(rest);
        name
    })
}

/// Declares an answer: an object with these fields, `created_at` as `createdAt`. What stands in the doc
/// comments is its description.
macro_rules! answer {
    ($(#[doc = $about:literal])+ $name:ident {
        $($(#[doc = $meaning:literal])+ $field:ident: $type:ty),+ $(,)?
    }) => {
        $(#[doc = $about])+
        #[allow(clippy::doc_markdown, reason = "these are descriptions for users of the API, too")]
        #[derive(Clone, Debug, serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        pub(super) struct $name {
            $($(#[doc = $meaning])+ pub(super) $field: $type),+
        }

        impl crate::web::api::schema::Schema for $name {
            fn schema() -> serde_json::Value {
                crate::web::api::schema::object(concat!($($about),+), &[
                    $((
                        stringify!($field),
                        concat!($($meaning),+),
                        <$type as crate::web::api::schema::Schema>::schema(),
                    )),+
                ])
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    answer! {
        /// A thing.
        Thing {
            /// When it was made.
            created_at: Time,
            /// Its parts.
            parts: Option<Vec<String>>,
        }
    }

    #[test]
    fn an_answer_and_its_description_name_the_same_fields() {
        let thing = Thing { created_at: Time::seconds(1_772_457_600), parts: None };
        let written = serde_json::to_value(&thing).unwrap();
        assert_eq!(written, json!({"createdAt": "2026-03-02T13:20:00Z", "parts": null}));
        let schema = Thing::schema();
        assert_eq!(schema["required"], json!(["createdAt", "parts"]));
        assert_eq!(schema["properties"]["createdAt"]["format"], "date-time");
        assert_eq!(schema["properties"]["parts"]["description"], "Its parts.");
    }
}
