//! Names of attachments that are written in pieces or encoded (RFC 2231), for searches.

use super::{Parameter, Part, charset};

/// The decoded name of a part's file; `None` when it is written as it is, or there is none.
pub fn encoded_file_name(part: &Part) -> Option<String> {
    let disposition = part.disposition.as_ref().map(|disposition| disposition.parameters.as_slice());
    let of_disposition = disposition.and_then(|parameters| extended(parameters, "filename"));
    of_disposition.or_else(|| extended(&part.content_type.parameters, "name"))
}

/// The value of `name*`, or of `name*0`, `name*1*` and so on, in the order of their numbers.
fn extended(parameters: &[Parameter], name: &str) -> Option<String> {
    let mut pieces: Vec<(u32, bool, &[u8])> =
        parameters.iter().filter_map(|parameter| piece(parameter, name)).collect();
    pieces.sort_by_key(|(number, ..)| *number);
    let (_, is_encoded, first) = *pieces.first()?;
    // Only the first piece says the charset: `utf-8'en'`.
    let (label, skipped) = match first.split(|byte| *byte == b'\'').collect::<Vec<_>>()[..] {
        [label, language, _, ..] if is_encoded => (Some(label), label.len() + language.len() + 2),
        _ => (None, 0),
    };
    let mut bytes = Vec::new();
    for (at, (_, is_encoded, value)) in pieces.iter().enumerate() {
        let value = if at == 0 { &value[skipped..] } else { value };
        if *is_encoded { percent_decode(value, &mut bytes) } else { bytes.extend_from_slice(value) }
    }
    Some(charset::decode(label, &bytes))
}

fn piece<'a>(parameter: &'a Parameter, name: &str) -> Option<(u32, bool, &'a [u8])> {
    let written = std::str::from_utf8(&parameter.name).ok()?.to_ascii_lowercase();
    let rest = written.strip_prefix(name)?.strip_prefix('*')?;
    if rest.is_empty() {
        return Some((0, true, &parameter.value));
    }
    let number = rest.trim_end_matches('*');
    Some((number.parse().ok()?, number.len() < rest.len(), &parameter.value))
}

fn percent_decode(value: &[u8], bytes: &mut Vec<u8>) {
    let mut rest = value;
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) if byte == b'%' => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Scanner;

    #[test]
    fn names_are_decoded_and_joined() {
        for (header, expected) in [
            ("Content-Disposition: attachment; filename*=utf-8''K%C3%B6ln%20(1).pdf", Some("Köln (1).pdf")),
            ("Content-Disposition: attachment; filename*1*=%F6ln.pdf; filename*0*=iso-8859-1'de'K", Some("Köln.pdf")),
            ("Content-Disposition: attachment; filename*0=\"a long\"; filename*1=\" name\"", Some("a long name")),
            ("Content-Type: image/png; name*=us-ascii''x%2", Some("x%2")),
            ("Content-Disposition: attachment; filename=plain.pdf", None),
            ("Content-Disposition: attachment; filename*x=1", None),
            ("X: y", None),
        ] {
            let mut scanner = Scanner::new();
            scanner.push(format!("{header}\r\n\r\n").as_bytes());
            assert_eq!(encoded_file_name(&scanner.finish().root).as_deref(), expected, "{header}");
        }
    }
}
