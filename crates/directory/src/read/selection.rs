//! Which accounts an administrator means: those of a domain, those whose addresses look so.

use rusqlite::params;
use sterna_base::{AccountId, DomainId, NodeId};

use super::{Reader, id, page};
use crate::index::number;
use crate::model::{Address, Domain};
use crate::move_plan::Allowed;
use crate::names::{self, invalid};
use crate::row::RowKind;
use crate::{RequestError, StorageError};

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = names::LOCAL_PART_BYTES_MAX + 1 + names::DOMAIN_BYTES_MAX;

/// Addresses in which `*` stands for any characters: `a*@demo.test`, `*@*.test`, or `*` for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPattern {
    local: Glob,
    domain: Glob,
}

impl AddressPattern {
    /// Reads a pattern; an address without `*` is one as well.
    ///
    /// # Errors
    /// When it is no address even with something in the place of each `*`.
    pub fn parse(text: &str) -> Result<Self, RequestError> {
        let lower = text.trim().to_lowercase();
        let whole = if lower == "*" { "*@*".to_owned() } else { lower };
        let is_address = names::address(&whole.replace('*', "x")).is_some();
        match whole.rsplit_once('@') {
            Some((local, domain)) if is_address && whole.len() <= PATTERN_BYTES_MAX => {
                Ok(AddressPattern { local: Glob::new(local), domain: Glob::new(domain) })
            }
            _ => {
                Err(invalid("address", format!("“{text}” is neither an address nor a pattern such as a*@example.org")))
            }
        }
    }

    /// Whether an address matches; every name of the domain counts.
    pub fn matches(&self, local: &str, domain: &Domain) -> bool {
        self.local.matches(local) && self.matches_domain(domain)
    }

    fn matches_domain(&self, domain: &Domain) -> bool {
        std::iter::once(&domain.name).chain(&domain.aliases).any(|name| self.domain.matches(name))
    }
}

/// A text with `*` in it, as the parts between.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Glob(Vec<String>);

impl Glob {
    fn new(text: &str) -> Self {
        Glob(text.split('*').map(str::to_owned).collect())
    }

    /// The text, if there is no `*` in it.
    fn literal(&self) -> Option<&str> {
        if let [only] = self.0.as_slice() { Some(only) } else { None }
    }

    /// The first part must be at the beginning, the last at the end, and the others are found from left to right.
    fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.0.split_first() else { return false };
        let Some((last, middle)) = rest.split_last() else { return text == first };
        let Some(mut text) = text.strip_prefix(first.as_str()) else { return false };
        for part in middle {
            match text.find(part.as_str()) {
                Some(at) => text = &text[at + part.len()..],
                None => return false,
            }
        }
        text.ends_with(last.as_str())
    }
}

/// An account that was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// Which.
    pub account: AccountId,
    /// Its main address.
    pub address: Address,
}

/// A page of accounts that were meant.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Selection {
    /// They, by domain id and local part. Few or none of a page may match.
    pub accounts: Vec<Selected>,
    /// Where to go on; `None` at the end.
    pub next: Option<Address>,
}

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// Users and shared mailboxes whose main address is in a domain, after `after`.
    pub fn accounts_of_domain(
        &self,
        domain: DomainId,
        after: Option<&Address>,
        limit: usize,
    ) -> Result<Selection, StorageError> {
        let after = after.filter(|after| after.domain == domain).map_or("", |after| &after.local);
        let sql = "SELECT account_id, domain_id, local_part FROM dir_address
            WHERE domain_id = $1 AND local_part > $2 AND is_main = 1 AND kind IN ($3, $4)
            ORDER BY local_part LIMIT $5";
        let (user, shared) = (RowKind::User as u16, RowKind::Shared as u16);
        self.selected(sql, params![number(domain.0), after, user, shared, page(limit)], limit)
    }

    /// Users and shared mailboxes whose main address matches, after `after`; looks at `limit` accounts at most.
    pub fn accounts_matching(
        &self,
        pattern: &AddressPattern,
        after: Option<&Address>,
        limit: usize,
    ) -> Result<Selection, StorageError> {
        let mut found = match pattern.domain.literal() {
            Some(name) => match self.domain_id(name)? {
                Some(domain) => self.accounts_of_domain(domain, after, limit)?,
                None => return Ok(Selection::default()),
            },
            None => self.all_accounts(after, limit)?,
        };
        let mut domain: Option<Domain> = None;
        let mut matching = Vec::with_capacity(found.accounts.len());
        for selected in found.accounts {
            if domain.as_ref().is_none_or(|known| known.id != selected.address.domain) {
                domain = self.domain(selected.address.domain)?.map(|found| found.value);
            }
            if domain.as_ref().is_some_and(|domain| pattern.matches(&selected.address.local, domain)) {
                matching.push(selected);
            }
        }
        found.accounts = matching;
        Ok(found)
    }

    fn all_accounts(&self, after: Option<&Address>, limit: usize) -> Result<Selection, StorageError> {
        let start = Address { local: String::new(), domain: DomainId(0) };
        let after = after.unwrap_or(&start);
        let sql = "SELECT account_id, domain_id, local_part FROM dir_address
            WHERE (domain_id, local_part) > ($1, $2) AND is_main = 1 AND kind IN ($3, $4)
            ORDER BY domain_id, local_part LIMIT $5";
        let (user, shared) = (RowKind::User as u16, RowKind::Shared as u16);
        self.selected(sql, params![number(after.domain.0), after.local, user, shared, page(limit)], limit)
    }

    fn selected(&self, sql: &str, params: &[&dyn rusqlite::ToSql], limit: usize) -> Result<Selection, StorageError> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params, |row| {
            let address = Address { domain: DomainId(id(row, 1)?), local: row.get(2)? };
            Ok(Selected { account: AccountId(id(row, 0)?), address })
        })?;
        let accounts = rows.collect::<Result<Vec<_>, _>>()?;
        let is_full = number(accounts.len() as u64) >= page(limit);
        let next = accounts.last().filter(|_| is_full).map(|last| last.address.clone());
        Ok(Selection { accounts, next })
    }

    /// The accounts placed on a server with the domains of their main addresses, by id after `after`, at most `limit`:
    /// what a plan is made from.
    pub fn placed_with_domain(
        &self,
        server: NodeId,
        after: AccountId,
        limit: usize,
    ) -> Result<Vec<(AccountId, DomainId)>, StorageError> {
        let accounts = self
            .placed_on(server, after, limit)?
            .into_iter()
            .map(|account| Ok(self.entry(account)?.map(|entry| (account, entry.value.entry().address.domain))));
        Ok(accounts.collect::<Result<Vec<_>, StorageError>>()?.into_iter().flatten().collect())
    }

    /// The servers of every domain that names some: what a plan is made from. Looks at all domains.
    pub fn allowed_servers(&self) -> Result<Allowed, StorageError> {
        let mut allowed = Allowed::new();
        let mut after = String::new();
        loop {
            let page = self.domains(&after, sterna_base::limits::PAGE_ITEMS_MAX)?;
            let Some(last) = page.last() else { return Ok(allowed) };
            after.clone_from(&last.value.name);
            let named = page.into_iter().map(|found| found.value).filter(|domain| !domain.servers.is_empty());
            allowed.extend(named.map(|domain| (domain.id, domain.servers)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_as_a_table() {
        let domain = |name: &str, alias: &str| Domain {
            id: DomainId(1),
            name: name.into(),
            aliases: vec![alias.into()],
            description: String::new(),
            servers: vec![],
            suspended: false,
            created_at: sterna_base::Timestamp(0),
        };
        let demo = domain("demo.test", "demo.example");
        for (pattern, local, expected) in [
            ("*", "ana", true),
            ("*@demo.test", "ana", true),
            ("*@DEMO.example", "ana", true),
            ("*@*.test", "ana", true),
            ("*@*.org", "ana", false),
            ("a*@demo.test", "ana", true),
            ("a*@demo.test", "ben", false),
            ("a*a@*", "ana", true),
            ("a*a@*", "a", false),
            ("*n*@*", "ana", true),
            ("a*n*n*@*", "ana", false),
            ("ana@demo.test", "ana", true),
            ("ana@demo.test", "anna", false),
            ("*.lima@*", "ana.lima", true),
        ] {
            assert_eq!(AddressPattern::parse(pattern).unwrap().matches(local, &demo), expected, "{pattern} {local}");
        }
        for bad in ["", "ana", "a b@*", "@demo.test", "*@", "a@@b", "*@a b"] {
            assert_eq!(AddressPattern::parse(bad).unwrap_err().code(), "invalid", "{bad}");
        }
    }
}
