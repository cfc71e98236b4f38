//! What knows calendars and cards: the part of the server that DAV uses, given by whoever takes an archive in.

use async_trait::async_trait;
use bytes::Bytes;
use sterna_account::{Account, AccountError, ContainerKind};
use sterna_base::ContainerId;

/// What became of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is new.
    Done,
    /// It was there.
    Unchanged,
    /// It can't be stored; why, for people.
    Refused(String),
}

/// Puts objects into collections, as DAV would.
#[async_trait]
pub trait Objects: Send + Sync {
    /// Puts an object into a collection of this kind, under this name where it is free. One whose UID is there stays as
    /// it is.
    ///
    /// # Errors
    /// When the account can't be read or written, or is full.
    async fn put(
        &self,
        account: &dyn Account,
        container: (ContainerId, ContainerKind),
        name: &str,
        text: Bytes,
    ) -> Result<Put, AccountError>;
}
