//! `sterna firewall`

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::Output;
use super::client::{CliError, path};
use super::exit::Exit;
use super::output::{self, Column};
use super::resource::{Session, WriteArgs};

const COLUMNS: &[Column] =
    &[("SERVER", "name"), ("STATE", "state"), ("PORTS", "ports"), ("FAILURE", "failure"), ("REMEDY", "remedy")];

/// Guard the ports between the machines: open for the installation's servers, and for whom you name
#[derive(Debug, Subcommand)]
pub enum FirewallCommand {
    /// Show the rules, and how they stand on each server
    Show,
    /// Print the rules of one server for nft(8)
    Rules {
        /// The server
        server: String,
    },
    /// Guard the ports on every server; without a confirmation all is as before after a minute
    On(TrialArgs),
    /// Guard them no more
    Off(TrialArgs),
    /// Let a network in besides the servers: a Postfix in front, monitoring
    Allow {
        /// An address or a network, as 192.0.2.0/24
        network: String,
        /// See [`TrialArgs`].
        #[command(flatten)]
        trial: TrialArgs,
    },
    /// Let it in no more
    Deny {
        /// As it was allowed
        network: String,
        /// See [`TrialArgs`].
        #[command(flatten)]
        trial: TrialArgs,
    },
    /// Keep the rules that are on trial
    Confirm {
        /// Although not every server answers and has them
        #[arg(long)]
        anyway: bool,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Take the rules on trial back at once
    Back(WriteArgs),
}

/// How rules are tried.
#[derive(Debug, Args)]
pub struct TrialArgs {
    /// After how many seconds all is as before, unless the rules are confirmed
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    confirm_within: u32,
    /// See [`WriteArgs`].
    #[command(flatten)]
    write: WriteArgs,
}

pub(super) async fn run(session: &Session<'_>, command: FirewallCommand) -> Result<Exit, CliError> {
    match command {
        FirewallCommand::Show => {
            let shown = session.client.get(&path(&["firewall"], &[])).await?;
            show(session, &shown)
        }
        FirewallCommand::Rules { server } => {
            let answer = session.client.get(&path(&["firewall", "servers", &server], &[])).await?;
            output::line(answer["rules"].as_str().unwrap_or_default())?;
            Ok(Exit::Done)
        }
        FirewallCommand::On(trial) => put(session, json!({ "on": true }), &trial).await,
        FirewallCommand::Off(trial) => put(session, json!({ "on": false }), &trial).await,
        FirewallCommand::Allow { network, trial } => with(session, &trial, |networks| networks.push(network)).await,
        FirewallCommand::Deny { network, trial } => {
            with(session, &trial, |networks| networks.retain(|one| *one != network)).await
        }
        FirewallCommand::Confirm { anyway, write } => {
            let path = path(&["firewall", "confirm"], &[write.parameter()]);
            let answer = session.client.send(Method::POST, &path, Some(&json!({ "anyway": anyway }))).await?;
            session.written(&answer, &write)
        }
        FirewallCommand::Back(write) => {
            let path = path(&["firewall", "trial"], &[write.parameter()]);
            let answer = session.client.send(Method::DELETE, &path, None).await?;
            session.written(&answer, &write)
        }
    }
}

fn show(session: &Session<'_>, shown: &Value) -> Result<Exit, CliError> {
    if session.format() != Output::Table {
        return session.show(shown);
    }
    let mut facts = shown.clone();
    let servers = facts.as_object_mut().and_then(|facts| facts.remove("servers")).unwrap_or_default();
    output::one(Output::Table, &facts)?;
    output::line("")?;
    session.items(servers.as_array().map(Vec::as_slice).unwrap_or_default(), COLUMNS)
}

async fn with(
    session: &Session<'_>,
    trial: &TrialArgs,
    change: impl FnOnce(&mut Vec<String>),
) -> Result<Exit, CliError> {
    let now = session.client.get(&path(&["firewall"], &[])).await?;
    let listed = now["networks"].as_array().cloned().unwrap_or_default();
    let mut networks: Vec<String> = listed.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    change(&mut networks);
    put(session, json!({ "on": now["on"], "networks": networks }), trial).await
}

async fn put(session: &Session<'_>, mut body: Value, trial: &TrialArgs) -> Result<Exit, CliError> {
    body["confirm_seconds"] = trial.confirm_within.into();
    let path = path(&["firewall"], &[trial.write.parameter()]);
    let answer = session.client.send(Method::PUT, &path, Some(&body)).await?;
    if trial.write.dry_run && answer.changed {
        return session.show(&answer.body);
    }
    let exit = session.written(&answer, &trial.write)?;
    if answer.changed && !answer.body["confirm_by"].is_null() {
        session.say(&format!(
            "on trial: look whether all is well (sterna status), then within {} s: sterna firewall confirm\n",
            trial.confirm_within,
        ));
    }
    Ok(exit)
}
