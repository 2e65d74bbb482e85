//! Callbacks in the file: what was acknowledged survives a kill, damage costs one record, and the inbox is
//! bounded.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use redb::ReadableDatabase;

use super::processes::{child, told};
use super::*;
use crate::ingest::Callback;
use crate::model::Task;
use crate::model::callback::{CallEvent, CallReport, Taken};
use crate::store::tables::INBOX;

const KILLS: u64 = 24;

/// A final callback about a call that began at second 0.
pub(super) fn report(name: &str, status: Status) -> CallReport {
    CallReport { status: Some(status), ..CallReport::outbound(sid(name), wall(0), CallEvent::Terminal, 1) }
}

fn terminal(account: AccountId, name: &str, at: i64) -> Callback {
    let report = report(name, Status::NoAnswer);
    Callback { context: context(account, START.plus(at)), report, received: START.plus(at) }
}

async fn inbox(store: &Store, account: AccountId) -> Vec<String> {
    let calls = store.unlisted(account, None, usize::MAX).await.expect("a read");
    calls.into_iter().map(|(sid, _)| sid.to_string()).collect()
}

/// Takes callbacks in for ever, many at once, among pages that name some of their calls, and says of each
/// when it is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_takes_callbacks() {
    let Some(path) = told() else { return };
    let store = open_at(&path).expect("the store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    let begin = store.totals().iter().map(|(_, n)| n).max().unwrap_or(0);
    let mut work = tokio::task::JoinSet::new();
    for lane in 0..8_u64 {
        let store = store.clone();
        work.spawn(async move {
            for n in begin.. {
                let name = format!("c{lane}x{n}");
                if n % 3 == 0 {
                    store.transact(page(account, 300, vec![missed(&name, 0)])).await.expect("stored");
                }
                store.transact(terminal(account, &name, 5)).await.expect("kept");
                if n % 3 == 1 {
                    store.transact(page(account, 300, vec![missed(&name, 0)])).await.expect("stored");
                }
                let mut out = std::io::stdout().lock();
                writeln!(out, "\nack {name}.").and_then(|()| out.flush()).expect("said");
            }
        });
    }
    drop(work.join_all().await);
}

#[tokio::test]
async fn a_callback_that_was_acknowledged_survives_a_kill_and_counts_once() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let mut acked = std::collections::BTreeSet::new();
    for kill in 0..KILLS {
        let mut taker = child("heard::child_that_takes_callbacks", &path);
        let output = taker.stdout.take().expect("its output");
        std::thread::sleep(Duration::from_millis(10 + kill * 37 % 90));
        taker.kill().expect("killed");
        for line in BufReader::new(output).lines() {
            let line = line.expect("a line");
            // A line may be cut by the kill.
            acked.extend(line.strip_prefix("ack ").and_then(|l| l.strip_suffix('.')).map(str::to_owned));
        }
        taker.wait().expect("its end");
        let store = open_at(&path).expect("a killed store opens");
        let (account, _) = store.account(SID, START).await.expect("an account");
        let calls = all_calls(&store, account).await;
        let heard = calls.iter().filter(|record| record.book.heard.is_some());
        let mut known: Vec<String> = heard.map(|record| record.call.sid.to_string()).collect();
        known.extend(inbox(&store, account).await);
        let lost: Vec<&String> = acked.iter().filter(|name| !known.contains(name)).collect();
        assert!(lost.is_empty(), "acknowledged and gone: {lost:?}");
        assert_eq!(total(&store, Family::CallEvents), known.len() as u64, "each counts once");
        assert_eq!(total(&store, Family::Calls), calls.len() as u64);
        // Exotel sends again what it got no answer for.
        for name in known.iter().take(20) {
            let again = store.transact(terminal(account, name, 900)).await.expect("answered");
            assert_eq!(again, Taken::Duplicate);
        }
        store.close().await;
        assert_eq!(check(&path, &mut |_| {}).expect("a check").faults, Vec::<String>::new());
    }
    assert!(acked.len() > 50, "the children got somewhere: {}", acked.len());
}

#[tokio::test]
async fn callbacks_of_many_at_once_share_commits_and_each_is_answered() {
    let folder = folder();
    let store = open_at(&folder.path().join("store.redb")).expect("a new store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    let mut all = tokio::task::JoinSet::new();
    for n in 0..300 {
        let (store, callback) = (store.clone(), terminal(account, &format!("c{}", n % 100), 5));
        all.spawn(async move { store.transact(callback).await.expect("kept") });
    }
    let taken = all.join_all().await;
    assert_eq!(taken.iter().filter(|t| **t == Taken::Accepted).count(), 100, "the rest are repeats");
    assert_eq!(total(&store, Family::CallEvents), 100);
}

#[tokio::test]
async fn a_damaged_entry_of_the_inbox_costs_nothing_but_itself() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let store = open_at(&path).expect("a new store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    for name in ["one", "two"] {
        store.transact(terminal(account, name, 5)).await.expect("kept");
    }
    store.close().await;
    {
        let db = redb::Database::open(&path).expect("the file");
        let (key, mut value) = {
            let table = db.begin_read().expect("a read").open_table(INBOX).expect("the table");
            let row = redb::ReadableTable::first(&table).expect("a read").expect("a row");
            (row.0.value().to_vec(), row.1.value().to_vec())
        };
        value[3] ^= 1;
        let txn = db.begin_write().expect("a write");
        txn.open_table(INBOX).expect("the table").insert(key.as_slice(), value.as_slice()).expect("written");
        txn.commit().expect("committed");
    }
    let faults = check(&path, &mut |_| {}).expect("a check").faults;
    assert_eq!(faults, ["1 calls that only callbacks named do not fit their checksum"]);
    let store = open_at(&path).expect("it opens all the same");
    assert_eq!(inbox(&store, account).await.len(), 1);
    // Its call is read as if nobody had spoken of it.
    store.transact(page(account, 300, vec![missed("one", 0), missed("two", 0)])).await.expect("stored");
    assert_eq!(total(&store, Family::Calls), 2);
    assert_eq!(all_calls(&store, account).await.iter().filter(|r| r.book.heard.is_some()).count(), 1);
}

#[tokio::test]
async fn the_inbox_keeps_the_newest_and_goes_with_its_retention() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let store = open_at(&path).expect("a new store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    for n in 0..80 {
        store.transact(terminal(account, &format!("c{n}"), n)).await.expect("kept");
    }
    let oldest = |names: Vec<String>| names.last().cloned();
    store.prune_inbox(account, wall(10)).await.expect("pruned");
    // More than it keeps is gone too.
    let left = inbox(&store, account).await;
    assert_eq!((left.len(), oldest(left)), (50, Some("c30".to_owned())));
    store.prune_inbox(account, wall(70)).await.expect("pruned");
    let left = inbox(&store, account).await;
    assert_eq!((left.len(), oldest(left)), (10, Some("c70".to_owned())));
    let due = store.due(account, Task::Confirm, Timestamp(i64::MAX), 100).await.expect("a read");
    assert_eq!(due.len(), 10, "nobody is asked about what is gone");
    store.close().await;
    assert_eq!(check(&path, &mut |_| {}).expect("a check").faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_backup_brings_along_what_callbacks_said() {
    let folder = folder();
    let (path, copy) = (folder.path().join("store.redb"), folder.path().join("copy.redb"));
    let store = open_at(&path).expect("a new store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    store.transact(terminal(account, "waits", 5)).await.expect("kept");
    store.transact(terminal(account, "known", 5)).await.expect("kept");
    store.transact(page(account, 300, vec![missed("known", 0)])).await.expect("stored");
    store.checkpoint().await;
    backup(&path, &copy, &mut |_, _| {}).expect("a copy");
    let copied = open_at(&copy).expect("it opens");
    assert_eq!(inbox(&copied, account).await, ["waits"]);
    assert!(all_calls(&copied, account).await[0].book.heard.is_some());
    assert_eq!(total(&copied, Family::CallEvents), 0, "it counts from 0 again");
    let again = copied.transact(terminal(account, "waits", 900)).await.expect("answered");
    assert_eq!(again, Taken::Duplicate);
}
