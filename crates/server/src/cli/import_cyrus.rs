//! `sterna import cyrus`: users that a Cyrus server brings by its own replication.

use clap::Subcommand;
use hyper::Method;

use super::client::{CliError, path};
use super::exit::Exit;
use super::import_cyrus_send::{self, SendArgs};
use super::output::{self, Column};
use super::resource::{Session, WriteArgs};

const USERS: &[Column] = &[("USER", "user"), ("ADDRESS", "address"), ("STATE", "state"), ("ERROR", "error")];

/// Watch users that a Cyrus server brings by its own replication, and switch them; send them from its files
#[derive(Debug, Subcommand)]
pub enum CyrusCommand {
    /// Send the users out of the files of a Cyrus server that doesn't run any more, as its replication would have
    Send(Box<SendArgs>),
    /// List the users that were told; with a name, compare the account with what was told
    Status {
        /// The user, as the old server calls it
        user: Option<String>,
    },
    /// Let users work here: compare, give the quota, end the suspension; the old server has no say afterwards
    Switch {
        /// The users, as the old server calls them
        #[arg(required_unless_present = "all")]
        users: Vec<String>,
        /// Everybody who is still arriving
        #[arg(long, conflicts_with = "users")]
        all: bool,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
}

pub(super) async fn run(session: &Session<'_>, command: CyrusCommand) -> Result<Exit, CliError> {
    match command {
        CyrusCommand::Send(args) => import_cyrus_send::run(session, *args).await,
        CyrusCommand::Status { user: None } => session.list(&["replication"], &[], USERS).await,
        CyrusCommand::Status { user: Some(user) } => {
            let view = session.client.get(&path(&["replication", &user], &[])).await?;
            session.show(&view)?;
            Ok(if view["is_equal"] == true { Exit::Done } else { Exit::Failed })
        }
        CyrusCommand::Switch { users, all, write } => {
            let users = if all { arriving(session).await? } else { users };
            let (mut failed, mut changed) = (0, 0);
            for user in users {
                let path = path(&["replication", &user, "switch"], &[write.parameter()]);
                match session.client.send(Method::POST, &path, None).await {
                    Ok(answer) => {
                        changed += u64::from(answer.changed);
                        let state = answer.body["state"].as_str().unwrap_or_default();
                        let messages = &answer.body["messages"];
                        output::note(&format!("{user}: {state}, {messages} messages are equal\n"));
                    }
                    // One that differs keeps nobody else from being switched.
                    Err(CliError::Refused(problem)) => {
                        failed += 1;
                        output::note(&format!("{user}: {} {}\n", problem.detail, problem.remedy));
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(match (failed, changed) {
                (1.., _) => Exit::Failed,
                (0, 0) => Exit::NothingToDo,
                _ => Exit::Done,
            })
        }
    }
}

async fn arriving(session: &Session<'_>) -> Result<Vec<String>, CliError> {
    let page = session.client.get(&path(&["replication"], &[])).await?;
    let items = page["items"].as_array().map_or(&[][..], Vec::as_slice).iter();
    let arriving = items.filter(|user| user["state"] == "arriving");
    Ok(arriving.filter_map(|user| user["user"].as_str().map(str::to_owned)).collect::<Vec<_>>())
}
