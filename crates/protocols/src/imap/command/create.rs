//! CREATE (RFC 9051 section 6.3.4) with special uses (RFC 6154).

use sterna_account::{Container, ContainerKind, Mutation, Outcome as Done, SpecialUse};
use sterna_base::ContainerId;

use crate::imap::names::{self, Names, SEPARATOR, use_of_attribute};
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

/// Also makes the mailboxes above that are missing, as the RFC asks.
pub async fn run(session: &mut Session, mailbox: &str, special_use: &[String]) -> Outcome {
    let account = session.account()?;
    let names = Names::load(account.as_ref()).await?;
    let mailbox = mailbox.trim_end_matches(SEPARATOR);
    if names.find(mailbox).is_some() {
        return Ok(Reply::no("A mailbox of that name exists").code("ALREADYEXISTS"));
    }
    names::check(mailbox)?;
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
    let taken = |(_, known): (&str, &Container)| special_use.is_some() && known.special_use == special_use;
    if names.iter().any(taken) {
        return Ok(Reply::no("Another mailbox has that use").code("USEATTR"));
    }
    let mut parent: Option<ContainerId> = None;
    let mut path = String::new();
    for part in mailbox.split(SEPARATOR) {
        path = if path.is_empty() { part.to_owned() } else { format!("{path}{SEPARATOR}{part}") };
        if let Some(existing) = names.find(&path) {
            parent = Some(existing.id);
            continue;
        }
        let last = path == mailbox;
        let (name, kind) = (part.to_owned(), ContainerKind::Mail);
        let special_use = special_use.filter(|_| last);
        let step = Mutation::CreateContainer { parent, kind, name, special_use };
        let committed = session.commit(vec![step]).await?;
        if let Some(Done::Container { id, .. }) = committed.outcomes.first() {
            parent = Some(*id);
        }
    }
    Ok(Reply::ok("Created"))
}
