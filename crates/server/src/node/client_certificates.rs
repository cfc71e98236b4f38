//! Certificates of clients that users may log in by (SASL EXTERNAL): the files that say which count, read at the start
//! and again when they have changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use sterna_base::Clock;
use sterna_protocols::listener::{ClientCertificates, ClientTrust};
use tokio::time::MissedTickBehavior;

use crate::config;

/// How often the files are looked at. A list of what was revoked is in force after that time.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// Certificates, or lists, in one file.
const ENTRIES_MAX: usize = 1000;

/// What counts according to the files. Blocking.
///
/// # Errors
/// When they can't be read, or have nothing that can be used.
pub fn load(files: &config::ClientCertificates, clock: Arc<dyn Clock>) -> Result<Arc<ClientCertificates>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let certificates = ClientCertificates::new(provider, read(files)?, clock);
    Ok(Arc::new(certificates.with_context(|| advice(&files.ca))?))
}

fn advice(path: &Path) -> String {
    format!(
        "{}: name readable PEM files in [client_certificates] of sterna.toml, or remove that section",
        path.display()
    )
}

fn read(files: &config::ClientCertificates) -> Result<ClientTrust> {
    let authorities = CertificateDer::pem_file_iter(&files.ca).and_then(|entries| entries.take(ENTRIES_MAX).collect());
    let authorities: Vec<_> = authorities.with_context(|| advice(&files.ca))?;
    anyhow::ensure!(!authorities.is_empty(), "there is no certificate in {}", advice(&files.ca));
    let mut revoked = Vec::new();
    if let Some(path) = &files.crl {
        let lists =
            CertificateRevocationListDer::pem_file_iter(path).and_then(|lists| lists.take(ENTRIES_MAX).collect());
        revoked = lists.with_context(|| advice(path))?;
        anyhow::ensure!(!revoked.is_empty(), "there is no list of revoked certificates in {}", advice(path));
    }
    Ok(ClientTrust { authorities, revoked })
}

/// Reads the files again when they have changed, for as long as it is polled. Files that can't be used change nothing:
/// a list is replaced while we look.
pub async fn keep_current(certificates: Arc<ClientCertificates>, files: config::ClientCertificates) {
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = None;
    loop {
        ticks.tick().await;
        let (files, certificates) = (files.clone(), certificates.clone());
        let look = move || {
            let found = changed_at(&files);
            if known == Some(found) || known.is_none() {
                return Some(found);
            }
            match read(&files).and_then(|trust| Ok(certificates.replace(trust)?)) {
                Ok(()) => {
                    tracing::info!(ca = %files.ca.display(), "which certificates of clients count was read again")
                }
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "which certificates of clients count stays as it was");
                }
            }
            Some(found)
        };
        known = tokio::task::spawn_blocking(look).await.unwrap_or_default();
    }
}

/// When the files were written.
fn changed_at(files: &config::ClientCertificates) -> [Option<SystemTime>; 2] {
    let at = |path: &PathBuf| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    [at(&files.ca), files.crl.as_ref().and_then(at)]
}
