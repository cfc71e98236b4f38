//! The world's DNS: a server on a port of loopback with every record that tests give it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::proto::rr::rdata::{A, AAAA, MX, SOA, TXT};
use hickory_server::proto::rr::{Name, RData, Record};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneHandler, ZoneType};
use tokio::runtime::Runtime;

/// How long the records may be kept, in seconds: not at all, because tests change them.
const TTL_S: u32 = 0;

/// Longest string of a TXT record, in bytes.
const TXT_STRING_BYTES_MAX: usize = 255;

/// How long a connection may say nothing.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);

/// A running server for the root zone and everything below. It ends when it is dropped: questions are then refused.
pub struct DnsServer {
    /// Where it listens.
    pub address: SocketAddr,
    zone: Arc<InMemoryZoneHandler>,
    runtime: Runtime,
}

impl Default for DnsServer {
    fn default() -> Self {
        DnsServer::start()
    }
}

impl DnsServer {
    /// Starts one without records.
    ///
    /// # Panics
    /// When there is no port to be had.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let zone: InMemoryZoneHandler = InMemoryZoneHandler::empty(Name::root(), ZoneType::Primary, AxfrPolicy::Deny);
        let zone = Arc::new(zone);
        let mut catalog = Catalog::new();
        let handler: Arc<dyn ZoneHandler> = zone.clone();
        catalog.upsert(Name::root().into(), vec![handler]);
        let (udp, tcp) = sockets();
        let address = udp.local_addr().unwrap();
        runtime.spawn(async move {
            let mut server = Server::new(catalog);
            server.register_socket(tokio::net::UdpSocket::from_std(udp).unwrap());
            server.register_listener(tokio::net::TcpListener::from_std(tcp).unwrap(), TCP_TIMEOUT, 16);
            let _ = server.block_until_done().await;
        });
        let server = DnsServer { address, zone, runtime };
        let name = |name: &str| Name::from_ascii(name).unwrap();
        let soa = SOA::new(name("ns.test."), name("hostmaster.test."), 1, 3600, 600, 86400, TTL_S);
        server.put(".", RData::SOA(soa));
        server
    }

    /// Addresses of a host.
    pub fn address(&self, host: &str, address: IpAddr) {
        self.put(
            host,
            match address {
                IpAddr::V4(address) => RData::A(A(address)),
                IpAddr::V6(address) => RData::AAAA(AAAA(address)),
            },
        );
    }

    /// A mail exchanger of a domain.
    ///
    /// # Panics
    /// When the host is no name.
    pub fn mx(&self, domain: &str, preference: u16, host: &str) {
        self.put(domain, RData::MX(MX::new(preference, absolute(host))));
    }

    /// A text (SPF, DKIM, DMARC), cut as long ones must be.
    ///
    /// # Panics
    /// When the text is not ASCII.
    pub fn txt(&self, name: &str, text: &str) {
        let strings = text.as_bytes().chunks(TXT_STRING_BYTES_MAX);
        let strings = strings.map(|part| String::from_utf8(part.to_vec()).unwrap()).collect();
        self.put(name, RData::TXT(TXT::new(strings)));
    }

    /// Takes out everything that a name has.
    pub fn remove(&self, name: &str) {
        let name = hickory_server::proto::rr::LowerName::from(absolute(name));
        let removing = async { self.zone.records_mut().await.retain(|key, _| key.name != name) };
        self.runtime.block_on(removing);
    }

    fn put(&self, name: &str, data: RData) {
        let record = Record::from_rdata(absolute(name), TTL_S, data);
        assert!(self.runtime.block_on(self.zone.upsert(record, 1)), "{name} can't be put into the zone");
    }
}

/// A port where questions get no answer. It is silent for as long as the socket lives.
///
/// # Panics
/// When there is no port to be had.
pub fn silent() -> (SocketAddr, UdpSocket, TcpListener) {
    let (udp, tcp) = sockets();
    (udp.local_addr().unwrap(), udp, tcp)
}

/// One port for both.
fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // Somebody else may have the same port for TCP.
        let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) else { continue };
        udp.set_nonblocking(true).unwrap();
        tcp.set_nonblocking(true).unwrap();
        return (udp, tcp);
    }
}

fn absolute(name: &str) -> Name {
    Name::from_ascii(format!("{}.", name.trim_end_matches('.'))).unwrap_or_else(|error| panic!("{name}: {error}"))
}
