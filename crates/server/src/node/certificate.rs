//! The certificate that mail clients see: the administrator's, or one of our own until there is a better one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ResolvesServerCert;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use sterna_base::{Timestamp, atomic_file};

use sterna_protocols::listener::ACME_TLS;

use crate::config::Config;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFileError {
    /// A file can't be read or written.
    #[error("{path}: {cause}. Name a readable PEM file in [tls] of sterna.toml, or remove that section")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// The two don't belong together, or are of a kind that TLS doesn't take.
    #[error("certificate {certificate} and key {key} can't be used: {cause}")]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What the library says.
        cause: String,
    },
}

/// What speaks the certificate of the files, and their names.
pub struct FileCertificate {
    /// It and its key.
    pub key: Arc<CertifiedKey>,
    /// Where it is.
    pub file: PathBuf,
}

/// The certificate of the files that the configuration names, or of the node's own. Blocking.
///
/// # Errors
/// [`CertificateFileError`].
pub fn load(folder: &Path, config: &Config) -> Result<FileCertificate, CertificateFileError> {
    let certificate = certificate_file(folder, config);
    let key = match &config.tls {
        Some(tls) => tls.key.clone(),
        None => own(folder, &certificate, config.hostname())?,
    };
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| file_error(&certificate, cause))?;
    let secret = PrivateKeyDer::from_pem_file(&key).map_err(|cause| file_error(&key, cause))?;
    match certified(chain, secret) {
        Ok(found) => Ok(FileCertificate { key: Arc::new(found), file: certificate }),
        Err(cause) => Err(CertificateFileError::Unusable { certificate, key, cause: cause.to_string() }),
    }
}

/// A chain with the key that belongs to it.
///
/// # Errors
/// When the two don't belong together, or are of a kind that TLS doesn't take.
pub fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    if chain.is_empty() {
        return Err(rustls::Error::NoCertificatesPresented);
    }
    CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider())
}

/// The TLS configuration of the listeners for clients, which are asked for certificates of their own if somebody does.
///
/// # Errors
/// When the library has no protocol version in common with itself.
pub fn server_config(
    certificates: Arc<dyn ResolvesServerCert>,
    asking: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = match asking {
        Some(asking) => builder.with_client_cert_verifier(asking).with_cert_resolver(certificates),
        None => builder.with_no_client_auth().with_cert_resolver(certificates),
    };
    Ok(Arc::new(config))
}

/// The same for HTTP, which says in the handshake which version is spoken; and where certificate authorities look
/// (RFC 8737).
pub fn for_http(tls: &ServerConfig) -> Arc<ServerConfig> {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), ACME_TLS.to_vec()];
    Arc::new(tls)
}

/// Where the certificate is.
pub fn certificate_file(folder: &Path, config: &Config) -> PathBuf {
    config.tls.as_ref().map_or_else(|| folder.join("client-tls.crt"), |tls| tls.certificate.clone())
}

/// When the certificate in a PEM file ends: the first one, which is the server's own.
pub fn not_after(file: &Path) -> Option<Timestamp> {
    sterna_cluster::tls::not_after(&CertificateDer::from_pem_file(file).ok()?)
}

/// The key of a self-signed certificate; both are made at the first start. Clients will warn; that is the truth.
fn own(folder: &Path, certificate: &Path, hostname: &str) -> Result<PathBuf, CertificateFileError> {
    let key = folder.join("client-tls.key");
    if !certificate.exists() || !key.exists() {
        let made = rcgen::generate_simple_self_signed(vec![hostname.to_owned(), "localhost".to_owned()]);
        let made = made.map_err(|cause| file_error(certificate, cause))?;
        write(&key, made.signing_key.serialize_pem().as_bytes(), 0o600)?;
        write(certificate, made.cert.pem().as_bytes(), 0o644)?;
        tracing::info!(certificate = %certificate.display(), "made a self-signed certificate for mail clients");
    }
    Ok(key)
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), CertificateFileError> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(|cause| file_error(path, cause))?;
    atomic_file::write(path, content, mode).map_err(|cause| file_error(path, cause))
}

fn file_error(path: &Path, cause: impl ToString) -> CertificateFileError {
    CertificateFileError::File { path: path.to_owned(), cause: cause.to_string() }
}
