//! `sterna mail`

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{CliError, path};
use super::exit::Exit;
use super::resource::Session;
use super::{GlobalArgs, Output, mail_files, output};

/// How long deriving everything may take: an installation of a million addresses needs minutes.
const RUN_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Look after the routing of mail
#[derive(Debug, Subcommand)]
pub enum MailCommand {
    /// Derive and check all mail routing
    #[command(subcommand)]
    Maintenance(MaintenanceCommand),
}

/// Derive and check all mail routing
#[derive(Debug, Subcommand)]
pub enum MaintenanceCommand {
    /// Derive all mail routing again from the directory, show what changed since the last run, check it, and end with 1
    /// when something is wrong
    Run(RunArgs),
}

/// Options of `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Show and check, and leave the last run as it is
    #[arg(long)]
    dry_run: bool,
    /// Write the tables into this folder too, as files for a Postfix in front
    #[arg(long, value_name = "DIR", conflicts_with = "dry_run")]
    write: Option<PathBuf>,
    /// Don't run postmap: the files are read as texthash tables
    #[arg(long, requires = "write")]
    no_postmap: bool,
}

pub(super) async fn run(session: &Session<'_>, global: &GlobalArgs, command: MailCommand) -> Result<Exit, CliError> {
    let MailCommand::Maintenance(MaintenanceCommand::Run(args)) = command;
    let dry_run = args.dry_run.then_some("true");
    let asked = path(&["mail", "maintenance"], &[("dry_run", dry_run)]);
    let mut report = session.client.send_within(RUN_TIMEOUT, Method::POST, &asked, None).await?.body;
    if let Some(folder) = &args.write {
        let written = write(session, folder, !args.no_postmap).await?;
        report["written"] = json!(written);
    }
    match global.format() {
        Output::Table => print(&report)?,
        format => output::one(format, &report)?,
    }
    Ok(if list(&report["problems"]).is_empty() { Exit::Done } else { Exit::Failed })
}

/// Fetches every table, and writes all of them or none.
async fn write(session: &Session<'_>, folder: &std::path::Path, postmap: bool) -> Result<Vec<String>, CliError> {
    let mut tables = Vec::new();
    for table in mail_files::TABLES {
        let asked = path(&["mail", "tables", table], &[]);
        let answer = session.client.send_within(RUN_TIMEOUT, Method::GET, &asked, None).await?.body;
        let text = |row: &Value, at: usize| row[at].as_str().unwrap_or_default().to_owned();
        let rows = list(&answer["rows"]).iter().map(|row| (text(row, 0), text(row, 1))).collect();
        tables.push(mail_files::Table { name: table, rows });
    }
    let written = mail_files::write(folder, &tables, postmap)?;
    for key in &written.left_out {
        session.say(&format!("{key} is not in the files: Postfix would not read it as an address\n"));
    }
    Ok(written.files)
}

fn print(report: &Value) -> Result<(), CliError> {
    let tables = list(&report["tables"]).iter().map(|table| format!("{} {}", table["rows"], text(&table["table"])));
    let tables: Vec<String> = tables.collect();
    output::line(&format!("Derived from change {} of the directory: {}.", report["modseq"], tables.join(", ")))?;
    changes(report)?;
    for file in list(&report["written"]) {
        output::line(&format!("written: {}", text(file)))?;
    }
    super::status::tell(list(&report["problems"]))?;
    let not_asked: Vec<&str> = list(&report["not_asked"]).iter().map(text).collect();
    if !not_asked.is_empty() {
        output::line(&format!("not looked at: {}; the main node may ask every edge", not_asked.join(", ")))?;
    }
    match list(&report["problems"]).len() {
        0 => output::line("OK"),
        1 => output::line("1 thing is wrong"),
        count => output::line(&format!("{count} things are wrong")),
    }
}

fn changes(report: &Value) -> Result<(), CliError> {
    let changes = &report["changes"];
    let Some(last) = report["last"].as_str() else {
        return output::line("This is the first run: there is nothing to compare with.");
    };
    let count = |name: &str| changes[name].as_u64().unwrap_or(0);
    let (added, removed, changed) = (count("added"), count("removed"), count("changed"));
    if added + removed + changed == 0 {
        return output::line(&format!("Nothing changed since {last}."));
    }
    output::line(&format!("Since {last}: {added} added, {removed} removed, {changed} changed."))?;
    let shown = list(&changes["shown"]);
    for change in shown {
        let (table, key) = (text(&change["table"]), text(&change["key"]));
        let line = match (change["before"].as_str(), change["after"].as_str()) {
            (Some(before), Some(after)) => format!("  ~ {table}  {key}  {before} -> {after}"),
            (Some(before), None) => format!("  - {table}  {key}  {before}"),
            (None, after) => format!("  + {table}  {key}  {}", after.unwrap_or_default()),
        };
        output::line(&line)?;
    }
    match (added + removed + changed).saturating_sub(shown.len() as u64) {
        0 => Ok(()),
        more => output::line(&format!("  and {more} more")),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
