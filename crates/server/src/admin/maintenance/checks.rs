//! What can be wrong with mail routing, and what to do about it.

use std::collections::BTreeMap;

use sterna_base::NodeId;
use sterna_directory::routing::{self, RoutingError};
use sterna_directory::{AnyEntry, Domain, Reader, StorageError, settings};
use sterna_mailflow::queue::NextHop;

use crate::admin::findings::Finding;

/// Findings of one kind that are told one by one.
const NAMED_MAX: usize = 20;
/// Fewer bits of an IPv4 network than this are half the world.
const NETWORK_BITS_MIN_V4: u8 = 8;
/// The same of IPv6.
const NETWORK_BITS_MIN_V6: u8 = 16;

/// The kinds, in the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Of the whole installation.
    Installation,
    /// Of a domain.
    Domain,
    /// An address that takes no mail.
    Nowhere,
    /// An account that is on no server.
    Homeless,
    /// A forward that leads to nobody.
    Forward,
    /// Mail that goes around.
    Loop,
}

/// What was found.
#[derive(Default)]
pub struct Found(BTreeMap<Kind, (Vec<Finding>, usize)>);

impl Found {
    /// One more.
    pub fn add(&mut self, kind: Kind, what: impl Into<String>, remedy: impl Into<String>) {
        let (named, count) = self.0.entry(kind).or_default();
        *count += 1;
        if named.len() < NAMED_MAX {
            named.push(Finding::of_installation(what, remedy));
        }
    }

    /// All of it; of many of one kind the first, and how many more there are.
    pub fn all(self) -> Vec<Finding> {
        let mut all = Vec::new();
        for (named, count) in self.0.into_values() {
            let more = count - named.len();
            all.extend(named);
            if more > 0 {
                let what = format!("and {more} more like this one");
                all.push(Finding::of_installation(what, "Mend those, and run this again: it names the next."));
            }
        }
        all
    }

    /// What a domain lacks.
    pub fn of_domain(&mut self, reader: &Reader<'_>, domain: &Domain) -> Result<(), StorageError> {
        if !domain.suspended {
            self.postmaster(reader, domain)?;
        }
        let catch_all = reader.setting_for(Some(domain), settings::CATCH_ALL)?;
        if let Some(address) = &catch_all
            && leads_nowhere(reader, address)?
        {
            let what = format!("the catch-all of {} is {address}, which nobody has", domain.name);
            self.add(Kind::Domain, what, format!("sterna config set catch-all ADDRESS --domain {}", domain.name));
        }
        let Some(hop) = reader.setting_for(Some(domain), settings::UNKNOWN_RECIPIENTS)? else { return Ok(()) };
        let remedy = format!("sterna config set unknown-recipients HOST --domain {}, or '' to end it", domain.name);
        if hop.parse::<NextHop>().is_err() {
            let what = format!("unknown-recipients of {} is {hop:?}, which is no host", domain.name);
            self.add(Kind::Domain, what, remedy);
        } else if catch_all.is_some() {
            let what = format!("unknown-recipients of {} is never used: its catch-all comes first", domain.name);
            self.add(Kind::Domain, what, remedy);
        }
        Ok(())
    }

    fn postmaster(&mut self, reader: &Reader<'_>, domain: &Domain) -> Result<(), StorageError> {
        let name = &domain.name;
        match routing::resolve(reader, &format!("postmaster@{name}")) {
            Err(RoutingError::Storage(error)) => return Err(error),
            Err(error) => {
                let what = format!("mail for postmaster@{name} reaches nobody: {error}");
                let remedy =
                    format!("sterna domain set {name} --postmaster ADDRESS (RFC 5321 section 4.5.1 asks for one)");
                self.add(Kind::Domain, what, remedy);
            }
            Ok(_) => {}
        }
        if let Some(address) = reader.setting_for(Some(domain), settings::POSTMASTER)?
            && leads_nowhere(reader, &address)?
        {
            let what =
                format!("the postmaster of {name} is {address}, which nobody has: the administrators get the mail");
            self.add(Kind::Domain, what, format!("sterna domain set {name} --postmaster ADDRESS"));
        }
        Ok(())
    }

    /// What is wrong with a user, group or shared mailbox.
    pub fn of_entry(
        &mut self,
        reader: &Reader<'_>,
        entry: &AnyEntry,
        main: &str,
        home: Option<NodeId>,
    ) -> Result<(), StorageError> {
        let common = entry.entry();
        let domain_is_suspended = reader.domain_of(common.id)?.is_some_and(|domain| domain.suspended);
        if !common.suspended && !domain_is_suspended {
            self.reach(reader, entry, main)?;
        }
        if entry.has_account() {
            self.home(reader, main, home)?;
        }
        for address in &common.forward_to {
            if leads_nowhere(reader, address)? {
                let what = format!("{main} sends its mail on to {address}, which nobody has");
                self.add(Kind::Forward, what, format!("sterna account set {main} --forward ADDRESS, or --forward ''"));
            }
        }
        Ok(())
    }

    fn reach(&mut self, reader: &Reader<'_>, entry: &AnyEntry, main: &str) -> Result<(), StorageError> {
        let (what, remedy) = match routing::resolve(reader, main) {
            Ok(_) => return Ok(()),
            Err(RoutingError::Storage(error)) => return Err(error),
            Err(RoutingError::NoSuchAddress) if !entry.has_account() => (
                format!("nobody is in the group {main}: its mail is refused"),
                format!("sterna group set {main} --add-member ADDRESS, or sterna group delete {main}"),
            ),
            Err(RoutingError::Suspended) => (
                format!("everybody whom {main} leads to is suspended: its senders are told to try again later"),
                "Let one of them in again (sterna user set ADDRESS --suspended no), or add others.".to_owned(),
            ),
            Err(RoutingError::TooMany) => (
                format!("{main} leads to too many groups or people; its mail waits with its senders"),
                format!("Take groups out of it: sterna group set {main} --remove-member ADDRESS"),
            ),
            Err(error) => (format!("mail for {main} has no way: {error}"), "Look at it: sterna check".to_owned()),
        };
        self.add(Kind::Nowhere, what, remedy);
        Ok(())
    }

    fn home(&mut self, reader: &Reader<'_>, main: &str, home: Option<NodeId>) -> Result<(), StorageError> {
        let Some(home) = home else {
            let what = format!("the account of {main} is on no server: its mail waits");
            self.add(Kind::Homeless, what, "sterna status says whether its making goes on; sterna check looks closer.");
            return Ok(());
        };
        let server = reader.server(home)?.map(|server| server.value);
        if !server.as_ref().is_some_and(|server| server.roles.data) {
            let name = server.map_or_else(|| home.to_string(), |server| server.name);
            let what = format!("the account of {main} is on {name}, which is no data server any more");
            self.add(Kind::Homeless, what, "sterna server list shows the data servers; bring that one back.");
        }
        Ok(())
    }
}

/// Whether it is an address of ours that nobody has.
fn leads_nowhere(reader: &Reader<'_>, address: &str) -> Result<bool, StorageError> {
    match routing::holder(reader, address) {
        Ok(holder) => Ok(holder.is_none()),
        Err(RoutingError::Storage(error)) => Err(error),
        Err(_) => Ok(false),
    }
}

/// What is wrong with the whole.
pub fn of_installation(reader: &Reader<'_>, found: &mut Found) -> Result<(), StorageError> {
    if reader.domain_count()? == 0 {
        found.add(Kind::Installation, "there is no domain: no mail is taken", "sterna domain create DOMAIN");
    }
    if !reader.servers()?.iter().any(|server| server.value.roles.edge) {
        let remedy =
            "Add one: sterna server invite --roles edge, or give the main node the role edge in its sterna.toml.";
        found.add(Kind::Installation, "no server has the role edge: no mail comes in", remedy);
    }
    for network in reader.setting_for(None, settings::NETWORKS)?.unwrap_or_default().split_whitespace() {
        if is_half_the_world(network) {
            let what = format!("mail.networks has {network}: whoever is there sends to anybody in your name");
            let remedy = "Name your own networks only: sterna config set mail.networks '192.0.2.0/24 ...'";
            found.add(Kind::Installation, what, remedy);
        }
    }
    for route in reader.setting_for(None, settings::ROUTES)?.unwrap_or_default().split_whitespace() {
        let Some((domain, hop)) = route.split_once('=') else { continue };
        if reader.domain_named(domain)?.is_some() {
            let what = format!("the route {domain}={hop} in mail.routes is never taken: the domain is yours");
            let remedy =
                "Take it out of mail.routes; for addresses that another server has there is unknown-recipients.";
            found.add(Kind::Installation, what, remedy);
        }
    }
    Ok(())
}

fn is_half_the_world(network: &str) -> bool {
    let Some((address, bits)) = network.split_once('/') else { return false };
    let least = if address.contains(':') { NETWORK_BITS_MIN_V6 } else { NETWORK_BITS_MIN_V4 };
    bits.parse::<u8>().is_ok_and(|bits| bits < least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_the_first_are_named() {
        let mut found = Found::default();
        for number in 0..NAMED_MAX + 7 {
            found.add(Kind::Loop, format!("loop {number}"), "");
        }
        found.add(Kind::Domain, "domain", "");
        let all = found.all();
        assert_eq!(all.len(), NAMED_MAX + 2);
        assert_eq!(all[0], Finding::of_installation("domain", ""));
        assert_eq!(all.last().map(|last| last.what()), Some("and 7 more like this one"));
    }

    #[test]
    fn wide_networks_are_seen() {
        assert!(is_half_the_world("0.0.0.0/0") && is_half_the_world("::/0"));
        assert!(!is_half_the_world("10.0.0.0/8") && !is_half_the_world("192.0.2.1") && !is_half_the_world("fd00::/16"));
    }
}
