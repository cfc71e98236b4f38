//! What an edge says of its own mail: services, the servers it sends by, and what waits for nobody.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sterna_account::edge_report::{
    EdgeReport, HOPS_MAX, RefusingHop, STRANDED_MAX, SilentService, Stranded, UnreachableHop,
};
use sterna_base::AccountId;
use sterna_cluster::OverLimit;
use sterna_directory::{Directory, Reader, StorageError, settings};
use sterna_mailflow::call_forward::{CallForward, RefusesQuestions};
use sterna_mailflow::guard::Guard;
use sterna_mailflow::queue::{Destination, NextHop, Queue};
use sterna_mailflow::remote::{Dns, Resolver};
use sterna_mailflow::reports::Reports;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::Listen;

/// How long a service of our own may take to greet, and another server to be connected to.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// How long finding and connecting to another server may take.
const REACH_WAIT: Duration = Duration::from_secs(12);
/// Destinations of the queue that are looked at.
const DESTINATIONS_MAX: usize = 100_000;
/// Users over their limits that are named.
const OVER_NAMED_MAX: usize = 20;
/// Longest begin of a greeting, in bytes.
const GREETING_BYTES: usize = 16;

/// What an edge looks with.
pub struct EdgeCheck {
    /// This node's copy.
    pub directory: Directory,
    /// Its queue.
    pub queue: Arc<Queue>,
    /// Whom it asks.
    pub dns: Arc<Dns>,
    /// Who lets mail in.
    pub guard: Arc<Guard>,
    /// What other domains will be told, if that can be kept.
    pub reports: Option<Arc<Reports>>,
    /// Who asks the other halves of split domains.
    pub call_forward: Arc<CallForward>,
    /// Where it listens.
    pub listen: Listen,
}

/// A service of our own.
struct Service {
    name: String,
    address: SocketAddr,
    /// How it greets; nothing where the client speaks first.
    greeting: &'static [u8],
}

impl EdgeCheck {
    /// Looks at everything.
    ///
    /// # Errors
    /// When the directory or the queue can't be read.
    pub async fn report(&self) -> Result<EdgeReport, String> {
        let hops = self.directory.read(hops).await.map_err(|error| error.to_string())?;
        let (silent, unreachable, stranded) =
            tokio::join!(silent(services(&self.listen)), self.unreachable(&hops), self.stranded(&hops));
        Ok(EdgeReport { silent, unreachable, refusing: self.refusing(), stranded: stranded? })
    }

    fn refusing(&self) -> Vec<RefusingHop> {
        let name = |destination: Destination| match destination {
            Destination::Host(hop) => hop.to_string(),
            other => other.to_string(),
        };
        let refusing = self.call_forward.refusing().into_iter().take(HOPS_MAX);
        let hop = |refuses: RefusesQuestions| RefusingHop { hop: name(refuses.destination), said: refuses.said.text };
        let mut found: Vec<_> = refusing.map(hop).collect();
        found.sort_by(|a, b| a.hop.cmp(&b.hop));
        found
    }

    /// Users who wanted to send more than they may.
    pub fn over_limits(&self) -> Vec<OverLimit> {
        let over = self.guard.over().into_iter().take(OVER_NAMED_MAX);
        let told = over.map(|over| OverLimit {
            address: over.address,
            what: over.unit.name().to_owned(),
            peer: over.peer.to_string(),
            since: over.since,
            refused: over.refused,
        });
        told.collect()
    }

    async fn unreachable(&self, hops: &BTreeMap<NextHop, String>) -> Vec<UnreachableHop> {
        let mut trying = JoinSet::new();
        for (hop, setting) in hops.iter().take(HOPS_MAX) {
            let (dns, hop, setting) = (self.dns.clone(), hop.clone(), setting.clone());
            trying.spawn(async move {
                let tried = timeout(REACH_WAIT, reach(&*dns, &hop)).await;
                let late = |_| Err(format!("no answer within {} s", REACH_WAIT.as_secs()));
                let cause = tried.unwrap_or_else(late).err()?;
                Some(UnreachableHop { hop: hop.to_string(), setting, cause })
            });
        }
        let mut found: Vec<_> = trying.join_all().await.into_iter().flatten().collect();
        found.sort_by(|a, b| a.hop.cmp(&b.hop));
        found
    }

    async fn stranded(&self, hops: &BTreeMap<NextHop, String>) -> Result<Vec<Stranded>, String> {
        let waiting = self.queue.count_by_destination(DESTINATIONS_MAX).await.map_err(|error| error.cause())?;
        let hops = hops.clone();
        let read = move |reader: &Reader<'_>| {
            let mut found = Vec::new();
            for (destination, deliveries) in waiting {
                if let Some(cause) = nowhere(reader, &destination, &hops)? {
                    found.push(Stranded { destination: destination.to_string(), deliveries, cause });
                }
                if found.len() == STRANDED_MAX {
                    break;
                }
            }
            Ok::<_, StorageError>(found)
        };
        self.directory.read(read).await.map_err(|error| error.to_string())
    }
}

/// Why nothing leads to a destination; `None` when something does.
fn nowhere(
    reader: &Reader<'_>,
    destination: &Destination,
    hops: &BTreeMap<NextHop, String>,
) -> Result<Option<String>, StorageError> {
    Ok(match destination {
        Destination::Account(id) => account_is_gone(reader, *id)?.map(str::to_owned),
        Destination::Domain(name) => {
            let is_ours = reader.domain_named(name)?.is_some();
            is_ours.then(|| "the domain is one of yours by now, and this is on its way to other servers".to_owned())
        }
        Destination::Host(hop) => {
            let is_named = hops.contains_key(hop);
            (!is_named).then(|| "no relay host, route or split domain names this server any more".to_owned())
        }
    })
}

fn account_is_gone(reader: &Reader<'_>, id: AccountId) -> Result<Option<&'static str>, StorageError> {
    if reader.entry(id)?.is_none() {
        return Ok(Some("there is no such account any more"));
    }
    Ok(reader.placement(id)?.is_none().then_some("the account is on no server"))
}

/// The servers that settings send mail to, each with the setting that names it.
fn hops(reader: &Reader<'_>) -> Result<BTreeMap<NextHop, String>, StorageError> {
    let mut found = BTreeMap::new();
    let mut add = |hop: &str, setting: String| {
        if let Ok(hop) = hop.parse() {
            found.entry(hop).or_insert(setting);
        }
    };
    if let Some(hop) = reader.setting_for(None, settings::RELAY_HOST)? {
        add(&hop, settings::RELAY_HOST.to_owned());
    }
    for route in reader.setting_for(None, settings::ROUTES)?.unwrap_or_default().split_whitespace() {
        if let Some((domain, hop)) = route.split_once('=') {
            add(hop, format!("{} for {domain}", settings::ROUTES));
        }
    }
    for (domain, hop) in reader.domains_with(settings::UNKNOWN_RECIPIENTS)? {
        add(&hop, format!("{} of {}", settings::UNKNOWN_RECIPIENTS, domain.name));
    }
    Ok(found)
}

/// Whether a server takes connections.
async fn reach(dns: &dyn Resolver, hop: &NextHop) -> Result<(), String> {
    let addresses = match hop.host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => dns.addresses(&hop.host).await.map_err(|error| error.to_string())?,
    };
    let mut cause = "it has no address in DNS".to_owned();
    for address in addresses {
        match timeout(ANSWER_WAIT, TcpStream::connect((address, hop.port))).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => cause = format!("{address}: {error}"),
            Err(_) => cause = format!("{address}: no answer within {} s", ANSWER_WAIT.as_secs()),
        }
    }
    Err(cause)
}

fn services(listen: &Listen) -> Vec<Service> {
    let named = [
        ("imap", listen.imap, &b"* "[..]),
        ("imaps", listen.imaps, b""),
        ("pop3", listen.pop3, b"+OK"),
        ("pop3s", listen.pop3s, b""),
        ("managesieve", listen.managesieve, b"\""),
        ("smtp", listen.smtp, b"220"),
        ("submission", listen.submission, b"220"),
        ("submissions", listen.submissions, b""),
        ("lmtp", listen.lmtp, b"220"),
        ("socketmap", listen.socketmap, b""),
    ];
    let named = named
        .into_iter()
        .filter_map(|(name, address, greeting)| Some(Service { name: name.to_owned(), address: address?, greeting }));
    let tables = listen.tcp_tables.iter().map(|(name, address)| {
        let name = format!("tcp_tables.{name}");
        Service { name, address: *address, greeting: &b""[..] }
    });
    named.chain(tables).collect()
}

async fn silent(services: Vec<Service>) -> Vec<SilentService> {
    let mut trying = JoinSet::new();
    for service in services {
        trying.spawn(async move {
            let greeted = timeout(ANSWER_WAIT, greet(&service)).await;
            let cause = match greeted {
                Ok(Ok(())) => return None,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", ANSWER_WAIT.as_secs()),
            };
            Some(SilentService { service: service.name, address: service.address.to_string(), cause })
        });
    }
    let mut found: Vec<_> = trying.join_all().await.into_iter().flatten().collect();
    found.sort_by(|a, b| a.service.cmp(&b.service));
    found
}

/// Connects as a client on this machine would, and hears the greeting out as far as it is always the same.
async fn greet(service: &Service) -> std::io::Result<()> {
    let ip = match service.address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let mut stream = TcpStream::connect((ip, service.address.port())).await?;
    let mut begin = [0; GREETING_BYTES];
    let begin = &mut begin[..service.greeting.len()];
    stream.read_exact(begin).await?;
    if begin == service.greeting {
        return Ok(());
    }
    let said = String::from_utf8_lossy(begin).into_owned();
    Err(std::io::Error::other(format!("something else answers there: {said:?}")))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_service_that_does_not_answer_is_named() {
        let right = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let wrong = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let [smtp, pop3, imaps] = [&right, &wrong, &gone].map(|socket| Some(socket.local_addr().unwrap()));
        drop(gone);
        tokio::spawn(async move {
            loop {
                let (mut right, _) = right.accept().await.unwrap();
                right.write_all(b"220 mx ESMTP\r\n").await.unwrap();
                let (mut wrong, _) = wrong.accept().await.unwrap();
                wrong.write_all(b"HTTP/1.1 400\r\n").await.unwrap();
            }
        });
        let mut listen = Listen { smtp, pop3, imaps, ..Listen::default() };
        (listen.imap, listen.pop3s, listen.managesieve) = (None, None, None);
        (listen.submission, listen.submissions, listen.lmtp) = (None, None, None);
        let found = silent(services(&listen)).await;
        let named: Vec<_> = found.iter().map(|silent| &*silent.service).collect();
        assert_eq!(named, ["imaps", "pop3"], "{found:?}");
        assert!(found[1].cause.contains("something else answers there: \"HTT\""), "{found:?}");
    }
}
