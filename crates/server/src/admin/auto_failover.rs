//! Failover without being asked, when it is switched on: asks [`decide`] again and again, and does what an
//! administrator would have done. Only the main node has anything to do.

use std::collections::HashMap;
use std::time::Duration;

use sterna_base::NodeId;
use sterna_cluster::moving::core::failover::{Decision, Heard, Settings, StandbySaid, check_account, decide};
use sterna_directory::{JobKind, Reader, Server, StorageError, settings};

use super::doors::{AdminState, StoreReport};
use super::failover::{Found, standby};
use super::problem::Problem;
use super::select::Selection;

/// Who is said to have begun such a failover.
pub(super) const BY: &str = "automatic failover";

/// How often the servers are looked at, in milliseconds.
const LOOK_INTERVAL_MS: u64 = 2_000;
/// How long a lost server is left alone of which nothing could be taken over, in milliseconds.
const RETRY_INTERVAL_MS: u64 = 15_000;

/// What the directory says.
struct Facts {
    settings: Settings,
    servers: HashMap<NodeId, Server>,
    is_busy: bool,
}

/// What came of a look.
enum Looked {
    /// All is well, or is being seen to.
    Begun,
    /// A server is lost, and nothing of it can be taken over.
    InVain,
}

/// Looks after it for as long as the node runs.
pub async fn watch_forever(state: AdminState) {
    let mut ticks = tokio::time::interval(Duration::from_millis(LOOK_INTERVAL_MS));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match state.look_for_the_lost().await {
            Ok(Looked::Begun) => {}
            Ok(Looked::InVain) => tokio::time::sleep(Duration::from_millis(RETRY_INTERVAL_MS)).await,
            Err(problem) => {
                tracing::warn!(cause = problem.detail, "whether a server is to be failed over could not be decided");
            }
        }
    }
}

impl AdminState {
    async fn look_for_the_lost(&self) -> Result<Looked, Problem> {
        let Some(desk) = self.leases.clone().filter(|_| self.directory.is_main()) else {
            return Ok(Looked::Begun);
        };
        let facts = self.directory.read(facts).await?;
        let here = self.node.id;
        let others = facts.servers.values().filter(|server| server.roles.data && server.id != here);
        let heard = |server: &Server| Heard {
            node: server.id,
            silent_ms: desk.silent_ms(server.id),
            // Looked at when it is lost.
            has_standby: true,
        };
        let servers: Vec<Heard> = others.map(heard).collect();
        let decision = decide(facts.settings, &servers, desk.running_ms(), facts.is_busy);
        let name =
            |node: NodeId| facts.servers.get(&node).map_or_else(|| node.to_string(), |server| server.name.clone());
        match decision {
            Decision::Nothing => _ = self.memory.note_left_alone(None),
            Decision::Waits(_) => {}
            Decision::Refused(node, refusal) => self.refused(&name(node), &refusal.to_string()),
            Decision::FailOver(node) => {
                let silent_ms = desk.silent_ms(node);
                tracing::warn!(server = name(node), silent_ms, "a server is lost; its accounts are failed over");
                return self.fail_over_without_asking(facts.settings, node, &name(node), silent_ms).await;
            }
        }
        Ok(Looked::Begun)
    }

    /// Says once why a lost server is left as it is.
    fn refused(&self, server: &str, why: &str) {
        let text = format!("{server} does not answer, and is not failed over by itself: {why}");
        if self.memory.note_left_alone(Some(text.clone())) {
            tracing::warn!("{text}");
        }
    }

    /// Begins a failover of those accounts that may be taken over.
    async fn fail_over_without_asking(
        &self,
        settings: Settings,
        lost: NodeId,
        name: &str,
        silent_ms: u64,
    ) -> Result<Looked, Problem> {
        let selection = Selection::on(lost.to_string());
        let read = move |reader: &Reader<'_>| {
            let found = selection.read(reader)?.into_iter().map(|what| standby(reader, what, None));
            found.collect::<Result<Vec<Found>, StorageError>>().map_err(Problem::from)
        };
        let found = self.directory.read(read).await?;
        let pairs = found.iter().flat_map(|one| one.standby.iter().map(|(server, ..)| (one.what.account, *server)));
        let reports = self.reports(pairs.collect()).await;
        let (mut accounts, mut kept) = (Vec::new(), HashMap::<String, u64>::new());
        for Found { what, standby } in found.into_iter().filter(|one| !one.standby.is_empty()) {
            let checked = standby.iter().map(|(server, _, is_awaited)| match reports.get(&(what.account, *server)) {
                Some(report) => {
                    check_account(settings, &said(*is_awaited, report), silent_ms).map_err(|kept| kept.to_string())
                }
                None => Err("the server with its standby copy doesn't answer".to_owned()),
            });
            let checked: Vec<_> = checked.collect();
            match checked.iter().position(Result::is_ok) {
                Some(at) => accounts.push((what.account, standby[at].0)),
                None => *kept.entry(checked.into_iter().find_map(Result::err).unwrap_or_default()).or_default() += 1,
            }
        }
        for (why, count) in &kept {
            tracing::warn!(server = name, accounts = count, why, "accounts of a lost server stay where they are");
        }
        if accounts.is_empty() {
            let why = kept.into_keys().next().unwrap_or_else(|| "no account has a standby copy".to_owned());
            self.refused(name, &why);
            return Ok(Looked::InVain);
        }
        let count = accounts.len();
        let what = format!("fail over {count} accounts of {name}, which was silent for {} s", silent_ms / 1000);
        let id = self.begin_job(accounts, what, BY.to_owned()).await?;
        tracing::warn!(server = name, job = %id, accounts = count, "an automatic failover has begun");
        Ok(Looked::Begun)
    }
}

fn said(is_awaited: bool, report: &StoreReport) -> StandbySaid {
    let is_complete = report.is_complete;
    StandbySaid {
        is_complete,
        is_awaited,
        equal_ms: report.equal_ms,
        silent_ms: report.source_silent_ms.unwrap_or_default(),
    }
}

fn facts(reader: &Reader<'_>) -> Result<Facts, StorageError> {
    let seconds = |name| reader.number_setting(name).map(|seconds| seconds * 1000);
    let settings = Settings {
        after_ms: seconds(settings::FAILOVER_AFTER_SECONDS)?,
        lag_ms: seconds(settings::FAILOVER_LAG_SECONDS)?,
    };
    let mut facts = Facts { settings, servers: HashMap::new(), is_busy: false };
    if settings.after_ms == 0 {
        return Ok(facts);
    }
    facts.servers = reader.servers()?.into_iter().map(|found| (found.value.id, found.value)).collect();
    let jobs = reader.active_jobs(sterna_base::JobId(0), sterna_base::limits::PAGE_ITEMS_MAX)?;
    facts.is_busy = jobs.iter().any(|job| job.kind == JobKind::Failover);
    Ok(facts)
}
