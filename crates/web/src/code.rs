//! Codes that people may have to type: ten random bytes in letters that are not taken for one another.

use sterna_base::ids::random_bytes;
use unicode_normalization::UnicodeNormalization as _;

/// Base 32 of Crockford: without I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Letters of a code.
const LETTERS: usize = 16;

/// Bytes of a code: nobody finds it by trying.
const BYTES: usize = 10;

/// A new one, in groups of four.
pub fn new() -> String {
    let random: [u8; BYTES] = random_bytes();
    let bits = random.iter().fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
    let mut code = String::with_capacity(LETTERS + 3);
    for at in 0..LETTERS {
        if at > 0 && at % 4 == 0 {
            code.push('-');
        }
        let index = usize::try_from((bits >> (5 * (LETTERS - 1 - at))) & 31).unwrap_or(0);
        code.push(char::from(ALPHABET[index]));
    }
    code
}

/// What a code is compared and kept by; `None` when what was typed can't be one.
pub fn hash(typed: &str) -> Option<String> {
    let mut letters = String::with_capacity(LETTERS);
    for letter in crate::form::tidied(typed).nfkc().flat_map(char::to_uppercase) {
        match letter {
            '-' | ' ' | '\u{2010}'..='\u{2015}' => continue,
            'O' => letters.push('0'),
            'I' | 'L' => letters.push('1'),
            letter if letter.is_ascii() && ALPHABET.contains(&(letter as u8)) => letters.push(letter),
            _ => return None,
        }
        if letters.len() > LETTERS {
            return None;
        }
    }
    (letters.len() == LETTERS).then(|| blake3::hash(letters.as_bytes()).to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_itself_however_it_is_typed() {
        let code = new();
        assert_eq!(code.len(), LETTERS + 3, "{code}");
        let kept = hash(&code).unwrap();
        assert_eq!(hash(&code.to_lowercase().replace('-', " ")), Some(kept.clone()));
        assert_eq!(hash(&format!(" {}\n", code.replace('-', ""))), Some(kept.clone()));
        assert_eq!(hash(&code.replace('0', "o").replace('1', "l")), Some(kept.clone()));
        assert_ne!(hash(&new()), Some(kept));
    }

    #[test]
    fn what_can_be_no_code_is_none() {
        let long = "A".repeat(1_000_000);
        for wrong in ["", "ABCD", "ABCD-EFGH-JKMN-PQR!", "ABCD-EFGH-JKMN-PQRST", "\u{0}", long.as_str()] {
            assert_eq!(hash(wrong), None);
        }
        assert_eq!(hash("ABCD-EFGH-JKMN-PQRS"), hash("ＡＢＣＤ-efgh-ｊｋｍｎ-pqrs"));
    }
}
