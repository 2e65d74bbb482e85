//! Exotel's call id.

use std::fmt;
use std::sync::Arc;

/// A call's Sid: Exotel's id, 32 characters of `[0-9a-z]` in every sample, not always hex.
///
/// Nothing is read into it. Accepted is what can stand in a URL path and in a comma list: 1 to 64
/// ASCII letters, digits, `-` and `_`, kept as they came.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid(Arc<str>);

/// Something for each Sid, found by a hash that is quick for short texts.
pub type SidMap<V> = std::collections::HashMap<Sid, V, foldhash::fast::RandomState>;

impl Sid {
    /// The longest text taken for a Sid; twice what Exotel uses.
    pub const MAX_LEN: usize = 64;

    /// Takes a text that can be a Sid.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = !text.is_empty()
            && text.len() <= Self::MAX_LEN
            && text != "null"
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        fits.then(|| Self(Arc::from(text)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sids_need_not_be_hex_and_hostile_texts_are_no_sids() {
        assert!(Sid::parse("4f5f60718293a4b5c6d7e8f10203203m").is_some());
        for bad in ["", "null", "a b", "a/b", "a,b", "a\n", "é", &"a".repeat(65)] {
            assert_eq!(Sid::parse(bad), None, "{bad}");
        }
    }
}
