use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::{UtcOffset, WallTime};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/fixtures/exotel/", $name))
    };
}

const PORTAL: &str = fixture!("call-details-v2.json");
const OLDER: &str = fixture!("call-details-v2-ccm-legacy-keys.json");
const TERMINAL: &str = fixture!("call-details-v3-terminal.json");
const ACTIVE: &str = fixture!("call-details-v3-active.json");
const LEGS: &str = fixture!("call-legs-v3.json");

fn account() -> AccountShape {
    AccountShape { sid: "exampleacct1".to_owned(), utc_offset: UtcOffset::default() }
}

fn sid() -> Sid {
    Sid::parse("2c3d4e5f60718293a4b5c6d7e8f12032").unwrap()
}

fn said(body: &str) -> Result<Option<Observation>, Malformed> {
    newer_call(body.as_bytes(), &account(), &sid())
}

fn read(body: &str) -> Observation {
    said(body).unwrap().unwrap()
}

/// A sample with some keys of its call changed.
fn with(sample: &str, changes: &Value) -> String {
    let mut body: Value = serde_json::from_str(sample).unwrap();
    for (key, value) in changes.as_object().unwrap() {
        body["response"]["call_details"][key] = value.clone();
    }
    body.to_string()
}

fn wall(text: &str) -> Option<WallTime> {
    parse_time(text, UtcOffset::default()).unwrap()
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn the_portals_spelling_of_v2_is_read() {
    let call = read(PORTAL);
    assert_eq!(call.status, Status::Completed);
    assert_eq!(call.direction, Some(Direction::OutboundApi));
    assert_eq!(Some(call.created), wall("2026-03-02 11:15:00"), "UTC on the wire, on the wall clock here");
    assert_eq!((call.start, call.end), (wall("2026-03-02 11:15:00"), wall("2026-03-02 11:16:24")));
    assert_eq!((call.duration, call.price, call.updated), (Some(84), None, None));
    assert_eq!((call.from, call.to), (text("+919900000091"), text("+919900000001")));
    assert_eq!((call.exophone, call.custom_field), (text("+918000000011"), text("lead-1002")));
    assert!(call.recording_url.unwrap().ends_with("12032.mp3"));
    let details = call.details.unwrap();
    assert_eq!((details.conversation, details.leg1), (Some(59), Some(LegStatus::Completed)));
    assert_eq!(details.leg2, Some(LegStatus::Completed), "both spoke");
    assert_eq!(call.odd, []);
}

#[test]
fn the_older_spelling_of_v2_is_read() {
    let call = read(OLDER);
    assert_eq!((call.status, call.direction), (Status::NoAnswer, Some(Direction::OutboundApi)));
    assert_eq!(Some(call.created), wall("2026-03-02 11:15:00"));
    assert_eq!((call.duration, call.end), (Some(40), wall("2026-03-02 11:15:40")));
    assert_eq!((call.from, call.to), (None, text("+919900000001")));
    let details = call.details.unwrap();
    assert_eq!((details.leg1, details.leg2), (Some(LegStatus::Completed), Some(LegStatus::NoAnswer)));
    assert_eq!((details.conversation, call.recording_url, call.odd), (Some(0), None, vec![]));
}

#[test]
fn a_finished_call_of_v3_is_read_and_its_legs_are_put_in() {
    let mut call = read(TERMINAL);
    assert_eq!((call.status, call.duration), (Status::Completed, Some(84)));
    assert_eq!((&call.from, &call.to), (&None, &None), "v3 names numbers with the legs alone");
    assert!(call.recording_url.is_some());
    newer_legs(LEGS.as_bytes(), &account(), &sid()).unwrap().add_to(&mut call);
    assert_eq!((call.from, call.to), (text("+919900000091"), text("+919900000001")));
    let details = call.details.unwrap();
    assert_eq!((details.conversation, details.leg2), (Some(59), Some(LegStatus::Completed)));
    assert_eq!(call.odd, []);
}

#[test]
fn a_call_of_v3_that_goes_on_has_no_end_no_length_and_no_result() {
    let mut call = read(ACTIVE);
    assert_eq!((call.status, call.end, call.duration), (Status::InProgress, None, None));
    assert_eq!((call.details, &call.recording_url), (None, &None));
    newer_legs(LEGS.as_bytes(), &account(), &sid()).unwrap().add_to(&mut call);
    assert_eq!((call.details, call.is_over()), (None, false), "a leg may have ended before the other");
    // A word of its own does not end it.
    let body = with(ACTIVE, &json!({"status": "completed"}));
    assert_eq!(read(&body).status, Status::InProgress);
}

#[test]
fn of_several_legs_dialled_the_one_that_answered_counts_else_the_last() {
    let legs = |to: Value| {
        let mut body: Value = serde_json::from_str(LEGS).unwrap();
        body["response"]["leg_details"]["to"] = to;
        newer_legs(body.to_string().as_bytes(), &account(), &sid()).unwrap().to
    };
    let leg = |number: &str, status: &str| json!({"contact_uri": number, "status": status});
    let two = json!([leg("sip:a", "completed"), leg("sip:b", "no-answer")]);
    assert_eq!(legs(two), (text("sip:a"), Some(LegStatus::Completed)));
    let none = json!([leg("sip:a", "failed"), leg("sip:b", "no-answer")]);
    assert_eq!(legs(none), (text("sip:b"), Some(LegStatus::NoAnswer)));
    for odd in [json!([]), json!(null), json!({}), json!([7]), json!("x")] {
        assert_eq!(legs(odd), (None, None));
    }
}

#[test]
fn words_of_both_versions_become_those_of_v1() {
    use LegStatus::{Canceled, Completed, NoAnswer};
    for (word, direction, status, legs) in [
        ("agent_unanswered", "outbound", Status::NoAnswer, Some((Some(NoAnswer), None))),
        ("from_leg_unanswered", "outbound", Status::NoAnswer, Some((Some(NoAnswer), None))),
        ("customer_unanswered", "outbound", Status::NoAnswer, Some((Some(Completed), Some(NoAnswer)))),
        ("To-Leg-Unanswered", "outbound", Status::NoAnswer, Some((Some(Completed), Some(NoAnswer)))),
        ("to_leg_unanswered", "inbound", Status::Completed, Some((Some(Completed), Some(NoAnswer)))),
        ("agent_canceled", "outbound", Status::Canceled, Some((Some(Completed), Some(Canceled)))),
        ("from_leg_cancelled", "outbound", Status::Canceled, Some((Some(Completed), Some(Canceled)))),
        ("from_leg_canceled", "inbound", Status::Completed, Some((Some(Completed), Some(Canceled)))),
        ("customer_no_dial", "outbound", Status::Failed, None),
        ("to_leg_no_dial", "outbound", Status::Failed, None),
        ("to_leg_no_dial", "inbound", Status::Completed, Some((Some(Completed), None))),
        ("agent_no_dial", "outbound", Status::Failed, None),
        ("from_leg_no_dial", "outbound", Status::Failed, None),
        ("no-answer", "outbound", Status::NoAnswer, None),
        ("exploded", "outbound", Status::Other, None),
    ] {
        let changes = json!({"status": word, "direction": direction, "total_talk_time": 0});
        let call = read(&with(TERMINAL, &changes));
        assert_eq!(call.status, status, "{word}");
        assert_eq!(call.details.map(|d| (d.leg1, d.leg2)), legs, "{word} {direction}");
        assert!(call.is_over(), "{word}");
    }
    let call = read(&with(TERMINAL, &json!({"status": "exploded"})));
    assert_eq!(call.odd, [("Status".to_owned(), "\"exploded\"".to_owned())]);
}

#[test]
fn what_a_leg_says_goes_before_what_the_word_implies() {
    let customer = json!({"contact_uri": "+919900000001", "status": "busy"});
    let call = read(&with(OLDER, &json!({"customer_details": customer})));
    assert_eq!((call.status, call.details.unwrap().leg2), (Status::Busy, Some(LegStatus::Busy)));
    let odd = json!({"contact_uri": "+919900000001", "status": "asleep"});
    let call = read(&with(OLDER, &json!({"customer_details": odd})));
    assert_eq!(call.details.unwrap().leg2, Some(LegStatus::Other));
    assert_eq!(call.odd, [("Leg2Status".to_owned(), "\"asleep\"".to_owned())]);
}

#[test]
fn a_call_that_says_nothing_of_its_legs_leaves_them_to_v1() {
    let call = read(&with(TERMINAL, &json!({"total_talk_time": 0, "direction": "inbound"})));
    assert_eq!(call.details, None);
    let call = read(&with(TERMINAL, &json!({"total_talk_time": null})));
    assert_eq!(call.details, None);
}

#[test]
fn numbers_come_as_texts_too_and_nothing_in_every_spelling() {
    let call = read(&with(PORTAL, &json!({"total_duration": "84", "total_talk_time": "59"})));
    assert_eq!(call, read(PORTAL));
    for nothing in [json!(null), json!(""), json!("null")] {
        let changes = json!({
            "end_time": nothing, "total_duration": nothing, "custom_field": nothing, "virtual_number": nothing,
            "direction": nothing, "customer_details": nothing, "recording": nothing,
        });
        let call = read(&with(PORTAL, &changes));
        assert_eq!((call.end, call.duration, call.exophone, call.direction), (None, None, None, None));
        assert_eq!((call.to, call.custom_field, call.recording_url, call.odd), (None, None, None, vec![]));
    }
    for sentinel in ["1970-01-01 05:30:00+05:30", "1970-01-01T00:00:00.000Z", "0000-00-00 00:00:00"] {
        assert_eq!(read(&with(TERMINAL, &json!({"end_time": sentinel}))).end, None, "{sentinel}");
    }
}

#[test]
fn a_field_that_cannot_be_read_is_absent_and_kept_and_so_is_an_unknown_key() {
    let changes =
        json!({"total_duration": "soon", "end_time": "2024-06-15 10:30:00+50:30", "app_id": 7, "grade": [4]});
    let call = read(&with(TERMINAL, &changes));
    assert_eq!((call.duration, call.end), (None, None));
    let names: Vec<&str> = call.odd.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Duration", "EndTime", "call_details.grade"]);
}

#[test]
fn the_call_is_found_bare_and_in_any_envelope() {
    let body: Value = serde_json::from_str(PORTAL).unwrap();
    let call = &body["response"]["call_details"];
    for envelope in [
        call.clone(),
        json!({"call_details": call}),
        json!({"response": call}),
        json!({"data": {"call_details": call}}),
        json!({"response": {"data": call}}),
    ] {
        assert_eq!(read(&envelope.to_string()), read(PORTAL), "{envelope}");
    }
    assert_eq!(read(&format!("\u{feff}{PORTAL}")), read(PORTAL));
}

#[test]
fn not_found_may_be_said_with_status_200() {
    for body in [
        fixture!("error-v3-404.json"),
        r#"{"http_code": "404", "response": {"call_details": null}}"#,
        r#"{"response": {"status": "failure", "error_data": {"code": 10744}}}"#,
        r#"{"response": {"error": {"code": 404}}}"#,
    ] {
        assert_eq!(said(body), Ok(None), "{body}");
    }
    for body in
        [fixture!("error-429-legs.json"), r#"{"http_code": 401, "response": {"error_data": {"code": 1010}}}"#]
    {
        assert!(said(body).is_err(), "{body}");
    }
}

#[test]
fn what_is_no_call_or_another_one_is_a_fault() {
    let cut = &PORTAL[..400];
    for body in [
        "",
        "<html>",
        "[]",
        "null",
        "7",
        "{}",
        cut,
        LEGS,
        fixture!("call-details-v1.json"),
        r#"[{"sid": 1}]"#,
    ] {
        assert!(said(body).is_err(), "{body}");
    }
    for changes in [
        json!({"sid": "3c3d4e5f60718293a4b5c6d7e8f12032"}),
        json!({"sid": 7}),
        json!({"created_time": "soon", "start_time": null}),
        json!({"created_time": null, "start_time": null}),
        json!({"state": null, "status": null}),
    ] {
        let Err(Malformed(message)) = said(&with(TERMINAL, &changes)) else { panic!("{changes}") };
        assert!(!message.contains("9900000"), "{message}");
    }
    // The start stands in for the creation; a final state for a word.
    let start = read(&with(TERMINAL, &json!({"created_time": null})));
    assert_eq!(Some(start.created), wall("2026-03-02 11:15:00"));
    let ended = read(&with(TERMINAL, &json!({"status": null})));
    assert_eq!((ended.status, ended.is_over()), (Status::Other, true));
    for body in ["", "{}", PORTAL, "[]"] {
        assert!(newer_legs(body.as_bytes(), &account(), &sid()).is_err(), "{body}");
    }
    let other = LEGS.replace("2c3d4e5f60718293a4b5c6d7e8f12032", "3c3d");
    assert!(newer_legs(other.as_bytes(), &account(), &sid()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_body_is_too_much(sample in 0..5_usize, at in 0.0..1.0_f64, byte in any::<u8>(), cut in any::<bool>()) {
        let sample = [PORTAL, OLDER, TERMINAL, ACTIVE, LEGS][sample];
        let mut body = sample.as_bytes().to_vec();
        let place = (at * body.len() as f64) as usize;
        body[place] = byte;
        if cut {
            body.truncate(place);
        }
        let call = newer_call(&body, &account(), &sid());
        if let Ok(Some(call)) = &call {
            prop_assert_eq!(&call.sid, &sid());
        }
        if let Ok(legs) = newer_legs(&body, &account(), &sid()) {
            legs.add_to(&mut Observation::new(sid(), WallTime(0), Status::Completed));
        }
    }
}
