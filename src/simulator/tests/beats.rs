//! Heartbeats.

use super::mailbox::{BASE, Letter, Mailbox, assert_same_shape, fixture};
use super::*;
use crate::simulator::{
    HeartbeatShape, HeartbeatSwitch, Lines, NoneAffected, Outage, OutageState, WebhookKind,
};

fn options() -> Options {
    let mut options = plain(0.0);
    options.webhooks.base = Some(BASE.to_owned());
    options.webhooks.delay = Delay::none();
    options.webhooks.heartbeats.every = Some(Duration::from_secs(60));
    options
}

async fn later(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn beats(mailbox: &Mailbox) -> Vec<Value> {
    mailbox.of(WebhookKind::Heartbeat).iter().map(Letter::json).collect()
}

fn theirs(name: &str) -> Value {
    serde_json::from_str(&fixture(&format!("{name}.json"))).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_comes_each_minute_all_clear_included() {
    let bench = Bench::new(options());
    let mailbox = Mailbox::open(&bench);
    later(185).await;
    let beats = beats(&mailbox);
    let times: Vec<_> = beats.iter().map(|beat| beat["timestamp"].as_str().unwrap()).collect();
    assert_eq!(times, ["2026-03-02T13:01:00Z", "2026-03-02T13:02:00Z", "2026-03-02T13:03:00Z"]);
    let mut expected = theirs("heartbeat-ok");
    expected["timestamp"] = beats[0]["timestamp"].clone();
    assert_eq!(beats[0], expected);
    assert_eq!(mailbox.all()[0].method, "POST");
}

#[tokio::test(start_paused = true)]
async fn some_numbers_out_is_a_warning_and_all_of_them_critical_as_the_poll_says() {
    let bench = Bench::new(options());
    let mailbox = Mailbox::open(&bench);
    let outage =
        Outage { exophone: Some(1), lines: Lines::Incoming, state: OutageState::PartialNetworkOutage };
    bench.simulator.begin_outage("exampleacct1", outage, Some(Duration::from_secs(61)));
    later(61).await;
    bench.simulator.begin_outage("exampleacct1", Outage::default(), Some(Duration::from_secs(70)));
    later(120).await;
    let beats = beats(&mailbox);
    let words: Vec<_> = beats.iter().map(|beat| beat["status_type"].as_str().unwrap()).collect();
    assert_eq!(words, ["WARNING", "CRITICAL", "OK"]);
    let list = bench.get("/_sim/outages").await.json();
    let sid = list["numbers"][1]["sid"].clone();
    assert_eq!(beats[0]["incoming_affected"], serde_json::json!([sid]));
    assert_eq!(beats[0]["outgoing_affected"], Value::Null);
    let block = &beats[0]["data"][sid.as_str().unwrap()];
    assert_eq!(block["incoming_call"]["status"], "partial_network_outage");
    assert_eq!(block["incoming_call"]["last_check_time"], "2026-03-02T13:01:00Z");
    assert_same_shape(&beats[0], &theirs("heartbeat-warning"), "data");
    assert_eq!(beats[1]["outgoing_affected"].as_array().unwrap().len(), 3);
    assert_same_shape(&beats[1], &theirs("heartbeat-critical"), "data");
}

#[tokio::test(start_paused = true)]
async fn heartbeat_and_poll_agree_at_any_time() {
    let mut options = options();
    options.outages.every = Some(Duration::from_secs(300));
    options.outages.lasts = Delay::seconds(60.0, 250.0);
    options.webhooks.heartbeats.every = Some(Duration::from_secs(20));
    let bench = Bench::new(options);
    let mailbox = Mailbox::open(&bench);
    let mut affected = 0;
    later(1).await;
    for _ in 0..180 {
        later(19).await;
        let list = bench.get("/_sim/outages").await.json();
        later(1).await;
        let beat = beats(&mailbox).pop().unwrap();
        for (list_key, poll_key) in [("incoming_affected", "incoming"), ("outgoing_affected", "outgoing")] {
            let polled: Vec<_> = list["numbers"].as_array().unwrap().iter().collect();
            let out = polled.iter().filter(|n| n[poll_key] != "active").map(|n| n["sid"].clone());
            let out: Vec<_> = out.collect();
            affected += out.len();
            let said = beat[list_key].as_array().cloned().unwrap_or_default();
            assert_eq!(said, out, "{beat}");
        }
    }
    assert!(affected > 20, "{affected}");
}

#[tokio::test(start_paused = true)]
async fn details_come_in_three_shapes() {
    for (shape, name) in [
        (HeartbeatShape::Lines, "heartbeat-warning"),
        (HeartbeatShape::Connectivity, "heartbeat-warning-connectivity"),
        (HeartbeatShape::PhoneNumber, "heartbeat-warning-phone-number"),
    ] {
        let mut options = options();
        options.webhooks.heartbeats.shape = shape;
        let bench = Bench::new(options);
        let mailbox = Mailbox::open(&bench);
        let outage = Outage { exophone: Some(0), lines: Lines::Incoming, ..Outage::default() };
        bench.simulator.begin_outage("exampleacct1", outage, None);
        later(61).await;
        assert_same_shape(&beats(&mailbox)[0], &theirs(name), "data");
        mailbox.close();
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_affected_one_way_is_null_or_empty_or_missing() {
    for (none_affected, expected) in [
        (NoneAffected::Null, Some(Value::Null)),
        (NoneAffected::Empty, Some(serde_json::json!([]))),
        (NoneAffected::Missing, None),
    ] {
        let mut options = options();
        options.webhooks.heartbeats.none_affected = none_affected;
        let bench = Bench::new(options);
        let mailbox = Mailbox::open(&bench);
        let outage = Outage { exophone: Some(0), lines: Lines::Outgoing, ..Outage::default() };
        bench.simulator.begin_outage("exampleacct1", outage, None);
        later(61).await;
        assert_eq!(beats(&mailbox)[0].get("incoming_affected").cloned(), expected);
        mailbox.close();
    }
}

#[tokio::test(start_paused = true)]
async fn details_are_left_out_on_demand_or_above_a_number_of_affected_ones() {
    let mut options = options();
    options.webhooks.heartbeats.too_large_above = Some(2);
    let bench = Bench::new(options);
    let mailbox = Mailbox::open(&bench);
    bench.send("POST", "/_sim/heartbeats", r#""too_large""#).await.unwrap();
    later(61).await;
    bench.send("POST", "/_sim/heartbeats", r#""usual""#).await.unwrap();
    bench.simulator.begin_outage("exampleacct1", Outage::default(), None);
    later(60).await;
    for beat in beats(&mailbox) {
        let mut expected = theirs("heartbeat-payload-too-large");
        expected["timestamp"] = beat["timestamp"].clone();
        assert_eq!(beat, expected);
    }
    assert_eq!(beats(&mailbox).len(), 2);
    let wrong = bench.send("POST", "/_sim/heartbeats", r#""loud""#).await.unwrap();
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_fall_silent_on_demand() {
    let bench = Bench::new(options());
    let mailbox = Mailbox::open(&bench);
    later(61).await;
    assert!(bench.simulator.set_heartbeats("exampleacct1", HeartbeatSwitch::Silent));
    later(600).await;
    assert_eq!(beats(&mailbox).len(), 1);
    bench.simulator.set_heartbeats("exampleacct1", HeartbeatSwitch::Usual);
    later(60).await;
    assert_eq!(beats(&mailbox).len(), 2);
    assert!(!bench.simulator.set_heartbeats("nobody", HeartbeatSwitch::Usual));
}

#[tokio::test(start_paused = true)]
async fn heartbeats_repeat_and_overtake_one_another() {
    let mut options = options();
    options.webhooks.doubled_share = 0.2;
    options.webhooks.disordered_share = 0.2;
    options.webhooks.disordered_by = Delay::seconds(70.0, 200.0);
    options.webhooks.lost_share = 0.1;
    let bench = Bench::new(options);
    let mailbox = Mailbox::open(&bench);
    later(200 * 60).await;
    let times: Vec<_> =
        beats(&mailbox).iter().map(|beat| beat["timestamp"].as_str().unwrap().to_owned()).collect();
    let unique: HashSet<_> = times.iter().collect();
    assert!(times.windows(2).any(|pair| pair[0] > pair[1]), "none came late");
    assert!(
        times.len() > unique.len() + 10,
        "{} of {} were repeats",
        times.len() - unique.len(),
        times.len()
    );
    assert!((160..199).contains(&unique.len()), "{} came", unique.len());
}
