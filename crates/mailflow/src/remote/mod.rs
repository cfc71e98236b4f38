//! Sending to other servers (RFC 5321): where they are, how they are spoken to, what they answer.

mod carrier;
mod connection;
pub mod dns;
mod extensions;
mod hickory;
mod pool;
#[cfg(test)]
mod tests;
mod tls;
mod transaction;

pub use carrier::{Credentials, HopSettings, RemoteCarrier, RemoteSettings};
pub use dns::{DnsError, Mx, Resolver};
pub use hickory::Dns;
pub use tls::TlsPolicy;
