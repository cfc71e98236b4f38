//! Signatures of our own: DKIM for what our users send (RFC 6376), ARC for what we pass on (RFC 8617).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use mail_auth::arc::ArcSealer;
use mail_auth::common::crypto::{DkimKey, Ed25519Key, RsaKey, Sha256};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::{Canonicalization, DkimSigner, Done};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sterna_account::service::MessageBody;

use super::keys::{KeyAlgorithm, KeyError};
use crate::limits::SPOOL_CHUNK_BYTES;

/// The fields that are signed. From stands there twice: so nobody can add a second one (RFC 6376 section 8.15). Those
/// that mailing lists set are left out.
const SIGNED_FIELDS: [&str; 13] = [
    "From",
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

/// One key, opened.
pub struct OpenKey {
    /// Its kind.
    pub algorithm: KeyAlgorithm,
    /// Its name in DNS.
    pub selector: String,
    /// PKCS #8, DER.
    pub private: Vec<u8>,
}

/// Signs for one domain, with one signature for each of its active keys.
pub struct Signer {
    signers: Vec<DkimSigner<DkimKey, Done>>,
    sealer: Option<ArcSealer<RsaKey<Sha256>, Done>>,
}

/// Who signs for which domain, by name in lower case.
#[derive(Clone, Default)]
pub struct Signers(Arc<HashMap<String, Arc<Signer>>>);

impl Signers {
    /// These.
    pub fn new(signers: HashMap<String, Arc<Signer>>) -> Self {
        Signers(Arc::new(signers))
    }

    /// Who signs for a domain, if anybody does.
    pub fn of(&self, domain: &str) -> Option<Arc<Signer>> {
        self.0.get(domain).cloned()
    }
}

impl Signer {
    /// With the active keys of a domain.
    ///
    /// # Errors
    /// [`KeyError::Damaged`].
    pub fn new(domain: &str, keys: &[OpenKey]) -> Result<Self, KeyError> {
        let signer = |key: &OpenKey| {
            let signer = DkimSigner::from_key(dkim_key(key)?).domain(domain).selector(&key.selector);
            let signer = signer.headers(SIGNED_FIELDS);
            let signer = signer.header_canonicalization(Canonicalization::Relaxed);
            Ok(signer.body_canonicalization(Canonicalization::Relaxed))
        };
        let signers = keys.iter().map(signer).collect::<Result<_, _>>()?;
        let sealing = keys.iter().find(|key| key.algorithm == KeyAlgorithm::Rsa2048);
        let sealer = sealing.map(|key| {
            let sealer = ArcSealer::from_key(rsa_key(&key.private)?).domain(domain).selector(key.selector.clone());
            let sealer = sealer.headers(SIGNED_FIELDS[1..].iter().copied().chain(["DKIM-Signature"]));
            let sealer = sealer.header_canonicalization(Canonicalization::Relaxed);
            Ok(sealer.body_canonicalization(Canonicalization::Relaxed))
        });
        Ok(Signer { signers, sealer: sealer.transpose()? })
    }

    /// The DKIM-Signature fields of a message with their CRLF. Blocks for messages in files.
    ///
    /// # Errors
    /// When the file can't be read, or the message has no header.
    pub fn sign(&self, body: &MessageBody) -> io::Result<String> {
        let mut streams: Vec<_> = self.signers.iter().map(DkimSigner::sign_streaming).collect();
        match body {
            MessageBody::Inline(bytes) => streams.iter_mut().for_each(|stream| stream.write(bytes)),
            MessageBody::Spooled(spooled) => {
                let mut file = File::open(&spooled.path)?;
                let mut chunk = vec![0; SPOOL_CHUNK_BYTES];
                loop {
                    let count = file.read(&mut chunk)?;
                    if count == 0 {
                        break;
                    }
                    streams.iter_mut().for_each(|stream| stream.write(&chunk[..count]));
                }
            }
        }
        let field = |stream: mail_auth::dkim::streaming::DkimSigningStream<'_, DkimKey>| {
            Ok(stream.finish().map_err(io::Error::other)?.to_header())
        };
        streams.into_iter().map(field).collect()
    }

    /// Who seals for the domain: only RSA keys do (RFC 8617 section 4.1.2).
    pub(super) fn sealer(&self) -> Option<&ArcSealer<RsaKey<Sha256>, Done>> {
        self.sealer.as_ref()
    }
}

fn rsa_key(private: &[u8]) -> Result<RsaKey<Sha256>, KeyError> {
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(private));
    RsaKey::from_key_der(der).map_err(|_| KeyError::Damaged)
}

fn dkim_key(key: &OpenKey) -> Result<DkimKey, KeyError> {
    Ok(match key.algorithm {
        KeyAlgorithm::Rsa2048 => rsa_key(&key.private)?.into(),
        KeyAlgorithm::Ed25519 => {
            let key = Ed25519Key::from_pkcs8_maybe_unchecked_der(&key.private);
            key.map_err(|_| KeyError::Damaged)?.into()
        }
    })
}
