//! Renewal: a node gets its next certificate by itself, long before the present one ends.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use rustls::pki_types::CertificateDer;
use sterna_base::Clock;
use tokio_util::sync::CancellationToken;

use crate::ca::CertificateError;
use crate::identity::PendingKey;
use crate::join::{RenewalAnswer, RenewalRequest, from_base64, to_base64};
use crate::limits::RENEWAL_PERIOD_MS;
use crate::rpc::fault::CallError;
use crate::rpc::peer::Call;
use crate::rpc::peers::Peers;
use crate::rpc::wire;

/// Why a certificate was not renewed; the old one stays in use and it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// The main node could not be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Its answer could not be used.
    #[error("the main node's answer could not be used: {0}")]
    Answer(String),
    /// The key or the certificate could not be made or stored.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// Renews the certificate of this node whenever it is due, until it is told to stop.
pub async fn keep_renewed(peers: Arc<Peers>, clock: Arc<dyn Clock>, stop: CancellationToken) {
    let mut period = tokio::time::interval(Duration::from_millis(RENEWAL_PERIOD_MS));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = period.tick() => {}
        }
        if let Err(error) = renew_if_due(&peers, &*clock).await {
            let not_after = peers.identity().not_after();
            tracing::warn!(%error, ?not_after, "the node's certificate is due but was not renewed");
        }
    }
}

/// Renews the certificate if more than half of its life time is over; says whether it did.
///
/// # Errors
/// [`RenewalError`]
pub async fn renew_if_due(peers: &Arc<Peers>, clock: &dyn Clock) -> Result<bool, RenewalError> {
    let identity = peers.identity().clone();
    if clock.now() < identity.renewal_due() {
        return Ok(false);
    }
    let pending = PendingKey::generate(identity.node())?;
    let request = RenewalRequest { request: to_base64(&pending.request) };
    let unusable = |error: &dyn std::fmt::Display| RenewalError::Answer(error.to_string());
    let body = wire::to_json(&request).map_err(|error| unusable(&error))?;
    let answer = peers.main().call(&Call::control(Method::POST, "/v1/renew"), body).await?;
    let answer: RenewalAnswer = wire::from_json(&answer).map_err(|error| unusable(&error))?;
    let certificate = from_base64(&answer.certificate).ok_or_else(|| unusable(&"it is not base64"))?;
    tokio::task::spawn_blocking(move || identity.renew(pending, CertificateDer::from(certificate)))
        .await
        .map_err(|error| unusable(&error))??;
    Ok(true)
}
