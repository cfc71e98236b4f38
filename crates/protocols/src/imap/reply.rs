//! Tagged answers.

use sterna_account::{AccountError, CommitError, StoreError};

pub use crate::failure::{concerns_operator, is_passing};
use crate::io::Disconnect;

/// The end of a command: what its tagged line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// OK, NO or BAD.
    pub status: &'static str,
    /// The code in brackets, without them.
    pub code: Option<String>,
    /// The text for people.
    pub text: String,
}

impl Reply {
    pub fn ok(text: impl Into<String>) -> Self {
        Reply { status: "OK", code: None, text: text.into() }
    }

    pub fn no(text: impl Into<String>) -> Self {
        Reply { status: "NO", code: None, text: text.into() }
    }

    pub fn bad(text: impl Into<String>) -> Self {
        Reply { status: "BAD", code: None, text: text.into() }
    }

    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }
}

/// Why a command has no ordinary end.
#[derive(Debug)]
pub enum Fail {
    /// The account refused or is not available: the session lives on.
    Account(AccountError),
    /// The client is gone.
    Disconnect(Disconnect),
    /// The answer is known already.
    Reply(Reply),
}

impl From<AccountError> for Fail {
    fn from(error: AccountError) -> Self {
        Fail::Account(error)
    }
}

impl From<Disconnect> for Fail {
    fn from(error: Disconnect) -> Self {
        Fail::Disconnect(error)
    }
}

impl From<Reply> for Fail {
    fn from(reply: Reply) -> Self {
        Fail::Reply(reply)
    }
}

/// What a command ends with.
pub type Outcome = Result<Reply, Fail>;

/// The words for what an account could not do.
pub fn account_reply(error: &AccountError) -> Reply {
    match error {
        AccountError::NoSuchAccount(_) => Reply::no("This account does not exist any more").code("UNAVAILABLE"),
        AccountError::Unavailable(_) => {
            Reply::no("Your mail is not available at the moment, please try again later").code("UNAVAILABLE")
        }
        AccountError::Store(StoreError::DiskFull(_)) => Reply::no("The server's disk is full").code("UNAVAILABLE"),
        AccountError::Store(StoreError::NoSuchContainer(_)) => no_mailbox(),
        AccountError::Store(StoreError::Io(_) | StoreError::Stopped(_) | StoreError::NoSuchAccount(_)) => {
            Reply::no("Your mail can't be read at the moment, please try again later").code("UNAVAILABLE")
        }
        AccountError::Store(
            StoreError::Corrupt(_)
            | StoreError::NoSuchBlob(_)
            | StoreError::NewerFormat { .. }
            | StoreError::OlderFormat { .. },
        ) => Reply::no("Your mail can't be read; the administrator has to look at it").code("SERVERBUG"),
        AccountError::Refused(refusal) => refusal_reply(refusal),
    }
}

/// For a mailbox that isn't there.
pub fn no_mailbox() -> Reply {
    Reply::no("There is no such mailbox").code("NONEXISTENT")
}

fn refusal_reply(refusal: &CommitError) -> Reply {
    match refusal {
        CommitError::WrongEpoch { .. } | CommitError::Sealed => {
            Reply::no("Your mail is being moved, please try again").code("UNAVAILABLE")
        }
        CommitError::NoSuchContainer(_) => no_mailbox(),
        CommitError::NameTaken => Reply::no("A mailbox of that name exists").code("ALREADYEXISTS"),
        CommitError::InvalidName => Reply::no("A mailbox can't have that name").code("CANNOT"),
        CommitError::SpecialUseTaken => Reply::no("Another mailbox has that use").code("USEATTR"),
        CommitError::InboxStays => Reply::no("INBOX can't be deleted or moved").code("CANNOT"),
        CommitError::HasChildren => Reply::no("The mailbox has mailboxes inside it").code("HASCHILDREN"),
        CommitError::Limit(what) => Reply::no(format!("Limit reached: {what}")).code("LIMIT"),
        CommitError::OverQuota => Reply::no("The account is over its quota").code("OVERQUOTA"),
        CommitError::NotEqual
        | CommitError::NoSuchBlob(_)
        | CommitError::Unexpected
        | CommitError::ObjectUidTaken { .. }
        | CommitError::Invalid(_) => Reply::no("The server could not do that").code("SERVERBUG"),
        CommitError::Store(_) => Reply::no("Your mail can't be written at the moment").code("UNAVAILABLE"),
    }
}
