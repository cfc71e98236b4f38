//! `sterna calendar`

use std::time::Duration;

use clap::Subcommand;
use hyper::Method;

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::Column;
use super::resource::{CreateArgs, DeleteArgs, Fields, Session, WriteArgs, yes_or_no};

const COLUMNS: &[Column] = &[
    ("CALENDAR", "calendar"),
    ("NAME", "name"),
    ("ITEMS", "items"),
    ("MINUTES", "refresh_minutes"),
    ("FETCHED", "fetched_at"),
    ("NEXT", "next_at"),
    ("FAILURES", "failures"),
    ("ERROR", "error"),
    ("URL", "url"),
];

/// How long a refresh may take: longer than the node waits for it.
const REFRESH_WAIT: Duration = Duration::from_secs(80);

/// Subscribe accounts to calendars that others publish, and make birthdays of contacts a calendar
#[derive(Debug, Subcommand)]
pub enum CalendarCommand {
    /// List an account's external calendars with how they were fetched the last time
    List {
        /// Address or id
        account: String,
    },
    /// Subscribe to a calendar that is published as a file at a URL; it can only be read
    Subscribe {
        /// Address or id
        account: String,
        /// Where it is: https://, http:// or webcal://
        url: String,
        /// How programs show it; as the file calls itself when not given
        #[arg(long)]
        name: Option<String>,
        /// How often it is fetched; as the file says when not given
        #[arg(long, value_name = "MINUTES")]
        refresh: Option<u32>,
        /// See [`CreateArgs`].
        #[command(flatten)]
        create: CreateArgs,
    },
    /// Fetch an external calendar now
    Refresh {
        /// Address or id
        account: String,
        /// As it is listed
        calendar: String,
    },
    /// Unsubscribe from an external calendar; what is in it goes
    Unsubscribe {
        /// Address or id
        account: String,
        /// As it is listed
        calendar: String,
        /// See [`DeleteArgs`].
        #[command(flatten)]
        delete: DeleteArgs,
    },
    /// Show or set whether the birthdays of an account's contacts are a calendar
    Birthdays {
        /// Address or id
        account: String,
        /// On or off; shown when not given
        #[arg(value_parser = yes_or_no, value_name = "on|off")]
        on: Option<bool>,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
}

pub(super) async fn run(session: &Session<'_>, command: CalendarCommand) -> Result<Exit, CliError> {
    match command {
        CalendarCommand::List { account } => {
            session.list(&["accounts", &account, "external-calendars"], &[], COLUMNS).await
        }
        CalendarCommand::Subscribe { account, url, name, refresh, create } => {
            let fields = Fields::default().add("url", Some(url)).add("name", name).add("refresh_minutes", refresh);
            session.create(&["accounts", &account, "external-calendars"], fields.0, &create).await
        }
        CalendarCommand::Refresh { account, calendar } => {
            let path = path(&["accounts", &account, "external-calendars", &calendar, "refresh"], &[]);
            let answer = session.client.send_within(REFRESH_WAIT, Method::POST, &path, None).await?;
            session.show(&answer.body)?;
            Ok(if answer.body["failures"].as_u64() == Some(0) { Exit::Done } else { Exit::Failed })
        }
        CalendarCommand::Unsubscribe { account, calendar, delete } => {
            let question = "Unsubscribe from this calendar? What is in it goes.";
            session.delete(&["accounts", &account, "external-calendars", &calendar], question, &delete).await
        }
        CalendarCommand::Birthdays { account, on: None, .. } => session.get(&["accounts", &account, "birthdays"]).await,
        CalendarCommand::Birthdays { account, on, write } => {
            let fields = Fields::default().add("birthdays", on);
            session.put(&["accounts", &account, "birthdays"], fields.0, &write).await
        }
    }
}
