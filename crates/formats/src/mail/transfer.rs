//! Transfer encodings (RFC 2045 section 6), read with patience: what is no encoding is passed over or stays.

/// Decodes quoted-printable (RFC 2045 section 6.7); what is no encoding stays as it is.
pub fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'=' {
            decoded.push(byte);
            continue;
        }
        let hex = |at: usize| rest.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        if let (Some(high), Some(low)) = (hex(0), hex(1)) {
            decoded.push((high * 16 + low) as u8);
            rest = &rest[2..];
        } else if let Some(after) = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")) {
            rest = after;
        } else {
            decoded.push(byte);
        }
    }
    decoded
}

/// A body in a transfer encoding, as a header names it; one that nobody knows is taken as it is.
pub fn decode(encoding: Option<&[u8]>, body: &[u8]) -> Vec<u8> {
    match encoding.map(<[u8]>::to_ascii_lowercase).as_deref() {
        Some(b"base64") => base64(body),
        Some(b"quoted-printable") => quoted_printable(body),
        _ => body.to_vec(),
    }
}

/// Decodes base64 (RFC 2045 section 6.8): what is not of its alphabet is passed over, as that section wants, and
/// padding in the middle begins anew.
pub fn base64(text: &[u8]) -> Vec<u8> {
    Base64Decoder::default().push(text)
}

/// The same in pieces, cut wherever.
#[derive(Clone, Debug, Default)]
pub struct Base64Decoder {
    bits: u32,
    /// How many of them are not yet a byte.
    count: u32,
}

impl Base64Decoder {
    /// What the next piece decodes to.
    pub fn push(&mut self, text: &[u8]) -> Vec<u8> {
        let mut decoded = Vec::with_capacity(text.len() / 4 * 3 + 1);
        for &byte in text {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'=' => {
                    self.count = 0;
                    continue;
                }
                _ => continue,
            };
            self.bits = self.bits << 6 | u32::from(value);
            self.count += 6;
            if self.count >= 8 {
                self.count -= 8;
                decoded.push((self.bits >> self.count) as u8);
            }
        }
        decoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_printable_as_it_comes() {
        for (text, expected) in [
            (&b"K=F6ln =3D=\r\n K=c3=b6ln"[..], &b"K\xf6ln = K\xc3\xb6ln"[..]),
            (b"a=", b"a="),
            (b"a=4", b"a=4"),
            (b"a=zz=\nb", b"a=zzb"),
        ] {
            assert_eq!(quoted_printable(text), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn base64_as_it_comes() {
        for (text, expected) in [
            (&b"YW5h"[..], &b"ana"[..]),
            (b"YW\r\n5h IQ==", b"ana!"),
            (b"YQ==Yg==", b"ab"),
            (b"YW5hIQ", b"ana!"),
            (b"Y*W-5h", b"ana"),
            (b"Y", b""),
            (b"====", b""),
        ] {
            assert_eq!(base64(text), expected, "{}", text.escape_ascii());
        }
    }
}
