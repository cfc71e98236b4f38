//! Hashes of passwords, in the forms in which the directory here takes those of others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Schemes of LDAP (RFC 2307, section 5.3, and those that followed) that the directory takes as they are.
const SCHEMES: [&str; 4] = ["{SSHA}", "{SSHA256}", "{SSHA512}", "{SHA}"];

/// Octets of a hash in the form of PHC, at most.
const OCTETS_MAX: usize = 64;

/// A hash of the old system as the directory here takes it; nothing for forms that it doesn't.
pub fn hash(text: &str) -> Option<String> {
    if SCHEMES.iter().any(|scheme| text.starts_with(scheme)) || text.starts_with("$argon2") {
        return Some(text.to_owned());
    }
    // PBKDF2 with HMAC-SHA-1: iterations, salt and hash, with colons between them.
    let mut parts = text.split(':');
    let (iterations, salt, hash) = (parts.next()?, octets(parts.next()?)?, octets(parts.next()?)?);
    let iterations: u32 = iterations.parse().ok().filter(|_| parts.next().is_none())?;
    let encoded = |octets: &[u8]| STANDARD_NO_PAD.encode(octets);
    Some(format!("$pbkdf2$i={iterations},l={}${}${}", hash.len(), encoded(&salt), encoded(&hash)))
}

fn octets(hexadecimal: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = hexadecimal
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| digit.try_into().ok()))
        .collect::<Option<_>>()?;
    let is_good = digits.len().is_multiple_of(2) && (1..=OCTETS_MAX * 2).contains(&digits.len());
    is_good.then(|| digits.chunks(2).map(|pair| pair.iter().fold(0, |octet, digit| octet << 4 | digit)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_taken_in_forms_that_are_known() {
        assert_eq!(hash("1000:0a0b:ff00").as_deref(), Some("$pbkdf2$i=1000,l=2$Cgs$/wA"));
        assert_eq!(hash("{SSHA}abc").as_deref(), Some("{SSHA}abc"));
        for unknown in ["", "0cc175b9c0f1b6a831c399e269772661", "1000:0a0b", "x:0a:0b", "1:0a:0b:0c", "1:0:0", "1::"] {
            assert_eq!(hash(unknown), None, "{unknown}");
        }
    }
}
