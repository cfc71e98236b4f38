//! Cards that the server itself writes.

use crate::content_line::{Component, Parameter, Property, write};

/// A card of the organisation's directory (vCard 3.0, which every program reads).
pub fn directory_card(
    uid: &str,
    name: &str,
    addresses: &[String],
    organisation: Option<&str>,
    is_person: bool,
) -> String {
    let line = |name: &str, value: String| Property { name: name.to_owned(), value, ..Property::default() };
    let mut card = Component { name: "VCARD".to_owned(), ..Component::default() };
    card.properties.push(line("VERSION", "3.0".to_owned()));
    card.properties.push(line("UID", escaped(uid)));
    card.properties.push(line("FN", escaped(name)));
    // Nobody said which part is which: the last word is mostly the family's.
    let (given, family) = match name.rsplit_once(' ') {
        Some((given, family)) if is_person => (given.trim(), family),
        _ => ("", name),
    };
    card.properties.push(line("N", format!("{};{};;;", escaped(family), escaped(given))));
    for (at, address) in addresses.iter().enumerate() {
        let mut email = line("EMAIL", escaped(address));
        let types = if at == 0 { vec!["INTERNET", "PREF"] } else { vec!["INTERNET"] };
        let values = types.into_iter().map(str::to_owned).collect();
        email.parameters.push(Parameter { name: "TYPE".to_owned(), values });
        card.properties.push(email);
    }
    if let Some(organisation) = organisation {
        card.properties.push(line("ORG", escaped(organisation)));
    }
    let mut text = String::new();
    write(&card, &mut text);
    text
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{Facts, parse};
    use super::*;

    #[test]
    fn what_is_written_is_a_card() {
        let addresses = ["ana@x.test".to_owned(), "a@x.test".to_owned()];
        let text = directory_card("u-1", "Ana María; Ñandú", &addresses, Some("Terns, Ltd."), true);
        let card = parse(text.as_bytes()).unwrap();
        let facts = Facts::of(&card).unwrap();
        assert_eq!((facts.uid.as_str(), facts.name.as_str()), ("u-1", "Ana María; Ñandú"));
        assert_eq!(facts.addresses, addresses);
        assert!(text.contains("N:Ñandú;Ana María\\;;;;") && text.contains("ORG:Terns\\, Ltd."), "{text}");
        let group = directory_card("u-2", "All hands", &[], None, false);
        assert!(group.contains("N:All hands;;;;"), "{group}");
    }
}
