//! Replication from Cyrus on this node: who its users are here, and the port on which its `sync_client` calls.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use sterna_account::Identifier;
use sterna_account::service::{Accounts, Authenticator, LoginAttempt};
use sterna_account::shares::Shares;
use sterna_base::{AccountId, Secret};
use sterna_directory::rights::Rights;
use sterna_directory::{AnyEntry, Authentication, Directory, Reader, StorageError};
use sterna_migration::cyrus::doors::{Arrival, Channel, Users};
use sterna_migration::cyrus::mirror::Mirror;
use sterna_migration::cyrus::session::Session;
use sterna_migration::imap::account::Identities;
use sterna_protocols::listener::{Connection, Protocol};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Parts;

/// The file of the mirror, in the node's folder.
const MIRROR_FILE: &str = "cyrus.sqlite";

/// Users of the old server, as this installation knows them.
pub struct NodeUsers {
    directory: Directory,
    accounts: Arc<dyn Accounts>,
    authentication: Arc<Authentication>,
}

impl NodeUsers {
    /// Of these parts of the node.
    pub fn new(directory: Directory, accounts: Arc<dyn Accounts>, authentication: Arc<Authentication>) -> Self {
        NodeUsers { directory, accounts, authentication }
    }

    /// The account of somebody there: by address or login, and for names without a domain by the only address here
    /// that begins so.
    async fn find(&self, user: &str) -> Result<(AccountId, String, bool), String> {
        let name = user.to_owned();
        let read = move |reader: &Reader<'_>| {
            let mut found = reader.user_by_login(&name)?.map(|user| AnyEntry::User(user.value));
            if found.is_none() && name.contains('@') {
                found = reader.entry_at(&name)?.map(|entry| entry.value);
            }
            let mut all: Vec<AnyEntry> = found.into_iter().collect();
            if all.is_empty() && !name.contains('@') {
                for domain in reader.domains("", DOMAINS_MAX)? {
                    all.extend(reader.entry_at(&format!("{name}@{}", domain.value.name))?.map(|entry| entry.value));
                }
            }
            let with_address = all.into_iter().map(|entry| {
                let address = reader.address_text(&entry.entry().address)?.unwrap_or_default();
                Ok((entry, address))
            });
            with_address.collect::<Result<Vec<(AnyEntry, String)>, StorageError>>()
        };
        let found = self.directory.read(read).await.map_err(|error| error.to_string())?;
        match &found[..] {
            [(entry, address)] if entry.has_account() => {
                let common = entry.entry();
                Ok((common.id, address.clone(), common.suspended))
            }
            [_] => Err(format!("{user} is a group here, not an account")),
            [] => Err(format!("there is no account for {user}; make one (sterna user create, sterna account create)")),
            _ => Err(format!("{user} may be one of several addresses; give one of them this login (sterna user set)")),
        }
    }
}

/// Domains in which a name without one is looked for.
const DOMAINS_MAX: usize = 1000;

#[async_trait]
impl Identities for NodeUsers {
    async fn identify(&self, _owner: AccountId, name: &str) -> Option<Identifier> {
        if let Ok(Some(found)) = self.directory.identifier(name).await {
            return Some(found);
        }
        self.find(name).await.ok().map(|(id, _, _)| Identifier::Entry(id))
    }
}

#[async_trait]
impl Users for NodeUsers {
    async fn arrival(&self, user: &str) -> Result<Arrival, String> {
        let (id, address, is_closed) = self.find(user).await?;
        let account = self.accounts.open(id).await.map_err(|error| error.to_string())?;
        Ok(Arrival { account, address, is_closed })
    }

    async fn may_replicate(&self, login: &str, password: &Secret, peer: IpAddr) -> Result<(), String> {
        let attempt = LoginAttempt { login, password, protocol: "replication", peer };
        let login = self.authentication.authenticate(attempt).await.map_err(|error| error.to_string())?;
        let read = move |reader: &Reader<'_>| reader.rights(login.account);
        let rights = self.directory.read(read).await.map_err(|error: StorageError| error.to_string())?;
        if rights == Rights::all() { Ok(()) } else { Err("only administrators of the installation may".to_owned()) }
    }
}

/// Opens the mirror of this node.
pub(super) fn mirror(parts: &Parts) -> Result<Mirror> {
    Mirror::open(&parts.folder.join(MIRROR_FILE)).context("the mirror of the old server, cyrus.sqlite")
}

/// The protocol of the port.
pub struct CyrusReplication {
    users: NodeUsers,
    mirror: Mirror,
    host: String,
}

impl CyrusReplication {
    /// Into this mirror.
    pub fn new(users: NodeUsers, mirror: Mirror, host: &str) -> Self {
        CyrusReplication { users, mirror, host: host.to_owned() }
    }
}

#[async_trait]
impl Protocol for CyrusReplication {
    fn name(&self) -> &'static str {
        "replication"
    }

    fn busy(&self) -> String {
        "* BYE too many connections\r\n".to_owned()
    }

    async fn serve(&self, connection: Connection) {
        let shutdown = connection.shutdown().clone();
        let mut channel = Wire(connection);
        let serving = Session::serve(&mut channel, &self.mirror, &self.users, &self.host);
        if let Some(Err(error)) = shutdown.run_until_cancelled(serving).await {
            tracing::info!(%error, "a session of replication ended");
        }
    }
}

struct Wire(Connection);

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[async_trait]
impl Channel for Wire {
    fn peer(&self) -> IpAddr {
        self.0.peer()
    }

    fn is_private(&self) -> bool {
        self.0.is_encrypted() || self.0.peer().is_loopback()
    }

    fn can_start_tls(&self) -> bool {
        self.0.can_start_tls()
    }

    async fn start_tls(&mut self) -> io::Result<()> {
        self.0.start_tls().await.map_err(io::Error::other)
    }
}
