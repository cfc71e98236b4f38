//! What an archive says of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sterna_account::{ContainerKind, SpecialUse};

/// The layout that this version writes and reads.
pub const FORMAT: u32 = 1;

/// Longest manifest, in bytes.
pub const MANIFEST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The first file of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Whose it was.
    pub address: String,
    /// When it was written, in milliseconds since 1970.
    pub written_at: i64,
    /// The mail folders, those above before those below.
    pub folders: Vec<Folder>,
    /// Calendars, task lists, journals and address books.
    pub collections: Vec<Collection>,
    /// Calendars that others publish: they are fetched anew.
    pub published: Vec<Published>,
    /// Who else may do what. It is given again only when somebody says so: elsewhere an address is somebody else.
    pub shares: Vec<Share>,
    /// Mailbox names that the owner subscribed to.
    pub subscriptions: Vec<String>,
    /// The script that ran.
    pub active_script: Option<String>,
}

/// A mail folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Folder {
    /// Its place in the archive: `mail`, `mail/.Archive`.
    pub dir: String,
    /// Its name, part by part.
    pub path: Vec<String>,
    /// What it is for (RFC 6154).
    pub special_use: Option<SpecialUse>,
    /// Its UIDVALIDITY; without it the messages get new UIDs.
    pub uid_validity: Option<u32>,
    /// Its UIDNEXT.
    pub uid_next: Option<u32>,
    /// Its HIGHESTMODSEQ.
    pub highest_modseq: Option<u64>,
    /// The keywords that letters in file names stand for, from `a` on.
    pub keywords: Vec<String>,
    /// Messages with keywords for which there is no letter, by UID.
    pub more_keywords: BTreeMap<u32, Vec<String>>,
    /// What clients noted about it (METADATA, RFC 5464), by name.
    pub notes: BTreeMap<String, String>,
}

/// A calendar, a task list, a journal or an address book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Collection {
    /// Its place in the archive: `calendars/Work`.
    pub dir: String,
    /// "calendar", "tasks", "journal" or "contacts".
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What was set about it (dead properties of WebDAV), by name.
    pub notes: BTreeMap<String, String>,
}

/// A calendar that somebody publishes as a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Published {
    /// Where.
    pub url: String,
    /// What programs show, when the owner said so.
    pub name: Option<String>,
    /// How often it is fetched, in minutes, when the owner said so.
    pub refresh_minutes: Option<i64>,
}

/// A right that somebody else has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Share {
    /// "mailbox", "calendar", "address-book" or "folder": what it is of.
    pub kind: String,
    /// The full name; nothing for all mailboxes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// To whom: an address, `@` and a domain, `anyone`; with `-` before it, it is taken away.
    pub identifier: String,
    /// Letters of RFC 4314, or a level.
    pub rights: String,
}

/// The last file of an archive: how much there was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
#[schemars(rename = "ArchiveSummary")]
pub struct Summary {
    /// Messages.
    pub messages: u64,
    /// Events, tasks, journals, cards.
    pub objects: u64,
    /// Files.
    pub files: u64,
    /// Scripts.
    pub scripts: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// The kinds of collections and their words.
const KINDS: [(&str, ContainerKind); 4] = [
    ("calendar", ContainerKind::Calendar),
    ("tasks", ContainerKind::Tasks),
    ("journal", ContainerKind::Notes),
    ("contacts", ContainerKind::AddressBook),
];

/// The word for a kind of collection; `None` for those that are none.
pub fn word_of(kind: ContainerKind) -> Option<&'static str> {
    KINDS.iter().find(|(_, known)| *known == kind).map(|(word, _)| *word)
}

/// The kind of collection that a word stands for.
pub fn kind_of(word: &str) -> Option<ContainerKind> {
    KINDS.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind)
}
