//! What is looked at before mail flows, on this machine and around it. Everything is bounded in time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sterna_base::Clock;
use sterna_formats::dnsbl::{ListSpec, Meaning};
use sterna_mailflow::guard::ListDns;
use sterna_mailflow::remote::dane::Ability;
use sterna_mailflow::remote::{Dns, DnsError, Resolver};
use sterna_web::setup::answers::Place;
use sterna_web::setup::door::{Check, Finding};
use sterna_web::setup::reach::is_public;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

use super::doors::Doors;
use super::{networks, time_server};

/// How long one check may take.
const WAIT: Duration = Duration::from_secs(12);

/// How long another mail server has for its greeting.
const GREETING_WAIT: Duration = Duration::from_secs(6);

/// Domains whose mail exchangers are asked whether they can be reached: large ones, which are always there.
const KNOWN_DOMAINS: [&str; 3] = ["gmail.com", "outlook.com", "yahoo.com"];

/// Sites of the web that are asked whether they can be reached: two authorities for certificates.
const KNOWN_SITES: [&str; 2] = ["acme-v02.api.letsencrypt.org", "acme.zerossl.com"];

/// The ports of the services that others and mail programs come to, besides that of the pages.
const ACCESS_PORTS: [u16; 3] = [25, 587, 993];

/// Lists that many servers ask, and that may be asked without an account.
const LISTS: [&str; 3] = ["zen.spamhaus.org", "bl.spamcop.net", "b.barracudacentral.org"];

/// Who is asked what time it is.
const TIME_SERVER: &str = "pool.ntp.org";

/// The port of SNTP.
const TIME_PORT: u16 = 123;

/// From which offset on a clock is wrong, in milliseconds: signatures and log-ins by time don't take much more.
const OFFSET_MS_MAX: i64 = 5_000;

/// Memory that a small installation should have, in bytes.
const MEMORY_BYTES: u64 = 900 << 20;

/// Room that a small installation should have, in bytes.
const DISK_BYTES: u64 = 5 << 30;

/// What is looked with.
pub struct Checks {
    /// Who asks DNS.
    pub dns: Arc<Dns>,
    /// What listens.
    pub doors: Arc<Doors>,
    /// Whether answers of DNS can be validated.
    pub dane: Option<watch::Receiver<Ability>>,
    /// Where everything is kept.
    pub folder: PathBuf,
    /// What time it is here.
    pub clock: Arc<dyn Clock>,
}

impl Checks {
    /// Looks at one thing.
    pub async fn look(&self, check: Check, place: Option<&Place>) -> Finding {
        let host = place.and_then(Place::host);
        let looked = async {
            match check {
                Check::Ports => Ok(self.ports()),
                Check::Outbound => self.outbound().await,
                Check::OutboundWeb => self.outbound_web().await,
                Check::Address => self.address(host).await,
                Check::Access => self.access(host, place).await,
                Check::ReverseDns => self.reverse(host).await,
                Check::Resolver => Ok(self.resolver().await),
                Check::BlockLists => self.block_lists(host).await,
                Check::Clock => self.time().await,
                Check::Memory => memory().await,
                Check::Disk => self.disk(),
            }
        };
        let looked = tokio::time::timeout(WAIT, looked).await.unwrap_or_else(|_| Err("it took too long".to_owned()));
        looked.unwrap_or_else(|cause| Finding::NotKnown { cause })
    }

    fn ports(&self) -> Finding {
        let services = self.doors.closed();
        if services.is_empty() { Finding::AllListen } else { Finding::Closed { services } }
    }

    async fn outbound(&self) -> Result<Finding, String> {
        let asked = join_all(KNOWN_DOMAINS.map(|domain| self.exchanger_answers(domain))).await;
        let mut tried = Vec::new();
        for answer in asked {
            match answer {
                Ok(host) => return Ok(Finding::OutboundOpen { host }),
                Err(Some(cause)) => tried.push(cause),
                Err(None) => {}
            }
        }
        if tried.is_empty() {
            Err("DNS knows none of the servers that were to be asked".to_owned())
        } else {
            Ok(Finding::OutboundClosed { tried })
        }
    }

    /// The host that answered; or what happened, or nothing when DNS doesn't know it.
    async fn exchanger_answers(&self, domain: &str) -> Result<String, Option<String>> {
        let host =
            self.dns.mx(domain).await.ok().into_iter().flatten().min_by_key(|mx| mx.preference).ok_or(None)?.host;
        let addresses = self.dns.addresses(&host).await.map_err(|_| None)?;
        let address = addresses.first().copied().ok_or(None)?;
        let greeted = async {
            let mut stream = TcpStream::connect((address, 25)).await?;
            let mut greeting = [0; 3];
            stream.read_exact(&mut greeting).await.map(|_| greeting)
        };
        match tokio::time::timeout(GREETING_WAIT, greeted).await {
            // A server that sends this address away was reached.
            Ok(Ok(greeting)) if matches!(&greeting, b"220" | b"421" | b"554") => Ok(host),
            Ok(Ok(_)) => Err(Some(format!("{host}: this is no mail server"))),
            Ok(Err(error)) => Err(Some(format!("{host}: {error}"))),
            Err(_) => Err(Some(format!("{host}: no answer"))),
        }
    }

    async fn outbound_web(&self) -> Result<Finding, String> {
        let mut tried = Vec::new();
        for host in KNOWN_SITES {
            let Ok(addresses) = self.dns.addresses(host).await else { continue };
            let Some(address) = addresses.first() else { continue };
            match connected(SocketAddr::new(*address, 443), None).await {
                Ok(()) => return Ok(Finding::OutboundOpen { host: host.to_owned() }),
                Err(cause) => tried.push(format!("{host}: {cause}")),
            }
        }
        match tried.is_empty() {
            true => Err("DNS knows none of the servers that were to be asked".to_owned()),
            false => Ok(Finding::OutboundClosed { tried }),
        }
    }

    /// Every service where the name leads, from each address of this machine that can get there.
    async fn access(&self, host: Option<String>, place: Option<&Place>) -> Result<Finding, String> {
        let host = host.ok_or("there is no name yet")?;
        let addresses = match self.dns.addresses(&host).await {
            Ok(found) if !found.is_empty() => found,
            Ok(_) | Err(DnsError::NoSuchDomain) => return Ok(Finding::AddressMissing { host }),
            Err(error) => return Err(error.to_string()),
        };
        let own = self.own_addresses();
        let mut ports = vec![place.map_or(443, |place| port_of(&place.url))];
        ports.extend(ACCESS_PORTS);
        let places: Vec<SocketAddr> =
            addresses.iter().flat_map(|address| ports.iter().map(|port| SocketAddr::new(*address, *port))).collect();
        let ask = |to: SocketAddr| {
            let from: Vec<IpAddr> = own.iter().copied().filter(|from| from.is_ipv4() == to.is_ipv4()).collect();
            async move {
                let asked = join_all(from.into_iter().map(|from| async move {
                    connected(to, Some(from)).await.map_err(|cause| format!("{to} from {from}: {cause}"))
                }));
                asked.await.into_iter().find_map(Result::err)
            }
        };
        let tried: Vec<String> = join_all(places.iter().copied().map(ask)).await.into_iter().flatten().collect();
        let is_own = addresses.iter().any(|address| own.contains(address));
        Ok(match (tried.is_empty(), is_own) {
            (true, _) => Finding::Reached { places: places.iter().map(ToString::to_string).collect() },
            (false, true) => Finding::NotReached { tried },
            (false, false) => Finding::NotReachedAround { tried },
        })
    }

    async fn address(&self, host: Option<String>) -> Result<Finding, String> {
        let host = host.ok_or("there is no name yet")?;
        let addresses = match self.dns.addresses(&host).await {
            Ok(found) if !found.is_empty() => found,
            Ok(_) | Err(DnsError::NoSuchDomain) => return Ok(Finding::AddressMissing { host }),
            Err(error) => return Err(error.to_string()),
        };
        let own = self.own_addresses();
        match addresses.iter().any(|address| own.contains(address)) {
            true => Ok(Finding::AddressFound { host, addresses }),
            false => Ok(Finding::AddressElsewhere { host, addresses, own }),
        }
    }

    async fn reverse(&self, host: Option<String>) -> Result<Finding, String> {
        let host = host.ok_or("there is no name yet")?;
        let address = self.public_address(&host).await?;
        let names = match self.dns.names(address).await {
            Ok(names) => names,
            Err(DnsError::NoSuchDomain) => Vec::new(),
            Err(error) => return Err(error.to_string()),
        };
        match names.iter().any(|name| name.eq_ignore_ascii_case(&host)) {
            true => Ok(Finding::ReverseGood { host }),
            false => Ok(Finding::ReverseWrong { address, names, host }),
        }
    }

    async fn resolver(&self) -> Finding {
        if let Err(DnsError::Temporary(cause)) = self.dns.mx(KNOWN_DOMAINS[0]).await {
            return Finding::NoResolver { cause };
        }
        let known = self.dane.as_ref().and_then(|dane| dane.borrow().clone());
        match known {
            Some((_, Ok(()))) => Finding::Validates,
            Some((_, Err(cause))) => Finding::NoValidation { cause },
            None => Finding::NoValidation { cause: "nothing was validated yet".to_owned() },
        }
    }

    async fn block_lists(&self, host: Option<String>) -> Result<Finding, String> {
        let host = host.ok_or("there is no name yet")?;
        let address = self.public_address(&host).await?;
        if !is_public(address) {
            return Err(format!("{address} is no address of the internet"));
        }
        let lists: Vec<ListSpec> = LISTS.iter().filter_map(|list| list.parse().ok()).collect();
        let ask = |list: &ListSpec| {
            let (query, dns) = (list.query(address), self.dns.clone());
            async move { dns.answers(&query).await }
        };
        let answers = join_all(lists.iter().map(ask)).await;
        let (mut listed, mut asked) = (Vec::new(), 0);
        for (list, answer) in lists.iter().zip(answers) {
            let Ok(answer) = answer else { continue };
            let meanings: Vec<Meaning> = answer.into_iter().map(|answer| list.meaning(answer)).collect();
            if meanings.contains(&Meaning::Refused) || meanings.contains(&Meaning::NoList) {
                continue;
            }
            asked += 1;
            if meanings.contains(&Meaning::Listed) {
                listed.push(list.zone().to_owned());
            }
        }
        match (asked, listed.is_empty()) {
            (0, _) => Err("no list answers; they don't answer resolvers that everybody uses".to_owned()),
            (lists, true) => Ok(Finding::NotListed { lists }),
            (_, false) => Ok(Finding::Listed { lists: listed }),
        }
    }

    async fn time(&self) -> Result<Finding, String> {
        let addresses = self.dns.addresses(TIME_SERVER).await.map_err(|error| error.to_string())?;
        let address = addresses.first().ok_or_else(|| format!("{TIME_SERVER} has no address"))?;
        let offset_ms = time_server::ahead_ms(SocketAddr::new(*address, TIME_PORT), self.clock.as_ref()).await?;
        match offset_ms.abs() <= OFFSET_MS_MAX {
            true => Ok(Finding::ClockRight { offset_ms }),
            false => Ok(Finding::ClockWrong { offset_ms }),
        }
    }

    fn disk(&self) -> Result<Finding, String> {
        let found = rustix::fs::statvfs(&self.folder).map_err(|error| error.to_string())?;
        Ok(Finding::Amount { bytes: found.f_bavail.saturating_mul(found.f_frsize), wanted_bytes: DISK_BYTES })
    }

    /// The address that the world knows the machine by: where its name leads.
    async fn public_address(&self, host: &str) -> Result<IpAddr, String> {
        let own = self.own_addresses();
        let found = self.dns.addresses(host).await.unwrap_or_default();
        let known = found.iter().find(|address| own.contains(address)).or(found.first()).or(own.first());
        known.copied().ok_or_else(|| "the machine's address is not known".to_owned())
    }

    /// Whether somebody comes from a network that this machine is in, or by an address that its own name leads to, as
    /// the routers of homes and offices lead their own people back in.
    pub async fn is_near(&self, address: IpAddr, place: Option<&Place>) -> bool {
        let address = address.to_canonical();
        if self.own_addresses().contains(&address) || networks::on_link().iter().any(|own| own.contains(address)) {
            return true;
        }
        let Some(host) = place.and_then(Place::host) else { return false };
        let found = tokio::time::timeout(WAIT, self.dns.addresses(&host)).await;
        matches!(found, Ok(Ok(found)) if found.contains(&address))
    }

    /// The addresses that this machine speaks with the world by, and those that it listens on.
    fn own_addresses(&self) -> Vec<IpAddr> {
        let mut own: Vec<IpAddr> = self.doors.addresses();
        own.extend(outgoing(Ipv4Addr::new(192, 0, 2, 1).into()));
        own.extend(outgoing(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()));
        own.dedup();
        own
    }
}

/// The port of an address of the web.
fn port_of(url: &str) -> u16 {
    url.parse::<http::Uri>().ok().and_then(|url| url.port_u16()).unwrap_or(443)
}

/// Whether somebody listens there, asked from one of this machine's addresses if need be.
async fn connected(to: SocketAddr, from: Option<IpAddr>) -> Result<(), String> {
    let connecting = async {
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(from) = from {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        socket.connect(to).await.map(drop)
    };
    match tokio::time::timeout(GREETING_WAIT, connecting).await {
        Ok(done) => done.map_err(|error: std::io::Error| error.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}

/// The address that packets to another would come from; none is sent.
pub fn outgoing(to: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((to, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_unspecified())
}

async fn memory() -> Result<Finding, String> {
    let text = tokio::fs::read_to_string("/proc/meminfo").await.map_err(|error| error.to_string())?;
    let bytes = memory_of(&text).ok_or("/proc/meminfo doesn't say")?;
    Ok(Finding::Amount { bytes, wanted_bytes: MEMORY_BYTES })
}

/// What there is, in bytes.
fn memory_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_pages_have_a_port() {
        for (url, port) in [("https://mail.tern.test", 443), ("https://mail.tern.test:8443/x", 8443), ("", 443)] {
            assert_eq!(port_of(url), port, "{url}");
        }
    }

    #[test]
    fn memory_is_read() {
        assert_eq!(memory_of("MemTotal:        2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert_eq!(memory_of("MemFree: 1 kB"), None);
    }
}
