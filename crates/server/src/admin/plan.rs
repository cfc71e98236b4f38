//! Plans: who would move from where to where, how much that is, and what is refused and why. Made before anything is
//! done, shown by a dry run, and done only as it was shown.

use std::collections::{BTreeMap, HashMap};

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use sterna_base::{AccountId, JobId, NodeId};
use sterna_cluster::NodeStatus;
use sterna_directory::placement_policy::{self, FREE_BYTES_MIN, NoServer};
use sterna_directory::{CopyPurpose, MovePhase, Reader, Server};

use super::doors::AdminState;
use super::problem::Problem;
use super::select::Selected;
use super::status;

/// Accounts whose size is asked for when a plan is made; of more the rest counts as unknown.
const SIZES_ASKED_MAX: usize = 20_000;
/// Refusals that are named in the text of an error.
const REFUSALS_NAMED_MAX: usize = 10;
/// Bytes a second that a copy over an ordinary network and disk takes at least: for “how long”, before anything was
/// measured.
const BYTES_PER_SECOND: u64 = 40 * 1024 * 1024;
/// Milliseconds that an account takes besides its bytes.
const ACCOUNT_MS: u64 = 200;

/// What is to be done.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "MovePlan")]
pub(super) struct Plan {
    /// Accounts that would move.
    pub moves: Vec<PlannedMove>,
    /// Accounts that can't, and why.
    pub refused: Vec<Refused>,
    /// Accounts that are already where they are to go.
    pub there: Vec<String>,
    /// Bytes of the accounts that would move, as far as they are known.
    pub bytes: u64,
    /// Accounts of unknown size among them.
    pub unknown_sizes: u64,
    /// A guess of how long it takes, before anything was measured.
    pub expected_seconds: u64,
}

/// One account that would move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct PlannedMove {
    pub account: AccountId,
    pub address: String,
    /// Names of servers.
    pub from: String,
    pub to: String,
    /// Null when the account's server doesn't say.
    pub bytes: Option<u64>,
    /// Whether the target has a copy of it already, so that only what changed since is copied.
    pub has_copy: bool,
    #[serde(skip)]
    pub from_id: NodeId,
    #[serde(skip)]
    pub to_id: NodeId,
}

/// One account that can't move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "RefusedMove")]
pub(super) struct Refused {
    pub account: AccountId,
    pub address: String,
    pub server: String,
    /// The code of the problem that it would be.
    pub code: &'static str,
    pub reason: String,
}

/// Who is to go where.
pub(super) struct Wanted {
    pub what: Selected,
    pub to: NodeId,
    /// Back to a copy that is kept: open even if the server takes no new accounts.
    pub is_back: bool,
}

/// What the directory says of one wanted move.
struct Facts {
    refusal: Option<(&'static str, String)>,
    has_copy: bool,
}

impl AdminState {
    /// Checks what is wanted, one by one and as a whole.
    ///
    /// # Errors
    /// When a target doesn't answer, runs an older version, or has not the space.
    pub(super) async fn plan(&self, wanted: Vec<Wanted>) -> Result<Plan, Problem> {
        let pairs: Vec<_> = wanted.iter().map(|one| (one.what.account, one.to, one.is_back)).collect();
        let read = move |reader: &Reader<'_>| {
            let servers: HashMap<NodeId, Server> =
                reader.servers()?.into_iter().map(|found| (found.value.id, found.value)).collect();
            let facts = pairs.iter().map(|pair| facts(reader, &servers, pair)).collect::<Result<Vec<_>, Problem>>()?;
            Ok::<_, Problem>((servers, facts))
        };
        let (servers, facts) = self.directory.read(read).await?;
        let involved = wanted.iter().flat_map(|one| [one.what.server, one.to]);
        let statuses = self.statuses(involved.collect()).await;
        let mut plan = Plan::default();
        for (one, facts) in wanted.into_iter().zip(facts) {
            if one.what.server == one.to {
                plan.there.push(one.what.address);
                continue;
            }
            let source = statuses.get(&one.what.server).and_then(|status| status.as_ref().err());
            let refusal = facts.refusal.or_else(|| {
                let from = name(&servers, one.what.server);
                source.map(|cause| ("server-unreachable", format!("{from}, where it lives, doesn't answer: {cause}")))
            });
            match refusal {
                Some((code, reason)) => plan.refused.push(Refused {
                    account: one.what.account,
                    address: one.what.address,
                    server: name(&servers, one.what.server),
                    code,
                    reason,
                }),
                None => plan.moves.push(PlannedMove {
                    account: one.what.account,
                    address: one.what.address,
                    from: name(&servers, one.what.server),
                    to: name(&servers, one.to),
                    bytes: None,
                    has_copy: facts.has_copy,
                    from_id: one.what.server,
                    to_id: one.to,
                }),
            }
        }
        self.measure(&mut plan).await;
        check_targets(&plan, &servers, &statuses)?;
        Ok(plan)
    }

    /// How large everything is.
    async fn measure(&self, plan: &mut Plan) {
        let accounts: Vec<_> = plan.moves.iter().map(|one| (one.account, one.from_id)).collect();
        let sizes = self.sizes(&accounts, SIZES_ASKED_MAX).await;
        for one in &mut plan.moves {
            one.bytes = sizes.get(&one.account).copied();
        }
        plan.bytes = plan.moves.iter().filter_map(|one| one.bytes).sum();
        plan.unknown_sizes = plan.moves.iter().filter(|one| one.bytes.is_none()).count() as u64;
        plan.expected_seconds = guess_seconds(plan.moves.len() as u64, to_copy(plan.moves.iter()));
    }

    /// How servers are, all asked at once.
    pub(super) async fn statuses(&self, mut servers: Vec<NodeId>) -> HashMap<NodeId, Result<NodeStatus, String>> {
        servers.sort_unstable();
        servers.dedup();
        let mut asked = tokio::task::JoinSet::new();
        for server in servers {
            let state = self.clone();
            asked.spawn(async move { (server, status::ask_once(&state, server).await) });
        }
        let mut found = HashMap::new();
        while let Some(done) = asked.join_next().await {
            if let Ok((server, answer)) = done {
                found.insert(server, answer);
            }
        }
        found
    }
}

/// Bytes that have to be copied: an account that has a copy at its target needs little more.
fn to_copy<'a>(moves: impl Iterator<Item = &'a PlannedMove>) -> u64 {
    moves.filter(|one| !one.has_copy).filter_map(|one| one.bytes).sum()
}

fn guess_seconds(accounts: u64, bytes: u64) -> u64 {
    bytes / BYTES_PER_SECOND + (accounts * ACCOUNT_MS).div_ceil(1000)
}

pub(super) fn name(servers: &HashMap<NodeId, Server>, id: NodeId) -> String {
    servers.get(&id).map_or_else(|| id.to_string(), |server| server.name.clone())
}

fn facts(
    reader: &Reader<'_>,
    servers: &HashMap<NodeId, Server>,
    (account, to, is_back): &(AccountId, NodeId, bool),
) -> Result<Facts, Problem> {
    let copy = reader.copy(*account, *to)?.map(|found| found.value.purpose);
    let has_copy =
        matches!(copy, Some(CopyPurpose::Kept { .. } | CopyPurpose::Migrating | CopyPurpose::Standby { .. }));
    let moving = reader.move_of(*account)?.map(|found| found.value).filter(|row| row.phase != MovePhase::Failed);
    let refusal = match moving {
        Some(row) => Some(("moving", is_moving(&name(servers, row.to), row.job))),
        None if *is_back => None,
        None => {
            let allowed = reader.domain_of(*account)?.map(|domain| domain.servers).unwrap_or_default();
            let target = servers.get(to).ok_or_else(|| Problem::no_such("server", &to.to_string()))?;
            match placement_policy::check_target(target, &allowed) {
                Ok(()) => None,
                // What holds for the target as a whole is told at once, not once for each account.
                Err(whole @ (NoServer::NotData(_) | NoServer::Closed(_) | NoServer::Draining(_))) => {
                    return Err(sterna_directory::RequestError::NoServer(whole).into());
                }
                Err(own) => Some(("no-server", own.to_string())),
            }
        }
    };
    Ok(Facts { refusal, has_copy })
}

fn is_moving(to: &str, job: JobId) -> String {
    format!("it is moving to {to} already (job {job})")
}

/// What holds for each target with all that goes there.
fn check_targets(
    plan: &Plan,
    servers: &HashMap<NodeId, Server>,
    statuses: &HashMap<NodeId, Result<NodeStatus, String>>,
) -> Result<(), Problem> {
    let mut arriving: BTreeMap<NodeId, Vec<&PlannedMove>> = BTreeMap::new();
    for one in &plan.moves {
        arriving.entry(one.to_id).or_default().push(one);
    }
    for (target, moves) in arriving {
        let target_name = name(servers, target);
        let status = match statuses.get(&target) {
            Some(Ok(status)) => status,
            Some(Err(cause)) => return Err(unreachable(&target_name, cause)),
            None => return Err(unreachable(&target_name, "it was not asked")),
        };
        for one in &moves {
            if let Some(Ok(source)) = statuses.get(&one.from_id)
                && (source.release > status.release || source.store_format > status.store_format)
            {
                return Err(older(&target_name, status, &one.from, source));
            }
        }
        check_space(&target_name, status, &moves)?;
    }
    Ok(())
}

pub(super) fn unreachable(target: &str, cause: &str) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "server-unreachable",
        "A server doesn't answer",
        format!("{target} doesn't answer: {cause}; nothing was begun"),
        format!("See whether it runs (sterna server get {target}), and try again once it does, or name another one."),
    )
}

fn older(target: &str, status: &NodeStatus, from: &str, source: &NodeStatus) -> Problem {
    let detail = format!(
        "{target} runs version {} (store format {}), which is older than version {} (store format {}) of {from}: it may \
         not read what {from} has written",
        status.version, status.store_format, source.version, source.store_format,
    );
    let remedy = format!("Update {target} first, or name a server with a version like that of {from}.");
    Problem::new(StatusCode::CONFLICT, "older-version", "The target is older", detail, remedy)
}

/// A target keeps [`FREE_BYTES_MIN`] for those who live there.
fn check_space(target: &str, status: &NodeStatus, moves: &[&PlannedMove]) -> Result<(), Problem> {
    let needed = to_copy(moves.iter().copied());
    let usable = status.disk_free_bytes.saturating_sub(FREE_BYTES_MIN);
    // An account whose size nobody knows needs some space too.
    let has_room = (usable > 0 && needed <= usable) || moves.iter().all(|one| one.has_copy);
    // A node that can't tell says nothing of its disk.
    if status.disk_bytes == 0 || has_room {
        return Ok(());
    }
    let bytes = crate::cli::output::bytes;
    let detail = format!(
        "{target} has {} free, of which {} stay free; {} accounts with {} don't fit",
        bytes(status.disk_free_bytes),
        bytes(FREE_BYTES_MIN),
        moves.len(),
        bytes(needed),
    );
    let remedy = "Move fewer accounts, free space there, or name another server (sterna server list).";
    Err(Problem::new(StatusCode::CONFLICT, "no-space", "The target has not the space", detail, remedy))
}

/// The error that says what is refused, when what was named one by one can't all be done.
pub(super) fn refusal(refused: &[Refused]) -> Option<Problem> {
    let first = refused.first()?;
    let mut named: Vec<String> =
        refused.iter().take(REFUSALS_NAMED_MAX).map(|one| format!("{}: {}", one.address, one.reason)).collect();
    if refused.len() > REFUSALS_NAMED_MAX {
        named.push(format!("and {} more", refused.len() - REFUSALS_NAMED_MAX));
    }
    let remedy = match first.code {
        "moving" => "Follow that job (sterna job follow ID), or abort it (sterna job abort ID) and try again.",
        "server-unreachable" => {
            "See whether that server runs (sterna status). If it is lost: sterna server failover, for accounts that \
             have a standby copy."
        }
        "no-copy" => "Move it as any other account: sterna account move ADDRESS --to SERVER.",
        _ => "Name another server, or leave these accounts out.",
    };
    let detail = format!("{}; nothing was begun", named.join("; "));
    Some(Problem::new(StatusCode::CONFLICT, first.code, "It can't be moved", detail, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1024 * 1024 * 1024;

    fn status(release: u32, free: u64) -> NodeStatus {
        NodeStatus {
            node: NodeId([2; 16]),
            version: format!("0.{release}"),
            release,
            roles: Default::default(),
            now: sterna_base::Timestamp(0),
            disk_free_bytes: free,
            disk_bytes: 100 * GIB,
            accounts: 0,
            store_format: 0,
            copies: Default::default(),
            asides: None,
            dane_off: None,
            load_hundredths: 0,
            directory_modseq: 0,
            started_at: None,
            main_address: None,
            certificate_not_after: None,
            client_certificate_not_after: None,
            client_certificate_modseq: None,
            waiting_for: Vec::new(),
            over_limits: Vec::new(),
            filters_down: Vec::new(),
            endpoints: Vec::new(),
            installed: Vec::new(),
            version_failed: None,
            waiting_mail: Some(0),
            addresses: Vec::new(),
            firewall: sterna_cluster::FirewallStatus::default(),
        }
    }

    fn one(bytes: Option<u64>, has_copy: bool) -> PlannedMove {
        PlannedMove {
            account: AccountId(1),
            address: "ana@x.test".into(),
            from: "alpha".into(),
            to: "beta".into(),
            bytes,
            has_copy,
            from_id: NodeId([1; 16]),
            to_id: NodeId([2; 16]),
        }
    }

    fn checked(moves: Vec<PlannedMove>, source: NodeStatus, target: Result<NodeStatus, String>) -> String {
        let plan = Plan { moves, ..Plan::default() };
        let statuses = HashMap::from([(NodeId([1; 16]), Ok(source)), (NodeId([2; 16]), target)]);
        check_targets(&plan, &HashMap::new(), &statuses).map_or_else(|problem| problem.code, |()| "fine".to_owned())
    }

    #[test]
    fn a_target_answers_is_not_older_and_has_the_space() {
        let space = 10 * GIB;
        assert_eq!(checked(vec![one(Some(9 * GIB), false)], status(1, 0), Ok(status(1, space))), "fine");
        assert_eq!(checked(vec![one(Some(9 * GIB + 1), false)], status(1, 0), Ok(status(1, space))), "no-space");
        assert_eq!(checked(vec![one(Some(50 * GIB), true)], status(1, 0), Ok(status(1, space))), "fine");
        assert_eq!(checked(vec![one(None, false)], status(1, 0), Ok(status(1, space))), "fine");
        assert_eq!(checked(vec![one(None, false)], status(1, 0), Ok(status(1, GIB))), "no-space", "it needs a little");
        let two = vec![one(Some(5 * GIB), false), one(Some(5 * GIB), false)];
        assert_eq!(checked(two, status(1, 0), Ok(status(1, space))), "no-space", "together they don't fit");
        assert_eq!(checked(vec![one(None, false)], status(2, 0), Ok(status(1, space))), "older-version");
        let newer_format = NodeStatus { store_format: 3, ..status(1, 0) };
        let older_format = NodeStatus { store_format: 2, ..status(1, space) };
        assert_eq!(checked(vec![one(None, false)], newer_format, Ok(older_format)), "older-version");
        assert_eq!(checked(vec![one(None, false)], status(1, 0), Ok(status(2, space))), "fine");
        assert_eq!(checked(vec![one(None, false)], status(1, 0), Err("refused".into())), "server-unreachable");
    }

    #[test]
    fn a_refusal_names_a_few_and_counts_the_rest() {
        assert_eq!(refusal(&[]), None);
        let refused = Refused {
            account: AccountId(1),
            address: "ana@x.test".into(),
            server: "alpha".into(),
            code: "moving",
            reason: is_moving("beta", JobId(7)),
        };
        let problem = refusal(&vec![refused; 12]).unwrap();
        assert!(problem.detail.contains("job 7") && problem.detail.contains("and 2 more"), "{}", problem.detail);
        assert_eq!((problem.status, problem.code.as_str()), (409, "moving"));
    }

    #[test]
    fn how_long_it_takes_is_guessed_from_bytes_and_accounts() {
        assert_eq!((guess_seconds(0, 0), guess_seconds(1, 0), guess_seconds(10, 80 * 1024 * 1024)), (0, 1, 4));
    }
}
