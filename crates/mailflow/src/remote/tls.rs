//! TLS to other servers (RFC 3207).

use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::connection::Wire;

/// Where systems keep the certificates of those whom everybody trusts.
const ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// How much TLS a destination gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsPolicy {
    /// None.
    Never,
    /// Where the server offers it, with whatever certificate: better than none (RFC 7435).
    #[default]
    Opportunistic,
    /// Always, with whatever certificate.
    Encrypt,
    /// Always, with a certificate of the host's name by an authority that the system trusts.
    Verify,
}

impl TlsPolicy {
    /// Whether nothing is sent without.
    pub fn is_required(self) -> bool {
        matches!(self, TlsPolicy::Encrypt | TlsPolicy::Verify)
    }
}

/// Begins TLS on a connection.
///
/// # Errors
/// Why not, in words.
pub async fn handshake(wire: Box<dyn Wire>, host: &str, policy: TlsPolicy) -> Result<Box<dyn Wire>, String> {
    let config = if policy == TlsPolicy::Verify { &VERIFYING } else { &OPPORTUNISTIC };
    let config = config.as_ref().map_err(Clone::clone)?.clone();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("{host}: {error}"))?;
    let stream = TlsConnector::from(config).connect(name, wire).await.map_err(|error| format!("TLS: {error}"))?;
    Ok(Box::new(stream))
}

type Config = Result<Arc<ClientConfig>, String>;

static OPPORTUNISTIC: LazyLock<Config> = LazyLock::new(|| {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(Arc::new(config))
});

static VERIFYING: LazyLock<Config> = LazyLock::new(|| {
    let pem = ROOTS.iter().find_map(|path| std::fs::read(path).ok());
    let pem = pem.ok_or("this system has no list of certificate authorities; install ca-certificates")?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
});

/// Opportunistic TLS helps against those who listen, and no certificate could make it help against more: who can change
/// what is said can also leave STARTTLS out.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
