//! Delivery reports of messages, in three shapes.
//!
//! | shape | keys |
//! |---|---|
//! | form, usual | `SmsSid, To, Status, SmsUnits, DetailedStatus, DetailedStatusCode, DateSent, CustomField` |
//! | form, older | `SmsSid, Status, DateUpdated` |
//! | JSON | `SmsSid, ExoStatusCode, SentAt` or `UpdatedAt` as ISO times |
//!
//! Source: Exotel "Send SMS" (StatusCallback), support article 3000007217, "SMS webhooks"; read 2026-11.

use crate::model::callback::{SmsReport, SmsStatus, Told};
use crate::model::{Sid, Timestamp, UtcOffset};

use super::fields::Fields;
use super::{Read, Unreadable};

/// Keys by which a report is known for one, even if it lacks its id.
const OURS: [&str; 9] = [
    "SmsSid",
    "sms_sid",
    "SmsUnits",
    "DetailedStatus",
    "DetailedStatusCode",
    "ExoStatusCode",
    "DateSent",
    "SentAt",
    "Status",
];

/// Reads a report.
pub(super) fn read(fields: &Fields, offset: UtcOffset) -> Result<Read, Unreadable> {
    if fields.has("CallSid") {
        return Ok(Read::Unknown("it tells of a call, at the address for messages"));
    }
    let Some(sid) = fields.first(&["SmsSid", "sms_sid", "Sid"]) else {
        if fields.has_any(&OURS) {
            return Err(Unreadable::new("SmsSid is absent"));
        }
        return Ok(Read::Unknown("it has no field of a delivery report"));
    };
    let Some(sid) = Sid::parse(sid) else { return Err(Unreadable::new("SmsSid cannot be read")) };
    let code = fields.first(&["DetailedStatusCode", "ExoStatusCode"]).and_then(|code| code.parse().ok());
    let word = fields.first(&["Status", "status"]);
    if word.is_none() && code.is_none() {
        return Ok(Read::Unknown("it names a message and no status"));
    }
    let status = code
        .and_then(status_of_code)
        .or_else(|| word.and_then(SmsStatus::from_word))
        .unwrap_or(SmsStatus::Other);
    let instant = |names: &[&str]| -> Option<Timestamp> {
        names.iter().find_map(|name| fields.time(name, offset)).map(|wall| wall.to_timestamp(offset))
    };
    Ok(Read::Told(Told::Sms(SmsReport {
        sid: sid.as_str().to_owned(),
        status,
        code,
        created: instant(&["DateCreated", "CreatedAt"]),
        sent: instant(&["DateSent", "SentAt", "DateUpdated", "UpdatedAt"]),
    })))
}

/// What a number says; none for one outside Exotel's families. Names vary between Exotel's pages, so
/// the number decides, and what it does not tell is told by the word.
fn status_of_code(code: u32) -> Option<SmsStatus> {
    Some(match code {
        21_010 => SmsStatus::Queued,
        21_015 => SmsStatus::Sending,
        21_020 => SmsStatus::Submitted,
        23_005 => SmsStatus::FailedDnd,
        20_000..=20_999 => SmsStatus::Sent,
        21_000..=21_999 => SmsStatus::Submitted,
        23_000..=24_999 => SmsStatus::Failed,
        _ => return None,
    })
}
