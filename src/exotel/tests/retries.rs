//! What is asked again, and when; what holds requests back.

use super::*;

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
