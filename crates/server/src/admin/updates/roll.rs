//! A plan on its way: the main node looks at all servers, and does what [`next`] says. Nothing is remembered that is
//! not in the directory, so it may be killed at any moment, and the next main node goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sterna_base::{NodeId, Timestamp, Version, failpoint};
use sterna_cluster::RunVersion;
use sterna_cluster::update::{Action, Direction, Inventory, NodeFacts, Roll, next};
use sterna_directory::{Update, UpdatePhase};

use super::super::doors::{AdminState, ProvisionError};
use super::super::problem::Problem;
use super::late::{self, Held};
use super::prepare::{self, Prepared};
use super::proof::prove;
use super::row::{self, Change};
use super::runs;

/// Between two looks while something goes on.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Between two looks while nothing does: servers that were away may be back.
const LOOK_SELDOM: Duration = Duration::from_secs(5);

/// Sees to it that what was begun goes on, as long as this is the main node; also what was on its way when it started.
pub async fn roll_forever(state: AdminState) {
    let mut changed = state.directory.watch();
    let told = Told::default();
    loop {
        changed.mark_unchanged();
        let wait = match look(&state, &told).await {
            Ok(true) => LOOK_EVERY,
            Ok(false) => LOOK_SELDOM,
            Err(problem) => {
                tracing::warn!(cause = problem.detail, "the update does not go on; this is tried again");
                LOOK_SELDOM
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            ended = changed.changed() => {
                if ended.is_err() {
                    return;
                }
                // What it does itself changes the directory, too.
                tokio::time::sleep(LOOK_EVERY.min(wait)).await;
            }
        }
    }
}

/// Whom this process told to change its version, by when that was noted. What was noted by a process that was killed
/// may never have been said, so it is said again: who heard it already does nothing more.
type Told = Mutex<Option<(NodeId, Timestamp)>>;

/// One look; whether something goes on.
async fn look(state: &AdminState, told: &Told) -> Result<bool, Problem> {
    if !state.directory.is_main() {
        return Ok(false);
    }
    let (row, _) = row::read(state).await?;
    match row.phase {
        UpdatePhase::Prepared => runs::go_on(state).await,
        UpdatePhase::Rolling => roll(state, &row, told).await.map(|()| true),
        UpdatePhase::Stopped if row.revert.is_some() => revert(state, &row).await.map(|()| true),
        UpdatePhase::Rolled | UpdatePhase::RolledBack => late::look(state, &row).await,
        _ => Ok(false),
    }
}

/// Whether nobody said something else meanwhile.
pub(super) fn is_same(now: &Update, then: &Update) -> bool {
    (now.phase, now.number, now.is_back, now.asked) == (then.phase, then.number, then.is_back, then.asked)
}

async fn roll(state: &AdminState, row: &Update, told: &Told) -> Result<(), Problem> {
    let prepared = Prepared::of(row)?;
    let (mut inventory, _) = prepare::inventory(state).await?;
    let direction = if row.is_back { Direction::Back } else { Direction::Forth };
    let mut held = Held::default();
    if direction == Direction::Forth {
        late::check(state, row, &prepared, &mut inventory, &mut held).await;
        late::fetch(state, row, &prepared, &mut inventory, &mut held).await;
        if let Some((failed, reason)) = prove(state, row, &prepared, &mut inventory).await? {
            return stop(state, row, &prepared, Some(failed), reason).await;
        }
    }
    if let Some(asked) = row.asked.filter(|asked| *told.lock() != Some(*asked)) {
        *told.lock() = Some(asked);
        if let Some((name, version)) = still_to_change(row, &prepared, &inventory, asked.0) {
            return tell(state, row, name, asked.0, version).await;
        }
    }
    let roll = Roll { direction, asked: row.asked };
    match next(&prepared.plan, &roll, &inventory, state.directory.now()) {
        Action::Wait { reason } => say(state, row, reason).await,
        Action::Stop { reason } => stop(state, row, &prepared, row.asked.map(|(node, _)| node), reason).await,
        Action::Done { away } => done(state, row, &inventory, away, &held).await,
        Action::Ask { node, version } => {
            let at = state.directory.now();
            *told.lock() = Some((node, at));
            ask(state, row, &inventory, (node, at), version).await
        }
    }
}

/// The name of a server that was asked and runs another version yet, and the version that it is to run.
fn still_to_change<'a>(
    row: &Update,
    prepared: &Prepared,
    inventory: &'a Inventory,
    asked: NodeId,
) -> Option<(&'a str, Version)> {
    let server = inventory.nodes.iter().find(|server| server.id == asked)?;
    let step = prepared.plan.steps.iter().find(|step| step.node == asked);
    let wanted = if row.is_back { step?.from } else { prepared.plan.target.version };
    let state = server.state.as_ref()?;
    (state.runs.version != wanted && state.failed != Some(wanted)).then_some((server.name.as_str(), wanted))
}

/// What it waits for, for those who look.
pub(super) async fn say(state: &AdminState, then: &Update, reason: String) -> Result<(), Problem> {
    let change = Change { by: "", dry_run: false, what: "" };
    let edit = |row: &mut Update| {
        if is_same(row, then) {
            row.reason.clone_from(&reason);
        }
        Ok(String::new())
    };
    row::change(state, change, edit).await.map(drop)
}

/// Nothing goes on; a server that changed its version and doesn't work goes back to the one before by itself.
async fn stop(
    state: &AdminState,
    then: &Update,
    prepared: &Prepared,
    failed: Option<NodeId>,
    reason: String,
) -> Result<(), Problem> {
    let failed = failed.filter(|_| !then.is_back);
    let step = prepared.plan.steps.iter().find(|step| Some(step.node) == failed && !then.passed.contains(&step.node));
    let revert = step.map(|step| (step.node, step.from.to_string()));
    let change = Change { by: "", dry_run: false, what: "stopped" };
    let edit = |row: &mut Update| {
        if is_same(row, then) {
            (row.phase, row.asked) = (UpdatePhase::Stopped, None);
            row.reason.clone_from(&reason);
            row.revert.clone_from(&revert);
        }
        Ok(reason.clone())
    };
    row::change(state, change, edit).await?;
    failpoint::reached("update-stopped");
    Ok(())
}

/// The server that failed is asked to run what it ran before, until it does.
async fn revert(state: &AdminState, then: &Update) -> Result<(), Problem> {
    let Some((node, version)) = then.revert.clone() else { return Ok(()) };
    let Ok(version) = version.parse::<Version>() else { return forget_revert(state, then, "").await };
    let (inventory, _) = prepare::inventory(state).await?;
    let Some(server) = inventory.nodes.iter().find(|server| server.id == node) else {
        return forget_revert(state, then, "").await;
    };
    match server.version() {
        // It follows when it answers.
        None => Ok(()),
        Some(runs) if runs == version => {
            forget_revert(state, then, &format!("{} runs {version} again", server.name)).await
        }
        Some(_) => {
            let wish = RunVersion { version, plan: Some(then.number) };
            match state.provision.run_version(node, wish).await {
                Err(ProvisionError::Refused { cause, .. }) => {
                    let says = format!("{} can't go back to {version} by itself: {cause}", server.name);
                    forget_revert(state, then, &says).await
                }
                _ => Ok(()),
            }
        }
    }
}

async fn forget_revert(state: &AdminState, then: &Update, says: &str) -> Result<(), Problem> {
    let change = Change { by: "", dry_run: false, what: "went-back" };
    let edit = |row: &mut Update| {
        if row.revert == then.revert && row.number == then.number {
            row.revert = None;
            if !says.is_empty() {
                row.reason = format!("{}; {says}", row.reason);
            }
        }
        Ok(says.to_owned())
    };
    row::change(state, change, edit).await.map(drop)
}

async fn done(
    state: &AdminState,
    then: &Update,
    inventory: &Inventory,
    away: Vec<String>,
    held: &Held,
) -> Result<(), Problem> {
    let (phase, what) = match then.is_back {
        true => (UpdatePhase::RolledBack, "rolled-back"),
        false => (UpdatePhase::Rolled, "rolled"),
    };
    let reason = held.not_yet(&away);
    let there = inventory.nodes.iter().filter(|node| !away.contains(&node.name)).map(|node| node.id);
    let there: Vec<NodeId> = there.collect();
    let edit = |row: &mut Update| {
        if is_same(row, then) {
            (row.phase, row.asked) = (phase, None);
            row.reason.clone_from(&reason);
            row.passed.clone_from(&there);
        }
        Ok(reason.clone())
    };
    row::change(state, Change { by: "", dry_run: false, what }, edit).await.map(drop)
}

async fn ask(
    state: &AdminState,
    then: &Update,
    inventory: &Inventory,
    (node, now): (NodeId, Timestamp),
    version: Version,
) -> Result<(), Problem> {
    let asks = AtomicBool::new(false);
    let name = inventory.nodes.iter().find(|server| server.id == node).map_or("", |server| server.name.as_str());
    // Before it is asked: this node may be the one, and finds then that it was.
    note_asked(state, then, node, now, format!("{name}: {version}"), &asks).await?;
    if !asks.load(Ordering::SeqCst) {
        return Ok(());
    }
    failpoint::reached("update-asking");
    tell(state, then, name, node, version).await
}

/// Says it to the server.
async fn tell(state: &AdminState, then: &Update, name: &str, node: NodeId, version: Version) -> Result<(), Problem> {
    let wish = RunVersion { version, plan: Some(then.number) };
    match state.provision.run_version(node, wish).await {
        Ok(()) => tracing::info!(plan = then.number, server = name, %version, "a server was asked to run a version"),
        // Its answer may be lost because it does so already: what it says of itself next is what counts.
        Err(ProvisionError::Unreachable { cause, .. }) => tracing::warn!(server = name, cause, "no answer"),
        Err(ProvisionError::Refused { cause, .. }) => {
            let change = Change { by: "", dry_run: false, what: "stopped" };
            let reason = format!("{name} refuses to run {version}: {cause}");
            let edit = |row: &mut Update| {
                if row.phase == UpdatePhase::Rolling && row.number == then.number {
                    (row.phase, row.asked) = (UpdatePhase::Stopped, None);
                    row.reason.clone_from(&reason);
                }
                Ok(reason.clone())
            };
            row::change(state, change, edit).await?;
        }
    }
    failpoint::reached("update-asked");
    Ok(())
}

async fn note_asked(
    state: &AdminState,
    then: &Update,
    node: NodeId,
    now: Timestamp,
    says: String,
    asks: &AtomicBool,
) -> Result<(), Problem> {
    let edit = |row: &mut Update| {
        asks.store(is_same(row, then), Ordering::SeqCst);
        if asks.load(Ordering::SeqCst) {
            (row.asked, row.reason) = (Some((node, now)), String::new());
        }
        Ok(says.clone())
    };
    row::change(state, Change { by: "", dry_run: false, what: "ask" }, edit).await.map(drop)
}

pub(super) fn node(inventory: &mut Inventory, id: NodeId) -> Option<&mut NodeFacts> {
    inventory.nodes.iter_mut().find(|node| node.id == id)
}

pub(super) fn trouble(inventory: &mut Inventory, id: NodeId, says: String) {
    if let Some(state) = node(inventory, id).and_then(|node| node.state.as_mut()) {
        state.trouble.push(says);
    }
}
