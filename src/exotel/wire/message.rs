//! One message, and the balance.

use serde_json::Value;

use super::{AccountShape, Malformed, text_of};
use crate::model::callback::{SmsReport, SmsStatus};
use crate::model::{Micros, Timestamp, parse_time};

/// What the account still has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// In millionths of the currency unit; may be below 0.
    pub micros: Micros,
    /// `INR`; none where Exotel does not say.
    pub currency: Option<String>,
}

/// Reads one message; none if Exotel does not know it.
///
/// Shape: `{"SMSMessage": {"Sid", "Status": "sent", "DetailedStatusCode": 20005, "DateCreated": "2026-03-02
/// 18:55:00", "DateSent", "DateUpdated", …}}`. An unknown message is answered with 200 and a body without
/// one, such as `{"RestException": {"Status": 200, "Message": "No matching results"}}`. Samples:
/// `tests/fixtures/exotel/sms-*.json`.
///
/// # Errors
/// When the body is not JSON, or is another message.
pub(crate) fn message(body: &[u8], shape: &AccountShape, sid: &str) -> Result<Option<SmsReport>, Malformed> {
    const EXPECTED: &str = "a message";
    let text = text_of(body);
    let top: Value = match serde_json::from_str(&text) {
        Ok(top) => top,
        // The shape of "no matching results" is not documented.
        Err(_) if text.to_ascii_lowercase().contains("no matching results") => return Ok(None),
        Err(error) => return Err(Malformed::body(EXPECTED, body, Some(&error))),
    };
    let holder = top.get("SMSMessage").unwrap_or(&top);
    let word = |name: &str| match holder.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let Some(said) = word("Sid").filter(|sid| !sid.is_empty()) else {
        return if top.is_object() { Ok(None) } else { Err(Malformed::body(EXPECTED, body, None)) };
    };
    if said != sid {
        return Err(Malformed("expected the message that was asked for, got another one".to_owned()));
    }
    let time = |name: &str| -> Option<Timestamp> {
        let wall = parse_time(&word(name)?, shape.utc_offset).ok()??;
        Some(wall.to_timestamp(shape.utc_offset))
    };
    let code = word("DetailedStatusCode").and_then(|code| code.trim().parse().ok());
    Ok(Some(SmsReport {
        sid: said,
        status: SmsStatus::read(&word("Status").unwrap_or_default(), code),
        code,
        created: time("DateCreated"),
        sent: time("DateUpdated").max(time("DateSent")),
    }))
}

/// Reads the balance.
///
/// Shape: `{"Account": {"BalanceData": {"Balance": "1543.75", "Currency": "INR", …}}}`; the amount as text
/// or number. Sample: `tests/fixtures/exotel/balance.json`.
///
/// # Errors
/// When there is no amount.
pub(crate) fn balance(body: &[u8]) -> Result<Balance, Malformed> {
    const EXPECTED: &str = "the balance of an account";
    let text = text_of(body);
    let top: Value = serde_json::from_str(&text).map_err(|e| Malformed::body(EXPECTED, body, Some(&e)))?;
    let data = ["/Account/BalanceData", "/BalanceData", "/Account", ""]
        .iter()
        .filter_map(|at| top.pointer(at))
        .find(|holder| holder.get("Balance").is_some())
        .ok_or_else(|| Malformed::body(EXPECTED, body, None))?;
    let amount = match data.get("Balance") {
        Some(Value::String(text)) => text.trim().replace(',', ""),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let micros = micros(&amount)
        .ok_or_else(|| Malformed("expected a balance such as 1543.75, got something else".to_owned()))?;
    let currency = data.get("Currency").and_then(Value::as_str).map(str::trim).filter(|c| !c.is_empty());
    Ok(Balance { micros, currency: currency.map(str::to_owned) })
}

/// An amount in millionths; further decimals are cut.
fn micros(text: &str) -> Option<Micros> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(6).collect();
    let whole: Micros = whole.parse::<Micros>().ok()?.checked_mul(1_000_000)?;
    whole.checked_add(fraction.parse().ok()?)?.checked_mul(sign)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UtcOffset;

    fn read(body: &str, sid: &str) -> Result<Option<SmsReport>, Malformed> {
        let shape = AccountShape { sid: "exampleacct1".into(), utc_offset: UtcOffset::default() };
        message(body.as_bytes(), &shape, sid)
    }

    #[test]
    fn a_delivered_message_is_read() {
        let body = include_str!("../../../tests/fixtures/exotel/sms-details.json");
        let report = read(body, "8899aabbccddeeff0011223344556677").unwrap().unwrap();
        assert_eq!((report.status, report.code), (SmsStatus::Sent, Some(20005)));
        let (created, sent) = (report.created.unwrap(), report.sent.unwrap());
        assert_eq!(sent - created, 9, "DateUpdated is the later one");
    }

    #[test]
    fn a_message_refused_as_unwanted_is_read() {
        let body = include_str!("../../../tests/fixtures/exotel/sms-details-failed-dnd.json");
        let report = read(body, "99aabbccddeeff001122334455667788").unwrap().unwrap();
        assert_eq!((report.status, report.code), (SmsStatus::FailedDnd, Some(23005)));
    }

    #[test]
    fn no_matching_results_with_200_is_no_message_and_no_fault() {
        let body = include_str!("../../../tests/fixtures/exotel/sms-not-found-200.json");
        for body in [body, "{}", "No matching results", r#"{"SMSMessage": {"Sid": null}}"#] {
            assert_eq!(read(body, "x").unwrap(), None, "{body}");
        }
    }

    #[test]
    fn what_is_no_message_is_a_fault() {
        for body in ["", "<html>", "[]", r#"{"SMSMessage": {"Sid": "another"}}"#] {
            assert!(read(body, "x").is_err(), "{body}");
        }
    }

    #[test]
    fn a_balance_is_read_to_the_last_paisa() {
        let body = include_str!("../../../tests/fixtures/exotel/balance.json");
        let read = |body: &str| balance(body.as_bytes());
        assert_eq!(read(body).unwrap(), Balance { micros: 1_543_750_000, currency: Some("INR".into()) });
        let bare = |amount: &str| read(&format!("{{\"Balance\": {amount}}}")).map(|b| b.micros);
        assert_eq!(bare("-12.5").unwrap(), -12_500_000);
        assert_eq!(bare("\"1,234.0000019\"").unwrap(), 1_234_000_001);
        for bad in ["null", "\"\"", "\"much\"", "\"1.2.3\"", "\"99999999999999999999\"", "1e30"] {
            assert!(bare(bad).is_err(), "{bad}");
        }
        assert!(read("{}").is_err() && read("<html>").is_err());
    }
}
