//! What is asked for, and which answers are refused.

use super::*;

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
