//! What requests carry: things to be made, and changes of things.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use sterna_base::{AccountId, Epoch, JobId, Modseq, NodeId};

use crate::model::{JobKind, Member, PasswordHash, Resource, Roles, Scram, ServerStandby, StandbyStage};

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
    /// Who asks, for people.
    #[serde(default)]
    pub by: String,
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
    /// Who asks, for people.
    pub by: String,
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
    /// See [`crate::Entry::unit`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// For people.
    #[serde(default)]
    pub display_name: String,
    /// See [`crate::User::password_hash`].
    #[serde(default)]
    pub password_hash: Option<PasswordHash>,
    /// See [`crate::User::scram`].
    #[serde(default)]
    pub scram: Option<Scram>,
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
    /// What goes with the new hash; without a new hash it says nothing.
    pub scram: Option<Scram>,
    /// See [`crate::User::admin`].
    pub admin: Option<bool>,
    /// See [`crate::User::quota_bytes`].
    #[serde(deserialize_with = "present")]
    pub quota_bytes: Option<Option<u64>>,
    /// See [`crate::Entry::suspended`].
    pub suspended: Option<bool>,
    /// See [`crate::Entry::unit`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// See [`crate::Entry::hidden`].
    pub hidden: Option<bool>,
    /// See [`crate::model::Entry::forward_to`].
    pub forward_to: Option<Vec<String>>,
    /// See [`crate::model::Entry::forward_only`].
    pub forward_only: Option<bool>,
    /// See [`crate::model::Entry::senders`].
    pub senders: Option<Vec<AccountId>>,
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
    /// See [`crate::Entry::unit`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// For people.
    #[serde(default)]
    pub display_name: String,
    /// See [`crate::SharedMailbox::quota_bytes`].
    #[serde(default)]
    pub quota_bytes: Option<u64>,
    /// See [`crate::SharedMailbox::resource`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
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
    /// See [`crate::Entry::unit`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// See [`crate::Entry::hidden`].
    pub hidden: Option<bool>,
    /// See [`crate::model::Entry::forward_to`].
    pub forward_to: Option<Vec<String>>,
    /// See [`crate::model::Entry::forward_only`].
    pub forward_only: Option<bool>,
    /// See [`crate::model::Entry::senders`].
    pub senders: Option<Vec<AccountId>>,
    /// See [`crate::SharedMailbox::resource`]; a mailbox doesn't become another kind of account by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
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
    /// See [`crate::Entry::unit`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
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
    /// See [`crate::Entry::unit`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// See [`crate::Entry::hidden`].
    pub hidden: Option<bool>,
    /// See [`crate::model::Entry::senders`].
    pub senders: Option<Vec<AccountId>>,
}

/// Changes of a server; what is `None` stays, `Some(None)` clears.
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
    /// See [`crate::Server::draining`].
    pub draining: Option<bool>,
    /// Free bytes, as the server just said.
    pub free_bytes: Option<u64>,
    /// See [`crate::Server::capacity_bytes`].
    pub capacity_bytes: Option<u64>,
    /// See [`crate::Server::used_bytes`].
    pub used_bytes: Option<u64>,
    /// See [`crate::Server::version`].
    pub version: Option<String>,
    /// See [`crate::Server::standby`].
    #[serde(deserialize_with = "present")]
    pub standby: Option<Option<ServerStandby>>,
}

/// Moves to be planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewJob {
    /// A job to add the moves to, for work that one request can't hold; `None` begins one. One that was aborted takes
    /// none, one that is done goes on.
    #[serde(default)]
    pub id: Option<JobId>,
    /// What is done.
    pub kind: JobKind,
    /// For people; when moves are added, empty leaves it as it is.
    #[serde(default)]
    pub what: String,
    /// Accounts, and where they go; at most [`crate::MOVES_PER_REQUEST_MAX`].
    pub moves: Vec<(AccountId, NodeId)>,
    /// Who asks, for people.
    #[serde(default)]
    pub by: String,
}

/// What can be done to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobChange {
    /// Start nothing and cut nothing over.
    Pause,
    /// Go on.
    Resume,
    /// Take back what isn't committed.
    Abort,
}

/// Tells "null" (clear it) from "not there" (leave it).
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// How far a standby copy of durability 2 is, as a server saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageReport {
    /// Of which account.
    pub account: AccountId,
    /// Where the copy is.
    pub copy: NodeId,
    /// Who says so: the account's server, or the copy's, which can only take back what was promised.
    pub by: NodeId,
    /// Under which placement the account's server saw it.
    pub epoch: Epoch,
    /// The version of the copy's row that it saw.
    pub expect: Modseq,
    /// How far it is.
    pub stage: StandbyStage,
}
