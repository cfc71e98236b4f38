//! What a request expects: `If-Match` and `If-None-Match` (RFC 9110 section 13), `If` (RFC 4918 section 10.4), and that
//! nobody else has locked what is written.

use http::Method;
use sterna_account::{AccountError, CommitError, ItemParts};
use sterna_formats::dav::headers::{Condition, If, State, Tags};
use sterna_formats::dav::href::path_of;

use super::answer::Problem;
use super::context::{Context, Home};
use super::locks::{Locks, Write};
use super::property::etag;
use super::resource::Resource;

/// The tag of what is there.
pub fn tag_of(resource: &Resource) -> Option<String> {
    match resource {
        Resource::Item(_, item) => Some(etag(item.blob)),
        _ => None,
    }
}

/// Whether `If-Match` and `If-None-Match` hold. Collections have no tag, but exist.
///
/// # Errors
/// `412`; for GET and HEAD `304` is the caller's matter.
pub fn check_tags(context: &Context, resource: &Resource) -> Result<(), Problem> {
    let tag = match resource {
        Resource::Missing(_) => None,
        resource => Some(tag_of(resource).unwrap_or_default()),
    };
    if let Some(wanted) = context.header("if-match")
        && !Tags::parse(wanted).match_strongly(tag.as_deref())
    {
        return Err(Problem::failed_precondition());
    }
    let reads = matches!(context.method, Method::GET | Method::HEAD);
    if let Some(unwanted) = context.header("if-none-match")
        && !reads
        && Tags::parse(unwanted).match_weakly(tag.as_deref())
    {
        return Err(Problem::failed_precondition());
    }
    Ok(())
}

/// The tokens that a request names, and whether its `If` holds.
///
/// # Errors
/// `400` when the header is none, `412` when it doesn't hold.
pub async fn check_if(context: &Context, resource: &Resource, locks: &Locks) -> Result<Vec<String>, Problem> {
    let Some(text) = context.headers.get("if") else { return Ok(Vec::new()) };
    let parsed = text.to_str().ok().and_then(If::parse);
    let condition = parsed.ok_or_else(|| Problem::bad_request("the If header is malformed"))?;
    let own = resource.canonical();
    let mut holds = false;
    for list in &condition.lists {
        let (path, tag) = match &list.resource {
            None => (own.clone(), tag_of(resource)),
            Some(given) => {
                let path = path_of(given).ok_or_else(|| Problem::bad_request("the If header names no resource"))?;
                match Resource::find(context, path, ItemParts::default()).await {
                    Ok(found) => (found.canonical(), tag_of(&found)),
                    Err(_) => (path.to_owned(), None),
                }
            }
        };
        let is_so = |condition: &Condition| {
            let found = match &condition.state {
                State::Token(token) => locks.has(&path, token),
                State::Tag(wanted) => tag.as_deref() == Some(wanted.as_str()),
            };
            found != condition.not
        };
        holds |= list.conditions.iter().all(is_so);
    }
    if holds { Ok(condition.tokens().map(str::to_owned).collect()) } else { Err(Problem::failed_precondition()) }
}

/// Everything that a write depends on besides rights; gives the locks, which its commit must expect.
///
/// # Errors
/// `412`, `423`, `400`.
pub async fn check_write(
    context: &Context,
    home: &Home,
    resource: &Resource,
    write: Write<'_>,
) -> Result<(Locks, Vec<String>), Problem> {
    let locks = Locks::read(home.account.as_ref(), context.now()).await?;
    let tokens = check_write_with(context, resource, write, &locks).await?;
    Ok((locks, tokens))
}

/// The same when the locks are known.
///
/// # Errors
/// `412`, `423`, `400`.
pub async fn check_write_with(
    context: &Context,
    resource: &Resource,
    write: Write<'_>,
    locks: &Locks,
) -> Result<Vec<String>, Problem> {
    check_tags(context, resource)?;
    let tokens = check_if(context, resource, locks).await?;
    locks.check(write, context.login.account, &tokens)?;
    Ok(tokens)
}

/// Whether a commit was refused because something changed since it was decided: then it is decided again.
pub fn came_too_late(problem: &Problem) -> bool {
    matches!(problem.cause, Some(AccountError::Refused(CommitError::Unexpected)))
}
