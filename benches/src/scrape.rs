//! The metrics page of the binary beside a Node server that shows the same series with prom-client.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use exotel_exporter::simulator::Scenario;

use crate::agent::{Exotel, Setup};
use crate::figures::{Verdicts, grouped, least, median, most, table};
use crate::machine::usage;
use crate::wrk;

/// Numbers of the account, so that there are about 1,500 series.
const EXOPHONES: u16 = 17;
/// Seconds of one turn.
const TURN: u32 = 3;

struct Contender {
    name: &'static str,
    url: String,
    gzip: bool,
    process: u32,
    rates: Vec<f64>,
    median: Vec<f64>,
    p99: Vec<f64>,
}

struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Runs it.
pub fn run(folder: &Path, binary: &Path, node: &Path, rounds: usize) -> anyhow::Result<Verdicts> {
    let mut options = Scenario::Busy.options();
    options.exophones.listed = EXOPHONES;
    let exotel = Exotel::start(options)?;
    let setup = Setup::new(
        binary,
        &folder.join("agent"),
        &folder.join("store").join("exotel-exporter.redb"),
        &exotel,
    )?;
    let agent = setup.start()?;
    let text = settled(&setup)?;
    let series = text.lines().filter(|l| !l.starts_with('#')).count();
    let copy = folder.join("scrape.txt");
    std::fs::write(&copy, &text)?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let server = Command::new("node")
        .arg(node)
        .arg(&copy)
        .arg(port.to_string())
        .stdin(Stdio::null())
        .spawn()
        .context("node cannot be run")?;
    let server = Node(server);
    let theirs = format!("http://127.0.0.1:{port}/metrics");
    let began = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        anyhow::ensure!(began.elapsed() < Duration::from_secs(20), "the Node server does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let contender = |name, url: &str, gzip, process| Contender {
        name,
        url: url.to_owned(),
        gzip,
        process,
        rates: Vec::new(),
        median: Vec::new(),
        p99: Vec::new(),
    };
    let mut contenders = [
        contender("exotel-exporter", &setup.url(), false, agent.id()),
        contender("exotel-exporter, gzip", &setup.url(), true, agent.id()),
        contender("Node, prom-client", &theirs, false, server.0.id()),
    ];
    for _ in 0..rounds {
        for contender in &mut contenders {
            let gzip: &[&str] = if contender.gzip { &["-H", "Accept-Encoding: gzip"] } else { &[] };
            let run = wrk::run(4, TURN, gzip, &contender.url, &[])?;
            contender.rates.push(run.rate);
            contender.median.push(run.p50);
            contender.p99.push(run.p99);
        }
    }
    println!(
        "\n{series} series, {} bytes of text; wrk with 4 connections, {TURN} s a turn, {rounds} rounds in turns:",
        grouped(text.len() as f64)
    );
    let rows = contenders.iter().map(|c| {
        let resident = usage(c.process).map_or(f64::NAN, |u| u.resident / 1e6);
        vec![
            c.name.to_owned(),
            grouped(median(&c.rates)),
            format!("{:.2} ms", median(&c.median)),
            format!("{:.1} ms ({:.1} to {:.1})", median(&c.p99), least(&c.p99), most(&c.p99)),
            format!("{resident:.1} MB"),
        ]
    });
    table(&["", "scrapes/s", "p50", "p99", "resident"], &rows.collect::<Vec<_>>());
    let mut verdicts = Verdicts::default();
    // prom-client does not compress: the row with gzip has nothing to be held against.
    let [plain, _, node] = &contenders;
    verdicts.at_least("times prom-client's rate", median(&plain.rates) / median(&node.rates), 10.0);
    verdicts.at_most("p99 ms", median(&plain.p99), 10.0);
    Ok(verdicts)
}

/// The scrape once the list of numbers was read and calls were counted.
fn settled(setup: &Setup) -> anyhow::Result<String> {
    let began = Instant::now();
    loop {
        let text = setup.scrape()?;
        let numbers = text.lines().filter(|l| l.starts_with("exotel_exophone_info{")).count();
        if numbers >= usize::from(EXOPHONES) {
            return Ok(text);
        }
        anyhow::ensure!(began.elapsed() < Duration::from_secs(30), "the numbers do not show up");
        std::thread::sleep(Duration::from_millis(100));
    }
}
