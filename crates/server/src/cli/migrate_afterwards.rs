//! `sterna migrate afterwards`: what still names the machine that is left, as lines that go and lines that come.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::client::{CliError, path};
use super::exit::Exit;
use super::resource::{Session, WriteArgs};
use super::{GlobalArgs, Output, output, prompt};

/// How often DNS is asked while somebody watches: most names are kept for minutes by those who answer.
const LOOK_EVERY: Duration = Duration::from_secs(15);

const PATH: [&str; 2] = ["migration", "afterwards"];

pub(super) async fn run(
    session: &Session<'_>,
    global: &GlobalArgs,
    (accept, watch, yes): (bool, bool, bool),
    write: &WriteArgs,
) -> Result<Exit, CliError> {
    let mut found = look(session).await?;
    if accept {
        let changes = items(&found, "changes");
        if global.format() == Output::Table {
            show_changes(&found)?;
        }
        if !changes.is_empty() && !write.dry_run {
            prompt::confirm("Change these?", yes)?;
        }
        let accepted: Vec<Value> =
            changes.iter().map(|change| json!({"id": change["id"], "after": change["after"]})).collect();
        let path = path(&PATH, &[write.parameter()]);
        let answer = session.client.send(Method::POST, &path, Some(&json!({"accept": accepted}))).await?;
        return session.written(&answer, write);
    }
    show(global, &found)?;
    while watch && !leads_there(&found) {
        tokio::time::sleep(LOOK_EVERY).await;
        let next = look(session).await?;
        if next["names"] != found["names"] {
            show(global, &next)?;
        }
        found = next;
    }
    let is_done = items(&found, "changes").is_empty() && leads_there(&found);
    Ok(if is_done { Exit::Done } else { Exit::Failed })
}

async fn look(session: &Session<'_>) -> Result<Value, CliError> {
    session.client.get(&path(&PATH, &[("look", Some("true"))])).await
}

fn items<'a>(found: &'a Value, name: &str) -> &'a [Value] {
    found[name].as_array().map_or(&[], Vec::as_slice)
}

/// Where a proxy is in between nobody can see from here where it leads.
fn leads_there(found: &Value) -> bool {
    items(found, "names").iter().all(|name| matches!(name["state"].as_str(), Some("done" | "neither")))
}

fn show(global: &GlobalArgs, found: &Value) -> Result<(), CliError> {
    if global.format() != Output::Table {
        return output::one(global.format(), found);
    }
    show_changes(found)?;
    let names = items(found, "names");
    if !names.is_empty() {
        output::line("\nNames in DNS:")?;
    }
    for name in names {
        let words = |field: &str| items(name, field).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
        let (found, wanted) = (words("found"), words("wanted"));
        let says = match name["state"].as_str().unwrap_or_default() {
            "done" => "leads to the new machine".to_owned(),
            "old" => format!("leads to the old machine: change {found} to {wanted}"),
            "neither" => format!("leads to {found}, neither machine's own: see that it leads on to the new one"),
            "missing" => format!("is not in DNS; it should be {wanted}"),
            _ => format!("is not known: {}", name["cause"].as_str().unwrap_or_default()),
        };
        let text = |field: &str| name[field].as_str().unwrap_or_default().to_owned();
        output::line(&format!("  {:<5} {} {says}", text("type"), text("name")))?;
    }
    for problem in items(found, "problems").iter().filter_map(Value::as_str) {
        output::line(&format!("\n{problem}"))?;
    }
    if !items(found, "changes").is_empty() && found["is_time"] == true {
        output::line("\nsterna migrate afterwards --accept changes the settings as shown.")?;
    }
    Ok(())
}

fn show_changes(found: &Value) -> Result<(), CliError> {
    let from = found["from"].as_str().unwrap_or_default();
    let changes = items(found, "changes");
    if changes.is_empty() {
        return output::line(&format!("No setting names {from}."));
    }
    output::line(&format!("Settings that name {from}:"))?;
    for change in changes {
        let text = |field: &str| change[field].as_str().unwrap_or_default().to_owned();
        output::line(&format!("  {}", text("id")))?;
        output::line(&format!("    - {}", text("before")))?;
        output::line(&format!("    + {}", text("after")))?;
    }
    Ok(())
}
