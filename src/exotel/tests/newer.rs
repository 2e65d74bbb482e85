//! One call of v2 and v3.

use super::*;
use crate::model::{LegStatus, Status};

const CALL_V2: &str = "/v2/accounts/exampleacct1/calls/2c3d4e5f60718293a4b5c6d7e8f12032";
const CALL_V3: &str = "/v3/accounts/exampleacct1/calls/2c3d4e5f60718293a4b5c6d7e8f12032";

fn sid() -> Sid {
    Sid::parse("2c3d4e5f60718293a4b5c6d7e8f12032").unwrap()
}

fn account_of_two_hosts() -> Account {
    Account { ccm_base_url: "http://ccm.test".to_owned(), ..account() }
}

fn paths(server: &Server) -> Vec<String> {
    server.seen().iter().map(|seen| seen.uri.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn both_versions_are_asked_on_the_host_of_ccm_within_the_limit_of_calls() {
    let server = Server::new(|_, uri| match uri.path() {
        CALL_V2 => fixture!("call-details-v2-ccm-legacy-keys.json"),
        CALL_V3 => fixture!("call-details-v3-terminal.json"),
        _ => fixture!("call-legs-v3.json"),
    });
    let bench = Bench::with(&server, &account_of_two_hosts());
    let v2 = bench.client.call_v2(&sid(), Priority::Interactive).await.unwrap();
    assert_eq!((v2.status, v2.to.as_deref()), (Status::NoAnswer, Some("+919900000001")));
    let v3 = bench.client.call_v3(&sid(), Priority::Interactive).await.unwrap();
    assert_eq!((v3.status, v3.from.as_deref()), (Status::Completed, Some("+919900000091")));
    assert_eq!(v3.details.unwrap().leg1, Some(LegStatus::Completed));
    let host = "http://ccm.test";
    let asked = [format!("{host}{CALL_V2}"), format!("{host}{CALL_V3}"), format!("{host}{CALL_V3}/legs")];
    assert_eq!(paths(&server), asked);
    assert_eq!(server.seen()[0].headers["authorization"], "Basic a2V5LTAxMjM6dG9rZW4tNDU2Nw==");
    assert_eq!(bench.client.quota(Pool::Voice).unwrap().used, 3);
    bench.has(r#"exotel_api_requests_total{account="exampleacct1",endpoint="call_v2",code="200"} 1"#);
    bench.has(r#"exotel_api_requests_total{account="exampleacct1",endpoint="legs_v3",code="200"} 1"#);
}

#[tokio::test(start_paused = true)]
async fn a_call_of_v3_is_known_without_its_legs_where_these_are_not_switched_on() {
    for status in [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND] {
        let server = Server::new(move |n, _| match n {
            0 => (StatusCode::OK, fixture!("call-details-v3-terminal.json")),
            _ => (status, fixture!("error-v3-404.json")),
        });
        let call = Bench::new(&server).client.call_v3(&sid(), Priority::Interactive).await.unwrap();
        assert_eq!((call.duration, call.from), (Some(84), None));
        assert_eq!(server.count(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn not_found_is_said_with_404_or_within_and_nothing_else_means_it() {
    for (status, body, kind) in [
        (404, fixture!("error-v3-404.json"), ErrorKind::NotFound),
        (200, fixture!("error-v3-404.json"), ErrorKind::NotFound),
        (402, "", ErrorKind::Payment),
        (403, "", ErrorKind::Forbidden),
        (409, "", ErrorKind::Client),
    ] {
        let server = Server::new(move |_, _| (StatusCode::from_u16(status).unwrap(), body));
        let error = Bench::new(&server).client.call_v2(&sid(), Priority::Interactive).await.unwrap_err();
        assert_eq!((error.kind, server.count()), (kind, 1), "{status}");
    }
    let server = Server::new(|_, _| (StatusCode::TOO_MANY_REQUESTS, fixture!("error-429-legs.json")));
    let error = Bench::new(&server).client.call_v3(&sid(), Priority::Interactive).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Throttled { .. }), "{error}");
    assert_eq!(server.seconds(), [0, 30, 60, 90], "the whole pool waits");
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_ccm_tells_of_is_not_that_of_the_call_list() {
    let server = Server::new(|_, uri| match uri.host() {
        Some("ccm.test") => {
            let reset = (START.0 + 20).to_string();
            let quota = [("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "0")];
            let headers = [quota[0], quota[1], ("x-ratelimit-reset", &reset)];
            (headers, fixture!("call-details-v2-ccm-legacy-keys.json")).into_response()
        }
        _ => EMPTY.into_response(),
    });
    let bench = Bench::with(&server, &account_of_two_hosts());
    bench.client.call_v2(&sid(), Priority::Interactive).await.unwrap();
    bench.calls().await.unwrap();
    let quota = bench.client.quota(Pool::Voice).unwrap();
    assert_eq!((quota.per_minute, quota.remaining), (6000, None));
    bench.client.call_v2(&sid(), Priority::Interactive).await.unwrap();
    assert_eq!(server.seconds(), [0, 0, 20], "it waits itself for the reset");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_ccm_refuses_is_still_good_for_all_else() {
    let server = Server::new(|_, uri| match uri.host() {
        Some("ccm.test") => (
            StatusCode::UNAUTHORIZED,
            [("date", "Mon, 02 Mar 2020 14:00:00 GMT")],
            fixture!("error-401.json"),
        ),
        _ => (StatusCode::OK, [("date", "Mon, 02 Mar 2026 13:55:00 GMT")], EMPTY),
    });
    let bench = Bench::with(&server, &account_of_two_hosts());
    bench.calls().await.unwrap();
    let error = bench.client.call_v2(&sid(), Priority::Interactive).await.unwrap_err();
    assert_eq!((error.kind, error.status), (ErrorKind::Auth, Some(401)));
    let error = bench.client.call_v3(&sid(), Priority::Interactive).await.unwrap_err();
    assert_eq!((error.kind, error.status), (ErrorKind::Auth, None), "not sent within the interval");
    bench.calls().await.unwrap();
    assert_eq!(server.count(), 3);
    bench.has(r#"exotel_api_auth_ok{account="exampleacct1"} 1"#);
    assert_eq!(bench.client.clock_offset(), Some(0), "the clock is that of the API");
}
