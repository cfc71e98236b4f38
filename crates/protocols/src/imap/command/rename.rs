//! RENAME (RFC 9051 section 6.3.6).

use sterna_account::{ContainerKind, Mutation, Outcome as Done, Rights, SpecialUse, UidSet};
use sterna_base::ContainerId;

use super::metadata;
use crate::imap::mailboxes::{Located, is_reserved};
use crate::imap::names::{self, SEPARATOR};
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;

pub async fn run(session: &mut Session, from: &str, to: &str) -> Outcome {
    let source_located = session.locate(from).await?;
    let source = source_located.get(Rights::DELETE_MAILBOX)?;
    let to = to.trim_end_matches(SEPARATOR);
    if is_reserved(to) {
        return Ok(Reply::no("That name is kept for mailboxes of others").code("CANNOT"));
    }
    let target = session.locate(to).await?;
    let account = &target.mailboxes.account;
    if account.id() != source_located.mailboxes.account.id() {
        return Ok(Reply::no("A mailbox can't be moved to somebody else; copy its messages").code("CANNOT"));
    }
    target.check_create().await?;
    let (from, to) = (source_located.name.as_str(), target.name.as_str());
    if target.container().is_some() {
        return Ok(Reply::no("A mailbox of that name exists").code("ALREADYEXISTS"));
    }
    if to.strip_prefix(from).is_some_and(|below| below.starts_with(SEPARATOR)) && from != "INBOX" {
        return Ok(Reply::no("A mailbox can't be moved into itself").code("CANNOT"));
    }
    names::check(to, session.io.limits.imap_mailbox_name_bytes)?;
    let (above, name) = to.rsplit_once(SEPARATOR).unwrap_or(("", to));
    let parent = if above.is_empty() { None } else { Some(parent(session, &target, above).await?) };
    let name = name.to_owned();
    if source.special_use == Some(SpecialUse::Inbox) {
        if target.mailboxes.owner.is_some() {
            return Ok(Reply::no("INBOX of somebody else can't be renamed").code("CANNOT"));
        }
        return rename_inbox(session, source.id, parent, name).await;
    }
    let step = Mutation::RenameContainer { container: source.id, parent, name };
    session.commit(account.as_ref(), vec![step]).await?;
    Ok(Reply::ok("Renamed"))
}

/// INBOX stays; its messages move to a new mailbox, and its inferiors stay where they are.
async fn rename_inbox(session: &mut Session, inbox: ContainerId, parent: Option<ContainerId>, name: String) -> Outcome {
    let account = session.account()?;
    let create = Mutation::CreateContainer { parent, kind: ContainerKind::Mail, name, special_use: None };
    let created = session.commit(account.as_ref(), vec![create]).await?;
    let Some(Done::Container { id: to, .. }) = created.outcomes.first() else {
        return Ok(Reply::no("The server could not do that").code("SERVERBUG"));
    };
    let step = Mutation::Copy { from: inbox, uids: UidSet::all(), to: *to, expunge: true };
    session.commit(account.as_ref(), vec![step]).await?;
    // RFC 5464 section 4.1: what was noted about INBOX stays there, and is noted about the new mailbox as well.
    if let Some(notes) = metadata::container_about(account.as_ref(), Some(inbox)).await? {
        let made = session.commit(account.as_ref(), vec![metadata::create(Some(*to))]).await?;
        if let Some(Done::Container { id, .. }) = made.outcomes.first() {
            let step = Mutation::Copy { from: notes.id, uids: UidSet::all(), to: *id, expunge: false };
            session.commit(account.as_ref(), vec![step]).await?;
        }
    }
    Ok(Reply::ok("Renamed"))
}

/// The mailbox that the new name hangs under, made with all above it if it is missing.
async fn parent(session: &mut Session, target: &Located, above: &str) -> Result<ContainerId, Fail> {
    if let Some(container) = target.above().get(above.split(SEPARATOR).count() - 1) {
        return Ok(container.id);
    }
    let above = target.mailboxes.shown(above);
    let created = super::create::run(session, &above, &[]).await?;
    if created.status != "OK" {
        return Err(created.into());
    }
    Ok(session.locate(&above).await?.get(Rights::NONE)?.id)
}
