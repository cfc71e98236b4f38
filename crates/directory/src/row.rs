//! Rows: the one form in which everything in the directory is stored, followed and compared.
//!
//! A row is a kind, a key, a modseq and a content in JSON. The content is kept byte for byte as the main node wrote it,
//! so that a follower of an older version carries fields and kinds that it doesn't know.

use std::fmt;

use serde::{Deserialize, Serialize};
use sterna_account::Digest;
use sterna_base::{AccountId, DomainId, InstallationId, JobId, Modseq, NodeId};

use crate::model::{
    Copy, Domain, Group, Job, MainNode, Member, Membership, Migration, Move, PendingStore, Placement, Scope, Server,
    Setting, SettingChange, SharedMailbox, Update, UpdateEvent, User,
};

/// The kinds of rows. The numbers are stored and travel between versions: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u16)]
pub enum RowKind {
    /// [`crate::model::Counter`]
    Counter = 1,
    /// [`Setting`]
    Setting = 2,
    /// [`Server`]
    Server = 3,
    /// [`Domain`]
    Domain = 4,
    /// [`User`]
    User = 5,
    /// [`Group`]
    Group = 6,
    /// [`SharedMailbox`]
    Shared = 7,
    /// [`Placement`]
    Placement = 8,
    /// [`Membership`]
    Member = 9,
    /// [`PendingStore`]
    PendingStore = 10,
    /// [`Copy`]
    Copy = 11,
    /// [`Move`]
    Move = 12,
    /// [`Job`]
    Job = 13,
    /// [`SettingChange`]
    SettingChange = 14,
    /// [`crate::Share`]
    Share = 20,
    /// [`crate::DkimKey`]
    DkimKey = 21,
    /// [`crate::rights::Role`]
    Role = 22,
    /// [`crate::rights::Grant`]
    Grant = 23,
    /// [`crate::rights::ApiToken`]
    ApiToken = 24,
    /// [`crate::rights::AppPassword`]
    AppPassword = 25,
    /// [`crate::rights::SecondFactor`]
    SecondFactor = 26,
    /// [`crate::Source`]
    Source = 27,
    /// [`crate::Link`]
    Link = 28,
    /// [`crate::Deleted`]
    Deleted = 29,
    /// What entries in the bin were part of.
    DeletedParts = 30,
    /// [`MainNode`]
    MainNode = 31,
    /// [`Migration`]
    Migration = 32,
    /// [`crate::rights::Passkey`]
    Passkey = 33,
    /// [`Update`]
    Update = 34,
    /// [`UpdateEvent`]
    UpdateEvent = 35,
    /// [`crate::firewall::Firewall`]
    Firewall = 36,
    /// [`crate::JobEvent`]
    JobEvent = 37,
    /// [`crate::acme::Certificate`]
    Certificate = 40,
    /// [`crate::acme::Acme`]
    Acme = 41,
    /// [`crate::contact::Contact`]
    Contact = 42,
    /// [`crate::rights::Subject`]
    Subject = 43,
}

impl RowKind {
    /// Every kind.
    pub const ALL: [RowKind; 36] = [
        RowKind::Counter,
        RowKind::Setting,
        RowKind::Server,
        RowKind::Domain,
        RowKind::User,
        RowKind::Group,
        RowKind::Shared,
        RowKind::Placement,
        RowKind::Member,
        RowKind::PendingStore,
        RowKind::Copy,
        RowKind::Move,
        RowKind::Job,
        RowKind::SettingChange,
        RowKind::Share,
        RowKind::DkimKey,
        RowKind::Role,
        RowKind::Grant,
        RowKind::ApiToken,
        RowKind::AppPassword,
        RowKind::SecondFactor,
        RowKind::Source,
        RowKind::Link,
        RowKind::Deleted,
        RowKind::DeletedParts,
        RowKind::MainNode,
        RowKind::Migration,
        RowKind::Passkey,
        RowKind::Update,
        RowKind::UpdateEvent,
        RowKind::Firewall,
        RowKind::JobEvent,
        RowKind::Certificate,
        RowKind::Acme,
        RowKind::Contact,
        RowKind::Subject,
    ];

    /// The kind with this number; `None` for one of a later version.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u16 == number)
    }

    /// Whether rows of this kind are users, groups or shared mailboxes.
    pub fn is_entry(self) -> bool {
        matches!(self, RowKind::User | RowKind::Group | RowKind::Shared)
    }
}

/// What can be the content of a row.
pub(crate) trait Content: Serialize + serde::de::DeserializeOwned {
    const KIND: RowKind;
    fn key(&self) -> String;
}

/// Keys have a fixed width where they are numbers, so that their order as text is the order of the numbers.
pub(crate) fn account_key(id: AccountId) -> String {
    format!("{:016x}", id.0)
}

pub(crate) fn domain_key(id: DomainId) -> String {
    format!("{:016x}", id.0)
}

pub(crate) fn server_key(id: NodeId) -> String {
    id.to_string()
}

/// A store of an account on one server: a copy, or one that is being made or deleted.
pub(crate) fn store_key(account: AccountId, server: NodeId) -> String {
    format!("{:016x}/{server}", account.0)
}

pub(crate) fn job_key(id: JobId) -> String {
    format!("{:016x}", id.0)
}

pub(crate) fn member_key(group: AccountId, member: &Member) -> String {
    format!("{:016x}/{}", group.0, member.key())
}

pub(crate) fn setting_key(scope: Scope, name: &str) -> String {
    match scope {
        Scope::System => format!("system/{name}"),
        Scope::Domain(id) => format!("{:016x}/{name}", id.0),
    }
}

impl Content for Setting {
    const KIND: RowKind = RowKind::Setting;
    fn key(&self) -> String {
        setting_key(self.scope, &self.name)
    }
}

/// Changes of settings that are looked back on; the next one takes the place of the oldest.
pub(crate) const SETTING_CHANGES_MAX: u64 = 1024;

impl Content for SettingChange {
    const KIND: RowKind = RowKind::SettingChange;
    fn key(&self) -> String {
        setting_change_key(self.number)
    }
}

pub(crate) fn setting_change_key(number: u64) -> String {
    format!("{:04x}", number % SETTING_CHANGES_MAX)
}

/// The key of a kind that has one row at most.
pub(crate) const ONLY_KEY: &str = "";

impl Content for MainNode {
    const KIND: RowKind = RowKind::MainNode;
    fn key(&self) -> String {
        ONLY_KEY.to_owned()
    }
}

impl Content for Migration {
    const KIND: RowKind = RowKind::Migration;
    fn key(&self) -> String {
        ONLY_KEY.to_owned()
    }
}

impl Content for Update {
    const KIND: RowKind = RowKind::Update;
    fn key(&self) -> String {
        ONLY_KEY.to_owned()
    }
}

/// Events of updates that are looked back on; the next one takes the place of the oldest.
pub(crate) const UPDATE_EVENTS_MAX: u64 = 256;

impl Content for UpdateEvent {
    const KIND: RowKind = RowKind::UpdateEvent;
    fn key(&self) -> String {
        format!("{:04x}", self.number % UPDATE_EVENTS_MAX)
    }
}

impl Content for Server {
    const KIND: RowKind = RowKind::Server;
    fn key(&self) -> String {
        server_key(self.id)
    }
}

impl Content for Domain {
    const KIND: RowKind = RowKind::Domain;
    fn key(&self) -> String {
        domain_key(self.id)
    }
}

impl Content for User {
    const KIND: RowKind = RowKind::User;
    fn key(&self) -> String {
        account_key(self.entry.id)
    }
}

impl Content for Group {
    const KIND: RowKind = RowKind::Group;
    fn key(&self) -> String {
        account_key(self.entry.id)
    }
}

impl Content for SharedMailbox {
    const KIND: RowKind = RowKind::Shared;
    fn key(&self) -> String {
        account_key(self.entry.id)
    }
}

impl Content for Placement {
    const KIND: RowKind = RowKind::Placement;
    fn key(&self) -> String {
        account_key(self.account)
    }
}

impl Content for PendingStore {
    const KIND: RowKind = RowKind::PendingStore;
    fn key(&self) -> String {
        store_key(self.account, self.server)
    }
}

impl Content for Copy {
    const KIND: RowKind = RowKind::Copy;
    fn key(&self) -> String {
        store_key(self.account, self.server)
    }
}

impl Content for Move {
    const KIND: RowKind = RowKind::Move;
    fn key(&self) -> String {
        account_key(self.account)
    }
}

impl Content for Job {
    const KIND: RowKind = RowKind::Job;
    fn key(&self) -> String {
        job_key(self.id)
    }
}

impl Content for Membership {
    const KIND: RowKind = RowKind::Member;
    fn key(&self) -> String {
        member_key(self.group, &self.member)
    }
}

/// Counters are the one kind that doesn't carry its key.
pub(crate) const ACCOUNT_COUNTER: &str = "account";
/// See [`ACCOUNT_COUNTER`].
pub(crate) const SETTING_CHANGE_COUNTER: &str = "setting-change";
/// See [`ACCOUNT_COUNTER`].
pub(crate) const JOB_COUNTER: &str = "job";
/// See [`ACCOUNT_COUNTER`].
pub(crate) const DOMAIN_COUNTER: &str = "domain";

/// One row as it is now. A row that changed twice since n appears once, at its last modseq.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// [`RowKind`] as a number, because a later version may have more kinds.
    pub kind: u16,
    /// Names the row inside its kind.
    pub key: String,
    /// The commit that last touched it.
    pub modseq: Modseq,
    /// The content in JSON; `None` when the row was deleted.
    pub content: Option<String>,
}

impl Change {
    /// Where this row stands in the order of changes.
    pub fn cursor(&self) -> Cursor {
        Cursor { modseq: self.modseq, kind: self.kind, key: self.key.clone() }
    }

    /// What the row adds to the directory's digest.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.kind.to_le_bytes());
        hasher.update(&(self.key.len() as u64).to_le_bytes());
        hasher.update(self.key.as_bytes());
        hasher.update(&self.modseq.0.to_le_bytes());
        match &self.content {
            None => hasher.update(&[0]),
            Some(content) => hasher.update(&[1]).update(content.as_bytes()),
        };
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Digest(u128::from_le_bytes(bytes))
    }
}

/// Contents hold password hashes; logs get the name of the row only.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.content.is_some() { "live" } else { "deleted" };
        write!(f, "Change({} {} at {}, {state})", self.kind, self.key, self.modseq)
    }
}

/// A place in the order of changes: by modseq, then kind, then key. One commit may touch more rows than a page holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cursor {
    /// The row's modseq.
    pub modseq: Modseq,
    /// The row's kind, as a number.
    pub kind: u16,
    /// The row's key.
    pub key: String,
}

impl Cursor {
    /// After everything up to and including modseq n: "since n".
    pub fn since(modseq: Modseq) -> Self {
        Cursor { modseq, kind: u16::MAX, key: String::new() }
    }

    /// Before everything.
    pub fn start() -> Self {
        Cursor::since(Modseq::ZERO)
    }
}

/// A page of changes, read at one instant, in the order of [`Cursor`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Which installation's directory this is.
    pub installation: InstallationId,
    /// What was asked for: the page has every row after it.
    pub after: Cursor,
    /// The rows.
    pub rows: Vec<Change>,
    /// The directory's modseq when the page was read.
    pub head: Modseq,
    /// The directory's digest when the page was read.
    pub digest: Digest,
    /// Where to go on; `None` when the page reaches the head.
    pub next: Option<Cursor>,
}

/// Which directory, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The installation's id; `None` in a copy that has never followed anybody.
    pub installation: Option<InstallationId>,
    /// The last commit: of the main node's, the one up to which this copy is complete.
    pub modseq: Modseq,
    /// Sum of [`Change::digest`] over all rows.
    pub digest: Digest,
    /// Where a follower asks on from; on the main node always "since modseq".
    pub position: Cursor,
}
