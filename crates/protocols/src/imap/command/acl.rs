//! What SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS have in common (RFC 4314 section 3).

use sterna_account::{Identifier, Rights};
use sterna_base::{AccountId, DomainId};
use sterna_formats::imap::write;

use crate::grants::{self, Grant};
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
    /// An address of a user, group or shared mailbox, `@` and a domain, or `anyone`; with `-` before it for rights
    /// taken away.
    ///
    /// # Errors
    /// NO when there is nobody of that name.
    pub async fn read(session: &Session, text: &str) -> Result<Self, Fail> {
        let (negative, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
        if name == "anyone" {
            return Ok(Named { identifier: Identifier::Anyone, negative });
        }
        let gone = |rest: &str| rest.strip_prefix(GONE).and_then(|id| id.parse().ok());
        if let Some(id) = gone(name) {
            return Ok(Named { identifier: Identifier::Entry(AccountId(id)), negative });
        }
        if let Some(id) = name.strip_prefix('@').and_then(gone) {
            return Ok(Named { identifier: Identifier::Domain(DomainId(id)), negative });
        }
        let found = session.shared.shares.identifier(name).await.map_err(|error| session.no_directory(&error))?;
        match found {
            Some(identifier) => Ok(Named { identifier, negative }),
            None => Err(Reply::no("There is no user, group, shared mailbox or domain of that name").into()),
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
    if session.user.as_ref().is_some_and(|user| user.is_sudo) {
        return Ok(Reply::no("Who works as somebody else gives nobody access").code("NOPERM"));
    }
    let Named { identifier, negative } = named;
    if owner(&located.mailboxes).is_some_and(|owner| Identifier::Entry(owner) == identifier) {
        let as_it_is = if negative { rights.is_empty() } else { rights == Rights::ALL };
        let refused = Reply::no("The owner has every right, and keeps it").code("CANNOT");
        return Ok(if as_it_is { Reply::ok("Done") } else { refused });
    }
    let grants = [Grant { container: container.clone(), identifier, negative, rights }];
    let shares = session.shared.shares.clone();
    let announced = grants::announce(shares.as_ref(), &account, &grants).await;
    announced.map_err(|error| session.no_directory(&error))?;
    session.commit(account.as_ref(), grants.iter().map(Grant::step).collect()).await?;
    grants::settle(shares.as_ref(), &account, &grants).await;
    Ok(Reply::ok("Done"))
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
    ids.extend(entries.iter().filter_map(|entry| entry.identifier.entry()));
    let domains = entries.iter().filter_map(|entry| entry.identifier.domain()).collect();
    let domains = session.shared.shares.domains(domains).await.map_err(|error| session.no_directory(&error))?;
    let addresses = session.shared.shares.addresses(ids).await.map_err(|error| session.no_directory(&error))?;
    let name = |id: AccountId| addresses.get(&id).cloned().unwrap_or_else(|| format!("{GONE}{id}"));
    let mut named: Vec<(String, Rights)> = owner.map(|owner| (name(owner), Rights::ALL)).into_iter().collect();
    named.extend(entries.iter().map(|entry| {
        let sign = if entry.negative { "-" } else { "" };
        let who = match entry.identifier {
            Identifier::Anyone => "anyone".to_owned(),
            Identifier::Entry(id) => name(id),
            Identifier::Domain(id) => {
                format!("@{}", domains.get(&id).cloned().unwrap_or_else(|| format!("{GONE}{id}")))
            }
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
