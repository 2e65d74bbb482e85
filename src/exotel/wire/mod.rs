//! Exotel's JSON, turned into the types of [`crate::model`].
//!
//! Every row is read by itself, so that one bad row never loses its page, and every field by itself,
//! so that one bad field never loses its row. What cannot be read, and what is not known, is kept as
//! the text that came. The same bytes always give equal values.

mod connectivity;
mod details;
mod entries;
mod exophones;
mod failure;
mod field;
mod message;
mod newer;
mod odd;
mod page;
mod reader;
mod rescue;
mod row;
#[cfg(test)]
mod tests;

pub(super) use connectivity::alternate;
pub(crate) use connectivity::connectivity;
pub(crate) use exophones::exophones;
pub(crate) use failure::failure_text;
pub(super) use field::{price_number, seconds};
pub use message::Balance;
pub(crate) use message::{balance, message};
pub(crate) use newer::{newer_call, newer_legs};
pub use page::read_page;
pub(crate) use page::{call, page};
pub use row::read_row;

use crate::model::UtcOffset;

use super::excerpt::excerpt;

/// What must be known of an account to read its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountShape {
    /// Account sid; rows that name another one keep it in `odd`.
    pub sid: String,
    /// Offset of Exotel's zone-less times, for the few times that carry a zone.
    pub utc_offset: UtcOffset,
}

/// A body that is not what it should be: what was expected and what came, fit to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

impl Malformed {
    /// `expected` was wanted, `body` came.
    fn body(expected: &str, body: &[u8], error: Option<&serde_json::Error>) -> Self {
        let fault = match error {
            // Only where it broke: serde's own words may quote a value.
            Some(e) if e.is_eof() => format!(" cut off at byte {}", body.len()),
            Some(e) if e.is_syntax() => format!(" broken at line {} column {}", e.line(), e.column()),
            _ => String::new(),
        };
        let came = match body.trim_ascii_start().first() {
            None => return Self(format!("expected {expected}, got an empty body")),
            Some(b'{' | b'[') => "JSON",
            Some(b'<') => "HTML or XML",
            Some(_) => "text",
        };
        Self(format!("expected {expected}, got {came}{fault}: {}", excerpt(body)))
    }
}

/// A body as text: without a byte order mark, bytes that are no UTF-8 replaced, so that one bad name
/// in one row does not make a whole page unreadable.
fn text_of(body: &[u8]) -> std::borrow::Cow<'_, str> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    // The check alone is many times faster than the search for what must be replaced.
    std::str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Into::into)
}
