//! Plans: what there is, what it would become, and whether that is still so.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use sterna_base::{NodeId, Timestamp, Version};
use sterna_cluster::update::{Inventory, NodeFacts, NodeState, Plan, PlanRefused, plan};
use sterna_cluster::{InstalledVersion, NodeRole, NodeRoles, NodeStatus};
use sterna_directory::{Reader, Server, Update, UpdatePhase, UpdatePlan, UpdateWorkState};

use super::super::doors::AdminState;
use super::super::problem::Problem;
use super::{conflict, row};
use crate::update::repository::{self, Catalogue, RepositoryError};

/// How long a server takes that changes its version, in milliseconds: sessions end, stores are closed, the other
/// program starts.
const STEP_MS: u64 = 2_000;

/// What looking at and opening one account adds where its format moves on, in milliseconds.
const FORMAT_MS_PER_ACCOUNT: u64 = 4;

/// A plan with what people want to know before they apply it. It is kept as it was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Prepared {
    pub plan: Plan,
    /// What each server is expected to take, in milliseconds, by its id.
    pub expected_ms: BTreeMap<NodeId, u64>,
    /// Bytes that each server fetches; zero where versions are installed by hand.
    pub download_bytes: u64,
    /// Bytes that fetching and unpacking takes on each server.
    pub space_bytes: u64,
    /// What is new, as who published it says.
    pub release_notes: Vec<String>,
    /// What must hash to what: the program of the target.
    pub program_sha256: Option<String>,
    /// Until when what the repository says is good.
    pub valid_until: Option<Timestamp>,
}

impl Prepared {
    /// Of a row with a plan.
    pub fn of(row: &Update) -> Result<Self, Problem> {
        let content = &row.plan.as_ref().ok_or_else(super::no_plan)?.content;
        serde_json::from_str(content).map_err(|error| {
            let detail = format!("plan {} can't be read by this version: {error}", row.number);
            conflict("plan-unreadable", detail, "Prepare it again: sterna update prepare.")
        })
    }
}

/// A plan that was just made.
pub(super) struct Made {
    prepared: Prepared,
    content: String,
    listed_at: Option<Timestamp>,
}

impl Made {
    pub fn number(&self) -> u64 {
        self.prepared.plan.number
    }

    pub fn target(&self) -> Version {
        self.prepared.plan.target.version
    }

    /// It is the plan from now on.
    pub fn enter(&self, row: &mut Update, by: &str, at: Timestamp) {
        row.number = self.number();
        row.plan = Some(UpdatePlan {
            number: self.number(),
            fingerprint: blake3::hash(self.content.as_bytes()).to_hex().to_string(),
            content: self.content.clone(),
            made_at: at,
            by: by.to_owned(),
        });
        row.listed_at = row.listed_at.max(self.listed_at);
        row.phase = UpdatePhase::Prepared;
        (row.is_back, row.asked, row.revert, row.reason) = (false, None, None, String::new());
        (row.check, row.download) = (None, None);
        row.passed.clear();
    }
}

/// Makes a plan of what there is now.
pub(super) async fn make(state: &AdminState, row: &Update) -> Result<Made, Problem> {
    let catalogue = catalogue(state, row).await?;
    let (mut inventory, accounts) = inventory(state).await?;
    offer(&mut inventory, catalogue.as_ref());
    let made =
        plan(row::policy(row), &inventory, row.number + 1).map_err(|error| refused(&error, catalogue.as_ref()))?;
    let target = made.target;
    let offered = catalogue.as_ref().and_then(|catalogue| catalogue.version(target.version));
    let moves_format = |from: InstalledVersion| from.store_format < target.store_format;
    let mut expected_ms = BTreeMap::new();
    for step in &made.steps {
        let runs = inventory.nodes.iter().find(|node| node.id == step.node).and_then(|node| node.state.as_ref());
        let migrates = runs.is_some_and(|state| moves_format(state.runs));
        let more = if migrates { accounts.get(&step.node).copied().unwrap_or(0) * FORMAT_MS_PER_ACCOUNT } else { 0 };
        expected_ms.insert(step.node, STEP_MS + more);
    }
    let prepared = Prepared {
        expected_ms,
        download_bytes: offered.map_or(0, |offered| offered.bytes),
        space_bytes: offered.map_or(0, |offered| offered.bytes + offered.installed_bytes),
        release_notes: offered.map(|offered| offered.notes.clone()).unwrap_or_default(),
        program_sha256: offered.and_then(|offered| offered.program_sha256.clone()),
        valid_until: catalogue.as_ref().map(|catalogue| catalogue.valid_until),
        plan: made,
    };
    let content = serde_json::to_string(&prepared).map_err(|error| conflict("plan", error.to_string(), ""))?;
    Ok(Made { prepared, content, listed_at: catalogue.map(|catalogue| catalogue.listed_at) })
}

/// What the repository says, if there is one.
pub(super) async fn catalogue(state: &AdminState, row: &Update) -> Result<Option<Catalogue>, Problem> {
    let Some(repository) = &row.repository else { return Ok(None) };
    let read = repository::read(repository, row.listed_at, state.directory.now()).await;
    read.map(Some).map_err(|error| repository_problem(&error))
}

pub(super) fn repository_problem(error: &RepositoryError) -> Problem {
    let code = match error {
        RepositoryError::Unreachable { .. } => "repository-unreachable",
        RepositoryError::Signature { .. } => "repository-signature",
        RepositoryError::Expired { .. } => "repository-expired",
        RepositoryError::Older { .. } => "repository-older",
        RepositoryError::Tampered { .. } => "repository-tampered",
        RepositoryError::Unreadable { .. } => "repository-unreadable",
    };
    conflict(code, error.to_string(), error.remedy())
}

fn refused(error: &PlanRefused, catalogue: Option<&Catalogue>) -> Problem {
    let reason = |version: &Version| {
        let withdrawn = catalogue.into_iter().flat_map(|catalogue| &catalogue.withdrawn);
        withdrawn.into_iter().find(|(gone, _)| gone == version).map(|(_, reason)| reason.clone())
    };
    let detail = match error {
        PlanRefused::Withdrawn(version) => match reason(version).filter(|reason| !reason.is_empty()) {
            Some(reason) => format!("{error} ({reason})"),
            None => error.to_string(),
        },
        _ => error.to_string(),
    };
    let (code, remedy) = match error {
        PlanRefused::NothingToDo(_) => ("nothing-to-do", "Set what is wanted: sterna update policy."),
        PlanRefused::Withdrawn(_) => ("withdrawn", "Set what is wanted: sterna update policy."),
        PlanRefused::FormatsMoved { .. } => {
            ("formats-moved", "Restore a backup of before that update under the older version.")
        }
        _ => ("no-plan", "Look at what runs (sterna server list), and set what is wanted: sterna update policy."),
    };
    conflict(code, detail, remedy)
}

/// What the repository has can be given to every server.
fn offer(inventory: &mut Inventory, catalogue: Option<&Catalogue>) {
    let Some(catalogue) = catalogue else { return };
    inventory.offered = catalogue.versions.iter().map(|offered| offered.version).collect();
    inventory.withdrawn = catalogue.withdrawn.iter().map(|(version, _)| *version).collect();
}

/// Whether the plan that was prepared is the one that would be made now.
pub(super) async fn still_true(state: &AdminState, row: &Update) -> Result<(), Problem> {
    let prepared = Prepared::of(row)?;
    let remedy = "Prepare it again, and look at it: sterna update prepare.";
    let now = make(state, row).await?;
    let (then, now) = (&prepared.plan, &now.prepared.plan);
    if (then.target, &then.steps) != (now.target, &now.steps) {
        let detail = format!("what plan {} was made of has changed since", then.number);
        return Err(conflict("plan-out-of-date", detail, remedy));
    }
    // Who did not answer during the check and does now would change its version without having been looked at.
    let checked = row.check.as_ref().map(|run| run.servers.as_slice()).unwrap_or_default();
    let silent = checked.iter().filter(|part| part.state == UpdateWorkState::Away);
    if let Some(unchecked) = silent.into_iter().find(|part| !now.away.contains(&part.name)) {
        let detail = format!("{} answers now and did not when the plan was checked", unchecked.name);
        return Err(conflict("not-ready", detail, "Let it be looked at, too: sterna update check."));
    }
    match now.blocked.is_empty() {
        true => Ok(()),
        false => Err(conflict("plan-blocked", now.blocked.join("; "), "Mend that, and apply it then.")),
    }
}

/// The target of the plan, and which servers don't run it.
pub(super) async fn all_there(state: &AdminState) -> Result<(Option<Version>, Vec<String>), Problem> {
    let (row, _) = row::read(state).await?;
    let Ok(prepared) = Prepared::of(&row) else { return Ok((None, Vec::new())) };
    let target = prepared.plan.target.version;
    let (inventory, _) = inventory(state).await?;
    let others = inventory.nodes.iter().filter(|node| node.version() != Some(target));
    let says = |node: &NodeFacts| match node.version() {
        Some(version) => format!("{} runs {version}", node.name),
        None => format!("{} does not answer", node.name),
    };
    Ok((Some(target), others.map(says).collect()))
}

/// What there is: servers as the directory has them, and as they say they are; and how many accounts each holds.
pub(super) async fn inventory(state: &AdminState) -> Result<(Inventory, HashMap<NodeId, u64>), Problem> {
    let read = |reader: &Reader<'_>| {
        let servers: Vec<Server> = reader.servers()?.into_iter().map(|found| found.value).collect();
        let mut accounts = HashMap::new();
        for server in &servers {
            accounts.insert(server.id, reader.accounts_on(server.id)?);
        }
        Ok::<_, Problem>((servers, accounts))
    };
    let (servers, accounts) = state.directory.read(read).await?;
    let mut statuses = state.statuses(servers.iter().map(|server| server.id).collect()).await;
    let names: HashMap<NodeId, String> = servers.iter().map(|server| (server.id, server.name.clone())).collect();
    let nodes = servers.iter().map(|server| {
        let stands_by = servers.iter().filter(|other| {
            accounts.get(&server.id).copied().unwrap_or(0) == 0
                && other.standby.as_ref().is_some_and(|standby| standby.server == server.id)
        });
        NodeFacts {
            id: server.id,
            name: server.name.clone(),
            roles: roles(server),
            stands_by_for: stands_by.map(|other| other.name.clone()).collect(),
            state: statuses.remove(&server.id).and_then(Result::ok).and_then(|status| node_state(status, &names)),
        }
    });
    Ok((Inventory { nodes: nodes.collect(), ..Inventory::default() }, accounts))
}

fn roles(server: &Server) -> NodeRoles {
    let roles = server.roles;
    let all = [(roles.main, NodeRole::Main), (roles.data, NodeRole::Data), (roles.edge, NodeRole::Edge)];
    all.into_iter().filter(|(has, _)| *has).map(|(_, role)| role).collect()
}

/// `None` for one whose version is none: it is left alone as one that doesn't answer.
fn node_state(status: NodeStatus, names: &HashMap<NodeId, String>) -> Option<NodeState> {
    let version = status.version.parse().ok()?;
    let (release, store_format) = (status.release, status.store_format);
    let known = status.installed.iter().find(|installed| installed.version == version).copied();
    // One whose program was removed while it runs: what it is is not known whole, and it is on the way out.
    let directory_format = sterna_directory::FORMAT;
    let unknown = InstalledVersion { version, release, store_format, directory_format };
    let waits = status.waiting_for.iter().map(|waiting| {
        let name = names.get(&waiting.copy).map_or("another server", String::as_str);
        format!("its accounts wait for their copies on {name}")
    });
    Some(NodeState {
        runs: known.unwrap_or(unknown),
        trouble: waits.collect(),
        installed: status.installed,
        failed: status.version_failed,
    })
}
