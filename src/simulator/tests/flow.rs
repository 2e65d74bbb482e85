//! What the flow of inbound calls sends.

use super::mailbox::{Letter, Mailbox, by_call, keys, options, rows, run, text};
use super::*;
use crate::simulator::{AgentEvents, PassthruMethod, WebhookKind};

#[tokio::test(start_paused = true)]
async fn passthru_follows_the_flow_of_inbound_calls() {
    let mut options = options(1.0);
    options.traffic.sip_share = 0.2;
    let bench = Bench::new(options);
    let mailbox = Mailbox::open(&bench);
    run(&bench, 600).await;
    let rows = rows(&bench).await;
    let letters = mailbox.of(WebhookKind::Passthru);
    assert!(letters.iter().all(|letter| letter.method == "GET" && letter.body.is_empty()));
    let calls = by_call(&letters);
    let inside = |row: &&Value| row["Direction"] == "inbound" && row["Details"]["Leg1Status"] == "completed";
    assert_eq!(calls.len(), rows.values().filter(inside).count());
    let mut types = HashSet::new();
    for (sid, said) in calls {
        assert_eq!(said.len(), 1);
        let said = &said[0];
        let row = &rows[&sid];
        assert_eq!(said["Direction"], "incoming");
        assert_eq!(said["EndTime"], "1970-01-01 05:30:00");
        assert_eq!(said["ForwardedFrom"], "null");
        assert_eq!(said["CallFrom"], text(row, "From"));
        let leg2 = text(&row["Details"], "Leg2Status");
        let expected = match leg2.as_str() {
            "completed" => "completed/completed".to_owned(),
            "canceled" => "client-hangup/canceled".to_owned(),
            "" => format!("{}/null", said["CallType"]),
            other => format!("incomplete/{other}"),
        };
        assert_eq!(format!("{}/{}", said["CallType"], said["DialCallStatus"]), expected);
        let name = match said["CallType"].as_str() {
            "completed" if said.contains_key("RecordingUrl") => "passthru-completed.txt",
            "incomplete" => "passthru-missed.txt",
            "client-hangup" => "passthru-client-hangup.txt",
            _ => continue,
        };
        assert_eq!(said.keys().cloned().collect::<Vec<_>>(), keys(name), "{name}");
        types.insert(said["CallType"].clone());
        if said["DialWhomNumber"].starts_with("sip:") {
            types.insert("sip".to_owned());
        }
    }
    assert_eq!(types.len(), 4, "{types:?}");
}

#[tokio::test(start_paused = true)]
async fn passthru_may_be_posted_and_carry_quoted_digits_and_insights() {
    let mut options = options(1.0);
    options.webhooks.passthru.method = PassthruMethod::Mixed;
    options.webhooks.passthru.insights_share = 1.0;
    let bench = Bench::new(options);
    let mailbox = Mailbox::open(&bench);
    run(&bench, 100).await;
    let letters = mailbox.of(WebhookKind::Passthru);
    let posted = letters.iter().filter(|letter| letter.method == "POST").count();
    assert!(posted > 5 && posted < letters.len() - 5, "{posted} of {}", letters.len());
    let expected = keys("passthru-completed-insights.txt");
    for fields in letters.iter().map(Letter::fields) {
        assert_eq!(fields["digits"], "\"1\"");
        if fields.contains_key("RecordingUrl") {
            assert_eq!(fields.into_keys().collect::<Vec<_>>(), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn agent_events_tell_the_agents_state_before_passthru_tells_the_calls() {
    let mut options = options(1.0);
    options.webhooks.passthru.agent_events = AgentEvents::Sent;
    options.webhooks.delay = Delay::none();
    let bench = Bench::new(options);
    let mailbox = Mailbox::open(&bench);
    run(&bench, 100).await;
    let expected = keys("passthru-agent-dial.txt");
    let mut answered = 0;
    for said in by_call(&mailbox.of(WebhookKind::Passthru)).into_values() {
        let events: Vec<_> =
            said.iter().filter_map(|said| said.get("EventType").map(String::as_str)).collect();
        let dialled = said.last().unwrap()["DialCallStatus"] != "null";
        match events.len() {
            0 => assert!(!dialled),
            3 => assert_eq!(events, ["Dial", "Ringing", "Terminal"]),
            _ => {
                assert_eq!(events, ["Dial", "Ringing", "Answered", "Terminal"]);
                answered += 1;
            }
        }
        for event in said.iter().filter(|said| said.contains_key("EventType")) {
            assert_eq!(event.keys().cloned().collect::<Vec<_>>(), expected);
            let state = if event["EventType"] == "Terminal" { "free" } else { "busy" };
            assert_eq!(event["Status"], state);
        }
    }
    assert!(answered > 5, "{answered}");
}
