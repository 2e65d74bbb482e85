//! Requests that go wrong, each kind with its probability.

use serde::{Deserialize, Serialize};

use super::random::Dice;

/// Probabilities from 0 to 1 for each kind of fault; at most one happens to a request.
///
/// As JSON a missing key is 0: `{"bad_gateway": 0.1, "retry_after": {"seconds": 2}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// 429, although the limit is kept.
    pub too_many_requests: f64,
    /// What such a 429 says of the time to wait.
    pub retry_after: RetryAfter,
    /// 500 as JSON.
    pub internal_error: f64,
    /// 502 as HTML.
    pub bad_gateway: f64,
    /// 503 without a body.
    pub unavailable: f64,
    /// The right answer, but only after `slow_seconds`.
    pub slow: f64,
    /// How slow.
    pub slow_seconds: f64,
    /// The connection ends in the middle of the body, or before the first byte.
    pub cut: f64,
    /// 200 with half of the JSON.
    pub truncated: f64,
    /// 200 with HTML.
    pub html: f64,
    /// A bulk page without `Calls`.
    pub no_calls: f64,
    /// A bulk page whose `NextPageUri` leads to itself or to the first page.
    pub cursor_loop: f64,
    /// A bulk page whose `NextPageUri` leads to another host or account.
    pub foreign_cursor: f64,
    /// A bulk page with numbers and dates that cannot be.
    pub absurd: f64,
    /// A body of more than 10 MB.
    pub huge: f64,
    /// Share of calls that a client makes which begin although the answer is 500; beside the others.
    pub placed_but_failed: f64,
    /// Every request is answered with this status.
    pub always: Option<u16>,
    /// Every login is refused.
    pub key_revoked: bool,
}

/// `Retry-After` of a 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// No such header.
    Missing,
    /// So many seconds.
    Seconds(u32),
    /// The time in so many seconds, as an HTTP date.
    Date(u32),
}

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    TooManyRequests,
    InternalError,
    BadGateway,
    Unavailable,
    Slow,
    Cut,
    Truncated,
    Html,
    NoCalls,
    CursorLoop,
    ForeignCursor,
    Absurd,
    Huge,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            too_many_requests: 0.0,
            retry_after: RetryAfter::Seconds(30),
            internal_error: 0.0,
            bad_gateway: 0.0,
            unavailable: 0.0,
            slow: 0.0,
            slow_seconds: 3.0,
            cut: 0.0,
            truncated: 0.0,
            html: 0.0,
            no_calls: 0.0,
            cursor_loop: 0.0,
            foreign_cursor: 0.0,
            absurd: 0.0,
            huge: 0.0,
            placed_but_failed: 0.0,
            always: None,
            key_revoked: false,
        }
    }
}

impl Faults {
    /// Every kind, all together with probability `share`.
    ///
    /// A 429 asks for one second and a slow answer takes three, so that a test does not wait long.
    pub fn of_every_kind(share: f64) -> Self {
        let each = share / Self::default().shares().len() as f64;
        Self {
            too_many_requests: each,
            retry_after: RetryAfter::Seconds(1),
            internal_error: each,
            bad_gateway: each,
            unavailable: each,
            slow: each,
            slow_seconds: 3.0,
            cut: each,
            truncated: each,
            html: each,
            no_calls: each,
            cursor_loop: each,
            foreign_cursor: each,
            absurd: each,
            huge: each,
            placed_but_failed: 0.0,
            always: None,
            key_revoked: false,
        }
    }

    /// Each kind with its probability.
    fn shares(&self) -> [(Fault, f64); 13] {
        [
            (Fault::TooManyRequests, self.too_many_requests),
            (Fault::InternalError, self.internal_error),
            (Fault::BadGateway, self.bad_gateway),
            (Fault::Unavailable, self.unavailable),
            (Fault::Slow, self.slow),
            (Fault::Cut, self.cut),
            (Fault::Truncated, self.truncated),
            (Fault::Html, self.html),
            (Fault::NoCalls, self.no_calls),
            (Fault::CursorLoop, self.cursor_loop),
            (Fault::ForeignCursor, self.foreign_cursor),
            (Fault::Absurd, self.absurd),
            (Fault::Huge, self.huge),
        ]
    }

    /// What goes wrong with the request whose draws these are.
    pub(super) fn draw(&self, dice: &mut Dice) -> Option<Fault> {
        let mut left = dice.unit();
        for (fault, share) in self.shares() {
            if left < share {
                return Some(fault);
            }
            left -= share;
        }
        None
    }

    /// The first value that is not what its documentation says.
    pub(super) fn mistake(&self) -> Option<String> {
        let total: f64 = self.shares().iter().map(|(_, share)| share).sum();
        let placed = (Fault::InternalError, self.placed_but_failed);
        let shares = self.shares().into_iter().chain([placed]);
        if shares.into_iter().any(|(_, share)| !(0.0..=1.0).contains(&share)) || total > 1.000_001 {
            return Some("each probability must lie in 0 to 1, and so must their sum".to_owned());
        }
        if !(0.0..=86_400.0).contains(&self.slow_seconds) {
            return Some("slow_seconds must lie in 0 to 86400".to_owned());
        }
        self.always
            .filter(|status| !(200..600).contains(status))
            .map(|status| format!("always: {status} is no HTTP status of an answer"))
    }
}

impl Default for RetryAfter {
    fn default() -> Self {
        Self::Seconds(30)
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Stream;
    use super::*;

    #[test]
    fn faults_come_with_their_share_and_in_every_kind() {
        let faults = Faults::of_every_kind(0.1);
        assert_eq!(faults.mistake(), None);
        let mut seen = std::collections::HashMap::new();
        for n in 0..20_000 {
            if let Some(fault) = faults.draw(&mut Dice::new(4, Stream::Faults, n)) {
                *seen.entry(format!("{fault:?}")).or_insert(0) += 1;
            }
        }
        assert_eq!(seen.len(), 13, "{seen:?}");
        let total: i32 = seen.values().sum();
        assert!((1800..2200).contains(&total), "{total}");
    }

    #[test]
    fn json_names_only_what_shall_go_wrong() {
        let faults: Faults =
            serde_json::from_str(r#"{"bad_gateway": 0.5, "retry_after": {"seconds": 2}}"#).unwrap();
        assert_eq!(faults.bad_gateway, 0.5);
        assert_eq!(faults.retry_after, RetryAfter::Seconds(2));
        assert_eq!(faults.html, 0.0);
        assert!(serde_json::from_str::<Faults>(r#"{"bad_gatway": 0.5}"#).is_err());
    }

    #[test]
    fn impossible_probabilities_are_named() {
        assert!(Faults { cut: 1.5, ..Faults::default() }.mistake().is_some());
        assert!(Faults { cut: 0.6, html: 0.6, ..Faults::default() }.mistake().is_some());
        assert!(Faults { cut: f64::NAN, ..Faults::default() }.mistake().is_some());
        assert!(Faults { always: Some(99), ..Faults::default() }.mistake().is_some());
    }
}
