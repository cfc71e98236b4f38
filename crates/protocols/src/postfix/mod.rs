//! What Postfix asks when it stands in front: lookups by its own two protocols, so that there are no files to
//! regenerate. [`socketmap`] has all tables on one port; [`tcp_table`] has one on each.
//!
//! Both are Postfix's own and described in its manual pages socketmap_table(5) and tcp_table(5). Nobody logs in: a
//! listener belongs on loopback, or behind a firewall.

mod socketmap;
mod tcp_table;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;

pub use socketmap::Socketmap;
pub use tcp_table::TcpTable;

/// How long Postfix may be silent; it keeps connections and closes them itself.
const IDLE: Duration = Duration::from_secs(3600);

/// Longest key, in bytes: longer than any address.
const KEY_BYTES_MAX: usize = 2048;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MailTable {
    /// `virtual_mailbox_domains`, `relay_domains`: domains of ours.
    VirtualDomains,
    /// `virtual_mailbox_maps`, `relay_recipient_maps`: addresses that take mail.
    VirtualMailboxes,
    /// `virtual_alias_maps`: what an address stands for.
    VirtualAliases,
    /// `transport_maps`: the edge that takes the mail of an address.
    Transport,
    /// `smtpd_sender_login_maps`: who may send with an address.
    SenderLogins,
    /// `check_recipient_access`: what is asked of those who write to a group that takes mail of users only.
    ClosedGroups,
}

impl MailTable {
    /// All of them.
    pub const ALL: [MailTable; 6] = [
        MailTable::VirtualDomains,
        MailTable::VirtualMailboxes,
        MailTable::VirtualAliases,
        MailTable::Transport,
        MailTable::SenderLogins,
        MailTable::ClosedGroups,
    ];

    /// Its name in Postfix's configuration and in ours.
    pub fn name(self) -> &'static str {
        match self {
            MailTable::VirtualDomains => "virtual-domains",
            MailTable::VirtualMailboxes => "virtual-mailboxes",
            MailTable::VirtualAliases => "virtual-aliases",
            MailTable::Transport => "transport",
            MailTable::SenderLogins => "sender-logins",
            MailTable::ClosedGroups => "closed-groups",
        }
    }
}

impl fmt::Display for MailTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no table of that name.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no table {0:?}; the tables are virtual-domains, virtual-mailboxes, virtual-aliases, transport, \
     sender-logins and closed-groups"
)]
pub struct NoSuchTable(String);

impl FromStr for MailTable {
    type Err = NoSuchTable;
    fn from_str(name: &str) -> Result<Self, NoSuchTable> {
        MailTable::ALL.into_iter().find(|table| table.name() == name).ok_or_else(|| NoSuchTable(name.to_owned()))
    }
}

/// Answers lookups.
#[async_trait]
pub trait MailTables: Send + Sync {
    /// The value of a key; `None` when the table doesn't have it.
    ///
    /// # Errors
    /// Why it can't be told now, for the operator: Postfix tries again later.
    async fn look_up(&self, table: MailTable, key: &str) -> Result<Option<String>, String>;
}

/// A key that Postfix may ask for; `None` for what can't be in any table.
fn key(bytes: &[u8]) -> Option<&str> {
    let key = std::str::from_utf8(bytes).ok()?;
    (!key.is_empty() && key.len() <= KEY_BYTES_MAX && !key.contains(char::is_control)).then_some(key)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::listener::{Listener, ListenerConfig, Protocol, Tls};

    struct Demo;

    #[async_trait]
    impl MailTables for Demo {
        async fn look_up(&self, _table: MailTable, key: &str) -> Result<Option<String>, String> {
            match key {
                "down.test" => Err("the disk is gone".to_owned()),
                "demo.test" => Ok(Some("demo.test !".to_owned())),
                _ => Ok(None),
            }
        }
    }

    /// Sends all of it, and gives all that is answered.
    pub async fn dialog(protocol: fn(Arc<dyn MailTables>) -> Arc<dyn Protocol>, requests: &[u8]) -> String {
        let config = ListenerConfig::new(Tls::None);
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), config, protocol(Arc::new(Demo))).await.unwrap();
        let address = listener.local_address().unwrap();
        let stop = tokio_util::sync::CancellationToken::new();
        let running = tokio::spawn(listener.run(stop.clone()));
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        // Whoever is not understood may be hung up on before all was sent.
        let _ = stream.write_all(requests).await;
        let _ = stream.shutdown().await;
        let mut answers = Vec::new();
        let _ = stream.read_to_end(&mut answers).await;
        stop.cancel();
        running.await.unwrap();
        String::from_utf8(answers).unwrap()
    }

    #[test]
    fn tables_are_read_as_they_are_named() {
        for table in MailTable::ALL {
            assert_eq!(table.name().parse::<MailTable>().unwrap(), table);
        }
        assert!("virtual".parse::<MailTable>().is_err());
    }
}
