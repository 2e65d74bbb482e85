//! The pictures that scrapes and the status page are made from, put together from memory alone.

use std::sync::Arc;

use crate::collector::{Account, Status};
use crate::exotel::Pool;
use crate::metrics::view::{AccountView, ExoPhoneView, Source, SyncView, View};
use crate::metrics::{BuildInfo, Metrics};
use crate::model::series::outcomes_of;
use crate::model::{
    Clock, Direction, ExoPhoneId, Family, KnownExoPhone, Outcome, RunStatus, Series, Timestamp, WallTime,
};
use crate::store::Store;
use crate::web::status::{
    AccountState, AccountStatus, CallCount, Failure, HourCount, PoolStatus, RunOutcome, StatusSnapshot,
    SyncRun, SyncStatus,
};

/// What `/metrics` shows of calls and of reading.
pub(crate) fn view(store: Store, accounts: Vec<Arc<Account>>) -> Source {
    Arc::new(move || View {
        totals: store.totals(),
        accounts: accounts.iter().map(|account| account_view(account)).collect(),
    })
}

/// The label of a number: its alias, else the number in E.164 form.
pub(crate) fn label(account: &Account, phone: &KnownExoPhone) -> String {
    let number = phone.e164();
    let ours = crate::model::last_ten_digits(&number);
    let alias = account.config.exophones.iter().find(|(known, _)| {
        **known == number || (ours.is_some() && crate::model::last_ten_digits(known) == ours)
    });
    alias.map_or(number, |(_, alias)| alias.clone())
}

fn account_view(account: &Account) -> AccountView {
    let status = account.status().clone();
    let cap = account.exophone_cap;
    let mut exophones: Vec<ExoPhoneView> = status
        .exophones
        .iter()
        .take(cap)
        .map(|phone| ExoPhoneView {
            id: ExoPhoneId(phone.id),
            label: label(account, phone),
            sid: Some(phone.sid.clone()),
        })
        .collect();
    let extra = |id, label: &str| ExoPhoneView { id, label: label.to_owned(), sid: None };
    exophones.push(extra(ExoPhoneId::UNKNOWN, "unknown"));
    if status.exophones.len() > cap {
        exophones.push(extra(ExoPhoneId::OVERFLOW, "_other"));
    }
    AccountView {
        id: account.id,
        name: account.config.name.clone(),
        currency: account.config.currency.clone(),
        exophones,
        known_exophones: status.exophones_listed.unwrap_or(status.exophones.len() as u64),
        channel_limit: account.config.channel_limit,
        sync: account.sync.enabled.then(|| sync_view(account, &status)),
    }
}

fn sync_view(account: &Account, status: &Status) -> SyncView {
    let instant = |wall: WallTime| wall.to_timestamp(account.config.utc_offset);
    SyncView {
        interval: account.sync.interval.as_secs_f64(),
        lookback: account.sync.lookback.as_secs_f64(),
        lag: account.sync.lag().as_secs_f64(),
        last_success: status.last_success,
        last_duration: status.last_duration.map(|d| d.as_secs_f64()),
        watermark: status.watermark,
        head: status.head,
        set_aside: status.waiting.set_aside,
        unsettled: status.waiting.unsettled,
        oldest_unsettled: status.waiting.oldest_unsettled.map(instant),
        unpriced: status.waiting.unpriced,
    }
}

/// What the status page shows.
pub(crate) fn status(
    metrics: Arc<Metrics>,
    store: Store,
    accounts: Vec<Arc<Account>>,
    clock: Clock,
) -> Arc<dyn Fn() -> StatusSnapshot + Send + Sync> {
    let started = clock.now();
    Arc::new(move || {
        let totals = store.totals();
        StatusSnapshot {
            now: clock.now(),
            started,
            build: BuildInfo::current(),
            stored_calls: metrics.store.records("calls"),
            store_bytes: metrics.store.file_size(),
            accounts: accounts.iter().map(|account| account_status(account, &totals)).collect(),
        }
    })
}

fn account_status(account: &Account, totals: &crate::model::series::Totals) -> AccountStatus {
    let status = account.status().clone();
    let state = match (&status.last_error, status.sync_failed, status.first_sync_done) {
        (Some((since, message)), true, _) => {
            AccountState::Failing(Failure { since: *since, reason: "sync", message: message.clone() })
        }
        (_, _, true) => AccountState::Up,
        _ if !account.sync.enabled => AccountState::Up,
        _ => AccountState::Starting,
    };
    AccountStatus {
        name: account.config.name.clone(),
        base_url: account.config.base_url.clone(),
        utc_offset: account.config.utc_offset,
        state,
        sync: account.sync.enabled.then(|| sync_status(account, &status)),
        calls: call_counts(account, &status, totals),
        hours: hour_counts(account, &status),
        budget: [Pool::Voice, Pool::Exophones, Pool::Sms]
            .into_iter()
            .filter_map(|pool| {
                let quota = account.client.quota(pool)?;
                Some(PoolStatus {
                    pool: pool.as_str(),
                    limit: quota.per_minute,
                    used: u32::try_from(quota.used).unwrap_or(u32::MAX),
                    queued: u32::try_from(quota.waiting).unwrap_or(u32::MAX),
                    remaining: quota.remaining,
                })
            })
            .collect(),
        exophones: status.exophones.iter().map(|phone| label(account, phone)).collect(),
    }
}

fn sync_status(account: &Account, status: &Status) -> SyncStatus {
    let running = status.last_run.as_ref().filter(|run| run.status == RunStatus::InProgress);
    SyncStatus {
        interval: account.sync.interval,
        watermark: status.watermark,
        head: status.head,
        running_since: running.map(|run| Timestamp(run.started)),
        last_run: status.last_run.as_ref().and_then(|run| {
            let ended = run.ended?;
            Some(SyncRun {
                ended: Timestamp(ended),
                took: status.last_duration.unwrap_or_default(),
                outcome: match run.status {
                    RunStatus::Failed => RunOutcome::Failure,
                    _ if run.set_aside > 0 => RunOutcome::Partial,
                    _ => RunOutcome::Success,
                },
                new: run.new,
                updated: run.stored.saturating_sub(run.new),
                unchanged: run.rows.saturating_sub(run.stored + run.set_aside),
                rejected: run.set_aside,
                error: run.error.clone(),
            })
        }),
        unsettled: status.waiting.unsettled,
        unpriced: status.waiting.unpriced,
        set_aside: status.waiting.set_aside,
    }
}

/// Counted calls by direction and outcome: since the first start, and of today's hours.
fn call_counts(account: &Account, status: &Status, totals: &crate::model::series::Totals) -> Vec<CallCount> {
    let today = u32::try_from(account.wall_now().0.max(0) / 86_400 * 24).unwrap_or(0);
    let ids = || {
        let known = status.exophones.iter().map(|phone| ExoPhoneId(phone.id));
        known.chain([ExoPhoneId::UNKNOWN, ExoPhoneId::OVERFLOW])
    };
    let mut counts = Vec::new();
    for direction in Direction::ALL {
        for outcome in outcomes_of(*direction) {
            let total = ids()
                .map(|exophone| {
                    totals.get(Series {
                        account: account.id,
                        family: Family::Outcomes,
                        exophone,
                        a: direction.code(),
                        b: outcome.code(),
                    })
                })
                .sum();
            let so_far: i64 = status
                .hours
                .iter()
                .filter(|(hour, of, _)| *hour >= today && of == direction)
                .map(|(_, _, hour)| hour.outcomes[usize::from(outcome.code())])
                .sum();
            let today = u64::try_from(so_far).unwrap_or(0);
            if total > 0 || today > 0 {
                counts.push(CallCount { direction: *direction, outcome: *outcome, today, total });
            }
        }
    }
    counts
}

fn hour_counts(account: &Account, status: &Status) -> Vec<HourCount> {
    let last = u32::try_from(account.wall_now().0.max(0) / 3600).unwrap_or(0);
    (last.saturating_sub(23)..=last)
        .map(|hour| {
            let of_hour = || status.hours.iter().filter(move |(h, ..)| *h == hour).map(|(_, _, t)| t);
            let answered = usize::from(Outcome::Answered.code());
            HourCount {
                start: WallTime(i64::from(hour) * 3600).to_timestamp(account.config.utc_offset),
                calls: u64::try_from(of_hour().map(crate::model::HourTotals::calls).sum::<i64>())
                    .unwrap_or(0),
                answered: u64::try_from(of_hour().map(|t| t.outcomes[answered]).sum::<i64>()).unwrap_or(0),
            }
        })
        .collect()
}
