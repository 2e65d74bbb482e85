//! The list of ExoPhones, and the health of one.

use super::*;

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
