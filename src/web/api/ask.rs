//! What a request asks for: parameters as its route declares them, read strictly.
//!
//! A parameter that the route does not have, one given twice and a value that cannot be read are refused:
//! a filter that is silently left out would answer another question. An empty value counts as not given.

use axum::Extension;
use axum::extract::{FromRequestParts, RawPathParams};
use http::StatusCode;
use http::request::Parts;
use jiff::civil::{Date, Time};
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

use super::Shared;
use super::cursor::{self, Place};
use super::desk::Who;
use crate::model::{Sid, Timestamp, UtcOffset, WallTime};
use crate::web::access::Refusal;

/// The most rows of one answer.
pub(super) const MOST: usize = 1_000;
/// Characters of a parameter's value at most.
pub(super) const LONGEST: usize = 512;
/// Seconds that make the default of most ranges.
pub(super) const DAY: i64 = 86_400;

/// A parameter of a route's query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) about: &'static str,
}

/// What a parameter takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Name or sid of an account.
    Account,
    /// A whole number from 1 to [`MOST`], with this default.
    Limit(usize),
    /// RFC 3339 or a date.
    When,
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// Any text.
    Text,
    /// A cursor of an earlier answer.
    Cursor,
}

/// The parameters of the route that is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Declared(pub(super) &'static [Parameter]);

/// A request, read.
#[derive(Debug)]
pub(super) struct Ask {
    /// The account it is about.
    pub(super) who: Who,
    /// The call in its path, where the route has one.
    sid: Option<String>,
    given: Vec<(&'static Parameter, String)>,
}

/// Times from the first to before the second, UTC.
pub(super) type Range = (Timestamp, Timestamp);

pub(super) fn bad(code: &'static str, message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, code, message)
}

impl FromRequestParts<Shared> for Ask {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refusal> {
        let declared = Extension::<Declared>::from_request_parts(parts, shared).await;
        let Declared(declared) = declared.map_or(Declared(&[]), |Extension(declared)| declared);
        let given = read(parts.uri.query().unwrap_or_default(), declared)?;
        let path = RawPathParams::from_request_parts(parts, shared).await;
        let sid = path.ok().and_then(|path| Some(path.iter().next()?.1.to_owned()));
        let wanted =
            given.iter().find(|(p, _)| matches!(p.kind, Kind::Account)).map(|(_, value)| value.as_str());
        let who = shared.desk.account(wanted).ok_or_else(|| {
            let message = "No account has this name or sid.";
            Refusal::new(StatusCode::NOT_FOUND, "account_unknown", message)
        })?;
        Ok(Self { who, sid, given })
    }
}

/// The query's pairs, each held against what is declared.
fn read(query: &str, declared: &'static [Parameter]) -> Result<Vec<(&'static Parameter, String)>, Refusal> {
    let mut given: Vec<(&'static Parameter, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let Some(parameter) = declared.iter().find(|parameter| parameter.name == name) else {
            let known: Vec<&str> = declared.iter().map(|parameter| parameter.name).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let refusal = bad("parameter_unknown", "The query has a parameter that is not known here.");
            return Err(refusal.with_detail(format!("known are: {known}")));
        };
        if given.iter().any(|(earlier, _)| earlier.name == parameter.name) {
            let message = format!("The parameter {} is given more than once.", parameter.name);
            return Err(bad("parameter_repeated", message));
        }
        if value.is_empty() {
            continue;
        }
        check(parameter, &value)?;
        given.push((parameter, value.into_owned()));
    }
    Ok(given)
}

fn check(parameter: &Parameter, value: &str) -> Result<(), Refusal> {
    let name = parameter.name;
    let invalid = |expected: String| {
        bad("parameter_invalid", format!("The parameter {name} cannot be read.")).with_detail(expected)
    };
    if value.chars().count() > LONGEST || value.chars().any(char::is_control) {
        return Err(invalid(format!("expected at most {LONGEST} characters, and none of control")));
    }
    match parameter.kind {
        Kind::Limit(_) => {
            limit(value).map(drop).ok_or_else(|| invalid(format!("expected a whole number from 1 to {MOST}")))
        }
        Kind::When => when(value).map(drop).ok_or_else(|| {
            invalid("expected a time such as 2026-03-02T13:20:00Z or a date such as 2026-03-02".to_owned())
        }),
        Kind::Word(words) if !words().contains(&value) => {
            Err(invalid(format!("expected one of {}", words().join(", "))))
        }
        Kind::Word(_) | Kind::Account | Kind::Text | Kind::Cursor => Ok(()),
    }
}

fn limit(value: &str) -> Option<usize> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    value.parse().ok().filter(|limit| digits && (1..=MOST).contains(limit))
}

/// A time as a parameter says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Instant(Timestamp),
    /// The seconds between the epoch and its midnight, on a clock without a zone.
    Day(i64),
}

/// Years that are told apart. Those before and after them are their first second and the one after them: nothing is
/// stored under such a time, so "since the year 1" and "until 9999" are everything.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=2099;
/// 2100-01-01T00:00:00Z.
const AFTER_THEM: i64 = 4_102_444_800;

fn when(value: &str) -> Option<When> {
    if value.len() == 10 {
        let date: Date = value.parse().ok()?;
        return Some(When::Day(seconds(date, Time::midnight(), Offset::UTC)?));
    }
    // In a query `+` stands for a blank unless it is written as %2B, which is forgotten often.
    let value = match value.rsplit_once(' ') {
        Some((time, offset)) if time.contains(['T', 't']) && offset.contains(':') => {
            format!("{time}+{offset}")
        }
        _ => value.to_owned(),
    };
    let b = value.as_bytes();
    // RFC 3339 alone; the parser takes more.
    let shape =
        b.len() >= 20 && b[4] == b'-' && b[7] == b'-' && matches!(b[10], b'T' | b't') && b[13] == b':';
    if !shape || value.contains('[') {
        return None;
    }
    let pieces = Pieces::parse(&value).ok()?;
    Some(When::Instant(Timestamp(seconds(pieces.date(), pieces.time()?, pieces.to_numeric_offset()?)?)))
}

/// Seconds between the epoch and a time of day.
fn seconds(date: Date, time: Time, offset: Offset) -> Option<i64> {
    if date.year() < *YEARS.start() {
        return Some(0);
    }
    if date.year() > *YEARS.end() {
        return Some(AFTER_THEM);
    }
    Some(offset.to_timestamp(date.to_datetime(time)).ok()?.as_second().max(0))
}

impl When {
    fn begin(self, offset: UtcOffset) -> Timestamp {
        match self {
            Self::Instant(at) => at,
            Self::Day(midnight) => WallTime(midnight).to_timestamp(offset),
        }
    }

    /// The first second after it: a day counts whole, an instant with its second.
    fn end(self, offset: UtcOffset) -> Timestamp {
        match self {
            Self::Instant(at) => at.plus(1),
            Self::Day(midnight) => WallTime(midnight).to_timestamp(offset).plus(DAY),
        }
    }
}

impl Ask {
    /// A parameter's value, where it was given.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(parameter, _)| parameter.name == name).map(|(_, value)| value.as_str())
    }

    /// Rows wanted at most.
    pub(super) fn limit(&self, default: usize) -> usize {
        self.text("limit").and_then(limit).unwrap_or(default)
    }

    /// The range between two parameters, both ends in it. A date is a whole day in the account's offset.
    /// Without an end it goes on to `now`; without a beginning it is `length` seconds long.
    ///
    /// # Errors
    /// When it ends before it begins.
    pub(super) fn range(
        &self,
        (from, to): (&str, &str),
        now: Timestamp,
        length: i64,
    ) -> Result<Range, Refusal> {
        let of = |name| self.text(name).and_then(when);
        let offset = self.who.offset;
        let end = of(to).map(|to| to.end(offset));
        let begin = of(from).map(|from| from.begin(offset));
        let last = end.unwrap_or_else(|| now.plus(1).max(begin.unwrap_or(now).plus(1)));
        let first = begin.unwrap_or_else(|| last.plus(length.saturating_neg()));
        if first >= last {
            return Err(bad("range_reversed", format!("{from} is after {to}.")));
        }
        Ok((first, last))
    }

    /// The call in the path.
    ///
    /// # Errors
    /// 404 for what can be no call's Sid.
    pub(super) fn sid(&self) -> Result<Sid, Refusal> {
        self.sid.as_deref().and_then(Sid::parse).ok_or_else(unknown_call)
    }

    /// What tells this query from others, for cursors: every filter, and neither place nor size of a page.
    fn fingerprint(&self) -> String {
        let mut parts: Vec<String> = self
            .given
            .iter()
            .filter(|(parameter, _)| matches!(parameter.kind, Kind::When | Kind::Word(_) | Kind::Text))
            .map(|(parameter, value)| format!("{}={value}", parameter.name))
            .collect();
        parts.sort();
        format!("{}\n{}", self.who.sid, parts.join("\n"))
    }

    /// The place from which a list goes on, where a cursor was given. `list` tells lists apart.
    ///
    /// # Errors
    /// For a cursor that is none, or belongs to another query.
    pub(super) fn below(&self, list: &str) -> Result<Option<Place>, Refusal> {
        let Some(text) = self.text("cursor") else { return Ok(None) };
        let query = format!("{list}\n{}", self.fingerprint());
        cursor::read(&query, text).map(Some).map_err(|wrong| match wrong {
            cursor::Wrong::Unreadable => bad("cursor_invalid", "The cursor cannot be read.")
                .with_detail("give nextCursor of an earlier answer as it is"),
            cursor::Wrong::OtherQuery => {
                bad("cursor_of_another_query", "The cursor belongs to another query.")
                    .with_detail("give the same account and filters as for the first page")
            }
        })
    }

    /// The cursor of the next page.
    pub(super) fn cursor(&self, list: &str, place: Option<Place>) -> Option<String> {
        place.map(|place| cursor::write(&format!("{list}\n{}", self.fingerprint()), &place))
    }
}

/// What is said of a call that nobody knows.
pub(super) fn unknown_call() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "call_unknown", "No call of this account has this Sid.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(value: &str) -> Option<(i64, i64)> {
        let offset = UtcOffset(19_800);
        when(value).map(|when| (when.begin(offset).0, when.end(offset).0))
    }

    #[test]
    fn a_date_is_a_day_of_the_account_and_an_instant_a_second() {
        assert_eq!(at("2026-03-02"), Some((1_772_389_800, 1_772_389_800 + DAY)));
        let second = Some((1_772_457_600, 1_772_457_601));
        for same in [
            "2026-03-02T13:20:00Z",
            "2026-03-02T13:20:00.000Z",
            "2026-03-02T18:50:00+05:30",
            "2026-03-02T18:50:00 05:30",
            "2026-03-02t13:20:00z",
        ] {
            assert_eq!(at(same), second, "{same}");
        }
    }

    #[test]
    fn times_long_ago_and_far_ahead_are_before_and_after_everything() {
        for early in ["0000-01-01", "0421-05-20", "1969-12-31"] {
            assert_eq!(at(early), at("1970-01-01"), "{early}");
        }
        for early in ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+05:30"] {
            assert_eq!(at(early), Some((0, 1)), "{early}");
        }
        for late in ["2100-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59"] {
            assert_eq!(at(late), Some((AFTER_THEM, AFTER_THEM + 1)), "{late}");
        }
        assert_eq!(at("9999-12-31"), at("2100-01-01"));
        assert!(at("2099-12-31").unwrap().1 < AFTER_THEM);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "yesterday",
            "2026-13-01",
            "2026-02-30",
            "2026-3-2",
            "20260302",
            "02/03/2026",
            "1772457600",
            "2026-03-02T13:20:00",
            "2026-03-02 13:20:00Z",
            "2026-03-02T25:00:00Z",
            "9999-12-32",
            "0001-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "-2026-03-02",
            "+002026-03-02T13:20:00Z",
            "2026-03-02T13:20:00+05:30[Asia/Kolkata]",
        ] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_limit_is_a_plain_number_from_one_to_a_thousand() {
        assert_eq!((limit("1"), limit("1000"), limit("007")), (Some(1), Some(1000), Some(7)));
        for bad in
            ["0", "-1", "1001", "1000000000", "99999999999999999999999", "1.5", "+5", "1e3", "ten", " 5"]
        {
            assert_eq!(limit(bad), None, "{bad}");
        }
    }
}
