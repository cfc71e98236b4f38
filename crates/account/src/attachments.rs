//! Files that calendar objects have attached and the server keeps (RFC 8607): items of one container of the account,
//! called by the secret in their URL, so that whoever is invited can fetch them without an account.

use sterna_base::OperationId;

use crate::commit::{Expect, FlagAction};
use crate::links::Token;
use crate::{
    Account, AccountError, ContainerKind, Content, FlagSet, Item, ItemParts, Mutation, NewItem, SystemFlag, UidSet,
    container_named,
};

/// The name of the container, which stands at the top beside the root of the files: no path of files leads into it.
pub const CONTAINER: &str = "calendar-attachments";

/// Keeps a file.
///
/// # Errors
/// When the account can't be written, or is full.
pub async fn keep(account: &dyn Account, content: Content) -> Result<Token, AccountError> {
    let container = container_named(account, ContainerKind::Files, CONTAINER).await?.id;
    let token = Token::random(account.id());
    let item = NewItem::named(token.name(), content);
    let step = Mutation::Put { container, item, expect: Expect::Absent };
    account.commit(OperationId::random(), vec![step]).await?;
    Ok(token)
}

/// Whether the account keeps any.
///
/// # Errors
/// When the account can't be read.
pub async fn has_any(account: &dyn Account) -> Result<bool, AccountError> {
    let path = [CONTAINER.to_owned()];
    let found = account.containers_on_path(ContainerKind::Files, &path).await?.pop();
    Ok(found.is_some_and(|container| container.counts.items > 0))
}

/// The file of a token.
///
/// # Errors
/// When the account can't be read.
pub async fn find(account: &dyn Account, token: &Token, parts: ItemParts) -> Result<Option<Item>, AccountError> {
    let path = [CONTAINER.to_owned()];
    let Some(container) = account.containers_on_path(ContainerKind::Files, &path).await?.pop() else {
        return Ok(None);
    };
    account.item_named(container.id, &token.name(), parts).await
}

/// Notes that another object has the file, too: from now on it stays when one of them goes.
///
/// # Errors
/// When the account can't be written.
pub async fn share(account: &dyn Account, item: &Item) -> Result<(), AccountError> {
    if item.flags.has(SystemFlag::Flagged) {
        return Ok(());
    }
    let flags = FlagSet::default().with(SystemFlag::Flagged);
    let (container, uids) = (item.container, UidSet::one(item.uid));
    let step = Mutation::StoreFlags { container, uids, action: FlagAction::Add, flags, unchanged_since: None };
    account.commit(OperationId::random(), vec![step]).await.map(drop)
}

/// Takes a file away that no object has any more.
///
/// # Errors
/// When the account can't be read or written.
pub async fn forget(account: &dyn Account, token: &Token) -> Result<(), AccountError> {
    let Some(item) = find(account, token, ItemParts::default()).await? else { return Ok(()) };
    if item.flags.has(SystemFlag::Flagged) {
        return Ok(());
    }
    let step = Mutation::Remove { container: item.container, name: token.name() };
    account.commit(OperationId::random(), vec![step]).await.map(drop)
}
