//! What a request to the bulk API asks for, read as strictly as Exotel reads it.

use super::options::Cursor;
use super::params::{Bounds, LONGEST_WINDOW, bounds, encode, list, micros, pairs, seconds, window, words};
use super::table::Order;
use crate::model::WallTime;

const STATUSES: [&str; 8] =
    ["queued", "ringing", "in-progress", "completed", "failed", "busy", "no-answer", "canceled"];
const DIRECTIONS: [&str; 3] = ["inbound", "outbound-dial", "outbound-api"];

/// A request to the bulk API.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Query {
    /// First and last second of DateCreated.
    pub(super) window: (WallTime, WallTime),
    pub(super) sids: Option<Vec<String>>,
    pub(super) from: Vec<String>,
    pub(super) to: Vec<String>,
    pub(super) exophones: Vec<String>,
    pub(super) statuses: Vec<String>,
    pub(super) directions: Vec<String>,
    /// Seconds.
    pub(super) duration: Option<Bounds>,
    /// Millionths.
    pub(super) price: Option<Bounds>,
    pub(super) page_size: usize,
    pub(super) order: Order,
    pub(super) turn: Option<Turn>,
    pub(super) extras: Extras,
    /// The parameters without cursor, encoded as Exotel's own URIs have them.
    pub(super) canonical: String,
}

/// Where to go on: behind or before a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) way: Way,
    pub(super) epoch: i64,
    pub(super) sid: String,
}

/// Which way a cursor leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    On,
    Back,
}

/// What each row shall carry beyond the usual; for the single call too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extras {
    pub(super) details: Asked,
    /// Minutes for which `PreSignedRecordingUrl` is good; absent if not asked for.
    pub(super) presigned: Option<u32>,
}

/// Whether something was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Asked {
    #[default]
    No,
    Yes,
}

impl Query {
    /// Reads the raw query text of a request made when the account's wall clock reads `now`.
    ///
    /// The error is the message of a 400.
    pub(super) fn parse(raw: &str, now: WallTime, cursor: Cursor) -> Result<Self, String> {
        let default_window = (now.plus(-LONGEST_WINDOW), now);
        let mut query = Self {
            window: default_window,
            sids: None,
            from: Vec::new(),
            to: Vec::new(),
            exophones: Vec::new(),
            statuses: Vec::new(),
            directions: Vec::new(),
            duration: None,
            price: None,
            page_size: 50,
            order: Order::NewestFirst,
            turn: None,
            extras: Extras::default(),
            canonical: String::new(),
        };
        let mut seen = Vec::new();
        for (key, value) in pairs(raw)? {
            if seen.iter().any(|(known, _)| *known == key) {
                return Err(format!("Invalid parameter {key}. Given twice"));
            }
            query.take(&key, &value, now, cursor)?;
            seen.push((key, value));
        }
        query.canonical = canonical(&query, &seen);
        Ok(query)
    }

    fn take(&mut self, key: &str, value: &str, now: WallTime, cursor: Cursor) -> Result<(), String> {
        let bad = |why: &str| format!("Invalid parameter {key}. {why}");
        match key {
            "Sid" => self.sids = Some(list(value, 100).map_err(bad)?),
            "DateCreated" => self.window = window(value, now).map_err(bad)?,
            "From" => self.from = list(value, 5).map_err(bad)?,
            "To" => self.to = list(value, 5).map_err(bad)?,
            "PhoneNumber" => self.exophones = list(value, 5).map_err(bad)?,
            "Status" => self.statuses = words(value, &STATUSES).map_err(|why| bad(&why))?,
            "Direction" => self.directions = words(value, &DIRECTIONS).map_err(|why| bad(&why))?,
            "Duration" => self.duration = Some(bounds(value, seconds).map_err(bad)?),
            "Price" => self.price = Some(bounds(value, micros).map_err(bad)?),
            "PageSize" => {
                let size = value.parse().ok().filter(|size| (1..=100).contains(size));
                self.page_size = size.ok_or_else(|| bad("Expected 1 to 100"))?;
            }
            "SortBy" => {
                self.order = match value {
                    "DateCreated:asc" => Order::OldestFirst,
                    "DateCreated:desc" => Order::NewestFirst,
                    _ => return Err(bad("Valid values: DateCreated:asc, DateCreated:desc")),
                }
            }
            "After" | "Before" => {
                let (epoch, sid) = super::ident::read_cursor(value).ok_or_else(|| bad("Not a cursor"))?;
                let way = if (key == "After") == (cursor == Cursor::After) { Way::On } else { Way::Back };
                if self.turn.replace(Turn { way, epoch, sid }).is_some() {
                    return Err(bad("Only one of After and Before"));
                }
            }
            _ => return self.extras.take(key, value),
        }
        Ok(())
    }
}

impl Extras {
    /// Reads the query text of a request for a single call.
    pub(super) fn parse(raw: &str) -> Result<Self, String> {
        let mut extras = Self::default();
        for (key, value) in pairs(raw)? {
            extras.take(&key, &value)?;
        }
        Ok(extras)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), String> {
        match (key, value) {
            ("details", "true") => self.details = Asked::Yes,
            ("details", "false") => self.details = Asked::No,
            ("details", _) => return Err("Invalid parameter details. Valid values: true, false".to_owned()),
            ("RecordingUrlValidity", _) => {
                let minutes = value.parse().ok().filter(|minutes| (5..=60).contains(minutes));
                self.presigned =
                    Some(minutes.ok_or("Invalid parameter RecordingUrlValidity. Expected 5 to 60")?);
            }
            _ => return Err(format!("Invalid parameter {}", key.escape_default())),
        }
        Ok(())
    }
}

/// `PageSize=2&DateCreated=gte%3A2026-03-02+00%3A00%3A00%3Blte%3A…&SortBy=DateCreated:desc`, then the
/// other filters. The window is always in it, so that a default one does not move from page to page.
fn canonical(query: &Query, given: &[(String, String)]) -> String {
    let (from, to) = query.window;
    let order = match query.order {
        Order::OldestFirst => "asc",
        Order::NewestFirst => "desc",
    };
    let mut text = format!(
        "PageSize={}&DateCreated={}&SortBy=DateCreated:{order}",
        query.page_size,
        encode(&format!("gte:{from};lte:{to}"))
    );
    for (key, value) in given {
        if !matches!(key.as_str(), "PageSize" | "DateCreated" | "SortBy" | "After" | "Before") {
            text.push('&');
            text.push_str(key);
            text.push('=');
            text.push_str(&encode(value));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime(1_772_477_110); // 2026-03-02 18:45:10

    fn parse(raw: &str) -> Result<Query, String> {
        Query::parse(raw, NOW, Cursor::After)
    }

    #[test]
    fn without_parameters_the_last_31_days_come_newest_first_50_at_a_time() {
        let query = parse("").unwrap();
        assert_eq!(query.window, (NOW.plus(-31 * 86_400), NOW));
        assert_eq!((query.page_size, query.order), (50, Order::NewestFirst));
        assert_eq!(
            query.canonical,
            "PageSize=50&DateCreated=gte%3A2026-01-30+18%3A45%3A10%3Blte%3A2026-03-02+18%3A45%3A10\
             &SortBy=DateCreated:desc"
        );
    }

    #[test]
    fn every_documented_filter_is_read() {
        let query = parse(
            "DateCreated=gte%3A2026-03-02+00%3A00%3A00%3Blte%3A2026-03-02+23:59:59&PageSize=100\
             &SortBy=DateCreated:asc&Sid=aa,bb&Status=completed,no-answer&Direction=inbound\
             &Duration=gte:10s%3Blte:45s&Price=eq:0.300030&PhoneNumber=%2B918000000011&From=09900000001\
             &To=09900000002&details=true&RecordingUrlValidity=5",
        )
        .unwrap();
        assert_eq!(query.window.0.to_string(), "2026-03-02 00:00:00");
        assert_eq!(query.window.1.to_string(), "2026-03-02 23:59:59");
        assert_eq!(query.sids, Some(vec!["aa".to_owned(), "bb".to_owned()]));
        assert_eq!(query.duration, Some(Bounds { min: 10, max: 45 }));
        assert_eq!(query.price, Some(Bounds { min: 300_030, max: 300_030 }));
        assert_eq!(query.exophones, ["+918000000011"]);
        assert_eq!(query.extras, Extras { details: Asked::Yes, presigned: Some(5) });
        assert!(query.canonical.contains("&PhoneNumber=%2B918000000011&"), "{}", query.canonical);
    }

    #[test]
    fn what_is_not_documented_is_refused_by_name() {
        for (raw, word) in [
            ("StartTime=x", "StartTime"),
            ("pagesize=10", "pagesize"),
            ("PageSize=0", "PageSize"),
            ("PageSize=101", "PageSize"),
            ("PageSize=ten", "PageSize"),
            ("PageSize=5&PageSize=6", "PageSize"),
            ("Direction=incoming", "inbound, outbound-dial, outbound-api"),
            ("Status=done", "Status"),
            ("SortBy=Duration:asc", "SortBy"),
            ("Duration=gte:10", "Duration"),
            ("Duration=gt:10s", "Duration"),
            ("Price=gte:1.1234567", "Price"),
            ("Sid=a,,b", "Sid"),
            ("From=1,2,3,4,5,6", "From"),
            ("After=nonsense", "After"),
            ("details=yes", "details"),
            ("RecordingUrlValidity=61", "RecordingUrlValidity"),
            ("Sid=%zz", "encoding"),
        ] {
            let error = parse(raw).unwrap_err();
            assert!(error.contains(word), "{raw}: {error}");
        }
    }

    #[test]
    fn windows_are_checked() {
        for (window, word) in [
            ("gte:2026-03-02 00:00:00", "gte"),
            ("gte:2026-03-02;lte:2026-03-03", "Expected"),
            ("gte:2026-02-30 00:00:00;lte:2026-03-01 00:00:00", "Expected"),
            ("gt:2026-03-01 00:00:00;lte:2026-03-02 00:00:00", "Expected"),
            ("gte:2026-03-02 00:00:00;lte:2026-03-01 00:00:00", "ends before"),
            ("gte:2026-01-01 00:00:00;lte:2026-02-02 00:00:00", "one month"),
            ("gte:2025-08-01 00:00:00;lte:2025-08-02 00:00:00", "6 months"),
        ] {
            let error = parse(&format!("DateCreated={}", encode(window))).unwrap_err();
            assert!(error.contains(word), "{window}: {error}");
        }
        assert!(
            parse(&format!("DateCreated={}", encode("gte:2026-01-30 18:45:10;lte:2026-03-02 18:45:10")))
                .is_ok()
        );
    }

    #[test]
    fn a_filter_that_was_not_encoded_falls_apart() {
        let error = parse("DateCreated=gte:2026-03-02 00:00:00;lte:2026-03-02 23:59:59").unwrap_err();
        assert!(error.contains("DateCreated"), "{error}");
    }

    #[test]
    fn the_canonical_form_reads_as_the_same_query() {
        let query = parse("Status=busy&Duration=gte:10s%3Blte:45s&PageSize=7").unwrap();
        assert_eq!(parse(&query.canonical).unwrap(), Query { canonical: query.canonical.clone(), ..query });
    }
}
