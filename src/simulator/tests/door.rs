//! Login, limits, faults, ExoPhones, control.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::simulator::{Account, Envelope, ExoPhoneLists, Faults, Pool, RetryAfter, Unauthorized};

const LIST_V2_BETA: &str = "/v2_beta/Accounts/exampleacct1/IncomingPhoneNumbers";
const LIST_V1: &str = "/v1/Accounts/exampleacct1/IncomingPhoneNumbers.json";

#[tokio::test(start_paused = true)]
async fn only_the_accounts_own_key_opens() {
    let second =
        Account { sid: "secondacct".to_owned(), api_key: "k2".to_owned(), api_token: "t2".to_owned() };
    let options = Options { accounts: vec![Account::default(), second], ..plain(1.0) };
    let mut bench = Bench::new(options);
    assert_eq!(bench.bulk("").await.status, StatusCode::OK);
    for login in [
        None,
        Some(login("simkey", "wrong")),
        Some(login("k2", "t2")),
        Some("Bearer x".to_owned()),
        Some("Basic ###".to_owned()),
    ] {
        bench.login = login;
        let answer = bench.bulk("").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json()["RestException"]["Code"], 20003);
    }
    bench.login = Some(self::login("k2", "t2"));
    assert_eq!(bench.get("/v1/Accounts/secondacct/Calls.json").await.status, StatusCode::OK);
    assert_eq!(bench.get("/v1/Accounts/nobody/Calls.json").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn a_key_can_be_taken_back_at_a_time_or_by_hand_and_refused_in_plain_text() {
    let mut options = plain(1.0);
    options.revoked_after = Some(Duration::from_secs(20));
    options.wire.unauthorized = Unauthorized::Text;
    let bench = Bench::new(options);
    pass(19).await;
    assert_eq!(bench.bulk("").await.status, StatusCode::OK);
    pass(1).await;
    let answer = bench.bulk("").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.body, "Authentication is required to view this page.");

    let bench = Bench::new(plain(1.0));
    bench.simulator.set_faults(&Faults { key_revoked: true, ..Faults::default() });
    assert_eq!(bench.bulk("").await.status, StatusCode::UNAUTHORIZED);
    bench.simulator.set_faults(&Faults::default());
    assert_eq!(bench.bulk("").await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_path_without_json_answers_xml_and_unknown_paths_answer_404_in_their_form() {
    let bench = Bench::new(plain(2.0));
    pass(60).await;
    let sid = sids(&bench.bulk("").await.rows()).remove(0);
    let answer = bench.get(&format!("/v1/Accounts/exampleacct1/Calls/{sid}")).await;
    assert_eq!(answer.headers["content-type"], "application/xml; charset=utf-8");
    assert!(answer.body.contains(&format!("<Sid>{sid}</Sid>")), "{}", answer.body);
    let answer = bench.get("/v1/Accounts/exampleacct1/Calls/unknown").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.body.starts_with("<TwilioResponse><RestException><Status>404"), "{}", answer.body);
    let answer = bench.get("/v1/Accounts/exampleacct1/Nonsense.json").await;
    assert_eq!(
        (answer.status, answer.json()["RestException"]["Status"].clone()),
        (StatusCode::NOT_FOUND, json!(404))
    );
    let answer = bench.get("/v2/accounts/exampleacct1/incoming-phone-numbers/unknown").await;
    assert_eq!((answer.status, answer.json()["http_code"].clone()), (StatusCode::NOT_FOUND, json!(404)));
    let answer = bench.send("POST", "/v1/Accounts/exampleacct1/Calls.json", "{}").await.unwrap();
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(start_paused = true)]
async fn the_limit_counts_arrivals_in_a_sliding_minute_for_each_pool_and_account() {
    let mut options = plain(1.0);
    options.limits.voice = Some(5);
    options.limits.exophones = Some(2);
    options.limits.retry_after = RetryAfter::Seconds(30);
    let bench = Bench::new(options);
    for n in 0..5 {
        let answer = bench.bulk("").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["x-ratelimit-remaining"], (4 - n).to_string().as_str());
        pass(5).await;
    }
    let answer = bench.bulk("").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.json()["RestException"]["Code"], "RATE_LIMIT_EXCEEDED");
    assert_eq!(answer.headers["retry-after"], "30");
    assert_eq!(answer.headers["x-ratelimit-limit"], "5");
    assert_eq!(answer.headers["x-ratelimit-reset"], (START.0 + 60).to_string().as_str());
    assert_eq!(bench.get(LIST_V2_BETA).await.status, StatusCode::OK);
    pass(35).await;
    assert_eq!(bench.bulk("").await.status, StatusCode::OK);
    assert_eq!(bench.bulk("").await.status, StatusCode::TOO_MANY_REQUESTS);
    let arrivals = bench.simulator.arrivals();
    assert_eq!(arrivals.count(), 9);
    assert_eq!(arrivals.largest(0, Pool::Voice, 60_000), 7);
    assert_eq!(arrivals.largest(0, Pool::Exophones, 60_000), 1);
    assert_eq!(arrivals.iter().filter(|arrival| arrival.status == 429).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn every_fault_does_what_its_name_says() {
    let mut options = plain(5.0);
    options.limits.voice = Some(100_000);
    let bench = Bench::new(options);
    pass(60).await;
    let set = |faults: Faults| bench.simulator.set_faults(&faults);
    let none = Faults::default();

    set(Faults { too_many_requests: 1.0, retry_after: RetryAfter::Missing, ..none.clone() });
    let answer = bench.bulk("").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers.get("retry-after").is_none());
    set(Faults { too_many_requests: 1.0, retry_after: RetryAfter::Date(90), ..none.clone() });
    assert_eq!(bench.bulk("").await.headers["retry-after"], "Mon, 02 Mar 2026 13:02:30 GMT");

    set(Faults { internal_error: 1.0, ..none.clone() });
    assert_eq!(bench.bulk("").await.json()["RestException"]["Status"], 500);
    set(Faults { bad_gateway: 1.0, ..none.clone() });
    let answer = bench.bulk("").await;
    assert_eq!(
        (answer.status, answer.body.contains("<h1>Bad Gateway</h1>")),
        (StatusCode::BAD_GATEWAY, true)
    );
    set(Faults { unavailable: 1.0, ..none.clone() });
    let answer = bench.bulk("").await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, ""));
    set(Faults { html: 1.0, ..none.clone() });
    let answer = bench.bulk("").await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (StatusCode::OK, &"text/html".parse().unwrap())
    );

    set(Faults { slow: 1.0, slow_seconds: 40.0, ..none.clone() });
    let start = tokio::time::Instant::now();
    assert_eq!(bench.bulk("").await.status, StatusCode::OK);
    assert_eq!(start.elapsed().as_secs(), 40);

    set(Faults { cut: 1.0, ..none.clone() });
    for _ in 0..8 {
        let uri = "/v1/Accounts/exampleacct1/Calls.json";
        assert!(bench.send("GET", uri, "").await.is_err(), "a cut answer came to its end");
    }
    set(Faults { truncated: 1.0, ..none.clone() });
    let answer = bench.bulk("").await;
    assert!(answer.status == StatusCode::OK && serde_json::from_str::<Value>(&answer.body).is_err());
    set(Faults { huge: 1.0, ..none.clone() });
    let answer = bench.bulk("").await;
    assert!(answer.body.len() > 10_000_000 && !answer.rows().is_empty());

    set(Faults { no_calls: 1.0, ..none.clone() });
    let page = bench.bulk("").await.json();
    assert!(page.get("Calls").is_none() && page["Metadata"]["Total"].as_u64() > Some(0));
    assert_eq!(bench.get(LIST_V1).await.status, StatusCode::OK);
    set(Faults { always: Some(402), ..none.clone() });
    assert_eq!(bench.get(LIST_V1).await.status.as_u16(), 402);
    set(none);
    assert!(!bench.bulk("").await.rows().is_empty());
}

#[tokio::test(start_paused = true)]
async fn broken_cursors_lead_back_or_away() {
    let bench = Bench::new(plain(5.0));
    pass(60).await;
    bench.simulator.set_faults(&Faults { cursor_loop: 1.0, ..Faults::default() });
    let mut seen = HashSet::new();
    for _ in 0..20 {
        let page = bench.bulk("PageSize=10").await.json();
        let next = page["Metadata"]["NextPageUri"].as_str().unwrap().to_owned();
        assert!(next.ends_with("?PageSize=10") || page["Metadata"]["FirstPageUri"] == next, "{next}");
        seen.insert(next);
    }
    assert_eq!(seen.len(), 2);
    bench.simulator.set_faults(&Faults { foreign_cursor: 1.0, ..Faults::default() });
    let mut seen = HashSet::new();
    for _ in 0..30 {
        let page = bench.bulk("PageSize=10").await.json();
        let next = page["Metadata"]["NextPageUri"].as_str().unwrap().to_owned();
        assert!(!next.starts_with("/v1/Accounts/exampleacct1/"), "{next}");
        seen.insert(next.split('?').next().unwrap().to_owned());
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn absurd_pages_have_values_that_no_call_can_have_and_some_good_rows() {
    let bench = Bench::new(plain(5.0));
    pass(60).await;
    bench.simulator.set_faults(&Faults { absurd: 1.0, ..Faults::default() });
    let mut kinds = HashSet::new();
    for _ in 0..30 {
        let rows = bench.bulk("").await.rows();
        kinds.insert((rows[0]["Duration"].to_string(), rows[0]["DateCreated"] == "9999-99-99 99:99:99"));
        assert!(rows[2]["DateCreated"].as_str().unwrap().starts_with("2026-"));
        assert!(rows[2]["Duration"].as_str().unwrap().parse::<u32>().is_ok());
    }
    assert!(kinds.len() >= 3, "{kinds:?}");
}

#[tokio::test(start_paused = true)]
async fn exophones_are_listed_twice_and_told_one_by_one() {
    let mut options = plain(1.0);
    options.exophones.listed = 60;
    let bench = Bench::new(options);
    let list = bench.get(LIST_V2_BETA).await.json();
    assert_eq!(list["incoming_phone_numbers"].as_array().unwrap().len(), 50);
    let rest = bench.get(&format!("{LIST_V2_BETA}?page=1&page_size=50")).await.json();
    assert_eq!(rest["incoming_phone_numbers"].as_array().unwrap().len(), 10);
    let old = bench.get(LIST_V1).await.json();
    assert_eq!(old["Metadata"]["Total"], 60);
    assert_eq!(
        old["Metadata"]["NextPageUri"],
        "/v1/Accounts/exampleacct1/IncomingPhoneNumbers.json?Page=1&PageSize=50"
    );
    let phone = &list["incoming_phone_numbers"][0];
    assert_eq!(phone["phone_number"], "+918000000011");
    assert_eq!(old["IncomingPhoneNumbers"][0]["IncomingPhoneNumber"]["PhoneNumber"], "08000000011");
    let sid = phone["sid"].as_str().unwrap();
    assert_eq!(bench.get(&format!("{LIST_V2_BETA}/{sid}")).await.json(), *phone);
    let health = format!("/v2/accounts/exampleacct1/incoming-phone-numbers/{sid}");
    let told = bench.get(&health).await.json();
    assert_eq!(told["connectivity"]["incoming_call"]["status"], "active");
    assert_eq!(told["connectivity"]["outgoing_call"]["last_check_time"], "2026-03-02T13:00:00Z");
    assert_eq!(bench.get(&format!("{LIST_V2_BETA}?nonsense=1")).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn lists_can_be_missing_and_health_can_be_wrapped() {
    for (lists, new, old) in [
        (ExoPhoneLists::V1, StatusCode::NOT_FOUND, StatusCode::OK),
        (ExoPhoneLists::Nowhere, StatusCode::NOT_FOUND, StatusCode::NOT_FOUND),
    ] {
        let mut options = plain(1.0);
        options.exophones.lists = lists;
        options.exophones.envelope = Envelope::Wrapped;
        let bench = Bench::new(options);
        assert_eq!(bench.get(LIST_V2_BETA).await.status, new);
        assert_eq!(bench.get(LIST_V1).await.status, old);
        let sid = crate::simulator::lock(&bench.simulator.inner.accounts[0].world).faces.exophone_sid(0);
        let told = bench.get(&format!("/v2/accounts/exampleacct1/incoming-phone-numbers/{sid}")).await.json();
        assert_eq!(told["response"]["data"]["connectivity"]["incoming_call"]["status"], "active");
    }
}

#[tokio::test(start_paused = true)]
async fn the_date_header_follows_the_simulators_clock() {
    let bench = Bench::new(Options { date_skew: 90, ..plain(1.0) });
    assert_eq!(bench.bulk("").await.headers["date"], "Mon, 02 Mar 2026 13:01:30 GMT");
}

#[tokio::test(start_paused = true)]
async fn tests_steer_a_simulator_over_http() {
    let bench = Bench::new(plain(2.0));
    pass(10).await;
    bench.bulk("").await;
    bench.get(LIST_V1).await;
    let arrivals = bench.get("/_sim/arrivals").await.json();
    assert_eq!(arrivals["count"], 2);
    assert_eq!(arrivals["pools"]["voice"]["max_in_60s"], 1);
    assert_eq!(arrivals["pools"]["voice"]["statuses"]["200"], 1);
    assert_eq!(arrivals["pools"]["exophones"]["kinds"]["exo_phone_list"], 1);

    let set = bench.send("POST", "/_sim/faults", r#"{"bad_gateway": 1.0}"#).await.unwrap();
    assert_eq!(set.status, StatusCode::OK);
    assert_eq!(bench.bulk("").await.status, StatusCode::BAD_GATEWAY);
    for wrong in [r#"{"bad_gatway": 1.0}"#, r#"{"cut": 2.0}"#, "nonsense"] {
        let answer = bench.send("POST", "/_sim/faults", wrong).await.unwrap();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    bench.send("POST", "/_sim/faults?account=exampleacct1", "{}").await.unwrap();
    assert_eq!(bench.bulk("").await.status, StatusCode::OK);
    let answer = bench.send("POST", "/_sim/faults?account=nobody", "{}").await.unwrap();
    assert_eq!(answer.status, StatusCode::NOT_FOUND);

    assert_eq!(bench.get("/_sim/quiet").await.json()["quiet"], false);
    assert_eq!(bench.send("POST", "/_sim/stop-traffic", "").await.unwrap().status, StatusCode::OK);
    pass(100).await;
    assert_eq!(bench.get("/_sim/quiet").await.json()["quiet"], true);
    let calls = bench.get("/_sim/calls?limit=3").await.json();
    assert_eq!(calls["calls"].as_array().unwrap().len(), 3);
    assert!(calls["calls"][0]["visible"].as_f64() >= calls["calls"][0]["ended"].as_f64());
    assert_eq!(bench.get("/_sim/truth?live_from=x").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(bench.get("/_sim/truth?account=nobody").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn over_a_socket_it_answers_cuts_and_ends() {
    let simulator = Simulator::new(plain(5.0), Clock::system());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(simulator.clone().serve(listener, shutdown.clone()));
    let ask = async |path: &str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let login = login("simkey", "simtoken");
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: {login}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // A cut connection may end in an error or in an early end; both are wanted.
        let _ended = stream.read_to_string(&mut answer).await;
        answer
    };
    let answer = ask("/v1/Accounts/exampleacct1/Calls.json").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("}"), "{answer}");
    assert_eq!(answer.matches("date: ").count(), 1);
    assert!(ask("/_sim/quiet").await.contains(r#"{"quiet":false}"#));

    simulator.set_faults(&Faults { cut: 1.0, ..Faults::default() });
    let mut lengths = HashSet::new();
    for _ in 0..12 {
        let answer = ask("/v1/Accounts/exampleacct1/Calls.json").await;
        assert!(!answer.ends_with('}'), "{answer}");
        lengths.insert(answer.is_empty());
    }
    assert_eq!(lengths.len(), 2, "both kinds of cut must occur");
    shutdown.cancel();
    server.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn control_paths_are_hidden_from_other_machines() {
    let bench = Bench::new(plain(1.0));
    for (caller, status) in [("192.0.2.7:999", 404), ("127.0.0.1:999", 200), ("[::1]:999", 200)] {
        let mut request = Request::get("/_sim/quiet").body(Body::empty()).unwrap();
        let caller: std::net::SocketAddr = caller.parse().unwrap();
        request.extensions_mut().insert(axum::extract::ConnectInfo(caller));
        let response = bench.simulator.router().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{caller}");
    }
}
