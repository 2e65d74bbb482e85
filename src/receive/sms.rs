//! Delivery reports of messages.

use crate::collector::Account;
use crate::ingest::messages::Report;
use crate::model::Timestamp;
use crate::model::callback::{SmsReport, Taken};
use crate::model::message::Reporter;
use crate::store;

/// Takes in a report; resolves once it is durable.
///
/// # Errors
/// The store's; nothing was kept then.
pub async fn take(account: &Account, report: SmsReport, received: Timestamp) -> Result<Taken, store::Error> {
    let operation = Report {
        account: account.id,
        said: report,
        reporter: Reporter::Callback,
        settle_after: account.settle_after(),
        now: received,
    };
    account.store.transact(operation).await
}
