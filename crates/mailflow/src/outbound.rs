//! Where recipients' mail goes: to accounts, to other servers, and by which way.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use sterna_account::service::{Message, MessageBody, Rcpt, Recipients, RouteError};
use sterna_base::Timestamp;
use sterna_formats::network::Network;
use tokio::sync::watch;

use crate::auth::Sealing;
use crate::dsn::Language;
use crate::queue::{Destination, NewDelivery, NextHop, Times};
use crate::sent_on;
use crate::srs::Srs;

/// What administrators set about mail that leaves.
#[derive(Clone, Debug, Default)]
pub struct OutboundSettings {
    /// This host's name in the mail world.
    pub own_name: String,
    /// Where all mail for others goes, instead of to their mail exchangers.
    pub relay: Option<NextHop>,
    /// Domains with a way of their own, by name in lower case; `.domain` is every name below it.
    pub routes: BTreeMap<String, NextHop>,
    /// Those of them that are split domains of ours whose other server is asked which addresses it has.
    pub asked: BTreeSet<String>,
    /// Hosts that may send to anybody without logging in.
    pub networks: Vec<Network>,
    /// The times of the queue.
    pub times: Times,
    /// Makes reverse-paths for mail of others that is sent on.
    pub srs: Srs,
}

impl OutboundSettings {
    /// The way to a domain, if it has one of its own: that of its name, or of the longest one above it.
    fn route(&self, domain: &str) -> Option<&NextHop> {
        let above = domain.match_indices('.').filter_map(|(at, _)| self.routes.get(&domain[at..]));
        self.routes.get(domain).into_iter().chain(above).next()
    }
}

/// See the module.
pub struct Outbound {
    recipients: Arc<dyn Recipients>,
    settings: watch::Receiver<OutboundSettings>,
    sealing: Option<Sealing>,
}

impl Outbound {
    /// With the directory's recipients.
    pub fn new(recipients: Arc<dyn Recipients>, settings: watch::Receiver<OutboundSettings>) -> Self {
        Outbound { recipients, settings, sealing: None }
    }

    /// With seals on what is sent on.
    pub fn with_sealing(self, sealing: Sealing) -> Self {
        Outbound { sealing: Some(sealing), ..self }
    }

    /// The ARC set for a message that goes on from an address of ours in this form, as [`Sealing::fields`] has it.
    pub async fn seal(&self, from: &str, verified: &MessageBody, content: &MessageBody) -> String {
        match (&self.sealing, from.rsplit_once('@')) {
            (Some(sealing), Some((_, domain))) => sealing.fields(domain, verified, content).await,
            _ => String::new(),
        }
    }

    /// The message as it goes on from an address of ours: sealed if the gate has verified it.
    ///
    /// # Errors
    /// When its file can't be read, or another one can't be written.
    pub async fn sent_on(&self, from: &str, message: &Message, is_verified: bool) -> io::Result<Message> {
        let seal = if is_verified { self.seal(from, &message.body, &message.body).await } else { String::new() };
        sent_on::with_fields(message, &sent_on::fields(from, &seal)).await
    }

    /// This host's name.
    pub fn own_name(&self) -> String {
        self.settings.borrow().own_name.clone()
    }

    /// The reverse-path under which mail of a sender goes on that was for an address of ours: the receiving server asks
    /// (SPF) whether we may send for it. `None` when the sender is one of ours, or can't be rewritten.
    pub async fn reverse_path(&self, sender: &str, ours: &str, now: Timestamp) -> Option<String> {
        let (_, domain) = ours.rsplit_once('@')?;
        let is_elsewhere = matches!(self.recipients.route(sender).await, Err(RouteError::NotLocal));
        if sender.is_empty() || !is_elsewhere {
            return None;
        }
        self.settings.borrow().srs.forward(sender, domain, now)
    }

    /// The queue's times.
    pub fn times(&self) -> Times {
        self.settings.borrow().times
    }

    /// Whether a host may send to anybody without logging in.
    pub fn is_trusted(&self, peer: IpAddr) -> bool {
        self.settings.borrow().networks.iter().any(|network| network.contains(peer))
    }

    /// The language of whoever has an address.
    pub async fn language(&self, address: &str) -> Language {
        self.recipients.language(address).await.map_or(Language::default(), |tag| Language::of(&tag))
    }

    /// The way to an address elsewhere; `None` when it can't be one.
    pub fn destination(&self, address: &str) -> Option<Destination> {
        let (_, domain) = address.rsplit_once('@')?;
        let domain = ascii_domain(domain)?;
        let settings = self.settings.borrow();
        let hop = settings.route(&domain).or(settings.relay.as_ref());
        Some(hop.cloned().map_or(Destination::Domain(domain), Destination::Host))
    }

    /// The server that says whether it takes mail for an address; `None` when that is not asked.
    pub fn asked_about(&self, address: &str) -> Option<Destination> {
        let (_, domain) = address.rsplit_once('@')?;
        let is_asked = self.settings.borrow().asked.contains(&ascii_domain(domain)?);
        if is_asked { self.destination(address) } else { None }
    }

    /// The deliveries for these recipients of messages that nobody asked us for: those of our domains to their
    /// accounts, others to where they are. Who is nowhere is left out, and so is a group that is closed to strangers.
    pub async fn deliveries(&self, rcpts: Vec<Rcpt>, now: Timestamp, expires: Timestamp) -> Vec<NewDelivery> {
        let mut found = Deliveries::new(now, self.times().deadline(now, expires, false));
        for rcpt in rcpts {
            if matches!(self.recipients.may_write_to(None, &rcpt.address).await, Ok(false)) {
                continue;
            }
            match self.recipients.route(&rcpt.address).await {
                Ok(route) => {
                    for target in &route.targets {
                        found.add(Destination::Account(target.account), rcpt.clone());
                    }
                    for external in route.external {
                        self.add_external(&mut found, Rcpt { address: external, ..rcpt.clone() });
                    }
                }
                Err(RouteError::NotLocal) => self.add_external(&mut found, rcpt),
                Err(_) => {}
            }
        }
        found.all()
    }

    fn add_external(&self, found: &mut Deliveries, rcpt: Rcpt) {
        if let Some(destination) = self.destination(&rcpt.address) {
            found.add(destination, rcpt);
        }
    }
}

/// Deliveries while they are collected: one for each destination.
pub struct Deliveries {
    now: Timestamp,
    deadline: Timestamp,
    by_destination: BTreeMap<Destination, Vec<Rcpt>>,
    seen: HashSet<(Destination, String)>,
}

/// Recipients of one delivery: more are split, because servers need only take a hundred (RFC 5321 section 4.5.3.1.8).
const RECIPIENTS_PER_DELIVERY_MAX: usize = 100;

impl Deliveries {
    /// None yet; they are to be tried at once.
    pub fn new(now: Timestamp, deadline: Timestamp) -> Self {
        Deliveries { now, deadline, by_destination: BTreeMap::new(), seen: HashSet::new() }
    }

    /// One more recipient; an address that is there already gets the message once.
    pub fn add(&mut self, destination: Destination, rcpt: Rcpt) {
        if !self.seen.insert((destination.clone(), rcpt.address.clone())) {
            return;
        }
        self.by_destination.entry(destination).or_default().push(rcpt);
    }

    /// Those that were collected.
    pub fn all(self) -> Vec<NewDelivery> {
        let (next, deadline) = (self.now, self.deadline);
        let one = |(destination, rcpts): (Destination, Vec<Rcpt>)| {
            let split: Vec<_> = rcpts.chunks(RECIPIENTS_PER_DELIVERY_MAX).map(<[Rcpt]>::to_vec).collect();
            split.into_iter().map(move |recipients| NewDelivery {
                destination: destination.clone(),
                recipients,
                next,
                deadline,
            })
        };
        self.by_destination.into_iter().flat_map(one).collect()
    }
}

/// A domain as DNS has it: A-labels in lower case (RFC 5890), or an address literal. `None` when it can't be one.
fn ascii_domain(domain: &str) -> Option<String> {
    if domain.starts_with('[') && domain.ends_with(']') {
        return Some(domain.to_ascii_lowercase());
    }
    let ascii = idna::domain_to_ascii(domain).ok()?;
    let good = !ascii.is_empty() && ascii.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    good.then(|| ascii.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_as_in_dns() {
        assert_eq!(ascii_domain("Bücher.Example").as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(ascii_domain("Example.ORG").as_deref(), Some("example.org"));
        assert_eq!(ascii_domain("[192.0.2.1]").as_deref(), Some("[192.0.2.1]"));
        assert_eq!(ascii_domain("a b"), None);
        assert_eq!(ascii_domain(""), None);
    }
}
