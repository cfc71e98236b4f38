//! `/api/v1/updates`: which version the installation wants, the plan that leads there, and how far it is (decision 59).
//!
//! All of it is one row of the directory, which the main node alone writes; so every page and the command line see the
//! same, and a main node that was killed goes on where it was. [`prepare`] makes plans, [`runs`] lets the servers check
//! and download, [`roll`] brings one server after the other to its version.

mod check;
mod late;
mod prepare;
mod proof;
mod roll;
mod row;
mod runs;
mod view;

use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use sterna_base::Timestamp;
use sterna_cluster::update::Policy;
use sterna_directory::{Repository, Update, UpdatePhase, UpdateRun};

use super::doors::AdminState;
use super::input::{Body, By, Params};
use super::problem::Problem;
use super::view::{Page, Resource};
use crate::update::repository;
use row::Change;
use view::{EventView, UpdateView};

pub use roll::roll_forever;

/// The body of PATCH; what is not there stays.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "UpdateWish")]
pub(super) struct UpdateBody {
    /// `open`, `pinned X.Y.Z` or `current`.
    #[schemars(with = "Option<String>")]
    policy: Option<Policy>,
    /// Where versions come from.
    repository: Option<RepositoryBody>,
    /// Forget where versions come from.
    no_repository: bool,
}

/// A repository.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpdateRepository")]
pub(super) struct RepositoryBody {
    /// `https://`, `http://` or `file://`.
    url: String,
    /// The public key that signs it, armored; the one that is pinned when left out.
    #[serde(default)]
    key: Option<String>,
}

/// The body of POST to `apply`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "UpdateApply")]
pub(super) struct ApplyBody {
    /// The fingerprint of the plan that was looked at; another one is refused.
    fingerprint: Option<String>,
}

/// How updates stand.
pub(super) async fn get(State(state): State<AdminState>) -> Result<Resource<UpdateView>, Problem> {
    let (row, modseq) = row::read(&state).await?;
    // Only after a stop is it a question; everybody is asked for it.
    let is_there = row.phase == UpdatePhase::Stopped
        && prepare::all_there(&state).await.is_ok_and(|(target, still)| target.is_some() && still.is_empty());
    Ok(Resource::read(UpdateView::new(row, is_there), modseq))
}

/// Sets the policy and the repository.
pub(super) async fn set(
    State(state): State<AdminState>,
    By(by): By,
    params: Params,
    Body(body): Body<UpdateBody>,
) -> Result<Resource<UpdateView>, Problem> {
    if let Some(new) = &body.repository {
        let key = new.key.as_deref();
        key.map_or(Ok(()), repository::is_key).map_err(|cause| invalid("key", cause))?;
        repository::is_address(&new.url).map_err(|cause| invalid("url", cause))?;
    }
    let change = Change { by: &by, dry_run: params.dry_run, what: "policy" };
    row::change(&state, change, |row| {
        let mut says = Vec::new();
        if let Some(policy) = body.policy.filter(|policy| row::policy(row) != *policy) {
            row.policy = policy.to_string();
            says.push(row.policy.clone());
        }
        if let Some(RepositoryBody { url, key }) = body.repository.clone() {
            let key = key.or_else(|| Some(row.repository.as_ref()?.key.clone()));
            let key =
                key.ok_or_else(|| invalid("key", "the first repository needs the key that signs it".to_owned()))?;
            let new = Some(Repository { url, key });
            if row.repository != new {
                // Another key signs other lists; with the same one a mirror must not be older than what was seen.
                if row.repository.as_ref().map(|old| &old.key) != new.as_ref().map(|new| &new.key) {
                    row.listed_at = None;
                }
                row.repository = new;
                says.push("another repository".to_owned());
            }
        } else if body.no_repository && row.repository.take().is_some() {
            row.listed_at = None;
            says.push("no repository".to_owned());
        }
        Ok(says.join(", "))
    })
    .await?;
    get(State(state)).await
}

fn invalid(field: &'static str, reason: String) -> Problem {
    sterna_directory::RequestError::Invalid { field, reason }.into()
}

/// Makes a plan; in a dry run it is shown and not kept.
pub(super) async fn prepare(
    State(state): State<AdminState>,
    By(by): By,
    params: Params,
) -> Result<Resource<UpdateView>, Problem> {
    let (row, modseq) = row::read(&state).await?;
    must_give_way(&row)?;
    let made = prepare::make(&state, &row).await?;
    let at = state.directory.now();
    if params.dry_run {
        let mut shown = row;
        made.enter(&mut shown, &by, at);
        return Ok(Resource::read(UpdateView::new(shown, false), modseq).changed(true));
    }
    let change = Change { by: &by, dry_run: false, what: "prepare" };
    row::change(&state, change, |row| {
        must_give_way(row)?;
        if row.number + 1 != made.number() {
            return Err(conflict("changed", "somebody else prepared a plan at the same time", LOOK_FIRST));
        }
        made.enter(row, &by, at);
        Ok(made.target().to_string())
    })
    .await?;
    Ok(get(State(state)).await?.changed(true))
}

const LOOK_FIRST: &str = "See where it is: sterna update status.";

fn must_not_be_under_way(row: &Update) -> Result<(), Problem> {
    if row.phase.is_under_way() {
        let detail = format!("update {} is {}", row.number, row.phase.name());
        let remedy = "End it first, or take it back: sterna update rollback.";
        return Err(conflict("update-under-way", detail, remedy));
    }
    Ok(())
}

/// Another plan may be made: nothing is under way, or what was is stopped. That one may have no way any more, neither
/// forth nor back, where formats have moved on or the version itself is at fault.
fn must_give_way(row: &Update) -> Result<(), Problem> {
    if row.phase == UpdatePhase::Stopped { Ok(()) } else { must_not_be_under_way(row) }
}

/// Lets every server look whether the plan can be.
pub(super) async fn check(
    State(state): State<AdminState>,
    By(by): By,
    params: Params,
) -> Result<Resource<UpdateView>, Problem> {
    begin(state, by, params, "check", |row, run| row.check = Some(run)).await
}

/// Lets every server fetch and verify the plan's version.
pub(super) async fn download(
    State(state): State<AdminState>,
    By(by): By,
    params: Params,
) -> Result<Resource<UpdateView>, Problem> {
    begin(state, by, params, "download", |row, run| row.download = Some(run)).await
}

async fn begin(
    state: AdminState,
    by: String,
    params: Params,
    what: &'static str,
    put: impl Fn(&mut Update, UpdateRun),
) -> Result<Resource<UpdateView>, Problem> {
    let servers = runs::servers(&state).await?;
    let at = state.directory.now();
    let change = Change { by: &by, dry_run: params.dry_run, what };
    row::change(&state, change, |row| {
        must_not_be_under_way(row)?;
        let plan = row.plan.as_ref().filter(|_| row.phase == UpdatePhase::Prepared).ok_or_else(no_plan)?.number;
        let run = UpdateRun {
            plan,
            begun_at: at,
            ended_at: None,
            by: by.clone(),
            servers: servers.clone(),
            findings: Vec::new(),
        };
        put(row, run);
        Ok(String::new())
    })
    .await?;
    Ok(get(State(state)).await?.changed(true))
}

fn no_plan() -> Problem {
    conflict("no-plan", "nothing is prepared", "Make a plan and look at it: sterna update prepare.")
}

fn conflict(code: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, "The update can't go on like this", detail, remedy)
}

/// Acts on the plan.
pub(super) async fn apply(
    State(state): State<AdminState>,
    By(by): By,
    params: Params,
    Body(body): Body<ApplyBody>,
) -> Result<Resource<UpdateView>, Problem> {
    let (row, _) = row::read(&state).await?;
    let looked = prepare::still_true(&state, &row).await;
    let change = Change { by: &by, dry_run: params.dry_run, what: "apply" };
    row::change(&state, change, |row| {
        must_not_be_under_way(row)?;
        let plan = row.plan.as_ref().filter(|_| row.phase == UpdatePhase::Prepared).ok_or_else(no_plan)?;
        if let Some(seen) = body.fingerprint.as_ref().filter(|seen| **seen != plan.fingerprint) {
            let detail = format!("plan {} is another one than {seen}: it was prepared again meanwhile", plan.number);
            return Err(conflict("plan-changed", detail, "Look at it (sterna update status), and apply that one."));
        }
        looked.clone()?;
        runs::must_be_over(row)?;
        row.phase = UpdatePhase::Rolling;
        (row.is_back, row.asked, row.revert, row.reason) = (false, None, None, String::new());
        row.passed.clear();
        Ok(String::new())
    })
    .await?;
    Ok(get(State(state)).await?.changed(true))
}

/// Lets no further server change its version.
pub(super) async fn pause(
    State(state): State<AdminState>,
    By(by): By,
    params: Params,
) -> Result<Resource<UpdateView>, Problem> {
    turn(state, by, params, "pause", |row| match row.phase {
        UpdatePhase::Rolling | UpdatePhase::Stopped => Ok(UpdatePhase::Paused),
        other => Err(other),
    })
    .await
}

/// Goes on, after a pause or after something was wrong.
pub(super) async fn resume(
    State(state): State<AdminState>,
    By(by): By,
    params: Params,
) -> Result<Resource<UpdateView>, Problem> {
    let now = state.directory.now();
    turn(state, by, params, "resume", |row| match row.phase {
        UpdatePhase::Paused | UpdatePhase::Stopped => {
            resumed(row, now);
            Ok(UpdatePhase::Rolling)
        }
        other => Err(other),
    })
    .await
}

/// Whoever was asked before a pause has the time of a step from now on: without being asked it would pass for one that
/// is away while it changes its version. After a stop everybody is asked anew: an administrator has looked, and whoever
/// runs the target already is tried before the next one is asked.
fn resumed(row: &mut Update, now: Timestamp) {
    let asked = row.asked.filter(|_| row.phase == UpdatePhase::Paused);
    (row.asked, row.revert) = (asked.map(|(node, _)| (node, now)), None);
}

/// Brings every server back to what it ran before.
pub(super) async fn rollback(
    State(state): State<AdminState>,
    By(by): By,
    params: Params,
) -> Result<Resource<UpdateView>, Problem> {
    turn(state, by, params, "rollback", |row| match row.phase {
        UpdatePhase::Rolling | UpdatePhase::Paused | UpdatePhase::Stopped | UpdatePhase::Rolled => {
            (row.is_back, row.asked, row.revert) = (true, None, None);
            row.passed.clear();
            Ok(UpdatePhase::Rolling)
        }
        other => Err(other),
    })
    .await
}

/// Says that the new version is good; also of one that is stopped, if every server runs it: there may be no way back.
pub(super) async fn finish(
    State(state): State<AdminState>,
    By(by): By,
    params: Params,
) -> Result<Resource<UpdateView>, Problem> {
    let looked = prepare::all_there(&state).await;
    let (target, still) = looked?;
    turn(state, by, params, "finish", |row| match row.phase {
        // A server that is about to go back would run another version a moment later.
        phase @ (UpdatePhase::Rolled | UpdatePhase::Stopped) => match (&target, still.first(), &row.revert) {
            (Some(_), None, None) => Ok(UpdatePhase::Finished),
            _ => Err(phase),
        },
        other => Err(other),
    })
    .await
    .map_err(|problem| match still.first() {
        Some(first) if problem.code == "update-phase" => {
            let remedy = "Bring it back, or remove it from the installation (sterna server delete), and finish then.";
            conflict("not-all-there", format!("not every server runs it yet: {first}"), remedy)
        }
        _ => problem,
    })
}

/// Another phase, if the present one permits it.
async fn turn(
    state: AdminState,
    by: String,
    params: Params,
    what: &'static str,
    next: impl Fn(&mut Update) -> Result<UpdatePhase, UpdatePhase>,
) -> Result<Resource<UpdateView>, Problem> {
    let change = Change { by: &by, dry_run: params.dry_run, what };
    row::change(&state, change, |row| {
        let phase = next(row).map_err(|phase| {
            let detail = format!("the update is {}, and {what} is for another time", phase.name());
            conflict("update-phase", detail, LOOK_FIRST)
        })?;
        (row.phase, row.reason) = (phase, String::new());
        Ok(String::new())
    })
    .await?;
    Ok(get(State(state)).await?.changed(true))
}

/// What happened, the latest first.
pub(super) async fn history(State(state): State<AdminState>) -> Result<axum::Json<Page<EventView>>, Problem> {
    let events = state.directory.read(|reader| reader.update_events()).await?;
    Ok(axum::Json(Page { items: events.into_iter().map(EventView::from).collect(), next: None }))
}

#[cfg(test)]
mod tests {
    use sterna_base::NodeId;

    use super::*;

    #[test]
    fn only_what_is_stopped_gives_way() {
        let of = |phase| Update { phase, ..Update::default() };
        for phase in [UpdatePhase::Idle, UpdatePhase::Prepared, UpdatePhase::Stopped, UpdatePhase::Rolled] {
            assert!(must_give_way(&of(phase)).is_ok(), "{phase:?}");
        }
        for phase in [UpdatePhase::Rolling, UpdatePhase::Paused] {
            assert!(must_give_way(&of(phase)).is_err(), "{phase:?}");
        }
    }

    #[test]
    fn who_was_asked_before_a_pause_is_asked_still() {
        let (first, second, now) = (NodeId([1; 16]), NodeId([2; 16]), Timestamp(900));
        let asked = Some((first, Timestamp(100)));
        let mut paused = Update { phase: UpdatePhase::Paused, asked, ..Update::default() };
        resumed(&mut paused, now);
        assert_eq!(paused.asked, Some((first, now)));
        let revert = Some((second, "0.1.0".to_owned()));
        let mut stopped = Update { phase: UpdatePhase::Stopped, asked, revert, ..Update::default() };
        resumed(&mut stopped, now);
        assert_eq!((stopped.asked, stopped.revert), (None, None));
        let mut nobody = Update::default();
        resumed(&mut nobody, now);
        assert_eq!(nobody.asked, None);
    }
}
