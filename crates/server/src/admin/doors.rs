//! What the administration API needs from the rest of the node. The wiring stands behind these traits.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sterna_account::edge_report::EdgeReport;
use sterna_account::local::LocalAccounts;
use sterna_account::open_sessions::{OpenSession, SessionsQuestion};
use sterna_account::trace::{TraceQuery, TracedMessage};
use sterna_account::{Account, AccountError, Quota};
use sterna_base::{AccountId, Epoch, Modseq, NodeId, Secret, Timestamp};
use sterna_cluster::copies::{LeaseDesk, Speed, Waiting};
use sterna_cluster::update::{NodeTask, TaskReport};
use sterna_cluster::{NodeStatus, RunVersion};
use sterna_directory::{Authentication, Directory};
use sterna_mailflow::queue::Queue;

use super::dkim::KeyTools;
use super::maintenance::RoutingTools;
use super::memory::Memory;
use super::records::Records;
use super::vitals::Vitals;
use crate::node::discovery::Discovery;
use crate::node::migration::driver::SharedPulse;
use crate::setup::checks::Checks;
use crate::sources::run::Sources;

/// What the handlers of the API hold.
#[derive(Clone)]
pub struct AdminState {
    /// The node's directory.
    pub directory: Directory,
    /// Hashes new passwords.
    pub authentication: Arc<Authentication>,
    /// Who we are.
    pub node: Arc<NodeInfo>,
    /// Creates and deletes stores of accounts.
    pub provision: Arc<dyn Provision>,
    /// Issues join tokens.
    pub tokens: Arc<dyn Tokens>,
    /// What the node remembers of jobs and servers until it ends.
    pub memory: Arc<Memory>,
    /// What keeps a lost server from serving what is taken over; tests of the API alone have none.
    pub leases: Option<Arc<LeaseDesk>>,
    /// The accounts of this node, for what is about this server's files alone; `None` where there are none.
    pub local: Option<Arc<LocalAccounts>>,
    /// The queue of this node; `None` where no mail comes in.
    pub queue: Option<Arc<Queue>>,
    /// What DKIM keys are made and looked for with; `None` where nobody signs.
    pub dkim: Option<Arc<KeyTools>>,
    /// What knows where the services of the installation are; `None` where there is no node around the API.
    pub discovery: Option<Arc<Discovery>>,
    /// Who is signed in, and what administrators did; the main node only.
    pub records: Option<Records>,
    /// What is looked at around this machine; `None` where there is no node around the API.
    pub checks: Option<Arc<Checks>>,
    /// Directories elsewhere that people come from; the main node only.
    pub sources: Option<Arc<Sources>>,
    /// What all mail routing is derived with; `None` where there is no node around the API.
    pub routing: Option<Arc<RoutingTools>>,
    /// What the driver of a migration did last.
    pub migration: SharedPulse,
    /// Whether the node serves, and what it did; `None` where there is no node around the API.
    pub vitals: Option<Arc<Vitals>>,
}

/// The node that answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct NodeInfo {
    /// Its id.
    pub id: NodeId,
    /// Its display name.
    pub name: String,
    /// "main", "data", "edge": those it runs with.
    pub roles: Vec<String>,
    /// The version of the program.
    pub version: String,
    /// When it started.
    #[serde(skip)]
    pub started_at: Timestamp,
}

/// Creates, limits and deletes the stores of accounts on this and other servers.
#[async_trait]
pub trait Provision: Send + Sync {
    /// Makes the store of an account on a server with its first containers. Existing already with this epoch is
    /// success.
    ///
    /// # Errors
    /// [`ProvisionError`].
    async fn create(&self, account: AccountId, server: NodeId, epoch: Epoch) -> Result<(), ProvisionError>;

    /// Deletes the store of an account from a server. There being none is success. A store of a later epoch than the
    /// directory handed out is not deleted.
    ///
    /// # Errors
    /// [`ProvisionError`].
    async fn delete(&self, account: AccountId, server: NodeId, epoch: Option<Epoch>) -> Result<(), ProvisionError>;

    /// Sets the most bytes that an account may hold; `None` lifts the limit.
    ///
    /// # Errors
    /// [`ProvisionError`].
    async fn set_quota(&self, account: AccountId, server: NodeId, bytes_max: Option<u64>)
    -> Result<(), ProvisionError>;

    /// How much an account holds.
    ///
    /// # Errors
    /// [`ProvisionError`].
    async fn usage(&self, account: AccountId) -> Result<Quota, ProvisionError>;

    /// A handle to an account, for what administrators do inside of one.
    ///
    /// # Errors
    /// When there is none of that id.
    async fn open(&self, account: AccountId) -> Result<Arc<dyn Account>, AccountError> {
        Err(AccountError::NoSuchAccount(account))
    }

    /// How a server is.
    ///
    /// # Errors
    /// [`ProvisionError`].
    async fn status(&self, server: NodeId) -> Result<NodeStatus, ProvisionError>;

    /// Lets another version of the program, which is installed on a server, take over there; returns before it does.
    ///
    /// # Errors
    /// [`ProvisionError`]; refused when it can't, and then nothing happened.
    async fn run_version(&self, server: NodeId, _wish: RunVersion) -> Result<(), ProvisionError> {
        Err(ProvisionError::Refused { server, cause: "it has no other versions".to_owned() })
    }

    /// Begins a piece of work for an update on a server, unless it goes on or is over already; how far it is.
    ///
    /// # Errors
    /// [`ProvisionError`].
    async fn update_task(&self, server: NodeId, _task: NodeTask) -> Result<TaskReport, ProvisionError> {
        Err(ProvisionError::Refused { server, cause: "it does no work for updates".to_owned() })
    }

    /// What a server answers to a question about its mail or its numbers ([`crate::node::questions`]).
    ///
    /// # Errors
    /// [`ProvisionError`].
    async fn question(&self, server: NodeId, _question: Value) -> Result<Value, ProvisionError> {
        Err(ProvisionError::Refused { server, cause: "it answers no questions".to_owned() })
    }

    /// What a server remembers of messages.
    ///
    /// # Errors
    /// [`ProvisionError`].
    async fn trace(&self, _server: NodeId, _query: TraceQuery) -> Result<Vec<TracedMessage>, ProvisionError> {
        Ok(Vec::new())
    }

    /// The sessions of protocols that an account has on an edge, as they are before some are ended.
    ///
    /// # Errors
    /// [`ProvisionError`].
    async fn sessions(&self, _server: NodeId, _question: SessionsQuestion) -> Result<Vec<OpenSession>, ProvisionError> {
        Ok(Vec::new())
    }

    /// How the mail of an edge is.
    ///
    /// # Errors
    /// [`ProvisionError`].
    async fn edge_report(&self, _server: NodeId) -> Result<EdgeReport, ProvisionError> {
        Ok(EdgeReport::default())
    }

    /// How the store of an account on a server is: the account itself, or a copy of it.
    ///
    /// # Errors
    /// [`ProvisionError`]; refused when there is none.
    async fn store(&self, account: AccountId, server: NodeId) -> Result<StoreReport, ProvisionError>;
}

/// How one store of an account is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreReport {
    /// The epoch of its placement, as far as it knows.
    pub epoch: Epoch,
    /// Up to where it has the account.
    pub modseq: Modseq,
    /// Bytes of its live items.
    pub bytes: u64,
    /// Of a copy: up to where the account was when the copy last heard of it; `None` when it has not heard yet.
    pub source_modseq: Option<Modseq>,
    /// Of a copy: bytes fetched since it began to follow.
    pub fetched_bytes: u64,
    /// Of a copy: since when it was equal whenever it asked; `None` while it is not.
    pub equal_since: Option<Timestamp>,
    /// Of a copy: how long ago it was equal for the last time, in milliseconds.
    pub equal_ms: Option<u64>,
    /// Of a copy: how long its server did not hear of the account's server, in milliseconds.
    pub source_silent_ms: Option<u64>,
    /// Of a copy: why it doesn't go on at present.
    pub trouble: Option<String>,
    /// How fast copies go on its server; `None` when there is nothing to copy there.
    pub speed: Option<Speed>,
    /// Of a copy: whether it is the account as it was at `modseq`, with nothing of a later change half there.
    pub is_settled: bool,
    /// Of a copy: whether it ever was equal to its account. One that never was can't be taken over.
    pub is_complete: bool,
    /// Of an account: the copies for which its commits wait in vain.
    pub waiting: Vec<Waiting>,
}

impl StoreReport {
    /// Changes of the account that the copy knows of and lacks; `None` when it has not heard of its account yet.
    pub fn lag(&self) -> Option<u64> {
        self.source_modseq.map(|source| source.0.saturating_sub(self.modseq.0))
    }
}

/// Why a store was not made or not deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProvisionError {
    /// The server doesn't answer: try later. The text is for the operator and names the server.
    #[error("{cause}")]
    Unreachable {
        /// Which.
        server: NodeId,
        /// What happened.
        cause: String,
    },
    /// The server answered that it can't. The text is for the operator.
    #[error("{cause}")]
    Refused {
        /// Which.
        server: NodeId,
        /// What it said.
        cause: String,
    },
}

/// Issues and revokes one-time tokens with which new nodes join.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// Issues a token.
    ///
    /// # Errors
    /// [`TokenError`].
    async fn issue(&self, request: TokenRequest) -> Result<JoinToken, TokenError>;

    /// The tokens that were issued and neither used nor expired, without their secrets.
    ///
    /// # Errors
    /// [`TokenError`].
    async fn list(&self) -> Result<Vec<JoinToken>, TokenError>;

    /// Makes a token worthless. `false` when there is none with this id.
    ///
    /// # Errors
    /// [`TokenError`].
    async fn revoke(&self, id: &str) -> Result<bool, TokenError>;
}

/// What a token is wanted for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRequest {
    /// The display name that the joining node gets; `None` lets it choose its own.
    #[serde(default)]
    pub name: Option<String>,
    /// The roles that the joining node may take: "data", "edge".
    pub roles: Vec<String>,
    /// How long the token is good for, in milliseconds.
    pub lifetime_ms: u64,
    /// The server whose place the joining node takes.
    #[serde(default)]
    pub replaces: Option<NodeId>,
}

/// A token.
#[derive(Clone, Debug)]
pub struct JoinToken {
    /// Names it in lists and for revoking; not secret.
    pub id: String,
    /// What the new node is given; `None` in lists, because only a hash is kept.
    pub token: Option<Secret>,
    /// What it was issued for.
    pub request: TokenRequest,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Why a token was not issued or listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Only the main node issues tokens.
    #[error("only the main node issues join tokens")]
    NotMain,
    /// They could not be read or written. The text is for the operator.
    #[error("the tokens can't be read or written: {0}")]
    Storage(String),
}
