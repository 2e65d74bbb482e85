//! A store and its journal apart: moved away, changed elsewhere, brought back, closed by one who did not know.

use std::fs;
use std::sync::mpsc;

use super::journal::{as_killed, held, journal_of, more, written};
use super::*;
use crate::store::open::{Hold, builder, open_behind_glass};
use crate::store::{backup, erase, journal, redo};

#[tokio::test]
async fn what_a_journal_held_beyond_a_store_fits_it_no_more_once_it_was_changed_without_it() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (_store, _) = written(&path, 0..4).await;
    let journal = journal_of(&path);
    // Ways in which a store is changed: an operation, an account, an erasure. It never has its journal.
    for (n, way) in ["operation", "account", "erasure"].into_iter().enumerate() {
        let away = as_killed(&path, way, Some(b""));
        fs::remove_file(journal::place(&away)).expect("no journal");
        let added = match way {
            "operation" => {
                let (store, account) = written(&away, 0..0).await;
                store.transact(page(account, 10_000, vec![missed("one", 1)])).await.expect("stored");
                store.close().await;
                1
            }
            "account" => {
                let store = open_at(&away).expect("a store");
                store.account("another", START).await.expect("an account");
                store.close().await;
                0
            }
            _ => {
                erase(&away, "09800000001", START, &mut |_, _| {}).expect("erased");
                0
            }
        };
        fs::write(journal::place(&away), &journal).expect("the old journal, brought back");
        assert_eq!(held(&away).await, (added, added as u64), "way {n}: nothing of it is taken up");
        assert_eq!(fs::read(journal::unread_place(&away)).expect("kept"), journal);
    }
    // Looked at only, it still fits.
    let looked_at = as_killed(&path, "looked-at", Some(b""));
    fs::remove_file(journal::place(&looked_at)).expect("no journal");
    open_at(&looked_at).expect("a store").close().await;
    fs::write(journal::place(&looked_at), &journal).expect("brought back");
    assert_eq!(held(&looked_at).await, (40, 40));
}

#[tokio::test]
async fn who_reads_a_store_that_was_closed_in_order_sees_what_its_journal_holds() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (_store, _) = written(&path, 0..3).await;
    let closed = as_killed(&path, "closed", None);
    drop(builder().open(&closed).expect("redb closes it in order"));
    let before = fs::read(&closed).expect("bytes");
    let report = check(&closed, &mut |_| {}).expect("a check");
    assert_eq!((report.calls, report.faults), (30, Vec::new()));
    let copy = folder.path().join("copy.redb");
    backup(&closed, &copy, &mut |_, _| {}).expect("copied");
    assert_eq!(check(&copy, &mut |_| {}).expect("a check").calls, 30);
    assert!(fs::read(&closed).expect("bytes") == before, "untouched");
    assert_eq!(held(&closed).await, (30, 30));
}

#[tokio::test]
async fn a_store_with_the_journal_of_a_newer_version_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (store, account) = written(&path, 0..1).await;
    let killed = as_killed(&path, "newer", None);
    let mark = {
        let read = open::open_for_reading(&path).expect("the file").begin_read().expect("a read");
        redo::pending(&read, &path).expect("its journal").0.expect("a mark")
    };
    drop((store, account));
    // A change of one row in table 99.
    let record = journal::record(mark.id, mark.applied + 1, &[99, 1, b'k', 1, 1, b'v']);
    fs::write(journal::place(&killed), &record).expect("a journal");
    let before = fs::read(&killed).expect("bytes");
    assert!(matches!(open_at(&killed), Err(OpenError::Newer { .. })));
    assert!(fs::read(&killed).expect("bytes") == before, "untouched");
    assert_eq!(fs::read(journal::place(&killed)).expect("the journal"), record);
}

#[tokio::test]
async fn an_emptied_store_is_not_made_anew() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    written(&path, 0..1).await.0.close().await;
    fs::write(&path, b"").expect("emptied");
    let error = open_at(&path).map(drop).expect_err("refused");
    assert!(matches!(&error, OpenError::Damaged { reason, .. } if reason.contains("empty")), "{error}");
}

#[tokio::test]
async fn whoever_verifies_a_store_keeps_no_agent_from_it() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    written(&path, 0..2).await.0.close().await;
    let glass = open_behind_glass(&path, Hold::Free).expect("behind glass");
    assert_eq!(held_while_open(&path).await, 20);
    drop(glass);
}

async fn held_while_open(path: &Path) -> usize {
    let store = open_at(path).expect("it opens");
    let (account, _) = store.account(SID, START).await.expect("an account");
    let calls = all_calls(&store, account).await.len();
    more(&store, account, 5..6).await;
    store.close().await;
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_seen_though_the_next_in_line_fails() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let (store, account) = written(&path, 0..0).await;
    store.checkpoint().await;
    let (go, gate) = mpsc::channel::<()>();
    let (at_work, began) = tokio::sync::oneshot::channel();
    let mut at_work = Some(at_work);
    let phone = crate::model::KnownExoPhone {
        id: 1,
        sid: "x1".into(),
        number: "08000000011".into(),
        friendly_name: None,
        countable_from: 0,
    };
    let first = act(account, move |_| {
        at_work.take().map(|at_work| at_work.send(()));
        gate.recv().expect("the sign to go on");
        WriteSet { exophones: vec![phone.clone()], ..WriteSet::default() }
    });
    let beside = store.clone();
    let first = tokio::spawn(async move { beside.transact(first).await });
    began.await.expect("at work");
    let beside = store.clone();
    let fault = act(account, |_| -> WriteSet { panic!("a fault, wanted by this test") });
    let second = tokio::spawn(async move { beside.transact(fault).await });
    // It stands in the queue before the first goes on.
    while store.queue.capacity() == store.queue.max_capacity() {
        tokio::task::yield_now().await;
    }
    go.send(()).expect("the first waits");
    assert!(first.await.expect("a task").is_ok());
    assert_eq!(second.await.expect("a task").map(drop), Err(Error::Fault));
    assert_eq!(store.exophones(account).await.expect("numbers").len(), 1, "it was answered, so it is seen");
    store.close().await;
}
