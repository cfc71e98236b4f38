//! What the world has to know of a mail domain: where its services are, for clients and for DNS. One [`DomainFacts`]
//! is behind every document that clients fetch and behind every record that DNS should have ([`records`]), so that they
//! can't say different things; only what listens is in it.

pub mod apple;
pub mod autoconfig;
pub mod autodiscover;
pub mod mta_sts;
mod records;

use serde::{Deserialize, Serialize};

pub use records::{Data, Need, Record, TTL_SECONDS, records};

/// The path below which everything of DAV is (RFC 6764 section 5).
pub const DAV_PATH: &str = "/dav/";

/// What a server listens for, as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// IMAP with TLS from the first byte.
    Imaps,
    /// IMAP with STARTTLS.
    Imap,
    /// POP3 with TLS from the first byte.
    Pop3s,
    /// POP3 with STLS.
    Pop3,
    /// Submission with TLS from the first byte.
    Submissions,
    /// Submission with STARTTLS.
    Submission,
    /// ManageSieve with STARTTLS.
    Sieve,
    /// Calendars, address books and files, and the documents of this module.
    Https,
    /// Mail from other servers.
    Smtp,
    /// What a newer server calls by a name that isn't known here.
    #[serde(other)]
    Other,
}

impl Service {
    /// Whether TLS begins with the first byte; otherwise a command begins it.
    pub fn is_implicit_tls(self) -> bool {
        matches!(self, Service::Imaps | Service::Pop3s | Service::Submissions | Service::Https)
    }
}

/// Where one service is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// Which.
    pub service: Service,
    /// The name that clients connect to, and that is in the certificate.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// What is published of a domain besides where its services are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainFacts {
    /// The domain, or another name of it.
    pub domain: String,
    /// What people call it.
    pub display_name: String,
    /// Where its services are, the preferred ones of a service first.
    pub endpoints: Vec<Endpoint>,
    /// Its mail exchangers.
    pub exchangers: Vec<String>,
    /// Other hosts that send its mail; `None` where another server sends it, of which nothing is known here.
    pub senders: Option<Vec<String>>,
    /// Names and texts of the records with keys that it signs with.
    pub dkim: Vec<(String, String)>,
    /// What other servers are told of TLS to its exchangers, if anything.
    pub mta_sts: Option<mta_sts::Mode>,
}

impl DomainFacts {
    /// The first endpoint of a service.
    pub fn endpoint(&self, service: Service) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.service == service)
    }

    /// The policy for its exchangers; `None` where there is none to tell, or nobody who could fetch it.
    pub fn mta_sts(&self) -> Option<mta_sts::Policy<'_>> {
        let mode = self.mta_sts?;
        self.endpoint(Service::Https)?;
        (!self.exchangers.is_empty()).then_some(mta_sts::Policy { mode, exchangers: &self.exchangers })
    }

    /// The URL below which DAV is; `None` where nobody speaks HTTPS.
    pub fn dav_url(&self) -> Option<String> {
        let https = self.endpoint(Service::Https)?;
        let port = if https.port == 443 { String::new() } else { format!(":{}", https.port) };
        Some(format!("https://{}{port}{DAV_PATH}", https.host))
    }
}

/// The domain of an address; `None` when it is none.
pub fn domain_of(address: &str) -> Option<&str> {
    let (local, domain) = address.rsplit_once('@')?;
    let good =
        !local.is_empty() && !domain.is_empty() && address.len() <= 320 && !address.chars().any(char::is_control);
    good.then_some(domain)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A domain with everything.
    pub(crate) fn facts() -> DomainFacts {
        let at = |service, port| Endpoint { service, host: "mail.tern.test".into(), port };
        DomainFacts {
            domain: "tern.test".into(),
            display_name: "Terns & <Co>".into(),
            endpoints: vec![
                at(Service::Imaps, 993),
                at(Service::Imap, 143),
                at(Service::Submissions, 465),
                at(Service::Submission, 587),
                at(Service::Sieve, 4190),
                at(Service::Https, 443),
            ],
            exchangers: vec!["mail.tern.test".into()],
            senders: Some(vec!["out.tern.test".into()]),
            dkim: vec![("s1._domainkey.tern.test".into(), format!("v=DKIM1; k=rsa; p={}", "A".repeat(400)))],
            mta_sts: Some(mta_sts::Mode::Enforce),
        }
    }

    #[test]
    fn urls_name_the_port_only_where_it_is_unusual() {
        let mut facts = facts();
        assert_eq!(facts.dav_url().as_deref(), Some("https://mail.tern.test/dav/"));
        facts.endpoints[5].port = 8443;
        assert_eq!(facts.dav_url().as_deref(), Some("https://mail.tern.test:8443/dav/"));
        facts.endpoints.pop();
        assert_eq!((facts.dav_url(), facts.mta_sts()), (None, None));
    }

    #[test]
    fn addresses_have_domains() {
        assert_eq!(domain_of("ana@tern.test"), Some("tern.test"));
        for none in ["", "ana", "@tern.test", "ana@", "a\u{7}@b"] {
            assert_eq!(domain_of(none), None, "{none}");
        }
    }
}
