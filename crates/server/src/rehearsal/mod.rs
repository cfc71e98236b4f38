//! `sterna migrate rehearse`: the switch is tried on copies of the copies, before anything is switched (decision 69).
//!
//! On the machine that is to take over, every copy of an account is checked where it is ([`inspected`]). Of some
//! accounts a second copy is made, with a directory that says what it would say after the switch ([`fork`]); a node
//! works with them in a network of its own that leads nowhere ([`isolated`]), in which people log in and mail arrives
//! ([`trial`]). Then all of it is thrown away. Nothing of the node that follows is written.

mod dialog;
mod fork;
mod inspected;
mod isolated;
pub mod trial;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use sterna_base::{AccountId, NodeId};
use sterna_cluster::Identity;
use sterna_directory::{AnyEntry, MigrationPhase, Reader, StorageError};

use crate::config::Config;
use crate::node::{check, owner};
use trial::Tried;

/// Where second copies are, in a node's folder: on the same disk, because large bodies get a second name only there.
const FOLDER: &str = "rehearsal";
/// Copies that are read from the directory at once.
const PAGE: usize = 1000;

/// What to rehearse.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Addresses of users who are tried.
    pub addresses: Vec<String>,
    /// How many more are, from the first to the last account.
    pub log_ins: usize,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Accounts whose copies were checked.
    pub checked: usize,
    /// What is not as it must be in them.
    pub damaged: Vec<Damage>,
    /// Those that were tried.
    pub tried: Vec<Tried>,
    /// How long all of it took, in milliseconds.
    pub took_ms: u64,
}

/// One thing that is not as it must be.
#[derive(Clone, Debug, Serialize)]
pub struct Damage {
    /// The main address.
    pub account: String,
    /// What.
    pub what: String,
}

impl Report {
    /// Whether the switch would give people what they have now.
    pub fn is_well(&self) -> bool {
        self.damaged.is_empty() && self.tried.iter().all(|tried| tried.trouble.is_none())
    }
}

/// An account of which this machine has a copy.
#[derive(Clone, Debug)]
struct Followed {
    account: AccountId,
    address: String,
    is_user: bool,
}

/// Rehearses with the node of this folder, which may run or not.
///
/// # Errors
/// Why it can't be rehearsed, and what to do; what a rehearsal finds is in its report.
pub async fn run(folder: &Path, wanted: &Wanted) -> Result<Report> {
    let began = Instant::now();
    let config = Config::read(folder)?;
    owner::is_ours(folder)?;
    let identity = Identity::load(folder)?;
    let followed = followed(folder, identity.node()).await?;
    let chosen = chosen(&followed, wanted)?;
    isolated::is_possible().await?;
    let (root, all) = (folder.to_owned(), followed.clone());
    let damaged = tokio::task::spawn_blocking(move || inspected::check_all(&root, &all)).await?;
    let fork = folder.join(FOLDER);
    throw_away(&fork)?;
    let made = {
        let (folder, fork, chosen) = (folder.to_owned(), fork.clone(), chosen.clone());
        tokio::task::spawn_blocking(move || fork::make(&folder, &fork, (&config, &identity), &chosen)).await?
    };
    let tried = match made {
        Ok(unequal) => isolated::try_out(&fork, &chosen, &unequal).await,
        Err(error) => Err(error),
    };
    throw_away(&fork)?;
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Report { checked: followed.len(), damaged, tried: tried?, took_ms })
}

/// What this machine follows, to take another one's place.
async fn followed(folder: &Path, node: NodeId) -> Result<Vec<Followed>> {
    let directory = check::open_directory(folder)?.context("this node has never run; start it: sterna serve")?;
    let row = directory.read(|reader| reader.migration()).await?.map(|found| found.value);
    match row {
        Some(row) if row.to == node && row.phase == MigrationPhase::Syncing => {}
        Some(row) if row.from == node && row.phase == MigrationPhase::Syncing => {
            bail!("this is the machine that is left; rehearse on the one that takes over")
        }
        _ => bail!("this machine is not about to take another one's place: sterna migrate from, on this machine"),
    }
    Ok(directory.read(move |reader| list(reader, node)).await?)
}

fn list(reader: &Reader<'_>, node: NodeId) -> Result<Vec<Followed>, StorageError> {
    let (mut all, mut after) = (Vec::new(), AccountId(0));
    loop {
        let page = reader.copies_on(node, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(all) };
        after = last.account;
        for copy in &page {
            let Some(entry) = reader.entry(copy.account)?.map(|found| found.value) else { continue };
            let address = reader.address_text(&entry.entry().address)?;
            let address = address.unwrap_or_else(|| copy.account.to_string());
            all.push(Followed { account: copy.account, address, is_user: matches!(entry, AnyEntry::User(_)) });
        }
    }
}

/// Whose log-in is tried: those that were named, and some from the first to the last.
fn chosen(followed: &[Followed], wanted: &Wanted) -> Result<Vec<Followed>> {
    let users: Vec<&Followed> = followed.iter().filter(|one| one.is_user).collect();
    let mut chosen = Vec::new();
    for address in &wanted.addresses {
        let found = users.iter().find(|user| user.address.eq_ignore_ascii_case(address));
        let user = found.with_context(|| format!("{address} is not the main address of a user who comes here"))?;
        chosen.push((*user).clone());
    }
    let more = wanted.log_ins.min(users.len());
    for at in 0..more {
        let user = users[at * users.len() / more];
        if chosen.iter().all(|one| one.account != user.account) {
            chosen.push(user.clone());
        }
    }
    Ok(chosen)
}

fn throw_away(fork: &Path) -> Result<()> {
    match std::fs::remove_dir_all(fork) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} can't be deleted; do it by hand", fork.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: u64) -> Vec<Followed> {
        (0..count)
            .map(|number| Followed {
                account: AccountId(number),
                address: format!("u{number}@tern.test"),
                is_user: number % 2 == 0,
            })
            .collect()
    }

    #[test]
    fn who_is_tried_is_spread_over_all_and_named_once() {
        let numbers = |addresses: &[&str], log_ins| {
            let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
            chosen(&of(100), &Wanted { addresses, log_ins })
                .map(|chosen| chosen.into_iter().map(|one| one.account.0).collect::<Vec<_>>())
        };
        assert_eq!(numbers(&[], 5).unwrap(), [0, 20, 40, 60, 80]);
        assert_eq!(numbers(&["U20@tern.test", "u98@tern.test"], 5).unwrap(), [20, 98, 0, 40, 60, 80]);
        assert_eq!(numbers(&["u2@tern.test"], 0).unwrap(), [2]);
        assert!(numbers(&["u1@tern.test"], 0).unwrap_err().to_string().contains("u1@tern.test"), "a group");
        assert_eq!(chosen(&of(1), &Wanted { addresses: Vec::new(), log_ins: 5 }).unwrap().len(), 1);
    }
}
