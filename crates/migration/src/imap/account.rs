//! One account: all its mailboxes, whose rights they give, what is subscribed to.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::first_containers::{SUBSCRIPTIONS, subscription};
use sterna_account::{Account, ContainerKind, Identifier, ItemParts, Mutation, Rights, UidSet, container_named};
use sterna_base::OperationId;
use sterna_base::limits::PAGE_ITEMS_MAX;
use tokio_util::sync::CancellationToken;

use super::client::{Credentials, Session, Source, SourceError};
use super::folders::{SourceFolder, list};
use super::pass::{Pass, is_only};
use super::report::{ImportError, Mode, Report};
use super::state::{FolderState, States};
use super::verify::verify;
use crate::limits::{RETRY_WAIT, TRIES_MAX};
use crate::target::folders::Folders;

/// Who somebody at a source is here.
#[async_trait]
pub trait Identities: Send + Sync {
    /// The one with this login or address there; `None` when there is no such one here.
    async fn identify(&self, name: &str) -> Option<Identifier>;
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
    /// What is left out by explicit choice.
    pub set_aside: Arc<HashSet<String>>,
    /// Who is who.
    pub identities: Arc<dyn Identities>,
    /// Where people are told.
    pub report: Report,
    /// Whether to stop.
    pub stop: CancellationToken,
}

impl AccountImport {
    /// Imports it. Mailboxes that are damaged at the source don't keep the others from being imported.
    ///
    /// # Errors
    /// [`ImportError`]; what was done stays, and is not done again.
    pub async fn run(&self) -> Result<(), ImportError> {
        let stop = self.stop.clone();
        stop.run_until_cancelled(self.all()).await.unwrap_or(Err(ImportError::Stopped))
    }

    async fn all(&self) -> Result<(), ImportError> {
        let host = format!("{}:{}", self.source.host, self.source.port);
        let account = self.account.as_ref();
        let (mut session, listed) = self.listed().await?;
        for name in &listed.nameless {
            let text = format!("{name}: it can't be called so here; rename it at the source");
            if !self.set_aside.contains(name) {
                self.report.with(|report| report.damaged.push(text));
            }
        }
        let mut states = States::read(account, &host, &self.who.login).await?;
        let mut folders = Folders::of(account).await?;
        self.report.with(|report| report.folders = listed.folders.len() as u64);
        if self.mode != Mode::Sweep {
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
                    let text = format!("{}: the source refuses {command}: {text}", folder.shown);
                    self.report.with(|report| report.damaged.push(text));
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
                        self.report.with(|report| report.damaged.push(text.clone()));
                        // If it is gone altogether, that is not this mailbox's fault.
                        *session = self.open().await?;
                        return Err(ImportError::Damaged(text));
                    }
                    tokio::time::sleep(wait).await;
                    *session = self.open().await?;
                    let host = format!("{}:{}", self.source.host, self.source.port);
                    *states = States::read(self.account.as_ref(), &host, &self.who.login).await?;
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
        let mut pass = Pass { account, states, mode: self.mode, report: &self.report, is_set_aside: &is_set_aside };
        let state = pass.run(session, folders, folder).await?;
        if self.mode != Mode::Sweep && session.has("ACL") {
            self.rights(session, folder, &state).await?;
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
            let same: Vec<&FolderState> =
                gone.iter().filter(|state| state.uid_validity == opened.uid_validity).collect();
            let [state] = same[..] else { continue };
            if !renamed.insert(state.raw.clone()) || folders.find(&folder.path).is_some() {
                continue;
            }
            folders.rename(state.container, &folder.path).await?;
            let after = FolderState { raw: folder.raw.clone(), ..state.clone() };
            let steps = vec![states.forget(state), states.note(account, &after).await?];
            account.commit(OperationId::random(), steps).await?;
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

    /// Rights of others (RFC 4314), as far as those are known here.
    async fn rights(
        &self,
        session: &mut Session,
        folder: &SourceFolder,
        state: &FolderState,
    ) -> Result<(), ImportError> {
        let answers = match session.command(&format!("GETACL {}", folder.quoted())).await {
            Ok(answers) => answers,
            // Who may read may not see the rights.
            Err(SourceError::Refused { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let values = answers.data.iter().find(|values| values.first().is_some_and(|word| word.is("ACL")));
        let mut steps = Vec::new();
        for pair in values.map_or(&[][..], |values| values.get(2..).unwrap_or_default()).chunks_exact(2) {
            let (name, letters) = (pair[0].text(), pair[1].text());
            let (negative, name) = name.strip_prefix('-').map_or((false, name), |name| (true, name));
            if name == self.who.login || self.who.master.as_deref() == Some(name) {
                continue;
            }
            let identifier = match name {
                "anyone" => Some(Identifier::Anyone),
                name => self.identities.identify(name).await,
            };
            let known: String = letters.chars().filter(|letter| Rights::LETTERS.contains(*letter)).collect();
            let (Some(identifier), Ok(rights)) = (identifier, Rights::parse(&known)) else {
                self.report.note(format!("{}: {name} has rights there ({letters}), and is nobody here", folder.shown));
                continue;
            };
            let rights = rights - Rights::FREE_BUSY;
            steps.push(Mutation::SetAcl { container: state.container, identifier, negative, rights });
        }
        if !steps.is_empty() {
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
