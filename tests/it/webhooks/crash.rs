//! `kill -9` at any moment: what was answered 200 is counted, and counted once.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use serde_json::json;

use super::sender::{FORM, SECRET, attempt, path, setup};
use crate::support::agent::{Agent, Setup};
use crate::support::fake::{epoch_now, ist};
use crate::support::scrape::Scrape;
use crate::support::{ensure, note, secs};

const CRASHES: u64 = 5;
const STATUSES: [&str; 3] = ["OK", "WARNING", "CRITICAL"];

/// What one sender sent. Its events are numbered; each is sent until it is answered 200, as Exotel does.
#[derive(Debug, Default)]
struct Sent {
    /// Events that were sent, answered or not.
    begun: AtomicU64,
    /// Events that were answered 200.
    kept: AtomicU64,
}

impl Sent {
    fn range(&self) -> (f64, f64) {
        (self.kept.load(Ordering::SeqCst) as f64, self.begun.load(Ordering::SeqCst) as f64)
    }
}

/// A sender at work.
type Sender = (Arc<Sent>, Option<JoinHandle<()>>);

/// Sends events one after another until told to stop; an event that was answered is never sent again.
fn sender(
    base: &str,
    kind: &'static str,
    content_type: &'static str,
    stop: &Arc<AtomicBool>,
    body: impl Fn(u64) -> String + Send + 'static,
) -> Sender {
    let sent = Arc::new(Sent::default());
    let (base, stop, ours) = (base.to_owned(), Arc::clone(stop), Arc::clone(&sent));
    let thread = spawn(move || {
        for event in 0.. {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            let body = body(event);
            ours.begun.store(event + 1, Ordering::SeqCst);
            loop {
                match attempt(&base, &path(kind), content_type, &body) {
                    Some(200) => break,
                    Some(503) | None => sleep(Duration::from_millis(20)),
                    Some(other) => panic!("{kind} {event}: {other}"),
                }
            }
            ours.kept.store(event + 1, Ordering::SeqCst);
        }
    });
    (sent, Some(thread))
}

/// The end of a call that nobody else names; with so many such events a call.
fn call(sender: usize, event: u64) -> String {
    // An answered event, then the end: two events of each call.
    let (number, over) = (event / 2, event % 2 == 1);
    let (event, status) = if over { ("terminal", "completed") } else { ("answered", "in-progress") };
    let now = ist(epoch_now()).replace(' ', "+").replace(':', "%3A");
    format!(
        "CallSid={sender:08x}{number:024x}&EventType={event}&Status={status}&Direction=outbound-api\
         &DateCreated={now}&DateUpdated={now}&StartTime={now}&PhoneNumberSid=08000000011"
    )
}

fn sms(sender: usize, event: u64) -> String {
    format!("SmsSid={sender:08x}{event:024x}&To=09900000001&Status=sent&DetailedStatusCode=20005")
}

/// Each newer than the one before, and of the next status.
fn heartbeat(start: i64, event: u64) -> String {
    let at = jiff::Timestamp::from_second(start + event as i64).unwrap();
    let status = STATUSES[event as usize % 3];
    let affected = (status != "OK").then(|| json!(["exophone1"]));
    json!({
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), "status_type": status,
        "incoming_affected": affected, "outgoing_affected": null, "data": {},
    })
    .to_string()
}

fn counted(scrape: &Scrape, metric: &str) -> f64 {
    scrape.metric(metric).sum()
}

/// Sums of several senders: what must be counted, and what may be.
fn range(senders: &[Sender]) -> (f64, f64) {
    let ranges = senders.iter().map(|(sent, _)| sent.range());
    ranges.fold((0.0, 0.0), |(least, most), (kept, begun)| (least + kept, most + begun))
}

/// The place of the status in force in its turn of three.
fn in_force(scrape: &Scrape) -> Option<u64> {
    let shown = scrape.metric("exotel_heartbeat_status").by("status");
    (0..3).find(|n| shown.get(STATUSES[*n as usize]) == Some(&1.0))
}

fn start(setup: &Setup) -> (Agent, Scrape) {
    let agent = setup.start();
    let scrape = agent.scrape();
    (agent, scrape)
}

#[test]
fn events_answered_200_are_counted_exactly_once_over_five_crashes() {
    let (_exotel, setup) = setup();
    let setup = setup
        .with("accounts.0.heartbeat_expected_every", "1h")
        .with("accounts.0.expected_webhooks", json!(["heartbeat", "calls", "sms"]))
        .with("log.level", "warn");
    let (mut agent, _) = start(&setup);
    let base = agent.base.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let began = epoch_now();
    let mut calls: Vec<_> =
        (0..4).map(|n| sender(&base, "calls", FORM, &stop, move |event| call(n, event))).collect();
    let mut reports: Vec<_> =
        (0..3).map(|n| sender(&base, "sms", FORM, &stop, move |event| sms(n, event))).collect();
    let beat = move |event| heartbeat(began - 3_000, event);
    let mut beats = vec![sender(&base, "heartbeat", "application/json", &stop, beat)];

    let seed = RandomState::new().build_hasher().finish();
    let mut waits = Vec::new();
    for crash in 1..=CRASHES {
        let wait = 150 + (seed.rotate_left(crash as u32 * 11)) % 1_200;
        waits.push(wait);
        sleep(Duration::from_millis(wait));
        agent.process.kill_9();
        // Nothing can be answered now; what was is known once the senders saw it.
        sleep(Duration::from_millis(50));
        let least = (range(&calls).0, range(&reports).0, range(&beats).0);
        let scrape;
        (agent, scrape) = start(&setup);
        let most = (range(&calls).1, range(&reports).1, range(&beats).1);
        let events = counted(&scrape, "exotel_call_events_total");
        assert!((least.0..=most.0).contains(&events), "calls: {events} of {} to {}", least.0, most.0);
        let messages = counted(&scrape, "exotel_sms_messages_total");
        assert!((least.1..=most.1).contains(&messages), "messages: {messages} of {} to {}", least.1, most.1);
        // Newer ones may have come between the start and the scrape, all three of them even: then nothing is known.
        if least.2 > 0.0 && most.2 - least.2 < 2.0 {
            let last = least.2 as u64 - 1;
            let shown = in_force(&scrape).expect("a heartbeat in force");
            let may = [last % 3, (last + 1) % 3];
            assert!(may.contains(&shown), "{} is in force, {last} was kept", STATUSES[shown as usize]);
        }
    }
    sleep(Duration::from_millis(300));
    stop.store(true, Ordering::SeqCst);
    for (_, thread) in [&mut calls, &mut reports, &mut beats].into_iter().flatten() {
        thread.take().expect("a sender").join().unwrap();
    }
    let (events, messages, last) = (range(&calls).1, range(&reports).1, range(&beats).1);
    note(&format!(
        "callbacks: {events} of calls, {messages} of messages and {last} heartbeats over crashes after {waits:?} ms"
    ));
    // Now each that was sent has been answered.
    let check = |scrape: &Scrape| {
        scrape.metric("exotel_call_events_total").sums_to(events)?;
        scrape.metric("exotel_call_events_total").label("status", "other").sums_to(0.0)?;
        scrape.metric("exotel_sms_messages_total").label("status", "sent").sums_to(messages)?;
        let shown = in_force(scrape);
        ensure(shown == Some((last as u64 - 1) % 3), || format!("{last} heartbeats: {shown:?}"))
    };
    check(&agent.scrape()).unwrap();
    assert!(events > 50.0 && messages > 50.0 && last > 10.0, "many events");
    agent.process.kill_9();
    let (mut agent, scrape) = start(&setup);
    check(&scrape).unwrap();
    assert!(!agent.process.log().contains(SECRET), "the log holds the secret");
    assert!(agent.process.terminate(secs(10)).success(), "{}", agent.process.log());
    let check = setup.finish(&["store", "check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
}
