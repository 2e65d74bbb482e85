//! The store against a real file: what it keeps, and what it does when file or disk are at fault.

mod browse;
mod care;
mod damage;
mod disk;
mod erase;
mod groups;
mod heard;
mod index;
mod journal;
mod journal_apart;
mod kept;
mod killed;
mod lost;
mod messages;
mod processes;

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::metrics::{BuildInfo, Metrics};
use crate::model::series::Series;
use crate::model::{CallRecord, Direction, Family, Observation, Sid, Status, Timestamp, UtcOffset, WallTime};

pub(crate) const SID: &str = "exampleacct1";
const IST: UtcOffset = UtcOffset(19_800);
/// First start of the account in every test.
const START: Timestamp = Timestamp(1_772_457_400);

/// A folder for a store; in memory where the system offers that, since a test has nothing to lose.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

pub(crate) fn metrics() -> StoreMetrics {
    Metrics::new(BuildInfo::current()).store.clone()
}

pub(crate) fn open_at(path: &Path) -> Result<Store, OpenError> {
    Store::open(Options { path: path.to_owned(), metrics: metrics() })
}

/// An operation told by closures.
struct Do<D> {
    wants: Wants,
    decide: D,
}

impl<D: FnMut(Held) -> WriteSet + Send + 'static> Operation for Do<D> {
    type Reply = ();

    fn wants(&self) -> Wants {
        self.wants.clone()
    }

    fn decide(&mut self, held: Held) -> (WriteSet, ()) {
        ((self.decide)(held), ())
    }
}

fn act<D: FnMut(Held) -> WriteSet + Send + 'static>(account: AccountId, decide: D) -> Do<D> {
    Do { wants: Wants::nothing(account), decide }
}

/// Adds to a total that nothing else uses.
fn add(account: AccountId, amount: u64) -> Do<impl FnMut(Held) -> WriteSet> {
    act(account, move |_| {
        let mut writes = WriteSet::default();
        writes.deltas.add(counter(account), amount);
        writes
    })
}

fn counter(account: AccountId) -> Series {
    Series::new(account, Family::WindowsCut, 0, 0)
}

fn wall(at: i64) -> WallTime {
    START.plus(at).to_wall(IST)
}

fn sid(name: &str) -> Sid {
    Sid::parse(name).expect("a sid")
}

/// A call that nobody answered: complete as it is, so that it counts when it is read.
fn missed(name: &str, at: i64) -> Observation {
    let mut call = Observation::new(sid(name), wall(at), Status::NoAnswer);
    call.direction = Some(Direction::OutboundApi);
    call.start = Some(wall(at));
    call.end = Some(wall(at + 60));
    call.duration = Some(60);
    call.price = Some(500_000);
    call.updated = Some(wall(at + 60));
    call.from = Some("08000000099".into());
    call.uri = Some(format!("/v1/Accounts/{SID}/Calls.json/{name}"));
    call
}

fn context(account: AccountId, now: Timestamp) -> crate::ingest::Context {
    crate::ingest::Context {
        account,
        rules: crate::settle::Rules {
            offset: IST,
            settle_after: 1800,
            lookback: 15_600,
            short_call: 10,
            callbacks: crate::settle::Callbacks::NONE,
        },
        live_from: wall(0),
        prune_floor: WallTime(0),
        directory: Arc::new(crate::model::Directory::new(&[], Some(Timestamp(i64::MAX)), 500)),
        up_since: Timestamp(0),
        api_answered: Some(now),
        now,
    }
}

/// A page of calls, read at second `at`.
fn page(account: AccountId, at: i64, rows: Vec<Observation>) -> crate::ingest::Page {
    let rows = rows.into_iter().map(|call| crate::exotel::Row::Call(Box::new(call))).collect();
    crate::ingest::Page::new(context(account, START.plus(at)), rows, crate::reconcile::Origin::Page)
}

fn total(store: &Store, family: Family) -> u64 {
    store.totals().iter().filter(|(s, _)| s.family == family).map(|(_, n)| n).sum()
}

async fn all_calls(store: &Store, account: AccountId) -> Vec<CallRecord> {
    let calls = store.view(move |at| {
        let table = at.txn.open_table(tables::CALLS)?;
        let mut calls = Vec::new();
        for row in redb::ReadableTable::iter(&table)? {
            let (key, value) = row?;
            if let Ok(call) = codec::decode_call(key.value(), value.value(), SID) {
                calls.push((codec::read_call_key(key.value())?.0, call));
            }
        }
        Ok(calls)
    });
    let calls = calls.await.unwrap_or_default();
    calls.into_iter().filter(|(of, _)| *of == account).map(|(_, call)| call).collect()
}
