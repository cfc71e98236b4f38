//! What became of an import, while it runs and afterwards.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sterna_account::AccountError;

use super::error::SourceError;
use crate::limits::NOTES_MAX;

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ImportMode")]
pub enum Mode {
    /// While the source is in use: everything becomes here as it is there.
    Pass,
    /// After nobody writes at the source any more: the same, and then every message is compared.
    Final,
    /// After users work here: only messages that came to the source since the last pass are brought, and nothing here
    /// is changed or expunged.
    Sweep,
}

/// How far an account is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ImportStage")]
pub enum Stage {
    /// Others come first.
    #[default]
    Waiting,
    /// It is being read.
    Running,
    /// All of it was done.
    Done,
    /// Parts of it were not; the others were.
    Incomplete,
    /// It ended with an error.
    Failed,
    /// Somebody stopped it.
    Stopped,
}

/// One account of an import.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
pub struct AccountReport {
    /// Whose mail is read there.
    pub login: String,
    /// Whose account it comes into.
    pub target: String,
    /// How far it is.
    pub stage: Stage,
    /// The mailbox that is being read.
    pub folder: Option<String>,
    /// Mailboxes at the source.
    pub folders: u64,
    /// Those that are done.
    pub folders_done: u64,
    /// Messages that came.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages whose flags were changed.
    pub flags: u64,
    /// Messages that were expunged because they are gone at the source.
    pub expunged: u64,
    /// Mailboxes whose UIDs are others here, because something was in them before.
    pub renumbered: Vec<String>,
    /// Mailboxes and messages that the source has and can't give. They are left out only by explicit choice.
    pub damaged: Vec<String>,
    /// Those that were left out so.
    pub set_aside: Vec<String>,
    /// What else people should know.
    pub notes: Vec<String>,
    /// Notes beyond [`NOTES_MAX`], which are only counted.
    pub notes_untold: u64,
    /// Messages that were compared in the end.
    pub compared: u64,
    /// Where they differed.
    pub differences: Vec<String>,
    /// What ended it.
    pub error: Option<String>,
}

/// The report of an account that is being written.
#[derive(Clone, Default)]
pub struct Report(Arc<Mutex<AccountReport>>);

impl Report {
    /// Of this account.
    pub fn new(login: &str, target: &str) -> Self {
        let report = AccountReport { login: login.to_owned(), target: target.to_owned(), ..AccountReport::default() };
        Report(Arc::new(Mutex::new(report)))
    }

    /// As it is now.
    pub fn now(&self) -> AccountReport {
        self.0.lock().clone()
    }

    /// Changes it.
    pub fn with(&self, change: impl FnOnce(&mut AccountReport)) {
        change(&mut self.0.lock());
    }

    /// Tells people something, once.
    pub fn note(&self, text: String) {
        self.with(|report| {
            if report.notes.contains(&text) {
            } else if report.notes.len() < NOTES_MAX {
                report.notes.push(text);
            } else {
                report.notes_untold += 1;
            }
        });
    }

    /// Something that the source has, and that can't be had from there or kept here.
    pub fn damaged(&self, text: String) {
        self.with(|report| report.damaged.push(text));
    }

    /// A message, or a mailbox, that differs.
    pub fn difference(&self, text: String) {
        self.with(|report| {
            if report.differences.len() < NOTES_MAX {
                report.differences.push(text);
            }
        });
    }
}

/// Why a mailbox, or an account, was not imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The source's fault.
    #[error("the source: {0}")]
    Source(#[from] SourceError),
    /// The account's here.
    #[error("the account here: {0}")]
    Account(#[from] AccountError),
    /// A mailbox, or messages of it, can't be read at the source; told in its report.
    #[error("{0}")]
    Damaged(String),
    /// What came into the account before came from elsewhere.
    #[error(
        "mail of {0} came into this account before; if this is that server, give it that name with --source-name, if it \
         is another one, say --another-source"
    )]
    OtherSource(String),
    /// The source lost most of what it had.
    #[error("{0}; nothing was deleted here; if that is right, run the import with --allow-removals")]
    Shrunk(String),
    /// Somebody stopped it.
    #[error("it was stopped")]
    Stopped,
}

impl ImportError {
    /// Whether the same may go well with another connection.
    pub fn is_temporary(&self) -> bool {
        matches!(self, ImportError::Source(error) if error.is_temporary())
    }
}
