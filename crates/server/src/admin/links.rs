//! `/api/v1/accounts/{account}/links`: public links to the calendars of an account.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_account::links::{self, Link, Target, Token};
use sterna_account::{Account, Container, ContainerKind};
use sterna_base::{AccountId, ContainerId};
use sterna_directory::{AnyEntry, Reader};

use super::acl;
use super::answer::Made;
use super::doors::AdminState;
use super::input::{Body, Params};
use super::problem::Problem;
use super::resolve;
use super::view::{Page, Resource, time};

/// One link.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CalendarLink")]
pub(super) struct LinkView {
    /// What revokes it. Whoever knows it can read: it is a secret.
    id: String,
    /// The calendar's name; empty when it is gone.
    calendar: String,
    /// `full` or `freebusy`.
    level: &'static str,
    made_at: String,
    /// When it ends; never if it isn't there.
    expires_at: Option<String>,
    /// Where it is read; without a host where none is known to the world.
    url: String,
}

/// The body of POST.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewCalendarLink")]
pub(super) struct LinkBody {
    /// The calendar, task list or journal.
    calendar: String,
    /// `full` when it isn't there.
    #[serde(default)]
    level: Option<String>,
    /// When it ends; never if it isn't there.
    #[serde(default)]
    expires_days: Option<u32>,
}

/// Longest time that a link is made for: ten years.
const DAYS_MAX: u32 = 3650;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;

const KINDS: [ContainerKind; 3] = [ContainerKind::Calendar, ContainerKind::Tasks, ContainerKind::Notes];

/// An account, and what is before the paths of its links.
struct Owner {
    account: Arc<dyn Account>,
    base: String,
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(account): Path<String>,
) -> Result<Json<Page<LinkView>>, Problem> {
    let owner = open(&state, account).await?;
    let containers = owner.account.containers().await.map_err(|error| acl::problem(&error))?;
    let names = containers.iter().map(|one| (one.id, one)).collect();
    let links = links::list(owner.account.as_ref()).await.map_err(|error| acl::problem(&error))?;
    let of = |(token, link): &(Token, Link)| view(&owner, token, link, &names);
    Ok(Json(Page { items: links.iter().filter_map(of).collect(), next: None }))
}

pub(super) async fn create(
    State(state): State<AdminState>,
    Path(account): Path<String>,
    params: Params,
    Body(body): Body<LinkBody>,
) -> Result<Made<LinkView>, Problem> {
    let busy_only = match body.level.as_deref() {
        None | Some("full") => false,
        Some("freebusy") => true,
        Some(_) => return Err(Problem::malformed("level is full or freebusy")),
    };
    if body.expires_days.is_some_and(|days| days == 0 || days > DAYS_MAX) {
        return Err(Problem::malformed("expires_days is a number from 1 to 3650"));
    }
    let owner = open(&state, account).await?;
    let containers = owner.account.containers().await.map_err(|error| acl::problem(&error))?;
    let is_meant = |one: &&Container| KINDS.contains(&one.kind) && one.parent.is_none() && one.name == body.calendar;
    let calendar = containers.iter().find(is_meant).ok_or_else(|| Problem::no_such("calendar", &body.calendar))?;
    let now = state.directory.now();
    let mut link = Link::new(Target::Calendar { container: calendar.id, busy_only }, now);
    link.expires_at = body.expires_days.map(|days| now.plus_ms(i64::from(days) * DAY_MS));
    let token = match params.dry_run {
        true => Token::random(owner.account.id()),
        false => links::create(owner.account.as_ref(), &link, now).await.map_err(|error| acl::problem(&error))?,
    };
    let names = HashMap::from([(calendar.id, calendar)]);
    let body = view(&owner, &token, &link, &names).ok_or_else(|| Problem::no_such("calendar", &body.calendar))?;
    Ok(Resource { status: StatusCode::CREATED, modseq: None, changed: Some(true), location: None, body }.into())
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path((account, link)): Path<(String, String)>,
    params: Params,
) -> Result<Resource<Page<LinkView>>, Problem> {
    let owner = open(&state, account).await?;
    let no_such = || Problem::no_such("link", "with this id");
    let token: Token = link.parse().map_err(|_| no_such())?;
    let (account, now) = (owner.account.as_ref(), state.directory.now());
    let is_there = match params.dry_run {
        true => links::find(account, &token, now).await.map(|found| found.is_some()),
        false => links::revoke(account, &token).await,
    };
    if !is_there.map_err(|error| acl::problem(&error))? {
        return Err(no_such());
    }
    let body = Page { items: Vec::new(), next: None };
    Ok(Resource { status: StatusCode::OK, modseq: None, changed: Some(true), location: None, body })
}

/// A link to a calendar; those to files are told with the files.
fn view(owner: &Owner, token: &Token, link: &Link, names: &HashMap<ContainerId, &Container>) -> Option<LinkView> {
    let Target::Calendar { container, busy_only } = link.target else { return None };
    let id = token.to_string();
    Some(LinkView {
        url: format!("{}/share/{id}/calendar.ics", owner.base),
        id,
        calendar: names.get(&container).map(|calendar| calendar.name.clone()).unwrap_or_default(),
        level: if busy_only { "freebusy" } else { "full" },
        made_at: time(link.created_at),
        expires_at: link.expires_at.map(time),
    })
}

async fn open(state: &AdminState, account: String) -> Result<Owner, Problem> {
    let read = move |reader: &Reader<'_>| {
        let found = resolve::entry(reader, &account, "account")?;
        if let AnyEntry::Group(_) = found.value {
            return Err(Problem::no_such("account", &account));
        }
        let entry = found.value.entry();
        let domain = reader.domain(entry.address.domain)?.map(|domain| domain.value.name);
        Ok((entry.id, domain))
    };
    let (id, domain): (AccountId, Option<String>) = state.directory.read(read).await?;
    let account = state.provision.open(id).await.map_err(|error| acl::problem(&error))?;
    Ok(Owner { account, base: base(state, domain).await? })
}

/// Scheme and host that the world reaches DAV by; empty where none is known.
async fn base(state: &AdminState, domain: Option<String>) -> Result<String, Problem> {
    let (Some(discovery), Some(domain)) = (state.discovery.as_deref(), domain) else { return Ok(String::new()) };
    let found = discovery.find(&domain).await?.and_then(|found| found.facts.dav_url());
    Ok(found
        .and_then(|url| Some(url.strip_suffix(sterna_formats::discovery::DAV_PATH)?.to_owned()))
        .unwrap_or_default())
}
