//! Values of query parameters: encoding, lists, windows, bounds. Errors are parts of the message of a 400.

use std::fmt::Write;

use crate::model::WallTime;

/// The longest window between the bounds of DateCreated: one month.
pub(super) const LONGEST_WINDOW: i64 = 31 * 86_400;
/// How far back a window may start: six months, of which the shortest have 181 days.
const FARTHEST_BACK: i64 = 181 * 86_400;
/// Both bounds inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) min: i64,
    pub(super) max: i64,
}

impl Bounds {
    pub(super) fn holds(self, value: i64) -> bool {
        (self.min..=self.max).contains(&value)
    }
}

/// `gte:…;lte:…`; one bound alone is not documented and therefore refused.
pub(super) fn window(value: &str, now: WallTime) -> Result<(WallTime, WallTime), &'static str> {
    let form = "Expected gte:YYYY-MM-DD HH:mm:ss;lte:YYYY-MM-DD HH:mm:ss";
    let (mut from, mut to) = (None, None);
    for part in value.split(';') {
        let (operator, text) = part.split_once(':').ok_or(form)?;
        let time = time(text).ok_or(form)?;
        let place = match operator {
            "gte" => &mut from,
            "lte" => &mut to,
            _ => return Err(form),
        };
        if place.replace(time).is_some() {
            return Err(form);
        }
    }
    let (from, to) = (from.ok_or(form)?, to.ok_or(form)?);
    if from > to {
        return Err("The window ends before it starts");
    }
    if to - from > LONGEST_WINDOW {
        return Err("The window is longer than one month");
    }
    if now - from > FARTHEST_BACK {
        return Err("The window starts more than 6 months ago");
    }
    Ok((from, to))
}

fn time(text: &str) -> Option<WallTime> {
    if text.len() != 19 {
        return None;
    }
    let time = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    let zoned = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(WallTime(zoned.timestamp().as_second()))
}

/// `gte:…;lte:…` or `eq:…`, each alone too.
pub(super) fn bounds(value: &str, read: fn(&str) -> Option<i64>) -> Result<Bounds, &'static str> {
    let mut bounds = Bounds { min: i64::MIN, max: i64::MAX };
    for part in value.split(';') {
        let (operator, text) = part.split_once(':').ok_or("Expected operator:value")?;
        let value = read(text).ok_or("The value cannot be read")?;
        match operator {
            "gte" => bounds.min = bounds.min.max(value),
            "lte" => bounds.max = bounds.max.min(value),
            "eq" => bounds = Bounds { min: value, max: value },
            _ => return Err("Valid operators: gte, lte, eq"),
        }
    }
    Ok(bounds)
}

/// `10s`.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let number = text.strip_suffix('s')?;
    number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse().ok())?
}

/// `0.300030` in millionths.
pub(super) fn micros(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.len() > 6 || !format!("{whole}{fraction}").bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(fraction)
}

pub(super) fn list(value: &str, most: usize) -> Result<Vec<String>, &'static str> {
    let items: Vec<_> = value.split(',').map(|item| item.trim().to_owned()).collect();
    if items.iter().any(String::is_empty) {
        return Err("An item of the list is empty");
    }
    if items.len() > most {
        return Err("The list is too long");
    }
    Ok(items)
}

pub(super) fn words(value: &str, valid: &[&str]) -> Result<Vec<String>, String> {
    let items = list(value, valid.len())?;
    if items.iter().any(|item| !valid.contains(&item.as_str())) {
        return Err(format!("Valid values: {}", valid.join(", ")));
    }
    Ok(items)
}

/// Keys and values of a query text, decoded. A raw `;` splits like `&`, as on some servers, so that a
/// filter which was not encoded falls apart.
pub(super) fn pairs(raw: &str) -> Result<Vec<(String, String)>, String> {
    let parts = raw.split(['&', ';']).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            decode(key).zip(decode(value)).ok_or_else(|| "Invalid encoding of the query".to_owned())
        })
        .collect()
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |b: u8| char::from(b).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            byte => write!(encoded, "%{byte:02X}").expect("writing to a String cannot fail"),
        }
    }
    encoded
}
