//! The mailboxes of an account as scripts name them.

use sieve::Mailbox;
use sterna_account::{Container, ContainerKind, SpecialUse};
use sterna_base::{AccountId, ContainerId};

use super::action::Place;

/// What separates the names of a path.
const SEPARATOR: char = '/';

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Mailboxes {
    account: Option<AccountId>,
    containers: Vec<Container>,
}

/// Where a [`Place`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There.
    Here(ContainerId),
    /// Not there, and to be made: the last container that is there, and the names below it that are missing.
    Missing(Option<ContainerId>, Vec<String>),
    /// Not there.
    Nowhere,
}

impl Mailboxes {
    /// Of these containers, those that are mailboxes.
    pub fn new(account: AccountId, mut containers: Vec<Container>) -> Self {
        containers.retain(|container| container.kind == ContainerKind::Mail);
        Mailboxes { account: Some(account), containers }
    }

    /// The one with this use.
    pub fn with_use(&self, special_use: SpecialUse) -> Option<ContainerId> {
        self.containers.iter().find(|container| container.special_use == Some(special_use)).map(|found| found.id)
    }

    /// Where mail is filed: by id, by use, or by name, whichever is there first.
    pub fn place(&self, place: &Place) -> Found {
        if let Some(found) = place.mailbox_id.as_deref().and_then(|id| self.with_id(id)) {
            return Found::Here(found);
        }
        let by_use = place.special_use.as_deref().and_then(special_use).and_then(|wanted| self.with_use(wanted));
        if let Some(found) = by_use {
            return Found::Here(found);
        }
        let names: Vec<&str> = place.folder.split(SEPARATOR).collect();
        let mut at: Option<ContainerId> = None;
        for (depth, name) in names.iter().enumerate() {
            match self.child(at, name) {
                Some(found) => at = Some(found),
                None if place.create && names.iter().all(|name| !name.is_empty()) => {
                    let missing = names[depth..].iter().map(|name| (*name).to_owned()).collect();
                    return Found::Missing(at, missing);
                }
                None => return Found::Nowhere,
            }
        }
        at.map_or(Found::Nowhere, Found::Here)
    }

    /// `mailboxexists`, `mailboxidexists` and `specialuse_exists`: whether all of these are there.
    pub fn exist(&self, mailboxes: &[Mailbox], special_uses: &[String]) -> bool {
        let found: Vec<Option<ContainerId>> = mailboxes.iter().map(|mailbox| self.named(mailbox)).collect();
        if found.iter().any(Option::is_none) {
            return false;
        }
        let is_used = |wanted: &String| {
            let Some(holder) = special_use(wanted).and_then(|wanted| self.with_use(wanted)) else { return false };
            // With a mailbox named as well, it must be that one's use (RFC 8579 section 4).
            found.is_empty() || found.contains(&Some(holder))
        };
        special_uses.iter().all(is_used)
    }

    fn named(&self, mailbox: &Mailbox) -> Option<ContainerId> {
        match mailbox {
            Mailbox::Id(id) => self.with_id(id),
            Mailbox::Name(name) => match self.place(&Place { folder: name.clone(), ..Place::default() }) {
                Found::Here(id) => Some(id),
                _ => None,
            },
        }
    }

    fn child(&self, parent: Option<ContainerId>, name: &str) -> Option<ContainerId> {
        if parent.is_none() && name.eq_ignore_ascii_case("INBOX") {
            return self.with_use(SpecialUse::Inbox);
        }
        let is_it = |container: &&Container| container.parent == parent && container.name == name;
        self.containers.iter().find(is_it).map(|found| found.id)
    }

    /// As IMAP's MAILBOXID names it (RFC 8474).
    fn with_id(&self, id: &str) -> Option<ContainerId> {
        let (account, container) = id.strip_prefix('F')?.split_once('-')?;
        let account = u64::from_str_radix(account, 16).ok().map(AccountId)?;
        let container = u64::from_str_radix(container, 16).ok().map(ContainerId)?;
        let is_ours = Some(account) == self.account;
        self.containers.iter().find(|found| is_ours && found.id == container).map(|found| found.id)
    }
}

fn special_use(name: &str) -> Option<SpecialUse> {
    match name.strip_prefix('\\')?.to_ascii_lowercase().as_str() {
        "archive" => Some(SpecialUse::Archive),
        "drafts" => Some(SpecialUse::Drafts),
        "junk" => Some(SpecialUse::Junk),
        "sent" => Some(SpecialUse::Sent),
        "trash" => Some(SpecialUse::Trash),
        _ => None,
    }
}
