//! Accounts of this node as copies: what other nodes read of them, and what they follow. All of it goes on in any role,
//! because no session sees it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use sterna_base::{BlobHash, ContainerId, Epoch, Uid};

use super::LocalAccount;
use super::open_store::{OpenStore, Use};
use crate::account::BlobUpload;
use crate::follow::{
    Applied, ContainerPage, CopiedBlob, FollowError, PAGE_OPERATIONS_MAX, PAGE_ROWS_MAX, Page, Progress,
};
use crate::fork::Fork;
use crate::{AccountError, Container, Head, StoreError};

/// Rows of a container that are forgotten in one transaction.
const ROWS_PER_STEP: usize = 500;

impl LocalAccount {
    /// The account as a whole. Final once the copy is sealed.
    ///
    /// # Errors
    /// When the store can't be read; the same holds for every method here.
    pub async fn head_of_copy(&self) -> Result<Head, AccountError> {
        self.read(|read| read.head()).await
    }

    /// All live containers: to see in which of them two copies differ ([`crate::follow::differing`]).
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn containers_of_copy(&self) -> Result<Vec<Container>, AccountError> {
        self.read(|read| read.containers()).await
    }

    /// See [`crate::Read::page`].
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn page(&self, after: Progress, rows_max: usize, answers_max: usize) -> Result<Page, AccountError> {
        let (rows_max, answers_max) = (rows_max.min(PAGE_ROWS_MAX), answers_max.min(PAGE_OPERATIONS_MAX));
        self.read(move |read| read.page(&after, rows_max, answers_max)).await
    }

    /// See [`crate::Read::container_page`].
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn container_page(
        &self,
        id: ContainerId,
        after: Uid,
        rows_max: usize,
    ) -> Result<ContainerPage, AccountError> {
        self.read(move |read| read.container_page(id, after, rows_max.min(PAGE_ROWS_MAX))).await
    }

    /// The epoch under which the store takes commits.
    ///
    /// # Errors
    /// When the store can't be opened.
    pub async fn epoch(&self) -> Result<Epoch, AccountError> {
        Ok(self.store().await?.epoch())
    }

    /// Whether this copy serves sessions and takes commits.
    ///
    /// # Errors
    /// When the store can't be opened.
    pub async fn is_active(&self) -> Result<bool, AccountError> {
        Ok(self.store().await?.serves(Use::Stage) && self.check_gate().is_ok())
    }

    /// See [`crate::Read::copied_blobs`].
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn copied_blobs(&self, hashes: Vec<BlobHash>, bytes_max: u64) -> Result<Vec<CopiedBlob>, AccountError> {
        self.shared()?.latency.note_copy();
        self.read(move |read| read.copied_blobs(&hashes, bytes_max)).await
    }

    /// A range of a blob that is too long to come with the others; see [`crate::Read::blob`].
    ///
    /// # Errors
    /// When the store can't be read, or the blob is gone.
    pub async fn copied_range(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError> {
        self.read(move |read| read.blob(hash, range)).await
    }

    /// See [`crate::Read::lacking`].
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn lacking(&self, hashes: Vec<BlobHash>) -> Result<Vec<BlobHash>, AccountError> {
        self.read(move |read| read.lacking(&hashes)).await
    }

    /// See [`crate::Read::progress`].
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn progress(&self) -> Result<Progress, AccountError> {
        self.read(|read| read.progress()).await
    }

    /// See [`crate::Read::forks`].
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn forks(&self) -> Result<Vec<Fork>, AccountError> {
        self.read(|read| read.forks()).await
    }

    /// Starts to take in a long blob that the next page refers to, or a commit: that may be one to another copy, when
    /// this is no longer the one that takes commits.
    ///
    /// # Errors
    /// When it can't be written.
    pub async fn stage_copied_blob(&self) -> Result<Box<dyn BlobUpload>, AccountError> {
        let store = self.store().await?;
        self.stage(&store).await
    }

    /// See [`crate::Store::follow`].
    ///
    /// # Errors
    /// [`FollowError`]; nothing was applied then.
    pub async fn follow(&self, page: Page, blobs: Vec<CopiedBlob>) -> Result<Applied, FollowError> {
        let store = self.store().await.map_err(unavailable)?;
        self.shared().map_err(unavailable)?.latency.note_copy();
        let applied = store.follow(page, blobs).await;
        self.followed(&store, applied).await
    }

    /// Forgets a container that differs from the source's; see [`crate::Store::forget_container`].
    ///
    /// # Errors
    /// [`FollowError`].
    pub async fn forget_container(&self, id: ContainerId) -> Result<(), FollowError> {
        let store = self.store().await.map_err(unavailable)?;
        loop {
            let step = store.write(move |store| store.forget_container(id, ROWS_PER_STEP)).await;
            if self.followed(&store, step).await? == 0 {
                return Ok(());
            }
        }
    }

    /// See [`crate::Store::follow_container`].
    ///
    /// # Errors
    /// [`FollowError`]; nothing was applied then.
    pub async fn follow_container(&self, page: ContainerPage, blobs: Vec<CopiedBlob>) -> Result<(), FollowError> {
        let (store, shared) = (self.store().await.map_err(unavailable)?, self.shared().map_err(unavailable)?);
        let done = store.write(move |store| store.follow_container(&page, blobs, shared.clock.now())).await;
        self.followed(&store, done).await
    }

    /// An answer of the store, after a look whether the store can go on.
    async fn followed<T>(&self, store: &Arc<OpenStore>, answer: Result<T, FollowError>) -> Result<T, FollowError> {
        if let Err(FollowError::Store(error)) = &answer {
            self.note_failure(store, &AccountError::Store(error.clone())).await;
        }
        answer
    }
}

/// Why there is no store to follow with.
fn unavailable(error: AccountError) -> FollowError {
    FollowError::Store(match error {
        AccountError::Store(error) => error,
        AccountError::NoSuchAccount(id) => StoreError::NoSuchAccount(id),
        other => StoreError::Stopped(other.to_string()),
    })
}
