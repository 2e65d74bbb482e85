//! One row of the call list.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::exotel::Row;
use crate::model::{
    AnsweredBy, Details, Direction, LegStatus, Micros, Observation, Sid, Status, UnreadableRow, WallTime,
    last_ten_digits, parse_time,
};

use super::AccountShape;
use super::field::{Field, price_number, price_text, seconds};
use super::odd::Odd;

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
    match serde_json::from_str::<Entries<'_>>(raw) {
        Ok(Entries(entries)) => Cells::of(entries).read(account),
        Err(e) => unreadable(broken_without_secret(raw), not_an_object(&e), None, None),
    }
}

fn not_an_object(error: &serde_json::Error) -> String {
    if error.is_data() { "the row is not an object" } else { "the row is broken JSON" }.to_owned()
}

/// The keys and values of an object, in order.
struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(Visit)
    }
}

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Entries<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut entries = Vec::with_capacity(24);
                while let Some(Key(key)) = map.next_key()? {
                    entries.push((key, map.next_value()?));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

/// Declares the fields of a row that are read: one cell for each, filled by key.
macro_rules! cells {
    ($($cell:ident = $key:literal),+ $(,)?) => {
        /// The known fields of a row, the last one where a key comes twice, and the rest.
        #[derive(Default)]
        struct Cells<'a> {
            $($cell: Option<&'a RawValue>,)+
            unknown: Vec<(Cow<'a, str>, &'a RawValue)>,
            entries: Vec<(Cow<'a, str>, &'a RawValue)>,
        }

        impl<'a> Cells<'a> {
            fn of(entries: Vec<(Cow<'a, str>, &'a RawValue)>) -> Self {
                let mut cells = Self::default();
                for (key, value) in &entries {
                    match key.as_ref() {
                        $($key => cells.$cell = Some(*value),)+
                        SECRET_KEY => {}
                        _ => cells.unknown.push((key.clone(), *value)),
                    }
                }
                cells.entries = entries;
                cells
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

impl Cells<'_> {
    fn read(self, account: &AccountShape) -> Row {
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
            return unreadable(&without_secret(&self.entries), reasons.join("; "), sid, created);
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
        call.details = reader.details(&self);
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

/// Reads the fields that may be bad: a bad one is absent, its text kept.
struct Reader<'a> {
    account: &'a AccountShape,
    odd: Odd,
}

impl Reader<'_> {
    /// Any scalar that `read` takes.
    fn parse<T>(
        &mut self,
        name: &str,
        raw: Option<&RawValue>,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let raw = raw?;
        let value = match Field::of(raw) {
            Field::Absent => return None,
            Field::Text(text) => read(&text),
            Field::Number(text) => read(text),
            Field::Other => None,
        };
        if value.is_none() {
            self.odd.keep(name, raw);
        }
        value
    }

    fn text(&mut self, name: &str, raw: Option<&RawValue>) -> Option<String> {
        self.parse(name, raw, |text| Some(text.to_owned()))
    }

    fn seconds(&mut self, name: &str, raw: Option<&RawValue>) -> Option<u32> {
        self.parse(name, raw, seconds)
    }

    fn price(&mut self, name: &str, raw: Option<&RawValue>) -> Option<Micros> {
        let number = raw.is_some_and(|raw| matches!(Field::of(raw), Field::Number(_)));
        self.parse(name, raw, if number { price_number } else { price_text })
    }

    fn time(&mut self, name: &str, raw: Option<&RawValue>) -> Option<WallTime> {
        let raw = raw?;
        let read = match Field::of(raw) {
            Field::Absent => return None,
            Field::Text(text) => parse_time(&text, self.account.utc_offset).ok(),
            Field::Number(_) | Field::Other => None,
        };
        if read.is_none() {
            self.odd.keep(name, raw);
        }
        // A time that means "not yet" is absent, not odd.
        read.flatten()
    }

    /// A word of a closed set; one we do not know is `other`, its text kept.
    fn word<T: Copy + PartialEq>(
        &mut self,
        name: &str,
        raw: Option<&RawValue>,
        other: T,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let raw = raw?;
        let value = match Field::of(raw) {
            Field::Absent => return None,
            Field::Text(text) => read(&text),
            Field::Number(_) | Field::Other => {
                self.odd.keep(name, raw);
                return None;
            }
        };
        if value == Some(other) {
            self.odd.keep(name, raw);
        }
        value
    }

    /// `PhoneNumber`, else `PhoneNumberSid`, which holds the number too in most answers. One that
    /// says something else is kept.
    fn exophone(&mut self, number: Option<&RawValue>, sid: Option<&RawValue>) -> Option<String> {
        let phone = self.text("PhoneNumber", number);
        let phone_sid = self.text("PhoneNumberSid", sid);
        if let (Some(a), Some(b), Some(raw)) = (&phone, &phone_sid, sid) {
            let same_number = last_ten_digits(a).is_some() && last_ten_digits(a) == last_ten_digits(b);
            if a != b && !same_number {
                self.odd.keep("PhoneNumberSid", raw);
            }
        }
        phone.or(phone_sid)
    }

    fn account_sid(&mut self, raw: Option<&RawValue>) {
        let Some(raw) = raw else { return };
        match Field::of(raw) {
            Field::Absent => {}
            Field::Text(text) if text == self.account.sid.as_str() => {}
            _ => self.odd.keep("AccountSid", raw),
        }
    }

    /// Leg results: the `Details` block, what it lacks from the flat fields. None where neither says
    /// anything: a call whose details were never told is not one without legs.
    fn details(&mut self, cells: &Cells<'_>) -> Option<Details> {
        let block = cells.details.map(|raw| self.details_block(raw)).unwrap_or_default();
        let conversation = self.seconds("ConversationDuration", cells.conversation);
        let leg1 = self.leg_status("Leg1Status", cells.leg1);
        let leg2 = self.leg_status("Leg2Status", cells.leg2);
        let details = Details {
            conversation: block.conversation.or(conversation),
            leg1: block.leg1.or(leg1),
            leg2: block.leg2.or(leg2),
            ..block
        };
        (details != Details::default()).then_some(details)
    }

    fn leg_status(&mut self, name: &str, raw: Option<&RawValue>) -> Option<LegStatus> {
        self.word(name, raw, LegStatus::Other, LegStatus::from_word)
    }

    fn details_block(&mut self, raw: &RawValue) -> Details {
        let mut details = Details::default();
        // PHP writes an empty object as `[]`.
        if matches!(Field::of(raw), Field::Absent) || raw.get().trim_matches(['[', ']', ' ']).is_empty() {
            return details;
        }
        let Ok(Entries(entries)) = serde_json::from_str(raw.get()) else {
            self.odd.keep("Details", raw);
            return details;
        };
        for (key, value) in entries {
            let name = format!("Details.{key}");
            match key.as_ref() {
                "ConversationDuration" => details.conversation = self.seconds(&name, Some(value)),
                "Leg1Status" => details.leg1 = self.leg_status(&name, Some(value)),
                "Leg2Status" => details.leg2 = self.leg_status(&name, Some(value)),
                "Legs" => self.legs(&name, value, &mut details),
                _ => self.odd.keep(name, value),
            }
        }
        details
    }

    /// `[{"Leg": {"Id": 1, "OnCallDuration": 21}}, …]`, with or without the inner `Leg`.
    fn legs(&mut self, name: &str, raw: &RawValue, details: &mut Details) {
        if matches!(Field::of(raw), Field::Absent) {
            return;
        }
        match legs(raw) {
            Some([first, second]) => {
                (details.leg1_seconds, details.leg2_seconds) = (first, second);
            }
            None => self.odd.keep(name, raw),
        }
    }
}

/// Seconds on call of leg 1 and leg 2; none if the list says anything else too.
fn legs(raw: &RawValue) -> Option<[Option<u32>; 2]> {
    let mut on_call = [None; 2];
    let list: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
    for (at, item) in list.into_iter().enumerate() {
        let Entries(mut leg) = serde_json::from_str(item.get()).ok()?;
        if let [(key, inner)] = leg.as_slice()
            && key == "Leg"
        {
            leg = serde_json::from_str::<Entries<'_>>(inner.get()).ok()?.0;
        }
        let mut slot = at;
        let mut duration = None;
        for (key, value) in leg {
            match (key.as_ref(), Field::of(value)) {
                ("Id" | "OnCallDuration", Field::Absent) => {}
                ("Id", Field::Number(id)) => slot = leg_slot(id)?,
                ("Id", Field::Text(id)) => slot = leg_slot(&id)?,
                ("OnCallDuration", Field::Number(text)) => duration = Some(seconds(text)?),
                ("OnCallDuration", Field::Text(text)) => duration = Some(seconds(&text)?),
                _ => return None,
            }
        }
        *on_call.get_mut(slot)? = duration;
    }
    Some(on_call)
}

fn leg_slot(id: &str) -> Option<usize> {
    match id {
        "1" => Some(0),
        "2" => Some(1),
        _ => None,
    }
}

/// A row to set aside.
fn unreadable(raw: &str, reason: String, sid: Option<Sid>, created: Option<WallTime>) -> Row {
    let cut = (0..=raw.len().min(MAX_RAW)).rev().find(|at| raw.is_char_boundary(*at)).unwrap_or(0);
    Row::Unreadable(UnreadableRow { raw: raw[..cut].to_owned(), reason, sid, created })
}

/// The row as it came, less the field that is a secret.
fn without_secret(entries: &[(Cow<'_, str>, &RawValue)]) -> String {
    let mut out = String::from("{");
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
