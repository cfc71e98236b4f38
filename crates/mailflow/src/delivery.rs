//! One message into one account.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use sterna_account::scripts::Scripts;
use sterna_account::service::{Accounts, Message, MessageBody, SpoolFile};
use sterna_account::{
    Account, AccountError, CommitError, Container, ContainerKind, Content, Mutation, NewItem, SpecialUse, StoreError,
};
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;
use sterna_base::{AccountId, ContainerId, OperationId};
use sterna_formats::mail::Scanner;

use crate::limits::{INBOXES_REMEMBERED_MAX, SPOOL_CHUNK_BYTES};
use crate::sieve::{self, Plan, PlanError, Sieve, Wanted};

/// Where a message goes in an account unless a rule of its owner says otherwise: what Sieve calls the implicit keep
/// (RFC 5228 section 2.10.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// The INBOX.
    #[default]
    Inbox,
    /// The mailbox with the special use `\Junk` (RFC 6154); the INBOX in an account that has none.
    Junk,
    /// No mailbox: it is an invitation, or an answer to one, that a calendar takes in.
    Calendar,
}

/// What a delivery must know of an account. Where the INBOX is never changes in an account's life; that its scripts are
/// still the same is expected by the commit itself. So a delivery costs one call to the data server.
#[derive(Clone, Debug)]
struct Known {
    inbox: ContainerId,
    scripts: Scripts,
}

/// What is known of the accounts that got mail lately.
#[derive(Default)]
pub struct Inboxes(Mutex<HashMap<AccountId, Arc<Known>>>);

impl Inboxes {
    async fn of(&self, account: &dyn Account) -> Result<Arc<Known>, AccountError> {
        if let Some(known) = self.0.lock().get(&account.id()) {
            return Ok(known.clone());
        }
        let containers = account.containers().await?;
        let missing = || StoreError::Corrupt("the account has no INBOX".into());
        let has_scripts = containers.iter().any(|container| container.kind == ContainerKind::Sieve);
        let known = Arc::new(Known {
            inbox: with_use(&containers, SpecialUse::Inbox).ok_or_else(missing)?,
            scripts: if has_scripts { Scripts::read(account).await? } else { Scripts::default() },
        });
        let mut inboxes = self.0.lock();
        if inboxes.len() >= INBOXES_REMEMBERED_MAX {
            inboxes.clear();
        }
        inboxes.insert(account.id(), known.clone());
        Ok(known)
    }

    fn forget(&self, account: AccountId) {
        self.0.lock().remove(&account);
    }
}

fn with_use(containers: &[Container], wanted: SpecialUse) -> Option<ContainerId> {
    containers.iter().find(|found| found.special_use == Some(wanted)).map(|found| found.id)
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

/// Why a message is not in an account.
#[derive(Debug)]
pub enum DeliveryError {
    /// It can't be asked, or refused.
    Account(AccountError),
    /// What its owner's script sends can't be queued now.
    Queue(crate::queue::QueueError),
    /// Its owner's script sends it back, for this reason.
    Rejected(String),
}

impl From<AccountError> for DeliveryError {
    fn from(error: AccountError) -> Self {
        DeliveryError::Account(error)
    }
}

impl From<PlanError> for DeliveryError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Account(error) => DeliveryError::Account(error),
            PlanError::Queue(error) => DeliveryError::Queue(error),
            PlanError::Script(why) => DeliveryError::Account(AccountError::Unavailable(why)),
        }
    }
}

/// One message for one account.
pub struct Task<'a> {
    pub accounts: &'a dyn Accounts,
    pub inboxes: &'a Inboxes,
    pub sieve: &'a Sieve,
    pub account: AccountId,
    pub transaction: OperationId,
    pub message: &'a Message,
    pub wanted: &'a Wanted,
}

/// Delivers the message as the account's scripts want it; when this returns `Ok`, it is durable. Whether the account
/// keeps it: a script may have thrown it away, or only sent it on.
///
/// # Errors
/// [`DeliveryError`].
pub async fn deliver(task: Task<'_>) -> Result<bool, DeliveryError> {
    let handle = task.accounts.open(task.account).await?;
    let mut contents = Contents { account: &*handle, message: task.message, staged: None };
    let mut plain = false;
    for _ in 0..sieve::TRIES {
        match once(&task, &mut contents, plain).await {
            // The scripts, or the mailboxes, are other ones by now; or the account was made again by a restore.
            Err(DeliveryError::Account(AccountError::Refused(
                CommitError::Unexpected | CommitError::NoSuchContainer(_),
            ))) => task.inboxes.forget(task.account),
            // What a script wants can't be done at all: the message must not be lost for it.
            Err(DeliveryError::Account(error)) if !plain && is_impossible(&error) => {
                tracing::warn!(account = %task.account, %error, "a Sieve script's wish can't be done; the mail is kept");
                plain = true;
            }
            result => return result,
        }
    }
    Err(AccountError::Unavailable("its scripts change again and again".to_owned()).into())
}

fn is_impossible(error: &AccountError) -> bool {
    matches!(
        error,
        AccountError::Refused(
            CommitError::Limit(_) | CommitError::Invalid(_) | CommitError::InvalidName | CommitError::NoSuchBlob(_)
        )
    )
}

async fn once(task: &Task<'_>, contents: &mut Contents<'_>, plain: bool) -> Result<bool, DeliveryError> {
    let account = contents.account;
    let known = task.inboxes.of(account).await?;
    let plan = if !plain && task.sieve.concerns(known.scripts.active().is_some()) {
        task.sieve.plan(account, &known.scripts, task.transaction, task.message, task.wanted).await?
    } else {
        Plan::keep()
    };
    if let Some(reason) = plan.rejected {
        return Err(DeliveryError::Rejected(reason));
    }
    task.sieve.send(plan.redirected).await?;
    // Its owner can make, delete and change the mailbox for junk at any time, and junk is rare: it is looked for each
    // time.
    let usual = match task.wanted.keep {
        Keep::Inbox | Keep::Calendar => known.inbox,
        Keep::Junk => with_use(&account.containers().await?, SpecialUse::Junk).unwrap_or(known.inbox),
    };
    let mut mutations = vec![known.scripts.expectation()];
    mutations.extend(plan.remembered);
    let mut filed: Vec<(ContainerId, usize)> = Vec::new();
    for copy in plan.filed {
        let container = copy.container.unwrap_or(usual);
        if filed.contains(&(container, copy.form)) {
            continue;
        }
        filed.push((container, copy.form));
        let (content, summary) = contents.form(copy.form, &plan.forms).await?;
        let item = NewItem { content, summary, internal_date: None, flags: copy.flags, name: None, object_uid: None };
        mutations.push(Mutation::Append { container, item });
    }
    let committed = account.commit(operation(task.transaction, task.account), mutations).await?;
    if committed.repeated {
        let (account, transaction) = (task.account, task.transaction);
        tracing::info!(%account, %transaction, "the account has the message from an earlier try");
    }
    if let Err(error) = task.sieve.send(plan.answers).await {
        tracing::warn!(account = %task.account, %error, "an automatic answer could not be queued; it is dropped");
    }
    Ok(!filed.is_empty())
}

/// The forms of the message as commits name them; large ones are staged once.
struct Contents<'a> {
    account: &'a dyn Account,
    message: &'a Message,
    staged: Option<Content>,
}

impl Contents<'_> {
    async fn form(&mut self, form: usize, forms: &[Bytes]) -> Result<(Content, Option<Bytes>), AccountError> {
        let Some(changed) = form.checked_sub(1).and_then(|at| forms.get(at)) else {
            let summary = (!self.message.summary.is_empty()).then(|| self.message.summary.clone());
            return Ok((self.original().await?, summary));
        };
        let mut scanner = Scanner::new();
        scanner.push(changed);
        let summary = Some(scanner.finish().encode().into());
        if changed.len() <= INLINE_BLOB_BYTES_MAX {
            return Ok((Content::Inline(changed.clone()), summary));
        }
        let mut upload = self.account.stage_blob().await?;
        for chunk in changed.chunks(SPOOL_CHUNK_BYTES) {
            upload.write(changed.slice_ref(chunk)).await?;
        }
        let (hash, _) = upload.finish().await?;
        Ok((Content::Stored(hash), summary))
    }

    async fn original(&mut self) -> Result<Content, AccountError> {
        if let Some(staged) = &self.staged {
            return Ok(staged.clone());
        }
        match &self.message.body {
            MessageBody::Inline(bytes) => Ok(Content::Inline(bytes.clone())),
            MessageBody::Spooled(spooled) => {
                let staged = stage(self.account, spooled, self.message).await?;
                self.staged = Some(staged.clone());
                Ok(staged)
            }
        }
    }
}

/// Takes a spooled body into the account.
async fn stage(account: &dyn Account, spooled: &Arc<SpoolFile>, message: &Message) -> Result<Content, AccountError> {
    let (hash, size) = account.stage_blob().await?.finish_with_file(spooled.path.clone()).await?;
    if hash != message.hash || size != message.size {
        let cause = format!("the spool file {} is not what was received", spooled.path.display());
        return Err(StoreError::Corrupt(cause).into());
    }
    Ok(Content::Stored(hash))
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
