//! One commit for many, and none of them at the mercy of another.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::model::SyncRun;

async fn new_store(folder: &TempDir) -> (Store, AccountId) {
    let store = open_at(&folder.path().join("store.redb")).expect("a new store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    (store, account)
}

/// Flips a bit of a record.
macro_rules! damage {
    ($store:expr, $table:expr, $key:expr) => {
        writer::with_engine(&$store.queue, move |engine| {
            let txn = engine.db.begin_write()?;
            let mut table = txn.open_table($table)?;
            let mut value = redb::ReadableTable::get(&table, $key)?.expect("a record").value().to_vec();
            value[0] ^= 1;
            table.insert($key, value.as_slice())?;
            drop(table);
            txn.commit()?;
            Ok(())
        })
        .await
        .expect("damaged")
    };
}

#[tokio::test]
async fn operations_that_wait_share_a_commit_and_each_gets_its_own_reply() {
    let folder = folder();
    let (store, account) = new_store(&folder).await;
    let (a, b, c) = tokio::join!(
        store.transact(add(account, 1)),
        store.transact(add(account, 2)),
        store.transact(add(account, 4))
    );
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(store.totals().get(counter(account)), 7);
}

#[tokio::test]
async fn a_later_operation_of_a_group_sees_what_an_earlier_one_wrote() {
    let folder = folder();
    let (store, account) = new_store(&folder).await;
    let mut pages = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        let page = page(account, 300, vec![missed("c1", 0), missed("c2", 5)]);
        pages.spawn(async move { store.transact(page).await });
    }
    let mut new = 0;
    for page in pages.join_all().await {
        new += page.expect("stored").new;
    }
    assert_eq!((new, total(&store, Family::Calls)), (2, 2));
}

#[tokio::test]
async fn an_operation_that_panics_takes_neither_its_neighbours_nor_the_writer_along() {
    let folder = folder();
    let (store, account) = new_store(&folder).await;
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let bad = act(account, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        panic!("a fault of the operation, wanted by this test")
    });
    let (a, bad, b) =
        tokio::join!(store.transact(add(account, 1)), store.transact(bad), store.transact(add(account, 2)));
    assert!(a.is_ok() && b.is_ok(), "{a:?} {b:?}");
    assert!(matches!(bad, Err(Error::Fault)), "{bad:?}");
    assert_eq!(runs.load(Ordering::SeqCst), 2, "once in the group, once alone");
    assert_eq!(store.totals().get(counter(account)), 3);
    store.transact(add(account, 4)).await.expect("the writer goes on");
    store.close().await;
    let reading = open::open_for_reading(&folder.path().join("store.redb"));
    assert!(matches!(reading, Ok(open::ForReading::Shared(_))), "nothing was left to repair");
    drop(reading);
    let store = open_at(&folder.path().join("store.redb")).expect("it opens again");
    assert_eq!(store.totals().get(counter(account)), 7);
}

#[tokio::test]
async fn a_panic_outside_of_a_group_is_an_error_for_who_caused_it() {
    let folder = folder();
    let (store, account) = new_store(&folder).await;
    let bad = writer::with_engine(&store.queue, |_| panic!("a fault, wanted by this test")).await;
    assert!(matches!(bad, Err(Error::Fault)), "{bad:?}");
    store.transact(add(account, 4)).await.expect("the file is open again at once");
    assert_eq!(store.totals().get(counter(account)), 4);
}

#[tokio::test]
async fn a_damaged_record_fails_the_operation_that_needs_it_alone() {
    let folder = folder();
    let (store, account) = new_store(&folder).await;
    damage!(store, tables::ACCOUNTS, SID);
    let (a, bad, b) = tokio::join!(
        store.transact(add(account, 1)),
        store.prune(account, SID, wall(0), START),
        store.transact(add(account, 2))
    );
    assert!(a.is_ok() && b.is_ok() && matches!(bad, Err(Error::Damaged(_))), "{a:?} {bad:?} {b:?}");
    assert_eq!(store.totals().get(counter(account)), 3);
}

#[tokio::test]
async fn a_damaged_roll_up_is_summed_again_from_the_calls() {
    let folder = folder();
    let (store, account) = new_store(&folder).await;
    store.transact(page(account, 300, vec![missed("c1", 0), missed("c2", 5)])).await.expect("stored");
    let hour = u32::try_from(wall(0).0 / 3600).expect("an hour");
    let before = store.hours(account, hour, hour + 1).await.expect("hours");
    let key = tables::hour_key(account, (hour, Direction::OutboundApi));
    damage!(store, tables::HOURS, key);
    assert_eq!(store.hours(account, hour, hour + 1).await.expect("the rest"), []);
    store.transact(page(account, 400, vec![missed("c3", 10)])).await.expect("stored all the same");
    let after = store.hours(account, hour, hour + 1).await.expect("hours");
    assert_eq!((before[0].2.calls(), after[0].2.calls(), after[0].2.cost), (2, 3, 1_500_000));
}

#[tokio::test]
async fn damaged_state_of_reading_runs_and_rows_set_aside_stop_nobody() {
    let folder = folder();
    let (store, account) = new_store(&folder).await;
    let aside = crate::exotel::Row::Unreadable(crate::model::UnreadableRow {
        raw: "{}".into(),
        reason: "Sid is absent".into(),
        sid: None,
        created: Some(wall(7)),
    });
    let bad_page = |id| {
        let mut page = page(account, 300, Vec::new());
        page.rows.push(aside.clone());
        page.sync = Some(crate::model::SyncState { watermark: 5, ..Default::default() });
        page.run = Some(SyncRun {
            id,
            trigger: "schedule".into(),
            started: 1,
            ended: None,
            status: crate::model::RunStatus::InProgress,
            pages: 0,
            new: 0,
            stored: 0,
            rows: 0,
            set_aside: 0,
            error: None,
        });
        page
    };
    let summary = store.transact(bad_page(1)).await.expect("stored");
    store.transact(bad_page(2)).await.expect("stored");
    damage!(store, tables::SYNC, account.0);
    let (run, aside) = (tables::run_key(account, 2), (account.0, summary.set_aside[0]));
    damage!(store, tables::RUNS, run);
    damage!(store, tables::SET_ASIDE, aside);
    assert_eq!(store.sync_state(account).await.expect("a read"), None);
    assert_eq!(store.runs(account, 5).await.expect("a read").iter().map(|r| r.id).collect::<Vec<_>>(), [1]);
    assert_eq!(store.set_aside(account).await.expect("a read"), []);
    assert!(store.summary(account, SID.into()).await.is_ok());
    assert_eq!(store.count_rows(account, wall(0), wall(100), 10).await.expect("a read"), 0);
    let faults = check(store.path(), &mut |_| {}).expect("a check").faults;
    assert!(faults.iter().any(|f| f.contains("checksum")), "{faults:?}");
    store.transact(bad_page(2)).await.expect("it is read again");
    assert_eq!(store.set_aside(account).await.expect("a read").len(), 1);
    assert_eq!(check(store.path(), &mut |_| {}).expect("a check").faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_closed_store_says_so_and_what_was_queued_before_is_stored() {
    let folder = folder();
    let (store, account) = new_store(&folder).await;
    let other = store.clone();
    let (a, (), b) =
        tokio::join!(store.transact(add(account, 1)), store.close(), other.transact(add(account, 2)));
    assert!(a.is_ok());
    assert!(matches!(b, Err(Error::Closed)), "{b:?}");
    assert!(matches!(other.sids(account, wall(0), wall(1)).await, Err(Error::Unavailable { .. })));
    let store = open_at(&folder.path().join("store.redb")).expect("it is free");
    assert_eq!(store.totals().get(counter(account)), 1);
}
