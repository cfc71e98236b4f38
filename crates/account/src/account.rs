//! The account handle: what a protocol session holds.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use sterna_base::limits::{BLOB_CHUNK_BYTES, PAGE_ITEMS_MAX};
use sterna_base::{AccountId, BlobHash, ContainerId, Modseq, OperationId, Uid};
use tokio::sync::watch;

use crate::lookup::one_by_one;
use crate::search::{Filter, Found};
use crate::{
    Answer, Changes, CommitError, Committed, Container, ContainerKind, Cursor, Expunged, Head, Item, ItemFlags,
    ItemParts, Lookup, Mutation, StoreError, UidSet,
};

/// One account, wherever it lives. The two implementations, local and remote, differ in nothing that a session can see.
///
/// The reading methods are those of [`crate::Read`], made asynchronous. None of them blocks the async worker.
#[async_trait]
pub trait Account: Send + Sync {
    /// Which account.
    fn id(&self) -> AccountId;

    /// See [`crate::Read::head`].
    ///
    /// # Errors
    /// [`AccountError::Unavailable`] when the data server doesn't answer, [`AccountError::Store`] when its store can't;
    /// the same holds for every method here.
    async fn head(&self) -> Result<Head, AccountError>;

    /// See [`crate::Read::containers`].
    async fn containers(&self) -> Result<Vec<Container>, AccountError>;

    /// See [`crate::Read::container`].
    async fn container(&self, id: ContainerId) -> Result<Option<Container>, AccountError>;

    /// See [`crate::Read::containers_on_path`].
    async fn containers_on_path(&self, kind: ContainerKind, path: &[String]) -> Result<Vec<Container>, AccountError>;

    /// See [`crate::Read::item_flags`].
    async fn item_flags(
        &self,
        container: ContainerId,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<ItemFlags>, AccountError>;

    /// See [`crate::Read::items`].
    async fn items(
        &self,
        container: ContainerId,
        uids: &UidSet,
        parts: ItemParts,
        limit: usize,
    ) -> Result<Vec<Item>, AccountError>;

    /// See [`crate::Read::item_named`].
    async fn item_named(
        &self,
        container: ContainerId,
        name: &str,
        parts: ItemParts,
    ) -> Result<Option<Item>, AccountError>;

    /// See [`crate::Read::object`].
    async fn object(
        &self,
        container: ContainerId,
        object_uid: &str,
        parts: ItemParts,
    ) -> Result<Option<Item>, AccountError> {
        let mut after = Uid(0);
        while after < Uid::MAX {
            let uids = UidSet::range(after.next(), Uid::MAX);
            let page = self.items(container, &uids, ItemParts::default(), PAGE_ITEMS_MAX).await?;
            let Some(last) = page.last().map(|item| item.uid) else { return Ok(None) };
            if let Some(found) = page.iter().find(|item| item.object_uid.as_deref() == Some(object_uid)) {
                let uids = UidSet::range(found.uid, found.uid);
                return Ok(self.items(container, &uids, parts, 1).await?.pop());
            }
            after = last;
        }
        Ok(None)
    }

    /// See [`crate::Read::uids_named`]: one question for many names, where each would be a way to another node.
    async fn uids_named(&self, container: ContainerId, names: &[String]) -> Result<Vec<Option<Uid>>, AccountError> {
        let mut uids = Vec::with_capacity(names.len());
        for name in names {
            uids.push(self.item_named(container, name, ItemParts::default()).await?.map(|item| item.uid));
        }
        Ok(uids)
    }

    /// Several questions in one, in their order, at most [`crate::lookup::LOOKUPS_MAX`]; see [`crate::lookup`].
    async fn look_up(&self, lookups: &[Lookup]) -> Result<Vec<Answer>, AccountError> {
        one_by_one(self, lookups).await
    }

    /// See [`crate::Read::expunged`].
    async fn expunged(
        &self,
        container: ContainerId,
        since: Modseq,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<Expunged>, AccountError>;

    /// See [`crate::Read::changes`].
    async fn changes(&self, after: Cursor, limit: usize) -> Result<Changes, AccountError>;

    /// See [`crate::Read::container_changes`].
    async fn container_changes(
        &self,
        container: ContainerId,
        after: Cursor,
        limit: usize,
    ) -> Result<Changes, AccountError>;

    /// See [`crate::Read::blob`].
    async fn blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError>;

    /// Which of these messages match: a step of a search, done where the account is. Ask again about those that are
    /// left open; each step decides at least one.
    async fn search(&self, container: ContainerId, filter: &Filter, uids: &UidSet) -> Result<Found, AccountError>;

    /// How well these messages match the fuzzy texts of a filter, from 1 to 100, by UID; those that no index knows are
    /// left out.
    async fn relevancy(
        &self,
        container: ContainerId,
        filter: &Filter,
        uids: &UidSet,
    ) -> Result<Vec<(Uid, u8)>, AccountError>;

    /// Does the mutations, whole or not at all; when this returns `Ok`, a power cut loses nothing of it. The handle
    /// supplies the epoch, and repeats the call with the same operation id when an answer is lost.
    ///
    /// # Errors
    /// [`AccountError::Refused`] says why the account refused it; nothing was done then.
    async fn commit(&self, operation: OperationId, mutations: Vec<Mutation>) -> Result<Committed, AccountError>;

    /// Takes in a large blob, in pieces, durable when finished; commits then name it by [`crate::Content::Stored`].
    async fn stage_blob(&self) -> Result<Box<dyn BlobUpload>, AccountError>;

    /// A range of a blob that was staged here, whatever this copy of the account is by now: when the account is served
    /// elsewhere since, the blob is carried there before its commit. Whoever knows the hash of a content has had it.
    async fn staged_blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError>;

    /// The account's modseq as it grows. A receiver may miss steps in between, never the last one. When the connection
    /// to a data server is lost and comes back, the value is brought up to date by itself.
    fn watch(&self) -> watch::Receiver<Modseq>;
}

/// Takes in one large blob; the asynchronous sibling of [`crate::store::BlobWriter`].
#[async_trait]
pub trait BlobUpload: Send {
    /// The next bytes.
    async fn write(&mut self, bytes: Bytes) -> Result<(), AccountError>;

    /// Makes the blob durable and gives its name and length.
    async fn finish(self: Box<Self>) -> Result<(BlobHash, u64), AccountError>;

    /// Takes in the whole of a file that nobody writes any more, instead of pieces, and finishes. Nothing may have been
    /// written before. Where the account is on the same file system the file gets one more name and is not copied.
    ///
    /// # Errors
    /// As those of the other methods; [`AccountError::Unavailable`] when the file can't be read.
    async fn finish_with_file(mut self: Box<Self>, path: PathBuf) -> Result<(BlobHash, u64), AccountError> {
        let mut file = reading(move || File::open(path)).await?;
        loop {
            let (chunk, rest) = reading(move || read_chunk(file)).await?;
            if chunk.is_empty() {
                return self.finish().await;
            }
            self.write(chunk).await?;
            file = rest;
        }
    }
}

fn read_chunk(mut file: File) -> io::Result<(Bytes, File)> {
    let mut chunk = Vec::with_capacity(BLOB_CHUNK_BYTES);
    (&mut file).take(BLOB_CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
    Ok((chunk.into(), file))
}

async fn reading<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, AccountError> {
    let result = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    result.map_err(|error| unreadable(&error))
}

/// A file that was to be taken in can't be read.
pub(crate) fn unreadable(error: &io::Error) -> AccountError {
    AccountError::Unavailable(format!("the file that was to be taken in can't be read: {error}"))
}

/// Why an account did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// There is no such account, or it is suspended.
    #[error("there is no account {0}")]
    NoSuchAccount(AccountId),
    /// Its data server can't be reached, or the account was sealed for longer than the handle waits: try later. The
    /// text is for the operator.
    #[error("the account is not available at present: {0}")]
    Unavailable(String),
    /// A commit was refused.
    #[error(transparent)]
    Refused(CommitError),
    /// The store could not answer.
    #[error(transparent)]
    Store(StoreError),
}

impl AccountError {
    /// Whether nobody knows if a change was done: its answer may have been lost, or it may still be done.
    pub fn is_uncertain(&self) -> bool {
        match self {
            AccountError::Unavailable(_) => true,
            AccountError::Store(store) | AccountError::Refused(CommitError::Store(store)) => {
                matches!(store, StoreError::Io(_) | StoreError::Stopped(_))
            }
            _ => false,
        }
    }

    /// Whether the same request may succeed later without anybody changing it: what protocols answer with 4xx.
    pub fn is_temporary(&self) -> bool {
        !matches!(
            self,
            AccountError::NoSuchAccount(_)
                | AccountError::Store(StoreError::NoSuchBlob(_) | StoreError::NoSuchContainer(_))
        ) && !matches!(self, AccountError::Refused(error) if !matches!(error,
            CommitError::Store(_) | CommitError::Sealed | CommitError::NotEqual | CommitError::WrongEpoch { .. } |
            CommitError::OverQuota))
    }
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchAccount(id) => AccountError::NoSuchAccount(id),
            error => AccountError::Store(error),
        }
    }
}

impl From<CommitError> for AccountError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => error.into(),
            error => AccountError::Refused(error),
        }
    }
}
