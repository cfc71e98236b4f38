//! Lookups for a Postfix in front, from this node's copy of the directory.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::service::Recipients;
use sterna_base::NodeId;
use sterna_directory::model::Server;
use sterna_directory::{Directory, Reader, StorageError, mail_tables, settings};
use sterna_protocols::postfix::{MailTable, MailTables};

use super::Parts;

/// What a table of names without values has for each of them.
const PRESENT: &str = "OK";

/// See the module.
pub struct NodeMailTables {
    directory: Directory,
    recipients: Arc<dyn Recipients>,
    own: Own,
}

/// This node, as a Postfix that asks it reaches it.
#[derive(Clone, Copy)]
struct Own {
    id: NodeId,
    /// Where it takes LMTP.
    lmtp: Option<SocketAddr>,
}

impl NodeMailTables {
    /// Of this node. The recipients are those of its own sessions: they know addresses that are in no directory, which
    /// stand for senders elsewhere.
    pub fn new(parts: &Parts, recipients: Arc<dyn Recipients>) -> Self {
        let own = Own { id: parts.identity.node(), lmtp: parts.config.listen.lmtp };
        NodeMailTables { directory: parts.directory.clone(), recipients, own }
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
        MailTable::SenderLogins => Ok(mail_tables::sender_logins(reader, key)?.map(|logins| logins.join(", "))),
        MailTable::Transport => transport(reader, own, key, is_address),
    }
}

fn is_address(key: &str) -> bool {
    key.contains('@') && !key.starts_with('@')
}

/// The edge on the account's own server, else this node, else any edge; the last two for domains of ours, too.
fn transport(reader: &Reader<'_>, own: Own, key: &str, is_address: bool) -> Result<Option<String>, StorageError> {
    let domain = key.rsplit_once('@').map_or(key, |(_, domain)| domain);
    if !mail_tables::is_domain(reader, domain)? {
        return Ok(None);
    }
    let home = if is_address { mail_tables::server_of(reader, key)? } else { None };
    let servers: Vec<Server> = reader.servers()?.into_iter().map(|found| found.value).collect();
    let edge = |id: NodeId| servers.iter().find(|server| server.id == id && server.roles.edge);
    let any = || servers.iter().find(|server| server.roles.edge);
    let Some(edge) = home.and_then(edge).or_else(|| edge(own.id)).or_else(any) else { return Ok(None) };
    if edge.id == own.id
        && let Some(lmtp) = own.lmtp
    {
        let host = if lmtp.ip().is_unspecified() { host(&edge.address) } else { literal(lmtp.ip()) };
        return Ok(Some(format!("lmtp:inet:{host}:{}", lmtp.port())));
    }
    let port = reader.number_setting(settings::POSTFIX_LMTP_PORT)?;
    Ok(Some(format!("lmtp:inet:{}:{port}", host(&edge.address))))
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
