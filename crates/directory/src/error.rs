//! What can go wrong, with a stable code and a remedy for each thing an administrator can see.

use sterna_base::{AccountId, Epoch, InstallationId, JobId, Modseq};

use crate::model::JobState;
use crate::placement_policy::NoServer;

/// The directory's file can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// SQLite or the file system says so.
    #[error("the directory's file can't be read or written")]
    Sqlite(#[from] rusqlite::Error),
    /// A row isn't what it must be.
    #[error("the directory's file is damaged: {0}")]
    Damaged(String),
    /// Written by a later version.
    #[error("the directory's file has format {found}; this version reads up to {known}")]
    NewerFormat {
        /// In the file.
        found: i64,
        /// Of this program.
        known: i64,
    },
    /// Written by an earlier version, and only read, so that it can't be brought up to this one.
    #[error(
        "the directory's file has format {found}, and it is brought to {known} when the node starts; start the node"
    )]
    OlderFormat {
        /// In the file.
        found: i64,
        /// Of this program.
        known: i64,
    },
    /// The file belongs to a node that follows another one.
    #[error("the directory's file is a copy that follows a main node; it can't be opened for writing")]
    IsCopy,
    /// The file belongs to another installation.
    #[error("the directory's file belongs to installation {0}")]
    OtherInstallation(InstallationId),
    /// An earlier write failed; nothing is written before the file is opened again.
    #[error("an earlier write to the directory failed; restart the node once its disk is well")]
    Stopped,
    /// The thread that should have answered is gone: the node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

/// Why a change was not made. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// This node only follows.
    #[error("this node keeps a copy of the directory; only the main node changes it")]
    NotMain,
    /// A value can't be right.
    #[error("{field}: {reason}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// Why.
        reason: String,
    },
    /// The name belongs to something else.
    #[error("{name} is taken")]
    Taken {
        /// The address, domain name, login or server name.
        name: String,
        /// Its owner's kind: "user", "group", "shared mailbox", "domain", "server".
        owner: &'static str,
        /// Its owner's id.
        owner_id: String,
    },
    /// There is none.
    #[error("there is no {what} {id}")]
    NoSuch {
        /// "domain", "user", "group", "shared mailbox", "server", "account", "placement", "move", "job", "kept copy",
        /// "standby copy".
        what: &'static str,
        /// What was asked for.
        id: String,
    },
    /// A setting changed once more after the change that is to be undone.
    #[error("“{name}” was changed again since, by change {change}")]
    ChangedAgain {
        /// Which.
        name: String,
        /// The first later one.
        change: u64,
    },
    /// Values of secrets are not kept when they are replaced.
    #[error("the former “{name}” is a secret, which was not kept")]
    SecretNotKept {
        /// Which setting.
        name: String,
    },
    /// It changed since the caller read it.
    #[error("it was changed meanwhile: expected version {expected}, found {found}")]
    Changed {
        /// What the caller had read.
        expected: Modseq,
        /// What is there.
        found: Modseq,
    },
    /// The account was moved meanwhile.
    #[error("the account was placed elsewhere meanwhile: expected epoch {expected}, found {found}")]
    Moved {
        /// What the caller had read.
        expected: Epoch,
        /// What is there.
        found: Epoch,
    },
    /// Something still needs it.
    #[error("it is in use: {by}")]
    InUse {
        /// By what.
        by: String,
    },
    /// The account is moving.
    #[error("account {account} is moving (job {job})")]
    Moving {
        /// Which.
        account: AccountId,
        /// What its move is part of.
        job: JobId,
    },
    /// The move is not where this step begins.
    #[error("the move of account {account} is {phase}")]
    WrongPhase {
        /// Whose.
        account: AccountId,
        /// [`crate::MovePhase::name`].
        phase: &'static str,
    },
    /// The job is not in a state for it.
    #[error("job {id} is {}", state.name())]
    JobState {
        /// Which.
        id: JobId,
        /// Its state.
        state: JobState,
    },
    /// A store of the account that nobody needs any more is not yet gone from there.
    #[error("an older store of account {account} on {server} is still to be deleted")]
    StoreLeaving {
        /// Whose.
        account: AccountId,
        /// The server's name.
        server: String,
    },
    /// Something is left on the server.
    #[error("{name} is in use: {}", left(*accounts, *copies, *moves))]
    ServerInUse {
        /// The server's name.
        name: String,
        /// Accounts that live there.
        accounts: u64,
        /// Copies that are to be there.
        copies: u64,
        /// Moves that go there.
        moves: u64,
    },
    /// A named limit would be passed.
    #[error("there can be at most {limit} {what}")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// How many.
        limit: usize,
    },
    /// No server takes the account.
    #[error(transparent)]
    NoServer(#[from] NoServer),
    /// The file can't be written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<rusqlite::Error> for RequestError {
    fn from(error: rusqlite::Error) -> Self {
        RequestError::Storage(error.into())
    }
}

impl RequestError {
    /// A code that stays the same between versions and languages.
    pub fn code(&self) -> &'static str {
        match self {
            RequestError::NotMain => "not-main",
            RequestError::Invalid { .. } => "invalid",
            RequestError::Taken { .. } => "taken",
            RequestError::NoSuch { .. } => "no-such",
            RequestError::Changed { .. } => "changed",
            RequestError::ChangedAgain { .. } => "changed-again",
            RequestError::SecretNotKept { .. } => "secret-not-kept",
            RequestError::Moved { .. } => "moved",
            RequestError::InUse { .. } => "in-use",
            RequestError::Moving { .. } => "moving",
            RequestError::WrongPhase { .. } => "wrong-phase",
            RequestError::JobState { .. } => "job-state",
            RequestError::StoreLeaving { .. } => "store-leaving",
            RequestError::ServerInUse { .. } => "in-use",
            RequestError::Limit { .. } => "limit",
            RequestError::NoServer(_) => "no-server",
            RequestError::Storage(_) => "storage",
        }
    }

    /// What to do next.
    pub fn remedy(&self) -> String {
        match self {
            RequestError::NotMain => "Send the request to the main node.".to_owned(),
            RequestError::Invalid { field, .. } => format!("Correct “{field}” and send the request again."),
            RequestError::Taken { owner, owner_id, .. } => {
                let noun = noun(owner);
                format!("Choose another name, or take it away from its owner (sterna {noun} get {owner_id}) first.")
            }
            RequestError::NoSuch { what: "kept copy", .. } => {
                "Move it there as any other account (sterna account move ADDRESS --to SERVER).".to_owned()
            }
            RequestError::NoSuch { what: "standby copy", .. } => {
                "Give it one first (sterna account standby ADDRESS --on SERVER).".to_owned()
            }
            RequestError::NoSuch { what: "change of a setting", .. } => {
                "List those that are kept (sterna config history).".to_owned()
            }
            RequestError::NoSuch { what, .. } => match listed_by(what) {
                Some(command) => format!("List what there is (sterna {command}) and try again."),
                None => "Look at what there is, and try again.".to_owned(),
            },
            RequestError::Changed { .. } | RequestError::Moved { .. } => {
                "Read it again and repeat the change if it is still wanted.".to_owned()
            }
            RequestError::ChangedAgain { change, .. } => {
                format!("Undo that one first (sterna config revert {change}), or set the value that you want.")
            }
            RequestError::SecretNotKept { name } => format!("Set it again (sterna config set {name} VALUE)."),
            RequestError::InUse { .. } => "Delete or change what uses it first.".to_owned(),
            RequestError::Moving { job, .. } => {
                format!(
                    "Wait until it is there (sterna job get {job}), or abort the job first (sterna job abort {job})."
                )
            }
            RequestError::WrongPhase { .. } => "Look at its job (sterna job list) and read why.".to_owned(),
            RequestError::JobState { id, state } => match state {
                JobState::Paused => format!("Resume it first (sterna job resume {id})."),
                JobState::Running => format!("Pause it first (sterna job pause {id})."),
                JobState::Aborting | JobState::Aborted | JobState::Done => "Begin a new one.".to_owned(),
            },
            RequestError::StoreLeaving { server, .. } => {
                format!("Try again in a minute; if it stays so, look whether {server} answers (sterna status).")
            }
            RequestError::ServerInUse { name, accounts, copies, .. } => match (accounts, copies) {
                (0, 0) => "Wait for the moves, or abort their jobs (sterna job list).".to_owned(),
                (0, _) => format!(
                    "Wait until the copies are no longer kept, or drop them: sterna account release ADDRESS --on {name}, \
                     or sterna account standby ADDRESS --on {name} --remove."
                ),
                _ => format!("Empty it first (sterna server drain {name})."),
            },
            RequestError::Limit { .. } => "Remove some, or spread them over several.".to_owned(),
            RequestError::NoServer(none) => none.remedy(),
            RequestError::Storage(_) => {
                "Look at the node's log, its disk and its free space; the change was not made.".to_owned()
            }
        }
    }
}

/// What is left on a server, without what there is none of.
fn left(accounts: u64, copies: u64, moves: u64) -> String {
    let parts = [(accounts, "accounts live there"), (copies, "copies are there"), (moves, "moves go there")];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    parts.collect::<Vec<_>>().join(", ")
}

/// The command's noun for a thing.
fn noun(what: &str) -> &str {
    match what {
        "shared mailbox" | "placement" => "account",
        "move" => "job",
        other => other,
    }
}

/// The command that lists things of a kind, without the program's name; kinds that none lists have none.
fn listed_by(what: &str) -> Option<&'static str> {
    LISTED_BY.iter().find(|(kind, _)| *kind == what).map(|(_, command)| *command)
}

/// Kinds of things, as errors name them, and the commands that list them.
pub const LISTED_BY: &[(&str, &str)] = &[
    ("DKIM key", "dkim list"),
    ("account", "account list"),
    ("app password", "app-password list"),
    ("certificate", "certificate list"),
    ("change", "config history"),
    ("contact", "contact list"),
    ("copy", "account standby"),
    ("deleted entry", "bin list"),
    ("domain", "domain list"),
    ("entry in the bin", "bin list"),
    ("external calendar", "calendar list"),
    ("external contact", "contact list"),
    ("group", "group list"),
    ("invitation", "server invitations"),
    ("job", "job list"),
    ("member", "user list"),
    ("message in the queue", "queue list"),
    ("migration", "migrate status"),
    ("move", "job list"),
    ("passkey", "passkey list"),
    ("placement", "account list"),
    ("resource", "resource list"),
    ("role", "role list"),
    ("run", "source runs"),
    ("script", "sieve list"),
    ("script of domains", "sieve domain"),
    ("server", "server list"),
    ("session", "session list"),
    ("setting", "config list"),
    ("shared mailbox", "account list"),
    ("source", "source list"),
    ("sudo", "session sudo-list"),
    ("token", "token list"),
    ("user", "user list"),
    ("user or group", "user list"),
    ("version", "file versions"),
];

/// Why a page of changes was not taken by a follower. Nothing of the page was applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// This node is the main one: it follows nobody.
    #[error("the main node follows nobody")]
    IsMain,
    /// Another installation's directory.
    #[error("the changes are those of installation {found}, this node belongs to {expected}")]
    WrongInstallation {
        /// Ours.
        expected: InstallationId,
        /// Theirs.
        found: InstallationId,
    },
    /// Rows between what we have and this page are missing: ask again from [`crate::Head::position`].
    #[error("the changes start after {0:?}, which this copy has not reached")]
    Gap(crate::Cursor),
    /// The page contradicts itself: its rows are not in order or later than its head.
    #[error("the page of changes is not in order")]
    Disorder,
    /// The main node is behind this copy: it was restored from an older backup.
    #[error("the main node is at {main}, this copy at {ours}")]
    Behind {
        /// The main node's modseq.
        main: Modseq,
        /// This copy's.
        ours: Modseq,
    },
    /// All rows are there and the digests differ: start the copy again.
    #[error("at {modseq} this copy's digest differs from the main node's")]
    Diverged {
        /// Where.
        modseq: Modseq,
    },
    /// The file can't be written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<rusqlite::Error> for ApplyError {
    fn from(error: rusqlite::Error) -> Self {
        ApplyError::Storage(error.into())
    }
}
