//! The only source of "now". Everything that decides takes time as a value from here, so that tests
//! and the in-process simulator can run a day in seconds.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::time::Timestamp;

/// A clock: wall time for what is written down, monotonic time for what is waited for.
///
/// Cheap to clone. Waiting itself is always `tokio::time`, which a test can pause.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    System,
    /// Follows `tokio::time`, so that a paused runtime carries wall time along.
    Tokio {
        epoch: Duration,
        start: tokio::time::Instant,
    },
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        Self(Arc::new(Kind::System))
    }

    /// Starts at `start` and follows `tokio::time::Instant`; must be called inside a runtime.
    pub fn following_tokio(start: Timestamp) -> Self {
        Self(Arc::new(Kind::Tokio {
            epoch: Duration::from_secs(u64::try_from(start.0).unwrap_or(0)),
            start: tokio::time::Instant::now(),
        }))
    }

    /// Time since the Unix epoch.
    pub fn since_epoch(&self) -> Duration {
        match &*self.0 {
            Kind::System => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Kind::Tokio { epoch, start } => *epoch + start.elapsed(),
        }
    }

    /// Now in whole seconds, UTC.
    pub fn now(&self) -> Timestamp {
        Timestamp(i64::try_from(self.since_epoch().as_secs()).unwrap_or(i64::MAX))
    }

    /// Milliseconds on a clock that never goes back and that outlives this process, though not a
    /// reboot of the machine.
    pub fn monotonic_millis(&self) -> u64 {
        match &*self.0 {
            Kind::System => {
                let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
                let seconds = u64::try_from(t.tv_sec).unwrap_or(0);
                seconds * 1000 + u64::try_from(t.tv_nsec).unwrap_or(0) / 1_000_000
            }
            Kind::Tokio { epoch, start } => {
                u64::try_from((*epoch + start.elapsed()).as_millis()).unwrap_or(u64::MAX)
            }
        }
    }
}
