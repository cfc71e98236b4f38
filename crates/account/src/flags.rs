//! Flags: the five that RFC 9051 section 2.3.2 defines for every message, and keywords, which users invent.

use std::fmt;

use serde::{Deserialize, Serialize};
use sterna_base::limits::{KEYWORD_BYTES_MAX, KEYWORDS_PER_CONTAINER_MAX};

/// A flag with a meaning of its own. `\Recent` is not one: it belongs to a session, not to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum SystemFlag {
    /// `\Seen`
    Seen = 1,
    /// `\Answered`
    Answered = 2,
    /// `\Flagged`
    Flagged = 4,
    /// `\Deleted`
    Deleted = 8,
    /// `\Draft`
    Draft = 16,
}

impl SystemFlag {
    /// All of them, in the order in which servers usually list them.
    pub const ALL: [SystemFlag; 5] =
        [SystemFlag::Answered, SystemFlag::Flagged, SystemFlag::Deleted, SystemFlag::Seen, SystemFlag::Draft];

    /// The name in IMAP, with its backslash.
    pub fn name(self) -> &'static str {
        match self {
            SystemFlag::Seen => "\\Seen",
            SystemFlag::Answered => "\\Answered",
            SystemFlag::Flagged => "\\Flagged",
            SystemFlag::Deleted => "\\Deleted",
            SystemFlag::Draft => "\\Draft",
        }
    }

    /// The flag of this name (with its backslash), in any case.
    pub fn parse(name: &str) -> Option<Self> {
        SystemFlag::ALL.into_iter().find(|flag| flag.name().eq_ignore_ascii_case(name))
    }
}

/// A flag that users or clients invented: an IMAP atom of at most [`KEYWORD_BYTES_MAX`] bytes. Compared without regard
/// to case (RFC 9051 section 2.3.2), kept as first written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Keyword(String);

/// Why a text can't be a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a keyword is an atom of 1 to {KEYWORD_BYTES_MAX} bytes")]
pub struct InvalidKeyword;

impl Keyword {
    /// Checks the grammar (`flag-keyword = atom`).
    ///
    /// # Errors
    /// When the text is empty, too long, or has a character that an atom can't have.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidKeyword> {
        let text = text.into();
        let atom_char = |b: u8| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b);
        let valid = !text.is_empty() && text.len() <= KEYWORD_BYTES_MAX && text.bytes().all(atom_char);
        if valid { Ok(Keyword(text)) } else { Err(InvalidKeyword) }
    }

    /// As first written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl TryFrom<String> for Keyword {
    type Error = InvalidKeyword;
    fn try_from(text: String) -> Result<Self, InvalidKeyword> {
        Keyword::new(text)
    }
}

impl From<Keyword> for String {
    fn from(keyword: Keyword) -> String {
        keyword.0
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Flags of one item as they are stored and compared: bits. Bit `n` of `keywords` is the `n`th entry of the
/// container's keyword list, which only grows ([`crate::Container::keywords`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct Flags {
    /// [`SystemFlag`] values, added up.
    pub system: u8,
    /// One bit for each keyword of the container.
    pub keywords: u128,
}

const _: () = assert!(KEYWORDS_PER_CONTAINER_MAX == u128::BITS as usize);

impl Flags {
    /// Whether the flag is set.
    pub fn has(self, flag: SystemFlag) -> bool {
        self.system & flag as u8 != 0
    }

    /// The bit numbers of the keywords that are set, rising.
    pub fn keyword_bits(self) -> impl Iterator<Item = usize> {
        let mut rest = self.keywords;
        std::iter::from_fn(move || {
            let bit = rest.trailing_zeros();
            (bit < u128::BITS).then(|| {
                rest &= rest - 1;
                bit as usize
            })
        })
    }
}

/// Flags by name, as a client or a mutation gives them.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FlagSet {
    /// [`SystemFlag`] values, added up.
    pub system: u8,
    /// Keywords, without repetition.
    pub keywords: Vec<Keyword>,
}

impl FlagSet {
    /// Adds a system flag.
    pub fn with(mut self, flag: SystemFlag) -> Self {
        self.system |= flag as u8;
        self
    }

    /// Adds a keyword unless it is there.
    pub fn insert(&mut self, keyword: Keyword) {
        if !self.keywords.contains(&keyword) {
            self.keywords.push(keyword);
        }
    }

    /// Whether there is no flag at all.
    pub fn is_empty(&self) -> bool {
        self.system == 0 && self.keywords.is_empty()
    }

    /// Bits under a container's keyword list; keywords that the list lacks are left out.
    pub fn bits(&self, known: &[Keyword]) -> Flags {
        let bit = |keyword: &Keyword| known.iter().position(|k| k == keyword);
        let keywords = self.keywords.iter().filter_map(bit).fold(0, |bits, bit| bits | 1 << bit);
        Flags { system: self.system, keywords }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_atoms_and_ignore_case() {
        assert_eq!(Keyword::new("$Forwarded"), Keyword::new("$forwarded"));
        for wrong in ["", "a b", "a(b", "\\Seen", "é", &"x".repeat(KEYWORD_BYTES_MAX + 1)] {
            assert_eq!(Keyword::new(wrong), Err(InvalidKeyword), "{wrong}");
        }
    }

    #[test]
    fn keyword_bits_are_listed_rising() {
        let flags = Flags { system: 0, keywords: 1 | 1 << 5 | 1 << 127 };
        assert_eq!(flags.keyword_bits().collect::<Vec<_>>(), [0, 5, 127]);
    }
}
