//! Mail authentication: is a message from whom it says? (SPF, DKIM, DMARC, ARC, and the fields that tell the result.)
//!
//! [`Gate`] looks at what comes from other servers. What users and trusted hosts hand in is not looked at: they have
//! shown who they are; [`Authoring`] signs it for them. [`Sealing`] seals what goes on to others. A
//! [`verdict::Verdict`] is a fact; [`policy`] makes an act of it.
//!
//! Nothing is lost here for want of DNS: what can't be found out is noted, and the message is taken.

mod author;
mod gate;
pub(crate) mod header;
pub mod keys;
mod policy;
mod results;
mod seal;
mod sign;
#[cfg(test)]
mod sign_tests;
#[cfg(test)]
mod tests;
mod verdict;
mod verify;

use mail_auth::common::crypto::Algorithm;

pub use author::Authoring;
pub use gate::{Gate, GateSettings, Passed};
pub(crate) use gate::{replace, with_fields};
pub use header::HEADER_BYTES_MAX;
pub use policy::DmarcMode;
pub use seal::Sealing;
pub use sign::{OpenKey, Signer, Signers};
pub(crate) use verify::header_of;
pub use verify::{Origin, Verifier};

/// The name of a signature's algorithm (`a=`).
fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RsaSha1 => "rsa-sha1",
        Algorithm::RsaSha256 => "rsa-sha256",
        Algorithm::Ed25519Sha256 => "ed25519-sha256",
    }
}
