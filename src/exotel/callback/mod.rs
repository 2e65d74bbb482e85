//! Reads what Exotel sends us by callback into [`crate::model::callback`]. Pure: no clock, no store.
//!
//! The kind in the address says which family of shapes to expect, the Content-Type how the body is
//! written; within a family the keys decide. What cannot be read at all is [`Unreadable`]; what can be
//! read and is nothing that we know is [`Told::Unknown`], so that a new event of Exotel's is kept
//! rather than refused and lost.
//!
//! Bytes that are no UTF-8: in JSON, and in the name of a form's field, they make the body unreadable.
//! In a form's value they are replaced, so that a customer's name in another encoding loses no call;
//! an id or a word with such a byte then is none.
//!
//! | file | reads |
//! |---|---|
//! | `body` | Content-Type, form, query |
//! | `multipart`, `json` | the other two ways to write a body |
//! | `fields` | what these have in common: names and texts |
//! | `call` | StatusCallback, CCM callback, Passthru, agent events, LeadAssist |
//! | `sms` | delivery reports |
//! | `heartbeat` | health of the ExoPhones |

mod body;
mod call;
mod fields;
mod heartbeat;
mod json;
mod multipart;
mod sms;
#[cfg(test)]
mod tests;

use self::body::Shape;
use crate::model::UtcOffset;
use crate::model::callback::{Kind, Told, Unknown};

/// Most bytes kept of a callback that is nothing we know.
const MAX_RAW: usize = 16 * 1024;

/// A callback as it came.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// The kind in its address.
    pub kind: Kind,
    /// Its Content-Type, where it has one.
    pub content_type: Option<&'a str>,
    /// The query of its address, without `?`. Read where the body is empty, as for Passthru by GET.
    pub query: Option<&'a str>,
    /// Its body.
    pub body: &'a [u8],
    /// Offset of the account's clock, for times that carry a zone.
    pub offset: UtcOffset,
}

/// Why a callback cannot be read, without any value of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub(crate) String);

impl Unreadable {
    fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// Reads a callback.
///
/// Takes time in proportion to the body and memory for at most 1,000 fields, or for 20,000 numbers in each
/// list of a heartbeat, whatever the body holds.
///
/// # Errors
/// [`Unreadable`]: a body that is not what its Content-Type says, one with more fields or levels than
/// any callback has, one that names no call or message.
pub fn read(letter: &Letter<'_>) -> Result<Told, Unreadable> {
    let shape = Shape::of(letter)?;
    let told = match letter.kind {
        Kind::Heartbeat => match shape {
            Shape::Json(text) => heartbeat::from_json(text)?,
            other => heartbeat::from_fields(&other.fields()?)?,
        },
        Kind::Calls | Kind::Passthru => call::read(&shape.fields()?, letter.kind, letter.offset)?,
        Kind::Sms => sms::read(&shape.fields()?, letter.offset)?,
    };
    Ok(match told {
        Read::Told(told) => told,
        Read::Unknown(reason) => Told::Unknown(Unknown { raw: raw(letter), reason: reason.to_owned() }),
    })
}

/// What a reader of one family found.
enum Read {
    Told(Told),
    /// Why it is nothing that we know.
    Unknown(&'static str),
}

/// The callback as text, cut.
fn raw(letter: &Letter<'_>) -> String {
    let bytes = if letter.body.is_empty() { letter.query.unwrap_or("").as_bytes() } else { letter.body };
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_RAW)]).into_owned();
    // A replaced byte is longer than the byte.
    let end = (0..=text.len().min(MAX_RAW)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(end);
    text
}
