//! Pages and rows as Exotel sends them, and as it might.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::exotel::{CallsPage, Row};
use crate::model::{
    AnsweredBy, Details, Direction, LegStatus, Observation, Sid, Status, WallTime, parse_time,
};

const REQUESTED: &str = "/v1/Accounts/exampleacct1/Calls.json?PageSize=100";

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/exotel/", $name))
    };
}

fn account() -> AccountShape {
    AccountShape { sid: "exampleacct1".to_owned(), utc_offset: UtcOffset::default() }
}

fn read(body: &str) -> CallsPage {
    page(body.as_bytes(), &account(), REQUESTED).unwrap()
}

fn calls(page: CallsPage) -> Vec<Observation> {
    page.rows
        .into_iter()
        .map(|row| match row {
            Row::Call(call) => *call,
            Row::Unreadable(row) => panic!("{}: {}", row.reason, row.raw),
        })
        .collect()
}

fn wall(text: &str) -> Option<WallTime> {
    parse_time(text, UtcOffset::default()).unwrap()
}

/// The row of a call, with one field changed.
fn row_with(key: &str, value: Value) -> Row {
    let mut row = json!({
        "Sid": "4f5f60718293a4b5c6d7e8f10203203m",
        "DateCreated": "2026-03-02 18:45:10",
        "Status": "completed",
        "AccountSid": "exampleacct1",
    });
    row[key] = value;
    read_row(&row.to_string(), &account())
}

fn call_with(key: &str, value: Value) -> Observation {
    match row_with(key, value) {
        Row::Call(call) => *call,
        Row::Unreadable(row) => panic!("{}", row.reason),
    }
}

fn reason_with(key: &str, value: Value) -> String {
    match row_with(key, value) {
        Row::Call(call) => panic!("{call:?}"),
        Row::Unreadable(row) => row.reason,
    }
}

#[test]
fn the_chain_of_pages_is_read_to_its_end() {
    let first = read(fixture!("bulk-calls-page.json"));
    assert_eq!(first.total, Some(5));
    assert_eq!(
        first.next.as_ref().unwrap().as_str(),
        "/v1/Accounts/exampleacct1/Calls.json?PageSize=2&DateCreated=gte%3A2026-03-02+00%3A00%3A00%3Blte%3A2026-03-02+23%3A59%3A59&SortBy=DateCreated:desc&After=MTc3MjQ1NzAwMiwxYjJjM2Q0ZTVmNjA3MTgyOTNhNGI1YzZkN2U4MjAzMg=="
    );
    let rows = calls(first);
    assert_eq!(
        rows[0],
        Observation {
            updated: wall("2026-03-02 18:46:40"),
            direction: Some(Direction::OutboundApi),
            start: wall("2026-03-02 18:45:10"),
            end: wall("2026-03-02 18:46:21"),
            duration: Some(71),
            price: Some(900_000),
            to: Some("09900000001".to_owned()),
            from: Some("09900000091".to_owned()),
            exophone: Some("08000000011".to_owned()),
            answered_by: Some(AnsweredBy::Human),
            custom_field: Some("lead-1001".to_owned()),
            uri: Some("/v1/Accounts/exampleacct1/Calls.json/0a1b2c3d4e5f60718293a4b5c6d72032".to_owned()),
            recording_url: Some(
                "https://recordings.exotel.com/exotelrecordings/exampleacct1/0a1b2c3d4e5f60718293a4b5c6d72032.mp3"
                    .to_owned()
            ),
            ..Observation::new(
                Sid::parse("0a1b2c3d4e5f60718293a4b5c6d72032").unwrap(),
                wall("2026-03-02 18:45:10").unwrap(),
                Status::Completed
            )
        }
    );
    assert_eq!(rows[1].direction, Some(Direction::Inbound));
    assert_eq!(rows[1].answered_by, None);

    let second = read(fixture!("bulk-calls-page-2.json"));
    assert!(second.next.as_ref().unwrap().as_str().contains("After="));
    assert_eq!(calls(second).len(), 2);

    let last = read(fixture!("bulk-calls-last-page.json"));
    assert_eq!(last.next, None);
    assert_eq!(calls(last)[0].price, None);

    let empty = read(fixture!("bulk-calls-empty.json"));
    assert_eq!((empty.rows.len(), empty.total, empty.next), (0, Some(0), None));
}

#[test]
fn numbers_and_empty_strings_read_as_strings_and_nulls_do() {
    let rows = calls(read(fixture!("bulk-calls-page-numeric.json")));
    assert_eq!(rows[0].sid.as_str(), "506f60718293a4b5c6d7e8f10203203m");
    assert_eq!((rows[0].duration, rows[0].price), (Some(31), Some(300_000)));
    assert_eq!((&rows[0].parent, &rows[0].caller_name, rows[0].answered_by), (&None, &None, None));
    assert_eq!(rows[0].exophone.as_deref(), Some("08000000011"));
    assert_eq!(rows[0].odd, []);
    assert_eq!(rows[0].details, None);
}

#[test]
fn details_are_read_in_a_block_and_flat() {
    let rows = calls(read(fixture!("bulk-calls-page-with-details.json")));
    let missed = Details {
        conversation: Some(0),
        leg1: Some(LegStatus::Completed),
        leg2: Some(LegStatus::NoAnswer),
        leg1_seconds: Some(31),
        leg2_seconds: Some(0),
    };
    assert_eq!(rows[0].details, Some(missed));
    let flat = call_with("ConversationDuration", json!("52"));
    assert_eq!(flat.details, Some(Details { conversation: Some(52), ..Details::default() }));
    let flat = call_with("Leg2Status", json!("cancelled"));
    assert_eq!(flat.details, Some(Details { leg2: Some(LegStatus::Canceled), ..Details::default() }));
    // Legs without the inner object, and as text.
    let legs =
        call_with("Details", json!({"Legs": [{"OnCallDuration": "21"}, {"Id": "2", "OnCallDuration": 8}]}));
    assert_eq!(legs.details.unwrap().leg1_seconds, Some(21));
    assert_eq!(legs.details.unwrap().leg2_seconds, Some(8));
    // In whatever order, and one of a key that comes twice the last.
    let legs = |first, second| json!({"Legs": [{"Leg": first}, {"Leg": second}]});
    let turned = legs(json!({"OnCallDuration": 8, "Id": 2}), json!({"OnCallDuration": 21, "Id": 1}));
    let turned = call_with("Details", turned).details.unwrap();
    assert_eq!((turned.leg1_seconds, turned.leg2_seconds), (Some(21), Some(8)));
    let twice = r#"{"Sid":"a1","DateCreated":"2026-03-02 18:45:10","Status":"busy","Details":{"ConversationDuration":1,"ConversationDuration":2}}"#;
    let Row::Call(call) = read_row(twice, &account()) else { panic!("a call") };
    assert_eq!(call.details.unwrap().conversation, Some(2));
}

#[test]
fn details_that_say_nothing_are_none() {
    for details in [
        json!(null),
        json!(""),
        json!([]),
        json!({}),
        json!({"ConversationDuration": null, "Leg1Status": null, "Leg2Status": "", "Legs": []}),
    ] {
        let call = call_with("Details", details.clone());
        assert_eq!((call.details, call.odd), (None, vec![]), "{details}");
    }
}

#[test]
fn details_that_cannot_be_read_are_kept() {
    let call = call_with(
        "Details",
        json!({"ConversationDuration": "many", "Leg1Status": "exploded", "Leg2Status": 7, "Legs": [{"Leg": {"Id": 3}}], "New": 1}),
    );
    assert_eq!(call.details, Some(Details { leg1: Some(LegStatus::Other), ..Details::default() }));
    let names: Vec<&str> = call.odd.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Details.ConversationDuration",
            "Details.Leg1Status",
            "Details.Leg2Status",
            "Details.Legs",
            "Details.New"
        ]
    );
    assert_eq!(call_with("Details", json!("none")).odd, [("Details".to_owned(), "\"none\"".to_owned())]);
    // Arrays in the place of objects, too many legs, more seconds than can be.
    assert_eq!(call_with("Details", json!([1, "completed", null, null])).odd[0].0, "Details");
    let legs = |n: u32| json!({"Leg": {"Id": 2, "OnCallDuration": n}});
    for bad in [
        json!([[[1, 5]], [[2, 6]]]),
        json!([{"Leg": [1, 5]}, legs(6)]),
        json!([legs(1), legs(2), {"Leg": {"OnCallDuration": 3}}]),
        json!([{"Leg": {"Id": 1, "OnCallDuration": 2_678_401}}, legs(1)]),
        json!([{"Leg": {"Id": 1, "OnCallDuration": -1}}, legs(1)]),
        json!([{"Leg": {"Id": 1, "OnCallDuration": 1, "New": 1}}, legs(1)]),
    ] {
        let call = call_with("Details", json!({"Legs": bad.clone()}));
        assert_eq!(call.details, None, "{bad}");
        assert_eq!(call.odd, [("Details.Legs".to_owned(), bad.to_string())]);
    }
}

#[test]
fn single_calls_are_read_with_and_without_details() {
    let sid = Sid::parse("2c3d4e5f60718293a4b5c6d7e8f12032").unwrap();
    let plain = call(fixture!("call-details-v1.json").as_bytes(), &account(), &sid).unwrap();
    assert_eq!((plain.duration, plain.price, plain.details), (Some(17), Some(1_500_000), None));

    let full = call(fixture!("call-details-v1-details.json").as_bytes(), &account(), &sid).unwrap();
    let details = full.details.unwrap();
    // The docs' own sample: a leg longer than the call.
    assert_eq!((full.duration, details.leg1_seconds, details.conversation), (Some(17), Some(21), Some(8)));
    assert_eq!(full.odd, [], "the pre-signed URL is a secret and must be gone");
    assert!(!format!("{full:?}").contains("X-Amz"));

    let sid = Sid::parse("1b2c3d4e5f60718293a4b5c6d7e82032").unwrap();
    let missed = call(fixture!("call-details-v1-inbound-missed.json").as_bytes(), &account(), &sid).unwrap();
    assert_eq!(missed.status, Status::Completed);
    assert_eq!(missed.details.unwrap().leg2, Some(LegStatus::NoAnswer));

    let sid = Sid::parse("3d4e5f60718293a4b5c6d7e8f1022032").unwrap();
    let running = call(fixture!("call-details-v1-unsettled.json").as_bytes(), &account(), &sid).unwrap();
    assert_eq!(running.status, Status::InProgress);
    assert_eq!((running.end, running.duration, running.price), (None, None, None));
    assert_eq!(running.to.as_deref(), Some("sip:agent00000001"));
    assert_eq!(running.details.unwrap().leg2, None);
}

#[test]
fn another_call_than_the_one_asked_for_is_no_answer() {
    let sid = Sid::parse("aaaa").unwrap();
    for body in
        [fixture!("call-details-v1.json"), fixture!("call-details-v1.xml"), "{}", "", r#"{"Call": 7}"#]
    {
        assert!(call(body.as_bytes(), &account(), &sid).is_err(), "{body}");
    }
}

#[test]
fn answers_of_other_apis_are_told_apart() {
    let sid = Sid::parse("2c3d4e5f60718293a4b5c6d7e8f12032").unwrap();
    for body in [
        fixture!("call-details-v2.json"),
        fixture!("call-details-v2-ccm-legacy-keys.json"),
        fixture!("call-details-v3-active.json"),
        fixture!("call-details-v3-terminal.json"),
        fixture!("call-legs-v3.json"),
        fixture!("exophone-details.json"),
        fixture!("exophone-details-enveloped.json"),
        fixture!("exophone-details-outage.json"),
        fixture!("exophone-v2beta.json"),
    ] {
        assert!(call(body.as_bytes(), &account(), &sid).is_err(), "{body}");
        assert!(page(body.as_bytes(), &account(), REQUESTED).is_err(), "{body}");
        assert!(exophones(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn a_row_needs_a_sid_a_creation_time_and_a_status() {
    for key in ["Sid", "DateCreated", "Status"] {
        for absent in [json!(null), json!(""), json!("null")] {
            assert_eq!(reason_with(key, absent), format!("{key} is absent"));
        }
        assert_eq!(reason_with(key, json!(9_900_000_001_u64)), format!("{key} is a number"));
        assert_eq!(reason_with(key, json!({"a": 1})), format!("{key} is no text"));
    }
    assert_eq!(reason_with("Sid", json!("09900000001 / x")), "Sid cannot be read");
    assert_eq!(reason_with("DateCreated", json!("1970-01-01 05:30:00")), "DateCreated cannot be read");
    assert_eq!(reason_with("DateCreated", json!("9999-99-99 00:00:00")), "DateCreated cannot be read");
    let Row::Unreadable(row) = read_row("{}", &account()) else { panic!() };
    assert_eq!(row.reason, "Sid is absent; DateCreated is absent; Status is absent");
}

#[test]
fn what_could_be_read_of_an_unreadable_row_is_given_with_its_text() {
    let raw = r#"{"Sid": "abc", "DateCreated": "2026-03-02 18:45:10", "PreSignedRecordingUrl": "https://secret", "Price": 1.50}"#;
    let Row::Unreadable(row) = read_row(raw, &account()) else { panic!() };
    assert_eq!(row.sid, Sid::parse("abc"));
    assert_eq!(row.created, wall("2026-03-02 18:45:10"));
    assert_eq!(row.raw, r#"{"Sid":"abc","DateCreated":"2026-03-02 18:45:10","Price":1.50}"#);
    let long = format!(r#"{{"Sid": "", "CustomField": "{}"}}"#, "é".repeat(20_000));
    let Row::Unreadable(row) = read_row(&long, &account()) else { panic!() };
    assert!(row.raw.len() <= 16 * 1024 && row.raw.len() > 16_000);
    for no_object in ["7", "null", "[]", "\"x\"", "{\"Sid\": }", "{\"Sid\": \"PreSignedRecordingUrl"] {
        let Row::Unreadable(row) = read_row(no_object, &account()) else { panic!("{no_object}") };
        assert!(row.reason.starts_with("the row is "), "{}", row.reason);
        assert!(!row.raw.contains("PreSigned"));
    }
}

#[test]
fn a_status_word_that_is_not_known_is_readable_and_kept() {
    let call = call_with("Status", json!("exploded"));
    assert_eq!(call.status, Status::Other);
    assert_eq!(call.odd, [("Status".to_owned(), "\"exploded\"".to_owned())]);
    let call = call_with("Direction", json!("sideways"));
    assert_eq!(call.direction, Some(Direction::Other));
    assert_eq!(call.odd, [("Direction".to_owned(), "\"sideways\"".to_owned())]);
}

#[test]
fn any_other_bad_field_is_absent_and_its_text_is_kept() {
    for (key, value, raw) in [
        ("Price", json!("free"), "\"free\""),
        ("Price", json!(-1), "-1"),
        ("Duration", json!("1e99"), "\"1e99\""),
        ("Duration", json!(12.5), "12.5"),
        ("EndTime", json!("tomorrow"), "\"tomorrow\""),
        ("EndTime", json!(1_772_477_110), "1772477110"),
        ("DateUpdated", json!({"at": 1}), "{\"at\":1}"),
        ("ParentCallSid", json!("a b"), "\"a b\""),
        ("AnsweredBy", json!(true), "true"),
        ("CustomField", json!(["x"]), "[\"x\"]"),
        ("AccountSid", json!("other1"), "\"other1\""),
        ("BrandNewKey", json!({"a": [1, 2]}), "{\"a\":[1,2]}"),
    ] {
        let call = call_with(key, value);
        assert_eq!(call.odd, [(key.to_owned(), raw.to_owned())]);
        let plain = call_with("AccountSid", json!("exampleacct1"));
        assert_eq!(Observation { odd: vec![], ..call }, plain, "{key}");
    }
}

#[test]
fn times_that_mean_not_yet_are_absent_and_not_odd() {
    for text in ["1970-01-01 05:30:00", "1970-01-01 00:00:00", "0000-00-00 00:00:00", "null", ""] {
        let call = call_with("EndTime", json!(text));
        assert_eq!((call.end, call.odd), (None, vec![]), "{text}");
    }
}

#[test]
fn our_number_is_phone_number_or_else_phone_number_sid() {
    assert_eq!(call_with("PhoneNumber", json!("08000000011")).exophone.as_deref(), Some("08000000011"));
    assert_eq!(call_with("PhoneNumberSid", json!("08000000011")).exophone.as_deref(), Some("08000000011"));
    let both = |number: &str, sid: &str| {
        let raw = format!(
            r#"{{"Sid": "a", "DateCreated": "2026-03-02 18:45:10", "Status": "busy", "PhoneNumber": "{number}", "PhoneNumberSid": "{sid}"}}"#
        );
        match read_row(&raw, &account()) {
            Row::Call(call) => (call.exophone.unwrap(), call.odd.len()),
            Row::Unreadable(row) => panic!("{}", row.reason),
        }
    };
    assert_eq!(both("+918000000011", "08000000011"), ("+918000000011".to_owned(), 0));
    assert_eq!(both("08000000011", "5f60718293a4"), ("08000000011".to_owned(), 1));
}

#[test]
fn one_bad_row_does_not_lose_its_page() {
    let good = r#"{"Sid": "a", "DateCreated": "2026-03-02 18:45:10", "Status": "busy"}"#;
    for bad in [
        "null",
        "7",
        "[]",
        "{}",
        r#"{"Sid": {"deep": [[[]]]}}"#,
        "{\"Sid\": \"b\", \"CallerName\": \"raw\nline break\"}",
        r#"{"Sid": "b", "Price": NaN}"#,
        r#"{"Sid": "b", "CallerName": "\u12"}"#,
    ] {
        let body = format!(
            r#"{{"Metadata": {{"Total": 3, "NextPageUri": null}}, "Calls": [{good}, {bad}, {good}]}}"#
        );
        let page = read(&body);
        assert_eq!((page.rows.len(), page.total), (3, Some(3)), "{bad}");
        assert!(matches!(&page.rows[1], Row::Unreadable(_)), "{bad}");
        assert!(matches!((&page.rows[0], &page.rows[2]), (Row::Call(_), Row::Call(_))), "{bad}");
    }
    // Bytes that are no UTF-8, and a byte order mark.
    let mut body = br#"{"Calls": [{"Sid": "a", "DateCreated": "2026-03-02 18:45:10", "Status": "busy", "CallerName": "J"#.to_vec();
    body.extend_from_slice(b"\xe9r\xf4me\"}]}");
    let mut marked = b"\xef\xbb\xbf".to_vec();
    marked.extend_from_slice(&body);
    assert_eq!(page(&marked, &account(), REQUESTED).unwrap().rows.len(), 1);
}

#[test]
fn a_body_that_is_no_page_says_what_came() {
    let message = |body: &str| page(body.as_bytes(), &account(), REQUESTED).unwrap_err().0;
    assert_eq!(message(""), "expected a page with a Calls array, got an empty body");
    assert_eq!(
        message("<html>Call 09900000001</html>"),
        "expected a page with a Calls array, got HTML or XML broken at line 1 column 1: <html>Call ###########</html>"
    );
    assert!(message(r#"{"Calls": [{"Sid"#).contains("cut off at byte 16"));
    for body in ["{}", "[]", "null", r#"{"Calls": null}"#, r#"{"Calls": {}}"#, r#"[null, []]"#, "7", "busy"] {
        assert!(message(body).starts_with("expected a page with a Calls array, got "), "{body}");
    }
    let whole = fixture!("bulk-calls-page.json").trim_end();
    for end in 0..whole.len() {
        assert!(page(&whole.as_bytes()[..end], &account(), REQUESTED).is_err(), "{end}");
    }
}

#[test]
fn the_next_page_is_none_at_the_end_and_refused_elsewhere() {
    let row = r#"{"Sid": "a", "DateCreated": "2026-03-02 18:45:10", "Status": "busy"}"#;
    let with = |metadata: &str, rows: &str| {
        page(format!(r#"{{"Metadata": {metadata}, "Calls": [{rows}]}}"#).as_bytes(), &account(), REQUESTED)
    };
    for none in [
        "null",
        "{}",
        "[]",
        r#"{"NextPageUri": null}"#,
        r#"{"NextPageUri": ""}"#,
        r#"{"NextPageUri": "null"}"#,
        r#"{"Total": 1, "NextPageUri": "/v1/Accounts/exampleacct1/Calls.json?PageSize=100"}"#,
    ] {
        assert_eq!(with(none, row).unwrap().next, None, "{none}");
    }
    let itself = r#"{"NextPageUri": "/v1/Accounts/exampleacct1/Calls.json?PageSize=100"}"#;
    let next = with(itself, row).unwrap().next;
    assert_eq!(next.unwrap().as_str(), REQUESTED, "without a count nothing says that this is all");
    assert_eq!(with(itself, "").unwrap().next, None);
    let evil = r#"{"Total": "1", "NextPageUri": "https:\/\/evil.example\/v1\/Accounts\/exampleacct1\/"}"#;
    assert_eq!(with(evil, row).unwrap_err().0, "NextPageUri is refused: it is not a path on our own host");
    assert_eq!(with(evil, "").unwrap().next, None, "a page without rows is the last");
    for broken in [r#"{"NextPageUri": 7}"#, r#"{"NextPageUri": {}}"#, "\"x\"", "7", "[7]"] {
        assert!(with(broken, row).is_err(), "{broken}");
    }
    assert_eq!(with(r#"{"Total": "12"}"#, row).unwrap().total, Some(12));
    assert_eq!(with(r#"{"Total": -1}"#, row).unwrap().total, None);
}

#[test]
fn the_same_row_reads_equal_whatever_the_order_of_its_keys() {
    let one =
        r#"{"Sid": "a", "Zeta": 1, "DateCreated": "2026-03-02 18:45:10", "Alpha": 2, "Status": "busy"}"#;
    let other =
        r#"{"Alpha": 2, "Status": "busy", "Zeta": 1, "DateCreated": "2026-03-02 18:45:10", "Sid": "a"}"#;
    assert_eq!(read_row(one, &account()), read_row(other, &account()));
}

#[test]
fn nesting_without_end_does_not_exhaust_the_stack() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let row =
        format!(r#"{{"Sid": "a", "DateCreated": "2026-03-02 18:45:10", "Status": "busy", "X": {deep}}}"#);
    let Row::Call(call) = read_row(&row, &account()) else { panic!() };
    assert_eq!(call.odd, [("~left_out".to_owned(), "1".to_owned())]);
    read_every_way(deep.as_bytes());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("completed")),
        Just(json!("2026-03-02 18:45:10")),
        Just(json!("0a1b2c3d4e5f60718293a4b5c6d72032")),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        let key = prop_oneof![
            Just("Sid"),
            Just("Status"),
            Just("DateCreated"),
            Just("Details"),
            Just("Legs"),
            Just("Leg"),
            Just("Calls"),
            Just("Call"),
            Just("Metadata"),
            Just("NextPageUri"),
            Just("Price"),
            Just("Duration"),
        ]
        .prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((prop_oneof![key, ".{0,6}"], inner), 0..10)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Reads `body` in every way; must not panic.
fn read_every_way(body: &[u8]) {
    let sid = Sid::parse("0a1b2c3d4e5f60718293a4b5c6d72032").unwrap();
    if let Ok(page) = page(body, &account(), REQUESTED) {
        for row in page.rows {
            if let Row::Call(call) = row {
                let kept: usize = call.odd.iter().map(|(n, r)| n.len() + r.len()).sum();
                assert!(call.odd.len() <= 33 && kept <= 4096 + 64);
            }
        }
    }
    drop(call(body, &account(), &sid));
    drop(exophones(body));
    drop(failure_text(body));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_json_makes_a_reader_panic(value in any_json()) {
        read_every_way(value.to_string().as_bytes());
        let page = json!({"Metadata": value.clone(), "Calls": [value.clone(), {"Sid": "a", "Details": value}]});
        read_every_way(page.to_string().as_bytes());
    }

    #[test]
    fn no_damaged_answer_makes_a_reader_panic(
        which in 0_usize..6,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..8),
    ) {
        let fixtures = [
            fixture!("bulk-calls-page.json"),
            fixture!("bulk-calls-page-numeric.json"),
            fixture!("bulk-calls-page-with-details.json"),
            fixture!("call-details-v1-details.json"),
            fixture!("exophones-list-v1.json"),
            fixture!("error-v3-404.json"),
        ];
        let mut body = fixtures[which].as_bytes().to_vec();
        for (at, byte, edit) in edits {
            if body.is_empty() {
                break;
            }
            let at = at.index(body.len());
            match edit {
                0 => body[at] = byte,
                1 => { body.remove(at); }
                _ => body.truncate(at.max(1)),
            }
        }
        read_every_way(&body);
    }
}
