//! Brings messages to other servers.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sterna_base::{OperationId, Secret};
use tokio::sync::watch;

use super::connection::{Connection, ConnectionError, Target};
use super::dns::{self, DnsError, Resolver};
use super::pool::Pool;
use super::tls::TlsPolicy;
use super::transaction::Mail;
use crate::queue::{Carried, Carrier, Content, Delivered, Delivery, Destination, NextHop, SMTP_PORT, Said};

/// What administrators set for sending.
#[derive(Clone, Debug, Default)]
pub struct RemoteSettings {
    /// The name that we give, and by which we know ourselves among mail exchangers.
    pub own_name: String,
    /// The port of mail exchangers: 25 everywhere but in tests; 0 stands for it.
    pub port: u16,
    /// TLS to servers that nothing else is said of.
    pub tls: TlsPolicy,
    /// Next hops that get other TLS, or credentials.
    pub hops: Vec<HopSettings>,
}

/// How one next hop is spoken to.
#[derive(Clone, Debug)]
pub struct HopSettings {
    /// Which.
    pub hop: NextHop,
    /// TLS to it.
    pub tls: TlsPolicy,
    /// As whom to log in.
    pub credentials: Option<Credentials>,
}

/// A user of another server.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Name.
    pub user: String,
    /// Password.
    pub password: Secret,
}

/// See the module.
pub struct RemoteCarrier {
    resolver: Arc<dyn Resolver>,
    settings: watch::Receiver<RemoteSettings>,
    pool: Pool,
}

/// Why no connection came about.
enum NoConnection {
    /// It is worth another try, for whatever message.
    Unreachable(Said),
    /// It will never be.
    Never(Said),
}

impl RemoteCarrier {
    /// With a way to ask DNS.
    pub fn new(resolver: Arc<dyn Resolver>, settings: watch::Receiver<RemoteSettings>) -> Self {
        RemoteCarrier { resolver, settings, pool: Pool::default() }
    }

    async fn connect(&self, destination: &Destination) -> Result<Connection, NoConnection> {
        let settings = self.settings.borrow().clone();
        let (hosts, port) = self.hosts(destination, &settings).await?;
        let mut last = Said { text: "no host to connect to".to_owned(), status: (4, 4, 1), ..Said::default() };
        for host in &hosts {
            let addresses = match self.addresses(host).await {
                Ok(addresses) => addresses,
                Err(error) => {
                    last = said_of_dns(host, &error, (4, 4, 3));
                    continue;
                }
            };
            if addresses.is_empty() {
                last = Said { host: host.clone(), text: "the host has no address".into(), status: (4, 4, 4), ..last };
            }
            for address in dns::in_turn(addresses) {
                match self.open(host, address, port, destination, &settings).await {
                    Ok(connection) => return Ok(connection),
                    Err(error) => last = error.said(&format!("{host} [{address}]")),
                }
            }
        }
        Err(NoConnection::Unreachable(last))
    }

    /// The hosts of a destination, best first, and the port.
    async fn hosts(
        &self,
        destination: &Destination,
        settings: &RemoteSettings,
    ) -> Result<(Vec<String>, u16), NoConnection> {
        let domain = match destination {
            Destination::Host(NextHop { host, port }) => return Ok((vec![host.clone()], *port)),
            Destination::Domain(domain) => domain,
            Destination::Account(_) => return Ok((Vec::new(), 0)),
        };
        let port = if settings.port == 0 { SMTP_PORT } else { settings.port };
        // An address literal is its own exchanger (RFC 5321 section 4.1.3).
        if let Some(literal) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return Ok((vec![literal.trim_start_matches("IPv6:").to_owned()], port));
        }
        let exchangers = match self.resolver.mx(domain).await {
            Ok(exchangers) => exchangers,
            Err(error @ DnsError::NoSuchDomain) => {
                return Err(NoConnection::Never(said_of_dns("", &error, (5, 1, 2))));
            }
            Err(error) => return Err(NoConnection::Unreachable(said_of_dns("", &error, (4, 4, 3)))),
        };
        let random = OperationId::random().0;
        let random = u64::from_be_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|at| random[at]));
        let hosts = dns::hosts(domain, exchangers, &settings.own_name, random).map_err(|no_mail| {
            let status = if no_mail == dns::NoMail::NullMx { (5, 1, 10) } else { (5, 4, 6) };
            NoConnection::Never(Said { text: no_mail.to_string(), status, ..Said::default() })
        })?;
        Ok((hosts, port))
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        match host.parse() {
            Ok(address) => Ok(vec![address]),
            Err(_) => self.resolver.addresses(host).await,
        }
    }

    async fn open(
        &self,
        host: &str,
        address: IpAddr,
        port: u16,
        destination: &Destination,
        settings: &RemoteSettings,
    ) -> Result<Connection, ConnectionError> {
        let special = settings.hops.iter().find(|special| *destination == Destination::Host(special.hop.clone()));
        let tls = special.map_or(settings.tls, |special| special.tls);
        let own_name = if settings.own_name.is_empty() { "localhost" } else { &settings.own_name };
        let mut connection = Connection::open(&Target { host, address, port, tls, own_name }).await?;
        if let Some(credentials) = special.and_then(|special| special.credentials.as_ref()) {
            log_in(&mut connection, credentials).await?;
        }
        Ok(connection)
    }
}

/// Logs in with PLAIN (RFC 4616), never without TLS except on this machine.
async fn log_in(connection: &mut Connection, credentials: &Credentials) -> Result<(), ConnectionError> {
    let is_here = connection.peer.contains("[127.") || connection.peer.contains("[::1]");
    if !connection.tls && !is_here {
        return Err(ConnectionError::Tls("the password for the relay host is not sent without TLS".to_owned()));
    }
    if !connection.extensions.auth.iter().any(|mechanism| mechanism == "PLAIN") {
        return Err(ConnectionError::Tls("the relay host does not offer AUTH PLAIN".to_owned()));
    }
    let plain = format!("\0{}\0{}", credentials.user, credentials.password.expose());
    let answer = connection.command(&format!("AUTH PLAIN {}", STANDARD.encode(plain)), "logging in").await?;
    if answer.is_positive() { Ok(()) } else { Err(ConnectionError::Refused(answer)) }
}

fn said_of_dns(host: &str, error: &DnsError, status: (u8, u16, u16)) -> Said {
    Said { host: host.to_owned(), text: error.to_string(), status, is_reply: false }
}

#[async_trait]
impl Carrier for RemoteCarrier {
    async fn carry(&self, delivery: &Delivery, content: Content) -> Carried {
        let destination = &delivery.destination;
        let mail = Mail {
            envelope: &delivery.envelope,
            size_bytes: delivery.size_bytes,
            recipients: delivery.recipients.iter().map(|recipient| &recipient.rcpt).collect(),
            content: &content,
        };
        let waiting = self.pool.take(destination);
        let has_waited = waiting.is_some();
        let mut connection = match waiting {
            Some(connection) => connection,
            None => match self.connect(destination).await {
                Ok(connection) => connection,
                Err(no_connection) => return no_connection.carried(delivery),
            },
        };
        let mut result = connection.transact(&mail).await;
        // A connection that waited may be gone without a word; that says nothing of the server. Once the content's end
        // was sent the server may have the message, and another connection could give it a second one.
        if result.is_err() && has_waited && !connection.content_sent {
            connection = match self.connect(destination).await {
                Ok(connection) => connection,
                Err(no_connection) => return no_connection.carried(delivery),
            };
            result = connection.transact(&mail).await;
        }
        match result {
            Ok(results) => {
                if !connection.broken && !is_closing(&results) {
                    self.pool.put(destination, connection);
                }
                Carried::Reached(results)
            }
            Err(error) => {
                let said = error.said(&connection.peer);
                Carried::Reached(vec![Delivered::Deferred(said); delivery.recipients.len()])
            }
        }
    }
}

impl NoConnection {
    fn carried(self, delivery: &Delivery) -> Carried {
        match self {
            NoConnection::Unreachable(said) => Carried::Unreachable(said),
            NoConnection::Never(said) => Carried::Reached(vec![Delivered::Failed(said); delivery.recipients.len()]),
        }
    }
}

/// Whether the server has said that it closes the connection (RFC 5321 section 3.8).
fn is_closing(results: &[Delivered]) -> bool {
    results.iter().any(|result| matches!(result, Delivered::Deferred(said) if said.text.starts_with("421")))
}
