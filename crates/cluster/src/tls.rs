//! TLS between nodes: TLS 1.3 only, both sides with certificates of the installation's authority, the peer known by the
//! node id in its certificate and never by host name or address.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError as TlsCertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    RootCertStore, ServerConfig, SignatureScheme,
};
use sterna_base::{BlobHash, Clock, NodeId, Timestamp};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::ca::fingerprint;
use crate::identity::Identity;
use crate::peer_name::PeerName;

/// The protocol name in the TLS handshake (ALPN, RFC 7301): HTTP/2.
const ALPN: &[u8] = b"h2";

/// Why a peer's certificate was refused, for the log and for the administrator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerRefused {
    /// It names no Sterna node.
    #[error("the peer's certificate names no Sterna node")]
    NotANode,
    /// It is a node of another installation.
    #[error("the peer belongs to another installation ({0})")]
    OtherInstallation(PeerName),
    /// It is another node than expected at that address.
    #[error(
        "another node answers at that address: expected {expected}, found {found}; correct the address of the node"
    )]
    OtherNode {
        /// Who should be there.
        expected: NodeId,
        /// Who is.
        found: NodeId,
    },
    /// The join token's fingerprint is not that of the authority that answers.
    #[error("the server that answers is not the one that made the token; check the address, or make a new token")]
    OtherAuthority,
}

fn refuse(reason: PeerRefused) -> Error {
    Error::InvalidCertificate(TlsCertificateError::Other(OtherError(Arc::new(reason))))
}

/// The reason in a TLS error, if it is ours.
pub fn refusal(error: &Error) -> Option<PeerRefused> {
    match error {
        Error::InvalidCertificate(TlsCertificateError::Other(OtherError(cause))) => {
            cause.downcast_ref::<PeerRefused>().cloned()
        }
        _ => None,
    }
}

/// What a TLS error means for the administrator.
pub fn explain(error: &Error) -> String {
    use rustls::AlertDescription as Alert;
    if let Some(reason) = refusal(error) {
        return reason.to_string();
    }
    match error {
        Error::InvalidCertificate(TlsCertificateError::UnknownIssuer | TlsCertificateError::BadSignature) => {
            "the peer's certificate is not from this installation's authority".into()
        }
        Error::InvalidCertificate(
            TlsCertificateError::Expired
            | TlsCertificateError::ExpiredContext { .. }
            | TlsCertificateError::NotValidYet
            | TlsCertificateError::NotValidYetContext { .. },
        ) => format!("{error}: check the clocks of both machines"),
        Error::AlertReceived(
            Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateUnknown | Alert::DecryptError,
        ) => "the peer refused this node's certificate: it is not of the peer's installation; join it again".into(),
        Error::AlertReceived(Alert::CertificateExpired) => {
            "the peer refused this node's certificate as expired: check the clocks, then join again".into()
        }
        error => error.to_string(),
    }
}

/// What an error of a TLS stream means for the administrator.
pub fn explain_io(error: &std::io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => explain(error),
        None => error.to_string(),
    }
}

/// The settings of the cluster listener. A client without a certificate gets through the handshake, because a joining
/// node has none yet; every route but the joining one refuses it.
///
/// # Errors
/// When the library refuses the settings.
pub fn server_config(identity: &Arc<Identity>, clock: Arc<dyn Clock>) -> Result<ServerConfig, Error> {
    let provider = provider();
    let chain = WebPkiClientVerifier::builder_with_provider(identity.roots(), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    let verifier = NodeClientVerifier { chain, own: identity.name() };
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(ClockTime(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(OwnKey(identity.clone())));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session would keep the identity of an older certificate.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The settings for a connection to the node `expected`.
///
/// # Errors
/// When the library refuses the settings.
pub fn client_config(identity: &Arc<Identity>, expected: NodeId, clock: Arc<dyn Clock>) -> Result<ClientConfig, Error> {
    let provider = provider();
    let verifier = NodeServerVerifier {
        roots: identity.roots(),
        expected: PeerName { node: expected, ..identity.name() },
        algorithms: provider.signature_verification_algorithms,
    };
    let config = ClientConfig::builder_with_details(provider, Arc::new(ClockTime(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(OwnKey(identity.clone())));
    Ok(finish_client(config))
}

/// The settings for joining: the main node is known by the fingerprint of its authority and its node id, both from the
/// token, and this machine's clock plays no part, because finding out that it is wrong is part of joining.
///
/// # Errors
/// When the library refuses the settings.
pub fn joining_config(authority: BlobHash, main: NodeId, clock: Arc<dyn Clock>) -> Result<ClientConfig, Error> {
    let provider = provider();
    let verifier = PinnedVerifier { authority, main, algorithms: provider.signature_verification_algorithms };
    let config = ClientConfig::builder_with_details(provider, Arc::new(ClockTime(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(finish_client(config))
}

fn finish_client(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    config
}

/// The library wants a server name for every connection; nodes have none, and this one is neither sent nor checked.
pub fn unused_server_name() -> ServerName<'static> {
    ServerName::IpAddress(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED).into())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Certificates are judged by the same clock as everything else.
struct ClockTime(Arc<dyn Clock>);

impl std::fmt::Debug for ClockTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClockTime")
    }
}

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

/// This node's key, as it is at the time of the handshake.
struct OwnKey(Arc<Identity>);

impl std::fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OwnKey({})", self.0.name())
    }
}

impl ResolvesServerCert for OwnKey {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.key())
    }
}

impl ResolvesClientCert for OwnKey {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.key())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Checks a connecting node: chain to the authority, then the installation in its name.
#[derive(Debug)]
struct NodeClientVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    own: PeerName,
}

impl ClientCertVerifier for NodeClientVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = match self.chain.verify_client_cert(end_entity, intermediates, now) {
            // An expired certificate may still do one thing, get itself renewed; the routes see to that.
            Err(Error::InvalidCertificate(
                TlsCertificateError::Expired | TlsCertificateError::ExpiredContext { .. },
            )) => {
                let at = issued_at(end_entity).ok_or_else(|| refuse(PeerRefused::NotANode))?;
                self.chain.verify_client_cert(end_entity, intermediates, at)?
            }
            verified => verified?,
        };
        let name = PeerName::of_certificate(end_entity).map_err(|_| refuse(PeerRefused::NotANode))?;
        if name.installation != self.own.installation {
            return Err(refuse(PeerRefused::OtherInstallation(name)));
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Checks the node that was called: chain to the authority, then exactly the expected name.
#[derive(Debug)]
struct NodeServerVerifier {
    roots: Arc<RootCertStore>,
    expected: PeerName,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for NodeServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let name = PeerName::of_certificate(end_entity).map_err(|_| refuse(PeerRefused::NotANode))?;
        if name.installation != self.expected.installation {
            return Err(refuse(PeerRefused::OtherInstallation(name)));
        }
        verify_chain(end_entity, &self.roots, intermediates, now, &self.algorithms)?;
        if name.node != self.expected.node {
            return Err(refuse(PeerRefused::OtherNode { expected: self.expected.node, found: name.node }));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Checks the main node before there is any trust but the token's.
#[derive(Debug)]
struct PinnedVerifier {
    authority: BlobHash,
    main: NodeId,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let name = PeerName::of_certificate(end_entity).map_err(|_| refuse(PeerRefused::NotANode))?;
        let authority = intermediates
            .iter()
            .find(|certificate| fingerprint(certificate) == self.authority)
            .ok_or_else(|| refuse(PeerRefused::OtherAuthority))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let at = issued_at(end_entity).ok_or_else(|| refuse(PeerRefused::NotANode))?;
        verify_chain(end_entity, &roots, &[], at, &self.algorithms)?;
        if name.node != self.main {
            return Err(refuse(PeerRefused::OtherNode { expected: self.main, found: name.node }));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn verify_chain(
    end_entity: &CertificateDer<'_>,
    roots: &RootCertStore,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), Error> {
    let certificate = ParsedCertificate::try_from(end_entity)?;
    rustls::client::verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms.all)
}

/// Whether a certificate's validity is over.
pub fn is_expired(certificate: &CertificateDer<'_>, now: Timestamp) -> bool {
    X509Certificate::from_der(certificate)
        .is_ok_and(|(_, parsed)| parsed.validity().not_after.timestamp() < now.seconds())
}

/// When a certificate ends; `None` for what is no certificate.
pub fn not_after(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(Timestamp::from_seconds(parsed.validity().not_after.timestamp()))
}

/// The first second of a certificate's validity: the time at which it is judged when the clock can't be trusted.
fn issued_at(certificate: &CertificateDer<'_>) -> Option<UnixTime> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let seconds = u64::try_from(parsed.validity().not_before.timestamp()).ok()?;
    Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
}
