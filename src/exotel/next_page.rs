//! Checking the address of the next page.
//!
//! Exotel sends a path with query, to be sent back as it is. A hostile or broken answer must not take
//! our credentials elsewhere, so whatever is not plainly a path below our own account is refused.

use std::fmt::Write as _;

use super::NextPage;

/// Longest path with query taken; Exotel's have about 250 bytes.
const MAX_LEN: usize = 8 * 1024;

/// Takes `uri` if it is a path below `/v1/Accounts/{account}/`.
///
/// # Errors
/// The fault of the URI, in words that repeat nothing of it.
pub(crate) fn next_page(uri: &str, account: &str) -> Result<NextPage, &'static str> {
    if uri.chars().any(char::is_control) {
        return Err("it holds a control character");
    }
    let uri = sendable(uri);
    stays_on_account(&uri, account)?;
    Ok(NextPage(uri))
}

/// Whether a path with query stays on our host and account.
pub(crate) fn stays_on_account(uri: &str, account: &str) -> Result<(), &'static str> {
    if uri.len() > MAX_LEN {
        return Err("it is too long");
    }
    if uri.bytes().any(|b| !b.is_ascii_graphic()) {
        return Err("it holds what no URI may hold");
    }
    if uri.starts_with("//") || !uri.starts_with('/') {
        return Err("it is not a path on our own host");
    }
    let path = uri.split('?').next().unwrap_or(uri);
    if uri.contains(['\\', '#']) {
        return Err("it holds a backslash or a fragment");
    }
    let below = path.strip_prefix("/v1/Accounts/").and_then(|rest| rest.strip_prefix(account));
    let Some(rest) = below.and_then(|rest| rest.strip_prefix('/')) else {
        return Err("it is not below our own account");
    };
    let lower = rest.to_ascii_lowercase();
    let encoded = ["%2e", "%2f", "%5c", "%00"].iter().any(|trick| lower.contains(trick));
    let dots = rest.split('/').any(|segment| matches!(segment, "" | "." | ".."));
    if encoded || dots {
        return Err("its path may leave our own account");
    }
    Ok(())
}

/// Percent-encodes what no URI may hold, a blank for example, and touches nothing else.
fn sendable(uri: &str) -> String {
    let mut out = String::with_capacity(uri.len());
    for c in uri.chars() {
        if c.is_ascii_graphic() && !"\"<>^`{|}".contains(c) {
            out.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a String cannot fail.
                write!(out, "%{byte:02X}").unwrap_or_default();
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "exampleacct1";

    fn check(uri: &str) -> Result<String, &'static str> {
        next_page(uri, ACCOUNT).map(|next| next.0)
    }

    #[test]
    fn a_path_of_ours_is_kept_to_the_letter() {
        let uri = "/v1/Accounts/exampleacct1/Calls.json?PageSize=2&DateCreated=gte%3A2026-03-02+00%3A00%3A00%3Blte%3A2026-03-02+23%3A59%3A59&SortBy=DateCreated:desc&After=MTc3MjQ1NzAwMg==";
        assert_eq!(check(uri), Ok(uri.to_owned()));
        // Slashes and dots in the query are nobody's business.
        let uri = "/v1/Accounts/exampleacct1/Calls.json?After=a/../b//c%2F..&x=http://y";
        assert_eq!(check(uri), Ok(uri.to_owned()));
    }

    #[test]
    fn only_what_no_uri_may_hold_is_encoded() {
        assert_eq!(
            check("/v1/Accounts/exampleacct1/Calls.json?d=gte:2026-03-02 00:00:00&é=\"<>^`{|}"),
            Ok("/v1/Accounts/exampleacct1/Calls.json?d=gte:2026-03-02%2000:00:00&%C3%A9=%22%3C%3E%5E%60%7B%7C%7D".to_owned())
        );
    }

    #[test]
    fn whatever_may_lead_elsewhere_is_refused() {
        for uri in [
            "https://evil.example/v1/Accounts/exampleacct1/Calls.json",
            "http:/v1/Accounts/exampleacct1/Calls.json",
            "//evil.example/v1/Accounts/exampleacct1/Calls.json",
            "/\\evil.example/v1/Accounts/exampleacct1/Calls.json",
            "\\\\evil.example",
            "@evil.example/v1/Accounts/exampleacct1/",
            " /v1/Accounts/exampleacct1/Calls.json",
            "/v1/Accounts/other/Calls.json",
            "/v1/Accounts/exampleacct12/Calls.json",
            "/v1/Accounts/EXAMPLEACCT1/Calls.json",
            "/v1/accounts/exampleacct1/Calls.json",
            "/v1/Accounts/exampleacct1",
            "/v1/Accounts/exampleacct1?x=/",
            "/v1/Accounts/exampleacct1/../other/Calls.json",
            "/v1/Accounts/exampleacct1/./Calls.json",
            "/v1/Accounts/exampleacct1/%2e%2E/other/Calls.json",
            "/v1/Accounts/exampleacct1/.%2e/other/Calls.json",
            "/v1/Accounts/exampleacct1/..%2fother/Calls.json",
            "/v1/Accounts/exampleacct1/%5c../Calls.json",
            "/v1/Accounts/exampleacct1//evil.example",
            "/v1/Accounts/exampleacct1/Calls.json?a\r\nHost: evil.example",
            "/v1/Accounts/exampleacct1/Calls.json\t",
            "/v1/Accounts/exampleacct1/Calls.json?a#b",
            "/v1/Accounts/exampleacct1/Calls.json?a=\u{85}",
            "?After=x",
            "Calls.json?After=x",
        ] {
            assert!(check(uri).is_err(), "{uri}");
        }
        assert!(check(&format!("/v1/Accounts/exampleacct1/{}", "a".repeat(9000))).is_err());
    }
}
