//! The pictures that scrapes and the status page are made from, put together from memory alone.

use std::sync::Arc;

use crate::collector::health::is_fresh;
use crate::collector::{Account, Status};
use crate::config::PageExophones;
use crate::exotel::Pool;
use crate::metrics::view::{
    AccountView, BalanceView, CallbacksView, ExoPhoneView, HealthPollView, PolledNumber, Source, SyncView,
    View,
};
use crate::metrics::{BuildInfo, Metrics};
use crate::model::callback::Kind;
use crate::model::health::{HeardHeartbeat, Way};
use crate::model::series::outcomes_of;
use crate::model::{
    Clock, Direction, ExoPhoneId, Family, KnownExoPhone, Outcome, RunStatus, Series, Timestamp, WallTime,
};
use crate::store::Store;
use crate::web::status::{
    AccountState, AccountStatus, BalanceStatus, CallCount, CallbackCount, Failure, HealthStatus,
    HeartbeatStatus, Heartbeats, HourCount, NumberStatus, PollRound, PollStatus, PoolStatus, RunOutcome,
    StatusSnapshot, SyncRun, SyncStatus,
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

/// Every known number, in the order in which they became known.
pub(crate) fn number_views(account: &Account, status: &Status, now: Timestamp) -> Vec<ExoPhoneView> {
    let heard = fresh_heartbeat(account, status, now);
    let named = Way::ALL.map(|way| heard.as_ref()?.affected_ids(way, &status.exophones));
    let on_list = |phone: &KnownExoPhone| status.listed.as_ref().is_none_or(|ids| ids.contains(&phone.id));
    let listed = status.exophones.iter().filter(|phone| on_list(phone)).count();
    let stale_after = account.health_pace().stale_after(listed);
    let polled = |phone: &KnownExoPhone| {
        let wanted = account.heartbeat.enabled && on_list(phone);
        let health = *status.health.numbers.get(&phone.id).filter(|_| wanted)?;
        Some(PolledNumber { health, fresh: is_fresh(&health, now, stale_after) })
    };
    let number = |phone: &KnownExoPhone| ExoPhoneView {
        id: ExoPhoneId(phone.id),
        label: label(account, phone),
        sid: Some(phone.sid.clone()),
        paging: is_paging(account, phone),
        polled: polled(phone),
        affected: [0, 1].map(|way| Some(named[way].as_ref()?.contains(&phone.id))),
    };
    status.exophones.iter().map(number).collect()
}

fn account_view(account: &Account) -> AccountView {
    let status = account.status().clone();
    let now = account.clock.now();
    let mut exophones = number_views(account, &status, now);
    exophones.truncate(account.exophone_cap);
    let extra = |id, label: &str| ExoPhoneView {
        id,
        label: label.to_owned(),
        sid: None,
        paging: false,
        polled: None,
        affected: [None; 2],
    };
    exophones.push(extra(ExoPhoneId::UNKNOWN, "unknown"));
    if status.exophones.len() > account.exophone_cap {
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
        expects_sms: account.config.expected_webhooks.iter().any(|kind| kind == "sms"),
        balance: status.balance.as_ref().map(|(read, balance)| BalanceView {
            amount: balance.micros as f64 / 1e6,
            currency: balance.currency.clone().unwrap_or_else(|| account.config.currency.clone()),
            read: *read,
        }),
        health_poll: account.heartbeat.enabled.then_some(HealthPollView {
            interval: account.heartbeat.interval.as_secs_f64(),
            last_success: status.health.last_success,
        }),
        heartbeat: fresh_heartbeat(account, &status, now).map(|heard| heard.heartbeat.status),
        heartbeat_expected_every: expects_heartbeats(account)
            .then_some(account.config.heartbeat_expected_every.as_secs_f64()),
        callbacks: (!account.config.webhook_secrets.is_empty()).then(|| callbacks_view(account)),
    }
}

/// The heartbeat in force, unless it is too old to say how things are.
fn fresh_heartbeat(account: &Account, status: &Status, now: Timestamp) -> Option<Arc<HeardHeartbeat>> {
    let heard = status.health.heartbeat.clone()?;
    heard.is_fresh(now, account.config.heartbeat_expected_every).then_some(heard)
}

fn expects_heartbeats(account: &Account) -> bool {
    account.config.expected_webhooks.iter().any(|kind| kind == Kind::Heartbeat.as_str())
}

/// Whether an outage of this number is to page.
fn is_paging(account: &Account, phone: &KnownExoPhone) -> bool {
    match &account.config.page_exophones {
        PageExophones::All => true,
        PageExophones::None => false,
        PageExophones::Only(numbers) => {
            numbers.iter().any(|number| *number == phone.number || phone.is_called(number))
        }
    }
}

fn callbacks_view(account: &Account) -> CallbacksView {
    let lookback = i64::try_from(account.sync.lookback.as_secs()).unwrap_or(i64::MAX);
    let since = account.now().plus(lookback.saturating_neg());
    CallbacksView {
        in_progress: account.store.calls_in_progress(account.id, since),
        expected: account.callbacks().any(),
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
    let cycles = status.cycles(account);
    let failing = status.sync_failing.clone().map(|since| ("sync", since));
    let failing = failing.or_else(|| status.last_error.clone().map(|since| ("health", since)));
    let state = match failing {
        Some((reason, (since, message))) if cycles.all_failed => {
            AccountState::Failing(Failure { since, reason, message })
        }
        _ if cycles.all_done => AccountState::Up,
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
        health: health_status(account, &status),
        callbacks: (account.sync.enabled
            && !account.config.webhook_secrets.is_empty()
            && account.callbacks().any())
        .then(|| callback_count(account, totals)),
        balance: status.balance.as_ref().map(|(read, balance)| BalanceStatus {
            micros: balance.micros,
            currency: balance.currency.clone().unwrap_or_else(|| account.config.currency.clone()),
            read: *read,
        }),
    }
}

fn callback_count(account: &Account, totals: &crate::model::series::Totals) -> CallbackCount {
    let [expected, missed] = [Family::CallbacksExpected, Family::CallbacksMissed]
        .map(|family| totals.get(Series::new(account.id, family, 0, 0)));
    CallbackCount { expected, missed }
}

/// What heartbeats say, though it be that nothing comes.
fn heartbeats(account: &Account, status: &Status, now: Timestamp) -> Heartbeats {
    let told = |heard: &HeardHeartbeat| HeartbeatStatus {
        at: heard.told(),
        status: heard.heartbeat.status.into(),
        since: heard.since,
    };
    match (&status.health.heartbeat, fresh_heartbeat(account, status, now)) {
        (_, Some(heard)) => Heartbeats::InForce(told(&heard)),
        (Some(heard), None) => Heartbeats::Silent(told(heard)),
        (None, None) if expects_heartbeats(account) => Heartbeats::Awaited,
        (None, None) => Heartbeats::None,
    }
}

fn health_status(account: &Account, status: &Status) -> HealthStatus {
    let now = account.clock.now();
    let numbers = number_views(account, status, now).into_iter();
    let listed = |number: &ExoPhoneView| status.listed.as_ref().is_none_or(|ids| ids.contains(&number.id.0));
    let numbers = numbers.filter(listed).map(|number| {
        let polled = number.polled.filter(|polled| polled.fresh).map(|polled| polled.health);
        NumberStatus {
            label: number.label,
            poll: Way::ALL.map(|way| polled.map(|p| (p.reachability.state(way), p.since(way)))),
            push: number.affected,
        }
    });
    HealthStatus {
        poll: account.heartbeat.enabled.then(|| PollStatus {
            interval: account.heartbeat.interval,
            last: status.health.last_check.as_ref().map(|check| PollRound {
                at: check.at,
                verdict: check.verdict,
                error: check.error.clone(),
            }),
        }),
        heartbeat: heartbeats(account, status, now),
        numbers: numbers.collect(),
    }
}

fn sync_status(account: &Account, status: &Status) -> SyncStatus {
    SyncStatus {
        interval: account.sync.interval,
        watermark: status.watermark,
        head: status.head,
        running_since: status.running_since,
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
