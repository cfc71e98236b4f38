//! How far the copies on the other machine are, account by account and as a whole.

use axum::Json;
use schemars::JsonSchema;
use serde::Serialize;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, NodeId};
use sterna_directory::{Migration, MigrationPhase, Reader};

use super::super::doors::{AdminState, ProvisionError, StoreReport};
use super::super::input::Params;
use super::super::job_view::address_of;
use super::super::problem::Problem;
use super::super::view::Page;

/// Copies that are asked for at the same time.
const QUESTIONS_MAX: usize = 32;
/// Accounts that are named when they lag.
const NAMED_MAX: usize = 5;
/// Changes that a copy may lack and count as equal: what comes within a moment, and what a move fetches before it seals
/// the account.
const BEHIND_MAX: u64 = 64;
/// What a cut-over takes when nothing is missing, in milliseconds, and how many go on at the same time.
const CUT_OVER_MS: u64 = 60;
/// Bytes a second that go over while accounts are used.
const BYTES_PER_SECOND: u64 = 40 * 1024 * 1024;

/// All copies together.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "MigrationLag")]
pub(in crate::admin) struct Lag {
    /// Accounts that live on the machine that is left.
    pub accounts: u64,
    /// Of these, how many the other machine has whole, but for what came just now.
    pub equal: u64,
    /// Changes that copies lack.
    pub changes: u64,
    /// Bytes that were fetched.
    pub fetched_bytes: u64,
    /// Bytes of the accounts.
    pub bytes: u64,
    /// Why some don't go on: the first that was met.
    pub trouble: Option<String>,
    /// How long the accounts would be switched one after the other if that were now, in milliseconds.
    pub expected_cold_ms: u64,
    /// Addresses of some that are not equal.
    pub behind: Vec<String>,
}

/// One account.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "MigrationAccount")]
pub(in crate::admin) struct AccountLag {
    account: AccountId,
    address: String,
    /// "missing", "copying" or "equal".
    state: &'static str,
    /// Changes that the copy lacks; null when it has not heard of its account yet.
    behind: Option<u64>,
    bytes: u64,
    fetched_bytes: u64,
    trouble: Option<String>,
}

/// From which machine to which accounts go, or would go.
fn direction(row: &Migration) -> (NodeId, NodeId) {
    match row.phase {
        MigrationPhase::Returning | MigrationPhase::Switched => (row.to, row.from),
        _ => (row.from, row.to),
    }
}

fn is_equal(report: &StoreReport) -> bool {
    report.is_complete && report.trouble.is_none() && report.lag().is_some_and(|lag| lag <= BEHIND_MAX)
}

/// All of them. While people can still change their mind every account counts; a few thousand are asked within seconds.
pub(super) async fn measure(state: &AdminState, row: &Migration) -> Result<Lag, Problem> {
    let (from, to) = direction(row);
    let (mut lag, mut after) = (Lag::default(), AccountId(0));
    if row.phase.is_over() {
        return Ok(lag);
    }
    loop {
        let page = state.directory.read(move |reader| reader.placed_on(from, after, PAGE_ITEMS_MAX)).await?;
        let Some(last) = page.last() else { break };
        after = *last;
        for (account, report) in ask(state, page, to).await {
            lag.accounts += 1;
            let Ok(report) = report else {
                name(state, &mut lag, account).await?;
                continue;
            };
            lag.changes += report.lag().unwrap_or(0);
            lag.fetched_bytes += report.fetched_bytes;
            lag.bytes += report.bytes;
            if is_equal(&report) {
                lag.equal += 1;
            } else {
                name(state, &mut lag, account).await?;
            }
            lag.trouble = lag.trouble.or(report.trouble);
        }
    }
    let left = lag.bytes.saturating_sub(lag.fetched_bytes.max(lag.bytes * lag.equal / lag.accounts.max(1)));
    lag.expected_cold_ms = lag.accounts * CUT_OVER_MS + left * 1000 / BYTES_PER_SECOND;
    Ok(lag)
}

async fn name(state: &AdminState, lag: &mut Lag, account: AccountId) -> Result<(), Problem> {
    if lag.behind.len() < NAMED_MAX {
        lag.behind.push(state.directory.read(move |reader| address_of(reader, account)).await?);
    }
    Ok(())
}

async fn ask(
    state: &AdminState,
    accounts: Vec<AccountId>,
    on: NodeId,
) -> Vec<(AccountId, Result<StoreReport, ProvisionError>)> {
    let (mut found, mut asked) = (Vec::with_capacity(accounts.len()), tokio::task::JoinSet::new());
    for account in accounts {
        if asked.len() >= QUESTIONS_MAX
            && let Some(Ok(done)) = asked.join_next().await
        {
            found.push(done);
        }
        let provision = state.provision.clone();
        asked.spawn(async move { (account, provision.store(account, on).await) });
    }
    while let Some(done) = asked.join_next().await {
        found.extend(done.ok());
    }
    found.sort_by_key(|(account, _)| *account);
    found
}

/// A page of them.
pub(super) async fn list(state: &AdminState, params: Params) -> Result<Page<AccountLag>, Problem> {
    let limit = params.limit();
    let after = params.after.as_deref().map_or(Ok(AccountId(0)), str::parse);
    let after = after.map_err(|_| Problem::malformed("“after” is not an account id"))?;
    let read = move |reader: &Reader<'_>| {
        let found = reader.migration()?.ok_or_else(|| Problem::no_such("migration", "under way"))?;
        let (from, to) = direction(&found.value);
        let page = reader.placed_on(from, after, limit + 1)?;
        let named = page.into_iter().map(|account| Ok((account, address_of(reader, account)?)));
        Ok::<_, Problem>((to, named.collect::<Result<Vec<_>, Problem>>()?))
    };
    let (to, named) = state.directory.read(read).await?;
    let reports = ask(state, named.iter().map(|(account, _)| *account).collect(), to).await;
    let items = named.into_iter().zip(reports).map(|((account, address), (_, report))| match report {
        Ok(report) => AccountLag {
            account,
            address,
            state: if is_equal(&report) { "equal" } else { "copying" },
            behind: report.lag(),
            bytes: report.bytes,
            fetched_bytes: report.fetched_bytes,
            trouble: report.trouble,
        },
        Err(error) => AccountLag {
            account,
            address,
            state: "missing",
            behind: None,
            bytes: 0,
            fetched_bytes: 0,
            trouble: Some(error.to_string()),
        },
    });
    let Json(page) = Page::cut(items.collect(), limit, |one: &AccountLag| one.account.to_string());
    Ok(page)
}
