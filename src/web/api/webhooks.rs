//! What came by webhook, and calls whose callback never came.

use axum::Json;
use axum::extract::State;

use super::Shared;
use super::ask::Ask;
use super::calls::{Call, Page};
use super::figures::percent;
use super::schema::{Counts, Time};
use crate::web::access::Refusal;

answer! {
    /// Webhooks of one kind.
    OfKind {
        /// heartbeat, calls, sms or passthru.
        kind: &'static str,
        /// Whether their silence alarms.
        expected: bool,
        /// When one last came that was new; of an earlier start of the program, to the minute.
        last_received: Option<Time>,
        /// Requests by outcome, since the program was started.
        requests: Counts,
    }
}

answer! {
    /// What came by webhook.
    Stats {
        /// Whether the account takes webhooks.
        enabled: bool,
        /// By kind.
        kinds: Vec<OfKind>,
        /// Calls that a callback should have announced, since the first start.
        expected_calls: u64,
        /// Those of them whose callback did not come in time.
        missed_calls: u64,
        /// Missed of expected, in percent; null if none was expected.
        loss: Option<f64>,
        /// Calls that callbacks named and Exotel's API never did.
        unconfirmed_calls: u64,
    }
}

/// Sums.
pub(super) async fn stats(State(shared): State<Shared>, ask: Ask) -> Result<Json<Stats>, Refusal> {
    let seen = shared.desk.webhooks(ask.who.account).await?;
    let kinds = seen.kinds.into_iter().map(|kind| OfKind {
        kind: kind.kind,
        expected: kind.expected,
        last_received: kind.last_received.map(Time),
        requests: Counts(kind.requests),
    });
    Ok(Json(Stats {
        enabled: seen.enabled,
        kinds: kinds.collect(),
        expected_calls: seen.expected,
        missed_calls: seen.missed,
        loss: percent(seen.missed, seen.expected),
        unconfirmed_calls: seen.unconfirmed,
    }))
}

/// Calls whose callback was missed, the last created first.
pub(super) async fn missed(State(shared): State<Shared>, ask: Ask) -> Result<Json<Page>, Refusal> {
    const LIST: &str = "missed";
    let limit = ask.limit(100);
    let below = ask.below(LIST)?;
    let records = shared.desk.missed(ask.who.account, below, limit).await?;
    let last = records.last().filter(|_| records.len() == limit);
    let next = last.map(|record| (record.call.created, record.call.sid.clone()));
    let numbers = shared.manner.numbers();
    let calls = records.into_iter().map(|record| Call::new(record, &ask.who, &numbers)).collect();
    Ok(Json(Page { calls, next_cursor: ask.cursor(LIST, next) }))
}
