//! Callbacks that are nothing we know, and when each kind last came.

use super::*;
use crate::model::callback::{Kept, Kind};

fn kept(kind: Kind, raw: &str, at: i64) -> Kept {
    let received = START.plus(at);
    Kept { id: 0, kind, received, reason: "it is new".to_owned(), raw: raw.to_owned() }
}

async fn keep(store: &Store, account: AccountId, rows: Vec<Kept>) {
    let write = act(account, move |_| WriteSet { kept: rows.clone(), ..WriteSet::default() });
    store.transact(write).await.expect("stored");
}

async fn texts(store: &Store, account: AccountId) -> Vec<(u64, String)> {
    let rows = store.kept(account, 100).await.expect("read");
    rows.into_iter().map(|row| (row.id, row.raw)).collect()
}

#[tokio::test]
async fn the_newest_are_kept_and_each_text_once() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let store = open_at(&path).expect("a new store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    let (other, _) = store.account("other1", START).await.expect("another account");
    keep(&store, other, vec![kept(Kind::Sms, "a=0", 0)]).await;
    for n in 0..8 {
        keep(&store, account, vec![kept(Kind::Calls, &format!("a={n}"), n)]).await;
        keep(&store, account, vec![kept(Kind::Calls, &format!("a={n}"), n + 1)]).await;
    }
    let expected: Vec<_> = (3..8).rev().map(|n| (n + 1, format!("a={n}"))).collect();
    assert_eq!(texts(&store, account).await, expected);
    // One that made room is new when it comes again; the same text of another kind is another one.
    keep(&store, account, vec![kept(Kind::Calls, "a=0", 20), kept(Kind::Sms, "a=7", 20)]).await;
    assert_eq!(texts(&store, account).await[..2], [(10, "a=7".to_owned()), (9, "a=0".to_owned())]);
    assert_eq!(texts(&store, other).await, [(1, "a=0".to_owned())]);
    assert_eq!(store.table_rows().await.expect("counted")[3], 6);
    store.close().await;
    assert_eq!(check(&path, &mut |_| {}).expect("it can be checked").faults, Vec::<String>::new());
}

#[tokio::test]
async fn the_last_callback_of_a_kind_survives_and_never_goes_back() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let store = open_at(&path).expect("a new store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    assert_eq!(store.received(account).await.expect("read"), []);
    for at in [10, 70, 5] {
        let received = vec![(Kind::Heartbeat, START.plus(at)), (Kind::Passthru, START.plus(1))];
        let write = act(account, move |_| WriteSet { received: received.clone(), ..WriteSet::default() });
        store.transact(write).await.expect("stored");
    }
    store.close().await;
    let copy = folder.path().join("copy.redb");
    backup(&path, &copy, &mut |_, _| {}).expect("a copy");
    for path in [path, copy] {
        let store = open_at(&path).expect("the store again");
        let expected = [(Kind::Heartbeat, START.plus(70)), (Kind::Passthru, START.plus(1))];
        assert_eq!(store.received(account).await.expect("read"), expected);
        store.close().await;
    }
}
