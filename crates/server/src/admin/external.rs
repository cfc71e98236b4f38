//! `/api/v1/accounts/{account}/external-calendars`: calendars of an account that are published elsewhere; and
//! `/api/v1/accounts/{account}/birthdays`: whether those of its contacts are a calendar.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_account::calendars::external::{self, External, REFRESH_S_MAX, REFRESH_S_MIN};
use sterna_account::calendars::{birthdays, shown_name};
use sterna_account::{Account, AccountError, CommitError, Container};
use sterna_base::{BlobHash, OperationId};
use sterna_directory::{AnyEntry, Reader};
use sterna_migration::archive::manifest::Published;
use sterna_migration::objects::Put;

use super::acl;
use super::answer::Begun;
use super::doors::AdminState;
use super::input::{Body, Params};
use super::problem::Problem;
use super::resolve;
use super::view::{Page, Resource, time};
use crate::derived::url::{FileUrl, shown};

/// How long a refresh is waited for: a little longer than it may take.
const REFRESH_WAIT: Duration = Duration::from_secs(70);

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// One external calendar.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExternalCalendar")]
pub(super) struct ExternalView {
    /// What it is called in paths of DAV, and here.
    calendar: String,
    /// What programs show.
    name: String,
    /// Without a password.
    url: String,
    /// How many objects are in it.
    items: u64,
    /// How often it is fetched.
    refresh_minutes: i64,
    /// When it was fetched, or found to be the same; never if it isn't there.
    fetched_at: Option<String>,
    /// When it is fetched next.
    next_at: String,
    /// How often that failed since it went well.
    failures: u32,
    /// Why, or what could not be read.
    error: Option<String>,
}

/// The body of POST.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewExternalCalendar")]
pub(super) struct ExternalBody {
    url: String,
    /// What programs show; what the file calls itself when it isn't there.
    #[serde(default)]
    name: Option<String>,
    /// How often it is fetched; as the file says when it isn't there.
    #[serde(default)]
    refresh_minutes: Option<i64>,
}

/// Whether there is a calendar of birthdays.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Birthdays {
    birthdays: bool,
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(account): Path<String>,
) -> Result<Json<Page<ExternalView>>, Problem> {
    let account = open(&state, account).await?;
    let mut items = Vec::new();
    for (container, external) in external::list(account.as_ref()).await.map_err(|error| acl::problem(&error))? {
        items.push(view(account.as_ref(), &container, &external).await?);
    }
    Ok(Json(Page { items, next: None }))
}

pub(super) async fn create(
    State(state): State<AdminState>,
    Path(account): Path<String>,
    params: Params,
    Body(body): Body<ExternalBody>,
) -> Result<Begun<ExternalView>, Problem> {
    FileUrl::parse(&body.url).map_err(|error| Problem::malformed(error.to_string()))?;
    let minutes = REFRESH_S_MIN / 60..=REFRESH_S_MAX / 60;
    if body.refresh_minutes.is_some_and(|given| !minutes.contains(&given)) {
        let text = format!("refresh_minutes is a number from {} to {}", minutes.start(), minutes.end());
        return Err(Problem::malformed(text));
    }
    let is_bad = |name: &String| name.trim().is_empty() || name.len() > NAME_BYTES_MAX;
    if body.name.as_ref().is_some_and(is_bad) {
        return Err(Problem::malformed("name has at most 200 bytes, and at least one"));
    }
    let account = open(&state, account).await?;
    let account = account.as_ref();
    let external = External::new(body.url.trim().to_owned(), body.refresh_minutes.map(|minutes| minutes * 60));
    // The same URL is the same calendar: whoever asks twice because an answer was lost has one.
    let path = path_of(&external.url);
    if let Some((container, known)) = find(account, &path).await? {
        let mut taken = Problem::new(
            StatusCode::CONFLICT,
            "taken",
            "The name is taken",
            format!("the account has this calendar already: {}", container.name),
            "Use the one that is there, or unsubscribe from it first.",
        );
        taken.existing = Some(view(account, &container, &known).await?.calendar);
        return Err(taken);
    }
    if params.dry_run {
        let body = of_external(&path, body.name.as_deref().unwrap_or(&path), 0, &external);
        return Ok(Resource { status: StatusCode::OK, modseq: None, changed: Some(true), location: None, body }.into());
    }
    let shown = body.name.as_deref().map(str::trim);
    external::subscribe(account, &path, shown, &external).await.map_err(|error| refused(&error))?;
    let found = find(account, &path).await?.ok_or_else(|| Problem::no_such("calendar", &path))?;
    let body = view(account, &found.0, &found.1).await?;
    Ok(Resource { status: StatusCode::CREATED, modseq: None, changed: Some(true), location: None, body }.into())
}

/// Subscribes as an archive says, unless the account has a calendar of this address.
pub(super) async fn ensure(account: &dyn Account, published: &Published) -> Result<Put, AccountError> {
    if let Err(error) = FileUrl::parse(&published.url) {
        return Ok(Put::Refused(error.to_string()));
    }
    let url = published.url.trim().to_owned();
    if external::list(account).await?.iter().any(|(_, known)| known.url == url) {
        return Ok(Put::Unchanged);
    }
    let refresh_s = published.refresh_minutes.map(|minutes| minutes.saturating_mul(60));
    let external = External::new(url, refresh_s.map(|refresh_s| refresh_s.clamp(REFRESH_S_MIN, REFRESH_S_MAX)));
    let shown = published.name.as_deref().map(str::trim).filter(|name| (1..=NAME_BYTES_MAX).contains(&name.len()));
    match external::subscribe(account, &path_of(&external.url), shown, &external).await {
        Ok(_) => Ok(Put::Done),
        Err(AccountError::Refused(error @ (CommitError::Limit(_) | CommitError::NameTaken))) => {
            Ok(Put::Refused(error.to_string()))
        }
        Err(error) => Err(error),
    }
}

/// Fetches a calendar now, and tells how that went.
pub(super) async fn refresh(
    State(state): State<AdminState>,
    Path((account, calendar)): Path<(String, String)>,
) -> Result<Resource<ExternalView>, Problem> {
    let account = open(&state, account).await?;
    let account = account.as_ref();
    let no_such = || Problem::no_such("external calendar", &calendar);
    let (container, _) = find(account, &calendar).await?.ok_or_else(no_such)?;
    let mut changes = account.watch();
    let to_be_fetched = |known: &mut External| {
        known.ask();
        true
    };
    external::update(account, container.id, to_be_fetched).await.map_err(|error| acl::problem(&error))?;
    let waiting = async {
        loop {
            let found = find(account, &calendar).await?.ok_or_else(no_such)?;
            if !found.1.is_asked_for() {
                return Ok::<_, Problem>(found);
            }
            if changes.changed().await.is_err() {
                return Err(late());
            }
        }
    };
    let (container, external) = tokio::time::timeout(REFRESH_WAIT, waiting).await.map_err(|_| late())??;
    let body = view(account, &container, &external).await?;
    Ok(Resource { status: StatusCode::OK, modseq: None, changed: Some(true), location: None, body })
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path((account, calendar)): Path<(String, String)>,
    params: Params,
) -> Result<Resource<Page<ExternalView>>, Problem> {
    let account = open(&state, account).await?;
    let account = account.as_ref();
    let found = find(account, &calendar).await?;
    let (container, _) = found.ok_or_else(|| Problem::no_such("external calendar", &calendar))?;
    if !params.dry_run {
        let steps = external::removed(account, container.id).await.map_err(|error| acl::problem(&error))?;
        account.commit(OperationId::random(), steps).await.map_err(|error| acl::problem(&error))?;
    }
    let body = Page { items: Vec::new(), next: None };
    Ok(Resource { status: StatusCode::OK, modseq: None, changed: Some(true), location: None, body })
}

pub(super) async fn birthdays(
    State(state): State<AdminState>,
    Path(account): Path<String>,
) -> Result<Json<Birthdays>, Problem> {
    let account = open(&state, account).await?;
    let birthdays = birthdays::is_on(account.as_ref()).await.map_err(|error| acl::problem(&error))?;
    Ok(Json(Birthdays { birthdays }))
}

pub(super) async fn set_birthdays(
    State(state): State<AdminState>,
    Path(account): Path<String>,
    params: Params,
    Body(body): Body<Birthdays>,
) -> Result<Resource<Birthdays>, Problem> {
    let account = open(&state, account).await?;
    let account = account.as_ref();
    let changed = match params.dry_run {
        true => birthdays::is_on(account).await.map(|is_on| is_on != body.birthdays),
        false => birthdays::switch(account, body.birthdays).await,
    };
    let changed = changed.map_err(|error| acl::problem(&error))?;
    Ok(Resource { status: StatusCode::OK, modseq: None, changed: Some(changed), location: None, body })
}

fn late() -> Problem {
    let (title, remedy) = ("It takes too long", "Look at the list of calendars again in a while.");
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "late", title, "the calendar was not fetched in time", remedy)
}

fn refused(error: &AccountError) -> Problem {
    match error {
        AccountError::Refused(CommitError::Limit(what)) => {
            let (title, remedy) = ("A limit is reached", "Unsubscribe from calendars that nobody looks at.");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "limit", title, format!("too many: {what}"), remedy)
        }
        error => acl::problem(error),
    }
}

/// What a calendar is called: by its URL, so that its path says nothing of what may be a secret in that.
fn path_of(url: &str) -> String {
    format!("external-{}", &BlobHash::of(url.as_bytes()).to_string()[..12])
}

async fn find(account: &dyn Account, calendar: &str) -> Result<Option<(Container, External)>, Problem> {
    let all = external::list(account).await.map_err(|error| acl::problem(&error))?;
    Ok(all.into_iter().find(|(container, _)| container.name == calendar))
}

async fn view(account: &dyn Account, container: &Container, external: &External) -> Result<ExternalView, Problem> {
    let name = shown_name(account, container.id).await.map_err(|error| acl::problem(&error))?;
    let name = name.unwrap_or_else(|| container.name.clone());
    Ok(of_external(&container.name, &name, container.counts.items, external))
}

fn of_external(calendar: &str, name: &str, items: u64, external: &External) -> ExternalView {
    ExternalView {
        calendar: calendar.to_owned(),
        name: name.to_owned(),
        url: shown(&external.url),
        items,
        refresh_minutes: external.interval_s() / 60,
        fetched_at: external.fetched_at.map(time),
        next_at: time(external.next_at),
        failures: external.failures,
        error: external.error.clone(),
    }
}

async fn open(state: &AdminState, account: String) -> Result<Arc<dyn Account>, Problem> {
    let read = move |reader: &Reader<'_>| {
        let found = resolve::entry(reader, &account, "account")?;
        match found.value {
            AnyEntry::Group(_) => Err(Problem::no_such("account", &account)),
            other => Ok(other.entry().id),
        }
    };
    let id = state.directory.read(read).await?;
    state.provision.open(id).await.map_err(|error| acl::problem(&error))
}
