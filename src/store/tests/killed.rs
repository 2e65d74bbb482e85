//! `kill -9` at any moment: what was acknowledged is there, once.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use super::processes::{child, told};
use super::*;
use crate::model::SyncState;

const KILLS: u64 = 32;
/// Two accounts, so that groups are shared.
const ACCOUNTS: [&str; 2] = ["one", "two"];
const ROWS: i64 = 12;

/// Rows of page `n`: new calls, those of the page before once more, and two of it with a higher price.
fn rows(n: i64) -> Vec<Observation> {
    let mut rows: Vec<Observation> = (0..ROWS).map(|i| missed(&format!("c{n}x{i}"), n)).collect();
    for i in 0..if n > 0 { ROWS } else { 0 } {
        let mut again = missed(&format!("c{}x{i}", n - 1), n - 1);
        if i < 2 {
            again.price = Some(700_000);
            again.updated = Some(wall(n + 100));
        }
        rows.push(again);
    }
    rows
}

/// What the counters must be once pages 0 to `last` are stored.
fn expected(last: i64) -> (u64, u64) {
    let calls = (last + 1) * ROWS;
    let raised = last * 2;
    (calls as u64, (calls * 500_000 + raised * 200_000) as u64)
}

/// Stores pages for ever, from the one on that was stored last, and says so on its output.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_stores_pages() {
    let Some(path) = told() else { return };
    let store = open_at(&path).expect("the store");
    let mut work = tokio::task::JoinSet::new();
    for name in ACCOUNTS {
        let (account, _) = store.account(name, START).await.expect("an account");
        let store = store.clone();
        work.spawn(async move {
            let done = store.sync_state(account).await.expect("a read").map_or(-1, |state| state.watermark);
            // The last page once more: after a kill nobody knows whether it was acknowledged.
            for n in done.max(0).. {
                let mut page = page(account, 100_000, rows(n));
                page.sync = Some(SyncState { watermark: n, ..SyncState::default() });
                store.transact(page).await.expect("stored");
                let mut out = std::io::stdout().lock();
                writeln!(out, "\nack {name} {n}").and_then(|()| out.flush()).expect("said");
            }
        });
    }
    drop(work.join_all().await);
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_and_nothing_counts_twice() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let mut acked = [-1_i64; 2];
    for kill in 0..KILLS {
        let mut writer = child("killed::child_that_stores_pages", &path);
        let output = writer.stdout.take().expect("its output");
        // Some are killed while they open the store.
        std::thread::sleep(Duration::from_millis(4 + kill * 37 % 90));
        writer.kill().expect("killed");
        for line in BufReader::new(output).lines() {
            let line = line.expect("a line");
            let mut words = line.split(' ');
            if let (Some("ack"), Some(name), Some(n)) = (words.next(), words.next(), words.next()) {
                let of = ACCOUNTS.iter().position(|a| *a == name).expect("an account");
                // A line may be cut by the kill; a shorter number is then an older page.
                acked[of] = acked[of].max(n.parse().unwrap_or(-1));
            }
        }
        writer.wait().expect("its end");
        let store = open_at(&path).expect("a killed store opens");
        for (of, name) in ACCOUNTS.iter().enumerate() {
            let (account, _) = store.account(name, START).await.expect("an account");
            let state = store.sync_state(account).await.expect("a read");
            let last = state.map_or(-1, |state| state.watermark);
            assert!(last >= acked[of], "page {} of {name} was acknowledged, {last} is there", acked[of]);
            acked[of] = last;
            let sum = |family| -> u64 {
                let ours = |s: &Series| s.account == account && s.family == family;
                store.totals().iter().filter(|(s, _)| ours(s)).map(|(_, n)| n).sum()
            };
            let found = (sum(Family::Calls), sum(Family::Cost));
            assert_eq!(found, if last < 0 { (0, 0) } else { expected(last) }, "{name} after page {last}");
        }
        store.close().await;
        assert_eq!(check(&path, &mut |_| {}).expect("a check").faults, Vec::<String>::new());
    }
    assert!(acked.iter().all(|last| *last > 20), "the children got somewhere: {acked:?}");
}
