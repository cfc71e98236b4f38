//! `sterna server`

use clap::{Args, Subcommand};

use super::client::CliError;
use super::exit::Exit;
use super::output::Column;
use super::resource::{CreateArgs, DeleteArgs, Fields, Session, WriteArgs, yes_or_no};

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("ADDRESS", "address"),
    ("ROLES", "roles"),
    ("ACCOUNTS", "accounts"),
    ("WEIGHT", "weight"),
    ("NEW ACCOUNTS", "accepts_new_accounts"),
    ("FREE BYTES", "free_bytes"),
];
const TOKEN_COLUMNS: &[Column] = &[("ID", "id"), ("NAME", "name"), ("ROLES", "roles"), ("EXPIRES", "expires_at")];

/// Manage the servers of the installation
#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// List the servers
    List,
    /// Show a server
    Get {
        /// Name or id
        server: String,
    },
    /// Invite a new server: prints a token, good once, with which it joins (sterna init --join)
    #[command(visible_alias = "invite")]
    Create {
        /// The name that the new server gets; it chooses one itself when not given
        name: Option<String>,
        /// What it does: data, edge
        #[arg(long, value_name = "ROLE", value_delimiter = ',', default_value = "data")]
        roles: Vec<String>,
        /// How long the token is good for, in minutes
        #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = minutes_parser())]
        minutes: u64,
        /// See [`CreateArgs`].
        #[command(flatten)]
        create: CreateArgs,
    },
    /// List the tokens that were issued and neither used nor expired
    Invitations,
    /// Make a token worthless
    Revoke {
        /// Its id, as “sterna server invitations” shows it
        token: String,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Change a server
    Set {
        /// Name or id
        server: String,
        /// See [`ServerOptions`].
        #[command(flatten)]
        options: ServerOptions,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Remove a server that holds no accounts
    Delete {
        /// Name or id
        server: String,
        /// See [`DeleteArgs`].
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

/// Up to a week, the longest that the node takes.
fn minutes_parser() -> clap::builder::RangedU64ValueParser {
    clap::builder::RangedU64ValueParser::new().range(1..=7 * 24 * 60)
}

/// What a server has.
#[derive(Clone, Debug, Default, Args)]
pub struct ServerOptions {
    /// Its name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Where the other nodes find it: host:port
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// Its share of new accounts, relative to the others; 0 is none by policy
    #[arg(long, value_name = "NUMBER")]
    weight: Option<u32>,
    /// Whether it takes new accounts at all
    #[arg(long, value_name = "YES/NO", value_parser = yes_or_no)]
    accept_new: Option<bool>,
}

impl ServerOptions {
    fn fields(&self) -> Fields {
        Fields::default()
            .add("name", self.name.as_deref())
            .add("address", self.address.as_deref())
            .add("weight", self.weight)
            .add("accepts_new_accounts", self.accept_new)
    }
}

pub(super) async fn run(session: &Session<'_>, command: ServerCommand) -> Result<Exit, CliError> {
    match command {
        ServerCommand::List => session.list(&["servers"], &[], COLUMNS).await,
        ServerCommand::Get { server } => session.get(&["servers", &server]).await,
        ServerCommand::Create { name, roles, minutes, create } => {
            let fields = Fields::default()
                .add("name", name)
                .list("roles", &roles)
                .add("lifetime_ms", Some(minutes.saturating_mul(60_000)));
            session.create(&["tokens"], fields.0, &create).await
        }
        ServerCommand::Invitations => session.list(&["tokens"], &[], TOKEN_COLUMNS).await,
        ServerCommand::Revoke { token, write } => {
            // A token can be issued again at any time: nobody needs to be asked.
            session.delete(&["tokens", &token], "", &DeleteArgs { yes: true, write }).await
        }
        ServerCommand::Set { server, options, write } => {
            session.set(&["servers", &server], options.fields().0, &write).await
        }
        ServerCommand::Delete { server, delete } => {
            session.delete(&["servers", &server], &format!("Remove server {server}?"), &delete).await
        }
    }
}
