//! How the mail of one edge is: whether its services answer, whether the servers that it sends by do, and what waits in
//! its queue for destinations that nothing leads to any more. It lies here because nodes ask each other for it, and
//! neither those who look nor those who carry the question know the other.

use serde::{Deserialize, Serialize};

/// Most destinations of a queue that one report names.
pub const STRANDED_MAX: usize = 100;
/// Most servers that one report tries.
pub const HOPS_MAX: usize = 100;

/// What one edge found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeReport {
    /// Its services that don't answer.
    #[serde(default)]
    pub silent: Vec<SilentService>,
    /// Servers that settings send mail to and that don't answer.
    #[serde(default)]
    pub unreachable: Vec<UnreachableHop>,
    /// Servers with the other half of a split domain that refuse to be asked which addresses they have.
    #[serde(default)]
    pub refusing: Vec<RefusingHop>,
    /// What waits for nobody who is there.
    #[serde(default)]
    pub stranded: Vec<Stranded>,
}

/// A service that the edge offers and that doesn't answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilentService {
    /// Its name in `[listen]`.
    pub service: String,
    /// Where it should be.
    pub address: String,
    /// What happened instead.
    pub cause: String,
}

/// A server that mail is to be sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreachableHop {
    /// `host:port`.
    pub hop: String,
    /// Which setting names it, for people.
    pub setting: String,
    /// What happened.
    pub cause: String,
}

/// A server that refuses to be asked for addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusingHop {
    /// `host:port`.
    pub hop: String,
    /// What it says.
    pub said: String,
}

/// Deliveries that wait for a destination that nothing leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stranded {
    /// As the queue writes it.
    pub destination: String,
    /// How many wait.
    pub deliveries: u64,
    /// Why nothing leads there.
    pub cause: String,
}
