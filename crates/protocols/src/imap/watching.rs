//! What a session asked to hear of by NOTIFY (RFC 5465), and the accounts that it watches for that.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use sterna_account::{AccountError, Container, Rights};
use sterna_base::{ContainerId, Modseq};
use sterna_formats::imap::command::{FetchItem, SearchSource};
use sterna_formats::imap::notify::{Event, EventGroup, EventMailboxes};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::mailboxes::Mailboxes;
use super::names::{Names, SEPARATOR};

/// What a session hears of, and when.
#[derive(Default)]
pub struct Watching {
    /// Of the selected mailbox; `None` before the first NOTIFY: with commands, and in IDLE.
    pub selected: Option<SelectedEvents>,
    /// Of other mailboxes, in the order in which they hold.
    pub groups: Vec<EventGroup>,
    pub accounts: Vec<Watched>,
    /// The names that the user subscribed to.
    pub subscribed: BTreeSet<String>,
    /// Wakes a session that waits for its client.
    pub news: Arc<Notify>,
    /// Hand on the accounts' news; they end with this.
    pub listening: JoinSet<()>,
}

/// Events in the selected mailbox; none at all is what NONE asks for.
#[derive(Clone, Debug, Default)]
pub struct SelectedEvents {
    /// MessageNew and MessageExpunge
    pub messages: bool,
    /// Whether expunges are told at any time.
    pub at_once: bool,
    /// FlagChange
    pub flags: bool,
    /// What to fetch of new messages.
    pub items: Vec<FetchItem>,
}

impl SelectedEvents {
    /// As this group says.
    pub fn of(group: &EventGroup) -> Self {
        let mut wanted = SelectedEvents { at_once: group.mailboxes == EventMailboxes::Selected, ..Self::default() };
        for event in &group.events {
            match event {
                Event::MessageNew(items) => (wanted.messages, wanted.items) = (true, items.clone()),
                Event::FlagChange => wanted.flags = true,
                _ => {}
            }
        }
        wanted
    }
}

/// An account that is watched, as far as the client was told.
pub struct Watched {
    pub mailboxes: Mailboxes,
    pub modseq: Modseq,
    /// All containers that live.
    pub containers: HashMap<ContainerId, Container>,
    /// The names of the mailboxes that the user may see.
    pub names: HashMap<ContainerId, String>,
    pub watch: watch::Receiver<Modseq>,
}

impl Watched {
    /// As the account is now.
    ///
    /// # Errors
    /// When it can't be asked.
    pub async fn new(mailboxes: Mailboxes) -> Result<Self, AccountError> {
        let watch = mailboxes.account.watch();
        // The modseq first: what is committed meanwhile is told again.
        let modseq = mailboxes.account.head().await?.modseq;
        let containers = mailboxes.account.containers().await?;
        let containers = containers.into_iter().map(|container| (container.id, container)).collect();
        let mut watched = Watched { mailboxes, modseq, containers, names: HashMap::new(), watch };
        watched.names = watched.visible();
        Ok(watched)
    }

    /// The names that the user may see now.
    pub fn visible(&self) -> HashMap<ContainerId, String> {
        let all: Vec<Container> = self.containers.values().cloned().collect();
        let names = Names::of(&all);
        let may_see = |container: &Container| self.mailboxes.rights(container).has(Rights::LOOKUP);
        let seen = names.iter().filter(|(_, container)| may_see(container));
        seen.map(|(name, container)| (container.id, self.mailboxes.shown(name))).collect()
    }

    /// A mailbox by its name.
    pub fn mailbox(&self, name: &str) -> Option<&Container> {
        let (id, _) = self.names.iter().find(|(_, known)| known.as_str() == name)?;
        self.containers.get(id)
    }

    /// Containers that have others below them.
    pub fn parents(&self) -> HashSet<ContainerId> {
        self.containers.values().filter_map(|container| container.parent).collect()
    }

    /// Whether it is the user's own.
    pub fn is_own(&self) -> bool {
        self.mailboxes.owner.is_none()
    }
}

impl Watching {
    /// Listens to an account from here on.
    pub fn listen(&mut self, mut watch: watch::Receiver<Modseq>) {
        let news = self.news.clone();
        self.listening.spawn(async move {
            while watch.changed().await.is_ok() {
                news.notify_one();
            }
        });
    }

    /// Whether the session has something to say of itself between commands.
    pub fn is_on(&self) -> bool {
        !self.groups.is_empty() || self.selected.as_ref().is_some_and(|wanted| wanted.messages)
    }

    /// The events of a mailbox that is not selected: those of the first group that means it.
    pub fn events(&self, name: &str, is_own: bool) -> &[Event] {
        let group = self.groups.iter().find(|group| match &group.mailboxes {
            EventMailboxes::Others(which) => self.is_meant(which, name, is_own),
            EventMailboxes::Selected | EventMailboxes::SelectedDelayed => false,
        });
        group.map_or(&[], |group| group.events.as_slice())
    }

    /// Whether a group asks for this event in subscribed mailboxes.
    pub fn wants_of_subscribed(&self, event: &Event) -> bool {
        let is_of = |group: &&EventGroup| group.mailboxes == EventMailboxes::Others(SearchSource::Subscribed);
        self.groups.iter().filter(is_of).any(|group| group.events.contains(event))
    }

    /// Whether any group asks for this event.
    pub fn wants(&self, event: &Event) -> bool {
        self.groups.iter().any(|group| group.events.contains(event))
    }

    /// Sections 6.2 to 6.6.
    fn is_meant(&self, which: &SearchSource, name: &str, is_own: bool) -> bool {
        match which {
            // Filters deliver anywhere, so all are meant to which mail may come (section 6.3).
            SearchSource::Inboxes | SearchSource::Personal => is_own,
            SearchSource::Subscribed => self.subscribed.contains(name),
            SearchSource::Mailboxes(names) => names.iter().any(|meant| meant == name),
            SearchSource::Subtree(names) => names.iter().any(|meant| is_below(name, meant)),
            SearchSource::Selected | SearchSource::SubtreeOne(_) => false,
        }
    }
}

/// Whether a name is this one or below it.
pub fn is_below(name: &str, above: &str) -> bool {
    let above = above.trim_end_matches(SEPARATOR);
    name.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(SEPARATOR))
}
