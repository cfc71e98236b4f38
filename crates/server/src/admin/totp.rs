//! One-time codes by the clock (RFC 6238 with the parameters that every authenticator app has: SHA-1, six digits, 30
//! seconds).

use aws_lc_rs::hmac;
use sterna_base::Timestamp;
use sterna_base::ids::random_bytes;

/// Bytes of a key (RFC 4226 section 4: at least 128 bits, 160 recommended).
pub const KEY_BYTES: usize = 20;

/// How long one code is shown, in milliseconds.
const STEP_MS: i64 = 30_000;

/// Intervals before and after the present one whose codes are taken: clocks differ, and typing takes time (RFC 6238
/// section 5.2).
const STEPS_APART_MAX: u64 = 1;

/// Digits of a code.
const DIGITS: usize = 6;

/// What keyboards of languages that are written from right to left put around numbers.
const DIRECTIONS: [char; 3] = ['\u{200e}', '\u{200f}', '\u{061c}'];

/// The zeros of the scripts whose keyboards write their own digits (decimal numbers of Unicode): apps show ASCII,
/// and people type them as they type numbers. Nine more follow each.
const ZEROS: [char; 19] = [
    '\u{0660}', '\u{06f0}', '\u{07c0}', '\u{0966}', '\u{09e6}', '\u{0a66}', '\u{0ae6}', '\u{0b66}', '\u{0be6}',
    '\u{0c66}', '\u{0ce6}', '\u{0d66}', '\u{0e50}', '\u{0ed0}', '\u{0f20}', '\u{1040}', '\u{17e0}', '\u{1810}',
    '\u{ff10}',
];

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A new key.
pub fn new_key() -> [u8; KEY_BYTES] {
    random_bytes()
}

/// Base32 (RFC 4648 section 6) without padding.
pub fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut held, mut bits) = (0u32, 0);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[((held >> bits) & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[((held << (5 - bits)) & 31) as usize]));
    }
    text
}

/// The key that was written so; `None` for what isn't one of ours.
pub fn key_of(text: &str) -> Option<[u8; KEY_BYTES]> {
    let (mut held, mut bits, mut bytes) = (0u32, 0, Vec::with_capacity(KEY_BYTES));
    for letter in text.bytes().filter(|byte| *byte != b' ') {
        let value = ALPHABET.iter().position(|known| *known == letter.to_ascii_uppercase())?;
        held = (held << 5) | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(((held >> bits) & 255) as u8);
        }
        if bytes.len() > KEY_BYTES {
            return None;
        }
    }
    bytes.try_into().ok()
}

/// The address that authenticator apps read from a QR code.
pub fn otpauth(issuer: &str, login: &str, key: &[u8]) -> String {
    let escaped = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte);
        text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
    };
    let (issuer, login) = (escaped(issuer), escaped(login));
    format!("otpauth://totp/{issuer}:{login}?secret={}&issuer={issuer}", base32(key))
}

fn code(key: &[u8], step: u64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    // RFC 4226 section 5.3.
    let at = usize::from(tag[tag.len() - 1] & 15);
    let word = u32::from_be_bytes([tag[at], tag[at + 1], tag[at + 2], tag[at + 3]]);
    (word & 0x7fff_ffff) % 1_000_000
}

/// The value of a decimal digit of any of these scripts.
fn digit(c: char) -> Option<u32> {
    let of_script = |zero: &char| u32::from(c).checked_sub(u32::from(*zero)).filter(|value| *value < 10);
    c.to_digit(10).or_else(|| ZEROS.iter().find_map(of_script))
}

/// The interval of which this is the code, if it is one that is taken now and later than the last one.
pub fn verify(key: &[u8], text: &str, now: Timestamp, last_step: u64) -> Option<u64> {
    let typed = text.chars().filter(|c| !c.is_whitespace() && !DIRECTIONS.contains(c));
    let digits: Vec<u32> = typed.take(DIGITS + 1).map(digit).collect::<Option<_>>()?;
    if digits.len() != DIGITS {
        return None;
    }
    let given = digits.iter().fold(0, |number, digit| number * 10 + digit);
    let present = u64::try_from(now.0 / STEP_MS).ok()?;
    let steps = present.saturating_sub(STEPS_APART_MAX)..=present + STEPS_APART_MAX;
    steps.filter(|step| *step > last_step).find(|step| code(key, *step) == given)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, the last six of its eight digits.
    #[test]
    fn the_codes_of_the_rfc() {
        let key = b"12345678901234567890";
        for (seconds, expected) in
            [(59, 287_082), (1_111_111_109, 81_804), (1_234_567_890, 5_924), (20_000_000_000, 353_130)]
        {
            assert_eq!(code(key, seconds / 30), expected, "{seconds}");
        }
    }

    #[test]
    fn a_code_is_taken_once_and_near_its_time() {
        let (key, at) = (b"12345678901234567890", Timestamp(59_000));
        assert_eq!(verify(key, "287 082", at, 0), Some(1));
        assert_eq!(verify(key, "287082", at, 1), None, "again");
        assert_eq!(verify(key, "287082", at.plus_ms(30_000), 0), Some(1), "late");
        assert_eq!(verify(key, "287082", at.plus_ms(70_000), 0), None, "too late");
        for typed in ["٢٨٧٠٨٢", "۲۸۷۰۸۲", "２８７ ０８２", "२८७०८२", "\u{200f}٢٨٧٠٨٢", "28٧٠82"]
        {
            assert_eq!(verify(key, typed, at, 0), Some(1), "{typed}");
        }
        for wrong in ["", "28708", "2870822", "28708a", "٢٨٧٠٨", "٢٨٧٠٨٣", "２８７０８２２", "²87082", "二八七〇八二"]
        {
            assert_eq!(verify(key, wrong, at, 0), None, "{wrong}");
        }
    }

    #[test]
    fn keys_as_apps_read_them() {
        assert_eq!(base32(b"12345678901234567890"), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(base32(b"f"), "MY");
        let key = new_key();
        assert_eq!(key_of(&base32(&key).to_ascii_lowercase()), Some(key));
        assert!(key_of("GEZDGNBVGY3TQOJQ").is_none() && key_of("1").is_none() && key_of("").is_none());
        let address = otpauth("Tern & Co", "ana@tern.test", b"f");
        assert_eq!(address, "otpauth://totp/Tern%20%26%20Co:ana@tern.test?secret=MY&issuer=Tern%20%26%20Co");
    }
}
