//! Entries of METADATA (RFC 5464): where they are kept, and what LIST shows of them (RFC 9590).
//!
//! The entries about a mailbox are the items of a container in the same account ([`ContainerKind::Metadata`]), so they
//! move with it, count in its quota, and are among what changed. A shared one is called by its name, a private one by
//! the number of its user and its name.

use std::sync::Arc;

use bytes::Bytes;
use sterna_account::{Account, Container, ContainerKind, Item, ItemParts, Outcome as Done, Rights, UidSet};
use sterna_account::{CommitError, Mutation};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, ContainerId, Uid};
use sterna_formats::imap::write;

use super::section;
use crate::imap::names::use_attribute;
use crate::imap::reply::{Fail, Reply, no_mailbox};
use crate::imap::rights;
use crate::imap::session::Session;

/// Who may do any of this with a mailbox reads and writes its entries, the shared ones too (RFC 5464 section 3.3).
const ANY_OF: Rights = Rights::from_letters("rswip");

/// The use of a mailbox (RFC 6154 section 4): known from the mailbox itself, and not kept.
pub const SPECIAL_USE: &str = "/private/specialuse";

/// What entries are about.
pub struct Subject {
    pub account: Arc<dyn Account>,
    /// `None` is the server: the user's own notes about it, kept in the user's account.
    pub mailbox: Option<Container>,
    /// Its name as the user sees it.
    pub name: String,
    user: AccountId,
    /// The value of [`SPECIAL_USE`].
    special_use: Option<&'static str>,
}

impl Subject {
    /// What a client named.
    ///
    /// # Errors
    /// When there is no such mailbox, or the user may not look at it.
    pub async fn find(session: &mut Session, mailbox: &str) -> Result<Self, Fail> {
        let account = session.account()?;
        let user = account.id();
        if mailbox.is_empty() {
            return Ok(Subject { account, mailbox: None, name: String::new(), user, special_use: None });
        }
        let located = session.locate(mailbox).await?;
        let container = located.container().ok_or_else(no_mailbox)?.clone();
        let granted = located.mailboxes.rights(&container);
        rights::check(granted, Rights::LOOKUP)?;
        if !granted.has_any(ANY_OF) {
            return Err(rights::denied().into());
        }
        let name = located.shown();
        // Uses are somebody's own (RFC 6154).
        let own = located.mailboxes.owner.is_none();
        let special_use = container.special_use.filter(|_| own).and_then(use_attribute);
        Ok(Subject { account: located.mailboxes.account, mailbox: Some(container), name, user, special_use })
    }

    /// Under which name an entry is kept.
    pub fn key(&self, entry: &str) -> String {
        key(self.user, entry)
    }

    /// The entry that is kept under this name, if it is the user's to see.
    pub fn entry_of<'a>(&self, key: &'a str) -> Option<&'a str> {
        visible(self.user, key)
    }

    /// The value of an entry that is known without being kept.
    pub fn computed(&self, entry: &str) -> Option<Bytes> {
        let special_use = self.special_use.filter(|_| entry.eq_ignore_ascii_case(SPECIAL_USE));
        special_use.map(|special_use| Bytes::from_static(special_use.as_bytes()))
    }

    /// Where its entries are; `None` when it never had any.
    pub async fn container(&self) -> Result<Option<Container>, Fail> {
        container_about(self.account.as_ref(), self.mailbox.as_ref().map(|mailbox| mailbox.id)).await
    }

    /// The same, made where it is missing.
    pub async fn make_container(&self, session: &mut Session) -> Result<ContainerId, Fail> {
        if let Some(known) = self.container().await? {
            return Ok(known.id);
        }
        let about = self.mailbox.as_ref().map(|mailbox| mailbox.id);
        match session.commit(self.account.as_ref(), vec![create(about)]).await {
            Ok(committed) => match committed.outcomes.first() {
                Some(Done::Container { id, .. }) => Ok(*id),
                _ => Err(Reply::no("The server could not do that").code("SERVERBUG").into()),
            },
            // Somebody else has just made it.
            Err(Fail::Account(sterna_account::AccountError::Refused(CommitError::NameTaken))) => {
                let known = self.container().await?.ok_or_else(no_mailbox)?;
                Ok(known.id)
            }
            Err(fail) => Err(fail),
        }
    }
}

/// Makes the container of the entries about a mailbox.
pub fn create(about: Option<ContainerId>) -> Mutation {
    let (kind, name) = (ContainerKind::Metadata, ContainerKind::about(about));
    Mutation::CreateContainer { parent: None, kind, name, special_use: None }
}

/// Where the entries about a mailbox are.
pub async fn container_about(account: &dyn Account, about: Option<ContainerId>) -> Result<Option<Container>, Fail> {
    let path = [ContainerKind::about(about)];
    Ok(account.containers_on_path(ContainerKind::Metadata, &path).await?.pop())
}

/// Entries have no case.
fn key(user: AccountId, entry: &str) -> String {
    let entry = entry.to_ascii_lowercase();
    if entry.starts_with("/private") { format!("{user}{entry}") } else { entry }
}

/// The entry that is kept under this name, if it is this user's to see.
pub fn visible(user: AccountId, key: &str) -> Option<&str> {
    if key.starts_with('/') {
        return Some(key);
    }
    let (owner, _) = key.split_once('/')?;
    (owner == user.to_string()).then(|| &key[owner.len()..])
}

/// The names of all entries in a container, without their values.
pub async fn rows(account: &dyn Account, container: ContainerId) -> Result<Vec<Item>, Fail> {
    let (mut rows, mut after) = (Vec::new(), Uid(0));
    loop {
        let uids = UidSet::range(after.next(), Uid::MAX);
        let page = account.items(container, &uids, ItemParts::default(), PAGE_ITEMS_MAX).await?;
        let Some(last) = page.last() else { return Ok(rows) };
        after = last.uid;
        rows.extend(page);
    }
}

/// The value of an entry.
pub async fn value(account: &dyn Account, item: &Item) -> Result<Bytes, Fail> {
    match &item.body {
        Some(body) => Ok(body.clone()),
        None => Ok(section::read_all(account, item, 0..item.size).await?.freeze()),
    }
}

/// `* METADATA mailbox (entry value ..)`; nothing when there are no entries.
pub fn write(session: &mut Session, mailbox: &str, entries: &[(String, Option<Bytes>)]) {
    if entries.is_empty() {
        return;
    }
    let utf8 = session.enabled.utf8;
    let out = &mut session.io.output;
    out.extend_from_slice(b"* METADATA ");
    write::mailbox(mailbox, utf8, out);
    out.extend_from_slice(b" ");
    write::list(entries, out, |(entry, value), out| {
        write::astring(entry, utf8, out);
        out.extend_from_slice(b" ");
        write::value(value.as_deref(), utf8, out);
    });
    out.extend_from_slice(b"\r\n");
}

/// The entries of one mailbox in a listing; NIL for those that it doesn't have. `container` is where they are, if it
/// has any.
pub async fn list(
    session: &mut Session,
    account: &dyn Account,
    mailbox: (&str, &Container),
    container: Option<ContainerId>,
    granted: Rights,
    entries: &[String],
) -> Result<(), Fail> {
    let user = session.account()?.id();
    let own = account.id() == user;
    if !granted.has(Rights::LOOKUP) || !granted.has_any(ANY_OF) {
        return Ok(());
    }
    let mut found = Vec::with_capacity(entries.len());
    for entry in entries {
        let special_use = mailbox.1.special_use.filter(|_| own && entry.eq_ignore_ascii_case(SPECIAL_USE));
        let mut known = special_use.and_then(use_attribute).map(|name| Bytes::from_static(name.as_bytes()));
        if let Some(container) = container.filter(|_| known.is_none()) {
            let parts = ItemParts { summary: false, body: true, ..ItemParts::default() };
            if let Some(item) = account.item_named(container, &key(user, entry), parts).await? {
                known = Some(value(account, &item).await?);
            }
        }
        found.push((entry.clone(), known));
    }
    write(session, mailbox.0, &found);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_entries_are_one_users() {
        let (ana, bob) = (AccountId(1), AccountId(11));
        assert_eq!(key(ana, "/shared/Comment"), "/shared/comment");
        assert_eq!(key(bob, "/Private/comment"), "11/private/comment");
        assert_eq!(visible(ana, "/shared/comment"), Some("/shared/comment"));
        assert_eq!(visible(bob, "11/private/comment"), Some("/private/comment"));
        assert_eq!(visible(ana, "11/private/comment"), None);
        assert_eq!(visible(ana, "none"), None);
    }
}
