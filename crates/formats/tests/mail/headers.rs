//! Fields, lists of addresses, types and encoded words.

use proptest::prelude::*;
use sterna_formats::mail::address_list::{ADDRESSES_MAX, address_list};
use sterna_formats::mail::header::{fields, unfold};
use sterna_formats::mail::{EnvelopeAddress, Scanner, media_type, text};

fn address(name: Option<&str>, mailbox: &str, host: &str) -> EnvelopeAddress {
    let bytes = |text: &str| text.as_bytes().to_vec();
    EnvelopeAddress { name: name.map(bytes), adl: None, mailbox: Some(bytes(mailbox)), host: Some(bytes(host)) }
}

/// An address as people write it, and what it is.
fn written_address() -> impl Strategy<Value = (String, EnvelopeAddress)> {
    let parts = ("[a-z0-9+_-]{1,10}", "[a-z]{1,8}\\.test", "[A-Za-zé]{1,8}( [A-Za-z,;@]{1,8})?", 0..5);
    parts.prop_map(|(local, host, name, form)| match form {
        0 => (format!("{local}@{host}"), address(None, &local, &host)),
        1 => (format!("<{local}@{host}>"), address(None, &local, &host)),
        2 => (format!("\"{name}\" <{local}@{host}>"), address(Some(&name), &local, &host)),
        3 => (format!("\"{name}\"\r\n\t<{local} @ {host}>"), address(Some(&name), &local, &host)),
        _ => (format!("{local}@{host} ({name})"), address(Some(&name), &local, &host)),
    })
}

/// Every group that begins ends, and nothing else is without a host.
fn check_groups(list: &[EnvelopeAddress]) -> Result<(), TestCaseError> {
    let mut in_group = false;
    for address in list {
        match (&address.mailbox, &address.host) {
            (Some(_), Some(_)) => {}
            (Some(_), None) => prop_assert!(!std::mem::replace(&mut in_group, true), "a group in a group"),
            (None, None) => prop_assert!(std::mem::replace(&mut in_group, false), "an end without a group"),
            (None, Some(_)) => prop_assert!(false, "a host without a mailbox"),
        }
    }
    prop_assert!(!in_group, "a group without end");
    Ok(())
}

proptest! {
    #[test]
    fn lists_are_what_was_written(addresses in prop::collection::vec(written_address(), 0..6), grouped: bool) {
        let text = addresses.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(", ");
        let mut expected: Vec<_> = addresses.iter().map(|(_, address)| address.clone()).collect();
        let text = if grouped { format!("the team: {text};") } else { text };
        if grouped {
            let name = EnvelopeAddress { mailbox: Some(b"the team".to_vec()), ..EnvelopeAddress::default() };
            expected.insert(0, name);
            expected.push(EnvelopeAddress::default());
        }
        prop_assert_eq!(address_list(text.as_bytes()), expected, "{}", text);
    }

    #[test]
    fn any_bytes_are_a_list(text in "[a@,;:<>()\"\\\\\\[\\]. \r\n\0é]{0,40}", bytes: Vec<u8>) {
        for text in [text.as_bytes(), &bytes] {
            check_groups(&address_list(text))?;
        }
    }

    #[test]
    fn fields_are_what_was_written(
        written in prop::collection::vec(("[!-9;-~]{1,12}", "[ -~é\t]{0,30}", "[!-~]{0,20}"), 0..6),
    ) {
        let header: String = written.iter().map(|(name, value, more)| format!("{name}:{value}\r\n {more}\r\n")).collect();
        let header = header + "\r\nBody: no field\r\n";
        let found: Vec<_> = fields(header.as_bytes()).map(|field| (field.name.to_vec(), field.unfolded())).collect();
        let expected: Vec<_> = written
            .iter()
            .map(|(name, value, more)| (name.clone().into_bytes(), format!("{value} {more}").trim_ascii().as_bytes().to_vec()))
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn fields_of_any_bytes_are_pieces_of_them(text in "[a: \t\r\n\0é]{0,60}", bytes: Vec<u8>) {
        for header in [text.as_bytes(), &bytes] {
            let mut rest = header;
            for field in fields(header) {
                let at = rest.windows(field.raw.len()).position(|piece| piece == field.raw);
                rest = &rest[at.expect("not in the header, or out of order") + field.raw.len()..];
                prop_assert!(field.raw.starts_with(field.name));
                prop_assert!(!unfold(field.value).contains(&b'\n'));
            }
        }
    }

    #[test]
    fn types_of_any_bytes_are_answered(text in "[a/;=\"\\\\() \r\n*'%é]{0,40}", bytes: Vec<u8>) {
        for value in [text.as_bytes(), &bytes] {
            if let Some(found) = media_type::content_type(value) {
                prop_assert!(!found.media_type.is_empty() && !found.subtype.is_empty());
                prop_assert!(found.parameters.len() <= media_type::PARAMETERS_MAX);
            }
            let _ = (media_type::disposition(value), media_type::token_list(value), media_type::token(value));
        }
    }

    #[test]
    fn encoded_words_come_back(words in prop::collection::vec("[a-zA-Zéß日本語 ]{1,12}", 1..4)) {
        use base64::Engine as _;
        // White space between encoded words is no text (RFC 2047 section 6.2).
        let encode = |word: &String| format!("=?utf-8?B?{}?=", base64::engine::general_purpose::STANDARD.encode(word));
        let value = words.iter().map(encode).collect::<Vec<_>>().join("\r\n ");
        prop_assert_eq!(text::header_text(value.as_bytes()), words.concat());
    }
}

#[test]
fn a_flood_of_addresses_has_an_end() {
    for piece in ["a@b,", "a:;", "a:b@c;", ";", "<a>,"] {
        let text = piece.repeat(4 * ADDRESSES_MAX);
        assert!(address_list(text.as_bytes()).len() <= ADDRESSES_MAX + 3, "{piece}");
    }
    let mut scanner = Scanner::new();
    (0..4 * ADDRESSES_MAX).for_each(|_| scanner.push(b"To: a@b, c@d\r\n"));
    let envelope = scanner.finish().envelope;
    assert!(envelope.to.len() <= ADDRESSES_MAX + 3, "{}", envelope.to.len());
}
