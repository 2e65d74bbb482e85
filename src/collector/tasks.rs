//! What is due: counting calls whose time has come, asking by Sid for calls that were read before they
//! settled, have no price yet or were named by callbacks alone, and reading again what was set aside.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::account::Account;
use crate::exotel::{CallsQuery, Priority, Window};
use crate::ingest::{Page, Tasks};
use crate::model::{RunStatus, SetAside, SyncRun, Task, Timestamp, WallTime};
use crate::reconcile::Origin;
use crate::settle::Deltas;
use crate::store::{self, Held, Operation, Wants, WriteSet};

/// Calls handled in one transaction.
const BATCH: usize = 500;
/// Calls asked for in one request: Exotel recommends 20 at most.
const LIST: usize = 20;
/// Lists sent in one round, so that one kind of work does not hold up the others.
const LISTS: usize = 8;
/// The longest wait before a row that was set aside is read again.
const LONGEST_RETRY: i64 = 86_400;

/// Works until told to stop. Each kind of work has its own rhythm, so that counting never waits for an
/// answer of Exotel's.
pub async fn run(account: Arc<Account>, shutdown: CancellationToken) {
    let beat = account.beat(60).min(Duration::from_secs(30));
    let slow = beat.max(Duration::from_secs(1));
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = every(&account, beat, Work::Count) => {}
        () = every(&account, beat, Work::Recheck) => {}
        () = every(&account, beat, Work::Price) => {}
        () = every(&account, beat, Work::Confirm) => {}
        () = every(&account, beat, Work::Heal) => {}
        () = every(&account, slow, Work::Look) => {}
    }
}

/// What there is to do.
#[derive(Clone, Copy)]
enum Work {
    Count,
    Recheck,
    Price,
    Confirm,
    Heal,
    Look,
}

/// Does one kind of work again and again, for ever; a failure is noted and the next time comes all the same.
async fn every(account: &Account, beat: Duration, work: Work) {
    loop {
        let done = match work {
            Work::Count => count(account).await,
            Work::Recheck => ask(account, Task::Recheck, Priority::Settle).await,
            Work::Price => ask(account, Task::Price, Priority::Heal).await,
            Work::Confirm => ask(account, Task::Confirm, Priority::Heal).await,
            Work::Heal => heal(account).await,
            Work::Look => look(account).await,
        };
        if let Err(error) = done {
            account.failed(&error.to_string());
        }
        sleep(beat).await;
    }
}

/// Counts calls whose time has come, legs whose root has settled, and callbacks that did not come.
async fn count(account: &Account) -> Result<(), store::Error> {
    for task in [Task::Settle, Task::Child, Task::Callback] {
        // A transaction costs a sync of the disk: only if there is something to do.
        while !account.store.due(account.id, task, account.now(), 1).await?.is_empty() {
            let tasks = Tasks { context: account.context(), task, limit: BATCH };
            let done = account.take_in(tasks).await?;
            if done.due < BATCH as u64 {
                break;
            }
        }
    }
    Ok(())
}

/// Asks by Sid for calls whose task is due.
async fn ask(account: &Account, task: Task, priority: Priority) -> Result<(), store::Error> {
    let mut due = account.store.due(account.id, task, account.now(), BATCH).await?;
    if task == Task::Recheck && account.status().whole {
        // The whole look-back is read on each tick: that answers for these.
        let live = account.wall_now().plus(-account.plan().lookback);
        due.retain(|(_, created)| *created < live);
    }
    for list in due.chunks(LIST).take(LISTS) {
        let query = CallsQuery::Sids {
            sids: list.iter().map(|(sid, _)| sid.clone()).collect(),
            window: None,
            details: account.asks_details(),
        };
        match account.calls(&query, priority).await {
            Ok(page) => {
                let mut batch = Page::new(account.context(), page.rows, Origin::Page);
                batch.asked = Some((task, list.to_vec()));
                account.take_in(batch).await?;
            }
            // Exotel's last word on this list: the next one must not wait behind it.
            Err(error) if matches!(error.status, Some(400 | 404)) => {
                let mut batch = Page::new(account.context(), Vec::new(), Origin::Page);
                batch.asked = Some((task, list.to_vec()));
                account.take_in(batch).await?;
            }
            // Asked for again in the next round; the client has retried what can be retried.
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

/// Reads again around rows that were set aside; those that do not come back unreadable are healed.
async fn heal(account: &Account) -> Result<(), store::Error> {
    let now = account.now();
    let all = account.store.set_aside(account.id).await?;
    let Some(first) = all.iter().find(|row| row.retry_at <= now.0) else { return Ok(()) };
    // Neighbours that are due are read in one go.
    let span = account.plan().audit_unit();
    let near = |row: &&SetAside| {
        row.retry_at <= now.0 && row.after >= first.after - span && row.before <= first.before + span
    };
    let due: Vec<SetAside> = all.iter().filter(near).cloned().collect();
    let window = Window {
        from: WallTime(due.iter().map(|r| r.after).min().unwrap_or(first.after)),
        to: WallTime(due.iter().map(|r| r.before).max().unwrap_or(first.before) + 1),
    };
    let started = account.clock.now();
    let mut found = Vec::new();
    let mut pages = 0;
    let mut query = CallsQuery::Window { window, duration: None, details: account.asks_details() };
    let mut cursors = HashSet::new();
    let (outcome, whole) = loop {
        let page = match account.calls(&query, Priority::Heal).await {
            Ok(page) => page,
            Err(error) => break (Err(error), false),
        };
        pages += 1;
        let mut batch = Page::new(account.context(), page.rows, Origin::Page);
        batch.window = Some(window);
        let taken = account.take_in(batch).await?;
        found.extend(taken.set_aside);
        match page.next {
            None => break (Ok(()), true),
            Some(next) if pages < 1_000 && cursors.insert(next.as_str().to_owned()) => {
                query = CallsQuery::Next(next);
            }
            // What was not reached is not known to be healed.
            Some(_) => break (Ok(()), false),
        }
    };
    let answered = match &outcome {
        Ok(()) => true,
        Err(error) => matches!(error.status, Some(400 | 404)),
    };
    let healed = if whole {
        due.iter().map(|row| row.id).filter(|id| !found.contains(id)).collect()
    } else {
        Vec::new()
    };
    // What a page on the way has healed already must not come back.
    let left: HashSet<u64> = account.store.set_aside(account.id).await?.iter().map(|row| row.id).collect();
    let put_off: Vec<SetAside> = due
        .into_iter()
        .filter(|row| !healed.contains(&row.id) && left.contains(&row.id))
        .map(|row| {
            let wait = account.plan().slack.max(1).saturating_mul(1 << row.tries.min(16)).min(LONGEST_RETRY);
            let tries = row.tries + u32::from(answered);
            SetAside { tries, retry_at: now.plus(wait).0, ..row }
        })
        .collect();
    let run = SyncRun {
        id: account.next_run().await?,
        trigger: "heal".into(),
        started: started.0,
        ended: Some(account.clock.now().0),
        status: if whole { RunStatus::Success } else { RunStatus::Failed },
        pages,
        new: 0,
        stored: healed.len() as u64,
        rows: 0,
        set_aside: put_off.len() as u64,
        error: outcome.err().map(|error| error.message),
    };
    let deltas = super::run::count(account.id, &run);
    account.store.transact(Healing { account: account.id, healed, put_off, run, deltas }).await
}

#[derive(Debug)]
struct Healing {
    account: crate::model::AccountId,
    healed: Vec<u64>,
    put_off: Vec<SetAside>,
    run: SyncRun,
    deltas: Deltas,
}

impl Operation for Healing {
    type Reply = ();

    fn wants(&self) -> Wants {
        Wants::nothing(self.account)
    }

    fn decide(&mut self, _held: Held) -> (WriteSet, ()) {
        let writes = WriteSet {
            set_aside: self.put_off.clone(),
            healed: self.healed.clone(),
            run: Some(self.run.clone()),
            deltas: self.deltas.clone(),
            ..WriteSet::default()
        };
        (writes, ())
    }
}

/// Brings what waits in the store to the gauges and the page.
async fn look(account: &Account) -> Result<(), store::Error> {
    let waiting = account.store.summary(account.id, account.config.sid.clone()).await?;
    let hour = u32::try_from(account.wall_now().0.max(0) / 3600).unwrap_or(0);
    let hours = account.store.hours(account.id, hour.saturating_sub(23), hour + 1).await?;
    let mut status = account.status();
    status.waiting = waiting;
    status.hours = hours;
    Ok(())
}

/// An instant as the status shows it.
pub(super) fn instant(account: &Account, wall: WallTime) -> Timestamp {
    wall.to_timestamp(account.config.utc_offset)
}
