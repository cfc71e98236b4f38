//! Public keys of authenticators (COSE, RFC 9053) and what they signed.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

use super::cbor::{self, Value};

/// The algorithms that are offered, the best first: ES256, EdDSA and RS256, which between them every authenticator has.
pub const ALGORITHMS: [i32; 3] = [ES256, EDDSA, RS256];

const ES256: i32 = -7;
const EDDSA: i32 = -8;
const RS256: i32 = -257;

// Labels of RFC 9052 section 7.1, and RFC 9053 section 7.
const KEY_TYPE: i64 = 1;
const ALGORITHM: i64 = 3;
const CURVE_OR_N: i64 = -1;
const X_OR_E: i64 = -2;
const Y: i64 = -3;

/// A public key.
#[derive(Debug)]
pub enum Key {
    /// ECDSA with P-256: an uncompressed point.
    Es256(Vec<u8>),
    /// Ed25519.
    EdDsa(Vec<u8>),
    /// RSA.
    Rs256 {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
}

impl Key {
    /// Reads one from its COSE form; `None` when it is of no algorithm that is offered, or is none.
    pub fn from_cose(bytes: &[u8]) -> Option<Self> {
        let (map, rest) = cbor::read(bytes)?;
        if !rest.is_empty() {
            return None;
        }
        let number = |label| map.get(&Value::Number(label)).and_then(Value::number);
        let part = |label| map.get(&Value::Number(label)).and_then(Value::bytes);
        let key = match (number(KEY_TYPE)?, i32::try_from(number(ALGORITHM)?).ok()?) {
            (2, ES256) if number(CURVE_OR_N)? == 1 => {
                let (x, y) = (part(X_OR_E)?, part(Y)?);
                if x.len() != 32 || y.len() != 32 {
                    return None;
                }
                Key::Es256([&[4], x, y].concat())
            }
            (1, EDDSA) if number(CURVE_OR_N)? == 6 => Key::EdDsa(part(X_OR_E)?.to_vec()),
            (3, RS256) => Key::Rs256 { n: part(CURVE_OR_N)?.to_vec(), e: part(X_OR_E)?.to_vec() },
            _ => return None,
        };
        key.is_one().then_some(key)
    }

    /// Whether it is a key of its kind: a point lies on its curve, and so on.
    fn is_one(&self) -> bool {
        match self {
            Key::Es256(point) => ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).is_ok(),
            Key::EdDsa(x) => ParsedPublicKey::new(&ED25519, x).is_ok(),
            Key::Rs256 { n, e } => (256..=1024).contains(&n.len()) && (1..=8).contains(&e.len()),
        }
    }

    /// Whether it signed this.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Key::Es256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature),
            Key::EdDsa(x) => UnparsedPublicKey::new(&ED25519, x).verify(message, signature),
            Key::Rs256 { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
        }
        .is_ok()
    }
}
