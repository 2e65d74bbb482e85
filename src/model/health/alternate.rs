//! What to use instead of a number that is out.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::KnownExoPhone;

/// The number that Exotel names to use while another one is out, as it names it: a number or the sid of an
/// ExoPhone. Mostly one of the account's own; shown as such only if it is.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Alternate(String);

impl Alternate {
    /// Longest text taken for one.
    const LONGEST: usize = 128;

    /// Takes a text; none for one that is empty, `null` or too long to be a number or a sid.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let absent = text.is_empty() || text == "null" || text.len() > Self::LONGEST;
        (!absent).then(|| Self(text.to_owned()))
    }

    /// The text as Exotel wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which of these numbers it is.
    pub fn among<'a>(&self, phones: &'a [KnownExoPhone]) -> Option<&'a KnownExoPhone> {
        phones.iter().find(|phone| phone.is_called(&self.0))
    }
}

impl fmt::Debug for Alternate {
    /// Without the number: it may be none of the account's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alternate(..)")
    }
}
