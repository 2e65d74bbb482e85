//! Made-up identities: Sids, numbers, cursors. All follow from the seed and a call's place.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::options::Sids;
use super::random::{Dice, Stream, mix, unmix};
use crate::model::WallTime;

/// Who is who in one account.
#[derive(Clone, Debug)]
pub(super) struct Faces {
    pub(super) seed: u64,
    /// Which account it is; accounts have different numbers.
    pub(super) account: u64,
    pub(super) sids: Sids,
}

/// Places of calls that other rows name but that do not exist.
const MISSING: u64 = 1 << 40;
/// Places of calls that only callbacks name.
const PHANTOMS: u64 = 1 << 41;

impl Faces {
    /// The Sid of the call at `place`, created at `created`.
    ///
    /// The first half is the place, mixed so that it can be taken back; the last four characters are
    /// the date as in Exotel's own Sids (`203m` is 2026-03-22).
    pub(super) fn sid(&self, place: u32, created: WallTime) -> String {
        self.sid_of(u64::from(place), created)
    }

    /// A Sid that no call has, for `place`.
    pub(super) fn missing_sid(&self, place: u32, created: WallTime) -> String {
        self.sid_of(MISSING + u64::from(place), created)
    }

    /// A Sid that no call has and that only a callback beside the one at `place` names.
    pub(super) fn phantom_sid(&self, place: u32, created: WallTime) -> String {
        self.sid_of(PHANTOMS + u64::from(place), created)
    }

    /// The Sid of a message.
    pub(super) fn message_sid(&self, n: u32) -> String {
        let rest = Dice::new(self.seed, Stream::MessageSid, u64::from(n)).bits();
        format!("{:016x}{rest:016x}", mix(u64::from(n) ^ self.message_key()))
    }

    /// The number of the message with this Sid.
    pub(super) fn message(&self, sid: &str) -> Option<u32> {
        let head = sid.get(..16).filter(|head| head.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let n = u32::try_from(unmix(u64::from_str_radix(head, 16).ok()?) ^ self.message_key()).ok()?;
        (self.message_sid(n) == sid).then_some(n)
    }

    fn message_key(&self) -> u64 {
        mix(self.seed ^ Stream::MessageSid as u64)
    }

    fn sid_of(&self, place: u64, created: WallTime) -> String {
        let rest = Dice::new(self.seed, Stream::Sid, place).bits();
        let head = mix(place ^ self.key());
        match self.sids {
            Sids::Hex => format!("{head:016x}{rest:016x}"),
            Sids::BeyondHex => {
                let beyond = char::from(b'g' + (rest % 20) as u8);
                format!("{head:016x}{:011x}{beyond}{}", rest >> 20, date(created))
            }
        }
    }

    /// The place that a Sid was made from, if it was made here; the rest of the Sid is not checked.
    pub(super) fn place(&self, sid: &str) -> Option<u32> {
        let head = sid.get(..16).filter(|head| head.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let place = unmix(u64::from_str_radix(head, 16).ok()?) ^ self.key();
        u32::try_from(place).ok()
    }

    fn key(&self) -> u64 {
        mix(self.seed ^ Stream::Sid as u64)
    }

    /// Ten digits of one of the account's numbers.
    pub(super) fn exophone(&self, n: u16) -> u64 {
        8_000_000_011 + self.account % 900 * 1_000_000 + 11 * u64::from(n)
    }

    /// Exotel's id of one of the account's numbers.
    pub(super) fn exophone_sid(&self, n: u16) -> String {
        let mut dice = Dice::new(self.seed, Stream::Sid, u64::MAX - u64::from(n));
        format!("{:016x}{:016x}", dice.bits(), dice.bits())
    }

    /// Ten digits of the customer in the call at `place`.
    pub(super) fn customer(&self, place: u32) -> u64 {
        9_900_000_000 + self.face(place).below(50_000)
    }

    /// Ten digits of the agent in the call at `place`; also the name of a `sip:` agent.
    pub(super) fn agent(&self, place: u32) -> u64 {
        let mut dice = self.face(place);
        dice.bits();
        9_800_000_000 + dice.below(20)
    }

    /// Draws for what else a row shows.
    pub(super) fn looks(&self, place: u32) -> Dice {
        let mut dice = self.face(place);
        dice.bits();
        dice.bits();
        dice
    }

    fn face(&self, place: u32) -> Dice {
        Dice::new(self.seed, Stream::Face, u64::from(place))
    }
}

/// Year since 2006 in two digits, month and day in base 36.
fn date(created: WallTime) -> String {
    let text = created.to_string();
    let number = |from: usize, to: usize| text.get(from..to).and_then(|t| t.parse::<u32>().ok()).unwrap_or(0);
    let digit = |n: u32| char::from_digit(n, 36).unwrap_or('0');
    format!("{:02}{}{}", number(0, 4).saturating_sub(2006) % 100, digit(number(5, 7)), digit(number(8, 10)))
}

/// `0XXXXXXXXXX`, the commonest form in answers.
pub(super) fn national(number: u64) -> String {
    format!("0{number:010}")
}

/// `+91XXXXXXXXXX`.
pub(super) fn e164(number: u64) -> String {
    format!("+91{number:010}")
}

/// Base64 of `epoch,sid`; the `=` stay.
pub(super) fn cursor(epoch: i64, sid: &str) -> String {
    STANDARD.encode(format!("{epoch},{sid}"))
}

/// What [`cursor`] made.
pub(super) fn read_cursor(text: &str) -> Option<(i64, String)> {
    let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let (epoch, sid) = text.split_once(',')?;
    Some((epoch.parse().ok()?, sid.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACES: Faces = Faces { seed: 7, account: 0, sids: Sids::BeyondHex };
    const MARCH_22: WallTime = WallTime(1_774_201_202); // 2026-03-22 17:40:02

    #[test]
    fn a_sid_has_32_characters_a_letter_beyond_hex_and_its_date() {
        for place in 0..200 {
            let sid = FACES.sid(place, MARCH_22);
            assert_eq!(sid.len(), 32);
            assert!(sid.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()), "{sid}");
            assert!(sid.bytes().any(|b| b > b'f'), "{sid}");
            assert!(sid.ends_with("203m"), "{sid}");
            assert_eq!(FACES.place(&sid), Some(place));
        }
        let hex = Faces { sids: Sids::Hex, ..FACES }.sid(1, MARCH_22);
        assert!(hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()), "{hex}");
    }

    #[test]
    fn sids_that_were_not_made_here_have_no_place() {
        let other = Faces { seed: 8, ..FACES };
        let sid = FACES.sid(5, MARCH_22);
        assert_ne!(other.place(&sid), Some(5));
        assert_eq!(FACES.place(&FACES.missing_sid(5, MARCH_22)), None);
        for bad in ["", "short", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "+123456789abcdef0", "éééééééééééééééé"]
        {
            assert_eq!(FACES.place(bad), None, "{bad}");
        }
    }

    #[test]
    fn cursors_are_base64_of_epoch_and_sid() {
        assert_eq!(
            cursor(1_577_986_006, "afd80000000000000000000000001412"),
            "MTU3Nzk4NjAwNixhZmQ4MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMTQxMg=="
        );
        assert_eq!(read_cursor(&cursor(12, "ab")), Some((12, "ab".to_owned())));
        for bad in ["", "x", "!!!!", &STANDARD.encode("no comma"), &STANDARD.encode("x,y")] {
            assert_eq!(read_cursor(bad), None, "{bad}");
        }
    }
}
