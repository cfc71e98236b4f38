//! `sterna domain`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::GlobalArgs;
use super::client::CliError;
use super::domain_dns;
use super::exit::Exit;
use super::output::Column;
use super::resource::{CreateArgs, DeleteArgs, Fields, Session, WriteArgs, yes_or_no};

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("ALIASES", "aliases"),
    ("SERVERS", "servers"),
    ("SUSPENDED", "suspended"),
    ("DESCRIPTION", "description"),
];

/// Manage mail domains
#[derive(Debug, Subcommand)]
pub enum DomainCommand {
    /// List the domains
    List,
    /// Show a domain
    Get {
        /// Its name or id
        domain: String,
    },
    /// Make a domain
    Create {
        /// Its name
        domain: String,
        /// See [`DomainOptions`].
        #[command(flatten)]
        options: DomainOptions,
        /// See [`CreateArgs`].
        #[command(flatten)]
        create: CreateArgs,
    },
    /// Change a domain
    Set {
        /// Its name or id
        domain: String,
        /// Its new name; addresses follow it
        #[arg(long, value_name = "NAME")]
        rename: Option<String>,
        /// Whether log-in and mail are stopped
        #[arg(long, value_name = "YES/NO", value_parser = yes_or_no)]
        suspended: Option<bool>,
        /// See [`DomainOptions`].
        #[command(flatten)]
        options: DomainOptions,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Show the records that DNS should have of a domain
    Dns {
        /// Its name or id
        domain: String,
        /// Print lines of a zone file
        #[arg(long, conflicts_with = "output")]
        zone: bool,
    },
    /// Delete a domain that has no addresses left
    Delete {
        /// Its name or id
        domain: String,
        /// See [`DeleteArgs`].
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

/// What a domain has.
#[derive(Clone, Debug, Default, Args)]
pub struct DomainOptions {
    /// Another name of the domain (repeatable; replaces all, '' removes all)
    #[arg(long = "alias", value_name = "NAME")]
    aliases: Vec<String>,
    /// A text for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A server for new accounts (repeatable; replaces all, '' allows every server)
    #[arg(long = "server", value_name = "SERVER")]
    servers: Vec<String>,
    /// Where mail for postmaster goes ('' for the system's setting)
    #[arg(long, value_name = "ADDRESS")]
    postmaster: Option<String>,
    /// Characters that separate an address from its detail: none, or up to four ('' for the system's setting)
    #[arg(long, value_name = "CHARACTERS", allow_hyphen_values = true)]
    plus_separators: Option<String>,
    /// Days for which expunged messages are kept ('' for the system's setting)
    #[arg(long, value_name = "DAYS", value_parser = days)]
    retention_days: Option<Days>,
    /// What senders to a full mailbox are told: defer (try again) or refuse ('' for the system's setting)
    #[arg(long, value_name = "defer/refuse")]
    full_mailbox: Option<String>,
}

/// `None` is the system's setting. A type of its own, because clap takes `Option<Option<T>>` for an optional value.
type Days = Option<u32>;

fn days(text: &str) -> Result<Days, String> {
    let number = || text.parse().map(Some).map_err(|_| "a number of days".to_owned());
    if text.is_empty() { Ok(None) } else { number() }
}

impl DomainOptions {
    fn fields(&self) -> Fields {
        Fields::default()
            .list("aliases", &self.aliases)
            .add("description", self.description.as_deref())
            .list("servers", &self.servers)
            .clearable("postmaster", self.postmaster.as_deref())
            .clearable("plus_separators", self.plus_separators.as_deref())
            .add("retention_days", self.retention_days.map(|days| days.map_or(Value::Null, Value::from)))
            .clearable("full_mailbox", self.full_mailbox.as_deref())
    }
}

pub(super) async fn run(session: &Session<'_>, global: &GlobalArgs, command: DomainCommand) -> Result<Exit, CliError> {
    match command {
        DomainCommand::List => session.list(&["domains"], &[], COLUMNS).await,
        DomainCommand::Get { domain } => session.get(&["domains", &domain]).await,
        DomainCommand::Create { domain, options, create } => {
            let fields = options.fields().add("name", Some(domain));
            session.create(&["domains"], fields.0, &create).await
        }
        DomainCommand::Set { domain, rename, suspended, options, write } => {
            let fields = options.fields().add("name", rename).add("suspended", suspended);
            session.set(&["domains", &domain], fields.0, &write).await
        }
        DomainCommand::Dns { domain, zone } => domain_dns::run(session, global, &domain, zone).await,
        DomainCommand::Delete { domain, delete } => {
            session.delete(&["domains", &domain], &format!("Delete domain {domain}?"), &delete).await
        }
    }
}
