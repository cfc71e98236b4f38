//! Where a mailbox name leads: to a mailbox of the user's own, or into the account of somebody who shares it.
//!
//! [`Session::locate`] is the one place that reads names; a command gets a [`Located`] and asks it for the mailbox
//! together with the rights that it needs. Names of others (RFC 2342) begin with [`OTHERS`] or [`SHARED`], then comes
//! the owner's main address, then the name as its owner sees it: `Other users/ana@demo.test/INBOX`.

use std::sync::Arc;

use sterna_account::shares::{Owner, SharesError, Who};
use sterna_account::{Account, Container, ContainerKind, Rights};
use sterna_base::limits::CONTAINER_DEPTH_MAX;
use tokio::time::Instant;

use super::limits::WHO_KEPT;
use super::names::SEPARATOR;
use super::reply::{Fail, Reply, no_mailbox};
use super::rights;
use super::session::Session;

/// The level above the mailboxes of other users.
pub const OTHERS: &str = "Other users";

/// The level above the mailboxes that belong to nobody in particular.
pub const SHARED: &str = "Shared folders";

/// The name of an owner's level.
pub fn level_of(owner: &Owner) -> String {
    let space = if owner.shared_mailbox { SHARED } else { OTHERS };
    format!("{space}{SEPARATOR}{}", owner.address)
}

/// Whether a name is one of ours for the namespaces, which nobody's own mailbox can have.
pub fn is_reserved(name: &str) -> bool {
    [OTHERS, SHARED].contains(&name)
}

/// Whether a name lies in the account of somebody else.
pub fn is_elsewhere(name: &str) -> bool {
    split(name).is_some()
}

/// The space and what follows it.
fn split(name: &str) -> Option<(bool, &str)> {
    let below = |space| name.strip_prefix(space).and_then(|rest: &str| rest.strip_prefix(SEPARATOR));
    below(OTHERS).map(|rest| (false, rest)).or_else(|| below(SHARED).map(|rest| (true, rest)))
}

/// The owner's address and the name in their account. An address may have a `/` in its local part; its domain can't.
fn split_owner(rest: &str) -> Option<(&str, &str)> {
    let at = rest.find('@')?;
    let end = rest[at..].find(SEPARATOR).map_or(rest.len(), |length| at + length);
    Some((&rest[..end], rest[end..].strip_prefix(SEPARATOR).unwrap_or_default()))
}

/// Whose mailboxes they are, and what the user of this session may do with them.
pub struct Mailboxes {
    pub account: Arc<dyn Account>,
    /// `None` for the user's own.
    pub owner: Option<Owner>,
    who: Option<Arc<Who>>,
}

impl Mailboxes {
    /// Of the user's own account.
    pub fn own(account: Arc<dyn Account>) -> Self {
        Mailboxes { account, owner: None, who: None }
    }

    /// Of somebody else.
    pub fn of(account: Arc<dyn Account>, owner: Owner, who: Arc<Who>) -> Self {
        Mailboxes { account, owner: Some(owner), who: Some(who) }
    }

    /// What the user may do with a mailbox.
    pub fn rights(&self, container: &Container) -> Rights {
        rights_of(self.who.as_deref(), container)
    }

    /// A name of the account as the user sees it.
    pub fn shown(&self, name: &str) -> String {
        match &self.owner {
            None => name.to_owned(),
            Some(owner) => format!("{}{SEPARATOR}{name}", level_of(owner)),
        }
    }

    /// The INBOX, which stands for the account in questions of rights.
    pub async fn inbox(&self) -> Result<Option<Container>, Fail> {
        let path = ["INBOX".to_owned()];
        Ok(self.account.containers_on_path(ContainerKind::Mail, &path).await?.pop())
    }
}

/// The owner, who is nobody else, may do everything.
pub fn rights_of(who: Option<&Who>, container: &Container) -> Rights {
    who.map_or(Rights::ALL, |who| container.acl.rights(|identifier| who.is(identifier)))
}

/// A mailbox name that was looked up: one question to the account, whatever it has besides.
pub struct Located {
    pub mailboxes: Mailboxes,
    /// The name in the account.
    pub name: String,
    /// The mailboxes on the way to it, from the top, as far as they exist.
    path: Vec<Container>,
}

impl Located {
    async fn find_path(mailboxes: Mailboxes, name: String) -> Result<Self, Fail> {
        // Nothing exists below the deepest level.
        let parts: Vec<String> = name.split(SEPARATOR).take(CONTAINER_DEPTH_MAX).map(str::to_owned).collect();
        let path = mailboxes.account.containers_on_path(ContainerKind::Mail, &parts).await?;
        Ok(Located { mailboxes, name, path })
    }

    fn levels(&self) -> usize {
        self.name.split(SEPARATOR).count()
    }

    /// The mailbox itself, if it exists, whatever the user may do with it.
    pub fn container(&self) -> Option<&Container> {
        self.path.get(self.levels() - 1)
    }

    /// The mailboxes that exist above it, from the top.
    pub fn above(&self) -> &[Container] {
        &self.path[..self.path.len().min(self.levels() - 1)]
    }

    /// The mailbox, if the user may do any of these with it.
    pub fn find(&self, any_of: Rights) -> Option<&Container> {
        self.container().filter(|container| self.mailboxes.rights(container).has_any(any_of))
    }

    /// The mailbox, if the user has the rights.
    ///
    /// # Errors
    /// That there is none, or NOPERM.
    pub fn get(&self, needed: Rights) -> Result<&Container, Fail> {
        let container = self.container().ok_or_else(no_mailbox)?;
        rights::check(self.mailboxes.rights(container), needed)?;
        Ok(container)
    }

    /// Whether the user may create a mailbox of this name: in the nearest that exists above it, and otherwise in INBOX,
    /// which stands for the account: who may create in it may create at the top.
    ///
    /// # Errors
    /// When the user may not create there.
    pub async fn check_create(&self) -> Result<(), Fail> {
        if self.mailboxes.owner.is_none() {
            return Ok(());
        }
        match self.above().last() {
            Some(parent) => rights::check(self.mailboxes.rights(parent), Rights::CREATE),
            None => {
                let inbox = self.mailboxes.inbox().await?.ok_or_else(no_mailbox)?;
                rights::check(self.mailboxes.rights(&inbox), Rights::CREATE)
            }
        }
    }

    /// The name as the user sees it.
    pub fn shown(&self) -> String {
        self.mailboxes.shown(&self.name)
    }
}

/// What the directory said of the user's groups and of who shares with them.
#[derive(Clone)]
pub struct Known {
    pub who: Arc<Who>,
    pub owners: Arc<Vec<Owner>>,
    at: Instant,
}

impl Session {
    /// Where a name leads.
    ///
    /// # Errors
    /// When the account can't be asked, or there is nobody of that name who shares anything.
    pub async fn locate(&mut self, mailbox: &str) -> Result<Located, Fail> {
        let Some((shared_mailbox, rest)) = split(mailbox) else {
            return Located::find_path(Mailboxes::own(self.account()?), mailbox.to_owned()).await;
        };
        let (address, name) = split_owner(rest).ok_or_else(no_mailbox)?;
        let known = self.sharing().await?;
        let is_meant = |owner: &&Owner| {
            owner.shared_mailbox == shared_mailbox && owner.address.eq_ignore_ascii_case(address) && !name.is_empty()
        };
        let owner = known.owners.iter().find(is_meant).ok_or_else(no_mailbox)?.clone();
        let account = self.shared.accounts.open(owner.account).await?;
        let (first, below) = name.split_once(SEPARATOR).map_or((name, None), |(first, below)| (first, Some(below)));
        let first = if first.eq_ignore_ascii_case("INBOX") { "INBOX" } else { first };
        let name = below.map_or_else(|| first.to_owned(), |below| format!("{first}{SEPARATOR}{below}"));
        Located::find_path(Mailboxes::of(account, owner, known.who), name).await
    }

    /// Who the user is, and who shares with them, as of now.
    pub async fn sharing(&mut self) -> Result<Known, Fail> {
        let account = self.account()?.id();
        let sharing = self.shared.shares.sharing(account).await.map_err(|error| self.no_directory(&error))?;
        let who = Arc::new(Who { account, groups: sharing.groups, domain: sharing.domain });
        // Who works as somebody else works in that account and no other one.
        let is_sudo = self.user.as_ref().is_some_and(|user| user.is_sudo);
        let owners = if is_sudo { Vec::new() } else { sharing.owners };
        let known = Known { who, owners: Arc::new(owners), at: Instant::now() };
        self.known = Some(known.clone());
        Ok(known)
    }

    /// Who the user is, as of a moment ago: asked with every command on a mailbox of somebody else.
    pub async fn who(&mut self) -> Result<Arc<Who>, Fail> {
        match &self.known {
            Some(known) if known.at.elapsed() < WHO_KEPT => Ok(known.who.clone()),
            _ => Ok(self.sharing().await?.who),
        }
    }

    /// The answer when the directory has none.
    pub fn no_directory(&self, error: &SharesError) -> Reply {
        tracing::warn!(peer = %self.peer, %error, "the directory has no answer about sharing");
        match error {
            SharesError::Unavailable(_) => {
                Reply::no("Sharing is not possible at the moment, please try again later").code("UNAVAILABLE")
            }
            SharesError::Refused(_) => Reply::no("The server could not do that").code("SERVERBUG"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_have_an_owner_and_a_name() {
        let parts = |name| split(name).and_then(|(shared, rest)| Some((shared, split_owner(rest)?)));
        assert_eq!(parts("Other users/a@x.test/INBOX"), Some((false, ("a@x.test", "INBOX"))));
        assert_eq!(parts("Other users/a/b@x.test/c/d"), Some((false, ("a/b@x.test", "c/d"))));
        assert_eq!(parts("Shared folders/info@x.test"), Some((true, ("info@x.test", ""))));
        for own in ["INBOX", "Other users", "Other users/x", "Shared foldersa@b/c", "other users/a@b/c"] {
            assert_eq!(parts(own), None, "{own}");
        }
    }
}
