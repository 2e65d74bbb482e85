//! Taking in, against a real store.

mod cases;
mod heard;
mod naive;
mod random;
mod scenario;
mod shelf;
mod told;

use std::collections::BTreeMap;

use tempfile::TempDir;

use super::*;
use crate::model::{HourTotals, KnownExoPhone, Status, UtcOffset};
use crate::settle::{Callbacks, Rules};
use crate::store::tests::{folder, open_at};
use crate::store::{Store, check};

const SID: &str = "exampleacct1";
const IST: UtcOffset = UtcOffset(19_800);
/// First start of the account, and second 0 of each test.
const START: Timestamp = Timestamp(1_772_457_400);
const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const RULES: Rules = Rules {
    offset: IST,
    settle_after: 30 * MINUTE,
    lookback: 4 * HOUR + 20 * MINUTE,
    short_call: 10,
    callbacks: Callbacks::NONE,
};

/// A store in a folder of its own, with one account.
struct Bench {
    folder: TempDir,
    store: Store,
    account: AccountId,
    directory: Arc<Directory>,
    now: Timestamp,
    last: BTreeMap<Series, u64>,
}

impl Bench {
    async fn new() -> Self {
        let folder = folder();
        let store = open_at(&folder.path().join("store.redb")).expect("a new store");
        let (account, _) = store.account(SID, START).await.expect("an account");
        let phone = |id: u16, number: &str| KnownExoPhone {
            id,
            sid: format!("s{id}"),
            number: number.into(),
            friendly_name: None,
            countable_from: 0,
        };
        // The list was read after whatever happens here: unknown numbers wait for nothing.
        let phones = [phone(2, "+918000000011"), phone(3, "08000000022")];
        let directory = Arc::new(Directory::new(&phones, Some(Timestamp(i64::MAX)), 500));
        Self { folder, store, account, directory, now: START, last: BTreeMap::new() }
    }

    fn context(&self) -> Context {
        Context {
            account: self.account,
            rules: RULES,
            live_from: wall(0),
            prune_floor: WallTime(0),
            directory: Arc::clone(&self.directory),
            api_answered: Some(self.now),
            up_since: Timestamp(0),
            now: self.now,
        }
    }

    async fn reopen(&mut self) {
        let before = self.totals();
        self.store.close().await;
        self.store = open_at(&self.folder.path().join("store.redb")).expect("the store opens again");
        let (account, row) = self.store.account(SID, self.now).await.expect("the account is known");
        assert_eq!((account, row.first_start), (self.account, START.0));
        assert_eq!(self.totals(), before, "reopening changes no counter");
    }

    async fn page(&mut self, rows: Vec<Observation>, origin: Origin) -> Summary {
        let rows = rows.into_iter().map(|call| Row::Call(Box::new(call))).collect();
        self.take(Page::new(self.context(), rows, origin)).await
    }

    async fn take(&mut self, page: Page) -> Summary {
        let summary = self.store.transact(page).await.expect("the page is stored");
        self.no_counter_falls();
        summary
    }

    /// Everything is done that is due now.
    async fn tasks(&mut self) {
        for task in [Task::Settle, Task::Child] {
            for round in 0.. {
                assert!(round < 100, "tasks are due again at once");
                let tasks = Tasks { context: self.context(), task, limit: 3 };
                let done = self.store.transact(tasks).await.expect("tasks are done");
                if done.due == 0 {
                    break;
                }
            }
        }
        self.no_counter_falls();
    }

    fn totals(&self) -> BTreeMap<Series, u64> {
        self.store.totals().iter().filter(|(_, n)| *n > 0).collect()
    }

    fn total(&self, family: Family) -> u64 {
        self.totals().iter().filter(|(s, _)| s.family == family).map(|(_, n)| n).sum()
    }

    fn no_counter_falls(&mut self) {
        let now = self.totals();
        for (series, was) in &self.last {
            assert!(now.get(series) >= Some(was), "{series:?} fell from {was} to {:?}", now.get(series));
        }
        self.last = now;
    }

    async fn hours(&self) -> BTreeMap<(u32, u8), HourTotals> {
        let all = self.store.hours(self.account, 0, u32::MAX).await.expect("roll-ups");
        let all = all.into_iter().map(|(hour, direction, totals)| ((hour, direction.code()), totals));
        all.filter(|(_, totals)| *totals != HourTotals::default()).collect()
    }

    /// Nothing in the file contradicts anything else.
    fn check(&self) {
        let report = check(self.store.path(), &mut |_| {}).expect("the store can be checked");
        assert_eq!(report.faults, Vec::<String>::new());
    }
}

fn wall(at: i64) -> WallTime {
    START.plus(at).to_wall(IST)
}

fn sid(name: &str) -> Sid {
    Sid::parse(name).expect("a sid")
}

/// A call of a minute, nobody answered: complete as it is.
fn missed(name: &str, at: i64) -> Observation {
    let mut call = Observation::new(sid(name), wall(at), Status::NoAnswer);
    call.direction = Some(crate::model::Direction::OutboundApi);
    call.exophone = Some("08000000011".into());
    call.start = Some(wall(at));
    call.end = Some(wall(at + MINUTE));
    call.duration = Some(60);
    call.price = Some(500_000);
    call.updated = Some(wall(at + MINUTE));
    call
}
