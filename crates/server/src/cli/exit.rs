//! Exit codes: those of sysexits where callers (mail servers, cron, scripts) know them.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was asked.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The command line is wrong, or what it asks for can't be.
    Usage = 2,
    /// Everything was already so.
    NothingToDo = 3,
    /// The node doesn't answer (EX_UNAVAILABLE).
    Unreachable = 69,
    /// It may work later (EX_TEMPFAIL).
    TryLater = 75,
    /// The caller may not do that (EX_NOPERM).
    NotAllowed = 77,
    /// The configuration is wrong (EX_CONFIG).
    BadConfig = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
