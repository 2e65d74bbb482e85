//! Bodies as such: how they are told apart, and those that are hostile or broken.

use proptest::prelude::*;

use super::*;
use crate::model::Status;

const GOOD: &str = "CallSid=abc&Status=busy";

fn reason(content_type: &str, body: &[u8]) -> String {
    posted(Kind::Calls, content_type, body).unwrap_err().0
}

#[test]
fn the_content_type_says_how_a_body_is_written() {
    let json = br#"{"CallSid": "abc", "Status": "busy"}"#;
    let parts = multipart(GOOD, "xyz");
    for (content_type, body) in [
        ("application/x-www-form-urlencoded; charset=UTF-8", GOOD.as_bytes()),
        ("Application/JSON;charset=utf-8", json),
        ("application/vnd.exotel+json", json),
        ("multipart/form-data; boundary=\"xyz\"", &parts),
    ] {
        assert_eq!(
            call(posted(Kind::Calls, content_type, body)).status,
            Some(Status::Busy),
            "{content_type}"
        );
    }
}

#[test]
fn a_content_type_that_says_nothing_leaves_it_to_the_first_bytes() {
    let parts = multipart(GOOD, "----WebKitFormBoundaryA1");
    for content_type in ["", "text/plain; charset=utf-8", "application/octet-stream"] {
        for body in [GOOD.as_bytes(), b" {\"CallSid\": \"abc\", \"Status\": \"busy\"}\n", &parts] {
            assert_eq!(call(posted(Kind::Calls, content_type, body)).status, Some(Status::Busy));
        }
    }
}

#[test]
fn a_body_that_is_not_what_it_says_is_refused() {
    for (content_type, body) in [
        (JSON, GOOD.as_bytes()),
        (FORM, br#"{"CallSid": "a=b"}"#),
        (FORM, b"<xml a=\"b\"/>"),
        (FORM, b"hello"),
        ("", b"hello"),
        ("multipart/form-data; boundary=xyz", GOOD.as_bytes()),
        ("multipart/form-data", GOOD.as_bytes()),
        ("text/xml", b"<x/>"),
        ("image/png", b"\x89PNG"),
        (JSON, b"17"),
        (JSON, b"[]"),
        (JSON, b"{}"),
        (JSON, b"{} {}"),
        (JSON, b""),
        (FORM, b" \r\n"),
    ] {
        reason(content_type, body);
    }
    assert!(asked("").is_err());
}

#[test]
fn a_reason_holds_nothing_of_the_body() {
    for (content_type, body) in [
        (JSON, &br#"{"CallSid": "09900000001", "Status": 09900000001}"#[..]),
        (FORM, b"09900000001"),
        (FORM, b"CallSid=%2B919900000001%20x&Status=busy"),
        ("multipart/form-data; boundary=x", b"--x\r\n09900000001"),
        ("text/09900000001", b"a=b"),
    ] {
        let reason = reason(content_type, body);
        assert!(!reason.contains("9900000001"), "{reason}");
    }
}

#[test]
fn half_a_body_is_refused() {
    let parts = multipart(GOOD, "xyz");
    for cut in 1..parts.len() - 4 {
        let told = posted(Kind::Calls, "multipart/form-data; boundary=xyz", &parts[..cut]);
        assert!(told.is_err(), "{cut}: {told:?}");
    }
    let json = fixture!("status-callback-terminal.json").trim_end();
    for cut in 1..json.len() {
        assert!(posted(Kind::Calls, JSON, &json.as_bytes()[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn too_many_fields_are_refused_in_every_way_to_write_them() {
    let form = "k=v&".repeat(100_000);
    assert!(reason(FORM, form.as_bytes()).contains("at most 1000 fields"));
    let json = format!("{{{}\"z\": 1}}", "\"k\": 1,".repeat(100_000));
    assert!(reason(JSON, json.as_bytes()).contains("at most 1000 fields"));
    let nothings = format!("{{\"k\": [{}null]}}", "[],".repeat(100_000));
    assert!(reason(JSON, nothings.as_bytes()).contains("at most 1000 items"));
    assert!(
        reason(JSON, format!("{{{}\"z\": null}}", "\"k\": null,".repeat(100_000)).as_bytes())
            .contains("at most")
    );
    let parts = multipart(&"k=v&".repeat(1001), "xyz");
    assert!(reason("multipart/form-data; boundary=xyz", &parts).contains("at most 1000 fields"));
}

#[test]
fn json_nested_too_deep_is_refused() {
    for depth in [17, 1000, 100_000] {
        let body = format!("{{\"a\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(reason(JSON, body.as_bytes()).contains("levels"), "{depth}");
    }
}

#[test]
fn bytes_that_are_no_text_do_no_harm_in_a_value_and_are_refused_elsewhere() {
    for body in
        [&b"CallSid=abc&Status=busy&CustomField=M%FCller"[..], b"CallSid=abc&Status=busy&CustomField=\xfc"]
    {
        assert_eq!(call(posted(Kind::Calls, FORM, body)).status, Some(Status::Busy));
    }
    assert!(reason(FORM, b"CallSid=abc&Status=busy&\xfc=1").contains("UTF-8"));
    assert!(reason(FORM, b"CallSid=ab%FC&Status=busy").contains("CallSid cannot be read"));
    reason(JSON, b"{\"CallSid\": \"abc\", \"Status\": \"busy\", \"CustomField\": \"M\xfcller\"}");
    assert_eq!(
        call(posted(Kind::Calls, JSON, b"\xef\xbb\xbf{\"CallSid\": \"abc\", \"Status\": \"busy\"}")).status,
        Some(Status::Busy)
    );
}

#[test]
fn what_is_kept_is_cut_at_a_character() {
    let body = format!("name={}", "é".repeat(20_000));
    let kept = unknown(posted(Kind::Calls, FORM, body.as_bytes())).raw;
    assert!(kept.len() <= 16 * 1024 && kept.len() > 16 * 1024 - 3);
    let unreadable = unknown(posted(Kind::Calls, FORM, &[b"a=".as_slice(), &[0xff; 20_000]].concat())).raw;
    assert!(unreadable.len() <= 16 * 1024);
}

proptest! {
    #[test]
    fn no_bytes_bring_a_reader_down(body: Vec<u8>, query: Option<String>, which in 0..5_usize) {
        let types = [None, Some(FORM), Some(JSON), Some("multipart/form-data; boundary=x"), Some("text/plain")];
        for kind in Kind::ALL {
            let letter = Letter {
                kind,
                content_type: types[which],
                query: query.as_deref(),
                body: &body,
                offset: UtcOffset::default(),
            };
            let first = read(&letter);
            prop_assert_eq!(first, read(&letter));
        }
    }
}
