//! What the administration API needs of the node: stores on any server, and invitations.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use sterna_account::edge_report::EdgeReport;
use sterna_account::open_sessions::{OpenSession, SessionsQuestion};
use sterna_account::service::Accounts;
use sterna_account::trace::{TraceQuery, TracedMessage};
use sterna_account::{Account, AccountError, Mutation, Quota, Role};
use sterna_base::{AccountId, Epoch, Modseq, NodeId, OperationId, Secret};
use sterna_cluster::copies::CopiesClient;
use sterna_cluster::copies::calls::CopyState;
use sterna_cluster::join::{JoinDesk, TokenEntry, TokenGrant};
use sterna_cluster::update::{NodeTask, TaskReport};
use sterna_cluster::{CallError, ControlClient, NodeControl, NodeRole, NodeStatus, RunVersion};
use sterna_directory::Directory;

use super::control::Control;
use crate::admin::{JoinToken, Provision, ProvisionError, StoreReport, TokenError, TokenRequest, Tokens};

/// How often the quota of an account is tried to be set before that is left to the next change of it.
const QUOTA_TRIES_MAX: u32 = 30;

/// How long a try waits for the one before.
const QUOTA_WAIT: Duration = Duration::from_secs(1);

/// Stores of accounts, here and on other servers.
pub struct Stores {
    node: NodeId,
    own: Arc<Control>,
    others: ControlClient,
    copies: CopiesClient,
    accounts: Arc<dyn Accounts>,
    directory: Directory,
}

impl Stores {
    /// Of this node and those it can call.
    pub fn new(
        node: NodeId,
        own: Arc<Control>,
        others: ControlClient,
        copies: CopiesClient,
        accounts: Arc<dyn Accounts>,
        directory: Directory,
    ) -> Self {
        Stores { node, own, others, copies, accounts, directory }
    }
}

fn call_error(server: NodeId, error: &CallError) -> ProvisionError {
    let cause = error.to_string();
    match error {
        CallError::Refused { .. } => ProvisionError::Refused { server, cause },
        _ => ProvisionError::Unreachable { server, cause },
    }
}

fn report(state: CopyState) -> StoreReport {
    // What has not heard of its source yet knows of no modseq of it; every account has one.
    let is_copy = matches!(state.role, Role::Follower | Role::Ready);
    StoreReport {
        epoch: state.epoch,
        modseq: state.modseq,
        bytes: state.bytes,
        source_modseq: (is_copy && state.source_modseq > Modseq::ZERO).then_some(state.source_modseq),
        fetched_bytes: state.fetched_bytes,
        equal_since: state.equal_since,
        equal_ms: state.equal_ms,
        source_silent_ms: state.source_silent_ms,
        trouble: state.trouble,
        speed: state.speed,
        is_settled: is_copy && state.is_settled,
        is_complete: state.is_complete,
        waiting: state.waiting,
    }
}

#[async_trait]
impl Provision for Stores {
    async fn create(&self, account: AccountId, server: NodeId, epoch: Epoch) -> Result<(), ProvisionError> {
        if server == self.node {
            let made = self.own.create_account(account, epoch).await;
            return made.map_err(|error| ProvisionError::Refused { server, cause: error.to_string() });
        }
        self.others.create_account(server, account, epoch).await.map_err(|error| call_error(server, &error))
    }

    async fn delete(&self, account: AccountId, server: NodeId, epoch: Option<Epoch>) -> Result<(), ProvisionError> {
        if server == self.node {
            let gone = self.own.delete_account(account, epoch).await;
            return gone.map_err(|error| ProvisionError::Refused { server, cause: error.to_string() });
        }
        self.others.delete_account(server, account, epoch).await.map_err(|error| call_error(server, &error))
    }

    /// The store takes it through its ordinary handle, which a new account has only once its placement is known
    /// everywhere: so this goes on by itself.
    async fn set_quota(
        &self,
        account: AccountId,
        _server: NodeId,
        bytes_max: Option<u64>,
    ) -> Result<(), ProvisionError> {
        let (accounts, directory) = (self.accounts.clone(), self.directory.clone());
        tokio::spawn(async move {
            let mut changed = directory.watch();
            for _ in 0..QUOTA_TRIES_MAX {
                let step = vec![Mutation::SetQuota { bytes_max, items_max: None }];
                let set = match accounts.open(account).await {
                    Ok(handle) => handle.commit(OperationId::random(), step).await.map(drop),
                    Err(error) => Err(error),
                };
                match set {
                    Ok(()) => return,
                    Err(error) => tracing::debug!(%account, %error, "the quota is not set yet"),
                }
                let _ = tokio::time::timeout(QUOTA_WAIT, changed.changed()).await;
            }
            tracing::warn!(%account, "the quota could not be set; set it again with sterna user set --quota");
        });
        Ok(())
    }

    async fn usage(&self, account: AccountId) -> Result<Quota, ProvisionError> {
        let head = async { self.accounts.open(account).await?.head().await };
        let unreachable = |cause| ProvisionError::Unreachable { server: self.node, cause };
        head.await.map(|head| head.quota).map_err(|error| unreachable(error.to_string()))
    }

    async fn open(&self, account: AccountId) -> Result<Arc<dyn Account>, AccountError> {
        self.accounts.open(account).await
    }

    async fn status(&self, server: NodeId) -> Result<NodeStatus, ProvisionError> {
        if server == self.node {
            return Ok(self.own.status().await);
        }
        self.others.status(server).await.map_err(|error| call_error(server, &error))
    }

    async fn run_version(&self, server: NodeId, wish: RunVersion) -> Result<(), ProvisionError> {
        if server == self.node {
            return self.own.run_version(wish).await.map_err(|cause| ProvisionError::Refused { server, cause });
        }
        self.others.run_version(server, &wish).await.map_err(|error| call_error(server, &error))
    }

    async fn update_task(&self, server: NodeId, task: NodeTask) -> Result<TaskReport, ProvisionError> {
        if server == self.node {
            return self.own.update_task(task).await.map_err(|cause| ProvisionError::Refused { server, cause });
        }
        self.others.update_task(server, &task).await.map_err(|error| call_error(server, &error))
    }

    async fn question(&self, server: NodeId, question: Value) -> Result<Value, ProvisionError> {
        if server == self.node {
            return self.own.answer(question).await.map_err(|cause| ProvisionError::Refused { server, cause });
        }
        self.others.question(server, &question).await.map_err(|error| call_error(server, &error))
    }

    async fn trace(&self, server: NodeId, query: TraceQuery) -> Result<Vec<TracedMessage>, ProvisionError> {
        if server == self.node {
            return self.own.trace(query).await.map_err(|cause| ProvisionError::Refused { server, cause });
        }
        self.others.trace(server, &query).await.map_err(|error| call_error(server, &error))
    }

    async fn sessions(&self, server: NodeId, question: SessionsQuestion) -> Result<Vec<OpenSession>, ProvisionError> {
        if server == self.node {
            return Ok(self.own.sessions(question).await);
        }
        self.others.sessions(server, &question).await.map_err(|error| call_error(server, &error))
    }

    async fn edge_report(&self, server: NodeId) -> Result<EdgeReport, ProvisionError> {
        if server == self.node {
            return self.own.edge_report().await.map_err(|cause| ProvisionError::Refused { server, cause });
        }
        self.others.edge_report(server).await.map_err(|error| call_error(server, &error))
    }

    async fn store(&self, account: AccountId, server: NodeId) -> Result<StoreReport, ProvisionError> {
        let state = self.copies.state(server, account).await;
        match state {
            Ok(Some(state)) => Ok(report(state)),
            Ok(None) => Err(ProvisionError::Refused { server, cause: "it has no store of the account".to_owned() }),
            Err(error) => Err(ProvisionError::Unreachable { server, cause: error.to_string() }),
        }
    }
}

/// Invitations of the main node.
pub struct Invitations {
    desk: Option<Arc<JoinDesk>>,
}

impl Invitations {
    /// Without a desk every call says that this is not the main node.
    pub fn new(desk: Option<Arc<JoinDesk>>) -> Self {
        Invitations { desk }
    }

    fn desk(&self) -> Result<&Arc<JoinDesk>, TokenError> {
        self.desk.as_ref().ok_or(TokenError::NotMain)
    }
}

#[async_trait]
impl Tokens for Invitations {
    async fn issue(&self, request: TokenRequest) -> Result<JoinToken, TokenError> {
        let roles = request.roles.iter().filter_map(|name| node_role(name)).collect();
        let lifetime_ms = i64::try_from(request.lifetime_ms).unwrap_or(i64::MAX);
        let grant = TokenGrant { name: request.name, roles, lifetime_ms, replaces: request.replaces };
        let issued = self.desk()?.issue_token(grant).await;
        let (token, entry) = issued.map_err(|error| TokenError::Storage(error.to_string()))?;
        Ok(JoinToken { token: Some(Secret::new(token.to_string())), ..listed(entry) })
    }

    async fn list(&self) -> Result<Vec<JoinToken>, TokenError> {
        Ok(self.desk()?.open_tokens().into_iter().map(listed).collect())
    }

    async fn revoke(&self, id: &str) -> Result<bool, TokenError> {
        self.desk()?.revoke_token(id).await.map_err(|error| TokenError::Storage(error.to_string()))
    }
}

/// A token without its secret.
fn listed(entry: TokenEntry) -> JoinToken {
    let roles = entry.grant.roles.iter().map(|role| role_name(*role).to_owned()).collect();
    let lifetime_ms = entry.grant.lifetime_ms.unsigned_abs();
    let request = TokenRequest { name: entry.grant.name, roles, lifetime_ms, replaces: entry.grant.replaces };
    JoinToken { id: entry.id, token: None, request, expires_at: entry.expires_at }
}

fn node_role(name: &str) -> Option<NodeRole> {
    [NodeRole::Main, NodeRole::Data, NodeRole::Edge].into_iter().find(|role| role_name(*role) == name)
}

fn role_name(role: NodeRole) -> &'static str {
    match role {
        NodeRole::Main => "main",
        NodeRole::Data => "data",
        NodeRole::Edge => "edge",
    }
}
