//! Sending to other servers (RFC 5321): where they are, how they are spoken to, what they answer.

mod asking;
mod carrier;
mod connection;
pub mod dane;
pub mod dns;
mod extensions;
mod failure;
mod hickory;
#[cfg(test)]
mod hostile_tests;
mod log_in;
mod observe;
mod pool;
mod route;
pub mod sts;
#[cfg(test)]
pub(crate) mod tests;
mod tls;
#[cfg(test)]
pub(crate) mod tls_tests;
mod transaction;

pub use carrier::{Credentials, HopSettings, RemoteCarrier, RemoteSettings};
pub use dane::Dane;
pub use dns::{DnsError, Mx, Resolver, Srv};
pub use failure::{FailureKind, TlsFailure};
pub use hickory::{Dns, SecureDns, trust_anchors};
pub use observe::{Observation, PolicyUsed, TlsObserver};
pub use sts::MtaSts;
pub(crate) use tls::provider;
pub use tls::{TlsPolicy, Trust};
