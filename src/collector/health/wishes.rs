//! Checks that somebody wants now.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::model::Timestamp;
use crate::model::health::Verdict;

/// Those who may wait for a check at once; a check serves all of them.
const MOST_WAITING: usize = 256;

/// What is wanted of the poll beside its regular rounds.
#[derive(Debug, Default)]
pub struct Wishes {
    asked: Mutex<Asked>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Asked {
    waiting: Vec<oneshot::Sender<Verdict>>,
    /// Every number is to be asked once after this.
    all_since: Option<Timestamp>,
    /// Nobody polls any more who could serve a wish.
    closed: bool,
}

/// Why no check was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotChecked {
    /// `heartbeat.enabled` is off.
    #[error("health polls are switched off (heartbeat.enabled)")]
    Disabled,
    /// Too many wait already.
    #[error("too many wait for a health check already")]
    Busy,
    /// It could not be stored, or the program stops.
    #[error("the health check could not be stored")]
    NotStored,
}

impl Wishes {
    /// Wants a check now and waits for it.
    pub(super) async fn check(&self) -> Result<Verdict, NotChecked> {
        let (answer, verdict) = oneshot::channel();
        {
            let mut asked = self.asked();
            if asked.closed {
                return Err(NotChecked::Disabled);
            }
            asked.waiting.retain(|waits| !waits.is_closed());
            if asked.waiting.len() >= MOST_WAITING {
                return Err(NotChecked::Busy);
            }
            asked.waiting.push(answer);
        }
        self.wake.notify_one();
        verdict.await.map_err(|_| NotChecked::NotStored)
    }

    /// Wants every number to be asked once from now on, beginning at once.
    pub(crate) fn all_numbers(&self, now: Timestamp) {
        self.asked().all_since = Some(now);
        self.wake.notify_one();
    }

    /// Somebody polls from now on.
    pub(super) fn open(&self) {
        self.asked().closed = false;
    }

    /// Nobody polls from now on: who waits is told, and who comes.
    pub(super) fn close(&self) {
        let mut asked = self.asked();
        asked.closed = true;
        asked.waiting.clear();
    }

    /// Waits until something is wanted.
    pub(super) async fn wanted(&self) {
        loop {
            self.wake.notified().await;
            // A round that was under way may have answered it.
            let asked = self.asked();
            if !asked.waiting.is_empty() || asked.all_since.is_some() {
                return;
            }
        }
    }

    /// Takes the wish that every number be asked.
    pub(super) fn take_all_since(&self) -> Option<Timestamp> {
        self.asked().all_since.take()
    }

    /// Takes those who wait.
    pub(super) fn take_waiting(&self) -> Vec<oneshot::Sender<Verdict>> {
        std::mem::take(&mut self.asked().waiting)
    }

    /// Held for a look, never across an await.
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
