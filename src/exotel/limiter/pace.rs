//! Even spacing of requests.
//!
//! The slots of [`super::core`] alone would let a whole minute's worth go at once. A pacer lets one go
//! every `60 s / limit`, with a burst no larger than what a timer that fires 50 ms late would cost. A limit
//! that changes does not begin anew: the last grant counts.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// A clock that stands where it is put: the core is given the time as a value.
#[derive(Clone, Debug, Default)]
struct GivenTime(Arc<AtomicU64>);

impl Clock for GivenTime {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.load(Ordering::Relaxed))
    }
}

/// Spaces grants of one limit.
#[derive(Debug)]
pub(super) struct Pacer {
    time: GivenTime,
    limiter: RateLimiter<NotKeyed, InMemoryState, GivenTime, NoOpMiddleware<Nanos>>,
    /// A cell that was drawn and not yet used: a grant may have to wait for something else.
    in_hand: bool,
    /// When one was last used.
    last: Option<u64>,
}

impl Pacer {
    /// `per_minute` grants a minute, from `now` on.
    pub(super) fn new(per_minute: u32, now: u64) -> Self {
        let per_minute = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
        let period = Duration::from_secs(60) / per_minute.get();
        // One, and what falls due in 50 ms.
        let burst = NonZeroU32::MIN.saturating_add(per_minute.get().div_ceil(1200));
        let quota = Quota::with_period(period.max(Duration::from_nanos(1)))
            .unwrap_or(Quota::per_minute(per_minute))
            .allow_burst(burst);
        let time = GivenTime::default();
        time.0.store(nanos(now), Ordering::Relaxed);
        Self {
            limiter: RateLimiter::direct_with_clock(quota, time.clone()),
            time,
            in_hand: false,
            last: None,
        }
    }

    /// The same at another rate: the first grant keeps the new distance from the last one, so that nobody
    /// who changes the rate again and again gets a burst each time.
    #[must_use]
    pub(super) fn at_rate(&self, per_minute: u32, now: u64) -> Self {
        let Some(last) = self.last else { return Self::new(per_minute, now) };
        let changed = Self { last: Some(last), ..Self::new(per_minute, last) };
        // Its time stands still at the last grant: this ends when the burst of that moment is used up.
        while changed.limiter.check().is_ok() {}
        changed
    }

    /// Whether a grant is due now.
    ///
    /// # Errors
    /// The millisecond at which one will be.
    pub(super) fn due(&mut self, now: u64) -> Result<(), u64> {
        if self.in_hand {
            return Ok(());
        }
        self.time.0.store(nanos(now), Ordering::Relaxed);
        match self.limiter.check() {
            Ok(()) => {
                self.in_hand = true;
                Ok(())
            }
            Err(not_until) => Err(not_until.earliest_possible().as_u64().div_ceil(1_000_000).max(now + 1)),
        }
    }

    /// Uses the cell that was due.
    pub(super) fn spend(&mut self, now: u64) {
        self.in_hand = false;
        self.last = Some(now);
    }
}

fn nanos(millis: u64) -> u64 {
    millis.saturating_mul(1_000_000)
}
