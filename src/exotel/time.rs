//! What time it is at Exotel, by the `Date` of its answers: windows must fit what Exotel files.
//!
//! One answer may lie (a proxy's cache, one of many servers), and this machine's clock may be wrong or be
//! set while we run. So the time is kept against the clock that never goes back, and of two clocks that
//! disagree three answers in a row decide.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{Clock, Timestamp};

/// Seconds by which an answer may differ from what is believed: the time that its body took, and drift.
const TOLERANCE: i64 = 60;

/// Answers in a row that must agree with each other before they are believed against what was.
const WITNESSES: u32 = 3;

/// Exotel's clock as far as it is known.
#[derive(Debug)]
pub(super) struct ExotelTime(Mutex<Belief>);

#[derive(Clone, Copy, Debug, Default)]
struct Belief {
    /// Exotel's clock less the one that never goes back, in seconds; none while our own clock stands for it.
    lead: Option<i64>,
    /// Whether an answer has confirmed what is believed.
    confirmed: bool,
    /// Another lead, and how many answers in a row told it.
    doubt: Option<(i64, u32)>,
}

impl ExotelTime {
    /// What is believed before the first answer: our own clock, or what a former client found out, in
    /// seconds against our own clock.
    pub(super) fn new(offset: Option<i64>, clock: &Clock) -> Self {
        let lead = offset.map(|offset| clock.now().0 + offset - steady(clock));
        Self(Mutex::new(Belief { lead, confirmed: lead.is_some(), doubt: None }))
    }

    fn lock(&self) -> MutexGuard<'_, Belief> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer that is a success has come, with this `Date` in seconds since the epoch, or without one.
    pub(super) fn told(&self, date: Option<i64>, clock: &Clock) {
        let mut belief = self.lock();
        let Some(date) = date else {
            // Nothing better than our own clock will come of it.
            belief.confirmed |= belief.doubt.is_none();
            return;
        };
        let told = date - steady(clock);
        let near = |other: i64| (told - other).abs() <= TOLERANCE;
        let witnesses = match belief.doubt {
            Some((other, witnesses)) if near(other) => witnesses + 1,
            _ => 1,
        };
        if near(belief.lead.unwrap_or(clock.now().0 - steady(clock))) || witnesses >= WITNESSES {
            *belief = Belief { lead: Some(told), confirmed: true, doubt: None };
        } else {
            belief.doubt = Some((told, witnesses));
        }
    }

    /// Now, by Exotel's clock as far as it is known.
    pub(super) fn now(&self, clock: &Clock) -> Timestamp {
        self.lock().lead.map_or_else(|| clock.now(), |lead| Timestamp(lead + steady(clock)))
    }

    /// Whether an answer has confirmed it.
    pub(super) fn is_confirmed(&self) -> bool {
        self.lock().confirmed
    }

    /// Exotel's clock less ours, in seconds; none before an answer with a `Date` is believed.
    pub(super) fn offset(&self, clock: &Clock) -> Option<i64> {
        self.lock().lead.map(|lead| lead + steady(clock) - clock.now().0)
    }
}

fn steady(clock: &Clock) -> i64 {
    i64::try_from(clock.monotonic_millis() / 1000).unwrap_or(i64::MAX / 4)
}
