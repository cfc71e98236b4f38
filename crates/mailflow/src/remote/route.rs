//! Where mail for a destination goes, and what connections there must have: what its domain says by DANE (RFC 7672)
//! comes before what it says by MTA-STS (RFC 8461 section 2), and that before what the administrator set for all.

use std::net::IpAddr;
use std::sync::Arc;

use sterna_base::OperationId;

use super::carrier::{NoConnection, RemoteCarrier, RemoteSettings, said_of_dns};
use super::dane::{Association, Proven, SecureResolver};
use super::dns::{self, DnsError};
use super::failure::{FailureKind, TlsFailure};
use super::observe::{Observation, PolicyUsed};
use super::sts::{Mode, Policy};
use super::tls::{Demand, TlsPolicy};
use crate::queue::{Destination, NextHop, SMTP_PORT, Said};

/// The hosts of a destination.
pub struct Route {
    /// Best first.
    pub hosts: Vec<String>,
    /// The port of all.
    pub port: u16,
    /// The domain whose mail exchangers they are, if they are any's.
    domain: Option<String>,
    /// Whether DNSSEC proves that they are.
    is_secure: bool,
    /// What the domain says of them by HTTPS.
    policy: Option<Policy>,
    /// Whether what is seen on it goes into reports.
    pub is_observed: bool,
}

/// How one host is connected to.
pub struct Way {
    /// Where it is.
    pub addresses: Vec<IpAddr>,
    /// What connections must have.
    pub demand: Demand,
    /// Who says so.
    policy: PolicyUsed,
}

impl RemoteCarrier {
    /// The hosts of a destination, and what its domain says of them.
    pub(super) async fn route(
        &self,
        destination: &Destination,
        settings: &RemoteSettings,
    ) -> Result<Route, NoConnection> {
        let direct = |host: &str, port| Route {
            hosts: vec![host.to_owned()],
            port,
            domain: None,
            is_secure: false,
            policy: None,
            is_observed: false,
        };
        let domain = match destination {
            Destination::Host(NextHop { host, port }) => return Ok(direct(host, *port)),
            Destination::Domain(domain) => domain,
            Destination::Account(_) => return Ok(Route { hosts: Vec::new(), ..direct("", 0) }),
        };
        let port = if settings.port == 0 { SMTP_PORT } else { settings.port };
        // An address literal is its own exchanger (RFC 5321 section 4.1.3).
        if let Some(literal) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return Ok(direct(literal.trim_start_matches("IPv6:"), port));
        }
        let exchangers = match self.able(settings).await {
            Some(secure) => secure.mx(domain).await,
            None => self.resolver.mx(domain).await.map(|value| Proven { value, is_secure: false }),
        };
        let exchangers = match exchangers {
            Ok(exchangers) => exchangers,
            Err(error @ DnsError::NoSuchDomain) => {
                return Err(NoConnection::Never(said_of_dns("", &error, (5, 1, 2))));
            }
            Err(error) => return Err(NoConnection::Unreachable(said_of_dns("", &error, (4, 4, 3)))),
        };
        // Without exchangers the domain itself is one: what its addresses prove is enough, since nobody could have
        // hidden exchangers of a signed domain.
        let is_secure = exchangers.is_secure || exchangers.value.is_empty();
        let random = OperationId::random().0;
        let random = u64::from_be_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|at| random[at]));
        let hosts = dns::hosts(domain, exchangers.value, &settings.own_name, random).map_err(|no_mail| {
            let status = if no_mail == dns::NoMail::NullMx { (5, 1, 10) } else { (5, 4, 6) };
            NoConnection::Never(Said { text: no_mail.to_string(), status, ..Said::default() })
        })?;
        let policy = self.sts_policy(domain, settings).await;
        Ok(Route { hosts, port, domain: Some(domain.clone()), is_secure, policy, is_observed: true })
    }

    /// How a host of a route is connected to; not at all where its domain's policy has others.
    ///
    /// # Errors
    /// Why it isn't.
    pub(super) async fn way(&self, host: &str, route: &Route, settings: &RemoteSettings) -> Result<Way, Said> {
        let secure = if route.domain.is_some() { self.able(settings).await } else { None };
        let addresses = match (host.parse(), secure) {
            (Ok(address), _) => Ok(Proven { value: vec![address], is_secure: false }),
            (Err(_), Some(secure)) => secure.addresses(host).await,
            (Err(_), None) => self.resolver.addresses(host).await.map(|value| Proven { value, is_secure: false }),
        };
        let addresses = addresses.map_err(|error| said_of_dns(host, &error, (4, 4, 3)))?;
        let associated = match secure.filter(|_| route.is_secure && addresses.is_secure) {
            Some(secure) => self.associated(secure, host, route).await?,
            None => None,
        };
        let (demand, policy) = match associated {
            Some(associated) => associated,
            None => self.by_policy(host, route, settings)?,
        };
        Ok(Way { addresses: addresses.value, demand, policy })
    }

    /// What DANE asks for; `None` when the host takes no part in it. That it does and can't be asked for what is no
    /// reason to do without (RFC 7672 section 2.1.2).
    async fn associated(
        &self,
        secure: &dyn SecureResolver,
        host: &str,
        route: &Route,
    ) -> Result<Option<(Demand, PolicyUsed)>, Said> {
        let domain = route.domain.as_deref().unwrap_or_default();
        let observe = |failure: TlsFailure| {
            self.note(route, PolicyUsed::Tlsa(Vec::new()), host, None, Some(failure));
        };
        let records = secure.tlsa(host, route.port).await.map_err(|error| {
            observe(TlsFailure::new(FailureKind::DnssecInvalid, &error));
            said_of_dns(host, &error, (4, 7, 5))
        })?;
        if !records.is_secure || records.value.is_empty() {
            return Ok(None);
        }
        Ok(Some(match Association::new(records.value, host, domain) {
            Some(association) => {
                let policy = PolicyUsed::Tlsa(association.texts());
                (Demand::Dane(Arc::new(association)), policy)
            }
            None => {
                observe(TlsFailure::new(FailureKind::TlsaInvalid, "no TLSA record can be used"));
                (Demand::Set(TlsPolicy::Encrypt), PolicyUsed::Tlsa(Vec::new()))
            }
        }))
    }

    /// What MTA-STS asks for, or else the administrator.
    fn by_policy(&self, host: &str, route: &Route, settings: &RemoteSettings) -> Result<(Demand, PolicyUsed), Said> {
        let Some(policy) = &route.policy else { return Ok((Demand::Set(settings.tls), PolicyUsed::None)) };
        let used = PolicyUsed::Sts(policy.lines.clone(), policy.patterns.clone());
        let is_enforced = policy.mode == Mode::Enforce;
        if !policy.names(host) {
            let text = "the host is not in the MTA-STS policy of the domain";
            self.note(route, used.clone(), host, None, Some(TlsFailure::new(FailureKind::ValidationFailure, text)));
            if is_enforced {
                return Err(Said { host: host.to_owned(), text: text.to_owned(), status: (4, 7, 5), is_reply: false });
            }
        }
        Ok((if is_enforced { Demand::Sts } else { Demand::StsTesting(settings.tls) }, used))
    }

    /// A resolver that validates, if there is one that can and nobody has forbidden it.
    async fn able(&self, settings: &RemoteSettings) -> Option<&dyn SecureResolver> {
        let dane = self.dane.as_ref().filter(|_| settings.dane && settings.tls != TlsPolicy::Never)?;
        dane.able().await
    }

    async fn sts_policy(&self, domain: &str, settings: &RemoteSettings) -> Option<Policy> {
        let sts = self.sts.as_ref().filter(|_| settings.mta_sts && settings.tls != TlsPolicy::Never)?;
        let found = sts.of(domain).await;
        if let (Some(observer), Some(failure)) = (&self.observer, found.failure) {
            let policy = PolicyUsed::Sts(Vec::new(), Vec::new());
            let (domain, host) = (domain.to_owned(), String::new());
            observer.observe(Observation { domain, policy, host, address: None, failure: Some(failure) });
        }
        found.policy
    }

    /// Tells what came of a connection, if it says anything of TLS.
    pub(super) fn note_session(
        &self,
        route: &Route,
        way: &Way,
        host: &str,
        address: IpAddr,
        failure: Option<TlsFailure>,
    ) {
        self.note(route, way.policy.clone(), host, Some(address), failure);
    }

    fn note(
        &self,
        route: &Route,
        policy: PolicyUsed,
        host: &str,
        address: Option<IpAddr>,
        failure: Option<TlsFailure>,
    ) {
        if let (Some(observer), Some(domain)) = (&self.observer, &route.domain)
            && route.is_observed
        {
            let (domain, host) = (domain.clone(), host.to_owned());
            observer.observe(Observation { domain, policy, host, address, failure });
        }
    }
}
