//! The eight routes of the module that is replaced: names, types and defaults that its clients rely on.

use serde_json::{Value, json};

use super::{Client, has, setup, token};
use crate::support::fake::{Fake, Health};
use crate::support::{http, secs};

#[test]
fn health_is_told_as_the_old_clients_know_it() {
    let exotel = Fake::start();
    // A regular round that is under way would answer for the one that is asked for.
    let client = Client::start(&setup(&exotel).with("heartbeat.interval", "1h"), "admin");
    let newest = client.until("health/current", "a first check", |check| !check.is_null());
    has(
        &newest,
        &["id", "timestamp", "statusType", "incomingAffected", "outgoingAffected", "rawData", "createdAt"],
    );
    assert!(newest["id"].is_u64() && newest["rawData"].is_object(), "{newest}");
    assert!(newest["timestamp"].as_str().unwrap().ends_with('Z'), "{newest}");

    exotel.set_health(Health::Says("major_outage", "active"));
    let checked = client.ask("POST", "health/check");
    assert_eq!(checked.status, 201, "{}", checked.text());
    assert!(checked.json().unwrap()["message"].is_string());
    // The verdict is stored before the answer comes.
    let newest = client.get("health/current");
    assert_eq!(newest["statusType"], "CRITICAL", "{newest}");
    assert_eq!(newest["incomingAffected"].as_array().unwrap().len(), 1, "{newest}");

    let history = client.get("health/history?limit=2");
    let history = history.as_array().unwrap();
    assert_eq!(history.len(), 2);
    assert!(history[0]["id"].as_u64() > history[1]["id"].as_u64(), "newest first");
    assert_eq!(client.get("health/history?source=push"), json!([]));

    let stats = client.get("health/stats");
    has(&stats, &["total", "ok", "errors", "warnings", "uptime", "blind", "checks"]);
    let total = stats["total"].as_u64().unwrap();
    assert_eq!(stats["checks"].as_array().unwrap().len() as u64, total);
    assert!(stats["errors"].as_u64().unwrap() >= 1 && stats["uptime"].as_f64().unwrap() < 100.0, "{stats}");
    let long_ago = client.get("health/stats?startDate=2020-01-01&endDate=2020-01-02");
    assert_eq!(
        (&long_ago["total"], &long_ago["uptime"], &long_ago["blind"]),
        (&json!(0), &Value::Null, &Value::Null)
    );
}

#[test]
fn runs_of_the_sync_are_told_as_the_old_clients_know_them() {
    let exotel = Fake::start();
    exotel.add_call("c1");
    // Exotel lists a call when it is over.
    std::thread::sleep(secs(2));
    let setup = setup(&exotel).with("sync.interval", "1h");
    let client = Client::start(&setup, "super_admin");
    let first =
        client.until("sync/status?type=bulk_call_details", "a first run", |run| run["status"] == "success");
    has(
        &first,
        &[
            "id",
            "syncType",
            "lastSyncTime",
            "status",
            "recordsSynced",
            "errorMessage",
            "createdAt",
            "updatedAt",
        ],
    );
    assert_eq!((&first["syncType"], &first["errorMessage"]), (&json!("bulk_call_details"), &Value::Null));

    exotel.add_call("c2");
    std::thread::sleep(secs(2));
    let triggered = client.ask("POST", "sync/trigger");
    assert_eq!(triggered.status, 201, "{}", triggered.text());
    assert!(triggered.json().unwrap()["message"].is_string());
    let second = client.until("sync/status", "the run that was asked for", |run| {
        run["trigger"] == "manual" && run["status"] == "success"
    });
    assert!(second["id"].as_u64() > first["id"].as_u64());
    // The first page of all, which tells how much there is to read, belongs to its run as well.
    assert_eq!((&first["recordsSynced"], &second["recordsSynced"]), (&json!(1), &json!(1)));

    let history = client.get("sync/history?type=bulk_call_details&limit=1000");
    assert_eq!(history[0], second);
    let stats = client.get("sync/stats");
    has(&stats, &["total", "successful", "failed", "successRate", "totalRecordsSynced", "syncs"]);
    assert_eq!(stats["total"], history.as_array().unwrap().len());
    assert_eq!((&stats["successRate"], &stats["totalRecordsSynced"]), (&json!(100.0), &json!(2)));
    let synced = |run: &Value| run["recordsSynced"].as_u64().unwrap();
    assert_eq!(history.as_array().unwrap().iter().map(synced).sum::<u64>(), 2, "each call once: {history}");
    let long_ago = client.get("sync/stats?startDate=2020-01-01&endDate=2020-01-02");
    assert_eq!((&long_ago["total"], &long_ago["successRate"]), (&json!(0), &Value::Null));
}

#[test]
fn a_second_sync_is_a_conflict_while_the_first_is_under_way() {
    let exotel = Fake::start();
    exotel.add_call("c1");
    let client = Client::start(&setup(&exotel).with("sync.interval", "1h"), "admin");
    client.until("sync/status", "a first run", |run| run["status"] == "success");
    exotel.twist(|_, mut reply| {
        reply.after = std::time::Duration::from_secs(5);
        reply
    });
    assert_eq!(client.ask("POST", "sync/trigger").status, 201);
    let second = client.ask("POST", "sync/trigger");
    assert_eq!(second.status, 409, "{}", second.text());
    let body = second.json().unwrap();
    assert_eq!((&body["statusCode"], &body["error"]["code"]), (&json!(409), &json!("sync_running")));
    assert_eq!(client.get("sync/status")["status"], "in_progress");
}

#[test]
fn managers_look_and_only_admins_act() {
    let exotel = Fake::start();
    let setup = setup(&exotel);
    let client = Client::start(&setup, "manager");
    for path in [
        "health/current",
        "health/history",
        "health/stats",
        "sync/status",
        "sync/history",
        "sync/stats",
        "accounts",
        "exophones",
        "calls",
        "calls/stats",
        "webhooks/stats",
        "webhooks/missed",
        "rows/set-aside",
    ] {
        assert_eq!(client.ask("GET", path).status, 200, "{path}");
        let url = format!("{}/api/monitoring/{path}", client.agent.base);
        assert_eq!(http::get(&url).unwrap().status, 401, "{path} without a token");
    }
    for path in ["health/check", "sync/trigger", "calls/c1/refresh"] {
        let answer = client.ask("POST", path);
        assert_eq!(answer.status, 403, "{path}");
        assert_eq!(answer.json().unwrap()["error"]["code"], "role_not_allowed", "{path}");
    }
    let bearer = format!("Bearer {}", token(&setup, "admin"));
    let url = format!("{}/api/monitoring/health/check", client.agent.base);
    assert_eq!(http::ask("POST", &url, &[("Authorization", &bearer)]).unwrap().status, 201);
}
