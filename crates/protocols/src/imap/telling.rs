//! When a session tells its client what others did: with the answers to commands, in IDLE, and at any time when NOTIFY
//! asked for that (RFC 5465).

use sterna_account::AccountError;
use sterna_base::Uid;
use tokio::time::Instant;

use super::command as commands;
use super::reply::Fail;
use super::session::Session;
use super::updates;
use crate::io::Disconnect;

impl Session {
    /// Refreshes the selected mailbox and writes what the client doesn't know.
    pub async fn tell(&mut self, expunge: bool) -> Result<(), AccountError> {
        self.refresh_selected().await?;
        self.tell_selected(expunge).await?;
        self.tell_watched().await?;
        self.tell_metadata().await
    }

    /// The same between commands, when the client may be told at any time.
    async fn tell_between(&mut self, expunge: bool) -> Result<(), AccountError> {
        self.refresh_selected().await?;
        if self.watching.selected.as_ref().is_some_and(|wanted| wanted.messages) {
            self.tell_selected(expunge).await?;
        }
        self.tell_watched().await?;
        self.tell_metadata().await
    }

    /// Writes what the client doesn't know of the selected mailbox, and wants to.
    async fn tell_selected(&mut self, expunge: bool) -> Result<(), AccountError> {
        // What this session did itself it hears of whatever it asked for: answers to commands are such news.
        let is_own = self.selected.as_ref().is_some_and(|selected| {
            self.committed_to(selected.account.as_ref()) > selected.position.flags.min(selected.position.expunges)
        });
        let wanted = self.watching.selected.as_ref().filter(|_| !is_own);
        if wanted.is_some_and(|wanted| !wanted.messages) {
            return Ok(());
        }
        let flags = wanted.is_none_or(|wanted| wanted.flags);
        self.begin_contexts(expunge);
        let mut known = Uid(0);
        if let Some(selected) = &mut self.selected {
            known = selected.position.next;
            updates::write(selected, self.enabled, flags, expunge, &mut self.io.output);
            let next = selected.position.next;
            if next > known && !selected.read_only {
                // Told of here, so not recent for whoever comes later (RFC 3501 section 2.3.2).
                self.shared.registry.claim((selected.account.id(), selected.id), next);
            }
        }
        self.tell_new(known).await?;
        self.update_contexts(known).await
    }

    /// What NOTIFY asked to fetch of messages from this UID on, which the client has just heard of.
    async fn tell_new(&mut self, known: Uid) -> Result<(), AccountError> {
        let Some(wanted) = self.watching.selected.as_ref().filter(|wanted| !wanted.items.is_empty()) else {
            return Ok(());
        };
        let Some(selected) = self.selected.as_ref().filter(|selected| selected.position.next > known) else {
            return Ok(());
        };
        let range = (known.0, selected.position.next.0.saturating_sub(1));
        let new = selected.view.picture().pick(selected.position, &[range], true, Uid(0), usize::MAX);
        let items = wanted.items.clone();
        match commands::fetch::tell(self, &new, items).await {
            Err(Fail::Account(error)) => Err(error),
            // What can't be decoded is not told of; a client that is gone is found out by the next reading.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Tells of news while the client says nothing (RFC 5465 section 3).
    pub async fn wait_and_tell(&mut self) -> Result<(), Disconnect> {
        let end = Instant::now() + self.idle_wait();
        let news = self.watching.news.clone();
        let mut selected = self.selected.as_ref().map(|selected| selected.account.watch());
        let at_once = self.watching.selected.as_ref().is_some_and(|wanted| wanted.at_once);
        while self.io.input.is_empty() {
            if let Some(selected) = &mut selected {
                selected.mark_unchanged();
            }
            if let Err(error) = self.tell_between(at_once).await {
                tracing::debug!(peer = %self.peer, %error, "news could not be told");
            }
            let changed = async {
                match &mut selected {
                    Some(selected) => tokio::select! {
                        Ok(()) = selected.changed() => {}
                        () = news.notified() => {}
                    },
                    None => news.notified().await,
                }
            };
            self.io.fill_or(end.saturating_duration_since(Instant::now()), changed).await?;
        }
        Ok(())
    }
}
