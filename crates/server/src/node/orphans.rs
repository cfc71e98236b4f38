//! Stores on this node that nobody names: neither a placement, nor a copy, nor a store that is being made or deleted.
//! They are only told of; deleting one is somebody's decision.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use sterna_base::{AccountId, NodeId, Timestamp};
use sterna_directory::{Directory, Reader, StorageError};

/// A store is nobody's when it was so for this time, in milliseconds: the row that names it may still be on its way
/// here.
const ORPHAN_MS_MIN: i64 = 60_000;
/// Rows read at a time.
const PAGE: usize = 1000;
/// Orphans that are named.
const NAMED_MAX: usize = 100;

/// What was seen, and when first.
#[derive(Default)]
pub struct Orphans {
    seen: Mutex<HashMap<AccountId, Timestamp>>,
}

impl Orphans {
    /// Compares the stores that are here with the directory; gives the first few orphans, and how many there are.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub async fn look(
        &self,
        directory: &Directory,
        node: NodeId,
        stores: &[AccountId],
        now: Timestamp,
    ) -> Result<(Vec<AccountId>, u64), StorageError> {
        let named = directory.read(move |reader| named(reader, node)).await?;
        Ok(self.note(stores.iter().copied().filter(|store| !named.contains(store)), now))
    }

    fn note(&self, unnamed: impl Iterator<Item = AccountId>, now: Timestamp) -> (Vec<AccountId>, u64) {
        let mut seen = self.seen.lock();
        let first = |account| (account, seen.get(&account).copied().unwrap_or(now));
        let unnamed: HashMap<_, _> = unnamed.map(first).collect();
        let is_old = |since: &Timestamp| now.0 - since.0 >= ORPHAN_MS_MIN;
        let mut orphans: Vec<_> =
            unnamed.iter().filter(|(_, since)| is_old(since)).map(|(account, _)| *account).collect();
        *seen = unnamed;
        let count = orphans.len() as u64;
        orphans.sort_unstable();
        orphans.truncate(NAMED_MAX);
        (orphans, count)
    }
}

/// Every store that may be on a node.
fn named(reader: &Reader<'_>, node: NodeId) -> Result<HashSet<AccountId>, StorageError> {
    let mut named = HashSet::new();
    pages(AccountId(0), |after| reader.placed_on(node, after, PAGE), |account| *account, &mut named)?;
    pages(AccountId(0), |after| reader.copies_on(node, after, PAGE), |copy| copy.account, &mut named)?;
    let mut after = None;
    loop {
        let page = reader.pending_stores(after, PAGE)?;
        let Some(last) = page.last() else { return Ok(named) };
        after = Some((last.account, last.server));
        named.extend(page.iter().filter(|pending| pending.server == node).map(|pending| pending.account));
    }
}

fn pages<T>(
    mut after: AccountId,
    read: impl Fn(AccountId) -> Result<Vec<T>, StorageError>,
    account: impl Fn(&T) -> AccountId,
    named: &mut HashSet<AccountId>,
) -> Result<(), StorageError> {
    loop {
        let page = read(after)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = account(last);
        named.extend(page.iter().map(&account));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_an_orphan_when_nobody_named_it_for_a_minute() {
        let (orphans, [one, other]) = (Orphans::default(), [AccountId(1), AccountId(2)]);
        let look = |unnamed: &[AccountId], at| orphans.note(unnamed.iter().copied(), Timestamp(at));
        assert_eq!(look(&[one], 0), (vec![], 0));
        assert_eq!(look(&[one, other], ORPHAN_MS_MIN), (vec![one], 1));
        assert_eq!(look(&[other], ORPHAN_MS_MIN + 1), (vec![], 0), "its row has come");
        assert_eq!(look(&[one, other], 2 * ORPHAN_MS_MIN), (vec![other], 1), "and gone again just now");
    }
}
