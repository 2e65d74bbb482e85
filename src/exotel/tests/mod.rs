//! The client against a server in this process, under paused time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, Uri};
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use super::*;
use crate::config::{Account, RateLimits, Retry};
use crate::metrics::api::ApiMetrics;
use crate::model::health::State;
use crate::model::{Clock, Timestamp, UtcOffset, parse_time};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/exotel/", $name))
    };
}

mod messages;
mod newer;

const KEY: &str = "key-0123";
const TOKEN: &str = "token-4567";

/// 2026-03-02 13:55:00 UTC.
const START: Timestamp = Timestamp(1_772_459_700);

/// A request as the server saw it.
#[derive(Clone, Debug)]
struct Seen {
    uri: Uri,
    headers: HeaderMap,
    /// Since the server was made.
    at: Duration,
}

/// A server whose answers are a function of the number of the request, from 0, and its URI.
struct Server {
    seen: Arc<Mutex<Vec<Seen>>>,
    router: Router,
}

impl Server {
    fn new<R: IntoResponse>(answer: impl Fn(usize, &Uri) -> R + Send + Sync + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer, begun) = (Arc::clone(&seen), Arc::new(answer), Instant::now());
        let router = Router::new().fallback(move |uri: Uri, headers: HeaderMap| {
            let response = {
                let mut log = log.lock().unwrap();
                log.push(Seen { uri: uri.clone(), headers, at: begun.elapsed() });
                answer(log.len() - 1, &uri).into_response()
            };
            async move { response }
        });
        Self { seen, router }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.seen().len()
    }

    /// Whole seconds at which requests came.
    fn seconds(&self) -> Vec<u64> {
        self.seen().iter().map(|s| s.at.as_secs()).collect()
    }
}

/// A client and what it measures.
struct Bench {
    client: Client,
    registry: Registry,
}

impl Bench {
    fn new(server: &Server) -> Self {
        Self::with(server, &account())
    }

    fn with(server: &Server, account: &Account) -> Self {
        let transport = Transport::in_process(
            server.router.clone(),
            TransportOptions { max_body: 64 * 1024, ..TransportOptions::default() },
        );
        Self::over(transport, account)
    }

    fn over(transport: Transport, account: &Account) -> Self {
        let mut registry = Registry::default();
        let client = Client::new(ClientOptions {
            account,
            retry: Retry { attempts: 3, initial_backoff: Duration::from_secs(2) },
            transport,
            ledger: Ledger::in_memory(),
            clock: Clock::following_tokio(START),
            metrics: ApiMetrics::new(&mut registry),
            auth_retry_interval: Duration::from_secs(60),
        });
        Self { client, registry }
    }

    async fn calls(&self) -> Result<CallsPage, Error> {
        self.client.calls(&day(), Priority::Sync).await
    }

    /// Whether a scrape holds this line.
    fn has(&self, line: &str) {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }

    fn failures(&self, reason: &str, count: u32) {
        self.has(&format!(
            r#"exotel_api_request_failures_total{{account="exampleacct1",endpoint="calls",reason="{reason}"}} {count}"#
        ));
    }
}

fn account() -> Account {
    Account {
        rate_limits: RateLimits { voice: 6000, exophones: 6000, sms: 6000 },
        background_share: 1.0,
        base_url: "http://exotel.test".to_owned(),
        ..Account::new("exampleacct1", KEY, TOKEN)
    }
}

fn day() -> CallsQuery {
    let wall = |text| parse_time(text, UtcOffset::default()).unwrap().unwrap();
    let window = Window { from: wall("2026-03-02 00:00:00"), to: wall("2026-03-03 00:00:00") };
    CallsQuery::Window { window, duration: None, details: false }
}

const EMPTY: &str = fixture!("bulk-calls-empty.json");

#[tokio::test(start_paused = true)]
async fn a_page_is_asked_for_with_basic_auth_and_its_successor_to_the_letter() {
    let server = Server::new(|n, _| if n == 0 { fixture!("bulk-calls-page.json") } else { EMPTY });
    let bench = Bench::new(&server);
    let page = bench.calls().await.unwrap();
    assert_eq!((page.rows.len(), page.total), (2, Some(5)));
    let next = page.next.unwrap();
    bench.client.calls(&CallsQuery::Next(next.clone()), Priority::Sync).await.unwrap();
    let seen = server.seen();
    assert_eq!(
        seen[0].uri.to_string(),
        "http://exotel.test/v1/Accounts/exampleacct1/Calls.json?DateCreated=gte%3A2026-03-02+00%3A00%3A00%3Blte%3A2026-03-02+23%3A59%3A59&PageSize=100&SortBy=DateCreated%3Aasc"
    );
    // "key-0123:token-4567"
    assert_eq!(seen[0].headers["authorization"], "Basic a2V5LTAxMjM6dG9rZW4tNDU2Nw==");
    assert!(seen[0].headers["user-agent"].to_str().unwrap().starts_with("exotel-exporter/"));
    assert_eq!(seen[1].uri.path_and_query().unwrap().as_str(), next.as_str());
    bench.has(r#"exotel_api_requests_total{account="exampleacct1",endpoint="calls",code="200"} 2"#);
    bench.has(
        r#"exotel_api_throttle_wait_seconds_count{account="exampleacct1",pool="voice",priority="sync"} 2"#,
    );
}

#[tokio::test(start_paused = true)]
async fn one_call_is_read_with_its_legs_and_an_unknown_one_is_not_found() {
    let server = Server::new(|n, _| match n {
        0 => (StatusCode::OK, fixture!("call-details-v1-details.json")),
        _ => (StatusCode::NOT_FOUND, fixture!("error-404.json")),
    });
    let bench = Bench::new(&server);
    let sid = Sid::parse("2c3d4e5f60718293a4b5c6d7e8f12032").unwrap();
    let call = bench.client.call(&sid, Priority::Details).await.unwrap();
    assert_eq!(call.details.unwrap().conversation, Some(8));
    let error = bench.client.call(&sid, Priority::Details).await.unwrap_err();
    assert_eq!((error.kind, error.status), (ErrorKind::NotFound, Some(404)));
    assert_eq!(server.count(), 2, "a 404 is not asked again");
    assert_eq!(
        server.seen()[0].uri.path_and_query().unwrap(),
        "/v1/Accounts/exampleacct1/Calls/2c3d4e5f60718293a4b5c6d7e8f12032.json?details=true"
    );
}

#[tokio::test(start_paused = true)]
async fn what_will_not_change_is_not_asked_again() {
    for (status, body, kind) in [
        (400, fixture!("error-400-direction.json"), ErrorKind::Client),
        (402, "", ErrorKind::Payment),
        (403, fixture!("error-403-dnd.xml"), ErrorKind::Forbidden),
        (404, fixture!("error-404.json"), ErrorKind::NotFound),
    ] {
        let server = Server::new(move |_, _| (StatusCode::from_u16(status).unwrap(), body));
        let bench = Bench::new(&server);
        let error = bench.calls().await.unwrap_err();
        assert_eq!((error.kind, error.status), (kind, Some(status)));
        assert_eq!(server.count(), 1);
        bench.failures(kind.reason(), 1);
        bench.has(r#"exotel_api_operations_abandoned_total{account="exampleacct1",endpoint="calls"} 0"#);
    }
}

#[tokio::test(start_paused = true)]
async fn faults_that_may_pass_are_retried_with_growing_waits() {
    let server = Server::new(|n, _| match n {
        0 => (StatusCode::BAD_GATEWAY, "<html>502</html>"),
        1 => (StatusCode::OK, "<html>Sorry</html>"),
        2 => (StatusCode::OK, &fixture!("bulk-calls-page.json")[..700]),
        _ => (StatusCode::OK, EMPTY),
    });
    let bench = Bench::new(&server);
    bench.calls().await.unwrap();
    let at = server.seconds();
    // 2, 4 and 8 s, each plus at most as much again.
    for (n, backoff) in [(1, 2), (2, 4), (3, 8)] {
        assert!((backoff..=2 * backoff + 1).contains(&(at[n] - at[n - 1])), "{at:?}");
    }
    bench.failures("server", 1);
    bench.failures("decode", 2);
}

#[tokio::test(start_paused = true)]
async fn after_all_retries_the_operation_is_given_up() {
    let server = Server::new(|_, _| (StatusCode::INTERNAL_SERVER_ERROR, "boom"));
    let bench = Bench::new(&server);
    let error = bench.calls().await.unwrap_err();
    assert_eq!((error.kind, error.status), (ErrorKind::Server, Some(500)));
    assert_eq!(error.to_string(), "GET calls: 500: boom");
    assert_eq!(server.count(), 4);
    bench.has(r#"exotel_api_operations_abandoned_total{account="exampleacct1",endpoint="calls"} 1"#);
}

#[tokio::test(start_paused = true)]
async fn a_429_pauses_the_whole_pool_for_as_long_as_it_says() {
    let server = Server::new(|n, _| match n {
        0 => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "45")], fixture!("error-429.json")),
        _ => (StatusCode::OK, [("x-other", "")], EMPTY),
    });
    let bench = Bench::new(&server);
    let (first, health) = tokio::join!(bench.calls(), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        bench.client.calls(&day(), Priority::Health).await
    });
    first.unwrap();
    health.unwrap();
    assert_eq!(server.seconds(), [0, 45, 45]);
    bench.failures("throttled", 1);
}

#[tokio::test(start_paused = true)]
async fn a_429_that_does_not_say_pauses_half_a_minute_and_the_last_one_is_told() {
    let server = Server::new(|_, _| (StatusCode::TOO_MANY_REQUESTS, fixture!("error-429.json")));
    let bench = Bench::new(&server);
    let error = bench.calls().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Throttled { retry_after: None });
    assert_eq!(server.seconds(), [0, 30, 60, 90]);
}

#[tokio::test(start_paused = true)]
async fn a_503_backs_off_alone_unless_it_says_retry_after() {
    let server = Server::new(|n, uri: &Uri| {
        let first_phones = uri.path().contains("IncomingPhoneNumbers");
        match (n, first_phones) {
            (0, _) => (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "60")], ""),
            (_, true) => (StatusCode::OK, [("x-other", "")], fixture!("exophones-list-v2beta.json")),
            _ => (StatusCode::OK, [("x-other", "")], EMPTY),
        }
    });
    let bench = Bench::new(&server);
    let (calls, phones) = tokio::join!(bench.calls(), async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        bench.client.exophones(Priority::Sync).await
    });
    calls.unwrap();
    phones.unwrap();
    assert_eq!(server.seconds(), [0, 10, 60], "the pool of the ExoPhones goes on");
}

#[tokio::test(start_paused = true)]
async fn a_lower_limit_is_learnt_and_an_empty_quota_waited_for() {
    let server = Server::new(|n, _| {
        let (limit, remaining) = if n == 0 { ("60", "0") } else { ("6000", "17") };
        let reset = (START.0 + 20).to_string();
        let headers = [
            ("x-ratelimit-limit", limit.to_owned()),
            ("x-ratelimit-remaining", remaining.to_owned()),
            ("x-ratelimit-reset", reset),
            ("date", httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(1_772_459_705))),
        ];
        (headers, EMPTY)
    });
    let bench = Bench::new(&server);
    bench.calls().await.unwrap();
    let quota = bench.client.quota(Pool::Voice).unwrap();
    assert_eq!((quota.per_minute, quota.remaining), (60, Some(0)));
    // Exotel's clock is 5 s ahead of ours, and its reset is meant by its own.
    assert_eq!(bench.client.clock_offset(), Some(5));
    bench.calls().await.unwrap();
    assert_eq!(server.seconds(), [0, 15]);
    assert_eq!(bench.client.quota(Pool::Voice).unwrap().per_minute, 6000);
    bench.has(r#"exotel_api_quota_remaining_requests{account="exampleacct1",pool="voice"} 17"#);
    bench.has(r#"exotel_api_quota_requests{account="exampleacct1",pool="voice"} 6000"#);
    bench.has(r#"exotel_api_queue_length{account="exampleacct1",pool="voice"} 0"#);
    assert_eq!(bench.client.quota(Pool::Sms), None);
}

#[tokio::test(start_paused = true)]
async fn after_a_401_one_request_a_minute_tries_and_the_others_fail_at_once() {
    let server = Server::new(|n, _| match n {
        0..=2 => (StatusCode::UNAUTHORIZED, fixture!("error-401.json")),
        _ => (StatusCode::OK, EMPTY),
    });
    let bench = Bench::new(&server);
    let error = bench.calls().await.unwrap_err();
    assert_eq!((error.kind, error.status), (ErrorKind::Auth, Some(401)));
    assert!(error.message.contains("wrong region?"), "{error}");
    bench.has(r#"exotel_api_auth_ok{account="exampleacct1"} 0"#);
    // An hour of asking each second; the fourth try is let in.
    let mut accepted = 0;
    for _ in 0..300 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        match bench.calls().await {
            Ok(_) => accepted += 1,
            Err(error) => assert_eq!(error.kind, ErrorKind::Auth),
        }
    }
    assert_eq!(server.seconds()[..4], [0, 60, 120, 180]);
    assert_eq!(accepted, 300 - 179);
    bench.has(r#"exotel_api_auth_ok{account="exampleacct1"} 1"#);
    bench.failures("auth", 3);
}

#[tokio::test(start_paused = true)]
async fn requests_that_waited_for_their_turn_are_not_sent_after_a_401() {
    let server = Server::new(|_, _| (StatusCode::UNAUTHORIZED, fixture!("error-401.txt")));
    let slow = Account { rate_limits: RateLimits { voice: 6, exophones: 6, sms: 6 }, ..account() };
    let bench = Bench::with(&server, &slow);
    let results = {
        let calls: Vec<_> = (0..8)
            .map(|_| {
                let client = bench.client.clone();
                tokio::spawn(async move { client.calls(&day(), Priority::Sync).await })
            })
            .collect();
        let mut results = Vec::new();
        for call in calls {
            results.push(call.await.unwrap());
        }
        results
    };
    assert!(results.iter().all(|r| r.as_ref().is_err_and(|e| e.kind == ErrorKind::Auth)));
    assert!(server.count() <= 2, "the burst at most: {}", server.count());
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_an_error_that_says_so() {
    let server = Server::new(|_, _| (StatusCode::FOUND, [("location", "https://evil.example/")], ""));
    let error = Bench::new(&server).calls().await.unwrap_err();
    assert_eq!((error.kind, error.status), (ErrorKind::Client, Some(302)));
    assert!(error.message.contains("a redirect, which is not followed"), "{error}");
    assert_eq!(server.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hostile_next_page_is_refused_and_never_asked_for() {
    for uri in [
        "https://evil.example/v1/Accounts/exampleacct1/Calls.json",
        "//evil.example/v1/Accounts/exampleacct1/Calls.json",
        "/v1/Accounts/other/Calls.json",
        "/v1/Accounts/exampleacct1/../other/Calls.json",
        "/v1/Accounts/exampleacct1/Calls.json\\r\\nHost: evil.example",
    ] {
        let body = fixture!("bulk-calls-page-numeric.json")
            .replace(r#""NextPageUri": """#, &format!(r#""NextPageUri": "{uri}""#));
        assert!(body.contains(uri));
        let server = Server::new(move |_, _| body.clone());
        let error = Bench::new(&server).calls().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Decode, "{uri}");
        assert!(
            error.message.contains("NextPageUri is refused") && !error.message.contains("evil"),
            "{error}"
        );
        assert!(server.seen().iter().all(|s| s.uri.path() == "/v1/Accounts/exampleacct1/Calls.json"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_above_the_bound_is_refused_and_a_server_that_hangs_is_left() {
    let server = Server::new(|n, _| if n < 4 { "x".repeat(70_000) } else { EMPTY.to_owned() });
    let bench = Bench::new(&server);
    let error = bench.calls().await.unwrap_err();
    assert_eq!((error.kind, error.status), (ErrorKind::Decode, Some(200)));
    bench.has(r#"exotel_api_requests_total{account="exampleacct1",endpoint="calls",code="200"} 4"#);

    let hangs = Router::new().fallback(|| async {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        Response::new(Body::empty())
    });
    let bench = Bench::over(Transport::in_process(hangs, TransportOptions::default()), &account());
    let begun = Instant::now();
    let error = bench.calls().await.unwrap_err();
    assert_eq!((error.kind, error.status), (ErrorKind::Timeout, None));
    assert!((120 + 14..=120 + 29).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    bench.failures("timeout", 4);
    bench.has(r#"exotel_api_requests_total{account="exampleacct1",endpoint="calls",code="none"} 4"#);
}

#[tokio::test(start_paused = true)]
async fn no_error_shows_a_secret_that_a_server_echoes_or_a_number() {
    let echo =
        format!("bad header Basic a2V5LTAxMjM6dG9rZW4tNDU2Nw== ({KEY}:{TOKEN}), call from 09900000001");
    let server = Server::new(move |_, _| (StatusCode::FORBIDDEN, echo.clone()));
    let error = Bench::new(&server).calls().await.unwrap_err();
    assert_eq!(
        error.message,
        "GET calls: 403: bad header Basic (hidden) ((hidden):(hidden)), call from ###########; is this address allowed?"
    );
}

#[tokio::test(start_paused = true)]
async fn exophones_fall_back_to_the_old_list_once_and_remember() {
    let server = Server::new(|_, uri: &Uri| match uri.path() {
        "/v1/Accounts/exampleacct1/IncomingPhoneNumbers.json" => {
            (StatusCode::OK, fixture!("exophones-list-v1.json"))
        }
        _ => (StatusCode::NOT_FOUND, fixture!("error-404.json")),
    });
    let bench = Bench::new(&server);
    for _ in 0..2 {
        let phones = bench.client.exophones(Priority::Sync).await.unwrap();
        assert_eq!(phones.len(), 2);
        assert_eq!(phones[0].number, "08000000011");
    }
    let paths: Vec<String> = server.seen().iter().map(|s| s.uri.path().to_owned()).collect();
    assert_eq!(
        paths,
        [
            "/v2_beta/Accounts/exampleacct1/IncomingPhoneNumbers",
            "/v1/Accounts/exampleacct1/IncomingPhoneNumbers.json",
            "/v1/Accounts/exampleacct1/IncomingPhoneNumbers.json",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_health_of_a_number_is_asked_for_by_its_sid() {
    let server = Server::new(|n, _| match n {
        0 => (StatusCode::OK, fixture!("exophone-details-outage.json")),
        _ => (StatusCode::NOT_FOUND, fixture!("error-404.json")),
    });
    let bench = Bench::new(&server);
    let health = bench.client.exophone_health("5f60 /x", Priority::Health).await.unwrap();
    assert_eq!(health.inbound.unwrap().state, State::Outage);
    assert_eq!(health.outbound.unwrap().state, State::Partial);
    assert_eq!(
        server.seen()[0].uri.path_and_query().unwrap(),
        "/v2/accounts/exampleacct1/incoming-phone-numbers/5f60%20%2Fx"
    );
    bench.has(r#"exotel_api_requests_total{account="exampleacct1",endpoint="exophone",code="200"} 1"#);
    bench.has(
        r#"exotel_api_throttle_wait_seconds_count{account="exampleacct1",pool="exophones",priority="health"} 1"#,
    );
    // The path is known by then, so a 404 means the number.
    let error = bench.client.exophone_health("gone", Priority::Health).await.unwrap_err();
    assert_eq!((error.kind, server.count()), (ErrorKind::NotFound, 2));
}

#[tokio::test(start_paused = true)]
async fn an_account_without_the_health_path_is_asked_by_the_other_one_from_then_on() {
    let server = Server::new(|_, uri| match uri.path() {
        "/v2_beta/Accounts/exampleacct1/IncomingPhoneNumbers/5f60" => {
            (StatusCode::OK, fixture!("exophone-details.json"))
        }
        _ => (StatusCode::NOT_FOUND, fixture!("error-404.json")),
    });
    let bench = Bench::new(&server);
    // A number that nobody knows decides nothing.
    let error = bench.client.exophone_health("gone", Priority::Health).await.unwrap_err();
    assert_eq!((error.kind, server.count()), (ErrorKind::NotFound, 2));
    let first = bench.client.exophone_health("5f60", Priority::Health).await.unwrap();
    assert_eq!(server.count(), 4);
    assert_eq!(bench.client.exophone_health("5f60", Priority::Health).await.unwrap(), first);
    bench.client.exophone_health("gone", Priority::Health).await.unwrap_err();
    assert_eq!(server.count(), 6, "one request each");
}

#[tokio::test(start_paused = true)]
async fn exophones_are_read_page_by_page() {
    let page = |from: usize, to: usize| {
        let phones: Vec<String> =
            (from..to).map(|n| format!(r#"{{"sid": "s{n}", "phone_number": "+9180000{n:05}"}}"#)).collect();
        format!(r#"{{"page": 0, "page_size": 50, "incoming_phone_numbers": [{}]}}"#, phones.join(","))
    };
    let server = Server::new(move |_, uri: &Uri| match uri.query() {
        None => page(0, 50),
        Some("page=1") => page(50, 100),
        _ => page(100, 120),
    });
    assert_eq!(Bench::new(&server).client.exophones(Priority::Sync).await.unwrap().len(), 120);
    assert_eq!(server.count(), 3);
    // A server that does not know the parameter gives the first page for ever.
    let server = Server::new(move |_, _| page(0, 50));
    assert_eq!(Bench::new(&server).client.exophones(Priority::Sync).await.unwrap().len(), 50);
    assert_eq!(server.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_base_url_with_a_password_is_refused_without_showing_it() {
    let server = Server::new(|_, _| EMPTY);
    for url in
        ["https://user:hunter22@api.exotel.com", "ftp://api.exotel.com", "api.exotel.com", "https://", ""]
    {
        let bench = Bench::with(&server, &Account { base_url: url.to_owned(), ..account() });
        let error = bench.calls().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Client);
        assert!(!error.message.contains("hunter22"), "{error}");
    }
    assert_eq!(server.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_made_again_shares_the_slots_of_the_former() {
    let server = Server::new(|_, _| EMPTY);
    let few = Account { rate_limits: RateLimits { voice: 2, exophones: 2, sms: 2 }, ..account() };
    let ledger = Ledger::in_memory();
    let clock = Clock::following_tokio(START);
    let client = || {
        Client::new(ClientOptions {
            account: &few,
            retry: Retry { attempts: 0, initial_backoff: Duration::from_secs(2) },
            transport: Transport::in_process(server.router.clone(), TransportOptions::default()),
            ledger: ledger.clone(),
            clock: clock.clone(),
            metrics: ApiMetrics::default(),
            auth_retry_interval: Duration::from_secs(60),
        })
    };
    for _ in 0..3 {
        client().calls(&day(), Priority::Sync).await.unwrap();
    }
    assert_eq!(server.seconds(), [0, 0, 60]);
}

/// Over real sockets: the request line arrives as it was written, and the answer is read to its end.
#[tokio::test]
async fn over_the_network_nothing_rewrites_the_path() {
    let server = Server::new(|n, _| if n == 0 { fixture!("bulk-calls-page.json") } else { EMPTY });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = server.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let account = Account { base_url: format!("http://{address}/"), ..account() };
    let bench = Bench::over(Transport::network(TransportOptions::default()), &account);
    let page = bench.calls().await.unwrap();
    assert_eq!(page.rows.len(), 2);
    bench.client.calls(&CallsQuery::Next(page.next.clone().unwrap()), Priority::Sync).await.unwrap();
    let odd = "/v1/Accounts/exampleacct1/Calls.json?a=b==&c:d=%3A+%20;,@!$()*~[]/?..&x=%zz";
    let odd = NextPage::parse(odd, "exampleacct1").unwrap();
    bench.client.calls(&CallsQuery::Next(odd.clone()), Priority::Sync).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].headers["authorization"], "Basic a2V5LTAxMjM6dG9rZW4tNDU2Nw==");
    assert_eq!(seen[0].headers.get("accept-encoding"), None);
    assert_eq!(seen[1].uri.to_string(), page.next.unwrap().as_str());
    assert_eq!(seen[2].uri.to_string(), odd.as_str());
}

/// Over real sockets: no listener, a connection that is cut, and TLS that is none.
#[tokio::test]
async fn faults_below_http_have_their_kinds() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cutting = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cut = cutting.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = cutting.accept().await.unwrap();
            let mut request = [0; 1024];
            tokio::io::AsyncReadExt::read(&mut stream, &mut request).await.unwrap();
            let part = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"Calls\": [";
            tokio::io::AsyncWriteExt::write_all(&mut stream, part).await.unwrap();
        }
    });
    let options = TransportOptions { timeout: Duration::from_secs(60), ..TransportOptions::default() };
    let transport = Transport::network(options);
    for (url, kind) in [
        (format!("http://{free}"), ErrorKind::Connect),
        (format!("http://{cut}"), ErrorKind::Connect),
        (format!("https://{cut}"), ErrorKind::Tls),
    ] {
        let request = http::Request::get(format!("{url}/v1/Accounts/a?token=secret"))
            .header("authorization", "Basic secret")
            .body(bytes::Bytes::new())
            .unwrap();
        let error = transport.send(request).await.unwrap_err();
        assert_eq!(error.kind, kind, "{url}: {error}");
        assert!(!error.message.contains("secret") && !error.message.contains("Accounts"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_slots_file_cannot_be_written_nothing_is_sent_and_the_operation_fails_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::following_tokio(START);
    let ledger = Ledger::beside_store(&folder.path().join("x.redb"), &clock).unwrap();
    let server = Server::new(|_, _| EMPTY);
    let client = Client::new(ClientOptions {
        account: &account(),
        retry: Retry { attempts: 3, initial_backoff: Duration::from_secs(2) },
        transport: Transport::in_process(server.router.clone(), TransportOptions::default()),
        ledger: ledger.clone(),
        clock,
        metrics: ApiMetrics::default(),
        auth_retry_interval: Duration::from_secs(60),
    });
    ledger.refuse_writes(true);
    let error = client.calls(&day(), Priority::Sync).await.unwrap_err();
    assert_eq!((error.kind, server.count()), (ErrorKind::Ledger, 0));
    assert!(error.message.starts_with("GET calls: not sent: the slots file cannot be written"), "{error}");
    // It passes within the retries of the next one.
    let query = day();
    let (result, ()) = tokio::join!(client.calls(&query, Priority::Sync), async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        ledger.refuse_writes(false);
    });
    result.unwrap();
    assert_eq!(server.count(), 1);
}
