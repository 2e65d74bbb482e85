//! Senders of wrong secrets: from an address that goes on with them each further answer comes late.
//!
//! The right secret is never slowed nor refused, whatever else comes from its address, so that nobody
//! behind the same proxy or network can lock the owner out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Wrong secrets of one address in a [`WINDOW`] that are answered at once.
const FREE: u32 = 20;
/// How long wrong secrets are remembered.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered.
const ADDRESSES: usize = 1024;

/// How a wrong secret is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    AtOnce,
    Slowed,
}

/// Wrong secrets by address.
#[derive(Debug, Default)]
pub(super) struct Burst(Mutex<HashMap<Option<IpAddr>, Wrong>>);

#[derive(Debug)]
struct Wrong {
    since: Instant,
    count: u32,
}

impl Burst {
    /// Another wrong secret came from here.
    pub(super) fn wrong(&self, peer: Option<IpAddr>) -> Pace {
        let now = Instant::now();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = peer.map(network);
        if known.len() >= ADDRESSES && !known.contains_key(&peer) {
            known.retain(|_, wrong| now.duration_since(wrong.since) < WINDOW);
            if known.len() >= ADDRESSES {
                // So many at a time are one attack: all of them wait.
                return Pace::Slowed;
            }
        }
        let wrong = known.entry(peer).or_insert(Wrong { since: now, count: 0 });
        if now.duration_since(wrong.since) >= WINDOW {
            *wrong = Wrong { since: now, count: 0 };
        }
        wrong.count = wrong.count.saturating_add(1);
        if wrong.count == FREE + 1 {
            let address = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
            tracing::warn!(
                address,
                "many wrong webhook secrets or accounts come from one address; it is slowed"
            );
        }
        if wrong.count > FREE { Pace::Slowed } else { Pace::AtOnce }
    }
}

/// An IPv6 sender owns at least a /64.
fn network(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_is_slowed_after_a_burst_and_forgiven_after_a_while() {
        let burst = Burst::default();
        for _ in 0..FREE {
            assert_eq!(burst.wrong(peer("192.0.2.1")), Pace::AtOnce);
        }
        assert_eq!(burst.wrong(peer("192.0.2.1")), Pace::Slowed);
        assert_eq!(burst.wrong(peer("192.0.2.2")), Pace::AtOnce);
        tokio::time::advance(WINDOW).await;
        assert_eq!(burst.wrong(peer("192.0.2.1")), Pace::AtOnce);
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_of_one_ipv6_network_are_one() {
        let burst = Burst::default();
        for last in 0..FREE {
            assert_eq!(burst.wrong(peer(&format!("2001:db8::{last:x}"))), Pace::AtOnce);
        }
        assert_eq!(burst.wrong(peer("2001:db8::ffff")), Pace::Slowed);
        assert_eq!(burst.wrong(peer("2001:db8:0:1::1")), Pace::AtOnce);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_however_many_addresses_come() {
        let burst = Burst::default();
        for n in 0..10_000_u32 {
            burst.wrong(Some(IpAddr::V4(n.into())));
        }
        assert_eq!(burst.0.lock().unwrap().len(), ADDRESSES);
        assert_eq!(burst.wrong(peer("192.0.2.1")), Pace::Slowed);
        tokio::time::advance(WINDOW).await;
        assert_eq!(burst.wrong(peer("192.0.2.1")), Pace::AtOnce);
        assert_eq!(burst.0.lock().unwrap().len(), 1);
    }
}
