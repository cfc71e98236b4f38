//! `/api/v1/search`: the search indexes of the accounts that this server holds.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use sterna_account::AccountError;
use sterna_account::local::{LocalAccounts, SearchStatus};
use sterna_base::AccountId;
use sterna_directory::Reader;

use super::doors::AdminState;
use super::input::Params;
use super::job_view::address_of;
use super::problem::Problem;
use super::resolve;
use super::view::Page;

/// Accounts in one page: each is opened for it.
const PAGE_ACCOUNTS_MAX: usize = 100;

/// One account's index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "SearchIndex")]
pub(super) struct IndexView {
    account: AccountId,
    address: String,
    /// "complete", "behind", "not begun", or "none" for a copy that nobody searches in.
    state: &'static str,
    /// How many modseqs the index is behind the account.
    lag: u64,
    messages: u64,
    /// Messages that every search reads, because they are too long for the index, or damaged.
    partial: u64,
    words: u64,
    size_bytes: u64,
    /// Why it can't be told.
    error: Option<String>,
}

/// Those of this server.
pub(super) async fn list(State(state): State<AdminState>, params: Params) -> Result<Json<Page<IndexView>>, Problem> {
    let local = local(&state)?;
    let limit = params.limit().min(PAGE_ACCOUNTS_MAX);
    let after = params.after.as_deref().map_or(Ok(AccountId(0)), str::parse);
    let after = after.map_err(|_| Problem::malformed("“after” is not an account id"))?;
    let accounts = local.list().await.map_err(|error| unreadable(&error.to_string()))?;
    let mut items = Vec::new();
    for account in accounts.into_iter().filter(|account| *account > after).take(limit + 1) {
        items.push(view(&state, &local, account).await?);
    }
    Ok(Page::cut(items, limit, |view| view.account.to_string()))
}

/// One account's.
pub(super) async fn get(
    State(state): State<AdminState>,
    Path(account): Path<String>,
) -> Result<Json<IndexView>, Problem> {
    let (local, account) = (local(&state)?, find(&state, account).await?);
    Ok(Json(view(&state, &local, account).await?))
}

/// Deletes an account's index, which is made again at once; searches read the messages meanwhile.
pub(super) async fn delete(
    State(state): State<AdminState>,
    Path(account): Path<String>,
    params: Params,
) -> Result<Json<IndexView>, Problem> {
    let (local, account) = (local(&state)?, find(&state, account).await?);
    let handle = local.get(account).await.map_err(|error| not_here(&error, account))?;
    if !params.dry_run {
        handle.rebuild_index().await.map_err(|error| not_here(&error, account))?;
    }
    Ok(Json(view(&state, &local, account).await?))
}

async fn view(state: &AdminState, local: &LocalAccounts, account: AccountId) -> Result<IndexView, Problem> {
    let address = state.directory.read(move |reader| Ok::<_, Problem>(address_of(reader, account)?)).await?;
    let status = match local.get(account).await {
        Ok(handle) => handle.index_status().await,
        Err(error) => Err(error),
    };
    let view = IndexView { account, address, ..IndexView::default() };
    Ok(match status {
        Err(error) => IndexView { state: "none", error: Some(error.to_string()), ..view },
        Ok(None) => IndexView { state: "none", ..view },
        Ok(Some(status)) => with_status(view, &status),
    })
}

fn with_status(view: IndexView, status: &SearchStatus) -> IndexView {
    let reached = status.progress.map(|progress| progress.reached);
    let lag = match reached {
        Some(reached) if reached.is_past(status.modseq) => 0,
        // In the middle of a modseq is behind it.
        Some(reached) => (status.modseq.0 - reached.modseq.0.min(status.modseq.0)).max(1),
        None => status.modseq.0,
    };
    let state = match reached {
        None => "not begun",
        Some(_) if lag == 0 => "complete",
        Some(_) => "behind",
    };
    let index = status.index;
    let (messages, partial, words, size_bytes) = (index.items, index.partial, index.words, index.size_bytes);
    IndexView { state, lag, messages, partial, words, size_bytes, ..view }
}

fn local(state: &AdminState) -> Result<Arc<LocalAccounts>, Problem> {
    state.local.clone().ok_or_else(|| {
        let remedy = "Run the command on a server with the role “data”; sterna account where tells which one.";
        let detail = "This server holds no accounts.";
        Problem::new(StatusCode::CONFLICT, "not-here", "The account is on another server", detail, remedy)
    })
}

async fn find(state: &AdminState, account: String) -> Result<AccountId, Problem> {
    let read =
        move |reader: &Reader<'_>| Ok::<_, Problem>(resolve::entry(reader, &account, "account")?.value.entry().id);
    state.directory.read(read).await
}

fn not_here(error: &AccountError, account: AccountId) -> Problem {
    if !matches!(error, AccountError::NoSuchAccount(_)) {
        return unreadable(&error.to_string());
    }
    let detail = format!("This server has no store of account {account}.");
    let remedy = "Run the command on the server where the account lives; sterna account where tells which one.";
    Problem::new(StatusCode::CONFLICT, "not-here", "The account is on another server", detail, remedy)
}

fn unreadable(cause: &str) -> Problem {
    let remedy = "sterna check tells what is wrong with the accounts of this server.";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "store", "A store can't be read", cause, remedy)
}
