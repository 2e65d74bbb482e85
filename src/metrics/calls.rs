//! Families of calls: persisted totals under today's names, and what waits.
//!
//! Every label set that can occur is exported as 0 from the moment its account or ExoPhone is known.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::catalogue as c;
use super::view::{AccountView, Shared, Source, View};
use crate::model::series::{COUNTED_STATUSES, CorrectedField, DetailsResult, SUM, outcomes_of, status_code};
use crate::model::{AccountId, Direction, ExoPhoneId, Family, LegStatus, Series};

/// Renders the families of calls.
#[derive(Debug)]
pub struct Calls(Shared);

impl Calls {
    /// From this picture.
    pub fn new(source: Source) -> Self {
        Self(Shared(source))
    }
}

/// Writes one counter sample.
pub(super) fn counter<L: EncodeLabelSet>(
    m: &mut MetricEncoder<'_>,
    labels: &L,
    value: u64,
) -> Result<(), Error> {
    ConstCounter::new(value).encode(m.encode_family(labels)?)
}

/// Writes one gauge sample.
pub(super) fn gauge<L: EncodeLabelSet>(
    m: &mut MetricEncoder<'_>,
    labels: &L,
    value: f64,
) -> Result<(), Error> {
    ConstGauge::new(value).encode(m.encode_family(labels)?)
}

/// Writes one histogram of persisted numbers.
pub(super) fn histogram<L: EncodeLabelSet>(
    m: &mut MetricEncoder<'_>,
    labels: &L,
    view: &View,
    (account, family, a): (AccountId, Family, u8),
) -> Result<(), Error> {
    let edges = family.edges().unwrap_or(&[]);
    let at = |b: u8| view.totals.get(Series::new(account, family, a, b));
    let mut buckets: Vec<(f64, u64)> =
        edges.iter().enumerate().map(|(n, edge)| (f64::from(*edge), at(n as u8))).collect();
    buckets.push((f64::INFINITY, at(edges.len() as u8)));
    let count = buckets.iter().map(|(_, n)| n).sum();
    m.encode_family(labels)?.encode_histogram::<NoLabelSet>(at(SUM) as f64, count, &buckets, None)
}

/// Money as a number of the currency's units.
fn money(micros: u64) -> f64 {
    micros as f64 / 1e6
}

impl Collector for Calls {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let view = (self.0.0)();
        by_number(&mut encoder, &view)?;
        by_account(&mut encoder, &view)?;
        waiting(&mut encoder, &view)
    }
}

/// Families with the label `exophone`.
fn by_number(encoder: &mut DescriptorEncoder<'_>, view: &View) -> Result<(), Error> {
    let mut m = c::CALLS.describe(encoder)?;
    each(view, |account, (exophone, label), direction| {
        for status in COUNTED_STATUSES {
            let labels = [
                ("account", account.name.as_str()),
                ("exophone", label),
                ("direction", direction.as_str()),
                ("status", status.as_str()),
            ];
            let b = status_code(status);
            let series =
                Series { account: account.id, family: Family::Calls, exophone, a: direction.code(), b };
            counter(&mut m, &labels, view.totals.get(series))?;
        }
        Ok(())
    })?;
    let mut m = c::CALL_OUTCOMES.describe(encoder)?;
    each(view, |account, (exophone, label), direction| {
        for outcome in outcomes_of(direction) {
            let labels = [
                ("account", account.name.as_str()),
                ("exophone", label),
                ("direction", direction.as_str()),
                ("outcome", outcome.as_str()),
            ];
            let b = outcome.code();
            let series =
                Series { account: account.id, family: Family::Outcomes, exophone, a: direction.code(), b };
            counter(&mut m, &labels, view.totals.get(series))?;
        }
        Ok(())
    })?;
    for (described, family) in [
        (&c::CALLS_SHORT, Family::Short),
        (&c::CALL_SECONDS, Family::Seconds),
        (&c::CALL_CONVERSATION_SECONDS, Family::ConversationSeconds),
    ] {
        let mut m = described.describe(encoder)?;
        each(view, |account, (exophone, label), direction| {
            let labels =
                [("account", account.name.as_str()), ("exophone", label), ("direction", direction.as_str())];
            let series = Series { account: account.id, family, exophone, a: direction.code(), b: 0 };
            counter(&mut m, &labels, view.totals.get(series))
        })?;
    }
    let mut m = c::CALL_COST.describe(encoder)?;
    each(view, |account, (exophone, label), direction| {
        let labels = [
            ("account", account.name.as_str()),
            ("exophone", label),
            ("direction", direction.as_str()),
            ("currency", account.currency.as_str()),
        ];
        let series =
            Series { account: account.id, family: Family::Cost, exophone, a: direction.code(), b: 0 };
        ConstCounter::new(money(view.totals.get(series))).encode(m.encode_family(&labels)?)
    })
}

/// Families without it.
fn by_account(encoder: &mut DescriptorEncoder<'_>, view: &View) -> Result<(), Error> {
    let mut m = c::CALL_LEGS.describe(encoder)?;
    for account in counting(view) {
        for (leg, name) in [(1, "1"), (2, "2")] {
            for status in LegStatus::ALL {
                let labels = [("account", account.name.as_str()), ("leg", name), ("status", status.as_str())];
                let series = Series::new(account.id, Family::Legs, leg, status.code());
                counter(&mut m, &labels, view.totals.get(series))?;
            }
        }
    }
    for (described, family) in [
        (&c::CALL_CONVERSATION_DURATION, Family::ConversationDuration),
        (&c::CALL_SETUP_DURATION, Family::SetupDuration),
    ] {
        let mut m = described.describe(encoder)?;
        for account in counting(view) {
            for direction in Direction::ALL {
                let labels = [("account", account.name.as_str()), ("direction", direction.as_str())];
                histogram(&mut m, &labels, view, (account.id, family, direction.code()))?;
            }
        }
    }
    let mut m = c::CALL_SETTLE_DELAY.describe(encoder)?;
    for account in counting(view) {
        let labels = [("account", account.name.as_str())];
        histogram(&mut m, &labels, view, (account.id, Family::SettleDelay, 0))?;
    }
    let mut m = c::CALL_COST_REFUNDS.describe(encoder)?;
    for account in counting(view) {
        let labels = [("account", account.name.as_str()), ("currency", account.currency.as_str())];
        let refunds = view.totals.get(Series::new(account.id, Family::Refunds, 0, 0));
        ConstCounter::new(money(refunds)).encode(m.encode_family(&labels)?)?;
    }
    let mut m = c::CALL_DETAILS.describe(encoder)?;
    for account in counting(view) {
        for result in DetailsResult::ALL {
            let labels = [("account", account.name.as_str()), ("result", result.as_str())];
            let series = Series::new(account.id, Family::Details, result.code(), 0);
            counter(&mut m, &labels, view.totals.get(series))?;
        }
    }
    let mut m = c::CALL_CORRECTIONS.describe(encoder)?;
    for account in counting(view) {
        for field in CorrectedField::ALL {
            let labels = [("account", account.name.as_str()), ("field", field.as_str())];
            let series = Series::new(account.id, Family::Corrections, field.code(), 0);
            counter(&mut m, &labels, view.totals.get(series))?;
        }
    }
    Ok(())
}

/// Gauges.
fn waiting(encoder: &mut DescriptorEncoder<'_>, view: &View) -> Result<(), Error> {
    let mut m = c::EXOPHONES.describe(encoder)?;
    for account in &view.accounts {
        gauge(&mut m, &[("account", account.name.as_str())], account.known_exophones as f64)?;
    }
    let mut m = c::EXOPHONE_INFO.describe(encoder)?;
    for account in &view.accounts {
        for phone in &account.exophones {
            if let Some(sid) = &phone.sid {
                let labels = [
                    ("account", account.name.as_str()),
                    ("exophone", phone.label.as_str()),
                    ("sid", sid.as_str()),
                ];
                gauge(&mut m, &labels, 1.0)?;
            }
        }
    }
    let mut m = c::CHANNEL_LIMIT.describe(encoder)?;
    for account in &view.accounts {
        if let Some(limit) = account.channel_limit {
            gauge(&mut m, &[("account", account.name.as_str())], f64::from(limit))?;
        }
    }
    let mut m = c::CALLS_UNSETTLED.describe(encoder)?;
    for (account, sync) in syncing(view) {
        gauge(&mut m, &[("account", account)], sync.unsettled as f64)?;
    }
    let mut m = c::CALLS_UNSETTLED_OLDEST.describe(encoder)?;
    for (account, sync) in syncing(view) {
        if let Some(oldest) = sync.oldest_unsettled {
            gauge(&mut m, &[("account", account)], oldest.0 as f64)?;
        }
    }
    let mut m = c::CALLS_UNPRICED.describe(encoder)?;
    for (account, sync) in syncing(view) {
        gauge(&mut m, &[("account", account)], sync.unpriced as f64)?;
    }
    Ok(())
}

/// Accounts whose calls are read.
pub(super) fn syncing(view: &View) -> impl Iterator<Item = (&str, &super::view::SyncView)> {
    view.accounts.iter().filter_map(|a| Some((a.name.as_str(), a.sync.as_ref()?)))
}

/// Accounts whose calls are counted.
fn counting(view: &View) -> impl Iterator<Item = &AccountView> {
    view.accounts.iter().filter(|account| account.sync.is_some())
}

/// Every account, number and direction whose calls are counted.
fn each<'v>(
    view: &'v View,
    mut write: impl FnMut(&'v AccountView, (ExoPhoneId, &'v str), Direction) -> Result<(), Error>,
) -> Result<(), Error> {
    for account in counting(view) {
        for phone in &account.exophones {
            for direction in Direction::ALL {
                write(account, (phone.id, phone.label.as_str()), *direction)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prometheus_client::registry::Registry;

    use super::*;
    use crate::metrics::rendered;
    use crate::metrics::view::{ExoPhoneView, SyncView};

    fn account(id: u16, name: &str, sync: Option<SyncView>) -> AccountView {
        let unknown = ExoPhoneView {
            id: ExoPhoneId::UNKNOWN,
            label: "unknown".into(),
            sid: None,
            paging: false,
            polled: None,
            affected: [None; 2],
        };
        AccountView {
            id: AccountId(id),
            name: name.into(),
            currency: "INR".into(),
            exophones: vec![unknown],
            known_exophones: 0,
            channel_limit: None,
            expects_sms: false,
            balance: None,
            health_poll: None,
            heartbeat: None,
            heartbeat_expected_every: None,
            sync,
            callbacks: None,
        }
    }

    #[test]
    fn an_account_whose_calls_are_not_read_shows_its_numbers_and_nothing_of_calls() {
        let reading = SyncView::unread();
        let accounts = vec![account(1, "read", Some(reading)), account(2, "unread", None)];
        let view = View { accounts, ..View::default() };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Calls::new(Arc::new(move || view.clone()))));
        let text = rendered::text(&registry);
        let of = |name: &str| -> Vec<&str> {
            text.lines().filter(|line| line.contains(&format!("account=\"{name}\""))).collect()
        };
        assert_eq!(of("unread"), ["exotel_exophones{account=\"unread\"} 0.0"]);
        assert!(of("read").iter().any(|line| line.starts_with("exotel_call_legs_total{")), "{text}");
    }
}
