//! Principals (RFC 3744 section 2): whoever a list of rights can name, by the path that ACLs call them by.

use std::collections::HashMap;

use http::StatusCode;
use sterna_account::Identifier;
use sterna_account::shares::PrincipalKind;

use super::answer::Problem;
use super::context::{Context, no_directory};
use super::paths::{self, Place};

/// A principal that is no account: a group, or everybody in a domain.
pub struct Crowd {
    pub href: String,
    /// For people.
    pub title: String,
    /// The address of a group.
    pub address: Option<String>,
}

impl Context {
    /// A group by its address, or everybody in a domain by `@` and its name.
    ///
    /// # Errors
    /// `404` when there is none, or it is a user.
    pub async fn crowd(&self, name: &str) -> Result<Crowd, Problem> {
        let found = self.shared.shares.identifier(name).await.map_err(no_directory)?;
        match found.ok_or_else(Problem::not_found)? {
            Identifier::Anyone => Err(Problem::not_found()),
            Identifier::Domain(id) => {
                let names = self.shared.shares.domains(vec![id]).await.map_err(no_directory)?;
                let name = names.get(&id).ok_or_else(Problem::not_found)?;
                let (href, title) = (paths::domain(name), format!("@{name}"));
                Ok(Crowd { href, title, address: None })
            }
            Identifier::Entry(id) => {
                let found = self.shared.shares.principals(vec![id]).await.map_err(no_directory)?;
                let group = found.into_iter().find(|found| found.kind == PrincipalKind::Group);
                let group = group.ok_or_else(Problem::not_found)?;
                let title = if group.name.is_empty() { group.address.clone() } else { group.name };
                Ok(Crowd { href: paths::group(&group.address), title, address: Some(group.address) })
            }
        }
    }

    /// The paths of these as principals; `anyone` has none, and whoever is gone is not among them.
    ///
    /// # Errors
    /// When the directory has no answer.
    pub async fn hrefs(
        &self,
        identifiers: impl Iterator<Item = Identifier> + Send,
    ) -> Result<HashMap<Identifier, String>, Problem> {
        let identifiers: Vec<Identifier> = identifiers.collect();
        let shares = &self.shared.shares;
        let entries = identifiers.iter().filter_map(|identifier| identifier.entry()).collect();
        let domains = identifiers.iter().filter_map(|identifier| identifier.domain()).collect();
        let entries = shares.principals(entries).await.map_err(no_directory)?.into_iter().map(|found| {
            let href = match found.kind {
                PrincipalKind::Group => paths::group(&found.address),
                PrincipalKind::User | PrincipalKind::SharedMailbox => paths::principal(&found.address),
            };
            (Identifier::Entry(found.id), href)
        });
        let mut hrefs: HashMap<Identifier, String> = entries.collect();
        let domains = shares.domains(domains).await.map_err(no_directory)?;
        hrefs.extend(domains.iter().map(|(id, name)| (Identifier::Domain(*id), paths::domain(name))));
        Ok(hrefs)
    }

    /// Whom the path of a principal means; `None` when it means nobody.
    ///
    /// # Errors
    /// When the directory has no answer.
    pub async fn identifier_at(&self, path: &str) -> Result<Option<Identifier>, Problem> {
        let name = match Place::parse(path) {
            // Clients that know only an address put groups where users are.
            Ok(Place::Principal(address) | Place::Group(address)) => address,
            Ok(Place::Domain(name)) => format!("@{name}"),
            Ok(_) => return Ok(None),
            Err(problem) if problem.status == StatusCode::NOT_FOUND => return Ok(None),
            Err(problem) => return Err(problem),
        };
        self.shared.shares.identifier(&name).await.map_err(no_directory)
    }
}
