//! Families of what callbacks say of calls. Only for accounts that take webhooks.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::calls::{counter, gauge, histogram};
use super::catalogue as c;
use super::view::{AccountView, CallbacksView, Shared, Source, View};
use crate::model::callback::CallEvent;
use crate::model::series::{EventStatus, MismatchField, Seen};
use crate::model::{Direction, Family, Series};

/// Renders the families of callbacks.
#[derive(Debug)]
pub struct Callbacks(Shared);

impl Callbacks {
    /// From this picture.
    pub fn new(source: Source) -> Self {
        Self(Shared(source))
    }
}

/// Statuses that an event mostly comes with: exported as 0 from the start. Others appear when they occur.
fn statuses_of(event: CallEvent) -> &'static [EventStatus] {
    match event {
        CallEvent::Answered => &[EventStatus::InProgress, EventStatus::Other],
        CallEvent::Terminal => &[
            EventStatus::Completed,
            EventStatus::Failed,
            EventStatus::Busy,
            EventStatus::NoAnswer,
            EventStatus::Canceled,
            EventStatus::Other,
        ],
        CallEvent::Passthru => EventStatus::ALL,
        CallEvent::AgentDial
        | CallEvent::AgentRinging
        | CallEvent::AgentAnswered
        | CallEvent::AgentTerminal
        | CallEvent::Other => &[EventStatus::Other],
    }
}

/// Accounts that take webhooks.
fn taking(view: &View) -> impl Iterator<Item = (&AccountView, &CallbacksView)> {
    view.accounts.iter().filter_map(|account| Some((account, account.callbacks.as_ref()?)))
}

impl Collector for Callbacks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let view = (self.0.0)();
        let encoder = &mut encoder;
        if taking(&view).next().is_none() {
            return Ok(());
        }
        provisional(encoder, &view)?;
        compared(encoder, &view)?;
        awaited(encoder, &view)
    }
}

/// What callbacks say, at once.
fn provisional(encoder: &mut DescriptorEncoder<'_>, view: &View) -> Result<(), Error> {
    let mut m = c::CALL_EVENTS.describe(encoder)?;
    for (account, _) in taking(view) {
        for event in CallEvent::ALL {
            for status in EventStatus::ALL {
                let series = Series::new(account.id, Family::CallEvents, event.code(), status.code());
                let value = view.totals.get(series);
                if value == 0 && !statuses_of(event).contains(status) {
                    continue;
                }
                let labels = [
                    ("account", account.name.as_str()),
                    ("event", event.as_str()),
                    ("status", status.as_str()),
                ];
                counter(&mut m, &labels, value)?;
            }
        }
    }
    let mut m = c::CALLS_IN_PROGRESS.describe(encoder)?;
    for (account, callbacks) in taking(view) {
        for (direction, count) in Direction::ALL.iter().zip(callbacks.in_progress) {
            let labels = [("account", account.name.as_str()), ("direction", direction.as_str())];
            gauge(&mut m, &labels, count as f64)?;
        }
    }
    let mut m = c::CALL_ANSWER_DELAY.describe(encoder)?;
    for (account, _) in taking(view) {
        for direction in Direction::ALL {
            let labels = [("account", account.name.as_str()), ("direction", direction.as_str())];
            histogram(&mut m, &labels, view, (account.id, Family::AnswerDelay, direction.code()))?;
        }
    }
    Ok(())
}

/// What callbacks and the API say of the same calls: where both are there.
fn compared(encoder: &mut DescriptorEncoder<'_>, view: &View) -> Result<(), Error> {
    let both = || taking(view).filter(|(account, _)| account.sync.is_some());
    if both().next().is_none() {
        return Ok(());
    }
    let mut m = c::RECONCILE_CALLS.describe(encoder)?;
    for (account, _) in both() {
        for seen in Seen::ALL {
            let labels = [("account", account.name.as_str()), ("seen", seen.as_str())];
            let series = Series::new(account.id, Family::Reconciled, seen.code(), 0);
            counter(&mut m, &labels, view.totals.get(series))?;
        }
    }
    let mut m = c::RECONCILE_MISMATCHES.describe(encoder)?;
    for (account, _) in both() {
        for field in MismatchField::ALL {
            let labels = [("account", account.name.as_str()), ("field", field.as_str())];
            let series = Series::new(account.id, Family::Mismatches, field.code(), 0);
            counter(&mut m, &labels, view.totals.get(series))?;
        }
    }
    let mut m = c::CALLBACKS_UNCONFIRMED.describe(encoder)?;
    for (account, _) in both() {
        let series = Series::new(account.id, Family::Unconfirmed, 0, 0);
        counter(&mut m, &[("account", account.name.as_str())], view.totals.get(series))?;
    }
    Ok(())
}

/// Callbacks that were expected, and those of them that did not come.
fn awaited(encoder: &mut DescriptorEncoder<'_>, view: &View) -> Result<(), Error> {
    let expecting =
        || taking(view).filter(|(account, callbacks)| account.sync.is_some() && callbacks.expected);
    if expecting().next().is_none() {
        return Ok(());
    }
    for (described, family) in
        [(&c::CALLBACKS_EXPECTED, Family::CallbacksExpected), (&c::CALLBACKS_MISSED, Family::CallbacksMissed)]
    {
        let mut m = described.describe(encoder)?;
        for (account, _) in expecting() {
            let series = Series::new(account.id, family, 0, 0);
            counter(&mut m, &[("account", account.name.as_str())], view.totals.get(series))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::metrics::{BuildInfo, Format, Metrics, catalogue};
    use crate::model::AccountId;
    use crate::model::series::Totals;

    const ACCOUNT: AccountId = AccountId(1);

    fn view(callbacks: Option<CallbacksView>, totals: &[(Series, u64)]) -> View {
        let numbers: BTreeMap<u64, u64> = totals.iter().map(|(series, n)| (series.to_key(), *n)).collect();
        let sync = crate::metrics::view::SyncView::unread();
        let account = AccountView {
            id: ACCOUNT,
            name: "acme".into(),
            currency: "INR".into(),
            exophones: Vec::new(),
            known_exophones: 0,
            channel_limit: None,
            expects_sms: false,
            balance: None,
            health_poll: None,
            heartbeat: None,
            heartbeat_expected_every: None,
            sync: Some(sync),
            callbacks,
        };
        View { totals: Totals::new(Arc::new(numbers)), accounts: vec![account] }
    }

    fn scrape(view: View) -> String {
        let mut metrics = Metrics::new(BuildInfo { version: "0.1.0", revision: "abc" });
        metrics.register_collector(Callbacks::new(Arc::new(move || view.clone())));
        String::from_utf8(metrics.render(Format::Text).to_vec()).unwrap()
    }

    #[test]
    fn an_account_that_takes_no_webhooks_exports_none_of_them() {
        let text = scrape(view(None, &[]));
        assert!(!text.contains("exotel_call_events") && !text.contains("exotel_reconcile"), "{text}");
    }

    #[test]
    fn what_can_occur_is_there_as_0_and_what_cannot_is_not() {
        let callbacks = CallbacksView { in_progress: [0; 4], expected: false };
        let text = scrape(view(Some(callbacks), &[]));
        for line in [
            "exotel_call_events_total{account=\"acme\",event=\"terminal\",status=\"no-answer\"} 0\n",
            "exotel_call_events_total{account=\"acme\",event=\"agent_dial\",status=\"other\"} 0\n",
            "exotel_calls_in_progress{account=\"acme\",direction=\"inbound\"} 0.0\n",
            "exotel_reconcile_calls_total{account=\"acme\",seen=\"both\"} 0\n",
            "exotel_reconcile_mismatches_total{account=\"acme\",field=\"leg\"} 0\n",
            "exotel_webhook_calls_unconfirmed_total{account=\"acme\"} 0\n",
            "exotel_call_answer_delay_seconds_count{account=\"acme\",direction=\"outbound-api\"} 0\n",
        ] {
            assert!(text.contains(line), "{line} is missing from {text}");
        }
        assert!(!text.contains("event=\"agent_dial\",status=\"busy\""), "{text}");
        assert!(!text.contains("exotel_webhook_calls_expected_total"), "{text}");
        let ours = |f: &catalogue::Family| std::ptr::eq(f, &raw const c::CALL_EVENTS);
        assert_eq!(catalogue::check::differences(&text, ours), Vec::<String>::new());
    }

    #[test]
    fn what_was_counted_shows_and_so_does_what_was_not_foreseen() {
        let callbacks = CallbacksView { in_progress: [1, 0, 7, 0], expected: true };
        let odd = Series::new(
            ACCOUNT,
            Family::CallEvents,
            CallEvent::Answered.code(),
            EventStatus::Completed.code(),
        );
        let missed = Series::new(ACCOUNT, Family::CallbacksMissed, 0, 0);
        let text = scrape(view(Some(callbacks), &[(odd, 3), (missed, 2)]));
        for line in [
            "exotel_call_events_total{account=\"acme\",event=\"answered\",status=\"completed\"} 3\n",
            "exotel_calls_in_progress{account=\"acme\",direction=\"outbound-api\"} 7.0\n",
            "exotel_webhook_calls_expected_total{account=\"acme\"} 0\n",
            "exotel_webhook_calls_missed_total{account=\"acme\"} 2\n",
        ] {
            assert!(text.contains(line), "{line} is missing from {text}");
        }
    }
}
