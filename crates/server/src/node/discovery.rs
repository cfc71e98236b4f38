//! Where the services of the installation are, for clients and DNS: what edges say they listen on, and what settings
//! say of the names by which the world knows them. One table ([`DomainFacts`]) for documents, records and checks.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use sterna_base::{Clock, NodeId, Timestamp};
use sterna_cluster::ControlClient;
use sterna_directory::{Directory, DkimState, Domain, MigrationPhase, Reader, Server, StorageError, settings};
use sterna_formats::discovery::mta_sts::Mode;
use sterna_formats::discovery::{DomainFacts, Endpoint, Service};
use sterna_mailflow::auth::keys::{self, KeyAlgorithm};
use sterna_protocols::dav::discovery::{Facts, FactsError};
use tokio::task::JoinSet;

use crate::config::Listen;

/// How long an edge has to say where it listens.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// How long its answer holds.
const KEPT_MS: i64 = 60_000;

/// The port of mail between servers: MX records can't name another.
const SMTP_PORT: u16 = 25;

/// Who knows where everything is.
pub struct Discovery {
    directory: Directory,
    node: NodeId,
    own: Arc<OnceLock<Vec<Endpoint>>>,
    others: ControlClient,
    known: Mutex<HashMap<NodeId, Known>>,
    /// What this node will be called when it starts again, if that was said since.
    called: Mutex<Option<String>>,
    clock: Arc<dyn Clock>,
}

/// What an edge said.
#[derive(Clone)]
struct Known {
    at: Timestamp,
    endpoints: Vec<Endpoint>,
}

/// A table, and why something may be missing in it.
pub struct Found {
    /// The table.
    pub facts: DomainFacts,
    /// For the administrator, each with what to do.
    pub problems: Vec<String>,
}

/// What the directory says.
struct Said {
    domain: Domain,
    edges: Vec<Server>,
    host: Option<String>,
    exchangers: Vec<String>,
    external: Option<(String, u16)>,
    mode: Option<Mode>,
    has_relay: bool,
    dkim: Vec<(String, String)>,
}

impl Discovery {
    /// On the node that listens itself where `own` says, once it does.
    pub fn new(
        directory: Directory,
        node: NodeId,
        own: Arc<OnceLock<Vec<Endpoint>>>,
        others: ControlClient,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Discovery { directory, node, own, others, known: Mutex::default(), called: Mutex::default(), clock }
    }

    /// From now on this node is told of under this name, which its configuration has and it has not started with yet.
    pub fn call_this_node(&self, host: &str) {
        *self.called.lock() = Some(ascii(host));
    }

    fn own_endpoints(&self) -> Option<Vec<Endpoint>> {
        let mut own = self.own.get()?.clone();
        if let Some(host) = &*self.called.lock() {
            own.iter_mut().for_each(|endpoint| endpoint.host.clone_from(host));
        }
        Some(own)
    }

    /// The table of a domain under one of its names; `None` when it is not one of ours.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub async fn find(&self, name: &str) -> Result<Option<Found>, StorageError> {
        let asked = name.to_owned();
        let Some(said) = self.directory.read(move |reader| said(reader, &asked)).await? else { return Ok(None) };
        let mut problems = Vec::new();
        let mut endpoints = Vec::new();
        for (edge, answer) in self.ask(&said.edges).await {
            match answer {
                Some(found) => endpoints.extend(found),
                None => problems.push(format!(
                    "{edge} doesn't say where it listens, and its services are missing: see sterna status"
                )),
            }
        }
        Ok(Some(Found { facts: table(name, said, endpoints, &mut problems), problems }))
    }

    /// What each edge says, or said when it was heard of last.
    async fn ask(&self, edges: &[Server]) -> Vec<(String, Option<Vec<Endpoint>>)> {
        let mut asked = JoinSet::new();
        let mut answers: HashMap<NodeId, Vec<Endpoint>> = HashMap::new();
        let now = self.clock.now();
        for edge in edges {
            let id = edge.id;
            if id == self.node {
                answers.extend(self.own_endpoints().map(|own| (id, own)));
                continue;
            }
            let known = self.known.lock().get(&id).cloned();
            let is_fresh = known.as_ref().is_some_and(|known| now.0.saturating_sub(known.at.0) < KEPT_MS);
            answers.extend(known.map(|known| (id, known.endpoints)));
            if !is_fresh {
                let others = self.others.clone();
                asked.spawn(async move {
                    let status = tokio::time::timeout(ANSWER_WAIT, others.status(id)).await.ok()?.ok()?;
                    Some((id, status.endpoints))
                });
            }
        }
        while let Some(answer) = asked.join_next().await {
            if let Ok(Some((id, endpoints))) = answer {
                self.known.lock().insert(id, Known { at: now, endpoints: endpoints.clone() });
                answers.insert(id, endpoints);
            }
        }
        self.known.lock().retain(|id, _| edges.iter().any(|edge| edge.id == *id));
        edges.iter().map(|edge| (edge.name.clone(), answers.remove(&edge.id))).collect()
    }
}

fn said(reader: &Reader<'_>, name: &str) -> Result<Option<Said>, StorageError> {
    let found = match reader.domain_named(name)? {
        Some(found) => Some(found),
        // What comes from the world is in letters that DNS has.
        None => reader.domain_named(&idna::domain_to_unicode(name).0)?,
    };
    let Some(found) = found else { return Ok(None) };
    let domain = found.value;
    let setting = |name| reader.setting_for(Some(&domain), name);
    let words = |text: Option<String>| text.unwrap_or_default().split_whitespace().map(ascii).collect();
    let mut dkim = Vec::new();
    for key in reader.dkim_keys(domain.id)? {
        let (key, algorithm) = (key.value.clone(), KeyAlgorithm::from_name(&key.value.algorithm));
        if let (DkimState::New | DkimState::Active, Some(algorithm)) = (key.state, algorithm) {
            let name = keys::record_name(&key.selector, &ascii(&domain.name));
            dkim.push((name, keys::record(algorithm, &key.public)));
        }
    }
    Ok(Some(Said {
        edges: edges(reader)?,
        host: setting(settings::DISCOVERY_HOST)?.map(|host| ascii(&host)),
        exchangers: words(setting(settings::DISCOVERY_EXCHANGERS)?),
        external: reader.setting_for(None, settings::EXTERNAL_URL)?.and_then(|url| host_and_port(&url)),
        mode: setting(settings::MTA_STS_MODE)?.and_then(|mode| Mode::from_name(&mode)),
        has_relay: reader.setting_for(None, settings::RELAY_HOST)?.is_some(),
        dkim,
        domain,
    }))
}

/// Those that the world is to know. A machine whose place is taken still serves who knows it, and nobody is sent there
/// any more.
fn edges(reader: &Reader<'_>) -> Result<Vec<Server>, StorageError> {
    let servers = reader.servers()?.into_iter().map(|found| found.value);
    let mut edges: Vec<Server> = servers.filter(|server| server.roles.edge).collect();
    if let Some(migration) = reader.migration()?.map(|found| found.value)
        && matches!(migration.phase, MigrationPhase::Switched | MigrationPhase::Finishing)
        && edges.iter().any(|edge| edge.id != migration.from)
    {
        edges.retain(|edge| edge.id != migration.from);
    }
    Ok(edges)
}

/// What is published of a domain whose edges listen there.
fn table(name: &str, said: Said, mut endpoints: Vec<Endpoint>, problems: &mut Vec<String>) -> DomainFacts {
    let exchangers: Vec<String> = match said.exchangers.is_empty() {
        false => said.exchangers,
        true => {
            let taking = |endpoint: &&Endpoint| endpoint.service == Service::Smtp && endpoint.port == SMTP_PORT;
            distinct(endpoints.iter().filter(taking).map(|endpoint| endpoint.host.clone()))
        }
    };
    let exchangers: Vec<String> = exchangers.into_iter().filter(|host| is_named(host, problems)).collect();
    if exchangers.is_empty() {
        problems.push(
            "no edge takes mail on port 25 under a name of its own: where another server takes it first, name that \
             one (sterna config set discovery.exchangers)"
                .to_owned(),
        );
    }
    let senders = distinct(endpoints.iter().map(|endpoint| endpoint.host.clone()));
    if let Some(host) = &said.host {
        endpoints.iter_mut().for_each(|endpoint| endpoint.host.clone_from(host));
    }
    if let Some((host, port)) = said.external {
        endpoints.retain(|endpoint| endpoint.service != Service::Https);
        endpoints.push(Endpoint { service: Service::Https, host, port });
    }
    endpoints.retain(|endpoint| endpoint.service != Service::Other && is_named(&endpoint.host, problems));
    endpoints.sort();
    endpoints.dedup();
    let label = if said.domain.description.is_empty() { &said.domain.name } else { &said.domain.description };
    DomainFacts {
        domain: ascii(name),
        display_name: label.clone(),
        endpoints,
        exchangers,
        senders: (!said.has_relay).then(|| senders.into_iter().filter(|host| host.contains('.')).collect()),
        // Keys are published below the name that signatures say.
        dkim: if ascii(name) == ascii(&said.domain.name) { said.dkim } else { Vec::new() },
        mta_sts: said.mode,
    }
}

/// A name without a dot is of use on its own network only.
fn is_named(host: &str, problems: &mut Vec<String>) -> bool {
    if host.contains('.') {
        return true;
    }
    let problem = format!(
        "the world can't find {host}: set hostname in its sterna.toml, or a name for all (sterna config set discovery.host)"
    );
    if !problems.contains(&problem) {
        problems.push(problem);
    }
    false
}

fn distinct(hosts: impl Iterator<Item = String>) -> Vec<String> {
    let mut hosts: Vec<String> = hosts.collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

/// As DNS has it; what can't be said there stays as it is.
fn ascii(name: &str) -> String {
    idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_owned())
}

/// Of an `https` URL; another one says nothing of where HTTPS is spoken.
fn host_and_port(url: &str) -> Option<(String, u16)> {
    let uri: http::Uri = url.parse().ok()?;
    let is_https = uri.scheme_str() == Some("https");
    is_https.then(|| Some((ascii(uri.host()?), uri.port_u16().unwrap_or(443))))?
}

/// What this edge tells the world of where it listens. What only programs on this machine reach is nobody's business
/// (other addresses of 127/8 are somebody's choice, a proxy's for example).
pub fn endpoints(listen: &Listen, host: &str) -> Vec<Endpoint> {
    let named = [
        (Service::Imaps, listen.imaps),
        (Service::Imap, listen.imap),
        (Service::Pop3s, listen.pop3s),
        (Service::Pop3, listen.pop3),
        (Service::Submissions, listen.submissions),
        (Service::Submission, listen.submission),
        (Service::Sieve, listen.managesieve),
        (Service::Https, listen.https),
        (Service::Smtp, listen.smtp),
    ];
    let host = ascii(host);
    let reached = |address: &SocketAddr| {
        ![IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)].contains(&address.ip())
    };
    let listening = named.into_iter().filter_map(|(service, address)| Some((service, address.filter(reached)?.port())));
    listening.map(|(service, port)| Endpoint { service, host: host.clone(), port }).collect()
}

#[async_trait]
impl Facts for Discovery {
    async fn facts(&self, domain: &str) -> Result<Option<DomainFacts>, FactsError> {
        let found = self.find(domain).await.map_err(|error| FactsError(error.to_string()))?;
        Ok(found.map(|found| found.facts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Said {
        Said {
            domain: Domain {
                id: sterna_base::DomainId(1),
                name: "tern.test".into(),
                aliases: Vec::new(),
                description: String::new(),
                servers: Vec::new(),
                suspended: false,
                created_at: Timestamp(0),
            },
            edges: Vec::new(),
            host: None,
            exchangers: Vec::new(),
            external: None,
            mode: None,
            has_relay: false,
            dkim: vec![("s._domainkey.tern.test".into(), "v=DKIM1".into())],
        }
    }

    fn listen(host: &str) -> Vec<Endpoint> {
        let at = |address: &str| Some(address.parse().unwrap());
        let mut listen = Listen { imaps: at("0.0.0.0:993"), smtp: at("[::]:25"), ..Listen::default() };
        (listen.imap, listen.pop3, listen.pop3s, listen.submissions) = (at("127.0.0.1:143"), None, None, None);
        (listen.submission, listen.managesieve, listen.https) = (at("[::1]:587"), None, at("192.0.2.1:443"));
        endpoints(&listen, host)
    }

    #[test]
    fn what_only_this_machine_reaches_is_not_told() {
        let services: Vec<_> = listen("mx.tern.test").into_iter().map(|endpoint| endpoint.service).collect();
        assert_eq!(services, [Service::Imaps, Service::Https, Service::Smtp]);
    }

    #[test]
    fn settings_have_the_last_word() {
        let mut problems = Vec::new();
        let facts = table("tern.test", said(), listen("mx.tern.test"), &mut problems);
        assert_eq!((facts.exchangers.as_slice(), problems.len()), (&["mx.tern.test".to_owned()][..], 0));
        assert_eq!(facts.senders.as_deref(), Some(&["mx.tern.test".to_owned()][..]));
        assert_eq!(facts.dkim.len(), 1);

        let said = Said {
            host: Some("mail.tern.test".into()),
            exchangers: vec!["in.tern.test".into()],
            external: host_and_port("https://web.tern.test:8443/x"),
            has_relay: true,
            ..said()
        };
        let both = [listen("a.tern.test"), listen("b.tern.test")].concat();
        let facts = table("other.test", said, both, &mut problems);
        let imaps: Vec<_> = facts.endpoints.iter().filter(|endpoint| endpoint.service == Service::Imaps).collect();
        assert_eq!((imaps.len(), imaps[0].host.as_str()), (1, "mail.tern.test"));
        assert_eq!(facts.dav_url().as_deref(), Some("https://web.tern.test:8443/dav/"));
        assert_eq!((facts.exchangers, facts.senders, facts.dkim.len()), (vec!["in.tern.test".to_owned()], None, 0));
        assert_eq!(host_and_port("http://web.tern.test"), None);
    }

    #[test]
    fn names_that_nobody_finds_are_left_out_and_said() {
        let mut problems = Vec::new();
        let facts = table("tern.test", said(), listen("main"), &mut problems);
        assert!(facts.endpoints.is_empty() && facts.exchangers.is_empty());
        assert!(problems[0].contains("main") && problems.len() == 2, "{problems:?}");
    }
}
