//! One call asked for anew: of v1, else of v2, else of v3.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Client, setup, token};
use crate::support::agent::{Setup, account};
use crate::support::fake::{Fake, epoch_now, ist};
use crate::support::simulator::Simulator;
use crate::support::{ensure, eventually, secs};

const SID: &str = "000000000000000000000000000000c1";

/// An agent that reads no lists, over this Exotel.
fn asking(exotel: &Fake) -> Client {
    Client::start(&setup(exotel).with("sync.enabled", false), "admin")
}

fn refresh(client: &Client, sid: &str) -> (u16, Value) {
    let answer = client.ask("POST", &format!("calls/{sid}/refresh"));
    let body = answer.json().unwrap();
    (answer.status, body)
}

fn path(version: &str) -> String {
    format!("/{version}/accounts/exampleacct1/calls/{SID}")
}

/// A call that ended a minute ago, as v2 or v3 has it.
fn details(changes: &Value) -> Value {
    let at = |seconds| format!("{}+05:30", ist(epoch_now() - seconds));
    let mut call = json!({
        "sid": SID, "direction": "outbound", "virtual_number": "+918000000011", "state": "terminal",
        "status": "to_leg_unanswered", "created_time": at(90), "start_time": at(90), "end_time": at(60),
        "total_duration": 30, "total_talk_time": 0, "custom_field": "lead-1002",
    });
    for (key, value) in changes.as_object().unwrap() {
        call[key] = value.clone();
    }
    json!({"request_id": "r1", "method": "GET", "http_code": 200, "response": {"call_details": call}})
}

fn not_found() -> Value {
    json!({"http_code": 404, "response": {"code": 404, "error_data": {"code": 10744, "message": "Call not found"}}})
}

#[test]
fn calls_that_v1_does_not_know_are_found_in_v2_or_v3_in_either_spelling() {
    let mut exotel = Simulator::planned("versions", 3);
    let setup = Setup::new(&[account("acme", &exotel.base)])
        .with("api", json!({"jwt_secret": super::SECRET}))
        .with("sync.enabled", false);
    exotel.start();
    let client = Client { agent: setup.start(), token: token(&setup, "admin") };
    let calls = eventually(secs(60), "calls that are over", || {
        let calls = exotel.ask("calls?limit=30")["calls"].clone();
        let over = |call: &&Value| call["settled"].as_f64().unwrap() < epoch_now() as f64;
        let over: Vec<Value> = calls.as_array().unwrap().iter().filter(over).cloned().collect();
        ensure(over.len() >= 24, || format!("{} are over", over.len()))?;
        Ok::<_, String>(over)
    });
    let mut versions: BTreeMap<String, u32> = BTreeMap::new();
    for call in &calls {
        let sid = call["sid"].as_str().unwrap();
        let (status, shown) = refresh(&client, sid);
        assert_eq!((status, &shown["sid"]), (200, &json!(sid)), "{shown}");
        let version = shown["apiVersion"].as_str().unwrap().to_owned();
        let created = jiff::Timestamp::from_second(call["created"].as_i64().unwrap()).unwrap().to_string();
        assert_eq!(shown["created"], created, "{version}: {shown}");
        assert!(shown["end"].is_string() && shown["duration"].is_u64(), "{version}: {shown}");
        assert!(shown["outcome"].is_string() && shown["direction"] != "other", "{version}: {shown}");
        assert!(
            ["completed", "no-answer", "busy", "failed", "canceled"]
                .contains(&shown["status"].as_str().unwrap())
        );
        if version == "v3" {
            assert!(shown["from"].is_string(), "its legs name it: {shown}");
        }
        assert_eq!(client.get(&format!("calls/{sid}"))["created"], shown["created"], "it is stored");
        *versions.entry(version).or_default() += 1;
    }
    assert_eq!(versions.keys().collect::<Vec<_>>(), ["v1", "v2", "v3"], "{versions:?}");
    let (status, unknown) = refresh(&client, "00000000000000000000000000000000");
    assert_eq!((status, &unknown["error"]["code"]), (404, &json!("call_unknown")));
}

#[test]
fn only_what_no_version_knows_is_unknown() {
    let exotel = Fake::start();
    let client = asking(&exotel);
    let (status, body) = refresh(&client, SID);
    assert_eq!((status, &body["error"]["code"]), (404, &json!("call_unknown")), "{body}");
    assert!(body["error"]["detail"].as_str().unwrap().contains("v1, v2 and v3"), "{body}");

    // v2 is closed to the account and v3 does not know it: nobody can say.
    exotel.say(&path("v2"), 403, json!({}));
    exotel.say(&path("v3"), 404, not_found());
    let (status, body) = refresh(&client, SID);
    assert_eq!((status, &body["error"]["code"]), (503, &json!("exotel_unavailable")), "{body}");
    assert_eq!(body["error"]["detail"], "reason: forbidden, of v2");

    for (refusal, expected, code) in [(402, 503, "exotel_unavailable"), (409, 422, "exotel_refused")] {
        exotel.say(&path("v2"), refusal, json!({}));
        exotel.say(&path("v3"), 200, details(&json!({})));
        let (status, body) = refresh(&client, SID);
        assert_eq!((status, &body["error"]["code"]), (expected, &json!(code)), "{body}");
    }
    // A refused key is last: it is not tried again for a while.
    exotel.say(&path("v2"), 401, json!({}));
    let (status, body) = refresh(&client, SID);
    assert_eq!((status, body["error"]["detail"].as_str()), (503, Some("reason: auth, of v2")), "{body}");
    assert_eq!(client.ask("GET", &format!("calls/{SID}")).status, 404, "nothing was stored");
}

#[test]
fn a_version_that_is_closed_to_the_account_is_passed_over() {
    let exotel = Fake::start();
    exotel.say(&path("v2"), 403, json!({}));
    exotel.say(&path("v3"), 200, details(&json!({})));
    exotel.say(
        &format!("{}/legs", path("v3")),
        200,
        json!({"response": {"leg_details": {
            "call_sid": SID,
            "from": [{"contact_uri": "+919900000091", "status": "completed"}],
            "to": [{"contact_uri": "+919900000001", "status": "no-answer"}],
        }}}),
    );
    let client = asking(&exotel);
    client.until("exophones", "the list is read", |numbers| numbers[0].is_object());
    let (status, body) = refresh(&client, SID);
    assert_eq!((status, &body["apiVersion"]), (200, &json!("v3")), "{body}");
    assert_eq!((&body["status"], &body["outcome"]), (&json!("no-answer"), &json!("no_answer")));
    assert_eq!((&body["from"], &body["to"]), (&json!("+********0091"), &json!("+********0001")), "{body}");
    assert_eq!(
        body["legs"],
        json!([{"status": "completed", "seconds": null}, {"status": "no-answer", "seconds": null}])
    );
    assert_eq!((&body["exophone"], &body["customField"]), (&json!("+918000000011"), &Value::Null));
}

#[test]
fn v1_has_the_last_word_on_what_it_says_and_takes_nothing_away() {
    let exotel = Fake::start();
    let running = details(&json!({
        "call_sid": SID, "sid": null, "state": null, "call_state": "active", "status": null,
        "end_time": "1970-01-01 05:30:00+05:30", "total_duration": 0,
        "recordings": [{"url": "https://recordings.exotel.com/exotelrecordings/exampleacct1/c1.mp3"}],
    }));
    exotel.say(&path("v2"), 200, running);
    let setup = setup(&exotel).with("sync.enabled", false).with("privacy.phone_numbers", "plain");
    let client = Client::start(&setup, "admin");
    let (_, body) = refresh(&client, SID);
    assert_eq!((&body["status"], &body["apiVersion"]), (&json!("in-progress"), &json!("v2")), "{body}");
    assert_eq!((&body["end"], &body["duration"]), (&Value::Null, &Value::Null));

    exotel.say(&path("v2"), 200, details(&json!({"status": "customer_unanswered"})));
    let (_, body) = refresh(&client, SID);
    assert_eq!((&body["status"], &body["duration"]), (&json!("no-answer"), &json!(30)), "{body}");
    assert!(body["recordingUrl"].is_string(), "what was said once stays");

    exotel.add_call("c1");
    exotel.answer_single_calls();
    exotel.change_call(SID, |row| row["Status"] = json!("busy"));
    let (_, body) = refresh(&client, SID);
    assert_eq!((&body["status"], &body["apiVersion"]), (&json!("busy"), &json!("v1")), "{body}");
    assert_eq!((&body["duration"], &body["direction"]), (&json!(1), &json!("outbound-dial")));
    assert_eq!((&body["from"], &body["customField"]), (&json!("09900000092"), &json!("lead-1002")));

    // v1 forgets it again: what v2 says changes nothing that v1 said.
    exotel.remove_calls(|_| true);
    let (_, body) = refresh(&client, SID);
    assert_eq!((&body["status"], &body["apiVersion"]), (&json!("busy"), &json!("v2")), "{body}");
    assert_eq!(client.get("calls")["calls"].as_array().unwrap().len(), 1);
}
