//! One message into one account.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use sterna_account::service::{Accounts, Message, MessageBody, SpoolFile};
use sterna_account::{Account, AccountError, CommitError, Content, FlagSet, Mutation, NewItem, SpecialUse, StoreError};
use sterna_base::{AccountId, ContainerId, OperationId};

use crate::limits::{INBOXES_REMEMBERED_MAX, SPOOL_CHUNK_BYTES};

/// Where a message goes in an account unless a rule of its owner says otherwise: what Sieve calls the implicit keep
/// (RFC 5228 section 2.10.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// The INBOX.
    #[default]
    Inbox,
    /// The mailbox with the special use `\Junk` (RFC 6154); the INBOX in an account that has none.
    Junk,
}

/// Which container is the INBOX of an account. It never changes in an account's life, so that a delivery costs one
/// call to the data server instead of two.
#[derive(Default)]
pub struct Inboxes(Mutex<HashMap<AccountId, ContainerId>>);

impl Inboxes {
    async fn of(&self, account: &dyn Account) -> Result<ContainerId, AccountError> {
        if let Some(&id) = self.0.lock().get(&account.id()) {
            return Ok(id);
        }
        let containers = account.containers().await?;
        let inbox = containers.iter().find(|container| container.special_use == Some(SpecialUse::Inbox));
        let id = inbox.ok_or_else(|| StoreError::Corrupt("the account has no INBOX".into()))?.id;
        let mut inboxes = self.0.lock();
        if inboxes.len() >= INBOXES_REMEMBERED_MAX {
            inboxes.clear();
        }
        inboxes.insert(account.id(), id);
        Ok(id)
    }

    /// Where a message is kept. Its owner can make, delete and change the mailbox for junk at any time, and junk is
    /// rare: it is looked for each time.
    async fn place(&self, account: &dyn Account, keep: Keep) -> Result<ContainerId, AccountError> {
        if keep == Keep::Junk {
            let containers = account.containers().await?;
            let junk = containers.iter().find(|container| container.special_use == Some(SpecialUse::Junk));
            if let Some(junk) = junk {
                return Ok(junk.id);
            }
        }
        self.of(account).await
    }

    fn forget(&self, account: AccountId) {
        self.0.lock().remove(&account);
    }
}

/// Names the commit of a transaction to an account: the same for every repetition, different for every account.
pub fn operation(transaction: OperationId, account: AccountId) -> OperationId {
    let mut hasher = blake3::Hasher::new_derive_key("sterna mailflow delivery operation 1");
    hasher.update(&transaction.0);
    hasher.update(&account.0.to_be_bytes());
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    OperationId(id)
}

/// Appends the message to the account; when this returns `Ok`, it is durable.
pub async fn deliver(
    accounts: &dyn Accounts,
    inboxes: &Inboxes,
    account: AccountId,
    transaction: OperationId,
    message: &Message,
    keep: Keep,
) -> Result<(), AccountError> {
    let handle = accounts.open(account).await?;
    let content = match &message.body {
        MessageBody::Inline(bytes) => Content::Inline(bytes.clone()),
        MessageBody::Spooled(spooled) => stage(&*handle, spooled, message).await?,
    };
    let item = NewItem {
        content,
        summary: (!message.summary.is_empty()).then(|| message.summary.clone()),
        internal_date: None,
        flags: FlagSet::default(),
        name: None,
    };
    let operation = operation(transaction, account);
    let container = inboxes.place(&*handle, keep).await?;
    match handle.commit(operation, vec![Mutation::Append { container, item: item.clone() }]).await {
        // The account was deleted and made again under the same id, by a restore: look once more.
        Err(AccountError::Refused(CommitError::NoSuchContainer(_))) => {
            inboxes.forget(account);
            let container = inboxes.place(&*handle, keep).await?;
            handle.commit(operation, vec![Mutation::Append { container, item }]).await?;
        }
        result => {
            let committed = result?;
            if committed.repeated {
                tracing::info!(%account, %transaction, "the account has the message from an earlier try");
            }
        }
    }
    Ok(())
}

/// Copies a spooled body into the account, piece by piece.
async fn stage(account: &dyn Account, spooled: &Arc<SpoolFile>, message: &Message) -> Result<Content, AccountError> {
    let mut upload = account.stage_blob().await?;
    let mut file = open(spooled.clone()).await?;
    loop {
        let (chunk, rest) = read(file).await?;
        file = rest;
        if chunk.is_empty() {
            break;
        }
        upload.write(chunk).await?;
    }
    let (hash, size) = upload.finish().await?;
    if hash != message.hash || size != message.size {
        let cause = format!("the spool file {} is not what was received", spooled.path.display());
        return Err(StoreError::Corrupt(cause).into());
    }
    Ok(Content::Stored(hash))
}

async fn open(spooled: Arc<SpoolFile>) -> Result<std::fs::File, AccountError> {
    blocking(move || std::fs::File::open(&spooled.path)).await
}

async fn read(mut file: std::fs::File) -> Result<(Bytes, std::fs::File), AccountError> {
    blocking(move || {
        let mut chunk = Vec::with_capacity(SPOOL_CHUNK_BYTES);
        (&mut file).take(SPOOL_CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
        Ok((chunk.into(), file))
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, AccountError> {
    let result = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    result.map_err(|error| AccountError::Unavailable(format!("the spool file can't be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_differ_by_transaction_and_account() {
        let (one, two) = (OperationId([1; 16]), OperationId([2; 16]));
        assert_eq!(operation(one, AccountId(1)), operation(one, AccountId(1)));
        assert_ne!(operation(one, AccountId(1)), operation(one, AccountId(2)));
        assert_ne!(operation(one, AccountId(1)), operation(two, AccountId(1)));
    }
}
