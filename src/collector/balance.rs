//! Reads the account's balance, where that is switched on. Nothing else depends on it.

use std::sync::Arc;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::account::Account;
use crate::exotel::Priority;

/// Reads until told to stop.
pub async fn run(account: Arc<Account>, shutdown: CancellationToken) {
    let interval = account.config.balance.every(account.sync.settle_after);
    loop {
        let read = async {
            match account.client.balance(Priority::Sync).await {
                Ok(balance) => {
                    if let Some(currency) =
                        balance.currency.as_deref().filter(|c| *c != account.config.currency)
                    {
                        tracing::warn!(
                            account = account.config.name,
                            currency,
                            "the balance is in another currency than accounts[].currency"
                        );
                    }
                    account.status().balance = Some((account.clock.now(), balance));
                }
                Err(error) => {
                    tracing::warn!(account = account.config.name, reason = %error, "the balance could not be read");
                }
            }
            sleep(interval).await;
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = read => {}
        }
    }
}
