//! The account's numbers and the label under which a call counts.

use std::collections::HashMap;

use super::call::last_ten_digits;
use super::series::ExoPhoneId;
use super::time::Timestamp;

/// One known ExoPhone, as stored.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KnownExoPhone {
    /// Id within the account.
    pub id: u16,
    /// Exotel's sid of it.
    pub sid: String,
    /// The number as Exotel's list gives it.
    pub number: String,
    /// Name given in Exotel's dashboard.
    pub friendly_name: Option<String>,
    /// Calls count under it from this time on: its series are exported as 0 before.
    pub countable_from: i64,
}

impl KnownExoPhone {
    /// The number in E.164 form, the default of the `exophone` label.
    pub fn e164(&self) -> String {
        e164(&self.number)
    }

    /// Whether this is its sid, or its number where that is used for one.
    pub fn is_called(&self, name: &str) -> bool {
        let is_number = name.bytes().all(|b| b.is_ascii_digit() || b == b'+');
        self.sid == name
            || (is_number
                && last_ten_digits(name).is_some_and(|digits| last_ten_digits(&self.number) == Some(digits)))
    }
}

/// Indian numbers as `+91` and ten digits, others as they came.
pub fn e164(number: &str) -> String {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    if number.starts_with('+') {
        return format!("+{digits}");
    }
    match digits.len() {
        10 => format!("+91{digits}"),
        11 if digits.starts_with('0') => format!("+91{}", &digits[1..]),
        12 if digits.starts_with("91") => format!("+{digits}"),
        _ => number.to_owned(),
    }
}

/// Where a call's number stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Counts under this id.
    Counts(ExoPhoneId),
    /// Known so recently that its series may not have been scraped yet; counts from then on.
    From(Timestamp, ExoPhoneId),
    /// On no list that was read since the call was first seen; the list must be read once more.
    NotYet,
}

/// All numbers of one account, for look-ups.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    by_digits: HashMap<u64, (ExoPhoneId, Timestamp)>,
    /// When reading the list last ended, well or not; none before the first time.
    pub list_read: Option<Timestamp>,
}

impl Directory {
    /// Builds the directory; numbers beyond `cap` count under `_other`.
    pub fn new(phones: &[KnownExoPhone], list_read: Option<Timestamp>, cap: usize) -> Self {
        let mut by_digits = HashMap::with_capacity(phones.len());
        for (n, phone) in phones.iter().enumerate() {
            let id = if n < cap { ExoPhoneId(phone.id) } else { ExoPhoneId::OVERFLOW };
            if let Some(digits) = last_ten_digits(&phone.number) {
                by_digits.entry(digits).or_insert((id, Timestamp(phone.countable_from)));
            }
        }
        Self { by_digits, list_read }
    }

    /// Where a call with this number stands, if it was first seen at `first_seen`.
    pub fn place(&self, number: Option<&str>, first_seen: Timestamp, now: Timestamp) -> Place {
        let Some(digits) = number.and_then(last_ten_digits) else {
            return Place::Counts(ExoPhoneId::UNKNOWN);
        };
        match self.by_digits.get(&digits) {
            Some((id, from)) if *from <= now => Place::Counts(*id),
            Some((id, from)) => Place::From(*from, *id),
            None if self.list_read.is_some_and(|t| t >= first_seen) => Place::Counts(ExoPhoneId::UNKNOWN),
            None => Place::NotYet,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(id: u16, number: &str, from: i64) -> KnownExoPhone {
        KnownExoPhone {
            id,
            sid: format!("s{id}"),
            number: number.into(),
            friendly_name: None,
            countable_from: from,
        }
    }

    #[test]
    fn numbers_are_written_in_e164() {
        for number in ["08000000011", "+918000000011", "8000000011", "918000000011"] {
            assert_eq!(e164(number), "+918000000011");
        }
        assert_eq!(e164("+65 6123 4567"), "+6561234567");
        assert_eq!(e164("1800"), "1800");
    }

    #[test]
    fn an_unknown_number_waits_for_one_reading_of_the_list() {
        let phones = [phone(2, "+918000000011", 0), phone(3, "08000000022", 500)];
        let directory = Directory::new(&phones, Some(Timestamp(100)), 1);
        let place = |number, seen, now| directory.place(number, Timestamp(seen), Timestamp(now));
        assert_eq!(place(Some("08000000011"), 50, 60), Place::Counts(ExoPhoneId(2)));
        assert_eq!(place(Some("08000000022"), 50, 60), Place::From(Timestamp(500), ExoPhoneId::OVERFLOW));
        assert_eq!(place(Some("08000000033"), 101, 110), Place::NotYet);
        assert_eq!(place(Some("08000000033"), 99, 110), Place::Counts(ExoPhoneId::UNKNOWN));
        assert_eq!(place(Some("sip:agent"), 101, 110), Place::Counts(ExoPhoneId::UNKNOWN));
        assert_eq!(place(None, 101, 110), Place::Counts(ExoPhoneId::UNKNOWN));
    }
}
