//! DANE for SMTP (RFC 7672): DNS says which certificate a mail exchanger has, and DNSSEC says that DNS can be believed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, SHA512, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, RootCertStore};
use sterna_base::{Clock, Timestamp};
use tokio::sync::{Mutex, watch};

use super::dns::{DnsError, Mx};
use super::tls;

/// TLSA records of one host that are looked at.
pub const RECORDS_MAX: usize = 32;

/// How long it is believed that DNS can be validated, in milliseconds.
const ABLE_RETENTION_MS: i64 = 10 * 60 * 1000;

/// The same for that it can't.
const UNABLE_RETENTION_MS: i64 = 60 * 1000;

/// How long it may take to find out.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// An answer of DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven<T> {
    /// It.
    pub value: T,
    /// Whether DNSSEC proves it.
    pub is_secure: bool,
}

/// Asks DNS and validates the answers. What is forged is [`DnsError::Temporary`].
#[async_trait]
pub trait SecureResolver: Send + Sync {
    /// Whether answers can be validated at all: many servers leave the signatures out.
    ///
    /// # Errors
    /// Why not.
    async fn probe(&self) -> Result<(), String>;

    /// As [`Resolver::mx`](super::Resolver::mx).
    ///
    /// # Errors
    /// [`DnsError`].
    async fn mx(&self, domain: &str) -> Result<Proven<Vec<Mx>>, DnsError>;

    /// As [`Resolver::addresses`](super::Resolver::addresses).
    ///
    /// # Errors
    /// [`DnsError`].
    async fn addresses(&self, host: &str) -> Result<Proven<Vec<IpAddr>>, DnsError>;

    /// The TLSA records of a host and port; empty when it has none.
    ///
    /// # Errors
    /// [`DnsError::Temporary`].
    async fn tlsa(&self, host: &str, port: u16) -> Result<Proven<Vec<Tlsa>>, DnsError>;
}

/// One TLSA record (RFC 6698 section 2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    /// 2 is DANE-TA, 3 is DANE-EE; others are of no use to SMTP (RFC 7672 section 3.1.3).
    pub usage: u8,
    /// 0 is the whole certificate, 1 its public key.
    pub selector: u8,
    /// 0 is that itself, 1 its SHA-256, 2 its SHA-512.
    pub matching: u8,
    /// What it must be.
    pub data: Vec<u8>,
}

/// A certificate that a host's own operator signs with.
const DANE_TA: u8 = 2;
/// A host's own certificate.
const DANE_EE: u8 = 3;

impl Tlsa {
    /// Whether anything can match it.
    fn is_usable(&self) -> bool {
        let good_length = match self.matching {
            0 => !self.data.is_empty(),
            1 => self.data.len() == SHA256.output_len(),
            2 => self.data.len() == SHA512.output_len(),
            _ => false,
        };
        matches!(self.usage, DANE_TA | DANE_EE) && self.selector <= 1 && good_length
    }

    fn matches(&self, certificate: &CertificateDer<'_>) -> bool {
        let key;
        let selected: &[u8] = if self.selector == 0 {
            certificate
        } else {
            let Ok(parsed) = ParsedCertificate::try_from(certificate) else { return false };
            key = parsed.subject_public_key_info();
            &key
        };
        match self.matching {
            0 => self.data == selected,
            1 => self.data == digest(&SHA256, selected).as_ref(),
            _ => self.data == digest(&SHA512, selected).as_ref(),
        }
    }
}

/// What one host must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    records: Vec<Tlsa>,
    /// The names that a certificate below an authority of DNS may have (RFC 7672 section 3.2.3).
    names: Vec<String>,
}

impl Association {
    /// From a host's records, for mail to a domain; `None` when there are only such as nothing can match.
    pub fn new(mut records: Vec<Tlsa>, host: &str, domain: &str) -> Option<Self> {
        records.retain(Tlsa::is_usable);
        records.truncate(RECORDS_MAX);
        (!records.is_empty()).then(|| Association { records, names: vec![host.to_owned(), domain.to_owned()] })
    }

    /// What reports say of it (RFC 8460 section 4.2.2): the records as zone files have them.
    pub fn texts(&self) -> Vec<String> {
        let hex = |data: &[u8]| data.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let text = |tlsa: &Tlsa| format!("{} {} {} {}", tlsa.usage, tlsa.selector, tlsa.matching, hex(&tlsa.data));
        self.records.iter().map(text).collect()
    }

    /// Whether a server's certificates are those of DNS. A host's own (DANE-EE) is good whatever its name and its dates
    /// (RFC 7672 section 3.1.1).
    ///
    /// # Errors
    /// Why not.
    pub fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        if self.of(DANE_EE).any(|tlsa| tlsa.matches(end_entity)) {
            return Ok(());
        }
        let mut roots = RootCertStore::empty();
        for tlsa in self.of(DANE_TA) {
            for certificate in intermediates.iter().filter(|certificate| tlsa.matches(certificate)) {
                let _ = roots.add(certificate.clone().into_owned());
            }
            if (tlsa.selector, tlsa.matching) == (0, 0) {
                let _ = roots.add(CertificateDer::from(tlsa.data.clone()));
            }
        }
        let none = rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        if roots.is_empty() {
            return Err(none);
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), tls::provider()).build();
        let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
        let mut last = none;
        for name in self.names.iter().filter_map(|name| ServerName::try_from(name.as_str()).ok()) {
            match verifier.verify_server_cert(end_entity, intermediates, &name, &[], now) {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn of(&self, usage: u8) -> impl Iterator<Item = &Tlsa> {
        self.records.iter().filter(move |tlsa| tlsa.usage == usage)
    }
}

/// Whether DNS can be validated, as it was found last.
pub type Ability = Option<(Timestamp, Result<(), String>)>;

/// A validating resolver, used only while it can validate: behind a server that leaves signatures out, everything would
/// look forged.
pub struct Dane {
    resolver: Arc<dyn SecureResolver>,
    clock: Arc<dyn Clock>,
    known: watch::Sender<Ability>,
    probing: Mutex<()>,
}

impl Dane {
    /// With a resolver that validates.
    pub fn new(resolver: Arc<dyn SecureResolver>, clock: Arc<dyn Clock>) -> Self {
        Dane { resolver, clock, known: watch::channel(None).0, probing: Mutex::default() }
    }

    /// What is known of it, for administrators.
    pub fn ability(&self) -> watch::Receiver<Ability> {
        self.known.subscribe()
    }

    /// The resolver, if it can validate now; that is asked again every few minutes.
    pub async fn able(&self) -> Option<&dyn SecureResolver> {
        let known = match self.known() {
            Some(known) => known,
            None => {
                let _turn = self.probing.lock().await;
                match self.known() {
                    Some(known) => known,
                    None => self.probe().await,
                }
            }
        };
        known.then_some(&*self.resolver)
    }

    fn known(&self) -> Option<bool> {
        let known = self.known.borrow();
        let (at, found) = known.as_ref()?;
        let retention = if found.is_ok() { ABLE_RETENTION_MS } else { UNABLE_RETENTION_MS };
        (self.clock.now() < at.plus_ms(retention)).then_some(found.is_ok())
    }

    async fn probe(&self) -> bool {
        let found = tokio::time::timeout(PROBE_TIMEOUT, self.resolver.probe()).await;
        let found = found.unwrap_or_else(|_| Err("DNS does not answer in time".to_owned()));
        let was = self.known.borrow().as_ref().map(|(_, was)| was.is_ok());
        match &found {
            Ok(()) if was != Some(true) => tracing::info!("DNS answers are validated: DANE is on"),
            Err(cause) if was != Some(false) => tracing::warn!(
                cause,
                "DNS answers can't be validated: DANE is off; name a resolver that passes DNSSEC on in nameservers"
            ),
            _ => {}
        }
        let is_able = found.is_ok();
        self.known.send_replace(Some((self.clock.now(), found)));
        is_able
    }
}
