//! `sterna resource`

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::client::CliError;
use super::exit::Exit;
use super::output::Column;
use super::resource::{BinArgs, CreateArgs, Fields, Filters, Session, WriteArgs, yes_or_no};

const COLUMNS: &[Column] =
    &[("ADDRESS", "address"), ("NAME", "display_name"), ("SERVER", "server"), ("SUSPENDED", "suspended")];

/// Manage rooms and things that are booked by inviting them
#[derive(Debug, Subcommand)]
pub enum ResourceCommand {
    /// List the rooms and things
    List {
        /// See [`Filters`].
        #[command(flatten)]
        filters: Filters,
    },
    /// Show a room or a thing
    Get {
        /// Address or id
        resource: String,
    },
    /// Make a room or a thing
    #[command(visible_alias = "add")]
    Create {
        /// The main address
        address: String,
        /// The server, by name or id; chosen by policy when not given
        #[arg(long, value_name = "SERVER")]
        server: Option<String>,
        /// See [`ResourceOptions`].
        #[command(flatten)]
        options: ResourceOptions,
        /// See [`CreateArgs`].
        #[command(flatten)]
        create: CreateArgs,
    },
    /// Change a room or a thing
    Set {
        /// Address or id
        resource: String,
        /// The new main address
        #[arg(long, value_name = "ADDRESS")]
        address: Option<String>,
        /// Whether it takes no mail and no invitations
        #[arg(long, value_name = "YES/NO", value_parser = yes_or_no)]
        suspended: Option<bool>,
        /// See [`ResourceOptions`].
        #[command(flatten)]
        options: ResourceOptions,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Delete a room or a thing and its calendar
    Delete {
        /// Address or id
        resource: String,
        /// See [`BinArgs`].
        #[command(flatten)]
        delete: BinArgs,
    },
}

/// What a resource has.
#[derive(Clone, Debug, Default, Args)]
pub struct ResourceOptions {
    /// The name for people
    #[arg(long, visible_alias = "display-name", value_name = "TEXT")]
    name: Option<String>,
    /// A further address (repeatable; replaces all, '' removes all)
    #[arg(long = "alias", value_name = "ADDRESS")]
    aliases: Vec<String>,
    /// The organisational unit, as a path: sales/north ('' is none)
    #[arg(long, value_name = "PATH")]
    unit: Option<String>,
    /// What it is
    #[arg(long, value_parser = ["room", "equipment"])]
    kind: Option<String>,
    /// Who answers invitations: the rules, its managers where the rules allow it, or nobody
    #[arg(long, value_parser = ["auto", "managers", "nobody"])]
    answers: Option<String>,
    /// How many people fit in (0: not asked)
    #[arg(long, value_name = "PEOPLE")]
    capacity: Option<u32>,
    /// How many bookings it can have at the same time
    #[arg(long, value_name = "NUMBER")]
    bookings: Option<u32>,
    /// When it can be booked, such as "mo-fr 08:00-18:00 Europe/Berlin" ('': always)
    #[arg(long, value_name = "HOURS")]
    hours: Option<String>,
    /// How many days ahead it can be booked (0: any)
    #[arg(long, value_name = "DAYS")]
    ahead_days: Option<u32>,
    /// The longest booking in minutes (0: any)
    #[arg(long, value_name = "MINUTES")]
    longest_minutes: Option<u32>,
    /// Whether it can be booked for series
    #[arg(long, value_name = "YES/NO", value_parser = yes_or_no)]
    series: Option<bool>,
    /// A user or group who decides and looks after its calendar (repeatable; replaces all, '' removes all)
    #[arg(long = "manager", value_name = "ADDRESS")]
    managers: Vec<String>,
}

impl ResourceOptions {
    fn fields(&self) -> Fields {
        let or_null = |number: u32| if number == 0 { Value::Null } else { Value::from(number) };
        let rules = Fields::default()
            .add("kind", self.kind.as_deref())
            .add("answers", self.answers.as_deref())
            .add("capacity", self.capacity.map(or_null))
            .add("bookings", self.bookings)
            .clearable("hours", self.hours.as_deref())
            .add("ahead_days", self.ahead_days.map(or_null))
            .add("longest_minutes", self.longest_minutes.map(or_null))
            .add("series", self.series)
            .list("managers", &self.managers);
        let rules: Map<String, Value> = rules.0;
        Fields::default()
            .add("display_name", self.name.as_deref())
            .list("aliases", &self.aliases)
            .add("unit", self.unit.as_deref())
            .add("resource", (!rules.is_empty()).then_some(Value::Object(rules)))
    }
}

pub(super) async fn run(session: &Session<'_>, command: ResourceCommand) -> Result<Exit, CliError> {
    match command {
        ResourceCommand::List { filters } => session.list(&["resources"], &filters.parameters(), COLUMNS).await,
        ResourceCommand::Get { resource } => session.get(&["resources", &resource]).await,
        ResourceCommand::Create { address, server, options, create } => {
            let fields = options.fields().add("address", Some(address)).add("server", server);
            session.create(&["resources"], fields.0, &create).await
        }
        ResourceCommand::Set { resource, address, suspended, options, write } => {
            let fields = options.fields().add("address", address).add("suspended", suspended);
            session.set(&["resources", &resource], fields.0, &write).await
        }
        ResourceCommand::Delete { resource, delete } => {
            session.bin(&["resources", &resource], &format!("resource {resource}"), &delete).await
        }
    }
}
