//! `sterna queue`

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::Column;
use super::prompt;
use super::resource::{Session, silent_of};

const COLUMNS: &[Column] = &[
    ("MESSAGE", "id"),
    ("SERVER", "server"),
    ("FROM", "sender"),
    ("TO", "recipients"),
    ("DESTINATION", "destination"),
    ("STATE", "state"),
    ("TRIES", "attempts"),
    ("NEXT", "next"),
    ("LAST REPLY", "last_reply"),
];

/// See what waits to be sent or delivered, on all servers that take mail, and change what becomes of it
#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// List what waits
    List(FilterArgs),
    /// Show a message with all that is known of it
    Show {
        /// Its id
        message: String,
    },
    /// Try again now
    Retry(ActArgs),
    /// Keep back until it is released
    Hold(ActArgs),
    /// Let go on what was held
    Release(ActArgs),
    /// Send by another way
    Reroute {
        /// HOST, HOST:PORT, or mx:DOMAIN for the mail exchangers of a domain
        #[arg(long)]
        to: String,
        /// Which.
        #[command(flatten)]
        act: ActArgs,
    },
    /// Throw away; nobody is told
    Delete {
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
        /// Which.
        #[command(flatten)]
        act: ActArgs,
    },
}

/// What is meant; `*` stands for anything.
#[derive(Clone, Debug, Default, Args)]
pub struct FilterArgs {
    /// The id of a message
    #[arg(value_name = "MESSAGE")]
    id: Option<String>,
    /// Only from this sender; <> is the empty one of notifications
    #[arg(long)]
    sender: Option<String>,
    /// Only for this recipient
    #[arg(long)]
    recipient: Option<String>,
    /// Only for this destination, as the list shows it
    #[arg(long)]
    destination: Option<String>,
    /// Only what is held
    #[arg(long)]
    held: bool,
    /// Only in the queue of this server
    #[arg(long)]
    server: Option<String>,
}

/// With what it is done.
#[derive(Clone, Debug, Args)]
pub struct ActArgs {
    /// Which.
    #[command(flatten)]
    filter: FilterArgs,
    /// With everything that waits
    #[arg(long, conflicts_with_all = ["id", "sender", "recipient", "destination", "held"])]
    all: bool,
}

impl FilterArgs {
    fn body(&self) -> Value {
        let held = self.held.then_some(true);
        let FilterArgs { id, sender, recipient, destination, .. } = self;
        json!({ "id": id, "sender": sender, "recipient": recipient, "destination": destination, "held": held })
    }
}

pub(super) async fn run(session: &Session<'_>, command: QueueCommand) -> Result<Exit, CliError> {
    match command {
        QueueCommand::List(filter) => {
            let held = filter.held.then_some("true");
            let filters = [
                ("id", filter.id.as_deref()),
                ("sender", filter.sender.as_deref()),
                ("recipient", filter.recipient.as_deref()),
                ("destination", filter.destination.as_deref()),
                ("held", held),
                ("server", filter.server.as_deref()),
            ];
            session.list(&["queue"], &filters, COLUMNS).await
        }
        QueueCommand::Show { message } => {
            let page = session.client.get(&path(&["queue", &message], &[])).await?;
            session.say_silent(&silent_of(&page));
            for item in page["items"].as_array().into_iter().flatten() {
                session.show(item)?;
            }
            Ok(Exit::Done)
        }
        QueueCommand::Retry(act) => do_with(session, "retry", "tried again", None, &act).await,
        QueueCommand::Hold(act) => do_with(session, "hold", "held", None, &act).await,
        QueueCommand::Release(act) => do_with(session, "release", "released", None, &act).await,
        QueueCommand::Reroute { to, act } => do_with(session, "reroute", "rerouted", Some(&to), &act).await,
        QueueCommand::Delete { yes, act } => {
            prompt::confirm("Messages that are deleted are gone, and nobody is told. Delete them?", yes)?;
            do_with(session, "delete", "deleted", None, &act).await
        }
    }
}

async fn do_with(
    session: &Session<'_>,
    action: &str,
    done: &str,
    to: Option<&str>,
    act: &ActArgs,
) -> Result<Exit, CliError> {
    let body = json!({
        "action": action, "to": to, "filter": act.filter.body(), "all": act.all, "server": act.filter.server,
    });
    let answer = session.client.send(Method::POST, &path(&["queue"], &[]), Some(&body)).await?;
    let count = answer.body["deliveries"].as_u64().unwrap_or(0);
    session.say_silent(&silent_of(&answer.body));
    session.say(&format!("{count} deliveries {done}\n"));
    let under_way = answer.body["under_way"].as_u64().unwrap_or(0);
    if under_way > 0 {
        session
            .say(&format!("{under_way} are being tried at the moment, and are as before: do it again when they end\n"));
    }
    Ok(if count == 0 && under_way == 0 { Exit::NothingToDo } else { Exit::Done })
}
