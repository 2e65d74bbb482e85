//! One line of an exposition.

use std::collections::BTreeMap;

use super::{Format, Sample};

/// What a line says.
#[derive(Debug)]
pub(crate) enum Line {
    /// Name and text, unescaped.
    Help(String, String),
    /// Name and kind.
    Type(String, String),
    /// Name and unit.
    Unit(String, String),
    /// A value.
    Sample(Sample),
}

/// Reads a line.
pub(crate) fn parse(format: Format, text: &str) -> Result<Line, String> {
    let Some(metadata) = text.strip_prefix('#') else {
        return sample(format, text).map(Line::Sample);
    };
    let metadata = metadata.strip_prefix(' ').ok_or("no blank after #")?;
    let mut words = metadata.splitn(3, ' ');
    let (keyword, name, rest) =
        (words.next().unwrap_or(""), words.next().ok_or("no name")?, words.next().ok_or("no text")?);
    let name = metric_name(name)?;
    match keyword {
        "HELP" => unescape(rest, if format == Format::Text { "\\n" } else { "\\n\"" })
            .map(|help| Line::Help(name, help)),
        "TYPE" => Ok(Line::Type(name, rest.to_owned())),
        "UNIT" if format == Format::OpenMetrics => Ok(Line::Unit(name, rest.to_owned())),
        _ => Err("a comment, which nothing of ours should write".to_owned()),
    }
}

/// `name{a="b",c="d"} 1`, with an exemplar in OpenMetrics; never with a timestamp.
fn sample(format: Format, text: &str) -> Result<Sample, String> {
    let end = text.find(['{', ' ']).ok_or("no value")?;
    let (name, rest) = text.split_at(end);
    let name = metric_name(name)?;
    let (labels, rest) = if rest.starts_with('{') { labels(rest)? } else { (BTreeMap::new(), rest) };
    let rest = rest.strip_prefix(' ').ok_or("no blank before the value")?;
    let value = match rest.split_once(" # ") {
        None => rest,
        Some((value, exemplar)) => {
            if format == Format::Text || !(name.ends_with("_bucket") || name.ends_with("_total")) {
                return Err("an exemplar where none may be".to_owned());
            }
            let (exemplar_labels, numbers) = self::labels(exemplar)?;
            let length: usize =
                exemplar_labels.iter().map(|(key, value)| key.chars().count() + value.chars().count()).sum();
            if length > 128 {
                return Err("an exemplar of more than 128 characters".to_owned());
            }
            for word in numbers.strip_prefix(' ').ok_or("an exemplar without value")?.split(' ') {
                number(word)?;
            }
            value
        }
    };
    if value.contains(' ') {
        return Err("a timestamp, or too many blanks".to_owned());
    }
    Ok(Sample { name, labels, value: number(value)? })
}

/// Reads `{…}` at the start of the text and gives what follows it.
fn labels(text: &str) -> Result<(BTreeMap<String, String>, &str), String> {
    let mut labels = BTreeMap::new();
    let mut rest = text.strip_prefix('{').ok_or("no labels")?;
    if let Some(after) = rest.strip_prefix('}') {
        return Ok((labels, after));
    }
    loop {
        let (key, after) = rest.split_once("=\"").ok_or("a label without value")?;
        let valid = |(place, letter): (usize, char)| {
            letter.is_ascii_alphabetic() || letter == '_' || place > 0 && letter.is_ascii_digit()
        };
        if key.is_empty() || !key.chars().enumerate().all(valid) || key.starts_with("__") {
            return Err(format!("{key:?} is no label name"));
        }
        let end = closing_quote(after).ok_or("a label value that does not end")?;
        let value = unescape(&after[..end], "\\n\"")?;
        if labels.insert(key.to_owned(), value).is_some() {
            return Err(format!("the label {key} twice"));
        }
        rest = &after[end + 1..];
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        rest = rest.strip_prefix(',').ok_or("neither , nor } after a label")?;
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(place, letter)| {
        let closes = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        closes.then_some(place)
    })
}

/// Undoes `\\`, `\n` and, where it is among the allowed, `\"`; anything else after a backslash is a fault.
fn unescape(text: &str, allowed: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => plain.push('\n'),
            Some(other) if allowed.contains(other) => plain.push(other),
            other => return Err(format!("an escape that is none: \\{}", other.unwrap_or(' '))),
        }
    }
    Ok(plain)
}

fn metric_name(name: &str) -> Result<String, String> {
    let valid = |(place, letter): (usize, char)| {
        letter.is_ascii_alphabetic() || letter == '_' || place > 0 && letter.is_ascii_digit()
    };
    if name.is_empty() || !name.chars().enumerate().all(valid) {
        return Err(format!("{name:?} is no metric name"));
    }
    Ok(name.to_owned())
}

/// A float as both formats write it.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    match text {
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        "NaN" => Err("NaN, which is never exported".to_owned()),
        _ if text.chars().all(|letter| letter.is_ascii_digit() || "+-.eE".contains(letter)) => {
            text.parse().map_err(|_| format!("{text:?} is no number"))
        }
        _ => Err(format!("{text:?} is no number")),
    }
}
