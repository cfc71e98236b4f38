//! `sterna greylist`

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::json;

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::Column;
use super::prompt;
use super::resource::{Session, WriteArgs, silent_of};

/// The setting that says whom the greylist lets in at once.
const ALLOW: &str = "mail.greylist-allow";

const COLUMNS: &[Column] = &[
    ("NETWORK", "network"),
    ("SENDER", "sender"),
    ("RECIPIENT", "recipient"),
    ("STATE", "state"),
    ("FIRST", "first"),
    ("LAST", "last"),
];

/// See whom greylisting makes wait, forget some of them, let some in at once
#[derive(Debug, Subcommand)]
pub enum GreylistCommand {
    /// List those who wait, those who were let in, and networks from which nobody waits
    List(FilterArgs),
    /// Forget: whoever is meant is new again, on all edges within seconds
    Delete {
        /// See [`FilterArgs`].
        #[command(flatten)]
        filter: FilterArgs,
        /// Everybody
        #[arg(long, conflicts_with_all = ["network", "sender", "recipient"])]
        all: bool,
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Let somebody in without waiting, from now on; without names it lists who is
    Allow {
        /// A network (192.0.2.0/24), a sender (ana@example.org), or a domain of senders (example.org)
        who: Vec<String>,
        /// Take them off the list again
        #[arg(long)]
        remove: bool,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
}

/// Who is meant; `*` stands for anything.
#[derive(Clone, Debug, Default, Args)]
pub struct FilterArgs {
    /// Only this network, as the list shows it
    #[arg(long)]
    network: Option<String>,
    /// Only this sender, as the list shows it; <> is the empty one of notifications
    #[arg(long)]
    sender: Option<String>,
    /// Only this recipient
    #[arg(long)]
    recipient: Option<String>,
    /// Only as this server knows it
    #[arg(long)]
    server: Option<String>,
}

impl FilterArgs {
    fn parameters(&self) -> [(&'static str, Option<&str>); 4] {
        let FilterArgs { network, sender, recipient, server } = self;
        [
            ("network", network.as_deref()),
            ("sender", sender.as_deref()),
            ("recipient", recipient.as_deref()),
            ("server", server.as_deref()),
        ]
    }
}

pub(super) async fn run(session: &Session<'_>, command: GreylistCommand) -> Result<Exit, CliError> {
    match command {
        GreylistCommand::List(filter) => session.list(&["greylist"], &filter.parameters(), COLUMNS).await,
        GreylistCommand::Delete { filter, all, yes } => {
            prompt::confirm("Senders that are forgotten have to wait again. Forget them?", yes)?;
            let mut parameters = filter.parameters().to_vec();
            parameters.push(("all", all.then_some("true")));
            let answer = session.client.send(Method::DELETE, &path(&["greylist"], &parameters), None).await?;
            session.say_silent(&silent_of(&answer.body));
            let count = answer.body["deleted"].as_u64().unwrap_or(0);
            session.say(&format!("{count} forgotten\n"));
            Ok(if count == 0 { Exit::NothingToDo } else { Exit::Done })
        }
        GreylistCommand::Allow { who, remove, write } => allow(session, &who, remove, write).await,
    }
}

/// Changes the setting, as `sterna config set` would: so it has a history, and can be undone.
async fn allow(session: &Session<'_>, who: &[String], remove: bool, write: WriteArgs) -> Result<Exit, CliError> {
    let segments = ["settings", ALLOW];
    let setting = session.client.get(&path(&segments, &[])).await?;
    if who.is_empty() {
        return session.show(&setting);
    }
    let mut allowed: Vec<String> =
        setting["value"].as_str().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    for one in who.iter().map(|one| one.to_lowercase()) {
        let whole = [one.clone(), format!("{one}/32"), format!("{one}/128")];
        allowed.retain(|known| !whole.contains(known));
        if !remove {
            allowed.push(one);
        }
    }
    let value = (!allowed.is_empty()).then(|| allowed.join(" "));
    let body = json!({ "value": value });
    session.set(&segments, body.as_object().cloned().unwrap_or_default(), &write).await
}
