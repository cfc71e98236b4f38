//! Pages cut into portions: what one transaction of a copy applies must fit into memory with its contents.

use std::collections::BTreeMap;

use sterna_account::Change;
use sterna_account::follow::Page;
use sterna_base::BlobHash;

use super::limits::PORTION_BYTES_MAX;

/// The contents that a page's rows refer to, with their lengths: of live items, and of expunged ones in retention.
pub fn contents(page: &Page) -> BTreeMap<BlobHash, u64> {
    page.rows.iter().filter_map(content).collect()
}

fn content(row: &Change) -> Option<(BlobHash, u64)> {
    match row {
        Change::Item(item) => Some((item.blob, item.size)),
        Change::Expunged(expunged) => expunged.retained.as_ref().map(|retained| (retained.blob, retained.size)),
        Change::Container(_) | Change::ContainerDeleted { .. } => None,
    }
}

/// Cuts off the page the longest run of rows whose lacking contents fit into memory, at least one row. Contents longer
/// than `inline_max` are staged one by one and don't count. Gives the portion, and the rest of the page if any.
///
/// The kept answers go with the last portion: nobody asks a copy for them before it is equal.
pub fn cut(mut page: Page, lacking: &BTreeMap<BlobHash, u64>, inline_max: u64) -> (Page, Option<Page>) {
    let (mut bytes, mut taken) = (0u64, BTreeMap::new());
    let end = page.rows.iter().position(|row| {
        if let Some((hash, size)) =
            content(row).filter(|(hash, size)| *size <= inline_max && lacking.contains_key(hash))
            && taken.insert(hash, ()).is_none()
        {
            bytes = bytes.saturating_add(size);
        }
        bytes > PORTION_BYTES_MAX
    });
    let Some(end) = end else { return (page, None) };
    let rest = page.rows.split_off(end.max(1));
    if rest.is_empty() {
        return (page, None);
    }
    let answers = std::mem::take(&mut page.answers);
    let is_last = std::mem::replace(&mut page.is_last, false);
    let rest = Page { after: page.end(), rows: rest, answers, is_last, ..page.clone() };
    (page, Some(rest))
}
