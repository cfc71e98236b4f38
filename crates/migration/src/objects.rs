//! What knows calendars and cards: the part of the server that DAV uses, given by whoever takes them in.

use async_trait::async_trait;
use bytes::Bytes;
use sterna_account::{Account, AccountError, ContainerKind};
use sterna_base::{BlobHash, ContainerId};

use crate::archive::manifest::Published;

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

/// What became of an object that another server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought {
    /// It is here.
    Here {
        /// What it is called here.
        name: String,
        /// Its content.
        blob: BlobHash,
        /// Whether that wrote anything.
        is_new: bool,
        /// Whether it was written over something that came from elsewhere.
        is_over: bool,
    },
    /// Another content of its UID is here, and stays.
    Kept,
    /// It can't be stored; why, for people.
    Refused(String),
}

/// An object as another server has it.
#[derive(Clone, Debug)]
pub struct There<'a> {
    /// Its name there.
    pub name: &'a str,
    /// Its content.
    pub text: Bytes,
    /// Its name and content here, as it came before.
    pub known: Option<(&'a str, BlobHash)>,
    /// Whether it takes the place of whatever else of its UID is here.
    pub replaces: bool,
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

    /// Puts an object of another server into a collection of this kind: in the place of what it was before, else under
    /// its name there if that is free.
    ///
    /// # Errors
    /// When the account can't be read or written, or is full.
    async fn bring(
        &self,
        account: &dyn Account,
        container: (ContainerId, ContainerKind),
        there: There<'_>,
    ) -> Result<Brought, AccountError>;

    /// Subscribes to a calendar that others publish; one of the same address stays as it is.
    ///
    /// # Errors
    /// When the account can't be read or written.
    async fn subscribe(&self, account: &dyn Account, published: &Published) -> Result<Put, AccountError>;
}
