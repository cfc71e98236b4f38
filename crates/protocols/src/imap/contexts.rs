//! Searches whose results are kept up to date (RETURN (UPDATE), CONTEXT=SEARCH, RFC 5267 section 4.3). Only what
//! changed is looked at again, whatever the size of the mailbox and of the result.

use std::collections::BTreeSet;

use bytes::BytesMut;
use sterna_account::{AccountError, UidSet};
use sterna_base::Uid;
use sterna_formats::imap::command::FetchItem;
use sterna_formats::imap::write;

use super::command::fetch;
use super::command::search::Program;
use super::command::search_result;
use super::limits::CONTEXTS_MAX;
use super::picture::Picked;
use super::reply::Fail;
use super::selected::Selected;
use super::session::Session;

/// One of them.
pub struct Context {
    /// Of the search; no other one has the same.
    tag: String,
    /// Whether its client counts in UIDs.
    uid: bool,
    program: Program,
    /// What to fetch of new messages that are found (RFC 5465 section 7).
    items: Vec<FetchItem>,
    /// What the client knows of the result.
    members: BTreeSet<Uid>,
    /// Messages that are to be looked at again.
    open: BTreeSet<Uid>,
}

impl Selected {
    /// Whether a search of this tag is kept up to date.
    pub fn has_context(&self, tag: &str) -> bool {
        self.contexts.iter().any(|context| context.tag == tag)
    }

    /// No more news of these.
    pub fn cancel_contexts(&mut self, tags: &[String]) {
        self.contexts.retain(|context| !tags.contains(&context.tag));
    }
}

impl Session {
    /// Keeps a search up to date from here on; NOUPDATE when there are too many.
    pub fn keep_context(
        &mut self,
        program: Program,
        uid: bool,
        items: Vec<FetchItem>,
        found: &[Picked],
    ) -> Result<(), Fail> {
        let tag = self.tag.clone();
        let selected = self.selected()?;
        if selected.contexts.len() >= CONTEXTS_MAX {
            self.refuse_context("Too many searches are kept up to date");
            return Ok(());
        }
        let members = found.iter().map(|picked| picked.uid).collect();
        selected.contexts.push(Context { tag, uid, program, items, members, open: BTreeSet::new() });
        Ok(())
    }

    /// Says that this search is not kept up to date.
    pub fn refuse_context(&mut self, why: &str) {
        let out = &mut self.io.output;
        out.extend_from_slice(b"* NO [NOUPDATE ");
        write::string(self.tag.as_bytes(), false, out);
        out.extend_from_slice(format!("] {why}\r\n").as_bytes());
    }

    /// Before the client is told what changed: notes what to look at again, and takes those out that are expunged now,
    /// while their numbers still mean something.
    pub fn begin_contexts(&mut self, expunge: bool) {
        let Some(selected) = self.selected.as_mut().filter(|selected| !selected.contexts.is_empty()) else { return };
        let view = selected.view.clone();
        let (picture, position) = (view.picture(), selected.position);
        let changed = picture.changed(position);
        let gone = if expunge { picture.vanished(position) } else { Vec::new() };
        for context in &mut selected.contexts {
            context.open.extend(&changed);
            let mut removed = Vec::new();
            for uid in &gone {
                context.open.remove(uid);
                if context.members.remove(uid) {
                    removed.extend(picture.find(*uid, position));
                }
            }
            context.write("REMOVEFROM", &removed, &mut self.io.output);
        }
    }

    /// After the client was told: looks at what changed and at what is new since `next`.
    ///
    /// # Errors
    /// When the account can't be asked; the next time will do.
    pub async fn update_contexts(&mut self, next: Uid) -> Result<(), AccountError> {
        let Some(selected) = self.selected.as_mut().filter(|selected| !selected.contexts.is_empty()) else {
            return Ok(());
        };
        let (view, position) = (selected.view.clone(), selected.position);
        let new = if position.next > next {
            let range = (next.0, position.next.0.saturating_sub(1));
            view.picture().pick(position, &[range], true, Uid(0), usize::MAX)
        } else {
            Vec::new()
        };
        let mut contexts = std::mem::take(&mut selected.contexts);
        let mut answer = Ok(());
        for context in &mut contexts {
            context.open.extend(new.iter().map(|picked| picked.uid));
            if context.open.is_empty() {
                continue;
            }
            let open: UidSet = context.open.iter().copied().collect();
            match context.program.find_among(self, &open).await {
                Ok(found) => {
                    // Before the result says that they are in it.
                    if !context.items.is_empty() {
                        let new: Vec<Picked> = found.iter().filter(|picked| picked.uid >= next).copied().collect();
                        if let Err(Fail::Account(error)) = fetch::tell(self, &new, context.items.clone()).await {
                            answer = Err(error);
                        }
                    }
                    context.apply(&found, |uid| view.picture().find(uid, position), &mut self.io.output);
                }
                Err(Fail::Account(error)) => answer = Err(error),
                // The client is gone, which the next reading will find out.
                Err(_) => {}
            }
        }
        if let Some(selected) = &mut self.selected {
            selected.contexts = contexts;
        }
        answer
    }
}

impl Context {
    /// Of the messages that were looked at again, these are found.
    fn apply(&mut self, found: &[Picked], of: impl Fn(Uid) -> Option<Picked>, out: &mut BytesMut) {
        let matching: BTreeSet<Uid> = found.iter().map(|picked| picked.uid).collect();
        let open = std::mem::take(&mut self.open);
        let no_more = open.iter().filter(|uid| !matching.contains(uid) && self.members.contains(uid));
        let removed: Vec<Picked> = no_more.filter_map(|uid| of(*uid)).collect();
        for picked in &removed {
            self.members.remove(&picked.uid);
        }
        let added: Vec<Picked> = found.iter().filter(|picked| self.members.insert(picked.uid)).copied().collect();
        self.write("REMOVEFROM", &removed, out);
        self.write("ADDTO", &added, out);
    }

    /// `* ESEARCH (TAG ..) UID ADDTO (0 set)`: in the order of the mailbox, so positions need not be told.
    fn write(&self, item: &str, messages: &[Picked], out: &mut BytesMut) {
        if messages.is_empty() {
            return;
        }
        search_result::correlator(&self.tag, None, out);
        if self.uid {
            out.extend_from_slice(b" UID");
        }
        out.extend_from_slice(format!(" {item} (0 ").as_bytes());
        let number = |picked: &Picked| if self.uid { picked.uid.0 } else { picked.sequence };
        write::sequence_set(messages.iter().map(number), out);
        out.extend_from_slice(b")\r\n");
    }
}
