//! `/api/v1/sources`: directories elsewhere that fill domains here.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::{Modseq, Secret};
use sterna_directory::rights::{Area, Permission, Within};
use sterna_directory::{Mapping, Reader, Request, Source, SourceKind, StorageError};

use super::answer::{Begun, Made, NoContent};
use super::doors::AdminState;
use super::input::{Asked, Body, IfMatch, Params};
use super::policy::forbidden;
use super::principal::Principal;
use super::problem::Problem;
use super::view::{Page, Resource, time};
use super::{resolve, view};
use crate::sources::plan::Plan;
use crate::sources::run::{Mode, RunError, Sources};
use crate::sources::runs::{Run, RunsError};

/// How long whoever begins a run is kept waiting for its end; clients wait a minute.
const ANSWER_WITHIN: Duration = Duration::from_secs(45);

/// Defaults of a new source.
const OUTAGE_MINUTES: u32 = 24 * 60;
/// See [`Source::every_minutes`].
const EVERY_MINUTES: u32 = 10;
/// See [`Source::full_every_hours`].
const FULL_EVERY_HOURS: u32 = 24;
/// See [`Source::removals_percent_max`].
const REMOVALS_PERCENT_MAX: u32 = 10;

/// A source as it is shown: all but its password.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Source")]
pub(super) struct SourceView {
    name: String,
    kind: SourceKind,
    domain: String,
    urls: Vec<String>,
    start_tls: bool,
    ca: String,
    bind_dn: String,
    has_password: bool,
    base: String,
    user_filter: String,
    group_base: String,
    group_filter: String,
    mapping: Mapping,
    logins: bool,
    outage_minutes: u32,
    adopt: bool,
    every_minutes: u32,
    full_every_hours: u32,
    removals_percent_max: u32,
    enabled: bool,
    created_at: String,
    /// Users and groups that come from it.
    linked: usize,
    /// The last run; null when there was none, or on another node than the main one.
    last_run: Option<Run>,
}

/// The body of POST and PATCH: what isn't there stays, or is what is usual.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "SourceChange")]
pub(super) struct SourceBody {
    name: Option<String>,
    kind: Option<SourceKind>,
    domain: Option<String>,
    urls: Option<Vec<String>>,
    start_tls: Option<bool>,
    ca: Option<String>,
    bind_dn: Option<String>,
    password: Option<String>,
    base: Option<String>,
    user_filter: Option<String>,
    group_base: Option<String>,
    group_filter: Option<String>,
    /// Attributes by what they mean; those that aren't named stay.
    mapping: Option<serde_json::Map<String, serde_json::Value>>,
    logins: Option<bool>,
    outage_minutes: Option<u32>,
    adopt: Option<bool>,
    every_minutes: Option<u32>,
    full_every_hours: Option<u32>,
    removals_percent_max: Option<u32>,
    enabled: Option<bool>,
}

impl SourceBody {
    fn onto(self, mut source: Source) -> Result<Source, Problem> {
        let old = (source.urls.clone(), source.start_tls, source.ca.clone(), source.bind_dn.clone());
        macro_rules! take {
            ($($field:ident),*) => { $(if let Some(value) = self.$field { source.$field = value; })* };
        }
        take!(kind, urls, start_tls, ca, bind_dn, base, user_filter, group_base, group_filter);
        take!(logins, outage_minutes, adopt, every_minutes, full_every_hours, removals_percent_max, enabled);
        if let Some(fields) = self.mapping {
            let mut mapping = serde_json::to_value(&source.mapping).unwrap_or_default();
            for (name, value) in fields {
                mapping[name] = value;
            }
            source.mapping =
                serde_json::from_value(mapping).map_err(|error| Problem::malformed(format!("mapping: {error}")))?;
        }
        // Whoever may change where a password is sent would read it otherwise.
        let new = (source.urls.clone(), source.start_tls, source.ca.clone(), source.bind_dn.clone());
        if old != new && !source.password_sealed.is_empty() && self.password.is_none() {
            let detail = "whoever changes the server, its certificates or the bind DN gives the password again";
            let remedy = "Give the password of the bind DN with the change (sterna source set --password).";
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Err(Problem::new(status, "password-needed", "The password is needed", detail, remedy));
        }
        Ok(source)
    }
}

fn of_main(state: &AdminState) -> Result<Arc<Sources>, Problem> {
    state.sources.clone().ok_or_else(|| {
        let detail = "sources are read by the main node";
        Problem::new(StatusCode::CONFLICT, "not-here", "It is not kept here", detail, "Ask the main node.")
    })
}

impl From<RunsError> for Problem {
    fn from(error: RunsError) -> Self {
        let remedy = "Look at the node's log and at the space on its disk.";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Problem::new(status, "storage", "The runs can't be read or written", error.to_string(), remedy)
    }
}

impl From<RunError> for Problem {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Running => {
                let remedy = "Wait until it is over (sterna source runs).";
                let detail = error.to_string();
                Problem::new(StatusCode::CONFLICT, "running", "It is under way", detail, remedy)
            }
            RunError::NoSource => Problem::no_such("source", ""),
            RunError::Unreadable(cause) => {
                let remedy = "Look at the source's addresses, certificates, bind DN, base and filters.";
                let status = StatusCode::BAD_GATEWAY;
                Problem::new(status, "source-unreadable", "The source can't be read", cause, remedy)
            }
            RunError::Storage(error) => error.into(),
            RunError::Book(error) => error.into(),
        }
    }
}

async fn shown(state: &AdminState, source: Source) -> Result<SourceView, Problem> {
    let last_run = match &state.sources {
        Some(sources) => sources.book.list(Some(source.name.clone()), None, 1).await?.pop(),
        None => None,
    };
    let read = move |reader: &Reader<'_>| {
        let domain = reader.domain(source.domain)?.map(|found| found.value.name).unwrap_or_default();
        let linked = reader.links_of(&source.name)?.len();
        Ok::<_, StorageError>((source, domain, linked))
    };
    let (source, domain, linked) = state.directory.read(read).await?;
    Ok(SourceView {
        name: source.name,
        kind: source.kind,
        domain,
        urls: source.urls,
        start_tls: source.start_tls,
        ca: source.ca,
        bind_dn: source.bind_dn,
        has_password: !source.password_sealed.is_empty(),
        base: source.base,
        user_filter: source.user_filter,
        group_base: source.group_base,
        group_filter: source.group_filter,
        mapping: source.mapping,
        logins: source.logins,
        outage_minutes: source.outage_minutes,
        adopt: source.adopt,
        every_minutes: source.every_minutes,
        full_every_hours: source.full_every_hours,
        removals_percent_max: source.removals_percent_max,
        enabled: source.enabled,
        created_at: time(source.created_at),
        linked,
        last_run,
    })
}

async fn found(state: &AdminState, name: &str) -> Result<(Source, Modseq), Problem> {
    let asked = name.to_owned();
    let found = state.directory.read(move |reader: &Reader<'_>| reader.source(&asked)).await?;
    found.map(|found| (found.value, found.modseq)).ok_or_else(|| Problem::no_such("source", name))
}

/// All, by name.
pub(super) async fn list(State(state): State<AdminState>) -> Result<Json<Page<SourceView>>, Problem> {
    let mut items = Vec::new();
    for source in state.directory.read(|reader: &Reader<'_>| reader.sources()).await? {
        items.push(shown(&state, source.value).await?);
    }
    Ok(Json(Page { items, next: None }))
}

/// One.
pub(super) async fn get(
    State(state): State<AdminState>,
    Path(name): Path<String>,
) -> Result<Resource<SourceView>, Problem> {
    let (source, modseq) = found(&state, &name).await?;
    Ok(Resource::read(shown(&state, source).await?, modseq))
}

/// Whether somebody may say who the people of a source are, and who checks their passwords: that is as much as to make
/// people and to give passwords.
///
/// # Errors
/// 403.
fn must_fill(principal: &Principal) -> Result<(), Problem> {
    for needs in [Area::People, Area::Passwords].map(Permission::write) {
        if !principal.rights.may(needs, Within::System) {
            return Err(forbidden(needs));
        }
    }
    Ok(())
}

/// Makes one, from what is usual for its kind.
pub(super) async fn create(
    State(state): State<AdminState>,
    params: Params,
    principal: Principal,
    Body(body): Body<SourceBody>,
) -> Result<Made<SourceView>, Problem> {
    must_fill(&principal)?;
    principal.must_be_present()?;
    let name = body.name.clone().ok_or_else(|| Problem::malformed("a source needs a name"))?;
    let domain = body.domain.clone().ok_or_else(|| Problem::malformed("a source needs a domain that it fills"))?;
    let asked = name.clone();
    let read = move |reader: &Reader<'_>| {
        let taken = reader.source(&asked)?.is_some();
        Ok::<_, Problem>((resolve::domain(reader, &domain)?.value.id, taken))
    };
    let (domain, taken) = state.directory.read(read).await?;
    if taken {
        let detail = format!("there is a source “{name}”");
        let remedy = "Change it, or choose another name.";
        let mut problem = Problem::new(StatusCode::CONFLICT, "taken", "The name is taken", detail, remedy);
        problem.existing = Some(format!("/api/v1/sources/{name}"));
        return Err(problem);
    }
    let kind = body.kind.unwrap_or(SourceKind::OpenLdap);
    let usual = Source {
        name: name.clone(),
        kind,
        domain,
        urls: Vec::new(),
        start_tls: false,
        ca: String::new(),
        bind_dn: String::new(),
        password_sealed: String::new(),
        base: String::new(),
        user_filter: kind.user_filter().to_owned(),
        group_base: String::new(),
        group_filter: kind.group_filter().to_owned(),
        mapping: Mapping::preset(kind),
        logins: true,
        outage_minutes: OUTAGE_MINUTES,
        adopt: false,
        every_minutes: EVERY_MINUTES,
        full_every_hours: FULL_EVERY_HOURS,
        removals_percent_max: REMOVALS_PERCENT_MAX,
        enabled: true,
        created_at: state.directory.now(),
    };
    put(&state, usual, body, None, params.dry_run).await?;
    if params.dry_run {
        return Ok(view::no_content().into());
    }
    let (source, modseq) = found(&state, &name).await?;
    let made = Resource::read(shown(&state, source).await?, modseq);
    Ok(made.created(format!("/api/v1/sources/{name}")).into())
}

async fn put(
    state: &AdminState,
    before: Source,
    body: SourceBody,
    expect: Option<Modseq>,
    dry_run: bool,
) -> Result<bool, Problem> {
    let sources = of_main(state)?;
    let password = body.password.as_deref().map(Secret::new);
    let mut source = body.onto(before)?;
    match password {
        Some(password) if password.expose().is_empty() => source.password_sealed.clear(),
        Some(password) if !dry_run => {
            let sealed = sources.seal(&source.name, &password).await;
            source.password_sealed = sealed.map_err(|cause| Problem::from(RunError::Unreadable(cause)))?;
        }
        _ => {}
    }
    let request = Request::PutSource { source: Box::new(source), expect };
    Ok(state.write(request, dry_run).await?.changed)
}

/// Changes one.
pub(super) async fn set(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    params: Params,
    IfMatch(expect): IfMatch,
    principal: Principal,
    Body(body): Body<SourceBody>,
) -> Result<Resource<SourceView>, Problem> {
    must_fill(&principal)?;
    // Passwords are sent there.
    if body.urls.is_some() || body.start_tls.is_some() || body.ca.is_some() {
        principal.must_be_present()?;
    }
    if body.name.is_some() || body.domain.is_some() {
        return Err(Problem::malformed("a source keeps its name and its domain: make another one"));
    }
    let (before, _) = found(&state, &name).await?;
    let changed = put(&state, before, body, expect, params.dry_run).await?;
    let (source, modseq) = found(&state, &name).await?;
    Ok(Resource::read(shown(&state, source).await?, modseq).changed(changed))
}

/// Forgets one; its people stay, without a password until they are given one.
pub(super) async fn delete(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    params: Params,
    IfMatch(expect): IfMatch,
) -> Result<NoContent, Problem> {
    let sources = of_main(&state)?;
    state.write(Request::DeleteSource { name: name.clone(), expect }, params.dry_run).await?;
    if !params.dry_run {
        sources.book.set_position(name, None).await?;
    }
    Ok(view::no_content())
}

/// The body of POST to runs.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "NewSourceRun")]
pub(super) struct RunBody {
    /// Whether everything is compared.
    full: bool,
    /// Whether more may be suspended than the source allows by itself.
    allow_removals: bool,
}

/// What comes of a run.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RunAnswer {
    /// What it would do.
    Plan(Plan),
    /// What it did, or is about to do.
    Run(Run),
}

fn answer(status: StatusCode, body: RunAnswer) -> Begun<RunAnswer> {
    Resource { status, modseq: None, changed: None, location: None, body }.into()
}

/// Runs a source; a dry run answers with what it would do, the diff.
pub(super) async fn run(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    params: Params,
    principal: Principal,
    Body(body): Body<RunBody>,
) -> Result<Begun<RunAnswer>, Problem> {
    must_fill(&principal)?;
    let by = principal.name;
    let sources = of_main(&state)?;
    let (source, _) = found(&state, &name).await?;
    if params.dry_run {
        let plan = sources.dry_run(&state, source, body.allow_removals).await?;
        return Ok(answer(StatusCode::OK, RunAnswer::Plan(plan)));
    }
    if sources.is_running(&name) {
        return Err(RunError::Running.into());
    }
    // What is held back was seen by a full comparison, and only such a one finds it.
    let mode = if body.full || body.allow_removals { Mode::Full } else { Mode::Changes };
    let (asked, allow, book) = (state.clone(), body.allow_removals, sources.book.clone());
    let running = name.clone();
    let task = tokio::spawn(async move { sources.run_now(&asked, &running, mode, by, allow).await });
    match tokio::time::timeout(ANSWER_WITHIN, task).await {
        Ok(ended) => {
            let number = ended.map_err(|error| RunError::Unreadable(error.to_string()))??;
            let run = book.get(number).await?.ok_or_else(|| Problem::no_such("run", &number.to_string()))?;
            Ok(answer(StatusCode::CREATED, RunAnswer::Run(run)))
        }
        // It goes on, and is looked at in the book.
        Err(_) => {
            let missing = || Problem::no_such("run", &name);
            let run = book.list(Some(name.clone()), None, 1).await?.pop().ok_or_else(missing)?;
            Ok(answer(StatusCode::ACCEPTED, RunAnswer::Run(run)))
        }
    }
}

/// Which runs.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct RunsOf {
    source: Option<String>,
    after: Option<i64>,
    limit: Option<usize>,
}

/// The last runs, the newest first.
pub(super) async fn runs(
    State(state): State<AdminState>,
    Asked(of): Asked<RunsOf>,
) -> Result<Json<Page<Run>>, Problem> {
    let limit = of.limit.unwrap_or(50).clamp(1, 200);
    let found = of_main(&state)?.book.list(of.source, of.after, limit + 1).await?;
    Ok(Page::cut(found, limit, |run: &Run| run.number.to_string()))
}

/// One run, with its log.
pub(super) async fn one_run(State(state): State<AdminState>, Path(run): Path<String>) -> Result<Json<Run>, Problem> {
    let missing = || Problem::no_such("run", &run);
    let number = run.parse().map_err(|_| missing())?;
    of_main(&state)?.book.get(number).await?.map(Json).ok_or_else(missing)
}
