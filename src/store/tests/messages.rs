//! Messages: found by Sid, listed when they are due, gone when they are old.

use super::*;
use crate::ingest::messages::{NotKnown, Report};
use crate::model::callback::{SmsReport, SmsStatus, Taken};
use crate::model::message::Reporter;

fn report(account: AccountId, sid: &str, status: SmsStatus, at: i64) -> Report {
    let said = SmsReport { sid: sid.into(), status, code: None, created: None, sent: None };
    Report { account, said, reporter: Reporter::Callback, settle_after: 1_800, now: START.plus(at) }
}

#[tokio::test]
async fn a_message_is_kept_over_a_restart_and_listed_once_it_is_due() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let store = open_at(&path).expect("a new store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    assert_eq!(store.transact(report(account, "m1", SmsStatus::Queued, 0)).await, Ok(Taken::Accepted));
    assert_eq!(store.transact(report(account, "m2", SmsStatus::Sending, 5)).await, Ok(Taken::Accepted));
    store.close().await;

    let store = open_at(&path).expect("it opens again");
    assert_eq!(store.transact(report(account, "m1", SmsStatus::Queued, 9)).await, Ok(Taken::Duplicate));
    let due = |at: i64| store.messages_due(account, START.plus(at), 10);
    assert_eq!(due(1_799).await, Ok(vec![]));
    assert_eq!(due(1_800).await, Ok(vec!["m1".to_owned()]));
    assert_eq!(due(9_000).await, Ok(vec!["m1".to_owned(), "m2".to_owned()]));

    let asked = NotKnown { account, sid: "m1".into(), settle_after: 1_800, now: START.plus(2_000) };
    store.transact(asked).await.expect("stored");
    assert_eq!(due(2_100).await, Ok(vec!["m2".to_owned()]), "the next time is later");
    let known = store.message(account, "m1".into()).await.expect("a read").expect("it is known");
    assert_eq!((known.asks, known.done), (1, None));
}

#[tokio::test]
async fn old_messages_go_with_all_that_was_to_be_done_about_them() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let store = open_at(&path).expect("a new store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    let (other, _) = store.account("another", START).await.expect("an account");
    for n in 0..20 {
        let status = if n % 2 == 0 { SmsStatus::Queued } else { SmsStatus::Sent };
        store.transact(report(account, &format!("m{n}"), status, n)).await.expect("stored");
    }
    store.transact(report(other, "m0", SmsStatus::Queued, 0)).await.expect("stored");
    store.prune_messages(account, START.plus(15)).await.expect("pruned");

    assert_eq!(store.message(account, "m14".into()).await, Ok(None));
    assert!(store.message(account, "m15".into()).await.expect("a read").is_some());
    assert!(store.message(other, "m0".into()).await.expect("a read").is_some());
    let mut due = store.messages_due(account, START.plus(999_999), 100).await.expect("a read");
    due.sort();
    assert_eq!(due, ["m15", "m16", "m17", "m18", "m19"], "the ended ones for the time they began");
    store.close().await;
    assert_eq!(check(&path, &mut |_| {}).expect("it can be checked").faults, Vec::<String>::new());
}
