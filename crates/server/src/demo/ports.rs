//! Ports for a demonstration that nobody else takes meanwhile.

use std::fs::{File, OpenOptions};
use std::net::{SocketAddr, TcpListener};

use rustix::fs::{FlockOperation, flock};

/// How many ports one demonstration takes.
pub const COUNT: u16 = 14;

/// Where the search begins and ends: below the range from which the system takes ports for outgoing connections, so
/// that a port found free stays free until it is bound.
const RANGE: std::ops::Range<u16> = 10_000..32_000;

/// A run of [`COUNT`] ports that belong to this demonstration as long as it lives.
pub struct Ports {
    base: u16,
    _lock: Option<File>,
}

impl Ports {
    /// The ports from this number on, whoever may use them.
    pub fn fixed(base: u16) -> Self {
        Ports { base, _lock: None }
    }

    /// The ports of an earlier run: the nodes know each other's addresses.
    ///
    /// # Errors
    /// When another demonstration has them.
    pub fn again(base: u16) -> std::io::Result<Self> {
        let taken = || std::io::Error::other(format!("another demonstration has the ports from {base} on"));
        Ok(Ports { base, _lock: Some(lock(base)?.ok_or_else(taken)?) })
    }

    /// The number of the first port.
    pub fn base(&self) -> u16 {
        self.base
    }

    /// The first run of free ports from a random place on. A lock file keeps other demonstrations away from it.
    ///
    /// # Errors
    /// When there is none.
    pub fn free() -> std::io::Result<Self> {
        let blocks = (RANGE.end - RANGE.start) / COUNT;
        let start = u16::from_le_bytes(sterna_base::ids::random_bytes()) % blocks;
        for step in 0..blocks {
            let base = RANGE.start + (start + step) % blocks * COUNT;
            if let Some(lock) = lock(base)?
                && (base..base + COUNT).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
            {
                return Ok(Ports { base, _lock: Some(lock) });
            }
        }
        Err(std::io::Error::other("no run of free ports between 10000 and 32000; name one with --port-base"))
    }

    /// The `n`th port, on loopback.
    pub fn at(&self, n: u16) -> SocketAddr {
        debug_assert!(n < COUNT);
        SocketAddr::from(([127, 0, 0, 1], self.base + n))
    }
}

/// `None` when another demonstration has it.
fn lock(base: u16) -> std::io::Result<Option<File>> {
    let path = std::env::temp_dir().join(format!("sterna-demo-{base}.lock"));
    let Ok(file) = OpenOptions::new().write(true).create(true).truncate(false).open(&path) else { return Ok(None) };
    Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok().then_some(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_demonstrations_never_share_a_port() {
        let (a, b) = (Ports::free().unwrap(), Ports::free().unwrap());
        assert_ne!(a.base, b.base);
    }
}
