//! Containers that are looked up by name and made when they are needed: of notes, links, locks and the like.

use sterna_base::OperationId;

use crate::{Account, AccountError, CommitError, Container, ContainerKind, Mutation};

/// The container of this kind and name at the top of an account, made when there is none.
///
/// # Errors
/// When the account can't be read or written.
pub async fn container_named(
    account: &dyn Account,
    kind: ContainerKind,
    name: &str,
) -> Result<Container, AccountError> {
    let path = [name.to_owned()];
    if let Some(found) = account.containers_on_path(kind, &path).await?.pop() {
        return Ok(found);
    }
    let step = Mutation::CreateContainer { parent: None, kind, name: name.to_owned(), special_use: None };
    match account.commit(OperationId::random(), vec![step]).await {
        // Another one was faster.
        Ok(_) | Err(AccountError::Refused(CommitError::NameTaken)) => {}
        Err(error) => return Err(error),
    }
    let found = account.containers_on_path(kind, &path).await?.pop();
    found.ok_or(AccountError::Refused(CommitError::Unexpected))
}
