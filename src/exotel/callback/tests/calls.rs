//! Callbacks about calls.

use super::*;
use crate::model::callback::CallEvent;
use crate::model::{Details, Direction, LegStatus, Sid, Status};

const SID: &str = "0a1b2c3d4e5f60718293a4b5c6d72032";
const FLOW_SID: &str = "506f60718293a4b5c6d7e8f10203203m";

fn form(body: &str) -> CallReport {
    call(posted(Kind::Calls, FORM, body.as_bytes()))
}

#[test]
fn a_callback_without_events_is_terminal() {
    let report = form(fixture!("status-callback-default.txt"));
    assert_eq!(report.sid, Sid::parse(SID).unwrap());
    assert_eq!((report.event, report.status), (CallEvent::Terminal, Some(Status::Completed)));
    assert_eq!(report.updated, wall("2026-03-02 18:46:21"));
    assert_eq!((report.created, report.end, report.details), (None, None, None));
}

#[test]
fn a_terminal_callback_brings_both_legs() {
    let report = form(fixture!("status-callback-terminal.txt"));
    assert_eq!((report.event, report.status), (CallEvent::Terminal, Some(Status::Completed)));
    assert_eq!(report.direction, Some(Direction::OutboundApi));
    assert_eq!(report.created, wall("2026-03-02 18:45:10"));
    assert_eq!(report.start, wall("2026-03-02 18:45:10"));
    assert_eq!(report.end, wall("2026-03-02 18:46:21"));
    let details = Details {
        conversation: Some(52),
        leg1: Some(LegStatus::Completed),
        leg2: Some(LegStatus::Completed),
        leg1_seconds: Some(71),
        leg2_seconds: Some(52),
    };
    assert_eq!(report.details, Some(details));
}

#[test]
fn json_and_multipart_say_the_same_as_a_form() {
    let text = fixture!("status-callback-terminal.txt");
    let report = form(text);
    let json = posted(Kind::Calls, JSON, fixture!("status-callback-terminal.json").as_bytes());
    assert_eq!(call(json), report);
    let body = multipart(text, "------------------------d74496d66958873e");
    let content_type = "multipart/form-data; boundary=------------------------d74496d66958873e";
    assert_eq!(call(posted(Kind::Calls, content_type, &body)), report);
    assert_eq!(call(posted(Kind::Passthru, FORM, text.as_bytes())), report);
}

#[test]
fn a_leg_that_was_never_tried_has_no_status() {
    let report = form(fixture!("status-callback-terminal-unanswered.txt"));
    assert_eq!(report.status, Some(Status::NoAnswer));
    let details = report.details.unwrap();
    assert_eq!((details.leg1, details.leg2), (Some(LegStatus::NoAnswer), None));
    assert_eq!(details.conversation, Some(0));
}

#[test]
fn the_two_answered_callbacks_of_a_call_are_not_the_same() {
    let first = form(fixture!("status-callback-answered-leg1.txt"));
    let second = form(fixture!("status-callback-answered-leg2.txt"));
    for report in [&first, &second] {
        assert_eq!((report.event, report.status), (CallEvent::Answered, Some(Status::InProgress)));
        assert_eq!(report.end, None);
    }
    assert_eq!(second.details.unwrap().leg2, Some(LegStatus::InProgress));
    assert_ne!(first.same, second.same);
    assert_ne!(second.same, form(fixture!("status-callback-terminal.txt")).same);
}

#[test]
fn a_repeat_is_the_same_however_late_and_in_whatever_order_its_fields() {
    let text = fixture!("status-callback-terminal.txt");
    let later = text.replace("18%3A46%3A21&Status", "18%3A51%3A30&Status");
    assert_ne!(text, later);
    assert_eq!(form(text).same, form(&later).same);
    let missed = fixture!("passthru-missed.txt");
    let mut fields: Vec<&str> = missed.split('&').collect();
    fields.reverse();
    let again = fields.join("&").replace("18%3A40%3A35", "18%3A45%3A35");
    assert_eq!(call(asked(missed)).same, call(asked(&again)).same);
    assert_ne!(call(asked(missed)).same, call(asked(fixture!("passthru-completed.txt"))).same);
}

#[test]
fn keys_of_the_portal_are_taken_too() {
    let report = form(
        "CallSid=abc&CallFrom=0990&CallTo=0800&CallType=trans&Status=busy&Duration=17&Price=0.300030\
         &Direction=outbound-api",
    );
    assert_eq!((report.event, report.status), (CallEvent::Terminal, Some(Status::Busy)));
    assert_eq!((report.duration, report.price), (Some(17), Some(300_030)));
    let json = br#"{"CallSid": "abc", "Status": "completed", "Duration": 17, "Price": 0.3}"#;
    let report = call(posted(Kind::Calls, JSON, json));
    assert_eq!((report.duration, report.price), (Some(17), Some(300_000)));
}

#[test]
fn a_bad_value_loses_no_callback() {
    let report = form("CallSid=abc&Status=exploded&EventType=terminal&Duration=long&Price=free&EndTime=soon");
    assert_eq!(report.status, Some(Status::Other));
    assert_eq!((report.duration, report.price, report.end), (None, None, None));
    assert_eq!(form("CallSid=abc&EventType=transferred&Status=busy").event, CallEvent::Other);
}

#[test]
fn a_passthru_step_tells_of_the_dialled_leg_and_never_that_the_call_is_over() {
    for (query, leg2, seconds) in [
        (fixture!("passthru-completed.txt"), LegStatus::Completed, 19),
        (fixture!("passthru-completed-insights.txt"), LegStatus::Completed, 19),
        (fixture!("passthru-missed.txt"), LegStatus::NoAnswer, 0),
        (fixture!("passthru-client-hangup.txt"), LegStatus::Canceled, 0),
    ] {
        let report = call(asked(query));
        assert_eq!(report.sid.as_str(), FLOW_SID);
        assert_eq!((report.event, report.status), (CallEvent::Passthru, None));
        assert_eq!(report.direction, Some(Direction::Inbound));
        assert_eq!(report.created, wall("2026-03-22 18:40:02"));
        assert_eq!(report.start, wall("2026-03-22 18:40:02"));
        assert_eq!((report.end, report.duration), (None, None));
        let details = report.details.unwrap();
        assert_eq!((details.leg2, details.leg2_seconds), (Some(leg2), Some(seconds)));
        assert_eq!((details.leg1, details.conversation), (None, None));
        assert_eq!(call(posted(Kind::Passthru, FORM, query.as_bytes())), report);
    }
}

#[test]
fn texts_that_say_null_are_absent() {
    let report = call(asked("CallSid=abc&DialCallStatus=null&StartTime=null&Direction=null&CallStatus=null"));
    assert_eq!((report.details, report.start, report.direction), (None, None, None));
    assert_eq!(report.event, CallEvent::Passthru);
}

#[test]
fn what_an_agent_is_doing_is_no_status_of_the_call() {
    let dial = fixture!("passthru-agent-dial.txt");
    let report = call(asked(dial));
    assert_eq!((report.event, report.status), (CallEvent::AgentDial, None));
    assert_eq!(report.created, wall("2026-03-22 18:40:02"));
    for (event, expected) in [
        ("Ringing", CallEvent::AgentRinging),
        ("Answered", CallEvent::AgentAnswered),
        ("Terminal", CallEvent::AgentTerminal),
        ("Whispering", CallEvent::Other),
    ] {
        for status in ["busy", "free"] {
            let text = dial.replace("=Dial", &format!("={event}")).replace("=busy", &format!("={status}"));
            let bare = format!("CallSid=abc&EventType={event}&Status={status}");
            for told in [asked(&text), posted(Kind::Calls, FORM, text.as_bytes()), asked(&bare)] {
                let report = call(told);
                assert_eq!((report.event, report.status), (expected, None), "{event} {status}");
            }
        }
    }
    for silent in ["CallSid=abc&Status=busy&AgentEmail=a%40example.com", "CallSid=abc&Status=free"] {
        let report = call(posted(Kind::Calls, FORM, silent.as_bytes()));
        assert_eq!((report.event, report.status), (CallEvent::Other, None), "{silent}");
    }
    assert_eq!(call(asked("CallSid=abc&Status=busy")).status, None);
    // A call that was refused, at the address for calls and at the other one.
    let refused = "CallSid=abc&EventType=terminal&Status=busy&DateUpdated=2026-03-02+18:46:21";
    for told in [posted(Kind::Calls, FORM, refused.as_bytes()), asked(refused)] {
        let report = call(told);
        assert_eq!((report.event, report.status), (CallEvent::Terminal, Some(Status::Busy)));
    }
}

#[test]
fn the_callback_of_ccm_is_read_with_its_own_words() {
    let report = call(posted(Kind::Calls, JSON, fixture!("ccm-status-callback.json").as_bytes()));
    assert_eq!(report.sid.as_str(), "2c3d4e5f60718293a4b5c6d7e8f12032");
    assert_eq!((report.event, report.status), (CallEvent::Terminal, None));
    assert_eq!(report.direction, Some(Direction::OutboundApi));
    assert_eq!(report.duration, None);
    assert_eq!(report.details.unwrap().conversation, Some(0));
    for (word, status) in [
        ("completed", Some(Status::Completed)),
        ("customer_unanswered", None),
        ("customer_no_dial", None),
        ("agent_canceled", None),
    ] {
        let body = fixture!("ccm-status-callback.json").replace("agent_unanswered", word);
        assert_eq!(call(posted(Kind::Calls, JSON, body.as_bytes())).status, status, "{word}");
    }
}

#[test]
fn a_number_masking_event_ends_its_call() {
    let report = call(posted(Kind::Calls, JSON, fixture!("leadassist-call-event.json").as_bytes()));
    assert_eq!(report.sid.as_str(), "4e5f60718293a4b5c6d7e8f102032032");
    assert_eq!((report.event, report.status), (CallEvent::Terminal, None));
    assert_eq!(report.direction, Some(Direction::Inbound));
    assert_eq!(report.start, wall("2026-03-02 18:30:00"));
    let details = report.details.unwrap();
    assert_eq!((details.leg2, details.leg2_seconds), (Some(LegStatus::Completed), Some(33)));
    let odd = fixture!("leadassist-call-event.json").replace("18:30:00\"", "18:30:00+50:30\"");
    assert_eq!(call(posted(Kind::Calls, JSON, odd.as_bytes())).start, None);
}

#[test]
fn a_callback_that_does_not_say_which_call_is_refused() {
    for body in [
        "Status=completed",
        "CallSid=&Status=busy",
        "CallSid=null&EventType=terminal",
        "CallSid=a/b&Status=busy",
    ] {
        let fault = posted(Kind::Calls, FORM, body.as_bytes()).unwrap_err();
        assert!(fault.0.starts_with("CallSid "), "{body}: {fault}");
    }
    for body in
        [&br#"{"call_details": {"call_status": "completed"}}"#[..], br#"{"call_sid": null, "to": "1"}"#]
    {
        assert!(posted(Kind::Calls, JSON, body).is_err());
    }
}

#[test]
fn what_tells_nothing_that_we_know_is_kept_as_it_came() {
    for (kind, body) in [
        (Kind::Calls, "campaign_sid=1&name=spring"),
        (Kind::Calls, "CallSid=abc&CallState=ringing"),
        (Kind::Passthru, "CallSid=abc&Stream[StreamSID]=s1&Stream[Status]=completed"),
    ] {
        let unknown = unknown(posted(kind, FORM, body.as_bytes()));
        assert_eq!(unknown.raw, body);
        assert!(!unknown.reason.contains("abc") && !unknown.reason.contains("spring"));
    }
}
