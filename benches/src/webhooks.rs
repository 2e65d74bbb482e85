//! Callbacks of calls into the real binary, each durable before its 200, with 64 connections and with a commit for each;
//! and what the largest heartbeat costs in memory.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

use exotel_exporter::model::{Clock, UtcOffset};
use exotel_exporter::simulator::Scenario;

use crate::agent::{Exotel, Setup};
use crate::calls::Calls;
use crate::figures::{Verdicts, grouped, least, median, most, table};
use crate::ours::Ours;
use crate::wrk;

/// Seconds of one turn.
const TURN: u32 = 5;
/// Callbacks that the store alone takes in a turn.
const ALONE: u64 = 2_000;
/// What Exotel's largest heartbeat is allowed to be.
const HEARTBEAT: usize = 11 * 1024 * 1024;

#[derive(Default)]
struct Figures {
    rates: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Figures {
    fn row(&self, name: &str) -> Vec<String> {
        let range = format!("{} to {}", grouped(least(&self.rates)), grouped(most(&self.rates)));
        let millis =
            |of: &[f64]| if of.is_empty() { "-".to_owned() } else { format!("{:.2} ms", median(of)) };
        let worst = if self.p99.is_empty() { "-".to_owned() } else { format!("{:.1} ms", most(&self.p99)) };
        let name = name.to_owned();
        vec![name, grouped(median(&self.rates)), range, millis(&self.p50), millis(&self.p99), worst]
    }
}

/// Runs it.
pub fn run(folder: &Path, binary: &Path, script: &Path, rounds: usize) -> anyhow::Result<Verdicts> {
    let exotel = Exotel::start(Scenario::Calm.options())?;
    let store = folder.join("store").join("exotel-exporter.redb");
    let setup = Setup::new(binary, &folder.join("agent"), &store, &exotel)?;
    let agent = setup.start()?;
    let url = setup.webhook("calls");
    let script = script.display().to_string();
    let now = Clock::system().now().to_wall(UtcOffset::default());
    let mut alone = Ours::open(&folder.join("alone.redb"), &Calls::from(now))?;

    let (mut many, mut single, mut direct) = (Figures::default(), Figures::default(), Figures::default());
    let mut sent = 0.0;
    for round in 0..rounds {
        for (connections, figures) in [(64, &mut many), (1, &mut single)] {
            let tag = format!("{round:06x}{connections:06x}");
            let run = wrk::run(connections, TURN, &["-s", &script], &url, &["--", &tag])?;
            sent += run.requests;
            figures.rates.push(run.rate);
            figures.p50.push(run.p50);
            figures.p99.push(run.p99);
        }
        let began = Instant::now();
        for n in 0..ALONE {
            alone.callback(&format!("{round:08x}{n:024x}"), now)?;
        }
        direct.rates.push(ALONE as f64 / began.elapsed().as_secs_f64());
    }
    // wrk leaves without reading its last answers.
    let counted = setup.total("exotel_call_events_total")?;
    let unread = rounds as f64 * 65.0;
    anyhow::ensure!((sent..=sent + unread).contains(&counted), "{sent} were answered, {counted} counted");

    println!(
        "\nwrk with one thread, {TURN} s a turn, {rounds} rounds in turns; each callback names a new call:"
    );
    table(
        &["", "callbacks/s", "range", "p50", "p99", "worst p99"],
        &[
            many.row("64 connections: they share commits"),
            single.row("1 connection: a commit for each"),
            direct.row("the store alone, one after another, no HTTP: a commit for each"),
        ],
    );
    println!("\nResident at the highest: {:.1} MB.", agent.usage()?.peak / 1e6);
    agent.kill()?;
    let (resident, rise) = heartbeat(&setup)?;
    println!(
        "\nA heartbeat of {} bytes, three times: resident memory at its highest {:.1} MB before, {:.1} MB more after.",
        grouped(HEARTBEAT as f64),
        resident / 1e6,
        rise / 1e6
    );
    let mut verdicts = Verdicts::default();
    let rate = median(&many.rates);
    verdicts.at_least("times a commit for each request", rate / median(&single.rates), 5.0);
    verdicts.at_least("times the store alone with a commit for each", rate / median(&direct.rates), 5.0);
    verdicts.at_most("p99 ms with 64 connections", median(&many.p99), 50.0);
    verdicts.at_most("MB that a heartbeat of 11 MB adds", rise / 1e6, 40.0);
    Ok(verdicts)
}

/// Resident bytes at their highest before, and by how much three of the largest heartbeats raise that, after a start: what
/// callbacks took before is not there for them to use.
fn heartbeat(setup: &Setup) -> anyhow::Result<(f64, f64)> {
    let agent = setup.start()?;
    let mut body = String::from(
        r#"{"timestamp": "2026-03-02T13:25:00Z", "status_type": "WARNING", "incoming_affected": ["a"], "data": {"#,
    );
    for n in 0.. {
        let block = format!(
            r#""{n:032x}": {{"incoming_call": {{"status": "major_outage", "last_check_time": "2026-03-02T13:20:00Z"}}}},"#
        );
        if body.len() + block.len() > HEARTBEAT - 10 {
            break;
        }
        body.push_str(&block);
    }
    body.pop();
    body.push_str("}}");
    let before = agent.usage()?.peak;
    let url = setup.webhook("heartbeat");
    let (host, path) = url.trim_start_matches("http://").split_once('/').expect("a path");
    for _ in 0..3 {
        let mut stream = TcpStream::connect(host)?;
        let length = body.len();
        write!(
            stream,
            "POST /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    Ok((before, agent.usage()?.peak - before))
}
