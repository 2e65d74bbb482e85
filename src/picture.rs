//! The pictures that scrapes and the status page are made from, put together from memory alone.

mod page;

use std::collections::HashMap;
use std::sync::Arc;

use crate::collector::health::is_fresh;
use crate::collector::{Account, Roster, Status};
use crate::config::PageExophones;
use crate::metrics::view::{
    AccountView, BalanceView, CallbacksView, ExoPhoneView, HealthPollView, PolledNumber, Source, SyncView,
    View,
};
use crate::model::callback::Kind;
use crate::model::health::{Alternate, HeardHeartbeat, Way};
use crate::model::{ExoPhoneId, KnownExoPhone, Timestamp, WallTime};
use crate::store::Store;

pub(crate) use self::page::status;

/// What `/metrics` shows of calls and of reading.
pub(crate) fn view(store: Store, roster: Roster) -> Source {
    Arc::new(move || View {
        totals: store.totals(),
        accounts: roster.accounts().iter().map(|account| account_view(account)).collect(),
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

/// The label of the number that Exotel names to use instead of another one; none if it is on no list of ours.
pub(crate) fn alternate_label(account: &Account, status: &Status, named: &Alternate) -> Option<String> {
    named.among(&status.exophones).map(|phone| label(account, phone))
}

/// What the heartbeat in force names to use instead, by the id of the number that is out.
pub(crate) fn pushed_alternates(
    account: &Account,
    status: &Status,
    now: Timestamp,
) -> HashMap<u16, [Option<Alternate>; 2]> {
    fresh_heartbeat(account, status, now).map(|heard| heard.alternates(&status.exophones)).unwrap_or_default()
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
        let health = status.health.numbers.get(&phone.id).filter(|_| wanted)?;
        Some(PolledNumber { health: health.clone(), fresh: is_fresh(health, now, stale_after) })
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
