//! What has to be so before a machine takes another one's place, and what to do where it isn't.

use schemars::JsonSchema;
use serde::Serialize;
use sterna_base::NodeId;
use sterna_cluster::NodeStatus;
use sterna_cluster::limits::CLOCK_SKEW_MS_MAX;
use sterna_directory::placement_policy::FREE_BYTES_MIN;
use sterna_directory::{Migration, MigrationPhase};

use super::super::doors::AdminState;
use super::super::problem::Problem;
use super::super::status;
use super::lag::Lag;

/// One check.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "MigrationCheck")]
pub(in crate::admin) struct Check {
    /// "answers", "version", "clock", "space", "ports", "certificate".
    pub name: &'static str,
    /// Whether it is as it has to be.
    pub is_well: bool,
    /// What was found.
    pub says: String,
    /// What to do, where it isn't.
    pub remedy: Option<String>,
}

fn check(name: &'static str, is_well: bool, says: String, remedy: &str) -> Check {
    Check { name, is_well, says, remedy: (!is_well).then(|| remedy.to_owned()) }
}

/// All of them, about the machine that is to take over next.
pub(super) async fn run(state: &AdminState, row: &Migration, lag: &Lag) -> Result<Vec<Check>, Problem> {
    let (leaving, taking): (NodeId, NodeId) = match row.phase {
        MigrationPhase::Switched | MigrationPhase::Returning => (row.to, row.from),
        _ => (row.from, row.to),
    };
    let name = |id: NodeId| {
        let directory = state.directory.clone();
        async move { Ok::<_, Problem>(directory.server(id).await?.map_or_else(|| id.to_string(), |found| found.name)) }
    };
    let (old_name, new_name) = (name(leaving).await?, name(taking).await?);
    let (old, new) = tokio::join!(status::ask_once(state, leaving), status::ask_once(state, taking));
    let mut checks = Vec::new();
    let (old, new) = match (old, new) {
        (Ok(old), Ok(new)) => (old, new),
        (old, new) => {
            for (name, answer) in [(&old_name, old.err()), (&new_name, new.err())] {
                if let Some(cause) = answer {
                    let says = format!("{name} doesn't answer: {cause}");
                    let remedy = "Start it, and look at its address and the network between both machines.";
                    checks.push(check("answers", false, says, remedy));
                }
            }
            return Ok(checks);
        }
    };
    checks.push(check("answers", true, format!("{old_name} and {new_name} answer"), ""));
    checks.push(version(&old_name, &old, &new_name, &new));
    checks.push(clock(state, &new_name, &new));
    checks.push(space(&new_name, &new, lag));
    checks.extend(ports(&old_name, &old, &new_name, &new));
    checks.extend(certificate(state, &old_name, &old));
    Ok(checks)
}

fn version(old_name: &str, old: &NodeStatus, new_name: &str, new: &NodeStatus) -> Check {
    let is_well = new.release == old.release || new.release == old.release + 1;
    let is_well = is_well && new.store_format >= old.store_format;
    let says = format!("{old_name} runs {}, {new_name} runs {}", old.version, new.version);
    let remedy = "Install on the new machine the version of the old one, or the one right after it.";
    check("version", is_well, says, remedy)
}

fn clock(state: &AdminState, name: &str, new: &NodeStatus) -> Check {
    let apart_ms = (new.now.0 - state.directory.now().0).abs();
    let says = format!("the clock of {name} is {} s away from this one", apart_ms / 1000);
    check("clock", apart_ms <= CLOCK_SKEW_MS_MAX, says, "Let both machines set their clocks by NTP (timedatectl).")
}

fn space(name: &str, new: &NodeStatus, lag: &Lag) -> Check {
    let needed = lag.bytes.saturating_sub(lag.fetched_bytes);
    let is_well = new.disk_bytes == 0 || lag.equal == lag.accounts || new.disk_free_bytes >= needed + FREE_BYTES_MIN;
    let says = format!("{name} has {} MB free, and {} MB are still to come", new.disk_free_bytes >> 20, needed >> 20);
    check("space", is_well, says, "Make room on the new machine, or give it a larger disk.")
}

/// Clients find on the new machine what they use on the old one.
fn ports(old_name: &str, old: &NodeStatus, new_name: &str, new: &NodeStatus) -> Option<Check> {
    if old.endpoints.is_empty() {
        return None;
    }
    let missing: Vec<String> = old
        .endpoints
        .iter()
        .filter(|one| !new.endpoints.iter().any(|other| other.service == one.service))
        .map(|one| format!("{:?}", one.service))
        .collect();
    let says = match missing.is_empty() {
        true => format!("{new_name} offers every service that {old_name} offers"),
        false => format!("{new_name} does not offer what {old_name} does: {}", missing.join(", ")),
    };
    let remedy = "Set them in [listen] of sterna.toml on the new machine, and start it again.";
    Some(check("ports", missing.is_empty(), says, remedy))
}

/// What clients see goes over with the machine, and must last.
fn certificate(state: &AdminState, name: &str, old: &NodeStatus) -> Option<Check> {
    let ends = old.client_certificate_not_after?;
    let is_well = ends > state.directory.now();
    let says = match is_well {
        true => format!("the certificate of {name} goes over with it, and holds until {}", super::view::time(ends)),
        false => format!("the certificate of {name} has ended at {}", super::view::time(ends)),
    };
    Some(check("certificate", is_well, says, "Renew it on the old machine first."))
}
