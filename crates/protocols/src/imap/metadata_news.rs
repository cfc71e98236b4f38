//! Entries of METADATA that others changed, told without their values. Who asked by ENABLE (RFC 5464 section 4.4)
//! hears of all mailboxes of the user's own account, of the server, and of the selected mailbox when it is somebody
//! else's; who asked by NOTIFY (RFC 5465 sections 5.6 and 5.7) of those that were meant.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use sterna_account::{Account, AccountError, Change, Container, ContainerKind, Cursor};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, ContainerId, Modseq};
use sterna_formats::imap::notify::Event;
use sterna_formats::imap::write;
use tokio::sync::watch;

use super::command::metadata;
use super::names::Names;
use super::session::Session;

/// Commits of the session itself that are remembered until they are seen among the news.
const OWN_MAX: usize = 1024;

/// What NOTIFY calls such changes.
const METADATA_EVENTS: [Event; 2] = [Event::MailboxMetadataChange, Event::ServerMetadataChange];

/// What a session knows of entries.
#[derive(Default)]
pub struct MetadataNews {
    accounts: HashMap<AccountId, Seen>,
    /// Commits of this session, which needs no news of them.
    own: BTreeSet<(AccountId, Modseq)>,
}

struct Seen {
    modseq: Modseq,
    watch: watch::Receiver<Modseq>,
}

impl MetadataNews {
    /// A commit of this session changed entries.
    pub fn is_own(&mut self, account: AccountId, modseq: Modseq) {
        self.own.insert((account, modseq));
        while self.own.len() > OWN_MAX {
            self.own.pop_first();
        }
    }
}

/// Entries that changed, by what they are about (`None` is the server).
type Changed = BTreeMap<Option<ContainerId>, BTreeSet<String>>;

impl Session {
    /// Writes what others changed since the last time.
    ///
    /// # Errors
    /// When an account can't be asked.
    pub async fn tell_metadata(&mut self) -> Result<(), AccountError> {
        let all = self.enabled.metadata;
        let is_wanted = all || METADATA_EVENTS.iter().any(|event| self.watching.wants(event));
        let Some(own) = self.user.as_ref().filter(|_| is_wanted).map(|user| user.account.clone()) else {
            return Ok(());
        };
        for account in self.others_told_of(&own) {
            let changed = self.changed_entries(&account).await?;
            let named = changed.into_iter().filter_map(|(about, entries)| {
                let name = self.told_name(account.id(), about?, all)?;
                Some((name, entries))
            });
            let named: Vec<_> = named.collect();
            self.write_changed(named);
        }
        let changed = self.changed_entries(&own).await?;
        if changed.is_empty() {
            return Ok(());
        }
        let names = Names::of(&own.containers().await?);
        let names: HashMap<ContainerId, &str> = names.iter().map(|(name, of)| (of.id, name)).collect();
        let named = changed.into_iter().filter_map(|(about, entries)| {
            let name = match about {
                None if all || self.watching.wants(&Event::ServerMetadataChange) => "",
                None => return None,
                Some(id) => names.get(&id)?,
            };
            let events = if name.is_empty() { &[] } else { self.watching.events(name, true) };
            let is_wanted = all || name.is_empty() || events.contains(&Event::MailboxMetadataChange);
            is_wanted.then(|| (name.to_owned(), entries))
        });
        let named: Vec<_> = named.collect();
        self.write_changed(named);
        Ok(())
    }

    /// Accounts of others of which something may be told: that of the selected mailbox, and those that are watched.
    fn others_told_of(&self, own: &Arc<dyn Account>) -> Vec<Arc<dyn Account>> {
        let selected = self.selected.iter().map(|selected| selected.account.clone());
        let watched = self.watching.accounts.iter().map(|watched| watched.mailboxes.account.clone());
        let mut known = HashSet::from([own.id()]);
        selected.chain(watched).filter(|account| known.insert(account.id())).collect()
    }

    /// The name of a mailbox of somebody else, if its entries are told of.
    fn told_name(&self, account: AccountId, id: ContainerId, all: bool) -> Option<String> {
        let selected = self.selected.as_ref().filter(|selected| all && selected.id == id);
        if let Some(selected) = selected.filter(|selected| selected.account.id() == account) {
            return Some(selected.name.clone());
        }
        let watched = self.watching.accounts.iter().find(|watched| watched.mailboxes.account.id() == account)?;
        let name = watched.names.get(&id)?;
        self.watching.events(name, false).contains(&Event::MailboxMetadataChange).then(|| name.clone())
    }

    fn write_changed(&mut self, changed: Vec<(String, BTreeSet<String>)>) {
        let utf8 = self.enabled.utf8;
        for (name, entries) in changed {
            let out: &mut Vec<u8> = &mut self.io.output;
            out.extend_from_slice(b"* METADATA ");
            write::mailbox(&name, utf8, out);
            for entry in entries {
                out.extend_from_slice(b" ");
                write::astring(&entry, utf8, out);
            }
            out.extend_from_slice(b"\r\n");
        }
    }

    /// What changed in an account since the last time; costs what changed there, and nothing when nothing did.
    async fn changed_entries(&mut self, account: &Arc<dyn Account>) -> Result<Changed, AccountError> {
        let (id, known) = (account.id(), self.committed_to(account.as_ref()));
        let Some(seen) = self.metadata_news.accounts.get(&id) else {
            let watch = account.watch();
            let modseq = account.head().await?.modseq;
            self.metadata_news.accounts.insert(id, Seen { modseq, watch });
            return Ok(Changed::new());
        };
        let (since, newest) = (seen.modseq, known.max(*seen.watch.borrow()));
        if newest <= since {
            return Ok(Changed::new());
        }
        let user = self.user.as_ref().map_or(AccountId(0), |user| user.account.id());
        let (mut changed, mut kinds) = (Changed::new(), HashMap::new());
        let mut cursor = Cursor::since(since);
        let head = loop {
            let page = account.changes(cursor, PAGE_ITEMS_MAX).await?;
            for (container, modseq, name) in page.rows.iter().filter_map(named) {
                if self.metadata_news.own.contains(&(id, modseq)) {
                    continue;
                }
                let Some(entry) = metadata::visible(user, name) else { continue };
                let about = match kinds.get(&container) {
                    Some(about) => *about,
                    None => {
                        let about = account.container(container).await?.as_ref().and_then(subject);
                        kinds.insert(container, about);
                        about
                    }
                };
                if let Some(about) = about {
                    changed.entry(about).or_default().insert(entry.to_owned());
                }
            }
            match page.next {
                Some(next) => cursor = next,
                None => break page.head,
            }
        };
        if let Some(seen) = self.metadata_news.accounts.get_mut(&id) {
            seen.modseq = head.max(since);
        }
        self.metadata_news.own.retain(|(of, modseq)| *of != id || *modseq > head);
        Ok(changed)
    }
}

/// A row that may be of an entry: messages have no names.
fn named(change: &Change) -> Option<(ContainerId, Modseq, &str)> {
    match change {
        Change::Item(item) => Some((item.container, item.modseq, item.name.as_deref()?)),
        Change::Expunged(gone) => {
            Some((gone.container, gone.modseq, gone.retained.as_ref().and_then(|retained| retained.name.as_deref())?))
        }
        Change::Container(_) | Change::ContainerDeleted { .. } => None,
    }
}

/// What the entries in a container are about.
fn subject(container: &Container) -> Option<Option<ContainerId>> {
    if container.kind != ContainerKind::Metadata {
        return None;
    }
    if container.name == ContainerKind::about(None) {
        return Some(None);
    }
    container.name.parse().ok().map(|id| Some(ContainerId(id)))
}
