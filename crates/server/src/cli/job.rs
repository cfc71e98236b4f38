//! `sterna job`

use clap::Subcommand;

use super::GlobalArgs;
use super::client::CliError;
use super::exit::Exit;
use super::output::Column;
use super::progress;
use super::resource::{Fields, Session, WriteArgs};

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("STATE", "state"),
    ("WHAT", "what"),
    ("DONE", "done"),
    ("OF", "total"),
    ("FAILED", "failed"),
    ("BEGUN", "created_at"),
    ("BY", "by"),
];
const MOVE_COLUMNS: &[Column] = &[
    ("ADDRESS", "address"),
    ("FROM", "from"),
    ("TO", "to"),
    ("PHASE", "phase"),
    ("ATTEMPTS", "attempts"),
    ("TROUBLE", "failed"),
];

const LOG_COLUMNS: &[Column] = &[
    ("AT", "at"),
    ("WHAT", "what"),
    ("ADDRESS", "address"),
    ("FROM", "from"),
    ("TO", "to"),
    ("CUT-OVER MS", "cut_over_ms"),
    ("MORE", "says"),
];

/// Watch, pause and abort work on many accounts: moves, drains, rebalances, failovers
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// List the jobs, the latest first
    List {
        /// Only those that are not over
        #[arg(long)]
        active: bool,
    },
    /// Show a job: how far it is, what is under way, what failed
    #[command(visible_alias = "show")]
    Get {
        /// Its id
        job: String,
    },
    /// List the accounts of a job that have not moved (yet)
    Moves {
        /// Its id
        job: String,
    },
    /// Show what became of each account of a job, the latest first; it is kept when the job is over
    Log {
        /// Its id
        job: String,
    },
    /// Watch a job until it is over; Ctrl-C stops watching, not the job
    #[command(visible_alias = "watch")]
    Follow {
        /// Its id
        job: String,
    },
    /// Begin nothing more and cut nothing over; what was copied stays and goes on following
    Pause {
        /// Its id
        job: String,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Go on with a job that was paused
    Resume {
        /// Its id
        job: String,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Take back what has not moved; accounts that have moved stay where they are
    Abort {
        /// Its id
        job: String,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Try once more what failed
    Retry {
        /// Its id
        job: String,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Leave what failed where it is, and say no more about it
    Dismiss {
        /// Its id
        job: String,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
}

pub(super) async fn run(session: &Session<'_>, global: &GlobalArgs, command: JobCommand) -> Result<Exit, CliError> {
    let change = async |job: String, change: &str, write: WriteArgs| {
        let fields = Fields::default().add("change", Some(change));
        session.set(&["jobs", &job], fields.0, &write).await
    };
    match command {
        JobCommand::List { active } => session.list(&["jobs"], &[("active", active.then_some("true"))], COLUMNS).await,
        JobCommand::Get { job } => show(session, global, &job).await,
        JobCommand::Moves { job } => session.list(&["jobs", &job, "moves"], &[], MOVE_COLUMNS).await,
        JobCommand::Log { job } => session.list(&["jobs", &job, "log"], &[], LOG_COLUMNS).await,
        JobCommand::Follow { job } => progress::follow(session, global, &job).await,
        JobCommand::Pause { job, write } => change(job, "pause", write).await,
        JobCommand::Resume { job, write } => change(job, "resume", write).await,
        JobCommand::Abort { job, write } => change(job, "abort", write).await,
        JobCommand::Retry { job, write } => change(job, "retry", write).await,
        JobCommand::Dismiss { job, write } => change(job, "dismiss", write).await,
    }
}

async fn show(session: &Session<'_>, global: &GlobalArgs, job: &str) -> Result<Exit, CliError> {
    let value = session.client.get(&super::client::path(&["jobs", job], &[])).await?;
    progress::show(session, global, &value)
}
