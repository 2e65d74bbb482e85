//! What follows from a callback that was let in: it is stored, and only then answered.
//!
//! [`crate::web::webhooks`] lets in and reads, [`crate::exotel::callback`] knows the shapes; here it is
//! decided what is new in what was said, and that is written. A reply of `Ok` means that the commit is
//! durable. Callbacks about calls go through the same reconcile as pages.

pub mod calls;
pub mod heartbeat;
pub mod sms;
#[cfg(test)]
mod tests;
pub mod unknown;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::collector::{Account, Roster};
use crate::metrics::webhooks::{TakesWebhooks, WebhookMetrics};
use crate::model::callback::{Kept, Kind, Taken, Told};
use crate::model::{AccountId, Timestamp};
use crate::store::{self, Held, Operation, Wants, WriteSet};
use crate::web::webhooks::{Delivery, Entrance, NotKept, Sink};

/// How often it is written down, for each account and kind, that a callback came. What the gauge shows
/// after a restart does not hang on more.
const NOTE_EVERY: i64 = 60;

/// The accounts that callbacks are for.
#[derive(Debug)]
pub struct Receiver {
    roster: Roster,
    /// When it was last written down that a callback came.
    noted: Mutex<HashMap<(AccountId, Kind), Timestamp>>,
}

impl Receiver {
    /// For these accounts.
    pub fn new(roster: Roster) -> Arc<Self> {
        Arc::new(Self { roster, noted: Mutex::default() })
    }

    /// Their entrances.
    pub fn entrances(&self) -> Vec<Entrance> {
        self.roster.accounts().iter().map(|account| entrance(account)).collect()
    }

    /// Where the door brings what it let in. What was brought is seen to its end though the sender hangs up or
    /// is not answered in time: the store would have it, and what is shown would not.
    pub fn sink(self: &Arc<Self>) -> Sink {
        let receiver = Arc::clone(self);
        Arc::new(move |delivery| {
            let receiver = Arc::clone(&receiver);
            Box::pin(async move {
                let taking = tokio::spawn(async move { receiver.take(delivery).await });
                // A panic in it was logged; nothing is known of the callback then.
                taking.await.unwrap_or(Err(NotKept))
            })
        })
    }

    /// Shows the series of the accounts that take webhooks, and of no others. The last callback of a kind
    /// that is expected, or that came before, counts from now at the earliest: while we were down, or had
    /// no secret for it, none could come.
    pub fn seed(&self, metrics: &WebhookMetrics, now: Timestamp) {
        let accounts = self.roster.accounts();
        let taking = accounts.iter().filter(|account| !account.config.webhook_secrets.is_empty());
        let taking = taking.map(|account| TakesWebhooks {
            id: account.id,
            name: account.config.name.clone(),
            expected: account
                .config
                .expected_webhooks
                .iter()
                .filter_map(|word| Kind::from_word(word))
                .collect(),
            seen: account.status().last_callbacks.keys().copied().collect(),
        });
        metrics.arrange(taking.collect(), now);
    }

    async fn take(&self, delivery: Delivery) -> Result<Taken, NotKept> {
        let Delivery { account, kind, told, received } = delivery;
        // It may have left while its callback came; whoever sends again is told.
        let account = &self.roster.account(account).ok_or(NotKept)?;
        let is_known = !matches!(told, Told::Unknown(_));
        // The store has logged and counted what went wrong.
        let taken = dispatch(account, kind, told, received).await.map_err(|_| NotKept)?;
        if is_known && taken == Taken::Accepted {
            account.status().last_callbacks.insert(kind, received);
            self.note(account, kind, received).await;
        }
        Ok(taken)
    }

    /// Writes down that a callback came, unless that was done a moment ago. The callback itself is stored
    /// already, so a failure changes nothing.
    async fn note(&self, account: &Account, kind: Kind, received: Timestamp) {
        let key = (account.id, kind);
        {
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            if noted.get(&key).is_some_and(|last| (received - *last).abs() < NOTE_EVERY) {
                return;
            }
            noted.insert(key, received);
        }
        let note = Write { account: account.id, kept: Vec::new(), received: vec![(kind, received)] };
        if account.store.transact(note).await.is_err() {
            self.noted.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        }
    }
}

fn entrance(account: &Account) -> Entrance {
    let config = &account.config;
    Entrance {
        account: account.id,
        name: config.name.clone(),
        sid: config.sid.clone(),
        secrets: config.webhook_secrets.clone(),
        offset: config.utc_offset,
    }
}

async fn dispatch(
    account: &Account,
    kind: Kind,
    told: Told,
    received: Timestamp,
) -> Result<Taken, store::Error> {
    match told {
        Told::Call(report) => calls::take(account, *report, received).await,
        Told::Sms(report) => sms::take(account, report, received).await,
        Told::Heartbeat(heartbeat) => heartbeat::take(account, heartbeat, received).await,
        Told::Unknown(unknown) => unknown::take(account, kind, unknown, received).await,
    }
}

/// Writes what needs nothing to be read.
#[derive(Debug)]
struct Write {
    account: AccountId,
    kept: Vec<Kept>,
    received: Vec<(Kind, Timestamp)>,
}

impl Operation for Write {
    type Reply = ();

    fn wants(&self) -> Wants {
        Wants::nothing(self.account)
    }

    fn decide(&mut self, _: Held) -> (WriteSet, ()) {
        let (kept, received) = (self.kept.clone(), self.received.clone());
        (WriteSet { kept, received, ..WriteSet::default() }, ())
    }
}
