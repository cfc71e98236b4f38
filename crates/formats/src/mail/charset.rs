//! Text in the charsets that mail is written in.

use encoding_rs::{BIG5, EUC_KR, Encoding, GBK, SHIFT_JIS, WINDOWS_1252};

/// Names that programs write into mail, and that the list of the web (WHATWG), which encoding_rs has, leaves out.
const MORE_NAMES: [(&str, &Encoding); 7] = [
    ("cp932", SHIFT_JIS),
    ("cp936", GBK),
    ("ms936", GBK),
    ("cp949", EUC_KR),
    ("cp950", BIG5),
    ("iso_8859-1:1987", WINDOWS_1252),
    ("latin-1", WINDOWS_1252),
];

/// The text of bytes that are said to be in this charset. What is no text in it becomes U+FFFD; without a charset, or
/// with one that nobody knows, it is UTF-8 if it can be and Windows-1252 otherwise.
pub fn decode(charset: Option<&[u8]>, bytes: &[u8]) -> String {
    match charset.and_then(encoding) {
        Some(encoding) => encoding.decode_with_bom_removal(bytes).0.into_owned(),
        None => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
        },
    }
}

fn encoding(name: &[u8]) -> Option<&'static Encoding> {
    // Said of everything by programs that don't know; it is a part of UTF-8, so guessing loses nothing.
    if name.eq_ignore_ascii_case(b"us-ascii") {
        return None;
    }
    let more =
        || MORE_NAMES.iter().find(|(more, _)| name.eq_ignore_ascii_case(more.as_bytes())).map(|(_, found)| *found);
    Encoding::for_label_no_replacement(name).or_else(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charsets_of_the_world() {
        for (charset, bytes, text) in [
            (Some("utf-8"), &b"Gr\xc3\xbc\xc3\x9fe"[..], "Grüße"),
            (Some("ISO-8859-1"), b"Gr\xfc\xdfe", "Grüße"),
            (Some("koi8-r"), b"\xcb\xd2\xc1\xde\xcb\xc1", "крачка"),
            (Some("iso-2022-jp"), b"\x1b$BF|K\\\x1b(B", "日本"),
            (Some("shift_jis"), b"\x93\xfa\x96{", "日本"),
            (Some("CP936"), b"\xba\xf2\xc4\xf1", "候鸟"),
            (Some("big5"), b"\xbfO\xb6\xf0", "燈塔"),
            (Some("us-ascii"), b"Gr\xc3\xbc\xc3\x9fe", "Grüße"),
            (Some("x-nobody-knows"), b"Gr\xfc\xdfe", "Grüße"),
            (None, b"Gr\xfc\xdfe", "Grüße"),
            (Some("utf-8"), b"a\xffb", "a\u{fffd}b"),
        ] {
            assert_eq!(decode(charset.map(str::as_bytes), bytes), text, "{charset:?}");
        }
    }
}
