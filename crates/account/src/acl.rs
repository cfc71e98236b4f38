//! Who may do what with a container besides its owner (RFC 4314).
//!
//! [`Rights`] are letters, an [`Identifier`] is somebody of the directory, an [`Acl`] says which identifier has which
//! rights. Identifiers are ids and not addresses, so that whoever is renamed keeps what they were given. That the owner
//! of an account may do everything is nowhere stored, and so can't be lost.

use std::fmt;
use std::ops::{BitAnd, BitOr, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, DomainId};

/// Most entries in the list of one container. Whoever needs more has a group for it.
pub const ACL_ENTRIES_MAX: usize = 500;

/// A set of rights (RFC 4314 section 2.1), one bit for each of [`Rights::LETTERS`]. The bits are stored.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rights(u16);

impl Rights {
    /// The letters in the order of their bits.
    pub const LETTERS: &str = "lrswipkxtea9";
    /// None at all.
    pub const NONE: Rights = Rights(0);
    /// Every right of RFC 4314. Whoever may read needs no [`Rights::FREE_BUSY`] besides.
    pub const ALL: Rights = Rights(0x7ff);
    /// `l`: the mailbox is seen by LIST.
    pub const LOOKUP: Rights = Rights(1);
    /// `r`: SELECT, STATUS.
    pub const READ: Rights = Rights(1 << 1);
    /// `s`: `\Seen`.
    pub const SEEN: Rights = Rights(1 << 2);
    /// `w`: flags but `\Seen` and `\Deleted`.
    pub const WRITE: Rights = Rights(1 << 3);
    /// `i`: APPEND, and COPY into it.
    pub const INSERT: Rights = Rights(1 << 4);
    /// `p`: mail to its own address; kept, and asked of by nobody yet.
    pub const POST: Rights = Rights(1 << 5);
    /// `k`: mailboxes below it are made.
    pub const CREATE: Rights = Rights(1 << 6);
    /// `x`: the mailbox is deleted or renamed.
    pub const DELETE_MAILBOX: Rights = Rights(1 << 7);
    /// `t`: `\Deleted`.
    pub const DELETE: Rights = Rights(1 << 8);
    /// `e`: EXPUNGE.
    pub const EXPUNGE: Rights = Rights(1 << 9);
    /// `a`: the list of rights is read and changed.
    pub const ADMINISTER: Rights = Rights(1 << 10);
    /// `9`: when the owner is busy is told, and nothing else (RFC 4791 section 6.1.1); the letter is that of Cyrus. It
    /// is no reason to be listed, so that a calendar can be open to everybody without being in everybody's way.
    pub const FREE_BUSY: Rights = Rights(1 << 11);

    /// The rights of these letters, for constants; letters that name none are passed over.
    pub const fn from_letters(letters: &str) -> Self {
        let (known, letters) = (Rights::LETTERS.as_bytes(), letters.as_bytes());
        let (mut bits, mut at) = (0, 0);
        while at < letters.len() {
            let mut bit = 0;
            while bit < known.len() {
                if known[bit] == letters[at] {
                    bits |= 1 << bit;
                }
                bit += 1;
            }
            at += 1;
        }
        Rights(bits)
    }

    /// What RFC 2086 called `c`: making and deleting mailboxes (RFC 4314 section 2.1.1; grouped as Cyrus does).
    const OLD_CREATE: Rights = Rights(Rights::CREATE.0 | Rights::DELETE_MAILBOX.0);
    /// What RFC 2086 called `d`.
    const OLD_DELETE: Rights = Rights(Rights::DELETE.0 | Rights::EXPUNGE.0);

    /// The rights that letters name; those of RFC 2086 are taken for what they were.
    ///
    /// # Errors
    /// The first letter that names none.
    pub fn parse(letters: &str) -> Result<Self, UnknownRight> {
        let mut rights = Rights::NONE;
        for letter in letters.chars() {
            rights = rights
                | match letter {
                    'c' => Rights::OLD_CREATE,
                    'd' => Rights::OLD_DELETE,
                    letter => match Rights::LETTERS.find(letter) {
                        Some(bit) => Rights(1 << bit),
                        None => return Err(UnknownRight(letter)),
                    },
                };
        }
        Ok(rights)
    }

    /// Whether all of these are among them.
    pub fn has(self, all: Rights) -> bool {
        self & all == all
    }

    /// Whether any of these is among them.
    pub fn has_any(self, of: Rights) -> bool {
        !(self & of).is_empty()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The letters with `c` and `d` of RFC 2086 where any right of theirs is, as ACL and MYRIGHTS show them (RFC 4314
    /// section 2.1.1).
    pub fn with_old_letters(self) -> String {
        let mut letters = self.to_string();
        for (letter, members) in [('c', Rights::OLD_CREATE), ('d', Rights::OLD_DELETE)] {
            if self.has_any(members) {
                letters.push(letter);
            }
        }
        letters
    }
}

impl BitOr for Rights {
    type Output = Rights;
    fn bitor(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }
}

impl BitAnd for Rights {
    type Output = Rights;
    fn bitand(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }
}

impl Sub for Rights {
    type Output = Rights;
    fn sub(self, other: Rights) -> Rights {
        Rights(self.0 & !other.0)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = Rights::LETTERS.chars().enumerate().filter(|(bit, _)| self.0 & (1 << bit) != 0);
        set.map(|(_, letter)| letter).try_for_each(|letter| write!(f, "{letter}"))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({self})")
    }
}

/// A letter that names no right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no right “{0}”")]
pub struct UnknownRight(pub char);

/// Whom an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Identifier {
    /// Everybody who can log in.
    Anyone,
    /// A user, a group or a shared mailbox, by its id in the directory.
    Entry(AccountId),
    /// Everybody whose main address is in a domain.
    Domain(DomainId),
}

impl Identifier {
    /// The user, group or shared mailbox that is meant, if it is one.
    pub fn entry(self) -> Option<AccountId> {
        match self {
            Identifier::Entry(id) => Some(id),
            Identifier::Anyone | Identifier::Domain(_) => None,
        }
    }

    /// The domain that is meant, if it is one.
    pub fn domain(self) -> Option<DomainId> {
        match self {
            Identifier::Domain(id) => Some(id),
            Identifier::Anyone | Identifier::Entry(_) => None,
        }
    }
}

/// What stands before the id of a domain.
const DOMAIN: &str = "domain:";

/// Stored, and the key of rows in the directory: `anyone`, an id in decimal, or `domain:` and one.
impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identifier::Anyone => f.write_str("anyone"),
            Identifier::Entry(id) => write!(f, "{id}"),
            Identifier::Domain(id) => write!(f, "{DOMAIN}{id}"),
        }
    }
}

/// A stored list that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the list of rights can't be read")]
pub struct InvalidAcl;

impl FromStr for Identifier {
    type Err = InvalidAcl;
    fn from_str(text: &str) -> Result<Self, InvalidAcl> {
        match text {
            "anyone" => Ok(Identifier::Anyone),
            text if text.starts_with(DOMAIN) => {
                text[DOMAIN.len()..].parse().map(Identifier::Domain).map_err(|_| InvalidAcl)
            }
            id => id.parse().map(Identifier::Entry).map_err(|_| InvalidAcl),
        }
    }
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclEntry {
    /// Whom it is about.
    pub identifier: Identifier,
    /// Whether the rights are taken away instead of given (RFC 4314 section 2: identifiers with `-`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub negative: bool,
    /// Which; never none.
    pub rights: Rights,
}

/// Who may do what, besides the owner.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Acl {
    /// By identifier, what is given before what is taken away, each once.
    entries: Vec<AclEntry>,
}

impl Acl {
    /// The entries in their order.
    pub fn entries(&self) -> &[AclEntry] {
        &self.entries
    }

    /// Whether nobody besides the owner is named.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What an entry gives or takes away; none when there is no such entry.
    pub fn get(&self, identifier: Identifier, negative: bool) -> Rights {
        self.place(identifier, negative).map_or(Rights::NONE, |at| self.entries[at].rights)
    }

    /// Puts these rights in the place of an entry; none removes it. Whether that changed anything.
    pub fn set(&mut self, identifier: Identifier, negative: bool, rights: Rights) -> bool {
        match self.place(identifier, negative) {
            Ok(at) if self.entries[at].rights == rights => return false,
            Ok(at) if rights.is_empty() => drop(self.entries.remove(at)),
            Ok(at) => self.entries[at].rights = rights,
            Err(_) if rights.is_empty() => return false,
            Err(at) => self.entries.insert(at, AclEntry { identifier, negative, rights }),
        }
        true
    }

    fn place(&self, identifier: Identifier, negative: bool) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&(identifier, negative), |entry| (entry.identifier, entry.negative))
    }

    /// The rights of whoever is all of these: what any entry gives, less what any takes away (RFC 4314 section 2).
    pub fn rights(&self, is_one_of: impl Fn(Identifier) -> bool) -> Rights {
        let sum = |negative: bool| {
            let meant = self.entries.iter().filter(|entry| entry.negative == negative && is_one_of(entry.identifier));
            meant.fold(Rights::NONE, |sum, entry| sum | entry.rights)
        };
        sum(false) - sum(true)
    }

    /// Who is given something that is found by a listing: more than [`Rights::FREE_BUSY`].
    pub fn grantees(&self) -> impl Iterator<Item = Identifier> {
        let is_listed = |entry: &&AclEntry| !entry.negative && !(entry.rights - Rights::FREE_BUSY).is_empty();
        self.entries.iter().filter(is_listed).map(|entry| entry.identifier)
    }
}

/// The stored form: `7=lrs -7=w anyone=l`.
impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, entry) in self.entries.iter().enumerate() {
            let (space, sign) = (if at > 0 { " " } else { "" }, if entry.negative { "-" } else { "" });
            write!(f, "{space}{sign}{}={}", entry.identifier, entry.rights)?;
        }
        Ok(())
    }
}

impl FromStr for Acl {
    type Err = InvalidAcl;
    fn from_str(text: &str) -> Result<Self, InvalidAcl> {
        let mut acl = Acl::default();
        for entry in text.split_ascii_whitespace() {
            let (name, rights) = entry.split_once('=').ok_or(InvalidAcl)?;
            let (negative, name) = name.strip_prefix('-').map_or((false, name), |name| (true, name));
            let rights = Rights::parse(rights).map_err(|_| InvalidAcl)?;
            acl.set(name.parse()?, negative, rights);
        }
        Ok(acl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: Identifier = Identifier::Entry(AccountId(7));
    const STAFF: Identifier = Identifier::Entry(AccountId(8));

    fn rights(letters: &str) -> Rights {
        Rights::parse(letters).unwrap()
    }

    #[test]
    fn letters_name_rights_and_old_ones_are_taken_for_what_they_were() {
        assert_eq!(rights(Rights::LETTERS), Rights::ALL | Rights::FREE_BUSY);
        assert_eq!((Rights::ALL | Rights::FREE_BUSY).to_string(), Rights::LETTERS);
        assert_eq!(rights("cd"), rights("kxte"));
        assert_eq!(rights("lrt").with_old_letters(), "lrtd");
        assert_eq!(rights("kl").with_old_letters(), "lkc");
        assert_eq!(rights("lr").with_old_letters(), "lr");
        assert_eq!(Rights::parse("lrQ"), Err(UnknownRight('Q')));
        assert_eq!(Rights::parse("lrq"), Err(UnknownRight('q')));
    }

    #[test]
    fn what_is_taken_away_counts_more_than_what_anybody_gives() {
        let mut acl = Acl::default();
        assert!(acl.set(Identifier::Anyone, false, rights("lr")));
        assert!(acl.set(STAFF, false, rights("lrswi")));
        assert!(acl.set(ANA, true, rights("w")));
        assert!(!acl.set(ANA, true, rights("w")));
        assert_eq!(acl.rights(|who| who == Identifier::Anyone), rights("lr"));
        assert_eq!(acl.rights(|_| true), rights("lrsi"));
        assert_eq!(acl.rights(|_| false), Rights::NONE);
        assert_eq!(acl.grantees().collect::<Vec<_>>(), [Identifier::Anyone, STAFF]);
    }

    #[test]
    fn the_stored_form_comes_back() {
        let mut acl = Acl::default();
        for (who, negative, letters) in [(ANA, true, "w"), (Identifier::Anyone, false, "l"), (ANA, false, "lrs")] {
            acl.set(who, negative, rights(letters));
        }
        assert_eq!(acl.to_string(), "anyone=l 7=lrs -7=w");
        assert_eq!(acl.to_string().parse(), Ok(acl.clone()));
        assert!(acl.set(ANA, false, Rights::NONE) && acl.set(ANA, true, Rights::NONE));
        assert!(acl.set(Identifier::Domain(DomainId(3)), false, rights("9")));
        assert_eq!(acl.to_string(), "anyone=l domain:3=9");
        assert_eq!(acl.to_string().parse(), Ok(acl.clone()));
        assert_eq!(acl.grantees().collect::<Vec<_>>(), [Identifier::Anyone], "who is only told when is not listed");
        assert_eq!("domain:".parse::<Identifier>(), Err(InvalidAcl));
        for bad in ["7", "7=q", "x=l", "=l"] {
            assert_eq!(bad.parse::<Acl>(), Err(InvalidAcl), "{bad}");
        }
    }
}
