//! Heartbeats: the full state of an account as Exotel pushes it. Kept apart from what polls find.

use std::sync::Arc;

use crate::collector::Account;
use crate::collector::health::Save;
use crate::model::Timestamp;
use crate::model::callback::{Heartbeat, HeartbeatStatus, Taken};
use crate::model::health::{CheckSource, HealthCheck, HeardHeartbeat, Way};
use crate::settle::Deltas;
use crate::store::{self, HealthWrites};

/// Takes a heartbeat in; it is durable when this returns. An older one than that in force is stale, one of
/// the same time and content a duplicate; one of the same time with other content replaces it.
///
/// `received` is our own time, UTC.
///
/// # Errors
/// The store's; nothing was changed then.
pub async fn take(
    account: &Account,
    mut heartbeat: Heartbeat,
    received: Timestamp,
) -> Result<Taken, store::Error> {
    heartbeat.incoming.truncate(HeardHeartbeat::MOST_NAMED);
    heartbeat.outgoing.truncate(HeardHeartbeat::MOST_NAMED);
    heartbeat.alternates.truncate(HeardHeartbeat::MOST_NAMED);
    // One at a time, so that none is compared with another that is not stored yet.
    let turn = account.memory.heartbeat_turn.lock().await;
    let now_in_force = account.status().health.heartbeat.clone();
    let order = HeardHeartbeat::order(&heartbeat, received);
    if let Some(known) = &now_in_force {
        let known_order = HeardHeartbeat::order(&known.heartbeat, known.received);
        if order < known_order {
            return Ok(Taken::Stale);
        }
        if order == known_order && heartbeat.content == known.heartbeat.content {
            return Ok(Taken::Duplicate);
        }
    }
    let since = match &now_in_force {
        Some(known) if known.heartbeat.status == heartbeat.status => known.since,
        _ => order,
    };
    let heard = HeardHeartbeat { heartbeat, received, since };
    let writes = HealthWrites {
        check: Some(check(&heard, order)),
        heartbeat: Some(heard.clone()),
        ..HealthWrites::default()
    };
    account.store.transact(Save { account: account.id, writes, deltas: Deltas::default() }).await?;
    account.status().health.heartbeat = Some(Arc::new(heard.clone()));
    drop(turn);
    if heard.heartbeat.status == HeartbeatStatus::PayloadTooLarge {
        account.memory.wishes.all_numbers(account.clock.now());
    }
    if names_strangers(account, &heard) {
        account.memory.wants_exophones.notify_one();
    }
    Ok(Taken::Accepted)
}

/// The check that is kept of it.
fn check(heard: &HeardHeartbeat, order: Timestamp) -> HealthCheck {
    let affected = |way| heard.affected(way).map(<[String]>::to_vec);
    let (incoming, outgoing) = (affected(Way::Inbound), affected(Way::Outbound));
    let mut named: Vec<&String> = incoming.iter().chain(&outgoing).flatten().collect();
    named.sort_unstable();
    named.dedup();
    HealthCheck {
        id: 0,
        at: order,
        stored: heard.received,
        source: CheckSource::Push,
        verdict: heard.heartbeat.status.into(),
        numbers: u32::try_from(named.len()).unwrap_or(u32::MAX),
        error: None,
        incoming,
        outgoing,
    }
}

/// Whether it names a number that is on no list we have read.
fn names_strangers(account: &Account, heard: &HeardHeartbeat) -> bool {
    let phones = account.status().exophones.clone();
    let known: std::collections::HashSet<&str> = phones.iter().map(|phone| phone.sid.as_str()).collect();
    let lists = Way::ALL.iter().filter_map(|way| heard.affected(*way));
    lists
        .flatten()
        .any(|sid| !known.contains(sid.as_str()) && !phones.iter().any(|phone| phone.is_called(sid)))
}

#[cfg(test)]
mod tests;
