//! The ports between the machines of an installation, guarded on every node: open for its nodes and for whom the
//! administrator names, derived from the directory, loaded with nft(8). See `docs/decisions/0060-firewall.md`.

pub mod nft;
pub mod rules;

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use sterna_base::{Clock, Modseq};
use sterna_cluster::FirewallStatus;
use sterna_cluster::join::JoinDesk;
use sterna_directory::firewall::Firewall;
use sterna_directory::{Directory, Reader, Request, StorageError, Versioned};
use sterna_formats::network::Network;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use nft::NftError;
use rules::NodeRules;

/// How often it is looked whether the rules are still loaded, and whether names lead elsewhere.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);
/// How often trials and invitations are looked at.
const STEP: Duration = Duration::from_secs(1);
/// How long DNS may take for one server's name.
const NAME_WAIT: Duration = Duration::from_secs(5);
/// The file in the node's folder that is there while rules may be loaded.
const MARK: &str = "firewall.loaded";
/// Where a node that begins to guard tells how it stands.
pub type Standing = Arc<RwLock<FirewallStatus>>;

/// The ports of this node that are for the installation's machines: that between nodes, and those where whoever
/// connects is trusted.
pub fn guarded_ports(config: &Config) -> BTreeSet<u16> {
    let trusting = config.listen.tcp_tables.values().chain(&config.listen.lmtp).chain(&config.listen.socketmap);
    let reachable = trusting.filter(|at| !at.ip().is_loopback());
    let all = reachable.chain(std::iter::once(&config.cluster.listen)).map(SocketAddr::port);
    all.filter(|port| *port != 0).collect()
}

/// The addresses behind the names of servers.
#[derive(Default)]
pub struct Addresses {
    known: HashMap<String, BTreeSet<Network>>,
}

impl Addresses {
    /// Those of all servers (`host:port`), and the first that was never found, with the cause: a name that leads
    /// nowhere now counts as what it was, and one mistyped name must not keep the rules of all others from being
    /// loaded.
    pub async fn of(&mut self, servers: &[String], again: bool) -> (BTreeSet<Network>, Option<String>) {
        self.known.retain(|address, _| servers.contains(address));
        let unknown: Vec<_> = servers.iter().filter(|address| again || !self.known.contains_key(*address)).collect();
        let asked = unknown.into_iter().map(async |address| {
            let found = tokio::time::timeout(NAME_WAIT, tokio::net::lookup_host(address.as_str())).await;
            let found = found
                .map_err(|_| "DNS takes too long".to_owned())
                .and_then(|found| found.map_err(|error| error.to_string()));
            (address, found.map(|found| found.map(|at| Network::of_host(at.ip())).collect::<BTreeSet<_>>()))
        });
        let mut missing = None;
        for (address, found) in futures_util::future::join_all(asked).await {
            match found {
                Ok(found) if !found.is_empty() => drop(self.known.insert(address.clone(), found)),
                _ if self.known.contains_key(address) => {}
                Ok(_) => missing = missing.or_else(|| Some(format!("{address} has no address"))),
                Err(cause) => {
                    missing = missing.or_else(|| Some(format!("the address of {address} is not known: {cause}")));
                }
            }
        }
        (self.known.values().flatten().copied().collect(), missing)
    }
}

/// What keeps the rules loaded as the directory has them.
pub struct Keeper {
    directory: Directory,
    clock: Arc<dyn Clock>,
    ports: BTreeSet<u16>,
    /// The port between nodes.
    own_port: u16,
    desk: Option<Arc<JoinDesk>>,
    standing: Standing,
    addresses: Addresses,
    loaded: Loaded,
    /// There while rules may be loaded.
    mark: PathBuf,
}

/// What is loaded of ours.
#[derive(PartialEq, Eq)]
enum Loaded {
    /// Whatever was there when the node started.
    Unknown,
    Nothing,
    Rules(String),
}

/// Why the machine isn't guarded as it should be.
enum Failure {
    Nft(NftError),
    Address(String),
    Directory(StorageError),
    Mark(std::io::Error),
}

impl Keeper {
    /// Of this node; `desk` where nodes are let in.
    pub fn new(
        directory: Directory,
        clock: Arc<dyn Clock>,
        (folder, config): (&Path, &Config),
        desk: Option<Arc<JoinDesk>>,
        standing: Standing,
    ) -> Self {
        let ports = guarded_ports(config);
        let own_port = config.cluster.listen.port();
        *standing.write() =
            FirewallStatus { ports: ports.iter().copied().collect(), own_port, ..FirewallStatus::default() };
        let (addresses, loaded, mark) = (Addresses::default(), Loaded::Unknown, folder.join(MARK));
        Keeper { directory, clock, ports, own_port, desk, standing, addresses, loaded, mark }
    }

    /// Until `stop`. The rules stay loaded then: they guard nothing worse than a node that starts again.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changed = self.directory.watch();
        changed.mark_changed();
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        let mut steps = tokio::time::interval(STEP);
        for ticks in [&mut looks, &mut steps] {
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        }
        loop {
            let again = tokio::select! {
                () = stop.cancelled() => return,
                change = changed.changed() => if change.is_err() { return } else { false },
                _ = looks.tick() => true,
                _ = steps.tick(), if self.waits_for_time() => false,
            };
            changed.borrow_and_update();
            self.look(again).await;
        }
    }

    /// Whether something may happen that the directory doesn't tell: a trial ends, or an invitation.
    fn waits_for_time(&self) -> bool {
        let standing = self.standing.read();
        standing.is_on_trial || standing.is_on && self.desk.is_some()
    }

    async fn look(&mut self, again: bool) {
        let read = |reader: &Reader<'_>| Ok::<_, StorageError>((reader.firewall()?, reader.servers()?));
        let done = match self.directory.read(read).await {
            Ok((found, servers)) => {
                let found = found.unwrap_or(Versioned { value: Firewall::default(), modseq: Modseq(0) });
                let servers: Vec<_> = servers.into_iter().map(|found| found.value.address).collect();
                self.end_trial(&found).await;
                let done = self.keep(&found.value, &servers, again).await;
                let mut standing = self.standing.write();
                standing.is_on_trial = found.value.is_on_trial(self.clock.now());
                // A name that isn't found is told, and the rules hold all the same.
                if matches!(done, Ok(()) | Err(Failure::Address(_))) {
                    standing.modseq = found.modseq.0;
                }
                done
            }
            Err(error) => Err(Failure::Directory(error)),
        };
        self.tell(done);
    }

    /// The main node writes down what every node knows already: the rules on trial are no rules any more.
    async fn end_trial(&self, found: &Versioned<Firewall>) {
        let has_ended = found.value.trial.is_some() && !found.value.is_on_trial(self.clock.now());
        if !has_ended || !self.directory.is_main() {
            return;
        }
        tracing::warn!("nobody confirmed the rules between the machines: those of before hold again");
        let request = Request::PutFirewall { firewall: found.value.taken_back(), expect: Some(found.modseq) };
        if let Err(error) = self.directory.submit(request).await {
            tracing::warn!(%error, "the end of the trial could not be written down; it is tried again");
        }
    }

    async fn keep(&mut self, firewall: &Firewall, servers: &[String], again: bool) -> Result<(), Failure> {
        let rules = firewall.in_force(self.clock.now());
        if !rules.is_on {
            return self.leave().await;
        }
        let (mut networks, missing) = self.addresses.of(servers, again).await;
        networks.extend(rules.networks());
        let invites = self.desk.as_ref().is_some_and(|desk| !desk.open_tokens().is_empty());
        let open = invites.then_some(self.own_port).into_iter().collect();
        let text = NodeRules { own_port: self.own_port, ports: self.ports.clone(), networks, open }.text();
        let is_there = matches!(&self.loaded, Loaded::Rules(loaded) if *loaded == text);
        // Whoever loads rules of their own often takes all others away first.
        if !is_there || again && !nft::is_loaded(self.own_port).await.map_err(Failure::Nft)? {
            self.mark(true).await?;
            // Whether a program that was given up has done it nobody knows.
            self.loaded = Loaded::Unknown;
            nft::load(&text).await.map_err(Failure::Nft)?;
            tracing::info!("the ports between the machines are guarded by other rules now");
            self.loaded = Loaded::Rules(text);
        }
        missing.map_or(Ok(()), |cause| Err(Failure::Address(cause)))
    }

    /// Takes the rules away, if there are any: of before this node started, too.
    async fn leave(&mut self) -> Result<(), Failure> {
        let is_there = match &self.loaded {
            Loaded::Nothing => return Ok(()),
            Loaded::Rules(_) => true,
            Loaded::Unknown => match nft::is_loaded(self.own_port).await {
                Ok(is_loaded) => is_loaded,
                // Where nothing was ever loaded nobody has to look.
                Err(error) if self.is_marked().await => return Err(Failure::Nft(error)),
                Err(_) => false,
            },
        };
        if is_there {
            self.loaded = Loaded::Unknown;
            nft::unload(self.own_port).await.map_err(Failure::Nft)?;
            tracing::info!("the ports between the machines are not guarded any more");
        }
        self.mark(false).await?;
        self.loaded = Loaded::Nothing;
        Ok(())
    }

    /// Whether rules were loaded on this machine and not taken away since: they outlive this program, and the right to
    /// look at them.
    async fn is_marked(&self) -> bool {
        tokio::fs::try_exists(&self.mark).await.unwrap_or(true)
    }

    async fn mark(&self, is_loaded: bool) -> Result<(), Failure> {
        let done = match is_loaded {
            true => tokio::fs::write(&self.mark, []).await,
            false => tokio::fs::remove_file(&self.mark).await,
        };
        match done {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::Mark(error)),
            _ => Ok(()),
        }
    }

    fn tell(&self, done: Result<(), Failure>) {
        let failure = done.err().map(|failure| match failure {
            Failure::Nft(error) => (error.to_string(), error.remedy().to_owned()),
            Failure::Address(cause) => {
                let remedy = "See that this machine finds it (getent hosts NAME), or give the server an address that is \
                              a number: sterna server set NAME --address HOST:PORT.";
                (cause, remedy.to_owned())
            }
            Failure::Mark(error) => {
                (error.to_string(), "See that the folder of the node can be written to (space, rights).".to_owned())
            }
            Failure::Directory(error) => (error.to_string(), "See the log of the node.".to_owned()),
        });
        let mut standing = self.standing.write();
        standing.is_on = matches!(self.loaded, Loaded::Rules(_));
        let (what, remedy) = failure.unzip();
        if what.is_some() && what != standing.failure {
            tracing::error!(cause = what, "the ports between the machines are not guarded as they should be");
        }
        (standing.failure, standing.remedy) = (what, remedy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_that_were_known_once_are_remembered() {
        let mut addresses = Addresses::default();
        let servers = ["192.0.2.1:7700".to_owned(), "nowhere.invalid:7700".to_owned()];
        let (first, missing) = addresses.of(&servers, false).await;
        assert_eq!(first, ["192.0.2.1".parse().unwrap()].into());
        assert!(missing.unwrap().contains("nowhere.invalid"));
        // A server that is gone is let in no longer.
        assert_eq!(addresses.of(&[], true).await, (BTreeSet::new(), None));
    }
}
