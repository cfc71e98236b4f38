//! Addresses that users write to, in an address book of their own: so that their programs complete them next time.
//!
//! Nobody waits for it, and nothing depends on it: what can't be written down at once is not written down.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use sterna_account::commit::Expect;
use sterna_account::service::{Accounts, Envelope, InboundProtocol, Login, Message, Refusal};
use sterna_account::{
    Account, AccountError, Container, ContainerKind, Content, FlagSet, ItemParts, Mutation, NewItem, UidSet,
    container_named,
};
use sterna_base::{BlobHash, OperationId};
use sterna_formats::card;
use sterna_formats::mail::{EnvelopeAddress, Summary, encoded_word};
use tokio::sync::Semaphore;

/// The address book.
pub const BOOK: &str = "Collected";

/// What the names of collected cards begin with.
const PREFIX: &str = "collected-";

/// Addresses that it holds; beyond it the oldest go.
const COLLECTED_MAX: u64 = 1000;

/// Addresses of one message that are written down: who writes to more writes to a list.
const ADDRESSES_MAX: usize = 20;

/// Longest name that is kept, in characters.
const NAME_CHARS_MAX: usize = 200;

/// Users whose addresses are written down at the same time; of others they are not.
const AT_ONCE: usize = 32;

/// Who knows who wants that.
#[async_trait]
pub trait CollectPolicies: Send + Sync {
    /// Whether the addresses that this user writes to are collected.
    async fn collects(&self, login: &Login) -> bool;
}

/// Writes addresses down. Cheap to clone.
#[derive(Clone)]
pub struct Collecting {
    accounts: Arc<dyn Accounts>,
    policies: Arc<dyn CollectPolicies>,
    free: Arc<Semaphore>,
}

impl Collecting {
    /// Into these accounts.
    pub fn new(accounts: Arc<dyn Accounts>, policies: Arc<dyn CollectPolicies>) -> Self {
        Collecting { accounts, policies, free: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Notes whom a user has written to: the recipients that were taken, as the header names them.
    pub fn note(&self, envelope: &Envelope, message: &Message, answers: &[Result<(), Refusal>]) {
        let Some(login) = envelope.sender.login.clone() else { return };
        if envelope.sender.protocol != InboundProtocol::Submission {
            return;
        }
        let taken = envelope.recipients.iter().zip(answers).filter(|(_, answer)| answer.is_ok());
        let taken: Vec<String> = taken.map(|(rcpt, _)| rcpt.address.to_ascii_lowercase()).collect();
        let own = login.address.to_ascii_lowercase();
        let found = named(&message.summary, |address| address != own && taken.iter().any(|taken| taken == address));
        if found.is_empty() || found.len() > ADDRESSES_MAX {
            return;
        }
        let Ok(permit) = self.free.clone().try_acquire_owned() else { return };
        let this = self.clone();
        tokio::spawn(async move {
            if this.policies.collects(&login).await
                && let Err(error) = this.collect(&login, found).await
            {
                tracing::debug!(account = %login.account, %error, "addresses could not be collected");
            }
            drop(permit);
        });
    }

    async fn collect(&self, login: &Login, found: BTreeMap<String, String>) -> Result<(), AccountError> {
        let account = self.accounts.open(login.account).await?;
        let account = account.as_ref();
        let book = book(account).await?;
        let mut steps = Vec::new();
        for (address, name) in found {
            let (item_name, item) = new_card(&address, &name);
            let known = account.item_named(book.id, &item_name, ItemParts::default()).await?;
            if let (None, Some(item)) = (known, item) {
                steps.push(Mutation::Put { container: book.id, item, expect: Expect::Absent });
            }
        }
        if steps.is_empty() {
            return Ok(());
        }
        let too_many = (book.counts.items + steps.len() as u64).saturating_sub(COLLECTED_MAX);
        if too_many > 0 {
            let limit = usize::try_from(too_many).unwrap_or(usize::MAX);
            let seen = usize::try_from(book.counts.items).unwrap_or(usize::MAX);
            let all = account.items(book.id, &UidSet::all(), ItemParts::default(), seen).await?;
            // Cards that the owner put there, too, are nobody's to delete.
            let collected = all.iter().filter(|item| item.name.as_deref().is_some_and(|name| name.starts_with(PREFIX)));
            let mut uids = UidSet::new();
            collected.take(limit).for_each(|item| uids.push(item.uid));
            if !uids.is_empty() {
                steps.push(Mutation::Expunge { container: book.id, uids, deleted_only: false });
            }
        }
        account.commit(OperationId::random(), steps).await.map(drop)
    }
}

async fn book(account: &dyn Account) -> Result<Container, AccountError> {
    container_named(account, ContainerKind::AddressBook, BOOK).await
}

/// The addresses in To and Cc that are wanted, with their names.
fn named(summary: &Bytes, is_wanted: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
    let Ok(envelope) = Summary::decode_envelope(summary) else { return BTreeMap::new() };
    let text = |address: &EnvelopeAddress| {
        let local = String::from_utf8(address.mailbox.clone()?).ok()?;
        let host = String::from_utf8(address.host.clone()?).ok()?;
        let is_one = !local.is_empty() && !host.is_empty();
        is_one.then(|| format!("{local}@{host}").to_ascii_lowercase())
    };
    let named = envelope.to.iter().chain(&envelope.cc).filter_map(|address| {
        let name = address.name.as_deref().map(encoded_word::decode).unwrap_or_default();
        let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
        Some((text(address)?, name.trim().to_owned()))
    });
    named.filter(|(address, _)| is_wanted(address)).collect()
}

/// What the item is called, and the item.
fn new_card(address: &str, name: &str) -> (String, Option<NewItem>) {
    let hash = BlobHash::of(address.as_bytes()).to_string();
    let uid = format!("{PREFIX}{}", &hash[..32]);
    let shown = if name.is_empty() { address } else { name };
    let text = format!(
        "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{0}\r\nN:;{0};;;\r\nEMAIL:{1}\r\nEND:VCARD\r\n",
        escape(shown),
        escape(address)
    );
    let facts = card::parse(text.as_bytes()).ok().and_then(|card| card::Facts::of(&card).ok());
    let item_name = format!("{uid}.vcf");
    let item = facts.map(|facts| NewItem {
        summary: Some(facts.encode().into()),
        content: Content::Inline(text.into()),
        internal_date: None,
        flags: FlagSet::default(),
        name: Some(item_name.clone()),
        object_uid: Some(uid),
    });
    (item_name, item)
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace(',', "\\,").replace(';', "\\;")
}

#[cfg(test)]
mod tests {
    use sterna_formats::mail::Scanner;

    use super::*;

    #[test]
    fn recipients_are_found_with_their_names() {
        let mut scanner = Scanner::new();
        scanner.push(
            b"From: ana@x.test\r\nTo: =?utf-8?q?Zo=C3=AB?= <Zoe@X.test>, \"Tern, Ben\" <ben@x.test>\r\n\
              Cc: friends: cat@x.test;, none\r\n\r\ntext\r\n",
        );
        let summary = Bytes::from(scanner.finish().encode());
        let found = named(&summary, |address| address != "ben@x.test");
        let found: Vec<_> = found.iter().map(|(address, name)| (address.as_str(), name.as_str())).collect();
        assert_eq!(found, [("cat@x.test", ""), ("zoe@x.test", "Zoë")]);
    }

    #[test]
    fn cards_can_be_stored_and_are_called_the_same_again() {
        let (name, item) = new_card("zoe@x.test", "Zoë; \\Tern, Dr.");
        let item = item.unwrap();
        assert_eq!((item.name.as_ref(), new_card("zoe@x.test", "").0), (Some(&name), name.clone()));
        let Content::Inline(text) = item.content else { panic!("small") };
        let card = card::parse(&text).unwrap();
        assert_eq!(card.text("FN").as_deref(), Some("Zoë; \\Tern, Dr."));
    }
}
