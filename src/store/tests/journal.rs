//! The journal: what a kill leaves in it is taken up, once; what is not sound in it is no data.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use redb::{ReadableDatabase as _, TableHandle as _};

use super::*;
use crate::metrics::StoreMetrics;
use crate::metrics::rendered::{self, has};
use crate::store::{journal, redo};

/// One page of calls for each number, stored; the store is still open, and nothing was written for good since.
pub(super) async fn written(path: &Path, pages: std::ops::Range<i64>) -> (Store, AccountId) {
    let store = open_at(path).expect("a store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    more(&store, account, pages).await;
    (store, account)
}

pub(super) async fn more(store: &Store, account: AccountId, pages: std::ops::Range<i64>) {
    for n in pages {
        let rows = (0..10).map(|i| missed(&format!("c{n}x{i}"), n * 10 + i)).collect();
        store.transact(page(account, 10_000, rows)).await.expect("stored");
    }
}

/// Both files as a kill at this moment would leave them, with another journal if one is given.
pub(super) fn as_killed(path: &Path, to: &str, bytes: Option<&[u8]>) -> PathBuf {
    let copy = path.with_file_name(to);
    fs::copy(path, &copy).expect("a copy");
    let bytes = bytes.map_or_else(|| journal_of(path), <[u8]>::to_vec);
    fs::write(journal::place(&copy), bytes).expect("a journal");
    copy
}

pub(super) fn journal_of(path: &Path) -> Vec<u8> {
    fs::read(journal::place(path)).expect("the journal")
}

/// Calls, and what was counted; the store must be sound.
pub(super) async fn held(path: &Path) -> (usize, u64) {
    let store = open_at(path).expect("it opens");
    let (account, _) = store.account(SID, START).await.expect("an account");
    let calls = all_calls(&store, account).await.len();
    let counted = total(&store, Family::Calls);
    store.close().await;
    assert_eq!(check(path, &mut |_| {}).expect("a check").faults, Vec::<String>::new());
    (calls, counted)
}

/// Where each record ends.
fn ends(bytes: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while let Some(length) = bytes.get(at..at + 4) {
        match u32::from_le_bytes(length.try_into().expect("four bytes")) {
            0 => break,
            length => at += 24 + length as usize,
        }
        ends.push(at);
    }
    ends
}

#[tokio::test]
async fn what_a_kill_left_in_the_journal_is_taken_up_once() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (store, account) = written(&path, 0..6).await;
    let killed = as_killed(&path, "killed", None);
    let file = fs::read(&killed).expect("bytes");
    assert_eq!(check(&killed, &mut |_| {}).expect("a check").calls, 60, "who only reads sees it too");
    assert!(
        fs::read(&killed).expect("bytes") == file && journal_of(&killed) == journal_of(&path),
        "untouched"
    );
    for _ in 0..3 {
        assert_eq!(held(&killed).await, (60, 60));
    }
    assert_eq!(journal_of(&killed), b"", "nothing of it is left behind");
    // The one that was copied goes on, and what it does next stands upon what it did.
    more(&store, account, 3..8).await;
    let killed = as_killed(&path, "killed-later", None);
    assert_eq!(held(&killed).await, (80, 80));
}

#[tokio::test]
async fn a_record_that_was_cut_short_is_none_and_those_before_it_count() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (_store, _) = written(&path, 0..4).await;
    let bytes = journal_of(&path);
    let ends = ends(&bytes);
    assert_eq!(ends.len(), 4);
    for (n, at) in
        [0, 3, 15, 23, 24, ends[0] - 1, ends[0], ends[2] + 7, ends[3] - 1, ends[3]].into_iter().enumerate()
    {
        let whole = ends.iter().filter(|end| **end <= at).count();
        for rest in [Vec::new(), vec![0; 4096]] {
            let killed = as_killed(&path, &format!("cut{n}"), Some(&[&bytes[..at], &rest[..]].concat()));
            assert_eq!(held(&killed).await, (whole * 10, whole as u64 * 10), "cut at {at}");
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_is_never_data_and_tells_a_damaged_disk_from_a_kill() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (_store, _) = written(&path, 0..3).await;
    let bytes = journal_of(&path);
    let ends = ends(&bytes);
    // Copies now: soon everything is written for good.
    let flipped = [ends[0], ends[0] + 30].map(|at| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        (as_killed(&path, &format!("flipped{at}"), Some(&bytes)), bytes)
    });
    let mark = {
        let read = open::open_for_reading(&path).expect("the file").begin_read().expect("a read");
        let meta = read.open_table(tables::META).expect("a table");
        redo::Mark::read(&meta).expect("a row").expect("a mark")
    };
    for bit in (0..ends[2] * 8).step_by(37) {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let copy = folder.path().join("flipped");
        fs::write(&copy, &bytes).expect("a file");
        let found = journal::read(&copy, mark).expect("it can be read");
        let hit = ends.iter().filter(|end| **end <= bit / 8).count();
        assert_eq!(found.records.len(), hit, "records before bit {bit}");
        // The last one cannot be told from one that a kill cut short.
        let rest = if hit == 2 { journal::Rest::Nothing } else { journal::Rest::Damaged };
        assert_eq!(found.rest, rest, "bit {bit}");
    }
    for (killed, bytes) in flipped {
        let faults = check(&killed, &mut |_| {}).expect("a check").faults;
        assert!(faults.len() == 1 && faults[0].contains("journal"), "{faults:?}");
        let mut registry = prometheus_client::registry::Registry::default();
        let metrics = StoreMetrics::register(&mut registry);
        Store::open(Options { path: killed.clone(), metrics }).expect("it opens").close().await;
        has(&rendered::text(&registry), "exotel_store_errors_total{op=\"read\"} 1");
        assert_eq!(fs::read(journal::unread_place(&killed)).expect("the journal"), bytes, "kept to look at");
        assert_eq!(held(&killed).await, (10, 10));
    }
}

#[tokio::test]
async fn the_journal_of_another_store_or_of_a_later_state_is_left_out() {
    let folder = folder();
    let (one, other) = (folder.path().join("one.redb"), folder.path().join("other.redb"));
    let (store, account) = written(&one, 0..2).await;
    let (_other, _) = written(&other, 0..5).await;
    let early = as_killed(&one, "early", None);
    store.checkpoint().await;
    more(&store, account, 2..4).await;
    let mixed = as_killed(&one, "mixed", Some(&journal_of(&other)));
    assert_eq!(held(&mixed).await, (20, 20), "what the file itself holds");
    fs::write(journal::place(&early), journal_of(&one)).expect("a journal");
    assert_eq!(held(&early).await, (0, 0), "records 3 and 4 without 1 and 2");
}

#[tokio::test]
async fn an_operation_that_fails_takes_nothing_along_that_only_the_journal_holds() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (store, account) = written(&path, 0..3).await;
    for n in 0..3 {
        let fault = act(account, |_| -> WriteSet { panic!("a fault") });
        assert_eq!(store.transact(fault).await, Err(Error::Fault));
        more(&store, account, 3 + n..4 + n).await;
    }
    let killed = as_killed(&path, "killed", None);
    assert_eq!(held(&killed).await, (60, 60));
    assert_eq!(all_calls(&store, account).await.len(), 60);
    store.close().await;
    assert_eq!(held(&path).await, (60, 60));
}

#[tokio::test(start_paused = true)]
async fn whoever_reads_the_file_beside_us_sees_a_state_a_few_seconds_old() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (store, account) = written(&path, 0..1).await;
    let beside = || check(&path, &mut |_| {}).expect("a check").calls;
    assert_eq!(beside(), 0, "only the journal holds it");
    assert_eq!(all_calls(&store, account).await.len(), 10, "who asks the store gets everything");
    assert_eq!(beside(), 10);
    more(&store, account, 1..2).await;
    for _ in 0..2_000 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if beside() == 20 {
            break;
        }
    }
    assert_eq!(beside(), 20, "written for good while nothing else happened");
}

#[tokio::test]
async fn a_long_journal_is_written_for_good_and_begun_again() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (store, _) = written(&path, 0..150).await;
    let length = journal_of(&path).len();
    assert!(length < 2_000_000, "{length}");
    let (calls, ends) = (check(&path, &mut |_| {}).expect("a check").calls, ends(&journal_of(&path)));
    assert!(calls > 500 && !ends.is_empty(), "{calls} calls in the file");
    assert_eq!(held(&as_killed(&path, "killed", None)).await, (1_500, 1_500));
    store.close().await;
    assert_eq!(journal_of(&path), b"", "a store that was closed needs none");
}

#[tokio::test]
async fn every_table_can_be_done_again() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    written(&path, 0..1).await.0.close().await;
    let db = open::open(&path).expect("the file");
    let names: Vec<String> = db
        .begin_read()
        .expect("a read")
        .list_tables()
        .expect("tables")
        .map(|t| t.name().to_owned())
        .collect();
    assert_eq!(names.len(), tables::TABLES.len());
    for name in names {
        assert!(redo::code(&name).is_some(), "{name} has no code");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_one_group_is_written_the_next_runs_and_a_faulty_one_takes_nobody_along() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (store, account) = written(&path, 0..0).await;
    let mut work = tokio::task::JoinSet::new();
    for task in 0..6_i64 {
        let store = store.clone();
        work.spawn(async move { more(&store, account, task * 100..task * 100 + 40).await });
    }
    let faulty = store.clone();
    work.spawn(async move {
        for _ in 0..25 {
            let fault = act(account, |_| -> WriteSet { panic!("a fault") });
            assert_eq!(faulty.transact(fault).await, Err(Error::Fault));
        }
    });
    work.join_all().await;
    assert_eq!(total(&store, Family::Calls), 2_400);
    assert_eq!(held(&as_killed(&path, "killed", None)).await, (2_400, 2_400));
    store.close().await;
    assert_eq!(held(&path).await, (2_400, 2_400));
}

#[tokio::test]
async fn a_commit_that_fails_closes_the_file_since_memory_is_ahead_of_it() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (store, account) = written(&path, 0..2).await;
    let harm = |engine: &mut engine::Engine| {
        let txn = engine.db.begin_write()?;
        txn.delete_table(tables::META)?;
        txn.open_table(redb::TableDefinition::<u64, u64>::new("meta"))?;
        Ok(txn.commit()?)
    };
    writer::with_engine(&store.queue, harm).await.expect("damaged");
    // Too much for a record, so that redb has to commit.
    let rows = (0..600).map(|n| missed(&format!("many{n}"), n)).collect();
    let failed = store.transact(page(account, 10_000, rows)).await;
    assert!(matches!(failed, Err(Error::Unavailable { .. })), "{failed:?}");
    assert_eq!(total(&store, Family::Calls), 20, "what is not durable is not shown");
    let refused = store.transact(page(account, 10_000, vec![missed("one", 700)])).await;
    assert!(refused.is_err(), "nothing is built upon it");
}
