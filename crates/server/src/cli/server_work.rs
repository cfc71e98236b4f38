//! `sterna server drain`, `rebalance`, `failover` and `sweep`: work on all accounts, or stores, of a server.

use clap::Args;
use hyper::Method;
use serde_json::{Value, json};

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::{Column, Listing};
use super::plan::{self, JobArgs};
use super::resource::{DeleteArgs, Session};
use super::{GlobalArgs, Output, output, progress, prompt};

/// Moves sent in one request: they must fit into its body.
const MOVES_PER_REQUEST: usize = 4_000;
/// Accounts without a standby copy that are named.
const REFUSED_SHOWN_MAX: usize = 20;

/// Options of `drain`.
#[derive(Clone, Debug, Args)]
pub struct DrainArgs {
    /// Name or id
    server: String,
    /// Stop draining: the server takes accounts again, and what has not moved stays there
    #[arg(long, visible_alias = "stop", conflicts_with = "detach")]
    undo: bool,
    /// See [`JobArgs`].
    #[command(flatten)]
    job: JobArgs,
}

/// Options of `rebalance`.
#[derive(Clone, Debug, Args)]
pub struct RebalanceArgs {
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
    /// See [`JobArgs`].
    #[command(flatten)]
    job: JobArgs,
}

/// Options of `failover`.
#[derive(Clone, Debug, Args)]
pub struct FailoverArgs {
    /// The server that is lost, by name or id
    server: String,
    /// The server that takes over, by name or id; each account's own standby when not given
    #[arg(long, value_name = "SERVER")]
    to: Option<String>,
    /// Only these accounts
    #[arg(long = "account", value_name = "ADDRESS")]
    accounts: Vec<String>,
    /// Also when the server still answers
    #[arg(long)]
    force: bool,
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
    /// See [`JobArgs`].
    #[command(flatten)]
    job: JobArgs,
}

/// Empties a server.
pub(super) async fn drain(session: &Session<'_>, global: &GlobalArgs, args: &DrainArgs) -> Result<Exit, CliError> {
    if args.undo {
        let parameters = [("dry_run", args.job.dry_run.then_some("true"))];
        let asked = path(&["servers", &args.server, "drain"], &parameters);
        let answer = session.client.send(Method::DELETE, &asked, None).await?;
        if answer.changed && !args.job.dry_run {
            session.say(&format!("{} takes accounts again\n", args.server));
        }
        return session.written(&answer, &super::resource::WriteArgs { dry_run: args.job.dry_run });
    }
    let body = json!({"kind": "drain", "server": args.server});
    let end = plan::begin(session, global, &body, args.job).await?;
    if !args.job.dry_run && !args.job.detach && matches!(end, Exit::Done | Exit::NothingToDo) {
        session.say(&format!(
            "{0} takes no accounts any more; when nothing is left on it: sterna server remove {0}\n",
            args.server
        ));
    }
    Ok(end)
}

/// Shows a plan, asks, and does exactly that.
pub(super) async fn rebalance(
    session: &Session<'_>,
    global: &GlobalArgs,
    args: &RebalanceArgs,
) -> Result<Exit, CliError> {
    let body = json!({"kind": "rebalance"});
    let plan = plan::dry_run(session, &body).await?;
    let moves = plan["moves"].as_array().cloned().unwrap_or_default();
    if args.job.dry_run || moves.is_empty() {
        let end = plan::show(global, &plan)?;
        if moves.is_empty() {
            session.say("the servers are balanced; nothing to do\n");
        }
        return Ok(end);
    }
    if global.format() == Output::Table {
        plan::show_part(&plan)?;
    }
    prompt::confirm("Do that?", args.yes)?;
    let mut begun = Value::Null;
    for part in moves.chunks(MOVES_PER_REQUEST) {
        let moves: Vec<Value> =
            part.iter().map(|one| json!({"account": one["account"], "from": one["from"], "to": one["to"]})).collect();
        let body = json!({"kind": "rebalance", "moves": moves, "job": begun["job"]["id"]});
        let answer = session.client.send(Method::POST, &path(&["jobs"], &[]), Some(&body)).await?.body;
        if !answer["job"].is_null() || begun.is_null() {
            begun = answer;
        }
    }
    plan::watch(session, global, &begun, args.job.detach).await
}

/// Says what a failover comes to, asks, and does it.
pub(super) async fn failover(
    session: &Session<'_>,
    global: &GlobalArgs,
    args: &FailoverArgs,
) -> Result<Exit, CliError> {
    let body = json!({
        "kind": "failover",
        "server": args.server,
        "accounts": args.accounts,
        "to": args.to,
        "force": args.force,
    });
    let before = plan::dry_run(session, &body).await?;
    if global.format() == Output::Table {
        told(&before, "may be lost").iter().try_for_each(|line| output::line(line))?;
    } else if args.job.dry_run {
        output::one(global.format(), &before)?;
    }
    let is_empty = before["accounts"].as_array().is_none_or(Vec::is_empty);
    if args.job.dry_run || is_empty {
        return Ok(if is_empty { Exit::Failed } else { Exit::Done });
    }
    let question = format!("Let {} take over? {} will not serve these accounts again.", targets(&before), args.server);
    prompt::confirm(&question, args.yes)?;
    let begun = session.client.send(Method::POST, &path(&["jobs"], &[]), Some(&body)).await?.body;
    let Some(job) = begun["job"]["id"].as_u64().map(|id| id.to_string()) else { return Ok(Exit::NothingToDo) };
    if args.job.detach {
        output::one(global.format(), &begun["job"])?;
        session.say(&progress::hints(&job));
        return Ok(Exit::Done);
    }
    let end = progress::follow(session, global, &job).await?;
    told(&begun, "are lost, unless the lost server comes back with them").iter().for_each(|line| {
        session.say(&format!("{line}\n"));
    });
    session.say(&format!(
        "When {0} comes back it follows the accounts that it has lost, and serves none of them. What it has and the \
         new server lacks is set aside there; its log names the accounts.\n",
        args.server
    ));
    let all_served = begun["refused"].as_array().is_none_or(Vec::is_empty);
    Ok(if all_served { end } else { Exit::Failed })
}

/// Columns of stores that nobody names.
const ORPHAN_COLUMNS: &[Column] = &[
    ("ACCOUNT", "account"),
    ("ADDRESS", "address"),
    ("LIVES ON", "lives_on"),
    ("OUTCOME", "outcome"),
    ("WHY", "reason"),
];

/// Deletes stores that nobody names, as far as they are old copies.
pub(super) async fn sweep(
    session: &Session<'_>,
    global: &GlobalArgs,
    server: &str,
    args: &DeleteArgs,
) -> Result<Exit, CliError> {
    if !args.write.dry_run {
        let question =
            format!("Delete the stores on {server} that the directory doesn't name, if they are old copies?");
        prompt::confirm(&question, args.yes)?;
    }
    let asked = path(&["servers", server, "orphans"], &[args.write.parameter()]);
    let answer = session.client.send(Method::DELETE, &asked, None).await?.body;
    let items = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        session.say(&format!("the directory names every store on {server}; one made just now is not looked at\n"));
        return Ok(Exit::NothingToDo);
    }
    let mut listing = Listing::new(global.format(), ORPHAN_COLUMNS);
    listing.page(items)?;
    listing.end()?;
    Ok(if items.iter().any(|one| one["outcome"] == "kept") { Exit::Failed } else { Exit::Done })
}

/// The servers that take over.
fn targets(failover: &Value) -> String {
    let accounts = failover["accounts"].as_array().map_or(&[][..], Vec::as_slice);
    let mut names: Vec<&str> = accounts.iter().filter_map(|one| one["to"].as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(" and ")
}

/// What a failover costs, in numbers.
fn told(failover: &Value, lost: &str) -> Vec<String> {
    let number = |name: &str| failover[name].as_u64().unwrap_or(0);
    let accounts = failover["accounts"].as_array().map_or(0, Vec::len);
    let refused = failover["refused"].as_array().map_or(&[][..], Vec::as_slice);
    let mut lines = vec![format!("{accounts} accounts have a standby copy that can take over:")];
    let mut add = |count: u64, text: String| {
        if count > 0 {
            lines.push(format!("  {count:>6}  {text}"));
        }
    };
    add(number("safe"), "durability 2: the copy has everything that was acknowledged; nothing is lost".to_owned());
    let last = match failover["silent_since"].as_str() {
        Some(silent) => format!(" (it fell silent about {silent})"),
        None => String::new(),
    };
    add(
        number("complete"),
        format!(
            "durability 1, or not caught up before: the copy had all that it had heard of; what came in the last moments{last} may be lost"
        ),
    );
    add(
        number("behind"),
        format!("the copies lack {} changes that they know of, which {lost}", number("changes_lost")),
    );
    add(number("unknown"), "it is not known how much the copy lacks: it did not reach its account lately".to_owned());
    if !refused.is_empty() {
        lines.push(format!("{} accounts stay out of reach until their server is back:", refused.len()));
        lines.extend(refused.iter().take(REFUSED_SHOWN_MAX).map(|one| {
            let text = |name: &str| one[name].as_str().unwrap_or("?");
            format!("  {}: {}", text("address"), text("reason"))
        }));
        if refused.len() > REFUSED_SHOWN_MAX {
            lines.push(format!("  and {} more (--json shows all)", refused.len() - REFUSED_SHOWN_MAX));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_said_in_numbers() {
        let failover = json!({
            "accounts": [{"to": "beta"}, {"to": "beta"}, {"to": "gamma"}],
            "refused": [{"address": "eve@x", "reason": "it has no standby copy"}],
            "silent_since": "2026-11-21T12:03:20Z", "safe": 1, "complete": 1, "behind": 1, "changes_lost": 37,
            "unknown": 0,
        });
        let text = told(&failover, "may be lost").join("\n");
        assert!(text.starts_with("3 accounts have a standby copy"), "{text}");
        assert!(text.contains("       1  the copies lack 37 changes that they know of, which may be lost"), "{text}");
        assert!(text.contains("12:03:20Z") && text.ends_with("eve@x: it has no standby copy"), "{text}");
        assert!(!text.contains("not known"), "{text}");
        assert_eq!(targets(&failover), "beta and gamma");
    }
}
