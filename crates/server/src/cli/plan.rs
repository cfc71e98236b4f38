//! Work on many accounts: what would be done is shown, then it is begun, then it is watched.

use std::collections::BTreeMap;

use clap::Args;
use hyper::Method;
use serde_json::{Value, json};

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::{self, Column, Listing};
use super::resource::Session;
use super::{GlobalArgs, Output, progress};

const COLUMNS: &[Column] =
    &[("ADDRESS", "address"), ("FROM", "from"), ("TO", "to"), ("SIZE", "size"), ("COPY THERE", "has_copy")];

/// Accounts that are shown of a plan that is about to be done; a dry run shows all.
const MOVES_SHOWN_MAX: usize = 20;

/// Options of every command that begins a job.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct JobArgs {
    /// Show what would be done and what would be refused, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Don't watch: print the job and end
    #[arg(long)]
    pub detach: bool,
}

/// What a job would do.
pub(super) async fn dry_run(session: &Session<'_>, body: &Value) -> Result<Value, CliError> {
    let asked = path(&["jobs"], &[("dry_run", Some("true"))]);
    Ok(session.client.send(Method::POST, &asked, Some(body)).await?.body)
}

/// Begins a job, and watches it unless told otherwise. With `dry_run` it is only shown.
///
/// # Errors
/// Why it was not begun.
pub(super) async fn begin(
    session: &Session<'_>,
    global: &GlobalArgs,
    body: &Value,
    args: JobArgs,
) -> Result<Exit, CliError> {
    if args.dry_run {
        let plan = dry_run(session, body).await?;
        return show(global, &plan);
    }
    let begun = session.client.send(Method::POST, &path(&["jobs"], &[]), Some(body)).await?.body;
    watch(session, global, &begun, args.detach).await
}

/// Says what was begun, and watches it unless told otherwise.
pub(super) async fn watch(
    session: &Session<'_>,
    global: &GlobalArgs,
    begun: &Value,
    detach: bool,
) -> Result<Exit, CliError> {
    let refused = begun["refused"].as_array().map_or(&[][..], Vec::as_slice);
    refused.iter().for_each(|one| session.say(&format!("{}\n", refusal(one))));
    let Some(job) = begun["job"]["id"].as_u64().map(|id| id.to_string()) else {
        for address in begun["there"].as_array().map_or(&[][..], Vec::as_slice) {
            session.say(&format!("{} is there already\n", address.as_str().unwrap_or_default()));
        }
        session.say("nothing to do\n");
        return Ok(if refused.is_empty() { Exit::NothingToDo } else { Exit::Failed });
    };
    if detach {
        match global.format() {
            Output::Table => output::line(&job)?,
            format => output::one(format, &begun["job"])?,
        }
        session.say(&progress::hints(&job));
        return Ok(Exit::Done);
    }
    let what = begun["job"]["what"].as_str().unwrap_or_default();
    session.say(&format!("job {job}: {what}: {}\n", summary(begun, begun["job"]["total"].as_u64().unwrap_or(0))));
    let end = progress::follow(session, global, &job).await?;
    Ok(if end == Exit::Done && !refused.is_empty() { Exit::Failed } else { end })
}

/// Prints a plan as it is: who, from where, to where, how much, how long.
pub(super) fn show(global: &GlobalArgs, plan: &Value) -> Result<Exit, CliError> {
    if global.format() != Output::Table {
        output::one(global.format(), plan)?;
    } else {
        table(plan, usize::MAX)?;
    }
    Ok(exit(plan))
}

fn exit(plan: &Value) -> Exit {
    let is_empty = |name: &str| plan[name].as_array().is_none_or(Vec::is_empty);
    match (is_empty("moves"), is_empty("refused")) {
        (_, false) => Exit::Failed,
        (true, true) => Exit::NothingToDo,
        (false, true) => Exit::Done,
    }
}

/// Prints a plan that is about to be done: a long one only in part.
pub(super) fn show_part(plan: &Value) -> Result<(), CliError> {
    table(plan, MOVES_SHOWN_MAX)
}

fn table(plan: &Value, moves_max: usize) -> Result<(), CliError> {
    let moves = plan["moves"].as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<Value> = moves.iter().take(moves_max).map(row).collect();
    if !rows.is_empty() {
        let mut listing = Listing::new(Output::Table, COLUMNS);
        listing.page(&rows)?;
        listing.end()?;
        if moves.len() > rows.len() {
            output::line(&format!("and {} more (--dry-run shows all)", moves.len() - rows.len()))?;
        }
        output::line("")?;
        for (server, change) in changes(moves) {
            output::line(&format!("{server}: {change}"))?;
        }
    }
    for one in plan["refused"].as_array().map_or(&[][..], Vec::as_slice) {
        output::line(&format!("! {}", refusal(one)))?;
    }
    for address in plan["there"].as_array().map_or(&[][..], Vec::as_slice) {
        output::line(&format!("{} is there already", address.as_str().unwrap_or_default()))?;
    }
    output::line(&summary(plan, moves.len() as u64))
}

fn row(one: &Value) -> Value {
    let size = one["bytes"].as_u64().map_or_else(|| "unknown".to_owned(), output::bytes);
    let mut row = one.clone();
    row["size"] = json!(size);
    row
}

fn refusal(one: &Value) -> String {
    let text = |name: &str| one[name].as_str().unwrap_or("?");
    format!("{} stays on {}: {}", text("address"), text("server"), text("reason"))
}

/// What a plan comes to.
fn summary(plan: &Value, accounts: u64) -> String {
    let number = |name: &str| plan[name].as_u64().unwrap_or(0);
    let noun = if accounts == 1 { "account" } else { "accounts" };
    let mut text = format!("{accounts} {noun}, {}", output::bytes(number("bytes")));
    if number("unknown_sizes") > 0 {
        text.push_str(&format!(" and {} of unknown size", number("unknown_sizes")));
    }
    if accounts > 0 {
        text.push_str(&format!("; about {}", progress::duration(number("expected_seconds"))));
    }
    text
}

/// What each server loses and gains, by name.
fn changes(moves: &[Value]) -> BTreeMap<String, String> {
    let mut sums: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    for one in moves {
        let bytes = one["bytes"].as_u64().unwrap_or(0);
        for (field, at) in [("from", 0), ("to", 2)] {
            let sum = sums.entry(one[field].as_str().unwrap_or("?").to_owned()).or_default();
            sum[at] += 1;
            sum[at + 1] += bytes;
        }
    }
    let say = |sign: char, count: u64, bytes: u64| format!("{sign}{count} accounts, {sign}{}", output::bytes(bytes));
    let told = sums.into_iter().map(|(server, [left, left_bytes, came, came_bytes])| {
        let mut parts = Vec::new();
        if left > 0 {
            parts.push(say('-', left, left_bytes));
        }
        if came > 0 {
            parts.push(say('+', came, came_bytes));
        }
        (server, parts.join("; "))
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Value {
        json!({
            "moves": [
                {"address": "ana@x", "from": "alpha", "to": "beta", "bytes": 1 << 20, "has_copy": false},
                {"address": "ben@x", "from": "alpha", "to": "gamma", "bytes": null, "has_copy": true},
                {"address": "eve@x", "from": "beta", "to": "gamma", "bytes": 2 << 20, "has_copy": false},
            ],
            "refused": [], "there": [], "bytes": 3 << 20, "unknown_sizes": 1, "expected_seconds": 61,
        })
    }

    #[test]
    fn a_plan_is_told_by_server_and_in_one_line() {
        let plan = plan();
        let told: Vec<_> = changes(plan["moves"].as_array().unwrap()).into_iter().collect();
        let line = |server: &str, text: &str| (server.to_owned(), text.to_owned());
        assert_eq!(
            told,
            [
                line("alpha", "-2 accounts, -1.0 MiB"),
                line("beta", "-1 accounts, -2.0 MiB; +1 accounts, +1.0 MiB"),
                line("gamma", "+2 accounts, +2.0 MiB"),
            ]
        );
        assert_eq!(summary(&plan, 3), "3 accounts, 3.0 MiB and 1 of unknown size; about 1 min 1 s");
        assert_eq!(summary(&json!({"bytes": 0}), 0), "0 accounts, 0 B");
        assert_eq!(row(&plan["moves"][1])["size"], "unknown");
    }

    #[test]
    fn a_dry_run_ends_with_what_a_script_wants_to_know() {
        let mut plan = plan();
        assert_eq!(exit(&plan), Exit::Done);
        plan["refused"] = json!([{"address": "eve@x", "server": "alpha", "reason": "it is moving"}]);
        assert_eq!(exit(&plan), Exit::Failed);
        assert_eq!(refusal(&plan["refused"][0]), "eve@x stays on alpha: it is moving");
        assert_eq!(exit(&json!({"moves": [], "refused": []})), Exit::NothingToDo);
    }
}
