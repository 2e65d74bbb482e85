//! Check, stats, backup, restore, compact; layouts, histograms, accounts.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{ReadableDatabase, TableHandle};

use super::*;
use crate::model::series::SUM;
use crate::store::journal;
use crate::store::tables::{LAYOUT, META};

fn no_progress() -> impl FnMut(u64, u64) {
    |_, _| {}
}

#[track_caller]
fn sound(path: &Path) -> u64 {
    let report = check(path, &mut |_| {}).expect("it can be checked");
    assert_eq!(report.faults, Vec::<String>::new());
    report.calls
}

/// A store with a few calls, still open.
async fn filled(path: &Path) -> (Store, AccountId) {
    let store = open_at(path).expect("a new store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    let rows = (0..120).map(|n| missed(&format!("c{n}"), n * 10)).collect();
    store.transact(page(account, 3_000, rows)).await.expect("stored");
    (store, account)
}

/// The file as a kill at this moment would leave it.
fn as_killed(path: &Path, to: &str) -> PathBuf {
    let copy = path.with_file_name(to);
    fs::copy(path, &copy).expect("a copy");
    fs::copy(journal::place(path), journal::place(&copy)).expect("a copy");
    copy
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_stats_and_backup_work_beside_a_writer_at_work() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (store, account) = filled(&path).await;
    let stop = Arc::new(AtomicBool::new(false));
    store.checkpoint().await;
    let (writer, stopped) = (store.clone(), Arc::clone(&stop));
    let writing = tokio::spawn(async move {
        let mut n = 0;
        while !stopped.load(Ordering::Relaxed) {
            let rows = (0..20).map(|i| missed(&format!("w{n}x{i}"), n * 3)).collect();
            writer.transact(page(account, 3_000, rows)).await.expect("nobody is in the way");
            n += 1;
        }
        n
    });
    let beside = path.clone();
    let copies = tokio::task::spawn_blocking(move || {
        let mut last = 0;
        let mut copies = Vec::new();
        for n in 0..6 {
            let calls = sound(&beside);
            assert!(calls >= last, "each look is at one committed state");
            last = calls;
            assert!(stats(&beside).expect("stats").tables[0].rows >= calls);
            let copy = beside.with_file_name(format!("copy{n}"));
            backup(&beside, &copy, &mut no_progress()).expect("a copy");
            copies.push(copy);
        }
        copies
    })
    .await
    .expect("nothing panicked");
    stop.store(true, Ordering::Relaxed);
    assert!(writing.await.expect("the writer went on") > 0);
    for copy in copies {
        assert!(sound(&copy) >= 120);
    }
}

#[tokio::test]
async fn a_file_that_a_crash_left_behind_can_be_checked_and_copied_untouched() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (_store, _) = filled(&path).await;
    let killed = as_killed(&path, "killed.redb");
    let before = fs::read(&killed).expect("bytes");
    assert_eq!(sound(&killed), 120);
    assert_eq!(stats(&killed).expect("stats").tables[0].rows, 120);
    backup(&killed, &folder.path().join("copy"), &mut no_progress()).expect("a copy");
    assert_eq!(sound(&folder.path().join("copy")), 120);
    assert!(fs::read(&killed).expect("bytes") == before, "not a byte was changed");
}

#[tokio::test]
async fn a_store_that_lacks_a_table_is_refused_and_not_begun_again() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    filled(&path).await.0.close().await;
    {
        let db = redb::Database::open(&path).expect("the file");
        let txn = db.begin_write().expect("a write");
        let old: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("calls");
        let new: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("bbmls");
        txn.rename_table(old, new).expect("renamed");
        txn.commit().expect("committed");
    }
    let error = open_at(&path).expect_err("its calls are gone").to_string();
    assert!(error.contains("its table calls is missing"), "{error}");
}

#[tokio::test]
async fn check_finds_what_contradicts() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (store, account) = filled(&path).await;
    let mut waiting = missed("waits", 5);
    waiting.status = Status::Completed;
    store.transact(page(account, 300, vec![waiting])).await.expect("stored");
    store.close().await;
    type Harm = fn(&redb::WriteTransaction);
    let harms: [(&str, Harm); 6] = [
        ("do not fit their checksum", |txn| {
            let mut table = txn.open_table(tables::CALLS).expect("a table");
            let (key, mut value) = first(&table);
            value[9] ^= 1;
            table.insert(key.as_slice(), value.as_slice()).expect("written");
        }),
        ("cannot be found by their Sid", |txn| {
            txn.open_table(tables::SID_RECENT).expect("a table").retain(|_, _| false).expect("emptied");
            txn.open_table(tables::SID_INDEX).expect("a table").retain(|_, _| false).expect("emptied");
        }),
        ("missing on the agenda", |txn| {
            txn.open_table(tables::AGENDA).expect("a table").retain(|_, ()| false).expect("emptied");
        }),
        ("belong to no call", |txn| {
            let mut table = txn.open_table(tables::CALLS).expect("a table");
            table
                .retain(|key, _| !codec::read_call_key(key).is_ok_and(|(_, _, s)| s == sid("waits")))
                .expect("gone");
        }),
        ("not known", |txn| {
            txn.open_table(tables::ACCOUNTS).expect("a table").retain(|_, _| false).expect("emptied");
        }),
        ("a record of totals", |txn| {
            let mut table = txn.open_table(tables::TOTALS).expect("a table");
            let key = redb::ReadableTable::first(&table).expect("a look").expect("a total").0.value();
            table.insert(key, [7; 12].as_slice()).expect("written");
        }),
    ];
    for (fault, harm) in harms {
        let copy = folder.path().join("harmed");
        fs::copy(&path, &copy).expect("a copy");
        let db = open::builder().open(&copy).expect("it opens");
        let txn = db.begin_write().expect("a transaction");
        harm(&txn);
        txn.commit().expect("a commit");
        drop(db);
        let faults = check(&copy, &mut |_| {}).expect("it can be checked").faults;
        assert!(faults.iter().any(|f| f.contains(fault)), "{fault} not in {faults:?}");
    }
    sound(&path);
}

fn first(table: &impl redb::ReadableTable<&'static [u8], &'static [u8]>) -> (Vec<u8>, Vec<u8>) {
    let (key, value) = table.first().expect("a look").expect("a row");
    (key.value().to_vec(), value.value().to_vec())
}

#[tokio::test]
async fn a_restored_store_counts_from_0_each_time_it_is_restored() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (store, account) = filled(&path).await;
    let copy = folder.path().join("copy");
    store.checkpoint().await;
    backup(&path, &copy, &mut no_progress()).expect("a copy");
    assert!(matches!(restore(&path, &copy), Err(OpenError::InUse { .. })), "not under a running agent");
    store.transact(page(account, 3_000, vec![missed("later", 9)])).await.expect("stored");
    assert_eq!(total(&store, Family::Calls), 121);
    store.close().await;
    let mut kept = Vec::new();
    for round in 0..3 {
        kept.push(restore(&path, &copy).expect("restored").expect("what was there is kept"));
        let store = open_at(&path).expect("it opens");
        assert_eq!(total(&store, Family::Calls), 0, "round {round}");
        assert!(store.totals().iter().all(|(_, n)| n == 0));
        let rows = (0..5).map(|n| missed(&format!("r{round}x{n}"), n * 10)).collect();
        store.transact(page(account, 3_000, rows)).await.expect("stored");
        assert_eq!(total(&store, Family::Calls), 5, "only what came since");
        store.close().await;
        let store = open_at(&path).expect("it opens");
        assert_eq!(total(&store, Family::Calls), 5, "a restart is no restore");
        store.close().await;
        // The next round restores a copy of the restored store.
        fs::remove_file(&copy).expect("gone");
        backup(&path, &copy, &mut no_progress()).expect("a copy");
    }
    assert_eq!((sound(&kept[0]), sound(&kept[1])), (121, 125), "nothing that was replaced is lost");
    assert_eq!(kept.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
}

#[tokio::test]
async fn a_copy_made_with_other_tools_is_restored_like_a_backup() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (store, _) = filled(&path).await;
    let copy = as_killed(&path, "copied-by-hand");
    let before = fs::read(&copy).expect("bytes");
    store.close().await;
    restore(&path, &copy).expect("restored");
    let store = open_at(&path).expect("it opens");
    assert_eq!(total(&store, Family::Calls), 0);
    assert!(fs::read(&copy).expect("bytes") == before, "the copy is as it was");
    store.close().await;
    let elsewhere = folder.path().join("new/place/store.redb");
    assert_eq!(restore(&elsewhere, &copy).expect("restored"), None);
    assert_eq!(sound(&elsewhere), 120);
}

#[tokio::test]
async fn what_is_no_sound_copy_is_not_restored_and_the_store_stays() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (store, _) = filled(&path).await;
    store.close().await;
    let before = fs::read(&path).expect("bytes");
    let bad = folder.path().join("bad");
    fs::write(&bad, b"no redb file at all").expect("a file");
    assert!(matches!(restore(&path, &bad), Err(OpenError::Damaged { .. })));
    assert!(matches!(restore(&path, &folder.path().join("none")), Err(OpenError::Io { .. })));
    let foreign = redb::Database::create(folder.path().join("foreign")).expect("a file");
    let txn = foreign.begin_write().expect("a transaction");
    txn.open_table(redb::TableDefinition::<u64, u64>::new("theirs")).expect("a table");
    txn.commit().expect("a commit");
    drop(foreign);
    assert!(restore(&path, &folder.path().join("foreign")).is_err());
    fs::copy(&path, &bad).expect("a copy");
    set_layout(&bad, LAYOUT + 1);
    assert!(matches!(restore(&path, &bad), Err(OpenError::Newer { .. })));
    assert!(fs::read(&path).expect("bytes") == before);
    assert!(matches!(backup(&path, &bad, &mut no_progress()), Err(OpenError::Io { .. })), "it exists");
}

#[tokio::test]
async fn the_file_of_another_program_is_refused_untouched() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let foreign = redb::Database::create(&path).expect("a file");
    let txn = foreign.begin_write().expect("a transaction");
    txn.open_table(redb::TableDefinition::<u64, u64>::new("theirs")).expect("a table");
    txn.commit().expect("a commit");
    drop(foreign);
    let before = fs::read(&path).expect("bytes");
    let error = open_at(&path).expect_err("refused");
    assert!(
        matches!(&error, OpenError::Damaged { reason, .. } if reason.contains("another program")),
        "{error}"
    );
    assert!(fs::read(&path).expect("bytes") == before);
}

fn set_layout(path: &Path, layout: u64) {
    let db = open::builder().open(path).expect("it opens");
    note_layout(&db, layout);
}

fn note_layout(db: &redb::Database, layout: u64) {
    let txn = db.begin_write().expect("a transaction");
    let value = seal::seal_number("meta", b"layout", layout);
    txn.open_table(META).expect("a table").insert("layout", value.as_slice()).expect("written");
    txn.commit().expect("a commit");
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused_and_not_a_byte_of_it_changes() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (store, _) = filled(&path).await;
    store.close().await;
    let db = open::builder().open(&path).expect("it opens");
    note_layout(&db, LAYOUT + 1);
    let killed = as_killed(&path, "killed.redb");
    drop(db);
    for file in [&path, &killed] {
        let before = fs::read(file).expect("bytes");
        let error = open_at(file).expect_err("refused");
        assert!(
            matches!(error, OpenError::Newer { found, known, .. } if (found, known) == (LAYOUT + 1, LAYOUT))
        );
        assert!(error.to_string().contains("newer exotel-exporter"), "{error}");
        assert!(matches!(compact(file), Err(OpenError::Newer { .. })));
        assert!(fs::read(file).expect("bytes") == before, "{}", file.display());
    }
}

#[tokio::test]
async fn other_edges_restart_their_histogram_and_nothing_else() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (store, account) = filled(&path).await;
    let observations = |store: &Store| {
        store
            .totals()
            .iter()
            .filter(|(s, _)| s.family == Family::SettleDelay && s.b != SUM)
            .map(|(_, n)| n)
            .sum()
    };
    let observed: u64 = observations(&store);
    assert_eq!(observed, 120);
    store.close().await;
    let db = open::builder().open(&path).expect("it opens");
    let txn = db.begin_write().expect("a transaction");
    let name = format!("edges/{}", Family::SettleDelay as u8);
    let other = seal::seal_bytes("meta", name.as_bytes(), &[0, 0, 0, 9]);
    txn.open_table(META).expect("a table").insert(name.as_str(), other.as_slice()).expect("written");
    txn.commit().expect("a commit");
    drop(db);
    let store = open_at(&path).expect("it opens");
    let observed: u64 = observations(&store);
    assert_eq!((observed, total(&store, Family::Calls)), (0, 120));
    store.transact(page(account, 3_000, vec![missed("later", 9)])).await.expect("stored");
    store.close().await;
    let store = open_at(&path).expect("it opens");
    let observed: u64 = observations(&store);
    assert_eq!(observed, 1, "the edges are noted");
}

#[tokio::test]
async fn a_store_in_order_is_not_written_to_at_start_and_one_with_something_to_do_is() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    open_at(&path).expect("a new store").close().await;
    let is_made = |path: &Path| {
        let db = open::builder().open(path).expect("it opens");
        prepare::is_made(&db.begin_read().expect("a read")).expect("a look")
    };
    let db = open::builder().open(&path).expect("it opens");
    let txn = db.begin_read().expect("a read");
    let mut names: Vec<_> = txn.list_tables().expect("tables").map(|t| t.name().to_owned()).collect();
    names.sort();
    let mut known = tables::TABLES;
    known.sort_unstable();
    assert_eq!(names, known);
    drop((txn, db));
    assert!(is_made(&path));
    type Harm = fn(&redb::WriteTransaction);
    let harms: [Harm; 4] = [
        // So an older version left its stores: a table that a later one brought is not there, nor the note.
        |txn| {
            assert!(txn.delete_table(tables::KEPT).expect("deleted"));
            let mut meta = txn.open_table(META).expect("a table");
            assert!(meta.remove("tables").expect("removed").is_some());
        },
        |txn| {
            let mut meta = txn.open_table(META).expect("a table");
            assert!(meta.remove("tables").expect("removed").is_some());
        },
        |txn| {
            let mut meta = txn.open_table(META).expect("a table");
            meta.insert("restored", [1].as_slice()).expect("written");
        },
        |txn| {
            let name = format!("edges/{}", Family::SettleDelay as u8);
            let mut meta = txn.open_table(META).expect("a table");
            assert!(meta.remove(name.as_str()).expect("removed").is_some());
        },
    ];
    for harm in harms {
        let copy = folder.path().join("harmed");
        fs::copy(&path, &copy).expect("a copy");
        let db = open::builder().open(&copy).expect("it opens");
        let txn = db.begin_write().expect("a transaction");
        harm(&txn);
        txn.commit().expect("a commit");
        drop(db);
        assert!(!is_made(&copy));
        open_at(&copy).expect("it opens").close().await;
        assert!(is_made(&copy));
    }
}

#[tokio::test]
async fn accounts_keep_their_number_and_their_first_start() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let store = open_at(&path).expect("a new store");
    let (first, row) = store.account("one", START).await.expect("an account");
    let (second, _) = store.account("two", START.plus(5)).await.expect("an account");
    assert_ne!(first, second);
    assert_eq!(store.account("one", START.plus(99)).await.expect("known"), (first, row));
    store.close().await;
    let store = open_at(&path).expect("it opens");
    assert_eq!(store.account("two", START.plus(99)).await.expect("known").1.first_start, START.plus(5).0);
    let (third, _) = store.account("three", START).await.expect("an account");
    assert!(third != first && third != second);
    // Calls of one are none of another's, Sids and all.
    store.transact(page(first, 300, vec![missed("c1", 0)])).await.expect("stored");
    store.transact(page(second, 300, vec![missed("c1", 0)])).await.expect("stored");
    assert_eq!(total(&store, Family::Calls), 2);
    sound(&path);
}

#[tokio::test]
async fn a_store_is_readable_for_its_owner_alone_and_makes_its_folder() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let path = folder.path().join("a/b/store.redb");
    let (store, _) = filled(&path).await;
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&folder.path().join("a/b"))), (0o600, 0o700));
    let copy = folder.path().join("copy");
    backup(&path, &copy, &mut no_progress()).expect("a copy");
    assert_eq!(mode(&copy), 0o600);
    store.close().await;
    restore(&path, &copy).expect("restored");
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test]
async fn compacting_gives_space_back_and_keeps_everything() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (store, account) = filled(&path).await;
    assert!(matches!(compact(&path), Err(OpenError::InUse { .. })));
    let rows = (0..8_000).map(|n| missed(&format!("x{n}"), n)).collect();
    store.transact(page(account, 9_000, rows)).await.expect("stored");
    store.prune(account, SID, wall(7_990), START).await.expect("pruned");
    store.close().await;
    let (before, after) = compact(&path).expect("compacted");
    assert!(after < before, "{before} {after}");
    assert_eq!(sound(&path), 10);
    let store = open_at(&path).expect("it opens");
    assert_eq!(total(&store, Family::Calls), 8_120);
}

#[tokio::test]
async fn scrubbing_goes_through_every_call_and_counts_the_damaged() {
    let folder = folder();
    let (store, _) = filled(&folder.path().join("store.redb")).await;
    let (mut place, mut looks) = (Vec::new(), 0);
    loop {
        let (next, damaged) = store.scrub(place, 50).await.expect("a look");
        assert_eq!(damaged, 0);
        looks += 1;
        match next {
            Some(next) => place = next,
            None => break,
        }
    }
    assert_eq!(looks, 3);
}
