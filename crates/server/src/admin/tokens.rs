//! `/api/v1/tokens`: one-time tokens with which new servers join.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_directory::{Roles, Server};

use super::answer::{Made, NoContent};
use super::doors::{AdminState, JoinToken, TokenRequest};
use super::input::{Body, Params};
use super::problem::Problem;
use super::view::{self, Page, Resource};

/// Lifetime of a token when the client doesn't say, in milliseconds: one hour.
const LIFETIME_MS_DEFAULT: u64 = 3600 * 1000;
/// Longest lifetime of a token, in milliseconds: one week.
const LIFETIME_MS_MAX: u64 = 7 * 24 * 3600 * 1000;

/// The body of POST.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "NewJoinToken")]
pub(super) struct TokenBody {
    name: Option<String>,
    /// "data", "edge".
    roles: Vec<String>,
    lifetime_ms: Option<u64>,
}

/// A token as it is shown; the secret once, when it is issued.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JoinToken")]
pub(super) struct TokenView {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    name: Option<String>,
    roles: Vec<String>,
    expires_at: String,
}

impl From<JoinToken> for TokenView {
    fn from(token: JoinToken) -> Self {
        TokenView {
            id: token.id,
            token: token.token.map(|secret| secret.expose().to_owned()),
            name: token.request.name,
            roles: token.request.roles,
            expires_at: view::time(token.expires_at),
        }
    }
}

pub(super) async fn list(State(state): State<AdminState>) -> Result<Json<Page<TokenView>>, Problem> {
    let items = state.tokens.list().await?.into_iter().map(TokenView::from).collect();
    Ok(Json(Page { items, next: None }))
}

pub(super) async fn issue(
    State(state): State<AdminState>,
    params: Params,
    Body(body): Body<TokenBody>,
) -> Result<Made<TokenView>, Problem> {
    if !state.directory.is_main() {
        return Err(state.not_main().await);
    }
    let roles = Roles::from_names(body.roles.iter().map(String::as_str));
    let roles = roles.map_err(|name| invalid(format!("there is no role “{name}”; roles are data and edge")))?;
    if roles.main || roles == Roles::default() {
        return Err(invalid("a server that joins has the role data, or edge, or both".to_owned()));
    }
    if let Some(name) = &body.name {
        let wanted = name.clone();
        let taken = state.directory.read(move |reader| reader.server_named(&wanted)).await?;
        if let Some(Server { id, name, .. }) = taken.map(|found| found.value) {
            let owner_id = id.to_string();
            return Err(sterna_directory::RequestError::Taken { name, owner: "server", owner_id }.into());
        }
    }
    let lifetime_ms = body.lifetime_ms.unwrap_or(LIFETIME_MS_DEFAULT);
    if lifetime_ms == 0 || lifetime_ms > LIFETIME_MS_MAX {
        return Err(invalid("a token is good for at most a week".to_owned()));
    }
    if params.dry_run {
        return Ok(view::no_content().into());
    }
    let token =
        state.tokens.issue(TokenRequest { name: body.name, roles: body.roles, lifetime_ms, replaces: None }).await?;
    let location = format!("/api/v1/tokens/{}", token.id);
    let resource = Resource {
        status: StatusCode::CREATED,
        modseq: None,
        changed: Some(true),
        location: Some(location),
        body: TokenView::from(token),
    };
    Ok(resource.into())
}

pub(super) async fn revoke(
    State(state): State<AdminState>,
    Path(token): Path<String>,
    params: Params,
) -> Result<NoContent, Problem> {
    if params.dry_run {
        let known = state.tokens.list().await?.into_iter().any(|found| found.id == token);
        return if known { Ok(view::no_content()) } else { Err(Problem::no_such("invitation", &token)) };
    }
    match state.tokens.revoke(&token).await? {
        true => Ok(view::no_content()),
        false => Err(Problem::no_such("invitation", &token)),
    }
}

fn invalid(detail: String) -> Problem {
    let (title, remedy) = ("A value is not allowed", "Correct it and try again.");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", title, detail, remedy)
}
