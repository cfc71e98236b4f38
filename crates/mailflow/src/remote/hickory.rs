//! DNS by hickory-resolver: a stub resolver with a cache, which asks the servers that the system has, or those that an
//! administrator named.

use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

use super::dns::{DnsError, Mx, Resolver};

/// Mail exchangers that one domain can have; further ones are passed over.
const EXCHANGERS_MAX: usize = 100;

/// See the module.
pub struct Dns(TokioResolver);

impl Dns {
    /// Asks these servers, or those of the system when there are none.
    ///
    /// # Errors
    /// When the system's configuration can't be read.
    pub fn new(servers: &[SocketAddr]) -> Result<Self, DnsError> {
        let unusable = |error: NetError| DnsError::Temporary(error.to_string());
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(unusable)?
        } else {
            let servers = servers.iter().map(|server| name_server(*server)).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(Dns(builder.build().map_err(unusable)?))
    }

    /// For what asks more than [`Resolver`] has: it shares cache, servers and limits.
    pub(crate) fn resolver(&self) -> &TokioResolver {
        &self.0
    }
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

#[async_trait]
impl Resolver for Dns {
    async fn mx(&self, domain: &str) -> Result<Vec<Mx>, DnsError> {
        let found = match self.0.mx_lookup(absolute(domain)).await {
            Ok(found) => found,
            Err(error) => return none_or(&error),
        };
        let exchanger = |data: &RData| match data {
            RData::MX(mx) => {
                let host = mx.exchange.to_ascii().trim_end_matches('.').to_ascii_lowercase();
                Some(Mx { preference: mx.preference, host })
            }
            _ => None,
        };
        Ok(found.answers().iter().filter_map(|record| exchanger(&record.data)).take(EXCHANGERS_MAX).collect())
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        match self.0.lookup_ip(absolute(host)).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) => none_or(&error),
        }
    }
}
