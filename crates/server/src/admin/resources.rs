//! `/api/v1/resources`: rooms and things that are booked. They are accounts like shared mailboxes, with rules, and with
//! managers who have rights on their calendars.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;
use sterna_account::calendars::default_calendar;
use sterna_account::{Identifier, Mutation, Rights};
use sterna_base::{AccountId, OperationId};
use sterna_directory::read::AnyEntry;
use sterna_directory::{Reader, Request, Resource as Rules, RowKind, Share};
use sterna_formats::calendar::Kind;
use sterna_formats::calendar::booking::{Answers, Hours, ResourceKind};

use super::accounts::{self, SharedBody};
use super::answer::Made;
use super::domains::present;
use super::doors::AdminState;
use super::input::{Body, Params};
use super::principal::Seen;
use super::problem::Problem;
use super::resolve;
use super::view::{EntryView, Page};

/// What managers may do with the calendar of a resource: see it, and answer, make and delete bookings.
const MANAGING: &str = "lrswite";

/// What a body says of a resource; what is not there stays, null removes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ResourceChange")]
pub(super) struct ResourceBody {
    kind: Option<ResourceKind>,
    answers: Option<Answers>,
    #[serde(deserialize_with = "present")]
    capacity: Option<Option<u32>>,
    bookings: Option<u32>,
    #[serde(deserialize_with = "present")]
    hours: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    ahead_days: Option<Option<u32>>,
    #[serde(deserialize_with = "present")]
    longest_minutes: Option<Option<u32>>,
    series: Option<bool>,
    managers: Option<Vec<String>>,
}

impl ResourceBody {
    /// What is from now on.
    pub(super) fn applied(&self, reader: &Reader<'_>, old: Option<Rules>) -> Result<Rules, Problem> {
        let mut resource = old.unwrap_or_default();
        let rules = &mut resource.rules;
        rules.kind = self.kind.unwrap_or(rules.kind);
        rules.answers = self.answers.unwrap_or(rules.answers);
        rules.capacity = self.capacity.unwrap_or(rules.capacity);
        rules.bookings = self.bookings.unwrap_or(rules.bookings);
        if let Some(hours) = &self.hours {
            let parsed = hours.as_deref().map(str::parse::<Hours>).transpose();
            rules.hours = parsed.map_err(|error| Problem::malformed(error.to_string()))?;
        }
        rules.ahead_days = self.ahead_days.unwrap_or(rules.ahead_days);
        rules.longest_minutes = self.longest_minutes.unwrap_or(rules.longest_minutes);
        rules.series = self.series.unwrap_or(rules.series);
        if let Some(managers) = &self.managers {
            resource.managers = resolve::senders(reader, managers)?;
        }
        Ok(resource)
    }
}

/// The rooms and things, by domain and address.
pub(super) async fn list(
    State(state): State<AdminState>,
    params: Params,
    seen: Seen,
) -> Result<Json<Page<EntryView>>, Problem> {
    let is_resource = |any: &AnyEntry| matches!(any, AnyEntry::Shared(shared) if shared.resource.is_some());
    super::listing::page(state, RowKind::Shared, params, seen, is_resource).await
}

/// A room or a thing is made even when nothing is said of its rules.
pub(super) async fn create(
    state: State<AdminState>,
    params: Params,
    Body(mut body): Body<SharedBody>,
) -> Result<Made<EntryView>, Problem> {
    body.resource.get_or_insert_default();
    accounts::create(state, params, Body(body)).await
}

/// Gives managers their rights on the resource's calendar, and takes them from those who are none any more. The
/// directory knows of a right before it is given, and of its end after it is gone.
pub(super) async fn give(
    state: &AdminState,
    id: AccountId,
    before: &[AccountId],
    managers: &[AccountId],
) -> Result<(), Problem> {
    if before == managers {
        return Ok(());
    }
    let account = state.provision.open(id).await.map_err(|error| super::acl::problem(&error))?;
    let calendar = default_calendar(&*account, Kind::Event).await.map_err(|error| super::acl::problem(&error))?;
    let rights = Rights::parse(MANAGING).map_err(|error| Problem::malformed(error.to_string()))?;
    let share = |grantee, shares| Request::SetShare { share: Share { owner: id, grantee }, shares };
    let mut steps = Vec::new();
    for manager in managers {
        let identifier = Identifier::Entry(*manager);
        state.write(share(identifier, true), false).await?;
        steps.push(Mutation::SetAcl { container: calendar.id, identifier, negative: false, rights });
    }
    let gone: Vec<Identifier> = before
        .iter()
        .filter(|manager| !managers.contains(manager))
        .map(|manager| Identifier::Entry(*manager))
        .collect();
    for identifier in &gone {
        let (container, identifier, rights) = (calendar.id, *identifier, Rights::default());
        steps.push(Mutation::SetAcl { container, identifier, negative: false, rights });
    }
    account.commit(OperationId::random(), steps).await.map_err(|error| super::acl::problem(&error))?;
    let containers = account.containers().await.map_err(|error| super::acl::problem(&error))?;
    for identifier in gone {
        let has_more = containers.iter().any(|container| container.acl.grantees().any(|known| known == identifier));
        if !has_more {
            state.write(share(identifier, false), false).await?;
        }
    }
    Ok(())
}
