//! What is seen of TLS on the way to other domains, for those who make reports of it (RFC 8460).

use std::net::IpAddr;

use super::failure::TlsFailure;

/// Which policy of its domain a session was held to (RFC 8460 section 4.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyUsed {
    /// DANE; the records.
    Tlsa(Vec<String>),
    /// MTA-STS; its lines, and its mail exchangers.
    Sts(Vec<String>, Vec<String>),
    /// It has none.
    None,
}

/// One session, or one that did not come about because of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// For which domain.
    pub domain: String,
    /// Held to which policy.
    pub policy: PolicyUsed,
    /// With which mail exchanger; empty when the failure is none of its.
    pub host: String,
    /// Where that is, if it was connected to.
    pub address: Option<IpAddr>,
    /// Whether it is good: why not.
    pub failure: Option<TlsFailure>,
}

/// Is told of each session. It must not block.
pub trait TlsObserver: Send + Sync {
    /// One more.
    fn observe(&self, seen: Observation);
}
