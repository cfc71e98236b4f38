//! Hashes that other systems made: PBKDF2 in the form of PHC strings, and the schemes of LDAP (RFC 2307 section 5.3 and
//! its successors). They are believed so that people keep their passwords when they come here, and are replaced by one
//! of our own at the first log-in.

use std::num::NonZeroU32;

use aws_lc_rs::digest::{self, Algorithm};
use aws_lc_rs::{constant_time, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// Most iterations: more than that would keep a core busy for seconds at each log-in.
const ITERATIONS_MAX: u32 = 2_000_000;

/// Longest hash and longest salt, in octets.
const OCTETS_MAX: usize = 64;

/// The functions of PBKDF2, as PHC strings name them.
const PBKDF2: [(&str, pbkdf2::Algorithm); 3] = [
    ("pbkdf2", pbkdf2::PBKDF2_HMAC_SHA1),
    ("pbkdf2-sha256", pbkdf2::PBKDF2_HMAC_SHA256),
    ("pbkdf2-sha512", pbkdf2::PBKDF2_HMAC_SHA512),
];

/// Schemes of LDAP, and whether a salt follows the hash.
const SCHEMES: [(&str, &Algorithm, bool); 6] = [
    ("SHA", &digest::SHA1_FOR_LEGACY_USE_ONLY, false),
    ("SSHA", &digest::SHA1_FOR_LEGACY_USE_ONLY, true),
    ("SHA256", &digest::SHA256, false),
    ("SSHA256", &digest::SHA256, true),
    ("SHA512", &digest::SHA512, false),
    ("SSHA512", &digest::SHA512, true),
];

/// A hash of another system.
pub(super) enum Foreign {
    Pbkdf2 { algorithm: pbkdf2::Algorithm, iterations: NonZeroU32, salt: Vec<u8>, hash: Vec<u8> },
    Digest { algorithm: &'static Algorithm, salt: Vec<u8>, hash: Vec<u8> },
}

impl Foreign {
    /// Reads one, if it can be afforded; `None` for all other texts.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix('{') {
            Some(scheme) => Foreign::of_ldap(scheme),
            None => Foreign::of_phc(text.strip_prefix('$')?),
        }
    }

    fn of_ldap(text: &str) -> Option<Self> {
        let (name, encoded) = text.split_once('}')?;
        let (_, algorithm, is_salted) = SCHEMES.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))?;
        let mut hash = STANDARD.decode(encoded).ok().filter(|octets| octets.len() >= algorithm.output_len())?;
        let salt = hash.split_off(algorithm.output_len());
        let is_good = salt.len() <= OCTETS_MAX && salt.is_empty() != *is_salted;
        is_good.then_some(Foreign::Digest { algorithm, salt, hash })
    }

    fn of_phc(text: &str) -> Option<Self> {
        let mut parts = text.split('$');
        let (name, parameters, salt, hash) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let (_, algorithm) = PBKDF2.into_iter().find(|(known, _)| *known == name)?;
        let parameter = |name: &str| {
            let found = parameters.split(',').filter_map(|one| one.split_once('=')).find(|(known, _)| *known == name);
            found.and_then(|(_, value)| value.parse::<u32>().ok())
        };
        let iterations = parameter("i").filter(|iterations| *iterations <= ITERATIONS_MAX)?;
        let octets =
            |text: &str| STANDARD_NO_PAD.decode(text).ok().filter(|octets| (1..=OCTETS_MAX).contains(&octets.len()));
        let (salt, hash) = (octets(salt)?, octets(hash)?);
        let is_good = parts.next().is_none() && parameter("l").is_none_or(|length| length as usize == hash.len());
        let iterations = NonZeroU32::new(iterations).filter(|_| is_good)?;
        Some(Foreign::Pbkdf2 { algorithm, iterations, salt, hash })
    }

    /// Whether the password is the one that was hashed.
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        match self {
            Foreign::Pbkdf2 { algorithm, iterations, salt, hash } => {
                pbkdf2::verify(*algorithm, *iterations, salt, password, hash).is_ok()
            }
            Foreign::Digest { algorithm, salt, hash } => {
                let mut context = digest::Context::new(algorithm);
                context.update(password);
                context.update(salt);
                constant_time::verify_slices_are_equal(context.finish().as_ref(), hash).is_ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verifies(hash: &str, password: &str) -> bool {
        Foreign::parse(hash).unwrap().verify(password.as_bytes())
    }

    #[test]
    fn hashes_of_others_are_believed() {
        for hash in [
            "$pbkdf2$i=1000,l=24$obLD1OX2BxgpOktcbX6PkAESIzRFVmc$wqJUwZJ0G6RyEzAKtHxoEc6EVoQhO7mH",
            "$pbkdf2-sha256$i=600$c2FsdHNhbHQ$GHmkHfclKTHvqI5OJyA6VKCbyrAbQWs9TApNfimJg8U",
            "{SSHA}LhKrkM9Fy+zlstjdD7Kv2s6QvhBzYWx0",
            "{sha}L55TUjtiq8FBorTWAZ0jy6g129A=",
            "{SHA256}QQTTb42iwlQ0n4WDZ5Pr4CngyVcGOjTJHC6SAxh7VjE=",
            "{SSHA512}JVcc5iWOClGJNh1Mjd7G80VQCod+dK7vZbnCHsY6POVA7pJb5iBewgKWGG8435bUGBKBqRUKh6Teh+y/yNdSjnBlcHBlciEh",
        ] {
            assert!(verifies(hash, "correct horse"), "{hash}");
            assert!(!verifies(hash, "correct horsf") && !verifies(hash, ""), "{hash}");
        }
    }

    #[test]
    fn what_is_none_or_costs_too_much_is_refused() {
        for bad in [
            "",
            "plain",
            "{SSHA}",
            "{SSHA}!!!!",
            "{MD5}XUFAKrxLKna5cZ2REBfFkg==",
            "{SHA}LhKrkM9Fy+zlstjdD7Kv2s6QvhBzYWx0",
            "{SSHA}L55TUjtiq8FBorTWAZ0jy6g129A=",
            "$pbkdf2$i=0,l=24$obLD$wqJU",
            "$pbkdf2$i=4294967295$obLD$wqJU",
            "$pbkdf2$i=1000,l=24$obLD$wqJU",
            "$pbkdf2$i=1000$obLD$wqJU$x",
            "$pbkdf2$i=1000$obLD",
            "$pbkdf2$i=1000$$",
            "$2y$10$abc",
        ] {
            assert!(Foreign::parse(bad).is_none(), "{bad}");
        }
    }
}
