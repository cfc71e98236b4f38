//! DNS by hickory-resolver: a stub resolver with a cache, which asks the servers that the system has, or those that an
//! administrator named. A second one validates what it is answered (DNSSEC, RFC 4035), up from the keys of the root.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use sterna_formats::dnsbl::reversed;

use super::dane::{Proven, SecureResolver, Tlsa};
use super::dns::{DnsError, Mx, Resolver, Srv};

/// Mail exchangers that one domain can have; further ones are passed over.
const EXCHANGERS_MAX: usize = 100;

/// Texts of one name that are looked at.
const TEXTS_MAX: usize = 100;

/// Asks without validating.
pub struct Dns(TokioResolver);

/// Asks and validates.
pub struct SecureDns(TokioResolver);

impl Dns {
    /// Asks these servers, or those of the system when there are none.
    ///
    /// # Errors
    /// When the system's configuration can't be read.
    pub fn new(servers: &[SocketAddr]) -> Result<Self, DnsError> {
        let mut builder = builder(servers)?;
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(Dns(builder.build().map_err(unusable)?))
    }

    /// The services of a name (RFC 2782). One without a host says that there is none of the kind.
    ///
    /// # Errors
    /// [`DnsError`]; the same holds for the next two.
    pub async fn services(&self, name: &str) -> Result<Vec<Srv>, DnsError> {
        self.look_up(name, RecordType::SRV, service).await
    }

    /// The name that a name is another one of.
    pub async fn alias(&self, name: &str) -> Result<Option<String>, DnsError> {
        Ok(self.look_up(name, RecordType::CNAME, alias).await?.into_iter().next())
    }

    /// The names of an address (PTR).
    pub async fn names(&self, address: IpAddr) -> Result<Vec<String>, DnsError> {
        let zone = if address.to_canonical().is_ipv4() { "in-addr.arpa" } else { "ip6.arpa" };
        self.look_up(&format!("{}.{zone}", reversed(address)), RecordType::PTR, pointer).await
    }

    async fn look_up<T>(
        &self,
        name: &str,
        kind: RecordType,
        data: impl Fn(&RData) -> Option<T>,
    ) -> Result<Vec<T>, DnsError> {
        match self.0.lookup(absolute(name), kind).await {
            Ok(found) => Ok(found.answers().iter().filter_map(|record| data(&record.data)).take(TEXTS_MAX).collect()),
            Err(error) => none_or(&error),
        }
    }

    /// For what asks more than [`Resolver`] has: it shares cache, servers and limits.
    pub(crate) fn resolver(&self) -> &TokioResolver {
        &self.0
    }
}

/// The keys in a file of DNSKEY records, as zone files have them.
///
/// # Errors
/// Why there are none to be had, for the administrator.
pub fn trust_anchors(path: &Path) -> Result<Arc<TrustAnchors>, String> {
    match TrustAnchors::from_file(path) {
        Ok(anchors) if !anchors.is_empty() => Ok(Arc::new(anchors)),
        Ok(_) => Err(format!("{} has no DNSKEY record of the root", path.display())),
        Err(error) => Err(format!("{} can't be read as DNSKEY records: {error}", path.display())),
    }
}

impl SecureDns {
    /// Asks these servers, or those of the system when there are none, and believes what these keys sign: those of the
    /// root of the world when none are given.
    ///
    /// # Errors
    /// When the system's configuration can't be read.
    pub fn new(servers: &[SocketAddr], anchors: Option<Arc<TrustAnchors>>) -> Result<Self, DnsError> {
        let mut builder = builder(servers)?;
        if let Some(anchors) = anchors {
            builder = builder.with_trust_anchor(anchors);
        }
        builder.options_mut().validate = true;
        Ok(SecureDns(builder.build().map_err(unusable)?))
    }

    async fn records<T>(
        &self,
        name: &str,
        kind: RecordType,
        data: impl Fn(&RData) -> Option<T>,
    ) -> Result<Proven<Vec<T>>, DnsError> {
        let found = match self.0.lookup(absolute(name), kind).await {
            Ok(found) => found,
            Err(error) => return none_proven(&error),
        };
        let meant =
            |record: &&Record| matches!(record.record_type(), RecordType::CNAME) || record.record_type() == kind;
        let is_secure = found.answers().iter().filter(meant).all(|record| record.proof == Proof::Secure);
        Ok(Proven { value: found.answers().iter().filter_map(|record| data(&record.data)).collect(), is_secure })
    }
}

fn unusable(error: NetError) -> DnsError {
    DnsError::Temporary(error.to_string())
}

fn builder(servers: &[SocketAddr]) -> Result<ResolverBuilder<TokioRuntimeProvider>, DnsError> {
    if servers.is_empty() {
        return TokioResolver::builder_tokio().map_err(unusable);
    }
    let servers = servers.iter().map(|server| name_server(*server)).collect();
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let with_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(with_port).to_vec();
    NameServerConfig::new(address.ip(), true, connections)
}

/// A name with its last dot, so that no search list is tried.
fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

/// An answer without records is an answer.
fn none_or<T>(error: &NetError) -> Result<Vec<T>, DnsError> {
    if error.is_nx_domain() {
        Err(DnsError::NoSuchDomain)
    } else if error.is_no_records_found() {
        Ok(Vec::new())
    } else {
        Err(DnsError::Temporary(error.to_string()))
    }
}

/// The same where what is not there must be proven, too.
fn none_proven<T>(error: &NetError) -> Result<Proven<Vec<T>>, DnsError> {
    let NetError::Dns(hickory_resolver::net::DnsError::Nsec { response, proof, .. }) = error else {
        return none_or(error).map(|value| Proven { value, is_secure: false });
    };
    let is_nx_domain = response.response_code == ResponseCode::NXDomain;
    match proof {
        Proof::Secure | Proof::Insecure if is_nx_domain => Err(DnsError::NoSuchDomain),
        Proof::Secure | Proof::Insecure => Ok(Proven { value: Vec::new(), is_secure: *proof == Proof::Secure }),
        Proof::Bogus | Proof::Indeterminate => Err(DnsError::Temporary(error.to_string())),
    }
}

fn exchanger(data: &RData) -> Option<Mx> {
    match data {
        RData::MX(mx) => {
            let host = mx.exchange.to_ascii().trim_end_matches('.').to_ascii_lowercase();
            Some(Mx { preference: mx.preference, host })
        }
        _ => None,
    }
}

/// A name as text, in small letters and without the dot at its end.
fn plain(name: &hickory_resolver::proto::rr::Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

fn service(data: &RData) -> Option<Srv> {
    let RData::SRV(srv) = data else { return None };
    Some(Srv { priority: srv.priority, weight: srv.weight, port: srv.port, host: plain(&srv.target) })
}

fn alias(data: &RData) -> Option<String> {
    let RData::CNAME(name) = data else { return None };
    Some(plain(&name.0))
}

fn pointer(data: &RData) -> Option<String> {
    let RData::PTR(name) = data else { return None };
    Some(plain(&name.0))
}

fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(address) => Some(address.0.into()),
        RData::AAAA(address) => Some(address.0.into()),
        _ => None,
    }
}

fn association(data: &RData) -> Option<Tlsa> {
    let RData::TLSA(tlsa) = data else { return None };
    let (usage, selector, matching) = (tlsa.cert_usage.into(), tlsa.selector.into(), tlsa.matching.into());
    Some(Tlsa { usage, selector, matching, data: tlsa.cert_data.clone() })
}

fn text(data: &RData) -> Option<String> {
    let RData::TXT(text) = data else { return None };
    Some(text.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect())
}

#[async_trait]
impl Resolver for Dns {
    async fn mx(&self, domain: &str) -> Result<Vec<Mx>, DnsError> {
        match self.0.mx_lookup(absolute(domain)).await {
            Ok(found) => {
                Ok(found.answers().iter().filter_map(|record| exchanger(&record.data)).take(EXCHANGERS_MAX).collect())
            }
            Err(error) => none_or(&error),
        }
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        match self.0.lookup_ip(absolute(host)).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) => none_or(&error),
        }
    }

    async fn txt(&self, name: &str) -> Result<Vec<String>, DnsError> {
        match self.0.txt_lookup(absolute(name)).await {
            Ok(found) => Ok(found.answers().iter().filter_map(|record| text(&record.data)).take(TEXTS_MAX).collect()),
            Err(error) => none_or(&error),
        }
    }
}

#[async_trait]
impl SecureResolver for SecureDns {
    async fn probe(&self) -> Result<(), String> {
        let found = self.records(".", RecordType::NS, |data| matches!(data, RData::NS(_)).then_some(())).await;
        match found {
            Ok(found) if found.is_secure && !found.value.is_empty() => Ok(()),
            Ok(_) => Err("the name server leaves out the signatures of the root".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn mx(&self, domain: &str) -> Result<Proven<Vec<Mx>>, DnsError> {
        let mut found = self.records(domain, RecordType::MX, exchanger).await?;
        found.value.truncate(EXCHANGERS_MAX);
        Ok(found)
    }

    async fn addresses(&self, host: &str) -> Result<Proven<Vec<IpAddr>>, DnsError> {
        let (v6, v4) =
            tokio::join!(self.records(host, RecordType::AAAA, address), self.records(host, RecordType::A, address));
        let (v6, mut v4) = match (v6, v4) {
            (Ok(v6), Ok(v4)) => (v6, v4),
            // One family is enough; what is forged of the other is not used.
            (Ok(one), Err(_)) | (Err(_), Ok(one)) if !one.value.is_empty() => return Ok(one),
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let is_proven = |one: &Proven<Vec<IpAddr>>| one.value.is_empty() || one.is_secure;
        let is_secure = is_proven(&v6) && is_proven(&v4);
        v4.value.extend(v6.value);
        Ok(Proven { is_secure: is_secure && !v4.value.is_empty(), value: v4.value })
    }

    async fn tlsa(&self, host: &str, port: u16) -> Result<Proven<Vec<Tlsa>>, DnsError> {
        match self.records(&format!("_{port}._tcp.{host}"), RecordType::TLSA, association).await {
            Err(DnsError::NoSuchDomain) => Ok(Proven { value: Vec::new(), is_secure: false }),
            found => found,
        }
    }
}
