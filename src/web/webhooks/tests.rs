//! The order of the checks, and what each of them answers and counts.

use std::convert::Infallible;
use std::sync::Mutex;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, to_bytes};
use http_body::{Frame, SizeHint};
use prometheus_client::registry::Registry;
use tower::ServiceExt;

use super::*;
use crate::config::Secret;
use crate::metrics::webhooks::TakesWebhooks;

const SECRET: &str = "a-secret-for-webhooks";
const FORM: &str = "application/x-www-form-urlencoded";
const ACME: AccountId = AccountId(2);
const NOW: Timestamp = Timestamp(1_772_457_400);

/// What the sink does with what it gets.
#[derive(Clone, Copy)]
enum Fate {
    Taken(Taken),
    NotKept,
    Hangs,
}

struct Bench {
    door: Door,
    router: Router,
    registry: Registry,
    delivered: Arc<Mutex<Vec<Delivery>>>,
}

fn entrance(account: AccountId, name: &str, sid: &str, secrets: &[&str]) -> Entrance {
    Entrance {
        account,
        name: name.to_owned(),
        sid: sid.to_owned(),
        secrets: secrets.iter().map(|text| Secret::new(*text)).collect(),
        offset: UtcOffset::default(),
    }
}

fn bench(fate: Fate, allow_from: &[&str]) -> Bench {
    let mut registry = Registry::default();
    let metrics = WebhookMetrics::register(&mut registry);
    let acme = TakesWebhooks { id: ACME, name: "acme".to_owned(), expected: vec![], seen: vec![] };
    metrics.arrange(vec![acme], NOW);
    let delivered: Arc<Mutex<Vec<Delivery>>> = Arc::default();
    let inside = Arc::clone(&delivered);
    let sink: Sink = Arc::new(move |delivery| {
        inside.lock().unwrap().push(delivery);
        Box::pin(async move {
            match fate {
                Fate::Taken(taken) => Ok(taken),
                Fate::NotKept => Err(NotKept),
                Fate::Hangs => std::future::pending().await,
            }
        })
    });
    let webhooks = Webhooks {
        entrances: vec![
            entrance(AccountId(1), "silent", "silent1", &[]),
            entrance(ACME, "acme", "acme1", &["the-old-secret-of-acme", SECRET]),
        ],
        allow_from: allow_from.iter().map(|text| text.parse().unwrap()).collect(),
        sink,
        metrics,
        clock: Clock::following_tokio(NOW),
    };
    let door = webhooks.door();
    let router = door.router().fallback(|| async { StatusCode::NOT_FOUND });
    Bench { door, router, registry, delivered }
}

fn accepting() -> Bench {
    bench(Fate::Taken(Taken::Accepted), &[])
}

/// Status and body of the answer, and its Location, which must never be there.
type Answer = (u16, String);

impl Bench {
    async fn send(&self, request: Request) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert!(!response.headers().contains_key(header::LOCATION));
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn post(&self, path: &str, content_type: &str, body: impl Into<Body>) -> Answer {
        self.send(request(Method::POST, path, content_type, body)).await
    }

    async fn call(&self, path: &str) -> Answer {
        self.post(path, FORM, "CallSid=abc&Status=busy").await
    }

    #[track_caller]
    fn counted(&self, account: &str, kind: &str, outcome: &str, expected: u64) {
        let text = crate::metrics::rendered::text(&self.registry);
        let line = format!(
            "exotel_webhook_requests_total{{account=\"{account}\",kind=\"{kind}\",outcome=\"{outcome}\"}} {expected}"
        );
        assert!(text.lines().any(|l| l == line), "{line}\nnot in\n{text}");
        let all: u64 = text
            .lines()
            .filter(|l| l.starts_with("exotel_webhook_requests_total"))
            .map(|l| l.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum();
        assert_eq!(all, expected, "nothing else is counted\n{text}");
        assert!(!text.contains(SECRET));
    }

    fn delivered(&self) -> usize {
        self.delivered.lock().unwrap().len()
    }
}

fn request(method: Method, path: &str, content_type: &str, body: impl Into<Body>) -> Request {
    let builder = http::Request::builder().method(method).uri(path);
    let mut request = builder.header(header::CONTENT_TYPE, content_type).body(body.into()).unwrap();
    let peer: SocketAddr = "192.0.2.7:4711".parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

/// A body that never goes on.
struct Stalled;

impl http_body::Body for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(100)
    }
}

/// A body whose length is not announced, in pieces of a kilobyte.
struct Unannounced(usize);

impl http_body::Body for Unannounced {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.0 == 0 {
            return Poll::Ready(Some(Err(std::io::ErrorKind::UnexpectedEof.into())));
        }
        self.0 -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'='; 1024])))))
    }
}

#[tokio::test]
async fn what_is_durable_is_answered_with_an_empty_200() {
    for account in ["acme", "acme1", "ac%6De"] {
        for secret in [SECRET, "the-old-secret-of-acme"] {
            for (kind, path_end) in [("calls", "calls"), ("passthru", "passthru/")] {
                let bench = accepting();
                let answer = bench.call(&format!("/webhooks/{account}/{secret}/{path_end}")).await;
                assert_eq!(answer, (200, String::new()));
                bench.counted("acme", kind, "accepted", 1);
                let delivered = bench.delivered.lock().unwrap();
                assert_eq!((delivered[0].account, delivered[0].received), (ACME, NOW));
                assert!(matches!(delivered[0].told, Told::Call(_)));
            }
        }
    }
}

#[tokio::test]
async fn what_was_known_is_answered_likewise_and_counted_apart() {
    for (taken, outcome) in [(Taken::Duplicate, "duplicate"), (Taken::Stale, "stale")] {
        let bench = bench(Fate::Taken(taken), &[]);
        assert_eq!(bench.call(&format!("/webhooks/acme/{SECRET}/calls")).await, (200, String::new()));
        bench.counted("acme", "calls", outcome, 1);
    }
}

#[tokio::test]
async fn passthru_comes_by_get_too_and_nothing_else_does() {
    let bench = accepting();
    let path = format!("/webhooks/acme/{SECRET}/passthru?CallSid=abc&DialCallStatus=null");
    assert_eq!(bench.send(request(Method::GET, &path, FORM, "")).await.0, 200);
    assert_eq!(bench.delivered(), 1);
    for (method, kind) in [
        (Method::GET, "calls"),
        (Method::GET, "heartbeat"),
        (Method::HEAD, "passthru"),
        (Method::PUT, "sms"),
        (Method::DELETE, "passthru"),
    ] {
        let path = format!("/webhooks/acme/{SECRET}/{kind}?CallSid=abc");
        let response = bench.router.clone().oneshot(request(method, &path, FORM, "")).await.unwrap();
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()[header::ALLOW], "POST");
    }
    assert_eq!(bench.delivered(), 1);
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_account_get_one_answer_before_the_body_is_read() {
    let mut answers = Vec::new();
    for (path, account, kind) in [
        ("/webhooks/acme/wrong/calls", "acme", "calls"),
        ("/webhooks/acme//calls", "acme", "calls"),
        ("/webhooks/acme/wrong/nonsense", "acme", "other"),
        ("/webhooks/nobody/a-secret-for-webhooks/sms", "unknown", "sms"),
        ("/webhooks/silent//heartbeat", "unknown", "heartbeat"),
        ("/webhooks/%ff/%ff/%ff", "unknown", "other"),
        ("/webhooks/acme", "acme", "other"),
    ] {
        for body in [Body::from("CallSid=abc"), Body::new(Stalled)] {
            let bench = accepting();
            answers.push(bench.post(path, FORM, body).await);
            bench.counted(account, kind, "unauthorized", 1);
            assert_eq!(bench.delivered(), 0);
        }
    }
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn an_unknown_kind_is_404_for_who_has_the_secret() {
    for kind in ["", "call", "calls/more", "CALLS"] {
        let bench = accepting();
        let path = format!("/webhooks/acme/{SECRET}/{kind}");
        assert_eq!(bench.post(&path, FORM, Body::new(Stalled)).await.0, 404, "{kind}");
        bench.counted("acme", "other", "invalid", 1);
    }
    assert_eq!(accepting().call("/").await.0, 404);
    assert_eq!(accepting().call("/metrics").await.0, 404);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413_announced_or_not() {
    let bench = accepting();
    let path = format!("/webhooks/acme/{SECRET}/calls");
    assert_eq!(bench.post(&path, FORM, vec![b'='; 256 * 1024 + 1]).await.0, 413);
    assert_eq!(bench.post(&path, FORM, Body::new(Unannounced(300))).await.0, 413);
    bench.counted("acme", "calls", "too_large", 2);
    let bench = accepting();
    let path = format!("/webhooks/acme/{SECRET}/heartbeat");
    assert_eq!(bench.post(&path, FORM, vec![b'='; 11 * 1024 * 1024 + 1]).await.0, 413);
    bench.counted("acme", "heartbeat", "too_large", 1);
    let body = format!(
        r#"{{"timestamp": "2026-03-02T13:25:00Z", "status_type": "OK", "data": "{}"}}"#,
        "x".repeat(10 * 1024 * 1024)
    );
    assert_eq!(accepting().post(&path, "application/json", body).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_400_with_the_reason() {
    for (body, said) in [
        (Body::from("Status=busy"), "CallSid is absent"),
        (Body::from(""), "empty body"),
        (Body::from("k=v&".repeat(50_000)), "at most 1000 fields"),
        (Body::new(Unannounced(3)), "cut off"),
        (Body::new(Stalled), "did not come within 10 s"),
    ] {
        let bench = accepting();
        let (status, text) = bench.post(&format!("/webhooks/acme/{SECRET}/calls"), FORM, body).await;
        assert_eq!(status, 400);
        assert!(text.contains(said), "{text}");
        bench.counted("acme", "calls", "invalid", 1);
        assert_eq!(bench.delivered(), 0);
    }
}

#[tokio::test]
async fn what_is_nothing_we_know_is_taken_and_counted_as_other() {
    let bench = accepting();
    let answer = bench.post(&format!("/webhooks/acme/{SECRET}/sms"), FORM, "hello=world").await;
    assert_eq!(answer, (200, String::new()));
    bench.counted("acme", "other", "accepted", 1);
    let text = crate::metrics::rendered::text(&bench.registry);
    assert!(!text.contains("last_received"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_kept_is_503_in_time_for_exotel() {
    for fate in [Fate::NotKept, Fate::Hangs] {
        let bench = bench(fate, &[]);
        let before = Instant::now();
        assert_eq!(bench.call(&format!("/webhooks/acme/{SECRET}/calls")).await.0, 503);
        assert!(before.elapsed() < Duration::from_secs(15));
        bench.counted("acme", "calls", "error", 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_is_503_and_the_next_is_taken() {
    let bench = accepting();
    let path = format!("/webhooks/acme/{SECRET}/calls");
    let mut stalled = Vec::new();
    for _ in 0..256 {
        let request = request(Method::POST, &path, FORM, Body::new(Stalled));
        stalled.push(tokio::spawn(bench.router.clone().oneshot(request)));
    }
    // Time stands still until every one of them waits for its body.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let before = Instant::now();
    assert_eq!(bench.call(&path).await.0, 503);
    assert_eq!(before.elapsed(), Duration::from_secs(2));
    bench.counted("acme", "calls", "overloaded", 1);
    for task in stalled {
        assert_eq!(task.await.unwrap().unwrap().status(), 400);
    }
    assert_eq!(bench.call(&path).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_wrong_secrets_is_slowed_and_the_right_one_is_not() {
    let bench = accepting();
    let before = Instant::now();
    for _ in 0..20 {
        assert_eq!(bench.call("/webhooks/acme/wrong/calls").await.0, 401);
    }
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(bench.call("/webhooks/acme/wrong/calls").await.0, 401);
    assert_eq!(before.elapsed(), SLOWED);
    bench.counted("acme", "calls", "unauthorized", 21);
    assert_eq!(bench.call(&format!("/webhooks/acme/{SECRET}/calls")).await.0, 200);
    assert_eq!(before.elapsed(), SLOWED);
}

#[tokio::test]
async fn only_the_named_networks_may_send_where_some_are_named() {
    let path = format!("/webhooks/acme/{SECRET}/calls");
    for (networks, status) in [
        (&["192.0.2.0/24"][..], 200),
        (&["198.51.100.0/24", "192.0.2.7/32"], 200),
        (&["198.51.100.0/24"], 403),
        (&["2001:db8::/32"], 403),
    ] {
        let bench = bench(Fate::Taken(Taken::Accepted), networks);
        assert_eq!(bench.call(&path).await.0, status, "{networks:?}");
        if status == 403 {
            assert_eq!(bench.call("/webhooks/acme/wrong/calls").await.0, 403);
            bench.counted("acme", "calls", "unauthorized", 2);
        }
    }
    let bench = bench(Fate::Taken(Taken::Accepted), &["192.0.2.0/24"]);
    let mut mapped = request(Method::POST, &path, FORM, "CallSid=abc&Status=busy");
    let peer: SocketAddr = "[::ffff:192.0.2.7]:4711".parse().unwrap();
    mapped.extensions_mut().insert(ConnectInfo(peer));
    assert_eq!(bench.send(mapped).await.0, 200);
}

#[tokio::test]
async fn a_changed_door_lets_in_by_the_new_secrets_names_and_networks() {
    let bench = accepting();
    let path = |account: &str, secret: &str| format!("/webhooks/{account}/{secret}/calls");
    let new = "the-next-secret-of-acme";
    assert_eq!(bench.call(&path("acme", new)).await.0, 401);
    bench.door.change(vec![entrance(ACME, "renamed", "acme1", &[SECRET, new])], vec![]);
    for (account, secret, status) in [
        ("renamed", new, 200),
        ("acme1", SECRET, 200),
        ("acme", SECRET, 401),
        ("renamed", "the-old-secret-of-acme", 401),
        ("silent", SECRET, 401),
    ] {
        assert_eq!(bench.call(&path(account, secret)).await.0, status, "{account} {secret}");
    }
    assert!(bench.delivered.lock().unwrap().iter().all(|delivery| delivery.account == ACME));
    bench
        .door
        .change(vec![entrance(ACME, "acme", "acme1", &[new])], vec!["198.51.100.0/24".parse().unwrap()]);
    assert_eq!(bench.call(&path("acme", new)).await.0, 403);
}

#[tokio::test]
async fn an_agent_without_secrets_takes_nothing_and_counts_nothing() {
    let mut registry = Registry::default();
    let webhooks = Webhooks {
        entrances: vec![],
        allow_from: vec![],
        sink: Arc::new(|_| Box::pin(async { Err(NotKept) })),
        metrics: WebhookMetrics::register(&mut registry),
        clock: Clock::system(),
    };
    let request = request(Method::POST, "/webhooks/acme/x/calls", FORM, "CallSid=abc");
    assert_eq!(webhooks.door().router().oneshot(request).await.unwrap().status(), 401);
    let text = crate::metrics::rendered::text(&registry);
    assert!(!text.contains("exotel_webhook"), "{text}");
}
