//! Families of health: what polls found, what heartbeats said, apart from each other.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::calls::{counter, gauge};
use super::catalogue as c;
use super::view::{AccountView, ExoPhoneView, PolledNumber, Shared, Source, View};
use crate::model::callback::HeartbeatStatus;
use crate::model::health::{State, Verdict, Way};
use crate::model::{ExoPhoneId, Family, Series};

/// Renders the families of health.
#[derive(Debug)]
pub struct Health(Shared);

impl Health {
    /// From this picture.
    pub fn new(source: Source) -> Self {
        Self(Shared(source))
    }
}

impl Collector for Health {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let view = (self.0.0)();
        by_poll(&mut encoder, &view)?;
        polls(&mut encoder, &view)?;
        by_push(&mut encoder, &view)
    }
}

/// What polls found of each number.
fn by_poll(encoder: &mut DescriptorEncoder<'_>, view: &View) -> Result<(), Error> {
    let mut m = c::EXOPHONE_UP.describe(encoder)?;
    for (account, phone, polled) in polled(view).filter(|(.., polled)| polled.fresh) {
        for way in Way::ALL {
            let up = match polled.health.reachability.state(way) {
                State::Active | State::Partial => 1.0,
                State::Outage => 0.0,
                State::Unknown => continue,
            };
            gauge(&mut m, &labels(account, phone, way), up)?;
        }
    }
    let mut m = c::EXOPHONE_STATE.describe(encoder)?;
    for (account, phone, polled) in polled(view).filter(|(.., polled)| polled.fresh) {
        for way in Way::ALL {
            for state in State::ALL {
                let [account, exophone, direction] = labels(account, phone, way);
                let labels = [account, exophone, direction, ("state", state.as_str())];
                let is = polled.health.reachability.state(way) == state;
                gauge(&mut m, &labels, f64::from(u8::from(is)))?;
            }
        }
    }
    let mut m = c::EXOPHONE_LAST_CHECK.describe(encoder)?;
    for (account, phone, polled) in polled(view) {
        for way in Way::ALL {
            if let Some(checked) = polled.health.reachability.checked(way) {
                gauge(&mut m, &labels(account, phone, way), checked.0 as f64)?;
            }
        }
    }
    let mut m = c::EXOPHONE_LAST_ANSWER.describe(encoder)?;
    for (account, phone, polled) in polled(view) {
        let labels = [("account", account.name.as_str()), ("exophone", phone.label.as_str())];
        gauge(&mut m, &labels, polled.health.answered.0 as f64)?;
    }
    let mut m = c::EXOPHONE_STATE_CHANGES.describe(encoder)?;
    for account in view.accounts.iter().filter(|a| a.health_poll.is_some()) {
        for phone in account.exophones.iter().filter(|phone| phone.id != ExoPhoneId::UNKNOWN) {
            for way in Way::ALL {
                let series = Series {
                    exophone: phone.id,
                    ..Series::new(account.id, Family::StateChanges, way.code(), 0)
                };
                counter(&mut m, &labels(account, phone, way), view.totals.get(series))?;
            }
        }
    }
    let mut m = c::EXOPHONE_PAGING.describe(encoder)?;
    for account in &view.accounts {
        for phone in account.exophones.iter().filter(|phone| phone.sid.is_some()) {
            let labels = [("account", account.name.as_str()), ("exophone", phone.label.as_str())];
            gauge(&mut m, &labels, f64::from(u8::from(phone.paging)))?;
        }
    }
    Ok(())
}

/// The polls themselves.
fn polls(encoder: &mut DescriptorEncoder<'_>, view: &View) -> Result<(), Error> {
    let polling = || view.accounts.iter().filter_map(|a| Some((a, a.health_poll.as_ref()?)));
    let mut m = c::HEALTH_CHECKS.describe(encoder)?;
    for (account, _) in polling() {
        for verdict in Verdict::POLLED {
            let labels = [("account", account.name.as_str()), ("status", verdict.as_str())];
            let series = Series::new(account.id, Family::HealthChecks, verdict.code(), 0);
            counter(&mut m, &labels, view.totals.get(series))?;
        }
    }
    let mut m = c::HEALTH_POLL_INTERVAL.describe(encoder)?;
    for (account, poll) in polling() {
        gauge(&mut m, &[("account", account.name.as_str())], poll.interval)?;
    }
    let mut m = c::HEALTH_POLL_LAST_SUCCESS.describe(encoder)?;
    for (account, poll) in polling() {
        if let Some(last) = poll.last_success {
            gauge(&mut m, &[("account", account.name.as_str())], last.0 as f64)?;
        }
    }
    Ok(())
}

/// What heartbeats said.
fn by_push(encoder: &mut DescriptorEncoder<'_>, view: &View) -> Result<(), Error> {
    let mut m = c::HEARTBEAT_STATUS.describe(encoder)?;
    for account in &view.accounts {
        let Some(current) = account.heartbeat else { continue };
        for status in HeartbeatStatus::ALL {
            let labels = [("account", account.name.as_str()), ("status", status.as_str())];
            gauge(&mut m, &labels, f64::from(u8::from(status == current)))?;
        }
    }
    let mut m = c::HEARTBEAT_AFFECTED.describe(encoder)?;
    for account in &view.accounts {
        for phone in &account.exophones {
            for way in Way::ALL {
                if let Some(affected) = phone.affected[usize::from(way.code())] {
                    gauge(&mut m, &labels(account, phone, way), f64::from(u8::from(affected)))?;
                }
            }
        }
    }
    let mut m = c::HEARTBEAT_EXPECTED.describe(encoder)?;
    for account in &view.accounts {
        if let Some(every) = account.heartbeat_expected_every {
            gauge(&mut m, &[("account", account.name.as_str())], every)?;
        }
    }
    Ok(())
}

/// Every number that was ever polled and is on the list.
fn polled(view: &View) -> impl Iterator<Item = (&AccountView, &ExoPhoneView, &PolledNumber)> {
    view.accounts.iter().flat_map(|account| {
        account.exophones.iter().filter_map(move |phone| Some((account, phone, phone.polled.as_ref()?)))
    })
}

fn labels<'v>(account: &'v AccountView, phone: &'v ExoPhoneView, way: Way) -> [(&'static str, &'v str); 3] {
    [("account", account.name.as_str()), ("exophone", phone.label.as_str()), ("direction", way.as_str())]
}

#[cfg(test)]
mod tests;
