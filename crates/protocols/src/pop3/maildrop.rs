//! The INBOX as it was at log-in, and what the client wants with it.
//!
//! RFC 1939 section 4 lets a server lock the maildrop, so that nobody else changes it. This one is not locked: a
//! telephone that polls, or a client that hangs, would keep all others out, and those of IMAP know of no such lock. It
//! is not needed either: a message never changes, and its UID is never given to another one, so what a session removes
//! is exactly what its client has seen. What others expunge meanwhile keeps its number here and answers `-ERR`.

use std::collections::BTreeSet;
use std::sync::Arc;

use sterna_account::{Account, AccountError, FlagAction, FlagSet, Item, ItemParts, Mutation, SystemFlag, UidSet};
use sterna_base::{OperationId, Uid};

use super::pictures::{Picture, Row};
use super::reply::{Fail, Refusal};

/// What the session of one user sees.
pub struct Maildrop {
    pub account: Arc<dyn Account>,
    /// The user's address, for the log.
    pub address: String,
    picture: Arc<Picture>,
    /// The numbers of the messages that are marked.
    deleted: BTreeSet<u32>,
    /// Messages sent whole that had no `\Seen`.
    sent: BTreeSet<Uid>,
}

impl Maildrop {
    /// Of this user.
    pub fn new(account: Arc<dyn Account>, address: String, picture: Arc<Picture>) -> Self {
        Maildrop { account, address, picture, deleted: BTreeSet::new(), sent: BTreeSet::new() }
    }

    /// How many messages are not marked, and their octets.
    pub fn totals(&self) -> (usize, u64) {
        let marked: u64 = self.deleted.iter().filter_map(|number| self.row(*number)).map(|row| row.octets).sum();
        (self.picture.rows.len() - self.deleted.len(), self.picture.octets - marked)
    }

    /// The next message from this number on that is not marked, with its number: for listings that go out in pieces.
    pub fn live_from(&self, number: u32) -> Option<(u32, Row)> {
        let rest = self.picture.rows.get(number.saturating_sub(1) as usize..)?;
        (number..).zip(rest.iter().copied()).find(|(number, _)| !self.deleted.contains(number))
    }

    /// The message of this number.
    ///
    /// # Errors
    /// When there is none, or it is marked.
    pub fn message(&self, number: u32) -> Result<Row, Refusal> {
        match self.row(number) {
            None => Err(Refusal::new("There is no such message")),
            Some(_) if self.deleted.contains(&number) => Err(Refusal::new("The message is marked as deleted")),
            Some(row) => Ok(row),
        }
    }

    fn row(&self, number: u32) -> Option<Row> {
        self.picture.rows.get(number.checked_sub(1)? as usize).copied()
    }

    /// `unique-id` (RFC 1939 section 7): decision 24.
    pub fn unique_id(&self, message: Row) -> String {
        format!("{}.{}", self.picture.uid_validity, message.uid)
    }

    /// Marks a message that [`Maildrop::message`] gave.
    pub fn delete(&mut self, number: u32) {
        self.deleted.insert(number);
    }

    /// Takes all marks away.
    pub fn reset(&mut self) {
        self.deleted.clear();
    }

    /// A message was sent whole.
    pub fn was_sent(&mut self, message: Row) {
        if !message.seen {
            self.sent.insert(message.uid);
        }
    }

    /// The item of a message, with its body if that is small.
    ///
    /// # Errors
    /// When others have expunged it since log-in, or the account can't be read.
    pub async fn item(&self, message: Row) -> Result<Item, Fail> {
        let parts = ItemParts { body: true, ..ItemParts::default() };
        let found = self.account.items(self.picture.inbox, &UidSet::one(message.uid), parts, 1).await?.pop();
        found.ok_or_else(|| Refusal::new("The message was removed by another client since you logged in").into())
    }

    /// The UPDATE state (RFC 1939 section 6): removes exactly what is marked, and flags what was sent, in one commit.
    /// What others have expunged already is gone as well, which is what the client wants.
    pub async fn update(&mut self) -> Result<(), AccountError> {
        let marked: UidSet = self.deleted.iter().filter_map(|number| self.row(*number)).map(|row| row.uid).collect();
        let mut mutations = self.flags(&marked);
        if !marked.is_empty() {
            mutations.push(Mutation::Expunge { container: self.picture.inbox, uids: marked, deleted_only: false });
        }
        self.commit(mutations).await
    }

    /// The end without QUIT: removes nothing, but what was sent was sent.
    pub async fn leave(&mut self) -> Result<(), AccountError> {
        let mutations = self.flags(&UidSet::new());
        self.commit(mutations).await
    }

    /// A message that was retrieved is one that was read: `\Seen` is set as Dovecot does it. It is set at the end for
    /// all at once: each commit is a flush of the disk.
    fn flags(&mut self, but: &UidSet) -> Vec<Mutation> {
        let sent = std::mem::take(&mut self.sent);
        let uids: UidSet = sent.into_iter().filter(|uid| !but.contains(*uid)).collect();
        if uids.is_empty() {
            return Vec::new();
        }
        let (action, flags) = (FlagAction::Add, FlagSet::default().with(SystemFlag::Seen));
        vec![Mutation::StoreFlags { container: self.picture.inbox, uids, action, flags, unchanged_since: None }]
    }

    async fn commit(&self, mutations: Vec<Mutation>) -> Result<(), AccountError> {
        if !mutations.is_empty() {
            self.account.commit(OperationId::random(), mutations).await?;
        }
        Ok(())
    }
}
