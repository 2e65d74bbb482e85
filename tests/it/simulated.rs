//! Whole days in seconds: the agent and the simulator in this process, on a clock that jumps.

use std::time::Duration;

use exotel_exporter::collector::ManualRun;
use exotel_exporter::model::{Clock, Sid, WallTime};
use exotel_exporter::simulator::{
    BulkDetails, Delay, Delays, Faults, History, LegsKnown, Oddities, Options, Planted, Pool, Simulator,
    Traffic, Wire,
};
use tokio::time::sleep;

use crate::support::rehearsal::{MIDNIGHT, Running, SID, day, field, hours, minutes, settled, sum, truth};

#[tokio::test]
async fn a_day_of_a_thousand_calls_is_exact_and_cheap() {
    let day = day(field(1_000.0), LegsKnown::All).await;
    assert!(day.calls > 900.0);
    // Two pages a tick while the look-back is small, and 48 audits.
    assert!(day.requests < 420.0, "{} requests per 1,000 calls", day.requests);
    assert!(day.audit < 1.0, "the audit found {}", day.audit);
    assert!(day.prompt >= 0.95, "{} counted within 40 minutes", day.prompt);
}

#[tokio::test]
async fn a_day_of_eight_thousand_calls_is_exact_and_cheap() {
    let day = day(field(8_000.0), LegsKnown::All).await;
    assert!(day.requests < 130.0, "{} requests per 1,000 calls", day.requests);
    assert!(day.prompt >= 0.95, "{} counted within 40 minutes", day.prompt);
}

#[tokio::test]
async fn everything_odd_at_once_ends_in_the_truth() {
    tokio::time::pause();
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::following_tokio(MIDNIGHT);
    let options = Options {
        traffic: Traffic {
            calls_per_second: 0.05,
            max_calls: Some(1_500),
            child_share: 0.1,
            sip_share: 0.1,
            ..Traffic::default()
        },
        delays: Delays { late_price_share: 0.1, unpriced_share: 0.02, ..Delays::default() },
        oddities: Oddities {
            duplicate_share: 0.05,
            moved_share: 0.02,
            unreadable_share: 0.02,
            unreadable_for: Delay::seconds(60.0, 1_200.0),
            price_change_share: 0.05,
            odd_direction_share: 0.02,
            sip_change_share: 0.5,
            ..Oddities::default()
        },
        wire: Wire { bulk_details: BulkDetails::Ignored, ..Wire::default() },
        faults: Faults::of_every_kind(0.1),
        latency: Delay::seconds(0.1, 2.0),
        ..field(4_000.0)
    };
    let simulator = Simulator::new(options, clock.clone());
    let mut running = Running::start(&simulator, &clock, folder.path(), |_| {}).await;
    let mut last = running.scrape();
    for stop in 0..5 {
        sleep(minutes(61 + stop * 13)).await;
        last = running.scrape();
        running.stop().await;
        sleep(minutes(stop * 7)).await;
        running = Running::start(&simulator, &clock, folder.path(), |_| {}).await;
        for (series, before) in
            last.iter().filter(|(s, _)| s.starts_with("exotel_call") && s.contains("_total"))
        {
            let now = running.scrape().get(series).copied().unwrap_or(-1.0);
            assert!(now >= *before, "{series} fell from {before} to {now} over a restart");
        }
    }
    assert!(sum(&last, "exotel_calls_total", &[]) > 0.0);
    settled(&running, &simulator, MIDNIGHT, LegsKnown::WhereNeeded, hours(24 * 9)).await;
    assert!(simulator.arrivals().largest(0, Pool::Voice, 60_000) <= 60, "no more than the background share");
    running.stop().await;
}

#[tokio::test]
async fn a_call_that_began_three_hours_and_forty_minutes_ago_is_found_when_it_ends() {
    tokio::time::pause();
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::following_tokio(MIDNIGHT);
    let options = Options {
        traffic: Traffic {
            planted: vec![Planted { before_start: Duration::ZERO, lasts: minutes(220) }],
            ..field(50_000.0).traffic
        },
        ..field(50_000.0)
    };
    let simulator = Simulator::new(options, clock.clone());
    let running = Running::start(&simulator, &clock, folder.path(), |_| {}).await;
    let planted = simulator.calls(SID, 0, 1).unwrap()[0].sid.clone();
    let planted = Sid::parse(&planted).unwrap();
    let created = MIDNIGHT.to_wall(running.account.config.utc_offset);
    let stored = || {
        let store = running.account.store.clone();
        let (id, sid) = (running.account.id, planted.clone());
        async move { store.sids(id, created, created.plus(1)).await.unwrap().contains(&sid) }
    };
    sleep(minutes(219)).await;
    assert!(!stored().await, "a call that goes on is not listed");
    sleep(minutes(41)).await;
    assert!(stored().await, "it ended 40 minutes ago");
    running.stop().await;
}

#[tokio::test]
async fn a_week_of_downtime_is_read_back_newest_first_and_every_call_counts() {
    tokio::time::pause();
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::following_tokio(MIDNIGHT);
    let simulator = Simulator::new(field(1_200.0), clock.clone());
    let running = Running::start(&simulator, &clock, folder.path(), |_| {}).await;
    sleep(hours(6)).await;
    running.stop().await;
    sleep(hours(24 * 7)).await;
    let running = Running::start(&simulator, &clock, folder.path(), |_| {}).await;
    sleep(minutes(20)).await;
    simulator.stop_traffic();
    settled(&running, &simulator, MIDNIGHT, LegsKnown::All, hours(48)).await;
    let head = running.account.status().head.unwrap();
    assert!(clock.now() - head < 3600, "the head has caught up");
    running.stop().await;
}

#[tokio::test]
async fn history_is_stored_and_not_counted() {
    tokio::time::pause();
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::following_tokio(MIDNIGHT);
    let options = Options {
        traffic: Traffic { history: History { calls: 900, over: hours(4) }, ..field(1_000.0).traffic },
        ..field(1_000.0)
    };
    let simulator = Simulator::new(options, clock.clone());
    let running = Running::start(&simulator, &clock, folder.path(), |_| {}).await;
    sleep(hours(2)).await;
    simulator.stop_traffic();
    settled(&running, &simulator, MIDNIGHT, LegsKnown::All, hours(24)).await;
    let rows = running
        .account
        .store
        .count_rows(
            running.account.id,
            WallTime(0),
            clock.now().to_wall(running.account.config.utc_offset),
            u64::MAX,
        )
        .await
        .unwrap();
    assert_eq!(rows, truth(&simulator, MIDNIGHT, LegsKnown::All).rows);
    running.stop().await;
}

#[tokio::test]
async fn a_corrected_offset_does_not_double_the_store() {
    tokio::time::pause();
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::following_tokio(MIDNIGHT);
    let simulator = Simulator::new(field(2_000.0), clock.clone());
    let offset = |text: &'static str| {
        move |config: &mut exotel_exporter::config::Config| {
            config.accounts[0].utc_offset = exotel_exporter::model::UtcOffset::parse(text).unwrap();
        }
    };
    for text in ["+05:00", "+06:00", "+05:30"] {
        let running = Running::start(&simulator, &clock, folder.path(), offset(text)).await;
        sleep(hours(2)).await;
        running.stop().await;
    }
    simulator.stop_traffic();
    let running = Running::start(&simulator, &clock, folder.path(), offset("+05:30")).await;
    sleep(hours(12)).await;
    let end = clock.now().to_wall(running.account.config.utc_offset);
    let rows =
        running.account.store.count_rows(running.account.id, WallTime(0), end, u64::MAX).await.unwrap();
    assert_eq!(rows, truth(&simulator, MIDNIGHT, LegsKnown::All).rows, "each row once");
    assert_eq!(sum(&running.scrape(), "exotel_sync_audited_windows_total", &[("result", "failed")]), 0.0);
    running.stop().await;
}

#[tokio::test]
async fn after_a_restart_with_a_clock_a_day_behind_the_watermark_goes_on_from_where_it_stood() {
    tokio::time::pause();
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::following_tokio(MIDNIGHT);
    let simulator = Simulator::new(field(2_000.0), clock.clone());
    let running = Running::start(&simulator, &clock, folder.path(), |_| {}).await;
    sleep(hours(12)).await;
    let before = running.account.status().watermark.unwrap();
    running.stop().await;
    let behind = Clock::following_tokio(clock.now().plus(-86_400));
    let running = Running::start(&simulator, &behind, folder.path(), |_| {}).await;
    for _ in 0..120 {
        sleep(Duration::from_secs(10)).await;
        let watermark = running.account.status().watermark;
        assert!(watermark.is_none_or(|watermark| watermark >= before), "{watermark:?} after {before:?}");
    }
    assert!(running.account.status().watermark > Some(before), "it goes on");
    assert_eq!(running.account.client.clock_offset(), Some(86_400));
    running.stop().await;
}

#[tokio::test]
async fn a_manual_run_reads_up_to_now() {
    tokio::time::pause();
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::following_tokio(MIDNIGHT);
    // Too many calls for the look-back to be read whole: scheduled runs stay 20 minutes behind.
    let simulator = Simulator::new(field(20_000.0), clock.clone());
    let running = Running::start(&simulator, &clock, folder.path(), |_| {}).await;
    sleep(minutes(61)).await;
    let behind = clock.now() - running.account.status().head.unwrap();
    assert!(behind >= 20 * 60, "the head is {behind} s behind");
    let (wish, answer) = tokio::sync::oneshot::channel();
    running.account.memory.manual.send(wish).await.unwrap();
    assert_eq!(answer.await.unwrap(), ManualRun::Started);
    sleep(minutes(1)).await;
    let behind = clock.now() - running.account.status().head.unwrap();
    assert!(behind <= 90, "the head is {behind} s behind");
    let runs =
        sum(&running.scrape(), "exotel_sync_runs_total", &[("trigger", "manual"), ("outcome", "success")]);
    assert_eq!(runs, 1.0);
    running.stop().await;
}
