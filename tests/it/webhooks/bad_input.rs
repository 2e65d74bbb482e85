//! Callbacks that are wrong in every way: the status that the contract names, a counter, and a server as quick as
//! before.

use std::time::{Duration, Instant};

use super::sender::{FORM, Sender, counted, path, post, setup};
use crate::support::agent::Agent;
use crate::support::{ensure, eventually, secs};

const NEW: &[u8] = b"campaign=spring&step=1";
const JSON: &str = "application/json";

/// The quickest of a few scrapes: one alone may fall upon a busy machine.
fn quickest_scrape(agent: &Agent) -> Duration {
    (0..10)
        .map(|_| {
            let began = Instant::now();
            agent.scrape();
            began.elapsed()
        })
        .min()
        .expect("some scrapes")
}

#[track_caller]
fn as_quick_as_before(agent: &Agent, before: Duration) {
    let now = quickest_scrape(agent);
    assert!(now < before * 10 + Duration::from_millis(50), "a scrape took {before:?}, now {now:?}");
}

#[test]
fn every_bad_callback_gets_its_status_and_its_counter() {
    let (_exotel, setup) = setup();
    let agent = setup.start();
    let before = quickest_scrape(&agent);
    let parts =
        b"--xyz\r\nContent-Disposition: form-data; name=\"CallSid\"\r\n\r\nabc\r\n--xyz\r\nContent-Dis";
    let deep = format!("{{\"CallSid\": {}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let keys = "k&".repeat(99_999) + "k=v";
    let large = vec![b'='; 256 * 1024 + 1];
    for (kind, content_type, body, status, outcome) in [
        ("calls", FORM, &b"Status=busy&EventType=terminal"[..], 400, "invalid"),
        ("sms", FORM, b"Status=sent", 400, "invalid"),
        ("heartbeat", JSON, b"{\"status_type\": \"OK\"}", 400, "invalid"),
        ("calls", "text/xml", b"<CallSid>abc</CallSid>", 400, "invalid"),
        ("calls", JSON, b"CallSid=abc&Status=busy", 400, "invalid"),
        ("calls", FORM, b"{\"CallSid\": \"abc\"}", 400, "invalid"),
        ("calls", "multipart/form-data; boundary=xyz", parts, 400, "invalid"),
        ("calls", FORM, keys.as_bytes(), 400, "invalid"),
        ("passthru", JSON, deep.as_bytes(), 400, "invalid"),
        ("sms", JSON, b"{\"SmsSid\": \"\xff\xfe\"}", 400, "invalid"),
        ("calls", FORM, b"", 400, "invalid"),
        ("calls", FORM, &large, 413, "too_large"),
    ] {
        let counter = counted(&agent, "acme", kind, outcome);
        let (found, said) = post(&agent.base, &path(kind), content_type, body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        // What is refused before it is read may be cut off while it is still being sent.
        assert!(found == status || (status == 413 && found == 0), "{kind} {shown}: {found} {said}");
        assert_eq!(counted(&agent, "acme", kind, outcome), counter + 1.0, "{kind} {shown}");
    }
    let (found, _) = post(&agent.base, &path("nonsense"), FORM, NEW);
    assert_eq!((found, counted(&agent, "acme", "other", "invalid")), (404, 1.0));
    let announced = "Content-Type: application/json\r\nContent-Length: 11534337\r\n";
    let answer = Sender::to(&agent.base).head("POST", &path("heartbeat"), announced).answer();
    assert_eq!((answer.0, counted(&agent, "acme", "heartbeat", "too_large")), (413, 1.0));
    assert_eq!(Sender::to(&agent.base).head("GET", &path("calls"), "").answer().0, 405);
    as_quick_as_before(&agent, before);
    assert_eq!(post(&agent.base, &path("calls"), FORM, NEW).0, 200);
}

#[test]
fn half_a_body_and_a_slow_sender_are_invalid() {
    let (_exotel, setup) = setup();
    let agent = setup.start();
    let before = quickest_scrape(&agent);
    let head = format!("Content-Type: {FORM}\r\nContent-Length: 100\r\n");
    let slow = Sender::to(&agent.base).head("POST", &path("calls"), &head).body(b"CallSid=abc&");
    let began = Instant::now();
    // Its other half never comes, and the sender is gone: nobody is left to read the answer.
    Sender::to(&agent.base).head("POST", &path("sms"), &head).body(b"SmsSid=abc&").end().answer();
    as_quick_as_before(&agent, before);
    let (status, said) = slow.answer();
    assert_eq!(status, 400, "{said}");
    assert!(said.contains("did not come within"), "{said}");
    assert!((secs(9)..secs(15)).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(counted(&agent, "acme", "calls", "invalid"), 1.0);
}

#[test]
fn a_flood_beyond_the_bound_is_told_so_and_scrapes_go_on() {
    let (_exotel, setup) = setup();
    let agent = setup.start();
    let before = quickest_scrape(&agent);
    let head = format!("Content-Type: {FORM}\r\nContent-Length: 100\r\n");
    let flood: Vec<Sender> = (0..256)
        .map(|_| Sender::to(&agent.base).head("POST", &path("calls"), &head).body(b"CallSid="))
        .collect();
    // The last of the flood may still be on their way in.
    eventually(secs(8), "there is no room", || {
        let began = Instant::now();
        let (status, said) = post(&agent.base, &path("calls"), FORM, NEW);
        ensure(status == 503, || format!("{status} {said}"))?;
        ensure(began.elapsed() < secs(8), || format!("after {:?}", began.elapsed()))
    });
    assert_eq!(counted(&agent, "acme", "calls", "overloaded"), 1.0);
    as_quick_as_before(&agent, before);
    drop(flood);
    eventually(secs(15), "there is room again", || {
        let (status, said) = post(&agent.base, &path("calls"), FORM, NEW);
        ensure(status == 200, || format!("{status} {said}"))
    });
}
