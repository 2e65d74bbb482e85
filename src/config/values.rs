//! Values that settings are made of, from their text: durations, sizes, addresses, URLs.
//!
//! Each reader answers with the value or with a reason that says what was expected and what came. Used
//! by the file, the environment and the flags alike.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use super::node::quoted;
use super::{LogFormat, Region};
use crate::model::Direction;

/// What a duration looks like, for messages.
pub(crate) const DURATION: &str = "a duration such as 15m or 4h20m (units ms, s, m, h, d, the largest first)";

/// A century: longer is a slip, and sums of a few still fit everywhere.
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads `15m`, `4h20m`, `1m500ms`: whole numbers with units, the largest unit first.
///
/// # Errors
/// The reason, for anything else and for more than 36,500 days.
pub fn duration(text: &str) -> Result<Duration, String> {
    let fault = || format!("expected {DURATION}, got {}", quoted(text));
    let mut millis: u64 = 0;
    let mut units = UNITS.iter();
    let mut rest = text;
    if rest.is_empty() {
        return Err(fault());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(fault)?;
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| fault())?;
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        // The iterator goes on where it stopped: a unit that comes again or out of order is not found.
        let (_, factor) = units.find(|(name, _)| *name == unit).ok_or_else(fault)?;
        millis = number.checked_mul(*factor).and_then(|n| millis.checked_add(n)).ok_or_else(fault)?;
        rest = tail;
    }
    let value = Duration::from_millis(millis);
    if value > LONGEST {
        return Err(format!("expected at most 36500d, got {}", quoted(text)));
    }
    Ok(value)
}

/// A duration as it is written in the configuration: `4h20m`.
pub fn write_duration(value: Duration) -> String {
    let mut millis = u64::try_from(value.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, factor) in UNITS {
        let count = millis / factor;
        millis %= factor;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Reads `20GiB`, `500MB`, `1048576`: bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    const SIZES: [(&str, u64); 8] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
    ];
    let (number, factor) =
        SIZES.iter().find_map(|(unit, f)| text.strip_suffix(unit).map(|n| (n, *f))).unwrap_or((text, 1));
    let number = number.trim_end();
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    digits
        .then(|| number.parse::<u64>().ok()?.checked_mul(factor).filter(|bytes| *bytes > 0))
        .flatten()
        .ok_or_else(|| format!("expected a size such as 20GiB or 500MB, or none, got {}", quoted(text)))
}

/// Reads a direction of calls, in a spelling of Exotel's.
pub(crate) fn direction(text: &str) -> Result<Direction, String> {
    match Direction::from_word(text) {
        Direction::Other => {
            Err(format!("expected one of inbound, outbound-dial, outbound-api, got {}", quoted(text)))
        }
        direction => Ok(direction),
    }
}

/// Reads a region.
pub(crate) fn region(text: &str) -> Result<Region, String> {
    match text {
        "singapore" | "sg" => Ok(Region::Singapore),
        "mumbai" | "in" => Ok(Region::Mumbai),
        _ => Err(format!("expected singapore, mumbai, sg or in, got {}", quoted(text))),
    }
}

/// Reads a level of logging.
///
/// # Errors
/// The reason, with the words that are levels.
pub fn log_level(text: &str) -> Result<tracing::Level, String> {
    match text {
        "error" => Ok(tracing::Level::ERROR),
        "warn" => Ok(tracing::Level::WARN),
        "info" => Ok(tracing::Level::INFO),
        "debug" => Ok(tracing::Level::DEBUG),
        "trace" => Ok(tracing::Level::TRACE),
        _ => Err(format!("expected error, warn, info, debug or trace, got {}", quoted(text))),
    }
}

/// Reads a shape of log lines.
///
/// # Errors
/// The reason, with the words that are shapes.
pub fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "logfmt" => Ok(LogFormat::Logfmt),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("expected logfmt or json, got {}", quoted(text))),
    }
}

/// Reads an address to listen on: `127.0.0.1:10043`, `[::1]:10043`, `localhost:10043` (IPv4 loopback),
/// `:10043` (every IPv4 address). Port 0 takes any free one.
///
/// # Errors
/// The reason. Names but `localhost` are refused: what they mean may change between two starts.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let fault =
        || format!("expected an address and a port such as 127.0.0.1:10043 or :10043, got {}", quoted(text));
    let (host, port) = text.rsplit_once(':').ok_or_else(fault)?;
    let host = match host {
        "" => Ipv4Addr::UNSPECIFIED,
        "localhost" => Ipv4Addr::LOCALHOST,
        _ => return Err(fault()),
    };
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port: u16 = digits.then(|| port.parse().ok()).flatten().ok_or_else(fault)?;
    Ok(SocketAddr::from((host, port)))
}

/// Reads a network: `203.0.113.0/24`, or one address.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| format!("expected a network such as 203.0.113.0/24 or an address, got {}", quoted(text)))
}

/// Reads the path that metrics are served under.
///
/// # Errors
/// The reason: not absolute, with characters that a path has not, or one that serves something else.
pub fn telemetry_path(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~".contains(&b));
    if !text.starts_with('/') || !plain || text.contains("//") || text.len() > 200 {
        return Err(format!("expected a path such as /metrics, got {}", quoted(text)));
    }
    let first = text[1..].split('/').next().unwrap_or_default();
    if matches!(first, "" | "-" | "api" | "webhooks") || matches!(text, "/docs" | "/style.css") {
        return Err(format!("expected a path of its own, but {text} serves something else"));
    }
    Ok(text.to_owned())
}

/// Reads the base of an API and cuts its trailing slash. Reasons never quote the text: people put
/// credentials into URLs.
pub(crate) fn base_url(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text)
        .map_err(|error| format!("expected a URL such as https://api.exotel.com: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("expected a URL that begins with https:// (or http://)".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("expected a URL without user and password; api_key and api_token hold them".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("expected a URL without ? and #: request paths are put after it".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Reads an account sid: it stands in URL paths.
pub(crate) fn sid(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if text.is_empty() || text.len() > 64 || !plain || text.bytes().all(|b| b == b'.') {
        return Err(format!(
            "expected an account sid (up to 64 letters, digits, - _ .), got {}",
            quoted(text)
        ));
    }
    Ok(text.to_owned())
}

/// Reads a label value: what a person calls an account or an ExoPhone. `reserved` words mean something
/// else in the metrics.
pub(crate) fn label(text: &str, reserved: &[&str]) -> Result<String, String> {
    if reserved.contains(&text) {
        return Err(format!("expected another name: {text} has a meaning of its own in the metrics"));
    }
    let plain = !text.chars().any(|c| c.is_control() || c == '/');
    if text.trim().is_empty() || text.trim() != text || text.chars().count() > 100 || !plain {
        return Err(format!(
            "expected a name of 1 to 100 characters without / and without blanks at its ends, got {}",
            quoted(text)
        ));
    }
    Ok(text.to_owned())
}

/// Reads a phone number: digits, a `+` before them, blanks and dashes between. Reasons quote none.
pub(crate) fn phone_number(text: &str) -> Result<String, String> {
    let number: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let digits = number.strip_prefix('+').unwrap_or(&number);
    if !(3..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("expected a phone number of 3 to 15 digits, with or without + before them".to_owned());
    }
    Ok(number)
}

/// Reads a currency code.
pub(crate) fn currency(text: &str) -> Result<String, String> {
    if text.len() != 3 || !text.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(format!("expected a currency code such as INR, got {}", quoted(text)));
    }
    Ok(text.to_owned())
}

/// Reads a browser origin.
pub(crate) fn origin(text: &str) -> Result<String, String> {
    let fault = || format!("expected an origin such as https://ops.example.com, got {}", quoted(text));
    if text.contains('@') {
        return Err("expected an origin such as https://ops.example.com, without a user".to_owned());
    }
    let url = reqwest::Url::parse(text).map_err(|_| fault())?;
    let origin = url.origin().ascii_serialization();
    if !matches!(url.scheme(), "http" | "https") || text.trim_end_matches('/') != origin {
        return Err(fault());
    }
    Ok(origin)
}

/// Reads on or off as people write it in an environment.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("expected true or false, got {}", quoted(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_units() {
        for (text, millis) in [
            ("15m", 900_000),
            ("4h20m", 15_600_000),
            ("190d", 16_416_000_000),
            ("1m500ms", 60_500),
            ("0s", 0),
            ("1d1h1m1s1ms", 90_061_001),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(write_duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "15",
            "m",
            "15 m",
            "-1s",
            "1.5h",
            "20m4h",
            "1m1m",
            "1y",
            "36501d",
            "1M",
            "１s",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units_or_are_bytes() {
        assert_eq!(size("20GiB"), Ok(20 << 30));
        assert_eq!(size("500 MB"), Ok(500_000_000));
        assert_eq!(size("1048576"), Ok(1 << 20));
        for text in ["", "0", "GiB", "-1GB", "1.5GB", "5 apples", "99999999TiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_are_read_as_prometheus_users_write_them() {
        for (text, expected) in [
            ("127.0.0.1:10043", "127.0.0.1:10043"),
            ("[::1]:0", "[::1]:0"),
            (":9100", "0.0.0.0:9100"),
            ("localhost:80", "127.0.0.1:80"),
        ] {
            assert_eq!(listen_address(text).map(|a| a.to_string()), Ok(expected.to_owned()));
        }
        for text in ["", "10043", "example.com:80", "127.0.0.1", ":99999", ":+1", "::1:80:"] {
            assert!(listen_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn base_urls_lose_their_slash_and_refusals_quote_nothing() {
        assert_eq!(base_url("https://api.exotel.com/"), Ok("https://api.exotel.com".to_owned()));
        assert_eq!(base_url("HTTP://127.0.0.1:10044/x/"), Ok("http://127.0.0.1:10044/x".to_owned()));
        for text in [
            "api.exotel.com",
            "ftp://hush.example",
            "https://key:hush@api.exotel.com",
            "https://api.exotel.com/?t=hush",
            "https://api.exotel.com/#hush",
            "https://hush:99999",
            "",
        ] {
            let reason = base_url(text).unwrap_err();
            assert!(!reason.contains("hush"), "{reason}");
        }
    }

    #[test]
    fn the_metrics_path_cannot_hide_another_page() {
        assert_eq!(telemetry_path("/probe/metrics"), Ok("/probe/metrics".to_owned()));
        for text in ["", "metrics", "/", "/-/healthy", "/api/x", "/webhooks", "/a b", "/a?b", "/a//b", "/{x}"]
        {
            assert!(telemetry_path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_and_numbers_are_checked() {
        assert!(sid("exotel-demo_1").is_ok());
        for text in ["", "..", "a/b", "a b", &"a".repeat(65)] {
            assert!(sid(text).is_err(), "{text}");
        }
        assert!(label("Acme Sales", &[]).is_ok());
        for text in ["", " a", "a/b", "a\nb", "unknown"] {
            assert!(label(text, &["unknown"]).is_err(), "{text}");
        }
        assert_eq!(phone_number("+91 80-0000 0011"), Ok("+918000000011".to_owned()));
        for text in ["", "+", "12", "sip:agent", "08000000011x", "1234567890123456"] {
            assert!(phone_number(text).is_err(), "{text}");
        }
        assert_eq!(origin("https://ops.example.com/"), Ok("https://ops.example.com".to_owned()));
        for text in ["*", "https://ops.example.com/path", "ops.example.com", "https://a:b@c.example"] {
            assert!(origin(text).is_err(), "{text}");
        }
        assert!(network("203.0.113.7").is_ok() && network("2001:db8::/32").is_ok());
        assert!(network("203.0.113.0/33").is_err());
    }
}
