//! Values as the toolkit reads them. Its YAML is version 1.1: `yes` and `off` are booleans there, and a
//! number where a text is expected is that text.

use std::time::Duration;

use crate::config::Node;

/// A text; nothing is an empty one, which counts as not given.
pub(super) fn text(node: &Node) -> Result<String, String> {
    match node {
        Node::Null => Ok(String::new()),
        Node::Text(text) => Ok(text.clone()),
        Node::Bool(value) => Ok(value.to_string()),
        Node::Integer(value) => Ok(value.to_string()),
        Node::Float(value) => Ok(value.to_string()),
        // The value may be a key or a password, so only its kind is told.
        other => Err(format!("expected a text, got {}", other.kind())),
    }
}

/// A switch.
pub(super) fn boolean(node: &Node) -> Result<bool, String> {
    let word = match node {
        Node::Bool(value) => return Ok(*value),
        Node::Text(word) => word.to_ascii_lowercase(),
        other => return Err(format!("expected true or false, got {other}")),
    };
    match word.as_str() {
        "y" | "yes" | "on" => Ok(true),
        "n" | "no" | "off" => Ok(false),
        _ => Err(format!("expected true or false, got {node}")),
    }
}

/// A whole number.
pub(super) fn integer(node: &Node) -> Result<i64, String> {
    match node {
        Node::Null => Some(0),
        Node::Integer(value) => i64::try_from(*value).ok(),
        Node::Text(text) => text.parse().ok(),
        _ => None,
    }
    .ok_or_else(|| format!("expected a whole number, got {node}"))
}

/// A duration as Go writes it (`1s`, `1m30s`, `500ms`, `1.5h`); a bare number is nanoseconds. What is
/// below zero counts as zero, which turns off what it belongs to.
pub(super) fn duration(node: &Node) -> Result<Duration, String> {
    match node {
        Node::Null => Some(Duration::ZERO),
        Node::Integer(nanos) => u64::try_from(*nanos).ok().or(Some(0)).map(Duration::from_nanos),
        Node::Text(text) => go_duration(text),
        _ => None,
    }
    .ok_or_else(|| format!("expected a duration such as 1s or 500ms, got {node}"))
}

fn go_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 8] = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("μs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    let below_zero = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        seconds += number.parse::<f64>().ok()? * factor;
        rest = tail;
    }
    let known = !text.trim_start_matches(['-', '+']).is_empty();
    let value = if below_zero { 0.0 } else { seconds };
    Duration::try_from_secs_f64(value).ok().filter(|_| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        Node::parse(text).unwrap()
    }

    #[test]
    fn booleans_are_those_of_yaml_1_1() {
        for (text, value) in [("true", true), ("yes", true), ("On", true), ("false", false), ("no", false)] {
            assert_eq!(boolean(&node(text)), Ok(value), "{text}");
        }
        for bad in ["maybe", "1", "[]", "\"\""] {
            boolean(&node(bad)).unwrap_err();
        }
    }

    #[test]
    fn a_number_where_a_text_is_expected_is_that_text() {
        for (value, expected) in [("1", "1"), ("true", "true"), ("~", ""), ("a: b", "")] {
            let read = text(&node(value));
            assert!(read.as_deref().unwrap_or("") == expected, "{value}: {read:?}");
        }
        assert!(text(&node("[hush]")).is_err_and(|reason| !reason.contains("hush")));
    }

    #[test]
    fn durations_are_those_of_go() {
        for (text, millis) in [
            ("1s", 1000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1.5h", 5_400_000),
            ("0", 0),
            ("-5s", 0),
            ("\"0\"", 0),
            ("2000000", 2),
            ("~", 0),
        ] {
            assert_eq!(duration(&node(text)), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["1", "s", "1d", "1s1", "soon", "\"\"", "-", "1.5", "[]", "99999999999999999999999h"] {
            let quoted = Node::Text(bad.to_owned());
            assert!(duration(&quoted).is_err(), "{bad}");
        }
    }

    #[test]
    fn whole_numbers_may_stand_in_quotes() {
        assert_eq!(integer(&node("\"7\"")), Ok(7));
        assert_eq!(integer(&node("-7")), Ok(-7));
        for bad in ["1.5", "x", "[]", "true"] {
            integer(&node(bad)).unwrap_err();
        }
    }
}
