//! Asks for leg details, call by call, as far as the budget goes: inbound completed calls first, then the
//! rest, newest first. What is not reached in time counts without them, visibly.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::account::Account;
use crate::exotel::{ErrorKind, Priority, Row};
use crate::ingest::Page;
use crate::model::{Sid, Task, WallTime};
use crate::reconcile::Origin;

/// Requests waiting for budget at once: enough to use it, few enough that the newest call comes soon.
const AT_ONCE: usize = 8;

/// Asks until told to stop.
pub async fn run(account: Arc<Account>, shutdown: CancellationToken) {
    let mut asked: JoinSet<Sid> = JoinSet::new();
    let mut under_way: HashSet<Sid> = HashSet::new();
    loop {
        match due(&account, &under_way).await {
            Ok(calls) => {
                for (task, sid, created) in calls {
                    under_way.insert(sid.clone());
                    asked.spawn(ask(Arc::clone(&account), task, sid, created));
                }
            }
            Err(error) => account.failed(&error.to_string()),
        }
        tokio::select! {
            () = shutdown.cancelled() => {
                asked.shutdown().await;
                return;
            }
            done = asked.join_next(), if !asked.is_empty() => {
                match done {
                    Some(Ok(sid)) => { under_way.remove(&sid); }
                    // One that panicked leaves its Sid behind: all are looked at anew.
                    _ => under_way.clear(),
                }
            }
            // The timer is for calls that become due, the notice for calls that came.
            _ = timeout(account.beat(30), account.memory.took_in.notified()), if asked.len() < AT_ONCE => {
                sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    }
}

async fn due(
    account: &Account,
    under_way: &HashSet<Sid>,
) -> Result<Vec<(Task, Sid, WallTime)>, crate::store::Error> {
    let mut room = AT_ONCE.saturating_sub(under_way.len());
    let mut calls = Vec::new();
    for task in [Task::DetailsFirst, Task::Details] {
        if room == 0 {
            break;
        }
        let due = account.store.due(account.id, task, account.now(), AT_ONCE * 2).await?;
        for (sid, created) in due.into_iter().filter(|(sid, _)| !under_way.contains(sid)).take(room) {
            room -= 1;
            calls.push((task, sid, created));
        }
    }
    Ok(calls)
}

async fn ask(account: Arc<Account>, task: Task, sid: Sid, created: WallTime) -> Sid {
    let answer = account.call(&sid, Priority::Details).await;
    let mut page = Page::new(account.context(), Vec::new(), Origin::Single);
    match answer {
        Ok(call) => {
            // A leg that has not ended, or an answer without details, is asked for again a little later.
            page.asked = Some((task, vec![(sid.clone(), created)]));
            page.rows.push(Row::Call(Box::new(call)));
        }
        Err(error) => match error.kind {
            // Exotel's last word on this call. A 3xx or a fault of our own is none.
            ErrorKind::NotFound | ErrorKind::Client if matches!(error.status, Some(400..=499)) => {
                page.refused.push((sid.clone(), created));
            }
            // Nothing was answered, and nothing will be until a person acts: no try is used up.
            ErrorKind::Auth | ErrorKind::Payment | ErrorKind::Forbidden => {
                sleep(account.beat(10)).await;
                return sid;
            }
            _ => page.asked = Some((task, vec![(sid.clone(), created)])),
        },
    }
    if let Err(error) = account.take_in(page).await {
        account.failed(&error.to_string());
        sleep(account.beat(30)).await;
    }
    sid
}
