//! ID tokens (OpenID Connect Core 1.0 section 2 and 3.1.3.7): the signature, and what they must say.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

/// How much clocks may differ, in seconds.
pub const SKEW_S: i64 = 60;

/// How long ago a token may have been made, in seconds: it answers a sign-in that has just ended.
const AGE_S_MAX: i64 = 600;

/// Longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// Keys of one provider that are looked at.
pub const KEYS_MAX: usize = 100;

/// The keys of a provider (RFC 7517).
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Keys {
    /// All of them; what can't be read is left out.
    #[serde(default)]
    pub keys: Vec<Key>,
}

/// One key.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Key {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Why a token isn't believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is none.
    #[error("it is not a signed token of three parts")]
    Malformed,
    /// It isn't signed, or in a way that isn't taken: `none`, and what the client secret would sign.
    #[error("it is signed by {0:?}, which is not taken")]
    Algorithm(String),
    /// No key of the provider made it; there may be a new one.
    #[error("no key of the provider has its id")]
    UnknownKey,
    /// The signature is wrong.
    #[error("its signature is wrong")]
    Signature,
    /// It says something else than it must.
    #[error("its {0} is wrong")]
    Claim(&'static str),
}

/// What a token must say.
pub struct Expected<'e> {
    /// Who made it.
    pub issuer: &'e str,
    /// For whom.
    pub client_id: &'e str,
    /// In answer to what.
    pub nonce: &'e str,
    /// Now, in seconds since 1970.
    pub now_s: i64,
}

/// The claims of a token that is believed.
///
/// # Errors
/// [`TokenError`].
pub fn verify(token: &str, keys: &Keys, expected: &Expected<'_>) -> Result<Value, TokenError> {
    let claims = signed(token, keys)?;
    check(&claims, expected)?;
    Ok(claims)
}

/// What an access token must say (RFC 9068).
pub struct ExpectedAccess<'e> {
    /// Who made it.
    pub issuer: &'e str,
    /// For whom.
    pub audience: &'e str,
    /// Now, in seconds since 1970.
    pub now_s: i64,
}

/// The claims of an access token that is believed.
///
/// # Errors
/// [`TokenError`].
pub fn verify_access(token: &str, keys: &Keys, expected: &ExpectedAccess<'_>) -> Result<Value, TokenError> {
    let claims = signed(token, keys)?;
    let must = |holds: bool, claim| if holds { Ok(()) } else { Err(TokenError::Claim(claim)) };
    must(claims["iss"].as_str() == Some(expected.issuer), "iss")?;
    let own = Some(expected.audience);
    must(
        match &claims["aud"] {
            Value::String(one) => Some(one.as_str()) == own,
            Value::Array(all) => all.iter().any(|one| one.as_str() == own),
            _ => false,
        },
        "aud",
    )?;
    let now = expected.now_s;
    must(claims["exp"].as_i64().is_some_and(|exp| now < exp.saturating_add(SKEW_S)), "exp")?;
    must(claims["nbf"].as_i64().is_none_or(|nbf| nbf <= now + SKEW_S), "nbf")?;
    must(claims["iat"].as_i64().is_none_or(|iat| iat <= now + SKEW_S), "iat")?;
    must(claims["sub"].as_str().is_some_and(|sub| !sub.is_empty()), "sub")?;
    // What says that somebody signed in somewhere opens no mailbox: pages hand it around. RFC 9068 section 5 wants it
    // told apart; providers that don't say "at+jwt" are told apart by what only ID tokens have.
    let head = token.split('.').next().map(json).transpose()?.unwrap_or_default();
    let kind = head["typ"].as_str().unwrap_or_default().to_ascii_lowercase();
    let is_access = kind.strip_prefix("application/").unwrap_or(&kind) == "at+jwt";
    let is_id = ["nonce", "at_hash", "c_hash"].iter().any(|claim| claims.get(claim).is_some());
    must(is_access || !is_id, "typ")?;
    Ok(claims)
}

fn json(part: &str) -> Result<Value, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)?;
    if value.is_object() { Ok(value) } else { Err(TokenError::Malformed) }
}

/// RFC 7515 section 5.2.
fn signed(token: &str, keys: &Keys) -> Result<Value, TokenError> {
    let mut parts = token.split('.');
    let (Some(head), Some(body), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError::Malformed);
    };
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::Malformed);
    }
    let header = json(head)?;
    let algorithm = header["alg"].as_str().unwrap_or_default();
    if !["RS256", "PS256", "ES256", "EdDSA"].contains(&algorithm) {
        return Err(TokenError::Algorithm(algorithm.to_owned()));
    }
    // Section 4.1.11: what must be understood and isn't.
    if header.get("crit").is_some() {
        return Err(TokenError::Malformed);
    }
    let kid = header["kid"].as_str();
    let fits = |key: &&Key| key.fits(algorithm) && kid.is_none_or(|kid| key.kid.as_deref() == Some(kid));
    let mut fitting = keys.keys.iter().take(KEYS_MAX).filter(fits);
    let key = fitting.next().ok_or(TokenError::UnknownKey)?;
    if kid.is_none() && fitting.next().is_some() {
        return Err(TokenError::UnknownKey);
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
    let message = &token.as_bytes()[..head.len() + 1 + body.len()];
    key.verify(algorithm, message, &signature)?;
    json(body)
}

impl Key {
    /// Whether it is a key for this algorithm; one that says less is taken at its type.
    fn fits(&self, algorithm: &str) -> bool {
        let kind = match algorithm {
            "RS256" | "PS256" => self.kty == "RSA",
            "ES256" => self.kty == "EC" && self.crv.as_deref() == Some("P-256"),
            _ => self.kty == "OKP" && self.crv.as_deref() == Some("Ed25519"),
        };
        kind && self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self.alg.as_deref().is_none_or(|own| own == algorithm)
    }

    fn verify(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Result<(), TokenError> {
        let part = |text: &Option<String>| {
            URL_SAFE_NO_PAD.decode(text.as_deref().unwrap_or_default()).map_err(|_| TokenError::Signature)
        };
        let verified = match algorithm {
            "RS256" | "PS256" => {
                let key = RsaPublicKeyComponents { n: part(&self.n)?, e: part(&self.e)? };
                let parameters =
                    if algorithm == "RS256" { &RSA_PKCS1_2048_8192_SHA256 } else { &RSA_PSS_2048_8192_SHA256 };
                key.verify(parameters, message, signature)
            }
            "ES256" => {
                let point = [&[4u8][..], &part(&self.x)?, &part(&self.y)?].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            _ => UnparsedPublicKey::new(&ED25519, part(&self.x)?).verify(message, signature),
        };
        verified.map_err(|_| TokenError::Signature)
    }
}

fn check(claims: &Value, expected: &Expected<'_>) -> Result<(), TokenError> {
    let must = |holds: bool, claim| if holds { Ok(()) } else { Err(TokenError::Claim(claim)) };
    must(claims["iss"].as_str() == Some(expected.issuer), "iss")?;
    let own = Some(expected.client_id);
    let (is_for_us, others) = match &claims["aud"] {
        Value::String(one) => (Some(one.as_str()) == own, false),
        Value::Array(all) => (all.iter().any(|one| one.as_str() == own), all.len() > 1),
        _ => (false, false),
    };
    must(is_for_us, "aud")?;
    match &claims["azp"] {
        Value::Null => must(!others, "azp")?,
        azp => must(azp.as_str() == own, "azp")?,
    }
    let now = expected.now_s;
    must(claims["exp"].as_i64().is_some_and(|exp| now < exp.saturating_add(SKEW_S)), "exp")?;
    let is_recent = |iat: i64| iat <= now + SKEW_S && now - iat <= AGE_S_MAX + SKEW_S;
    must(claims["iat"].as_i64().is_some_and(is_recent), "iat")?;
    must(claims["nbf"].as_i64().is_none_or(|nbf| nbf <= now + SKEW_S), "nbf")?;
    must(claims["nonce"].as_str() == Some(expected.nonce), "nonce")?;
    must(claims["sub"].as_str().is_some_and(|sub| !sub.is_empty()), "sub")
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use serde_json::json;

    use super::*;

    pub(crate) const NOW_S: i64 = 1_000_000;

    /// A key of a provider.
    pub(crate) struct Signer {
        pair: EcdsaKeyPair,
        pub(crate) kid: &'static str,
    }

    impl Signer {
        pub(crate) fn new(kid: &'static str) -> Self {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
            Signer { pair, kid }
        }

        pub(crate) fn jwk(&self) -> Value {
            let point = self.pair.public_key().as_ref();
            let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
            json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": self.kid, "x": x, "y": y})
        }

        pub(crate) fn token(&self, header: Value, claims: &Value) -> String {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let message = format!("{}.{}", part(&header), part(claims));
            let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
        }

        pub(crate) fn signed(&self, claims: &Value) -> String {
            self.token(json!({"alg": "ES256", "kid": self.kid}), claims)
        }
    }

    fn claims() -> Value {
        json!({
            "iss": "https://id.test", "aud": "sterna", "sub": "7", "nonce": "n",
            "exp": NOW_S + 300, "iat": NOW_S, "email": "ana@demo.test"
        })
    }

    fn verified(token: &str, keys: &Keys) -> Result<Value, TokenError> {
        let expected = Expected { issuer: "https://id.test", client_id: "sterna", nonce: "n", now_s: NOW_S };
        verify(token, keys, &expected)
    }

    #[test]
    fn a_token_is_believed_when_all_of_it_is_right() {
        let signer = Signer::new("a");
        let keys: Keys = serde_json::from_value(json!({ "keys": [signer.jwk()] })).unwrap();
        assert_eq!(verified(&signer.signed(&claims()), &keys).unwrap()["email"], "ana@demo.test");
        let several = json!({"aud": ["sterna", "other"], "azp": "sterna", "exp": NOW_S - 30, "iat": NOW_S + 30});
        let mut both = claims();
        both.as_object_mut().unwrap().extend(several.as_object().unwrap().clone());
        assert!(verified(&signer.signed(&both), &keys).is_ok(), "clocks differ");
        for (name, value) in [
            ("iss", json!("https://evil.test")),
            ("iss", json!("https://id.test/")),
            ("aud", json!("other")),
            ("aud", json!(["other"])),
            ("aud", Value::Null),
            ("azp", json!("other")),
            ("exp", json!(NOW_S - 61)),
            ("exp", json!("tomorrow")),
            ("iat", json!(NOW_S + 61)),
            ("iat", json!(NOW_S - 3600)),
            ("nbf", json!(NOW_S + 100)),
            ("nonce", json!("m")),
            ("nonce", Value::Null),
            ("sub", json!("")),
        ] {
            let mut wrong = claims();
            wrong[name] = value.clone();
            assert_eq!(verified(&signer.signed(&wrong), &keys), Err(TokenError::Claim(name)), "{name} {value}");
        }
        let mut shared = claims();
        shared["aud"] = json!(["sterna", "other"]);
        assert_eq!(verified(&signer.signed(&shared), &keys), Err(TokenError::Claim("azp")));
    }

    #[test]
    fn access_tokens_are_believed_when_all_of_them_is_right() {
        let (signer, other) = (Signer::new("a"), Signer::new("a"));
        let keys: Keys = serde_json::from_value(json!({ "keys": [signer.jwk()] })).unwrap();
        let verified = |token: &str| {
            let expected = ExpectedAccess { issuer: "https://id.test", audience: "mail", now_s: NOW_S };
            verify_access(token, &keys, &expected)
        };
        let claims = || {
            json!({
                "iss": "https://id.test", "aud": ["account", "mail"], "sub": "7", "exp": NOW_S + 300,
                "iat": NOW_S - 7200, "email": "ana@demo.test",
            })
        };
        assert_eq!(verified(&signer.signed(&claims())).unwrap()["email"], "ana@demo.test");
        assert_eq!(verified(&other.signed(&claims())), Err(TokenError::Signature));
        for (name, value) in [
            ("iss", json!("https://evil.test")),
            ("aud", json!("account")),
            ("aud", Value::Null),
            ("exp", json!(NOW_S - 61)),
            ("exp", Value::Null),
            ("nbf", json!(NOW_S + 61)),
            ("iat", json!(NOW_S + 61)),
            ("sub", Value::Null),
        ] {
            let mut wrong = claims();
            wrong[name] = value.clone();
            assert_eq!(verified(&signer.signed(&wrong)), Err(TokenError::Claim(name)), "{name} {value}");
        }
        let mut id_token = claims();
        id_token["nonce"] = json!("n");
        assert_eq!(verified(&signer.signed(&id_token)), Err(TokenError::Claim("typ")));
        let said = json!({"alg": "ES256", "kid": "a", "typ": "at+JWT"});
        assert!(verified(&signer.token(said, &id_token)).is_ok(), "it says that it is one");
        let none = signer.token(json!({"alg": "none", "kid": "a"}), &claims());
        assert_eq!(verified(&none), Err(TokenError::Algorithm("none".to_owned())));
    }

    #[test]
    fn what_is_not_signed_by_the_provider_is_nothing() {
        let (signer, other) = (Signer::new("a"), Signer::new("a"));
        let keys: Keys = serde_json::from_value(json!({ "keys": [signer.jwk()] })).unwrap();
        let good = signer.signed(&claims());
        assert_eq!(verified(&other.signed(&claims()), &keys), Err(TokenError::Signature));
        for algorithm in ["none", "None", "HS256", ""] {
            let token = signer.token(json!({"alg": algorithm, "kid": "a"}), &claims());
            assert_eq!(verified(&token, &keys), Err(TokenError::Algorithm(algorithm.to_owned())));
        }
        // A token for RSA finds no such key, and the same bytes under another claim are no signature.
        let rsa = signer.token(json!({"alg": "RS256", "kid": "a"}), &claims());
        assert_eq!(verified(&rsa, &keys), Err(TokenError::UnknownKey));
        let unknown = signer.token(json!({"alg": "ES256", "kid": "b"}), &claims());
        assert_eq!(verified(&unknown, &keys), Err(TokenError::UnknownKey));
        let critical = signer.token(json!({"alg": "ES256", "kid": "a", "crit": ["b64"]}), &claims());
        assert_eq!(verified(&critical, &keys), Err(TokenError::Malformed));
        let (head, _) = good.rsplit_once('.').unwrap();
        for bad in ["", "a", "a.b", "a.b.c", &format!("{head}."), &format!("{good}.x"), &"x".repeat(100_000)] {
            assert!(verified(bad, &keys).is_err(), "{bad:.20}");
        }
        let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode("{\"alg\":\"none\"}"), good.split('.').nth(1).unwrap());
        assert!(verified(&unsigned, &keys).is_err());
    }
}
