//! Where accounts go when nobody names a server: drains and rebalances. What moves where is decided by
//! [`sterna_directory::move_plan`]; here its numbers are gathered.

use std::collections::HashMap;

use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, DomainId, NodeId};
use sterna_directory::move_plan::{self, Account, Allowed, Load};
use sterna_directory::{Reader, Server};

use super::doors::AdminState;
use super::plan::{Plan, Refused, Wanted, name};
use super::problem::Problem;
use super::select::{SELECTED_MAX, Selected};

/// Sizes that a plan asks for; accounts of unknown size count as [`UNKNOWN_BYTES`].
const SIZES_ASKED_MAX: usize = 20_000;
/// What an account of unknown size counts as: an ordinary one.
const UNKNOWN_BYTES: u64 = 256 * 1024 * 1024;
/// What an account counts as besides its content: its store's files, an index, its sessions. Without it, any number of
/// people with empty mailboxes would weigh nothing, and be left on one server.
const ACCOUNT_BYTES: u64 = 1024 * 1024;
/// A server within so many hundredths of its share is left as it is: each move costs more than a smaller difference.
const TOLERANCE_PERCENT: u32 = 10;

/// What the directory has for a plan.
struct Facts {
    servers: Vec<Server>,
    allowed: Allowed,
    /// Accounts that may move: those that are not on their way, by server.
    accounts: Vec<(Selected, DomainId)>,
}

impl AdminState {
    /// Where the accounts of a server that is being emptied go.
    pub(super) async fn plan_drain(&self, server: NodeId) -> Result<Plan, Problem> {
        let facts = self.directory.read(move |reader| facts(reader, |one| one.roles.data, Some(server))).await?;
        let (accounts, _) = self.measured(&facts).await;
        let loads = self.loads(&facts, &accounts).await;
        let planned = move_plan::drain(&loads, &facts.allowed, server, &accounts);
        let by_id = by_id(&facts);
        let names: HashMap<NodeId, Server> = facts.servers.iter().map(|server| (server.id, server.clone())).collect();
        let mut plan = self.plan(wanted(&planned.moves, &by_id)).await?;
        plan.refused.extend(planned.stay.into_iter().filter_map(|(account, reason)| {
            let what = by_id.get(&account)?;
            Some(Refused {
                account,
                address: what.address.clone(),
                server: name(&names, what.server),
                code: "no-server",
                reason: reason.to_string(),
            })
        }));
        Ok(plan)
    }

    /// What brings the servers' loads to the ratio of their weights.
    pub(super) async fn plan_rebalance(&self) -> Result<Plan, Problem> {
        let facts = self.directory.read(|reader| facts(reader, |one| one.roles.data, None)).await?;
        let (accounts, _) = self.measured(&facts).await;
        let loads = self.loads(&facts, &accounts).await;
        let planned = move_plan::rebalance(&loads, &facts.allowed, &accounts, TOLERANCE_PERCENT);
        self.plan(wanted(&planned.moves, &by_id(&facts))).await
    }

    async fn measured(&self, facts: &Facts) -> (Vec<Account>, HashMap<AccountId, u64>) {
        let pairs: Vec<_> = facts.accounts.iter().map(|(one, _)| (one.account, one.server)).collect();
        let sizes = self.sizes(&pairs, SIZES_ASKED_MAX).await;
        let account = |(one, domain): &(Selected, DomainId)| Account {
            id: one.account,
            server: one.server,
            domain: *domain,
            bytes: sizes.get(&one.account).copied().unwrap_or(UNKNOWN_BYTES).saturating_add(ACCOUNT_BYTES),
        };
        (facts.accounts.iter().map(account).collect(), sizes)
    }

    /// The servers with what they hold and what they have free now. One that doesn't answer takes nothing.
    async fn loads(&self, facts: &Facts, accounts: &[Account]) -> Vec<Load> {
        let statuses = self.statuses(facts.servers.iter().map(|server| server.id).collect()).await;
        let load = |server: &Server| {
            let mut server = server.clone();
            match statuses.get(&server.id) {
                Some(Ok(status)) if status.disk_bytes > 0 => server.free_bytes = Some(status.disk_free_bytes),
                Some(Ok(_)) => {}
                _ => server.accepts_new_accounts = false,
            }
            let on_it = accounts.iter().filter(|account| account.server == server.id);
            Load { used_bytes: on_it.map(|account| account.bytes).sum(), server }
        };
        facts.servers.iter().map(load).collect()
    }
}

/// The servers that take part, and the accounts of one of them or of all.
fn facts(reader: &Reader<'_>, takes_part: fn(&Server) -> bool, only: Option<NodeId>) -> Result<Facts, Problem> {
    let servers: Vec<Server> = reader.servers()?.into_iter().map(|found| found.value).filter(takes_part).collect();
    let mut accounts = Vec::new();
    for server in servers.iter().map(|server| server.id) {
        let mut after = AccountId(0);
        loop {
            let page = reader.placed_with_domain(server, after, PAGE_ITEMS_MAX)?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (account, domain) in page {
                // What is moving goes on, and what lives elsewhere is only counted.
                if only.is_none_or(|only| only == server) && reader.move_of(account)?.is_some() {
                    continue;
                }
                let address = super::job_view::address_of(reader, account)?;
                accounts.push((Selected { account, address, server }, domain));
            }
            if accounts.len() > SELECTED_MAX {
                let detail = format!("more than {SELECTED_MAX} accounts are too many for one plan");
                return Err(Problem::malformed(detail));
            }
        }
    }
    Ok(Facts { servers, allowed: reader.allowed_servers()?, accounts })
}

fn by_id(facts: &Facts) -> HashMap<AccountId, Selected> {
    facts.accounts.iter().map(|(one, _)| (one.account, one.clone())).collect()
}

fn wanted(moves: &[move_plan::PlannedMove], by_id: &HashMap<AccountId, Selected>) -> Vec<Wanted> {
    let one = |planned: &move_plan::PlannedMove| {
        Some(Wanted { what: by_id.get(&planned.account)?.clone(), to: planned.to, is_back: false })
    };
    moves.iter().filter_map(one).collect()
}
