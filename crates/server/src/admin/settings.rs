//! `/api/v1/settings`: what holds for the whole installation where a domain doesn't say otherwise.

use std::borrow::Cow;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use sterna_directory::model::Scope;
use sterna_directory::settings::all;
use sterna_directory::{Reader, Request, StorageError};

use super::doors::AdminState;
use super::input::{Body, Params};
use super::problem::Problem;
use super::view::{Page, Resource};

/// One setting.
#[derive(Serialize)]
pub(super) struct SettingView {
    name: &'static str,
    /// What holds.
    value: Option<String>,
    /// What holds when nobody sets it.
    default: Option<Cow<'static, str>>,
}

/// The body of PATCH; null goes back to the default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingBody {
    value: Option<String>,
}

fn view(
    reader: &Reader<'_>,
    (name, default): (&'static str, Option<Cow<'static, str>>),
) -> Result<SettingView, StorageError> {
    let set = reader.setting(Scope::System, name)?.map(|found| found.value.value);
    // As it is typed: an empty text on the command line means something else.
    let set = set.map(|value| if value.is_empty() { "none".to_owned() } else { value });
    Ok(SettingView { name, value: set.or_else(|| default.as_deref().map(str::to_owned)), default })
}

fn known(name: &str) -> Result<(&'static str, Option<Cow<'static, str>>), Problem> {
    all().into_iter().find(|(known, _)| *known == name).ok_or_else(|| Problem::no_such("setting", name))
}

pub(super) async fn list(State(state): State<AdminState>) -> Result<Json<Page<SettingView>>, Problem> {
    let read = |reader: &Reader<'_>| all().into_iter().map(|known| view(reader, known)).collect::<Result<_, _>>();
    let items = state.directory.read(read).await?;
    Ok(Json(Page { items, next: None }))
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path(name): Path<String>,
) -> Result<Json<SettingView>, Problem> {
    let known = known(&name)?;
    Ok(Json(state.directory.read(move |reader| view(reader, known)).await?))
}

pub(super) async fn set(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    params: Params,
    Body(body): Body<SettingBody>,
) -> Result<Resource<SettingView>, Problem> {
    let known = known(&name)?;
    let request = Request::PutSetting { scope: Scope::System, name, value: body.value };
    let done = state.write(request, params.dry_run).await?;
    let body = state.directory.read(move |reader| view(reader, known)).await?;
    Ok(Resource::read(body, done.modseq).changed(done.changed))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sterna_base::limits;
    use sterna_base::session_limits::LIMITS;

    /// The page for administrators.
    const PAGE: &str = include_str!("../../../../docs/admin/limits.md");

    #[test]
    fn the_page_of_limits_says_what_holds() {
        let settings = LIMITS.iter().map(|limit| {
            format!("| `{}` | {} | {} to {} | {} |", limit.name, limit.default, limit.least, limit.most, limit.what)
        });
        let fixed = [
            format!("| A message | {} bytes, by every protocol (SIZE, APPENDLIMIT) |", limits::MESSAGE_BYTES_MAX),
            format!("| Recipients of one message in one transaction | {} |", limits::RECIPIENTS_MAX),
            format!("| Keywords of one mailbox | {} flags that users invent |", limits::KEYWORDS_PER_CONTAINER_MAX),
            format!("| A keyword | {} bytes |", limits::KEYWORD_BYTES_MAX),
            format!("| One part of a mailbox's name | {} bytes |", limits::CONTAINER_NAME_BYTES_MAX),
            format!("| Mailboxes inside each other | {} |", limits::CONTAINER_DEPTH_MAX),
            format!("| Mailboxes of one account | {} |", limits::CONTAINERS_PER_ACCOUNT_MAX),
        ];
        let expected: BTreeSet<String> = settings.chain(fixed).collect();
        let heads = ["| setting |", "| what |", "|---"];
        let is_row = |line: &&str| line.starts_with('|') && !heads.iter().any(|head| line.starts_with(head));
        let written: BTreeSet<String> = PAGE.lines().filter(is_row).map(str::to_owned).collect();
        let differing: Vec<&String> = expected.symmetric_difference(&written).collect();
        assert!(differing.is_empty(), "docs/admin/limits.md and the code differ in: {differing:#?}");
    }
}
