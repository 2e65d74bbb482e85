//! Callbacks about calls: when they come, and what they say.

use std::collections::HashMap;

use super::mailbox::{Mailbox, assert_same_shape, by_call, fixture, keys, options, rows, run, text, truth};
use super::*;
use crate::simulator::{Body as Form, CallKeys, Events, Reach, WebhookKind};

#[tokio::test(start_paused = true)]
async fn calls_through_the_api_answer_twice_at_most_then_end_in_order_and_agree_with_their_rows() {
    let bench = Bench::new(options(1.0));
    let mailbox = Mailbox::open(&bench);
    run(&bench, 300).await;
    let rows = rows(&bench).await;
    let calls = by_call(&mailbox.of(WebhookKind::Calls));
    let outbound: Vec<_> = rows.values().filter(|row| row["Direction"] == "outbound-api").collect();
    assert_eq!(calls.len(), outbound.len(), "inbound and dashboard calls have none");
    let mut twice = 0;
    for row in outbound {
        let said = &calls[row["Sid"].as_str().unwrap()];
        let (last, before) = said.split_last().unwrap();
        assert_eq!(last["EventType"], "terminal");
        assert_eq!(last["Status"], row["Status"]);
        for key in ["To", "From", "PhoneNumberSid", "StartTime", "EndTime", "Direction"] {
            assert_eq!(last[key], text(row, key), "{key}");
        }
        let details = &row["Details"];
        assert_eq!(last["ConversationDuration"], details["ConversationDuration"].as_str().unwrap());
        assert_eq!(last["Legs[0][Status]"], text(details, "Leg1Status"));
        assert_eq!(last["Legs[1][Status]"], text(details, "Leg2Status"));
        assert!(before.iter().all(|said| said["EventType"] == "answered" && said["Status"] == "in-progress"));
        let legs: Vec<_> = before.iter().map(|said| said["Legs[1][Status]"].as_str()).collect();
        assert!(["", "in-progress"].starts_with(&legs), "{legs:?}");
        twice += usize::from(legs.len() == 2);
    }
    assert!(twice > 20, "{twice}");
    let truth = truth(&bench);
    assert_eq!((truth.calls.expected, truth.calls.lost.len()), (calls.len() as u64, 0));
}

#[tokio::test(start_paused = true)]
async fn answered_comes_during_the_call_and_terminal_after_it() {
    let bench = Bench::new(options(1.0));
    let mailbox = Mailbox::open(&bench);
    run(&bench, 200).await;
    let times = bench.simulator.calls("exampleacct1", 0, usize::MAX).unwrap();
    let ends: HashMap<_, _> =
        times.iter().map(|call| (call.sid.clone(), call.ended - START.0 as f64)).collect();
    for letter in mailbox.of(WebhookKind::Calls) {
        let fields = letter.fields();
        let end = ends[&fields["CallSid"]];
        match fields["EventType"].as_str() {
            "terminal" => assert!((end..end + 0.6).contains(&letter.at), "{} after {end}", letter.at),
            _ => assert!(letter.at <= end + 0.6),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_are_multipart_urlencoded_or_json_with_the_keys_of_the_fixtures() {
    for (body, kind) in [
        (Form::Multipart, "multipart/form-data; boundary="),
        (Form::Urlencoded, "application/x-www-form-urlencoded"),
        (Form::Json, "application/json"),
    ] {
        let mut options = options(1.0);
        options.webhooks.calls.body = body;
        let bench = Bench::new(options);
        let mailbox = Mailbox::open(&bench);
        run(&bench, 60).await;
        for letter in mailbox.of(WebhookKind::Calls) {
            assert!(letter.content_type.starts_with(kind), "{}", letter.content_type);
            let mut fields = letter.fields();
            if fields["EventType"] == "answered" {
                let name = if fields["Legs[1][Status]"].is_empty() { "leg1" } else { "leg2" };
                let expected = keys(&format!("status-callback-answered-{name}.txt"));
                assert_eq!(fields.into_keys().collect::<Vec<_>>(), expected);
                continue;
            }
            if body == Form::Json {
                let theirs: Value = serde_json::from_str(&fixture("status-callback-terminal.json")).unwrap();
                assert_same_shape(&letter.json(), &theirs, "");
            }
            // Documented, though not in the sample of a form.
            fields.retain(|key, _| !key.ends_with("[AnsweredBy]"));
            let name = if fields["Legs[1][Status]"].is_empty() { "terminal-unanswered" } else { "terminal" };
            let expected = keys(&format!("status-callback-{name}.txt"));
            assert_eq!(fields.into_keys().collect::<Vec<_>>(), expected);
        }
        mailbox.close();
    }
}

#[tokio::test(start_paused = true)]
async fn without_events_there_is_one_callback_with_four_keys() {
    for (events, expected) in
        [(Events::Unnamed, Some(keys("status-callback-default.txt"))), (Events::Terminal, None)]
    {
        let mut options = options(1.0);
        options.webhooks.calls.events = events;
        let bench = Bench::new(options);
        let mailbox = Mailbox::open(&bench);
        run(&bench, 60).await;
        let calls = by_call(&mailbox.of(WebhookKind::Calls));
        assert!(calls.len() > 10 && calls.values().all(|said| said.len() == 1));
        if let Some(expected) = expected {
            for said in calls.into_values().flatten() {
                assert_eq!(said.into_keys().collect::<Vec<_>>(), expected);
            }
        }
        mailbox.close();
    }
}

#[tokio::test(start_paused = true)]
async fn some_accounts_have_more_keys_at_the_end() {
    let mut options = options(1.0);
    options.webhooks.calls.keys = CallKeys::More;
    let bench = Bench::new(options);
    let mailbox = Mailbox::open(&bench);
    run(&bench, 60).await;
    for said in by_call(&mailbox.of(WebhookKind::Calls)).into_values().flatten() {
        let over = said["EventType"] == "terminal";
        for key in ["CallFrom", "CallTo", "CallType", "Duration", "Price"] {
            assert_eq!(said.contains_key(key), over, "{key}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_wide_url_hears_of_every_call() {
    let mut options = options(1.0);
    options.webhooks.calls.reach = Reach::AllCalls;
    options.traffic.child_share = 0.5;
    let bench = Bench::new(options);
    let mailbox = Mailbox::open(&bench);
    run(&bench, 100).await;
    let rows = rows(&bench).await;
    let roots = rows.values().filter(|row| row["ParentCallSid"].is_null()).count();
    assert_eq!(by_call(&mailbox.of(WebhookKind::Calls)).len(), roots, "legs have none");
    let truth = truth(&bench);
    assert!((truth.calls.expected as usize) < roots, "only calls through the API are expected");
}

#[tokio::test(start_paused = true)]
async fn ccm_calls_have_callbacks_of_their_own_form() {
    let mut options = options(1.0);
    options.webhooks.calls.ccm_share = 1.0;
    let bench = Bench::new(options);
    let mailbox = Mailbox::open(&bench);
    run(&bench, 200).await;
    let theirs: Value = serde_json::from_str(&fixture("ccm-status-callback.json")).unwrap();
    let rows = rows(&bench).await;
    let mut words = HashSet::new();
    for letter in mailbox.of(WebhookKind::Calls) {
        let said = letter.json();
        assert_same_shape(&said, &theirs, "");
        let details = &said["call_details"];
        let row = &rows[details["call_sid"].as_str().unwrap()];
        if said["event_details"]["event_type"] == "terminal" {
            assert_eq!(details["total_talk_time"].to_string(), text(&row["Details"], "ConversationDuration"));
            words.insert(text(details, "call_status"));
        } else {
            assert_eq!(
                (text(details, "call_state"), &details["call_status"]),
                ("active".to_owned(), &Value::Null)
            );
        }
    }
    for word in ["completed", "agent_unanswered", "customer_unanswered"] {
        assert!(words.contains(word), "{words:?}");
    }
}
