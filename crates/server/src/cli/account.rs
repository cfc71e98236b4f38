//! `sterna account`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::GlobalArgs;
use super::acl::{self, AclCommand};
use super::client::CliError;
use super::exit::Exit;
use super::link::{self, LinkCommand};
use super::moving;
use super::output::Column;
use super::resource::{BinArgs, CreateArgs, DeleteArgs, Fields, Filters, Session, WriteArgs, quota, yes_or_no};

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("KIND", "kind"),
    ("ADDRESS", "address"),
    ("NAME", "display_name"),
    ("SERVER", "server"),
    ("SUSPENDED", "suspended"),
];

/// Move accounts between servers, see where they live, manage shared mailboxes
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// List the shared mailboxes, or all accounts of a server
    List {
        /// See [`Filters`].
        #[command(flatten)]
        filters: Filters,
        /// All accounts, of users too, that live on this server
        #[arg(long, value_name = "SERVER", conflicts_with_all = ["domain", "text"])]
        server: Option<String>,
    },
    /// Show an account, whoever's it is
    Get {
        /// Address or id
        account: String,
    },
    /// Show where an account lives, and who has copies of it
    Where {
        /// Address or id
        account: String,
    },
    /// Move accounts to another server while they are used
    ///
    /// Nobody is logged out, and nothing is downloaded again: clients wait for a moment when an account changes its
    /// server. It begins a job and shows its progress; Ctrl-C stops showing it, not the job.
    Move(moving::MoveArgs),
    /// Keep a standby copy of accounts on another server, or show the copies there are
    Standby {
        /// Addresses or ids
        #[arg(value_name = "ADDRESS", required = true)]
        accounts: Vec<String>,
        /// See [`moving::StandbyArgs`].
        #[command(flatten)]
        standby: moving::StandbyArgs,
    },
    /// Delete the copies that a server keeps of accounts that were moved away from it
    Release {
        /// Addresses or ids
        #[arg(value_name = "ADDRESS", required = true)]
        accounts: Vec<String>,
        /// The server that keeps them
        #[arg(long, value_name = "SERVER")]
        on: String,
        /// See [`DeleteArgs`].
        #[command(flatten)]
        delete: DeleteArgs,
    },
    /// See and change who may do what with an account's mailboxes, calendars, address books and files
    #[command(subcommand)]
    Acl(AclCommand),
    /// Publish calendars by links that anybody can read, and revoke them
    #[command(subcommand)]
    Link(LinkCommand),
    /// Make a shared mailbox
    Create {
        /// The main address
        address: String,
        /// The server, by name or id; chosen by policy when not given
        #[arg(long, value_name = "SERVER")]
        server: Option<String>,
        /// See [`AccountOptions`].
        #[command(flatten)]
        options: AccountOptions,
        /// See [`CreateArgs`].
        #[command(flatten)]
        create: CreateArgs,
    },
    /// Change a shared mailbox
    Set {
        /// Address or id
        account: String,
        /// The new main address
        #[arg(long, value_name = "ADDRESS")]
        address: Option<String>,
        /// Whether it takes no mail
        #[arg(long, value_name = "YES/NO", value_parser = yes_or_no)]
        suspended: Option<bool>,
        /// Whether it is left out of the directory's address book
        #[arg(long, value_name = "YES/NO", value_parser = yes_or_no)]
        hidden: Option<bool>,
        /// See [`AccountOptions`].
        #[command(flatten)]
        options: AccountOptions,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Delete a shared mailbox and all that is in it
    Delete {
        /// Address or id
        account: String,
        /// See [`BinArgs`].
        #[command(flatten)]
        delete: BinArgs,
    },
}

/// What a shared mailbox has.
#[derive(Clone, Debug, Default, Args)]
pub struct AccountOptions {
    /// The name for people
    #[arg(long, visible_alias = "display-name", value_name = "TEXT")]
    name: Option<String>,
    /// A further address (repeatable; replaces all, '' removes all)
    #[arg(long = "alias", value_name = "ADDRESS")]
    aliases: Vec<String>,
    /// The organisational unit, as a path: sales/north ('' is none)
    #[arg(long, value_name = "PATH")]
    unit: Option<String>,
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
}

/// `None` is no limit. A type of its own, because clap takes `Option<Option<T>>` for an optional value.
type Quota = Option<u64>;

impl AccountOptions {
    fn fields(&self) -> Fields {
        let quota = self.quota.map(|quota| quota.map_or(Value::Null, Value::from));
        Fields::default()
            .add("display_name", self.name.as_deref())
            .list("aliases", &self.aliases)
            .add("unit", self.unit.as_deref())
            .list("senders", &self.senders)
            .list("forward_to", &self.forward_to)
            .add("forward_only", self.forward_only)
            .add("quota_bytes", quota)
    }
}

pub(super) async fn run(session: &Session<'_>, global: &GlobalArgs, command: AccountCommand) -> Result<Exit, CliError> {
    match command {
        AccountCommand::Move(args) => moving::move_accounts(session, global, &args).await,
        AccountCommand::Standby { accounts, standby } => moving::standby_of_account(session, &accounts, &standby).await,
        AccountCommand::Release { accounts, on, delete } => {
            moving::release(session, &accounts, &on, delete.yes, delete.write).await
        }
        AccountCommand::List { filters, server } => {
            let filters = [&filters.parameters()[..], &[("server", server.as_deref())]].concat();
            session.list(&["accounts"], &filters, COLUMNS).await
        }
        AccountCommand::Get { account } => session.get(&["accounts", &account]).await,
        AccountCommand::Where { account } => session.get(&["accounts", &account, "where"]).await,
        AccountCommand::Acl(command) => acl::run(session, command).await,
        AccountCommand::Link(command) => link::run(session, command).await,
        AccountCommand::Create { address, server, options, create } => {
            let fields = options.fields().add("address", Some(address)).add("server", server);
            session.create(&["accounts"], fields.0, &create).await
        }
        AccountCommand::Set { account, address, suspended, hidden, options, write } => {
            let fields = options.fields().add("address", address).add("suspended", suspended).add("hidden", hidden);
            session.set(&["accounts", &account], fields.0, &write).await
        }
        AccountCommand::Delete { account, delete } => {
            session.bin(&["accounts", &account], &format!("mailbox {account}"), &delete).await
        }
    }
}
