//! The mailboxes of everybody who shares, for a listing: asked of all owners at once, each for so long and no longer.
//!
//! An owner whose server is down is listed as it was last seen, so that clients which take a missing name for a deleted
//! mailbox keep what they have.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sterna_account::service::Accounts;
use sterna_account::shares::{Owner, Who};
use sterna_account::{Container, Rights};
use sterna_base::{AccountId, ContainerId};

use super::limits::REMEMBERED_MAX;
use super::mailboxes::Mailboxes;
use super::names::{Names, SEPARATOR};
use crate::owners::ask_all;

/// One owner in a listing.
pub struct Listed {
    pub owner: Owner,
    /// As it is, or as it was last seen; `None` when it was never seen here.
    pub mailboxes: Option<(Mailboxes, Names)>,
    /// Whether its server answered.
    pub answered: bool,
}

/// The containers of accounts of others as they were last seen by any session of this process.
#[derive(Default)]
pub struct Remembered {
    seen: Mutex<HashMap<AccountId, Arc<Vec<Container>>>>,
}

impl Remembered {
    fn put(&self, account: AccountId, containers: &Arc<Vec<Container>>) {
        let mut seen = self.seen.lock();
        seen.insert(account, containers.clone());
        if seen.values().map(|containers| containers.len()).sum::<usize>() > REMEMBERED_MAX {
            seen.clear();
        }
    }

    fn get(&self, account: AccountId) -> Option<Arc<Vec<Container>>> {
        self.seen.lock().get(&account).cloned()
    }
}

/// Asks them all. One whose account is gone is left out.
pub async fn load(
    accounts: &Arc<dyn Accounts>,
    remembered: &Remembered,
    owners: &[Owner],
    who: &Arc<Who>,
) -> Vec<Listed> {
    let mut listed = Vec::with_capacity(owners.len());
    for (owner, answer) in ask_all(accounts, owners).await {
        let answer = answer.map(|(account, containers)| (account, Arc::new(containers)));
        let answered = answer.is_some();
        let known = match answer {
            Some((account, containers)) => {
                remembered.put(owner.account, &containers);
                Some((account, containers))
            }
            None => match (accounts.open(owner.account).await, remembered.get(owner.account)) {
                (Ok(account), Some(containers)) => Some((account, containers)),
                _ => None,
            },
        };
        let mailboxes =
            known.map(|(account, found)| (Mailboxes::of(account, owner.clone(), who.clone()), Names::of(&found)));
        listed.push(Listed { owner, mailboxes, answered });
    }
    listed
}

/// One name in a listing.
pub struct Name<'a> {
    /// In the account.
    pub name: String,
    /// `None` for a level that is no mailbox, or none for this user, and has some below.
    pub container: Option<&'a Container>,
    pub rights: Rights,
    pub has_children: bool,
    /// Where the notes about it are.
    pub notes: Option<ContainerId>,
}

/// The names that the user may see, and the levels above them, by name.
pub fn visible((mailboxes, all): &(Mailboxes, Names)) -> Vec<Name<'_>> {
    let mut names: std::collections::BTreeMap<String, Name<'_>> = std::collections::BTreeMap::new();
    for (name, container) in all.iter() {
        let rights = mailboxes.rights(container);
        if !rights.has(Rights::LOOKUP) {
            continue;
        }
        for (at, _) in name.match_indices(SEPARATOR) {
            let above = name[..at].to_owned();
            let (container, notes, rights) = (None, None, Rights::NONE);
            let level = || Name { name: above.clone(), container, rights, has_children: true, notes };
            names.entry(above.clone()).or_insert_with(level).has_children = true;
        }
        let has_children = names.get(name).is_some_and(|level| level.has_children);
        let (name, notes, container) = (name.to_owned(), all.notes(container.id), Some(container));
        names.insert(name.clone(), Name { name, container, rights, has_children, notes });
    }
    names.into_values().collect()
}
