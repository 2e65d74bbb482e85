//! How fast the API answers with much stored: calls of half a year, health checks of 90 days, runs of a year.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use exotel_exporter::model::health::{CheckSource, HealthCheck, Verdict};
use exotel_exporter::model::{Clock, RunStatus, SetAside, SyncRun, Timestamp, UtcOffset};
use exotel_exporter::simulator::Scenario;

use crate::agent::{Exotel, Setup};
use crate::asker::{Asker, Taken, ask_for, ask_until};
use crate::calls::{Calls, EXOPHONES};
use crate::figures::{Verdicts, grouped, table};
use crate::ours::{Note, Ours};

const DAY: i64 = 86_400;
/// Exotel keeps calls for half a year; the store a little longer.
const CALL_DAYS: i64 = 180;
/// A check a minute, for so many days; the raw ones of the last week, as is the default.
const CHECK_DAYS: i64 = 90;
const RAW_DAYS: i64 = 7;
/// A run each 15 minutes, for a year.
const RUN_DAYS: i64 = 365;
const RUN_EVERY: i64 = 900;
/// Rows that could not be read: more than anybody will ever have.
const SET_ASIDE: u64 = 1_000;
/// Single calls that are asked for in turn.
const SIDS: u64 = 500;
/// Milliseconds that 99 of 100 answers may take.
const TARGET: f64 = 20.0;

/// Runs it.
pub fn run(
    folder: &Path,
    binary: &Path,
    stored: u64,
    filled: Option<PathBuf>,
    seconds: u64,
) -> anyhow::Result<Verdicts> {
    let now = Clock::system().now();
    let store = match filled {
        Some(store) => store,
        None => {
            let store = folder.join("filled").join("exotel-exporter.redb");
            std::fs::create_dir_all(store.parent().expect("a folder"))?;
            fill(&store, now, stored)?;
            store
        }
    };
    let exotel = Exotel::start(Scenario::Calm.options())?;
    let setup = Setup::new(binary, &folder.join("agent"), &store, &exotel)?;
    let agent = setup.start()?;
    let token = setup.token()?;
    // The first runs and removals are over by then.
    std::thread::sleep(Duration::from_secs(20));
    let verdicts = ask(setup.address(), &token, now, Duration::from_secs(seconds))?;
    println!("\nResident at the highest: {:.1} MB.", agent.usage()?.peak / 1e6);
    agent.kill()?;
    Ok(verdicts)
}

/// A store with all of it, up to `now`.
fn fill(path: &Path, now: Timestamp, stored: u64) -> anyhow::Result<()> {
    let wall = now.to_wall(UtcOffset::default());
    let over = (CALL_DAYS * DAY - 3600).unsigned_abs();
    let calls = Calls::spread(wall.plus(-CALL_DAYS * DAY), stored, over);
    let mut ours = Ours::open(path, &calls)?;
    ours.miss_callbacks();
    let began = Instant::now();
    ours.fill(&calls, 0, stored)?;
    eprintln!("{} calls in {:.0} s", grouped(stored as f64), began.elapsed().as_secs_f64());
    ours.note((0..CHECK_DAYS * 1440).map(|n| check(now.plus(-CHECK_DAYS * DAY + n * 60))))?;
    ours.forget_checks(now.plus(-RAW_DAYS * DAY))?;
    let first = now.plus(-RUN_DAYS * DAY);
    ours.note((0..RUN_DAYS * DAY / RUN_EVERY).map(|n| run_of(n, first.plus(n * RUN_EVERY))))?;
    ours.note((0..SET_ASIDE).map(|n| row(n, now)))?;
    eprintln!("and the rest, {:.0} s in all", began.elapsed().as_secs_f64());
    ours.leave(wall)
}

/// A check of all numbers; one of 20 finds some of them affected, one of 500 nothing.
fn check(at: Timestamp) -> Note {
    let minute = at.0 / 60;
    let (verdict, affected) = match (minute % 500, minute % 20) {
        (0, _) => (Verdict::Error, None),
        (_, 0) => (Verdict::Warning, Some((0..4).map(|n| format!("phone{n}")).collect())),
        _ => (Verdict::Ok, Some(Vec::new())),
    };
    let error = (verdict == Verdict::Error).then(|| "no answer within 10 s".to_owned());
    let check = HealthCheck {
        id: 0,
        at,
        stored: at,
        source: CheckSource::Poll,
        verdict,
        incoming: affected.clone(),
        outgoing: affected,
        numbers: u32::from(EXOPHONES),
        error,
    };
    Note { check: Some(check), ..Note::default() }
}

/// A run; one of 100 failed.
fn run_of(number: i64, at: Timestamp) -> Note {
    let failed = number % 100 == 0;
    let run = SyncRun {
        // The first is the one that filled the store.
        id: number.unsigned_abs() + 2,
        trigger: "schedule".to_owned(),
        started: at.0,
        ended: Some(at.0 + 40),
        status: if failed { RunStatus::Failed } else { RunStatus::Success },
        pages: 12,
        new: 580,
        stored: 590,
        rows: 620,
        set_aside: 0,
        error: failed.then(|| "Exotel answered 503".to_owned()),
    };
    Note { run: Some(run), ..Note::default() }
}

/// A row without a status.
fn row(number: u64, now: Timestamp) -> Note {
    let at = now.to_wall(UtcOffset::default()).0 - 3600;
    let sid = format!("{number:032x}");
    let raw = format!(
        r#"{{"Sid":"{sid}","DateCreated":"2026-03-02 18:45:10","From":"0{}","To":"0{}","Status":null,"Duration":"17","Price":null,"Direction":"inbound","Uri":"\/v1\/Accounts\/exampleacct1\/Calls.json\/{sid}"}}"#,
        7_000_000_000 + number,
        8_000_000_000 + number % 40,
    );
    let row = SetAside {
        id: number,
        raw,
        reason: "Status: expected a text, found null".to_owned(),
        sid: Some(sid),
        after: at,
        before: at,
        first_seen: now.0 - 600,
        // Not while this measures.
        retry_at: now.0 + DAY,
        tries: 0,
    };
    Note { set_aside: vec![row], ..Note::default() }
}

/// Routes as they are shown; `=-90d` stands for the time 90 days ago.
const ROUTES: [&str; 30] = [
    "health/current",
    "health/history?limit=100",
    "health/history?limit=1000",
    "health/stats",
    "health/stats?startDate=-90d",
    "sync/status",
    "sync/history?limit=50",
    "sync/history?limit=1000",
    "sync/stats",
    "sync/stats?startDate=-365d",
    "accounts",
    "exophones",
    "calls",
    "calls?limit=1000",
    "calls?to=-90d",
    "calls?status=busy",
    "calls?direction=outbound-dial",
    "calls?outcome=missed",
    "calls?exophone=08000000011",
    // No call has become this, so that a page is as much work as there can be.
    "calls?outcome=unknown",
    "calls?outcome=unknown&direction=inbound&status=completed&exophone=08000000011",
    "calls/stats",
    "calls/stats?by=hour&from=-180d",
    "calls/stats?by=day",
    "calls/stats?by=day&from=-180d",
    "webhooks/stats",
    "webhooks/missed",
    "webhooks/missed?limit=1000",
    "rows/set-aside",
    "rows/set-aside?limit=1000",
];

/// Every route by the name under which it is shown, and the paths that are asked for in turn.
fn routes(asker: &mut Asker, now: Timestamp) -> anyhow::Result<Vec<(String, Vec<String>)>> {
    let path = |route: &str| {
        let times = [CHECK_DAYS, CALL_DAYS, RUN_DAYS].into_iter();
        let path = times.fold(route.to_owned(), |path, days| {
            path.replace(&format!("=-{days}d"), &format!("={}", now.plus(-days * DAY)))
        });
        format!("/api/monitoring/{path}")
    };
    let mut routes: Vec<(String, Vec<String>)> =
        ROUTES.iter().map(|route| ((*route).to_owned(), vec![path(route)])).collect();
    // Of every age, so that neither the program nor the system has them at hand.
    let mut sids = Vec::new();
    for n in 0..SIDS {
        let to = now.plus(-(CALL_DAYS - 1) * DAY * n as i64 / SIDS as i64);
        let page = asker.ask(&format!("/api/monitoring/calls?limit=1&to={to}"))?;
        let page: serde_json::Value = serde_json::from_slice(&page)?;
        let sid = page["calls"][0]["sid"].as_str().unwrap_or_default();
        anyhow::ensure!(!sid.is_empty(), "no call before {to}");
        sids.push(format!("/api/monitoring/calls/{sid}"));
    }
    routes.push((format!("calls/{{sid}}, {SIDS} of every age"), sids));
    routes.push(("/api/openapi.json".to_owned(), vec!["/api/openapi.json".to_owned()]));
    Ok(routes)
}

fn ask(address: SocketAddr, token: &str, now: Timestamp, length: Duration) -> anyhow::Result<Verdicts> {
    let mut verdicts = Verdicts::default();
    let mut rows = Vec::new();
    let routes = routes(&mut Asker::new(address, token)?, now)?;
    let stop = AtomicBool::new(false);
    let beside = std::thread::scope(|scope| {
        let beside = ["/", "/metrics"].map(|path| {
            let stop = &stop;
            (path, scope.spawn(move || ask_until(address, token, path, stop)))
        });
        let asked = routes.iter().try_for_each(|(name, paths)| {
            let four = ask_for(address, token, paths, 4, length)?;
            let one = ask_for(address, token, paths, 1, length)?;
            eprintln!("{name}: p99 {:.2} ms and {:.2} ms", four.p99, one.p99);
            rows.push(line(name, length, &four, &one));
            verdicts.at_most(&format!("{name}: p99 ms over 4 connections"), four.p99, TARGET);
            verdicts.at_most(&format!("{name}: p99 ms over 1 connection"), one.p99, TARGET);
            anyhow::Ok(())
        });
        stop.store(true, Ordering::Relaxed);
        let beside = beside.map(|(path, thread)| (path, thread.join().expect("a thread that asks")));
        asked.map(|()| beside)
    })?;
    println!("\nEach route for {} s over 4 connections and over 1; milliseconds:", length.as_secs());
    let heads = ["route", "bytes", "answers/s, 4", "p50, 4", "p99, 4", "p50, 1", "p99, 1"];
    table(&heads, &rows);
    println!("\nMeanwhile, ten times a second:");
    let mut rows = Vec::new();
    for (path, taken) in beside {
        let taken = taken?;
        rows.push(vec![path.to_owned(), grouped(taken.bytes as f64), millis(taken.p50), millis(taken.p99)]);
        verdicts.at_most(&format!("{path} meanwhile: p99 ms"), taken.p99, TARGET);
    }
    table(&["page", "bytes", "p50", "p99"], &rows);
    Ok(verdicts)
}

fn line(name: &str, length: Duration, four: &Taken, one: &Taken) -> Vec<String> {
    vec![
        name.to_owned(),
        grouped(four.bytes as f64),
        grouped(four.answers as f64 / length.as_secs_f64()),
        millis(four.p50),
        millis(four.p99),
        millis(one.p50),
        millis(one.p99),
    ]
}

fn millis(value: f64) -> String {
    format!("{value:.2}")
}
