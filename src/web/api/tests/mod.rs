//! The routes over a desk with canned answers: doors, bad input, numbers, pages of other origins.

mod canned;
mod description;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::{HeaderMap, Method, Request, header};
use serde_json::{Value, json};
use tower::ServiceExt;

use self::canned::Canned;
use super::*;
use crate::config::{Api, ApiKey, Secret};
use crate::model::{Clock, Timestamp};
use crate::web::access::matrix::{self, Row};
use crate::web::access::{Role, issue};

/// Number of a customer: must not be seen unless asked for.
const CANARY: &str = "+919876543210";
const NOW: Timestamp = Timestamp(1_772_457_600);

fn api() -> Api {
    Api { key: Some(ApiKey::Shared(Secret::new("0123456789abcdef0123456789abcdef"))), ..Api::default() }
}

fn routes_with(numbers: Numbers, cors: &[String]) -> Router {
    router(&Guard::new(&api()).unwrap(), Arc::new(Canned), &Manner::new(numbers, cors))
}

async fn send(routes: Router, request: Request<Body>) -> (StatusCode, HeaderMap, Vec<u8>) {
    let answer = routes.oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    (parts.status, parts.headers, to_bytes(body, usize::MAX).await.unwrap().to_vec())
}

fn asked(method: Method, path: &str, role: Role) -> Request<Body> {
    let token = issue(&api(), role, Duration::from_secs(60), Clock::system().now()).unwrap();
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap()
}

async fn ask(method: Method, path: &str, role: Role, numbers: Numbers) -> (StatusCode, Value) {
    let (status, _, body) = send(routes_with(numbers, &[]), asked(method, path, role)).await;
    (status, serde_json::from_slice(&body).unwrap_or_else(|fault| panic!("{path}: {fault}: {body:?}")))
}

async fn get_json(path: &str) -> (StatusCode, Value) {
    ask(Method::GET, &format!("/api/monitoring/{path}"), Role::Manager, Numbers::Masked).await
}

#[track_caller]
fn is_refusal(what: &str, status: StatusCode, body: &Value) {
    assert!(status.is_client_error(), "{what}: {status} {body}");
    assert_eq!(body["statusCode"], status.as_u16(), "{what}: {body}");
    assert!(body["message"].is_string() && body["error"]["code"].is_string(), "{what}: {body}");
}

#[tokio::test]
async fn each_role_may_do_what_the_contract_says_and_nobody_else_anything() {
    let get = |path| Row::new(Method::GET, path, &Role::ALL);
    let post = |path| Row::new(Method::POST, path, Role::ADMINS);
    let rows = [
        get("/api/monitoring/health/current"),
        get("/api/monitoring/health/history"),
        get("/api/monitoring/health/stats"),
        post("/api/monitoring/health/check"),
        get("/api/monitoring/sync/status"),
        get("/api/monitoring/sync/history"),
        get("/api/monitoring/sync/stats"),
        post("/api/monitoring/sync/trigger"),
        get("/api/monitoring/accounts"),
        get("/api/monitoring/exophones"),
        get("/api/monitoring/calls"),
        get("/api/monitoring/calls/stats"),
        get("/api/monitoring/calls/known"),
        post("/api/monitoring/calls/known/refresh"),
        get("/api/monitoring/webhooks/stats"),
        get("/api/monitoring/webhooks/missed"),
        get("/api/monitoring/rows/set-aside"),
        // A query is not read before the door.
        get("/api/monitoring/calls?limit=0"),
        get("/api/nothing"),
    ];
    matrix::holds(&routes_with(Numbers::Masked, &[]), &api(), &rows).await;
    assert_eq!(rows.len() - 2, routes::all().len(), "a route is not in the matrix");
}

#[tokio::test]
async fn a_wrong_method_is_refused_in_the_shape_of_the_contract() {
    for (method, path) in [
        (Method::DELETE, "/api/monitoring/health/current"),
        (Method::GET, "/api/monitoring/sync/trigger"),
        (Method::POST, "/api/openapi.json"),
    ] {
        let (status, body) = ask(method, path, Role::Admin, Numbers::Masked).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        is_refusal(path, status, &body);
    }
}

#[tokio::test]
async fn a_long_body_is_refused_in_the_shape_of_the_contract_and_a_short_one_is_not_looked_at() {
    for (bytes, expected) in [(64 * 1024 + 1, StatusCode::PAYLOAD_TOO_LARGE), (2, StatusCode::CREATED)] {
        let mut request = asked(Method::POST, "/api/monitoring/health/check", Role::Admin);
        *request.body_mut() = Body::from(vec![b'x'; bytes]);
        let (status, _, body) = send(routes_with(Numbers::Masked, &[]), request).await;
        assert_eq!(status, expected);
        let body: Value = serde_json::from_slice(&body).unwrap();
        if expected.is_client_error() {
            is_refusal("a long body", status, &body);
            assert_eq!(body["error"]["code"], "body_too_large");
        }
    }
}

#[tokio::test]
async fn ranges_that_end_before_they_begin_and_foreign_cursors_are_refused() {
    for query in [
        "sync/stats?startDate=2026-03-03&endDate=2026-03-02",
        "health/stats?startDate=2026-03-02T13:20:01Z&endDate=2026-03-02T13:20:00Z",
        "calls?from=2026-03-03&to=2026-03-02",
        "calls/stats?from=2026-03-03&to=2026-03-02",
        "calls?cursor=nonsense",
        "webhooks/missed?cursor=AAAA",
    ] {
        let (status, body) = get_json(query).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        is_refusal(query, status, &body);
    }
    let (_, page) = get_json("calls?status=completed&from=2026-03-01").await;
    let cursor = page["nextCursor"].as_str().unwrap().to_owned();
    let (status, last) =
        get_json(&format!("calls?from=2026-03-01&limit=7&status=completed&cursor={cursor}")).await;
    assert_eq!((status, &last["nextCursor"]), (StatusCode::OK, &Value::Null));
    for other in [
        "calls?cursor=",
        "calls?status=failed&from=2026-03-01&cursor=",
        "webhooks/missed?cursor=",
        "calls?status=completed&from=2026-03-01&account=globex&cursor=",
    ] {
        let (status, body) = get_json(&format!("{other}{cursor}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{other}");
        assert_eq!(body["error"]["code"], "cursor_of_another_query", "{other}");
    }
}

#[tokio::test]
async fn a_range_is_a_day_long_unless_both_ends_are_given() {
    for (query, seconds) in [
        ("", 86_400),
        ("?startDate=2026-03-02T13:00:00Z", 1_201),
        ("?endDate=2026-03-01T00:00:00Z", 86_400),
        ("?startDate=2026-03-02&endDate=2026-03-02", 86_400),
        ("?startDate=2026-03-01&endDate=2026-03-02", 2 * 86_400),
        ("?startDate=&endDate=", 86_400),
    ] {
        let (_, stats) = get_json(&format!("sync/stats{query}")).await;
        assert_eq!(stats["total"], seconds, "{query}");
        assert_eq!((&stats["successRate"], &stats["totalRecordsSynced"]), (&json!(33.33), &json!(3)));
    }
}

#[tokio::test]
async fn no_number_of_a_customer_is_shown_unless_the_configuration_says_plain() {
    let paths = ["calls", "calls/known", "webhooks/missed", "rows/set-aside"];
    for path in paths {
        for numbers in [Numbers::Masked, Numbers::hashed(b"key")] {
            let uri = format!("/api/monitoring/{path}");
            let (_, body) = ask(Method::GET, &uri, Role::SuperAdmin, numbers.clone()).await;
            let text = body.to_string();
            assert!(!text.contains("987654") && !text.contains("sip:agent"), "{path} {numbers:?}: {text}");
        }
        let uri = format!("/api/monitoring/{path}");
        let (_, body) = ask(Method::GET, &uri, Role::Manager, Numbers::Plain).await;
        assert!(body.to_string().contains(CANARY), "{path}: {body}");
    }
    let (_, call) = get_json("calls/known").await;
    assert_eq!((&call["from"], &call["to"]), (&json!("+********3210"), &json!("sip:****")));
    assert_eq!(call["exophone"], "08000000011", "the account's own number is no secret");
    assert_eq!(
        (&call["price"], &call["conversation"], &call["live"]),
        (&json!(1.25), &json!(42), &json!(false))
    );
    assert_eq!(call["created"], "2026-03-02T07:50:00Z", "Exotel's clock is ahead of UTC");
}

#[tokio::test]
async fn a_number_to_use_instead_is_shown_if_it_is_one_of_the_accounts_and_else_as_any_number() {
    let uri = "/api/monitoring/exophones";
    let (_, body) = ask(Method::GET, uri, Role::Manager, Numbers::Masked).await;
    let (poll, push) = (&body[0]["poll"], &body[0]["push"]);
    assert_eq!(poll["inbound"]["alternate"], json!({"name": "+918000000022", "label": "support"}));
    assert_eq!(poll["outbound"]["alternate"], Value::Null);
    assert_eq!(push["inboundAlternate"], json!({"name": "+********0001", "label": null}));
    assert_eq!(push["outboundAlternate"], json!({"name": "6071f8", "label": null}));
    let (_, body) = ask(Method::GET, uri, Role::Manager, Numbers::Plain).await;
    assert_eq!(body[0]["push"]["inboundAlternate"]["name"], "+919900000001");
}

#[tokio::test]
async fn a_refreshed_call_says_which_version_answered() {
    let (status, body) =
        ask(Method::POST, "/api/monitoring/calls/known/refresh", Role::Admin, Numbers::Masked).await;
    assert_eq!((status, &body["apiVersion"], &body["sid"]), (StatusCode::OK, &json!("v2"), &json!("known")));
    let (_, body) = ask(Method::GET, "/api/monitoring/calls/known", Role::Admin, Numbers::Masked).await;
    assert_eq!(body.get("apiVersion"), None);
}

#[tokio::test]
async fn calls_are_summed_by_hour_or_by_day_of_the_account() {
    let (_, stats) = get_json("calls/stats?by=day&from=2026-03-02&to=2026-03-02").await;
    let day = &stats["buckets"][0];
    assert_eq!(stats["buckets"].as_array().unwrap().len(), 1, "{stats}");
    assert_eq!(day["start"], "2026-03-01T18:30:00Z", "midnight of the account");
    assert_eq!((&day["calls"], &day["answerRatio"]), (&json!(9), &json!(0.6667)));
    assert_eq!(day["directions"], json!({"inbound": 6, "outbound-api": 3}));
    assert_eq!((&day["statuses"], &day["cost"]), (&json!({"completed": 9}), &json!(3.75)));
    let (_, stats) = get_json("calls/stats?from=2026-03-02T00:00:01Z&to=2026-03-03").await;
    assert_eq!(stats["buckets"].as_array().unwrap().len(), 2);
    assert_eq!(stats["buckets"][0]["start"], "2026-03-02T00:30:00Z", "the first hour that begins in it");
}

#[tokio::test]
async fn a_sync_under_way_is_a_conflict_and_what_is_not_there_is_not_found() {
    let sync = "/api/monitoring/sync/trigger";
    let (status, body) = ask(Method::POST, sync, Role::Admin, Numbers::Masked).await;
    assert_eq!((status, body["message"].is_string()), (StatusCode::CREATED, true));
    let second = format!("{sync}?account=globex");
    let (status, body) = ask(Method::POST, &second, Role::Admin, Numbers::Masked).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::CONFLICT, &json!("sync_running")));
    for path in
        ["calls/unknown", "calls/a%20b", "calls/%00", "calls/..%2F", &format!("calls/{}", "a".repeat(300))]
    {
        let (status, body) = get_json(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        is_refusal(path, status, &body);
    }
}

#[tokio::test]
async fn pages_of_the_configured_origins_may_ask_and_others_may_not() {
    let origins = ["https://ops.example.com".to_owned()];
    for (origin, allowed) in [("https://ops.example.com", true), ("https://evil.example.com", false)] {
        let preflight = Request::options("/api/monitoring/sync/status")
            .header(header::ORIGIN, origin)
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "GET")
            .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization")
            .body(Body::empty())
            .unwrap();
        let (status, headers, _) = send(routes_with(Numbers::Masked, &origins), preflight).await;
        assert_eq!(status, StatusCode::OK, "a preflight carries no token");
        assert_eq!(headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_some(), allowed, "{origin}");
        // Without a token the page must still be able to read why.
        let plain = Request::get("/api/monitoring/sync/status").header(header::ORIGIN, origin);
        let plain = plain.body(Body::empty()).unwrap();
        let (status, headers, _) = send(routes_with(Numbers::Masked, &origins), plain).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_some(), allowed, "{origin}");
    }
    let request = Request::get("/api/openapi.json").header(header::ORIGIN, "https://ops.example.com");
    let (_, headers, _) = send(routes_with(Numbers::Masked, &[]), request.body(Body::empty()).unwrap()).await;
    assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "off by default");
}

#[tokio::test]
async fn how_numbers_are_shown_and_who_may_read_changes_while_it_serves() {
    let manner = Manner::new(Numbers::Masked, &[]);
    let routes = router(&Guard::new(&api()).unwrap(), Arc::new(Canned), &manner);
    let ask = async || {
        let mut request = asked(Method::GET, "/api/monitoring/rows/set-aside", Role::Manager);
        request.headers_mut().insert(header::ORIGIN, HeaderValue::from_static("https://ops.example.com"));
        let (_, headers, body) = send(routes.clone(), request).await;
        let shown = String::from_utf8(body).unwrap().contains(CANARY);
        (shown, headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN))
    };
    assert_eq!(ask().await, (false, false));
    manner.change(Numbers::Plain, &["https://ops.example.com".to_owned()]);
    assert_eq!(ask().await, (true, true));
    manner.change(Numbers::hashed(&[7; 32]), &[]);
    assert_eq!(ask().await, (false, false));
}

#[tokio::test]
async fn without_a_key_the_api_is_off() {
    let manner = Manner::new(Numbers::Masked, &[]);
    let routes = router(&Guard::new(&Api::default()).unwrap(), Arc::new(Canned), &manner);
    let request = Request::get("/api/monitoring/health/current").body(Body::empty()).unwrap();
    let (status, _, body) = send(routes, request).await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status.as_u16(), &body["statusCode"]), (503, &json!(503)));
    assert_eq!(body["error"]["code"], "api_off");
}
