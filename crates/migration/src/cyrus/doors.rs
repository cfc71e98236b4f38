//! What replication needs from the rest of the node.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::Account;
use sterna_base::Secret;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::imap::account::Identities;

/// The account that a user of the old server comes into.
#[derive(Clone)]
pub struct Arrival {
    /// The account.
    pub account: Arc<dyn Account>,
    /// Its main address.
    pub address: String,
    /// Whether nobody works in it yet. Into one that is open nothing is brought: the old server has no say any more.
    pub is_closed: bool,
}

/// Who is who, and who may replicate.
#[async_trait]
pub trait Users: Identities {
    /// The account of a user, or of a shared mailbox, of the old server.
    ///
    /// # Errors
    /// What is wrong, for the operator.
    async fn arrival(&self, user: &str) -> Result<Arrival, String>;

    /// Whether somebody with this login and password may bring mail into every account.
    ///
    /// # Errors
    /// Why not, for the log.
    async fn may_replicate(&self, login: &str, password: &Secret, peer: IpAddr) -> Result<(), String>;
}

/// A connection of `sync_client`.
#[async_trait]
pub trait Channel: AsyncRead + AsyncWrite + Unpin + Send {
    /// Where it comes from.
    fn peer(&self) -> IpAddr;
    /// Whether it is encrypted, or doesn't leave the machine.
    fn is_private(&self) -> bool;
    /// Whether it can be encrypted.
    fn can_start_tls(&self) -> bool;
    /// Encrypts it.
    async fn start_tls(&mut self) -> io::Result<()>;
}
