//! A page of the call list, and the answer for one call.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::exotel::next_page::next_page;
use crate::exotel::{CallsPage, Error, ErrorKind, Row};
use crate::model::{Observation, Sid};

use super::field::{Field, seconds};
use super::{AccountShape, Malformed, read_row, rescue, text_of};

/// `{"Metadata": {…}, "Calls": [ … ]}`.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "Metadata")]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, rename = "Calls")]
    calls: Option<Vec<&'a RawValue>>,
}

/// `{"Total": 5, "PageSize": 2, "FirstPageUri": …, "PrevPageUri": …, "NextPageUri": …}`; only what is
/// used. `PageSize` is not: Exotel's own samples have it wrong.
#[derive(Default, Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, rename = "Total")]
    total: Option<&'a RawValue>,
    #[serde(borrow, rename = "NextPageUri")]
    next: Option<&'a RawValue>,
}

/// Reads a bulk page that came by another way than the client: for benchmarks and fuzzing. `requested` is
/// the path and query that it answers.
///
/// # Errors
/// [`ErrorKind::Decode`].
pub fn read_page(body: &[u8], account: &AccountShape, requested: &str) -> Result<CallsPage, Error> {
    page(body, account, requested).map_err(|Malformed(message)| Error {
        kind: ErrorKind::Decode,
        status: None,
        message,
    })
}

/// Reads a bulk page that answered `requested`, our path and query.
///
/// # Errors
/// When the body is not JSON, has no `Calls` array, or names a next page that is none of ours.
pub(crate) fn page(body: &[u8], account: &AccountShape, requested: &str) -> Result<CallsPage, Malformed> {
    const EXPECTED: &str = "a page with a Calls array";
    let text = text_of(body);
    match serde_json::from_str::<Envelope<'_>>(&text) {
        // serde reads a struct from an array too; Exotel does not write one so.
        Ok(_) if !text.trim_start().starts_with('{') => Err(Malformed::body(EXPECTED, body, None)),
        Ok(envelope) => {
            let rows = envelope.calls.ok_or_else(|| Malformed::body(EXPECTED, body, None))?;
            let rows = rows.into_iter().map(|raw| read_row(raw.get(), account)).collect();
            assemble(rows, envelope.metadata.map(RawValue::get), account, requested)
        }
        // One broken row must not lose its page, as long as the page itself is whole.
        Err(error) => {
            let whole = rescue::rows(&text).ok_or_else(|| Malformed::body(EXPECTED, body, Some(&error)))?;
            let rows = whole.rows.into_iter().map(|raw| read_row(raw, account)).collect();
            assemble(rows, whole.metadata, account, requested)
        }
    }
}

fn assemble(
    rows: Vec<Row>,
    metadata: Option<&str>,
    account: &AccountShape,
    requested: &str,
) -> Result<CallsPage, Malformed> {
    let metadata = match metadata.filter(|m| !matches!(*m, "null" | "[]")) {
        Some(raw) => serde_json::from_str::<Metadata<'_>>(raw)
            .ok()
            .filter(|_| raw.starts_with('{'))
            .ok_or_else(|| Malformed("expected Metadata of the page to be an object".to_owned()))?,
        None => Metadata::default(),
    };
    let total = metadata.total.and_then(|raw| match Field::of(raw) {
        Field::Number(text) => text.parse().ok(),
        Field::Text(text) => text.parse().ok(),
        Field::Absent | Field::Other => None,
    });
    let next = match metadata.next.map(Field::of) {
        // A page without rows is the last, whatever it says.
        _ if rows.is_empty() => None,
        None | Some(Field::Absent) => None,
        Some(Field::Text(uri)) => match next_page(&uri, &account.sid) {
            // A page that names itself is the last, if the number of rows can bear that out; else whoever
            // reads goes round once and sees that it is a circle.
            Ok(next) => Some(next).filter(|next| next.0 != requested || total.is_none()),
            Err(why) => return Err(Malformed(format!("NextPageUri is refused: {why}"))),
        },
        Some(Field::Number(_) | Field::Other) => {
            return Err(Malformed("NextPageUri is refused: it is no text".to_owned()));
        }
    };
    Ok(CallsPage { rows, total, next })
}

/// `{"Call": {row}}`.
#[derive(Deserialize)]
struct Single<'a> {
    #[serde(borrow, rename = "Call")]
    call: Option<&'a RawValue>,
}

/// Reads the answer for one call.
///
/// # Errors
/// When the body is not JSON, has no `Call`, or its row cannot be read or is another call's.
pub(crate) fn call(body: &[u8], account: &AccountShape, asked: &Sid) -> Result<Observation, Malformed> {
    const EXPECTED: &str = "a Call object";
    let text = text_of(body);
    let single: Single<'_> =
        serde_json::from_str(&text).map_err(|e| Malformed::body(EXPECTED, body, Some(&e)))?;
    let raw = single.call.ok_or_else(|| Malformed::body(EXPECTED, body, None))?;
    match read_row(raw.get(), account) {
        Row::Call(call) if call.sid == *asked => Ok(*call),
        Row::Call(_) => Err(Malformed("expected the call that was asked for, got another one".to_owned())),
        Row::Unreadable(row) => Err(Malformed(format!("the call cannot be read: {}", row.reason))),
    }
}

/// A page size, as a number or as text.
pub(super) fn small_number(raw: &serde_json::Value) -> Option<u32> {
    match raw {
        serde_json::Value::Number(n) => n.as_u64().and_then(|n| u32::try_from(n).ok()),
        serde_json::Value::String(s) => seconds(s),
        _ => None,
    }
}
