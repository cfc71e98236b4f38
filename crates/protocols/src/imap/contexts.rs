//! Searches whose results are kept up to date (RETURN (UPDATE), CONTEXT=SEARCH and CONTEXT=SORT, RFC 5267 section 4.3).
//! Only what changed is looked at again, whatever the size of the mailbox and of the result.

use std::collections::{BTreeSet, HashMap};

use sterna_account::{AccountError, UidSet};
use sterna_base::Uid;
use sterna_formats::imap::command::FetchItem;
use sterna_formats::imap::write;

use super::command::fetch;
use super::command::search::Program;
use super::command::search_result;
use super::command::sort;
use super::order::{Key, Order};
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
    /// Of a SORT: where they stand.
    order: Option<Order>,
    /// Messages that are to be looked at again.
    open: BTreeSet<Uid>,
    /// Its client was told that there will be no more news.
    is_over: bool,
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
        order: Option<Order>,
    ) -> Result<(), Fail> {
        let tag = self.tag.clone();
        let most = self.io.limits.imap_contexts;
        let selected = self.selected()?;
        if selected.contexts.len() as u64 >= most {
            self.refuse_context("Too many searches are kept up to date");
            return Ok(());
        }
        let members = found.iter().map(|picked| picked.uid).collect();
        selected.contexts.push(Context {
            tag,
            uid,
            program,
            items,
            members,
            order,
            open: BTreeSet::new(),
            is_over: false,
        });
        Ok(())
    }

    /// Says that this search is not kept up to date.
    pub fn refuse_context(&mut self, why: &str) {
        refuse(&self.tag, why, &mut self.io.output);
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
            context.tell_removed(&removed, &mut self.io.output);
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
                    match context.keys_of_new(self, &found).await {
                        Ok(keys) => {
                            let of = |uid| view.picture().find(uid, position);
                            context.apply(&found, keys, of, &mut self.io.output);
                        }
                        Err(Fail::Account(error)) => answer = Err(error),
                        Err(_) => {}
                    }
                }
                Err(Fail::Account(error)) => answer = Err(error),
                // The client is gone, which the next reading will find out.
                Err(_) => {}
            }
        }
        contexts.retain(|context| !context.is_over);
        if let Some(selected) = &mut self.selected {
            selected.contexts = contexts;
        }
        answer
    }
}

impl Context {
    /// Of a SORT, the keys of the messages that are found and were not before.
    async fn keys_of_new(&self, session: &mut Session, found: &[Picked]) -> Result<Option<Vec<(Key, Picked)>>, Fail> {
        let Some(order) = &self.order else { return Ok(None) };
        let new: Vec<Picked> = found.iter().filter(|picked| !self.members.contains(&picked.uid)).copied().collect();
        Ok(Some(sort::keys(session, &new, order.criteria(), &HashMap::new()).await?))
    }

    /// Of the messages that were looked at again, these are found; those with keys are new in a SORT.
    fn apply(
        &mut self,
        found: &[Picked],
        keys: Option<Vec<(Key, Picked)>>,
        of: impl Fn(Uid) -> Option<Picked>,
        out: &mut Vec<u8>,
    ) {
        let matching: BTreeSet<Uid> = found.iter().map(|picked| picked.uid).collect();
        let open = std::mem::take(&mut self.open);
        let no_more = open.iter().filter(|uid| !matching.contains(uid) && self.members.contains(uid));
        let removed: Vec<Picked> = no_more.filter_map(|uid| of(*uid)).collect();
        for picked in &removed {
            self.members.remove(&picked.uid);
        }
        self.tell_removed(&removed, out);
        let Some((order, keys)) = self.order.as_mut().zip(keys) else {
            let added: Vec<Picked> = found.iter().filter(|picked| self.members.insert(picked.uid)).copied().collect();
            return self.write("ADDTO", 0, &added, out);
        };
        self.members.extend(keys.iter().map(|(_, picked)| picked.uid));
        match order.add(keys) {
            Some(runs) => runs.iter().for_each(|(position, run)| self.write("ADDTO", *position, run, out)),
            None => {
                refuse(&self.tag, "The sorted results that are kept up to date have become too long", out);
                self.is_over = true;
            }
        }
    }

    fn tell_removed(&mut self, removed: &[Picked], out: &mut Vec<u8>) {
        match &mut self.order {
            None => self.write("REMOVEFROM", 0, removed, out),
            Some(order) => {
                let runs = order.remove(removed);
                runs.iter().for_each(|(position, run)| self.write("REMOVEFROM", *position, run, out));
            }
        }
    }

    /// `* ESEARCH (TAG ..) UID ADDTO (n set)`: a position of 0 is for results in the order of the mailbox. One answer
    /// for each run: clients do them in their order (RFC 5267 section 4.3.2).
    fn write(&self, item: &str, position: u32, messages: &[Picked], out: &mut Vec<u8>) {
        if messages.is_empty() {
            return;
        }
        search_result::correlator(&self.tag, None, out);
        if self.uid {
            out.extend_from_slice(b" UID");
        }
        out.extend_from_slice(format!(" {item} ({position} ").as_bytes());
        let number = |picked: &Picked| if self.uid { picked.uid.0 } else { picked.sequence };
        write::sequence_set(messages.iter().map(number), out);
        out.extend_from_slice(b")\r\n");
    }
}

/// `* NO [NOUPDATE "tag"]`
fn refuse(tag: &str, why: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"* NO [NOUPDATE ");
    write::string(tag.as_bytes(), false, out);
    out.extend_from_slice(format!("] {why}\r\n").as_bytes());
}
