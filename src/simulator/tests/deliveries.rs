//! What becomes of webhooks on their way: doubled, late, lost, refused, slow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::mailbox::{BASE, Letter, Mailbox, by_call, options, quiet, rows, run, text, truth};
use super::*;
use crate::simulator::{Events, Scenario, WebhookKind};

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
    missing.sort();
    lost.sort();
    assert_eq!(truth.calls.expected, expected.len() as u64);
    assert_eq!(lost, missing);
    assert!(lost.len() > 5, "{lost:?}");
    let mut phantoms: Vec<_> = came.iter().filter(|sid| !rows.contains_key(*sid)).cloned().collect();
    let mut told = truth.phantoms.clone();
    phantoms.sort();
    told.sort();
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

#[tokio::test(start_paused = true)]
async fn the_demo_shows_an_outage_by_heartbeat_and_loses_callbacks_within_minutes() {
    let mut options = Scenario::Demo.options();
    options.webhooks.base = Some(BASE.to_owned());
    let bench = Bench::new(options);
    let mailbox = Mailbox::open(&bench);
    tokio::time::sleep(Duration::from_secs(240)).await;
    let beats: Vec<_> = mailbox.of(WebhookKind::Heartbeat).iter().map(Letter::json).collect();
    let words: HashSet<_> = beats.iter().map(|beat| text(beat, "status_type")).collect();
    assert!(words.contains("OK") && words.len() > 1, "{words:?}");
    let truth = truth(&bench);
    assert!(!truth.calls.lost.is_empty() && truth.calls.lost.len() as u64 * 5 < truth.calls.expected);
    for kind in WebhookKind::ALL {
        assert!(!mailbox.of(kind).is_empty(), "{kind:?}");
    }
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
