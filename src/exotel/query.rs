//! Paths and queries, spelt as Exotel's documentation spells them.

use std::fmt::Write as _;

use super::{CallsQuery, Error, ErrorKind, Window, next_page};
use crate::model::Sid;

/// Rows on a page; Exotel allows no more.
const PAGE_SIZE: u32 = 100;

/// Sids in one request; Exotel recommends no more.
const MAX_SIDS: usize = 20;

/// Path and query of a bulk request:
/// `/v1/Accounts/{sid}/Calls.json?DateCreated=gte%3A2026-03-02+00%3A00%3A00%3Blte%3A…&PageSize=100&SortBy=DateCreated%3Aasc`.
///
/// # Errors
/// [`ErrorKind::Client`] for a query that cannot be asked: an empty window, no Sids or too many, a page
/// of another account.
pub(super) fn calls(query: &CallsQuery, account: &str) -> Result<String, Error> {
    let mut pairs = Vec::new();
    let inline = match query {
        CallsQuery::Window { window, duration, details } => {
            pairs.push(("DateCreated", created(window)?));
            if let Some((min, max)) = duration {
                if min > max {
                    return Err(impossible("the bounds of Duration are the wrong way round"));
                }
                pairs.push(("Duration", format!("gte:{min}s;lte:{max}s")));
            }
            *details
        }
        CallsQuery::Sids { sids, window, details } => {
            if sids.is_empty() || sids.len() > MAX_SIDS {
                return Err(impossible("one request takes 1 to 20 Sids"));
            }
            let list: Vec<&str> = sids.iter().map(Sid::as_str).collect();
            pairs.push(("Sid", list.join(",")));
            if let Some(window) = window {
                pairs.push(("DateCreated", created(window)?));
            }
            *details
        }
        CallsQuery::Next(next) => {
            return match next_page::stays_on_account(next.as_str(), account) {
                Ok(()) => Ok(next.as_str().to_owned()),
                Err(_) => Err(impossible("the next page is not one of this account")),
            };
        }
    };
    pairs.push(("PageSize", PAGE_SIZE.to_string()));
    pairs.push(("SortBy", "DateCreated:asc".to_owned()));
    if inline {
        pairs.push(("details", "true".to_owned()));
    }
    Ok(format!("/v1/Accounts/{}/Calls.json?{}", segment(account), form(&pairs)))
}

/// Path and query of one call, with its legs.
pub(super) fn call(sid: &Sid, account: &str) -> String {
    format!("/v1/Accounts/{}/Calls/{}.json?details=true", segment(account), segment(sid.as_str()))
}

/// Path of one call of the v2 API, which knows what was made through it alone.
pub(super) fn call_v2(sid: &Sid, account: &str) -> String {
    format!("/v2/accounts/{}/calls/{}", segment(account), segment(sid.as_str()))
}

/// Path of one call of the v3 API.
pub(super) fn call_v3(sid: &Sid, account: &str) -> String {
    format!("/v3/accounts/{}/calls/{}", segment(account), segment(sid.as_str()))
}

/// Path of the legs of one call of the v3 API.
pub(super) fn legs_v3(sid: &Sid, account: &str) -> String {
    format!("{}/legs", call_v3(sid, account))
}

/// Path and query of a page of ExoPhones, `v2_beta`; pages count from 0.
pub(super) fn exophones(page: u32, account: &str) -> String {
    let path = format!("/v2_beta/Accounts/{}/IncomingPhoneNumbers", segment(account));
    if page == 0 { path } else { format!("{path}?page={page}") }
}

/// Path and query of a page of ExoPhones, v1.
pub(super) fn exophones_v1(page: u32, account: &str) -> String {
    format!("/v1/Accounts/{}/IncomingPhoneNumbers.json?Page={page}&PageSize=50", segment(account))
}

/// Path of one message; Exotel writes `SMS` in capitals here.
pub(super) fn message(sid: &str, account: &str) -> String {
    format!("/v1/Accounts/{}/SMS/Messages/{}.json", segment(account), segment(sid))
}

/// Path of the balance.
pub(super) fn balance(account: &str) -> String {
    format!("/v1/Accounts/{}/Balance.json", segment(account))
}

/// Path of one ExoPhone with its connectivity.
pub(super) fn exophone_health(sid: &str, account: &str) -> String {
    format!("/v2/accounts/{}/incoming-phone-numbers/{}", segment(account), segment(sid))
}

/// Path of one ExoPhone, `v2_beta`; whether it tells of connectivity is not documented.
pub(super) fn exophone_beta(sid: &str, account: &str) -> String {
    format!("/v2_beta/Accounts/{}/IncomingPhoneNumbers/{}", segment(account), segment(sid))
}

/// `gte:…;lte:…`: our window is half-open, Exotel's bounds are both inclusive and whole seconds.
fn created(window: &Window) -> Result<String, Error> {
    if window.to <= window.from {
        return Err(impossible("the window is empty"));
    }
    Ok(format!("gte:{};lte:{}", window.from, window.to.plus(-1)))
}

fn impossible(why: &str) -> Error {
    Error { kind: ErrorKind::Client, status: None, message: format!("not asked: {why}") }
}

fn form(pairs: &[(&str, String)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(key, value)| format!("{key}={}", encoded(value, "+"))).collect();
    pairs.join("&")
}

fn segment(text: &str) -> String {
    encoded(text, "%20")
}

/// Percent-encodes all but letters, digits and `-._~`.
fn encoded(text: &str, blank: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3 / 2);
    for byte in text.bytes() {
        match byte {
            b' ' => out.push_str(blank),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            // Writing to a String cannot fail.
            _ => write!(out, "%{byte:02X}").unwrap_or_default(),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exotel::NextPage;
    use crate::model::{UtcOffset, parse_time};

    fn window(from: &str, to: &str) -> Window {
        let wall = |text| parse_time(text, UtcOffset::default()).unwrap().unwrap();
        Window { from: wall(from), to: wall(to) }
    }

    fn sids(n: usize) -> Vec<Sid> {
        (0..n).map(|n| Sid::parse(&format!("sid{n}")).unwrap()).collect()
    }

    #[test]
    fn a_day_is_asked_for_as_the_documentation_writes_it() {
        let day = window("2026-03-02 00:00:00", "2026-03-03 00:00:00");
        let query = CallsQuery::Window { window: day, duration: None, details: false };
        assert_eq!(
            calls(&query, "exampleacct1").unwrap(),
            "/v1/Accounts/exampleacct1/Calls.json?DateCreated=gte%3A2026-03-02+00%3A00%3A00%3Blte%3A2026-03-02+23%3A59%3A59&PageSize=100&SortBy=DateCreated%3Aasc"
        );
        let query = CallsQuery::Window { window: day, duration: Some((900, 14_400)), details: true };
        assert_eq!(
            calls(&query, "a").unwrap(),
            "/v1/Accounts/a/Calls.json?DateCreated=gte%3A2026-03-02+00%3A00%3A00%3Blte%3A2026-03-02+23%3A59%3A59&Duration=gte%3A900s%3Blte%3A14400s&PageSize=100&SortBy=DateCreated%3Aasc&details=true"
        );
    }

    #[test]
    fn sids_are_asked_for_in_a_list() {
        let query = CallsQuery::Sids { sids: sids(2), window: None, details: false };
        assert_eq!(
            calls(&query, "a").unwrap(),
            "/v1/Accounts/a/Calls.json?Sid=sid0%2Csid1&PageSize=100&SortBy=DateCreated%3Aasc"
        );
        let second = window("2026-03-02 00:00:00", "2026-03-02 00:00:01");
        let query = CallsQuery::Sids { sids: sids(1), window: Some(second), details: false };
        assert!(
            calls(&query, "a").unwrap().contains(
                "Sid=sid0&DateCreated=gte%3A2026-03-02+00%3A00%3A00%3Blte%3A2026-03-02+00%3A00%3A00&"
            )
        );
    }

    #[test]
    fn what_cannot_be_asked_is_not_sent() {
        let empty = window("2026-03-02 00:00:00", "2026-03-02 00:00:00");
        let day = window("2026-03-02 00:00:00", "2026-03-03 00:00:00");
        for query in [
            CallsQuery::Window { window: empty, duration: None, details: false },
            CallsQuery::Window { window: day, duration: Some((2, 1)), details: false },
            CallsQuery::Sids { sids: vec![], window: None, details: false },
            CallsQuery::Sids { sids: sids(21), window: None, details: false },
            CallsQuery::Next(NextPage("/v1/Accounts/other/Calls.json".to_owned())),
        ] {
            assert_eq!(calls(&query, "a").unwrap_err().kind, ErrorKind::Client, "{query:?}");
        }
        let next = NextPage("/v1/Accounts/a/Calls.json?After=x==&d=a:b".to_owned());
        assert_eq!(calls(&CallsQuery::Next(next.clone()), "a").unwrap(), next.as_str());
    }

    #[test]
    fn other_paths() {
        let sid = Sid::parse("4f5f60718293a4b5c6d7e8f10203203m").unwrap();
        assert_eq!(
            call(&sid, "a"),
            "/v1/Accounts/a/Calls/4f5f60718293a4b5c6d7e8f10203203m.json?details=true"
        );
        assert_eq!(message("ab/c", "a"), "/v1/Accounts/a/SMS/Messages/ab%2Fc.json");
        assert_eq!(balance("a"), "/v1/Accounts/a/Balance.json");
        assert_eq!(exophones(0, "a"), "/v2_beta/Accounts/a/IncomingPhoneNumbers");
        assert_eq!(exophones(2, "a"), "/v2_beta/Accounts/a/IncomingPhoneNumbers?page=2");
        assert_eq!(exophones_v1(0, "a/b"), "/v1/Accounts/a%2Fb/IncomingPhoneNumbers.json?Page=0&PageSize=50");
    }
}
