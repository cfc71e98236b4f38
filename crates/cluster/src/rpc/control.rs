//! Control calls: what the main node asks of the others. JSON; every call may be repeated.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use serde::{Deserialize, Serialize};
use sterna_account::edge_guard::{GuardChanges, GuardSince};
use sterna_account::edge_report::EdgeReport;
use sterna_account::edge_reports::{SeenAnswer, SeenQuestion};
use sterna_account::open_sessions::{OpenSession, SessionsQuestion};
use sterna_account::trace::{TraceQuery, TracedMessage};
use sterna_account::{AccountError, Identifier, StoreError};
use sterna_base::{AccountId, Epoch, Modseq, NodeId, Timestamp, Version};
use sterna_formats::discovery::Endpoint;

use super::fault::CallError;
use super::peer::Call;
use super::peers::Peers;
use crate::copies::{Speed, StageReport, WaitingFor};
use crate::limits::CALL_BODY_BYTES_MAX;
use crate::migration::calls::{FetchCall, Fetched, Offer, PartQuery};
use crate::nodes::NodeRoles;
use crate::update::{NodeTask, TaskReport};

/// What a node does on the main node's word. The server wires its engine behind this.
#[async_trait]
pub trait NodeControl: Send + Sync {
    /// Makes the store of a new account, durably. Existing already with this epoch is success.
    ///
    /// # Errors
    /// When it can't be made.
    async fn create_account(&self, account: AccountId, epoch: Epoch) -> Result<(), StoreError>;

    /// Deletes an account's store; there being none is success. `epoch` is the latest that the directory handed out for
    /// the account: a store of a later one stays, because then the directory is older than the store.
    ///
    /// # Errors
    /// [`sterna_account::CommitError::WrongEpoch`] for a later epoch, or why it can't be deleted.
    async fn delete_account(&self, account: AccountId, epoch: Option<Epoch>) -> Result<(), AccountError>;

    /// How the node is.
    async fn status(&self) -> NodeStatus;

    /// What this node remembers of messages; nothing where no mail comes in.
    ///
    /// # Errors
    /// Why it can't be read, for the operator.
    async fn trace(&self, _query: TraceQuery) -> Result<Vec<TracedMessage>, String> {
        Ok(Vec::new())
    }

    /// How the mail of this edge is; nothing to say where no mail comes in.
    ///
    /// # Errors
    /// Why it can't be said, for the operator.
    async fn edge_report(&self) -> Result<EdgeReport, String> {
        Ok(EdgeReport::default())
    }

    /// What the main node wants to know of this node, or done with its mail, as this program and that of the main node
    /// understand it: nodes carry it, and don't look inside.
    ///
    /// # Errors
    /// Why it can't be answered, for the operator.
    async fn answer(&self, _question: serde_json::Value) -> Result<serde_json::Value, String> {
        Err("this node answers no questions".to_owned())
    }

    /// What edge `by` has to be written down by the main node. Only that one takes it.
    ///
    /// # Errors
    /// Why it is not written down, for the operator.
    async fn take_report(&self, _by: NodeId, _report: serde_json::Value) -> Result<(), String> {
        Err("this node doesn't own the record".to_owned())
    }

    /// The sessions of an account that are open on this node, as they are before some of them are ended.
    async fn sessions(&self, _question: SessionsQuestion) -> Vec<OpenSession> {
        Vec::new()
    }

    /// What this edge has seen of those who bring mail since another edge asked.
    ///
    /// # Errors
    /// Why it can't be said, for the operator.
    async fn guard_changes(&self, _since: GuardSince) -> Result<GuardChanges, String> {
        Err("no mail comes in on this node".to_owned())
    }

    /// What this edge has seen on a day for reports to other domains.
    ///
    /// # Errors
    /// Why it can't be said, for the operator.
    async fn seen(&self, _question: SeenQuestion) -> Result<SeenAnswer, String> {
        Err("this node makes no reports".to_owned())
    }

    /// Another node of the installation is reached at this address (`host:port`) from now on. The main node writes it
    /// into the directory; the others take it from the main node about itself, without which they could not follow the
    /// directory to where it went.
    ///
    /// # Errors
    /// Why the address isn't taken, for the operator.
    async fn moved(&self, node: NodeId, address: String) -> Result<(), String>;

    /// Notes in the directory that an account shares something with somebody, or not any more; the directory's modseq
    /// after it. Only the main node can.
    ///
    /// # Errors
    /// Why it was not noted.
    async fn set_share(&self, _share: NotedShare) -> Result<Modseq, ShareRefused> {
        Err(ShareRefused::Unavailable("this node doesn't own the directory".to_owned()))
    }

    /// The secret that DKIM keys in the directory are sealed with, for a node that signs. Only the main node has it to
    /// give, and data servers don't get it.
    ///
    /// # Errors
    /// Why not.
    async fn signing_secret(&self, _by: NodeId) -> Result<Vec<u8>, String> {
        Err("this node doesn't own the directory".to_owned())
    }

    /// Lets another version of the program that is installed here take over; returns before it does.
    ///
    /// # Errors
    /// Why it can't, for the operator; then nothing happened.
    async fn run_version(&self, _wish: RunVersion) -> Result<(), String> {
        Err("this node has no other versions".to_owned())
    }

    /// Begins a piece of work for an update, unless it goes on or is over already; how far it is.
    ///
    /// # Errors
    /// Why it can't be begun, for the operator.
    async fn update_task(&self, _task: NodeTask) -> Result<TaskReport, String> {
        Err("this node does no work for updates".to_owned())
    }

    /// What this machine alone has, for `by` that takes its place.
    ///
    /// # Errors
    /// Why not: `by` takes nobody's place, or not this one's.
    async fn offer(&self, _by: NodeId) -> Result<Offer, String> {
        Err("nobody takes this machine's place".to_owned())
    }

    /// A part of a file of the last offer.
    ///
    /// # Errors
    /// As [`NodeControl::offer`], and when there is no such file.
    async fn offered(&self, _by: NodeId, _part: PartQuery) -> Result<Vec<u8>, String> {
        Err("nobody takes this machine's place".to_owned())
    }

    /// Fetches what another machine offers, to be ready to become the main node.
    ///
    /// # Errors
    /// Why not, for the operator.
    async fn fetch(&self, _from: NodeId) -> Result<Fetched, String> {
        Err("this machine takes nobody's place".to_owned())
    }

    /// Takes down in the directory how far a standby copy is, as `by` saw it. Only the main node can.
    ///
    /// # Errors
    /// Why it was not taken down.
    async fn note_stage(&self, _by: NodeId, _report: StageReport) -> Result<(), StageRefused> {
        Err(StageRefused::Unavailable("this node doesn't own the directory".to_owned()))
    }
}

/// Why a report was not taken down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageRefused {
    /// The directory can't be written now, or not here.
    Unavailable(String),
    /// The directory says something else of the copy or of the account by now.
    OutOfDate(String),
}

/// The body of a call that lets another version of the program take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunVersion {
    /// Which.
    pub version: Version,
    /// The number of the plan that wants it; `None` where an administrator wants it by hand. A node refuses plans that
    /// are older than the latest that it has heard of.
    #[serde(default)]
    pub plan: Option<u64>,
}

/// A version of the program that is installed on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledVersion {
    /// Which.
    pub version: Version,
    /// Its release as nodes compare it.
    pub release: u32,
    /// The newest format of accounts that it knows.
    pub store_format: u32,
    /// The newest format of the directory that it knows.
    pub directory_format: i64,
}

/// The body of a call that notes a share ([`sterna_account::shares::Shares::set`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotedShare {
    /// Whose account.
    pub owner: AccountId,
    /// Who was given something, or has nothing any more.
    pub grantee: Identifier,
    /// Which of the two.
    pub shares: bool,
}

/// Why a share was not noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShareRefused {
    /// The directory can't be written now, or not here.
    Unavailable(String),
    /// It can't be: there is no such account, or nobody to share with.
    Invalid(String),
}

/// The answer to a call that notes a share.
#[derive(Serialize, Deserialize)]
pub(crate) struct ShareNoted {
    pub modseq: Modseq,
}

/// The answer to a call for the signing secret.
#[derive(Serialize, Deserialize)]
pub(crate) struct SigningSecret {
    pub secret: Vec<u8>,
}

/// How a node is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Which.
    pub node: NodeId,
    /// The version of its binary.
    pub version: String,
    /// Its release as nodes compare it ([`wire::RELEASE`]).
    #[serde(default)]
    pub release: u32,
    /// The format of its accounts' stores; zero from versions that don't say.
    #[serde(default)]
    pub store_format: u32,
    /// What it does.
    #[serde(default)]
    pub roles: NodeRoles,
    /// Why it does not look for other servers' certificates in DNS (DANE); `None` when it does, or had no mail to send.
    #[serde(default)]
    pub dane_off: Option<String>,
    /// Its clock when it answered.
    pub now: Timestamp,
    /// Free bytes where its accounts are.
    #[serde(default)]
    pub disk_free_bytes: u64,
    /// All bytes where its accounts are.
    #[serde(default)]
    pub disk_bytes: u64,
    /// Accounts that have a store there.
    #[serde(default)]
    pub accounts: u64,
    /// What is set aside there; `None` when nothing is.
    #[serde(default)]
    pub asides: Option<AsidesStatus>,
    /// The load average of the last minute, in hundredths.
    #[serde(default)]
    pub load_hundredths: u32,
    /// How far its copy of the directory is.
    #[serde(default)]
    pub directory_modseq: u64,
    /// What its copies of accounts come to.
    #[serde(default)]
    pub copies: CopiesStatus,
    /// When it started.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// Where it looks for the main node.
    #[serde(default)]
    pub main_address: Option<String>,
    /// When its certificate between nodes ends; it is renewed long before.
    #[serde(default)]
    pub certificate_not_after: Option<Timestamp>,
    /// When the certificate that mail clients see ends; edges only.
    #[serde(default)]
    pub client_certificate_not_after: Option<Timestamp>,
    /// The directory's modseq up to which its listeners show the certificates, and the answers to certificate
    /// authorities, that the directory has; where there are such listeners.
    #[serde(default)]
    pub client_certificate_modseq: Option<u64>,
    /// For which standby copies its accounts wait in vain.
    #[serde(default)]
    pub waiting_for: Vec<WaitingFor>,
    /// Content filters that it can't ask; edges only.
    #[serde(default)]
    pub filters_down: Vec<FilterDown>,
    /// Users who wanted to send more mail from here than they may, within the last day; some of them.
    #[serde(default)]
    pub over_limits: Vec<OverLimit>,
    /// Where it listens for clients and for other mail servers; edges only.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// The versions of the program that are installed there and work, the oldest first.
    #[serde(default)]
    pub installed: Vec<InstalledVersion>,
    /// The version that was tried last and did not come to serve.
    #[serde(default)]
    pub version_failed: Option<Version>,
    /// Messages that wait in its queue; `None` while it has not looked yet.
    #[serde(default)]
    pub waiting_mail: Option<u64>,
    /// Its own addresses, but for those that only it, or its neighbours, can use; some of them when it has many.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// How it guards the ports between the machines.
    #[serde(default)]
    pub firewall: FirewallStatus,
}

impl NodeStatus {
    /// Whether this node can say so of itself. What it says decides which version the others are brought to, stands on
    /// pages and in mails: who says what can't be is as good as silent.
    fn check(&self, node: NodeId) -> Result<(), String> {
        if self.node != node {
            return Err(format!("it says that it is {}", self.node));
        }
        match self.version.parse::<Version>() {
            Ok(_) => Ok(()),
            Err(_) => Err("it says that it runs a version that can't be".to_owned()),
        }
    }
}

/// How a node guards the ports that are for the installation's machines only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FirewallStatus {
    /// Those ports.
    pub ports: Vec<u16>,
    /// The one for other nodes.
    pub own_port: u16,
    /// Whether rules are loaded.
    pub is_on: bool,
    /// Whether somebody has to confirm them still.
    pub is_on_trial: bool,
    /// The modseq of the rules that hold there as the directory has them.
    pub modseq: u64,
    /// Why those of the directory don't.
    pub failure: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// A user who wanted to send more mail than users may: a stolen password, or somebody who needs a higher limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverLimit {
    /// The address that logged in.
    pub address: String,
    /// "messages" or "recipients".
    pub what: String,
    /// From where, the last time.
    pub peer: String,
    /// Since when.
    pub since: Timestamp,
    /// How often it was refused.
    pub refused: u64,
}

/// How the copies of accounts on a node are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiesStatus {
    /// How fast copies go, and why not faster; `None` when there is nothing to copy.
    #[serde(default)]
    pub speed: Option<Speed>,
    /// How often a copy was found to differ from its source since the node started. What differs is copied again.
    #[serde(default)]
    pub differed: u64,
    /// Which account's copy that was the last time, and when.
    #[serde(default)]
    pub differed_last: Option<(AccountId, Timestamp)>,
    /// Stores that neither a placement nor a copy of the directory names: the first few.
    #[serde(default)]
    pub orphans: Vec<AccountId>,
    /// How many there are.
    #[serde(default)]
    pub orphan_count: u64,
}

/// A content filter that can't be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterDown {
    /// Its name.
    pub name: String,
    /// Why not.
    pub cause: String,
    /// Since when.
    pub since: Timestamp,
}

/// Stores that a node keeps aside, because they have commits that their accounts lack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AsidesStatus {
    /// How many.
    pub stores: u64,
    /// Commits in them that were acknowledged and that the accounts lack.
    pub commits: u64,
    /// Items in them whose contents are nowhere else.
    pub items: u64,
    /// How many of them are not counted yet.
    pub uncounted: u64,
    /// Since when the oldest is there.
    pub since: Timestamp,
    /// Whose, the oldest first: some of them.
    pub accounts: Vec<AccountId>,
}

/// The body of a call that says where a node is.
#[derive(Serialize, Deserialize)]
pub(crate) struct NodeAddress {
    pub address: String,
}

/// The body of a call that makes an account's store.
#[derive(Serialize, Deserialize)]
pub(crate) struct CreateAccount {
    pub epoch: Epoch,
}

/// Control calls from this node. Those that make and delete stores are taken from the main node only.
#[derive(Clone)]
pub struct ControlClient {
    peers: Arc<Peers>,
}

impl ControlClient {
    /// Calls through this pool.
    pub fn new(peers: Arc<Peers>) -> Self {
        ControlClient { peers }
    }

    /// Whether the node answers.
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn ping(&self, node: NodeId) -> Result<(), CallError> {
        self.get(node, "/v1/ping").await.map(drop)
    }

    /// How the node is.
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn status(&self, node: NodeId) -> Result<NodeStatus, CallError> {
        let (answer, peer) = (self.get(node, "/v1/status").await?, self.peers.peer(node));
        let status: NodeStatus = peer.read(&answer)?;
        status.check(node).map_err(|cause| peer.malformed(&cause))?;
        Ok(status)
    }

    /// See [`NodeControl::trace`].
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn trace(&self, node: NodeId, query: &TraceQuery) -> Result<Vec<TracedMessage>, CallError> {
        let answer = self.put(node, "/v1/trace", query).await?;
        self.peers.peer(node).read(&answer)
    }

    /// See [`NodeControl::edge_report`].
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn edge_report(&self, node: NodeId) -> Result<EdgeReport, CallError> {
        let answer = self.get(node, "/v1/edge-report").await?;
        self.peers.peer(node).read(&answer)
    }

    /// See [`NodeControl::sessions`].
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn sessions(&self, node: NodeId, question: &SessionsQuestion) -> Result<Vec<OpenSession>, CallError> {
        let answer = self.put(node, "/v1/sessions", question).await?;
        self.peers.peer(node).read(&answer)
    }

    /// See [`NodeControl::answer`].
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn question(&self, node: NodeId, question: &serde_json::Value) -> Result<serde_json::Value, CallError> {
        let body = self.peers.peer(node).json(question)?;
        let call = Call { answer_bytes_max: CALL_BODY_BYTES_MAX, ..Call::control(Method::PUT, "/v1/question") };
        let answer = self.send(node, &call, body).await?;
        self.peers.peer(node).read(&answer)
    }

    /// See [`NodeControl::take_report`].
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn report(&self, node: NodeId, report: &serde_json::Value) -> Result<(), CallError> {
        self.put(node, "/v1/report", report).await.map(drop)
    }

    /// See [`NodeControl::guard_changes`].
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn guard_changes(&self, node: NodeId, since: &GuardSince) -> Result<GuardChanges, CallError> {
        let body = self.peers.peer(node).json(since)?;
        let call = Call { answer_bytes_max: CALL_BODY_BYTES_MAX, ..Call::control(Method::PUT, "/v1/guard-changes") };
        let answer = self.send(node, &call, body).await?;
        self.peers.peer(node).read(&answer)
    }

    /// See [`NodeControl::seen`].
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn seen(&self, node: NodeId, question: &SeenQuestion) -> Result<SeenAnswer, CallError> {
        let body = self.peers.peer(node).json(question)?;
        let call = Call { answer_bytes_max: CALL_BODY_BYTES_MAX, ..Call::control(Method::PUT, "/v1/seen") };
        let answer = self.send(node, &call, body).await?;
        self.peers.peer(node).read(&answer)
    }

    /// Says where this node is reached; see [`NodeControl::moved`].
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn announce(&self, node: NodeId, address: &str) -> Result<(), CallError> {
        let body = NodeAddress { address: address.to_owned() };
        self.put(node, "/v1/address", &body).await.map(drop)
    }

    /// See [`NodeControl::set_share`]; asked of the main node.
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn set_share(&self, node: NodeId, share: NotedShare) -> Result<Modseq, CallError> {
        let answer = self.put(node, "/v1/share", &share).await?;
        Ok(self.peers.peer(node).read::<ShareNoted>(&answer)?.modseq)
    }

    /// See [`NodeControl::signing_secret`]; asked of the main node.
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn signing_secret(&self, node: NodeId) -> Result<Vec<u8>, CallError> {
        let answer = self.get(node, "/v1/signing-secret").await?;
        Ok(self.peers.peer(node).read::<SigningSecret>(&answer)?.secret)
    }

    /// See [`NodeControl::offer`].
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn offer(&self, node: NodeId) -> Result<Offer, CallError> {
        let answer = self.get(node, "/v1/migration/offer").await?;
        self.peers.peer(node).read(&answer)
    }

    /// See [`NodeControl::offered`].
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn offered(&self, node: NodeId, part: &PartQuery) -> Result<Bytes, CallError> {
        let body = self.peers.peer(node).json(part)?;
        let call = Call { answer_bytes_max: CALL_BODY_BYTES_MAX, ..Call::control(Method::PUT, "/v1/migration/part") };
        self.send(node, &call, body).await
    }

    /// See [`NodeControl::fetch`]; asked by the main node.
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn fetch(&self, node: NodeId, from: NodeId) -> Result<Fetched, CallError> {
        let answer = self.put(node, "/v1/migration/fetch", &FetchCall { from }).await?;
        self.peers.peer(node).read(&answer)
    }

    /// See [`NodeControl::note_stage`]; asked of the main node.
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn note_stage(&self, node: NodeId, report: StageReport) -> Result<(), CallError> {
        self.put(node, &format!("/v1/copies/{}/stage", report.account), &report).await.map(drop)
    }

    /// See [`NodeControl::run_version`].
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn run_version(&self, node: NodeId, wish: &RunVersion) -> Result<(), CallError> {
        self.put(node, "/v1/version", wish).await.map(drop)
    }

    /// See [`NodeControl::update_task`].
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn update_task(&self, node: NodeId, task: &NodeTask) -> Result<TaskReport, CallError> {
        let answer = self.put(node, "/v1/update-task", task).await?;
        self.peers.peer(node).read(&answer)
    }

    /// See [`NodeControl::create_account`].
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn create_account(&self, node: NodeId, account: AccountId, epoch: Epoch) -> Result<(), CallError> {
        self.put(node, &format!("/v1/stores/{account}"), &CreateAccount { epoch }).await.map(drop)
    }

    /// See [`NodeControl::delete_account`].
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn delete_account(
        &self,
        node: NodeId,
        account: AccountId,
        epoch: Option<Epoch>,
    ) -> Result<(), CallError> {
        let call = Call { epoch, ..Call::control(Method::DELETE, &format!("/v1/stores/{account}")) };
        self.send(node, &call, Bytes::new()).await.map(drop)
    }

    async fn get(&self, node: NodeId, path: &str) -> Result<Bytes, CallError> {
        self.send(node, &Call::control(Method::GET, path), Bytes::new()).await
    }

    async fn put<Q: Serialize>(&self, node: NodeId, path: &str, question: &Q) -> Result<Bytes, CallError> {
        let body = self.peers.peer(node).json(question)?;
        self.send(node, &Call::control(Method::PUT, path), body).await
    }

    /// All of these may be repeated.
    async fn send(&self, node: NodeId, call: &Call, body: Bytes) -> Result<Bytes, CallError> {
        self.peers.peer(node).call_again_if_lost(call, body).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_cannot_say_of_itself_is_not_taken() {
        let (node, other) = (NodeId([7; 16]), NodeId([8; 16]));
        let says = |version: &str| -> NodeStatus {
            let text = serde_json::json!({"node": node, "version": version, "now": 0});
            serde_json::from_value(text).unwrap()
        };
        assert_eq!(says("0.1.0").check(node), Ok(()));
        assert!(says("0.1.0").check(other).is_err_and(|cause| cause.contains(&node.to_string())));
        for version in ["", "1", "9.9.9<script>", "01.2.3", "../../etc", "0.1.0\n"] {
            // What it says is not repeated: it would stand on pages and in mails.
            assert_eq!(says(version).check(node), Err("it says that it runs a version that can't be".to_owned()));
        }
    }
}
