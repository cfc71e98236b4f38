//! The networks that this machine is in, as its kernel's tables of routes tell (proc_net(5)).

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest table that is read, in bytes: routers of the internet's core have larger ones.
const TABLE_BYTES_MAX: u64 = 1024 * 1024;

/// A network by its address and the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// Those that are reached without a router. Where the tables can't be read, none is known.
pub fn on_link() -> Vec<Network> {
    let read = |path: &str| {
        let mut text = String::new();
        let file = fs::File::open(path).ok()?;
        std::io::Read::read_to_string(&mut std::io::Read::take(file, TABLE_BYTES_MAX), &mut text).ok()?;
        Some(text)
    };
    let four = read("/proc/net/route").unwrap_or_default();
    let six = read("/proc/net/ipv6_route").unwrap_or_default();
    four.lines().filter_map(route4).chain(six.lines().filter_map(route6)).collect()
}

/// Shortest prefixes that are somebody's own network: a tunnel may lead to half of the internet without a router.
const BITS4_MIN: u32 = 8;
const BITS6_MIN: u32 = 32;

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask`: the numbers are in the machine's own order of bytes.
fn route4(line: &str) -> Option<Network> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let number =
        |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok().map(|number| Ipv4Addr::from(number.to_ne_bytes()));
    let (address, gateway, mask) = (number(1)?, number(2)?, number(7)?);
    let bits = mask.to_bits().leading_ones();
    (gateway.is_unspecified() && bits >= BITS4_MIN).then_some(Network { address: address.into(), bits })
}

/// `Destination Length Source Length NextHop Metric ...`, in hexadecimal.
fn route6(line: &str) -> Option<Network> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let number = |at: usize| u128::from_str_radix(fields.get(at)?, 16).ok().map(Ipv6Addr::from_bits);
    let (address, next) = (number(0)?, number(4)?);
    let bits = u32::from_str_radix(fields.get(1)?, 16).ok().filter(|bits| (BITS6_MIN..=128).contains(bits))?;
    next.is_unspecified().then_some(Network { address: address.into(), bits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_without_a_router_are_ones_own() {
        // 198.51.100.0/24, as a machine with the low byte first writes it, and the way to everybody else.
        let own = u32::from_ne_bytes([198, 51, 100, 0]);
        let mask = u32::from_ne_bytes([255, 255, 255, 0]);
        let network = route4(&format!("eth0\t{own:08X}\t00000000\t0001\t0\t0\t0\t{mask:08X}\t0\t0\t0")).unwrap();
        assert!(network.contains("198.51.100.7".parse().unwrap()));
        assert!(
            !network.contains("198.51.101.7".parse().unwrap()) && !network.contains("2001:db8::7".parse().unwrap())
        );
        let router = u32::from_ne_bytes([198, 51, 100, 1]);
        for line in [
            &*format!("eth0\t00000000\t{router:08X}\t0003\t0\t0\t0\t00000000"),
            "Iface Destination",
            "",
            "a b c d e f g h",
        ] {
            assert_eq!(route4(line), None, "{line}");
        }
        let six = |length: &str, next: &str| {
            route6(&format!("20010db8000000010000000000000000 {length} {:032} 00 {next} 00000100 1 0 1 eth0", 0))
        };
        let (none, router) = ("0".repeat(32), format!("fe80{:028}", 1));
        let network = six("40", &none).unwrap();
        assert!(
            network.contains("2001:db8:0:1::7".parse().unwrap())
                && !network.contains("2001:db8:0:2::7".parse().unwrap())
        );
        assert_eq!((six("40", &router), six("00", &none), six("ff", &none)), (None, None, None));
    }
}
