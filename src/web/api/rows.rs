//! Rows that could not be read.

use axum::Json;
use axum::extract::State;

use serde_json::{Map, Value};

use super::Shared;
use super::ask::Ask;
use super::numbers::Numbers;
use super::schema::Time;
use crate::model::{Status, WallTime};
use crate::web::access::Refusal;

answer! {
    /// A row of Exotel's call list that lacks a readable Sid, DateCreated or Status.
    SetAside {
        /// Identifies the row, as a text: it needs 64 bits.
        id: String,
        /// Sid, where it could be read.
        sid: Option<String>,
        /// What was expected and what came.
        reason: String,
        /// The row's text. Unless privacy.phone_numbers is plain, what looks like a number is shown as that
        /// says, and fields that may name a person are hidden.
        raw: String,
        /// It was created at this time or later.
        created_after: Time,
        /// It was created at this time or earlier.
        created_before: Time,
        /// When it was first read.
        first_seen: Time,
        /// When it is to be read again.
        retry_at: Time,
        /// Times it was read again in vain.
        tries: u64,
    }
}

/// Rows that wait to become readable, newest first.
pub(super) async fn set_aside(
    State(shared): State<Shared>,
    ask: Ask,
) -> Result<Json<Vec<SetAside>>, Refusal> {
    let mut rows = shared.desk.set_aside(ask.who.account).await?;
    rows.sort_by_key(|row| std::cmp::Reverse((row.first_seen, row.id)));
    let wall = |seconds| Time(WallTime(seconds).to_timestamp(ask.who.offset));
    let numbers = shared.manner.numbers();
    let rows = rows.into_iter().take(ask.limit(100)).map(|row| SetAside {
        id: format!("{:016x}", row.id),
        sid: row.sid,
        reason: row.reason,
        raw: raw(&numbers, &row.raw),
        created_after: wall(row.after),
        created_before: wall(row.before),
        first_seen: Time::seconds(row.first_seen),
        retry_at: Time::seconds(row.retry_at),
        tries: u64::from(row.tries),
    });
    Ok(Json(rows.collect()))
}

/// Fields whose value names nobody, numbers aside.
const IMPERSONAL: [&str; 16] = [
    "AccountSid",
    "AnsweredBy",
    "ConversationDuration",
    "DateCreated",
    "DateUpdated",
    "Details",
    "Direction",
    "Duration",
    "EndTime",
    "ParentCallSid",
    "PhoneNumber",
    "PhoneNumberSid",
    "Price",
    "Sid",
    "StartTime",
    "Uri",
];
/// Fields that are a number, or the address of an agent's app.
const NUMBERS: [&str; 3] = ["ForwardedFrom", "From", "To"];

/// The text of a row as it may be shown.
fn raw(numbers: &Numbers, row: &str) -> String {
    if numbers.are_plain() {
        return row.to_owned();
    }
    // A row that was cut, is no object or was erased: nobody can say what is in it.
    let Ok(fields) = serde_json::from_str::<Map<String, Value>>(row) else { return "(hidden)".to_owned() };
    let shown = fields.into_iter().map(|(name, value)| {
        let value = match value {
            Value::Null | Value::Bool(_) => value.to_string(),
            Value::String(number) if NUMBERS.contains(&name.as_str()) => {
                Value::from(numbers.show(&number)).to_string()
            }
            value if IMPERSONAL.contains(&name.as_str()) => numbers.show_text(&value.to_string()),
            Value::String(word) if name == "Status" && is_status(&word) => Value::from(word).to_string(),
            _ => "\"(hidden)\"".to_owned(),
        };
        format!("{}: {value}", numbers.show_text(&Value::from(name).to_string()))
    });
    format!("{{{}}}", shown.collect::<Vec<_>>().join(", "))
}

fn is_status(word: &str) -> bool {
    Status::ALL.iter().any(|status| status.as_str() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"{"Sid": "c1", "From": "+919876543210", "To": "sip:ravi", "Status": "busy", "Duration": 17,
        "DateCreated": "2026-03-02 18:45:10", "PhoneNumber": "08000000011", "Price": ["9876543210"],
        "CallerName": "Ravi", "CustomField": "of Ravi", "RecordingUrl": "https://ravi.example", "Mood": null}"#;

    #[test]
    fn of_a_row_nothing_is_shown_that_names_a_person() {
        for numbers in [Numbers::Masked, Numbers::hashed(b"a key")] {
            let shown = raw(&numbers, ROW);
            assert!(!shown.contains("987654") && !shown.to_lowercase().contains("ravi"), "{shown}");
            for rest in [
                r#""Sid": "c1""#,
                r#""Status": "busy""#,
                r#""Duration": 17"#,
                r#""DateCreated": "2026-03-02 18:45:10""#,
                r#""Mood": null"#,
                r#""CallerName": "(hidden)""#,
            ] {
                assert!(shown.contains(rest), "{rest}: {shown}");
            }
        }
        assert!(raw(&Numbers::Masked, ROW).contains(r#""From": "+********3210", "#));
        assert_eq!(raw(&Numbers::Plain, ROW), ROW);
        let odd = ROW.replace("\"busy\"", "\"Ravi\"");
        assert!(!raw(&Numbers::Masked, &odd).contains("Ravi"), "that is no status");
        for text in ["\"Ravi\"", "[\"Ravi\"]", r#"{"CallerName": "Rav"#, "(erased)"] {
            assert_eq!(raw(&Numbers::Masked, text), "(hidden)");
        }
    }
}
