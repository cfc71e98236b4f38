//! `sterna account link`

use clap::{Subcommand, ValueEnum};

use super::client::CliError;
use super::exit::Exit;
use super::output::Column;
use super::resource::{CreateArgs, DeleteArgs, Fields, Session};

const COLUMNS: &[Column] = &[
    ("CALENDAR", "calendar"),
    ("LEVEL", "level"),
    ("MADE", "made_at"),
    ("EXPIRES", "expires_at"),
    ("ID", "id"),
    ("URL", "url"),
];

/// Publish calendars by links that anybody can read, and revoke them
#[derive(Debug, Subcommand)]
pub enum LinkCommand {
    /// List the links to an account's calendars; whoever knows one can read
    List {
        /// Address or id
        account: String,
    },
    /// Make a link to a calendar, a task list or a journal
    Add {
        /// Address or id
        account: String,
        /// Its name
        calendar: String,
        /// How much is read
        #[arg(long, value_enum, default_value = "full")]
        level: Level,
        /// When it ends; never when not given
        #[arg(long, value_name = "DAYS")]
        expires_days: Option<u32>,
        /// See [`CreateArgs`].
        #[command(flatten)]
        create: CreateArgs,
    },
    /// Revoke a link
    Remove {
        /// Address or id
        account: String,
        /// Its id, as it is listed
        id: String,
        /// See [`DeleteArgs`].
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

/// How much is read by a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Everything; of what is private only the times
    Full,
    /// Only when the owner is busy
    Freebusy,
}

pub(super) async fn run(session: &Session<'_>, command: LinkCommand) -> Result<Exit, CliError> {
    match command {
        LinkCommand::List { account } => session.list(&["accounts", &account, "links"], &[], COLUMNS).await,
        LinkCommand::Add { account, calendar, level, expires_days, create } => {
            let level = match level {
                Level::Full => "full",
                Level::Freebusy => "freebusy",
            };
            let fields = Fields::default().add("calendar", Some(calendar)).add("level", Some(level));
            let fields = fields.add("expires_days", expires_days);
            session.create(&["accounts", &account, "links"], fields.0, &create).await
        }
        LinkCommand::Remove { account, id, delete } => {
            let question = "Revoke this link? Whoever reads by it finds nothing any more.";
            session.delete(&["accounts", &account, "links", &id], question, &delete).await
        }
    }
}
