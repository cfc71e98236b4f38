//! Joining: a new machine gets into the installation with a one-time token.
//!
//! The token names the main node and its authority's fingerprint, so the joining machine knows whom it speaks to before
//! it sends the secret; from then on both sides use certificates.

mod client;
mod desk;
mod refusal;
mod token;
mod token_book;

pub use client::{JoinError, JoinOptions, Joined, join};
pub use desk::{Admission, AdmitRefused, JoinDesk, NewNode};
pub use refusal::JoinRefused;
pub use token::{JoinToken, TokenFormatError};
pub use token_book::{TokenBook, TokenBookError, TokenEntry, TokenGrant};

use serde::{Deserialize, Serialize};
use sterna_base::{InstallationId, NodeId, Timestamp};

use crate::nodes::NodeRoles;

/// What the joining machine sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The token's secret, hexadecimal.
    pub secret: String,
    /// Its id, made by itself.
    pub node: NodeId,
    /// PKCS #10, DER, base64: the public key to be certified.
    pub request: String,
    /// What people will call it.
    pub name: String,
    /// What it wants to do.
    pub roles: NodeRoles,
    /// `host:port` at which the other nodes reach it.
    pub address: String,
    /// What it answers to a connection at that address while it joins; empty when it can't.
    #[serde(default)]
    pub probe: String,
    /// The version of its binary.
    pub version: String,
    /// Its release as nodes compare it.
    pub release: u32,
    /// Its clock.
    pub now: Timestamp,
    /// Whether it is to take another machine's place: then the token says whose, and which roles.
    #[serde(default)]
    pub migrates: bool,
}

/// What the main node answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JoinAnswer {
    /// The node's certificate, DER, base64.
    pub certificate: String,
    /// The authority's certificate, DER, base64.
    pub authority: String,
    /// The installation.
    pub installation: InstallationId,
    /// The main node.
    pub main: NodeId,
    /// What people call the new node: its own wish, unless the token has a name.
    #[serde(default)]
    pub name: String,
    /// What it is to do, when the token says so.
    #[serde(default)]
    pub roles: Option<NodeRoles>,
    /// What the administrator should look at although the node was let in.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A node asks for its next certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RenewalRequest {
    /// PKCS #10, DER, base64.
    pub request: String,
}

/// The next certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RenewalAnswer {
    /// DER, base64.
    pub certificate: String,
}

pub(crate) fn to_base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}
