//! The INBOX as it was at log-in: which messages there are, how long they are, and what the client wants with them.
//!
//! RFC 1939 section 4 lets a server lock the maildrop, so that nobody else changes it. This one is not locked: a
//! telephone that polls, or a client that hangs, would keep all others out, and those of IMAP know of no such lock. It
//! is not needed either: a message never changes, and its UID is never given to another one, so what a session removes
//! is exactly what its client has seen. What others expunge meanwhile keeps its number here and answers `-ERR`.

use std::sync::Arc;

use sterna_account::{
    Account, AccountError, Container, ContainerKind, FlagAction, FlagSet, Item, ItemParts, Mutation, StoreError,
    SystemFlag, UidSet,
};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{ContainerId, OperationId, Uid, UidValidity};
use sterna_formats::mail::Summary;

use super::reply::{Fail, Refusal};
use crate::message;

/// The parts of the rows that a maildrop is made of.
const PARTS: ItemParts = ItemParts { summary: false, body: false, summary_start: true };

/// One message. What is not here (its content's name) is read when it is sent: so a message takes 16 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Its UID in the INBOX.
    pub uid: Uid,
    /// Marked by DELE.
    pub deleted: bool,
    /// Has `\Seen`, or was sent whole.
    seen: bool,
    /// Bytes as they are sent, without byte-stuffing (RFC 1939 section 11).
    pub octets: u64,
}

/// What the session of one user sees.
pub struct Maildrop {
    pub account: Arc<dyn Account>,
    /// The user's address, for the log.
    pub address: String,
    pub inbox: ContainerId,
    uid_validity: UidValidity,
    messages: Vec<Message>,
    /// Messages sent whole that had no `\Seen`.
    sent: Vec<Uid>,
}

impl Maildrop {
    /// The INBOX of an account as it is now. Costs in proportion to its messages, and reads of each no more than its
    /// row.
    pub async fn open(account: Arc<dyn Account>, address: String) -> Result<Self, AccountError> {
        let path = ["INBOX".to_owned()];
        let inbox = account.containers_on_path(ContainerKind::Mail, &path).await?.pop();
        let Some(inbox) = inbox else {
            return Err(AccountError::Store(StoreError::Corrupt("the account has no INBOX".to_owned())));
        };
        let messages = messages(account.as_ref(), &inbox).await?;
        let Container { id, uid_validity, .. } = inbox;
        Ok(Maildrop { account, address, inbox: id, uid_validity, messages, sent: Vec::new() })
    }

    /// How many messages are not marked, and their octets.
    pub fn totals(&self) -> (usize, u64) {
        let live = self.messages.iter().filter(|message| !message.deleted);
        live.fold((0, 0), |(count, octets), message| (count + 1, octets + message.octets))
    }

    /// The next message from this number on that is not marked, with its number: for listings that go out in pieces.
    pub fn live_from(&self, number: u32) -> Option<(u32, Message)> {
        let rest = self.messages.get(number.saturating_sub(1) as usize..)?;
        (number..).zip(rest.iter().copied()).find(|(_, message)| !message.deleted)
    }

    /// The message of this number.
    ///
    /// # Errors
    /// When there is none, or it is marked.
    pub fn message(&self, number: u32) -> Result<Message, Refusal> {
        let index = number.checked_sub(1).map(|index| index as usize);
        match index.and_then(|index| self.messages.get(index)) {
            None => Err(Refusal::new("There is no such message")),
            Some(message) if message.deleted => Err(Refusal::new("The message is marked as deleted")),
            Some(message) => Ok(*message),
        }
    }

    /// `unique-id` (RFC 1939 section 7): decision 24.
    pub fn unique_id(&self, message: Message) -> String {
        format!("{}.{}", self.uid_validity, message.uid)
    }

    /// Marks a message that [`Maildrop::message`] gave.
    pub fn delete(&mut self, number: u32) {
        if let Some(message) = self.messages.get_mut(number.saturating_sub(1) as usize) {
            message.deleted = true;
        }
    }

    /// Takes all marks away.
    pub fn reset(&mut self) {
        self.messages.iter_mut().for_each(|message| message.deleted = false);
    }

    /// A message was sent whole.
    pub fn was_sent(&mut self, number: u32) {
        if let Some(message) = self.messages.get_mut(number.saturating_sub(1) as usize).filter(|message| !message.seen)
        {
            message.seen = true;
            self.sent.push(message.uid);
        }
    }

    /// The row of a message, with its body if that is small.
    ///
    /// # Errors
    /// When others have expunged it since log-in, or the account can't be read.
    pub async fn row(&self, message: Message) -> Result<Item, Fail> {
        let parts = ItemParts { body: true, ..ItemParts::default() };
        let found = self.account.items(self.inbox, &UidSet::one(message.uid), parts, 1).await?.pop();
        found.ok_or_else(|| Refusal::new("The message was removed by another client since you logged in").into())
    }

    /// The UPDATE state (RFC 1939 section 6): removes exactly what is marked, and flags what was sent, in one commit.
    /// What others have expunged already is gone as well, which is what the client wants.
    pub async fn update(&mut self) -> Result<(), AccountError> {
        let marked: UidSet =
            self.messages.iter().filter(|message| message.deleted).map(|message| message.uid).collect();
        let mut mutations = self.flags(&marked);
        if !marked.is_empty() {
            mutations.push(Mutation::Expunge { container: self.inbox, uids: marked, deleted_only: false });
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
        let uids: UidSet = self.sent.drain(..).filter(|uid| !but.contains(*uid)).collect();
        if uids.is_empty() {
            return Vec::new();
        }
        let (action, flags) = (FlagAction::Add, FlagSet::default().with(SystemFlag::Seen));
        vec![Mutation::StoreFlags { container: self.inbox, uids, action, flags, unchanged_since: None }]
    }

    async fn commit(&self, mutations: Vec<Mutation>) -> Result<(), AccountError> {
        if !mutations.is_empty() {
            self.account.commit(OperationId::random(), mutations).await?;
        }
        Ok(())
    }
}

async fn messages(account: &dyn Account, inbox: &Container) -> Result<Vec<Message>, AccountError> {
    let mut messages = Vec::with_capacity(inbox.counts.items as usize);
    let last = Uid(inbox.uid_next.0.saturating_sub(1));
    let mut next = Uid(1);
    while next <= last {
        let page = account.items(inbox.id, &UidSet::range(next, last), PARTS, PAGE_ITEMS_MAX).await?;
        let Some(end) = page.last().map(|item| item.uid) else { break };
        let complete = page.len() < PAGE_ITEMS_MAX;
        for item in page {
            let (octets, seen) = (octets(account, &item).await?, item.flags.has(SystemFlag::Seen));
            messages.push(Message { uid: item.uid, deleted: false, seen, octets });
        }
        if complete || end == last {
            break;
        }
        next = end.next();
    }
    Ok(messages)
}

/// Of a message whose summary can't be used the bytes are counted: there is no other way to know of its line ends.
async fn octets(account: &dyn Account, item: &Item) -> Result<u64, AccountError> {
    match item.summary.as_deref().map(Summary::decode_sizes) {
        Some(Ok(sizes)) => Ok(sizes.crlf_size),
        _ => Ok(message::scan(account, item).await?.crlf_size),
    }
}
