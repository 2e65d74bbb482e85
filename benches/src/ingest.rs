//! Pages from bytes to disk, contenders in turns.

use std::cell::RefCell;
use std::path::Path;
use std::time::Instant;

use exotel_exporter::model::WallTime;

use crate::calls::{Calls, PAGE};
use crate::figures::{Verdicts, grouped, least, median, most, table};
use crate::node::Node;
use crate::ours::{Decoding, Ours};
use crate::postgres::{Commit, Postgres};
use crate::sqlite::Sqlite;

/// Pages a turn; of the slow ones fewer.
const PAGES: u64 = 100;
const PAGES_SLOW: u64 = 10;
/// 2026-03-02 00:00:00 on Exotel's clock.
const FROM: WallTime = WallTime(1_772_409_600);

/// A contender: its name, how many pages it takes a turn, and its rates.
struct Contender<'c> {
    name: String,
    pages: u64,
    next: u64,
    take: Take<'c>,
    rates: Vec<f64>,
}

/// Takes pages in; all are durable then.
type Take<'c> = Box<dyn FnMut(&[Vec<u8>]) -> anyhow::Result<()> + 'c>;

/// Takes each page when the one before it is durable.
fn one_by_one<'c>(mut take: impl FnMut(&[u8]) -> anyhow::Result<()> + 'c) -> Take<'c> {
    Box::new(move |bodies| bodies.iter().try_for_each(|body| take(body)))
}

/// Runs it.
pub fn run(folder: &Path, postgres: &str, node: &Path, rounds: usize) -> anyhow::Result<Verdicts> {
    let calls = Calls::from(FROM);
    let ours = RefCell::new(Ours::open(&folder.join("ours.redb"), &calls)?);
    let mut sqlite = Sqlite::open(&folder.join("calls.sqlite"), &calls)?;
    let mut by_row = Postgres::open(postgres)?;
    let version = by_row.version()?;
    let mut node = Node::start(node, postgres)?;
    let by_row = RefCell::new(by_row);
    let contender = |name: &str, pages, take| Contender {
        name: name.to_owned(),
        pages,
        // Each has calls of its own range, so that both ways into PostgreSQL meet new rows.
        next: if pages == PAGES { 0 } else { 1_000_000 },
        take,
        rates: Vec::new(),
    };
    let mut contenders = [
        contender(
            "exotel-exporter",
            PAGES,
            Box::new(|bodies: &[Vec<u8>]| ours.borrow_mut().pages(bodies, Decoding::Beside)) as Box<_>,
        ),
        contender(
            "SQLite, WAL, FULL, one transaction a page",
            PAGES,
            one_by_one(|body: &[u8]| sqlite.page(body)),
        ),
        contender(
            &format!("PostgreSQL {version}, upsert by row"),
            PAGES_SLOW,
            one_by_one(|body: &[u8]| by_row.borrow_mut().page(body, Commit::Row)),
        ),
        contender(
            "the same, one transaction a page",
            PAGES_SLOW,
            one_by_one(|body: &[u8]| by_row.borrow_mut().page(body, Commit::Page)),
        ),
        contender(
            "the same by row from Node, as the old module does",
            PAGES_SLOW,
            one_by_one(|body: &[u8]| node.page(body)),
        ),
        contender(
            "exotel-exporter, decoding and storing in turn",
            PAGES,
            Box::new(|bodies: &[Vec<u8>]| ours.borrow_mut().pages(bodies, Decoding::InTurn)) as Box<_>,
        ),
    ];
    contenders[3].next *= 2;
    // The same store as the first one, and other calls.
    contenders[5].next = 1_000_000;
    // One page each before the clock runs: files made, statements prepared.
    for round in 0..=rounds {
        for contender in &mut contenders {
            let pages = if round == 0 { 1 } else { contender.pages };
            let bodies: Vec<Vec<u8>> = (0..pages).map(|n| calls.page(contender.next + n * PAGE)).collect();
            contender.next += pages * PAGE;
            let began = Instant::now();
            (contender.take)(&bodies)?;
            if round > 0 {
                contender.rates.push((pages * PAGE) as f64 / began.elapsed().as_secs_f64());
            }
        }
    }
    let rates: Vec<f64> = contenders.iter().map(|c| median(&c.rates)).collect();
    let rows = contenders.iter().zip(&rates).map(|(c, rate)| {
        vec![
            c.name.clone(),
            grouped(*rate),
            format!("{} to {}", grouped(least(&c.rates)), grouped(most(&c.rates))),
            format!("{:.1}", rates[0] / rate),
        ]
    });
    println!("\nPages of {PAGE} new calls, median of {rounds} rounds in turns:");
    table(&["", "calls/s", "range", "exotel-exporter is faster by"], &rows.collect::<Vec<_>>());
    let stored: u64 = contenders[2..4].iter().map(|c| c.rates.len() as u64 * c.pages * PAGE + PAGE).sum();
    drop(contenders);
    println!("\nPostgreSQL holds a call in {:.0} bytes.", by_row.into_inner().size()? / stored as f64);
    let mut verdicts = Verdicts::default();
    verdicts.at_least("times PostgreSQL's upserts by row, from Rust", rates[0] / rates[2], 50.0);
    verdicts.at_least("times PostgreSQL's upserts by row, from Node", rates[0] / rates[4], 50.0);
    verdicts.at_least("times SQLite", rates[0] / rates[1], 1.0);
    verdicts.at_least("times SQLite, decoding and storing in turn as it does", rates[5] / rates[1], 1.0);
    Ok(verdicts)
}
