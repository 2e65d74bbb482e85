//! Room for a fixed number of connections. When it is used up, the connection that has been silent
//! longest has to go, so that clients that only sit there keep nobody out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// The open connections, at most `room`.
#[derive(Debug)]
pub(super) struct Seats {
    room: usize,
    /// Counts events: a larger number is a later one.
    sequence: AtomicU64,
    open: Mutex<HashMap<u64, (Arc<AtomicU64>, CancellationToken)>>,
}

/// A connection's place among the open ones; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Seat {
    id: u64,
    /// Sequence number of the last request, or of the opening.
    active: Arc<AtomicU64>,
    /// Cancelled when the connection has to close at once.
    pub(super) leave: CancellationToken,
    seats: Arc<Seats>,
}

impl Seats {
    pub(super) fn new(room: usize) -> Self {
        Self { room, sequence: AtomicU64::new(0), open: Mutex::default() }
    }

    /// Takes a seat; if there is none, whoever has been silent longest loses his.
    pub(super) fn enter(self: &Arc<Self>, cut: &CancellationToken) -> Seat {
        let id = self.next();
        let seat =
            Seat { id, active: Arc::new(AtomicU64::new(id)), leave: cut.child_token(), seats: self.clone() };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= self.room {
            let oldest = open.iter().min_by_key(|(_, (active, _))| active.load(Ordering::Relaxed));
            if let Some((_, leave)) = oldest.map(|(id, _)| *id).and_then(|id| open.remove(&id)) {
                leave.cancel();
            }
        }
        open.insert(id, (seat.active.clone(), seat.leave.clone()));
        seat
    }

    fn next(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }
}

impl Seat {
    /// A request has come.
    pub(super) fn touch(&self) {
        self.active.store(self.seats.next(), Ordering::Relaxed);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_silent_one_goes_when_a_seat_is_needed() {
        let seats = Arc::new(Seats::new(2));
        let cut = CancellationToken::new();
        let first = seats.enter(&cut);
        let second = seats.enter(&cut);
        first.touch();
        let third = seats.enter(&cut);
        assert!(second.leave.is_cancelled());
        assert!(!first.leave.is_cancelled() && !third.leave.is_cancelled());
    }

    #[test]
    fn a_seat_given_back_costs_nobody_his() {
        let seats = Arc::new(Seats::new(2));
        let cut = CancellationToken::new();
        let first = seats.enter(&cut);
        drop(seats.enter(&cut));
        let third = seats.enter(&cut);
        assert!(!first.leave.is_cancelled() && !third.leave.is_cancelled());
        assert_eq!(seats.open.lock().unwrap().len(), 2);
    }

    #[test]
    fn everybody_leaves_at_the_cut() {
        let cut = CancellationToken::new();
        let seat = Arc::new(Seats::new(1)).enter(&cut);
        cut.cancel();
        assert!(seat.leave.is_cancelled());
    }
}
