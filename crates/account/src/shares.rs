//! Who shares with whom: what sessions ask the directory so that they find mailboxes of others.
//!
//! The rights themselves are in the accounts ([`crate::Acl`]) and move with them. The directory only knows that an
//! account has given somebody something, so that a listing asks the few accounts that matter and no others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use sterna_base::{AccountId, DomainId};

use crate::{Account, Identifier};

/// The directory's answers about sharing. All of them but [`Shares::set`] come from this node's own copy.
#[async_trait]
pub trait Shares: Send + Sync {
    /// Who shares something with an account, and the groups by which it may be meant.
    ///
    /// # Errors
    /// [`SharesError`]; the same holds for every method here.
    async fn sharing(&self, account: AccountId) -> Result<Sharing, SharesError>;

    /// The user, group or shared mailbox that has this address, main or not.
    async fn entry(&self, address: &str) -> Result<Option<AccountId>, SharesError>;

    /// The main addresses of these; who is gone is not among them.
    async fn addresses(&self, ids: Vec<AccountId>) -> Result<HashMap<AccountId, String>, SharesError>;

    /// Who is called so in lists of rights: an address, or `@` and the name of a domain.
    async fn identifier(&self, name: &str) -> Result<Option<Identifier>, SharesError> {
        Ok(self.entry(name).await?.map(Identifier::Entry))
    }

    /// The names of these domains; those that are gone are not among them.
    async fn domains(&self, _ids: Vec<DomainId>) -> Result<HashMap<DomainId, String>, SharesError> {
        Ok(HashMap::new())
    }

    /// What is told of these as principals (RFC 3744 section 2); who is gone is not among them.
    async fn principals(&self, _ids: Vec<AccountId>) -> Result<Vec<Principal>, SharesError> {
        Ok(Vec::new())
    }

    /// The organisation's directory as this account's owner sees it: an account with one address book that can only be
    /// read.
    async fn book(&self, _account: AccountId) -> Result<Option<Arc<dyn Account>>, SharesError> {
        Ok(None)
    }

    /// Notes on the main node, durably, that an account shares something with somebody, or that it doesn't any more.
    /// Being so already is success.
    async fn set(&self, owner: AccountId, grantee: Identifier, shares: bool) -> Result<(), SharesError>;
}

/// Who shares with an account.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sharing {
    /// The groups that it is in, itself and through other groups.
    pub groups: HashSet<AccountId>,
    /// The domain of its main address.
    pub domain: Option<DomainId>,
    /// Those who have given something to it, to a group of it, to its domain or to everybody, by name; not itself.
    pub owners: Vec<Owner>,
}

/// Somebody who can be named in lists of rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The id in the directory.
    pub id: AccountId,
    /// The main address.
    pub address: String,
    /// For people; empty when there is none.
    pub name: String,
    /// What it is.
    pub kind: PrincipalKind,
}

/// What a principal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A group, which has no account.
    Group,
    /// An account that belongs to nobody in particular.
    SharedMailbox,
}

/// Somebody whose mailboxes others may see.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The main address, by which the mailboxes are called.
    pub address: String,
    /// The account.
    pub account: AccountId,
    /// Whether it is a shared mailbox, which belongs to nobody, or a user's own account.
    pub shared_mailbox: bool,
}

/// Why there is no answer about sharing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SharesError {
    /// The directory, or the main node, can't be reached. The text is for the operator.
    #[error("the directory is not available at present: {0}")]
    Unavailable(String),
    /// The main node refused it. The text is for the operator.
    #[error("the directory refused it: {0}")]
    Refused(String),
}

/// Who a user is in lists of rights: the account and its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The account.
    pub account: AccountId,
    /// Its groups.
    pub groups: HashSet<AccountId>,
    /// Its domain, if the directory knows it.
    pub domain: Option<DomainId>,
}

impl Who {
    /// Whether an entry for this identifier is about them.
    pub fn is(&self, identifier: Identifier) -> bool {
        match identifier {
            Identifier::Anyone => true,
            Identifier::Entry(id) => id == self.account || self.groups.contains(&id),
            Identifier::Domain(id) => self.domain == Some(id),
        }
    }
}
