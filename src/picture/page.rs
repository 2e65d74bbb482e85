//! What the status page shows, from memory alone.

use std::sync::Arc;

use super::{alternate_label, expects_heartbeats, fresh_heartbeat, number_views, pushed_alternates};
use crate::collector::{Account, Roster, Status};
use crate::exotel::Pool;
use crate::metrics::view::ExoPhoneView;
use crate::metrics::{BuildInfo, Metrics};
use crate::model::callback::{Kind, SmsStatus};
use crate::model::health::Way;
use crate::model::series::{Totals, outcomes_of};
use crate::model::{
    Clock, Direction, ExoPhoneId, Family, HourTotals, Outcome, RunStatus, Series, Timestamp, WallTime,
};
use crate::store::Store;
use crate::web::status::{
    AccountState, AccountStatus, BalanceStatus, CallCount, CallbackLoss, CallbacksStatus, Failure,
    HealthStatus, HeartbeatStatus, HourCount, Instead, NumberStatus, PollRound, PollStatus, PoolStatus,
    RunOutcome, StatusSnapshot, SyncRun, SyncStatus,
};

/// What the status page shows.
pub(crate) fn status(
    metrics: Arc<Metrics>,
    store: Store,
    roster: Roster,
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
            accounts: roster.accounts().iter().map(|account| account_status(account, &totals)).collect(),
        }
    })
}

fn account_status(account: &Account, totals: &Totals) -> AccountStatus {
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
        history_today: count(todays_hours(account, &status).map(|(_, hour)| hour.history).sum()),
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
        callbacks: (!account.config.webhook_secrets.is_empty())
            .then(|| callbacks_status(account, &status, totals)),
        messages: message_counts(account, totals),
        balance: status.balance.as_ref().map(|(read, balance)| BalanceStatus {
            micros: balance.micros,
            currency: balance.currency.clone().unwrap_or_else(|| account.config.currency.clone()),
            read: *read,
        }),
        last_error: status.last_error.clone(),
    }
}

fn health_status(account: &Account, status: &Status) -> HealthStatus {
    let now = account.clock.now();
    let heard = fresh_heartbeat(account, status, now);
    let numbers = number_views(account, status, now).into_iter();
    let pushed = pushed_alternates(account, status, now);
    let listed = |number: &ExoPhoneView| status.listed.as_ref().is_none_or(|ids| ids.contains(&number.id.0));
    let numbers = numbers.filter(listed).map(|number| {
        let polled = number.polled.filter(|polled| polled.fresh).map(|polled| polled.health);
        let by_push = pushed.get(&number.id.0);
        let instead = |way: Way| {
            let out = polled.as_ref().filter(|polled| polled.reachability.state(way).is_affected());
            let at = usize::from(way.code());
            let told = by_push.filter(|_| number.affected[at] == Some(true));
            let named = out.and_then(|polled| polled.reachability.alternate(way));
            let named = named.or_else(|| told?[at].as_ref())?;
            Some(alternate_label(account, status, named).map_or(Instead::NotListed, Instead::Number))
        };
        NumberStatus {
            instead: Way::ALL.map(instead),
            poll: Way::ALL.map(|way| polled.as_ref().map(|p| (p.reachability.state(way), p.since(way)))),
            label: number.label,
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
        heartbeat: heard.map(|heard| HeartbeatStatus {
            at: heard.told(),
            status: heard.heartbeat.status.into(),
            since: heard.since,
        }),
        heartbeat_every: expects_heartbeats(account).then_some(account.config.heartbeat_expected_every),
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

fn callbacks_status(account: &Account, status: &Status, totals: &Totals) -> CallbacksStatus {
    let is_expected = |kind: Kind| account.config.expected_webhooks.iter().any(|word| word == kind.as_str());
    let last = |kind: Kind| {
        let came = status.last_callbacks.get(&kind).copied();
        (came.is_some() || is_expected(kind)).then_some((kind, came))
    };
    let total = |family| totals.get(Series::new(account.id, family, 0, 0));
    CallbacksStatus {
        last: Kind::ALL.into_iter().filter_map(last).collect(),
        calls: account.callbacks().any().then(|| CallbackLoss {
            expected: total(Family::CallbacksExpected),
            missed: total(Family::CallbacksMissed),
        }),
    }
}

fn message_counts(account: &Account, totals: &Totals) -> Vec<(SmsStatus, u64)> {
    let ended = |status: SmsStatus| {
        (status, totals.get(Series::new(account.id, Family::SmsMessages, status.code(), 0)))
    };
    SmsStatus::FINAL.into_iter().map(ended).filter(|(_, messages)| *messages > 0).collect()
}

/// Roll-ups are signed, so that they can be changed by differences; what they add up to is not.
fn count(sum: i64) -> u64 {
    u64::try_from(sum).unwrap_or(0)
}

/// Roll-ups of the hours since midnight on Exotel's clock.
fn todays_hours<'a>(
    account: &Account,
    status: &'a Status,
) -> impl Iterator<Item = (Direction, &'a HourTotals)> {
    let midnight = u32::try_from(account.wall_now().0.max(0) / 86_400 * 24).unwrap_or(0);
    let hours = status.hours.iter().filter(move |(hour, ..)| *hour >= midnight);
    hours.map(|(_, direction, totals)| (*direction, totals))
}

/// Calls by direction and outcome: counted since the first start, and of today's hours.
fn call_counts(account: &Account, status: &Status, totals: &Totals) -> Vec<CallCount> {
    let ids = || {
        let known = status.exophones.iter().map(|phone| ExoPhoneId(phone.id));
        known.chain([ExoPhoneId::UNKNOWN, ExoPhoneId::OVERFLOW])
    };
    let mut counts = Vec::new();
    for direction in Direction::ALL {
        for outcome in outcomes_of(*direction) {
            let (a, b) = (direction.code(), outcome.code());
            let of = |exophone| Series { account: account.id, family: Family::Outcomes, exophone, a, b };
            let total = ids().map(|exophone| totals.get(of(exophone))).sum();
            let hours = todays_hours(account, status).filter(|(of, _)| of == direction);
            let today = count(hours.map(|(_, hour)| hour.outcomes[usize::from(b)]).sum());
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
            let with = |outcomes: &[Outcome]| {
                let sum =
                    |t: &HourTotals| outcomes.iter().map(|o| t.outcomes[usize::from(o.code())]).sum::<i64>();
                count(of_hour().map(sum).sum())
            };
            HourCount {
                start: WallTime(i64::from(hour) * 3600).to_timestamp(account.config.utc_offset),
                calls: count(of_hour().map(HourTotals::calls).sum()),
                answered: with(&[Outcome::Answered]),
                failed: with(&[Outcome::Failed, Outcome::NotConnected]),
                unknown: with(&[Outcome::Unknown]),
            }
        })
        .collect()
}
