//! Brings messages to other servers.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use sterna_base::Secret;
use sterna_formats::mail;
use tokio::sync::watch;

use super::connection::{Connection, ConnectionError, Target};
use super::dane::Dane;
use super::dns::{self, DnsError, Resolver};
use super::log_in::log_in;
use super::observe::TlsObserver;
use super::pool::Pool;
use super::route::{Route, Way};
use super::sts::MtaSts;
use super::tls::{Demand, TlsPolicy, Trust};
use super::transaction::Mail;
use crate::queue::{Carried, Carrier, Content, Delivered, Delivery, Destination, NextHop, Said};

/// What administrators set for sending.
#[derive(Clone, Debug, Default)]
pub struct RemoteSettings {
    /// The name that we give, and by which we know ourselves among mail exchangers.
    pub own_name: String,
    /// The port of mail exchangers: 25 everywhere but in tests; 0 stands for it.
    pub port: u16,
    /// TLS to servers that nothing else is said of.
    pub tls: TlsPolicy,
    /// Whether domains' MTA-STS policies are asked for.
    pub mta_sts: bool,
    /// Whether certificates are looked for in DNS.
    pub dane: bool,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Name.
    pub user: String,
    /// Password.
    pub password: Secret,
}

/// See the module.
pub struct RemoteCarrier {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) settings: watch::Receiver<RemoteSettings>,
    pub(super) pool: Pool,
    pub(super) sts: Option<Arc<MtaSts>>,
    pub(super) dane: Option<Arc<Dane>>,
    trust: Trust,
    pub(super) observer: Option<Arc<dyn TlsObserver>>,
}

/// Why no connection came about.
pub enum NoConnection {
    /// It is worth another try, for whatever message.
    Unreachable(Said),
    /// It will never be.
    Never(Said),
}

impl RemoteCarrier {
    /// With a way to ask DNS.
    pub fn new(resolver: Arc<dyn Resolver>, settings: watch::Receiver<RemoteSettings>) -> Self {
        let (sts, dane, observer) = (None, None, None);
        RemoteCarrier { resolver, settings, pool: Pool::default(), sts, dane, trust: Trust::default(), observer }
    }

    /// With the policies of domains.
    pub fn with_sts(self, sts: Arc<MtaSts>) -> Self {
        RemoteCarrier { sts: Some(sts), ..self }
    }

    /// With a DNS that validates.
    pub fn with_dane(self, dane: Arc<Dane>) -> Self {
        RemoteCarrier { dane: Some(dane), ..self }
    }

    /// With other authorities than the system's.
    pub fn with_trust(self, trust: Trust) -> Self {
        RemoteCarrier { trust, ..self }
    }

    /// With somebody who is told what is seen of TLS.
    pub fn with_observer(self, observer: Arc<dyn TlsObserver>) -> Self {
        RemoteCarrier { observer: Some(observer), ..self }
    }

    /// With what the message's sender asks for: `is_lenient` is that domains' policies don't count.
    pub(super) async fn connect(
        &self,
        destination: &Destination,
        is_lenient: bool,
    ) -> Result<Connection, NoConnection> {
        let mut settings = self.settings.borrow().clone();
        settings.mta_sts &= !is_lenient;
        settings.dane &= !is_lenient;
        let mut route = self.route(destination, &settings).await?;
        route.is_observed &= !is_lenient;
        let mut last = Said { text: "no host to connect to".to_owned(), status: (4, 4, 1), ..Said::default() };
        for host in &route.hosts {
            let way = match self.way(host, &route, &settings).await {
                Ok(way) => way,
                Err(said) => {
                    last = said;
                    continue;
                }
            };
            if way.addresses.is_empty() {
                last = Said { host: host.clone(), text: "the host has no address".into(), status: (4, 4, 4), ..last };
            }
            for address in dns::in_turn(way.addresses.clone()) {
                let opened = self.open(host, address, &route, &way, destination, &settings).await;
                match &opened {
                    Ok(connection) => self.note_session(&route, &way, host, address, connection.tls_failure.clone()),
                    Err(ConnectionError::Tls(failure)) => {
                        self.note_session(&route, &way, host, address, Some(failure.clone()));
                    }
                    Err(_) => {}
                }
                match opened {
                    Ok(connection) => return Ok(connection),
                    Err(error) => last = error.said(&format!("{host} [{address}]")),
                }
            }
        }
        Err(NoConnection::Unreachable(last))
    }

    async fn open(
        &self,
        host: &str,
        address: IpAddr,
        route: &Route,
        way: &Way,
        destination: &Destination,
        settings: &RemoteSettings,
    ) -> Result<Connection, ConnectionError> {
        let special = settings.hop(destination);
        let demand = &settings.demand(destination, way);
        let own_name = if settings.own_name.is_empty() { "localhost" } else { &settings.own_name };
        let target = Target { host, address, port: route.port, demand, trust: &self.trust, own_name };
        let mut connection = Connection::open(&target).await?;
        if let Some(credentials) = special.and_then(|special| special.credentials.as_ref()) {
            log_in(&mut connection, credentials).await?;
            connection.credentials = Some(credentials.clone());
        }
        Ok(connection)
    }

    /// A connection that waits, and that would be made today as it was made then. Others are closed: what a domain or
    /// an administrator asks for by now may be more.
    pub(super) async fn waiting(&self, destination: &Destination) -> Option<Connection> {
        loop {
            let connection = self.pool.take(destination)?;
            let holds = self.holds(destination, &connection.host.clone()).await;
            if holds.is_some_and(|(demand, login)| demand == connection.demand && login == connection.credentials) {
                return Some(connection);
            }
            tokio::spawn(connection.quit());
        }
    }

    /// What a connection to a host would have to have now; `None` when there would be none. Asks again what was asked
    /// when it was made: DNS and the policy's store remember their answers.
    async fn holds(&self, destination: &Destination, host: &str) -> Option<(Demand, Option<Credentials>)> {
        let settings = self.settings.borrow().clone();
        let mut route = self.route(destination, &settings).await.ok()?;
        // What is seen is reported of connections that are made.
        route.is_observed = false;
        if !route.hosts.iter().any(|known| known == host) {
            return None;
        }
        let way = self.way(host, &route, &settings).await.ok()?;
        let credentials = settings.hop(destination).and_then(|special| special.credentials.clone());
        Some((settings.demand(destination, &way), credentials))
    }
}

impl RemoteSettings {
    /// What is set for this next hop alone.
    fn hop(&self, destination: &Destination) -> Option<&HopSettings> {
        self.hops.iter().find(|special| *destination == Destination::Host(special.hop.clone()))
    }

    fn demand(&self, destination: &Destination, way: &Way) -> Demand {
        self.hop(destination).map_or_else(|| way.demand.clone(), |special| Demand::Set(special.tls))
    }
}

pub fn said_of_dns(host: &str, error: &DnsError, status: (u8, u16, u16)) -> Said {
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
        let is_lenient = needs_no_tls(&content);
        let waiting = self.waiting(destination).await;
        let has_waited = waiting.is_some();
        let mut connection = match waiting {
            Some(connection) => connection,
            None => match self.connect(destination, is_lenient).await {
                Ok(connection) => connection,
                Err(no_connection) => return no_connection.carried(delivery),
            },
        };
        let mut result = connection.transact(&mail).await;
        // A connection that waited may be gone without a word; that says nothing of the server. Once the content's end
        // was sent the server may have the message, and another connection could give it a second one.
        if result.is_err() && has_waited && !connection.content_sent {
            connection = match self.connect(destination, is_lenient).await {
                Ok(connection) => connection,
                Err(no_connection) => return no_connection.carried(delivery),
            };
            result = connection.transact(&mail).await;
        }
        match result {
            Ok(results) => {
                // What was opened for less must not carry what asks for more.
                if !connection.broken && !is_closing(&results) && !is_lenient {
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
    /// What to tell of it.
    pub(super) fn said(self) -> Said {
        match self {
            NoConnection::Unreachable(said) | NoConnection::Never(said) => said,
        }
    }

    fn carried(self, delivery: &Delivery) -> Carried {
        match self {
            NoConnection::Unreachable(said) => Carried::Unreachable(said),
            NoConnection::Never(said) => Carried::Reached(vec![Delivered::Failed(said); delivery.recipients.len()]),
        }
    }
}

/// Whether a message's sender would rather have it arrive than be protected (`TLS-Required: No`, RFC 8689 section 3):
/// reports of TLS that fails are such. What is in a file is too large to be one.
fn needs_no_tls(content: &Content) -> bool {
    let Content::Inline(bytes) = content else { return false };
    let mut asked = mail::fields(bytes).filter(|field| field.is(b"TLS-Required"));
    asked.any(|field| field.unfolded().trim_ascii().eq_ignore_ascii_case(b"no"))
}

/// Whether the server has said that it closes the connection (RFC 5321 section 3.8).
fn is_closing(results: &[Delivered]) -> bool {
    results.iter().any(|result| matches!(result, Delivered::Deferred(said) if said.text.starts_with("421")))
}
