//! Words and figures as the pages write them.

use std::fmt;
use std::time::Duration;

use crate::model::{Timestamp, UtcOffset};

/// A text from elsewhere, made harmless between tags and inside quoted attributes.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                _ => "&#39;",
            })?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

/// `1,234,567`.
pub(super) struct Grouped(pub(super) u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.char_indices() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// `840 ms`, `2.4 s`, `3 min 5 s`, `4 h 20 min`, `3 d 4 h`.
pub(super) fn duration(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0 => format!("{} ms", time.subsec_millis()),
        1..10 => format!("{}.{} s", s, time.subsec_millis() / 100),
        10..60 => format!("{s} s"),
        60..3600 => two(s / 60, "min", s % 60, "s"),
        3600..86_400 => two(s / 3600, "h", s % 3600 / 60, "min"),
        _ => two(s / 86_400, "d", s % 86_400 / 3600, "h"),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    }
}

/// How long ago something was: `3 min 5 s ago`; `now` for what is not yet a second old, or not yet.
pub(super) fn ago(now: Timestamp, then: Timestamp) -> String {
    match u64::try_from(now - then) {
        Ok(0) | Err(_) => "now".to_owned(),
        // Without the fraction that a duration of this length would have.
        Ok(seconds @ 1..10) => format!("{seconds} s ago"),
        Ok(seconds) => format!("{} ago", duration(Duration::from_secs(seconds))),
    }
}

/// `<time>` that reads as Exotel's clock did: `18:45:10` today, else `2026-03-02 18:45:10`.
pub(super) struct At {
    pub(super) time: Timestamp,
    pub(super) now: Timestamp,
    pub(super) offset: UtcOffset,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wall = self.time.to_wall(self.offset).to_string();
        let today = self.now.to_wall(self.offset).to_string();
        let shown = match (wall.split_once(' '), today.split_once(' ')) {
            (Some((day, clock)), Some((today, _))) if day == today => clock,
            _ => &wall,
        };
        write!(f, "<time datetime=\"{}\">{shown}</time>", self.time)
    }
}

/// `62 %`, `<1 %`; a dash where there is nothing to divide by.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let percent = part as f64 * 100.0 / whole as f64;
    match percent {
        p if p > 0.0 && p < 1.0 => "&lt;1 %".to_owned(),
        p if p > 99.0 && p < 100.0 => "&gt;99 %".to_owned(),
        p => format!("{p:.0} %"),
    }
}

/// `1,234.50`, `−0.07`: millionths of a unit, to the hundredth below.
pub(super) fn money(micros: i64) -> String {
    let hundredths = micros.unsigned_abs() / 10_000;
    let sign = if micros < 0 { "−" } else { "" };
    format!("{sign}{}.{:02}", Grouped(hundredths / 100), hundredths % 100)
}

/// `4.2 MB`, powers of ten.
pub(super) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB"].into_iter().peekable();
    while let Some(unit) = units.next() {
        if value < 1000.0 || units.peek().is_none() {
            let digits = usize::from(value < 10.0 && unit != "B");
            return format!("{value:.digits$} {unit}");
        }
        value /= 1000.0;
    }
    unreachable!("the last unit takes every value")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parse_time;

    #[test]
    fn markup_in_texts_is_harmless() {
        let text = Escaped("<script a='b'>\"&\"</script> é").to_string();
        assert_eq!(text, "&lt;script a=&#39;b&#39;&gt;&quot;&amp;&quot;&lt;/script&gt; é");
        assert_eq!(Escaped("").to_string(), "");
    }

    #[test]
    fn figures_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(Grouped(number).to_string(), text);
        }
    }

    #[test]
    fn durations_have_at_most_two_units() {
        for (millis, text) in [
            (0, "0 ms"),
            (840, "840 ms"),
            (2_450, "2.4 s"),
            (59_999, "59 s"),
            (185_000, "3 min 5 s"),
            (180_000, "3 min"),
            (15_600_000, "4 h 20 min"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn ages_never_are_negative() {
        let now = Timestamp(1000);
        assert_eq!(ago(now, Timestamp(1000)), "now");
        assert_eq!(ago(now, Timestamp(2000)), "now");
        assert_eq!(ago(now, Timestamp(997)), "3 s ago");
        assert_eq!(ago(now, Timestamp(-1000)), "33 min 20 s ago");
    }

    #[test]
    fn times_are_on_exotels_clock_with_the_day_where_it_is_another() {
        let offset = UtcOffset::default();
        let at = |text| parse_time(text, offset).unwrap().unwrap().to_timestamp(offset);
        let now = at("2026-03-02 18:45:10");
        let show = |time| At { time, now, offset }.to_string();
        assert_eq!(show(now), "<time datetime=\"2026-03-02T13:15:10Z\">18:45:10</time>");
        assert_eq!(
            show(at("2026-03-01 23:59:59")),
            "<time datetime=\"2026-03-01T18:29:59Z\">2026-03-01 23:59:59</time>"
        );
    }

    #[test]
    fn shares_never_round_to_all_or_nothing() {
        assert_eq!(percent(0, 0), "–");
        assert_eq!(percent(0, 7), "0 %");
        assert_eq!(percent(1, 1000), "&lt;1 %");
        assert_eq!(percent(999, 1000), "&gt;99 %");
        assert_eq!(percent(1, 3), "33 %");
        assert_eq!(percent(7, 7), "100 %");
    }

    #[test]
    fn money_has_two_places_and_its_sign() {
        for (micros, text) in [
            (0, "0.00"),
            (1_234_567_890, "1,234.56"),
            (-70_000, "−0.07"),
            (i64::MIN, "−9,223,372,036,854.77"),
        ] {
            assert_eq!(money(micros), text);
        }
    }

    #[test]
    fn sizes_have_two_digits_or_more() {
        for (count, text) in [(0, "0 B"), (999, "999 B"), (4_200_000, "4.2 MB"), (42_000, "42 kB")] {
            assert_eq!(bytes(count), text);
        }
        assert_eq!(bytes(u64::MAX), "18446744 TB");
    }
}
