//! Whose number a text is, and what of a call belongs to that person: what erasure rests on. Pure.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::call::{Observation, last_ten_digits};

/// What stands for an agent's app after its address was erased. Whether a leg is an app decides when its
/// call settles, so that much stays.
const ERASED_APP: &str = "sip:erased";

/// A person on the line, as a number names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity<'a> {
    /// The last ten digits: `+919900000001`, `09900000001` and `9900000001` are one.
    Digits(u64),
    /// The exact text of an agent's app (`sip:…`) or of a short number.
    Text(&'a str),
}

impl<'a> Identity<'a> {
    /// Of a number as Exotel sends it or a person types it; none for an empty one.
    pub fn of(number: &'a str) -> Option<Self> {
        let number = number.trim();
        match last_ten_digits(number) {
            Some(digits) => Some(Self::Digits(digits)),
            None if number.is_empty() => None,
            None => Some(Self::Text(number)),
        }
    }
}

/// Whether a text names somebody: a row as it came, a field that nobody reads, a query string.
///
/// Looked for are ten digits in a row, blanks, points, dashes and brackets between them aside, and `sip:`
/// addresses, both also percent-encoded. Short numbers are not: in a text they may be anything.
pub fn names(text: &str, is_meant: &dyn Fn(Identity<'_>) -> bool) -> bool {
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    let twice = if matches!(decoded, Cow::Owned(_)) { Some(decoded.as_ref()) } else { None };
    [Some(text), twice]
        .into_iter()
        .flatten()
        .any(|text| has_digits(text, is_meant) || has_app(text, is_meant))
}

fn has_digits(text: &str, is_meant: &dyn Fn(Identity<'_>) -> bool) -> bool {
    let (mut digits, mut value) = (0_u32, 0_u64);
    for c in text.chars() {
        match c {
            '0'..='9' => {
                digits += 1;
                value = value % 1_000_000_000 * 10 + u64::from(c as u32 - '0' as u32);
                if digits >= 10 && is_meant(Identity::Digits(value)) {
                    return true;
                }
            }
            ' ' | '-' | '.' | '(' | ')' | '+' => {}
            _ => (digits, value) = (0, 0),
        }
    }
    false
}

fn has_app(text: &str, is_meant: &dyn Fn(Identity<'_>) -> bool) -> bool {
    let bytes = text.as_bytes();
    let mut rest = 0;
    while let Some(at) = bytes[rest..].windows(4).position(|w| w.eq_ignore_ascii_case(b"sip:")) {
        let from = &text[rest + at..];
        let end = from[4..].find(|c: char| !(c.is_alphanumeric() || "._-+@".contains(c)));
        let address = &from[..end.map_or(from.len(), |end| end + 4)];
        let user = address.split('@').next().unwrap_or(address);
        let closed = address.trim_end_matches('.');
        if [address, closed, user].into_iter().any(|text| is_meant(Identity::Text(text))) {
            return true;
        }
        rest += at + 4;
    }
    false
}

/// Takes out of a call what belongs to a person; whether anything did.
///
/// A number that is theirs goes, and with it what may say more of them: caller name, custom field,
/// recording, and every field that we cannot read. The other side's number stays. Where the person is no
/// party of the call, only fields that name them go.
pub fn erase(call: &mut Observation, is_meant: &dyn Fn(Identity<'_>) -> bool) -> bool {
    let mut is_party = false;
    for number in [&mut call.to, &mut call.from, &mut call.forwarded_from] {
        if number.as_deref().and_then(Identity::of).is_some_and(is_meant) {
            is_party = true;
            *number = number.as_deref().filter(|n| n.starts_with("sip:")).map(|_| ERASED_APP.to_owned());
        }
    }
    let mut erased = is_party;
    for text in [&mut call.caller_name, &mut call.custom_field, &mut call.recording_url] {
        if text.as_deref().is_some_and(|text| is_party || names(text, is_meant)) {
            *text = None;
            erased = true;
        }
    }
    let odd = call.odd.len();
    call.odd.retain(|(name, raw)| !(is_party || names(name, is_meant) || names(raw, is_meant)));
    erased || call.odd.len() != odd
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Sid, Status, WallTime};

    fn call() -> Observation {
        let mut call =
            Observation::new(Sid::parse("c1").expect("a sid"), WallTime(1_772_457_400), Status::Completed);
        call.to = Some("08000000011".into());
        call.from = Some("+919900000001".into());
        call.caller_name = Some("A Person".into());
        call.custom_field = Some("order 7".into());
        call.recording_url = Some("https://recordings.example/c1.mp3".into());
        call.price = Some(500_000);
        call.odd = vec![("Mood".into(), "\"good\"".into())];
        call
    }

    fn is(number: &str) -> impl Fn(Identity<'_>) -> bool + '_ {
        move |other| Identity::of(number) == Some(other)
    }

    #[test]
    fn a_number_is_found_in_every_way_to_write_it() {
        for text in [
            "09900000001",
            r#"{"From":"+919900000001"}"#,
            "CallFrom=%2B919900000001&x=1",
            "call +91 99000-00001 back",
            "tel:+91.99000.00001;x",
            "99000%2000001",
            "7 09900000001 8",
        ] {
            assert!(names(text, &is("9900000001")), "{text}");
            assert!(!names(text, &is("9900000002")), "{text}");
        }
        for text in ["", "990000000", "99000,00001", "9900000a001"] {
            assert!(!names(text, &is("9900000001")), "{text}");
        }
    }

    #[test]
    fn an_app_is_found_with_and_without_its_host() {
        for text in ["sip:ravi", "to sip:ravi, then", "u=sip%3Aravi%40host&x", "SIP:ann sip:ravi."] {
            assert!(names(text, &is("sip:ravi")), "{text}");
        }
        assert!(names("<sip:ravi@host>", &is("sip:ravi@host")));
        assert!(!names("sip:ravindra", &is("sip:ravi")));
        assert!(!names("sip:é", &is("sip:ravi")));
        assert!(!names("Duration: 100", &is("100")), "a short number may be anything");
    }

    #[test]
    fn of_a_call_everything_about_the_person_goes_and_the_rest_stays() {
        let mut erased = call();
        assert!(erase(&mut erased, &is("09900000001")));
        let mut expected = call();
        expected.from = None;
        (expected.caller_name, expected.custom_field, expected.recording_url) = (None, None, None);
        expected.odd.clear();
        assert_eq!(erased, expected);
        assert!(!erase(&mut erased, &is("09900000001")), "once is enough");
    }

    #[test]
    fn a_call_of_others_loses_only_what_names_the_person() {
        let mut other = call();
        other.custom_field = Some("call 98000 00001".into());
        assert!(erase(&mut other, &is("9800000001")));
        assert_eq!(other, Observation { custom_field: None, ..call() });
        let mut none = call();
        assert!(!erase(&mut none, &is("9800000001")));
        assert_eq!(none, call());
    }

    #[test]
    fn an_erased_app_is_still_an_app() {
        let mut with_app = call();
        with_app.to = Some("sip:ravi".into());
        assert!(erase(&mut with_app, &is("sip:ravi")));
        assert_eq!(with_app.to.as_deref(), Some("sip:erased"));
        assert!(with_app.has_sip_leg());
        let mut short = call();
        short.to = Some("1800".into());
        assert!(erase(&mut short, &is("1800")));
        assert_eq!(short.to, None);
    }
}
