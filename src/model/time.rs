//! Times as Exotel writes them and as we keep them.
//!
//! Exotel's v1 API writes times without an offset (`2026-03-02 18:45:10`). They are the account's
//! wall clock, IST by all evidence. We store them exactly as that wall clock reads, as seconds since
//! `1970-01-01 00:00:00` *on that clock* ([`WallTime`]), and put the configured offset on only where
//! they meet a real instant. A corrected offset therefore never changes a key in the store.

use std::fmt;
use std::ops::{Add, Sub};

use jiff::civil::DateTime;

/// Seconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A time on Exotel's wall clock: seconds since `1970-01-01 00:00:00` on that clock, no zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub i64);

/// The account's offset from UTC in seconds, `+05:30` = 19,800. Fixed: India has no DST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UtcOffset(pub i32);

impl Default for UtcOffset {
    /// `+05:30`, the offset of Exotel's own clock.
    fn default() -> Self {
        Self(19_800)
    }
}

impl Timestamp {
    /// What Exotel's wall clock reads at this instant.
    pub fn to_wall(self, offset: UtcOffset) -> WallTime {
        WallTime(self.0.saturating_add(i64::from(offset.0)))
    }

    /// This instant plus `seconds`.
    #[must_use]
    pub fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

impl WallTime {
    /// The instant at which Exotel's wall clock reads this.
    pub fn to_timestamp(self, offset: UtcOffset) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::from(offset.0)))
    }

    /// This time plus `seconds`.
    #[must_use]
    pub fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

impl Sub for WallTime {
    type Output = i64;
    /// Seconds from `other` to `self`.
    fn sub(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

impl Sub for Timestamp {
    type Output = i64;
    /// Seconds from `other` to `self`.
    fn sub(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

impl Add<i64> for WallTime {
    type Output = Self;
    fn add(self, seconds: i64) -> Self {
        self.plus(seconds)
    }
}

impl fmt::Display for WallTime {
    /// `2026-03-02 18:45:10`, as Exotel's filters want it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match civil(self.0) {
            Some(t) => write!(
                f,
                "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
                t.year(),
                t.month(),
                t.day(),
                t.hour(),
                t.minute(),
                t.second()
            ),
            None => write!(f, "out of range ({})", self.0),
        }
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC: `2026-03-02T13:15:10Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(t) = civil(self.0).filter(|t| t.year() >= 0) else {
            return write!(f, "out of range ({})", self.0);
        };
        // By hand: an answer of the API has thousands of them, and six formatted fields take five times as long.
        let mut text = *b"0000-00-00T00:00:00Z";
        let mut put = |places: std::ops::Range<usize>, value: i16| {
            let mut rest = value.unsigned_abs();
            for place in places.rev() {
                text[place] += (rest % 10) as u8;
                rest /= 10;
            }
        };
        put(0..4, t.year());
        let rest = [(5, t.month()), (8, t.day()), (11, t.hour()), (14, t.minute()), (17, t.second())];
        rest.into_iter().for_each(|(place, value)| put(place..place + 2, i16::from(value)));
        f.write_str(std::str::from_utf8(&text).expect("digits and marks"))
    }
}

impl fmt::Display for UtcOffset {
    /// `+05:30`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        let minutes = self.0.unsigned_abs() / 60;
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

impl UtcOffset {
    /// Reads `+05:30`, `-03:00` or `Z`; whole minutes, at most 15 hours away.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "Z" {
            return Some(Self(0));
        }
        let bytes = text.as_bytes();
        let (sign, rest) = match bytes.first()? {
            b'+' => (1, &text[1..]),
            b'-' => (-1, &text[1..]),
            _ => return None,
        };
        let (h, m) = match rest.len() {
            5 if rest.as_bytes()[2] == b':' => (&rest[..2], &rest[3..]),
            4 if rest.is_ascii() => (&rest[..2], &rest[2..]),
            _ => return None,
        };
        let (h, m) = (digits(h)?, digits(m)?);
        (h <= 15 && m < 60).then(|| Self(sign * (h as i32 * 3600 + m as i32 * 60)))
    }
}

/// Why a text is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotATime;

/// Reads any time that Exotel writes.
///
/// Shapes: `2026-03-02 18:45:10` and `Sun, 22 Mar 2026 18:40:02` (the account's wall clock),
/// `2026-03-02 11:15:00+05:30`, `2026-03-02T13:20:00Z`, `2026-03-02T05:45:00.000Z` (an instant, put on
/// the wall clock with `offset`). `Ok(None)` for every way Exotel writes "no value": empty, `null`,
/// zeros, and the epoch in UTC or IST. A sub-second part is cut.
///
/// # Errors
/// [`NotATime`] for anything else; years outside 2000 to 2099 included.
pub fn parse_time(text: &str, offset: UtcOffset) -> Result<Option<WallTime>, NotATime> {
    let text = text.trim();
    if text.is_empty() || text == "null" || text.starts_with("0000-00-00") {
        return Ok(None);
    }
    let (local, zone) =
        if text.as_bytes()[0].is_ascii_digit() { parse_iso(text)? } else { (parse_rfc822(text)?, None) };
    // The epoch on either clock is how Exotel writes "not yet".
    if local == 0 || local == 19_800 {
        return Ok(None);
    }
    let wall = match zone {
        None => WallTime(local),
        Some(zone) => WallTime(local).to_timestamp(zone).to_wall(offset),
    };
    // A year that no call can have is a fault of the sender, not a date.
    if !(946_684_800..4_102_444_800).contains(&wall.0) {
        return Err(NotATime);
    }
    Ok(Some(wall))
}

/// `YYYY-MM-DD[ T]HH:MM:SS[.fff][Z|+HH:MM]`, by hand: this runs four times for each row of each page.
fn parse_iso(text: &str) -> Result<(i64, Option<UtcOffset>), NotATime> {
    let b = text.as_bytes();
    if b.len() < 19
        || !text.is_ascii()
        || b[4] != b'-'
        || b[7] != b'-'
        || !matches!(b[10], b' ' | b'T' | b't')
        || b[13] != b':'
        || b[16] != b':'
    {
        return Err(NotATime);
    }
    let part = |from: usize, to: usize| digits(&text[from..to]).ok_or(NotATime);
    let seconds = seconds_of(
        part(0, 4)? as i16,
        part(5, 7)? as i8,
        part(8, 10)? as i8,
        part(11, 13)? as i8,
        part(14, 16)? as i8,
        part(17, 19)? as i8,
    )?;
    let mut rest = &text[19..];
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    match rest.trim() {
        "" => Ok((seconds, None)),
        "z" => Ok((seconds, Some(UtcOffset(0)))),
        zone => UtcOffset::parse(zone).map(|z| (seconds, Some(z))).ok_or(NotATime),
    }
}

/// `Sun, 22 Mar 2026 18:40:02`, as Passthru's `Created` has it.
fn parse_rfc822(text: &str) -> Result<i64, NotATime> {
    let rest = text.split_once(',').ok_or(NotATime)?.1;
    let mut words = rest.split_whitespace();
    let mut next = || words.next().ok_or(NotATime);
    let day = digits(next()?).ok_or(NotATime)? as i8;
    let month = match next()? {
        "Jan" => 1,
        "Feb" => 2,
        "Mar" => 3,
        "Apr" => 4,
        "May" => 5,
        "Jun" => 6,
        "Jul" => 7,
        "Aug" => 8,
        "Sep" => 9,
        "Oct" => 10,
        "Nov" => 11,
        "Dec" => 12,
        _ => return Err(NotATime),
    };
    let year = digits(next()?).filter(|y| *y < 10_000).ok_or(NotATime)? as i16;
    let mut clock = next()?.split(':').map(|p| digits(p).filter(|n| *n < 100));
    let mut hms = || clock.next().flatten().map(|n| n as i8).ok_or(NotATime);
    seconds_of(year, month, day, hms()?, hms()?, hms()?)
}

fn seconds_of(y: i16, mo: i8, d: i8, h: i8, mi: i8, s: i8) -> Result<i64, NotATime> {
    let date = jiff::civil::Date::new(y, mo, d).map_err(|_| NotATime)?;
    if !(0..24).contains(&h) || !(0..60).contains(&mi) || !(0..=60).contains(&s) {
        return Err(NotATime);
    }
    let days = days_from_civil(date);
    Ok(days * 86_400 + i64::from(h) * 3600 + i64::from(mi) * 60 + i64::from(s))
}

/// Days since 1970-01-01.
fn days_from_civil(date: jiff::civil::Date) -> i64 {
    // Howard Hinnant's algorithm; years are counted from March so that the leap day comes last.
    let (y, m, d) = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
    let y = if m <= 2 { y - 1 } else { y };
    let era = y.div_euclid(400);
    let year_of_era = y - era * 400;
    let day_of_year = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + d - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil(seconds: i64) -> Option<DateTime> {
    let stamp = jiff::Timestamp::from_second(seconds).ok()?;
    Some(jiff::tz::Offset::UTC.to_datetime(stamp))
}

fn digits(text: &str) -> Option<u32> {
    if text.is_empty() || text.len() > 9 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const IST: UtcOffset = UtcOffset(19_800);

    #[test]
    fn every_way_exotel_writes_a_time_is_read() {
        let wall = WallTime(1_772_477_110); // 2026-03-02 18:45:10
        for text in [
            "2026-03-02 18:45:10",
            "2026-03-02T18:45:10",
            "2026-03-02 18:45:10+05:30",
            "2026-03-02T13:15:10Z",
            "2026-03-02T13:15:10.000Z",
            "Mon, 02 Mar 2026 18:45:10",
        ] {
            assert_eq!(parse_time(text, IST), Ok(Some(wall)), "{text}");
        }
        assert_eq!(wall.to_string(), "2026-03-02 18:45:10");
        assert_eq!(wall.to_timestamp(IST).to_string(), "2026-03-02T13:15:10Z");
    }

    #[test]
    fn every_way_exotel_writes_no_time_is_absent() {
        for text in [
            "",
            " ",
            "null",
            "1970-01-01 05:30:00",
            "1970-01-01 00:00:00",
            "1970-01-01 05:30:00+05:30",
            "1970-01-01T00:00:00Z",
            "0000-00-00 00:00:00",
        ] {
            assert_eq!(parse_time(text, IST), Ok(None), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_without_panic() {
        for text in [
            "yesterday",
            "2026-13-01 00:00:00",
            "2026-02-30 00:00:00",
            "2026-03-02 25:00:00",
            "2026-03-02 18:45",
            "2026-03-02 18:45:10+50:30",
            "9999-12-31 23:59:59",
            "0001-01-01 00:00:00",
            "२०२६-०३-०२ 18:45:10",
            "Sun, 22 Foo 2026 18:40:02",
            ",",
            "99999999999999999999",
        ] {
            assert_eq!(parse_time(text, IST), Err(NotATime), "{text}");
        }
    }

    #[test]
    fn dates_agree_with_the_calendar_of_jiff() {
        for seconds in (946_684_800_i64..4_102_444_800).step_by(86_399 * 31) {
            let text = WallTime(seconds).to_string();
            assert_eq!(parse_time(&text, IST), Ok(Some(WallTime(seconds))), "{text}");
        }
    }

    #[test]
    fn offsets_are_read_and_written() {
        assert_eq!(UtcOffset::parse("+05:30"), Some(IST));
        assert_eq!(UtcOffset::parse("-03:00").map(|o| o.to_string()).as_deref(), Some("-03:00"));
        for bad in ["", "05:30", "+5:30", "+99:00", "IST", "+05:60"] {
            assert_eq!(UtcOffset::parse(bad), None, "{bad}");
        }
    }
}
