//! What SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS have in common (RFC 4314 section 3).

use std::sync::Arc;

use sterna_account::shares::SharesError;
use sterna_account::{Account, Identifier, Mutation, Rights};
use sterna_base::AccountId;
use sterna_formats::imap::write;

use crate::imap::mailboxes::{Located, Mailboxes};
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;

/// Whom a client named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    pub identifier: Identifier,
    /// Written with `-`.
    pub negative: bool,
}

/// What stands before the number of somebody who is not in the directory any more.
const GONE: char = '#';

impl Named {
    /// An address of a user, group or shared mailbox, or `anyone`; with `-` before it for rights taken away.
    ///
    /// # Errors
    /// NO when there is nobody of that name.
    pub async fn read(session: &Session, text: &str) -> Result<Self, Fail> {
        let (negative, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
        if name == "anyone" {
            return Ok(Named { identifier: Identifier::Anyone, negative });
        }
        if let Some(id) = name.strip_prefix(GONE).and_then(|id| id.parse().ok()) {
            return Ok(Named { identifier: Identifier::Entry(AccountId(id)), negative });
        }
        let entry = session.shared.shares.entry(name).await.map_err(|error| session.no_directory(&error))?;
        match entry {
            Some(id) => Ok(Named { identifier: Identifier::Entry(id), negative }),
            None => Err(Reply::no("There is no user, group or shared mailbox of that name").into()),
        }
    }
}

/// The user who has all rights on the mailboxes of an account; shared ones belong to nobody.
pub fn owner(mailboxes: &Mailboxes) -> Option<AccountId> {
    match &mailboxes.owner {
        Some(owner) if owner.shared_mailbox => None,
        _ => Some(mailboxes.account.id()),
    }
}

/// Changes one entry, after the directory knows of it: whoever is given something must find it. What is taken away is
/// gone at once, even while the main node is down, and so is what is changed for those who had something before.
pub async fn change(session: &mut Session, located: &Located, named: Named, rights: Rights) -> Outcome {
    let (container, account) = (located.get(Rights::ADMINISTER)?, located.mailboxes.account.clone());
    let Named { identifier, negative } = named;
    if owner(&located.mailboxes).is_some_and(|owner| Identifier::Entry(owner) == identifier) {
        let as_it_is = if negative { rights.is_empty() } else { rights == Rights::ALL };
        let refused = Reply::no("The owner has every right, and keeps it").code("CANNOT");
        return Ok(if as_it_is { Reply::ok("Done") } else { refused });
    }
    // Whoever has something here is known to the directory already.
    let is_first = !negative && !rights.is_empty() && container.acl.get(identifier, false).is_empty();
    if is_first {
        share(session, &account, identifier).await.map_err(|error| session.no_directory(&error))?;
    }
    let step = Mutation::SetAcl { container: container.id, identifier, negative, rights };
    session.commit(account.as_ref(), vec![step]).await?;
    if is_first {
        // Somebody who took the last right away at the same moment may have told the directory after us.
        if let Err(error) = share(session, &account, identifier).await {
            tracing::warn!(peer = %session.peer, account = %account.id(), %error, "a share may be missing in listings");
        }
    } else if !negative && rights.is_empty() {
        withdraw_unused(session, &account, vec![identifier]).await;
    }
    Ok(Reply::ok("Done"))
}

async fn share(session: &Session, account: &Arc<dyn Account>, grantee: Identifier) -> Result<(), SharesError> {
    session.shared.shares.set(account.id(), grantee, true).await
}

/// Tells the directory of those who have nothing in this account any more. When that fails nothing is wrong: a listing
/// asks an account in which it then finds nothing.
pub async fn withdraw_unused(session: &Session, account: &Arc<dyn Account>, grantees: Vec<Identifier>) {
    for grantee in grantees {
        if let Err(error) = withdraw(session, account, grantee).await {
            tracing::debug!(peer = %session.peer, account = %account.id(), %error, "a share could not be withdrawn");
        }
    }
}

async fn withdraw(session: &Session, account: &Arc<dyn Account>, grantee: Identifier) -> Result<(), String> {
    let is_given = async || {
        let containers = account.containers().await.map_err(|error| error.to_string())?;
        Ok::<bool, String>(containers.iter().any(|container| container.acl.grantees().any(|known| known == grantee)))
    };
    if is_given().await? {
        return Ok(());
    }
    let shares = &session.shared.shares;
    shares.set(account.id(), grantee, false).await.map_err(|error| error.to_string())?;
    // Given again meanwhile, and told before us.
    if is_given().await? {
        shares.set(account.id(), grantee, true).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The entries of a mailbox's list as clients see them, the owner first.
///
/// # Errors
/// When the directory can't be read.
pub async fn entries(session: &Session, located: &Located) -> Result<Vec<(String, Rights)>, Fail> {
    let container = located.get(Rights::ADMINISTER)?;
    let owner = owner(&located.mailboxes);
    let entries = container.acl.entries();
    let mut ids: Vec<AccountId> = owner.into_iter().collect();
    ids.extend(entries.iter().filter_map(|entry| match entry.identifier {
        Identifier::Anyone => None,
        Identifier::Entry(id) => Some(id),
    }));
    let addresses = session.shared.shares.addresses(ids).await.map_err(|error| session.no_directory(&error))?;
    let name = |id: AccountId| addresses.get(&id).cloned().unwrap_or_else(|| format!("{GONE}{id}"));
    let mut named: Vec<(String, Rights)> = owner.map(|owner| (name(owner), Rights::ALL)).into_iter().collect();
    named.extend(entries.iter().map(|entry| {
        let sign = if entry.negative { "-" } else { "" };
        let who = match entry.identifier {
            Identifier::Anyone => "anyone".to_owned(),
            Identifier::Entry(id) => name(id),
        };
        (format!("{sign}{who}"), entry.rights)
    }));
    Ok(named)
}

/// `* RESPONSE mailbox` and what follows, as strings.
pub fn line(session: &mut Session, response: &str, mailbox: &str, strings: &[&str]) {
    let utf8 = session.enabled.utf8;
    let out: &mut Vec<u8> = &mut session.io.output;
    out.extend_from_slice(format!("* {response} ").as_bytes());
    write::mailbox(mailbox, utf8, out);
    for string in strings {
        out.extend_from_slice(b" ");
        write::string(string.as_bytes(), utf8, out);
    }
    out.extend_from_slice(b"\r\n");
}
