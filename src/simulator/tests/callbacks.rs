//! Callbacks about calls: when they come, what they say, which never come.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::mailbox::{BASE, Letter, Mailbox, assert_same_shape, fixture, form, quiet};
use super::*;
use crate::simulator::{
    AgentEvents, Body as Form, BulkDetails, Events, PassthruMethod, Reach, Scenario, WebhookKind,
    WebhookTruth,
};

fn options(calls_per_second: f64) -> Options {
    let mut options = plain(calls_per_second);
    options.webhooks.base = Some(BASE.to_owned());
    options.webhooks.delay = Delay::seconds(0.1, 0.5);
    options.webhooks.heartbeats.every = None;
    options.wire.bulk_details = BulkDetails::Sent;
    options
}

/// Lets calls come for a while and waits until all of them and their callbacks are over.
async fn run(bench: &Bench, seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    quiet(bench).await;
}

async fn rows(bench: &Bench) -> HashMap<String, Value> {
    let rows = bench.rows("PageSize=100&details=true").await;
    rows.into_iter().map(|row| (row["Sid"].as_str().unwrap().to_owned(), row)).collect()
}

fn truth(bench: &Bench) -> WebhookTruth {
    bench.simulator.webhook_truth("exampleacct1", START).unwrap()
}

/// Callbacks by call, each with its fields.
fn by_call(letters: &[Letter]) -> BTreeMap<String, Vec<BTreeMap<String, String>>> {
    let mut calls: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for fields in letters.iter().map(Letter::fields) {
        calls.entry(fields["CallSid"].clone()).or_default().push(fields);
    }
    calls
}

fn keys(name: &str) -> Vec<String> {
    form(&fixture(name)).into_keys().collect()
}

fn text(row: &Value, key: &str) -> String {
    row[key].as_str().unwrap_or("").to_owned()
}

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

#[tokio::test(start_paused = true)]
async fn doubled_and_disordered_callbacks_come_in_their_share() {
    let mut options = options(2.0);
    options.webhooks.doubled_share = 0.2;
    options.webhooks.disordered_share = 0.2;
    options.webhooks.disordered_by = Delay::seconds(5.0, 60.0);
    let bench = Bench::new(options);
    let mailbox = Mailbox::open(&bench);
    run(&bench, 300).await;
    let calls = by_call(&mailbox.of(WebhookKind::Calls));
    let (mut doubled, mut behind) = (0, 0);
    for said in calls.values() {
        let unique: HashSet<_> = said.iter().map(|said| format!("{said:?}")).collect();
        doubled += said.len() - unique.len();
        let terminal = said.iter().position(|said| said["EventType"] == "terminal").unwrap();
        behind += usize::from(said[terminal..].iter().any(|said| said["EventType"] == "answered"));
    }
    assert!(doubled > 50 && behind > 20, "{doubled} doubled, {behind} behind the end of {}", calls.len());
    assert_eq!(truth(&bench).calls.lost, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn lost_final_callbacks_are_those_in_the_truth() {
    let mut options = options(2.0);
    options.webhooks.lost_share = 0.1;
    options.webhooks.doubled_share = 0.1;
    options.webhooks.calls.phantom_share = 0.05;
    options.traffic.child_share = 0.2;
    let bench = Bench::new(options);
    let mailbox = Mailbox::open(&bench);
    run(&bench, 300).await;
    let came: HashSet<_> = mailbox
        .of(WebhookKind::Calls)
        .iter()
        .map(Letter::fields)
        .filter(|said| said["EventType"] == "terminal")
        .map(|said| said["CallSid"].clone())
        .collect();
    let rows = rows(&bench).await;
    let root = |row: &&Value| row["Direction"] == "outbound-api" && row["ParentCallSid"].is_null();
    let expected: Vec<_> = rows.values().filter(root).map(|row| text(row, "Sid")).collect();
    let mut missing: Vec<_> = expected.iter().filter(|sid| !came.contains(*sid)).cloned().collect();
    let truth = truth(&bench);
    let mut lost = truth.calls.lost.clone();
    (missing.sort(), lost.sort());
    assert_eq!(truth.calls.expected, expected.len() as u64);
    assert_eq!(lost, missing);
    assert!(lost.len() > 5, "{lost:?}");
    let mut phantoms: Vec<_> = came.iter().filter(|sid| !rows.contains_key(*sid)).cloned().collect();
    let mut told = truth.phantoms.clone();
    (phantoms.sort(), told.sort());
    assert_eq!(told, phantoms);
    assert!(!told.is_empty());

    let shown = bench.get(&format!("/_sim/webhooks?live_from={}", START.0)).await.json();
    assert_eq!(shown["calls"]["lost"].as_array().unwrap().len(), lost.len());
    let later = bench.simulator.webhook_truth("exampleacct1", START.plus(150)).unwrap();
    assert!(later.calls.expected < truth.calls.expected);
}

#[tokio::test(start_paused = true)]
async fn contradictions_are_counted_in_the_truth() {
    let mut options = options(2.0);
    options.webhooks.calls.contradicted_share = 0.1;
    let bench = Bench::new(options);
    let mailbox = Mailbox::open(&bench);
    run(&bench, 200).await;
    let rows = rows(&bench).await;
    let said = mailbox.of(WebhookKind::Calls).into_iter().map(|letter| letter.fields());
    let finals = said.filter(|said| said["EventType"] == "terminal");
    let other = finals.filter(|said| said["Status"] != text(&rows[&said["CallSid"]], "Status")).count();
    assert_eq!(truth(&bench).contradicted, other as u64);
    assert!(other > 5, "{other}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_callback_comes_again_after_5_and_15_minutes_and_is_then_lost() {
    let mut options = options(0.0);
    options.traffic.calls_per_second = 1.0;
    options.traffic.max_calls = Some(30);
    options.webhooks.calls.events = Events::Terminal;
    options.webhooks.passthru.share = 0.0;
    let bench = Bench::new(options);
    let mailbox = Mailbox::answering(&bench, |letter| async move {
        // Every second call is taken on its last attempt.
        let even = letter.fields()["CallSid"].as_bytes()[0] % 2 == 0;
        if even && letter.at > 1100.0 { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
    });
    run(&bench, 60).await;
    let mut attempts: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    for letter in mailbox.of(WebhookKind::Calls) {
        attempts.entry(letter.fields()["CallSid"].clone()).or_default().push(letter.at);
    }
    for times in attempts.values() {
        assert_eq!(times.len(), 3);
        assert!((times[1] - times[0] - 300.0).abs() < 1.5, "{times:?}");
        assert!((times[2] - times[1] - 900.0).abs() < 1.5, "{times:?}");
    }
    let truth = truth(&bench);
    let odd: HashSet<_> = attempts.keys().filter(|sid| sid.as_bytes()[0] % 2 == 1).cloned().collect();
    assert_eq!(truth.calls.lost.into_iter().collect::<HashSet<_>>(), odd);
    let calls = &truth.deliveries[&WebhookKind::Calls];
    assert_eq!((calls.given_up as usize, calls.attempts as usize), (odd.len(), attempts.len() * 3));
    assert_eq!(calls.statuses[&503], calls.attempts - calls.accepted);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_waited_for_15_seconds_and_slow_receivers_delay_nobody_else() {
    let mut options = options(0.0);
    options.traffic.calls_per_second = 1.0;
    options.traffic.max_calls = Some(40);
    options.webhooks.retry_after = vec![Duration::from_secs(60)];
    let open = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let bench = Bench::new(options);
    let (opened, highest) = (Arc::clone(&open), Arc::clone(&most));
    let mailbox = Mailbox::answering(&bench, move |_| {
        let (open, most) = (Arc::clone(&opened), Arc::clone(&highest));
        async move {
            most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(16)).await;
            StatusCode::OK
        }
    });
    run(&bench, 60).await;
    let truth = truth(&bench);
    let calls = &truth.deliveries[&WebhookKind::Calls];
    assert_eq!((calls.accepted, calls.statuses[&0]), (0, calls.attempts));
    assert_eq!(truth.calls.lost.len() as u64, truth.calls.expected);
    let passthru = &truth.deliveries[&WebhookKind::Passthru];
    assert_eq!(passthru.attempts, passthru.given_up, "Passthru is not tried again");
    assert!(most.load(Ordering::SeqCst) > 5, "one after the other");
    assert_eq!(mailbox.all().len() as u64, calls.attempts + passthru.attempts);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_repeats_with_the_seed_whatever_the_client_asks() {
    let story = async |seed, nosy| {
        let mut options = Scenario::LossyCallbacks.options();
        options.seed = seed;
        options.webhooks.base = Some(BASE.to_owned());
        let bench = Bench::new(options);
        let mailbox = Mailbox::open(&bench);
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if nosy {
                bench.bulk("").await;
            }
        }
        quiet(&bench).await;
        let sent = mailbox.of(WebhookKind::Calls).into_iter().map(|letter| format!("{:?}", letter.fields()));
        let mut sent: Vec<_> = sent.collect();
        sent.sort();
        (sent, truth(&bench).calls)
    };
    let first = story(1, false).await;
    assert_eq!(first, story(1, true).await);
    assert_ne!(first, story(2, false).await);
    assert!(!first.1.lost.is_empty());
}

#[tokio::test]
async fn webhooks_go_over_the_network_in_real_time() {
    let mut options = options(20.0);
    options.durations.median = Duration::from_secs(1);
    options.durations.max = Duration::from_secs(1);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    options.webhooks.base = Some(format!("http://{}/webhooks/{{account}}/s", listener.local_addr().unwrap()));
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let receiver = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let counted = Arc::clone(&counted);
        async move {
            assert!(request.uri().path().starts_with("/webhooks/exampleacct1/s/"));
            counted.fetch_add(1, Ordering::SeqCst);
            StatusCode::OK
        }
    });
    tokio::spawn(async move { axum::serve(listener, receiver).await });
    let simulator = Simulator::new(options, Clock::system());
    let stop = tokio_util::sync::CancellationToken::new();
    let postman = crate::simulator::Postman::network().unwrap();
    let sender = tokio::spawn({
        let (simulator, stop) = (simulator.clone(), stop.clone());
        async move { simulator.send_webhooks(postman, stop).await }
    });
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while count.load(Ordering::SeqCst) < 10 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    sender.await.unwrap();
    assert!(count.load(Ordering::SeqCst) >= 10);
    let truth = simulator.webhook_truth("exampleacct1", Timestamp(0)).unwrap();
    assert!(truth.deliveries.values().all(|kind| kind.accepted == kind.attempts), "{truth:?}");
}
