//! Rests of single endpoints: some have a quota of their own, and what Exotel says of it must not hold up
//! the pool whose slots they take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::metrics::api::Endpoint;
use crate::model::Clock;

/// Until when each endpoint rests, in milliseconds of the clock that never goes back.
#[derive(Debug, Default)]
pub(super) struct Rests([AtomicU64; Endpoint::ALL.len()]);

impl Rests {
    /// Nothing of this endpoint is sent for so long.
    pub(super) fn begin(&self, endpoint: Endpoint, length: Duration, clock: &Clock) {
        let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let until = clock.monotonic_millis().saturating_add(length);
        self.0[endpoint as usize].fetch_max(until, Ordering::Relaxed);
    }

    /// Waits until the endpoint may be asked.
    pub(super) async fn over(&self, endpoint: Endpoint, clock: &Clock) {
        loop {
            let until = self.0[endpoint as usize].load(Ordering::Relaxed);
            let left = until.saturating_sub(clock.monotonic_millis());
            if left == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(left)).await;
        }
    }
}
