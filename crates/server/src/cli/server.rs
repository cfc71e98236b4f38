//! `sterna server`

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};
use sterna_base::Version;

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::{self, Column, Listing};
use super::resource::{CreateArgs, DeleteArgs, Fields, Session, WriteArgs, yes_or_no};
use super::{GlobalArgs, Output, moving, progress, server_work};

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("ROLES", "roles"),
    ("ANSWERS", "answers"),
    ("ACCOUNTS", "accounts"),
    ("COPIES", "copies"),
    ("MOVES IN/OUT", "moves"),
    ("USED", "used"),
    ("FREE", "free"),
    ("DISK", "disk"),
    ("LOAD", "load"),
    ("NEW ACCOUNTS", "new"),
    ("VERSION", "version"),
];
const TOKEN_COLUMNS: &[Column] = &[("ID", "id"), ("NAME", "name"), ("ROLES", "roles"), ("EXPIRES", "expires_at")];

/// Manage the servers of the installation
#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// List the servers
    List,
    /// Show a server: how it is, what it holds, what moves
    #[command(visible_alias = "show")]
    Get {
        /// Name or id
        server: String,
    },
    /// Invite a new server: prints a token, good once, with which it joins (sterna init --join)
    #[command(visible_aliases = ["invite", "add"])]
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
    /// Empty a server: it takes no accounts any more, and those it has move to others by policy
    Drain(server_work::DrainArgs),
    /// Bring the servers' loads to the ratio of their weights: shows who would move where, and asks
    Rebalance(server_work::RebalanceArgs),
    /// Keep standby copies of all accounts of a server on another one, or show how far they are
    Standby {
        /// The server with the accounts, by name or id
        server: String,
        /// See [`moving::StandbyArgs`].
        #[command(flatten)]
        standby: moving::StandbyArgs,
    },
    /// Let the standby copies of a lost server's accounts take over: says first what may be lost, and asks
    Failover(server_work::FailoverArgs),
    /// Delete stores on a server that the directory doesn't name, as far as they are old copies
    Sweep {
        /// Name or id
        server: String,
        /// See [`DeleteArgs`].
        #[command(flatten)]
        sweep: DeleteArgs,
    },
    /// Let another version of the program run on a server, by hand; it must be installed there (sterna-X.Y.Z)
    RunVersion {
        /// Name or id
        server: String,
        /// Which: X.Y.Z
        #[arg(id = "wanted", value_name = "VERSION")]
        version: Version,
    },
    /// Remove a server that nothing is left on
    #[command(visible_alias = "remove")]
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
    /// What it does: data, edge. Its own sterna.toml must say the same
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    roles: Vec<String>,
}

impl ServerOptions {
    fn fields(&self) -> Fields {
        Fields::default()
            .add("name", self.name.as_deref())
            .add("address", self.address.as_deref())
            .add("weight", self.weight)
            .add("accepts_new_accounts", self.accept_new)
            .list("roles", &self.roles)
    }
}

pub(super) async fn run(session: &Session<'_>, global: &GlobalArgs, command: ServerCommand) -> Result<Exit, CliError> {
    match command {
        ServerCommand::Drain(args) => server_work::drain(session, global, &args).await,
        ServerCommand::Rebalance(args) => server_work::rebalance(session, global, &args).await,
        ServerCommand::Standby { server, standby } => moving::standby_of_server(session, &server, &standby).await,
        ServerCommand::Failover(args) => server_work::failover(session, global, &args).await,
        ServerCommand::List => list(session, global).await,
        ServerCommand::Get { server } => get(session, global, &server).await,
        ServerCommand::Sweep { server, sweep } => server_work::sweep(session, global, &server, &sweep).await,
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
        ServerCommand::RunVersion { server, version } => {
            let (path, body) = (path(&["servers", &server, "version"], &[]), json!({ "version": version }));
            session.client.send(Method::PUT, &path, Some(&body)).await?;
            Ok(Exit::Done)
        }
        ServerCommand::Delete { server, delete } => {
            session.delete(&["servers", &server], &format!("Remove server {server}?"), &delete).await
        }
    }
}

/// A server as people read it; programs get all fields as they are.
async fn get(session: &Session<'_>, global: &GlobalArgs, server: &str) -> Result<Exit, CliError> {
    let mut value = session.client.get(&path(&["servers", server], &[])).await?;
    if global.format() == Output::Table {
        for name in ["used", "free", "disk"] {
            let bytes = value[format!("{name}_bytes")].take();
            value[name] = bytes.as_u64().map(output::bytes).into();
        }
        if !value["copying"].is_null() {
            value["copying"] = progress::speed(&value["copying"]).into();
        }
        // What there is nothing to say about is left out: people look for what there is.
        if let Value::Object(fields) = &mut value {
            fields.retain(|_, value| !value.is_null());
        }
    }
    output::one(global.format(), &value)?;
    Ok(Exit::Done)
}

/// The servers as people read them; programs get all fields.
async fn list(session: &Session<'_>, global: &GlobalArgs) -> Result<Exit, CliError> {
    if global.format() != Output::Table {
        return session.list(&["servers"], &[], COLUMNS).await;
    }
    let page = session.client.get(&path(&["servers"], &[])).await?;
    let rows: Vec<Value> = page["items"].as_array().map_or(&[][..], Vec::as_slice).iter().map(row).collect();
    let mut listing = Listing::new(Output::Table, COLUMNS);
    listing.page(&rows)?;
    listing.end()?;
    Ok(Exit::Done)
}

fn row(server: &Value) -> Value {
    let bytes = |name: &str| server[name].as_u64().map(output::bytes);
    let answers = match (server["answers"].as_bool(), server["since"].as_str()) {
        (Some(true), _) => "yes".to_owned(),
        (Some(false), Some(since)) => format!("no, since {since}"),
        _ => "no".to_owned(),
    };
    let is_data = server["roles"].as_array().is_some_and(|roles| roles.contains(&json!("data")));
    let new = match (server["draining"].as_bool(), server["accepts_new_accounts"].as_bool(), server["weight"].as_u64())
    {
        _ if !is_data => None,
        (Some(true), _, _) => Some("no, draining".to_owned()),
        (_, Some(true), Some(1)) => Some("yes".to_owned()),
        (_, Some(true), Some(weight)) => Some(format!("yes, weight {weight}")),
        _ => Some("no".to_owned()),
    };
    json!({
        "name": server["name"],
        "roles": server["roles"],
        "answers": answers,
        "accounts": server["accounts"],
        "copies": server["copies"],
        "moves": format!("{}/{}", server["moves_in"], server["moves_out"]),
        "used": bytes("used_bytes"),
        "free": bytes("free_bytes"),
        "disk": bytes("disk_bytes"),
        "load": server["load"],
        "new": new,
        "version": server["version"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_one_row() {
        let server = json!({
            "name": "alpha", "roles": ["data"], "answers": false, "since": "12:00", "accounts": 3, "copies": 1,
            "moves_in": 0, "moves_out": 2, "used_bytes": 1 << 30, "free_bytes": null, "load": null, "draining": true,
            "accepts_new_accounts": true, "weight": 1, "version": "0.1",
        });
        let row = row(&server);
        assert_eq!((&row["answers"], &row["moves"]), (&json!("no, since 12:00"), &json!("0/2")));
        assert_eq!((&row["used"], &row["new"]), (&json!("1.0 GiB"), &json!("no, draining")));
        assert_eq!(row["free"], Value::Null);
    }
}
