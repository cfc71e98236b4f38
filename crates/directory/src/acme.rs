//! Certificates that a certificate authority issued to the installation (ACME, RFC 8555), and how the asking for them
//! stands. Keys are sealed: this file knows nothing of what opens them.

use serde::{Deserialize, Serialize};
use sterna_base::Timestamp;

use crate::names::invalid;
use crate::read::{Reader, Versioned};
use crate::row::{Content, RowKind};
use crate::write::Write;
use crate::{RequestError, StorageError};

/// Names of one certificate: what authorities take at most.
pub const CERTIFICATE_NAMES_MAX: usize = 100;

/// Longest chain, or sealed key, in bytes.
const PEM_BYTES_MAX: usize = 64 * 1024;

/// Names that are told of because they are in no certificate.
pub const LEFT_OUT_MAX: usize = 200;

/// The one certificate that is asked for by itself, and the one row that says how that stands.
pub const ACME: &str = "acme";

/// A certificate that all edges show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Which, within the installation.
    pub name: String,
    /// What it is for: names in DNS, in small letters.
    pub names: Vec<String>,
    /// It and those between it and its root, in PEM.
    pub chain: String,
    /// Its key (PKCS #8), sealed with a secret that is not in the directory.
    pub sealed_key: String,
    /// Whose it is, as the authority calls itself.
    pub issuer: String,
    /// The directory (RFC 8555 section 7.1.1) of the authority that issued it.
    pub directory: String,
    /// From when it is good.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({} for {:?} until {:?})", self.name, self.names, self.not_after)
    }
}

impl Content for Certificate {
    const KIND: RowKind = RowKind::Certificate;
    fn key(&self) -> String {
        self.name.clone()
    }
}

/// How an authority is shown that a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChallengeKind {
    /// A document at port 80 (RFC 8555 section 8.3).
    #[serde(rename = "http-01")]
    Http,
    /// A certificate at port 443 (RFC 8737).
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn,
}

/// What an authority is to find at a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The name.
    pub name: String,
    /// How it looks.
    pub kind: ChallengeKind,
    /// Which question this answers.
    pub token: String,
    /// The answer (RFC 8555 section 8.1). It is public: everybody can ask for it.
    pub key_authorization: String,
}

/// A name that is in no certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The name.
    pub name: String,
    /// Why, in a sentence.
    pub why: String,
    /// It was refused by the authority, and is asked for again then; `None` when DNS doesn't lead here.
    #[serde(default)]
    pub again_at: Option<Timestamp>,
}

/// Why there is no new certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What happened.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// When.
    pub at: Timestamp,
}

/// How the asking for certificates stands: whoever becomes the main node goes on from here.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Acme {
    /// The directory of the authority that the account is at.
    pub directory: String,
    /// The account with its key, sealed; `None` when there is none yet.
    pub sealed_account: Option<String>,
    /// What is to be answered now; empty when nothing is ordered.
    pub challenges: Vec<Challenge>,
    /// Names that are in no certificate.
    pub left_out: Vec<LeftOut>,
    /// When the certificate is due for renewal.
    pub renew_at: Option<Timestamp>,
    /// Whether the authority says so itself (RFC 9773).
    pub renews_as_told: bool,
    /// When it is to be asked again when that is.
    pub ask_again_at: Option<Timestamp>,
    /// When the authority last had a certificate renewed before its time.
    pub told_at: Option<Timestamp>,
    /// Failures in a row.
    pub failures: u32,
    /// The last of them.
    pub failure: Option<Failure>,
    /// Nothing is ordered before.
    pub not_before: Option<Timestamp>,
    /// Somebody wants a new certificate although there is a good one.
    pub wanted: bool,
}

impl std::fmt::Debug for Acme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Acme(at {}, {} challenges, {} failures)", self.directory, self.challenges.len(), self.failures)
    }
}

impl Content for Acme {
    const KIND: RowKind = RowKind::Acme;
    fn key(&self) -> String {
        ACME.to_owned()
    }
}

/// Puts a certificate in the place of the one with its name.
pub(crate) fn put_certificate(write: &mut Write<'_>, certificate: &Certificate) -> Result<(), RequestError> {
    if certificate.name != ACME {
        return Err(invalid("name", "there is one certificate of the installation, acme"));
    }
    if certificate.chain.len() > PEM_BYTES_MAX || certificate.sealed_key.len() > PEM_BYTES_MAX {
        return Err(invalid("certificate", "it is longer than 64 KiB"));
    }
    if certificate.names.is_empty() || certificate.names.len() > CERTIFICATE_NAMES_MAX {
        return Err(invalid("names", format!("a certificate has 1 to {CERTIFICATE_NAMES_MAX} names")));
    }
    Ok(write.put(certificate)?)
}

/// Deletes it; there being none is success.
pub(crate) fn delete_certificate(write: &mut Write<'_>, name: &str) -> Result<(), RequestError> {
    Ok(write.delete(RowKind::Certificate, name)?)
}

/// Takes down how the asking stands, unless somebody else did since it was read.
pub(crate) fn put(write: &mut Write<'_>, acme: &Acme, expect: Option<sterna_base::Modseq>) -> Result<(), RequestError> {
    if acme.left_out.len() > LEFT_OUT_MAX || acme.challenges.len() > CERTIFICATE_NAMES_MAX {
        return Err(invalid("names", "there are too many"));
    }
    let before = write.reader.acme()?;
    if let Some(expected) = expect
        && let Some(found) = before.map(|found| found.modseq).filter(|found| *found != expected)
    {
        return Err(RequestError::Changed { expected, found });
    }
    Ok(write.put(acme)?)
}

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// The certificate of this name.
    pub fn certificate(&self, name: &str) -> Result<Option<Versioned<Certificate>>, StorageError> {
        self.row(name)
    }

    /// How the asking for certificates stands.
    pub fn acme(&self) -> Result<Option<Versioned<Acme>>, StorageError> {
        self.row(ACME)
    }
}
