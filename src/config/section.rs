//! Typed getters over one mapping of the file. Faults are collected, never returned, so that one load
//! tells all of them; a value at fault leaves the default in place.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fault::Findings;
use super::node::{Node, quoted};
use super::{Accounts, values};

/// What the sections of one file share.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    /// The file's name as the user gave it, for messages.
    pub(crate) source: String,
    /// The file's folder: paths of secrets are relative to it.
    pub(crate) folder: PathBuf,
    pub(crate) findings: &'a Findings,
    /// Whose secrets will be used.
    pub(crate) accounts: Accounts,
    /// Every key that was asked for, as `accounts[].name`.
    asked: RefCell<BTreeSet<String>>,
    /// Every key that the file gives, as `accounts[].name`.
    given: RefCell<BTreeSet<String>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &Path, findings: &'a Findings) -> Self {
        Self::of(file, Accounts::Required, findings)
    }

    /// For a command that needs this much of the accounts.
    pub(crate) fn of(file: &Path, accounts: Accounts, findings: &'a Findings) -> Self {
        Self {
            source: file.display().to_string(),
            folder: file.parent().unwrap_or(Path::new("")).to_owned(),
            findings,
            accounts,
            asked: RefCell::default(),
            given: RefCell::default(),
        }
    }

    /// The file's own mapping.
    pub(crate) fn root<'r>(&'r self, node: &'r Node) -> Section<'r> {
        Section::new(self, String::new(), String::new(), node)
    }

    /// Every key that the file gives.
    pub(crate) fn given(&self) -> BTreeSet<String> {
        self.given.borrow().clone()
    }

    /// Every key that was asked for.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> BTreeSet<String> {
        self.asked.borrow().clone()
    }
}

/// One mapping of the file.
#[derive(Debug)]
pub(crate) struct Section<'r> {
    reader: &'r Reader<'r>,
    /// Where it stands: `accounts[1].rate_limits`; empty for the file's own mapping.
    path: String,
    /// The same for every entry of a list: `accounts[].rate_limits`.
    shape: String,
    entries: &'r [(String, Node)],
    asked: RefCell<Vec<&'static str>>,
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

impl<'r> Section<'r> {
    fn new(reader: &'r Reader<'r>, path: String, shape: String, node: &'r Node) -> Self {
        let entries: &[(String, Node)] = match node {
            Node::Map(entries) => entries,
            // A section whose keys are all commented out.
            Node::Null => &[],
            other => {
                reader.findings.fault(&reader.source, &path, format!("expected a mapping, got {other}"));
                &[]
            }
        };
        Self { reader, path, shape, entries, asked: RefCell::default() }
    }

    fn find(&self, key: &'static str) -> Option<&'r Node> {
        self.asked.borrow_mut().push(key);
        let shape = join(&self.shape, key);
        let found = self.entries.iter().find(|(k, _)| k == key).map(|(_, node)| node);
        if found.is_some() {
            self.reader.given.borrow_mut().insert(shape.clone());
        }
        self.reader.asked.borrow_mut().insert(shape);
        found
    }

    pub(crate) fn fault(&self, key: &str, reason: impl Into<String>) {
        self.reader.findings.fault(&self.reader.source, &join(&self.path, key), reason);
    }

    pub(crate) fn warn(&self, key: &str, text: impl Into<String>) {
        self.reader.findings.warn(&self.reader.source, &join(&self.path, key), text);
    }

    /// Whether somebody will use the secrets of this section, so that their files are to be read.
    pub(crate) fn uses_secrets(&self) -> bool {
        match self.reader.accounts {
            Accounts::Required | Accounts::Optional => true,
            Accounts::Unused => self.shape != "accounts[]",
            Accounts::Unauthenticated => false,
        }
    }

    /// A path of the file, as it is to be opened: relative ones start at the file's folder.
    pub(crate) fn path_beside_file(&self, text: impl AsRef<Path>) -> PathBuf {
        self.reader.folder.join(text)
    }

    /// A value, if the key is there and can be read.
    pub(crate) fn get<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&'r Node) -> Result<T, String>,
    ) -> Option<T> {
        match read(self.find(key)?) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.fault(key, reason);
                None
            }
        }
    }

    /// Replaces a default, if the key is there and can be read.
    pub(crate) fn set<T>(
        &self,
        key: &'static str,
        target: &mut T,
        read: impl FnOnce(&'r Node) -> Result<T, String>,
    ) {
        if let Some(value) = self.get(key, read) {
            *target = value;
        }
    }

    /// Whether the file gives the key, readable or not.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(k, _)| k == key)
    }

    /// The section under a key; empty if it is not there.
    pub(crate) fn section(&self, key: &'static str) -> Section<'r> {
        let node = self.find(key).unwrap_or(&Node::Null);
        Section::new(self.reader, join(&self.path, key), join(&self.shape, key), node)
    }

    /// The sections in the list under a key.
    pub(crate) fn sections(&self, key: &'static str) -> Vec<Section<'r>> {
        let items = match self.find(key) {
            None | Some(Node::Null) => return Vec::new(),
            Some(Node::List(items)) => items,
            Some(other) => {
                self.fault(key, format!("expected a list, each entry beginning with `- `, got {other}"));
                return Vec::new();
            }
        };
        let (path, shape) = (join(&self.path, key), join(&self.shape, key));
        let mut sections = Vec::with_capacity(items.len());
        for (n, node) in items.iter().enumerate() {
            match node {
                Node::Map(_) => {
                    let place = format!("{path}[{n}]");
                    sections.push(Section::new(self.reader, place, format!("{shape}[]"), node));
                }
                other => self.fault(&format!("{key}[{n}]"), format!("expected a mapping, got {other}")),
            }
        }
        sections
    }

    /// Values in the list under a key. The reader sees each item; a fault names the item's place.
    pub(crate) fn list<T>(
        &self,
        key: &'static str,
        read: impl Fn(&'r Node) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let items = match self.find(key)? {
            Node::List(items) => items,
            other => {
                self.fault(key, format!("expected a list such as [a, b], got {}", other.kind()));
                return None;
            }
        };
        let mut values = Vec::with_capacity(items.len());
        for (n, item) in items.iter().enumerate() {
            match read(item) {
                Ok(value) => values.push(value),
                Err(reason) => self.fault(&format!("{key}[{n}]"), reason),
            }
        }
        // One faulty item leaves the default, so that no other check stumbles over what is left.
        (values.len() == items.len()).then_some(values)
    }

    /// The entries of a mapping whose keys are the user's own.
    pub(crate) fn map(&self, key: &'static str) -> &'r [(String, Node)] {
        match self.find(key) {
            None | Some(Node::Null) => &[],
            Some(Node::Map(entries)) => entries,
            Some(other) => {
                self.fault(key, format!("expected a mapping, got {}", other.kind()));
                &[]
            }
        }
    }

    /// Reports what nobody asked for and what stands twice. To be called when all keys were read.
    pub(crate) fn finish(self) {
        let asked = self.asked.borrow();
        for (n, (key, _)) in self.entries.iter().enumerate() {
            let shown = shown(key);
            if self.entries[..n].iter().any(|(earlier, _)| earlier == key) {
                self.fault(&shown, "expected once, but the key is given again");
            } else if !asked.contains(&key.as_str()) {
                let hint = match nearest(key, &asked) {
                    Some(near) => format!("unknown key; did you mean {near}?"),
                    None => format!("unknown key; known here: {}", asked.join(", ")),
                };
                self.fault(&shown, hint);
            }
        }
    }
}

/// A key as a message shows it.
fn shown(key: &str) -> String {
    let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if plain && !key.is_empty() && key.len() <= 60 { key.to_owned() } else { quoted(key) }
}

/// The known key that somebody may have meant.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let key = match key {
        // The environment's name for it.
        "api_secret" => "api_token".to_owned(),
        "api_secret_file" => "api_token_file".to_owned(),
        _ => key.to_lowercase().replace('-', "_"),
    };
    let score = |candidate: &str| strsim::jaro_winkler(&key, candidate);
    let best = known.iter().copied().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (score(best) >= 0.8).then_some(best)
}

/// A text.
pub(crate) fn text(node: &Node) -> Result<&str, String> {
    match node {
        Node::Text(text) => Ok(text),
        Node::Integer(_) | Node::Float(_) | Node::Bool(_) => {
            Err(format!("expected a text, got {node}; put it in quotes"))
        }
        other => Err(format!("expected a text, got {other}")),
    }
}

/// A text, read on by `read`.
pub(crate) fn text_as<T>(read: impl Fn(&str) -> Result<T, String>) -> impl Fn(&Node) -> Result<T, String> {
    move |node| read(text(node)?)
}

/// As [`text_as`], and the word `none` for no value.
pub(crate) fn none_or<T>(
    read: impl Fn(&Node) -> Result<T, String>,
) -> impl Fn(&Node) -> Result<Option<T>, String> {
    move |node| match node {
        Node::Text(text) if text == "none" => Ok(None),
        other => read(other).map(Some),
    }
}

/// True or false.
pub(crate) fn boolean(node: &Node) -> Result<bool, String> {
    match node {
        Node::Bool(value) => Ok(*value),
        other => Err(format!("expected true or false, got {other}")),
    }
}

/// A whole number within bounds.
pub(crate) fn integer(range: RangeInclusive<u32>) -> impl Fn(&Node) -> Result<u32, String> {
    move |node| {
        match node {
            Node::Integer(value) => u32::try_from(*value).ok().filter(|v| range.contains(v)),
            _ => None,
        }
        .ok_or_else(|| match (*range.start(), *range.end()) {
            (from, u32::MAX) => format!("expected a whole number from {from}, got {node}"),
            (from, to) => format!("expected a whole number from {from} to {to}, got {node}"),
        })
    }
}

/// A share: above 0, at most 1.
pub(crate) fn share(node: &Node) -> Result<f64, String> {
    let value = match node {
        #[allow(clippy::cast_precision_loss, reason = "only 1 is taken of all whole numbers")]
        Node::Integer(value) => *value as f64,
        Node::Float(value) => *value,
        _ => f64::NAN,
    };
    if value > 0.0 && value <= 1.0 {
        return Ok(value);
    }
    Err(format!("expected a number above 0 and at most 1, such as 0.3, got {node}"))
}

/// A duration of at least `least`.
pub(crate) fn duration_from(least: Duration) -> impl Fn(&Node) -> Result<Duration, String> {
    move |node| {
        let Node::Text(text) = node else {
            let hint = if matches!(node, Node::Integer(_)) { "; the unit is missing" } else { "" };
            return Err(format!("expected {}, got {node}{hint}", values::DURATION));
        };
        let value = values::duration(text)?;
        if value < least {
            let least = values::write_duration(least);
            return Err(format!("expected at least {least}, got {}", quoted(text)));
        }
        Ok(value)
    }
}

/// A duration between two runs of something: at least a second.
pub(crate) fn interval(node: &Node) -> Result<Duration, String> {
    duration_from(Duration::from_secs(1))(node)
}

/// A phone number, in quotes or not.
pub(crate) fn phone_number(node: &Node) -> Result<String, String> {
    match node {
        Node::Text(text) => values::phone_number(text),
        Node::Integer(number) if *number > 0 => values::phone_number(&number.to_string()),
        other => Err(format!("expected a phone number, got {}", other.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_finds_its_neighbour_and_nonsense_finds_none() {
        let known = ["interval", "lookback", "settle_after", "api_token", "rate_limits"];
        assert_eq!(nearest("intervall", &known), Some("interval"));
        assert_eq!(nearest("look-back", &known), Some("lookback"));
        assert_eq!(nearest("api_secret", &known), Some("api_token"));
        assert_eq!(nearest("Rate-Limits", &known), Some("rate_limits"));
        assert_eq!(nearest("zzz", &known), None);
        assert_eq!(nearest("zzz", &[]), None);
    }
}
