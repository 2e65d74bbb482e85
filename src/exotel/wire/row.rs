//! One row of the call list.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::exotel::Row;
use crate::model::{AnsweredBy, Direction, Observation, Sid, Status, UnreadableRow, WallTime, parse_time};

use super::AccountShape;
use super::details::Flat;
use super::entries::{Entries, each_entry};
use super::field::Field;
use super::odd::Odd;
use super::reader::Reader;

/// Most bytes of a row that is set aside; a row has about 750.
const MAX_RAW: usize = 16 * 1024;

/// A URL that needs no password: a secret, and gone in minutes. It is neither kept nor shown.
const SECRET_KEY: &str = "PreSignedRecordingUrl";

/// Reads one row, `{"Sid": "…", "DateCreated": "2026-03-02 18:45:10", "Status": "completed", …}`.
///
/// Shape: `tests/fixtures/exotel/bulk-calls-page.json`. Without a readable Sid, DateCreated or Status
/// the row is [`Row::Unreadable`]; any other field that cannot be read is absent and kept in
/// [`Observation::odd`], as are keys and words that are not known. A status word that is not known is
/// readable ([`Status::Other`]). Source: Exotel "Call Details", v1, bulk and single.
pub fn read_row(raw: &str, account: &AccountShape) -> Row {
    match serde_json::from_str::<Cells<'_>>(raw) {
        Ok(cells) => cells.read(raw, account),
        Err(e) => unreadable(broken_without_secret(raw), not_an_object(&e), None, None),
    }
}

fn not_an_object(error: &serde_json::Error) -> String {
    if error.is_data() { "the row is not an object" } else { "the row is broken JSON" }.to_owned()
}

/// Declares the fields of a row that are read: one cell for each, filled by key.
macro_rules! cells {
    ($($cell:ident = $key:literal),+ $(,)?) => {
        /// The known fields of a row, the last one where a key comes twice, and the rest.
        #[derive(Default)]
        struct Cells<'a> {
            $($cell: Option<&'a RawValue>,)+
            unknown: Vec<(Cow<'a, str>, &'a RawValue)>,
        }

        impl<'a> Cells<'a> {
            fn put(&mut self, key: Cow<'a, str>, value: &'a RawValue) {
                match key.as_ref() {
                    $($key => self.$cell = Some(value),)+
                    SECRET_KEY => {}
                    _ => self.unknown.push((key, value)),
                }
            }
        }
    };
}

cells! {
    sid = "Sid",
    parent = "ParentCallSid",
    created = "DateCreated",
    updated = "DateUpdated",
    account = "AccountSid",
    to = "To",
    from = "From",
    phone_number = "PhoneNumber",
    phone_number_sid = "PhoneNumberSid",
    status = "Status",
    start = "StartTime",
    end = "EndTime",
    duration = "Duration",
    price = "Price",
    direction = "Direction",
    answered_by = "AnsweredBy",
    forwarded_from = "ForwardedFrom",
    caller_name = "CallerName",
    uri = "Uri",
    custom_field = "CustomField",
    recording_url = "RecordingUrl",
    details = "Details",
    conversation = "ConversationDuration",
    leg1 = "Leg1Status",
    leg2 = "Leg2Status",
}

impl<'de> Deserialize<'de> for Cells<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut cells = Self::default();
        each_entry(deserializer, |key, value| cells.put(key, value))?;
        Ok(cells)
    }
}

impl Cells<'_> {
    fn read(self, raw: &str, account: &AccountShape) -> Row {
        let mut reader = Reader { account, odd: Odd::default() };
        let mut reasons = Vec::new();
        let sid = needed("Sid", self.sid, &mut reasons, |f| match f {
            Field::Text(text) => Sid::parse(text),
            _ => None,
        });
        let created = needed("DateCreated", self.created, &mut reasons, |f| match f {
            Field::Text(text) => parse_time(text, account.utc_offset).ok().flatten(),
            _ => None,
        });
        let status = needed("Status", self.status, &mut reasons, |f| match f {
            Field::Text(text) => Some(Status::from_word(text)),
            _ => None,
        });
        let (Some(sid), Some(created), Some(status)) = (&sid, created, status) else {
            return unreadable(&without_secret(raw), reasons.join("; "), sid, created);
        };
        let mut call = Observation::new(sid.clone(), created, status);
        if let (Status::Other, Some(raw)) = (status, self.status) {
            reader.odd.keep("Status", raw);
        }
        call.updated = reader.time("DateUpdated", self.updated);
        call.parent = reader.parse("ParentCallSid", self.parent, Sid::parse);
        call.start = reader.time("StartTime", self.start);
        call.end = reader.time("EndTime", self.end);
        call.duration = reader.seconds("Duration", self.duration);
        call.price = reader.price("Price", self.price);
        call.direction =
            reader.word("Direction", self.direction, Direction::Other, |w| Some(Direction::from_word(w)));
        call.answered_by =
            reader.word("AnsweredBy", self.answered_by, AnsweredBy::Other, AnsweredBy::from_word);
        call.to = reader.text("To", self.to);
        call.from = reader.text("From", self.from);
        call.forwarded_from = reader.text("ForwardedFrom", self.forwarded_from);
        call.caller_name = reader.text("CallerName", self.caller_name);
        call.custom_field = reader.text("CustomField", self.custom_field);
        call.uri = reader.text("Uri", self.uri);
        call.recording_url = reader.text("RecordingUrl", self.recording_url);
        call.exophone = reader.exophone(self.phone_number, self.phone_number_sid);
        call.details = reader.details(&Flat {
            details: self.details,
            conversation: self.conversation,
            leg1: self.leg1,
            leg2: self.leg2,
        });
        reader.account_sid(self.account);
        for (key, raw) in self.unknown {
            reader.odd.keep(key, raw);
        }
        call.odd = reader.odd.finish();
        Row::Call(Box::new(call))
    }
}

/// A field without which a row is set aside; the reason says no more than which and how.
fn needed<T>(
    name: &str,
    raw: Option<&RawValue>,
    reasons: &mut Vec<String>,
    read: impl FnOnce(&Field<'_>) -> Option<T>,
) -> Option<T> {
    let field = raw.map_or(Field::Absent, Field::of);
    let value = read(&field);
    if value.is_none() {
        reasons.push(match field {
            Field::Absent => format!("{name} is absent"),
            Field::Text(_) => format!("{name} cannot be read"),
            Field::Number(_) => format!("{name} is a number"),
            Field::Other => format!("{name} is no text"),
        });
    }
    value
}

/// A row to set aside.
fn unreadable(raw: &str, reason: String, sid: Option<Sid>, created: Option<WallTime>) -> Row {
    let cut = (0..=raw.len().min(MAX_RAW)).rev().find(|at| raw.is_char_boundary(*at)).unwrap_or(0);
    Row::Unreadable(UnreadableRow { raw: raw[..cut].to_owned(), reason, sid, created })
}

/// The row as it came, less the field that is a secret.
fn without_secret(raw: &str) -> String {
    let mut out = String::from("{");
    // It was an object a moment ago.
    let entries = serde_json::from_str(raw).map_or_else(|_| Vec::new(), |Entries(entries)| entries);
    for (key, value) in entries.iter().filter(|(key, _)| key != SECRET_KEY) {
        if out.len() > 1 {
            out.push(',');
        }
        let key = serde_json::to_string(key.as_ref()).unwrap_or_default();
        out.push_str(&key);
        out.push(':');
        out.push_str(value.get());
        if out.len() > MAX_RAW {
            break;
        }
    }
    out.push('}');
    out
}

/// A row that is no JSON cannot be taken apart: from the secret's name on it is cut.
fn broken_without_secret(raw: &str) -> &str {
    raw.find(SECRET_KEY).map_or(raw, |at| &raw[..at])
}
