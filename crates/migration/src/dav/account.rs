//! One account: all its calendars, task lists and address books.

use std::sync::Arc;

use bytes::Bytes;
use sterna_account::calendars::default_calendar;
use sterna_account::commit::Expect;
use sterna_account::{
    Account, AccountError, CommitError, Container, ContainerKind, Content, Mutation, NewItem, container_named,
};
use sterna_base::{OperationId, Secret};
use sterna_formats::calendar::facts::Kind;

use super::client::{Client, DavSource};
use super::discover::{SourceCollection, discover};
use super::note::Notes;
use super::pass::Pass;
use crate::imap::account::Choices;
use crate::objects::Objects;
use crate::run::error::SourceError;
use crate::run::report::{ImportError, Mode, Report};

/// Names that are tried for a collection whose own is taken.
const NAMES_TRIED_MAX: usize = 100;

/// An account to be imported.
#[derive(Clone)]
pub struct DavImport {
    /// From where.
    pub source: DavSource,
    /// As whom.
    pub login: String,
    /// That one's password.
    pub password: Secret,
    /// Into what.
    pub account: Arc<dyn Account>,
    /// Who knows objects.
    pub objects: Arc<dyn Objects>,
    /// What for.
    pub mode: Mode,
    /// What is chosen.
    pub choices: Choices,
    /// Where people are told.
    pub report: Report,
}

impl DavImport {
    /// Imports it. Collections that the source can't give don't keep the others from being imported.
    ///
    /// # Errors
    /// [`ImportError`]; what was done stays, and is not done again.
    pub async fn run(&self) -> Result<(), ImportError> {
        let mut client = Client::new(self.source.clone(), &self.login, &self.password);
        let found = discover(&mut client, self.source.url.path()).await?;
        let mut notes = self.notes().await?;
        found.passed_over.into_iter().for_each(|text| self.report.note(text));
        self.report.with(|report| report.folders = found.collections.len() as u64);
        for path in notes.all.keys().filter(|path| !found.collections.iter().any(|there| there.path == **path)) {
            self.report.note(format!("{path} is gone at the source; what came from it stays here"));
        }
        for there in &found.collections {
            self.report.with(|report| report.folder = Some(there.name.clone()));
            match self.collection(&mut client, &mut notes, there).await {
                Ok(()) => {}
                Err(ImportError::Source(SourceError::Refused { command, text })) => {
                    self.report.damaged(format!("{}: the source refuses {command}: {text}", there.name));
                }
                // One odd collection doesn't keep the others away.
                Err(ImportError::Source(SourceError::Protocol(text))) => {
                    self.report.damaged(format!("{}: {text}; repair it at the source", there.name));
                }
                Err(ImportError::Account(AccountError::Refused(why))) if why != CommitError::OverQuota => {
                    self.report.damaged(format!("{}: it can't be kept here: {why}", there.name));
                }
                Err(error) => return Err(error),
            }
            self.report.with(|report| report.folders_done += 1);
        }
        Ok(())
    }

    async fn notes(&self) -> Result<Notes, ImportError> {
        let name = self.choices.source_name.as_deref().unwrap_or(self.source.host());
        let notes = Notes::read(self.account.as_ref(), name, &self.login).await?;
        if notes.all.is_empty() && !notes.others.is_empty() && !self.choices.another_source {
            let others: Vec<&str> = notes.others.iter().map(String::as_str).collect();
            return Err(ImportError::OtherSource(others.join(", ")));
        }
        Ok(notes)
    }

    async fn collection(
        &self,
        client: &mut Client,
        notes: &mut Notes,
        there: &SourceCollection,
    ) -> Result<(), ImportError> {
        let here = self.place(notes, there).await?;
        let pass = Pass {
            account: self.account.as_ref(),
            objects: self.objects.as_ref(),
            mode: self.mode,
            allow_removals: self.choices.allow_removals,
            report: &self.report,
        };
        pass.run(client, notes, there, &here).await
    }

    /// Where a collection comes to: where it came before, to the one that everybody has from the beginning, to one that
    /// is called so, or to a new one.
    async fn place(&self, notes: &Notes, there: &SourceCollection) -> Result<Container, ImportError> {
        let account = self.account.as_ref();
        if let Some(note) = notes.all.get(&there.path)
            && let Some(found) = account.container(note.container).await?
        {
            return Ok(found);
        }
        let first = if there.is_first { first_of(account, there.kind).await? } else { None };
        if let Some(first) = first.filter(|first| !notes.is_taken(first.id, &there.path)) {
            self.describe(&first, there).await?;
            return Ok(first);
        }
        for number in 1..=NAMES_TRIED_MAX {
            let name = if number == 1 { there.name.clone() } else { format!("{} ({number})", there.name) };
            let found = container_named(account, there.kind, &name).await;
            match found {
                Ok(found) if !notes.is_taken(found.id, &there.path) => {
                    self.describe(&found, there).await?;
                    return Ok(found);
                }
                // A calendar can't be called like a list of tasks.
                Ok(_) | Err(AccountError::Refused(CommitError::NameTaken)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ImportError::Account(AccountError::Refused(CommitError::NameTaken)))
    }

    /// Sets what the source says about a collection and nobody has set here: its colour, its place, what it is for.
    async fn describe(&self, here: &Container, there: &SourceCollection) -> Result<(), AccountError> {
        let account = self.account.as_ref();
        let about = ContainerKind::about(Some(here.id));
        let container = container_named(account, ContainerKind::Metadata, &about).await?.id;
        for (name, xml) in &there.properties {
            let item = NewItem::named(format!("dav:{name}"), Content::Inline(Bytes::from(xml.clone())));
            let step = Mutation::Put { container, item, expect: Expect::Absent };
            match account.commit(OperationId::random(), vec![step]).await {
                Ok(_) | Err(AccountError::Refused(CommitError::Unexpected | CommitError::InvalidName)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The one that everybody has from the beginning.
async fn first_of(account: &dyn Account, kind: ContainerKind) -> Result<Option<Container>, AccountError> {
    Ok(match kind {
        ContainerKind::Calendar => Some(default_calendar(account, Kind::Event).await?),
        ContainerKind::Tasks => Some(default_calendar(account, Kind::Task).await?),
        ContainerKind::AddressBook => Some(container_named(account, kind, "Contacts").await?),
        _ => None,
    })
}
