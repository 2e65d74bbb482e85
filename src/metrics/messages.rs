//! Families of messages and of the balance.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::calls::{counter, gauge, histogram};
use super::catalogue as c;
use super::view::{AccountView, Shared, Source, View};
use crate::model::callback::SmsStatus;
use crate::model::message::CodeFamily;
use crate::model::{Family, Series};

/// Renders them.
#[derive(Debug)]
pub struct Messages(Shared);

impl Messages {
    /// From this picture.
    pub fn new(source: Source) -> Self {
        Self(Shared(source))
    }
}

impl Collector for Messages {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let view = (self.0.0)();
        messages(&mut encoder, &view)?;
        balance(&mut encoder, &view)
    }
}

/// Accounts whose reports are expected, or came.
fn reported(view: &View) -> impl Iterator<Item = &AccountView> {
    view.accounts.iter().filter(|account| {
        let came = |status: &SmsStatus| {
            view.totals.get(Series::new(account.id, Family::SmsMessages, status.code(), 0)) > 0
        };
        account.expects_sms || SmsStatus::FINAL.iter().any(came)
    })
}

fn messages(encoder: &mut DescriptorEncoder<'_>, view: &View) -> Result<(), Error> {
    if reported(view).next().is_none() {
        return Ok(());
    }
    let mut m = c::SMS_MESSAGES.describe(encoder)?;
    for account in reported(view) {
        for status in SmsStatus::FINAL {
            let labels = [("account", account.name.as_str()), ("status", status.as_str())];
            let series = Series::new(account.id, Family::SmsMessages, status.code(), 0);
            counter(&mut m, &labels, view.totals.get(series))?;
        }
    }
    let mut m = c::SMS_CODES.describe(encoder)?;
    for account in reported(view) {
        for family in CodeFamily::ALL {
            let labels = [("account", account.name.as_str()), ("family", family.as_str())];
            let series = Series::new(account.id, Family::SmsCodes, family.code(), 0);
            counter(&mut m, &labels, view.totals.get(series))?;
        }
    }
    let mut m = c::SMS_DELIVERY_DELAY.describe(encoder)?;
    for account in reported(view) {
        let labels = [("account", account.name.as_str())];
        histogram(&mut m, &labels, view, (account.id, Family::SmsDelay, 0))?;
    }
    Ok(())
}

fn balance(encoder: &mut DescriptorEncoder<'_>, view: &View) -> Result<(), Error> {
    let known = || view.accounts.iter().filter_map(|account| Some((account, account.balance.as_ref()?)));
    if known().next().is_none() {
        return Ok(());
    }
    let mut m = c::ACCOUNT_BALANCE.describe(encoder)?;
    for (account, balance) in known() {
        let labels = [("account", account.name.as_str()), ("currency", balance.currency.as_str())];
        gauge(&mut m, &labels, balance.amount)?;
    }
    let mut m = c::BALANCE_LAST_SUCCESS.describe(encoder)?;
    for (account, balance) in known() {
        gauge(&mut m, &[("account", account.name.as_str())], balance.read.0 as f64)?;
    }
    Ok(())
}
