//! Whatever is sent, the answer is a refusal in the shape of the contract, and the agent goes on.

use serde_json::json;

use super::{Client, setup};
use crate::support::fake::Fake;
use crate::support::http;

const PATHS: [&str; 16] = [
    "health/history?limit=0",
    "health/history?limit=-1",
    "health/history?limit=1000000000",
    "sync/history?limit=ten",
    "sync/history?type=nonsense",
    "health/history?source=nonsense",
    "health/stats?startDate=yesterday",
    "health/stats?startDate=2026-03-03&endDate=2026-03-02",
    "sync/stats?startDate=2026-02-30",
    "sync/stats?endDate=1772457600",
    "calls?status=nonsense",
    "calls?colour=red",
    "calls?exophone=me",
    "calls?cursor=nonsense",
    "calls/stats?by=minute",
    "webhooks/missed?cursor=%F0%9F%98%80",
];

#[test]
fn bad_parameters_are_refused_in_the_shape_of_the_contract() {
    let exotel = Fake::start();
    exotel.add_call("c1");
    exotel.add_call("c2");
    let client = Client::start(&setup(&exotel), "admin");
    for path in PATHS {
        let answer = client.ask("GET", path);
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        let body = answer.json().unwrap();
        assert_eq!(body["statusCode"], 400, "{path}");
        assert!(body["message"].is_string() && body["error"]["code"].is_string(), "{path}: {body}");
    }
    for path in ["sync/status?account=nobody", "calls/nothing", "nothing", "calls/a%2Fb"] {
        let answer = client.ask("GET", path);
        assert_eq!((answer.status, &answer.json().unwrap()["statusCode"]), (404, &json!(404)), "{path}");
    }
    client.until("calls", "both calls are read", |page| page["calls"].as_array().unwrap().len() == 2);
    let page = client.get("calls?limit=1");
    let cursor = page["nextCursor"].as_str().unwrap();
    for path in [format!("calls?status=busy&cursor={cursor}"), format!("webhooks/missed?cursor={cursor}")] {
        let answer = client.ask("GET", &path);
        assert_eq!(answer.status, 400, "{path}");
        assert_eq!(answer.json().unwrap()["error"]["code"], "cursor_of_another_query", "{path}");
    }
    for (method, path) in [("DELETE", "calls"), ("GET", "sync/trigger"), ("PUT", "health/check")] {
        let answer = client.ask(method, path);
        assert_eq!((answer.status, &answer.json().unwrap()["statusCode"]), (405, &json!(405)), "{path}");
    }
}

#[test]
fn tokens_that_are_no_good_are_refused_everywhere() {
    let exotel = Fake::start();
    let setup = setup(&exotel);
    let client = Client::start(&setup, "admin");
    let other = setup.with("api", json!({"jwt_secret": "another secret of at least 32 bytes"}));
    let foreign = super::token(&other, "admin");
    // {"alg":"none"}, {"role":"admin","exp":4102444800}
    let unsigned = "eyJhbGciOiJub25lIn0.eyJyb2xlIjoiYWRtaW4iLCJleHAiOjQxMDI0NDQ4MDB9.";
    let broken = "a.b.c";
    for path in ["health/current", "calls", "calls/stats?limit=0", "nothing"] {
        for token in [foreign.as_str(), unsigned, broken, ""] {
            let url = format!("{}/api/monitoring/{path}", client.agent.base);
            let answer = http::ask("GET", &url, &[("Authorization", &format!("Bearer {token}"))]).unwrap();
            assert_eq!(
                (answer.status, &answer.json().unwrap()["statusCode"]),
                (401, &json!(401)),
                "{path} {token}"
            );
        }
    }
}
