//! The index of Sids against a map, with merging that begins early.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use redb::{Database, ReadableDatabase, ReadableTableMetadata};

use crate::model::WallTime;
use crate::store::index::{Fresh, Recent, Tables};
use crate::store::redo::Txn;
use crate::store::tables::{SID_INDEX, SID_RECENT};

#[derive(Clone, Debug)]
enum Step {
    /// Calls are filed; a hash that is known moves.
    File(Vec<(u16, u16)>),
    /// Everything filed before this is removed.
    Prune(u16),
    Reopen,
    /// A transaction that is not committed.
    Abandon(Vec<(u16, u16)>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let batch = || proptest::collection::vec((0..600u16, 1..2_000u16), 1..12);
    let step = prop_oneof![
        20 => batch().prop_map(Step::File),
        1 => (0..1_500u16).prop_map(Step::Prune),
        1 => Just(Step::Reopen),
        1 => batch().prop_map(Step::Abandon),
    ];
    proptest::collection::vec(step, 1..120)
}

fn hash(of: u16) -> u64 {
    u64::from(of).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

struct Bench {
    db: Database,
    recent: Recent,
    model: HashMap<u64, u16>,
    floor: u16,
}

impl Bench {
    fn new() -> Self {
        let db =
            Database::builder().create_with_backend(redb::backends::InMemoryBackend::new()).expect("a store");
        let txn = db.begin_write().expect("a transaction");
        txn.open_table(SID_INDEX).expect("a table");
        txn.open_table(SID_RECENT).expect("a table");
        txn.commit().expect("a commit");
        Self { db, recent: Recent::default(), model: HashMap::new(), floor: 0 }
    }

    fn file(&mut self, batch: &[(u16, u16)], keep: bool) {
        let txn = self.db.begin_write().expect("a transaction");
        let mut fresh = Fresh::default();
        {
            let txn = Txn::new(&txn);
            let mut tables = Tables {
                tree: txn.open_table(SID_INDEX).expect("a table"),
                log: txn.open_table(SID_RECENT).expect("a table"),
            };
            for (of, at) in batch {
                // Nothing below the floor is filed.
                let at = WallTime(i64::from(*at.max(&self.floor)));
                fresh.insert(hash(*of), at);
                let found = self.recent.find(hash(*of), Some(&fresh), &*tables.tree).expect("a look");
                assert_eq!(found, Some(at), "a transaction sees its own entries");
            }
            self.recent.write(&mut fresh, &mut tables, WallTime(i64::from(self.floor))).expect("written");
        }
        if keep {
            txn.commit().expect("a commit");
            self.recent.committed(fresh);
            for (of, at) in batch {
                self.model.insert(hash(*of), *at.max(&self.floor));
            }
        }
    }

    fn prune(&mut self, below: u16) {
        self.floor = self.floor.max(below);
        let gone: Vec<u64> = self.model.iter().filter(|(_, at)| **at < self.floor).map(|(h, _)| *h).collect();
        let txn = self.db.begin_write().expect("a transaction");
        {
            let mut tree = txn.open_table(SID_INDEX).expect("a table");
            for hash in &gone {
                tree.remove(hash).expect("removed");
            }
        }
        txn.commit().expect("a commit");
        for hash in gone {
            self.recent.forget(hash);
            self.model.remove(&hash);
        }
    }

    fn reopen(&mut self) {
        let txn = self.db.begin_read().expect("a read");
        let whole = Recent::load(&txn.open_table(SID_RECENT).expect("a table")).expect("loaded");
        self.recent = Recent::load_at_start(&self.db).expect("loaded");
        assert_eq!(format!("{:?}", self.recent), format!("{whole:?}"), "in parts as in one go");
    }

    fn check(&self) {
        let txn = self.db.begin_read().expect("a read");
        let tree = txn.open_table(SID_INDEX).expect("a table");
        for of in 0..600 {
            let found = self.recent.find(hash(of), None, &tree).expect("a look").map(|t| t.0);
            match self.model.get(&hash(of)) {
                Some(at) => assert_eq!(found, Some(i64::from(*at)), "{of}"),
                // What retention removed may be found again after a restart, below the floor.
                None => assert!(found.is_none_or(|at| at < i64::from(self.floor)), "{of} {found:?}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_knows_what_a_map_knows(steps in steps()) {
        let mut bench = Bench::new();
        for step in steps {
            match step {
                Step::File(batch) => bench.file(&batch, true),
                Step::Abandon(batch) => bench.file(&batch, false),
                Step::Prune(below) => bench.prune(below),
                Step::Reopen => bench.reopen(),
            }
            bench.check();
        }
        bench.reopen();
        bench.check();
    }
}

#[test]
fn neither_the_log_nor_the_memory_grows_while_calls_move_and_go() {
    let mut bench = Bench::new();
    let mut most = BTreeMap::new();
    for round in 0..3_000_u16 {
        // The same few calls move, others come and go.
        bench.file(&[(round % 5, 1_000 + round % 900), (5 + round % 300, 300 + round % 100)], true);
        if round % 40 == 39 {
            bench.prune(0);
            bench.floor = 0;
        }
        if round % 400 == 399 {
            bench.reopen();
        }
        let txn = bench.db.begin_read().expect("a read");
        let batches = txn.open_table(SID_RECENT).expect("a table").len().expect("a length");
        let (entries, logged) = bench.recent.sizes();
        for (what, size) in [("batches", batches), ("entries", entries as u64), ("logged", logged)] {
            let most = most.entry(what).or_insert(0);
            *most = size.max(*most);
        }
    }
    bench.check();
    assert!(most.values().all(|most| *most < 1_000), "{most:?}");
}

#[test]
fn calls_that_are_gone_do_not_fill_the_tree() {
    let mut bench = Bench::new();
    for day in 1..400_u16 {
        bench.file(&[(day, day), (day + 1000, day)], true);
        bench.prune(day.saturating_sub(20));
        if day % 30 == 0 {
            bench.reopen();
        }
    }
    let txn = bench.db.begin_read().expect("a read");
    let rows = txn.open_table(SID_INDEX).expect("a table").len().expect("a length");
    assert!(rows < 200, "{rows} entries for 40 calls");
}

#[test]
fn a_damaged_log_is_noticed() {
    let mut bench = Bench::new();
    bench.file(&[(1, 1), (2, 2)], true);
    let txn = bench.db.begin_write().expect("a transaction");
    {
        let mut log = txn.open_table(SID_RECENT).expect("a table");
        let mut bytes = redb::ReadableTable::get(&log, 0).expect("a look").expect("a batch").value().to_vec();
        bytes[3] ^= 4;
        log.insert(0, bytes.as_slice()).expect("written");
    }
    txn.commit().expect("a commit");
    let txn = bench.db.begin_read().expect("a read");
    assert!(Recent::load(&txn.open_table(SID_RECENT).expect("a table")).is_err());
}
