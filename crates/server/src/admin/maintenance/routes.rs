//! All mail routing as rows, as a mail server in front would ask for it one by one (`node::mail_tables`).

use std::collections::HashMap;

use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, DomainId};
use sterna_directory::routing::{self, RoutingError};
use sterna_directory::{Address, AnyEntry, Domain, Reader, RowKind, StorageError, mail_tables, settings};
use sterna_protocols::postfix::MailTable;

use super::Route;
use super::checks::Found;
use crate::node::mail_tables::{Own, PRESENT, Transports, USERS_ONLY};

/// What postmasters are called (RFC 5321 section 4.5.1).
const POSTMASTER: &str = "postmaster";

/// All of it.
pub struct Derived {
    /// The directory's change that it holds for.
    pub modseq: u64,
    /// By table and key.
    pub routes: Vec<Route>,
    /// Entries whose mail goes on to others: groups, and those with forwards.
    pub onward: Vec<AccountId>,
}

struct Deriving<'r, 'c> {
    reader: &'r Reader<'c>,
    transports: Transports,
    domains: HashMap<DomainId, Domain>,
    routes: Vec<Route>,
    onward: Vec<AccountId>,
}

/// Derives it, and says which addresses lead nowhere.
///
/// # Errors
/// When the file can't be read.
pub fn derive(reader: &Reader<'_>, own: Own, found: &mut Found) -> Result<Derived, StorageError> {
    let transports = Transports::read(reader, own)?;
    let domains = HashMap::new();
    let mut deriving = Deriving { reader, transports, domains, routes: Vec::new(), onward: Vec::new() };
    deriving.domains(found)?;
    for kind in [RowKind::User, RowKind::Group, RowKind::Shared] {
        deriving.entries(kind, found)?;
    }
    let Deriving { mut routes, onward, .. } = deriving;
    routes.sort_unstable();
    // An alias of a domain may be what an alias of an entry is: the same row then.
    routes.dedup_by(|later, first| later.table == first.table && later.key == first.key);
    Ok(Derived { modseq: reader.head()?.modseq.0, routes, onward })
}

impl Deriving<'_, '_> {
    fn put(&mut self, table: MailTable, key: String, value: impl Into<String>) {
        self.routes.push(Route { table, key, value: value.into() });
    }

    fn domains(&mut self, found: &mut Found) -> Result<(), StorageError> {
        let mut after = String::new();
        loop {
            let page = self.reader.domains(&after, PAGE_ITEMS_MAX)?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.value.name);
            for domain in page {
                let domain = domain.value;
                let takes_unknown = takes_unknown(self.reader, &domain)?;
                for name in names(&domain) {
                    self.put(MailTable::VirtualDomains, name.to_owned(), PRESENT);
                    if let Some(way) = self.transports.to(None) {
                        self.put(MailTable::Transport, name.to_owned(), way);
                    }
                    self.put(MailTable::VirtualMailboxes, format!("{POSTMASTER}@{name}"), PRESENT);
                    if takes_unknown {
                        self.put(MailTable::VirtualMailboxes, format!("@{name}"), PRESENT);
                    }
                }
                found.of_domain(self.reader, &domain)?;
                self.domains.insert(domain.id, domain);
            }
        }
    }

    fn entries(&mut self, kind: RowKind, found: &mut Found) -> Result<(), StorageError> {
        let mut after: Option<Address> = None;
        loop {
            let page = self.reader.entries(kind, None, after.as_ref(), PAGE_ITEMS_MAX)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.value.entry().address.clone());
            for entry in page {
                self.entry(&entry.value, found)?;
            }
        }
    }

    fn entry(&mut self, entry: &AnyEntry, found: &mut Found) -> Result<(), StorageError> {
        let common = entry.entry();
        let Some(main) = self.reader.address_text(&common.address)? else { return Ok(()) };
        let home = self.reader.placement(common.id)?.map(|placement| placement.value.server);
        found.of_entry(self.reader, entry, &main, home)?;
        if !entry.has_account() || !common.forward_to.is_empty() {
            self.onward.push(common.id);
        }
        let logins = mail_tables::sender_logins(self.reader, &main)?.map(|logins| logins.join(", "));
        let way = self.transports.to(home).filter(|way| Some(way) != self.transports.to(None).as_ref());
        let is_closed = matches!(entry, AnyEntry::Group(group) if group.internal_senders_only);
        for address in common.addresses() {
            let Some(domain) = self.domains.get(&address.domain) else { continue };
            let texts: Vec<String> = names(domain).map(|name| format!("{}@{name}", address.local)).collect();
            let Some(first) = texts.first() else { continue };
            let is_taken = match routing::resolve(self.reader, first) {
                Ok(_) | Err(RoutingError::Suspended | RoutingError::NoPostmaster | RoutingError::TooMany) => true,
                Err(RoutingError::NotLocal | RoutingError::NoSuchAddress) => false,
                Err(RoutingError::Storage(error)) => return Err(error),
            };
            for text in texts {
                if is_taken {
                    self.put(MailTable::VirtualMailboxes, text.clone(), PRESENT);
                }
                if text != main {
                    self.put(MailTable::VirtualAliases, text.clone(), main.clone());
                }
                if is_closed {
                    self.put(MailTable::ClosedGroups, text.clone(), USERS_ONLY);
                }
                if let Some(logins) = &logins {
                    self.put(MailTable::SenderLogins, text.clone(), logins.clone());
                }
                if let Some(way) = &way {
                    self.put(MailTable::Transport, text, way.clone());
                }
            }
        }
        Ok(())
    }
}

/// Every name of a domain.
fn names(domain: &Domain) -> impl Iterator<Item = &str> {
    std::iter::once(&*domain.name).chain(domain.aliases.iter().map(String::as_str))
}

/// Whether addresses of a domain that don't exist take mail.
fn takes_unknown(reader: &Reader<'_>, domain: &Domain) -> Result<bool, StorageError> {
    let Some(address) = reader.setting_for(Some(domain), settings::CATCH_ALL)? else {
        return Ok(reader.setting_for(Some(domain), settings::UNKNOWN_RECIPIENTS)?.is_some());
    };
    match routing::holder(reader, &address) {
        Ok(Some(_)) => mail_tables::is_recipient(reader, &address),
        Ok(None) => Ok(false),
        Err(RoutingError::Storage(error)) => Err(error),
        Err(_) => Ok(true),
    }
}
