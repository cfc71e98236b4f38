//! What is kept of a password so that SCRAM-SHA-256 can be checked (RFC 5802 section 3, RFC 7677): it proves that a
//! client knows the password, and can't be used to log in by who reads it.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of a key, a proof and a signature.
pub const KEY_BYTES: usize = 32;

/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;

/// Iterations of a new verifier. RFC 7677 section 4 asks for 4096 at least; each log-in costs the client that many.
pub const ITERATIONS: u32 = 50_000;

/// Fewest iterations that are taken: RFC 7677 section 4.
pub const ITERATIONS_MIN: u32 = 4096;

/// Most iterations that are taken: a client has to do them with each log-in.
const ITERATIONS_MAX: u32 = 10_000_000;

/// Longest salt that is taken.
const SALT_BYTES_MAX: usize = 64;

/// Salt, iterations, StoredKey and ServerKey.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: [u8; KEY_BYTES],
    server_key: [u8; KEY_BYTES],
}

impl ScramVerifier {
    /// Of a password in its normal form (SASLprep). Takes as long as the iterations: not on an async worker.
    pub fn new(password: &str, salt: [u8; SALT_BYTES], iterations: u32) -> Self {
        let salted = salted_password(password, &salt, iterations);
        let client_key = hmac(&salted, b"Client Key");
        let (stored_key, server_key) = (hash(&client_key), hmac(&salted, b"Server Key"));
        ScramVerifier { salt: salt.to_vec(), iterations, stored_key, server_key }
    }

    /// The salt.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The iterations.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// The server's signature, if the proof is one of the password: for this AuthMessage and no other.
    pub fn verify(&self, auth_message: &[u8], proof: &[u8]) -> Option<[u8; KEY_BYTES]> {
        let proof: [u8; KEY_BYTES] = proof.try_into().ok()?;
        let client_key = xor(proof, hmac(&self.stored_key, auth_message));
        let is_right = constant_time::verify_slices_are_equal(&hash(&client_key), &self.stored_key).is_ok();
        is_right.then(|| hmac(&self.server_key, auth_message))
    }
}

/// What a client proves with: for tests, and for whoever logs in elsewhere.
pub fn client_proof(password: &str, salt: &[u8], iterations: u32, auth_message: &[u8]) -> [u8; KEY_BYTES] {
    let client_key = hmac(&salted_password(password, salt, iterations), b"Client Key");
    xor(client_key, hmac(&hash(&client_key), auth_message))
}

fn salted_password(password: &str, salt: &[u8], iterations: u32) -> [u8; KEY_BYTES] {
    let (mut salted, iterations) = ([0; KEY_BYTES], NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN));
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password.as_bytes(), &mut salted);
    salted
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; KEY_BYTES] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let mut bytes = [0; KEY_BYTES];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

fn hash(bytes: &[u8]) -> [u8; KEY_BYTES] {
    let mut hash = [0; KEY_BYTES];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

fn xor(mut one: [u8; KEY_BYTES], other: [u8; KEY_BYTES]) -> [u8; KEY_BYTES] {
    one.iter_mut().zip(other).for_each(|(one, other)| *one ^= other);
    one
}

/// The stored form, which PostgreSQL has too: `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, in base64.
impl fmt::Display for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored_key, server_key] =
            [self.salt.as_slice(), &self.stored_key, &self.server_key].map(|bytes| STANDARD.encode(bytes));
        write!(f, "SCRAM-SHA-256${}:{salt}${stored_key}:{server_key}", self.iterations)
    }
}

/// Nothing for logs.
impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramVerifier(redacted)")
    }
}

/// A stored verifier that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a verifier of SCRAM-SHA-256")]
pub struct InvalidVerifier;

impl FromStr for ScramVerifier {
    type Err = InvalidVerifier;
    fn from_str(text: &str) -> Result<Self, InvalidVerifier> {
        let rest = text.strip_prefix("SCRAM-SHA-256$").ok_or(InvalidVerifier)?;
        let (cost, keys) = rest.split_once('$').ok_or(InvalidVerifier)?;
        let (iterations, salt) = cost.split_once(':').ok_or(InvalidVerifier)?;
        let (stored_key, server_key) = keys.split_once(':').ok_or(InvalidVerifier)?;
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| InvalidVerifier);
        let key = |text: &str| decode(text)?.try_into().map_err(|_| InvalidVerifier);
        let (iterations, salt) = (iterations.parse().map_err(|_| InvalidVerifier)?, decode(salt)?);
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) || !(1..=SALT_BYTES_MAX).contains(&salt.len()) {
            return Err(InvalidVerifier);
        }
        Ok(ScramVerifier { salt, iterations, stored_key: key(stored_key)?, server_key: key(server_key)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677 section 3.
    #[test]
    fn the_exchange_of_the_rfc_verifies() {
        let salt: [u8; SALT_BYTES] = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        let verifier = ScramVerifier::new("pencil", salt, 4096);
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let message =
            format!("n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}");
        let proof = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        assert_eq!(client_proof("pencil", &salt, 4096, message.as_bytes()).as_slice(), proof);
        let signature = verifier.verify(message.as_bytes(), &proof).unwrap();
        assert_eq!(STANDARD.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(verifier.verify(b"another message", &proof), None);
        assert_eq!(verifier.verify(message.as_bytes(), &proof[1..]), None);
    }

    #[test]
    fn the_stored_form_comes_back() {
        let verifier = ScramVerifier::new("x", [7; SALT_BYTES], 4096);
        assert_eq!(verifier.to_string().parse(), Ok(verifier.clone()));
        assert_eq!(format!("{verifier:?}"), "ScramVerifier(redacted)");
        let few = verifier.to_string().replace("4096", "4095");
        for bad in [few.as_str(), "", "SCRAM-SHA-256$4096:$:", "$argon2id$x", "SCRAM-SHA-256$4096:AA==$AA==:AA=="] {
            assert_eq!(bad.parse::<ScramVerifier>(), Err(InvalidVerifier), "{bad}");
        }
    }
}
