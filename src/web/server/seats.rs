//! Room for a fixed number of connections. When it is used up, whoever holds the most of them loses one:
//! the one that has been silent longest. Clients that only sit there keep nobody out, and a flood from
//! one address evicts itself.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// The open connections, at most `room`.
#[derive(Debug)]
pub(super) struct Seats {
    room: usize,
    /// Counts events: a larger number is a later one.
    sequence: AtomicU64,
    open: Mutex<HashMap<u64, Open>>,
}

#[derive(Debug)]
struct Open {
    network: IpAddr,
    active: Arc<AtomicU64>,
    leave: CancellationToken,
}

/// A connection's place among the open ones; it is given back when the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    place: Arc<Place>,
    /// Cancelled when the connection has to close at once.
    pub(super) leave: CancellationToken,
}

#[derive(Debug)]
struct Place {
    id: u64,
    /// Sequence number of the last request, or of the opening.
    active: Arc<AtomicU64>,
    seats: Arc<Seats>,
}

/// What counts as one client: an IPv4 address, or the 64-bit network that an IPv6 client usually has for
/// itself.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

impl Seats {
    pub(super) fn new(room: usize) -> Self {
        Self { room, sequence: AtomicU64::new(0), open: Mutex::default() }
    }

    /// Takes a seat; if there is none, somebody loses his.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr, cut: &CancellationToken) -> Seat {
        let id = self.next();
        let active = Arc::new(AtomicU64::new(id));
        let place = Place { id, active: active.clone(), seats: self.clone() };
        let seat = Seat { place: Arc::new(place), leave: cut.child_token() };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= self.room
            && let Some(given_up) = victim(&open).and_then(|id| open.remove(&id))
        {
            given_up.leave.cancel();
        }
        open.insert(id, Open { network: network(peer), active, leave: seat.leave.clone() });
        seat
    }

    fn next(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }
}

/// Of the client with the most connections, the one that has been silent longest.
fn victim(open: &HashMap<u64, Open>) -> Option<u64> {
    let mut held: HashMap<IpAddr, usize> = HashMap::new();
    for one in open.values() {
        *held.entry(one.network).or_default() += 1;
    }
    let most = held.values().copied().max()?;
    open.iter()
        .filter(|(_, one)| held.get(&one.network) == Some(&most))
        .min_by_key(|(_, one)| one.active.load(Ordering::Relaxed))
        .map(|(id, _)| *id)
}

impl Seat {
    /// A request has come.
    pub(super) fn touch(&self) {
        self.place.active.store(self.place.seats.next(), Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.seats.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(seats: &Arc<Seats>, peer: &str) -> Seat {
        seats.enter(peer.parse().unwrap(), &CancellationToken::new())
    }

    #[test]
    fn the_silent_one_goes_when_a_seat_is_needed() {
        let seats = Arc::new(Seats::new(2));
        let first = enter(&seats, "192.0.2.1");
        let second = enter(&seats, "192.0.2.1");
        first.touch();
        let third = enter(&seats, "192.0.2.1");
        assert!(second.leave.is_cancelled());
        assert!(!first.leave.is_cancelled() && !third.leave.is_cancelled());
    }

    #[test]
    fn a_flood_from_one_address_evicts_itself() {
        let seats = Arc::new(Seats::new(4));
        let honest = enter(&seats, "192.0.2.1");
        let flood: Vec<Seat> = (0..20).map(|_| enter(&seats, "198.51.100.7")).collect();
        assert!(!honest.leave.is_cancelled());
        assert_eq!(flood.iter().filter(|seat| !seat.leave.is_cancelled()).count(), 3);
    }

    #[test]
    fn an_ipv6_client_is_its_network_and_a_mapped_address_is_ipv4() {
        let same = |a: &str, b: &str| network(a.parse().unwrap()) == network(b.parse().unwrap());
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }

    #[test]
    fn a_seat_given_back_costs_nobody_his() {
        let seats = Arc::new(Seats::new(2));
        let first = enter(&seats, "192.0.2.1");
        drop(enter(&seats, "192.0.2.1"));
        let third = enter(&seats, "192.0.2.1");
        assert!(!first.leave.is_cancelled() && !third.leave.is_cancelled());
        assert_eq!(seats.open.lock().unwrap().len(), 2);
    }

    #[test]
    fn everybody_leaves_at_the_cut() {
        let cut = CancellationToken::new();
        let seat = Arc::new(Seats::new(1)).enter("192.0.2.1".parse().unwrap(), &cut);
        cut.cancel();
        assert!(seat.leave.is_cancelled());
    }
}
