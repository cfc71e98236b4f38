//! `/api/v1/servers/{server}/orphans`: stores that the directory doesn't name. Those that are old copies of accounts
//! that live elsewhere can be deleted; one of which the directory knows nothing may be all that is left of an account.

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::Serialize;
use sterna_base::{AccountId, NodeId};
use sterna_directory::{Reader, Request};

use super::doors::{AdminState, ProvisionError};
use super::input::Params;
use super::job_view::address_of;
use super::plan;
use super::problem::Problem;
use super::resolve;
use super::view::Page;

/// One store.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Orphan")]
pub(super) struct OrphanView {
    account: AccountId,
    address: String,
    /// Where the account lives; null when the directory doesn't know it.
    lives_on: Option<String>,
    /// "deleted", "would be deleted" or "kept".
    outcome: &'static str,
    /// Why it is kept.
    reason: Option<String>,
}

/// What there is.
pub(super) async fn list(
    State(state): State<AdminState>,
    Path(server): Path<String>,
) -> Result<Json<Page<OrphanView>>, Problem> {
    state.sweep_orphans(server, true).await
}

/// Deletes those that are old copies.
pub(super) async fn delete(
    State(state): State<AdminState>,
    Path(server): Path<String>,
    params: Params,
) -> Result<Json<Page<OrphanView>>, Problem> {
    state.sweep_orphans(server, params.dry_run).await
}

impl AdminState {
    async fn sweep_orphans(&self, server: String, dry_run: bool) -> Result<Json<Page<OrphanView>>, Problem> {
        if !self.directory.is_main() {
            return Err(self.not_main().await);
        }
        let server = self.directory.read(move |reader| resolve::server(reader, &server)).await?.value;
        let status = match self.statuses(vec![server.id]).await.remove(&server.id) {
            Some(Ok(status)) => status,
            Some(Err(cause)) => return Err(plan::unreachable(&server.name, &cause)),
            None => return Err(plan::unreachable(&server.name, "it was not asked")),
        };
        let mut items = Vec::with_capacity(status.copies.orphans.len());
        for account in status.copies.orphans {
            items.push(self.sweep_one(account, server.id, dry_run).await?);
        }
        Ok(Json(Page { items, next: None }))
    }

    async fn sweep_one(&self, account: AccountId, server: NodeId, dry_run: bool) -> Result<OrphanView, Problem> {
        let read = move |reader: &Reader<'_>| {
            let placement = reader.placement(account)?.map(|found| found.value);
            let lives_on = match placement {
                Some(placement) => reader.server(placement.server)?.map(|found| found.value.name),
                None => None,
            };
            Ok::<_, Problem>((address_of(reader, account)?, lives_on, placement.map(|placement| placement.epoch)))
        };
        let (address, lives_on, handed_out) = self.directory.read(read).await?;
        let view = OrphanView { account, address, lives_on, outcome: "kept", reason: None };
        let kept = |view: OrphanView, reason: String| OrphanView { reason: Some(reason), ..view };
        let Some(handed_out) = handed_out else {
            let reason = "the directory knows no such account; if it was restored, bring back the later one, else move \
                          the store's files out of the server's accounts folder";
            return Ok(kept(view, reason.to_owned()));
        };
        match self.provision.store(account, server).await {
            Ok(store) if store.epoch > handed_out => {
                let reason = format!("its epoch {} is later than the directory's {handed_out}", store.epoch);
                return Ok(kept(view, reason));
            }
            Ok(_) => {}
            Err(ProvisionError::Refused { cause, .. } | ProvisionError::Unreachable { cause, .. }) => {
                return Ok(kept(view, cause));
            }
        }
        if let Err(problem) = self.write(Request::DropStore { account, server }, dry_run).await {
            return Ok(kept(view, problem.detail));
        }
        if dry_run {
            return Ok(OrphanView { outcome: "would be deleted", ..view });
        }
        self.delete_pending(account, server).await?;
        let is_there = self.directory.read(move |reader| reader.pending_store(account, server)).await?.is_some();
        Ok(match is_there {
            true => kept(view, "its server did not delete it yet; it will be tried again".to_owned()),
            false => OrphanView { outcome: "deleted", ..view },
        })
    }
}
