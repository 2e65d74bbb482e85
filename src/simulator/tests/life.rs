//! What is shown when.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::simulator::{BulkDetails, CallTimes, ExtraKey, History, Planted};

async fn call(bench: &Bench, sid: &str) -> Answer {
    bench.get(&format!("/v1/Accounts/exampleacct1/Calls/{sid}.json?details=true")).await
}

fn times(bench: &Bench) -> Vec<CallTimes> {
    bench.simulator.calls("exampleacct1", 0, usize::MAX).unwrap()
}

fn now(seconds: u64) -> f64 {
    START.0 as f64 + seconds as f64
}

#[tokio::test(start_paused = true)]
async fn a_row_appears_only_after_the_end_and_the_index_delay_under_its_start() {
    let mut options = plain(2.0);
    options.delays.index = Delay::seconds(20.0, 40.0);
    let bench = Bench::new(options);
    for second in [15, 30, 60] {
        pass(second).await;
    }
    let shown: HashMap<_, _> = bench
        .rows(&format!("{}&PageSize=100", window(0, 200)))
        .await
        .into_iter()
        .map(|row| (row["Sid"].as_str().unwrap().to_owned(), row))
        .collect();
    let times = times(&bench);
    assert!(times.iter().any(|call| call.visible > now(105)));
    for call in times {
        assert!(call.visible >= call.ended + 19.9);
        assert_eq!(shown.contains_key(&call.sid), call.visible <= now(105), "{call:?}");
        if let Some(row) = shown.get(&call.sid) {
            let created = Timestamp(call.created).to_wall(crate::model::UtcOffset::default()).to_string();
            assert_eq!(row["DateCreated"], created);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn end_duration_and_price_come_in_their_time_and_date_updated_moves() {
    let mut options = plain(0.0);
    options.traffic.opening = Duration::ZERO;
    options.traffic.planted = vec![Planted { before_start: Duration::ZERO, lasts: Duration::from_secs(10) }];
    options.delays.settle = Delay::seconds(20.0, 20.0);
    options.delays.duration_lag = Delay::seconds(10.0, 10.0);
    options.delays.price_lag = Delay::seconds(20.0, 20.0);
    options.delays.recording = Delay::seconds(60.0, 60.0);
    let bench = Bench::new(options);
    let query = window(0, 0);
    let mut passed = 0;
    let mut last = String::new();
    for (at, shown) in [
        (15, [false, false, false, false]),
        (30, [true, false, false, false]),
        (40, [true, true, false, false]),
        (50, [true, true, true, false]),
        (70, [true, true, true, true]),
    ] {
        pass(at - passed).await;
        passed = at;
        let row = bench.bulk(&query).await.rows().remove(0);
        let have = ["EndTime", "Duration", "Price", "RecordingUrl"].map(|key| !row[key].is_null());
        assert_eq!(have, shown, "after {at} s");
        assert_eq!(row["Status"], "completed");
        let matched = bench.bulk(&format!("{query}&Duration=gte:1s")).await.rows().len();
        assert_eq!(matched, usize::from(shown[1]), "Duration filter after {at} s");
        let updated = row["DateUpdated"].as_str().unwrap().to_owned();
        assert!(updated > last, "{updated} {last}");
        last = updated;
    }
    assert_eq!(last, "2026-03-02 18:31:10");
}

#[tokio::test(start_paused = true)]
async fn a_running_call_is_found_by_its_sid_alone() {
    let mut options = plain(0.0);
    options.traffic.planted =
        vec![Planted { before_start: Duration::from_secs(60), lasts: Duration::from_secs(100) }];
    let bench = Bench::new(options);
    let sid = times(&bench)[0].sid.clone();
    assert!(bench.rows(&window(100, 100)).await.is_empty());
    assert!(bench.bulk(&format!("Sid={sid}")).await.rows().is_empty());
    let found = call(&bench, &sid).await.json();
    assert_eq!(found["Call"]["Status"], "in-progress");
    assert_eq!(found["Call"]["EndTime"], Value::Null);
    assert_eq!(found["Call"]["Duration"], Value::Null);
    assert_eq!(found["Call"]["Details"]["Leg1Status"], "in-progress");
    pass(41).await;
    assert_eq!(call(&bench, &sid).await.json()["Call"]["Status"], "completed");
    assert_eq!(sids(&bench.rows(&window(100, 100)).await), [sid]);
    assert_eq!(call(&bench, "0123456789abcdef0123456789abcdef").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn calls_do_not_depend_on_how_often_the_simulator_is_asked() {
    let mut options = plain(3.0);
    options.traffic.child_share = 0.3;
    options.traffic.history = History { calls: 100, over: Duration::from_secs(3600) };
    let often = Bench::new(options.clone());
    let seldom = Bench::new(options.clone());
    let other = Bench::new(Options { seed: 2, ..options });
    for _ in 0..60 {
        pass(1).await;
        often.bulk("").await;
    }
    assert_eq!(times(&often), times(&seldom));
    let all = format!("{}&PageSize=100", window(3600, 60));
    assert_eq!(often.rows(&all).await, seldom.rows(&all).await);
    assert_ne!(times(&often)[0].sid, times(&other)[0].sid);
    assert_eq!(times(&often).iter().filter(|call| call.created < START.0).count() as u64, {
        let query = format!("{}&PageSize=1", window(3600, -1));
        often.bulk(&query).await.json()["Metadata"]["Total"].as_u64().unwrap()
    });
}

#[tokio::test(start_paused = true)]
async fn history_is_spread_evenly_and_in_full() {
    let mut options = plain(0.0);
    options.traffic.history = History { calls: 1000, over: Duration::from_secs(10 * 86_400) };
    let bench = Bench::new(options);
    let times = times(&bench);
    assert_eq!(times.len(), 1000);
    for day in 0..10 {
        let from = START.0 - (day + 1) * 86_400;
        let count = times.iter().filter(|call| (from..from + 86_400).contains(&call.created)).count();
        assert_eq!(count, 100, "day {day}");
    }
}

#[tokio::test(start_paused = true)]
async fn traffic_has_its_rate_its_hours_and_its_end() {
    let mut options = plain(1.0);
    options.traffic.profile = crate::simulator::Profile::BusinessHours;
    let bench = Bench::new(options);
    pass(86_400).await;
    let times = times(&bench);
    assert!((82_000..91_000).contains(&times.len()), "{}", times.len());
    // The start is 18:30 on the account's clock; the next day's 10:30 is 16 hours later.
    let hour = |from: i64| {
        let from = START.0 + from * 3600;
        times.iter().filter(|call| (from..from + 3600).contains(&call.created)).count()
    };
    assert!(hour(16) > 10 * hour(8), "{} {}", hour(16), hour(8));

    let mut options = plain(10.0);
    options.traffic.max_calls = Some(25);
    let bench = Bench::new(options);
    assert!(!bench.simulator.quiet());
    pass(300).await;
    assert_eq!(self::times(&bench).len(), 25);
    assert!(bench.simulator.quiet());
}

#[tokio::test(start_paused = true)]
async fn stopped_traffic_becomes_quiet_once_all_is_known() {
    let mut options = plain(2.0);
    options.traffic.child_share = 0.5;
    options.delays.late_price_share = 0.3;
    options.delays.late_price = Delay::seconds(100.0, 200.0);
    let bench = Bench::new(options);
    pass(30).await;
    bench.simulator.stop_traffic();
    let roots = |bench: &Bench| {
        let query = crate::simulator::TruthQuery {
            live_from: START,
            short_call: 10,
            legs: crate::simulator::LegsKnown::All,
        };
        bench.simulator.truth("exampleacct1", query).unwrap().roots
    };
    let before = roots(&bench);
    assert!(!bench.simulator.quiet());
    let end = times(&bench).iter().map(|call| call.settled).fold(0.0, f64::max);
    assert!(end > now(100));
    while !bench.simulator.quiet() {
        pass(1).await;
        assert!(bench.simulator.inner.clock.now().0 < START.0 + 300);
    }
    assert_eq!(roots(&bench), before);
    for row in bench.rows(&window(0, 100)).await {
        assert!(!row["EndTime"].is_null() && !row["Duration"].is_null());
        assert!(row["Status"] != "completed" || !row["Price"].is_null());
    }
}

#[tokio::test(start_paused = true)]
async fn a_moved_call_is_filed_once_and_elsewhere() {
    let mut options = plain(2.0);
    options.oddities.moved_share = 0.3;
    options.oddities.moved_after = Delay::seconds(60.0, 60.0);
    options.oddities.moved_by = Duration::from_secs(30);
    options.traffic.max_calls = Some(60);
    let bench = Bench::new(options);
    pass(62).await;
    let query = format!("{}&PageSize=9&SortBy=DateCreated:asc", window(0, 200));
    let by_sid = |rows: Vec<Value>| -> HashMap<String, String> {
        rows.iter()
            .map(|row| {
                (row["Sid"].as_str().unwrap().to_owned(), row["DateCreated"].as_str().unwrap().to_owned())
            })
            .collect()
    };
    let before = by_sid(bench.rows(&query).await);
    pass(138).await;
    let rows = bench.rows(&query).await;
    assert!(is_unique(&sids(&rows)));
    assert!(rows.iter().map(|row| row["DateCreated"].as_str().unwrap()).is_sorted());
    let total = bench.bulk(&query).await.json()["Metadata"]["Total"].clone();
    assert_eq!(total, rows.len());
    assert_eq!(rows.len(), 60);
    let mut newest_first = sids(&bench.rows(&query.replace("asc", "desc")).await);
    newest_first.reverse();
    assert_eq!(newest_first, sids(&rows));
    let after = by_sid(rows);
    let moved = before.iter().filter(|(sid, created)| after[*sid] != **created).count();
    assert!(moved > 5, "{moved}");
    let sid = before.iter().find(|(sid, created)| after[*sid] != **created).unwrap().0;
    assert_eq!(call(&bench, sid).await.json()["Call"]["DateCreated"], after[sid]);
}

#[tokio::test(start_paused = true)]
async fn unreadable_rows_heal() {
    let mut options = plain(2.0);
    options.oddities.unreadable_share = 0.3;
    options.oddities.unreadable_for = Delay::seconds(100.0, 100.0);
    options.traffic.max_calls = Some(100);
    let bench = Bench::new(options);
    pass(90).await;
    let query = format!("{}&PageSize=100", window(0, 200));
    let rows = bench.rows(&query).await;
    let total = rows.len();
    let no_sid = rows.iter().filter(|row| row.get("Sid").is_none()).count();
    let no_date = rows.iter().filter(|row| row["DateCreated"] == "yesterday").count();
    let no_status = rows.iter().filter(|row| row["Status"].is_null()).count();
    assert!(no_sid > 0 && no_date > 0 && no_status > 0, "{no_sid} {no_date} {no_status}");
    pass(200).await;
    let rows = bench.rows(&query).await;
    assert_eq!(rows.len(), total);
    for row in rows {
        assert!(row["Sid"].is_string() && row["Status"].is_string() && row["DateCreated"] != "yesterday");
    }
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_sip_leg_changes_later() {
    let mut options = plain(3.0);
    options.traffic.sip_share = 1.0;
    options.traffic.max_calls = Some(100);
    options.oddities.sip_change_share = 1.0;
    options.oddities.sip_change = Delay::seconds(100.0, 100.0);
    options.wire.bulk_details = BulkDetails::Sent;
    let bench = Bench::new(options);
    pass(90).await;
    let query = format!("{}&PageSize=100&details=true", window(0, 200));
    let before = bench.rows(&query).await;
    pass(200).await;
    let after = bench.rows(&query).await;
    let legs = |row: &Value| row["Details"]["Leg2Status"].clone();
    let changed = before.iter().zip(&after).filter(|(a, b)| legs(a) != legs(b)).count();
    assert!(changed > 20, "{changed}");
    assert!(
        before
            .iter()
            .all(|row| ["To", "From"].iter().any(|key| row[key].as_str().unwrap().starts_with("sip:")))
    );
}

#[tokio::test(start_paused = true)]
async fn leg_rows_name_their_parent_and_lie_within_its_call() {
    let mut options = plain(2.0);
    options.traffic.child_share = 1.0;
    options.traffic.orphan_share = 0.1;
    options.traffic.max_calls = Some(100);
    let bench = Bench::new(options);
    pass(300).await;
    let rows = bench.rows(&format!("{}&PageSize=100", window(0, 300))).await;
    let by_sid: HashMap<_, _> = rows.iter().map(|row| (row["Sid"].as_str().unwrap(), row)).collect();
    let (mut legs, mut orphans) = (0, 0);
    for row in rows.iter().filter(|row| !row["ParentCallSid"].is_null()) {
        match by_sid.get(row["ParentCallSid"].as_str().unwrap()) {
            Some(root) => {
                assert!(root["ParentCallSid"].is_null());
                assert!(row["DateCreated"].as_str() >= root["DateCreated"].as_str());
                assert!(row["EndTime"].as_str() <= root["EndTime"].as_str());
                assert!(!row["Price"].is_null());
                assert_eq!(row["PhoneNumberSid"], root["PhoneNumberSid"]);
                legs += 1;
            }
            None => orphans += 1,
        }
    }
    assert!(legs > 20 && orphans > 2, "{legs} {orphans}");
    assert_eq!(rows.len(), 100 + legs);
}

#[tokio::test(start_paused = true)]
async fn every_object_may_carry_an_unknown_key() {
    let mut options = plain(2.0);
    options.wire.extra_key = ExtraKey::Present;
    let bench = Bench::new(options);
    pass(60).await;
    let page = bench.bulk("").await.json();
    assert!(page["QualityHint"].is_object() && page["Metadata"]["QualityHint"].is_object());
    assert!(page["Calls"].as_array().unwrap().iter().all(|row| row["QualityHint"].is_object()));
}

#[tokio::test(start_paused = true)]
async fn the_demo_has_a_settled_call_within_two_seconds() {
    let bench = Bench::new(crate::simulator::Scenario::Demo.options());
    pass(2).await;
    let rows = bench.bulk("").await.rows();
    assert!(
        rows.iter()
            .any(|row| row["Status"] == "completed" && !row["Price"].is_null() && row["Duration"] == "1")
    );
}

#[tokio::test(start_paused = true)]
async fn the_long_call_began_three_hours_and_forty_minutes_ago() {
    let bench = Bench::new(crate::simulator::Scenario::LongCalls.options());
    let before = 3 * 3600 + 40 * 60;
    let query = window(before, -before);
    assert!(
        !bench
            .bulk(&query)
            .await
            .rows()
            .iter()
            .any(|row| row["Status"] == "completed" && row["Duration"] == "13220")
    );
    pass(24).await;
    assert!(bench.bulk(&query).await.rows().iter().any(|row| row["Duration"] == "13220"));
}
