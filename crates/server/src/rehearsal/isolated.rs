//! A network that leads nowhere, by unshare(1): what the rehearsed node does reaches nobody, and nobody reaches it.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sterna_base::AccountId;
use tokio::process::Command;
use tokio::time::timeout;

use super::Followed;
use super::trial::Tried;

/// How long all trials may take: each of those within has a shorter limit.
const TRIAL_WAIT: Duration = Duration::from_secs(600);
/// How long it may take to find out whether there can be such a network.
const PROBE_WAIT: Duration = Duration::from_secs(20);

/// What is run in the new network first: only its own loopback is there, and that has to be switched on.
const BEGIN: &str = "ip link set lo up && exec \"$0\" \"$@\"";

fn in_network() -> Command {
    let mut command = Command::new("unshare");
    match rustix::process::geteuid().is_root() {
        true => command.arg("--net"),
        false => command.args(["--user", "--map-root-user", "--net"]),
    };
    command.args(["sh", "-c", BEGIN]).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Whether there can be one here.
///
/// # Errors
/// When not: with what to do.
pub async fn is_possible() -> Result<()> {
    let probed = timeout(PROBE_WAIT, in_network().arg("true").output()).await;
    let cause = match probed {
        Ok(Ok(output)) if output.status.success() => return Ok(()),
        Ok(Ok(output)) => said(&output),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it doesn't end".to_owned(),
    };
    bail!(
        "this system lets no network of its own be made for the rehearsal ({cause}). It needs unshare and ip (apt \
         install util-linux iproute2) and, for a user who isn't root, user namespaces (sysctl \
         kernel.unprivileged_userns_clone=1)"
    )
}

/// Lets a node work with the fork, and people log in.
///
/// # Errors
/// When it doesn't come to serve.
pub async fn try_out(fork: &Path, chosen: &[Followed], failed: &[(AccountId, String)]) -> Result<Vec<Tried>> {
    let cause_of = |one: &Followed| failed.iter().find(|(account, _)| *account == one.account);
    let mut tried: Vec<Tried> = Vec::new();
    let mut inside = Vec::new();
    for one in chosen {
        match cause_of(one) {
            Some((_, cause)) => tried.push(Tried::failed(&one.address, format!("its copy can't serve: {cause}"))),
            None => inside.push(&one.address),
        }
    }
    let wanted = serde_json::to_string(&inside)?;
    let mut command = in_network();
    command.arg(std::env::current_exe()?).arg("--dir").arg(fork).args(["migrate", "rehearse", "--inside", &wanted]);
    let output = timeout(TRIAL_WAIT, command.output()).await;
    let output = output.with_context(|| format!("the rehearsal did not end within {TRIAL_WAIT:?}"))??;
    if !output.status.success() {
        let log = std::fs::read_to_string(fork.join("log")).unwrap_or_default();
        let end = log.lines().last().map(|line| format!(" (its last words: {line})")).unwrap_or_default();
        bail!("a node with what is here now does not come to serve: {}{end}", said(&output));
    }
    let answers: Vec<Tried> = serde_json::from_slice(&output.stdout).context("what the rehearsal says")?;
    tried.extend(answers);
    Ok(tried)
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if text.is_empty() { format!("it ended with {}", output.status) } else { text }
}
