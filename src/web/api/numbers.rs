//! Numbers of customers and agents as answers may show them: `privacy.phone_numbers`.

use std::fmt;

use ring::hmac;

/// How numbers are shown.
#[derive(Clone)]
pub enum Numbers {
    /// The last four digits, the rest as asterisks.
    Masked,
    /// A keyed hash: the same number gives the same text, and nobody without the key can try numbers out.
    Hashed(hmac::Key),
    /// As they are.
    Plain,
}

/// The fewest digits that are taken for a number.
const FEWEST: usize = 7;
/// Digits that a masked number shows.
const SHOWN: usize = 4;

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Masked => "Masked",
            Self::Hashed(_) => "Hashed",
            Self::Plain => "Plain",
        })
    }
}

impl Numbers {
    /// Hashes with this key.
    pub fn hashed(key: &[u8]) -> Self {
        Self::Hashed(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Whether texts that may hold personal data are shown as they are.
    pub(super) fn are_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// One number, or the address of an agent's app.
    pub(super) fn show(&self, number: &str) -> String {
        match self {
            Self::Plain => number.to_owned(),
            Self::Hashed(key) => hashed(key, number),
            Self::Masked if number.starts_with("sip:") => "sip:****".to_owned(),
            Self::Masked => masked(number),
        }
    }

    /// A text that came from outside: what looks like a number in it is shown as numbers are. Dates are no
    /// numbers; a long number that is none may be hidden too.
    pub(super) fn show_text(&self, text: &str) -> String {
        if self.are_plain() {
            return text.to_owned();
        }
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(begin) = rest.find(|c: char| c.is_ascii_digit()) {
            let (before, from) = rest.split_at(begin);
            shown.push_str(before);
            let end = from.find(|c: char| !(c.is_ascii_digit() || " -().".contains(c))).unwrap_or(from.len());
            // What separates it from the next word is no part of it.
            let number = from[..end].trim_end_matches(|c: char| !c.is_ascii_digit());
            let digits = number.bytes().filter(u8::is_ascii_digit).count();
            let few = digits < FEWEST || is_date(number);
            shown.push_str(&if few { number.to_owned() } else { self.show(number) });
            rest = &from[number.len()..];
        }
        shown.push_str(rest);
        shown
    }
}

/// `2026-03-02`, perhaps with an hour after it.
fn is_date(text: &str) -> bool {
    let b = text.as_bytes();
    let shape = b.len() >= 10
        && b.iter()
            .take(10)
            .enumerate()
            .all(|(n, c)| if n == 4 || n == 7 { *c == b'-' } else { c.is_ascii_digit() });
    shape && (b.len() == 10 || (b.len() == 13 && b[10] == b' '))
}

fn masked(number: &str) -> String {
    let digits = number.chars().filter(char::is_ascii_digit).count();
    let hidden = if digits < FEWEST { digits } else { digits - SHOWN };
    let mut seen = 0;
    number
        .chars()
        .map(|c| match c {
            '0'..='9' => {
                seen += 1;
                if seen > hidden { c } else { '*' }
            }
            '+' | ' ' | '-' | '(' | ')' | '.' => c,
            // A number has no letters: whoever stands here is not to be named.
            _ => '*',
        })
        .collect()
}

/// The same for all ways to write an Indian number.
fn hashed(key: &hmac::Key, number: &str) -> String {
    let number =
        if number.starts_with("sip:") { number.to_owned() } else { crate::model::exophones::e164(number) };
    let tag = hmac::sign(key, number.as_bytes());
    let hex: String = tag.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("hmac:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_number_shows_its_last_digits_alone() {
        for (number, shown) in [
            ("+919876543210", "+********3210"),
            ("09876543210", "*******3210"),
            ("12345", "*****"),
            ("sip:ravi0123456789@example", "sip:****"),
            ("Ravi Kumar", "**** *****"),
            ("", ""),
        ] {
            assert_eq!(Numbers::Masked.show(number), shown);
        }
        assert_eq!(Numbers::Plain.show("09876543210"), "09876543210");
    }

    #[test]
    fn a_hash_is_the_same_for_every_way_to_write_a_number_and_differs_by_key() {
        let (mine, other) = (Numbers::hashed(b"one key"), Numbers::hashed(b"another"));
        let shown = mine.show("+919876543210");
        assert_eq!(shown, mine.show("09876543210"));
        assert_ne!(shown, mine.show("09876543211"));
        assert_ne!(shown, other.show("09876543210"));
        assert!(shown.starts_with("hmac:") && shown.len() == 37 && !shown.contains("6543210"), "{shown}");
    }

    #[test]
    fn numbers_in_a_text_are_hidden_and_dates_stay() {
        let raw = r#"{"From": "+919876543210", "To": "98765-43210", "When": "2026-03-02 18:45:10", "n": 21}"#;
        let shown = Numbers::Masked.show_text(raw);
        assert!(!shown.contains("987654") && !shown.contains("98765"), "{shown}");
        assert!(shown.contains("2026-03-02 18:45:10") && shown.contains("\"n\": 21"), "{shown}");
        assert_eq!(Numbers::Plain.show_text(raw), raw);
        let hashed = Numbers::hashed(b"key").show_text(raw);
        assert!(hashed.contains("hmac:") && !hashed.contains("987654"), "{hashed}");
    }
}
