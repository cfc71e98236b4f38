//! `sterna status`

use serde_json::{Value, json};

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::{self, Column, Listing};
use super::resource::Session;
use super::{GlobalArgs, Output};

const COLUMNS: &[Column] = &[
    ("SERVER", "name"),
    ("ROLES", "roles"),
    ("ANSWERS", "reachable"),
    ("ACCOUNTS", "accounts"),
    ("NEW ACCOUNTS", "new"),
    ("FREE", "free"),
    ("VERSION", "version"),
    ("CERTIFICATES UNTIL", "certificates"),
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
    tell(problems)?;
    if problems.is_empty() {
        output::line("All is well.")?;
    }
    let role = if directory["is_main"] == true { "owns the directory" } else { "follows the main node" };
    output::line(&format!(
        "\nThis is {} ({}), version {}, running since {}; it {role}, at {}.",
        text(&node["name"]),
        text(&node["id"]),
        text(&node["version"]),
        text(&node["started_at"]),
        directory["modseq"],
    ))?;
    output::line(&format!(
        "{}, {}, {}, {}.\n",
        count(&directory["domains"], "domain", "domains"),
        count(&directory["users"], "user", "users"),
        count(&directory["groups"], "group", "groups"),
        count(&directory["shared_mailboxes"], "shared mailbox", "shared mailboxes"),
    ))?;
    let rows: Vec<Value> = status["servers"].as_array().map_or(&[][..], Vec::as_slice).iter().map(row).collect();
    let mut listing = Listing::new(Output::Table, COLUMNS);
    listing.page(&rows)?;
    listing.end()?;
    for server in status["servers"].as_array().map_or(&[][..], Vec::as_slice) {
        if let Some(why) = server["dane_off"].as_str() {
            output::line(&format!("DANE is off on {}: {why}", text(&server["name"])))?;
        }
    }
    Ok(())
}

/// Prints each problem with what to do.
pub(super) fn tell(problems: &[Value]) -> Result<(), CliError> {
    for problem in problems {
        let place = problem["server"].as_str().map(|name| format!("{name}: ")).unwrap_or_default();
        output::line(&format!("! {place}{}", text(&problem["what"])))?;
        output::line(&format!("  {}", text(&problem["remedy"])))?;
    }
    Ok(())
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn count(number: &Value, one: &str, many: &str) -> String {
    format!("{number} {}", if *number == 1 { one } else { many })
}

/// A server as people read it.
fn row(server: &Value) -> Value {
    let day = |name: &str| server[name].as_str().map(|time| time.split('T').next().unwrap_or(time).to_owned());
    let certificates = [("nodes", day("certificate_not_after")), ("clients", day("client_certificate_not_after"))];
    let certificates: Vec<String> =
        certificates.into_iter().filter_map(|(what, day)| Some(format!("{what} {}", day?))).collect();
    let new = match (server["accepts_new_accounts"].as_bool(), server["weight"].as_u64()) {
        _ if !server["roles"].as_array().is_some_and(|roles| roles.contains(&json!("data"))) => Value::Null,
        _ if server["draining"] == true => json!("no, draining"),
        (Some(true), Some(1)) => json!("yes"),
        (Some(true), Some(weight)) => json!(format!("yes, weight {weight}")),
        _ => json!("no"),
    };
    json!({
        "name": server["name"],
        "roles": server["roles"],
        "reachable": server["reachable"],
        "accounts": server["accounts"],
        "new": new,
        "free": server["free_bytes"].as_u64().map(output::bytes),
        "version": server["version"],
        "certificates": certificates,
    })
}
