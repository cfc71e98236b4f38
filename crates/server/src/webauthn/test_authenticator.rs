//! An authenticator for tests: a key, and what it says.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;

use super::encode;

/// One with a single passkey. Its fields are what a test bends.
pub struct TestAuthenticator {
    key: EcdsaKeyPair,
    /// The id of its passkey.
    pub credential: Vec<u8>,
    /// How often it signed.
    pub count: u32,
    /// Its flags besides "has a credential".
    pub flags: u8,
}

impl TestAuthenticator {
    /// A new one, that asks for a PIN.
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
        let credential = sterna_base::ids::random_bytes::<32>().to_vec();
        TestAuthenticator { key, credential, count: 1, flags: 0b101 }
    }

    /// The public key in its COSE form.
    pub fn cose(&self) -> Vec<u8> {
        let point = self.key.public_key().as_ref();
        let head = [0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        [&head[..], &point[1..33], &[0x22, 0x58, 0x20], &point[33..65]].concat()
    }

    /// What the browser says.
    pub fn client_data(kind: &str, challenge: &[u8], origin: &str) -> Vec<u8> {
        let data = json!({"type": kind, "challenge": encode(challenge), "origin": origin, "crossOrigin": false});
        data.to_string().into_bytes()
    }

    fn data(&self, rp_id: &str, flags: u8) -> Vec<u8> {
        [digest(&SHA256, rp_id.as_bytes()).as_ref(), &[flags], &self.count.to_be_bytes()].concat()
    }

    /// An attestation object.
    pub fn attestation(&self, rp_id: &str) -> Vec<u8> {
        let length = u16::try_from(self.credential.len()).unwrap().to_be_bytes();
        let credential = [&[0; 16][..], &length, &self.credential, &self.cose()].concat();
        let data = [self.data(rp_id, self.flags | 1 << 6), credential].concat();
        let length = u8::try_from(data.len()).unwrap();
        let head = [&[0xa3, 0x63][..], b"fmt", &[0x64], b"none", &[0x67], b"attStmt", &[0xa0, 0x68], b"authData"];
        [head.concat(), vec![0x58, length], data].concat()
    }

    /// Authenticator data, and a signature of it.
    pub fn assertion(&self, rp_id: &str, client_data: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let data = self.data(rp_id, self.flags);
        let message = [&data[..], digest(&SHA256, client_data).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &message).unwrap();
        (data, signature.as_ref().to_vec())
    }
}
