//! ESEARCH in several mailboxes (MULTISEARCH, RFC 7377). One after the other is searched as if it were selected; those
//! in which nothing is found, and those that the user may not read, are not mentioned.

use std::collections::HashSet;
use std::sync::Arc;

use sterna_account::{Account, AccountError, Container, Rights};
use sterna_base::{AccountId, ContainerId};
use sterna_formats::imap::SequenceSet;
use sterna_formats::imap::command::{Search, SearchKey, SearchSource};

use super::search::{self, Program};
use super::search_result;
use super::subscribe;
use crate::imap::mailboxes::Mailboxes;
use crate::imap::names::{Names, SEPARATOR};
use crate::imap::picture::Picked;
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::selected::Selected;
use crate::imap::session::Session;

/// What lets somebody search a mailbox (RFC 7377 section 5).
const NEEDED: Rights = Rights::from_letters("lr");

/// A mailbox to be searched.
struct Place {
    account: Arc<dyn Account>,
    container: ContainerId,
    name: String,
    rights: Rights,
}

/// Mailboxes in the order in which they were named, each once.
struct Places {
    places: Vec<Place>,
    known: HashSet<(AccountId, ContainerId)>,
    places_max: u64,
}

pub async fn run(session: &mut Session, sources: &[SearchSource], search: Search) -> Outcome {
    if search.has_charset && session.enabled.utf8_accept {
        return Ok(Reply::bad("There is no CHARSET after ENABLE UTF8=ACCEPT"));
    }
    if search.unknown_charset {
        return Ok(Reply::no("The charset must be UTF-8").code("BADCHARSET (UTF-8)"));
    }
    if search.returns.is_some_and(|returns| returns.update) {
        session.refuse_context("Only a SEARCH in the selected mailbox is kept up to date");
    }
    let only_selected = sources.iter().all(|source| *source == SearchSource::Selected);
    let is_saved = search.returns.is_some_and(|returns| returns.save);
    let names_messages = |key: &SearchKey| match key {
        SearchKey::Sequence(_) => true,
        SearchKey::Uid(set) => *set == SequenceSet::Saved,
        _ => false,
    };
    if !only_selected && (is_saved || search.keys.iter().any(|key| search::contains(key, &names_messages))) {
        // Numbers and saved results are of the selected mailbox (RFC 7377 section 2.1).
        return Ok(Reply::bad("That has a meaning in the selected mailbox only"));
    }
    if sources.contains(&SearchSource::Selected) {
        session.catch_up(false).await?;
        session.selected()?;
    }
    if only_selected {
        let program = Program::new(session, search.keys)?;
        let found = program.find(session).await?;
        let selected = session.selected()?;
        let (name, uid_validity) = (selected.name.clone(), selected.view.picture().container.uid_validity);
        let scores = search_result::scores(session, &program, search.returns, &found).await?;
        search_result::of_mailbox(session, (&name, uid_validity), search.returns, &found, scores, program.has_modseq)?;
        return Ok(Reply::ok("Done"));
    }
    let places = find_places(session, sources).await?;
    for place in places {
        match search_in(session, &place, &search).await {
            // A mailbox that is gone by now, or whose server is down, doesn't end the search of the others.
            Err(Fail::Account(error)) => {
                tracing::debug!(peer = %session.peer, mailbox = place.name, %error, "a mailbox could not be searched");
                if error.is_temporary() {
                    let text = "* NO [UNAVAILABLE] A mailbox can't be searched at the moment\r\n";
                    session.io.output.extend_from_slice(text.as_bytes());
                }
            }
            done => done?,
        }
        session.io.flush_if_full().await?;
    }
    Ok(Reply::ok("Done"))
}

/// Searches one mailbox and tells what is found.
async fn search_in(session: &mut Session, place: &Place, search: &Search) -> Result<(), Fail> {
    let view = session.shared.registry.view(&place.account, place.container).await?;
    view.refresh(session.committed_to(place.account.as_ref())).await?;
    if view.picture().deleted {
        return Ok(());
    }
    let uid_validity = view.picture().container.uid_validity;
    let (account, name) = (place.account.clone(), place.name.clone());
    let mut selected = Selected::new(view, account, name, place.rights, true);
    if !session.enabled.rev2 {
        let next = selected.position.next;
        let registry = session.shared.registry.clone();
        selected.recent_from = registry.recent(place.account.as_ref(), place.container, next, false).await?;
    }
    let kept = session.selected.replace(selected);
    let found = find(session, search).await;
    session.selected = kept;
    let (found, scores, has_modseq) = found?;
    if found.is_empty() {
        return Ok(());
    }
    search_result::of_mailbox(session, (&place.name, uid_validity), search.returns, &found, scores, has_modseq)
}

async fn find(session: &mut Session, search: &Search) -> Result<(Vec<Picked>, Option<Vec<u8>>, bool), Fail> {
    let program = Program::new(session, search.keys.clone())?;
    let found = program.find(session).await?;
    let scores = search_result::scores(session, &program, search.returns, &found).await?;
    Ok((found, scores, program.has_modseq))
}

async fn find_places(session: &mut Session, sources: &[SearchSource]) -> Result<Vec<Place>, Fail> {
    let places_max = session.io.limits.imap_searched_mailboxes;
    let mut places = Places { places: Vec::new(), known: HashSet::new(), places_max };
    for source in sources {
        match source {
            SearchSource::Selected => {
                let selected = session.selected()?;
                let (account, container, name) = (selected.account.clone(), selected.id, selected.name.clone());
                places.add(Place { account, container, name, rights: selected.rights })?;
            }
            SearchSource::Inboxes => named(session, &mut places, "INBOX").await?,
            SearchSource::Personal => {
                let mailboxes = Mailboxes::own(session.account()?);
                let containers = mailboxes.account.containers().await?;
                places.add_all(&mailboxes, &containers, |_| true)?;
            }
            SearchSource::Subscribed => {
                let account = session.account()?;
                for name in subscribe::names(account.as_ref()).await? {
                    named(session, &mut places, &name).await?;
                }
            }
            SearchSource::Mailboxes(names) => {
                for name in names {
                    named(session, &mut places, name).await?;
                }
            }
            SearchSource::Subtree(names) => {
                for name in names {
                    below(session, &mut places, name, usize::MAX).await?;
                }
            }
            SearchSource::SubtreeOne(names) => {
                for name in names {
                    below(session, &mut places, name, 1).await?;
                }
            }
        }
    }
    Ok(places.places)
}

impl Places {
    fn add(&mut self, place: Place) -> Result<(), Fail> {
        if !place.rights.has(NEEDED) || !self.known.insert((place.account.id(), place.container)) {
            return Ok(());
        }
        if self.places.len() as u64 >= self.places_max {
            return Err(Reply::no("These are too many mailboxes for one search").code("LIMIT").into());
        }
        self.places.push(place);
        Ok(())
    }

    /// The mailboxes of an account whose names there are meant.
    fn add_all(
        &mut self,
        mailboxes: &Mailboxes,
        containers: &[Container],
        is_meant: impl Fn(&str) -> bool,
    ) -> Result<(), Fail> {
        for (name, container) in Names::of(containers).iter().filter(|(name, _)| is_meant(name)) {
            let (account, rights) = (mailboxes.account.clone(), mailboxes.rights(container));
            self.add(Place { account, container: container.id, name: mailboxes.shown(name), rights })?;
        }
        Ok(())
    }
}

/// A mailbox of this name, if there is one that the user may know of.
async fn named(session: &mut Session, places: &mut Places, name: &str) -> Result<(), Fail> {
    let located = match session.locate(name).await {
        Ok(located) => located,
        Err(fail) => return unavailable(fail),
    };
    let Some(container) = located.container() else { return Ok(()) };
    let (name, rights, container) = (located.shown(), located.mailboxes.rights(container), container.id);
    places.add(Place { account: located.mailboxes.account, container, name, rights })
}

/// The mailbox of this name, if there is one, and those below it, so many levels down.
async fn below(session: &mut Session, places: &mut Places, name: &str, levels: usize) -> Result<(), Fail> {
    let located = match session.locate(name.trim_end_matches(SEPARATOR)).await {
        Ok(located) => located,
        Err(fail) => return unavailable(fail),
    };
    let containers = match located.mailboxes.account.containers().await {
        Ok(containers) => containers,
        Err(error) => return unavailable(error.into()),
    };
    let is_meant = |name: &str| match name.strip_prefix(&located.name) {
        Some("") => true,
        Some(below) => below.starts_with(SEPARATOR) && below.matches(SEPARATOR).count() <= levels,
        None => false,
    };
    places.add_all(&located.mailboxes, &containers, is_meant)
}

/// What isn't there is not mentioned; who isn't there at the moment neither.
fn unavailable(fail: Fail) -> Result<(), Fail> {
    match fail {
        Fail::Reply(reply) if reply.status == "NO" => Ok(()),
        Fail::Account(AccountError::Unavailable(_) | AccountError::NoSuchAccount(_)) => Ok(()),
        fail => Err(fail),
    }
}
