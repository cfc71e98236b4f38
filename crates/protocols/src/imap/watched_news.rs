//! What happened in mailboxes that are not selected, told to who asked by NOTIFY (RFC 5465 section 5). Costs what
//! changed, in an account of any size.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sterna_account::{AccountError, Change, Container, ContainerKind, Cursor, Rights};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{ContainerId, Modseq};
use sterna_formats::imap::notify::Event;

use super::command::notify::status_items;
use super::command::{list, status};
use super::mailboxes::is_elsewhere;
use super::names::use_attribute;
use super::reply::Fail;
use super::session::Session;
use super::watching::{Watched, Watching};

/// What happened to the messages of a mailbox.
#[derive(Clone, Copy, Default)]
struct Touched {
    messages: bool,
    flags: bool,
}

/// What happened in an account.
#[derive(Default)]
struct News {
    containers: HashMap<ContainerId, Container>,
    deleted: BTreeSet<ContainerId>,
    touched: BTreeMap<ContainerId, Touched>,
    /// Names of items, and whether they are there: subscriptions are such.
    named: Vec<(ContainerId, String, bool)>,
    head: Modseq,
}

impl Session {
    /// Writes what happened since the last time.
    ///
    /// # Errors
    /// When an account can't be asked; the next time will do.
    pub async fn tell_watched(&mut self) -> Result<(), AccountError> {
        if self.watching.accounts.is_empty() {
            return Ok(());
        }
        let mut watching = std::mem::take(&mut self.watching);
        let mut answer = Ok(());
        for at in 0..watching.accounts.len() {
            let mut watched = watching.accounts.remove(at);
            // A client that is gone is found out by the next reading.
            if let Err(Fail::Account(error)) = self.tell_account(&mut watching, &mut watched).await {
                answer = Err(error);
            }
            watching.accounts.insert(at, watched);
        }
        self.watching = watching;
        answer
    }

    async fn tell_account(&mut self, watching: &mut Watching, watched: &mut Watched) -> Result<(), Fail> {
        let account = watched.mailboxes.account.clone();
        let newest = self.committed_to(account.as_ref()).max(*watched.watch.borrow());
        if newest <= watched.modseq {
            return Ok(());
        }
        let news = news_of(watched).await?;
        watched.modseq = news.head.max(watched.modseq);
        let before = take_in(watched, &news);
        if watched.is_own() {
            self.tell_subscriptions(watching, watched, &news);
        }
        if let Some(before) = before {
            self.tell_names(watching, watched, &before);
        }
        for (id, touched) in &news.touched {
            let (Some(name), Some(container)) = (watched.names.get(id), watched.containers.get(id)) else { continue };
            let events = watching.events(name, watched.is_own());
            let is_wanted = touched.messages && events.contains(&Event::MessageExpunge)
                || touched.flags && events.contains(&Event::FlagChange);
            if is_wanted
                && watched.mailboxes.rights(container).has(Rights::READ)
                && !self.has_selected(account.as_ref(), *id)
            {
                let items = status_items(self, events.contains(&Event::FlagChange));
                status::write(self, name, account.as_ref(), container, &items).await?;
            }
        }
        Ok(self.io.flush_if_full().await?)
    }

    fn tell_subscriptions(&mut self, watching: &mut Watching, watched: &Watched, news: &News) {
        for (container, name, is_there) in &news.named {
            let container = watched.containers.get(container);
            if container.is_none_or(|container| container.kind != ContainerKind::Subscriptions) {
                continue;
            }
            let changed =
                if *is_there { watching.subscribed.insert(name.clone()) } else { watching.subscribed.remove(name) };
            // Who watches what is subscribed hears that it no longer is.
            let is_wanted = watching.events(name, watched.is_own()).contains(&Event::SubscriptionChange)
                || watching.wants_of_subscribed(&Event::SubscriptionChange);
            if changed && is_wanted {
                let known = watching.accounts.iter().chain([watched]).find_map(|watched| watched.mailbox(name));
                let mut attributes = attributes(known, watched.is_own(), &watched.parents(), *is_there);
                if known.is_none() && is_elsewhere(name) {
                    // In an account that is not watched: whether it exists is not known.
                    attributes.retain(|attribute| *attribute != "\\NonExistent");
                }
                list::line(self, "LIST", &attributes, name, false);
            }
        }
    }

    /// Section 5.4: who may see a mailbox no longer, or only now, hears the same as when it was deleted or created.
    fn tell_names(&mut self, watching: &Watching, watched: &Watched, before: &HashMap<ContainerId, String>) {
        let is_wanted = |name: &str| watching.events(name, watched.is_own()).contains(&Event::MailboxName);
        let mut lines: BTreeMap<&str, (ContainerId, Option<&str>)> = BTreeMap::new();
        for (id, name) in &watched.names {
            match before.get(id) {
                Some(old) if old == name => {}
                old if is_wanted(name) || old.is_some_and(|old| is_wanted(old)) => {
                    lines.insert(name, (*id, old.map(String::as_str)));
                }
                _ => {}
            }
        }
        let live: BTreeSet<&str> = watched.names.values().map(String::as_str).collect();
        let mut gone: Vec<&str> =
            before.iter().filter(|(id, _)| !watched.names.contains_key(id)).map(|(_, n)| n.as_str()).collect();
        gone.retain(|name| is_wanted(name) && !live.contains(name));
        gone.sort_unstable();
        for name in gone {
            list::line(self, "LIST", &["\\NonExistent"], name, false);
        }
        let parents = watched.parents();
        for (name, (id, old)) in lines {
            let is_subscribed = watching.subscribed.contains(name);
            let attributes = attributes(watched.containers.get(&id), watched.is_own(), &parents, is_subscribed);
            list::renamed_line(self, &attributes, name, old);
        }
    }
}

/// What changed in an account since the last time.
async fn news_of(watched: &Watched) -> Result<News, AccountError> {
    let (mut news, mut cursor) = (News::default(), Cursor::since(watched.modseq));
    loop {
        let page = watched.mailboxes.account.changes(cursor, PAGE_ITEMS_MAX).await?;
        page.rows.into_iter().for_each(|change| news.add(watched, change));
        match page.next {
            Some(next) => cursor = next,
            None => {
                news.head = page.head;
                return Ok(news);
            }
        }
    }
}

impl News {
    fn add(&mut self, watched: &Watched, change: Change) {
        match change {
            Change::Container(container) => {
                self.containers.insert(container.id, container);
            }
            Change::ContainerDeleted { id, .. } => {
                self.deleted.insert(id);
            }
            Change::Item(item) => {
                let known = watched.containers.get(&item.container);
                let is_new = known.is_none_or(|container| item.uid >= container.uid_next);
                let touched = self.touched.entry(item.container).or_default();
                touched.messages |= is_new;
                touched.flags |= !is_new;
                self.named.extend(item.name.map(|name| (item.container, name, true)));
            }
            Change::Expunged(gone) => {
                self.touched.entry(gone.container).or_default().messages = true;
                let name = gone.retained.and_then(|retained| retained.name);
                self.named.extend(name.map(|name| (gone.container, name, false)));
            }
        }
    }
}

/// Takes in the rows of containers; the names as they were, when any may have changed.
fn take_in(watched: &mut Watched, news: &News) -> Option<HashMap<ContainerId, String>> {
    let mut is_renamed = false;
    for (id, container) in &news.containers {
        let old = watched.containers.insert(*id, container.clone());
        is_renamed |= old
            .is_none_or(|old| old.parent != container.parent || old.name != container.name || old.acl != container.acl);
    }
    for id in &news.deleted {
        is_renamed |= watched.containers.remove(id).is_some();
    }
    is_renamed.then(|| {
        let names = watched.visible();
        std::mem::replace(&mut watched.names, names)
    })
}

/// The attributes of a name in a LIST that nobody asked for.
fn attributes(
    container: Option<&Container>,
    is_own: bool,
    parents: &HashSet<ContainerId>,
    is_subscribed: bool,
) -> Vec<&'static str> {
    let mut attributes = Vec::new();
    match container {
        None => attributes.push("\\NonExistent"),
        Some(container) => {
            attributes.push(if parents.contains(&container.id) { "\\HasChildren" } else { "\\HasNoChildren" });
            let special_use = container.special_use.filter(|_| is_own);
            attributes.extend(special_use.and_then(use_attribute));
        }
    }
    if is_subscribed {
        attributes.push("\\Subscribed");
    }
    attributes
}
