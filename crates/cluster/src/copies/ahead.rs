//! What a copy fetches while it applies a page: the next page and its contents.
//!
//! Fetching is the source's work and applying the copy's, so that both are busy. Nothing depends on it: what was
//! fetched ahead and is not what is asked for next is dropped, and what is not there is asked for as ever.

use std::collections::HashMap;
use std::sync::Arc;

use sterna_account::follow::{CopiedBlob, PAGE_ROWS_MAX, Page, Progress};
use sterna_base::BlobHash;
use tokio::task::JoinSet;

use super::calls::{BlobsCall, PageCall, path};
use super::follower::{CopyError, Follower};
use crate::limits::{COPIED_BLOBS_MAX, FETCHED_AHEAD_CALLS_MAX};

/// A page of the source and contents of its rows.
struct Fetched {
    page: Page,
    blobs: HashMap<BlobHash, CopiedBlob>,
}

/// At most one page on its way, and the contents of the one that came last.
#[derive(Default)]
pub(super) struct Ahead {
    /// The place after which a page is asked for, and who does it; dropped, it ends.
    under_way: Option<(Progress, JoinSet<Result<Fetched, CopyError>>)>,
    blobs: HashMap<BlobHash, CopiedBlob>,
}

impl Ahead {
    /// Begins to fetch the page after this place.
    pub fn begin(&mut self, follower: &Arc<Follower>, after: Progress) {
        let (follower, mut task) = (follower.clone(), JoinSet::new());
        task.spawn(async move { fetch(&follower, after).await });
        self.under_way = Some((after, task));
    }

    /// The page after this place, if it was asked for; its contents are here afterwards.
    ///
    /// # Errors
    /// What kept it from coming.
    pub async fn page(&mut self, after: Progress) -> Result<Option<Page>, CopyError> {
        self.blobs.clear();
        let Some((_, mut task)) = self.under_way.take().filter(|(asked, _)| *asked == after) else { return Ok(None) };
        // One that panicked is asked for again.
        let Some(Ok(fetched)) = task.join_next().await else { return Ok(None) };
        let fetched = fetched?;
        self.blobs = fetched.blobs;
        Ok(Some(fetched.page))
    }

    /// The first of these contents that are here.
    pub fn blobs(&mut self, hashes: &[BlobHash]) -> Vec<CopiedBlob> {
        hashes.iter().map_while(|hash| self.blobs.remove(hash)).collect()
    }

    /// How many of the first of these contents are not here.
    pub fn lacking(&self, hashes: &[BlobHash]) -> usize {
        hashes.iter().take_while(|hash| !self.blobs.contains_key(hash)).count()
    }
}

async fn fetch(follower: &Follower, after: Progress) -> Result<Fetched, CopyError> {
    // What is not applied yet is not acknowledged.
    let call = PageCall { after, rows_max: PAGE_ROWS_MAX as u64, equal: None };
    let page: Page = follower.ask(path::PAGE, &call).await?;
    // What is there already is most of it when flags were changed. What the page before brings may be fetched twice.
    let mut wanted = follower.local.get(follower.account).await?.lacking(page.blobs()).await?;
    let mut blobs = HashMap::new();
    for _ in 0..FETCHED_AHEAD_CALLS_MAX {
        let hashes: Vec<BlobHash> = wanted.iter().copied().take(COPIED_BLOBS_MAX).collect();
        if hashes.is_empty() {
            break;
        }
        let came: Vec<CopiedBlob> = follower.ask(path::BLOBS, &BlobsCall { hashes }).await?;
        let Some(last) = came.last().and_then(|last| wanted.iter().position(|hash| *hash == last.hash)) else { break };
        // Those before it that did not come are gone at the source, which is found out when they are asked for.
        wanted.drain(..=last);
        blobs.extend(came.into_iter().map(|blob| (blob.hash, blob)));
    }
    Ok(Fetched { page, blobs })
}
