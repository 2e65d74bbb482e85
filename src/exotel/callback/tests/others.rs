//! Delivery reports and heartbeats.

use super::*;
use crate::model::Timestamp;
use crate::model::callback::{Heartbeat, HeartbeatStatus, SmsReport, SmsStatus};
use crate::model::health::Alternate;

fn sms(content_type: &str, body: &str) -> SmsReport {
    match posted(Kind::Sms, content_type, body.as_bytes()) {
        Ok(Told::Sms(report)) => report,
        other => panic!("{other:?}"),
    }
}

fn beat(body: &str) -> Heartbeat {
    match posted(Kind::Heartbeat, JSON, body.as_bytes()) {
        Ok(Told::Heartbeat(heartbeat)) => heartbeat,
        other => panic!("{other:?}"),
    }
}

fn instant(text: &str) -> Option<Timestamp> {
    wall(text).map(|wall| wall.to_timestamp(UtcOffset::default()))
}

#[test]
fn a_delivery_report_is_read_in_its_three_shapes() {
    let report = sms(FORM, fixture!("sms-callback.txt"));
    assert_eq!(report.sid, "8899aabbccddeeff0011223344556677");
    assert_eq!((report.status, report.code), (SmsStatus::Sent, Some(20_005)));
    assert_eq!((report.sent, report.created), (instant("2026-03-02 18:55:04"), None));

    let report = sms(FORM, fixture!("sms-callback-legacy.txt"));
    assert_eq!((report.status, report.code), (SmsStatus::Sent, None));
    assert_eq!(report.sent, instant("2026-03-02 18:55:09"));

    let report = sms(
        JSON,
        r#"{"SmsSid": "s1", "ExoStatusCode": 30004, "Status": "delivered", "SentAt": "2026-03-02T13:25:04Z"}"#,
    );
    assert_eq!((report.status, report.code), (SmsStatus::Sent, Some(30_004)));
    assert_eq!(report.sent, instant("2026-03-02 18:55:04"));
}

#[test]
fn who_wants_no_messages_is_told_from_other_failures() {
    let report = sms(FORM, fixture!("sms-callback-failed-dnd.txt"));
    assert_eq!((report.status, report.code, report.sent), (SmsStatus::FailedDnd, Some(23_005), None));
    assert_eq!(sms(FORM, "SmsSid=s1&Status=failed-dnd").status, SmsStatus::FailedDnd);
}

#[test]
fn the_number_decides_what_became_of_a_message_and_the_word_where_it_says_nothing() {
    for (body, status) in [
        ("SmsSid=s&Status=sent&DetailedStatusCode=20006", SmsStatus::Sent),
        ("SmsSid=s&DetailedStatusCode=23081", SmsStatus::Failed),
        ("SmsSid=s&Status=sent&DetailedStatusCode=24990", SmsStatus::Failed),
        ("SmsSid=s&Status=sent&DetailedStatusCode=21010", SmsStatus::Queued),
        ("SmsSid=s&DetailedStatusCode=21015", SmsStatus::Sending),
        ("SmsSid=s&DetailedStatusCode=21020", SmsStatus::Submitted),
        ("SmsSid=s&Status=failed&DetailedStatusCode=99999", SmsStatus::Failed),
        ("SmsSid=s&Status=failed&DetailedStatusCode=many", SmsStatus::Failed),
        ("SmsSid=s&Status=eaten", SmsStatus::Other),
        ("SmsSid=s&DetailedStatusCode=99999", SmsStatus::Other),
    ] {
        assert_eq!(sms(FORM, body).status, status, "{body}");
    }
}

#[test]
fn a_report_that_names_no_message_is_refused_and_one_without_status_is_kept() {
    for body in ["Status=sent&DetailedStatusCode=20005", "SmsSid=&Status=sent", "SmsSid=a%2Fb&Status=sent"] {
        assert!(posted(Kind::Sms, FORM, body.as_bytes()).unwrap_err().0.starts_with("SmsSid "), "{body}");
    }
    for body in ["SmsSid=s1", "hello=world", "CallSid=abc&Status=completed"] {
        assert_eq!(unknown(posted(Kind::Sms, FORM, body.as_bytes())).raw, body);
    }
}

#[test]
fn a_heartbeat_without_faults_has_empty_lists() {
    let ok = beat(fixture!("heartbeat-ok.json"));
    assert_eq!((ok.at, ok.status), (instant("2026-03-02 18:55:00").unwrap(), HeartbeatStatus::Ok));
    assert!(ok.incoming.is_empty() && ok.outgoing.is_empty());
    for same in [
        r#"{"timestamp": "2026-03-02T13:25:00Z", "status_type": "OK"}"#,
        r#"{"timestamp": "2026-03-02T13:25:00.000Z", "status_type": "ok", "incoming_affected": [],
            "outgoing_affected": {}, "data": null}"#,
        r#"{"timestamp": "2026-03-02T13:25:00Z", "status_type": "OK", "incoming_affected": "",
            "outgoing_affected": "null", "data": [[[]]], "new": {"a": [1, 2.5e400]}}"#,
    ] {
        assert_eq!(beat(same), ok, "{same}");
    }
}

#[test]
fn the_lists_say_who_is_affected_whatever_the_shape_of_data() {
    let first = ["5f60718293a4b5c6d7e8f10203040506"];
    let direct = beat(fixture!("heartbeat-warning.json"));
    assert_eq!((direct.status, direct.outgoing.len()), (HeartbeatStatus::Warning, 0));
    assert_eq!(direct.incoming, first);
    let nested = beat(fixture!("heartbeat-warning-connectivity.json"));
    assert_eq!((nested.incoming, nested.outgoing.len()), (first.map(str::to_owned).to_vec(), 0));
    let bare = beat(fixture!("heartbeat-warning-phone-number.json"));
    assert_eq!((bare.incoming.len(), bare.outgoing), (0, first.map(str::to_owned).to_vec()));
    let all = beat(fixture!("heartbeat-critical.json"));
    assert_eq!((all.status, all.incoming.len(), all.outgoing.len()), (HeartbeatStatus::Critical, 2, 2));
    let large = beat(fixture!("heartbeat-payload-too-large.json"));
    assert_eq!((large.status, large.incoming.len()), (HeartbeatStatus::PayloadTooLarge, 0));
}

#[test]
fn content_differs_with_status_and_lists_and_not_with_their_order() {
    let body = |status: &str, list: &str| {
        beat(&format!(
            r#"{{"timestamp": "2026-03-02T13:25:00Z", "status_type": "{status}", "incoming_affected": {list}}}"#
        ))
    };
    let one = body("WARNING", r#"["a", "b"]"#);
    assert_eq!(one.content, body("WARNING", r#"["b", "a", "b", null]"#).content);
    assert_ne!(one.content, body("WARNING", r#"["a"]"#).content);
    assert_ne!(one.content, body("CRITICAL", r#"["a", "b"]"#).content);
    assert_eq!(body("WARNING", "[8000000011]").incoming, ["8000000011"]);
}

#[test]
fn a_heartbeat_may_come_as_a_form() {
    let body = "timestamp=2026-03-02T13:25:00Z&status_type=WARNING&incoming_affected[0]=a\
                &incoming_affected[1]=b&outgoing_affected=null&data[a][phone_number]=1";
    let told = posted(Kind::Heartbeat, FORM, body.as_bytes());
    let Ok(Told::Heartbeat(heartbeat)) = told else { panic!("{told:?}") };
    assert_eq!((heartbeat.incoming.len(), heartbeat.outgoing.len()), (2, 0));
}

#[test]
fn a_heartbeat_that_cannot_be_one_is_refused_and_a_new_status_is_kept() {
    for body in [
        r#"{"timestamp": "2026-03-02T13:25:00Z", "incoming_affected": ["a"]}"#,
        r#"{"status_type": "OK"}"#,
        r#"{"timestamp": "yesterday", "status_type": "OK"}"#,
        r#"{"timestamp": "2026-03-02T13:25:00Z", "status_type": "OK", "incoming_affected": [{"sid": "a"}]}"#,
        r#"{"timestamp": "2026-03-02T13:25:00Z", "status_type": "OK", "incoming_affected": 3}"#,
        r#"{"timestamp": "2026-03-02T13:25:00Z", "status_type": "OK""#,
        r#"["OK"]"#,
        "17",
    ] {
        assert!(posted(Kind::Heartbeat, JSON, body.as_bytes()).is_err(), "{body}");
    }
    let many = format!(
        r#"{{"timestamp": "2026-03-02T13:25:00Z", "status_type": "OK", "incoming_affected": [{}"a"]}}"#,
        "\"a\",".repeat(20_000)
    );
    assert!(posted(Kind::Heartbeat, JSON, many.as_bytes()).is_err());
    for body in [
        r#"{"timestamp": "2026-03-02T13:25:00Z", "status_type": "MAINTENANCE"}"#,
        r#"{"Status": "OK", "ExoPhones": []}"#,
    ] {
        assert_eq!(unknown(posted(Kind::Heartbeat, JSON, body.as_bytes())).raw, body);
    }
}

#[test]
fn data_of_any_depth_is_skipped() {
    let deep = format!(
        r#"{{"timestamp": "2026-03-02T13:25:00Z", "status_type": "OK", "data": {}{}}}"#,
        "[".repeat(1_000_000),
        "]".repeat(1_000_000)
    );
    assert_eq!(beat(&deep).status, HeartbeatStatus::Ok);
}

/// The numbers that a heartbeat names to use instead, as text.
fn instead(heartbeat: &Heartbeat) -> Vec<(&str, [Option<&str>; 2])> {
    heartbeat
        .alternates
        .iter()
        .map(|(sid, both)| (sid.as_str(), both.each_ref().map(|one| one.as_ref().map(Alternate::as_str))))
        .collect()
}

#[test]
fn numbers_to_use_instead_are_read_of_the_data_of_those_that_are_affected() {
    let sid = "5f60718293a4b5c6d7e8f10203040506";
    let sample = fixture!("heartbeat-warning-connectivity.json");
    let named = beat(sample);
    assert_eq!(instead(&named), [(sid, [Some("+918000000022"), None])]);
    let bare = r#"{"timestamp": "2026-03-02T13:25:00Z", "status_type": "CRITICAL",
        "incoming_affected": ["b", "a"], "outgoing_affected": ["a"], "data": {
        "b": {"incoming_call": {"alternate_exophone": {"sid": "c", "phone_number": "+918000000033"}}},
        "a": {"outgoing_call": {"alternate_exophone": "c"}, "incoming_call": {"alternate_exophone": null}},
        "stranger": {"incoming_call": {"alternate_exophone": "+918000000044"}}}}"#;
    let two = beat(bare);
    assert_eq!(instead(&two), [("a", [None, Some("c")]), ("b", [Some("+918000000033"), None])]);
    for fixture in [
        fixture!("heartbeat-ok.json"),
        fixture!("heartbeat-warning.json"),
        fixture!("heartbeat-warning-phone-number.json"),
        fixture!("heartbeat-critical.json"),
    ] {
        assert_eq!(beat(fixture).alternates, [], "{fixture}");
    }
    // Another number of the same second is another heartbeat; the order of the data is none.
    assert_ne!(named.content, beat(&sample.replace("000022", "000023")).content);
    let turned = bare.replace("\"b\": {\"incoming", "\"z\": {}, \"b\": {\"incoming");
    assert_eq!(two.content, beat(&turned).content);
}

#[test]
fn nothing_in_the_data_can_spoil_a_heartbeat() {
    let long =
        format!(r#"{{"incoming_call": {{"alternate_exophone": "1", "x": "{}"}}}}"#, "x".repeat(17_000));
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    for data in [
        "null",
        "7",
        "[]",
        "{}",
        "[[]]",
        "\"text\"",
        r#"{"a": null}"#,
        r#"{"a": 7}"#,
        r#"{"a": []}"#,
        r#"{"a": {"connectivity": 7, "incoming_call": {"alternate_exophone": []}}}"#,
        r#"{"a": {"incoming_call": {"alternate_exophone": {"sid": {}}}}}"#,
        &format!(r#"{{"a": {long}}}"#),
        &format!(r#"{{"a": {deep}}}"#),
    ] {
        let body = format!(
            r#"{{"timestamp": "2026-03-02T13:25:00Z", "status_type": "WARNING", "incoming_affected": ["a"],
            "data": {data}}}"#
        );
        let heartbeat = beat(&body);
        assert_eq!((heartbeat.incoming.as_slice(), &heartbeat.alternates), (&["a".to_owned()][..], &vec![]));
    }
}
