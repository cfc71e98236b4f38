//! `sterna group`

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::Column;
use super::resource::{BinArgs, CreateArgs, Fields, Filters, Session, WriteArgs, yes_or_no};

const COLUMNS: &[Column] =
    &[("ADDRESS", "address"), ("NAME", "display_name"), ("MEMBERS", "member_count"), ("EXTERNAL", "external_members")];
const MEMBER_COLUMNS: &[Column] = &[("ADDRESS", "address"), ("KIND", "kind")];

/// Manage groups
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// List the groups
    List {
        /// See [`Filters`].
        #[command(flatten)]
        filters: Filters,
    },
    /// Show a group
    Get {
        /// Address or id
        group: String,
    },
    /// List the members that a group has itself
    Members {
        /// Address or id
        group: String,
    },
    /// Make a group
    Create {
        /// The main address
        address: String,
        /// A member, by address: a user, a shared mailbox, another group, or somebody outside (repeatable)
        #[arg(long = "member", value_name = "ADDRESS")]
        members: Vec<String>,
        /// See [`GroupOptions`].
        #[command(flatten)]
        options: GroupOptions,
        /// See [`CreateArgs`].
        #[command(flatten)]
        create: CreateArgs,
    },
    /// Change a group
    Set {
        /// Address or id
        group: String,
        /// The new main address
        #[arg(long, value_name = "ADDRESS")]
        address: Option<String>,
        /// Whether it takes no mail
        #[arg(long, value_name = "YES/NO", value_parser = yes_or_no)]
        suspended: Option<bool>,
        /// Whether it is left out of the directory's address book
        #[arg(long, value_name = "YES/NO", value_parser = yes_or_no)]
        hidden: Option<bool>,
        /// Add a member, by address (repeatable)
        #[arg(long = "add-member", value_name = "ADDRESS")]
        add: Vec<String>,
        /// Remove a member, by address (repeatable)
        #[arg(long = "remove-member", value_name = "ADDRESS")]
        remove: Vec<String>,
        /// See [`GroupOptions`].
        #[command(flatten)]
        options: GroupOptions,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Delete a group; its members stay
    Delete {
        /// Address or id
        group: String,
        /// See [`BinArgs`].
        #[command(flatten)]
        delete: BinArgs,
    },
}

/// What a group has.
#[derive(Clone, Debug, Default, Args)]
pub struct GroupOptions {
    /// The name for people
    #[arg(long, visible_alias = "display-name", value_name = "TEXT")]
    name: Option<String>,
    /// A further address (repeatable; replaces all, '' removes all)
    #[arg(long = "alias", value_name = "ADDRESS")]
    aliases: Vec<String>,
    /// The organisational unit, as a path: sales/north ('' is none)
    #[arg(long, value_name = "PATH")]
    unit: Option<String>,
    /// A user or group who may send with the addresses (repeatable; replaces all, '' removes all)
    #[arg(long = "sender", value_name = "ADDRESS")]
    senders: Vec<String>,
    /// Whether addresses outside of the installation may be members
    #[arg(long, value_name = "YES/NO", value_parser = yes_or_no, num_args = 0..=1, default_missing_value = "yes")]
    external_members: Option<bool>,
    /// Whether only senders who are logged in may write to it
    #[arg(long, value_name = "YES/NO", value_parser = yes_or_no, num_args = 0..=1, default_missing_value = "yes")]
    internal_senders_only: Option<bool>,
}

impl GroupOptions {
    fn fields(&self) -> Fields {
        Fields::default()
            .add("display_name", self.name.as_deref())
            .list("aliases", &self.aliases)
            .add("unit", self.unit.as_deref())
            .list("senders", &self.senders)
            .add("external_members", self.external_members)
            .add("internal_senders_only", self.internal_senders_only)
    }
}

pub(super) async fn run(session: &Session<'_>, command: GroupCommand) -> Result<Exit, CliError> {
    match command {
        GroupCommand::List { filters } => session.list(&["groups"], &filters.parameters(), COLUMNS).await,
        GroupCommand::Get { group } => session.get(&["groups", &group]).await,
        GroupCommand::Members { group } => session.list(&["groups", &group, "members"], &[], MEMBER_COLUMNS).await,
        GroupCommand::Create { address, members, options, create } => {
            let fields = options.fields().add("address", Some(address)).list("members", &members);
            session.create(&["groups"], fields.0, &create).await
        }
        GroupCommand::Set { group, address, suspended, hidden, add, remove, options, write } => {
            let fields = options.fields().add("address", address).add("suspended", suspended).add("hidden", hidden);
            set(session, &group, fields, &add, &remove, &write).await
        }
        GroupCommand::Delete { group, delete } => {
            session.bin(&["groups", &group], &format!("group {group}"), &delete).await
        }
    }
}

/// Members are a resource of their own, so one command may take two requests: attributes first, because they may allow
/// the members that come then.
async fn set(
    session: &Session<'_>,
    group: &str,
    fields: Fields,
    add: &[String],
    remove: &[String],
    write: &WriteArgs,
) -> Result<Exit, CliError> {
    if add.is_empty() && remove.is_empty() {
        return session.set(&["groups", group], fields.0, write).await;
    }
    let dry_run = ("dry_run", write.dry_run.then_some("true"));
    let mut changed = false;
    // The group's id: its address may change with the first request.
    let shown = session.client.get(&path(&["groups", group], &[])).await?;
    let id = shown["id"].to_string();
    if !fields.0.is_empty() {
        let at = path(&["groups", &id], &[dry_run]);
        changed = session.client.send(Method::PATCH, &at, Some(&Value::Object(fields.0))).await?.changed;
    }
    let at = path(&["groups", &id, "members"], &[dry_run]);
    let answer = session.client.send(Method::PATCH, &at, Some(&json!({ "add": add, "remove": remove }))).await?;
    if write.dry_run {
        session.say("it would be done\n");
    } else {
        session.show(&answer.body)?;
    }
    Ok(if changed || answer.changed { Exit::Done } else { Exit::NothingToDo })
}
