//! What the API is told: accounts and store behind [`Desk`], their failures in words for its callers.

mod refresh;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::collector::health::NotChecked;
use crate::collector::{Account, ManualRun, Roster};
use crate::exotel::Pool;
use crate::metrics::webhooks::WebhookMetrics;
use crate::model::callback::Kind;
use crate::model::health::{Alternate, CheckCounts, CheckSource, HealthCheck, Verdict, Way};
use crate::model::{
    AccountId, CallRecord, Clock, Direction, Family, HourTotals, Series, SetAside, Sid, SyncRun, Timestamp,
    WallTime, last_ten_digits,
};
use crate::picture;
use crate::store::{self, Stretch};
use crate::web::access::Refusal;
use crate::web::api::Desk;
use crate::web::api::desk::{
    AccountView, AlternateView, CallsFound, CallsWanted, ExoPhoneView, PoolView, Refreshed, Reply,
    RunsBetween, WebhookKind, WebhooksView, Who,
};

/// Calls that one request looks at: a few ms. With a rare filter the rest comes page by page.
const MOST_READ: usize = 3_000;
/// How long reading may take to say whether it starts a run: it answers between two commits.
const PATIENCE: Duration = Duration::from_secs(30);

/// The accounts at work.
#[derive(Debug)]
pub(crate) struct Accounts {
    pub(crate) roster: Roster,
    pub(crate) webhooks: WebhookMetrics,
    pub(crate) clock: Clock,
}

fn unavailable(code: &'static str, message: &'static str) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
}

fn conflict(code: &'static str, message: &'static str) -> Refusal {
    Refusal::new(StatusCode::CONFLICT, code, message)
}

/// The store has logged and counted what went wrong; its words may name paths.
fn from_store(_: store::Error) -> Refusal {
    unavailable("store_unavailable", "The store cannot be read or written now.")
}

impl Accounts {
    /// The account of a number that [`Desk::account`] gave; it may have left meanwhile.
    fn at(&self, number: AccountId) -> Result<Arc<Account>, Refusal> {
        self.roster
            .account(number)
            .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "account_unknown", "There is no account."))
    }
}

impl Desk for Accounts {
    fn account(&self, wanted: Option<&str>) -> Option<Who> {
        let is_wanted = |account: &Account| {
            wanted.is_none_or(|name| account.config.name == name || account.config.sid == name)
        };
        let account = self.roster.accounts().iter().find(|account| is_wanted(account)).cloned()?;
        let own: HashSet<u64> =
            account.status().exophones.iter().filter_map(|phone| last_ten_digits(&phone.number)).collect();
        Some(Who {
            account: account.id,
            sid: account.config.sid.clone(),
            offset: account.config.utc_offset,
            currency: account.config.currency.clone(),
            own_numbers: Arc::new(own),
        })
    }

    fn accounts(&self) -> Vec<AccountView> {
        self.roster.accounts().iter().map(|account| account_view(account)).collect()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn checks(
        &self,
        account: AccountId,
        source: CheckSource,
        range: (Timestamp, Timestamp),
        limit: usize,
    ) -> Reply<'_, Vec<HealthCheck>> {
        Box::pin(async move {
            let account = self.at(account)?;
            account.store.health_checks(account.id, source, range, limit).await.map_err(from_store)
        })
    }

    fn check_counts(&self, account: AccountId, range: (Timestamp, Timestamp)) -> Reply<'_, CheckCounts> {
        Box::pin(async move {
            let account = self.at(account)?;
            account.store.health_check_counts(account.id, CheckSource::Poll, range).await.map_err(from_store)
        })
    }

    fn check_now(&self, account: AccountId) -> Reply<'_, Verdict> {
        Box::pin(async move {
            self.at(account)?.check_now().await.map_err(|error| match error {
                NotChecked::Disabled => {
                    conflict("health_off", "Health polls are switched off.").with_detail("heartbeat.enabled")
                }
                NotChecked::Busy => Refusal::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "health_busy",
                    "Too many wait for a health check already.",
                ),
                NotChecked::NotStored => {
                    unavailable("store_unavailable", "The health check could not be stored.")
                }
            })
        })
    }

    fn runs(&self, account: AccountId, limit: usize) -> Reply<'_, Vec<SyncRun>> {
        Box::pin(async move {
            let account = self.at(account)?;
            let newest = account.status().newest_run.clone();
            let stored = account.store.runs(account.id, limit).await.map_err(from_store)?;
            Ok(with_newest(stored, newest, limit))
        })
    }

    fn runs_between(
        &self,
        account: AccountId,
        range: (Timestamp, Timestamp),
        limit: usize,
    ) -> Reply<'_, RunsBetween> {
        Box::pin(async move {
            let account = self.at(account)?;
            let sums = account.store.runs_between(account.id, range, limit).await.map_err(from_store)?;
            Ok(RunsBetween {
                total: sums.total,
                successful: sums.successful,
                failed: sums.failed,
                stored: sums.stored,
                newest: sums.newest,
            })
        })
    }

    fn sync_now(&self, account: AccountId) -> Reply<'_, ()> {
        Box::pin(async move {
            let account = self.at(account)?;
            let running = || conflict("sync_running", "A sync is under way already.");
            if !account.sync.enabled {
                return Err(
                    conflict("sync_off", "Reading of calls is switched off.").with_detail("sync.enabled")
                );
            }
            let (wish, answer) = oneshot::channel();
            account.memory.manual.try_send(wish).map_err(|error| match error {
                // Somebody else has just asked.
                mpsc::error::TrySendError::Full(_) => running(),
                mpsc::error::TrySendError::Closed(_) => {
                    unavailable("stopping", "The program is being stopped.")
                }
            })?;
            match timeout(PATIENCE, answer).await {
                Ok(Ok(ManualRun::Started)) => Ok(()),
                Ok(Ok(ManualRun::AlreadyRunning)) => Err(running()),
                Ok(Err(_)) | Err(_) => Err(unavailable(
                    "sync_not_ready",
                    "Reading of calls has not begun yet; it is started soon.",
                )),
            }
        })
    }

    fn exophones(&self, account: AccountId) -> Vec<ExoPhoneView> {
        self.at(account).map_or_else(|_| Vec::new(), |account| exophone_views(&account))
    }

    fn exophone_digits(&self, account: AccountId, name: &str) -> Option<u64> {
        let account = self.at(account).ok()?;
        let status = account.status();
        let labelled = status.exophones.iter().find(|phone| picture::label(&account, phone) == name);
        labelled.map_or_else(|| last_ten_digits(name), |phone| last_ten_digits(&phone.number))
    }

    fn calls(&self, account: AccountId, wanted: CallsWanted) -> Reply<'_, CallsFound> {
        Box::pin(async move {
            let account = self.at(account)?;
            let offset = account.config.utc_offset;
            let CallsWanted { range: (from, to), below, filter, limit } = wanted;
            let stretch = Stretch {
                account: account.id,
                account_sid: account.config.sid.clone(),
                from: from.to_wall(offset),
                to: to.to_wall(offset),
                below,
                limit,
                most_read: MOST_READ,
            };
            let found = account.store.calls(stretch, move |record| filter.fits(record)).await;
            let (calls, next) = found.map_err(from_store)?;
            Ok(CallsFound { calls, next })
        })
    }

    fn call(&self, account: AccountId, sid: Sid) -> Reply<'_, Option<CallRecord>> {
        Box::pin(async move {
            let account = self.at(account)?;
            let account_sid = account.config.sid.clone();
            account.store.call(account.id, account_sid, sid).await.map_err(from_store)
        })
    }

    fn refresh(&self, account: AccountId, sid: Sid) -> Reply<'_, Option<Refreshed>> {
        Box::pin(async move {
            let at = self.at(account)?;
            // What was begun is stored, whether the caller waits for it or not.
            let task = tokio::spawn(async move { refresh::refresh(&at, sid).await });
            task.await.unwrap_or_else(|_| Err(unavailable("stopping", "The program is being stopped.")))
        })
    }

    fn hours(
        &self,
        account: AccountId,
        (from, to): (u32, u32),
    ) -> Reply<'_, Vec<(u32, Direction, HourTotals)>> {
        Box::pin(async move {
            let account = self.at(account)?;
            if from >= to {
                return Ok(Vec::new());
            }
            account.store.hours(account.id, from, to).await.map_err(from_store)
        })
    }

    fn webhooks(&self, account: AccountId) -> Reply<'_, WebhooksView> {
        Box::pin(async move {
            let account = self.at(account)?;
            // The store knows it to the minute, which is for after a restart.
            let seen = account.status().last_callbacks.clone();
            let totals = account.store.totals();
            let total = |family| totals.get(Series::new(account.id, family, 0, 0));
            let kinds = Kind::ALL.into_iter().map(|kind| WebhookKind {
                kind: kind.as_str(),
                expected: account.config.expected_webhooks.iter().any(|word| word == kind.as_str()),
                last_received: seen.get(&kind).copied(),
                requests: self.webhooks.requests(account.id, kind),
            });
            Ok(WebhooksView {
                enabled: !account.config.webhook_secrets.is_empty(),
                kinds: kinds.collect(),
                expected: total(Family::CallbacksExpected),
                missed: total(Family::CallbacksMissed),
                unconfirmed: total(Family::Unconfirmed),
            })
        })
    }

    fn missed(
        &self,
        account: AccountId,
        below: Option<(WallTime, Sid)>,
        limit: usize,
    ) -> Reply<'_, Vec<CallRecord>> {
        Box::pin(async move {
            let account = self.at(account)?;
            let account_sid = account.config.sid.clone();
            account.store.missed(account.id, account_sid, below, limit).await.map_err(from_store)
        })
    }

    fn set_aside(&self, account: AccountId) -> Reply<'_, Vec<SetAside>> {
        Box::pin(async move {
            let account = self.at(account)?;
            account.store.set_aside(account.id).await.map_err(from_store)
        })
    }
}

/// Runs, newest first, with one that has begun and is not stored yet: who asked for it waits to see it.
fn with_newest(mut runs: Vec<SyncRun>, newest: Option<SyncRun>, limit: usize) -> Vec<SyncRun> {
    if let Some(newest) = newest
        && runs.first().is_none_or(|run| run.id < newest.id)
    {
        runs.insert(0, newest);
        runs.truncate(limit);
    }
    runs
}

fn account_view(account: &Account) -> AccountView {
    let status = account.status().clone();
    let cycles = status.cycles(account);
    let pools = [Pool::Voice, Pool::Exophones, Pool::Sms].into_iter().filter_map(|pool| {
        let quota = account.client.quota(pool)?;
        Some(PoolView {
            pool: pool.as_str(),
            per_minute: u64::from(quota.per_minute),
            background_per_minute: u64::from(quota.background_per_minute),
            used: quota.used as u64,
            waiting: quota.waiting as u64,
            remaining: quota.remaining,
        })
    });
    AccountView {
        name: account.config.name.clone(),
        sid: account.config.sid.clone(),
        base_url: account.config.base_url.clone(),
        offset: account.config.utc_offset,
        currency: account.config.currency.clone(),
        state: match cycles {
            cycles if cycles.all_failed => "failing",
            cycles if cycles.all_done => "up",
            _ => "starting",
        },
        first_start: Timestamp(account.row().first_start),
        pools: pools.collect(),
        last_error: status.last_error,
        sync_failing: status.sync_failing,
        last_sync: status.last_success,
        watermark: status.watermark,
        last_health: status.health.last_success,
        waiting: [status.waiting.unsettled, status.waiting.unpriced, status.waiting.set_aside],
        balance: status.balance.map(|(at, balance)| {
            let currency = balance.currency.unwrap_or_else(|| account.config.currency.clone());
            (balance.micros, currency, at)
        }),
    }
}

fn exophone_views(account: &Account) -> Vec<ExoPhoneView> {
    let status = account.status().clone();
    let seen = picture::number_views(account, &status, account.clock.now());
    let listed = |id| status.listed.as_ref().is_none_or(|ids| ids.contains(&id));
    let pushed = picture::pushed_alternates(account, &status, account.clock.now());
    let view = |named: &Alternate| AlternateView {
        named: named.as_str().to_owned(),
        label: picture::alternate_label(account, &status, named),
    };
    let views = status.exophones.iter().zip(seen).map(|(phone, seen)| ExoPhoneView {
        polled_alternates: Way::ALL
            .map(|way| seen.polled.as_ref().and_then(|p| p.health.reachability.alternate(way)).map(view)),
        pushed_alternates: [0, 1].map(|way| pushed.get(&phone.id)?[way].as_ref().map(view)),
        label: seen.label,
        listed: listed(phone.id),
        paging: seen.paging,
        polled: seen.polled.map(|polled| (polled.health, polled.fresh)),
        pushed: seen.affected,
        phone: phone.clone(),
    });
    views.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::run::begin;
    use crate::model::series::Trigger;

    #[test]
    fn a_run_that_is_not_stored_yet_is_the_newest() {
        let run = |id| begin(id, Trigger::Manual, Timestamp(0));
        let ids = |runs: Vec<SyncRun>| runs.iter().map(|run| run.id).collect::<Vec<_>>();
        assert_eq!(ids(with_newest(vec![run(2), run(1)], Some(run(3)), 2)), [3, 2]);
        assert_eq!(ids(with_newest(vec![run(2), run(1)], Some(run(2)), 5)), [2, 1], "stored by now");
        assert_eq!(ids(with_newest(vec![], Some(run(1)), 1)), [1]);
        assert_eq!(ids(with_newest(vec![run(1)], None, 1)), [1]);
    }
}
