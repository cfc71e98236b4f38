//! What is known of a card without reading it again, and why one is refused (RFC 6352 sections 5.1 and 6.3.2.1).

use serde::{Deserialize, Serialize};

use crate::content_line::{Component, split_structured, unescape};

/// The version of the stored layout; others are made again from the card.
const VERSION: u8 = 0xd1;

/// Longest UID in bytes: it is a key.
const UID_BYTES_MAX: usize = 1024;

/// Most addresses that are kept beside a card.
const ADDRESSES_MAX: usize = 100;

/// Longest name that is kept beside a card, in characters.
const NAME_CHARS_MAX: usize = 200;

/// What is kept beside the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// UID
    pub uid: String,
    /// FN, or what stands for it.
    pub name: String,
    /// EMAIL
    pub addresses: Vec<String>,
    /// Whether it is a group (KIND, or what Apple calls so).
    pub is_group: bool,
}

/// Why a card is not taken: the precondition, and what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `CARDDAV:valid-address-data`
    #[error("it is no vCard: {0}")]
    Data(&'static str),
    /// `CARDDAV:supported-address-data`
    #[error("it is a vCard of an unknown version")]
    Version,
}

impl Facts {
    /// What is known of a card, if it may be stored in an address book.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn of(card: &Component) -> Result<Self, Refusal> {
        match card.value("VERSION").map(str::trim) {
            Some("3.0" | "4.0") => {}
            Some("2.1") | None => return Err(Refusal::Version),
            Some(_) => return Err(Refusal::Version),
        }
        let uid = card.text("UID").unwrap_or_default().trim().to_owned();
        if uid.is_empty() {
            return Err(Refusal::Data("it has no UID"));
        }
        if uid.len() > UID_BYTES_MAX {
            return Err(Refusal::Data("its UID is too long"));
        }
        let addresses = card.all("EMAIL").map(|address| unescape(&address.value).trim().to_owned());
        let addresses = addresses.filter(|address| !address.is_empty()).take(ADDRESSES_MAX).collect();
        let kind = card.value("KIND").or_else(|| card.value("X-ADDRESSBOOKSERVER-KIND"));
        let is_group = kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("group"));
        Ok(Facts { uid, name: name(card), addresses, is_group })
    }

    /// As stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(postcard::to_stdvec(self).unwrap_or_default());
        bytes
    }

    /// From what is stored; `None` when it was stored by another version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        if *version == VERSION { postcard::from_bytes(rest).ok() } else { None }
    }
}

fn name(card: &Component) -> String {
    let of_parts = || {
        let parts: Vec<String> = card.value("N").map(split_structured)?.take(2).map(unescape).collect();
        Some(parts.into_iter().rev().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "))
    };
    let name = card.text("FN").filter(|name| !name.trim().is_empty()).or_else(of_parts).unwrap_or_default();
    name.trim().chars().take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::parse;

    fn facts(lines: &str) -> Result<Facts, Refusal> {
        Facts::of(&parse(format!("BEGIN:VCARD\r\n{lines}\r\nEND:VCARD\r\n").as_bytes()).unwrap())
    }

    #[test]
    fn what_is_known() {
        let ana = facts("VERSION:3.0\r\nUID:u1\r\nN:Tavares;Ana;;;\r\nitem1.EMAIL;TYPE=WORK:ana@x.test").unwrap();
        assert_eq!((ana.uid.as_str(), ana.name.as_str(), ana.is_group), ("u1", "Ana Tavares", false));
        assert_eq!(ana.addresses, ["ana@x.test"]);
        assert_eq!(Facts::decode(&ana.encode()), Some(ana));
        let group = facts("VERSION:4.0\r\nUID:u2\r\nFN:Team\\, all\r\nKIND:group\r\nMEMBER:urn:uuid:u1").unwrap();
        assert!(group.is_group && group.name == "Team, all");
        assert_eq!(facts("VERSION:2.1\r\nUID:x"), Err(Refusal::Version));
        assert_eq!(facts("VERSION:3.0\r\nFN:x"), Err(Refusal::Data("it has no UID")));
        assert_eq!(Facts::decode(&[]), None);
        assert_eq!(Facts::decode(&[9, 9]), None);
    }
}
