//! Whether an index belongs to its account.

use std::collections::HashMap;

use sterna_base::{ContainerId, Uid};

use super::feed::is_of;
use super::index::SearchIndex;
use crate::{ContainerKind, Cursor, ItemParts, Read, StoreError, UidSet};

/// Items that are compared at once.
const PAGE_ITEMS: usize = 1024;

/// Findings after which it stops: more say no more, the index is to be made again.
const FINDINGS_MAX: usize = 20;

/// What is wrong with an index; empty when all is well. One that lags is not wrong: only what it has is compared, and
/// what it says that it has. Ask it in one snapshot, which is not newer than what is read.
///
/// # Errors
/// When the store or the index can't be read.
pub fn check(read: &dyn Read, index: &dyn SearchIndex) -> Result<Vec<String>, StoreError> {
    let Some(progress) = index.progress()? else { return Ok(Vec::new()) };
    let head = read.head()?;
    if !is_of(&progress, &head) {
        return Ok(vec!["it is of another history of the account".to_owned()]);
    }
    let mut findings = Vec::new();
    let mut in_index: HashMap<ContainerId, u64> = HashMap::new();
    let mut after = (ContainerId(0), Uid(0));
    loop {
        let page = index.page(after, PAGE_ITEMS)?;
        let Some(last) = page.last() else { break };
        after = (last.container, last.uid);
        for of_one in page.chunk_by(|a, b| a.container == b.container) {
            *in_index.entry(of_one[0].container).or_default() += of_one.len() as u64;
            // Of a container that is gone nothing is asked for any more.
            if read.container(of_one[0].container)?.is_none() {
                continue;
            }
            let uids: UidSet = of_one.iter().map(|item| item.uid).collect();
            let items = read.items(of_one[0].container, &uids, ItemParts::default(), of_one.len())?;
            let mut items = items.iter().peekable();
            for known in of_one {
                while items.next_if(|item| item.uid < known.uid).is_some() {}
                if items.peek().is_some_and(|item| item.uid == known.uid && item.blob != known.content) {
                    findings.push(format!("item {}/{} has another content", known.container, known.uid));
                }
            }
        }
        if findings.len() >= FINDINGS_MAX {
            return Ok(findings);
        }
    }
    let is_whole = progress.reached.is_past(head.modseq) || progress.reached >= Cursor::since(head.modseq);
    for container in read.containers()?.iter().filter(|container| container.kind == ContainerKind::Mail && is_whole) {
        let (has, expected) = (in_index.get(&container.id).copied().unwrap_or_default(), container.counts.items);
        if has != expected {
            findings.push(format!("container {} has {expected} items, the index has {has}", container.id));
        }
    }
    Ok(findings)
}
