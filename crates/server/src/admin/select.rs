//! Which accounts a command is about: those named, those of a domain, those whose address has a form, those on a
//! server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, DomainId, NodeId};
use sterna_directory::read::AddressPattern;
use sterna_directory::{Address, Reader};

use super::problem::Problem;
use super::resolve;

/// Accounts that one command is about.
pub(super) const SELECTED_MAX: usize = 100_000;
/// Accounts that can be named one by one.
const NAMED_MAX: usize = 10_000;

/// Which accounts. What is given must all hold; nothing given is nothing, not everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "AccountSelection")]
pub(super) struct Selection {
    /// Addresses or ids.
    pub accounts: Vec<String>,
    /// Those whose main address is in this domain.
    pub domain: Option<String>,
    /// Those whose main address has this form: `*` is any text.
    pub pattern: Option<String>,
    /// Those that live on this server.
    pub from: Option<String>,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selected {
    pub account: AccountId,
    pub address: String,
    /// Where it lives.
    pub server: NodeId,
}

impl Selection {
    /// Whether nothing was given.
    pub(super) fn is_empty(&self) -> bool {
        *self == Selection::default()
    }

    /// Everything that lives on a server.
    pub(super) fn on(server: impl Into<String>) -> Self {
        Selection { from: Some(server.into()), ..Selection::default() }
    }

    /// In words, for the name of a job.
    pub(super) fn in_words(&self) -> String {
        let mut words = Vec::new();
        match &self.accounts[..] {
            [] => {}
            [one] => words.push(one.clone()),
            several => words.push(format!("{} accounts", several.len())),
        }
        words.extend(self.domain.iter().map(|domain| format!("domain {domain}")));
        words.extend(self.pattern.iter().map(|pattern| format!("accounts like {pattern}")));
        words.extend(self.from.iter().map(|from| format!("accounts on {from}")));
        words.join(", ")
    }

    /// The accounts, each once.
    ///
    /// # Errors
    /// When something that was named doesn't exist, or more than [`SELECTED_MAX`] are meant.
    pub(super) fn read(&self, reader: &Reader<'_>) -> Result<Vec<Selected>, Problem> {
        if self.is_empty() {
            return Err(Problem::malformed("say which accounts: accounts, domain, pattern or from"));
        }
        if self.accounts.len() > NAMED_MAX {
            return Err(Problem::malformed(format!("at most {NAMED_MAX} accounts can be named at once")));
        }
        let filter = Filter::of(self, reader)?;
        if self.accounts.is_empty() { filter.all(reader) } else { self.named(reader, &filter) }
    }

    fn named(&self, reader: &Reader<'_>, filter: &Filter) -> Result<Vec<Selected>, Problem> {
        let mut found: Vec<Selected> = Vec::with_capacity(self.accounts.len());
        for text in &self.accounts {
            let entry = resolve::entry(reader, text, "account")?.value;
            let address = &entry.entry().address;
            let Some(selected) = selected(reader, entry.entry().id, address)? else {
                let kind = resolve::what(entry.kind());
                let detail = format!("{text} is a {kind} without a mailbox of its own");
                let remedy = "Name its members instead (sterna group members).";
                let status = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
                return Err(Problem::new(status, "invalid", "A value is not allowed", detail, remedy));
            };
            if filter.holds(reader, &selected, address)? && found.iter().all(|other| other.account != selected.account)
            {
                found.push(selected);
            }
        }
        Ok(found)
    }
}

/// The parts of a selection that every account must meet.
struct Filter {
    domain: Option<DomainId>,
    pattern: Option<AddressPattern>,
    server: Option<NodeId>,
}

impl Filter {
    fn of(selection: &Selection, reader: &Reader<'_>) -> Result<Self, Problem> {
        let domain = selection.domain.as_deref().map(|name| resolve::domain(reader, name)).transpose()?;
        let pattern = selection.pattern.as_deref().map(AddressPattern::parse).transpose()?;
        let server = selection.from.as_deref().map(|name| resolve::server(reader, name)).transpose()?;
        Ok(Filter { domain: domain.map(|found| found.value.id), pattern, server: server.map(|found| found.value.id) })
    }

    fn holds(&self, reader: &Reader<'_>, selected: &Selected, address: &Address) -> Result<bool, Problem> {
        let matches = match &self.pattern {
            Some(pattern) => {
                let domain = reader.domain(address.domain)?;
                domain.is_some_and(|domain| pattern.matches(&address.local, &domain.value))
            }
            None => true,
        };
        Ok(matches
            && self.domain.is_none_or(|domain| address.domain == domain)
            && self.server.is_none_or(|server| selected.server == server))
    }

    /// All accounts that meet it, on a server or anywhere.
    fn all(&self, reader: &Reader<'_>) -> Result<Vec<Selected>, Problem> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = match (&self.pattern, self.domain) {
                (Some(pattern), _) => reader.accounts_matching(pattern, after.as_ref(), PAGE_ITEMS_MAX)?,
                (None, Some(domain)) => reader.accounts_of_domain(domain, after.as_ref(), PAGE_ITEMS_MAX)?,
                (None, None) => return self.on_server(reader),
            };
            for one in page.accounts {
                if let Some(selected) = selected(reader, one.account, &one.address)?
                    && self.holds(reader, &selected, &one.address)?
                {
                    found.push(selected);
                }
            }
            found = bounded(found)?;
            let Some(next) = page.next else { return Ok(found) };
            after = Some(next);
        }
    }

    fn on_server(&self, reader: &Reader<'_>) -> Result<Vec<Selected>, Problem> {
        let Some(server) = self.server else { return Ok(Vec::new()) };
        let (mut found, mut after) = (Vec::new(), AccountId(0));
        loop {
            let page = reader.placed_on(server, after, PAGE_ITEMS_MAX)?;
            let Some(last) = page.last() else { return Ok(found) };
            after = *last;
            for id in page {
                if let Some(entry) = reader.entry(id)? {
                    found.extend(selected(reader, id, &entry.value.entry().address)?);
                }
            }
            found = bounded(found)?;
        }
    }
}

fn selected(reader: &Reader<'_>, account: AccountId, address: &Address) -> Result<Option<Selected>, Problem> {
    let Some(placement) = reader.placement(account)? else { return Ok(None) };
    let text = reader.address_text(address)?.unwrap_or_else(|| format!("account {account}"));
    Ok(Some(Selected { account, address: text, server: placement.value.server }))
}

fn bounded(found: Vec<Selected>) -> Result<Vec<Selected>, Problem> {
    if found.len() > SELECTED_MAX {
        return Err(Problem::malformed(format!(
            "more than {SELECTED_MAX} accounts are meant; take them in parts (domain, pattern, from)"
        )));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_has_a_name_for_people() {
        let of = |accounts: &[&str]| Selection {
            accounts: accounts.iter().map(|text| (*text).to_owned()).collect(),
            ..Selection::default()
        };
        assert_eq!(of(&["a@x"]).in_words(), "a@x");
        assert_eq!(of(&["a@x", "b@x"]).in_words(), "2 accounts");
        let all = Selection { domain: Some("x".into()), pattern: Some("a*".into()), ..Selection::on("alpha") };
        assert_eq!(all.in_words(), "domain x, accounts like a*, accounts on alpha");
    }
}
