//! `/api/v1/migration`: a machine takes another one's place (decision 48).
//!
//! The installation has one migration at a time. It begins when the new machine uses a token that is made here; GET
//! says how far it is, in the same words for the command line and the console; PATCH switches, goes back, finishes,
//! gives up.

pub(super) mod afterwards;
mod checks;
mod lag;
mod names;
mod readdress;
mod words;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::Modseq;
use sterna_directory::{Migration, MigrationPhase, Pace, Reader, Request, Server};

use super::answer::Made;
use super::doors::{AdminState, TokenRequest};
use super::input::{Body, Params};
use super::problem::Problem;
use super::view::{self, Resource};
use super::{resolve, status};
use crate::node::migration::driver::Pulse;
use checks::Check;
use lag::Lag;

/// Lifetime of a token when the client doesn't say, in milliseconds: one hour.
const LIFETIME_MS_DEFAULT: u64 = 3600 * 1000;
/// Longest lifetime of a token, in milliseconds: one day. Who has it gets all mail of a machine.
const LIFETIME_MS_MAX: u64 = 24 * 3600 * 1000;

/// The body of POST.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "NewSuccessorToken")]
pub(super) struct TokenBody {
    /// The machine whose place is to be taken; the main node when not given.
    server: Option<String>,
    lifetime_ms: Option<u64>,
}

/// A token as it is shown, once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SuccessorToken")]
pub(super) struct TokenView {
    token: Option<String>,
    /// The name of the machine whose place is taken.
    server: String,
    /// Where the new machine finds this one: `host:port`.
    address: String,
    expires_at: String,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "MigrationStep")]
enum Action {
    Switch,
    Back,
    Finish,
    Abort,
}

/// The body of PATCH.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MigrationAction")]
pub(super) struct ActionBody {
    action: Action,
    /// "rolling", or "at-once"; for `switch` and `back`.
    #[serde(default)]
    pace: Option<Pace>,
}

/// One of the two machines.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Machine")]
struct MachineView {
    id: String,
    name: String,
    address: Option<String>,
    roles: Vec<&'static str>,
    /// Accounts that live there.
    accounts: u64,
}

/// How far it is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Migration")]
pub(super) struct MigrationView {
    phase: &'static str,
    pace: &'static str,
    from: MachineView,
    to: MachineView,
    /// Which machine is the main node, by name.
    main: Option<String>,
    begun_at: String,
    changed_at: String,
    by: String,
    /// One sentence: what goes on, or what it waits for.
    says: String,
    /// What failed the last time, if it did.
    trouble: Option<String>,
    /// When the main node looked last; null until it did.
    heartbeat: Option<String>,
    /// By when this phase is usually over; null when it waits for people.
    deadline: Option<String>,
    /// Whether that is past.
    is_late: bool,
    /// What an administrator can do now, here: only the main node can be told to do anything.
    actions: Vec<&'static str>,
    job: Option<String>,
    /// Files in the folder of the machine that is left that are not Sterna's, and stay.
    left_behind: Vec<String>,
    copies: Lag,
    checks: Vec<Check>,
}

/// What the directory says.
struct Facts {
    row: Migration,
    modseq: Modseq,
    from: MachineView,
    to: MachineView,
    main: Option<Server>,
}

fn machine(reader: &Reader<'_>, id: sterna_base::NodeId, was_called: &str) -> Result<MachineView, Problem> {
    let server = reader.server(id)?.map(|found| found.value);
    let (name, address) = match &server {
        Some(server) => (server.name.clone(), Some(server.address.clone())),
        None if was_called.is_empty() => (id.to_string(), None),
        None => (was_called.to_owned(), None),
    };
    let roles = server.map(|server| server.roles.names()).unwrap_or_default();
    Ok(MachineView { id: id.to_string(), name, address, roles, accounts: reader.accounts_on(id)? })
}

fn facts(reader: &Reader<'_>) -> Result<Facts, Problem> {
    let found = reader.migration()?.ok_or_else(|| Problem::no_such("migration", "under way"))?;
    let row = found.value;
    let main = reader.servers()?.into_iter().map(|found| found.value).find(|server| server.roles.main);
    let (from, to) = (machine(reader, row.from, &row.names.0)?, machine(reader, row.to, &row.names.1)?);
    Ok(Facts { row, modseq: found.modseq, from, to, main })
}

/// What an administrator can do in a phase.
fn actions(phase: MigrationPhase) -> Vec<&'static str> {
    match phase {
        MigrationPhase::Syncing => vec!["switch", "abort"],
        MigrationPhase::Switching => vec!["back"],
        MigrationPhase::Switched => vec!["finish", "back"],
        _ => Vec::new(),
    }
}

/// Makes a token with which a machine takes another one's place.
pub(super) async fn token(
    State(state): State<AdminState>,
    params: Params,
    Body(body): Body<TokenBody>,
) -> Result<Made<TokenView>, Problem> {
    if !state.directory.is_main() {
        return Err(state.not_main().await);
    }
    let lifetime_ms = body.lifetime_ms.unwrap_or(LIFETIME_MS_DEFAULT);
    if lifetime_ms == 0 || lifetime_ms > LIFETIME_MS_MAX {
        return Err(conflict(
            "invalid",
            "a token for this is good for at most a day",
            "Make a new one when it is over.",
        ));
    }
    let (wanted, own) = (body.server, state.node.id);
    let read = move |reader: &Reader<'_>| {
        let under_way = reader.migration()?.is_some_and(|found| !found.value.phase.is_over());
        let server = match wanted {
            Some(name) => resolve::server(reader, &name)?.value,
            None => resolve::server(reader, &own.to_string())?.value,
        };
        let main = resolve::server(reader, &own.to_string())?.value;
        Ok::<_, Problem>((under_way, server, main))
    };
    let (under_way, server, main) = state.directory.read(read).await?;
    if under_way {
        let remedy = "See how far it is (sterna migrate status); finish it, or give it up (sterna migrate abort).";
        return Err(conflict("under-way", "a machine is taking another one's place already", remedy));
    }
    if params.dry_run {
        return Ok(view::no_content().into());
    }
    let roles = server.roles.names().into_iter().filter(|role| *role != "main").map(str::to_owned).collect();
    let request = TokenRequest { name: None, roles, lifetime_ms, replaces: Some(server.id) };
    let token = state.tokens.issue(request).await?;
    let body = TokenView {
        token: token.token.map(|secret| secret.expose().to_owned()),
        server: server.name,
        address: main.address,
        expires_at: view::time(token.expires_at),
    };
    let location = Some("/api/v1/migration".to_owned());
    let resource = Resource { status: StatusCode::CREATED, modseq: None, changed: Some(true), location, body };
    Ok(resource.into())
}

/// How far it is.
pub(super) async fn get(State(state): State<AdminState>) -> Result<Resource<MigrationView>, Problem> {
    let facts = state.directory.read(facts).await?;
    let (row, now) = (&facts.row, state.directory.now());
    // What a node that is the main one no longer met last is not what goes on.
    let is_main = state.directory.is_main();
    let pulse = if is_main { state.migration.lock().clone() } else { Pulse::default() };
    let lag = lag::measure(&state, row).await?;
    let checks = match row.phase.is_over() {
        true => Vec::new(),
        false => checks::run(&state, row, &lag).await?,
    };
    let deadline = words::deadline_ms(row.phase).map(|after| row.changed_at.plus_ms(after));
    let body = MigrationView {
        phase: row.phase.name(),
        pace: row.pace.name(),
        main: facts.main.map(|server| server.name),
        begun_at: view::time(row.begun_at),
        changed_at: view::time(row.changed_at),
        by: row.by.clone(),
        says: words::says(row.phase, (&facts.from.name, facts.from.address.is_some()), &facts.to.name, &pulse, &lag),
        trouble: pulse.trouble,
        left_behind: row.left_behind.clone(),
        heartbeat: pulse.at.map(view::time),
        deadline: deadline.map(view::time),
        is_late: deadline.is_some_and(|deadline| now > deadline),
        actions: if is_main { actions(row.phase) } else { Vec::new() },
        job: row.job.map(|job| job.to_string()),
        copies: lag,
        checks,
        from: facts.from,
        to: facts.to,
    };
    Ok(Resource::read(body, facts.modseq))
}

/// Switches, goes back, finishes or gives up.
pub(super) async fn act(
    State(state): State<AdminState>,
    params: Params,
    Body(body): Body<ActionBody>,
) -> Result<Resource<MigrationView>, Problem> {
    if !state.directory.is_main() {
        return Err(state.not_main().await);
    }
    let facts = state.directory.read(facts).await?;
    let wanted = match body.action {
        Action::Switch => MigrationPhase::Switching,
        Action::Back => MigrationPhase::Returning,
        Action::Finish => MigrationPhase::Finishing,
        Action::Abort => MigrationPhase::Aborting,
    };
    if wanted == MigrationPhase::Switching && facts.row.phase == MigrationPhase::Syncing {
        may_switch(&state, &facts).await?;
    }
    if wanted == MigrationPhase::Returning {
        answers(&state, &facts.row, facts.row.from, &facts.from.name).await?;
        give_up_moves(&state, &facts, params.dry_run).await?;
    }
    let request = Request::SetMigration { expect: Some(facts.modseq), phase: wanted, pace: body.pace };
    let done = state.write(request, params.dry_run).await?;
    Ok(get(State(state)).await?.changed(done.changed))
}

/// On the way back nothing goes on to the new machine.
async fn give_up_moves(state: &AdminState, facts: &Facts, dry_run: bool) -> Result<(), Problem> {
    let Some(id) = facts.row.job.filter(|_| facts.row.phase == MigrationPhase::Switching) else { return Ok(()) };
    let job = state.directory.read(move |reader| reader.job(id)).await?;
    if job.is_some_and(|job| !job.value.state.is_over()) {
        let change = sterna_directory::request::JobChange::Abort;
        state.write(Request::SetJob { id, change }, dry_run).await?;
    }
    Ok(())
}

/// Nothing is switched before everything is equal and everything is as it has to be.
async fn may_switch(state: &AdminState, facts: &Facts) -> Result<(), Problem> {
    answers(state, &facts.row, facts.row.to, &facts.to.name).await?;
    let lag = lag::measure(state, &facts.row).await?;
    if lag.equal < lag.accounts {
        let missing = lag.accounts - lag.equal;
        let named = match lag.behind.is_empty() {
            true => String::new(),
            false => format!(" ({})", lag.behind.join(", ")),
        };
        let detail = format!(
            "{} does not have everything yet: {missing} of {} accounts were not equal{named}",
            facts.to.name, lag.accounts
        );
        let remedy = "Wait until they are; sterna migrate status shows how far each is.";
        return Err(conflict("not-equal", detail, remedy));
    }
    let checks = checks::run(state, &facts.row, &lag).await?;
    match checks.into_iter().find(|check| !check.is_well) {
        None => Ok(()),
        Some(check) => Err(conflict("not-ready", check.says, check.remedy.unwrap_or_default())),
    }
}

async fn answers(state: &AdminState, row: &Migration, server: sterna_base::NodeId, name: &str) -> Result<(), Problem> {
    let asked = status::ask_once(state, server).await;
    let Err(cause) = asked else { return Ok(()) };
    let detail = format!("{name} doesn't answer: {cause}");
    let remedy = match row.phase {
        MigrationPhase::Syncing => "Start it (sterna serve), and look at the network between both machines.",
        _ => "Start it again; what it has is the way back.",
    };
    Err(conflict("server-unreachable", detail, remedy))
}

fn conflict(code: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, "The migration can't go on like this", detail, remedy)
}

/// Accounts and how far their copies are, for those who want to see each.
pub(super) async fn accounts(
    State(state): State<AdminState>,
    params: Params,
) -> Result<Json<view::Page<lag::AccountLag>>, Problem> {
    lag::list(&state, params).await.map(Json)
}
