//! Whom the greylist lets in at once, as administrators write it: a network, an address, or a domain with all names
//! below it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::network::Network;

/// Longest address or domain, in bytes (RFC 5321 section 4.5.3.1.3).
pub const NAME_BYTES_MAX: usize = 254;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Clients in this network.
    Network(Network),
    /// This reverse-path, in small letters.
    Sender(String),
    /// Reverse-paths of this domain and of names below it, in small letters.
    Domain(String),
}

/// It is none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a network (192.0.2.0/24), nor an address (ana@example.org), nor a domain (example.org)")]
pub struct InvalidPassage;

impl Passage {
    /// Whether a client with this reverse-path is let in.
    pub fn lets_in(&self, client: IpAddr, mail_from: &str) -> bool {
        match self {
            Passage::Network(network) => network.contains(client),
            Passage::Sender(sender) => mail_from.to_lowercase() == *sender,
            Passage::Domain(domain) => {
                let from = mail_from.rsplit_once('@').map(|(_, domain)| domain.to_lowercase());
                from.is_some_and(|from| {
                    from.strip_suffix(domain.as_str()).is_some_and(|above| above.is_empty() || above.ends_with('.'))
                })
            }
        }
    }
}

impl FromStr for Passage {
    type Err = InvalidPassage;
    fn from_str(text: &str) -> Result<Self, InvalidPassage> {
        if let Ok(network) = text.parse() {
            return Ok(Passage::Network(network));
        }
        let text = text.to_lowercase();
        let good = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control());
        if text.len() > NAME_BYTES_MAX || !good(&text) {
            return Err(InvalidPassage);
        }
        let is_domain = |name: &str| {
            let labels = || name.split('.');
            labels().count() > 1 && labels().all(|label| good(label) && !label.contains(['/', '*', '@', ':']))
        };
        match text.rsplit_once('@') {
            Some((local, domain)) if good(local) && is_domain(domain) => Ok(Passage::Sender(text)),
            None if is_domain(&text) => Ok(Passage::Domain(text)),
            _ => Err(InvalidPassage),
        }
    }
}

impl fmt::Display for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Passage::Network(network) => network.fmt(f),
            Passage::Sender(name) | Passage::Domain(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lets_in(passage: &str, mail_from: &str) -> bool {
        passage.parse::<Passage>().unwrap().lets_in("192.0.2.7".parse().unwrap(), mail_from)
    }

    #[test]
    fn networks_senders_and_domains_are_told_apart() {
        assert!(lets_in("192.0.2.0/24", "a@far.test") && !lets_in("192.0.3.0/24", "a@far.test"));
        assert!(lets_in("Zoe@Far.test", "zoe@FAR.test") && !lets_in("zoe@far.test", "zoe@sub.far.test"));
        assert!(lets_in("far.test", "zoe@far.test") && lets_in("far.test", "zoe@mx.Far.test"));
        assert!(!lets_in("far.test", "zoe@notfar.test") && !lets_in("far.test", ""));
        for wrong in ["", "far", "@far.test", "zoe@", "a b", "192.0.2.0/33", "*.far.test", "far..test", "zoe@far"] {
            assert_eq!(wrong.parse::<Passage>(), Err(InvalidPassage), "{wrong}");
        }
        assert_eq!("192.0.2.7".parse::<Passage>().unwrap().to_string(), "192.0.2.7/32");
    }
}
