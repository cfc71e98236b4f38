//! What passkeys say (Web Authentication Level 3): that a new one was made (section 7.1), and that one was used
//! (section 7.2). Pure: nothing is stored, and no time is looked at.
//!
//! Who made the authenticator is not asked for (attestation "none"): any that people have is good enough, and asking
//! would tell servers apart who has which.

mod cbor;
mod key;
#[cfg(test)]
pub mod test_authenticator;
#[cfg(test)]
mod tests;

use serde::Deserialize;

use self::cbor::Value;
pub use self::key::ALGORITHMS;
use self::key::Key;

/// Longest id of a credential, in bytes (section 7.1, step 25).
const CREDENTIAL_BYTES_MAX: usize = 1023;

/// Longest public key that is kept, in bytes: RSA of 8192 bits fits.
const KEY_BYTES_MAX: usize = 1200;

// The flags of authenticator data, section 6.1.
const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const HAS_CREDENTIAL: u8 = 1 << 6;

/// What a ceremony was begun with.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    /// The challenge.
    pub challenge: &'a [u8],
    /// The page's origin, as browsers write it.
    pub origin: &'a str,
    /// Whom the passkey is for: a host name.
    pub rp_id: &'a str,
    /// Whether a finger, face or PIN must have been asked for.
    pub user_verified: bool,
}

/// Why it is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebauthnError {
    /// Something can't be read.
    #[error("{0} can't be read")]
    Malformed(&'static str),
    /// It was made for something else.
    #[error("it is no answer of the kind that was asked for")]
    Kind,
    /// It answers another question.
    #[error("it answers another challenge")]
    Challenge,
    /// Another page asked for it.
    #[error("another page asked for it")]
    Origin,
    /// It is for another host.
    #[error("it is for another host")]
    RpId,
    /// Nobody touched it.
    #[error("nobody touched the authenticator")]
    NotPresent,
    /// It didn't ask who touches it.
    #[error("the authenticator didn't ask for finger, face or PIN")]
    NotVerified,
    /// Its key is of a kind that was not offered.
    #[error("its key is of a kind that was not offered")]
    Algorithm,
    /// Something else signed it.
    #[error("the signature is not that of this passkey")]
    Signature,
}

/// A new passkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The credential's id.
    pub credential: Vec<u8>,
    /// The public key, as COSE writes it.
    pub key: Vec<u8>,
    /// How often it signed.
    pub count: u32,
    /// Whether it is kept elsewhere, too.
    pub backed_up: bool,
}

/// A passkey that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asserted {
    /// How often it signed; 0 is one that doesn't count.
    pub count: u32,
    /// Whether finger, face or PIN was asked for.
    pub user_verified: bool,
    /// Whether it is kept elsewhere, too.
    pub backed_up: bool,
}

/// Section 5.8.1.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
}

/// Section 6.1.
struct AuthenticatorData<'a> {
    flags: u8,
    count: u32,
    rest: &'a [u8],
}

impl Expected<'_> {
    fn check_client_data(&self, json: &[u8], kind: &str) -> Result<(), WebauthnError> {
        let data: ClientData =
            serde_json::from_slice(json).map_err(|_| WebauthnError::Malformed("what the browser says"))?;
        if data.kind != kind {
            return Err(WebauthnError::Kind);
        }
        if decode(&data.challenge).is_none_or(|challenge| challenge != self.challenge) {
            return Err(WebauthnError::Challenge);
        }
        if data.origin != self.origin || data.cross_origin {
            return Err(WebauthnError::Origin);
        }
        Ok(())
    }

    fn check_data<'a>(&self, data: &'a [u8]) -> Result<AuthenticatorData<'a>, WebauthnError> {
        let malformed = WebauthnError::Malformed("what the authenticator says");
        let (hash, rest) = data.split_at_checked(32).ok_or(malformed)?;
        let (head, rest) = rest.split_at_checked(5).ok_or(malformed)?;
        let expected = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.rp_id.as_bytes());
        if hash != expected.as_ref() {
            return Err(WebauthnError::RpId);
        }
        let flags = head[0];
        if flags & USER_PRESENT == 0 {
            return Err(WebauthnError::NotPresent);
        }
        if self.user_verified && flags & USER_VERIFIED == 0 {
            return Err(WebauthnError::NotVerified);
        }
        // Section 6.1.3: what can't be kept elsewhere isn't.
        if flags & BACKED_UP != 0 && flags & BACKUP_ELIGIBLE == 0 {
            return Err(malformed);
        }
        let count = head[1..].iter().fold(0, |count, byte| count << 8 | u32::from(*byte));
        Ok(AuthenticatorData { flags, count, rest })
    }
}

/// What `navigator.credentials.create` gave.
///
/// # Errors
/// When it isn't believed.
pub fn registered(
    expected: &Expected<'_>,
    client_data: &[u8],
    attestation: &[u8],
) -> Result<Registered, WebauthnError> {
    expected.check_client_data(client_data, "webauthn.create")?;
    let malformed = WebauthnError::Malformed("the attestation");
    let (object, rest) = cbor::read(attestation).ok_or(malformed)?;
    let data = object.get(&Value::Text("authData")).and_then(Value::bytes).filter(|_| rest.is_empty());
    let data = expected.check_data(data.ok_or(malformed)?)?;
    if data.flags & HAS_CREDENTIAL == 0 {
        return Err(malformed);
    }
    // Section 6.5.1: a model, the length of the id, the id, the key; extensions may follow.
    let (_model, rest) = data.rest.split_at_checked(16).ok_or(malformed)?;
    let (length, rest) = rest.split_at_checked(2).ok_or(malformed)?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    let (credential, rest) = rest.split_at_checked(length).ok_or(malformed)?;
    if credential.is_empty() || credential.len() > CREDENTIAL_BYTES_MAX {
        return Err(malformed);
    }
    let (_, after) = cbor::read(rest).ok_or(malformed)?;
    let key = &rest[..rest.len() - after.len()];
    if key.len() > KEY_BYTES_MAX || Key::from_cose(key).is_none() {
        return Err(WebauthnError::Algorithm);
    }
    Ok(Registered {
        credential: credential.to_vec(),
        key: key.to_vec(),
        count: data.count,
        backed_up: data.flags & BACKED_UP != 0,
    })
}

/// What `navigator.credentials.get` gave, of the passkey with this key. Whoever stores it looks whether its count goes
/// back: then there are two.
///
/// # Errors
/// When it isn't believed.
pub fn asserted(
    expected: &Expected<'_>,
    client_data: &[u8],
    authenticator_data: &[u8],
    signature: &[u8],
    key: &[u8],
) -> Result<Asserted, WebauthnError> {
    expected.check_client_data(client_data, "webauthn.get")?;
    let data = expected.check_data(authenticator_data)?;
    let key = Key::from_cose(key).ok_or(WebauthnError::Algorithm)?;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, client_data);
    if !key.verifies(&[authenticator_data, hash.as_ref()].concat(), signature) {
        return Err(WebauthnError::Signature);
    }
    Ok(Asserted {
        count: data.count,
        user_verified: data.flags & USER_VERIFIED != 0,
        backed_up: data.flags & BACKED_UP != 0,
    })
}

/// Base64url without padding; what has some is taken, too.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

/// Base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
