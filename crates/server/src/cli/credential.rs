//! `sterna token`, `sterna session` and `sterna app-password`: what people and programs come in with.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::Value;

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::Column;
use super::resource::{CreateArgs, DeleteArgs, Fields, Session};

const TOKEN_COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("USER", "user"),
    ("PERMISSIONS", "permissions"),
    ("DOMAIN", "domain"),
    ("EXPIRES", "expires_at"),
];

const SESSION_COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("USER", "user"),
    ("SINCE", "created_at"),
    ("USED", "used_at"),
    ("FROM", "peer"),
    ("BROWSER", "agent"),
];

const APP_PASSWORD_COLUMNS: &[Column] =
    &[("ID", "id"), ("NAME", "name"), ("PROTOCOLS", "protocols"), ("SINCE", "created_at"), ("EXPIRES", "expires_at")];

const PASSKEY_COLUMNS: &[Column] =
    &[("ID", "id"), ("NAME", "name"), ("HOST", "host"), ("SINCE", "created_at"), ("USED", "used_at")];

const DAY_SECONDS: u64 = 24 * 3600;

/// Manage the tokens with which programs use the API
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// List tokens
    List,
    /// Make a token; it is shown once
    Create {
        /// What it is for
        name: String,
        /// What it permits, such as people:read; everything that you may do when left out
        #[arg(long = "permission", value_delimiter = ',')]
        permissions: Vec<String>,
        /// Only in this domain
        #[arg(long)]
        domain: Option<String>,
        /// How many days it is good
        #[arg(long, value_name = "DAYS", default_value_t = 90)]
        days: u64,
        /// See [`CreateArgs`].
        #[command(flatten)]
        args: CreateArgs,
    },
    /// Make a token worthless
    Delete(IdArgs),
}

/// Which one.
#[derive(Clone, Debug, Args)]
pub struct IdArgs {
    /// Its id, as the list shows it
    id: String,
    /// See [`DeleteArgs`].
    #[command(flatten)]
    args: DeleteArgs,
}

/// See who is signed in at the console, and end sessions
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List who is signed in
    List {
        /// Only this user
        #[arg(long)]
        user: Option<String>,
    },
    /// End a session
    End(IdArgs),
    /// Work as a user for a while: prints an app password and a token, once, and tells the user
    Sudo {
        /// The user's address
        user: String,
        /// Why; the user reads it
        #[arg(long)]
        reason: String,
        /// How many minutes
        #[arg(long, value_name = "MINUTES", default_value_t = 60)]
        minutes: u64,
    },
    /// List who can work as a user at present
    SudoList {
        /// The user's address
        user: String,
    },
    /// End that somebody works as a user
    SudoEnd {
        /// The user's address
        user: String,
        /// See [`IdArgs`].
        #[command(flatten)]
        args: IdArgs,
    },
}

const SUDO_COLUMNS: &[Column] =
    &[("ID", "id"), ("BY", "by"), ("REASON", "reason"), ("SINCE", "created_at"), ("UNTIL", "expires_at")];

/// Manage the passwords that users have for single programs
#[derive(Debug, Subcommand)]
pub enum AppPasswordCommand {
    /// List the app passwords of a user
    List {
        /// The user's address
        user: String,
    },
    /// Make an app password for a user; it is shown once
    Create {
        /// The user's address
        user: String,
        /// Which program or device it is for
        name: String,
        /// Only for these protocols: imap, pop3, smtp, managesieve, dav
        #[arg(long = "protocol", value_delimiter = ',')]
        protocols: Vec<String>,
        /// How many days it is good; for ever when left out
        #[arg(long, value_name = "DAYS")]
        days: Option<u64>,
        /// See [`CreateArgs`].
        #[command(flatten)]
        args: CreateArgs,
    },
    /// Make an app password worthless
    Delete {
        /// The user's address
        user: String,
        /// See [`IdArgs`].
        #[command(flatten)]
        args: IdArgs,
    },
}

/// See with which passkeys somebody signs in at the console, and remove lost ones
#[derive(Debug, Subcommand)]
pub enum PasskeyCommand {
    /// List the passkeys of a user
    List {
        /// The user's address
        user: String,
    },
    /// Make a passkey worthless
    Delete {
        /// The user's address
        user: String,
        /// See [`IdArgs`].
        #[command(flatten)]
        args: IdArgs,
    },
}

/// Does a command about passkeys.
pub async fn run_passkey(session: &Session<'_>, command: PasskeyCommand) -> Result<Exit, CliError> {
    match command {
        PasskeyCommand::List { user } => session.list(&["users", &user, "passkeys"], &[], PASSKEY_COLUMNS).await,
        PasskeyCommand::Delete { user, args: IdArgs { id, args } } => {
            let question = format!("Make the passkey {id} of {user} worthless?");
            session.delete(&["users", &user, "passkeys", &id], &question, &args).await
        }
    }
}

/// Does a command about tokens.
pub async fn run_token(session: &Session<'_>, command: TokenCommand) -> Result<Exit, CliError> {
    match command {
        TokenCommand::List => session.list(&["api-tokens"], &[], TOKEN_COLUMNS).await,
        TokenCommand::Create { name, permissions, domain, days, args } => {
            let fields = Fields::default().add("name", Some(name)).list("permissions", &permissions);
            let fields = fields.add("domain", domain);
            let fields = fields.add("lifetime_seconds", Some(days.saturating_mul(DAY_SECONDS)));
            session.create(&["api-tokens"], fields.0, &args).await
        }
        TokenCommand::Delete(IdArgs { id, args }) => {
            session.delete(&["api-tokens", &id], &format!("Make the token {id} worthless?"), &args).await
        }
    }
}

/// Does a command about sessions.
pub async fn run_session(session: &Session<'_>, command: SessionCommand) -> Result<Exit, CliError> {
    match command {
        SessionCommand::List { user } => {
            session.list(&["sessions"], &[("name", user.as_deref())], SESSION_COLUMNS).await
        }
        SessionCommand::End(IdArgs { id, args }) => {
            session.delete(&["sessions", &id], &format!("End the session {id}?"), &args).await
        }
        SessionCommand::Sudo { user, reason, minutes } => {
            let fields = Fields::default().add("reason", Some(reason));
            let fields = fields.add("lifetime_seconds", Some(minutes.saturating_mul(60)));
            session.create(&["users", &user, "sudo"], fields.0, &CreateArgs::default()).await
        }
        SessionCommand::SudoList { user } => session.list(&["users", &user, "sudo"], &[], SUDO_COLUMNS).await,
        SessionCommand::SudoEnd { user, args: IdArgs { id, args } } => {
            let question = format!("End {id}, with which somebody works as {user}?");
            session.delete(&["users", &user, "sudo", &id], &question, &args).await
        }
    }
}

/// Does a command about app passwords.
pub async fn run_app_password(session: &Session<'_>, command: AppPasswordCommand) -> Result<Exit, CliError> {
    match command {
        AppPasswordCommand::List { user } => {
            session.list(&["users", &user, "app-passwords"], &[], APP_PASSWORD_COLUMNS).await
        }
        AppPasswordCommand::Create { user, name, protocols, days, args } => {
            let fields = Fields::default().add("name", Some(name)).list("protocols", &protocols);
            let seconds = days.map(|days| days.saturating_mul(DAY_SECONDS));
            let fields = fields.add("lifetime_seconds", seconds);
            session.create(&["users", &user, "app-passwords"], fields.0, &args).await
        }
        AppPasswordCommand::Delete { user, args: IdArgs { id, args } } => {
            let question = format!("Make the app password {id} of {user} worthless?");
            session.delete(&["users", &user, "app-passwords", &id], &question, &args).await
        }
    }
}

/// Removes the second factor that a user lost.
pub async fn remove_second_factor(session: &Session<'_>, user: &str, args: &DeleteArgs) -> Result<Exit, CliError> {
    let question = format!("Remove the second factor of {user}? The password alone will do then.");
    session.delete(&["users", user, "second-factor"], &question, args).await
}

/// What was done at the console, by the API and on the command line.
#[derive(Clone, Debug, Args)]
pub struct AuditArgs {
    /// Only what this one did
    #[arg(long)]
    who: Option<String>,
    /// Only what was about this user, group or mailbox
    #[arg(long)]
    about: Option<String>,
    /// Only where the path or what was sent has this text
    #[arg(long)]
    text: Option<String>,
    /// Only of the last hours
    #[arg(long, value_name = "HOURS")]
    hours: Option<u64>,
    /// At most so many lines
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

const AUDIT_COLUMNS: &[Column] = &[
    ("WHEN", "at"),
    ("WHO", "who"),
    ("BY", "via"),
    ("WHAT", "method"),
    ("OF", "path"),
    ("STATUS", "status"),
    ("SENT", "body"),
];

/// Prints lines of the record, the newest first.
pub async fn audit(session: &Session<'_>, args: AuditArgs) -> Result<Exit, CliError> {
    let (seconds, limit) = (args.hours.map(|hours| (hours.saturating_mul(3600)).to_string()), args.limit.to_string());
    let parameters = [
        ("who", args.who.as_deref()),
        ("about", args.about.as_deref()),
        ("text", args.text.as_deref()),
        ("since_seconds", seconds.as_deref()),
        ("limit", Some(limit.as_str())),
    ];
    let page = session.client.send(Method::GET, &path(&["audit"], &parameters), None).await?.body;
    session.items(page["items"].as_array().map_or(&[] as &[Value], Vec::as_slice), AUDIT_COLUMNS)
}
