//! What edges tell each other of those who bring mail: the greylist, and how much clients and users have sent in this
//! hour. Each asks the others what changed since it last asked. It lies here because nodes carry it, and neither those
//! who count nor those who carry know the other.

use serde::{Deserialize, Serialize};
use sterna_base::AccountId;

/// Most rows of each kind in one answer.
pub const ROWS_MAX: usize = 1000;

/// How far somebody knows what an edge has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardSince {
    /// Which file of a greylist `greylist` is about; another one begins anew.
    #[serde(default)]
    pub file: i64,
    /// The change of the greylist up to which everything is known.
    #[serde(default)]
    pub greylist: i64,
    /// Which run of the node `counts` is about.
    #[serde(default)]
    pub run: u64,
    /// The change of the counts up to which everything is known.
    #[serde(default)]
    pub counts: u64,
}

/// What changed since.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardChanges {
    /// How far it goes.
    pub upto: GuardSince,
    /// Those who were greylisted.
    #[serde(default)]
    pub triples: Vec<GreylistRow>,
    /// Networks of real mail servers.
    #[serde(default)]
    pub networks: Vec<NetworkRow>,
    /// What clients sent, by their network.
    #[serde(default)]
    pub clients: Vec<CountRow<String>>,
    /// What users sent.
    #[serde(default)]
    pub users: Vec<CountRow<AccountId>>,
    /// Whether there is more: to be asked for at once.
    #[serde(default)]
    pub has_more: bool,
}

/// A network, a sender and a recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GreylistRow {
    /// The client's network.
    pub network: String,
    /// The reverse-path, without what changes from message to message.
    pub sender: String,
    /// The recipient.
    pub recipient: String,
    /// When it was heard of first, in milliseconds.
    pub first_ms: i64,
    /// When it was heard of last.
    pub last_ms: i64,
    /// Whether it was let in.
    pub passed: bool,
}

/// A network that others came again from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRow {
    /// Which.
    pub network: String,
    /// How often somebody came again.
    pub passed: u32,
    /// When that was last, in milliseconds.
    pub last_ms: i64,
}

/// What one of those who are counted sent at one edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountRow<K> {
    /// Who.
    pub who: K,
    /// Messages.
    pub messages: HourCount,
    /// Recipients.
    pub recipients: HourCount,
}

/// A count of a full hour by the clock, and of the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourCount {
    /// When the hour begins, in milliseconds.
    pub begins_ms: i64,
    /// In it.
    pub now: u64,
    /// In the one before.
    pub before: u64,
}
