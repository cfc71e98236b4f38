//! NOTIFY (RFC 5465).

use std::collections::BTreeSet;

use sterna_account::Rights;
use sterna_formats::imap::command::{SearchSource, StatusItem};
use sterna_formats::imap::notify::{Event, EventGroup, EventMailboxes, Notify};

use super::{list, status, subscribe};
use crate::imap::limits::ACCOUNTS_WATCHED_MAX;
use crate::imap::mailboxes::{Mailboxes, is_elsewhere, level_of};
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;
use crate::imap::watching::{SelectedEvents, Watched, Watching, is_below};

pub async fn run(session: &mut Session, notify: Notify) -> Outcome {
    let Notify::Set { status, groups } = notify else {
        session.watching = Watching { selected: Some(SelectedEvents::default()), ..Watching::default() };
        return Ok(Reply::ok("Nothing is told"));
    };
    if groups.iter().flat_map(|group| &group.events).any(|event| matches!(event, Event::Unknown(_))) {
        let known = format!("BADEVENT ({})", Event::NAMES.join(" "));
        return Ok(Reply::no("There are no such events here").code(known));
    }
    // What has piled up in the selected mailbox is told, whatever was asked for until now (section 3.1).
    session.watching = Watching::default();
    session.tell(true).await?;
    let is_selected = |group: &EventGroup| !matches!(group.mailboxes, EventMailboxes::Others(_));
    let (selected, others): (Vec<_>, Vec<_>) = groups.into_iter().partition(is_selected);
    let selected = Some(selected.first().map(SelectedEvents::of).unwrap_or_default());
    let mut watching = Watching { selected, ..Watching::default() };
    if others.iter().any(|group| !group.events.is_empty()) {
        watching.groups = others;
        if let Some(refused) = watch(session, &mut watching).await? {
            return Ok(refused);
        }
        tell_what_is_closed(session, &watching);
        if status {
            tell_all(session, &watching).await?;
        }
    }
    session.watching = watching;
    Ok(Reply::ok("Done"))
}

/// Begins to watch the accounts of the mailboxes that are meant.
async fn watch(session: &mut Session, watching: &mut Watching) -> Result<Option<Reply>, Fail> {
    let own = session.account()?;
    watching.subscribed = subscribe::names(own.as_ref()).await?;
    let mut all = vec![Mailboxes::own(own)];
    let elsewhere = names_elsewhere(watching);
    if !elsewhere.is_empty() {
        let known = session.sharing().await?;
        for owner in known.owners.iter() {
            let level = level_of(owner);
            if elsewhere.iter().any(|name| is_below(&level, name) || is_below(name, &level)) {
                let account = session.shared.accounts.open(owner.account).await?;
                all.push(Mailboxes::of(account, owner.clone(), known.who.clone()));
            }
        }
    }
    if all.len() > ACCOUNTS_WATCHED_MAX {
        return Ok(Some(Reply::no("These are too many accounts to watch").code("NOTIFICATIONOVERFLOW")));
    }
    for mailboxes in all {
        let watched = Watched::new(mailboxes).await?;
        watching.listen(watched.watch.clone());
        watching.accounts.push(watched);
    }
    Ok(None)
}

/// Names that the groups mean, or subscribed ones, that are in accounts of others; also the levels above those.
fn names_elsewhere(watching: &Watching) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for group in &watching.groups {
        match &group.mailboxes {
            EventMailboxes::Others(SearchSource::Subscribed) => {
                names.extend(watching.subscribed.iter().filter(|name| is_elsewhere(name)).cloned());
            }
            EventMailboxes::Others(SearchSource::Mailboxes(meant) | SearchSource::Subtree(meant)) => {
                names.extend(meant.iter().cloned());
            }
            _ => {}
        }
    }
    names
}

/// `\NoAccess`: named, seen, and not to be read (section 3.1).
fn tell_what_is_closed(session: &mut Session, watching: &Watching) {
    for watched in &watching.accounts {
        let mut closed = Vec::new();
        for (id, name) in &watched.names {
            let is_named = watching.groups.iter().any(|group| match &group.mailboxes {
                EventMailboxes::Others(SearchSource::Mailboxes(names)) => names.contains(name),
                _ => false,
            });
            let is_closed = watched.containers.get(id).is_some_and(|c| !watched.mailboxes.rights(c).has(Rights::READ));
            if is_named && is_closed && watching.events(name, watched.is_own()).iter().any(Event::is_of_messages) {
                closed.push(name.as_str());
            }
        }
        closed.sort_unstable();
        closed.into_iter().for_each(|name| list::line(session, "LIST", &["\\NoAccess"], name, false));
    }
}

/// As all the mailboxes are of which events of messages are wanted.
async fn tell_all(session: &mut Session, watching: &Watching) -> Result<(), Fail> {
    for watched in &watching.accounts {
        let account = watched.mailboxes.account.as_ref();
        let mut names: Vec<_> = watched.names.iter().collect();
        names.sort_unstable_by_key(|(_, name)| name.as_str());
        for (id, name) in names {
            let events = watching.events(name, watched.is_own());
            let Some(container) = watched.containers.get(id) else { continue };
            if events.iter().any(Event::is_of_messages)
                && watched.mailboxes.rights(container).has(Rights::READ)
                && !session.has_selected(account, *id)
            {
                let items = status_items(session, events.contains(&Event::FlagChange));
                status::write(session, name, account, container, &items).await?;
                session.io.flush_if_full().await?;
            }
        }
    }
    Ok(())
}

/// What is told of a mailbox that is not selected (sections 3.1 and 5.1 to 5.3).
pub fn status_items(session: &Session, flags: bool) -> Vec<StatusItem> {
    let mut items = vec![StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity, StatusItem::Unseen];
    if flags || session.enabled.condstore || session.enabled.qresync {
        items.push(StatusItem::HighestModseq);
    }
    items
}
