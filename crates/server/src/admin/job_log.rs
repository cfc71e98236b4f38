//! `/api/v1/jobs/{job}/log`: what became of each move of a job, and what was said about it; the latest first. It is
//! there when the moves themselves are gone.

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::Serialize;
use sterna_base::AccountId;
use sterna_directory::{JobEvent, Reader};

use super::doors::AdminState;
use super::input::Params;
use super::jobs::job_id;
use super::problem::Problem;
use super::view::{Page, time};

/// One line of the log.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "JobLogLine")]
pub(super) struct LineView {
    /// Rising.
    pub number: u64,
    pub at: String,
    /// "begun", "paused", "resumed", "aborting" or "ended" of the job; "moved", "retried", "failed", "planned-again" or
    /// "put-away" of an account.
    pub what: &'static str,
    /// More about it, for people; may be empty.
    pub says: String,
    /// Null when it is about the job, as are all that follow.
    pub account: Option<AccountId>,
    pub address: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    /// When its copy was begun.
    pub started_at: Option<String>,
    /// For how long nobody could write to it, in milliseconds: from the beginning of the cut-over to this line. Null
    /// when it was not cut over.
    pub cut_over_ms: Option<i64>,
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(job): Path<String>,
    params: Params,
) -> Result<Json<Page<LineView>>, Problem> {
    let (id, limit) = (job_id(&job)?, params.limit());
    let before = params.after.as_deref().map(str::parse).transpose();
    let before = before.map_err(|_| Problem::malformed("“after” is not the number of a line"))?;
    let read = move |reader: &Reader<'_>| {
        reader.job(id)?.ok_or_else(|| Problem::no_such("job", &id.to_string()))?;
        Ok::<_, Problem>(reader.job_events(id, before, limit + 1)?)
    };
    let lines = state.directory.read(read).await?.into_iter().map(line).collect();
    Ok(Page::cut(lines, limit, |line: &LineView| line.number.to_string()))
}

fn line(event: JobEvent) -> LineView {
    let JobEvent { number, at, what, says, moved, .. } = event;
    let cut_over_at = moved.as_ref().and_then(|moved| moved.cut_over_at);
    LineView {
        number,
        at: time(at),
        what: what.name(),
        says,
        account: moved.as_ref().map(|moved| moved.account),
        started_at: moved.as_ref().and_then(|moved| moved.started_at).map(time),
        cut_over_ms: cut_over_at.map(|began| (at.0 - began.0).max(0)),
        address: moved.as_ref().map(|moved| moved.address.clone()),
        from: moved.as_ref().map(|moved| moved.from.clone()),
        to: moved.map(|moved| moved.to),
    }
}
