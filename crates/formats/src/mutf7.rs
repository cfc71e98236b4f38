//! Modified UTF-7 of mailbox names (RFC 3501 section 5.1.3).

use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Why a name is no modified UTF-7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not modified UTF-7")]
pub struct InvalidName;

const CONFIG: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::RequireNone);
const BASE64: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, CONFIG);

/// The name in UTF-8. Strict: a name has one form only (no encoded ASCII, no two shifts in a row), or two names would
/// be one mailbox.
///
/// # Errors
/// [`InvalidName`].
pub fn decode(name: &[u8]) -> Result<String, InvalidName> {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'&' => {
                let end = rest.iter().position(|&byte| byte == b'-').ok_or(InvalidName)?;
                let (shifted, after) = rest.split_at(end);
                rest = &after[1..];
                if shifted.is_empty() {
                    text.push('&');
                } else {
                    text.push_str(&decode_shifted(shifted)?);
                    // The next shift could have gone on with this one.
                    if rest.starts_with(b"&") && !rest.starts_with(b"&-") {
                        return Err(InvalidName);
                    }
                }
            }
            0x20..=0x7e => text.push(char::from(byte)),
            _ => return Err(InvalidName),
        }
    }
    Ok(text)
}

fn decode_shifted(shifted: &[u8]) -> Result<String, InvalidName> {
    let bytes = BASE64.decode(shifted).map_err(|_| InvalidName)?;
    if bytes.len() % 2 != 0 {
        return Err(InvalidName);
    }
    let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let text: String = char::decode_utf16(units).collect::<Result<_, _>>().map_err(|_| InvalidName)?;
    let encoded_ascii = text.chars().any(|c| matches!(c, ' '..='~'));
    if encoded_ascii { Err(InvalidName) } else { Ok(text) }
}

/// The name as modified UTF-7.
pub fn encode(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut shifted: Vec<u8> = Vec::new();
    let flush = |shifted: &mut Vec<u8>, text: &mut String| {
        if !shifted.is_empty() {
            text.push('&');
            BASE64.encode_string(&*shifted, text);
            text.push('-');
            shifted.clear();
        }
    };
    for c in name.chars() {
        match c {
            '&' => {
                flush(&mut shifted, &mut text);
                text.push_str("&-");
            }
            ' '..='~' => {
                flush(&mut shifted, &mut text);
                text.push(c);
            }
            _ => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    shifted.extend_from_slice(&unit.to_be_bytes());
                }
            }
        }
    }
    flush(&mut shifted, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_names_of_the_rfc() {
        for (utf8, mutf7) in [
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("a & b", "a &- b"),
            ("Ünder", "&ANw-nder"),
        ] {
            assert_eq!(encode(utf8), mutf7);
            assert_eq!(decode(mutf7.as_bytes()).as_deref(), Ok(utf8));
        }
    }

    #[test]
    fn names_with_two_forms_are_refused() {
        for wrong in ["&AGE-", "&U,BTFw", "&U,BTFw-&ZeVnLIqe-", "é", "&!-", "&2D0-"] {
            assert_eq!(decode(wrong.as_bytes()), Err(InvalidName), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in "\\PC{0,40}") {
            prop_assert_eq!(decode(encode(&name).as_bytes()), Ok(name));
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            if let Ok(name) = decode(&bytes) {
                prop_assert_eq!(encode(&name).into_bytes(), bytes);
            }
        }
    }
}
