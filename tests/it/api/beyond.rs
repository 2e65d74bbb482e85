//! What the old module did not have: accounts, numbers, calls, sums, and what is kept from whom.

use serde_json::{Value, json};

use super::{Client, has, setup};
use crate::support::agent::{Setup, account};
use crate::support::fake::Fake;
use crate::support::simulator::Simulator;
use crate::support::{http, secs};

#[test]
fn calls_are_listed_page_by_page_and_agree_with_their_sums() {
    let exotel = Fake::start();
    for n in 0..7 {
        exotel.add_call(&format!("c{n}"));
    }
    let client = Client::start(&setup(&exotel), "manager");
    client.until("calls", "all calls are read", |page| page["calls"].as_array().unwrap().len() == 7);
    let mut seen = Vec::new();
    let mut path = "calls?limit=3&status=no-answer".to_owned();
    loop {
        let page = client.get(&path);
        for call in page["calls"].as_array().unwrap() {
            seen.push(call["sid"].as_str().unwrap().to_owned());
            assert_eq!(
                (&call["from"], &call["to"]),
                (&json!("*******0092"), &json!("*******0001")),
                "{call}"
            );
        }
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        path = format!("calls?limit=3&status=no-answer&cursor={cursor}");
    }
    assert_eq!(seen.len(), 7);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 7, "each call once");
    for (filter, count) in [
        ("status=completed", 0),
        ("direction=outbound-dial", 7),
        ("direction=inbound", 0),
        ("exophone=08000000011", 7),
        ("exophone=08000000012", 0),
        ("from=2020-01-01&to=2020-01-02", 0),
    ] {
        let page = client.get(&format!("calls?{filter}"));
        assert_eq!(page["calls"].as_array().unwrap().len(), count, "{filter}");
    }
    let one = client.get(&format!("calls/{}", seen[0]));
    assert_eq!(one["sid"], seen[0].as_str());

    let sums = client.until("calls/stats", "all calls are counted", |stats| total(stats) == 7);
    has(&sums["buckets"][0], &["start", "calls", "answerRatio", "statuses", "outcomes", "directions"]);
    assert_eq!(total(&client.get("calls/stats?by=day")), 7);
}

#[test]
fn a_call_that_is_refreshed_is_stored_as_exotel_says_now() {
    let exotel = Fake::start();
    let setup = setup(&exotel).with("sync.enabled", false);
    let client = Client::start(&setup, "admin");
    exotel.add_call("c1");
    exotel.answer_single_calls();
    let sid = format!("{:0>32}", "c1");
    assert_eq!(client.ask("GET", &format!("calls/{sid}")).status, 404, "nothing is read");
    let refreshed = client.ask("POST", &format!("calls/{sid}/refresh"));
    assert_eq!(refreshed.status, 200, "{}", refreshed.text());
    assert_eq!(refreshed.json().unwrap()["status"], "no-answer");
    assert_eq!(client.get(&format!("calls/{sid}"))["sid"], sid.as_str());
    exotel.change_call(&sid, |row| row["Price"] = json!("1.500000"));
    let again = client.ask("POST", &format!("calls/{sid}/refresh")).json().unwrap();
    assert_eq!(again["price"], 1.5, "{again}");
    let unknown = client.ask("POST", "calls/00000000000000000000000000000000/refresh");
    assert_eq!((unknown.status, &unknown.json().unwrap()["error"]["code"]), (404, &json!("call_unknown")));
    let off = client.ask("POST", "sync/trigger");
    assert_eq!((off.status, &off.json().unwrap()["error"]["code"]), (409, &json!("sync_off")));
}

fn total(stats: &Value) -> u64 {
    stats["buckets"].as_array().unwrap().iter().map(|bucket| bucket["calls"].as_u64().unwrap()).sum()
}

#[test]
fn accounts_and_numbers_show_budgets_errors_and_health() {
    let exotel = Fake::start();
    let setup = setup(&exotel).with("accounts.0.exophones", json!({"+918000000011": "sales"}));
    let client = Client::start(&setup, "manager");
    let numbers = client.until("exophones", "a poll of the number", |numbers| numbers[0]["poll"].is_object());
    assert_eq!((&numbers[0]["label"], &numbers[0]["push"]), (&json!("sales"), &Value::Null));
    assert_eq!(numbers[0]["poll"]["inbound"]["state"], "active");
    let account = &client.get("accounts")[0];
    assert_eq!((&account["name"], &account["sid"]), (&json!("acme"), &json!("exampleacct1")));
    let voice = account["budgets"].as_array().unwrap().iter().find(|pool| pool["pool"] == "voice").unwrap();
    assert_eq!(voice["perMinute"], 6000);
    for name in ["acme", "exampleacct1"] {
        assert_eq!(client.get(&format!("accounts?account={name}")).as_array().unwrap().len(), 1);
    }
    let stats = client.get("webhooks/stats");
    assert_eq!((&stats["enabled"], &stats["loss"]), (&json!(false), &Value::Null));
}

#[test]
fn while_a_number_is_out_the_one_to_use_instead_is_named_to_programs_and_on_the_page() {
    let mut exotel = Simulator::planned("outage", 5);
    let setup = Setup::new(&[account("acme", &exotel.base)])
        .with("api", json!({"jwt_secret": super::SECRET}))
        .with("sync.enabled", false);
    exotel.start();
    exotel.tell("outages", &json!({"exophone": 0, "state": "major_outage"}));
    let client = Client { agent: setup.start(), token: super::token(&setup, "manager") };
    let numbers = client.until("exophones", "the outage", |numbers| {
        let alternate = |way: &str| numbers[0]["poll"][way]["alternate"].is_object();
        alternate("inbound") && alternate("outbound")
    });
    let labels: Vec<&Value> = numbers.as_array().unwrap().iter().map(|number| &number["label"]).collect();
    for way in ["inbound", "outbound"] {
        let alternate = &numbers[0]["poll"][way]["alternate"];
        assert!(labels[1..].contains(&&alternate["label"]), "{way}, text or object: {numbers}");
        assert_eq!(alternate["name"], alternate["label"], "{way}");
    }
    let page = http::get(&format!("{}/", client.agent.base)).unwrap().text();
    let named = numbers[0]["poll"]["inbound"]["alternate"]["label"].as_str().unwrap();
    assert!(page.contains(&format!("Exotel suggests {named} meanwhile")), "{page}");
    exotel.tell("end-outages", &Value::Null);
    client.until("exophones", "the end of the outage", |numbers| {
        numbers[0]["poll"]["inbound"]["state"] == "active"
            && numbers[0]["poll"]["inbound"]["alternate"].is_null()
    });
}

#[test]
fn a_row_that_cannot_be_read_is_served_without_its_number() {
    let exotel = Fake::start();
    exotel.add_call("c1");
    let sid = format!("{:0>32}", "c1");
    exotel.change_call(&sid, |row| row["Status"] = Value::Null);
    let setup = setup(&exotel);
    let client = Client::start(&setup, "manager");
    let rows = client.until("rows/set-aside", "the row is set aside", |rows| rows[0].is_object());
    let text = rows.to_string();
    assert!(text.contains("Status") && !text.contains("09900000001"), "{text}");
    assert_eq!(rows[0]["sid"], sid.as_str());
    let run = client.until("sync/history", "its run says so", |runs| {
        runs.as_array().unwrap().iter().any(|run| run["errorMessage"].is_string())
    });
    assert!(run.as_array().unwrap().iter().all(|run| run["status"] != "failed"), "{run}");
    let mut agent = client.agent;
    assert!(agent.process.terminate(secs(10)).success());
    assert!(!agent.process.log().contains("09900000001"), "{}", agent.process.log());
}

#[test]
fn the_description_needs_no_token_and_names_every_route() {
    let exotel = Fake::start();
    let client = Client::start(&setup(&exotel), "admin");
    let document = http::get(&format!("{}/api/openapi.json", client.agent.base)).unwrap();
    assert_eq!((document.status, document.header("content-type")), (200, "application/json"));
    let document = document.json().unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    for path in paths.keys().filter(|path| !path.contains('{')) {
        let got = client.ask("GET", path.strip_prefix("/api/monitoring/").unwrap()).status;
        let expected = if paths[path]["get"].is_object() { 200 } else { 405 };
        assert_eq!(got, expected, "{path}");
    }
}
