//! Asks Exotel for messages: those whose final report has not come after a while, and, of those that ended,
//! when they began.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::account::Account;
use crate::exotel::{ErrorKind, Priority};
use crate::ingest::messages::{NotKnown, Report};
use crate::model::message::Reporter;
use crate::store;

/// Messages looked up in one round.
const BATCH: usize = 64;

/// Asks until told to stop.
pub async fn run(account: Arc<Account>, shutdown: CancellationToken) {
    let beat = account.beat(60).min(Duration::from_secs(30));
    loop {
        let round = async {
            if let Err(error) = round(&account).await {
                account.failed(&error.to_string());
            }
            sleep(beat).await;
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = round => {}
        }
    }
}

/// One after another: the pool is the customer's own first, and nobody waits for these.
async fn round(account: &Account) -> Result<(), store::Error> {
    for sid in account.store.messages_due(account.id, account.now(), BATCH).await? {
        let answer = account.client.message(&sid, Priority::Settle).await;
        let (id, settle_after, now) = (account.id, account.settle_after(), account.now());
        match answer {
            Ok(said) => {
                let reporter = Reporter::Answer;
                account.store.transact(Report { account: id, said, reporter, settle_after, now }).await?;
            }
            // Exotel's last word for now. Anything else says nothing of this message.
            Err(error) if matches!(error.kind, ErrorKind::NotFound) || error.status == Some(400) => {
                account.store.transact(NotKnown { account: id, sid, settle_after, now }).await?;
            }
            Err(error) => {
                account.failed(&error.message);
                return Ok(());
            }
        }
    }
    Ok(())
}
