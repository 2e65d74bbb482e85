//! Whether Exotel takes our key. After a 401 one request in an interval finds out; the others fail at once
//! and cost nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// State of one account's key.
#[derive(Debug)]
pub(super) struct Auth {
    interval_ms: u64,
    /// When the next try is allowed; none while the key is good.
    next_try: Mutex<Option<u64>>,
}

/// Leave to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// The key was good when asked; to be asked again after a wait.
    Good,
    /// This request is the one that tries.
    Try,
    /// Another one tries; this long from now.
    Denied {
        /// Milliseconds.
        wait_ms: u64,
    },
}

impl Auth {
    pub(super) fn new(interval_ms: u64) -> Self {
        Self { interval_ms, next_try: Mutex::new(None) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<u64>> {
        self.next_try.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before a request waits for its slot.
    pub(super) fn ask(&self, now: u64) -> Leave {
        let mut next_try = self.lock();
        match *next_try {
            None => Leave::Good,
            Some(at) if at <= now => {
                *next_try = Some(now + self.interval_ms);
                Leave::Try
            }
            Some(at) => Leave::Denied { wait_ms: at - now },
        }
    }

    /// Before a request that had leave is sent: the key may have been refused meanwhile.
    pub(super) fn still(&self, leave: Leave, now: u64) -> Leave {
        match leave {
            Leave::Good => self.ask(now),
            Leave::Try | Leave::Denied { .. } => leave,
        }
    }

    /// An answer came: 401, or one that took the key.
    pub(super) fn refused(&self, now: u64) {
        *self.lock() = Some(now + self.interval_ms);
    }

    /// The key is good.
    pub(super) fn accepted(&self) {
        *self.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_refusal_one_in_an_interval_tries() {
        let auth = Auth::new(1000);
        let early = auth.ask(0);
        assert_eq!(early, Leave::Good);
        auth.refused(10);
        assert_eq!(auth.ask(10), Leave::Denied { wait_ms: 1000 });
        assert_eq!(auth.still(early, 20), Leave::Denied { wait_ms: 990 }, "it waited for its slot meanwhile");
        assert_eq!(auth.ask(1010), Leave::Try);
        assert_eq!(auth.still(Leave::Try, 1011), Leave::Try);
        assert_eq!(auth.ask(1011), Leave::Denied { wait_ms: 999 });
        auth.accepted();
        assert_eq!(auth.ask(1012), Leave::Good);
    }
}
