//! Containers: the typed collections of an account, in a tree.

use serde::{Deserialize, Serialize};
use sterna_base::{ContainerId, Modseq, Uid, UidValidity};

use crate::{Acl, Digest, Keyword, Rights};

/// What a container's items are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum ContainerKind {
    /// A mail folder: its items are messages.
    Mail = 1,
    /// A calendar.
    Calendar = 2,
    /// An address book.
    AddressBook = 3,
    /// A task list.
    Tasks = 4,
    /// Notes.
    Notes = 5,
    /// A folder of files.
    Files = 6,
    /// Sieve scripts.
    Sieve = 7,
    /// Settings of the owner.
    Settings = 8,
    /// Mailbox names that the owner subscribed to (RFC 9051 section 6.3.7): items without content. A name may stay
    /// after its mailbox is gone, so this is not an attribute of the mailbox.
    Subscriptions = 9,
    /// Notes of clients about another container (METADATA, RFC 5464): one item for each, called by its name. Stands at
    /// the top and is called by the id of the container that it is about ([`ContainerKind::about`]). Whoever deletes
    /// that deletes it in the same commit; one that stays behind is about nothing: ids are never given again.
    Metadata = 10,
    /// What automatic answers remember: items without content, called by a hash of what they are about. Their internal
    /// date is the time until which they are remembered.
    Answered = 11,
    /// Locks that WebDAV clients hold (RFC 4918 section 6): one item for each, called by its token. Their internal date
    /// is the time at which they end.
    Locks = 12,
    /// The scheduling inbox of the owner (RFC 6638 section 2.2): iTIP messages that came, one item for each.
    ScheduleInbox = 13,
    /// The scheduling outbox (RFC 6638 section 2.1): iTIP messages of the owner that nobody has taken over yet, as
    /// items
    /// without a name. Each is written in the commit that makes it necessary, and goes when it is delivered.
    ScheduleOutbox = 14,
    /// A calendar that is made of something else: of a file at a URL ([`crate::calendars::external`]) or of the
    /// owner's contacts ([`crate::calendars::birthdays`]). Only the server that holds the account writes its items.
    DerivedCalendar = 15,
}

impl ContainerKind {
    /// Every kind.
    pub const ALL: [ContainerKind; 15] = [
        ContainerKind::Mail,
        ContainerKind::Calendar,
        ContainerKind::AddressBook,
        ContainerKind::Tasks,
        ContainerKind::Notes,
        ContainerKind::Files,
        ContainerKind::Sieve,
        ContainerKind::Settings,
        ContainerKind::Subscriptions,
        ContainerKind::Metadata,
        ContainerKind::Answered,
        ContainerKind::Locks,
        ContainerKind::ScheduleInbox,
        ContainerKind::ScheduleOutbox,
        ContainerKind::DerivedCalendar,
    ];

    /// What the [`ContainerKind::Metadata`] about this container is called; `None` is the account itself.
    pub fn about(container: Option<ContainerId>) -> String {
        container.map_or_else(|| "account".to_owned(), |id| id.to_string())
    }

    /// What the owner of an account may do with a container of this kind.
    pub fn rights_of_owner(self) -> Rights {
        match self {
            ContainerKind::DerivedCalendar => Rights::ALL - (Rights::INSERT | Rights::DELETE | Rights::EXPUNGE),
            _ => Rights::ALL,
        }
    }

    /// The kind with this stored number.
    pub fn from_number(number: u8) -> Option<Self> {
        ContainerKind::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// What a mail folder is for (RFC 6154 section 2); `Inbox` is not an attribute of that RFC but the name every account
/// has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum SpecialUse {
    /// The INBOX: exactly one in an account with mail, never deleted, never given to another folder.
    Inbox = 1,
    /// `\Archive`
    Archive = 2,
    /// `\Drafts`
    Drafts = 3,
    /// `\Junk`
    Junk = 4,
    /// `\Sent`
    Sent = 5,
    /// `\Trash`
    Trash = 6,
}

impl SpecialUse {
    /// Every use.
    pub const ALL: [SpecialUse; 6] = [
        SpecialUse::Inbox,
        SpecialUse::Archive,
        SpecialUse::Drafts,
        SpecialUse::Junk,
        SpecialUse::Sent,
        SpecialUse::Trash,
    ];

    /// The use with this stored number.
    pub fn from_number(number: u8) -> Option<Self> {
        SpecialUse::ALL.into_iter().find(|special_use| *special_use as u8 == number)
    }
}

/// Sums over a container's live items, kept in the commit that changes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Live items.
    pub items: u64,
    /// Bytes of the live items' contents.
    pub bytes: u64,
    /// Live items without `\Seen`.
    pub unseen: u64,
    /// Live items with `\Deleted`.
    pub deleted: u64,
    /// Bytes of the live items with `\Deleted` (STATUS DELETED-STORAGE, RFC 9208).
    pub deleted_bytes: u64,
}

/// One container as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Given at creation, for ever.
    pub id: ContainerId,
    /// The container it hangs under; `None` at the top.
    pub parent: Option<ContainerId>,
    /// Given at creation, for ever.
    pub kind: ContainerKind,
    /// The last part of its path, UTF-8, unique (for its kind) under its parent. The INBOX is called "INBOX".
    pub name: String,
    /// What it is for, if anything; at most one container of an account has a given use.
    pub special_use: Option<SpecialUse>,
    /// Given at creation, larger than that of every container made before it in this account; or that of another server
    /// ([`crate::Mutation::SetNumbers`]). No two containers that had one name have the same.
    pub uid_validity: UidValidity,
    /// The UID that the next item gets; only grows.
    pub uid_next: Uid,
    /// The modseq of the last commit that touched this row itself (creation, rename, attributes, keywords, counters).
    pub modseq: Modseq,
    /// The largest modseq of the row, its items and its tombstones (HIGHESTMODSEQ, RFC 7162 section 3.1.2.1).
    pub highest_modseq: Modseq,
    /// Sums over the live items.
    pub counts: Counts,
    /// Names of the keyword bits: entry `n` is bit `n` of [`crate::Flags::keywords`]. Only grows.
    pub keywords: Vec<Keyword>,
    /// Sum over the live items and tombstones.
    pub digest: Digest,
    /// Who may do what with it besides the owner of the account. A new container has its parent's.
    #[serde(default, skip_serializing_if = "Acl::is_empty")]
    pub acl: Acl,
}
