//! Lookups for a Postfix in front, from this node's copy of the directory.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::service::Recipients;
use sterna_base::NodeId;
use sterna_directory::model::Server;
use sterna_directory::{Directory, Reader, StorageError, mail_tables, settings};
use sterna_mailflow::call_forward::{CallForward, Existence};
use sterna_protocols::postfix::{MailTable, MailTables};

use super::Parts;

/// What a table of names without values has for each of them.
pub const PRESENT: &str = "OK";
/// The restrictions (access(5)) for those who write to a group that takes mail of users only: who has logged in, and
/// not with somebody else's address. Postfix evaluates them in the place of the lookup, so that what comes later in its
/// own list is not reached.
pub const USERS_ONLY: &str = "reject_sender_login_mismatch, permit_sasl_authenticated, reject";

/// See the module.
pub struct NodeMailTables {
    directory: Directory,
    recipients: Arc<dyn Recipients>,
    call_forward: Arc<CallForward>,
    own: Own,
}

/// This node, as a Postfix that asks it reaches it.
#[derive(Clone, Copy)]
pub struct Own {
    id: NodeId,
    /// Where it takes LMTP.
    lmtp: Option<SocketAddr>,
}

impl Own {
    /// The node with these parts.
    pub(super) fn of(parts: &Parts) -> Self {
        Own { id: parts.identity.node(), lmtp: parts.config.listen.lmtp }
    }
}

impl NodeMailTables {
    /// Of this node. The recipients are those of its own sessions: they know addresses that are in no directory, which
    /// stand for senders elsewhere.
    pub(super) fn new(parts: &Parts, recipients: Arc<dyn Recipients>, call_forward: Arc<CallForward>) -> Self {
        NodeMailTables { directory: parts.directory.clone(), recipients, call_forward, own: Own::of(parts) }
    }

    /// Whether mail for an address is taken, also by the other server of a split domain.
    async fn is_taken(&self, address: &str) -> Result<bool, String> {
        let Ok(route) = self.recipients.route(address).await else { return Ok(true) };
        // What Postfix asks for was not read by our own grammar of paths, and goes into a command line.
        if !is_plain(address) {
            return Ok(false);
        }
        match self.call_forward.existence(&route, address, None).await {
            Existence::Exists => Ok(true),
            Existence::Refused(_) => Ok(false),
            Existence::Unknown(said) => Err(format!("{}: {}", said.host, said.text)),
        }
    }
}

#[async_trait]
impl MailTables for NodeMailTables {
    async fn look_up(&self, table: MailTable, key: &str) -> Result<Option<String>, String> {
        let (own, asked) = (self.own, key.to_owned());
        let found = self.directory.read(move |reader| look_up(reader, own, table, &asked)).await;
        match found.map_err(|error| error.to_string())? {
            None if table == MailTable::VirtualMailboxes && is_address(key) => {
                Ok(self.recipients.route(key).await.is_ok().then(|| PRESENT.to_owned()))
            }
            Some(_) if table == MailTable::VirtualMailboxes && is_address(key) => {
                Ok(self.is_taken(key).await?.then(|| PRESENT.to_owned()))
            }
            found => Ok(found),
        }
    }
}

fn look_up(reader: &Reader<'_>, own: Own, table: MailTable, key: &str) -> Result<Option<String>, StorageError> {
    let present = |is_there: bool| is_there.then(|| PRESENT.to_owned());
    let is_address = is_address(key);
    match table {
        MailTable::VirtualDomains => Ok(present(mail_tables::is_domain(reader, key)?)),
        // Postfix asks for parts of addresses, too: those are in no table of ours, because a catch-all is answered for
        // the whole address.
        _ if table != MailTable::Transport && !is_address => Ok(None),
        MailTable::VirtualMailboxes => Ok(present(mail_tables::is_recipient(reader, key)?)),
        MailTable::VirtualAliases => Ok(mail_tables::alias(reader, key)?.map(|addresses| addresses.join(", "))),
        MailTable::ClosedGroups => Ok(mail_tables::is_closed(reader, key)?.then(|| USERS_ONLY.to_owned())),
        MailTable::SenderLogins => Ok(mail_tables::sender_logins(reader, key)?.map(|logins| logins.join(", "))),
        MailTable::Transport => transport(reader, own, key, is_address),
    }
}

fn is_address(key: &str) -> bool {
    key.contains('@') && !key.starts_with('@')
}

/// Whether an address can stand in a command as it is.
fn is_plain(address: &str) -> bool {
    !address.contains(|c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\\'))
}

/// The edge on the account's own server, else this node, else any edge; the last two for domains of ours, too.
fn transport(reader: &Reader<'_>, own: Own, key: &str, is_address: bool) -> Result<Option<String>, StorageError> {
    let domain = key.rsplit_once('@').map_or(key, |(_, domain)| domain);
    if !mail_tables::is_domain(reader, domain)? {
        return Ok(None);
    }
    let home = if is_address { mail_tables::server_of(reader, key)? } else { None };
    Ok(Transports::read(reader, own)?.to(home))
}

/// How a Postfix hands mail to edges.
pub struct Transports {
    own: Own,
    edges: Vec<Server>,
    /// Where edges other than this node take LMTP.
    port: u64,
}

impl Transports {
    /// As the directory has the edges now.
    pub fn read(reader: &Reader<'_>, own: Own) -> Result<Self, StorageError> {
        let servers = reader.servers()?.into_iter().map(|found| found.value);
        let edges = servers.filter(|server| server.roles.edge).collect();
        Ok(Transports { own, edges, port: reader.number_setting(settings::POSTFIX_LMTP_PORT)? })
    }

    /// The edge for accounts on a server; for what is on none, this node or any edge. `None` without edges.
    pub fn to(&self, home: Option<NodeId>) -> Option<String> {
        let edge = |id: NodeId| self.edges.iter().find(|server| server.id == id);
        let edge = home.and_then(edge).or_else(|| edge(self.own.id)).or_else(|| self.edges.first())?;
        if edge.id == self.own.id
            && let Some(lmtp) = self.own.lmtp
        {
            let host = if lmtp.ip().is_unspecified() { host(&edge.address) } else { literal(lmtp.ip()) };
            return Some(format!("lmtp:inet:{host}:{}", lmtp.port()));
        }
        Some(format!("lmtp:inet:{}:{}", host(&edge.address), self.port))
    }
}

/// The host of `host:port` as Postfix writes it.
fn host(address: &str) -> String {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse().map_or_else(|_| format!("[{bare}]"), literal)
}

fn literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[ipv6:{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_written_as_postfix_reads_them() {
        assert_eq!(host("mail2.example.org:7700"), "[mail2.example.org]");
        assert_eq!(host("192.0.2.7:7700"), "[192.0.2.7]");
        assert_eq!(host("[2001:db8::7]:7700"), "[ipv6:2001:db8::7]");
    }
}
