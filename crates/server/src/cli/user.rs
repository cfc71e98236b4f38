//! `sterna user`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::CliError;
use super::exit::Exit;
use super::output::Column;
use super::prompt;
use super::resource::{BinArgs, CreateArgs, DeleteArgs, Fields, Filters, Session, WriteArgs, quota, yes_or_no};
use super::user_import::{self, ImportArgs};

const COLUMNS: &[Column] = &[
    ("ADDRESS", "address"),
    ("NAME", "display_name"),
    ("LOGIN", "login"),
    ("SERVER", "server"),
    ("ADMIN", "admin"),
    ("SUSPENDED", "suspended"),
];

const CONNECTION_COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("PROTOCOL", "protocol"),
    ("FROM", "peer"),
    ("PROGRAM", "client"),
    ("SINCE", "since"),
    ("ENCRYPTED", "encrypted"),
];

/// Manage users
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// List the users
    List {
        /// See [`Filters`].
        #[command(flatten)]
        filters: Filters,
    },
    /// Show a user
    Get {
        /// Address, login or id
        user: String,
    },
    /// Make a user with a mailbox; asks for the password
    Create {
        /// The main address
        address: String,
        /// The server of the mailbox, by name or id; chosen by policy when not given
        #[arg(long, value_name = "SERVER")]
        server: Option<String>,
        /// See [`UserOptions`].
        #[command(flatten)]
        options: UserOptions,
        /// See [`CreateArgs`].
        #[command(flatten)]
        create: CreateArgs,
    },
    /// Change a user
    Set {
        /// Address, login or id
        user: String,
        /// The new main address
        #[arg(long, value_name = "ADDRESS")]
        address: Option<String>,
        /// Ask for a new password
        #[arg(long, conflicts_with_all = ["password_file", "no_password", "password_hash"])]
        password: bool,
        /// Whether log-in and mail are stopped
        #[arg(long, value_name = "YES/NO", value_parser = yes_or_no)]
        suspended: Option<bool>,
        /// Whether it is left out of the directory's address book
        #[arg(long, value_name = "YES/NO", value_parser = yes_or_no)]
        hidden: Option<bool>,
        /// See [`UserOptions`].
        #[command(flatten)]
        options: UserOptions,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Make the users of a list (CSV): all of them, or nobody
    Import(ImportArgs),
    /// List the sessions that a user's mail programs have open
    Connections {
        /// Address, login or id
        user: String,
    },
    /// End sessions of a user's mail programs; those that may log in come back
    Disconnect {
        /// Address, login or id
        user: String,
        /// Only this one, as the list shows it
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        /// See [`DeleteArgs`].
        #[command(flatten)]
        delete: DeleteArgs,
    },
    /// Forget who a user is at OpenID Connect: the next sign-in there with their address binds anew
    ForgetOpenid {
        /// Address, login or id
        user: String,
        /// See [`DeleteArgs`].
        #[command(flatten)]
        delete: DeleteArgs,
    },
    /// Delete a user; the mailbox and all that is in it is in the bin for a while
    Delete {
        /// Address, login or id
        user: String,
        /// See [`BinArgs`].
        #[command(flatten)]
        delete: BinArgs,
    },
}

/// What a user has.
#[derive(Clone, Debug, Default, Args)]
pub struct UserOptions {
    /// The name for people
    #[arg(long, visible_alias = "display-name", value_name = "TEXT")]
    name: Option<String>,
    /// A further address (repeatable; replaces all, '' removes all)
    #[arg(long = "alias", value_name = "ADDRESS")]
    aliases: Vec<String>,
    /// The organisational unit, as a path: sales/north ('' is none)
    #[arg(long, value_name = "PATH")]
    unit: Option<String>,
    /// A name to log in with besides the addresses ('' removes it)
    #[arg(long, value_name = "LOGIN")]
    login: Option<String>,
    /// Whether the user administers the installation
    #[arg(long, value_name = "YES/NO", value_parser = yes_or_no, num_args = 0..=1, default_missing_value = "yes")]
    admin: Option<bool>,
    /// The most the mailbox may hold: bytes, with k, M, G or T; or none
    #[arg(long, value_name = "SIZE", value_parser = quota)]
    quota: Option<Quota>,
    /// A user or group who may send with the addresses (repeatable; replaces all, '' removes all)
    #[arg(long = "sender", value_name = "ADDRESS")]
    senders: Vec<String>,
    /// An address that the mail is sent on to (repeatable; replaces all, '' removes all)
    #[arg(long = "forward", value_name = "ADDRESS")]
    forward_to: Vec<String>,
    /// Whether the mail is sent on without a copy for the mailbox
    #[arg(long, value_name = "YES/NO", value_parser = yes_or_no)]
    forward_only: Option<bool>,
    /// Take the password from the first line of a file; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_password", "password_hash"])]
    password_file: Option<PathBuf>,
    /// No log-in by password
    #[arg(long, conflicts_with = "password_hash")]
    no_password: bool,
    /// A hash from another system: $argon2..$, $pbkdf2..$ (PHC), {SSHA}, {SSHA256}, {SSHA512}
    #[arg(long, value_name = "HASH")]
    password_hash: Option<String>,
}

/// `None` is no limit. A type of its own, because clap takes `Option<Option<T>>` for an optional value.
type Quota = Option<u64>;

impl UserOptions {
    fn fields(&self) -> Fields {
        let quota = self.quota.map(|quota| quota.map_or(Value::Null, Value::from));
        Fields::default()
            .add("display_name", self.name.as_deref())
            .list("aliases", &self.aliases)
            .add("unit", self.unit.as_deref())
            .clearable("login", self.login.as_deref())
            .add("admin", self.admin)
            .list("senders", &self.senders)
            .list("forward_to", &self.forward_to)
            .add("forward_only", self.forward_only)
            .add("quota_bytes", quota)
            .add("password_hash", self.password_hash.as_deref())
            .add("password", self.no_password.then_some(Value::Null))
    }

    /// Whether the options say all there is about the password.
    fn has_password(&self) -> bool {
        self.no_password || self.password_hash.is_some()
    }
}

pub(super) async fn run(session: &Session<'_>, command: UserCommand) -> Result<Exit, CliError> {
    match command {
        UserCommand::List { filters } => session.list(&["users"], &filters.parameters(), COLUMNS).await,
        UserCommand::Get { user } => session.get(&["users", &user]).await,
        UserCommand::Create { address, server, options, create } => {
            let mut fields = options.fields().add("address", Some(address)).add("server", server);
            if !options.has_password() {
                let password = prompt::new_password(options.password_file.as_deref())?;
                fields = fields.add("password", Some(password.expose()));
            }
            session.create(&["users"], fields.0, &create).await
        }
        UserCommand::Set { user, address, password, suspended, hidden, options, write } => {
            let mut fields = options.fields().add("address", address).add("suspended", suspended).add("hidden", hidden);
            if password || options.password_file.is_some() {
                let password = prompt::new_password(options.password_file.as_deref())?;
                fields = fields.add("password", Some(password.expose()));
            }
            session.set(&["users", &user], fields.0, &write).await
        }
        UserCommand::Import(args) => user_import::run(session, args).await,
        UserCommand::Connections { user } => {
            session.list(&["users", &user, "connections"], &[], CONNECTION_COLUMNS).await
        }
        UserCommand::Disconnect { user, id, delete } => {
            let question = format!("End the sessions of {user}'s mail programs?");
            let id = id.unwrap_or_default();
            let all = ["users", &user, "connections", &id];
            session.delete(&all[..if id.is_empty() { 3 } else { 4 }], &question, &delete).await
        }
        UserCommand::ForgetOpenid { user, delete } => {
            let question =
                format!("Forget who {user} is at the provider? Whoever has the address there is bound next.");
            session.delete(&["users", &user, "openid"], &question, &delete).await
        }
        UserCommand::Delete { user, delete } => session.bin(&["users", &user], &format!("user {user}"), &delete).await,
    }
}
