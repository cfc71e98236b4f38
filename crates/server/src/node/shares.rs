//! Who shares with whom, for the sessions of this node: read from its copy of the directory, written by the main node.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sterna_account::shares::{Principal, Shares, SharesError, Sharing};
use sterna_account::{Account, Identifier};
use sterna_base::{AccountId, DomainId, Modseq};
use sterna_cluster::rpc::fault::FaultKind;
use sterna_cluster::{CallError, ControlClient, Nodes, NotedShare};
use sterna_directory::Directory;

/// How long a change waits until it is in this node's own copy, so that whoever made it sees it. It is done before.
const SEEN_WAIT_MAX: Duration = Duration::from_secs(2);

/// How long the main node is waited for.
const MAIN_WAIT_MAX: Duration = Duration::from_secs(5);

/// The directory's copy of this node, and the way to the main one.
pub struct NodeShares {
    directory: Directory,
    nodes: Arc<dyn Nodes>,
    main: ControlClient,
}

impl NodeShares {
    /// Of this node.
    pub fn new(directory: Directory, nodes: Arc<dyn Nodes>, main: ControlClient) -> Self {
        NodeShares { directory, nodes, main }
    }

    async fn ask_main(&self, share: NotedShare) -> Result<Modseq, SharesError> {
        let main = self.nodes.main().ok_or_else(|| SharesError::Unavailable("no main node is known".to_owned()))?;
        match tokio::time::timeout(MAIN_WAIT_MAX, self.main.set_share(main, share)).await {
            Ok(Ok(modseq)) => Ok(modseq),
            Ok(Err(CallError::Refused { fault, .. })) if matches!(fault.kind, FaultKind::Malformed(_)) => {
                Err(SharesError::Refused(fault.text))
            }
            Ok(Err(error)) => Err(SharesError::Unavailable(error.to_string())),
            Err(_) => Err(SharesError::Unavailable("the main node didn't answer".to_owned())),
        }
    }
}

#[async_trait]
impl Shares for NodeShares {
    async fn sharing(&self, account: AccountId) -> Result<Sharing, SharesError> {
        self.directory.sharing(account).await
    }

    async fn entry(&self, address: &str) -> Result<Option<AccountId>, SharesError> {
        self.directory.entry(address).await
    }

    async fn addresses(&self, ids: Vec<AccountId>) -> Result<HashMap<AccountId, String>, SharesError> {
        self.directory.addresses(ids).await
    }

    async fn identifier(&self, name: &str) -> Result<Option<Identifier>, SharesError> {
        self.directory.identifier(name).await
    }

    async fn domains(&self, ids: Vec<DomainId>) -> Result<HashMap<DomainId, String>, SharesError> {
        self.directory.domains(ids).await
    }

    async fn principals(&self, ids: Vec<AccountId>) -> Result<Vec<Principal>, SharesError> {
        self.directory.principals(ids).await
    }

    async fn book(&self, account: AccountId) -> Result<Option<Arc<dyn Account>>, SharesError> {
        self.directory.book(account).await
    }

    async fn set(&self, owner: AccountId, grantee: Identifier, shares: bool) -> Result<(), SharesError> {
        if self.directory.is_main() {
            return self.directory.set(owner, grantee, shares).await;
        }
        let modseq = self.ask_main(NotedShare { owner, grantee, shares }).await?;
        let mut watch = self.directory.watch();
        // Longer than that, and it is only later that it is seen here.
        tokio::time::timeout(SEEN_WAIT_MAX, watch.wait_for(|seen| *seen >= modseq)).await.ok();
        Ok(())
    }
}
