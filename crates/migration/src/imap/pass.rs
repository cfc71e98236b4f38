//! One mailbox, once: new messages, then flags, then what is gone. Where the source can say what changed since the last
//! time, only that is asked (RFC 7162); else all flags are compared.

use std::collections::HashSet;

use sterna_account::{Account, AccountError, CommitError, ContainerKind, SystemFlag, UidSet};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{OperationId, Uid};

use super::apply;
use super::client::{Session, SourceError};
use super::fetch::{self, Fetched};
use super::folders::SourceFolder;
use super::state::{FolderState, States};
use crate::limits::{BATCH_BYTES, BATCH_MESSAGES, REMOVED_MESSAGES_FREE};
use crate::run::report::{ImportError, Mode, Report};
use crate::target::folders::Folders;

/// What a mailbox was when it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// UIDNEXT; zero when it was not told.
    pub uid_next: u32,
    /// HIGHESTMODSEQ; zero when it has none.
    pub highest_modseq: u64,
    /// How many messages it has.
    pub exists: u64,
}

/// Opens a mailbox without changing anything in it.
///
/// # Errors
/// [`SourceError`].
pub async fn open(session: &mut Session, folder: &SourceFolder) -> Result<Opened, SourceError> {
    let with = if session.has("CONDSTORE") || session.has("QRESYNC") { " (CONDSTORE)" } else { "" };
    let answers = session.command(&format!("EXAMINE {}{with}", folder.quoted())).await?;
    let code = |word: &str| answers.code(word).and_then(|text| text.trim().parse::<u64>().ok());
    let small = |word: &str| code(word).and_then(|number| u32::try_from(number).ok());
    let exists = answers.data.iter().find(|values| values.get(1).is_some_and(|word| word.is("EXISTS")));
    let mut opened = Opened {
        uid_validity: small("UIDVALIDITY")
            .filter(|number| *number > 0)
            .ok_or_else(|| SourceError::Protocol(format!("{} has no UIDVALIDITY", folder.shown)))?,
        uid_next: small("UIDNEXT").unwrap_or_default(),
        highest_modseq: code("HIGHESTMODSEQ").unwrap_or_default(),
        exists: exists.and_then(|values| values.first()?.number()).unwrap_or_default(),
    };
    if opened.uid_next == 0 {
        let mut found = 0;
        fetch::each(session, "UID FETCH * (UID)", |fetched: Fetched| found = found.max(fetched.uid)).await?;
        opened.uid_next = found.saturating_add(1);
    }
    Ok(opened)
}

/// One mailbox being read.
pub struct Pass<'a> {
    /// Where it comes to.
    pub account: &'a dyn Account,
    /// What is known of it.
    pub states: &'a mut States,
    /// What for.
    pub mode: Mode,
    /// Where people are told.
    pub report: &'a Report,
    /// Whether most of a mailbox may go at once.
    pub allow_removals: bool,
    /// Whether this is to be left out, by explicit choice: the name of a mailbox, or with `;UID=n` of a message.
    pub is_set_aside: &'a (dyn Fn(&str) -> bool + Send + Sync),
}

impl Pass<'_> {
    /// Reads a mailbox; its state then.
    ///
    /// # Errors
    /// [`ImportError`].
    pub async fn run(
        &mut self,
        session: &mut Session,
        folders: &mut Folders<'_>,
        folder: &SourceFolder,
    ) -> Result<FolderState, ImportError> {
        let opened = open(session, folder).await?;
        let mut state = self.begin(folders, folder, opened).await?;
        self.new_messages(session, folder, &mut state, opened).await?;
        if self.mode != Mode::Sweep {
            self.expunge_outdated(&mut state).await?;
            self.changes(session, folder, &mut state, opened).await?;
        }
        let modseq = if self.mode == Mode::Sweep { state.highest_modseq } else { opened.highest_modseq };
        let to = (folder.shown.as_str(), self.report);
        apply::complete(self.account, self.states, &mut state, (opened.uid_next, modseq), to).await?;
        Ok(state)
    }

    /// What is known of the mailbox, or its beginning: with the source's numbers, where nothing was in it here.
    async fn begin(
        &mut self,
        folders: &mut Folders<'_>,
        folder: &SourceFolder,
        opened: Opened,
    ) -> Result<FolderState, ImportError> {
        let known = self.states.of(&folder.raw).cloned();
        if let Some(mut state) = known
            && let Some(container) = self.account.container(state.container).await?
        {
            if state.uid_validity == opened.uid_validity {
                // What somebody put in here since is not the source's, whatever its number.
                let mut is_own = container.uid_next.0 > state.uid_next;
                // Before anything is changed: clients saw so many changes there.
                let is_behind = opened.highest_modseq >= container.highest_modseq.0 && self.mode != Mode::Sweep;
                if state.is_exact && !is_own && is_behind {
                    let step = apply::numbers(&state, state.uid_next, opened.highest_modseq);
                    match self.account.commit(OperationId::random(), vec![step]).await {
                        Err(AccountError::Refused(CommitError::Unexpected)) => is_own = true,
                        done => _ = done?,
                    }
                }
                if state.is_exact && is_own {
                    state.renumber();
                    self.report.with(|report| report.renumbered.push(folder.shown.clone()));
                }
                return Ok(state);
            }
            self.report.note(format!(
                "{}: the source made it anew (another UIDVALIDITY); its messages come again",
                folder.shown
            ));
            let mut after = self.states.begin(&folder.raw, state.container, opened.uid_validity, false);
            after.granted = state.granted.clone();
            if self.mode != Mode::Sweep {
                let live = self.live(&state).await?;
                let lost = live.len().saturating_sub(usize::try_from(opened.exists).unwrap_or(usize::MAX));
                self.may_remove(folder, lost, live.len())?;
                let mut outdated: Vec<Uid> = live.into_iter().chain(state.outdated.iter()).collect();
                outdated.sort_unstable();
                after.outdated = outdated.into_iter().collect();
            }
            self.states.commit(self.account, Vec::new(), &after).await?;
            return Ok(after);
        }
        let id = folders.target(&folder.path, folder.special_use).await?;
        let container = self.account.container(id).await?;
        let is_new = container.is_some_and(|container| container.uid_next == Uid(1));
        if is_new {
            let state = self.states.begin(&folder.raw, id, opened.uid_validity, true);
            let step = apply::numbers(&state, 1, opened.highest_modseq);
            match self.states.commit(self.account, vec![step], &state).await {
                // Something came into it in between.
                Err(AccountError::Refused(CommitError::Unexpected)) => {}
                done => return Ok(done.map(|_| state)?),
            }
        }
        self.report.with(|report| report.renumbered.push(folder.shown.clone()));
        let state = self.states.begin(&folder.raw, id, opened.uid_validity, false);
        self.states.commit(self.account, Vec::new(), &state).await?;
        Ok(state)
    }

    /// What came before the source made the mailbox anew, now that the new messages are here.
    async fn expunge_outdated(&self, state: &mut FolderState) -> Result<(), ImportError> {
        if state.outdated.is_empty() {
            return Ok(());
        }
        let after = FolderState { outdated: UidSet::default(), ..state.clone() };
        apply::expunges(self.account, state, state.outdated.clone(), self.report).await?;
        self.states.commit(self.account, Vec::new(), &after).await?;
        *state = after;
        Ok(())
    }

    /// A source that lost most of a mailbox doesn't make it be lost here too.
    fn may_remove(&self, folder: &SourceFolder, gone: usize, all: usize) -> Result<(), ImportError> {
        if self.allow_removals || gone <= REMOVED_MESSAGES_FREE || gone * 2 <= all {
            return Ok(());
        }
        let text = format!(
            "{}: {gone} of {all} messages are gone at the source; nothing was expunged here. If that is right, run the \
             import with --allow-removals",
            folder.shown
        );
        self.report.damaged(text.clone());
        Err(ImportError::Damaged(text))
    }

    async fn expunge(&self, folder: &SourceFolder, state: &FolderState, uids: UidSet) -> Result<(), ImportError> {
        let all = self.live(state).await?.len();
        self.may_remove(folder, uids.iter().count(), all)?;
        apply::expunges(self.account, state, uids, self.report).await
    }

    /// The messages here that came from the mailbox.
    async fn live(&self, state: &FolderState) -> Result<Vec<Uid>, ImportError> {
        let (mut found, mut after) = (Vec::new(), Uid(0));
        loop {
            let page = self.account.item_flags(state.container, after, PAGE_ITEMS_MAX).await?;
            let Some(last) = page.last().map(|item| item.uid) else { return Ok(found) };
            found.extend(page.iter().map(|item| item.uid).filter(|uid| state.there(*uid).is_some()));
            after = last;
        }
    }

    async fn new_messages(
        &mut self,
        session: &mut Session,
        folder: &SourceFolder,
        state: &mut FolderState,
        opened: Opened,
    ) -> Result<(), ImportError> {
        if opened.uid_next <= state.uid_next || opened.exists == 0 {
            return Ok(());
        }
        let mut waiting = fetch::sizes(session, state.uid_next).await?;
        waiting.retain(|(uid, _)| *uid < opened.uid_next);
        let mut rest = &waiting[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |(_, size): &&(u32, u64)| {
                bytes += size;
                bytes <= BATCH_BYTES
            };
            let count = rest.iter().take(BATCH_MESSAGES).take_while(fits).count().max(1);
            let (batch, others) = rest.split_at(count);
            let uids: Vec<u32> = batch.iter().map(|(uid, _)| *uid).collect();
            let found = self.bodies(session, folder, &uids).await?;
            apply::messages(self.account, self.states, state, found, (&folder.shown, self.report)).await?;
            rest = others;
        }
        Ok(())
    }

    /// Messages, each of them: what the source lists and can't give is damaged there.
    async fn bodies(
        &self,
        session: &mut Session,
        folder: &SourceFolder,
        uids: &[u32],
    ) -> Result<Vec<Fetched>, ImportError> {
        let mut found = match fetch::bodies(session, uids).await {
            Ok(found) => found,
            Err(SourceError::Refused { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let came: HashSet<u32> = found.iter().map(|one| one.uid).collect();
        for uid in uids.iter().filter(|uid| !came.contains(uid)) {
            let why = match fetch::bodies(session, &[*uid]).await {
                Ok(one) if !one.is_empty() => {
                    found.extend(one);
                    continue;
                }
                Ok(_) => "it is listed, and its content does not come".to_owned(),
                Err(SourceError::Refused { text, .. }) => text,
                Err(error) => return Err(error.into()),
            };
            let mut is_listed = false;
            fetch::each(session, &format!("UID FETCH {uid} (UID)"), |one| is_listed |= one.uid == *uid).await?;
            let name = format!("{};UID={uid}", folder.shown);
            if !is_listed {
            } else if (self.is_set_aside)(&name) {
                self.report.with(|report| report.set_aside.push(name));
            } else {
                let text = format!("{name} can't be read at the source: {why}");
                self.report.damaged(text.clone());
                return Err(ImportError::Damaged(text));
            }
        }
        found.sort_by_key(|one| one.uid);
        Ok(found)
    }

    /// Flags that changed there, and messages that are gone there.
    async fn changes(
        &mut self,
        session: &mut Session,
        folder: &SourceFolder,
        state: &mut FolderState,
        opened: Opened,
    ) -> Result<(), ImportError> {
        let since = state.highest_modseq;
        let has_modseqs = opened.highest_modseq > 0 && since > 0;
        if state.uid_next <= 1 || has_modseqs && since == opened.highest_modseq {
            return Ok(());
        }
        let to = (self.report, folder.shown.as_str());
        let mut changed = Vec::new();
        let all = format!("1:{}", state.uid_next - 1);
        if has_modseqs && session.has("QRESYNC") {
            let text = format!("UID FETCH {all} (UID FLAGS) (CHANGEDSINCE {since} VANISHED)");
            let gone = fetch::each(session, &text, |one| changed.push(one)).await?;
            apply::flag_changes(self.account, state, &changed, (to.1, to.0)).await?;
            let live = self.live(state).await?;
            let is_gone = |uid: &Uid| {
                let there = state.there(*uid).unwrap_or_default();
                gone.iter().any(|(low, high)| (*low..=*high).contains(&there))
            };
            let uids: UidSet = live.into_iter().filter(is_gone).collect();
            return self.expunge(folder, state, uids).await;
        }
        // All that is there: which are gone can't be told otherwise.
        let mut there = HashSet::new();
        if has_modseqs {
            let text = format!("UID FETCH {all} (UID FLAGS) (CHANGEDSINCE {since})");
            fetch::each(session, &text, |one| changed.push(one)).await?;
            fetch::each(session, &format!("UID FETCH {all} (UID)"), |one| _ = there.insert(one.uid)).await?;
        } else {
            fetch::each(session, &format!("UID FETCH {all} (UID FLAGS)"), |one| {
                there.insert(one.uid);
                changed.push(one);
            })
            .await?;
        }
        apply::flag_changes(self.account, state, &changed, (to.1, to.0)).await?;
        let live = self.live(state).await?;
        let is_gone = |uid: &Uid| state.there(*uid).is_none_or(|uid| !there.contains(&uid));
        let uids: UidSet = live.into_iter().filter(is_gone).collect();
        self.expunge(folder, state, uids).await
    }
}

/// Whether a container has no messages that did not come from a mailbox: then it may be deleted with that.
///
/// # Errors
/// When the account can't be read.
pub async fn is_only(account: &dyn Account, state: &FolderState) -> Result<bool, ImportError> {
    let mut after = Uid(0);
    loop {
        let page = account.item_flags(state.container, after, PAGE_ITEMS_MAX).await?;
        let Some(last) = page.last().map(|item| item.uid) else { break };
        if page.iter().any(|item| state.there(item.uid).is_none()) {
            return Ok(false);
        }
        after = last;
    }
    let container = account.container(state.container).await?;
    Ok(container.is_some_and(|found| found.kind == ContainerKind::Mail && found.special_use.is_none()))
}

/// The names of system flags, for people.
pub fn shown_flags(system: u8) -> String {
    let has = SystemFlag::ALL.into_iter().filter(|flag| system & *flag as u8 != 0);
    has.map(SystemFlag::name).collect::<Vec<_>>().join(" ")
}
