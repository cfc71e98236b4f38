//! Answers that begin with `-ERR`, with the codes of RFC 2449 section 8 and RFC 3206.
//!
//! There is no `[IN-USE]`: no session locks anybody out.

use std::borrow::Cow;

use sterna_account::{AccountError, CommitError, StoreError};

use crate::io::Disconnect;

/// It is the client's name or password: it may ask its user for them.
pub const AUTH: &str = "AUTH";

/// It passes by itself.
pub const SYS_TEMP: &str = "SYS/TEMP";

/// Somebody has to do something.
pub const SYS_PERM: &str = "SYS/PERM";

/// What stands behind `-ERR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code in brackets, without them.
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

/// Why a command has no `+OK`.
#[derive(Debug)]
pub enum Fail {
    /// The answer is known.
    Refused(Refusal),
    /// The client does what makes no sense; too much of that ends the session.
    Bad(Cow<'static, str>),
    /// The account refused or is not available: the session lives on.
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

/// How a command ends; its `+OK` is written by then.
pub type Outcome = Result<(), Fail>;

/// The words for what an account could not do.
pub fn account_refusal(error: &AccountError) -> Refusal {
    match error {
        AccountError::NoSuchAccount(_) => Refusal::new("This account does not exist any more").code(SYS_PERM),
        AccountError::Unavailable(_) => {
            Refusal::new("Your mail is not available at the moment, please try again later").code(SYS_TEMP)
        }
        AccountError::Refused(CommitError::Sealed | CommitError::WrongEpoch { .. }) => {
            Refusal::new("Your mail is being moved, please try again").code(SYS_TEMP)
        }
        AccountError::Store(StoreError::DiskFull(_)) => Refusal::new("The server's disk is full").code(SYS_TEMP),
        AccountError::Store(StoreError::Io(_) | StoreError::Stopped(_))
        | AccountError::Refused(CommitError::Store(_)) => {
            Refusal::new("Your mail can't be read or written at the moment, please try again later").code(SYS_TEMP)
        }
        AccountError::Store(_) | AccountError::Refused(_) => {
            Refusal::new("Your mail can't be read; the administrator has to look at it").code(SYS_PERM)
        }
    }
}
