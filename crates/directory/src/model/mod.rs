//! What the directory holds, as typed rows.
//!
//! Users, groups and shared mailboxes share one number space, [`AccountId`], whether or not they have an account: a
//! group can be given a mailbox later without a new identity. Addresses name domains by id, so that renaming a domain
//! touches one row.

mod migration;
mod moves;
mod update;

use std::fmt;

use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, DomainId, Epoch, NodeId, Timestamp};
use sterna_formats::calendar::booking::Rules;

pub use migration::{MainNode, Migration, MigrationPhase, Pace};
pub use moves::{Copy, CopyPurpose, Durability, Job, JobKind, JobState, Move, MovePhase, StandbyStage};
pub use update::{
    Repository, Update, UpdateEvent, UpdateFinding, UpdatePhase, UpdatePlan, UpdateRun, UpdateWork, UpdateWorkState,
};

/// A mail domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// Given out by the directory, never reused.
    pub id: DomainId,
    /// The name, normalised; unique among names and aliases of all domains.
    pub name: String,
    /// Other names of the same domain: every address exists under them too. Rising.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The servers that new accounts of this domain may be placed on; empty is every server with the data role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<NodeId>,
    /// Suspended: nobody of it logs in, mail for it is refused for the time being.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspended: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An address of this installation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// The local part, normalised, without a plus-addressing detail.
    pub local: String,
    /// The domain.
    pub domain: DomainId,
}

/// What users, groups and shared mailboxes have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Given out by the directory, never reused.
    pub id: AccountId,
    /// The main address.
    pub address: Address,
    /// Further addresses, in any domains of the installation. Rising.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<Address>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// Suspended: no log-in, no mail.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspended: bool,
    /// The organisational unit within its domain, as a path (`sales/north`); empty is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// Whether it is left out of the directory's address book.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// Addresses, here or elsewhere, that its mail goes to as well. Rising; a group has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forward_to: Vec<String>,
    /// Whether its mail goes there only, and not to the account.
    #[serde(default, skip_serializing_if = "is_false")]
    pub forward_only: bool,
    /// Users who may send with its addresses, and groups whose members may. Rising.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub senders: Vec<AccountId>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Entry {
    /// Every address, the main one first.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        std::iter::once(&self.address).chain(&self.aliases)
    }
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Name and addresses.
    #[serde(flatten)]
    pub entry: Entry,
    /// A name to log in with besides the addresses; no `@` in it, unique in the installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The password's hash as a PHC string; `None` forbids log-in by password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<PasswordHash>,
    /// What SCRAM-SHA-256 needs of the same password ([`sterna_account::scram::ScramVerifier`]); `None` forbids log-in
    /// by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scram: Option<Scram>,
    /// When the password was last changed: sessions of before were opened with another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_at: Option<Timestamp>,
    /// May administer the installation, and gets the mail of a postmaster that nobody else was named for.
    #[serde(default, skip_serializing_if = "is_false")]
    pub admin: bool,
    /// Most bytes of all items; `None` is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
}

/// A mailbox that belongs to nobody in particular: addresses and an account, no log-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedMailbox {
    /// Name and addresses.
    #[serde(flatten)]
    pub entry: Entry,
    /// Most bytes of all items; `None` is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
    /// Set when it is a room or a thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
}

/// What makes a mailbox a room or a thing that is booked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// By which rules.
    #[serde(flatten)]
    pub rules: Rules,
    /// Users and groups who decide where the rules don't. Rising.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managers: Vec<AccountId>,
}

/// A list of recipients. Its members are rows of their own ([`Membership`]), so that joining a group of any size is a
/// change of one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Name and addresses.
    #[serde(flatten)]
    pub entry: Entry,
    /// Whether addresses outside of the installation may be members.
    #[serde(default, skip_serializing_if = "is_false")]
    pub external_members: bool,
    /// Whether only senders of the installation (logged in) may write to it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub internal_senders_only: bool,
}

/// One member of one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The group.
    pub group: AccountId,
    /// Who is in it.
    pub member: Member,
}

/// Who can be in a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Member {
    /// A user, a shared mailbox or another group.
    Local(AccountId),
    /// An address elsewhere.
    External(String),
}

impl Member {
    /// The part of the row's key that names the member.
    pub(crate) fn key(&self) -> String {
        match self {
            Member::Local(id) => format!("a{:016x}", id.0),
            Member::External(address) => format!("x{address}"),
        }
    }
}

/// A machine of the installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its id, which it made itself.
    pub id: NodeId,
    /// For people and for the command line; unique.
    pub name: String,
    /// Where its nodes' interface is: `host:port`. Never its identity.
    pub address: String,
    /// What it does.
    pub roles: Roles,
    /// Share of new accounts that it gets, relative to the other servers; 0 is none by policy, only explicitly.
    #[serde(default = "one")]
    pub weight: u32,
    /// Whether accounts are placed on it at all.
    #[serde(default = "yes")]
    pub accepts_new_accounts: bool,
    /// Free bytes where its accounts are, when it last said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// When it last said so; of the other numbers that it says of itself as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes_at: Option<Timestamp>,
    /// It is being emptied: no account is placed on it, and no move to it is planned but back to it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub draining: bool,
    /// Bytes of the disk where its accounts are, used or not, as it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_bytes: Option<u64>,
    /// Bytes that its accounts take there, as it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_bytes: Option<u64>,
    /// The version that it runs, as it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where accounts get a standby copy when they come to live on this server: when they are made, and when a move to
    /// it is committed. What it is changed to holds from then on; accounts that are there already are told one by one
    /// ([`crate::Request::PutStandby`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standby: Option<ServerStandby>,
    /// When it joined.
    pub created_at: Timestamp,
}

/// What stands by for the accounts of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerStandby {
    /// Where their copies are.
    pub server: NodeId,
    /// What acknowledgements wait for.
    pub durability: Durability,
}

/// The roles that a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct Roles {
    /// Owns the directory.
    #[serde(default)]
    pub main: bool,
    /// Holds accounts.
    #[serde(default)]
    pub data: bool,
    /// Speaks the protocols.
    #[serde(default)]
    pub edge: bool,
}

impl Roles {
    /// All three: a single machine.
    pub const ALL: Roles = Roles { main: true, data: true, edge: true };

    /// The names of the roles that are set.
    pub fn names(self) -> Vec<&'static str> {
        [("main", self.main), ("data", self.data), ("edge", self.edge)]
            .into_iter()
            .filter_map(|(name, set)| set.then_some(name))
            .collect()
    }

    /// The roles with these names; `Err` holds the name that is none.
    ///
    /// # Errors
    /// The first unknown name.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut roles = Roles::default();
        for name in names {
            match name {
                "main" => roles.main = true,
                "data" => roles.data = true,
                "edge" => roles.edge = true,
                other => return Err(other),
            }
        }
        Ok(roles)
    }
}

/// Where an account lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The account.
    pub account: AccountId,
    /// Its data server.
    pub server: NodeId,
    /// Who may write: the store takes commits of this epoch only.
    pub epoch: Epoch,
}

/// A store that may be on a server without a placement that names it: one that is being made, or one that is to be
/// deleted. Whatever crashes or doesn't answer in between, this row is what the rest is cleaned up from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingStore {
    /// The account.
    pub account: AccountId,
    /// The server that has the store, or is about to.
    pub server: NodeId,
    /// When the id was reserved, or the entry deleted.
    pub since: Timestamp,
    /// Whether it is to be deleted; there is no way back from that.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleting: bool,
    /// The latest epoch that was handed out for the account when its store was given up. A store of a later one is not
    /// the one that was meant: this directory is older than the store. `None` in rows of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

/// What a setting is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The installation.
    System,
    /// One domain; what isn't set there is looked up in [`Scope::System`].
    Domain(DomainId),
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// What it is about.
    pub scope: Scope,
    /// Its name; see [`crate::settings`].
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A change of a setting, as administrators look back on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingChange {
    /// Rising, and never given out twice.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Who, for people; empty when nobody knows.
    pub by: String,
    /// What the setting is about.
    pub scope: Scope,
    /// Its name.
    pub name: String,
    /// What was set before; `None` when nothing was. Of a secret, [`crate::settings::SECRET`].
    pub before: Option<String>,
    /// What is set now; the same holds for it.
    pub after: Option<String>,
    /// The change that this one undid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverts: Option<u64>,
}

/// A counter that must never go back: the last number that was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// The last number given out.
    pub last: u64,
}

/// The hash of a password as a PHC string. Not a password, and still nothing for logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

/// The stored form of a verifier of SCRAM-SHA-256. Not a password, and still nothing for logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scram(pub String);

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scram(redacted)")
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(redacted)")
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}
