//! What an answer means: its status, and what its headers say about the limit. Pure.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, StatusCode};

use super::wire::failure_text;
use super::{Error, ErrorKind, Pool};

/// Longest pause taken from an answer; whoever asks for more is asked again after this.
const MAX_PAUSE: Duration = Duration::from_secs(600);

/// Pause after a 429 that does not say how long.
const DEFAULT_PAUSE: Duration = Duration::from_secs(30);

/// Shortest pause after a 429, should it ask for none.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// What the headers of one answer say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// Exotel's clock, seconds since the epoch.
    pub(super) date: Option<i64>,
    /// How long whoever asked is to rest: `Retry-After`, or what a broken limit costs without one.
    pub(super) asked: Option<Duration>,
    /// Until the reset of a quota that is used up.
    pub(super) reset: Option<Duration>,
    /// `Retry-After` alone, capped.
    pub(super) retry_after: Option<Duration>,
    /// Requests a minute.
    pub(super) limit: Option<u32>,
    /// Requests left.
    pub(super) remaining: Option<u64>,
}

impl Hints {
    /// Reads `Date`, `Retry-After` (seconds or a date) and `X-RateLimit-*`; what cannot be read is absent.
    /// `now` is our clock, for answers without a date.
    pub(super) fn of(status: StatusCode, headers: &HeaderMap, pool: Pool, now: Duration) -> Self {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
        let number = |name: &str| text(name).and_then(|t| t.parse::<u64>().ok());
        let date = text("date").and_then(epoch_seconds);
        let theirs = date.map_or(now, |s| Duration::from_secs(u64::try_from(s).unwrap_or(0)));
        let retry_after = text("retry-after").and_then(|text| match text.parse::<u64>() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => epoch_seconds(text).map(|at| until(at, theirs)),
        });
        let retry_after = retry_after.map(|wait| wait.min(MAX_PAUSE));
        let remaining = number("x-ratelimit-remaining");
        let reset = number("x-ratelimit-reset").filter(|_| remaining == Some(0));
        let reset = reset.map(|at| until(i64::try_from(at).unwrap_or(i64::MAX), theirs).min(MAX_PAUSE));
        let asked = if is_throttled(status, pool) {
            Some(retry_after.unwrap_or(DEFAULT_PAUSE).max(MIN_PAUSE))
        } else {
            retry_after
        };
        Self {
            date,
            asked: asked.filter(|pause| !pause.is_zero()),
            reset: reset.filter(|pause| !pause.is_zero()),
            retry_after,
            limit: number("x-ratelimit-limit").map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
            remaining,
        }
    }

    /// The longer of both rests.
    pub(super) fn pause(&self) -> Option<Duration> {
        self.asked.max(self.reset)
    }
}

/// Whether a status says that the limit was broken. The SMS API says so with 503 too.
fn is_throttled(status: StatusCode, pool: Pool) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::SERVICE_UNAVAILABLE && pool == Pool::Sms)
}

fn epoch_seconds(http_date: &str) -> Option<i64> {
    let time = httpdate::parse_http_date(http_date).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

fn until(epoch_seconds: i64, now: Duration) -> Duration {
    Duration::from_secs(u64::try_from(epoch_seconds).unwrap_or(0)).saturating_sub(now)
}

/// The error for a status other than success; none for success.
pub(super) fn failure(status: StatusCode, body: &[u8], pool: Pool, hints: &Hints) -> Option<Error> {
    if status.is_success() {
        return None;
    }
    let (kind, remark) = match status.as_u16() {
        _ if is_throttled(status, pool) => (ErrorKind::Throttled { retry_after: hints.retry_after }, ""),
        401 => (ErrorKind::Auth, "; wrong key or token, or wrong region?"),
        402 => (ErrorKind::Payment, "; balance or plan?"),
        403 => (ErrorKind::Forbidden, "; is this address allowed?"),
        404 => (ErrorKind::NotFound, "; if everything is missing: wrong account or region?"),
        408 => (ErrorKind::Timeout, ""),
        300..=399 => (ErrorKind::Client, "; a redirect, which is not followed"),
        400..=499 => (ErrorKind::Client, ""),
        _ => (ErrorKind::Server, ""),
    };
    let message = format!("{}: {}{remark}", status.as_u16(), failure_text(body));
    Some(Error { kind, status: Some(status.as_u16()), message })
}

/// Whether asking again may help. Only reads are ever asked again.
pub(super) fn is_retried(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Throttled { .. }
        | ErrorKind::Server
        | ErrorKind::Timeout
        | ErrorKind::Connect
        | ErrorKind::Tls
        | ErrorKind::Ledger
        | ErrorKind::Decode => true,
        ErrorKind::Auth
        | ErrorKind::Forbidden
        | ErrorKind::Payment
        | ErrorKind::NotFound
        | ErrorKind::Client => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_772_459_700);

    fn hints(status: u16, pool: Pool, headers: &[(&'static str, &str)]) -> Hints {
        let headers =
            headers.iter().map(|(k, v)| (http::HeaderName::from_static(k), v.parse().unwrap())).collect();
        Hints::of(StatusCode::from_u16(status).unwrap(), &headers, pool, NOW)
    }

    fn pause(status: u16, headers: &[(&'static str, &str)]) -> Option<u64> {
        hints(status, Pool::Voice, headers).pause().map(|p| p.as_secs())
    }

    #[test]
    fn the_documented_headers_of_a_429_are_read() {
        // tests/fixtures/exotel/error-429-headers.txt
        let read = hints(
            429,
            Pool::Voice,
            &[
                ("retry-after", "30"),
                ("x-ratelimit-limit", "200"),
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1772459760"),
            ],
        );
        assert_eq!((read.limit, read.remaining), (Some(200), Some(0)));
        assert_eq!(read.retry_after, Some(Duration::from_secs(30)));
        assert_eq!(read.pause(), Some(Duration::from_secs(60)), "the later of the two");
    }

    #[test]
    fn retry_after_pauses_on_any_status_in_seconds_or_until_a_date() {
        assert_eq!(pause(200, &[("retry-after", "7")]), Some(7));
        assert_eq!(pause(503, &[("retry-after", "7")]), Some(7));
        let date =
            [("date", "Mon, 02 Mar 2026 14:00:00 GMT"), ("retry-after", "Mon, 02 Mar 2026 14:00:45 GMT")];
        assert_eq!(pause(503, &date), Some(45), "by Exotel's own clock");
        assert_eq!(pause(503, &[("retry-after", "Mon, 02 Mar 2026 13:55:30 GMT")]), Some(30));
        assert_eq!(pause(503, &[("retry-after", "Mon, 02 Mar 2020 13:55:30 GMT")]), None);
        assert_eq!(pause(503, &[("retry-after", "86400")]), Some(600));
        assert_eq!(pause(503, &[("retry-after", "soon")]), None);
    }

    #[test]
    fn a_429_always_pauses_and_so_does_a_503_of_the_sms_api() {
        assert_eq!(pause(429, &[]), Some(30));
        assert_eq!(pause(429, &[("retry-after", "soon")]), Some(30));
        assert_eq!(pause(429, &[("retry-after", "0")]), Some(1));
        assert_eq!(pause(503, &[]), None);
        assert_eq!(hints(503, Pool::Sms, &[]).pause(), Some(DEFAULT_PAUSE));
    }

    #[test]
    fn an_exhausted_quota_pauses_until_its_reset() {
        let exhausted = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1772459712")];
        assert_eq!(pause(200, &exhausted), Some(12));
        assert_eq!(pause(200, &[("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", "1772459712")]), None);
        assert_eq!(
            pause(200, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "99999999999999999999")]),
            None
        );
        assert_eq!(
            pause(200, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "9999999999")]),
            Some(600)
        );
        assert_eq!(pause(200, &[("x-ratelimit-remaining", "-1"), ("x-ratelimit-limit", "many")]), None);
    }

    #[test]
    fn every_status_has_its_kind() {
        let kind = |status: u16, pool| {
            let status = StatusCode::from_u16(status).unwrap();
            failure(status, b"", pool, &Hints::default()).map(|e| e.kind)
        };
        let throttled = Some(ErrorKind::Throttled { retry_after: None });
        for (status, expected) in [
            (200, None),
            (202, None),
            (207, None),
            (301, Some(ErrorKind::Client)),
            (307, Some(ErrorKind::Client)),
            (400, Some(ErrorKind::Client)),
            (401, Some(ErrorKind::Auth)),
            (402, Some(ErrorKind::Payment)),
            (403, Some(ErrorKind::Forbidden)),
            (404, Some(ErrorKind::NotFound)),
            (408, Some(ErrorKind::Timeout)),
            (409, Some(ErrorKind::Client)),
            (429, throttled),
            (500, Some(ErrorKind::Server)),
            (503, Some(ErrorKind::Server)),
            (599, Some(ErrorKind::Server)),
            (999, Some(ErrorKind::Server)),
        ] {
            assert_eq!(kind(status, Pool::Voice), expected, "{status}");
        }
        assert_eq!(kind(503, Pool::Sms), throttled);
    }
}
