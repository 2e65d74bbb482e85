//! Reads the list of ExoPhones: at start, hourly, and when a call names a number that is on no list.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::account::{Account, Listing};
use crate::exotel::{Error, Priority};
use crate::model::{Directory, ExoPhone, ExoPhoneId, KnownExoPhone, last_ten_digits};
use crate::store::{Held, Operation, Wants, WriteSet};

/// The list changes when somebody buys a number.
const EVERY: Duration = Duration::from_secs(3600);

/// Reads the list until told to stop.
pub async fn run(account: Arc<Account>, shutdown: CancellationToken) {
    // An unknown number may trigger one reading in this time: 5 minutes with the default `settle_after`.
    let pause = account.beat(6);
    let mut failures = 0;
    loop {
        // Only the question is given up: what was answered is stored, and known, or neither.
        let listed = tokio::select! {
            () = shutdown.cancelled() => return,
            listed = account.client.exophones(Priority::Health) => listed,
        };
        failures = if take(&account, listed, failures).await { 0 } else { failures + 1 };
        let regular = Instant::now() + EVERY;
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep(pause) => {}
        }
        if failures > 0 {
            continue;
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep_until(regular) => {}
            () = account.memory.wants_exophones.notified() => {}
        }
    }
}

/// After so many failures in a row calls with unknown numbers count as `unknown` rather than wait longer.
const PATIENCE: u32 = 2;

/// Stores what is new on the list; a failure leaves the numbers as they are. Gives whether it could be read.
async fn take(account: &Account, listed: Result<Vec<ExoPhone>, Error>, failures: u32) -> bool {
    account.note(&listed);
    let now = account.now();
    let known = account.status().exophones.clone();
    let mut phones = known.clone();
    let mut read = listed.is_ok();
    let mut ending = Listing::Read;
    match listed {
        Ok(listed) => {
            let count = listed.len() as u64;
            // Numbers of the first list are exported before anything counts; later ones must be seen as 0
            // by a scrape first.
            let wait = account.beat(6).min(Duration::from_secs(30)).as_secs().max(1);
            let from = if known.is_empty() { 0 } else { now.plus(i64::try_from(wait).unwrap_or(30)).0 };
            let changed = merge(&mut phones, &listed, from);
            if !changed.is_empty() {
                let write = Store { account: account.id, phones: changed };
                if let Err(error) = account.store.transact(write).await {
                    account.failed(&error.to_string());
                    ending = Listing::Failed(error.to_string());
                    phones = known;
                    read = false;
                }
            }
            let ids = phones.iter().filter(|k| listed.iter().any(|phone| same(k, phone))).map(|k| k.id);
            let mut status = account.status();
            status.listed = Some(ids.collect());
            status.exophones_listed = Some(count);
        }
        Err(error) => {
            tracing::warn!(account = account.config.name, reason = %error, "the list of ExoPhones could not be read");
            ending = Listing::Failed(error.message);
        }
    }
    let before = account.memory.directory.load().list_read;
    let list_read = if read || failures >= PATIENCE { Some(now) } else { before };
    let directory = Directory::new(&phones, list_read, account.exophone_cap);
    account.memory.directory.store(Arc::new(directory));
    account.status().exophones = phones;
    account.memory.listing.send_replace(Some(ending));
    // Calls that waited for this reading can go on.
    account.memory.took_in.notify_waiters();
    read
}

/// Whether a number on the list is this one.
fn same(known: &KnownExoPhone, phone: &ExoPhone) -> bool {
    match (last_ten_digits(&known.number), last_ten_digits(&phone.number)) {
        (Some(a), Some(b)) => a == b,
        _ => known.number == phone.number,
    }
}

/// Adds what is new on the list to the known numbers; gives what changed.
fn merge(known: &mut Vec<KnownExoPhone>, listed: &[ExoPhone], countable_from: i64) -> Vec<KnownExoPhone> {
    let mut changed = Vec::new();
    for phone in listed {
        match known.iter_mut().find(|k| same(k, phone)) {
            Some(k) => {
                if k.sid != phone.sid || k.friendly_name != phone.friendly_name {
                    k.sid.clone_from(&phone.sid);
                    k.friendly_name.clone_from(&phone.friendly_name);
                    changed.push(k.clone());
                }
            }
            None => {
                let next =
                    known.iter().map(|k| k.id).max().map_or(ExoPhoneId::FIRST, |id| id.saturating_add(1));
                let k = KnownExoPhone {
                    id: next,
                    sid: phone.sid.clone(),
                    number: phone.number.clone(),
                    friendly_name: phone.friendly_name.clone(),
                    countable_from,
                };
                known.push(k.clone());
                changed.push(k);
            }
        }
    }
    changed
}

#[derive(Debug)]
struct Store {
    account: crate::model::AccountId,
    phones: Vec<KnownExoPhone>,
}

impl Operation for Store {
    type Reply = ();

    fn wants(&self) -> Wants {
        Wants::nothing(self.account)
    }

    fn decide(&mut self, _held: Held) -> (WriteSet, ()) {
        (WriteSet { exophones: self.phones.clone(), ..WriteSet::default() }, ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(sid: &str, number: &str) -> ExoPhone {
        ExoPhone { sid: sid.into(), number: number.into(), friendly_name: None }
    }

    #[test]
    fn numbers_keep_their_id_whatever_the_list_does() {
        let mut known = Vec::new();
        let changed = merge(&mut known, &[phone("a", "+918000000011"), phone("b", "08000000022")], 0);
        assert_eq!(changed.iter().map(|k| k.id).collect::<Vec<_>>(), [2, 3]);
        let changed = merge(&mut known, &[phone("b2", "+918000000022"), phone("c", "08000000033")], 500);
        assert_eq!(changed.iter().map(|k| (k.id, k.countable_from)).collect::<Vec<_>>(), [(3, 0), (4, 500)]);
        assert_eq!(known.len(), 3);
    }
}
