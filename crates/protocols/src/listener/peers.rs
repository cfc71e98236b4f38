//! How many connections there are, and from where.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use sterna_base::session_limits::LiveSessionLimits;

/// Counts the connections of a listener.
pub(super) struct Peers {
    limits: Arc<LiveSessionLimits>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: u64,
    by_peer: HashMap<IpAddr, u64>,
}

/// The right to one connection; given back when dropped.
pub(super) struct PeerPermit {
    peers: Arc<Peers>,
    network: IpAddr,
}

impl Peers {
    pub fn new(limits: Arc<LiveSessionLimits>) -> Arc<Self> {
        Arc::new(Peers { limits, counts: Mutex::default() })
    }

    /// A permit, unless there are too many.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<PeerPermit> {
        let (network, limits) = (network(peer), self.limits.get());
        let mut counts = self.counts.lock();
        let from_there = counts.by_peer.get(&network).copied().unwrap_or(0);
        let too_many_there = from_there >= limits.connections_per_address && !peer.to_canonical().is_loopback();
        if counts.all >= limits.connections || too_many_there {
            return None;
        }
        counts.all += 1;
        counts.by_peer.insert(network, from_there + 1);
        Some(PeerPermit { peers: self.clone(), network })
    }
}

impl Drop for PeerPermit {
    fn drop(&mut self) {
        let mut counts = self.peers.counts.lock();
        counts.all -= 1;
        if let Some(count) = counts.by_peer.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                counts.by_peer.remove(&self.network);
            }
        }
    }
}

/// One host has a whole /64 of IPv6 addresses.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sterna_base::session_limits::SessionLimits;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn counts_by_network() {
        let limits = Arc::new(LiveSessionLimits::default());
        limits.set(SessionLimits { connections: 5, connections_per_address: 2, ..SessionLimits::DEFAULT });
        let peers = Peers::new(limits);
        let first = peers.enter(ip("2001:db8::1")).unwrap();
        let _second = peers.enter(ip("2001:db8::2")).unwrap();
        assert!(peers.enter(ip("2001:db8::3")).is_none());
        assert!(peers.enter(ip("2001:db8:0:1::3")).is_some());
        drop(first);
        let _third = peers.enter(ip("2001:db8::3")).unwrap();
        let _others: Vec<_> = (0..3).map(|_| peers.enter(ip("::ffff:127.0.0.1")).unwrap()).collect();
        assert!(peers.enter(ip("127.0.0.1")).is_none(), "all five are taken");
    }
}
