//! The routes over a desk with canned answers: doors, shapes against the description, bad input.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::{HeaderMap, Method, Request, header};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::desk::*;
use super::*;
use crate::config::{Api, ApiKey, Secret};
use crate::model::health::{
    CheckCounts, CheckSource, Connectivity, HealthCheck, NumberHealth, Reachability, State, Verdict,
};
use crate::model::{
    AccountId, Book, CallRecord, Clock, Details, Direction, HourTotals, KnownExoPhone, LegStatus,
    Observation, RunStatus, SetAside, Sid, Status, SyncRun, Timestamp, UtcOffset, WallTime,
};
use crate::web::access::matrix::{self, Row};
use crate::web::access::{Role, issue};

/// Number of a customer: must not be seen unless asked for.
const CANARY: &str = "+919876543210";
const NOW: Timestamp = Timestamp(1_772_457_600);

fn api() -> Api {
    Api { key: Some(ApiKey::Shared(Secret::new("0123456789abcdef0123456789abcdef"))), ..Api::default() }
}

fn call(name: &str) -> CallRecord {
    let mut call = Observation::new(Sid::parse(name).unwrap(), WallTime(NOW.0), Status::Completed);
    call.direction = Some(Direction::Inbound);
    call.from = Some(CANARY.to_owned());
    call.to = Some("sip:agent9876543210".to_owned());
    call.exophone = Some("08000000011".to_owned());
    call.end = Some(WallTime(NOW.0 + 60));
    call.duration = Some(60);
    call.price = Some(1_250_000);
    call.custom_field = Some(format!("of {CANARY}"));
    call.recording_url = Some(format!("https://recordings.example/{CANARY}.mp3"));
    call.caller_name = Some(CANARY.to_owned());
    call.odd = vec![("Odd".to_owned(), format!("\"{CANARY}\""))];
    call.details =
        Some(Details { conversation: Some(42), leg1: Some(LegStatus::Completed), ..Details::default() });
    CallRecord { call, book: Book::new(NOW) }
}

fn check() -> HealthCheck {
    HealthCheck {
        id: 4,
        at: NOW,
        stored: NOW.plus(1),
        source: CheckSource::Poll,
        verdict: Verdict::Warning,
        incoming: Some(vec!["phone1".to_owned()]),
        outgoing: None,
        numbers: 2,
        error: None,
    }
}

fn run() -> SyncRun {
    SyncRun {
        id: 9,
        trigger: "manual".to_owned(),
        started: NOW.0,
        ended: Some(NOW.0 + 2),
        status: RunStatus::Success,
        pages: 1,
        new: 2,
        stored: 3,
        rows: 50,
        set_aside: 1,
        error: None,
    }
}

/// Two accounts; what is asked comes back in what is answered.
struct Canned;

fn ready<'a, T: Send + 'a>(answer: T) -> Reply<'a, T> {
    Box::pin(std::future::ready(Ok(answer)))
}

impl Desk for Canned {
    fn account(&self, wanted: Option<&str>) -> Option<Who> {
        let index = ["acme", "globex"].iter().position(|name| wanted.is_none_or(|wanted| wanted == *name))?;
        Some(Who {
            account: AccountId(u16::try_from(index).unwrap()),
            sid: format!("sid{index}"),
            offset: UtcOffset(19_800),
            currency: "INR".to_owned(),
            own_numbers: Arc::new(HashSet::from([8_000_000_011])),
        })
    }

    fn accounts(&self) -> Vec<AccountView> {
        let account = |name: &str, sid: &str| AccountView {
            name: name.to_owned(),
            sid: sid.to_owned(),
            base_url: "https://api.example".to_owned(),
            offset: UtcOffset(19_800),
            currency: "INR".to_owned(),
            state: "up",
            first_start: NOW,
            pools: vec![PoolView {
                pool: "voice",
                per_minute: 200,
                background_per_minute: 60,
                used: 3,
                waiting: 0,
                remaining: None,
            }],
            last_error: Some((NOW, "timeout".to_owned())),
            sync_failing: None,
            last_sync: Some(NOW),
            watermark: Some(NOW),
            last_health: None,
            waiting: [1, 2, 3],
            balance: Some((1_500_000, "INR".to_owned(), NOW)),
        };
        vec![account("acme", "sid0"), account("globex", "sid1")]
    }

    fn now(&self) -> Timestamp {
        NOW
    }

    fn checks(
        &self,
        _: AccountId,
        _: CheckSource,
        _: (Timestamp, Timestamp),
        limit: usize,
    ) -> Reply<'_, Vec<HealthCheck>> {
        ready(vec![check(); limit.min(3)])
    }

    fn check_counts(&self, _: AccountId, _: (Timestamp, Timestamp)) -> Reply<'_, CheckCounts> {
        let mut counts = CheckCounts::default();
        counts.add(Verdict::Ok);
        ready(counts)
    }

    fn check_now(&self, _: AccountId) -> Reply<'_, Verdict> {
        ready(Verdict::Ok)
    }

    fn runs(&self, _: AccountId, limit: usize) -> Reply<'_, Vec<SyncRun>> {
        ready(vec![run(); limit.min(3)])
    }

    fn runs_between(
        &self,
        _: AccountId,
        (from, to): (Timestamp, Timestamp),
        _: usize,
    ) -> Reply<'_, RunsBetween> {
        // The length of the range, to be seen.
        let total = u64::try_from(to - from).unwrap();
        ready(RunsBetween { total, successful: 1, failed: 2, stored: 3, newest: vec![run()] })
    }

    fn sync_now(&self, account: AccountId) -> Reply<'_, ()> {
        let running = Refusal::new(StatusCode::CONFLICT, "sync_running", "A sync is under way already.");
        Box::pin(std::future::ready(if account == AccountId(0) { Ok(()) } else { Err(running) }))
    }

    fn exophones(&self, _: AccountId) -> Vec<ExoPhoneView> {
        let side = Some(Connectivity::of(State::Outage));
        let health = NumberHealth {
            reachability: Reachability { inbound: side, outbound: None },
            answered: NOW,
            since: [NOW, NOW],
            changed: None,
        };
        vec![ExoPhoneView {
            phone: KnownExoPhone {
                id: 1,
                sid: "phone1".to_owned(),
                number: "08000000011".to_owned(),
                friendly_name: None,
                countable_from: 0,
            },
            label: "sales".to_owned(),
            listed: true,
            paging: true,
            polled: Some((health, true)),
            pushed: [Some(true), None],
            polled_alternates: [
                Some(AlternateView { named: "+918000000022".to_owned(), label: Some("support".to_owned()) }),
                None,
            ],
            pushed_alternates: [
                Some(AlternateView { named: "+919900000001".to_owned(), label: None }),
                Some(AlternateView { named: "6071f8".to_owned(), label: None }),
            ],
        }]
    }

    fn exophone_digits(&self, _: AccountId, name: &str) -> Option<u64> {
        crate::model::last_ten_digits(name)
    }

    fn calls(&self, _: AccountId, wanted: CallsWanted) -> Reply<'_, CallsFound> {
        let next = wanted.below.is_none().then(|| (WallTime(NOW.0), Sid::parse("sid").unwrap()));
        ready(CallsFound { calls: vec![call("sid")], next })
    }

    fn call(&self, _: AccountId, sid: Sid) -> Reply<'_, Option<CallRecord>> {
        ready((sid.as_str() == "known").then(|| call("known")))
    }

    fn refresh(&self, account: AccountId, sid: Sid) -> Reply<'_, Option<Refreshed>> {
        Box::pin(async move {
            let record = self.call(account, sid).await?;
            Ok(record.map(|record| Refreshed { record, api_version: "v2" }))
        })
    }

    fn hours(&self, _: AccountId, (from, _): (u32, u32)) -> Reply<'_, Vec<(u32, Direction, HourTotals)>> {
        let mut totals =
            HourTotals { seconds: 60, conversation: 42, cost: 1_250_000, ..HourTotals::default() };
        totals.statuses[0] = 3;
        totals.outcomes[0] = 2;
        totals.outcomes[1] = 1;
        ready(vec![
            (from, Direction::Inbound, totals.clone()),
            (from, Direction::OutboundApi, totals.clone()),
            (from + 23, Direction::Inbound, totals),
        ])
    }

    fn webhooks(&self, _: AccountId) -> Reply<'_, WebhooksView> {
        ready(WebhooksView {
            enabled: true,
            kinds: vec![WebhookKind {
                kind: "calls",
                expected: true,
                last_received: Some(NOW),
                requests: vec![("accepted", 5)],
            }],
            expected: 8,
            missed: 2,
            unconfirmed: 0,
        })
    }

    fn missed(&self, _: AccountId, _: Option<(WallTime, Sid)>, limit: usize) -> Reply<'_, Vec<CallRecord>> {
        ready(vec![call("sid"); limit.min(2)])
    }

    fn set_aside(&self, _: AccountId) -> Reply<'_, Vec<SetAside>> {
        ready(vec![SetAside {
            id: u64::MAX,
            raw: format!("{{\"From\": \"{CANARY}\", \"Created\": \"2026-03-02 18:45:10\"}}"),
            reason: "Sid: expected a text, got null".to_owned(),
            sid: None,
            after: NOW.0,
            before: NOW.0 + 60,
            first_seen: NOW.0,
            retry_at: NOW.0 + 60,
            tries: 1,
        }])
    }
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

/// Holds a value against the parts of JSON Schema that the description uses.
fn fits(schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    if let Some(choices) = schema["oneOf"].as_array() {
        let fitting = choices.iter().filter(|choice| fits(choice, value, place).is_ok()).count();
        return if fitting == 1 {
            Ok(())
        } else {
            Err(format!("{place}: {value} fits {fitting} of {schema}"))
        };
    }
    let right = match schema["type"].as_str().ok_or_else(|| format!("{place}: no type in {schema}"))? {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" if schema["format"] == "date-time" => {
            value.as_str().is_some_and(|text| text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok())
        }
        "string" => value.is_string(),
        "array" => {
            let items = value.as_array().ok_or_else(|| format!("{place}: no list: {value}"))?;
            return items.iter().try_for_each(|item| fits(&schema["items"], item, &format!("{place}[]")));
        }
        "object" => {
            let object = value.as_object().ok_or_else(|| format!("{place}: no object: {value}"))?;
            let Some(properties) = schema["properties"].as_object() else { return Ok(()) };
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !object.contains_key(name) {
                    return Err(format!("{place}: {name} is missing"));
                }
            }
            return object.iter().try_for_each(|(name, value)| match properties.get(name) {
                Some(schema) => fits(schema, value, &format!("{place}.{name}")),
                None => Err(format!("{place}: {name} is not described")),
            });
        }
        other => return Err(format!("{place}: a type {other}")),
    };
    if right { Ok(()) } else { Err(format!("{place}: {value} is no {schema}")) }
}

async fn document() -> Value {
    let request = Request::get("/api/openapi.json").body(Body::empty()).unwrap();
    let (status, _, body) = send(routes_with(Numbers::Masked, &[]), request).await;
    assert_eq!(status, StatusCode::OK, "the description needs no token");
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn every_route_answers_as_its_description_says() {
    let document = document().await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut driven = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            let filled = path.replace("{sid}", "known");
            let (status, body) = ask(method, &filled, Role::SuperAdmin, Numbers::Masked).await;
            let described = &operation["responses"][status.as_str()];
            let schema = &described["content"]["application/json"]["schema"];
            fits(schema, &body, path).unwrap();
            assert!(status.is_success(), "{path}: {status} {body}");
            assert!(operation["operationId"].is_string() && operation["summary"].is_string(), "{path}");
            driven += 1;
        }
    }
    assert_eq!(driven, routes::all().len());
    assert!(driven >= 17);
}

#[tokio::test]
async fn every_parameter_takes_what_its_description_allows_and_refuses_the_rest() {
    for (path, operations) in document().await["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            let path = path.replace("{sid}", "known");
            for parameter in operation["parameters"].as_array().unwrap() {
                let name = parameter["name"].as_str().unwrap();
                let schema = &parameter["schema"];
                let words = |list: &Value| -> Vec<String> {
                    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
                };
                let (good, bad): (Vec<String>, Vec<&str>) = if schema["enum"].is_array() {
                    (words(&schema["enum"]), vec!["nonsense", "OK;", "%00"])
                } else if schema["type"] == "integer" {
                    (vec!["1".into(), "1000".into()], vec!["0", "-1", "1001", "1000000000", "x", "1.5"])
                } else if schema["examples"].is_array() {
                    (
                        words(&schema["examples"]),
                        vec!["yesterday", "2026-02-30", "1772457600", "%F0%9F%98%80"],
                    )
                } else {
                    continue;
                };
                for value in good {
                    let uri = format!("{path}?{name}={value}");
                    let (status, body) = ask(method.clone(), &uri, Role::Admin, Numbers::Masked).await;
                    assert!(status.is_success(), "{uri}: {status} {body}");
                }
                for value in bad {
                    let uri = format!("{path}?{name}={value}");
                    let (status, body) = ask(method.clone(), &uri, Role::Admin, Numbers::Masked).await;
                    assert_eq!(status, StatusCode::BAD_REQUEST, "{uri}");
                    is_refusal(&uri, status, &body);
                }
            }
            for query in ["nonsense=1", "account=acme&account=acme", "account=%00", "account=a%0Ab"] {
                let uri = format!("{path}?{query}");
                let (status, body) = ask(method.clone(), &uri, Role::Admin, Numbers::Masked).await;
                assert_eq!(status, StatusCode::BAD_REQUEST, "{uri}");
                is_refusal(&uri, status, &body);
            }
            let uri = format!("{path}?account=nobody");
            let (status, body) = ask(method, &uri, Role::Admin, Numbers::Masked).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{uri}");
            is_refusal(&uri, status, &body);
        }
    }
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
