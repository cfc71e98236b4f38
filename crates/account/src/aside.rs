//! What a store that was set aside has and the account lacks.

use serde::{Deserialize, Serialize};
use sterna_base::{ContainerId, Modseq, Uid};

use crate::fork::{Fork, skipped_after};
use crate::{Change, Container, Expunged, Item, ItemParts, Read, StoreError, UidSet};

/// Rows looked at in one step.
const PAGE_ROWS: usize = 500;

/// What is lost if nobody brings it back, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Commits that were acknowledged and that the account lacks.
    pub commits: u64,
    /// Messages and other items whose contents the account doesn't have at all.
    pub items: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Items that the account has in another place, or with other flags.
    pub changed: u64,
    /// Items that were expunged here and are live in the account.
    pub expunged: u64,
    /// Folders that were made, renamed or deleted here.
    pub containers: u64,
}

/// One row of a store that was set aside.
#[derive(Clone, Debug, PartialEq)]
pub enum Only {
    /// Its content is nowhere else.
    Item(Item),
    /// The account has the content, but not this row.
    Changed(Item),
    /// It is live in the account.
    Expunged(Expunged),
    /// Made or renamed here.
    Container(Container),
    /// Deleted here, and live in the account.
    ContainerDeleted(ContainerId),
}

/// Goes through the rows since the fork that the account lacks. `account` is a copy of the account as it is now;
/// without one everything since the fork is taken for lost.
///
/// # Errors
/// When one of both can't be read, or `visit` says so.
pub fn visit_lost(
    aside: &dyn Read,
    fork: &Fork,
    account: Option<&dyn Read>,
    mut visit: impl FnMut(Only) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut after = fork.at.rows;
    loop {
        let page = aside.changes(after, PAGE_ROWS)?;
        for row in page.rows {
            if let Some(only) = only_there(row, account)? {
                visit(only)?;
            }
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(()),
        }
    }
}

/// Counts what the account lacks.
///
/// # Errors
/// When one of both can't be read.
pub fn lost(aside: &dyn Read, fork: &Fork, account: Option<&dyn Read>) -> Result<Lost, StoreError> {
    let commits = commits_since(fork, aside.head()?.modseq, &aside.forks()?);
    let mut lost = Lost { commits, ..Lost::default() };
    visit_lost(aside, fork, account, |only| {
        match only {
            Only::Item(item) => {
                lost.items += 1;
                lost.bytes += item.size;
            }
            Only::Changed(_) => lost.changed += 1,
            Only::Expunged(_) => lost.expunged += 1,
            Only::Container(_) | Only::ContainerDeleted(_) => lost.containers += 1,
        }
        Ok(())
    })?;
    Ok(lost)
}

/// How many commits a store with these forks has since a fork.
pub fn commits_since(fork: &Fork, modseq: Modseq, own: &[Fork]) -> u64 {
    // A copy that took over in the middle of a commit lacks that one, too.
    let is_whole = fork.at.rows.uid == Uid::MAX;
    let from = fork.at.rows.modseq;
    modseq.0.saturating_sub(from.0).saturating_sub(skipped_after(from, own)) + u64::from(!is_whole)
}

fn only_there(row: Change, account: Option<&dyn Read>) -> Result<Option<Only>, StoreError> {
    let live = |id, uid| match account {
        None => Ok(None),
        Some(account) => match account.items(id, &UidSet::from_iter([uid]), ItemParts::default(), 1) {
            Ok(found) => Ok(found.into_iter().next()),
            Err(StoreError::NoSuchContainer(_)) => Ok(None),
            Err(error) => Err(error),
        },
    };
    Ok(match row {
        Change::Item(item) => {
            let lacks = match account {
                Some(account) => !account.lacking(&[item.blob])?.is_empty(),
                None => true,
            };
            let is_same = |other: &Item| (other.blob, other.flags, &other.name) == (item.blob, item.flags, &item.name);
            match lacks {
                true => Some(Only::Item(item)),
                false if live(item.container, item.uid)?.as_ref().is_some_and(is_same) => None,
                false => Some(Only::Changed(item)),
            }
        }
        Change::Expunged(expunged) => {
            // Another message may have the number in the account.
            let blob = expunged.retained.as_ref().map(|retained| retained.blob);
            let is_live =
                live(expunged.container, expunged.uid)?.is_some_and(|item| blob.is_none_or(|b| b == item.blob));
            is_live.then_some(Only::Expunged(expunged))
        }
        Change::Container(container) => {
            let there = account.map(|account| account.container(container.id)).transpose()?.flatten();
            let place = |container: &Container| (container.parent, container.name.clone(), container.acl.clone());
            let is_same = there.is_some_and(|there| place(&there) == place(&container));
            (!is_same).then_some(Only::Container(container))
        }
        Change::ContainerDeleted { id, .. } => {
            let is_live = account.map(|account| account.container(id)).transpose()?.flatten().is_some();
            is_live.then_some(Only::ContainerDeleted(id))
        }
    })
}
