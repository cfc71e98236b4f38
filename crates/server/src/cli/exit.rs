//! Exit codes: those of sysexits where callers (mail servers, cron, scripts) know them.

use std::process::ExitCode;

/// What the exit codes mean, for the help text and the man page.
pub const HELP: &str = "\
Exit codes:
  0   done
  1   failed, or something was found (status, check)
  2   the command line is wrong, or what it asks for can't be
  3   it was already so; nothing to do
  69  the node does not answer
  75  it may work later
  77  not allowed
  78  the configuration is wrong
  130 Ctrl-C while a job was watched; the job goes on

JSON (--json) goes to standard output, whatever is said to people to standard error.";

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
    /// Ctrl-C while a job was watched, which goes on (128 and SIGINT).
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
