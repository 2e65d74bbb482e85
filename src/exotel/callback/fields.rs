//! The fields of a callback, however they were written: names and texts in order.
//!
//! Nested values have the names that forms give them, `Legs[0][Status]`, in JSON too.

use crate::exotel::wire::{price_number, seconds};
use crate::model::{Micros, UtcOffset, WallTime, parse_time};

use super::Unreadable;

/// Most fields of a callback; the longest known has about 40.
pub(super) const MOST: usize = 1000;

/// Names and values.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Adds a field.
    ///
    /// # Errors
    /// One too many.
    pub(super) fn push(
        &mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<(), Unreadable> {
        if self.0.len() == MOST {
            return Err(Unreadable::new(format!("expected at most {MOST} fields, got more")));
        }
        self.0.push((name.into(), value.into()));
        Ok(())
    }

    /// Whether there is no field.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a field of this name is there, even an empty one.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Whether any of these is there.
    pub(super) fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.has(name))
    }

    /// Whether a name begins like this.
    pub(super) fn has_prefix(&self, prefix: &str) -> bool {
        self.0.iter().any(|(name, _)| name.starts_with(prefix))
    }

    /// The value of this name, the last where there are several; none where it is empty or `null`.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().rev().find(|(known, _)| known == name)?;
        Some(value.trim()).filter(|value| !value.is_empty() && *value != "null")
    }

    /// The first of these that has a value.
    pub(super) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.text(name))
    }

    /// Values of a list: `name`, `name[]`, `name[0]` and so on.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let of_list = |known: &str| {
            known.strip_prefix(name).is_some_and(|rest| {
                rest.is_empty()
                    || rest
                        .strip_prefix('[')
                        .and_then(|r| r.strip_suffix(']'))
                        .is_some_and(|index| index.bytes().all(|b| b.is_ascii_digit()))
            })
        };
        let values = self.0.iter().filter(|(known, _)| of_list(known)).map(|(_, value)| value.trim());
        values.filter(|v| !v.is_empty() && *v != "null").map(str::to_owned).collect()
    }

    /// Whole seconds; none where they cannot be read.
    pub(super) fn seconds(&self, name: &str) -> Option<u32> {
        self.text(name).and_then(seconds)
    }

    /// A price in millionths, likewise.
    pub(super) fn price(&self, name: &str) -> Option<Micros> {
        self.text(name).and_then(price_number)
    }

    /// A time on Exotel's wall clock, likewise; none for "not yet" too.
    pub(super) fn time(&self, name: &str, offset: UtcOffset) -> Option<WallTime> {
        self.text(name).and_then(|text| parse_time(text, offset).ok().flatten())
    }

    /// A hash over everything but these fields, whatever their order.
    pub(super) fn hash_without(&self, names: &[&str]) -> u64 {
        let mut kept: Vec<&(String, String)> =
            self.0.iter().filter(|(name, _)| !names.contains(&name.as_str())).collect();
        kept.sort_unstable();
        hash(kept.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]))
    }
}

/// A hash of texts that is the same in every run and version.
pub(super) fn hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.digest()
}
