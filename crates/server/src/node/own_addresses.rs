//! The addresses that this machine has, as its kernel tells (proc(5)): what others may have written down to find it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest table that is read, in bytes.
const TABLE_BYTES_MAX: u64 = 1024 * 1024;
/// Most addresses that are told.
const ADDRESSES_MAX: usize = 64;
/// `scope` of if_inet6 for addresses that hold everywhere.
const SCOPE_GLOBAL: &str = "00";

/// Those that other machines could reach it by; none where the kernel doesn't tell.
pub fn own_addresses() -> Vec<IpAddr> {
    let read = |path: &str| {
        let mut text = String::new();
        let file = fs::File::open(path).ok()?;
        file.take(TABLE_BYTES_MAX).read_to_string(&mut text).ok()?;
        Some(text)
    };
    let four = read("/proc/self/net/fib_trie").unwrap_or_default();
    let six = read("/proc/self/net/if_inet6").unwrap_or_default();
    let all: BTreeSet<IpAddr> = of_trie(&four).map(IpAddr::V4).chain(of_list(&six).map(IpAddr::V6)).collect();
    all.into_iter().take(ADDRESSES_MAX).collect()
}

/// `|-- ADDRESS`, and in a line of its own `/32 host LOCAL` where that is the machine's.
fn of_trie(text: &str) -> impl Iterator<Item = Ipv4Addr> {
    let mut last = None;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
            return None;
        }
        let is_own = line == "/32 host LOCAL";
        last.filter(|address| is_own && !address.is_loopback() && !address.is_link_local())
    })
}

/// `ADDRESS INDEX PREFIX SCOPE FLAGS NAME`.
fn of_list(text: &str) -> impl Iterator<Item = Ipv6Addr> {
    text.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let address = u128::from_str_radix(fields.next()?, 16).ok()?;
        (fields.nth(2)? == SCOPE_GLOBAL).then(|| Ipv6Addr::from_bits(address))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_the_tables() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 192.0.2.0\n        \
                    /24 link UNICAST\nLocal:\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.7\n        \
                    /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n";
        assert_eq!(of_trie(trie).collect::<Vec<_>>(), [Ipv4Addr::new(192, 0, 2, 7)]);
        let list = "00000000000000000000000000000001 01 80 10 80       lo\n\
                    fe800000000000000000000000000001 02 40 20 80     eth0\n\
                    20010db8000000000000000000000007 02 40 00 80     eth0\nnonsense\n";
        assert_eq!(of_list(list).collect::<Vec<_>>(), ["2001:db8::7".parse::<Ipv6Addr>().unwrap()]);
    }

    #[test]
    fn this_machine_has_no_loopback_among_them() {
        assert!(own_addresses().iter().all(|address| !address.is_loopback()));
    }
}
