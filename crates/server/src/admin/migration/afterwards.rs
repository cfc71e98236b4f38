//! `/api/v1/migration/afterwards`: what still names the machine that is left. Settings and rules of the firewall that
//! do are shown as they are and as they should be, and are changed when somebody accepts that; names in DNS, which
//! others change, are looked up until they lead to the new machine.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::{Modseq, NodeId};
use sterna_cluster::NodeStatus;
use sterna_directory::firewall::{Firewall, FirewallRules};
use sterna_directory::model::Scope;
use sterna_directory::rights::{Area, Permission, Within};
use sterna_directory::settings::OF_DOMAINS;
use sterna_directory::{MigrationPhase, Reader, Request, Versioned};

use super::super::dns::Look;
use super::super::doors::AdminState;
use super::super::input::{Asked, Body, Params};
use super::super::principal::Principal;
use super::super::problem::Problem;
use super::super::status;
use super::super::view::Resource;
use super::names::{NameView, looked_up};
use super::readdress::{Known, NAMING, Readdress};
use super::{Facts, conflict};

/// The id of the firewall's rules among the changes; settings have their names.
const FIREWALL: &str = "firewall";
/// Domains that are read at a time.
const DOMAINS_PAGE: usize = 200;
/// How long DNS may take for the address of a machine.
const NAME_WAIT: Duration = Duration::from_secs(4);

/// One setting that names the machine that is left.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "AfterwardsChange")]
struct ChangeView {
    /// The name of the setting, behind a domain's and a slash where it is one's own; "firewall" for the networks that
    /// may reach the ports between servers.
    id: String,
    /// The setting, or "firewall".
    name: &'static str,
    /// The domain; null for the installation.
    domain: Option<String>,
    before: String,
    after: String,
}

/// What is left to do after a switch.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Afterwards")]
pub(in crate::admin) struct AfterwardsView {
    /// The machine that is left.
    from: String,
    /// The one in its place.
    to: String,
    /// Whether changes can be accepted now: after the switch, on the main node.
    is_time: bool,
    changes: Vec<ChangeView>,
    /// Names that lead, or led, to the machine that is left; empty unless it was asked for.
    names: Vec<NameView>,
    /// Why something may be missing, and what to do.
    problems: Vec<String>,
}

/// The body of POST: what is accepted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AfterwardsAccepted")]
pub(in crate::admin) struct AcceptBody {
    accept: Vec<AcceptedChange>,
}

/// One change as it was shown.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AcceptedChange {
    id: String,
    /// What it is to be: another one is refused, because nobody saw that.
    after: String,
}

/// A change and how it is written.
struct Planned {
    view: ChangeView,
    write: Write,
    modseq: Modseq,
}

enum Write {
    Setting { scope: Scope, name: &'static str },
    Firewall(Box<Firewall>),
}

/// Everything that is found without DNS of the world.
struct Plan {
    facts: Facts,
    readdress: Readdress,
    changes: Vec<Planned>,
    problems: Vec<String>,
}

async fn plan(state: &AdminState) -> Result<Plan, Problem> {
    let facts = state.directory.read(super::facts).await?;
    if facts.row.phase.is_over() {
        let detail = format!("the change of {} is over", facts.from.name);
        let remedy = "sterna config list shows the settings; sterna domain dns DOMAIN what DNS should have.";
        return Err(conflict("over", detail, remedy));
    }
    let mut problems = Vec::new();
    let old = machine(state, facts.row.from, &facts.from.name, facts.from.address.as_deref(), &mut problems).await;
    let new = machine(state, facts.row.to, &facts.to.name, facts.to.address.as_deref(), &mut problems).await;
    let readdress = Readdress::new(old, new);
    let (asked, now) = (readdress.clone(), state.directory.now());
    let changes = state.directory.read(move |reader| changes(reader, &asked, now)).await?;
    Ok(Plan { facts, readdress, changes, problems })
}

/// How a machine is found: by what the list of servers says, and by what it says itself.
async fn machine(
    state: &AdminState,
    id: NodeId,
    name: &str,
    address: Option<&str>,
    problems: &mut Vec<String>,
) -> Known {
    let address = address.unwrap_or_default();
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']).to_owned();
    let found = async {
        let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
        Ok::<_, std::io::Error>(found.map(|at| at.ip().to_canonical()).collect())
    };
    let reached_at: BTreeSet<IpAddr> = match tokio::time::timeout(NAME_WAIT, found).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            problems.push(format!("the address of {name} is not known ({host}: {error}); see that DNS has it"));
            BTreeSet::new()
        }
        Err(_) => {
            problems.push(format!("DNS takes too long to say where {host} is; ask again"));
            BTreeSet::new()
        }
    };
    let status = match status::ask_once(state, id).await {
        Ok(status) => Some(status),
        Err(cause) => {
            problems.push(format!("{name} doesn't answer ({cause}): what only it knows of itself is missing here"));
            None
        }
    };
    let names = status.as_ref().map(served_names).unwrap_or_default();
    let own = status.map(|status| status.addresses).unwrap_or_default();
    let addresses = reached_at.iter().copied().chain(own.into_iter().map(|own| own.to_canonical())).collect();
    Known { host, names, reached_at, addresses }
}

fn served_names(status: &NodeStatus) -> BTreeSet<String> {
    let hosts = status.endpoints.iter().map(|endpoint| endpoint.host.to_ascii_lowercase());
    hosts.filter(|host| host.parse::<IpAddr>().is_err()).collect()
}

/// What the directory has that names the old machine.
fn changes(reader: &Reader<'_>, readdress: &Readdress, now: sterna_base::Timestamp) -> Result<Vec<Planned>, Problem> {
    let mut found = Vec::new();
    of_scope(reader, readdress, (Scope::System, None), &mut found)?;
    let mut after = String::new();
    loop {
        let page = reader.domains(&after, DOMAINS_PAGE)?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.value.name);
        for domain in &page {
            of_scope(reader, readdress, (Scope::Domain(domain.value.id), Some(&domain.value.name)), &mut found)?;
        }
    }
    if let Some(Versioned { value, modseq }) = reader.firewall()? {
        let rules = value.in_force(now);
        let before: Vec<&str> = rules.networks.iter().map(String::as_str).collect();
        let after = readdress.networks(&before);
        if after != rules.networks {
            let (before, shown) = (before.join(" "), after.join(" "));
            // No trial: the servers themselves are let in by any rules, so that nobody is shut out by these.
            let rules = FirewallRules { is_on: rules.is_on, networks: after };
            let firewall = Firewall { rules, trial: None, ..value };
            let view = ChangeView { id: FIREWALL.to_owned(), name: FIREWALL, domain: None, before, after: shown };
            found.push(Planned { view, write: Write::Firewall(Box::new(firewall)), modseq });
        }
    }
    Ok(found)
}

fn of_scope(
    reader: &Reader<'_>,
    readdress: &Readdress,
    (scope, domain): (Scope, Option<&str>),
    found: &mut Vec<Planned>,
) -> Result<(), Problem> {
    for (name, kind) in NAMING {
        if domain.is_some() && !OF_DOMAINS.contains(&name) {
            continue;
        }
        let Some(Versioned { value, modseq }) = reader.setting(scope, name)? else { continue };
        let Some(after) = readdress.value(kind, &value.value) else { continue };
        let id = domain.map_or_else(|| name.to_owned(), |domain| format!("{domain}/{name}"));
        let view = ChangeView { id, name, domain: domain.map(str::to_owned), before: value.value, after };
        found.push(Planned { view, write: Write::Setting { scope, name }, modseq });
    }
    Ok(())
}

/// Whether the new machine serves, so that what names the old one should name it.
fn is_time(state: &AdminState, phase: MigrationPhase) -> bool {
    state.directory.is_main() && matches!(phase, MigrationPhase::Switched | MigrationPhase::Finishing)
}

/// What is left to do.
pub(in crate::admin) async fn get(
    State(state): State<AdminState>,
    Asked(Look { look }): Asked<Look>,
) -> Result<Resource<AfterwardsView>, Problem> {
    let Plan { facts, readdress, changes, mut problems } = plan(&state).await?;
    let names = if look { looked_up(&state, &readdress, &mut problems).await? } else { Vec::new() };
    let body = AfterwardsView {
        is_time: is_time(&state, facts.row.phase),
        from: facts.from.name,
        to: facts.to.name,
        changes: changes.into_iter().map(|planned| planned.view).collect(),
        names,
        problems,
    };
    Ok(Resource::read(body, facts.modseq))
}

/// Writes what is accepted, each as a change of that setting of its own, which can be undone as any other.
pub(in crate::admin) async fn accept(
    State(state): State<AdminState>,
    params: Params,
    principal: Principal,
    Body(body): Body<AcceptBody>,
) -> Result<Resource<AfterwardsView>, Problem> {
    if !state.directory.is_main() {
        return Err(state.not_main().await);
    }
    if !principal.rights.may(Permission::write(Area::Settings), Within::System) {
        let (title, detail) = ("Not permitted", "this changes settings of the installation, which you may not");
        let remedy = "Ask an administrator who may change settings.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "not-permitted", title, detail, remedy));
    }
    let found = plan(&state).await?;
    if !is_time(&state, found.facts.row.phase) {
        let detail = format!("{} still serves", found.facts.from.name);
        return Err(conflict("not-switched", detail, "Switch first: sterna migrate switch."));
    }
    let mut wanted = Vec::with_capacity(body.accept.len());
    for accepted in &body.accept {
        let planned = found.changes.iter().find(|planned| planned.view.id == accepted.id);
        match planned.filter(|planned| planned.view.after == accepted.after) {
            Some(planned) => wanted.push(planned),
            None => {
                let detail = format!("{} is not to become what was accepted, or not any more", accepted.id);
                return Err(conflict("changed", detail, "Look again: sterna migrate afterwards."));
            }
        }
    }
    let mut changed = false;
    for planned in wanted {
        let request = request(planned, &principal.name, state.directory.now());
        changed |= state.write(request, params.dry_run).await?.changed;
    }
    Ok(get(State(state), Asked(Look::default())).await?.changed(changed))
}

fn request(planned: &Planned, by: &str, now: sterna_base::Timestamp) -> Request {
    let expect = Some(planned.modseq);
    match &planned.write {
        Write::Setting { scope, name } => Request::PutSetting {
            expect,
            scope: *scope,
            name: (*name).to_owned(),
            value: Some(planned.view.after.clone()),
            by: by.to_owned(),
        },
        Write::Firewall(firewall) => {
            let firewall = Firewall { changed_by: by.to_owned(), changed_at: now, ..(**firewall).clone() };
            Request::PutFirewall { firewall, expect }
        }
    }
}
