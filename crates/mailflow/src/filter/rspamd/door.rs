//! The way to rspamd: a socket, a port, or a port with TLS.

use std::io;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::filter::endpoint::Wire;
use crate::filter::{CONNECT_TIMEOUT, Endpoint, FilterError};
use crate::remote::{Trust, provider};

/// See the module.
pub struct Door {
    endpoint: Endpoint,
    /// With TLS: what begins it, or why it can't be begun.
    tls: Option<Result<TlsConnector, String>>,
}

impl Door {
    /// To an endpoint; with TLS only to whom these authorities (PEM) vouch for, or those of the system.
    pub fn new(endpoint: Endpoint, authorities: Option<&str>) -> Self {
        let tls = matches!(endpoint, Endpoint::Tls(..)).then(|| connector(authorities));
        Door { endpoint, tls }
    }

    /// Connects.
    ///
    /// # Errors
    /// When rspamd is not there, or is not who it should be.
    pub async fn connect(&self) -> Result<Box<dyn Wire>, FilterError> {
        let wire = self.endpoint.connect().await?;
        let (Some(tls), Endpoint::Tls(host, _)) = (&self.tls, &self.endpoint) else { return Ok(wire) };
        let connector = tls.as_ref().map_err(|cause| FilterError::Unable(cause.clone()))?;
        let name = ServerName::try_from(host.clone()).map_err(|error| FilterError::Unable(error.to_string()))?;
        let encrypted = timeout(CONNECT_TIMEOUT, connector.connect(name, wire)).await;
        let encrypted = encrypted.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", self.endpoint));
        Ok(Box::new(encrypted.map_err(named)?))
    }
}

fn connector(authorities: Option<&str>) -> Result<TlsConnector, String> {
    let trust = match authorities {
        None => Trust::default(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            let (good, _) = roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem.as_bytes()).flatten());
            if good == 0 {
                return Err("there is no certificate in rspamd.authorities".to_owned());
            }
            Trust::of(roots)
        }
    };
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?.with_webpki_verifier(trust.verifier()?);
    Ok(TlsConnector::from(std::sync::Arc::new(config.with_no_client_auth())))
}
