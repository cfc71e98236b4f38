//! What is believed of passkeys, and what is not: answers of others, for others, copied, cut short.

use super::test_authenticator::TestAuthenticator;
use super::*;

const RP: &str = "mail.tern.test";
const ORIGIN: &str = "https://mail.tern.test:8443";
const CHALLENGE: &[u8] = b"0123456789abcdef0123456789abcdef";

fn expected() -> Expected<'static> {
    Expected { challenge: CHALLENGE, origin: ORIGIN, rp_id: RP, user_verified: true }
}

fn register(authenticator: &TestAuthenticator, expected: &Expected<'_>) -> Result<Registered, WebauthnError> {
    let data = TestAuthenticator::client_data("webauthn.create", CHALLENGE, ORIGIN);
    registered(expected, &data, &authenticator.attestation(RP))
}

fn sign_in(authenticator: &TestAuthenticator, expected: &Expected<'_>) -> Result<Asserted, WebauthnError> {
    let data = TestAuthenticator::client_data("webauthn.get", CHALLENGE, ORIGIN);
    let (said, signature) = authenticator.assertion(RP, &data);
    asserted(expected, &data, &said, &signature, &authenticator.cose())
}

#[test]
fn a_passkey_is_made_and_used() {
    let authenticator = TestAuthenticator::new();
    let made = register(&authenticator, &expected()).unwrap();
    assert_eq!((made.credential, made.key), (authenticator.credential.clone(), authenticator.cose()));
    assert_eq!((made.count, made.backed_up), (1, false));
    let used = sign_in(&authenticator, &expected()).unwrap();
    assert_eq!(used, Asserted { count: 1, user_verified: true, backed_up: false });
}

#[test]
fn what_was_made_for_others_is_not_believed() {
    let authenticator = TestAuthenticator::new();
    for (change, error) in [
        (Expected { challenge: b"another", ..expected() }, WebauthnError::Challenge),
        (Expected { origin: "https://evil.test", ..expected() }, WebauthnError::Origin),
        (Expected { origin: "https://mail.tern.test", ..expected() }, WebauthnError::Origin),
        (Expected { rp_id: "evil.test", ..expected() }, WebauthnError::RpId),
    ] {
        assert_eq!(register(&authenticator, &change), Err(error), "{change:?}");
        assert_eq!(sign_in(&authenticator, &change), Err(error), "{change:?}");
    }
    let data = TestAuthenticator::client_data("webauthn.create", CHALLENGE, ORIGIN);
    let (said, signature) = authenticator.assertion(RP, &data);
    let found = asserted(&expected(), &data, &said, &signature, &authenticator.cose());
    assert_eq!(found, Err(WebauthnError::Kind), "the answer to another question");
    let cross = br#"{"type":"webauthn.get","challenge":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY","origin":"https://mail.tern.test:8443","crossOrigin":true}"#;
    let (said, signature) = authenticator.assertion(RP, cross);
    let found = asserted(&expected(), cross, &said, &signature, &authenticator.cose());
    assert_eq!(found, Err(WebauthnError::Origin), "a page within another one");
}

#[test]
fn nobody_else_signs() {
    let (authenticator, other) = (TestAuthenticator::new(), TestAuthenticator::new());
    let data = TestAuthenticator::client_data("webauthn.get", CHALLENGE, ORIGIN);
    let (said, signature) = authenticator.assertion(RP, &data);
    let check = |said: &[u8], signature: &[u8], key: &[u8]| asserted(&expected(), &data, said, signature, key);
    assert!(check(&said, &signature, &authenticator.cose()).is_ok());
    assert_eq!(check(&said, &signature, &other.cose()), Err(WebauthnError::Signature));
    let mut counted = said.clone();
    counted[36] += 1;
    assert_eq!(check(&counted, &signature, &authenticator.cose()), Err(WebauthnError::Signature));
    assert_eq!(check(&said, &signature[..8], &authenticator.cose()), Err(WebauthnError::Signature));
    assert_eq!(check(&said, &[], &authenticator.cose()), Err(WebauthnError::Signature));
}

#[test]
fn somebody_must_be_there_and_known() {
    let mut authenticator = TestAuthenticator::new();
    authenticator.flags = 0b001;
    assert_eq!(sign_in(&authenticator, &expected()), Err(WebauthnError::NotVerified));
    let touched = Expected { user_verified: false, ..expected() };
    assert!(!sign_in(&authenticator, &touched).unwrap().user_verified);
    authenticator.flags = 0b100;
    assert_eq!(sign_in(&authenticator, &touched), Err(WebauthnError::NotPresent));
    authenticator.flags = 0b1_0101;
    let unlikely = Err(WebauthnError::Malformed("what the authenticator says"));
    assert_eq!(sign_in(&authenticator, &expected()), unlikely, "kept elsewhere, and can't be");
}

#[test]
fn what_can_t_be_read_is_refused() {
    let authenticator = TestAuthenticator::new();
    let data = TestAuthenticator::client_data("webauthn.create", CHALLENGE, ORIGIN);
    let whole = authenticator.attestation(RP);
    for end in 0..whole.len() {
        assert!(registered(&expected(), &data, &whole[..end]).is_err(), "{end}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert!(registered(&expected(), &data, &longer).is_err());
    for bad in [&b""[..], b"{", b"[]", br#"{"type":"webauthn.create"}"#] {
        assert!(registered(&expected(), bad, &whole).is_err());
    }
    // A key of an algorithm that was not offered (ES384): the id before it and the key's numbers are random bytes,
    // among which its algorithm may be found, too.
    let key = authenticator.cose();
    let algorithm = whole.len() - key.len() + key.windows(2).position(|bytes| bytes == [0x03, 0x26]).unwrap() + 1;
    let mut other = whole;
    other[algorithm] = 0x38;
    assert!(registered(&expected(), &data, &other).is_err());
}
