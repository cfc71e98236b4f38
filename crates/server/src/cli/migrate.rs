//! `sterna migrate`: a new machine takes an old one's place.

use std::time::Duration;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::args::InitArgs;
use super::client::{CliError, path};
use super::exit::Exit;
use super::migrate_address::AddressArgs;
use super::migrate_rehearse::RehearseArgs;
use super::output::Column;
use super::resource::{Session, WriteArgs};
use super::{GlobalArgs, Output, migrate_address, migrate_afterwards, migrate_rehearse, output, prompt};
use crate::node::init;

/// How often the state is looked at while a command waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often in a row the main node may not answer: it is another one from the middle of the switch on, and starts.
const SILENCES_MAX: u32 = 60;

const COLUMNS: &[Column] = &[
    ("ADDRESS", "address"),
    ("STATE", "state"),
    ("BEHIND", "behind"),
    ("BYTES", "bytes"),
    ("FETCHED", "fetched_bytes"),
    ("TROUBLE", "trouble"),
];

/// Put a new machine in the place of an old one, while it is used
#[derive(Debug, Subcommand)]
pub enum MigrateCommand {
    /// On the main node: make the token that a new machine needs to take a machine's place
    Token {
        /// The machine whose place is taken, by name or id; the main node when not given
        #[arg(long, value_name = "SERVER")]
        server: Option<String>,
        /// Minutes until the token is worthless; 60 when not given
        #[arg(long, value_name = "N")]
        minutes: Option<u64>,
    },
    /// On the new machine: pair with the main node by its token, and prepare this machine
    From(FromArgs),
    /// Show how far it is, and what it waits for
    Status {
        /// Show each account
        #[arg(long)]
        accounts: bool,
        /// Wait until everything is equal, or until what goes on is over
        #[arg(long, conflicts_with = "accounts")]
        wait: bool,
    },
    /// On the new machine: check all copies, and try log-ins and deliveries on copies of them, which are thrown away
    Rehearse(RehearseArgs),
    /// Let the new machine take over: the main role, then the accounts
    Switch(GoArgs),
    /// Let the old machine have all of it back; nothing is lost
    Back(GoArgs),
    /// Show what still names the old machine after the switch (networks, routes, rules, DNS), and let it name the new
    /// one
    Afterwards(AfterwardsArgs),
    /// On the old machine, as root: take an IP address away from it, which the new one is to have
    ReleaseAddress(AddressArgs),
    /// On the new machine, as root: give it an IP address that the old one had, and tell everybody on the network
    TakeAddress(AddressArgs),
    /// Let the old machine go, when mail no longer reaches it; from then on there is no way back
    Finish {
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
        /// Don't wait for the end
        #[arg(long)]
        detach: bool,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Give it up before the switch: the copies on the new machine are deleted
    Abort {
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
}

/// Options of `from`.
#[derive(Clone, Debug, Args)]
pub struct FromArgs {
    /// The main node of the installation: HOST, or HOST:PORT when it isn't 7700
    host: String,
    /// The token of `sterna migrate token`; @FILE reads it from a file
    #[arg(long, value_name = "TOKEN", env = "STERNA_JOIN_TOKEN", hide_env_values = true)]
    token: String,
    /// What this machine is called; its own name when left out
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Where other nodes reach this one; NAME:7700 when left out
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// Where this node listens for other nodes
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:7700")]
    cluster_listen: std::net::SocketAddr,
}

/// Options of `switch` and `back`.
#[derive(Clone, Copy, Debug, Args)]
pub struct GoArgs {
    /// All accounts at the same time, instead of a few after the other
    #[arg(long)]
    at_once: bool,
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
    /// Don't wait for the end
    #[arg(long)]
    detach: bool,
    /// See [`WriteArgs`].
    #[command(flatten)]
    write: WriteArgs,
}

/// Options of `afterwards`.
#[derive(Clone, Copy, Debug, Args)]
pub struct AfterwardsArgs {
    /// Accept the changes that are shown
    #[arg(long)]
    accept: bool,
    /// Look again and again, until every name in DNS leads to the new machine
    #[arg(long)]
    watch: bool,
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
    /// See [`WriteArgs`].
    #[command(flatten)]
    write: WriteArgs,
}

pub(super) async fn run(session: &Session<'_>, global: &GlobalArgs, command: MigrateCommand) -> Result<Exit, CliError> {
    match command {
        MigrateCommand::Token { server, minutes } => token(session, global, server, minutes).await,
        MigrateCommand::From(args) => from(global, args).await,
        MigrateCommand::Status { accounts: true, .. } => session.list(&["migration", "accounts"], &[], COLUMNS).await,
        MigrateCommand::Status { wait, .. } => {
            let state = match wait {
                true => until_settled(session).await?,
                false => session.client.get(&path(&["migration"], &[])).await?,
            };
            show(global, &state)
        }
        MigrateCommand::Rehearse(args) => migrate_rehearse::run(global, args).await,
        MigrateCommand::Switch(args) => go(session, global, "switch", "Let the new machine take over?", args).await,
        MigrateCommand::Back(args) => {
            go(session, global, "back", "Let the old machine have all of it back?", args).await
        }
        MigrateCommand::Afterwards(args) => {
            let AfterwardsArgs { accept, watch, yes, write } = args;
            migrate_afterwards::run(session, global, (accept, watch, yes), &write).await
        }
        MigrateCommand::ReleaseAddress(args) => migrate_address::release(session, args).await,
        MigrateCommand::TakeAddress(args) => migrate_address::take(session, args).await,
        MigrateCommand::Finish { yes, detach, write } => {
            let question = "Is nothing sent to the old machine any more? After this there is no way back. Let it go?";
            go(session, global, "finish", question, GoArgs { at_once: false, yes, detach, write }).await
        }
        MigrateCommand::Abort { yes, write } => {
            let question = "Delete the copies on the new machine? Copying begins anew next time.";
            go(session, global, "abort", question, GoArgs { at_once: false, yes, detach: false, write }).await
        }
    }
}

async fn token(
    session: &Session<'_>,
    global: &GlobalArgs,
    server: Option<String>,
    minutes: Option<u64>,
) -> Result<Exit, CliError> {
    let lifetime_ms = minutes.map(|minutes| minutes.saturating_mul(60_000));
    let body = json!({"server": server, "lifetime_ms": lifetime_ms});
    let token = session.client.send(Method::POST, &path(&["migration"], &[]), Some(&body)).await?.body;
    if global.format() != Output::Table {
        return session.show(&token);
    }
    let text = |name: &str| token[name].as_str().unwrap_or_default().to_owned();
    session.say(&format!(
        "For the machine that takes the place of {}; it works once, until {}. There:\n",
        text("server"),
        text("expires_at")
    ));
    output::line(&format!("sterna migrate from {} --token {}", text("address"), text("token")))?;
    Ok(Exit::Done)
}

async fn from(global: &GlobalArgs, args: FromArgs) -> Result<Exit, CliError> {
    let FromArgs { host, token, name, address, cluster_listen } = args;
    let arguments = InitArgs { name, token: Some(token), address, cluster_listen, ..InitArgs::default() };
    match init::migrate_from(&global.folder(), &host, arguments).await {
        Ok(message) => {
            output::line(&message)?;
            Ok(Exit::Done)
        }
        Err(error) => Err(CliError::Usage(format!("{error:#}"))),
    }
}

async fn go(
    session: &Session<'_>,
    global: &GlobalArgs,
    action: &str,
    question: &str,
    args: GoArgs,
) -> Result<Exit, CliError> {
    if !args.write.dry_run {
        prompt::confirm(question, args.yes)?;
    }
    let pace = if args.at_once { "at-once" } else { "rolling" };
    let body = json!({"action": action, "pace": pace});
    let path = path(&["migration"], &[args.write.parameter()]);
    let answer = session.client.send(Method::PATCH, &path, Some(&body)).await?;
    if args.write.dry_run {
        return session.written(&answer, &args.write);
    }
    if args.detach {
        return show(global, &answer.body);
    }
    let state = until_settled(session).await?;
    show(global, &state)
}

/// The state as soon as nothing goes on but what waits for people. Each new sentence is told.
async fn until_settled(session: &Session<'_>) -> Result<Value, CliError> {
    let (mut told, mut silences) = (String::new(), 0);
    loop {
        match session.client.get(&path(&["migration"], &[])).await {
            Ok(state) => {
                silences = 0;
                let says = state["says"].as_str().unwrap_or_default();
                if says != told {
                    session.say(&format!("{says}\n"));
                    told = says.to_owned();
                }
                if is_settled(&state) {
                    return Ok(state);
                }
            }
            Err(error @ CliError::Refused(_)) => return Err(error),
            Err(error) => {
                silences += 1;
                if silences > SILENCES_MAX {
                    return Err(error);
                }
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn is_settled(state: &Value) -> bool {
    match state["phase"].as_str().unwrap_or_default() {
        "syncing" => state["copies"]["equal"] == state["copies"]["accounts"],
        "switching" | "returning" | "finishing" | "aborting" => false,
        _ => true,
    }
}

fn show(global: &GlobalArgs, state: &Value) -> Result<Exit, CliError> {
    if global.format() != Output::Table {
        output::one(global.format(), state)?;
        return Ok(Exit::Done);
    }
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    output::line(&text(&state["says"]))?;
    output::line("")?;
    let copies = &state["copies"];
    let number = |name: &str| copies[name].as_u64().unwrap_or(0);
    let mut lines = vec![
        (
            "phase",
            format!("{} ({}), since {}", text(&state["phase"]), text(&state["pace"]), text(&state["changed_at"])),
        ),
        ("from", format!("{}, {} accounts", text(&state["from"]["name"]), state["from"]["accounts"])),
        ("to", format!("{}, {} accounts", text(&state["to"]["name"]), state["to"]["accounts"])),
        ("main node", text(&state["main"])),
        ("looked at", text(&state["heartbeat"])),
    ];
    if number("accounts") > 0 {
        lines.push(("equal", format!("{} of {} accounts", number("equal"), number("accounts"))));
        lines.push(("lag", format!("{} changes", number("changes"))));
        let (fetched, all) = (output::bytes(number("fetched_bytes")), output::bytes(number("bytes")));
        lines.push(("fetched", format!("{fetched}; the accounts have {all}")));
        lines.push(("cold time", format!("about {} ms, if it were now", number("expected_cold_ms"))));
    }
    if let Some(deadline) = state["deadline"].as_str() {
        let late = if state["is_late"] == true { ", and that is past" } else { "" };
        lines.push(("usually until", format!("{deadline}{late}")));
    }
    for name in ["trouble", "job"] {
        if let Some(value) = state[name].as_str() {
            lines.push((name, value.to_owned()));
        }
    }
    for file in state["left_behind"].as_array().into_iter().flatten() {
        lines.push(("stays there", format!("{}, which is not Sterna's", text(file))));
    }
    for (name, value) in lines {
        output::line(&format!("{name:<14} {value}"))?;
    }
    for check in state["checks"].as_array().into_iter().flatten() {
        let mark = if check["is_well"] == true { "ok" } else { "NOT YET" };
        output::line(&format!("{mark:<14} {}", text(&check["says"])))?;
        if let Some(remedy) = check["remedy"].as_str() {
            output::line(&format!("{:<14} {remedy}", ""))?;
        }
    }
    Ok(Exit::Done)
}
