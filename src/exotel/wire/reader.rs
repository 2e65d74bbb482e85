//! Fields of a row that may be bad without harm to the row.

use serde_json::value::RawValue;

use crate::model::{Micros, WallTime, last_ten_digits, parse_time};

use super::AccountShape;
use super::field::{Field, price_number, price_text, seconds};
use super::odd::Odd;

/// Reads the fields that may be bad: a bad one is absent, its text kept.
pub(super) struct Reader<'a> {
    pub(super) account: &'a AccountShape,
    pub(super) odd: Odd,
}

impl Reader<'_> {
    /// Any scalar that `read` takes.
    pub(super) fn parse<T>(
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

    pub(super) fn text(&mut self, name: &str, raw: Option<&RawValue>) -> Option<String> {
        self.parse(name, raw, |text| Some(text.to_owned()))
    }

    pub(super) fn seconds(&mut self, name: &str, raw: Option<&RawValue>) -> Option<u32> {
        self.parse(name, raw, seconds)
    }

    pub(super) fn price(&mut self, name: &str, raw: Option<&RawValue>) -> Option<Micros> {
        let number = raw.is_some_and(|raw| matches!(Field::of(raw), Field::Number(_)));
        self.parse(name, raw, if number { price_number } else { price_text })
    }

    pub(super) fn time(&mut self, name: &str, raw: Option<&RawValue>) -> Option<WallTime> {
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
    pub(super) fn word<T: Copy + PartialEq>(
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
    pub(super) fn exophone(&mut self, number: Option<&RawValue>, sid: Option<&RawValue>) -> Option<String> {
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

    pub(super) fn account_sid(&mut self, raw: Option<&RawValue>) {
        let Some(raw) = raw else { return };
        match Field::of(raw) {
            Field::Absent => {}
            Field::Text(text) if text == self.account.sid.as_str() => {}
            _ => self.odd.keep("AccountSid", raw),
        }
    }
}
