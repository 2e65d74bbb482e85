//! Health of numbers as it is asked for, and outages by hand.

use serde_json::json;

use super::*;
use crate::simulator::{
    Alternate, Envelope, ExoPhoneHealth, Lines, Outage, OutageState, PlannedOutage, Pool, Scenario,
};

async fn sids_of(bench: &Bench) -> Vec<String> {
    let list = bench.get("/_sim/outages").await.json();
    list["numbers"].as_array().unwrap().iter().map(|n| n["sid"].as_str().unwrap().to_owned()).collect()
}

async fn health(bench: &Bench, sid: &str) -> Value {
    bench.get(&format!("/v2/accounts/exampleacct1/incoming-phone-numbers/{sid}")).await.json()
}

fn planned(after: u64, lasts: u64, outage: Outage) -> PlannedOutage {
    let [after, lasts] = [after, lasts].map(Duration::from_secs);
    PlannedOutage { after, lasts, outage }
}

#[tokio::test(start_paused = true)]
async fn an_outage_shows_in_the_health_of_its_number_alone_and_ends() {
    let mut options = plain(0.0);
    let out = Outage { exophone: Some(1), lines: Lines::Incoming, state: OutageState::MajorOutage };
    let partly =
        Outage { exophone: Some(1), lines: Lines::Outgoing, state: OutageState::PartialNetworkOutage };
    options.outages.planned = vec![planned(70, 100, out), planned(70, 50, partly)];
    let bench = Bench::new(options);
    let sids = sids_of(&bench).await;
    let lines = async |n: usize| {
        let told = health(&bench, &sids[n]).await["connectivity"].clone();
        let text = |line: &str| told[line]["status"].as_str().unwrap().to_owned();
        (text("incoming_call"), text("outgoing_call"), told)
    };
    pass(69).await;
    assert_eq!(lines(1).await.0, "active");
    pass(1).await;
    let (incoming, outgoing, told) = lines(1).await;
    assert_eq!((incoming.as_str(), outgoing.as_str()), ("major_outage", "partial_network_outage"));
    assert_eq!(told["incoming_call"]["alternate_exophone"], "+918000000011");
    assert_eq!(told["outgoing_call"]["alternate_exophone"], Value::Null);
    assert_eq!(lines(0).await.0, "active");
    pass(50).await;
    let (incoming, outgoing, _) = lines(1).await;
    assert_eq!((incoming.as_str(), outgoing.as_str()), ("major_outage", "active"));
    pass(50).await;
    assert_eq!(lines(1).await.0, "active");
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_last_check_moves_each_minute_and_with_each_change() {
    let mut options = plain(0.0);
    options.outages.planned = vec![planned(70, 1000, Outage { exophone: Some(0), ..Outage::default() })];
    let bench = Bench::new(options);
    let sid = sids_of(&bench).await.remove(0);
    let checked = async || {
        let told = health(&bench, &sid).await;
        told["connectivity"]["incoming_call"]["last_check_time"].as_str().unwrap().to_owned()
    };
    assert_eq!(checked().await, "2026-03-02T13:00:00Z");
    pass(69).await;
    assert_eq!(checked().await, "2026-03-02T13:01:00Z");
    pass(6).await;
    assert_eq!(checked().await, "2026-03-02T13:01:10Z");
    pass(60).await;
    assert_eq!(checked().await, "2026-03-02T13:02:00Z");
}

#[tokio::test(start_paused = true)]
async fn health_comes_bare_or_wrapped_whole_or_half_or_not_at_all() {
    let mut options = plain(0.0);
    options.outages.planned = vec![planned(0, 1000, Outage { exophone: Some(0), ..Outage::default() })];
    for (envelope, name) in
        [(Envelope::Bare, "exophone-details-outage"), (Envelope::Wrapped, "exophone-details-enveloped")]
    {
        options.exophones.envelope = envelope;
        let bench = Bench::new(options.clone());
        let told = health(&bench, &sids_of(&bench).await[0]).await;
        let mut theirs: Value = serde_json::from_str(&mailbox::fixture(&format!("{name}.json"))).unwrap();
        let (ours, theirs) = match envelope {
            Envelope::Bare => (told.clone(), theirs.take()),
            Envelope::Wrapped => {
                assert_eq!(told["response"]["status"], theirs["response"]["status"]);
                (told["response"]["data"].clone(), theirs["response"]["data"].take())
            }
        };
        for (key, value) in theirs.as_object().unwrap() {
            mailbox::assert_same_shape(&ours[key], value, "");
        }
    }
    options.exophones.envelope = Envelope::Bare;
    options.outages.alternate = Alternate::Object;
    options.exophones.health = ExoPhoneHealth::IncomingOnly;
    let bench = Bench::new(options.clone());
    let told = health(&bench, &sids_of(&bench).await[0]).await["connectivity"].clone();
    assert_eq!(told["incoming_call"]["alternate_exophone"]["phone_number"], "+918000000022");
    assert_eq!(told.get("outgoing_call"), None);

    options.exophones.health = ExoPhoneHealth::Missing;
    let bench = Bench::new(options);
    let sid = sids_of(&bench).await.remove(0);
    let answer = bench.get(&format!("/v2/accounts/exampleacct1/incoming-phone-numbers/{sid}")).await;
    assert_eq!((answer.status, answer.json()["http_code"].clone()), (StatusCode::NOT_FOUND, json!(404)));
}

#[tokio::test(start_paused = true)]
async fn numbers_have_their_own_limit_of_fifty_a_minute() {
    let mut options = plain(0.0);
    options.limits.exophones = Some(50);
    let bench = Bench::new(options);
    let sid = sids_of(&bench).await.remove(0);
    let path = format!("/v2/accounts/exampleacct1/incoming-phone-numbers/{sid}");
    for _ in 0..50 {
        assert_eq!(bench.get(&path).await.status, StatusCode::OK);
    }
    let refused = bench.get(&path).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.json()["response"]["error_data"]["code"], 10724);
    assert_eq!(refused.headers["retry-after"], "30");
    assert_eq!(bench.bulk("").await.status, StatusCode::OK);
    pass(60).await;
    assert_eq!(bench.get(&path).await.status, StatusCode::OK);
    assert_eq!(bench.simulator.arrivals().largest(0, Pool::Exophones, 60_000), 51);
}

#[tokio::test(start_paused = true)]
async fn outages_begin_and_end_on_demand() {
    let bench = Bench::new(plain(0.0));
    let states = async || {
        let list = bench.get("/_sim/outages").await.json();
        let numbers = list["numbers"].as_array().unwrap().clone();
        numbers.iter().map(|n| n["incoming"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let begin = async |query: &str, body: &str| {
        bench.send("POST", &format!("/_sim/outages{query}"), body).await.unwrap().status
    };
    assert_eq!(
        begin("", r#"{"exophone": 2, "lines": "incoming", "state": "partial_network_outage"}"#).await,
        200
    );
    assert_eq!(states().await, ["active", "active", "partial_network_outage"]);
    assert_eq!(begin("?seconds=5", "{}").await, 200);
    assert_eq!(states().await, ["major_outage"; 3]);
    pass(5).await;
    assert_eq!(states().await, ["active", "active", "partial_network_outage"]);
    bench.send("POST", "/_sim/end-outages", "").await.unwrap();
    assert_eq!(states().await, ["active"; 3]);
    assert_eq!(begin("", r#"{"exophone": 3}"#).await, 404);
    assert_eq!(begin("", r#"{"phone": 1}"#).await, 400);
    assert_eq!(begin("?seconds=-1", "{}").await, 400);
    assert_eq!(begin("?account=nobody", "{}").await, 404);
}

#[tokio::test(start_paused = true)]
async fn the_outage_scenario_repeats_with_its_seed() {
    let story = async |seed| {
        let bench = Bench::new(Options { seed, ..Scenario::Outage.options() });
        let mut states = Vec::new();
        for _ in 0..60 {
            let list = bench.get("/_sim/outages").await.json();
            let lines = |n: &Value| format!("{} {}", n["incoming"], n["outgoing"]);
            states.push(list["numbers"].as_array().unwrap().iter().map(lines).collect::<Vec<_>>());
            pass(5).await;
        }
        states
    };
    let first = story(1).await;
    assert_eq!(first, story(1).await);
    assert_ne!(first, story(2).await);
    assert!(first[0][0].contains("active") && first[3][0].contains("major_outage"), "{:?}", &first[..4]);
    assert!(first[12..].iter().any(|states| states.iter().any(|state| state.contains("outage"))));
}
