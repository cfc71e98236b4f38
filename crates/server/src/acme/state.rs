//! What settings say of the certificate authority.

use sterna_base::Secret;
use sterna_directory::acme::ChallengeKind;
use sterna_directory::{Reader, StorageError, settings as names};

/// The directory of Let's Encrypt.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// The one for trying out: nobody trusts its certificates, and its limits are wide.
const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// What is set.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The URL of the authority's directory.
    pub directory: String,
    /// Whom the authority may write to.
    pub contact: Option<String>,
    /// Whether its terms of service are agreed to.
    pub has_agreed: bool,
    /// Further names.
    pub names: Vec<String>,
    /// How names are proved: the first at the first try, and so on in turn.
    pub challenges: Vec<ChallengeKind>,
    /// As whom the authority knows us (RFC 8555 section 7.3.4): id, and key in base64url.
    pub external_account: Option<(String, Secret)>,
    /// Certificates in PEM that are trusted when it is asked.
    pub roots: Option<String>,
}

/// What is set; `None` when no certificates are asked for.
///
/// # Errors
/// When the directory can't be read.
pub fn settings(reader: &Reader<'_>) -> Result<Option<Settings>, StorageError> {
    let get = |name| reader.setting_for(None, name);
    let Some(directory) = get(names::ACME_DIRECTORY)? else { return Ok(None) };
    let challenges = get(names::ACME_CHALLENGES)?;
    let challenges = challenges.as_deref().unwrap_or("tls-alpn-01 http-01").split_whitespace().filter_map(kind);
    let external = (get(names::ACME_EAB_KEY_ID)?, get(names::ACME_EAB_KEY)?);
    Ok(Some(Settings {
        directory: url(&directory).to_owned(),
        contact: get(names::ACME_CONTACT)?,
        has_agreed: get(names::ACME_TERMS)?.as_deref() == Some("agreed"),
        names: get(names::ACME_NAMES)?.unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
        challenges: challenges.collect(),
        external_account: match external {
            (Some(id), Some(key)) => Some((id, Secret::new(key.as_str()))),
            _ => None,
        },
        roots: get(names::ACME_ROOTS)?,
    }))
}

fn kind(name: &str) -> Option<ChallengeKind> {
    match name {
        "tls-alpn-01" => Some(ChallengeKind::TlsAlpn),
        "http-01" => Some(ChallengeKind::Http),
        _ => None,
    }
}

/// The URL behind an authority's name.
fn url(directory: &str) -> &str {
    match directory {
        "letsencrypt" => LETS_ENCRYPT,
        "letsencrypt-staging" => LETS_ENCRYPT_STAGING,
        url => url,
    }
}
