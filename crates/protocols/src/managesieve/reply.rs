//! Answers: `OK`, `NO` and `BYE`, with the codes of RFC 5804 section 1.3.

use std::borrow::Cow;

use sterna_account::scripts::ScriptError;
use sterna_account::{AccountError, CommitError, StoreError};

use crate::io::Disconnect;

/// Something passes by itself.
pub const TRYLATER: &str = "TRYLATER";

/// What stands behind `NO`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code in parentheses, without them.
    pub code: Option<&'static str>,
    /// The text for people.
    pub text: Cow<'static, str>,
}

impl Refusal {
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Refusal { code: None, text: text.into() }
    }

    pub fn code(self, code: &'static str) -> Self {
        Refusal { code: Some(code), ..self }
    }
}

/// Why a command has no `OK`.
#[derive(Debug)]
pub enum Fail {
    /// The answer is known.
    Refused(Refusal),
    /// The client does what makes no sense; too much of that ends the session.
    Bad(Cow<'static, str>),
    /// The account is not available: the session lives on.
    Account(AccountError),
    /// The client is gone, or must go.
    Disconnect(Disconnect),
}

impl From<Refusal> for Fail {
    fn from(refusal: Refusal) -> Self {
        Fail::Refused(refusal)
    }
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

impl From<ScriptError> for Fail {
    fn from(error: ScriptError) -> Self {
        let refusal = match error {
            ScriptError::Account(error) => return Fail::Account(error),
            ScriptError::NoSuchScript => Refusal::new("There is no script of that name").code("NONEXISTENT"),
            ScriptError::NameTaken => Refusal::new("A script of that name exists").code("ALREADYEXISTS"),
            ScriptError::InvalidName => Refusal::new("A script can't be called so"),
            ScriptError::Active => Refusal::new("The script is active; deactivate it first").code("ACTIVE"),
            ScriptError::TooLarge(most) => {
                Refusal::new(format!("A script can have {most} bytes")).code("QUOTA/MAXSIZE")
            }
            ScriptError::TooMany(most) => Refusal::new(format!("There can be {most} scripts")).code("QUOTA/MAXSCRIPTS"),
            ScriptError::Busy => Refusal::new("The scripts are being changed, please try again").code(TRYLATER),
        };
        Fail::Refused(refusal)
    }
}

/// How a command ends; its `OK` is written by then.
pub type Outcome = Result<(), Fail>;

/// The words for what an account could not do.
pub fn account_refusal(error: &AccountError) -> Refusal {
    match error {
        AccountError::NoSuchAccount(_) => Refusal::new("This account does not exist any more"),
        AccountError::Refused(CommitError::OverQuota) => Refusal::new("The account is full").code("QUOTA"),
        AccountError::Refused(CommitError::Sealed | CommitError::WrongEpoch { .. }) => {
            Refusal::new("Your account is being moved, please try again").code(TRYLATER)
        }
        AccountError::Store(StoreError::DiskFull(_)) => Refusal::new("The server's disk is full").code(TRYLATER),
        AccountError::Unavailable(_)
        | AccountError::Store(StoreError::Io(_) | StoreError::Stopped(_))
        | AccountError::Refused(CommitError::Store(_)) => {
            Refusal::new("Your scripts are not available at the moment, please try again later").code(TRYLATER)
        }
        AccountError::Store(_) | AccountError::Refused(_) => {
            Refusal::new("Your scripts can't be read; the administrator has to look at it")
        }
    }
}
