//! How many connections there are, and from where.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

/// Counts the connections of a listener.
pub(super) struct Peers {
    all_max: usize,
    per_peer_max: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// The right to one connection; given back when dropped.
pub(super) struct PeerPermit {
    peers: Arc<Peers>,
    network: IpAddr,
}

impl Peers {
    pub fn new(all_max: usize, per_peer_max: usize) -> Arc<Self> {
        Arc::new(Peers { all_max, per_peer_max, counts: Mutex::default() })
    }

    /// A permit, unless there are too many.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<PeerPermit> {
        let network = network(peer);
        let mut counts = self.counts.lock();
        let from_there = counts.by_peer.get(&network).copied().unwrap_or(0);
        let too_many_there = from_there >= self.per_peer_max && !peer.to_canonical().is_loopback();
        if counts.all >= self.all_max || too_many_there {
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

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn counts_by_network() {
        let peers = Peers::new(5, 2);
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
