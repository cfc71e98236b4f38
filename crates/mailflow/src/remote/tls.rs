//! TLS to other servers (RFC 3207): what a connection must have, and whether it has it.

use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::connection::Wire;
use super::dane::Association;
use super::failure::{FailureKind, TlsFailure};

/// Where systems keep the certificates of those whom everybody trusts.
const ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Names another file in their place, as for OpenSSL and what follows it.
const ROOTS_VARIABLE: &str = "SSL_CERT_FILE";

/// How much TLS a destination gets by the administrator's choice.
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

/// What a connection must have, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// What the administrator set.
    Set(TlsPolicy),
    /// The same, and the certificate is looked at: a domain tries out a policy (RFC 8461 section 5, mode `testing`).
    StsTesting(TlsPolicy),
    /// A good certificate: a domain has a policy (RFC 8461 section 4).
    Sts,
    /// The certificate that is in DNS (RFC 7672).
    Dane(Arc<Association>),
}

impl Demand {
    /// Whether TLS is begun where it is offered.
    pub fn is_wanted(&self) -> bool {
        !matches!(self, Demand::Set(TlsPolicy::Never))
    }

    /// Whether nothing is sent without.
    pub fn is_required(&self) -> bool {
        match self {
            Demand::Set(policy) | Demand::StsTesting(policy) => {
                matches!(policy, TlsPolicy::Encrypt | TlsPolicy::Verify)
            }
            Demand::Sts | Demand::Dane(_) => true,
        }
    }
}

/// Whose certificates are believed: those of the system, or these.
#[derive(Clone, Debug, Default)]
pub struct Trust(Option<Arc<RootCertStore>>);

impl Trust {
    /// These.
    pub fn of(roots: RootCertStore) -> Self {
        Trust(Some(Arc::new(roots)))
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, String> {
        match &self.0 {
            Some(roots) => Ok(roots.clone()),
            None => SYSTEM.clone(),
        }
    }

    /// What checks certificates against names.
    ///
    /// # Errors
    /// When the system has no list of authorities.
    pub fn verifier(&self) -> Result<Arc<WebPkiServerVerifier>, String> {
        let verifier = WebPkiServerVerifier::builder_with_provider(self.roots()?, provider());
        verifier.build().map_err(|error| error.to_string())
    }
}

static SYSTEM: LazyLock<Result<Arc<RootCertStore>, String>> = LazyLock::new(|| {
    let pem = match std::env::var_os(ROOTS_VARIABLE) {
        Some(path) => std::fs::read(path).ok(),
        None => ROOTS.iter().find_map(|path| std::fs::read(path).ok()),
    };
    let pem = pem.ok_or("this system has no list of certificate authorities; install ca-certificates")?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    Ok(Arc::new(roots))
});

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));

/// The one of all connections whose certificates nobody looks at: it remembers their sessions.
static OPPORTUNISTIC: LazyLock<Result<Arc<ClientConfig>, String>> = LazyLock::new(|| {
    let verifier = Verifier { check: Check::None, is_strict: false, failed: Mutex::new(None) };
    client_config(Arc::new(verifier)).map(Arc::new)
});

pub(crate) fn provider() -> Arc<CryptoProvider> {
    PROVIDER.clone()
}

/// A connection with TLS.
pub struct Encrypted {
    /// What is said on it.
    pub wire: Box<dyn Wire>,
    /// What is wrong with it that does not matter enough.
    pub failure: Option<TlsFailure>,
}

/// Begins TLS on a connection.
///
/// # Errors
/// Why not.
pub async fn handshake(
    wire: Box<dyn Wire>,
    host: &str,
    demand: &Demand,
    trust: &Trust,
) -> Result<Encrypted, TlsFailure> {
    let internal = |text: String| TlsFailure::new(FailureKind::ValidationFailure, text);
    let web = || trust.verifier().map_err(internal).map(Check::Web);
    let (check, is_strict) = match demand {
        Demand::Set(TlsPolicy::Verify) | Demand::Sts | Demand::StsTesting(TlsPolicy::Verify) => (web()?, true),
        Demand::StsTesting(_) => (web()?, false),
        Demand::Set(_) => (Check::None, false),
        Demand::Dane(association) => (Check::Dane(association.clone()), true),
    };
    let is_any_good = matches!(check, Check::None);
    let verifier = Arc::new(Verifier { check, is_strict, failed: Mutex::new(None) });
    let config = if is_any_good {
        OPPORTUNISTIC.clone().map_err(internal)?
    } else {
        Arc::new(client_config(verifier.clone()).map_err(internal)?)
    };
    let name = ServerName::try_from(host.to_owned()).map_err(|error| internal(format!("{host}: {error}")))?;
    let stream = TlsConnector::from(config).connect(name, wire).await;
    let stream = stream.map_err(|error| TlsFailure::of_handshake(&error))?;
    let failure = verifier.failed.lock().take().map(|error| TlsFailure::of_certificate(&error));
    Ok(Encrypted { wire: Box::new(stream), failure })
}

/// A client that leaves the judgement to this.
pub(super) fn client_config(verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?.dangerous();
    Ok(builder.with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// How a certificate is looked at.
#[derive(Debug)]
enum Check {
    /// Not at all. Opportunistic TLS helps against those who listen, and no certificate could make it help against
    /// more: who can change what is said can also leave STARTTLS out.
    None,
    /// By the authorities that everybody trusts.
    Web(Arc<WebPkiServerVerifier>),
    /// By DNS.
    Dane(Arc<Association>),
}

/// Looks at the certificate of one handshake.
#[derive(Debug)]
struct Verifier {
    check: Check,
    /// Whether the handshake ends where it is not good; else it is noted.
    is_strict: bool,
    failed: Mutex<Option<rustls::Error>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let checked = match &self.check {
            Check::None => Ok(()),
            Check::Web(web) => {
                web.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now).map(drop)
            }
            Check::Dane(association) => association.verify(end_entity, intermediates, now),
        };
        match checked {
            Err(error) if self.is_strict => return Err(error),
            Err(error) => *self.failed.lock() = Some(error),
            Ok(()) => {}
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &PROVIDER.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &PROVIDER.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}
