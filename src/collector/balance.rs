//! Reads the account's balance, where that is switched on. Nothing else depends on it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::account::Account;
use crate::exotel::Priority;

/// Exotel wants to be asked once a minute at most.
const SHORTEST: Duration = Duration::from_secs(60);

/// Reads until told to stop.
pub async fn run(account: Arc<Account>, shutdown: CancellationToken) {
    // With the short intervals of a test or demo a minute would never pass.
    let floor = SHORTEST.min(account.sync.settle_after / 30);
    let interval = account.config.balance.interval.max(floor);
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
