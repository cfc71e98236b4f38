//! `sterna status`

use serde_json::Value;

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::{self, Column, Listing};
use super::resource::Session;
use super::{GlobalArgs, Output};

const COLUMNS: &[Column] = &[
    ("SERVER", "name"),
    ("ROLES", "roles"),
    ("ACCOUNTS", "accounts"),
    ("ANSWERS", "reachable"),
    ("NEW ACCOUNTS", "accepts_new_accounts"),
    ("FREE BYTES", "free_bytes"),
];

/// Prints how the installation is; ends with 1 when something needs to be looked at.
pub(super) async fn run(session: &Session<'_>, global: &GlobalArgs) -> Result<Exit, CliError> {
    let status = session.client.get(&path(&["status"], &[])).await?;
    let problems = status["problems"].as_array().cloned().unwrap_or_default();
    match global.format() {
        Output::Table => table(&status, &problems)?,
        format => output::one(format, &status)?,
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Failed })
}

fn table(status: &Value, problems: &[Value]) -> Result<(), CliError> {
    let (node, directory) = (&status["node"], &status["directory"]);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let role = if directory["is_main"] == true { "owns the directory" } else { "follows the main node" };
    output::line(&format!(
        "node {} ({}), version {}, running since {}; {role}, at {}",
        text(&node["name"]),
        text(&node["id"]),
        text(&node["version"]),
        text(&node["started_at"]),
        directory["modseq"],
    ))?;
    output::line(&format!(
        "{} domains, {} users, {} groups, {} shared mailboxes\n",
        directory["domains"], directory["users"], directory["groups"], directory["shared_mailboxes"],
    ))?;
    let mut listing = Listing::new(Output::Table, COLUMNS);
    listing.page(status["servers"].as_array().map_or(&[], Vec::as_slice))?;
    listing.end()?;
    if !problems.is_empty() {
        output::line("")?;
    }
    problems.iter().try_for_each(|problem| output::line(&format!("! {}", text(problem))))
}
