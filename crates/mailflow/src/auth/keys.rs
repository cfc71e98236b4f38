//! Keys that domains sign with: made, sealed for the directory, and looked for in DNS.
//!
//! The directory is on every node, and passed on by those that have no use for it. So the private half of a key is
//! sealed there with a secret that only nodes have which sign.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hickory_resolver::proto::rr::RData;

use crate::remote::Dns;

/// Bytes of the secret that private keys are sealed with.
pub const SEALING_SECRET_BYTES: usize = 32;

/// The kinds of keys (RFC 6376 section 3.3.1, RFC 8463).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// RSA with 2048 bits: every verifier understands it.
    Rsa2048,
    /// Ed25519: short and quick; many verifiers don't know it yet, so that it stands beside an RSA key.
    Ed25519,
}

impl KeyAlgorithm {
    /// As commands and listings name it.
    pub fn name(self) -> &'static str {
        match self {
            KeyAlgorithm::Rsa2048 => "rsa-2048",
            KeyAlgorithm::Ed25519 => "ed25519",
        }
    }

    /// The algorithm of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [KeyAlgorithm::Rsa2048, KeyAlgorithm::Ed25519].into_iter().find(|one| one.name() == name)
    }
}

/// Why a key can't be made, sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The cryptographic library refused.
    #[error("the key could not be made")]
    Generate,
    /// It is not a key of that kind.
    #[error("the key is damaged")]
    Damaged,
    /// It was sealed with another secret, or for another domain or selector.
    #[error("the key can't be opened with this installation's secret")]
    Sealed,
}

/// A key that was just made.
pub struct NewKey {
    /// The private half: PKCS #8, DER.
    pub private: Vec<u8>,
    /// The public half as DNS has it (`p=`), in base64.
    pub public: String,
}

/// Makes a key. Blocks: an RSA key takes a fraction of a second.
///
/// # Errors
/// [`KeyError::Generate`].
pub fn generate(algorithm: KeyAlgorithm) -> Result<NewKey, KeyError> {
    let failed = |_| KeyError::Generate;
    match algorithm {
        KeyAlgorithm::Rsa2048 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
            let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(failed)?.as_ref().to_vec();
            let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).map_err(failed)?;
            Ok(NewKey { private, public: STANDARD.encode(public.as_ref()) })
        }
        KeyAlgorithm::Ed25519 => {
            let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(failed)?;
            let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|_| KeyError::Generate)?;
            let public = STANDARD.encode(pair.public_key().as_ref());
            Ok(NewKey { private: document.as_ref().to_vec(), public })
        }
    }
}

/// The text of the record in DNS (RFC 6376 section 3.6.1).
pub fn record(algorithm: KeyAlgorithm, public: &str) -> String {
    let kind = match algorithm {
        KeyAlgorithm::Rsa2048 => "rsa",
        KeyAlgorithm::Ed25519 => "ed25519",
    };
    format!("v=DKIM1; k={kind}; p={public}")
}

/// The name of the record in DNS.
pub fn record_name(selector: &str, domain: &str) -> String {
    format!("{selector}._domainkey.{domain}")
}

/// Seals the private half of a key of this domain and selector, in base64.
///
/// # Errors
/// [`KeyError::Generate`].
pub fn seal(
    secret: &[u8; SEALING_SECRET_BYTES],
    domain: &str,
    selector: &str,
    private: &[u8],
) -> Result<String, KeyError> {
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(|_| KeyError::Generate)?;
    let mut sealed = private.to_vec();
    sealing_key(secret)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), whose(domain, selector), &mut sealed)
        .map_err(|_| KeyError::Generate)?;
    Ok(STANDARD.encode([&nonce[..], &sealed].concat()))
}

/// Opens what [`seal`] made.
///
/// # Errors
/// [`KeyError::Sealed`].
pub fn open(
    secret: &[u8; SEALING_SECRET_BYTES],
    domain: &str,
    selector: &str,
    sealed: &str,
) -> Result<Vec<u8>, KeyError> {
    let bytes = STANDARD.decode(sealed).map_err(|_| KeyError::Damaged)?;
    let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN).ok_or(KeyError::Damaged)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| KeyError::Damaged)?;
    let mut opened = sealed.to_vec();
    let length = sealing_key(secret)?
        .open_in_place(nonce, whose(domain, selector), &mut opened)
        .map_err(|_| KeyError::Sealed)?
        .len();
    opened.truncate(length);
    Ok(opened)
}

fn sealing_key(secret: &[u8; SEALING_SECRET_BYTES]) -> Result<LessSafeKey, KeyError> {
    UnboundKey::new(&AES_256_GCM, secret).map(LessSafeKey::new).map_err(|_| KeyError::Generate)
}

/// A sealed key can't be put into the place of another.
fn whose(domain: &str, selector: &str) -> Aad<Vec<u8>> {
    Aad::from(format!("sterna dkim key 1\0{domain}\0{selector}").into_bytes())
}

/// What DNS says about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is there.
    Yes,
    /// There is no record of this name.
    Missing,
    /// There is a record, and it is of another key.
    Differs(String),
    /// DNS can't be asked.
    Unknown(String),
}

/// Looks for a key in DNS.
pub async fn published(dns: &Dns, domain: &str, selector: &str, public: &str) -> Published {
    let name = format!("{}.", record_name(selector, domain));
    let found = match dns.resolver().txt_lookup(name).await {
        Ok(found) => found,
        Err(error) if error.is_nx_domain() || error.is_no_records_found() => return Published::Missing,
        Err(error) => return Published::Unknown(error.to_string()),
    };
    let text = |data: &RData| match data {
        RData::TXT(txt) => Some(txt.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect::<String>()),
        _ => None,
    };
    let texts: Vec<String> = found.answers().iter().filter_map(|record| text(&record.data)).collect();
    let is_ours = |text: &String| {
        let mut tags = text.split(';').filter_map(|tag| tag.split_once('='));
        tags.any(|(name, value)| name.trim() == "p" && value.split_whitespace().collect::<String>() == public)
    };
    match texts.iter().find(|text| is_ours(text)).or(texts.first()) {
        None => Published::Missing,
        Some(text) if is_ours(text) => Published::Yes,
        Some(text) => Published::Differs(text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_key_opens_in_its_own_place_only() {
        let secret = [7; SEALING_SECRET_BYTES];
        let sealed = seal(&secret, "a.test", "s1", b"private").unwrap();
        assert_eq!(open(&secret, "a.test", "s1", &sealed).unwrap(), b"private");
        assert_eq!(open(&secret, "b.test", "s1", &sealed), Err(KeyError::Sealed));
        assert_eq!(open(&secret, "a.test", "s2", &sealed), Err(KeyError::Sealed));
        assert_eq!(open(&[8; SEALING_SECRET_BYTES], "a.test", "s1", &sealed), Err(KeyError::Sealed));
        assert_eq!(open(&secret, "a.test", "s1", "AAAA"), Err(KeyError::Damaged));
        assert_ne!(seal(&secret, "a.test", "s1", b"private").unwrap(), sealed);
    }
}
