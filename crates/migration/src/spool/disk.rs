//! A spool as a whole: its settings, its mailboxes and whose they are.

use std::collections::BTreeMap;

use super::annotations::{self, Annotations};
use super::config::Config;
use super::layout::Person;
use super::list::{self, Listed};
use super::{SpoolError, scripts};
use crate::cyrus::names;

/// See the module.
pub struct Spool {
    /// Where what is.
    pub config: Config,
    /// Annotations of mailboxes.
    pub annotations: Annotations,
    /// Mailboxes by their owners, each by name: users and shared mailboxes.
    pub owners: BTreeMap<String, Vec<Listed>>,
    /// Rows of the list that can't be read.
    pub damaged: Vec<String>,
}

impl Spool {
    /// Reads the list of mailboxes and their annotations.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub fn open(config: Config) -> Result<Self, SpoolError> {
        let usual = config.path("configdirectory").unwrap_or_default().join("annotations.db");
        let annotations = annotations::read(&config.path("annotation_db_path").unwrap_or(usual))?;
        let (mut owners, mut damaged) = (BTreeMap::<String, Vec<Listed>>::new(), Vec::new());
        for row in list::read(&config)? {
            match row.map(|listed| (names::read(&listed.name).map(|name| name.user()), listed)) {
                Ok((Some(owner), listed)) => owners.entry(owner).or_default().push(listed),
                Ok((None, listed)) => damaged.push(format!("{}: nobody owns it", listed.name)),
                Err(cause) => damaged.push(cause),
            }
        }
        Ok(Spool { config, annotations, owners, damaged })
    }

    /// The mailboxes of an owner that are told.
    pub fn told(&self, owner: &str) -> impl Iterator<Item = &Listed> {
        let all = self.owners.get(owner).map_or(&[][..], Vec::as_slice);
        all.iter().filter(|listed| !scripts::are_in(&listed.name))
    }

    /// Where files of somebody are looked for; `None` of a shared mailbox.
    pub fn person(&self, owner: &str) -> Option<Person> {
        let [inbox, _] = names::prefixes(owner);
        let listed = self.owners.get(owner)?.iter().find(|listed| listed.name == inbox)?;
        let (local, domain) = owner.split_once('@').map_or((owner, None), |(local, domain)| (local, Some(domain)));
        let inbox_id = listed.unique_id.clone().filter(|_| listed.is_by_id);
        Some(Person { local: local.to_owned(), domain: domain.map(str::to_owned), inbox_id })
    }

    /// Partitions that mailboxes are on and nobody says where they are.
    pub fn unknown_partitions(&self) -> Vec<String> {
        let all = self.owners.values().flatten().map(|listed| &listed.partition);
        let mut unknown: Vec<String> = all.filter(|name| self.config.partition(name).is_none()).cloned().collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }
}
