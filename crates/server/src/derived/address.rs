//! Which addresses a file may be fetched from: users name the hosts, and this machine can reach more than they can.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sterna_formats::network::Network;

/// Whether it is an address of the public Internet (IANA's registries of special-purpose addresses), or in a network
/// that an administrator has allowed.
pub fn is_allowed(address: IpAddr, networks: &[Network]) -> bool {
    let address = address.to_canonical();
    is_public(address) || networks.iter().any(|network| network.contains(address))
}

/// Whether a connection leads to this machine itself, by an address that no administrator has allowed: public ones,
/// too, have services behind them that trust whoever comes from here.
pub fn is_own(local: IpAddr, peer: IpAddr, networks: &[Network]) -> bool {
    let (local, peer) = (local.to_canonical(), peer.to_canonical());
    local == peer && !networks.iter().any(|network| network.contains(peer))
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        // Shared address space of providers (RFC 6598), protocol assignments, 6to4 relays, benchmarks.
        || (a == 100 && (64..128).contains(&b))
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
        || (a == 198 && (18..20).contains(&b));
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let within = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    // Those that stand for an IPv4 address lead to it: NAT64 (RFC 6052) and 6to4 (RFC 3056).
    if parts[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return is_public_v4(within(parts[6], parts[7]));
    }
    if parts[0] == 0x2002 {
        return is_public_v4(within(parts[1], parts[2]));
    }
    // Global unicast is 2000::/3; in it protocol assignments with Teredo (2001::/23) and documentation.
    let is_global = parts[0] & 0xe000 == 0x2000;
    let is_special = (parts[0] == 0x2001 && (parts[1] < 0x200 || parts[1] == 0xdb8)) || parts[0] == 0x3fff;
    is_global && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_asked_unless_a_network_is_allowed() {
        let allowed = |text: &str, networks: &[Network]| is_allowed(text.parse().unwrap(), networks);
        for public in ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"] {
            assert!(allowed(public, &[]), "{public}");
        }
        let special = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "fec0::1",
        ];
        for special in special {
            assert!(!allowed(special, &[]), "{special}");
        }
        let networks = ["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        assert!(allowed("127.0.0.1", &networks) && allowed("::ffff:127.0.0.1", &networks));
        assert!(allowed("fd00::1", &networks) && !allowed("10.0.0.1", &networks));
    }

    #[test]
    fn own_public_addresses_have_to_be_allowed() {
        let own = |local: &str, peer: &str, networks: &[Network]| {
            is_own(local.parse().unwrap(), peer.parse().unwrap(), networks)
        };
        assert!(own("93.184.216.34", "93.184.216.34", &[]) && own("93.184.216.34", "::ffff:93.184.216.34", &[]));
        assert!(!own("93.184.216.34", "93.184.216.35", &[]));
        assert!(!own("93.184.216.34", "93.184.216.34", &["93.184.216.34".parse().unwrap()]));
    }
}
