//! Compares closed windows with Exotel's own total, and reads what is missing.
//!
//! `Metadata.Total` of one request must equal the rows that the store holds for the window, rows set aside
//! and legs included. If not, the window is halved until one page holds it. This closes every hole that a
//! bug, a full disk or a row that appeared too late can have left, at about one request per hour.

use std::collections::HashSet;

use super::account::Account;
use crate::exotel::{self, CallsQuery, Priority, Row, Window};
use crate::ingest::Page;
use crate::model::series::AuditResult;
use crate::model::{Family, Series, Sid, WallTime};
use crate::reconcile::Origin;
use crate::store;

/// How an audit ended.
#[derive(Debug)]
pub struct Audited {
    /// The verdict.
    pub result: AuditResult,
    /// Calls that only the audit found.
    pub found: u64,
}

/// Why an audit could not be made; it is made again later.
#[derive(Debug)]
pub enum NotAudited {
    /// Exotel did not answer.
    Exotel(exotel::Error),
    /// The store did not.
    Store(store::Error),
}

impl From<exotel::Error> for NotAudited {
    fn from(error: exotel::Error) -> Self {
        Self::Exotel(error)
    }
}

impl From<store::Error> for NotAudited {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

/// Rows of a page: a window with more is halved.
const PAGE: u64 = 100;

/// Audits one window.
///
/// # Errors
/// [`NotAudited`]; what was read until then is stored.
pub async fn audit(account: &Account, window: Window) -> Result<Audited, NotAudited> {
    let mut open = vec![window];
    let mut audited = Audited { result: AuditResult::Equal, found: 0 };
    while let Some(window) = open.pop() {
        let query = CallsQuery::Window { window, duration: None, details: account.asks_details() };
        let page = account.calls(&query, Priority::Heal).await?;
        let fits = page.next.is_none();
        let total = match page.total {
            Some(total) => total,
            None if fits => page.rows.len() as u64,
            // Nothing to compare with: what comes page by page is counted, and stored on the way.
            None => {
                let (counted, found) = count(account, page, window).await?;
                audited.found += found;
                if found > 0 {
                    audited.result = AuditResult::Repaired.max(audited.result);
                }
                if held(account, window).await? != counted {
                    disagree(account, window);
                    audited.result = AuditResult::Failed;
                }
                continue;
            }
        };
        if held(account, window).await? == total {
            continue;
        }
        audited.result = AuditResult::Repaired.max(audited.result);
        if !fits || total > PAGE {
            let middle = window.from + (window.to - window.from) / 2;
            if middle > window.from {
                open.push(Window { from: window.from, to: middle });
                open.push(Window { from: middle, to: window.to });
                continue;
            }
        }
        let here: Vec<Sid> = page
            .rows
            .iter()
            .filter_map(|row| match row {
                Row::Call(call) => Some(call.sid.clone()),
                Row::Unreadable(row) => row.sid.clone(),
            })
            .collect();
        audited.found += take(account, page, window, fits).await?;
        let ours = account.store.sids(account.id, window.from, window.to).await?;
        let strangers: Vec<Sid> = ours.into_iter().filter(|sid| !here.contains(sid)).collect();
        ask_for(account, &strangers, window).await?;
        if held(account, window).await? != total {
            disagree(account, window);
            audited.result = AuditResult::Failed;
        }
    }
    Ok(audited)
}

fn disagree(account: &Account, window: Window) {
    tracing::warn!(
        account = account.config.name,
        from = %window.from,
        to = %window.to,
        "the store and Exotel disagree on the number of calls in a window"
    );
}

async fn held(account: &Account, window: Window) -> Result<u64, store::Error> {
    account.store.count_rows(account.id, window.from, window.to, u64::MAX).await
}

/// Stores the page, and those after it where one second holds more than a page; gives how many were new.
async fn take(
    account: &Account,
    page: exotel::CallsPage,
    window: Window,
    fits: bool,
) -> Result<u64, NotAudited> {
    let page = if fits { exotel::CallsPage { next: None, ..page } } else { page };
    Ok(count(account, page, window).await?.1)
}

/// Pages followed at most; what lies behind them shows as a difference.
const MOST_PAGES: usize = 1_000;

/// Stores a page and all that follow it; gives how many rows came, and how many of them were new.
async fn count(account: &Account, page: exotel::CallsPage, window: Window) -> Result<(u64, u64), NotAudited> {
    let (mut next, mut rows) = (page.next, page.rows);
    let (mut came, mut found) = (0, 0);
    let mut cursors = HashSet::new();
    for _ in 0..MOST_PAGES {
        came += rows.len() as u64;
        let mut batch = Page::new(account.context(), rows, Origin::Page);
        batch.window = Some(window);
        found += account.take_in(Counted(batch)).await?.new;
        let Some(uri) = next.take().filter(|uri| cursors.insert(uri.clone())) else { break };
        let page = account.calls(&CallsQuery::Next(uri), Priority::Heal).await?;
        (next, rows) = (page.next, page.rows);
    }
    Ok((came, found))
}

/// Calls that we hold and the window does not show: Exotel may have moved them.
async fn ask_for(account: &Account, sids: &[Sid], window: Window) -> Result<(), NotAudited> {
    // Months back the Sid filter needs a window; calls move by little if at all.
    let around = Window { from: window.from.plus(-86_400), to: window.to.plus(86_400).min(soon(account)) };
    for list in sids.chunks(20).take(50) {
        let query =
            CallsQuery::Sids { sids: list.to_vec(), window: Some(around), details: account.asks_details() };
        let page = account.calls(&query, Priority::Heal).await?;
        let mut batch = Page::new(account.context(), page.rows, Origin::Page);
        batch.window = Some(around);
        account.take_in(batch).await?;
    }
    Ok(())
}

fn soon(account: &Account) -> WallTime {
    account.wall_now().plus(60)
}

/// A page of which every new call counts as found by the audit.
#[derive(Debug)]
struct Counted(Page);

impl crate::store::Operation for Counted {
    type Reply = crate::ingest::Summary;

    fn wants(&self) -> crate::store::Wants {
        self.0.wants()
    }

    fn decide(&mut self, held: crate::store::Held) -> (crate::store::WriteSet, Self::Reply) {
        let (mut writes, summary) = self.0.decide(held);
        writes.deltas.add(Series::new(self.0.context.account, Family::AuditFound, 0, 0), summary.new);
        (writes, summary)
    }
}
