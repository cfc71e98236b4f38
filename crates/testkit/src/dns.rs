//! The world's DNS: a server on a port of loopback with every record that tests give it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::dnssec::NxProofKind;
use hickory_server::proto::dnssec::crypto::EcdsaSigningKey;
use hickory_server::proto::dnssec::rdata::DNSKEY;
use hickory_server::proto::dnssec::{Algorithm, DnssecSigner, SigningKey, TrustAnchors};
use hickory_server::proto::rr::rdata::{A, AAAA, MX, NS, SOA, TLSA, TXT};
use hickory_server::proto::rr::{Name, RData, Record};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, DnssecZoneHandler, ZoneHandler, ZoneType};
use tokio::runtime::Runtime;

/// How long the records may be kept, in seconds: not at all, because tests change them.
const TTL_S: u32 = 0;

/// Longest string of a TXT record, in bytes.
const TXT_STRING_BYTES_MAX: usize = 255;

/// How long signatures are good for.
const SIGNED_FOR: Duration = Duration::from_secs(24 * 3600);

/// How long a connection may say nothing.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);

/// A running server for the root zone and everything below. It ends when it is dropped: questions are then refused.
pub struct DnsServer {
    /// Where it listens.
    pub address: SocketAddr,
    zone: Arc<InMemoryZoneHandler>,
    runtime: Runtime,
    /// What its records are signed with, if they are.
    anchors: Option<Arc<TrustAnchors>>,
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
        DnsServer::with(Name::root(), None)
    }

    /// Starts one for a domain of the world alone, not signed.
    ///
    /// # Panics
    /// When there is no port to be had.
    pub fn of(domain: &str) -> Self {
        DnsServer::with(absolute(domain), None)
    }

    /// Starts one whose records are signed (RFC 4035), what is not there included (NSEC).
    ///
    /// # Panics
    /// When there is no port to be had.
    pub fn signed() -> Self {
        let algorithm = Algorithm::ECDSAP256SHA256;
        let key = EcdsaSigningKey::generate_pkcs8(algorithm).unwrap();
        let key = EcdsaSigningKey::from_pkcs8(&key, algorithm).unwrap();
        DnsServer::with(Name::root(), Some(key))
    }

    /// What those must believe who validate its records.
    ///
    /// # Panics
    /// When they are not signed.
    pub fn anchors(&self) -> Arc<TrustAnchors> {
        self.anchors.clone().expect("a signed zone")
    }

    /// The same as a file of DNSKEY records.
    ///
    /// # Panics
    /// When they are not signed.
    pub fn anchors_text(&self) -> String {
        let anchors = self.anchors();
        let key = anchors.get(0).expect("a key of the root");
        // The flags of a zone's key that is an entry point (RFC 4034 section 2.1.1).
        let record = DNSKEY::new(true, true, false, key.clone());
        format!(". 3600 IN DNSKEY {record}\n")
    }

    fn with(origin: Name, key: Option<EcdsaSigningKey>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let proofs = key.is_some().then_some(NxProofKind::Nsec);
        let zone: InMemoryZoneHandler =
            InMemoryZoneHandler::empty(origin.clone(), ZoneType::Primary, AxfrPolicy::Deny, proofs);
        let zone = Arc::new(zone);
        let anchors = key.map(|key| {
            let public = key.to_public_key().unwrap();
            let signer = DnssecSigner::new(DNSKEY::from_key(&public), Box::new(key), Name::root(), SIGNED_FOR);
            runtime.block_on(zone.add_zone_signing_key(signer)).unwrap();
            let mut anchors = TrustAnchors::empty();
            anchors.insert(&public);
            Arc::new(anchors)
        });
        let mut catalog = Catalog::new();
        let handler: Arc<dyn ZoneHandler> = zone.clone();
        catalog.upsert(origin.clone().into(), vec![handler]);
        let (udp, tcp) = sockets();
        let address = udp.local_addr().unwrap();
        runtime.spawn(async move {
            let mut server = Server::new(catalog);
            server.register_socket(tokio::net::UdpSocket::from_std(udp).unwrap());
            server.register_listener(tokio::net::TcpListener::from_std(tcp).unwrap(), TCP_TIMEOUT, 16);
            let _ = server.block_until_done().await;
        });
        let server = DnsServer { address, zone, runtime, anchors };
        let name = |name: &str| Name::from_ascii(name).unwrap();
        let soa = SOA::new(name("ns.test."), name("hostmaster.test."), 1, 3600, 600, 86400, TTL_S);
        let apex = origin.to_ascii();
        server.put(&apex, RData::SOA(soa));
        if server.anchors.is_some() || !origin.is_root() {
            server.put(&apex, RData::NS(NS(name("ns.test."))));
        }
        if server.anchors.is_some() {
            server.address("ns.test", Ipv4Addr::LOCALHOST.into());
        }
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

    /// That a domain is somewhere else; where, they must know who ask.
    pub fn delegate(&self, domain: &str) {
        self.put(domain, RData::NS(NS(absolute(&format!("ns.{domain}")))));
        self.address(&format!("ns.{domain}"), Ipv4Addr::LOCALHOST.into());
    }

    /// A certificate of a host and port (RFC 6698).
    pub fn tlsa(&self, host: &str, port: u16, (usage, selector, matching): (u8, u8, u8), data: &[u8]) {
        let record = TLSA::new(usage.into(), selector.into(), matching.into(), data.to_vec());
        self.put(&format!("_{port}._tcp.{host}"), RData::TLSA(record));
    }

    /// Spoils the signatures of what a name has.
    pub fn forge(&self, name: &str, address: IpAddr) {
        self.put_unsigned(
            name,
            &match address {
                IpAddr::V4(address) => RData::A(A(address)),
                IpAddr::V6(address) => RData::AAAA(AAAA(address)),
            },
        );
    }

    /// Takes out everything that a name has.
    pub fn remove(&self, name: &str) {
        let name = hickory_server::proto::rr::LowerName::from(absolute(name));
        let removing = async { self.zone.records_mut().await.retain(|key, _| key.name != name) };
        self.runtime.block_on(removing);
    }

    fn put(&self, name: &str, data: RData) {
        self.put_unsigned(name, &data);
        if self.anchors.is_some() {
            self.runtime.block_on(self.zone.secure_zone()).unwrap();
        }
    }

    fn put_unsigned(&self, name: &str, data: &RData) {
        let record = Record::from_rdata(absolute(name), TTL_S, data.clone());
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

/// A server that asks another one, and keeps silent about names with this label. It ends with the program.
///
/// # Panics
/// When there is no port to be had.
pub fn muffled(server: SocketAddr, label: &'static str) -> SocketAddr {
    let (udp, _) = sockets();
    udp.set_nonblocking(false).unwrap();
    let address = udp.local_addr().unwrap();
    std::thread::spawn(move || {
        let upstream = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut packet = [0; 4096];
        while let Ok((count, from)) = udp.recv_from(&mut packet) {
            if packet[..count].windows(label.len()).any(|part| part == label.as_bytes()) {
                continue;
            }
            upstream.send_to(&packet[..count], server).unwrap();
            let count = upstream.recv(&mut packet).unwrap();
            udp.send_to(&packet[..count], from).unwrap();
        }
    });
    address
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
