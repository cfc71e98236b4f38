//! A node's name in its certificate: `sterna://INSTALLATION-ID/node/NODE-ID` as a URI in the subject alternative name
//! (RFC 5280 section 4.2.1.6). Neither host name nor IP address: a node that moves stays who it is.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::CertificateDer;
use sterna_base::{InstallationId, NodeId};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Who a certificate belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerName {
    /// Of which installation.
    pub installation: InstallationId,
    /// Which node.
    pub node: NodeId,
}

/// Why a certificate names no node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the certificate doesn't name a Sterna node")]
pub struct NotANode;

impl PeerName {
    /// The name in a certificate. It says nothing about who signed it.
    ///
    /// # Errors
    /// [`NotANode`] when there is none, or more than one.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, NotANode> {
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| NotANode)?;
        let names = parsed.subject_alternative_name().map_err(|_| NotANode)?.ok_or(NotANode)?;
        match names.value.general_names.as_slice() {
            [GeneralName::URI(uri)] => uri.parse(),
            _ => Err(NotANode),
        }
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sterna://{}/node/{}", self.installation, self.node)
    }
}

impl FromStr for PeerName {
    type Err = NotANode;
    fn from_str(text: &str) -> Result<Self, NotANode> {
        let rest = text.strip_prefix("sterna://").ok_or(NotANode)?;
        let (installation, node) = rest.split_once("/node/").ok_or(NotANode)?;
        Ok(PeerName {
            installation: installation.parse().map_err(|_| NotANode)?,
            node: node.parse().map_err(|_| NotANode)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_nothing_else_is() {
        let name = PeerName { installation: InstallationId::random(), node: NodeId::random() };
        assert_eq!(name.to_string().parse(), Ok(name));
        let other = name.to_string();
        for wrong in ["", "sterna://", &other[1..], &format!("{other}0"), &other.replace("node", "nodes")] {
            assert_eq!(wrong.parse::<PeerName>(), Err(NotANode), "{wrong}");
        }
    }
}
