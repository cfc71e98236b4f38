//! Giving rights, whichever protocol it is done by (decision 17): the directory hears of whoever is given something
//! before it is given, so that they find it; and of whoever has nothing any more after that.

use std::collections::BTreeSet;
use std::sync::Arc;

use sterna_account::shares::{Shares, SharesError};
use sterna_account::{Account, AccountError, Container, Identifier, Mutation, Rights};
use sterna_base::OperationId;

/// Why rights were not given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The directory could not be told.
    #[error(transparent)]
    Directory(#[from] SharesError),
    /// The account did not take it.
    #[error(transparent)]
    Account(#[from] AccountError),
}

/// One entry of the list of one container as it is to be.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The container, as it was seen.
    pub container: Container,
    /// Whose entry.
    pub identifier: Identifier,
    /// Whether it takes away.
    pub negative: bool,
    /// All of the entry; none removes it.
    pub rights: Rights,
}

impl Grant {
    /// Whether somebody finds something by a listing who found nothing of this container before.
    fn is_first(&self) -> bool {
        let listed = |rights: Rights| !(rights - Rights::FREE_BUSY).is_empty();
        !self.negative && listed(self.rights) && !listed(self.container.acl.get(self.identifier, false))
    }

    fn is_end(&self) -> bool {
        !self.negative && (self.rights - Rights::FREE_BUSY).is_empty()
    }

    /// The step of a commit.
    pub fn step(&self) -> Mutation {
        let Grant { container, identifier, negative, rights } = self;
        Mutation::SetAcl { container: container.id, identifier: *identifier, negative: *negative, rights: *rights }
    }
}

/// Makes entries what they are to be, in one commit that holds what `conditions` say. What is taken away is gone at
/// once, even while the main node is down, and so is what is changed for those who had something before.
///
/// # Errors
/// [`GrantError`]; nothing is given then.
pub async fn change(
    shares: &dyn Shares,
    account: &Arc<dyn Account>,
    conditions: Vec<Mutation>,
    grants: &[Grant],
) -> Result<(), GrantError> {
    announce(shares, account, grants).await?;
    let steps = conditions.into_iter().chain(grants.iter().map(Grant::step)).collect();
    account.commit(OperationId::random(), steps).await?;
    settle(shares, account, grants).await;
    Ok(())
}

/// Tells the directory of those who are about to be given something.
///
/// # Errors
/// When it can't be told.
pub async fn announce(shares: &dyn Shares, account: &Arc<dyn Account>, grants: &[Grant]) -> Result<(), SharesError> {
    for grantee in of(grants, Grant::is_first) {
        shares.set(account.id(), grantee, true).await?;
    }
    Ok(())
}

/// Tells the directory what is so now that the rights were changed.
pub async fn settle(shares: &dyn Shares, account: &Arc<dyn Account>, grants: &[Grant]) {
    let first = of(grants, Grant::is_first);
    for grantee in &first {
        // Somebody who took the last right away at the same moment may have told the directory after us.
        if let Err(error) = shares.set(account.id(), *grantee, true).await {
            tracing::warn!(account = %account.id(), %error, "a share may be missing in listings");
        }
    }
    let ended = of(grants, Grant::is_end).into_iter().filter(|grantee| !first.contains(grantee));
    withdraw_unused(shares, account, ended.collect()).await;
}

fn of(grants: &[Grant], which: impl Fn(&Grant) -> bool) -> BTreeSet<Identifier> {
    grants.iter().filter(|grant| which(grant)).map(|grant| grant.identifier).collect()
}

/// Tells the directory of those who have nothing in this account any more. When that fails nothing is wrong: a listing
/// asks an account in which it then finds nothing.
pub async fn withdraw_unused(shares: &dyn Shares, account: &Arc<dyn Account>, grantees: Vec<Identifier>) {
    for grantee in grantees {
        if let Err(error) = withdraw(shares, account, grantee).await {
            tracing::debug!(account = %account.id(), %error, "a share could not be withdrawn");
        }
    }
}

async fn withdraw(shares: &dyn Shares, account: &Arc<dyn Account>, grantee: Identifier) -> Result<(), GrantError> {
    let is_given = async || {
        let containers = account.containers().await?;
        Ok::<bool, AccountError>(containers.iter().any(|one| one.acl.grantees().any(|known| known == grantee)))
    };
    if is_given().await? {
        return Ok(());
    }
    shares.set(account.id(), grantee, false).await?;
    // Given again meanwhile, and told before us.
    if is_given().await? {
        shares.set(account.id(), grantee, true).await?;
    }
    Ok(())
}
