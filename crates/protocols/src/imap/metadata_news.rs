//! Entries of METADATA that others changed, told without their values to who asked by ENABLE (RFC 5464 section 4.4): of
//! all mailboxes of the user's own account, of the server, and of the selected mailbox when it is somebody else's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::BytesMut;
use sterna_account::{Account, AccountError, Change, Container, ContainerKind, Cursor};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, ContainerId, Modseq};
use sterna_formats::imap::write;
use tokio::sync::watch;

use super::command::metadata;
use super::names::Names;
use super::session::Session;

/// Commits of the session itself that are remembered until they are seen among the news.
const OWN_MAX: usize = 1024;

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
        let Some(own) = self.user.as_ref().filter(|_| self.enabled.metadata).map(|user| user.account.clone()) else {
            return Ok(());
        };
        let selected = self.selected.as_ref().filter(|selected| selected.account.id() != own.id());
        let selected = selected.map(|selected| (selected.account.clone(), selected.id, selected.name.clone()));
        if let Some((account, id, name)) = selected {
            let mut changed = self.changed_entries(&account).await?;
            changed.retain(|about, _| *about == Some(id));
            self.write_changed(&changed, |_| Some(name.clone()));
        }
        let changed = self.changed_entries(&own).await?;
        if changed.is_empty() {
            return Ok(());
        }
        let names = Names::of(&own.containers().await?);
        let names: HashMap<ContainerId, String> = names.iter().map(|(name, of)| (of.id, name.to_owned())).collect();
        self.write_changed(&changed, |about| about.map_or(Some(String::new()), |id| names.get(&id).cloned()));
        Ok(())
    }

    fn write_changed(&mut self, changed: &Changed, name_of: impl Fn(Option<ContainerId>) -> Option<String>) {
        let utf8 = self.enabled.utf8;
        for (about, entries) in changed {
            let Some(name) = name_of(*about) else { continue };
            let out: &mut BytesMut = &mut self.io.output;
            out.extend_from_slice(b"* METADATA ");
            write::mailbox(&name, utf8, out);
            for entry in entries {
                out.extend_from_slice(b" ");
                write::astring(entry, utf8, out);
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
