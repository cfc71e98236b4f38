//! `/api/v1/jobs/{job}/events`: how far a job is, as server-sent events, until it is over. An event is the job as
//! `/api/v1/jobs/{job}` answers it, told when something of it changed; the last one is called "end".

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::sse::{Event, Sse};
use futures_util::{Stream, StreamExt, stream};
use sterna_base::JobId;
use tokio::time::Instant;

use super::doors::AdminState;
use super::events::{STREAM_MAX, open_stream, until_the_end};
use super::job_view::JobProgress;
use super::jobs::job_id;
use super::principal::Principal;
use super::problem::Problem;

/// How often it is looked how far a job is. Copies are asked for it, so not more often than people can read.
const LOOK: Duration = Duration::from_secs(1);

/// Tells how far a job is.
pub(super) async fn stream(
    State(state): State<AdminState>,
    principal: Principal,
    Path(job): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let id = job_id(&job)?;
    // Who asks for none is told so at once, by a problem and not by a stream that ends.
    let first = state.progress(id).await?;
    let open = open_stream(&state, &principal)?;
    let events = follow(state.clone(), id, first, LOOK).map(move |told| {
        let _open = &open;
        let name = if told.is_over { "end" } else { "progress" };
        Ok(Event::default().event(name).data(told.text))
    });
    Ok(until_the_end(&state, events))
}

/// How far it is at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Nothing comes after it.
    pub is_over: bool,
    /// The job as JSON.
    pub text: String,
}

struct Follower {
    state: AdminState,
    id: JobId,
    look: Duration,
    first: Option<JobProgress>,
    told: Option<Told>,
    until: Instant,
}

/// The job now, and whenever something of it is another; ends with the job.
pub(super) fn follow(state: AdminState, id: JobId, first: JobProgress, look: Duration) -> impl Stream<Item = Told> {
    let until = Instant::now() + STREAM_MAX;
    let follower = Follower { state, id, look, first: Some(first), told: None, until };
    stream::unfold(follower, |mut follower| async move {
        let told = follower.next().await?;
        follower.told = Some(told.clone());
        Some((told, follower))
    })
}

impl Follower {
    async fn next(&mut self) -> Option<Told> {
        if self.told.as_ref().is_some_and(|told| told.is_over) {
            return None;
        }
        loop {
            let progress = match self.first.take() {
                Some(first) => first,
                None if Instant::now() >= self.until => return None,
                None => {
                    tokio::time::sleep(self.look).await;
                    self.state.progress(self.id).await.ok()?
                }
            };
            let told = Told { is_over: progress.job.ended_at.is_some(), text: serde_json::to_string(&progress).ok()? };
            if self.told.as_ref() != Some(&told) {
                return Some(told);
            }
        }
    }
}
