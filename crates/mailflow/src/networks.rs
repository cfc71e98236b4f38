//! What of a client's address counts.

use std::net::{IpAddr, Ipv6Addr};

/// What one host has: an IPv4 address, or a whole /64 of IPv6.
pub fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address => address,
    }
}
