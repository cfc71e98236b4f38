//! `sterna update`: all servers come to another version of the program.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use hyper::Method;
use serde_json::{Value, json};

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::Column;
use super::resource::{Session, WriteArgs};
use super::{GlobalArgs, Output, output, prompt};

/// How often the state is looked at while a command waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How often in a row the main node may not answer: it changes its version as well.
const SILENCES_MAX: u32 = 200;

const HISTORY: &[Column] = &[("AT", "at"), ("PLAN", "plan"), ("WHAT", "what"), ("BY", "by"), ("MORE", "says")];

/// Bring all servers to another version of the program: says what will happen, does it, and can go back
#[derive(Debug, Subcommand)]
pub enum UpdateCommand {
    /// Show or set which version the next plan aims at: the latest, one, or that of the main node
    Policy {
        /// open, pinned X.Y.Z, or current
        #[arg(value_name = "POLICY")]
        policy: Vec<String>,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Show or set where versions come from: an apt repository, and the key that signs it
    Repository {
        /// https://, http:// or file://, the folder that has “dists”; “none” forgets it
        #[arg(value_name = "URL")]
        url: Option<String>,
        /// The public key that signs it, armored; needed once, and for another key
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Make a plan and show what will change; nothing is touched
    Prepare {
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Look at every account and server: does anything keep the plan from being applied?
    Check {
        /// Don't wait for the end
        #[arg(long)]
        detach: bool,
    },
    /// Fetch and verify the version on every server; nothing that runs is touched
    Download {
        /// Don't wait for the end
        #[arg(long)]
        detach: bool,
    },
    /// Act on the plan: one server after the other runs the new version
    Apply {
        /// The fingerprint of the plan that was looked at; another one is refused
        #[arg(long, value_name = "DIGITS")]
        fingerprint: Option<String>,
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
        /// Don't wait for the end
        #[arg(long)]
        detach: bool,
    },
    /// Show how far it is
    Status {
        /// Wait until nothing goes on
        #[arg(long)]
        wait: bool,
    },
    /// Let no further server change its version
    Pause,
    /// Go on after a pause, or after something was wrong
    Resume {
        /// Don't wait for the end
        #[arg(long)]
        detach: bool,
    },
    /// Bring every server back to what it ran before; nothing is lost
    Rollback {
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
        /// Don't wait for the end
        #[arg(long)]
        detach: bool,
    },
    /// Say that the new version is good; from then on there is no way back
    Finish {
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Show what happened
    History,
}

pub(super) async fn run(session: &Session<'_>, global: &GlobalArgs, command: UpdateCommand) -> Result<Exit, CliError> {
    match command {
        UpdateCommand::Policy { policy, write } => {
            let body = (!policy.is_empty()).then(|| json!({ "policy": policy.join(" ") }));
            setting(session, global, body, "policy", &write).await
        }
        UpdateCommand::Repository { url, key, write } => {
            let body = repository(url, key)?;
            setting(session, global, body, "repository", &write).await
        }
        UpdateCommand::Prepare { write } => {
            let path = path(&["updates", "prepare"], &[write.parameter()]);
            let answer = session.client.send(Method::POST, &path, Some(&json!({}))).await?;
            plan(global, &answer.body)
        }
        UpdateCommand::Check { detach } => work(session, global, "check", detach).await,
        UpdateCommand::Download { detach } => work(session, global, "download", detach).await,
        UpdateCommand::Apply { fingerprint, yes, detach } => {
            let state = session.client.get(&path(&["updates"], &[])).await?;
            if !yes {
                let text = state["plan"]["text"].as_str().unwrap_or_default();
                session.say(&format!("{}\n", text.trim_end()));
            }
            prompt::confirm("Bring the servers to that version, one after the other?", yes)?;
            let seen = fingerprint.map(Value::from).unwrap_or_else(|| state["plan"]["fingerprint"].clone());
            act(session, "apply", json!({ "fingerprint": seen })).await?;
            settled(session, global, detach).await
        }
        UpdateCommand::Status { wait } => settled(session, global, !wait).await,
        UpdateCommand::Pause => {
            let state = act(session, "pause", json!({})).await?;
            show(global, &state)
        }
        UpdateCommand::Resume { detach } => {
            act(session, "resume", json!({})).await?;
            settled(session, global, detach).await
        }
        UpdateCommand::Rollback { yes, detach } => {
            prompt::confirm("Bring every server back to the version that it ran before?", yes)?;
            act(session, "rollback", json!({})).await?;
            settled(session, global, detach).await
        }
        UpdateCommand::Finish { yes } => {
            prompt::confirm("Does everything work? After this there is no way back but a backup. Finish?", yes)?;
            let state = act(session, "finish", json!({})).await?;
            show(global, &state)
        }
        UpdateCommand::History => session.list(&["updates", "history"], &[], HISTORY).await,
    }
}

fn repository(url: Option<String>, key: Option<PathBuf>) -> Result<Option<Value>, CliError> {
    let Some(url) = url else {
        return match key {
            Some(_) => Err(CliError::Usage("name the repository that the key signs: URL --key FILE".to_owned())),
            None => Ok(None),
        };
    };
    if url == "none" {
        return Ok(Some(json!({ "no_repository": true })));
    }
    let read = |file: PathBuf| {
        std::fs::read_to_string(&file)
            .map_err(|source| CliError::Io { what: format!("{} can't be read", file.display()), source })
    };
    let key = key.map(read).transpose()?;
    Ok(Some(json!({ "repository": { "url": url, "key": key } })))
}

async fn setting(
    session: &Session<'_>,
    global: &GlobalArgs,
    body: Option<Value>,
    name: &str,
    write: &WriteArgs,
) -> Result<Exit, CliError> {
    let path = path(&["updates"], &[write.parameter()]);
    let state = match body {
        Some(body) => session.client.send(Method::PATCH, &path, Some(&body)).await?.body,
        None => session.client.get(&path).await?,
    };
    if global.format() == Output::Table {
        output::line(state[name].as_str().unwrap_or("none"))?;
        return Ok(Exit::Done);
    }
    session.show(&state)
}

async fn act(session: &Session<'_>, action: &str, body: Value) -> Result<Value, CliError> {
    Ok(session.client.send(Method::POST, &path(&["updates", action], &[]), Some(&body)).await?.body)
}

/// A check or a download, to its end.
async fn work(session: &Session<'_>, global: &GlobalArgs, name: &str, detach: bool) -> Result<Exit, CliError> {
    let mut state = act(session, name, json!({})).await?;
    let mut told = String::new();
    while !detach && state[name]["is_over"] != true {
        tokio::time::sleep(LOOK_EVERY).await;
        state = session.client.get(&path(&["updates"], &[])).await?;
        let now = progress(&state[name]);
        if now != told {
            session.say(&format!("{now}\n"));
            told = now;
        }
        if state["phase"] != "prepared" {
            break;
        }
    }
    let run = &state[name];
    if global.format() != Output::Table {
        output::one(global.format(), &state)?;
    } else {
        for finding in run["findings"].as_array().into_iter().flatten() {
            tell(finding)?;
        }
        if run["is_over"] == true && run["is_well"] == true {
            output::line(match name {
                "check" => "nothing is in the way",
                _ => "the version is on every server that answers",
            })?;
        }
    }
    Ok(if run["is_over"] == true && run["is_well"] != true { Exit::Failed } else { Exit::Done })
}

fn progress(run: &Value) -> String {
    let parts = run["servers"].as_array().into_iter().flatten().map(|work| {
        let (name, state) = (work["server"].as_str().unwrap_or_default(), work["state"].as_str().unwrap_or_default());
        match (state, work["done"].as_u64(), work["total"].as_u64()) {
            ("running", Some(done), Some(total)) if total > 0 => format!("{name} {}%", done * 100 / total),
            _ => format!("{name} {state}"),
        }
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn tell(finding: &Value) -> Result<(), CliError> {
    let text = |name: &str| finding[name].as_str().unwrap_or_default();
    let server = finding["server"].as_str().map(|server| format!("{server}: ")).unwrap_or_default();
    let mark = if finding["is_blocking"] == true { "IN THE WAY" } else { "note" };
    output::line(&format!("{mark:<12} {server}{}", text("says")))?;
    if text("remedy").is_empty() { Ok(()) } else { output::line(&format!("{:<12} {}", "", text("remedy"))) }
}

fn plan(global: &GlobalArgs, state: &Value) -> Result<Exit, CliError> {
    if global.format() != Output::Table {
        output::one(global.format(), state)?;
        return Ok(Exit::Done);
    }
    let plan = &state["plan"];
    output::line(plan["text"].as_str().unwrap_or_default().trim_end())?;
    let notes: Vec<&str> = plan["release_notes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !notes.is_empty() {
        output::line("\nWhat is new:")?;
        notes.iter().try_for_each(|note| output::line(&format!("   {note}")))?;
    }
    let number = |name: &str| plan[name].as_u64().unwrap_or(0);
    let servers = plan["steps"].as_array().map_or(0, Vec::len) as u64;
    output::line("")?;
    output::line(&format!(
        "Each server fetches {}, and needs {} for it.",
        output::bytes(number("download_bytes")),
        output::bytes(number("space_bytes"))
    ))?;
    let each = number("expected_ms") / servers.max(1);
    output::line(&format!(
        "About {} s for each server, and whoever uses it waits for a part of that.",
        each.div_ceil(1000)
    ))?;
    output::line(&format!("Fingerprint {}", plan["fingerprint"].as_str().unwrap_or_default()))?;
    Ok(Exit::Done)
}

/// Shows the state, when nothing goes on any more.
async fn settled(session: &Session<'_>, global: &GlobalArgs, at_once: bool) -> Result<Exit, CliError> {
    let (mut told, mut silences) = (String::new(), 0);
    loop {
        match session.client.get(&path(&["updates"], &[])).await {
            Ok(state) => {
                silences = 0;
                if at_once || state["phase"] != "rolling" {
                    return show(global, &state);
                }
                let reason = state["reason"].as_str().unwrap_or_default();
                if reason != told && !reason.is_empty() {
                    session.say(&format!("{reason}\n"));
                    told = reason.to_owned();
                }
            }
            Err(error @ CliError::Refused(_)) => return Err(error),
            Err(error) if at_once => return Err(error),
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

fn show(global: &GlobalArgs, state: &Value) -> Result<Exit, CliError> {
    let exit = if state["phase"] == "stopped" { Exit::Failed } else { Exit::Done };
    if global.format() != Output::Table {
        output::one(global.format(), state)?;
        return Ok(exit);
    }
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let way = if state["direction"] == "back" { " (back)" } else { "" };
    let mut lines = vec![("phase", format!("{}{way}", text(&state["phase"])))];
    for name in ["reason", "policy", "repository", "changed_at", "by"] {
        let value = text(&state[name]);
        if !value.is_empty() && value != "-" {
            lines.push((name, value));
        }
    }
    let plan = &state["plan"];
    if !plan.is_null() {
        lines.push(("plan", format!("{}: version {}", plan["number"], text(&plan["target"]))));
        for step in plan["steps"].as_array().into_iter().flatten() {
            lines.push((
                "",
                format!(
                    "{} {} -> {}: {}",
                    text(&step["server"]),
                    text(&step["from"]),
                    text(&step["to"]),
                    text(&step["state"])
                ),
            ));
        }
    }
    for name in ["check", "download"] {
        if !state[name].is_null() {
            lines.push((name, progress(&state[name])));
        }
    }
    let actions: Vec<String> = state["actions"].as_array().into_iter().flatten().map(text).collect();
    lines.push(("next", actions.join(", ")));
    for (name, value) in lines {
        output::line(&format!("{name:<12} {value}"))?;
    }
    Ok(exit)
}
