//! Addresses for what a test starts, or for nobody.

use std::net::{IpAddr, SocketAddr, TcpListener};

/// Addresses on this host at which nobody listens now, no two of them the same.
///
/// # Panics
/// When there are none.
pub fn free<const N: usize>(host: impl Into<IpAddr>) -> [SocketAddr; N] {
    let host = host.into();
    let listener = |_| TcpListener::bind((host, 0)).unwrap_or_else(|error| panic!("a free port on {host}: {error}"));
    // All are held until all are known, so that none comes twice.
    let held: [TcpListener; N] = std::array::from_fn(listener);
    held.map(|listener| listener.local_addr().unwrap_or_else(|error| panic!("a free port on {host}: {error}")))
}
