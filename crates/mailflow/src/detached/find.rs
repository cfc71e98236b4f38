//! Which parts of a message are attachments that can go elsewhere.

use sterna_formats::mail::file_name::encoded_file_name;
use sterna_formats::mail::{Part, PartBody, encoded_word};

/// Longest name of a file, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// Types whose presence says that the message is signed or encrypted (RFC 1847, RFC 3156, RFC 8551): what is changed
/// in it breaks it.
const PROTECTED: &[(&str, &str)] = &[
    ("multipart", "signed"),
    ("multipart", "encrypted"),
    ("application", "pkcs7-mime"),
    ("application", "x-pkcs7-mime"),
    ("application", "pkcs7-signature"),
    ("application", "x-pkcs7-signature"),
    ("application", "pgp-encrypted"),
    ("application", "pgp-signature"),
];

/// Endings of files that are encrypted or signed on their own.
const PROTECTED_ENDINGS: &[&str] = &["pgp", "gpg", "asc", "p7m", "p7s", "sig"];

/// The attachments of at least this length, decoded, in the order of the message. They stand in a multipart/mixed:
/// elsewhere other parts refer to them, or are chosen instead of them.
pub fn detachable(root: &Part, from_bytes: u64, most: usize) -> Vec<&Part> {
    if is_protected(root) {
        return Vec::new();
    }
    let mut found = Vec::new();
    collect(root, from_bytes, &mut found);
    found.truncate(most);
    found
}

fn collect<'a>(part: &'a Part, from_bytes: u64, found: &mut Vec<&'a Part>) {
    let PartBody::Multipart(parts) = &part.body else { return };
    if !part.content_type.is("multipart", "mixed") {
        return;
    }
    for part in parts {
        if is_detachable(part, from_bytes) {
            found.push(part);
        }
        collect(part, from_bytes, found);
    }
}

fn is_detachable(part: &Part, from_bytes: u64) -> bool {
    let attached = part.disposition.as_ref().is_some_and(|said| said.kind.eq_ignore_ascii_case(b"attachment"));
    let ending = file_name(part).rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    attached
        && matches!(part.body, PartBody::Single)
        && (is_base64(part) || is_plain(part))
        && decoded_size(part) >= from_bytes
        && !PROTECTED_ENDINGS.contains(&&*ending)
}

fn is_protected(part: &Part) -> bool {
    PROTECTED.iter().any(|(media_type, subtype)| part.content_type.is(media_type, subtype))
        || match &part.body {
            PartBody::Multipart(parts) => parts.iter().any(is_protected),
            // What is forwarded as a whole is not looked into for attachments, and its protection is its own.
            PartBody::Message(_) | PartBody::Single => false,
        }
}

fn encoding(part: &Part) -> Vec<u8> {
    part.encoding.as_deref().unwrap_or(b"7bit").trim_ascii().to_ascii_lowercase()
}

/// Whether the part is in base64.
pub fn is_base64(part: &Part) -> bool {
    encoding(part) == b"base64"
}

fn is_plain(part: &Part) -> bool {
    matches!(&*encoding(part), b"7bit" | b"8bit" | b"binary")
}

fn decoded_size(part: &Part) -> u64 {
    let size = part.body_size();
    // Without the line ends, of two bytes each.
    if is_base64(part) { size.saturating_sub(part.lines * 2) / 4 * 3 } else { size }
}

/// What the file is to be called: by its sender, without what can't be in a name.
pub fn file_name(part: &Part) -> String {
    let plain = |name: &str| {
        let of = part.disposition.as_ref().map(|said| said.parameters.as_slice()).unwrap_or_default();
        of.iter()
            .find(|parameter| parameter.name.eq_ignore_ascii_case(name.as_bytes()))
            .map(|found| found.value.clone())
    };
    let written = plain("filename").or_else(|| part.content_type.parameter("name").map(<[u8]>::to_vec));
    let name = encoded_file_name(part).or_else(|| written.map(|name| encoded_word::decode(&name)));
    let name: String = name.unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().trim().trim_start_matches('.');
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    if name[..end].is_empty() { "attachment".to_owned() } else { name[..end].to_owned() }
}

#[cfg(test)]
mod tests {
    use sterna_formats::mail::Scanner;

    use super::*;

    fn root(text: &str) -> Part {
        let mut scanner = Scanner::new();
        scanner.push(text.replace('\n', "\r\n").as_bytes());
        scanner.finish().root
    }

    fn message(kind: &str, part: &str) -> String {
        let body = "QUJD".repeat(100);
        format!(
            "Content-Type: multipart/{kind}; boundary=b\n\n--b\n\nHello\n--b\n{part}\
             Content-Transfer-Encoding: base64\n\n{body}\n--b--\n"
        )
    }

    const ATTACHED: &str = "Content-Type: application/pdf\nContent-Disposition: attachment; filename=\"a.pdf\"\n";

    #[test]
    fn large_attachments_of_mixed_messages_are_found() {
        let root = root(&message("mixed", ATTACHED));
        assert_eq!(detachable(&root, 300, 9).len(), 1);
        assert_eq!(detachable(&root, 301, 9).len(), 0);
        assert_eq!(file_name(detachable(&root, 300, 9)[0]), "a.pdf");
    }

    #[test]
    fn what_is_protected_or_belongs_together_stays() {
        for text in [
            message("related", ATTACHED),
            message("alternative", ATTACHED),
            message("signed", ATTACHED),
            message("encrypted", ATTACHED),
            message("mixed", "Content-Type: application/pkcs7-mime\nContent-Disposition: attachment\n"),
            message("mixed", &ATTACHED.replace("a.pdf", "a.pdf.gpg")),
            message("mixed", &ATTACHED.replace("attachment", "inline")),
            message("mixed", "Content-Type: image/png; name=a.png\n"),
        ] {
            assert_eq!(detachable(&root(&text), 1, 9).len(), 0, "{text}");
        }
        // Deep inside, too.
        let signed = "Content-Type: multipart/signed; boundary=c\n\n--c\n\nx\n--c--\n--b\n";
        let text = message("mixed", &format!("{signed}{ATTACHED}"));
        assert_eq!(detachable(&root(&text), 1, 9).len(), 0);
    }

    #[test]
    fn names_can_be_names_of_files() {
        for (given, name) in [
            ("filename=\"../../etc/passwd\"", "passwd"),
            ("filename=\"C:\\\\x\\\\b.txt\"", "b.txt"),
            ("filename*=utf-8''%C3%A9t%C3%A9.pdf", "été.pdf"),
            ("filename=\"=?utf-8?q?=C3=A9.pdf?=\"", "é.pdf"),
            ("filename=\"...\"", "attachment"),
            ("size=3", "attachment"),
        ] {
            let part = format!("Content-Type: application/pdf\nContent-Disposition: attachment; {given}\n");
            let root = root(&message("mixed", &part));
            assert_eq!(file_name(detachable(&root, 1, 9)[0]), name, "{given}");
        }
    }
}
