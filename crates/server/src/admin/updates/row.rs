//! The row of the directory: read, and changed only as it was read.

use sterna_base::{Modseq, Timestamp};
use sterna_cluster::update::Policy;
use sterna_directory::{Request, RequestError, Update, UpdateEvent};

use super::super::doors::AdminState;
use super::super::problem::Problem;

/// How often a change is tried again because the row changed meanwhile.
const TRIES_MAX: usize = 5;

/// Who changes something, and what that is called in the history.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    /// Empty for what goes on by itself.
    pub by: &'a str,
    pub dry_run: bool,
    pub what: &'a str,
}

/// The row, and its modseq; zero while there is none.
pub(super) async fn read(state: &AdminState) -> Result<(Update, Modseq), Problem> {
    let found = state.directory.read(|reader| reader.update()).await?;
    Ok(found.map_or((Update::default(), Modseq::ZERO), |found| (found.value, found.modseq)))
}

/// What the next plan aims at.
pub(super) fn policy(row: &Update) -> Policy {
    row.policy.parse().unwrap_or_default()
}

/// Changes the row, and puts what happened into the history, with what `edit` says of it; a row that stays as it is is
/// not written. An edit that somebody else came before is made again on what they left.
pub(super) async fn change(
    state: &AdminState,
    change: Change<'_>,
    edit: impl Fn(&mut Update) -> Result<String, Problem>,
) -> Result<bool, Problem> {
    if !state.directory.is_main() {
        return Err(state.not_main().await);
    }
    for _ in 0..TRIES_MAX {
        let (old, modseq) = read(state).await?;
        let mut update = old.clone();
        let says = edit(&mut update)?;
        if update == old {
            return Ok(false);
        }
        if update.phase != old.phase {
            update.changed_at = state.directory.now();
        }
        if !change.by.is_empty() {
            change.by.clone_into(&mut update.by);
        }
        let event = UpdateEvent {
            number: 0,
            at: Timestamp(0),
            plan: 0,
            what: change.what.to_owned(),
            says,
            by: change.by.to_owned(),
        };
        if update.phase != old.phase {
            tracing::info!(
                plan = update.number,
                phase = update.phase.name(),
                what = change.what,
                by = change.by,
                says = event.says,
                "the update"
            );
        }
        // What only says how far something is is no event.
        let event = (!change.what.is_empty()).then_some(event);
        let request = Request::PutUpdate { expect: Some(modseq), update: Box::new(update), event };
        let done = match change.dry_run {
            true => state.directory.try_out(request).await,
            false => state.directory.submit(request).await,
        };
        match done {
            Ok(done) => return Ok(done.changed),
            Err(RequestError::Changed { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let detail = "others changed it again and again";
    Err(super::conflict("changed", detail, "Try again."))
}
