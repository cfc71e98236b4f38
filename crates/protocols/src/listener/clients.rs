//! Certificates of clients: who asks for them, and what they are worth.
//!
//! A client may show a certificate and need not, and one that shows a certificate of somebody else's authority is no
//! enemy: its keychain chose it. So the handshake takes any certificate whose key the client has, and whether it names
//! somebody here is decided after it ([`ClientCertificates::addresses`]). What does not count leaves a connection as
//! good as any other.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use sterna_base::Clock;
use thiserror::Error;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Addresses of one certificate that are looked at.
const ADDRESSES_MAX: usize = 8;

/// Whose certificates count.
#[derive(Clone, Debug, Default)]
pub struct ClientTrust {
    /// The certificates of the authorities that sign them.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Lists of what was revoked: with any, every authority in a chain must have one that is in force. Without, nothing
    /// is revoked.
    pub revoked: Vec<CertificateRevocationListDer<'static>>,
}

/// Why certificates of clients, or one of them, don't count.
#[derive(Debug, Error)]
pub enum ClientCertificateError {
    /// Authorities or lists can't be used.
    #[error("they can't be used: {0}")]
    Unusable(String),
    /// It was not signed by an authority that counts, or is not in force, or was revoked.
    #[error("it does not count: {0}")]
    NotTrusted(rustls::Error),
    /// It is well-formed for TLS and not otherwise.
    #[error("it can't be read")]
    Unreadable,
    /// It has neither an rfc822Name nor an emailAddress.
    #[error("it names no mail address")]
    Nobody,
}

/// See the module.
pub struct ClientCertificates {
    provider: Arc<CryptoProvider>,
    hints: Vec<DistinguishedName>,
    verifier: RwLock<Arc<dyn ClientCertVerifier>>,
    clock: Arc<dyn Clock>,
}

impl ClientCertificates {
    /// # Errors
    /// [`ClientCertificateError::Unusable`].
    pub fn new(
        provider: Arc<CryptoProvider>,
        trust: ClientTrust,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientCertificateError> {
        let (verifier, hints) = verifier(&provider, trust)?;
        Ok(ClientCertificates { provider, hints, verifier: RwLock::new(verifier), clock })
    }

    /// From now on these count; which authorities clients are told stays as it is.
    ///
    /// # Errors
    /// [`ClientCertificateError::Unusable`]; those of before count on then.
    pub fn replace(&self, trust: ClientTrust) -> Result<(), ClientCertificateError> {
        *self.verifier.write() = verifier(&self.provider, trust)?.0;
        Ok(())
    }

    /// What asks clients for a certificate, for a server's configuration.
    pub fn asking(self: &Arc<Self>) -> Arc<dyn ClientCertVerifier> {
        Arc::new(Asking(self.clone()))
    }

    /// The mail addresses of whom a chain proves to be there (RFC 5280 section 4.2.1.6): its rfc822Names, or else what
    /// its subject says. The end of the chain comes first.
    ///
    /// # Errors
    /// [`ClientCertificateError`].
    pub fn addresses(&self, chain: &[CertificateDer<'_>]) -> Result<Vec<String>, ClientCertificateError> {
        let Some((end_entity, intermediates)) = chain.split_first() else { return Err(ClientCertificateError::Nobody) };
        let verifier = self.verifier.read().clone();
        let now_ms = u64::try_from(self.clock.now().0).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(Duration::from_millis(now_ms));
        verifier.verify_client_cert(end_entity, intermediates, now).map_err(ClientCertificateError::NotTrusted)?;
        let (_, certificate) = X509Certificate::from_der(end_entity).map_err(|_| ClientCertificateError::Unreadable)?;
        let addresses = names(&certificate)?;
        if addresses.is_empty() { Err(ClientCertificateError::Nobody) } else { Ok(addresses) }
    }
}

fn names(certificate: &X509Certificate<'_>) -> Result<Vec<String>, ClientCertificateError> {
    let alternative = certificate.subject_alternative_name().map_err(|_| ClientCertificateError::Unreadable)?;
    let alternative = alternative.into_iter().flat_map(|extension| &extension.value.general_names);
    let addresses: Vec<String> = alternative
        .filter_map(|name| match name {
            GeneralName::RFC822Name(address) => Some((*address).to_owned()),
            _ => None,
        })
        .take(ADDRESSES_MAX)
        .collect();
    if !addresses.is_empty() {
        return Ok(addresses);
    }
    let of_subject = certificate.subject().iter_email().filter_map(|address| address.as_str().ok());
    Ok(of_subject.map(str::to_owned).take(ADDRESSES_MAX).collect())
}

fn verifier(
    provider: &Arc<CryptoProvider>,
    trust: ClientTrust,
) -> Result<(Arc<dyn ClientCertVerifier>, Vec<DistinguishedName>), ClientCertificateError> {
    let unusable = |error: &dyn std::fmt::Display| ClientCertificateError::Unusable(error.to_string());
    let mut roots = RootCertStore::empty();
    for authority in trust.authorities {
        roots.add(authority).map_err(|error| unusable(&error))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = builder.with_crls(trust.revoked).enforce_revocation_expiration();
    let verifier = builder.build().map_err(|error| unusable(&error))?;
    let hints = verifier.root_hint_subjects().to_vec();
    Ok((verifier, hints))
}

/// Takes every certificate whose key the client has.
struct Asking(Arc<ClientCertificates>);

impl std::fmt::Debug for Asking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asking")
    }
}

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.0.hints
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.provider.signature_verification_algorithms.supported_schemes()
    }
}
