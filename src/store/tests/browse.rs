//! Calls page by page, one call, runs of a range.

use super::*;
use crate::model::{RunStatus, SyncRun};
use crate::store::{Place, RunSums, Stretch};

const CALLS: i64 = 40;

/// A store with [`CALLS`] calls, one each minute.
async fn filled() -> (TempDir, Store, AccountId) {
    let folder = folder();
    let store = open_at(&folder.path().join("s.redb")).unwrap();
    let (account, _) = store.account(SID, START).await.unwrap();
    let calls = (0..CALLS).map(|n| missed(&format!("call{n}"), n * 60)).collect();
    store.transact(page(account, CALLS * 60, calls)).await.unwrap();
    (folder, store, account)
}

fn stretch(account: AccountId) -> Stretch {
    Stretch {
        account,
        account_sid: SID.to_owned(),
        from: WallTime(0),
        to: wall(1_000_000),
        below: None,
        limit: 7,
        most_read: 1_000,
    }
}

/// Every page to the end: the Sids, and how many pages there were.
async fn walk(
    store: &Store,
    stretch: &Stretch,
    wanted: impl Fn(&CallRecord) -> bool + Clone + Send + 'static,
) -> (Vec<String>, usize) {
    let (mut sids, mut pages, mut below): (Vec<String>, usize, Option<Place>) = (Vec::new(), 0, None);
    loop {
        let stretch = Stretch { below, ..stretch.clone() };
        let (calls, next) = store.calls(stretch, wanted.clone()).await.unwrap();
        sids.extend(calls.iter().map(|record| record.call.sid.to_string()));
        pages += 1;
        let Some(next) = next else { return (sids, pages) };
        below = Some(next);
    }
}

#[tokio::test]
async fn pages_give_every_call_once_the_newest_first() {
    let (_folder, store, account) = filled().await;
    let expected: Vec<String> = (0..CALLS).rev().map(|n| format!("call{n}")).collect();
    assert_eq!(walk(&store, &stretch(account), |_| true).await, (expected.clone(), 6));
    // Bounded by what is looked at, too.
    let short = Stretch { most_read: 3, ..stretch(account) };
    assert_eq!(walk(&store, &short, |_| true).await.0, expected);
    let rare = |record: &CallRecord| record.call.sid.as_str().ends_with('5');
    assert_eq!(walk(&store, &short, rare).await.0, ["call35", "call25", "call15", "call5"]);
    let range = Stretch { from: wall(5 * 60), to: wall(8 * 60), ..stretch(account) };
    assert_eq!(walk(&store, &range, |_| true).await.0, ["call7", "call6", "call5"]);
    for empty in [(wall(9), wall(9)), (wall(99), wall(9)), (wall(500_000), wall(600_000))] {
        let none = Stretch { from: empty.0, to: empty.1, ..stretch(account) };
        assert_eq!(walk(&store, &none, |_| true).await, (Vec::new(), 1));
    }
    let stranger = Stretch { account: AccountId(account.0 + 1), ..stretch(account) };
    assert!(walk(&store, &stranger, |_| true).await.0.is_empty());
}

#[tokio::test]
async fn a_call_is_found_by_its_sid_before_and_after_a_restart() {
    let (folder, store, account) = filled().await;
    let found = store.call(account, SID.to_owned(), sid("call7")).await.unwrap().unwrap();
    assert_eq!(found.call.created, wall(7 * 60));
    assert_eq!(store.call(account, SID.to_owned(), sid("nobody")).await.unwrap(), None);
    store.close().await;
    let store = open_at(&folder.path().join("s.redb")).unwrap();
    assert_eq!(store.call(account, SID.to_owned(), sid("call7")).await.unwrap(), Some(found));
}

/// Stores a run that began so many seconds after the start.
async fn ran(store: &Store, account: AccountId, (id, started): (u64, i64), status: RunStatus) {
    let run = SyncRun {
        id,
        trigger: "schedule".to_owned(),
        started: START.0 + started,
        ended: (status != RunStatus::InProgress).then_some(START.0 + started + 5),
        status,
        pages: 0,
        new: 0,
        stored: id,
        rows: 0,
        set_aside: 0,
        error: None,
    };
    let run = act(account, move |_| WriteSet { run: Some(run.clone()), ..WriteSet::default() });
    store.transact(run).await.unwrap();
}

fn ids(sums: &RunSums) -> Vec<u64> {
    sums.newest.iter().map(|run| run.id).collect()
}

#[tokio::test]
async fn runs_of_a_range_are_given_newest_first_though_some_are_numbered_late() {
    let (_folder, store, account) = filled().await;
    // The third healed: it began first.
    for run in [(1, 100), (2, 200), (3, 50), (4, 300)] {
        ran(&store, account, run, RunStatus::InProgress).await;
    }
    let between = async |from: i64, to: i64| {
        ids(&store.runs_between(account, (START.plus(from), START.plus(to)), 100).await.unwrap())
    };
    assert_eq!(between(0, 1_000).await, [4, 3, 2, 1]);
    assert_eq!(between(100, 300).await, [2, 1], "the end is not in it");
    assert_eq!(between(50, 51).await, [3]);
    assert!(between(400, 900).await.is_empty());
}

#[tokio::test]
async fn sums_of_runs_hold_those_that_are_kept_in_memory_and_those_that_are_not() {
    const HOUR: i64 = 3600;
    let (_folder, store, account) = filled().await;
    let status = |id: u64| [RunStatus::Success, RunStatus::Failed][usize::from(id.is_multiple_of(3))];
    let whole = (START, START.plus(1_000 * HOUR));
    let mut stored = 0;
    for id in 1..=40 {
        // One is under way while the next is there already.
        ran(&store, account, (id, id as i64 * HOUR), RunStatus::InProgress).await;
        if id > 1 {
            ran(&store, account, (id - 1, (id - 1) as i64 * HOUR), status(id - 1)).await;
        }
        stored += id;
        // Asked each time, every other time, or only at the end: what is kept grows in all ways.
        if id % 7 != 0 && id > 20 {
            continue;
        }
        let sums = store.runs_between(account, whole, 3).await.unwrap();
        let failed = (id - 1) / 3;
        assert_eq!(
            (sums.total, sums.successful, sums.failed, sums.stored),
            (id, id - 1 - failed, failed, stored),
            "after {id}"
        );
        assert_eq!(ids(&sums), (1..=id).rev().take(3).collect::<Vec<_>>());
        let early = (START.plus(HOUR), START.plus(4 * HOUR));
        let sums = store.runs_between(account, early, 100).await.unwrap();
        assert_eq!(ids(&sums), (1..=id.min(3)).rev().collect::<Vec<_>>(), "after {id}");
    }
    store.prune(account, SID, WallTime(0), START.plus(38 * HOUR)).await.unwrap();
    let sums = store.runs_between(account, whole, 100).await.unwrap();
    assert_eq!((sums.total, ids(&sums)), (3, vec![40, 39, 38]), "what retention removed is gone");
}
