//! CREATE (RFC 9051 section 6.3.4) with special uses (RFC 6154).

use sterna_account::commit::given_alike;
use sterna_account::{ContainerKind, Mutation, Outcome as Done, Rights, SpecialUse};
use sterna_base::ContainerId;

use super::object_id::mailbox_id;
use crate::imap::mailboxes::{Mailboxes, is_reserved};
use crate::imap::names::{self, SEPARATOR, use_of_attribute};
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;

/// Also makes the mailboxes above that are missing, as the RFC asks.
pub async fn run(session: &mut Session, mailbox: &str, special_use: &[String]) -> Outcome {
    let mailbox = mailbox.trim_end_matches(SEPARATOR);
    if is_reserved(mailbox) {
        return Ok(Reply::no("That name is kept for mailboxes of others").code("CANNOT"));
    }
    let located = session.locate(mailbox).await?;
    let mailbox = located.name.as_str();
    let exists = || Reply::no("A mailbox of that name exists").code("ALREADYEXISTS");
    if located.find(Rights::LOOKUP).is_some() {
        return Ok(exists());
    }
    located.check_create().await?;
    if located.container().is_some() {
        return Ok(exists());
    }
    names::check(mailbox, session.io.limits.imap_mailbox_name_bytes)?;
    let mut wanted = Vec::new();
    for attribute in special_use {
        match use_of_attribute(attribute) {
            Some(special_use) => wanted.push(special_use),
            None => return Ok(Reply::no("There is no such use").code("USEATTR")),
        }
    }
    let special_use: Option<SpecialUse> = match wanted[..] {
        [] => None,
        [one] => Some(one),
        _ => return Ok(Reply::no("A mailbox has one use here").code("USEATTR")),
    };
    if special_use.is_some() {
        // Before anything is made on the way.
        let containers = located.mailboxes.account.containers().await?;
        if containers.iter().any(|known| known.special_use == special_use) {
            return Ok(Reply::no("Another mailbox has that use").code("USEATTR"));
        }
    }
    let above = located.above();
    let mut parent: Option<ContainerId> = above.last().map(|existing| existing.id);
    let mut missing = mailbox.split(SEPARATOR).skip(above.len()).peekable();
    while let Some(part) = missing.next() {
        let last = missing.peek().is_none();
        let (name, kind) = (part.to_owned(), ContainerKind::Mail);
        let special_use = special_use.filter(|_| last);
        let step = Mutation::CreateContainer { parent, kind, name, special_use };
        let mut steps = vec![step];
        if parent.is_none() && located.mailboxes.owner.is_some() {
            steps.extend(rights_of_inbox(&located.mailboxes).await?);
        }
        let committed = session.commit(located.mailboxes.account.as_ref(), steps).await?;
        let Some(Done::Container { id, .. }) = committed.outcomes.first() else { continue };
        parent = Some(*id);
    }
    let id = parent.map(|id| mailbox_id(located.mailboxes.account.id(), id)).unwrap_or_default();
    Ok(Reply::ok("Created").code(format!("MAILBOXID ({id})")))
}

/// Whoever makes a mailbox at the top of somebody else's account has the right from INBOX, and so gets the new one with
/// the rights of INBOX. The owner's own new mailboxes are nobody else's business.
async fn rights_of_inbox(mailboxes: &Mailboxes) -> Result<Vec<Mutation>, Fail> {
    Ok(mailboxes.inbox().await?.map(|inbox| given_alike(&inbox.acl)).unwrap_or_default())
}
