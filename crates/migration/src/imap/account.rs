//! One account: all its mailboxes, whose rights they give, what is subscribed to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::first_containers::{SUBSCRIPTIONS, subscription};
use sterna_account::{
    Account, AccountError, CommitError, ContainerKind, Identifier, ItemParts, Mutation, Rights, UidSet, container_named,
};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, OperationId};

use super::client::{Credentials, Session, Source, SourceError};
use super::folders::{SourceFolder, list};
use super::pass::{Opened, Pass, is_only};
use super::state::{FolderState, States};
use super::verify::verify;
use crate::limits::{REMOVED_FOLDERS_FREE, RETRY_WAIT, SAMPLE_MESSAGES, TRIES_MAX};
use crate::run::report::{ImportError, Mode, Report};
use crate::target::folders::Folders;

/// Who somebody at a source is here.
#[async_trait]
pub trait Identities: Send + Sync {
    /// The one with this login or address there, for whoever owns an account here; `None` when there is no such one.
    /// `anyone` (RFC 4314 section 3) is everybody of the owner's domain: the source's users are not those of others.
    async fn identify(&self, owner: AccountId, name: &str) -> Option<Identifier>;
}

/// What administrators choose.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// What the source is called, so that it is known again at another address; its host when left out.
    pub source_name: Option<String>,
    /// That it is another one than what came into the account before.
    pub another_source: bool,
    /// That rights of others to mailboxes come too.
    pub rights: bool,
    /// That most of an account may go at once.
    pub allow_removals: bool,
}

/// An account to be imported.
#[derive(Clone)]
pub struct AccountImport {
    /// From where.
    pub source: Source,
    /// As whom.
    pub who: Credentials,
    /// Into what.
    pub account: Arc<dyn Account>,
    /// What for.
    pub mode: Mode,
    /// What is chosen.
    pub choices: Choices,
    /// What is left out by explicit choice.
    pub set_aside: Arc<HashSet<String>>,
    /// Who is who.
    pub identities: Arc<dyn Identities>,
    /// Where people are told.
    pub report: Report,
}

impl AccountImport {
    /// Imports it. Mailboxes that are damaged at the source don't keep the others from being imported.
    ///
    /// # Errors
    /// [`ImportError`]; what was done stays, and is not done again.
    pub async fn run(&self) -> Result<(), ImportError> {
        let account = self.account.as_ref();
        let (mut session, listed) = self.listed().await?;
        for name in &listed.nameless {
            if !self.set_aside.contains(name) {
                self.report.damaged(format!("{name}: it can't be called so here; rename it at the source"));
            }
        }
        let mut states = self.states().await?;
        let mut folders = Folders::of(account).await?;
        self.report.with(|report| report.folders = listed.folders.len() as u64);
        if self.mode != Mode::Sweep {
            self.refuse_shrunk(&states, &listed.folders)?;
            self.follow_names(&mut session, &mut states, &mut folders, &listed.folders).await?;
        }
        for folder in &listed.folders {
            if self.set_aside.contains(&folder.shown) {
                self.report.with(|report| report.set_aside.push(folder.shown.clone()));
                continue;
            }
            self.report.with(|report| report.folder = Some(folder.shown.clone()));
            match self.folder(&mut session, &mut states, &mut folders, folder).await {
                Ok(()) => {}
                // Told in the report; the others go on.
                Err(ImportError::Damaged(_)) => {}
                Err(ImportError::Source(SourceError::Refused { command, text })) => {
                    self.report.damaged(format!("{}: the source refuses {command}: {text}", folder.shown));
                }
                // One odd mailbox doesn't keep the others away; what came after it on this connection can't be trusted.
                Err(ImportError::Source(SourceError::Protocol(text))) => {
                    let remedy = "repair it at the source, or --set-aside it";
                    self.report.damaged(format!("{}: {text}; {remedy}", folder.shown));
                    session = self.open().await?;
                }
                Err(ImportError::Account(AccountError::Refused(why))) if why != CommitError::OverQuota => {
                    let remedy = "rename or --set-aside it";
                    self.report.damaged(format!("{}: it can't be kept here: {why}; {remedy}", folder.shown));
                }
                Err(error) => return Err(error),
            }
            self.report.with(|report| {
                report.folders_done += 1;
                report.folder = None;
            });
        }
        if self.mode != Mode::Sweep {
            self.subscriptions(&listed.folders, &states, &folders).await?;
        }
        session.close().await;
        Ok(())
    }

    async fn states(&self) -> Result<States, ImportError> {
        let name = self.choices.source_name.as_ref().unwrap_or(&self.source.host);
        let states = States::read(self.account.as_ref(), name, &self.who.login).await?;
        if states.all.is_empty() && !states.others.is_empty() && !self.choices.another_source {
            let others: Vec<&str> = states.others.iter().map(String::as_str).collect();
            return Err(ImportError::OtherSource(others.join(", ")));
        }
        Ok(states)
    }

    /// A source that lost its mailboxes doesn't make them be lost here too.
    fn refuse_shrunk(&self, states: &States, listed: &[SourceFolder]) -> Result<(), ImportError> {
        if self.choices.allow_removals {
            return Ok(());
        }
        if !listed.iter().any(|folder| folder.path == ["INBOX"]) {
            return Err(ImportError::Shrunk("the source lists no INBOX".to_owned()));
        }
        let raw: HashSet<&[u8]> = listed.iter().map(|folder| folder.raw.as_slice()).collect();
        let (gone, all) = (states.all.iter().filter(|state| !raw.contains(&state.raw[..])).count(), states.all.len());
        // Renamed ones are gone under their old names, and listed under others.
        let gone = gone.min(all.saturating_sub(listed.len()));
        if gone > REMOVED_FOLDERS_FREE && gone * 2 > all {
            return Err(ImportError::Shrunk(format!("{gone} of {all} mailboxes are gone at the source")));
        }
        Ok(())
    }

    async fn open(&self) -> Result<Session, ImportError> {
        let (mut tries, mut wait) = (0, RETRY_WAIT);
        loop {
            tries += 1;
            match Session::open(&self.source, &self.who).await {
                Ok(session) => return Ok(session),
                Err(error) if error.is_temporary() && tries < TRIES_MAX => tokio::time::sleep(wait).await,
                Err(error) => return Err(error.into()),
            }
            wait *= 2;
        }
    }

    async fn listed(&self) -> Result<(Session, super::folders::SourceFolders), ImportError> {
        let mut session = self.open().await?;
        let listed = list(&mut session).await?;
        Ok((session, listed))
    }

    /// One mailbox, again with another connection as long as something comes.
    async fn folder(
        &self,
        session: &mut Session,
        states: &mut States,
        folders: &mut Folders<'_>,
        folder: &SourceFolder,
    ) -> Result<(), ImportError> {
        let (mut tries, mut wait, mut came) = (0, RETRY_WAIT, self.report.now().messages);
        loop {
            match self.once(session, states, folders, folder).await {
                Err(error) if error.is_temporary() => {
                    let now = self.report.now().messages;
                    (tries, wait) = if now > came { (1, RETRY_WAIT) } else { (tries + 1, wait * 2) };
                    came = now;
                    tracing::info!(login = self.who.login, folder = folder.shown, %error, "an import goes on");
                    if tries >= TRIES_MAX {
                        let text = format!("{}: the source fails each time it is read: {error}", folder.shown);
                        self.report.damaged(text.clone());
                        // If it is gone altogether, that is not this mailbox's fault.
                        *session = self.open().await?;
                        return Err(ImportError::Damaged(text));
                    }
                    tokio::time::sleep(wait).await;
                    *session = self.open().await?;
                    *states = self.states().await?;
                }
                done => return done,
            }
        }
    }

    async fn once(
        &self,
        session: &mut Session,
        states: &mut States,
        folders: &mut Folders<'_>,
        folder: &SourceFolder,
    ) -> Result<(), ImportError> {
        let account = self.account.as_ref();
        let is_set_aside = |name: &str| self.set_aside.contains(name);
        let (mode, report, allow_removals) = (self.mode, &self.report, self.choices.allow_removals);
        let mut pass = Pass { account, states, mode, report, allow_removals, is_set_aside: &is_set_aside };
        let mut state = pass.run(session, folders, folder).await?;
        if self.mode != Mode::Sweep && self.choices.rights && session.has("ACL") {
            self.rights(session, folder, states, &mut state).await?;
        }
        if self.mode == Mode::Final {
            verify(account, session, folder, &state, &self.report).await?;
        }
        states.all.retain(|other| other.raw != state.raw);
        states.all.push(state);
        Ok(())
    }

    /// Mailboxes that have another name there are given it here; those that are gone are deleted, when nothing but what
    /// came from there is in them.
    async fn follow_names(
        &self,
        session: &mut Session,
        states: &mut States,
        folders: &mut Folders<'_>,
        listed: &[SourceFolder],
    ) -> Result<(), ImportError> {
        let is_listed = |state: &FolderState| listed.iter().any(|folder| folder.raw == state.raw);
        let gone: Vec<FolderState> = states.all.iter().filter(|state| !is_listed(state)).cloned().collect();
        if gone.is_empty() {
            return Ok(());
        }
        let account = self.account.as_ref();
        let mut renamed = HashSet::new();
        for folder in listed.iter().filter(|folder| states.of(&folder.raw).is_none()).cloned().collect::<Vec<_>>() {
            // What can't be opened is told when its turn comes.
            let Ok(opened) = super::pass::open(session, &folder).await else { continue };
            let Some(state) = self.same(session, &gone, opened).await? else { continue };
            let mut steps = Vec::new();
            match folders.find(&folder.path) {
                // It came along with the one above it.
                Some(found) if found.id == state.container => {}
                Some(_) => continue,
                None => steps.push(folders.rename_step(state.container, &folder.path).await?),
            }
            if !renamed.insert(state.raw.clone()) {
                continue;
            }
            let after = FolderState { raw: folder.raw.clone(), ..state.clone() };
            steps.push(states.forget(state));
            states.commit(account, steps, &after).await?;
            folders.again().await?;
            states.all.retain(|other| other.raw != state.raw);
            states.all.push(after);
        }
        // Children before their parents.
        let mut deleted: Vec<&FolderState> = gone.iter().filter(|state| !renamed.contains(&state.raw)).collect();
        deleted.sort_by_key(|state| std::cmp::Reverse(state.raw.len()));
        for state in deleted {
            let path = folders.path(state.container);
            let is_done = folders.get(state.container).is_none()
                || is_only(account, state).await? && folders.delete(state.container).await?;
            if is_done {
                account.commit(OperationId::random(), vec![states.forget(state)]).await?;
            } else {
                self.report.note(format!("{path}: it is gone at the source, and stays here"));
            }
        }
        Ok(())
    }

    /// The one of these that is open under another name: UIDVALIDITY alone is often the time of making it, and that of
    /// several. Messages that both have must have the same lengths, and there must be some.
    async fn same<'a>(
        &self,
        session: &mut Session,
        gone: &'a [FolderState],
        opened: Opened,
    ) -> Result<Option<&'a FolderState>, ImportError> {
        let may_be = |state: &&FolderState| {
            state.uid_validity == opened.uid_validity && opened.uid_next >= state.uid_next && opened.exists > 0
        };
        let candidates: Vec<&FolderState> = gone.iter().filter(may_be).collect();
        if candidates.is_empty() {
            return Ok(None);
        }
        let there: HashMap<u32, u64> = super::fetch::sizes(session, 1).await?.into_iter().collect();
        let mut same = Vec::new();
        for state in candidates {
            let parts = ItemParts::default();
            let items = self.account.items(state.container, &UidSet::all(), parts, SAMPLE_MESSAGES).await?;
            let both = items.iter().filter_map(|item| Some((there.get(&state.there(item.uid)?)?, item.size)));
            let lengths: Vec<bool> = both.map(|(there, here)| *there == here).collect();
            if !lengths.is_empty() && lengths.iter().all(|is_equal| *is_equal) {
                same.push(state);
            }
        }
        Ok(if let [state] = same[..] { Some(state) } else { None })
    }

    /// Rights of others (RFC 4314), as far as those are known here. What came before and is no more there goes.
    async fn rights(
        &self,
        session: &mut Session,
        folder: &SourceFolder,
        states: &States,
        state: &mut FolderState,
    ) -> Result<(), ImportError> {
        let answers = match session.command(&format!("GETACL {}", folder.quoted())).await {
            Ok(answers) => answers,
            // Who may read may not see the rights.
            Err(SourceError::Refused { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let values = answers.data.iter().find(|values| values.first().is_some_and(|word| word.is("ACL")));
        let Some(values) = values else { return Ok(()) };
        let (mut steps, mut granted) = (Vec::new(), Vec::new());
        for pair in values.get(2..).unwrap_or_default().chunks_exact(2) {
            let (name, letters) = (pair[0].text(), pair[1].text());
            let (negative, name) = name.strip_prefix('-').map_or((false, name), |name| (true, name));
            if name == self.who.login || self.who.master.as_deref() == Some(name) {
                continue;
            }
            let identifier = self.identities.identify(self.account.id(), name).await;
            let known: String = letters.chars().filter(|letter| Rights::LETTERS.contains(*letter)).collect();
            let (Some(identifier), Ok(rights)) = (identifier, Rights::parse(&known)) else {
                self.report.note(format!("{}: {name} has rights there ({letters}), and is nobody here", folder.shown));
                continue;
            };
            let rights = rights - Rights::FREE_BUSY;
            granted.push((identifier, negative));
            steps.push(Mutation::SetAcl { container: state.container, identifier, negative, rights });
        }
        for (identifier, negative) in state.granted.iter().filter(|entry| !granted.contains(entry)).copied() {
            let rights = Rights::default();
            steps.push(Mutation::SetAcl { container: state.container, identifier, negative, rights });
        }
        if granted != state.granted {
            let after = FolderState { granted, ..state.clone() };
            states.commit(self.account.as_ref(), steps, &after).await?;
            *state = after;
        } else if !steps.is_empty() {
            self.account.commit(OperationId::random(), steps).await?;
        }
        Ok(())
    }

    async fn subscriptions(
        &self,
        listed: &[SourceFolder],
        states: &States,
        folders: &Folders<'_>,
    ) -> Result<(), ImportError> {
        let account = self.account.as_ref();
        let container = container_named(account, ContainerKind::Subscriptions, SUBSCRIPTIONS).await?.id;
        let items = account.items(container, &UidSet::all(), ItemParts::default(), PAGE_ITEMS_MAX).await?;
        let known: HashSet<String> = items.into_iter().filter_map(|item| item.name).collect();
        let subscribed = listed.iter().filter(|folder| folder.is_subscribed);
        let names = subscribed.filter_map(|folder| Some(folders.path(states.of(&folder.raw)?.container)));
        let steps: Vec<Mutation> =
            names.filter(|name| !known.contains(name)).map(|name| subscription(container, name)).collect();
        if !steps.is_empty() {
            account.commit(OperationId::random(), steps).await?;
        }
        Ok(())
    }
}
