//! Room for a fixed number of callbacks and of their bytes. Who finds none waits a moment, no more: a
//! callback that is refused comes again after five minutes, one that is kept waiting is lost on time-out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Callbacks in flight; as many as share a commit of the store.
const CALLBACKS: usize = 256;
/// Kilobytes of bodies in flight: two heartbeats of the largest size and some others.
const KILOBYTES: usize = 24 * 1024;
/// How long a callback waits for room.
const PATIENCE: Duration = Duration::from_secs(2);

/// The room.
#[derive(Clone, Debug)]
pub(super) struct Room {
    callbacks: Arc<Semaphore>,
    kilobytes: Arc<Semaphore>,
}

/// A callback's part of it; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place {
    _callback: OwnedSemaphorePermit,
    _kilobytes: OwnedSemaphorePermit,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            callbacks: Arc::new(Semaphore::new(CALLBACKS)),
            kilobytes: Arc::new(Semaphore::new(KILOBYTES)),
        }
    }
}

impl Room {
    /// A place for a body of this length; one of unknown length takes the largest allowed. None if there
    /// is none in time.
    pub(super) async fn enter(&self, length: Option<u64>, limit: usize) -> Option<Place> {
        let bytes = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(limit).min(limit);
        let kilobytes = u32::try_from(bytes.div_ceil(1024).max(1)).ok()?;
        let taken = async {
            let callback = Arc::clone(&self.callbacks).acquire_owned().await.ok()?;
            let kilobytes = Arc::clone(&self.kilobytes).acquire_many_owned(kilobytes).await.ok()?;
            Some(Place { _callback: callback, _kilobytes: kilobytes })
        };
        timeout(PATIENCE, taken).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    const LIMIT: usize = 11 * 1024 * 1024;

    #[tokio::test(start_paused = true)]
    async fn one_too_many_waits_a_moment_and_then_gives_up() {
        let room = Room::default();
        let mut places = Vec::new();
        for _ in 0..CALLBACKS {
            places.push(room.enter(Some(100), LIMIT).await.unwrap());
        }
        let before = Instant::now();
        assert!(room.enter(Some(100), LIMIT).await.is_none());
        assert_eq!(before.elapsed(), PATIENCE);
        let waiting = tokio::spawn({
            let room = room.clone();
            async move { room.enter(Some(100), LIMIT).await.is_some() }
        });
        tokio::task::yield_now().await;
        places.pop();
        assert!(waiting.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_and_those_of_unknown_length_share_the_bytes() {
        let room = Room::default();
        let first = room.enter(None, LIMIT).await.unwrap();
        let _second = room.enter(Some(LIMIT as u64), LIMIT).await.unwrap();
        assert!(room.enter(None, LIMIT).await.is_none());
        let _small = room.enter(Some(0), LIMIT).await.unwrap();
        drop(first);
        assert!(room.enter(None, LIMIT).await.is_some());
    }
}
