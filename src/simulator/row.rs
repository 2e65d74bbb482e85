//! How a call is spelled: JSON of a row, and XML of a single call.
//!
//! Shape of a row: `{"Sid": "0a1b…2032", "ParentCallSid": null, "DateCreated": "2026-03-02 18:45:10",
//! …, "Duration": "71", "Price": "0.900", …}`. Times are the account's wall clock.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::call::Flaw;
use super::options::{Absent, ExoPhoneKey, ExtraKey, Numbers, Wire};
use super::query::{Asked, Extras};
use super::world::{Legs, Sheet};
use crate::model::WallTime;

/// A row, ready to be spelled.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) account: &'a str,
    pub(super) sheet: Sheet,
    pub(super) wire: Wire,
    pub(super) extras: Extras,
    /// Wrong values, the same for each row of a page.
    pub(super) absurdity: Option<Absurdity>,
}

/// Which of its values cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absurdity {
    /// Duration, Price and `ConversationDuration`.
    Numbers,
    /// DateCreated, `DateUpdated` and `EndTime`.
    Dates,
    /// Values of other types than ever seen.
    Types,
}

/// A value before it is spelled.
enum Value {
    Absent,
    AbsentTime,
    Text(String),
    Time(WallTime),
    /// A whole number.
    Count(u32),
    /// Millionths.
    Money(i64),
    Raw(serde_json::Value),
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Absent, Self::Text)
    }
}

impl From<Option<WallTime>> for Value {
    fn from(time: Option<WallTime>) -> Self {
        time.map_or(Self::AbsentTime, Self::Time)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Row<'_> {
    /// Keys and values in Exotel's order.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        let sheet = &self.sheet;
        let text = |text: &Option<String>| Value::from(text.clone());
        let mut fields = vec![
            ("Sid", Value::from(sheet.sid.as_str())),
            ("ParentCallSid", text(&sheet.parent)),
            ("DateCreated", Value::Time(sheet.created)),
            ("DateUpdated", Value::Time(sheet.updated)),
            ("AccountSid", Value::from(self.account)),
            ("To", Value::from(sheet.to.as_str())),
            ("From", Value::from(sheet.from.as_str())),
        ];
        if self.wire.exophone_key != ExoPhoneKey::PhoneNumberSid {
            fields.push(("PhoneNumber", Value::from(sheet.exophone.as_str())));
        }
        if self.wire.exophone_key != ExoPhoneKey::PhoneNumber {
            fields.push(("PhoneNumberSid", Value::from(sheet.exophone.as_str())));
        }
        let unknown = if sheet.zero { Value::Count(0) } else { Value::Absent };
        fields.extend([
            ("Status", Value::from(sheet.status)),
            ("StartTime", Value::Time(sheet.start)),
            ("EndTime", Value::from(sheet.end)),
            ("Duration", sheet.duration.map_or(unknown, Value::Count)),
            ("Price", sheet.price.map_or(Value::Absent, Value::Money)),
            ("Direction", Value::from(sheet.direction)),
            ("AnsweredBy", sheet.answered_by.map_or(Value::Absent, Value::from)),
            ("ForwardedFrom", Value::Absent),
            ("CallerName", Value::Absent),
            ("Uri", Value::Text(format!("/v1/Accounts/{}/Calls.json/{}", self.account, sheet.sid))),
            ("CustomField", text(&sheet.custom)),
            ("RecordingUrl", Value::from(self.recording())),
        ]);
        if let Some(minutes) = self.extras.presigned {
            let seconds = minutes * 60;
            let signed = |url| format!("{url}?X-Amz-Expires={seconds}&X-Amz-Signature=00000000000000000000");
            fields.push(("PreSignedRecordingUrl", Value::from(self.recording().map(signed))));
        }
        self.spoil(&mut fields);
        fields
    }

    fn recording(&self) -> Option<String> {
        let Sheet { sid, recorded, .. } = &self.sheet;
        let url = || format!("https://recordings.exotel.com/exotelrecordings/{}/{sid}.mp3", self.account);
        recorded.then(url)
    }

    /// Puts in what makes the row unreadable or absurd.
    fn spoil(&self, fields: &mut Vec<(&'static str, Value)>) {
        let mut put = |key: &str, value: Value| {
            if let Some(field) = fields.iter_mut().find(|(name, _)| *name == key) {
                field.1 = value;
            }
        };
        match self.absurdity {
            None => {}
            Some(Absurdity::Numbers) => {
                put("Duration", Value::from("-99999999999999999999"));
                put("Price", Value::Raw(serde_json::json!("1e400")));
            }
            Some(Absurdity::Dates) => {
                put("DateCreated", Value::from("9999-99-99 99:99:99"));
                put("DateUpdated", Value::from("0000-13-32 25:61:61"));
                put("EndTime", Value::from("2026-02-30 12:00:00+50:30"));
            }
            Some(Absurdity::Types) => {
                put("Duration", Value::Raw(serde_json::json!({"seconds": [1, 2]})));
                put("Price", Value::Raw(serde_json::json!(["INR"])));
                put("EndTime", Value::Raw(serde_json::json!(true)));
                put("CustomField", Value::Raw(serde_json::json!(12.5)));
            }
        }
        match self.sheet.flaw {
            None => {}
            Some(Flaw::BadCreated) => put("DateCreated", Value::from("yesterday")),
            Some(Flaw::NoStatus) => put("Status", Value::Absent),
            Some(Flaw::NoSid) => fields.retain(|(name, _)| *name != "Sid"),
        }
    }

    fn put<M: SerializeMap>(&self, map: &mut M, key: &str, value: &Value) -> Result<(), M::Error> {
        let texts = self.sheet.numbers == Numbers::Texts;
        match value {
            Value::Text(text) => map.serialize_entry(key, text),
            Value::Time(time) => map.serialize_entry(key, &time.to_string()),
            Value::Count(count) if texts => map.serialize_entry(key, &count.to_string()),
            Value::Count(count) => map.serialize_entry(key, count),
            Value::Money(micros) if texts => map.serialize_entry(key, &decimal(*micros)),
            Value::Money(micros) => map.serialize_entry(key, &(*micros as f64 / 1_000_000.0)),
            Value::Raw(value) => map.serialize_entry(key, value),
            Value::Absent | Value::AbsentTime => match (self.wire.absent, value) {
                (Absent::Missing, _) => Ok(()),
                (Absent::Empty, _) => map.serialize_entry(key, ""),
                (Absent::Sentinel, Value::AbsentTime) => map.serialize_entry(key, "1970-01-01 05:30:00"),
                (Absent::Null | Absent::Sentinel, _) => map.serialize_entry(key, &None::<()>),
            },
        }
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.fields() {
            self.put(&mut map, key, &value)?;
        }
        if self.extras.details == Asked::Yes {
            map.serialize_entry("Details", &Details(self))?;
        }
        extra_key(&mut map, self.wire)?;
        map.end()
    }
}

/// Adds a key that no documentation names.
pub(super) fn extra_key<M: SerializeMap>(map: &mut M, wire: Wire) -> Result<(), M::Error> {
    match wire.extra_key {
        ExtraKey::Absent => Ok(()),
        ExtraKey::Present => map.serialize_entry("QualityHint", &serde_json::json!({"grade": [4, null]})),
    }
}

/// `{"ConversationDuration": 8, "Leg1Status": "completed", "Leg2Status": "completed",
/// "Legs": [{"Leg": {"Id": 1, "OnCallDuration": 21}}, {"Leg": {"Id": 2, "OnCallDuration": 8}}]}`
struct Details<'a>(&'a Row<'a>);

impl Serialize for Details<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = self.0;
        let Legs { talk, leg1, leg2, leg1_seconds } = row.sheet.legs;
        let absurd = row.absurdity == Some(Absurdity::Numbers);
        let talk_value = if absurd { Value::from("-1") } else { Value::Count(talk) };
        let mut map = serializer.serialize_map(None)?;
        row.put(&mut map, "ConversationDuration", &talk_value)?;
        row.put(&mut map, "Leg1Status", &Value::from(leg1))?;
        row.put(&mut map, "Leg2Status", &leg2.map_or(Value::Absent, Value::from))?;
        let leg = |id: u32, seconds: u32| serde_json::json!({"Leg": {"Id": id, "OnCallDuration": seconds}});
        let mut legs = vec![leg(1, leg1_seconds)];
        legs.extend(leg2.map(|_| leg(2, talk)));
        map.serialize_entry("Legs", &legs)?;
        extra_key(&mut map, row.wire)?;
        map.end()
    }
}

/// Millionths with at least three decimals and no zero beyond them: `0.900`, `0.300030` is `0.30003`.
fn decimal(micros: i64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let needed = text.trim_end_matches('0').len().max(text.len() - 3);
    text[..needed].to_owned()
}

/// The answer about one call on a path without `.json`.
pub(super) fn xml(row: &Row<'_>) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<TwilioResponse>\n <Call>\n");
    for (key, value) in row.fields() {
        let value = match value {
            Value::Absent | Value::AbsentTime => None,
            Value::Text(text) => Some(escape(&text)),
            Value::Time(time) => Some(time.to_string()),
            Value::Count(count) => Some(count.to_string()),
            Value::Money(micros) => Some(format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)),
            Value::Raw(value) => Some(escape(&value.to_string())),
        };
        match value {
            Some(value) => text.push_str(&format!("  <{key}>{value}</{key}>\n")),
            None => text.push_str(&format!("  <{key}/>\n")),
        }
    }
    text.push_str(" </Call>\n</TwilioResponse>\n");
    text
}

/// Text for XML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn sheet() -> Sheet {
        Sheet {
            sid: "0a1b2c3d4e5f60718293a4b5c6d7203m".to_owned(),
            parent: None,
            created: WallTime(1_772_477_110),
            updated: WallTime(1_772_477_200),
            start: WallTime(1_772_477_110),
            end: None,
            duration: None,
            price: None,
            to: "09900000001".to_owned(),
            from: "09800000001".to_owned(),
            exophone: "08000000011".to_owned(),
            status: "completed",
            direction: "outbound-api",
            answered_by: None,
            custom: None,
            recorded: false,
            legs: Legs { talk: 8, leg1: "completed", leg2: None, leg1_seconds: 21 },
            flaw: None,
            numbers: Numbers::Texts,
            zero: false,
        }
    }

    fn json(sheet: Sheet, change: impl FnOnce(&mut Row<'_>)) -> Json {
        let mut row = Row {
            account: "exampleacct1",
            sheet,
            wire: Wire::default(),
            extras: Extras::default(),
            absurdity: None,
        };
        change(&mut row);
        serde_json::to_value(&row).unwrap()
    }

    #[test]
    fn absent_values_are_written_in_every_known_way() {
        let end = |absent| json(sheet(), |row| row.wire.absent = absent).get("EndTime").cloned();
        assert_eq!(end(Absent::Null), Some(Json::Null));
        assert_eq!(end(Absent::Empty), Some(json!("")));
        assert_eq!(end(Absent::Missing), None);
        assert_eq!(end(Absent::Sentinel), Some(json!("1970-01-01 05:30:00")));
        let price = json(sheet(), |row| row.wire.absent = Absent::Sentinel);
        assert_eq!(price["Price"], Json::Null);
    }

    #[test]
    fn numbers_are_texts_or_numbers() {
        let known = Sheet { duration: Some(71), price: Some(300_030), ..sheet() };
        let row = json(known.clone(), |_| {});
        assert_eq!((&row["Duration"], &row["Price"]), (&json!("71"), &json!("0.30003")));
        let row = json(Sheet { numbers: Numbers::Numbers, ..known }, |_| {});
        assert_eq!((&row["Duration"], &row["Price"]), (&json!(71), &json!(0.30003)));
        assert_eq!(decimal(900_000), "0.900");
        assert_eq!(decimal(12_000_001), "12.000001");
    }

    #[test]
    fn the_exophone_stands_under_the_chosen_key() {
        for (key, number, sid) in [
            (ExoPhoneKey::PhoneNumber, true, false),
            (ExoPhoneKey::PhoneNumberSid, false, true),
            (ExoPhoneKey::Both, true, true),
        ] {
            let row = json(sheet(), |row| row.wire.exophone_key = key);
            assert_eq!(
                (row.get("PhoneNumber").is_some(), row.get("PhoneNumberSid").is_some()),
                (number, sid)
            );
        }
    }

    #[test]
    fn details_and_signed_urls_come_only_when_asked_for() {
        let plain = json(sheet(), |_| {});
        assert!(plain.get("Details").is_none() && plain.get("PreSignedRecordingUrl").is_none());
        let row = json(Sheet { recorded: true, ..sheet() }, |row| {
            row.extras = Extras { details: Asked::Yes, presigned: Some(5) };
        });
        assert_eq!(row["Details"]["ConversationDuration"], "8");
        assert_eq!(row["Details"]["Leg2Status"], Json::Null);
        assert_eq!(row["Details"]["Legs"], json!([{"Leg": {"Id": 1, "OnCallDuration": 21}}]));
        assert!(row["PreSignedRecordingUrl"].as_str().unwrap().contains("X-Amz-Expires=300"));
    }

    #[test]
    fn unreadable_rows_lack_one_thing_each() {
        let flawed = |flaw| json(Sheet { flaw: Some(flaw), ..sheet() }, |_| {});
        assert!(flawed(Flaw::NoSid).get("Sid").is_none());
        assert_eq!(flawed(Flaw::BadCreated)["DateCreated"], "yesterday");
        assert_eq!(flawed(Flaw::NoStatus)["Status"], Json::Null);
    }

    #[test]
    fn a_duration_that_is_not_yet_known_may_be_said_to_be_zero() {
        assert_eq!(json(Sheet { zero: true, ..sheet() }, |_| {})["Duration"], "0");
        assert_eq!(json(Sheet { zero: true, duration: Some(4), ..sheet() }, |_| {})["Duration"], "4");
    }

    #[test]
    fn xml_has_the_old_root_and_empty_elements() {
        let row = Row {
            account: "exampleacct1",
            sheet: sheet(),
            wire: Wire::default(),
            extras: Extras::default(),
            absurdity: None,
        };
        let text = xml(&row);
        assert!(text.contains("<TwilioResponse>") && text.contains("<ParentCallSid/>"), "{text}");
        assert!(text.contains("<DateCreated>2026-03-02 18:45:10</DateCreated>"), "{text}");
        assert_eq!(escape("a<b&c"), "a&lt;b&amp;c");
    }
}
