//! Callbacks about calls.

use crate::collector::Account;
use crate::ingest::Callback;
use crate::model::Timestamp;
use crate::model::callback::{CallReport, Taken};
use crate::store;

/// Takes a callback in; what it says is durable when this returns. Callbacks and pages share commits.
///
/// `received` is when it came, UTC by [`Account::now`].
///
/// # Errors
/// The store's: nothing of the callback was kept, and Exotel should send it again.
pub async fn take(account: &Account, report: CallReport, received: Timestamp) -> Result<Taken, store::Error> {
    account.store.transact(Callback { context: account.context(), report, received }).await
}
