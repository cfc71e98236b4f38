//! Requests: how the directory changes. Each is data, so that it can be tried without being done, logged, and later
//! sent on from another node to the main one.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use sterna_base::{AccountId, DomainId, Epoch, Modseq, NodeId};

use crate::model::{Member, PasswordHash, Roles, Scope};
use crate::row::RowKind;

/// A change, done whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Makes a domain.
    CreateDomain(NewDomain),
    /// Changes a domain.
    SetDomain {
        /// Which.
        id: DomainId,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
        /// What to change.
        patch: DomainPatch,
    },
    /// Deletes a domain that no address uses.
    DeleteDomain {
        /// Which.
        id: DomainId,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
    },
    /// Takes an account id that nobody else will get, and notes that its store is about to be made
    /// ([`crate::PendingStore`]). First step of making an account: its store is made next, then [`Request::CreateUser`]
    /// or [`Request::CreateShared`] makes it known.
    ReserveAccount {
        /// Where its store will be made.
        server: NodeId,
    },
    /// Gives a reserved account up: its store, if it was made, is to be deleted.
    GiveUpAccount {
        /// Which.
        account: AccountId,
    },
    /// The store of an account that was given up or deleted is gone.
    StoreGone {
        /// Which.
        account: AccountId,
    },
    /// Makes a user and places the account, epoch 1. Repeating it for the same id and address is success.
    CreateUser {
        /// A reserved id. Zero when the request is only tried out.
        id: AccountId,
        /// What to make.
        new: NewUser,
        /// Where its store was made; the server that it was reserved for.
        server: NodeId,
    },
    /// Changes a user.
    SetUser {
        /// Which.
        id: AccountId,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
        /// What to change.
        patch: UserPatch,
    },
    /// Makes a shared mailbox and places the account, epoch 1. Repeating it for the same id and address is success.
    CreateShared {
        /// A reserved id. Zero when the request is only tried out.
        id: AccountId,
        /// What to make.
        new: NewShared,
        /// Where its store was made; the server that it was reserved for.
        server: NodeId,
    },
    /// Changes a shared mailbox.
    SetShared {
        /// Which.
        id: AccountId,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
        /// What to change.
        patch: SharedPatch,
    },
    /// Makes a group.
    CreateGroup(NewGroup),
    /// Changes a group, without its members.
    SetGroup {
        /// Which.
        id: AccountId,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
        /// What to change.
        patch: GroupPatch,
    },
    /// Adds members to a group and removes others. Adding one that is there and removing one that isn't is success.
    SetMembers {
        /// Which.
        id: AccountId,
        /// To add.
        add: Vec<Member>,
        /// To remove.
        remove: Vec<Member>,
    },
    /// Deletes a user, group or shared mailbox, with its placement and memberships, and notes that its store is to be
    /// deleted; the caller deletes it and says so with [`Request::StoreGone`].
    DeleteEntry {
        /// Which.
        id: AccountId,
        /// What the caller believes it to be.
        kind: RowKind,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
    },
    /// Makes a server known. Repeating it for the same id is a change of name, address and roles.
    PutServer {
        /// The id that it made itself.
        id: NodeId,
        /// Its name.
        name: String,
        /// `host:port` of its nodes' interface.
        address: String,
        /// What it does.
        roles: Roles,
    },
    /// Changes a server.
    SetServer {
        /// Which.
        id: NodeId,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
        /// What to change.
        patch: ServerPatch,
    },
    /// Deletes a server that holds no account.
    DeleteServer {
        /// Which.
        id: NodeId,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
    },
    /// Places an account elsewhere: the one commit point of a move. Compare-and-set on the epoch.
    SetPlacement {
        /// Which.
        account: AccountId,
        /// The epoch that the caller has seen.
        expect: Epoch,
        /// Where it lives from now on.
        server: NodeId,
        /// The new epoch; larger than the old one.
        epoch: Epoch,
    },
    /// Sets or (with no value) removes a setting.
    PutSetting {
        /// What it is about.
        scope: Scope,
        /// Its name.
        name: String,
        /// Its value.
        value: Option<String>,
    },
}

/// What a request did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The directory's modseq after it. A request that changed nothing takes none.
    pub modseq: Modseq,
    /// Whether anything changed.
    pub changed: bool,
    /// What was made.
    pub created: Option<Created>,
}

/// The id of what a request made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Created {
    /// A domain.
    Domain(DomainId),
    /// A reserved account, or a group.
    Account(AccountId),
}

/// A domain to be made.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDomain {
    /// Its name.
    pub name: String,
    /// Its other names.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// See [`crate::Domain::servers`].
    #[serde(default)]
    pub servers: Vec<NodeId>,
    /// Its own settings.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// Changes of a domain; what is `None` stays.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DomainPatch {
    /// Its name; addresses follow it.
    pub name: Option<String>,
    /// Its other names, all of them.
    pub aliases: Option<Vec<String>>,
    /// For people.
    pub description: Option<String>,
    /// See [`crate::Domain::servers`].
    pub servers: Option<Vec<NodeId>>,
    /// See [`crate::Domain::suspended`].
    pub suspended: Option<bool>,
    /// Settings to be set, or with `None` removed.
    pub settings: BTreeMap<String, Option<String>>,
}

/// A user to be made.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The main address; its domain must exist.
    pub address: String,
    /// Further addresses.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// See [`crate::User::login`].
    #[serde(default)]
    pub login: Option<String>,
    /// For people.
    #[serde(default)]
    pub display_name: String,
    /// See [`crate::User::password_hash`].
    #[serde(default)]
    pub password_hash: Option<PasswordHash>,
    /// See [`crate::User::admin`].
    #[serde(default)]
    pub admin: bool,
    /// See [`crate::User::quota_bytes`].
    #[serde(default)]
    pub quota_bytes: Option<u64>,
}

/// Changes of a user; what is `None` stays, `Some(None)` clears.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserPatch {
    /// The main address.
    pub address: Option<String>,
    /// Further addresses, all of them.
    pub aliases: Option<Vec<String>>,
    /// See [`crate::User::login`].
    #[serde(deserialize_with = "present")]
    pub login: Option<Option<String>>,
    /// For people.
    pub display_name: Option<String>,
    /// See [`crate::User::password_hash`].
    #[serde(deserialize_with = "present")]
    pub password_hash: Option<Option<PasswordHash>>,
    /// See [`crate::User::admin`].
    pub admin: Option<bool>,
    /// See [`crate::User::quota_bytes`].
    #[serde(deserialize_with = "present")]
    pub quota_bytes: Option<Option<u64>>,
    /// See [`crate::Entry::suspended`].
    pub suspended: Option<bool>,
}

/// A shared mailbox to be made.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewShared {
    /// The main address; its domain must exist.
    pub address: String,
    /// Further addresses.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// For people.
    #[serde(default)]
    pub display_name: String,
    /// See [`crate::SharedMailbox::quota_bytes`].
    #[serde(default)]
    pub quota_bytes: Option<u64>,
}

/// Changes of a shared mailbox; what is `None` stays, `Some(None)` clears.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SharedPatch {
    /// The main address.
    pub address: Option<String>,
    /// Further addresses, all of them.
    pub aliases: Option<Vec<String>>,
    /// For people.
    pub display_name: Option<String>,
    /// See [`crate::SharedMailbox::quota_bytes`].
    #[serde(deserialize_with = "present")]
    pub quota_bytes: Option<Option<u64>>,
    /// See [`crate::Entry::suspended`].
    pub suspended: Option<bool>,
}

/// A group to be made.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    /// The main address; its domain must exist.
    pub address: String,
    /// Further addresses.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// For people.
    #[serde(default)]
    pub display_name: String,
    /// See [`crate::Group::external_members`].
    #[serde(default)]
    pub external_members: bool,
    /// See [`crate::Group::internal_senders_only`].
    #[serde(default)]
    pub internal_senders_only: bool,
    /// Its first members.
    #[serde(default)]
    pub members: Vec<Member>,
}

/// Changes of a group; what is `None` stays.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupPatch {
    /// The main address.
    pub address: Option<String>,
    /// Further addresses, all of them.
    pub aliases: Option<Vec<String>>,
    /// For people.
    pub display_name: Option<String>,
    /// See [`crate::Group::external_members`]; can't be taken away while there are such members.
    pub external_members: Option<bool>,
    /// See [`crate::Group::internal_senders_only`].
    pub internal_senders_only: Option<bool>,
    /// See [`crate::Entry::suspended`].
    pub suspended: Option<bool>,
}

/// Changes of a server; what is `None` stays.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerPatch {
    /// Its name.
    pub name: Option<String>,
    /// `host:port` of its nodes' interface.
    pub address: Option<String>,
    /// What it does.
    pub roles: Option<Roles>,
    /// See [`crate::Server::weight`].
    pub weight: Option<u32>,
    /// See [`crate::Server::accepts_new_accounts`].
    pub accepts_new_accounts: Option<bool>,
    /// Free bytes, as the server just said.
    pub free_bytes: Option<u64>,
}

/// Tells "null" (clear it) from "not there" (leave it).
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}
