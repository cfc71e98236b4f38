//! What the main node asks of data servers about copies, wherever they are.

use std::sync::Arc;

use http::Method;
use serde::Serialize;
use sterna_account::AccountError;
use sterna_base::{AccountId, NodeId};

use super::calls::{CopyState, ReadyCall, SealCall, path};
use super::follower::CopyError;
use super::keeper::Keeper;
use crate::rpc::CallError;
use crate::rpc::peer::Call;
use crate::rpc::peers::Peers;

/// Why a data server did not do what the main node asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It can't be reached, or refused.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The main node's own store failed.
    #[error(transparent)]
    Own(#[from] AccountError),
    /// The main node's own copy did not do it.
    #[error(transparent)]
    OwnCopy(#[from] CopyError),
    /// The deadline of the cut-over came before the answer.
    #[error("node {0} did not answer")]
    Late(String),
}

/// Calls the data servers; the main node may be one of them.
#[derive(Clone)]
pub struct CopiesClient {
    peers: Arc<Peers>,
    own: Option<Arc<Keeper>>,
}

impl CopiesClient {
    /// `own` are the copies of this node, if it is a data server.
    pub fn new(peers: Arc<Peers>, own: Option<Arc<Keeper>>) -> Self {
        CopiesClient { peers, own }
    }

    /// What messages call a node.
    pub fn name(&self, node: NodeId) -> String {
        self.peers.peer(node).name()
    }

    fn own(&self, node: NodeId) -> Option<&Keeper> {
        self.own.as_deref().filter(|_| node == self.peers.identity().node())
    }

    /// How the account's store on that node is; `None` when it has none.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn state(&self, node: NodeId, account: AccountId) -> Result<Option<CopyState>, ClientError> {
        let asked = match self.own(node) {
            Some(own) => own.state(account).await.map_err(ClientError::Own),
            None => self.call(node, account, path::STATE, &()).await,
        };
        match asked {
            Ok(state) => Ok(Some(state)),
            Err(error) if error.is_no_such_account() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// See [`Keeper::seal`].
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn seal(&self, node: NodeId, account: AccountId, call: &SealCall) -> Result<CopyState, ClientError> {
        match self.own(node) {
            Some(own) => Ok(own.seal(account, call).await?),
            None => self.call(node, account, path::SEAL, call).await,
        }
    }

    /// See [`Keeper::make_ready`].
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn make_ready(
        &self,
        node: NodeId,
        account: AccountId,
        call: ReadyCall,
    ) -> Result<CopyState, ClientError> {
        match self.own(node) {
            Some(own) => Ok(own.make_ready(account, call).await?),
            None => self.call(node, account, path::READY, &call).await,
        }
    }

    /// All of these may be repeated.
    async fn call<C: Serialize>(
        &self,
        node: NodeId,
        account: AccountId,
        method: &str,
        call: &C,
    ) -> Result<CopyState, ClientError> {
        let peer = self.peers.peer(node);
        let body = peer.json(call)?;
        let call = Call::control(Method::POST, &format!("/v1/copies/{account}/{method}"));
        Ok(peer.read(&peer.call_again_if_lost(&call, body).await?)?)
    }
}

impl ClientError {
    fn is_no_such_account(&self) -> bool {
        match self {
            ClientError::Own(AccountError::NoSuchAccount(_)) => true,
            ClientError::Call(error) => matches!(AccountError::from(error.clone()), AccountError::NoSuchAccount(_)),
            _ => false,
        }
    }
}
