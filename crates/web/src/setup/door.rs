//! What the setup needs from the installation. The wiring stands behind [`Installation`]; all it does can be repeated
//! without harm, because forms are sent twice and browsers are closed in the middle.

use std::net::IpAddr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sterna_base::{Secret, Timestamp};

use super::answers::{Administrator, Certificate, Place};

/// What is known of the machine before anybody answers.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// The name of the node.
    pub name: String,
    /// The machine's name for others, as far as it knows: `mail1.example.org`.
    pub host: String,
    /// Where the pages are served.
    pub https_port: u16,
    /// The version of the program.
    pub version: String,
    /// The node's folder.
    pub folder: String,
    /// Where other nodes reach it.
    pub cluster_address: String,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{detail}")]
pub struct Refusal {
    /// What stays the same between versions and languages: the code of a problem of the API.
    pub code: String,
    /// What happened.
    pub detail: String,
    /// What to do next.
    pub remedy: String,
}

impl Refusal {
    /// With all it has.
    pub fn new(code: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Refusal { code: code.to_owned(), detail: detail.into(), remedy: remedy.into() }
    }
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Good,
    /// It works, and something should be done.
    Attention,
    /// Something doesn't work.
    Bad,
    /// It could not be found out.
    Unknown,
}

/// What is looked at before mail flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Whether everything that should listen does.
    Ports,
    /// Whether mail can be sent to other servers.
    Outbound,
    /// Whether the web can be reached, which certificates need.
    OutboundWeb,
    /// Whether the world finds the machine by its name.
    Address,
    /// Whether its services are reached where its name leads.
    Access,
    /// Whether the machine's address has its name.
    ReverseDns,
    /// Whether the DNS resolver answers, and whether it can validate.
    Resolver,
    /// Whether the address is on lists of senders of spam.
    BlockLists,
    /// Whether the clock is right.
    Clock,
    /// How much memory there is.
    Memory,
    /// How much room there is.
    Disk,
}

impl Check {
    /// All, in the order in which they are shown.
    pub const ALL: [Check; 11] = [
        Check::Ports,
        Check::Outbound,
        Check::OutboundWeb,
        Check::Address,
        Check::Access,
        Check::ReverseDns,
        Check::Resolver,
        Check::BlockLists,
        Check::Clock,
        Check::Memory,
        Check::Disk,
    ];
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "finding")]
pub enum Finding {
    /// Everything listens.
    AllListen,
    /// These don't: service, address, cause.
    Closed {
        /// Each as `service address: cause`.
        services: Vec<String>,
    },
    /// A mail exchanger of somebody else answered.
    OutboundOpen {
        /// Which.
        host: String,
    },
    /// None answered on port 25.
    OutboundClosed {
        /// What was tried, with what happened.
        tried: Vec<String>,
    },
    /// The name leads here.
    AddressFound {
        /// The name.
        host: String,
        /// Where it leads.
        addresses: Vec<IpAddr>,
    },
    /// The name leads nowhere.
    AddressMissing {
        /// The name.
        host: String,
    },
    /// The name leads to addresses that this machine doesn't have; it may be behind a router.
    AddressElsewhere {
        /// The name.
        host: String,
        /// Where it leads.
        addresses: Vec<IpAddr>,
        /// The machine's own.
        own: Vec<IpAddr>,
    },
    /// Every service answers where the name leads, asked from this machine.
    Reached {
        /// Each as `address:port`.
        places: Vec<String>,
    },
    /// Some don't, at addresses that this machine has itself.
    NotReached {
        /// Each as `address:port from address: cause`.
        tried: Vec<String>,
    },
    /// Some don't, at addresses of a router in front: it may not lead its own network back to itself.
    NotReachedAround {
        /// As above.
        tried: Vec<String>,
    },
    /// The address has the name.
    ReverseGood {
        /// The name.
        host: String,
    },
    /// It has none, or others.
    ReverseWrong {
        /// The address.
        address: IpAddr,
        /// The names it has.
        names: Vec<String>,
        /// The one it should have.
        host: String,
    },
    /// DNS answers and validates.
    Validates,
    /// It answers, and can't validate; why not.
    NoValidation {
        /// Why.
        cause: String,
    },
    /// It doesn't answer.
    NoResolver {
        /// Why.
        cause: String,
    },
    /// The address is on no list.
    NotListed {
        /// How many were asked.
        lists: usize,
    },
    /// It is on lists.
    Listed {
        /// Which.
        lists: Vec<String>,
    },
    /// The clock is right.
    ClockRight {
        /// By how much it is off, in milliseconds.
        offset_ms: i64,
    },
    /// It is wrong.
    ClockWrong {
        /// By how much, in milliseconds; positive when it is ahead.
        offset_ms: i64,
    },
    /// How much there is, and whether it is enough.
    Amount {
        /// What is free, of the disk; what there is, of memory; in bytes.
        bytes: u64,
        /// What there should be.
        wanted_bytes: u64,
    },
    /// It could not be found out.
    NotKnown {
        /// Why.
        cause: String,
    },
}

impl Finding {
    /// How that is.
    pub fn health(&self) -> Health {
        match self {
            Finding::AllListen
            | Finding::OutboundOpen { .. }
            | Finding::AddressFound { .. }
            | Finding::ReverseGood { .. }
            | Finding::Reached { .. }
            | Finding::Validates
            | Finding::NotListed { .. }
            | Finding::ClockRight { .. } => Health::Good,
            Finding::NoValidation { .. } | Finding::AddressElsewhere { .. } | Finding::NotReachedAround { .. } => {
                Health::Attention
            }
            Finding::Amount { bytes, wanted_bytes } if bytes >= wanted_bytes => Health::Good,
            Finding::Amount { .. } => Health::Attention,
            Finding::NotKnown { .. } => Health::Unknown,
            Finding::Closed { .. }
            | Finding::OutboundClosed { .. }
            | Finding::NotReached { .. }
            | Finding::AddressMissing { .. }
            | Finding::ReverseWrong { .. }
            | Finding::NoResolver { .. }
            | Finding::Listed { .. }
            | Finding::ClockWrong { .. } => Health::Bad,
        }
    }
}

/// A record that DNS should have, and what it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordRow {
    /// Its name.
    pub name: String,
    /// MX and the like.
    pub kind: &'static str,
    /// What it should say, as people enter it.
    pub value: String,
    /// As a line of a zone file.
    pub zone: String,
    /// "mail", "clients", "advised".
    pub need: &'static str,
    /// Whom it is for.
    pub purpose: &'static str,
    /// What DNS says.
    pub found: Found,
}

/// What DNS says of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase", tag = "state", content = "values")]
#[schemars(rename = "DnsFound")]
pub enum Found {
    /// What it should.
    Right,
    /// Nothing.
    Missing,
    /// Something else.
    Other(Vec<String>),
    /// It could not be asked.
    Unknown(String),
}

/// The records of a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Records {
    /// Each of them.
    pub rows: Vec<RecordRow>,
    /// Why something may be missing, and what to do.
    pub problems: Vec<String>,
}

/// What came of a list of people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportedPeople {
    /// Those that were made, or were there.
    pub there: usize,
    /// What is wrong: line, address, why.
    pub errors: Vec<(usize, String, String)>,
}

/// A server of the installation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServerRow {
    /// Its id, which stays.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Where other nodes reach it.
    pub address: String,
    /// "main", "data", "edge".
    pub roles: Vec<String>,
    /// Whether it answers.
    pub answers: bool,
    /// Why it doesn't.
    pub cause: Option<String>,
    /// The version of its program.
    pub version: Option<String>,
    /// Room on its disk, in bytes.
    pub free_bytes: Option<u64>,
    /// Its disk, in bytes.
    pub disk_bytes: Option<u64>,
    /// By how much its clock is off from ours, in milliseconds; `None` when it didn't say.
    pub clock_offset_ms: Option<i64>,
}

/// An invitation for a server, with its secret.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Names it where it is revoked.
    pub id: String,
    /// The command to paste on the new machine.
    pub command: Secret,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Somebody to create.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Person {
    /// The whole address.
    pub address: String,
    /// What people call them.
    pub name: String,
    /// The name of a server; empty lets the policy choose.
    pub server: String,
}

/// What the certificate for clients is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CertificateState {
    /// Where it is.
    pub file: String,
    /// When it ends; `None` when it can't be read.
    pub not_after: Option<Timestamp>,
    /// Whether the node made it itself.
    pub is_own: bool,
    /// Whether what was chosen is in force only after the setup has ended and the node started again.
    pub is_pending: bool,
    /// Whose it is, where an authority issued it by itself.
    pub issued_by: Option<String>,
    /// Whether an authority is asked for one, and neither issued it nor refused.
    pub is_asking: bool,
    /// Why an authority that is asked did not issue one yet, and what to do.
    pub failure: Option<Refusal>,
    /// When it did not.
    pub failed_at: Option<Timestamp>,
}

/// What became of the message that proves it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// To whom it went.
    pub to: String,
    /// Its Message-ID.
    pub message_id: String,
    /// What happened, in order.
    pub events: Vec<ProofEvent>,
    /// What came from the outside address since.
    pub answers: Vec<ProofEvent>,
}

/// Something that happened to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProofEvent {
    /// RFC 3339.
    pub at: String,
    /// "verdict", "delivered", "sent", "deferred", "queued", "failed", "refused".
    pub what: String,
    /// Whose.
    pub recipient: String,
    /// What the other server said, or what was found out.
    pub detail: String,
    /// Who answered.
    pub host: String,
}

/// The installation that is set up.
#[async_trait]
pub trait Installation: Send + Sync {
    /// What is known of this machine.
    fn machine(&self) -> Machine;

    /// Hashes a password (argon2id).
    ///
    /// # Errors
    /// When it is empty or too long.
    async fn hash(&self, password: Secret) -> Result<String, Refusal>;

    /// Makes the domain, or renames the one that was made, sets the address of the installation, and makes the keys
    /// that the domain signs with.
    ///
    /// # Errors
    /// What the directory refuses.
    async fn put_place(&self, former_domain: Option<&str>, place: &Place) -> Result<(), Refusal>;

    /// Makes the administrator, or changes the one that was made, with everything an administrator may do.
    ///
    /// # Errors
    /// What the directory refuses.
    async fn put_administrator(&self, former: Option<&str>, new: &Administrator, domain: &str) -> Result<(), Refusal>;

    /// Looks at one thing. Bounded in time.
    async fn check(&self, check: Check, place: Option<&Place>) -> Finding;

    /// The records of a domain, with what DNS has. Bounded in time.
    ///
    /// # Errors
    /// When the directory can't be read.
    async fn records(&self, domain: &str) -> Result<Records, Refusal>;

    /// Sees whether a certificate can be used, and uses it, at the latest after the next start.
    ///
    /// # Errors
    /// Why it can't be used.
    async fn put_certificate(&self, certificate: &Certificate) -> Result<(), Refusal>;

    /// Whether somebody with this address comes from the machine's own networks, or by its own address: that shows
    /// nothing of what the world reaches. Bounded in time.
    async fn is_near(&self, address: IpAddr, place: Option<&Place>) -> bool;

    /// Which certificate there is.
    async fn certificate(&self) -> CertificateState;

    /// All servers, each asked how it is. Bounded in time.
    ///
    /// # Errors
    /// When the directory can't be read.
    async fn servers(&self) -> Result<Vec<ServerRow>, Refusal>;

    /// Makes an invitation for a data server, which it is called by if a name is given.
    ///
    /// # Errors
    /// When the name is taken or not allowed.
    async fn invite(&self, name: &str) -> Result<Invitation, Refusal>;

    /// Gives a server another name.
    ///
    /// # Errors
    /// When the name is taken or not allowed.
    async fn rename_server(&self, id: &str, name: &str) -> Result<(), Refusal>;

    /// Says on which servers, by name, new accounts of the domain are made; none is all.
    ///
    /// # Errors
    /// When there is none of that name.
    async fn select_servers(&self, domain: &str, names: &[String]) -> Result<(), Refusal>;

    /// Makes a user without a password. Whoever exists already is no error.
    ///
    /// # Errors
    /// What the directory refuses.
    async fn put_person(&self, person: &Person) -> Result<(), Refusal>;

    /// Makes the people of a list with named columns, as the console imports it: with an error on any line nobody.
    ///
    /// # Errors
    /// When the list can't be read, or nothing can be written.
    async fn import_people(&self, csv: &str) -> Result<ImportedPeople, Refusal>;

    /// Sends a message from the administrator to themselves, and to an address elsewhere if one is given; gives its
    /// Message-ID.
    ///
    /// # Errors
    /// What the mail flow answers.
    async fn send_proof(&self, administrator: &str, elsewhere: Option<&str>) -> Result<String, Refusal>;

    /// What became of it.
    ///
    /// # Errors
    /// When it can't be asked.
    async fn proof(&self, message_id: &str, elsewhere: Option<&str>) -> Result<Proof, Refusal>;

    /// The setup is over: what waited for that is done (the node may start again by itself).
    async fn finished(&self);
}
