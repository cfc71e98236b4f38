//! Connections to LDAP servers: over TLS, or to this machine.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, StdStream};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use sterna_base::Secret;
use sterna_directory::Source;

use crate::node::trusted_roots;

/// How long a connection may take, the handshake of TLS counted.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one answer of the server may take.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// `invalidCredentials` (RFC 4511 appendix A.2).
pub const INVALID_CREDENTIALS: u32 = 49;

/// Why a source could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum LdapFailure {
    /// No server of it answers.
    #[error("{0}")]
    Unreachable(String),
    /// It answers, and says no.
    #[error("{what}: the server answers {code} {text}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// The result code (RFC 4511 appendix A).
        code: u32,
        /// Its words.
        text: String,
    },
    /// It answers what can't be read, or breaks off.
    #[error("the server's answer can't be used: {0}")]
    Broken(String),
    /// It has more than is taken.
    #[error("the answer has more than {0} entries: use a narrower filter or base")]
    TooMany(usize),
    /// What the source says of TLS or its password can't be used.
    #[error("{0}")]
    Settings(String),
}

impl From<LdapError> for LdapFailure {
    fn from(error: LdapError) -> Self {
        match error {
            LdapError::FilterParsing => LdapFailure::Settings("a filter can't be read (RFC 4515)".to_owned()),
            LdapError::LdapResult { result } => {
                LdapFailure::Refused { what: "the request", code: result.rc, text: result.text }
            }
            error => LdapFailure::Broken(error.to_string()),
        }
    }
}

/// A connection to the first server of a source that answers, not bound yet; with the server's URL.
///
/// # Errors
/// [`LdapFailure`].
pub async fn connect(source: &Source) -> Result<(Ldap, String), LdapFailure> {
    let mut causes = Vec::new();
    for url in &source.urls {
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, connect_to(source, url));
        match connecting.await {
            Ok(Ok(ldap)) => return Ok((ldap, url.clone())),
            Ok(Err(error @ LdapFailure::Settings(_))) => return Err(error),
            Ok(Err(error)) => causes.push(format!("{url}: {error}")),
            Err(_) => causes.push(format!("{url}: no answer within {} s", CONNECT_TIMEOUT.as_secs())),
        }
    }
    Err(LdapFailure::Unreachable(causes.join("; ")))
}

async fn connect_to(source: &Source, url: &str) -> Result<Ldap, LdapFailure> {
    let is_tls = url.starts_with("ldaps://");
    let host_port = url.split_once("://").map_or("", |(_, rest)| rest);
    let default_port = if is_tls { 636 } else { 389 };
    let (host, port) = match host_port.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, port.parse().map_err(|_| LdapFailure::Settings(format!("{url} has no port that is a number")))?)
        }
        _ => (host_port, default_port),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let unreachable = |error: std::io::Error| LdapFailure::Unreachable(error.to_string());
    let found: Vec<SocketAddr> = tokio::net::lookup_host((bare, port)).await.map_err(unreachable)?.collect();
    let stream = connect_tcp(&found).await.map_err(unreachable)?;
    let is_here = stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback());
    if !is_tls && !source.start_tls && !is_here {
        let detail = "passwords are not sent in the clear: use ldaps:// or StartTLS, or a server on this machine";
        return Err(LdapFailure::Settings(detail.to_owned()));
    }
    let mut settings = LdapConnSettings::new().set_std_stream(StdStream::Tcp(stream));
    if is_tls || source.start_tls {
        settings = settings.set_config(tls(&source.ca)?).set_starttls(!is_tls);
    }
    let (connection, ldap) = LdapConnAsync::with_settings(settings, url)
        .await
        .map_err(|error| LdapFailure::Unreachable(error.to_string()))?;
    tokio::spawn(async move {
        if let Err(error) = connection.drive().await {
            tracing::debug!(%error, "a connection to a directory ended");
        }
    });
    Ok(ldap)
}

async fn connect_tcp(addresses: &[SocketAddr]) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::other("the name has no address");
    for address in addresses {
        match tokio::net::TcpStream::connect(address).await {
            Ok(stream) => return stream.into_std(),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Trust in these certificates only, or in those that the system trusts.
fn tls(ca: &str) -> Result<Arc<ClientConfig>, LdapFailure> {
    if ca.trim().is_empty() {
        return trusted_roots(None).map_err(LdapFailure::Settings);
    }
    let unusable = |error: String| LdapFailure::Settings(format!("the source's certificates can't be used: {error}"));
    let mut roots = RootCertStore::empty();
    for found in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        let certificate = found.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("there is none in the text".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| unusable(error.to_string()))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// Binds as whom the source is read; anonymously when it names nobody.
///
/// # Errors
/// [`LdapFailure`].
pub async fn bind(ldap: &mut Ldap, dn: &str, password: &Secret) -> Result<(), LdapFailure> {
    if dn.is_empty() {
        return Ok(());
    }
    if password.expose().is_empty() {
        // RFC 4513 section 5.1.2: the server would take it for nobody in particular, and show less without an error.
        return Err(LdapFailure::Settings("the source has a bind DN and no password".to_owned()));
    }
    let bound = ldap.with_timeout(ANSWER_TIMEOUT).simple_bind(dn, password.expose()).await?;
    match bound.rc {
        0 => Ok(()),
        code => Err(LdapFailure::Refused { what: "the bind", code, text: bound.text }),
    }
}
