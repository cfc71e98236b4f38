//! RENAME (RFC 9051 section 6.3.6).

use sterna_account::{ContainerKind, Mutation, Outcome as Done, SpecialUse, UidSet};
use sterna_base::ContainerId;

use crate::imap::names::{self, Names, SEPARATOR};
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;

pub async fn run(session: &mut Session, from: &str, to: &str) -> Outcome {
    let account = session.account()?;
    let names = Names::load(account.as_ref()).await?;
    let source = names.get(from)?;
    let to = to.trim_end_matches(SEPARATOR);
    if names.find(to).is_some() {
        return Ok(Reply::no("A mailbox of that name exists").code("ALREADYEXISTS"));
    }
    if to.strip_prefix(from).is_some_and(|below| below.starts_with(SEPARATOR)) && from != "INBOX" {
        return Ok(Reply::no("A mailbox can't be moved into itself").code("CANNOT"));
    }
    names::check(to)?;
    let (above, name) = to.rsplit_once(SEPARATOR).unwrap_or(("", to));
    let parent = if above.is_empty() { None } else { Some(parent(session, &names, above).await?) };
    let name = name.to_owned();
    if source.special_use == Some(SpecialUse::Inbox) {
        return rename_inbox(session, source.id, parent, name).await;
    }
    let step = Mutation::RenameContainer { container: source.id, parent, name };
    session.commit(vec![step]).await?;
    Ok(Reply::ok("Renamed"))
}

/// INBOX stays; its messages move to a new mailbox, and its inferiors stay where they are.
async fn rename_inbox(session: &mut Session, inbox: ContainerId, parent: Option<ContainerId>, name: String) -> Outcome {
    let create = Mutation::CreateContainer { parent, kind: ContainerKind::Mail, name, special_use: None };
    let created = session.commit(vec![create]).await?;
    let Some(Done::Container { id: to, .. }) = created.outcomes.first() else {
        return Ok(Reply::no("The server could not do that").code("SERVERBUG"));
    };
    let step = Mutation::Copy { from: inbox, uids: UidSet::all(), to: *to, expunge: true };
    session.commit(vec![step]).await?;
    Ok(Reply::ok("Renamed"))
}

/// The mailbox that the new name hangs under, made with all above it if it is missing.
async fn parent(session: &mut Session, names: &Names, above: &str) -> Result<ContainerId, Fail> {
    if let Some(container) = names.find(above) {
        return Ok(container.id);
    }
    let created = super::create::run(session, above, &[]).await?;
    if created.status != "OK" {
        return Err(created.into());
    }
    let account = session.account()?;
    Ok(Names::load(account.as_ref()).await?.get(above)?.id)
}
