//! Callbacks that can be read and are nothing we know: kept as they came, for a person to look at.

use super::Write;
use crate::collector::Account;
use crate::model::Timestamp;
use crate::model::callback::{Kept, Kind, Taken, Unknown};
use crate::store::Error;

/// Keeps a callback. The store keeps the newest 1,000 of each account and each text once, so a repeat
/// changes nothing; that it is one is not found out, and it counts as accepted.
///
/// # Errors
/// The store's; it is not kept then.
pub async fn take(
    account: &Account,
    kind: Kind,
    unknown: Unknown,
    received: Timestamp,
) -> Result<Taken, Error> {
    let Unknown { raw, reason } = unknown;
    let kept = Kept { id: 0, kind, received, reason, raw };
    let write = Write { account: account.id, kept: vec![kept], received: Vec::new() };
    account.store.transact(write).await?;
    Ok(Taken::Accepted)
}
