//! Calls whose record was damaged: read anew, counted if and only if they had not been.

use super::*;
use crate::ingest::Tasks;
use crate::model::{SettledKind, Task};

struct Bench {
    _folder: TempDir,
    store: Store,
    account: AccountId,
}

/// What to damage of a call.
#[derive(Clone, Copy, Debug)]
enum Part {
    Value,
    /// The Sid in its key: it stands under a name that nobody knows.
    Key,
}

impl Bench {
    async fn new() -> Self {
        let folder = folder();
        let store = open_at(&folder.path().join("store.redb")).expect("a new store");
        let (account, _) = store.account(SID, START).await.expect("an account");
        Self { _folder: folder, store, account }
    }

    async fn read(&self, at: i64, rows: Vec<Observation>) -> crate::ingest::Summary {
        self.store.transact(page(self.account, at, rows)).await.expect("stored")
    }

    async fn damage(&self, name: &str, at: i64, part: Part) {
        let key = codec::call_key(self.account, wall(at), &sid(name));
        writer::with_engine(&self.store.queue, move |engine| {
            let txn = engine.db.begin_write()?;
            let mut table = txn.open_table(tables::CALLS)?;
            let mut value = table.remove(key.as_slice())?.expect("a record").value().to_vec();
            let mut key = key;
            match part {
                Part::Value => value[8] ^= 2,
                Part::Key => *key.last_mut().expect("a Sid") ^= 1,
            }
            table.insert(key.as_slice(), value.as_slice())?;
            drop(table);
            txn.commit()?;
            Ok(())
        })
        .await
        .expect("damaged");
    }

    async fn due(&self, task: Task) -> Vec<Sid> {
        let due = self.store.due(self.account, task, Timestamp(i64::MAX), 100).await.expect("a read");
        due.into_iter().map(|(sid, _)| sid).collect()
    }

    async fn tasks(&self, at: i64) {
        for task in [Task::Settle, Task::Child] {
            let tasks = Tasks { context: context(self.account, START.plus(at)), task, limit: 100 };
            self.store.transact(tasks).await.expect("done");
        }
    }

    fn calls(&self) -> u64 {
        total(&self.store, Family::Calls)
    }
}

/// A call that waits for its details.
fn waiting(name: &str, at: i64) -> Observation {
    let mut call = missed(name, at);
    call.status = Status::Completed;
    call
}

#[tokio::test]
async fn one_that_had_counted_is_read_anew_and_adds_nothing() {
    for part in [Part::Value, Part::Key] {
        let bench = Bench::new().await;
        bench.read(300, vec![missed("c1", 0), missed("c2", 0)]).await;
        let hours = bench.store.hours(bench.account, 0, u32::MAX).await.expect("hours");
        bench.damage("c1", 0, part).await;
        let mut dearer = missed("c1", 0);
        (dearer.price, dearer.updated) = (Some(900_000), Some(wall(500)));
        for _ in 0..3 {
            let summary = bench.read(600, vec![dearer.clone(), missed("c2", 0)]).await;
            assert_eq!((summary.new, summary.settled), (0, 0), "{part:?}");
        }
        assert_eq!((bench.calls(), total(&bench.store, Family::Cost)), (2, 1_000_000), "{part:?}");
        assert_eq!(bench.store.hours(bench.account, 0, u32::MAX).await.expect("hours"), hours, "{part:?}");
        let record =
            bench.store.call_at(bench.account, SID.into(), sid("c1"), wall(0)).await.expect("a read");
        let record = record.expect("it is there again");
        assert_eq!(
            (record.call.price, record.book.settled.map(|s| s.kind)),
            (Some(900_000), Some(SettledKind::Silent))
        );
    }
}

#[tokio::test]
async fn one_that_had_not_counted_is_asked_for_and_counts_once() {
    for part in [Part::Value, Part::Key] {
        let bench = Bench::new().await;
        bench.read(300, vec![waiting("c1", 0)]).await;
        bench.damage("c1", 0, part).await;
        assert_eq!(bench.due(Task::Settle).await, [sid("c1")]);
        // Its time comes: nothing is there to be counted, so it is asked for by its Sid.
        bench.tasks(4_000).await;
        assert_eq!(bench.calls(), 0);
        assert_eq!(bench.due(Task::Recheck).await, [sid("c1")], "{part:?}");
        assert!(bench.due(Task::Settle).await.is_empty() && bench.due(Task::Details).await.is_empty());
        // Exotel does not give it at first; it is asked for again, an hour later.
        let first = bench.store.next_due(bench.account, Task::Recheck).await.expect("a read");
        let mut asked = page(bench.account, 4_100, Vec::new());
        asked.asked = Some((Task::Recheck, vec![(sid("c1"), wall(0))]));
        bench.store.transact(asked).await.expect("stored");
        let second = bench.store.next_due(bench.account, Task::Recheck).await.expect("a read");
        assert_eq!(second, first.map(|t| t.plus(3_600)), "{part:?}");
        let mut complete = waiting("c1", 0);
        complete.details = Some(crate::model::Details { conversation: Some(9), ..Default::default() });
        for _ in 0..3 {
            bench.read(8_000, vec![complete.clone()]).await;
            bench.tasks(20_000).await;
            assert_eq!(bench.calls(), 1, "{part:?}");
        }
        for task in Task::ALL {
            assert!(bench.due(task).await.is_empty(), "{task:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_of_details_of_one_that_is_lost_leaves_nothing_to_be_asked_at_once() {
    let bench = Bench::new().await;
    bench.read(300, vec![waiting("c1", 0)]).await;
    bench.damage("c1", 0, Part::Value).await;
    let mut refused = page(bench.account, 600, Vec::new());
    refused.refused = vec![(sid("c1"), wall(0))];
    bench.store.transact(refused).await.expect("stored");
    assert!(bench.due(Task::Details).await.is_empty());
    assert_eq!(bench.due(Task::Recheck).await, [sid("c1")]);
}

#[tokio::test]
async fn legs_of_a_root_that_is_lost_do_not_become_calls() {
    let mut leg = missed("leg", 5);
    leg.parent = Some(sid("root"));
    // The root had counted: its labels are not known any more.
    let bench = Bench::new().await;
    bench.read(300, vec![missed("root", 0)]).await;
    bench.damage("root", 0, Part::Value).await;
    bench.read(301, vec![leg.clone()]).await;
    bench.tasks(100_000).await;
    assert_eq!((bench.calls(), total(&bench.store, Family::Cost)), (1, 500_000));
    // It had not: the leg waits until it is read anew.
    let bench = Bench::new().await;
    bench.read(300, vec![waiting("root", 0)]).await;
    bench.damage("root", 0, Part::Value).await;
    bench.read(301, vec![leg]).await;
    bench.tasks(100_000).await;
    assert_eq!(bench.calls(), 0);
    bench.read(100_001, vec![waiting("root", 0)]).await;
    bench.tasks(200_000).await;
    bench.tasks(400_000).await;
    assert_eq!((bench.calls(), total(&bench.store, Family::Cost)), (1, 1_000_000));
}

#[tokio::test]
async fn an_entry_of_the_agenda_that_no_record_lists_is_dropped() {
    let bench = Bench::new().await;
    bench.read(300, vec![waiting("c1", 0)]).await;
    let account = bench.account;
    writer::with_engine(&bench.store.queue, move |engine| {
        let txn = engine.db.begin_write()?;
        let mut table = txn.open_table(tables::AGENDA)?;
        for (name, due) in [("c1", 5), ("stranger", 6)] {
            let entry = agenda::Entry { task: Task::Settle, due, created: wall(0), sid: sid(name) };
            table.insert(agenda::key(account, &entry).as_slice(), ())?;
        }
        table.insert(
            [&account.0.to_be_bytes()[..], &[Task::Settle as u8, 0, 0, 0, 1, 7]].concat().as_slice(),
            (),
        )?;
        drop(table);
        txn.commit()?;
        Ok(())
    })
    .await
    .expect("damaged");
    bench.tasks(400).await;
    assert_eq!(bench.calls(), 0);
    assert_eq!(bench.due(Task::Settle).await, [sid("c1")]);
    assert_eq!(check(bench.store.path(), &mut |_| {}).expect("a check").faults, Vec::<String>::new());
}

fn terminal(account: AccountId, name: &str, at: i64) -> crate::ingest::Callback {
    let report = super::heard::report(name, Status::NoAnswer);
    let now = START.plus(at);
    crate::ingest::Callback { context: context(account, now), report, received: now }
}

#[tokio::test]
async fn what_callbacks_say_of_a_lost_call_waits_until_it_is_read_anew() {
    let bench = Bench::new().await;
    bench.read(300, vec![waiting("c1", 0)]).await;
    bench.damage("c1", 0, Part::Value).await;
    bench.store.transact(terminal(bench.account, "c1", 400)).await.expect("kept");
    assert_eq!(bench.due(Task::Confirm).await, [sid("c1")]);
    assert_eq!(bench.due(Task::Recheck).await, [sid("c1")], "it is asked for all the same");
    bench.read(500, vec![waiting("c1", 0)]).await;
    assert_eq!(bench.due(Task::Confirm).await, []);
    let record = all_calls(&bench.store, bench.account).await.remove(0);
    assert!(record.book.heard.is_some() && record.book.live);
    bench.tasks(3 * 3600).await;
    assert_eq!(bench.calls(), 1);
    bench.store.close().await;
    assert_eq!(check(bench.store.path(), &mut |_| {}).expect("a check").faults, Vec::<String>::new());
}

#[tokio::test]
async fn one_that_had_counted_and_waits_for_its_callback_adds_nothing_either() {
    for at in [300, 7200] {
        let bench = Bench::new().await;
        let mut first = page(bench.account, at, vec![missed("c1", 0)]);
        let kinds = ["calls".to_owned()];
        first.context.rules.callbacks =
            crate::settle::Callbacks::new(&[Direction::OutboundApi], &kinds, 1500);
        bench.store.transact(first).await.expect("stored");
        assert_eq!(bench.due(Task::Callback).await.len(), usize::from(at == 300));
        bench.damage("c1", 0, Part::Value).await;
        bench.read(at + 100, vec![missed("c1", 0)]).await;
        assert_eq!((bench.calls(), total(&bench.store, Family::CallbacksExpected)), (1, 1));
        let listed = bench.store.missed(bench.account, SID.into(), None, 9).await.expect("a read");
        assert_eq!(listed, [], "nobody knows any more what was to come");
        bench.store.close().await;
        assert_eq!(check(bench.store.path(), &mut |_| {}).expect("a check").faults, Vec::<String>::new());
    }
}
