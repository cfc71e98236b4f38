//! What requests bring along: bodies, pages, preconditions.

use std::convert::Infallible;

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sterna_base::Modseq;
use sterna_base::limits::PAGE_ITEMS_MAX;

use super::principal::Principal;
use super::problem::Problem;

/// Items of a page when the client doesn't say.
const PAGE_ITEMS_DEFAULT: usize = 200;

/// A JSON body; what can't be read is a problem document like all errors. It is an object: structs could be read from
/// lists, too, and then nobody who looks at names of fields would see what is in them.
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(value) =
            Json::<Value>::from_request(request, state).await.map_err(|error| Problem::malformed(error.body_text()))?;
        if !value.is_object() {
            return Err(Problem::malformed("the body must be a JSON object"));
        }
        serde_json::from_value(value).map(Body).map_err(|error| Problem::malformed(error.to_string()))
    }
}

/// The parameters of the query string that all resources share.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Params {
    /// Go on after this item: the `next` of the page before.
    pub after: Option<String>,
    /// Most items in the page.
    pub limit: Option<usize>,
    /// Only what is in this domain.
    pub domain: Option<String>,
    /// Only what is about this.
    pub name: Option<String>,
    /// Only people whose name, address or log-in has this.
    pub text: Option<String>,
    /// Only what is on this server.
    pub server: Option<String>,
    /// Only copies that are there for this: “kept” or “standby”.
    pub purpose: Option<String>,
    /// Only copies on this server.
    pub on: Option<String>,
    /// Only jobs that are not over.
    pub active: bool,
    /// Delete without a way back.
    pub forever: bool,
    /// Check, and do nothing.
    pub dry_run: bool,
}

impl Params {
    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(PAGE_ITEMS_DEFAULT).clamp(1, PAGE_ITEMS_MAX - 1)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(params) =
            Query::from_request_parts(parts, state).await.map_err(|error| Problem::malformed(error.body_text()))?;
        Ok(params)
    }
}

/// The parameters of the query string that one resource has of its own.
pub(super) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(asked) =
            Query::from_request_parts(parts, state).await.map_err(|error| Problem::malformed(error.body_text()))?;
        Ok(Asked(asked))
    }
}

/// Who asks, for people.
pub(super) struct By(pub String);

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(By(parts.extensions.get::<Principal>().map(|principal| principal.name.clone()).unwrap_or_default()))
    }
}

/// `If-Match` (RFC 9110 section 13.1.1): one ETag that this API gave; `*` is the same as none, because what doesn't
/// exist is refused anyway.
pub(super) struct IfMatch(pub Option<Modseq>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        if_match(&parts.headers).map(IfMatch)
    }
}

fn if_match(headers: &HeaderMap) -> Result<Option<Modseq>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|tag| tag.parse().ok());
    number.map(Some).ok_or_else(|| Problem::malformed("If-Match takes one ETag that this API gave, or *"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_takes_one_tag_or_a_star() {
        let parse = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, text.parse().unwrap());
            if_match(&headers).ok()
        };
        assert_eq!(parse("\"17\""), Some(Some(Modseq(17))));
        assert_eq!(parse("*"), Some(None));
        for bad in ["17", "W/\"17\"", "\"a\"", "\"1\", \"2\""] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
