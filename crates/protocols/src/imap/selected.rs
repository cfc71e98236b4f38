//! The mailbox that a session has selected.

use std::sync::Arc;

use sterna_account::{Account, Rights};
use sterna_base::{ContainerId, Modseq, Uid};

use super::contexts::Context;
use super::picture::Position;
use super::view::View;

/// A selected mailbox.
pub struct Selected {
    pub view: Arc<View>,
    /// Where it is: the user's account, or that of somebody who shares it.
    pub account: Arc<dyn Account>,
    pub id: ContainerId,
    /// Its name as it was selected: what relative URLs are relative to.
    pub name: String,
    /// What the user may do with it, as of the last refresh.
    pub rights: Rights,
    pub read_only: bool,
    pub position: Position,
    /// Messages from this UID on are recent in this session.
    pub recent_from: Uid,
    /// The result of the last SEARCH with SAVE (RFC 5182).
    pub saved: Vec<Uid>,
    /// Searches that are kept up to date.
    pub contexts: Vec<Context>,
    /// How many keywords the client was told of.
    pub keywords_told: usize,
    /// Commits of this session whose changes of flags need not be told (.SILENT).
    pub silent: Vec<Modseq>,
    session: u64,
}

impl Selected {
    /// Everything that the view has now is known to the session.
    pub fn new(view: Arc<View>, account: Arc<dyn Account>, name: String, rights: Rights, read_only: bool) -> Self {
        let (position, id, keywords_told, session) = {
            let picture = view.picture();
            let (next, synced) = (picture.container.uid_next, picture.synced);
            let position = Position { next, expunges: synced, flags: synced };
            // Entered before anybody can move the picture on: what this session counts must not be forgotten.
            (position, picture.container.id, picture.container.keywords.len(), view.enter(synced))
        };
        let (saved, silent) = (Vec::new(), Vec::new());
        let recent_from = position.next;
        Selected {
            view,
            account,
            id,
            name,
            rights,
            read_only,
            position,
            recent_from,
            saved,
            contexts: Vec::new(),
            keywords_told,
            silent,
            session,
        }
    }

    /// The session was told of expunges up to there.
    pub fn told_expunges(&mut self, modseq: Modseq) {
        self.position.expunges = modseq;
        self.view.told(self.session, modseq);
    }
}

impl Drop for Selected {
    fn drop(&mut self) {
        self.view.leave(self.session);
    }
}
