//! One JSON value of a row, read with every liberty Exotel takes.
//!
//! Numbers come as JSON numbers or as strings, and "no value" is `null`, `""` or `"null"`.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::model::Micros;

/// Longest duration taken for one: 31 days. Exotel ends a call after four hours; what is longer is a
/// fault of the sender, and would spoil every sum.
pub(super) const MAX_SECONDS: u32 = 31 * 86_400;

/// Highest price taken for one: a million units of the account's currency, for the same reason.
const MAX_PRICE: i128 = 1_000_000_000_000;

/// Digits from which a JSON number is the printed form of a binary fraction (`0.30000000000000004`).
const FLOAT_NOISE_DIGITS: usize = 15;

/// A JSON value as far as rows use it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    /// `null`, `""` or `"null"`.
    Absent,
    /// Any other string.
    Text(Cow<'a, str>),
    /// A number, as written.
    Number(&'a str),
    /// A string that is none (half a surrogate pair), `true`, `false`, an array, an object.
    Other,
}

impl<'a> Field<'a> {
    /// Reads one value.
    pub(super) fn of(raw: &'a RawValue) -> Self {
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'n') => Self::Absent,
            Some(b'"') => match unquoted(text) {
                Some(s) if s.is_empty() || s == "null" => Self::Absent,
                Some(s) => Self::Text(s),
                None => Self::Other,
            },
            Some(b'-' | b'0'..=b'9') => Self::Number(text),
            _ => Self::Other,
        }
    }
}

/// The content of a JSON string.
pub(super) fn unquoted(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    // PHP escapes slashes and mostly nothing else.
    if inner.split('\\').skip(1).all(|rest| rest.starts_with('/')) {
        return Some(Cow::Owned(inner.replace("\\/", "/")));
    }
    serde_json::from_str::<String>(json).ok().map(Cow::Owned)
}

/// Whole seconds, `"17"` or `17`.
pub(in crate::exotel) fn seconds(text: &str) -> Option<u32> {
    let value = decimal(text, 0)?;
    (0..=i128::from(MAX_SECONDS)).contains(&value).then(|| u32::try_from(value).ok()).flatten()
}

/// A price in text, `"1.500"`: exact, at most six decimals that are not zero.
pub(super) fn price_text(text: &str) -> Option<Micros> {
    micros(decimal(text, 6)?)
}

/// A price as a JSON number, `0.3`. One with so many digits that it must be a printed binary fraction
/// (`0.30000000000000004`) is taken for the nearest price.
pub(in crate::exotel) fn price_number(text: &str) -> Option<Micros> {
    if let Some(exact) = decimal(text, 6) {
        return micros(exact);
    }
    let digits = text.split(['e', 'E']).next()?.bytes().filter(u8::is_ascii_digit).count();
    if digits < FLOAT_NOISE_DIGITS {
        return None;
    }
    // Twelve more decimals than needed, cut to what fits, then rounded half up.
    let noisy = decimal_cut(text, 12)?;
    micros((noisy + 500_000).div_euclid(1_000_000))
}

fn micros(value: i128) -> Option<Micros> {
    (0..=MAX_PRICE).contains(&value).then(|| Micros::try_from(value).ok()).flatten()
}

/// `text` times ten to the `scale`, if that is a whole number.
fn decimal(text: &str, scale: i32) -> Option<i128> {
    let (value, exact) = scaled(text, scale)?;
    exact.then_some(value)
}

/// `text` times ten to the `scale`, what is smaller cut off.
fn decimal_cut(text: &str, scale: i32) -> Option<i128> {
    scaled(text, scale).map(|(value, _)| value)
}

/// `text` times ten to the `scale` without its fraction, and whether there was none.
///
/// Takes `-1`, `17`, `1.500`, `.5`, `3.0e-5`; no blanks, no other signs. By hand because a price must
/// never pass through a binary fraction.
fn scaled(text: &str, scale: i32) -> Option<(i128, bool)> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if !all_digits || whole.len() + fraction.len() == 0 || exponent.unsigned_abs() > 1000 {
        return None;
    }
    // Where the decimal point of the result stands, counted from the first digit.
    let point = i64::try_from(whole.len()).ok()? + i64::from(exponent) + i64::from(scale);
    let (mut value, mut exact) = (0_i128, true);
    let digits = || whole.bytes().chain(fraction.bytes()).map(|b| i128::from(b - b'0'));
    for (at, digit) in digits().enumerate() {
        if i64::try_from(at).ok()? < point {
            value = value.checked_mul(10)?.checked_add(digit)?;
        } else {
            exact &= digit == 0;
        }
    }
    for _ in i64::try_from(whole.len() + fraction.len()).ok()?..point {
        if value == 0 {
            break;
        }
        value = value.checked_mul(10)?;
    }
    Some((if negative { -value } else { value }, exact))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn absent_has_three_spellings_and_numbers_two() {
        for json in ["null", r#""""#, r#""null""#] {
            assert_eq!(Field::of(&raw(json)), Field::Absent, "{json}");
        }
        assert_eq!(Field::of(&raw(r#""a\/b""#)), Field::Text("a/b".into()));
        assert_eq!(Field::of(&raw(r#"" ""#)), Field::Text(" ".into()));
        assert_eq!(Field::of(&raw("17")), Field::Number("17"));
        for json in ["true", "[]", "{}", r#""\ud800""#] {
            assert_eq!(Field::of(&raw(json)), Field::Other, "{json}");
        }
    }

    #[test]
    fn prices_are_exact_to_six_decimals() {
        for (text, micros) in [
            ("1.5", 1_500_000),
            ("1.500", 1_500_000),
            ("0.300030", 300_030),
            ("0.180000", 180_000),
            ("0", 0),
            ("0.1000000000", 100_000),
            ("12", 12_000_000),
            (".5", 500_000),
            ("3.0e-5", 30),
            ("1E2", 100_000_000),
            ("1000000", 1_000_000_000_000),
        ] {
            assert_eq!(price_text(text), Some(micros), "{text}");
            assert_eq!(price_number(text), Some(micros), "{text}");
        }
        for bad in [
            "",
            ".",
            "-1",
            "-0.5",
            "1,5",
            "1.5 INR",
            "0.1234567",
            "1000000.000001",
            "1e999",
            "9".repeat(60).as_str(),
            "0x1",
            "1e",
            "NaN",
        ] {
            assert_eq!(price_text(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_printed_binary_fraction_is_the_price_it_was() {
        assert_eq!(price_number("0.30000000000000004"), Some(300_000));
        assert_eq!(price_number("0.29999999999999999"), Some(300_000));
        assert_eq!(price_number("1.4990000000000001"), Some(1_499_000));
        // Too short to be noise: not ours to round.
        assert_eq!(price_number("0.1234567"), None);
        assert_eq!(price_text("0.30000000000000004"), None);
    }

    #[test]
    fn seconds_are_whole_and_possible() {
        assert_eq!(seconds("17"), Some(17));
        assert_eq!(seconds("17.000"), Some(17));
        assert_eq!(seconds("0"), Some(0));
        for bad in ["-1", "17.5", "2678401", "99999999999999999999", "1m", " 17", "1e30", ""] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
