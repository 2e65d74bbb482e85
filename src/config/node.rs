//! A YAML file as a tree, with every entry kept.
//!
//! `serde_norway::Value` stops at the first key given twice and loses the `+` of `+918012345678: sales`.
//! This tree keeps repeated keys, for all faults to be told at once, and map keys as they were written.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

/// One YAML value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Self>),
    /// Entries in file order; a key may stand twice.
    Map(Vec<(String, Self)>),
    /// A value with a tag of its own (`!name`), which no key takes.
    Tagged,
}

impl Node {
    /// Reads a whole file; an empty one is [`Node::Null`].
    ///
    /// # Errors
    /// What is wrong with the YAML and where, without quoting its values.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut documents = serde_norway::Deserializer::from_str(text);
        let Some(first) = documents.next() else { return Ok(Self::Null) };
        let node = match Seed.deserialize(first) {
            // A file of comments only ends before a value comes.
            Err(error) if error.to_string().starts_with("EOF while parsing a value") => Self::Null,
            other => other.map_err(|error| describe(&error))?,
        };
        match documents.next() {
            None => Ok(node),
            Some(_) => Err("expected one YAML document, found a second one after `---`".to_owned()),
        }
    }

    /// What kind of value this is, without the value: for secrets.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
            Self::Tagged => "a tagged value",
        }
    }
}

impl fmt::Display for Node {
    /// The value as a fault names it: short, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "the number {value}"),
            Self::Float(value) => write!(f, "the number {value}"),
            Self::Text(text) => f.write_str(&quoted(text)),
            other => f.write_str(other.kind()),
        }
    }
}

/// A text in quotes, escaped, cut to what fits into one line of a message.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?} (cut)", &text[..end]),
    }
}

/// A syntax error, without the values that serde quotes when a tag does not fit.
fn describe(error: &serde_norway::Error) -> String {
    let text = error.to_string();
    if !text.contains("invalid value") && !text.contains("invalid type") {
        return format!("not readable as YAML: {text}");
    }
    match error.location() {
        Some(at) => format!("a value does not fit its tag at line {} column {}", at.line(), at.column()),
        None => "a value does not fit its tag".to_owned(),
    }
}

struct Seed;

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Integer(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
        Ok(Node::Integer(i128::try_from(value).unwrap_or(i128::MAX)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            map.push((key, entries.next_value_seed(Self)?));
        }
        Ok(Node::Map(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Node, A::Error> {
        let (_tag, content) = tagged.variant::<String>()?;
        content.newtype_variant_seed(Self)?;
        Ok(Node::Tagged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_as_they_were_written_and_repeated_ones_are_kept() {
        let node = Node::parse("+918000000011: sales\n080: x\na: 1\na: 2\n").unwrap();
        let Node::Map(entries) = node else { panic!("a mapping") };
        let keys: Vec<_> = entries.iter().map(|(k, _)| k.as_str()).collect();
        assert_eq!(keys, ["+918000000011", "080", "a", "a"]);
    }

    #[test]
    fn a_file_without_content_is_nothing() {
        for text in ["", "\n\n", "# only a comment\n", "---\n", "~"] {
            assert_eq!(Node::parse(text), Ok(Node::Null), "{text:?}");
        }
    }

    #[test]
    fn broken_yaml_is_an_error_that_says_where_and_quotes_no_value() {
        for (text, part) in [
            ("a: [1, 2", "line"),
            ("a: b: c", "line 1 column 5"),
            ("a: 1\n---\nb: 2", "second one"),
            ("a: !!int hush", "tag at line 1"),
            ("? [a, b]\n: 1", "tag"),
            ("a: &x [*x]", "recursion limit"),
        ] {
            let error = Node::parse(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
        assert_eq!(Node::parse("!own 1"), Ok(Node::Tagged));
        let deep = "[".repeat(10_000);
        assert!(Node::parse(&deep).is_err());
    }

    #[test]
    fn a_long_value_is_cut_in_messages() {
        assert_eq!(Node::Text("é".repeat(100)).to_string(), format!("\"{}\" (cut)", "é".repeat(60)));
        assert_eq!(Node::Text("a\nb".into()).to_string(), "\"a\\nb\"");
    }
}
