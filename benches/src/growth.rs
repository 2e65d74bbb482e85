//! What becomes of speed, size and memory as the store grows; then the binary itself on that store.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use exotel_exporter::model::{Clock, UtcOffset, WallTime};
use exotel_exporter::simulator::{BulkDetails, History, Options, Scenario};

use crate::agent::{Exotel, Setup};
use crate::calls::{Calls, PAGE};
use crate::figures::{Verdicts, grouped, least, median, most, table};
use crate::machine::usage;
use crate::ours::{Decoding, Ours};

/// What Exotel's limit lets through: 200 requests a minute, 100 rows each.
const LIMIT: f64 = 20_000.0 / 60.0;
const DAY: i64 = 86_400;
/// Calls begin so long ago: all of ten million are over before the agent's own month begins.
const SINCE: i64 = 60 * DAY;
/// The agent reads from so long ago on.
const UNREAD: i64 = 29 * DAY;
/// Pages between two looks at the clock.
const CHUNK: u64 = 50;
/// Starts of which the median is taken.
const STARTS: usize = 9;

/// Runs it.
pub fn run(folder: &Path, binary: &Path, levels: &[u64], grown: Option<PathBuf>) -> anyhow::Result<Verdicts> {
    let mut verdicts = Verdicts::default();
    let now = Clock::system().now().to_wall(UtcOffset::default());
    let (store, stored) = match grown {
        Some(store) => {
            let tables = exotel_exporter::store::stats(&store)?.tables;
            let stored = tables.iter().find(|table| table.name == "calls").map_or(0, |table| table.rows);
            (store, stored)
        }
        None => {
            let store = folder.join("grown").join("exotel-exporter.redb");
            std::fs::create_dir_all(store.parent().expect("a folder"))?;
            let stored = grow(&store, now.plus(-SINCE), levels, &mut verdicts, now.plus(-UNREAD))?;
            (store, stored)
        }
    };
    let mut options = Scenario::Calm.options();
    options.traffic.history =
        History { calls: 200_000, over: Duration::from_secs(UNREAD.unsigned_abs() - 3600) };
    options.wire.bulk_details = BulkDetails::Sent;
    at_full_rate(folder, binary, &store, options, stored, &mut verdicts)?;
    empty(folder, binary, &mut verdicts)?;
    Ok(verdicts)
}

/// Fills the store and measures on the way; gives how many calls it holds.
fn grow(
    path: &Path,
    from: WallTime,
    levels: &[u64],
    verdicts: &mut Verdicts,
    watermark: WallTime,
) -> anyhow::Result<u64> {
    let calls = Calls::from(from);
    let mut ours = Ours::open(path, &calls)?;
    let mut rows = Vec::new();
    let mut next = 0;
    for level in levels {
        let began = Instant::now();
        let filled = level.saturating_sub(next);
        ours.fill(&calls, next, *level)?;
        next = next.max(*level);
        let fill_rate = filled as f64 / began.elapsed().as_secs_f64();
        // Long enough for two rounds of the index of Sids.
        let pages = (level / 40).clamp(20_000, 262_144) * 2 / PAGE;
        let cell = one_page_a_commit(&mut ours, &calls, &mut next, pages)?;
        // What the file system gave it: the file is longer than what was written into it.
        let size = std::fs::metadata(path)?.blocks() as f64 * 512.0;
        let per_call = size / next as f64;
        eprintln!("{} calls stored: {} calls/s", grouped(next as f64), grouped(cell.rate));
        rows.push(vec![
            grouped(*level as f64),
            if filled == 0 { "-".to_owned() } else { grouped(fill_rate) },
            format!("{} ({} to {})", grouped(cell.rate), grouped(cell.slowest), grouped(cell.fastest)),
            format!("{:.0}", cell.rate / LIMIT),
            format!("{:.1}", cell.cpu * 1e6),
            grouped(cell.written),
            if *level == 0 { "-".to_owned() } else { format!("{per_call:.0}") },
        ]);
        let name = format!("at {} calls", grouped(*level as f64));
        match level {
            0 => {}
            ..5_000_000 => verdicts.at_most(&format!("bytes written per call {name}"), cell.written, 2_500.0),
            _ => {
                verdicts.at_most(&format!("bytes written per call {name}"), cell.written, 5_000.0);
                verdicts.at_least(&format!("calls/s {name}"), cell.rate, 50.0 * LIMIT);
            }
        }
        if *level > 0 {
            verdicts.at_most(&format!("bytes on disk per call {name}"), per_call, 200.0);
        }
    }
    println!(
        "\nCalls with details, each counted when it is stored; in the cells one page of {PAGE} a commit:"
    );
    let heads = [
        "stored",
        "filling, calls/s",
        "one page a commit, calls/s",
        "times Exotel's limit",
        "processor, µs/call",
        "written, B/call",
        "on disk, B/call",
    ];
    table(&heads, &rows);
    ours.leave(watermark)?;
    Ok(next)
}

/// One cell by itself, and where the time of a page goes.
pub fn profile(folder: &Path, stored: u64, pages: u64) -> anyhow::Result<Verdicts> {
    let calls = Calls::from(Clock::system().now().to_wall(UtcOffset::default()).plus(-SINCE));
    let mut ours = Ours::open(&folder.join("profile.redb"), &calls)?;
    ours.fill(&calls, 0, stored)?;
    let mut next = stored;
    let spent = |ours: &Ours| ["write", "commit"].map(|op| ours.spent(op));
    let before = spent(&ours);
    let cell = one_page_a_commit(&mut ours, &calls, &mut next, pages)?;
    let after = spent(&ours);
    let body = calls.page(0);
    let began = Instant::now();
    for _ in 0..200 {
        ours.decode(&body)?;
    }
    let decode = began.elapsed().as_secs_f64() / 200.0;
    println!(
        "\n{} calls/s, {:.0} bytes written and {:.1} µs of processor time per call",
        grouped(cell.rate),
        cell.written,
        cell.cpu * 1e6
    );
    println!(
        "of {:.2} ms a page: decoding {:.2}, reading, deciding and writing {:.2}, commit {:.2}",
        PAGE as f64 / cell.rate * 1e3,
        decode * 1e3,
        (after[0] - before[0]) / pages as f64 * 1e3,
        (after[1] - before[1]) / pages as f64 * 1e3,
    );
    Ok(Verdicts::default())
}

struct Cell {
    rate: f64,
    slowest: f64,
    fastest: f64,
    written: f64,
    /// Seconds of processor time a call: says more than the rate on a busy machine.
    cpu: f64,
}

fn one_page_a_commit(ours: &mut Ours, calls: &Calls, next: &mut u64, pages: u64) -> anyhow::Result<Cell> {
    let me = std::process::id();
    let mut rates = Vec::new();
    let (mut taken, mut count) = (Duration::ZERO, 0);
    let before = usage(me)?;
    let mut cpu = 0.0;
    while count < pages {
        let bodies: Vec<Vec<u8>> = (0..CHUNK).map(|n| calls.page(*next + n * PAGE)).collect();
        *next += CHUNK * PAGE;
        count += CHUNK;
        let spent = usage(me)?.cpu;
        let began = Instant::now();
        ours.pages(&bodies, Decoding::Beside)?;
        taken += began.elapsed();
        rates.push((CHUNK * PAGE) as f64 / began.elapsed().as_secs_f64());
        cpu += usage(me)?.cpu - spent;
    }
    let written = usage(me)?.written - before.written;
    let total = (count * PAGE) as f64;
    Ok(Cell {
        // Over all of it: a median of chunks would leave out the commits that merge.
        rate: total / taken.as_secs_f64(),
        slowest: least(&rates),
        fastest: most(&rates),
        written: written / total,
        cpu: cpu / total,
    })
}

/// The binary on the grown store, reading as fast as Exotel's limit allows; then killed and started.
fn at_full_rate(
    folder: &Path,
    binary: &Path,
    store: &Path,
    options: Options,
    stored: u64,
    verdicts: &mut Verdicts,
) -> anyhow::Result<()> {
    let exotel = Exotel::start(options)?;
    let setup = Setup::new(binary, &folder.join("agent"), store, &exotel)?;
    let agent = setup.start()?;
    // The first minute fills caches and starts every task.
    std::thread::sleep(Duration::from_secs(60));
    let rows = || setup.total("exotel_sync_records_total");
    let (began, before, rows_before) = (Instant::now(), agent.usage()?, rows()?);
    std::thread::sleep(Duration::from_secs(90));
    let (took, after, rows_after) = (began.elapsed().as_secs_f64(), agent.usage()?, rows()?);
    let rate = (rows_after - rows_before) / took;
    let name = format!("with {} calls stored", grouped(stored as f64));
    println!("\nThe binary, reading at the full limit {name}, over 90 s:");
    let mb = |bytes: f64| format!("{:.1} MB", bytes / 1e6);
    table(
        &["calls/s", "resident", "most resident", "processor", "written, B/call"],
        &[vec![
            grouped(rate),
            mb(after.resident),
            mb(after.peak),
            format!("{:.1} % of one core", (after.cpu - before.cpu) / took * 100.0),
            grouped((after.written - before.written) / (rows_after - rows_before)),
        ]],
    );
    verdicts.at_most(&format!("most resident MB while syncing {name}"), after.peak / 1e6, 64.0);
    verdicts.at_least("calls/s of the agent, of the limit's 333", rate, 300.0);
    let (mut warm, mut cold) = (Vec::new(), Vec::new());
    agent.kill()?;
    for start in 0..2 * STARTS {
        let times = if start % 2 == 0 { &mut warm } else { &mut cold };
        if start % 2 == 1 {
            forget(store)?;
        }
        let agent = setup.start()?;
        times.push(agent.ready_after.as_secs_f64() * 1e3);
        // Long enough that it writes again.
        std::thread::sleep(Duration::from_millis(1500));
        agent.kill()?;
    }
    println!("\nStart to first scrape {name}, after kill -9 while it syncs, {STARTS} times each:");
    starts(&[("file in the page cache", &warm), ("file not in the page cache", &cold)]);
    verdicts.at_most(&format!("start ms {name}, after kill -9"), median(&warm), 250.0);
    verdicts.at_most(&format!("start ms {name}, after kill -9, cold"), median(&cold), 250.0);
    Ok(())
}

/// Lets the system forget what it holds of the file in memory.
fn forget(store: &Path) -> anyhow::Result<()> {
    let file = std::fs::File::open(store)?;
    file.sync_all()?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}

/// The binary with nothing stored and nearly nothing to read.
fn empty(folder: &Path, binary: &Path, verdicts: &mut Verdicts) -> anyhow::Result<()> {
    let exotel = Exotel::start(Scenario::Calm.options())?;
    let mut times = Vec::new();
    let mut last = None;
    for start in 0..STARTS {
        let folder = folder.join(format!("empty{start}"));
        let setup = Setup::new(binary, &folder, &folder.join("exotel-exporter.redb"), &exotel)?;
        let agent = setup.start()?;
        times.push(agent.ready_after.as_secs_f64() * 1e3);
        last = Some(agent);
    }
    println!("\nStart to first scrape without a store, {STARTS} times:");
    starts(&[("no store", &times)]);
    verdicts.at_most("start ms, empty", median(&times), 50.0);
    if let Some(agent) = last {
        std::thread::sleep(Duration::from_secs(60));
        let resident = agent.usage()?.resident / 1e6;
        println!("\nIdle for a minute, a call every 5 s: {resident:.1} MB resident");
        verdicts.at_most("resident MB, idle", resident, 15.0);
    }
    Ok(())
}

fn starts(kinds: &[(&str, &[f64])]) {
    let rows = kinds.iter().map(|(name, times)| {
        vec![
            (*name).to_owned(),
            format!("{:.0} ms", median(times)),
            format!("{:.0} to {:.0} ms", least(times), most(times)),
        ]
    });
    table(&["", "median", "range"], &rows.collect::<Vec<_>>());
}
