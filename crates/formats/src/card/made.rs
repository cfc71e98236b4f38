//! Cards that the server itself writes.

use crate::content_line::{Component, Parameter, Property, write};

/// What a card of the organisation's directory says.
#[derive(Clone, Copy, Debug, Default)]
pub struct DirectoryCard<'a> {
    /// The same for as long as it is about the same.
    pub uid: &'a str,
    /// For people.
    pub name: &'a str,
    /// Addresses for mail, the preferred one first.
    pub addresses: &'a [String],
    /// What somebody works for.
    pub organisation: Option<&'a str>,
    /// A telephone number.
    pub phone: Option<&'a str>,
    /// For people.
    pub note: Option<&'a str>,
    /// Whether the name is a person's, of which the last word is mostly the family's.
    pub is_person: bool,
}

/// A card of the organisation's directory (vCard 3.0, which every program reads).
pub fn directory_card(of: &DirectoryCard<'_>) -> String {
    let line = |name: &str, value: String| Property { name: name.to_owned(), value, ..Property::default() };
    let mut card = Component { name: "VCARD".to_owned(), ..Component::default() };
    card.properties.push(line("VERSION", "3.0".to_owned()));
    card.properties.push(line("UID", escaped(of.uid)));
    card.properties.push(line("FN", escaped(of.name)));
    // Nobody said which part is which: the last word is mostly the family's.
    let (given, family) = match of.name.rsplit_once(' ') {
        Some((given, family)) if of.is_person => (given.trim(), family),
        _ => ("", of.name),
    };
    card.properties.push(line("N", format!("{};{};;;", escaped(family), escaped(given))));
    for (at, address) in of.addresses.iter().enumerate() {
        let mut email = line("EMAIL", escaped(address));
        let types = if at == 0 { vec!["INTERNET", "PREF"] } else { vec!["INTERNET"] };
        let values = types.into_iter().map(str::to_owned).collect();
        email.parameters.push(Parameter { name: "TYPE".to_owned(), values });
        card.properties.push(email);
    }
    for (name, value) in [("ORG", of.organisation), ("TEL", of.phone), ("NOTE", of.note)] {
        card.properties.extend(value.map(|value| line(name, escaped(value))));
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
        let text = directory_card(&DirectoryCard {
            uid: "u-1",
            name: "Ana María; Ñandú",
            addresses: &addresses,
            organisation: Some("Terns, Ltd."),
            phone: Some("+49 30 1; x"),
            note: None,
            is_person: true,
        });
        let card = parse(text.as_bytes()).unwrap();
        let facts = Facts::of(&card).unwrap();
        assert_eq!((facts.uid.as_str(), facts.name.as_str()), ("u-1", "Ana María; Ñandú"));
        assert_eq!(facts.addresses, addresses);
        assert!(text.contains("N:Ñandú;Ana María\\;;;;") && text.contains("ORG:Terns\\, Ltd."), "{text}");
        assert!(text.contains("TEL:+49 30 1\\; x") && !text.contains("NOTE"), "{text}");
        let group = directory_card(&DirectoryCard { uid: "u-2", name: "All hands", ..DirectoryCard::default() });
        assert!(group.contains("N:All hands;;;;"), "{group}");
    }
}
