//! Former versions of files, in a few words of HTTP instead of those of DeltaV (RFC 3253), which no client of files
//! speaks: `?versions`, `?version=ID` and `?deleted` are read, `?restore=ID` is posted.

use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, ETAG};
use http::{HeaderName, Response, StatusCode};
use serde_json::json;
use sterna_account::commit::Expect;
use sterna_account::files::{self, Version};
use sterna_account::{Flags, Item, ItemParts, Rights};
use sterna_base::{Modseq, OperationId, Uid};

use super::answer::{Problem, done, response, with_header};
use super::body::Body;
use super::context::Context;
use super::locks::Write;
use super::method::get::content;
use super::paths::Space;
use super::precondition::check_write;
use super::property::{etag, http_date};
use super::resource::{Collection, Resource};

/// The media type of lists.
pub const JSON: &str = "application/json";

/// What a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The former versions of a file.
    List,
    /// The content of one.
    One(Uid),
    /// The deleted files of a folder.
    Deleted,
}

impl Ask {
    /// What a query asks for, if it is about versions.
    pub fn of(query: &str) -> Option<Self> {
        match query.split_once('=').unwrap_or((query, "")) {
            ("versions", _) => Some(Ask::List),
            ("deleted", _) => Some(Ask::Deleted),
            ("version", id) => id.parse().ok().map(Ask::One),
            _ => None,
        }
    }
}

/// Answers a GET.
///
/// # Errors
/// `404` when there is no such file or version.
pub async fn get(context: &Context, ask: Ask) -> Result<Response<Body>, Problem> {
    if ask == Ask::Deleted {
        let folder = folder(context).await?;
        let gone = files::deleted(folder.home.account.as_ref(), folder.container.id).await?;
        return Ok(list(&gone));
    }
    let (folder, name) = place(context).await?;
    let account = folder.home.account.clone();
    let versions = files::versions(account.as_ref(), folder.container.id, &name).await?;
    let Ask::One(id) = ask else { return Ok(list(&versions)) };
    let version = versions.into_iter().find(|version| version.id == id).ok_or_else(Problem::not_found)?;
    let answer = with_header(content(account, &as_item(&folder, &version)), ETAG, &etag(version.blob));
    let answer = with_header(answer, CONTENT_TYPE, "application/octet-stream");
    let answer = with_header(answer, CONTENT_DISPOSITION, "attachment");
    Ok(with_header(answer, HeaderName::from_static("x-content-type-options"), "nosniff"))
}

/// Gives a file one of its former contents again; what it has now becomes a version.
///
/// # Errors
/// `404` when there is no such version, and whatever hinders a PUT.
pub async fn restore(context: &Context, id: Uid) -> Result<Response<Body>, Problem> {
    let (folder, name) = place(context).await?;
    folder.check(Rights::WRITE | Rights::INSERT, "write-content")?;
    let account = folder.home.account.as_ref();
    let versions = files::versions(account, folder.container.id, &name).await?;
    let version = versions.into_iter().find(|version| version.id == id).ok_or_else(Problem::not_found)?;
    let resource = Resource::find(context, context.uri.path(), ItemParts::default()).await?;
    let (now, is_new) = match &resource {
        Resource::Item(_, item) => (Some(item.clone()), false),
        Resource::Missing(_) => (None, true),
        _ => return Err(Problem::conflict("A folder is there now")),
    };
    let href = resource.href();
    let write = Write { path: &href, changes_members: is_new, with_below: false };
    let (locks, _) = check_write(context, &folder.home, &resource, write).await?;
    let mut steps = vec![locks.expectation()];
    let expect = match &now {
        Some(item) if item.blob == version.blob => {
            return Ok(with_header(done(StatusCode::NO_CONTENT), ETAG, &etag(item.blob)));
        }
        Some(item) => {
            steps.extend(files::kept(folder.container.id, item));
            Expect::Content(item.blob)
        }
        None => Expect::Absent,
    };
    steps.push(files::restored(folder.container.id, &version, expect));
    account.commit(OperationId::random(), steps).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
    Ok(with_header(done(status), ETAG, &etag(version.blob)))
}

/// The folder that is asked about.
async fn folder(context: &Context) -> Result<Collection, Problem> {
    match Resource::find(context, context.uri.path(), ItemParts::default()).await? {
        Resource::Collection(folder) if folder.space == Space::Files => {
            folder.check(Rights::READ, "read")?;
            Ok(folder)
        }
        _ => Err(Problem::not_found()),
    }
}

/// The folder and the name of a file that is there, or was.
async fn place(context: &Context) -> Result<(Collection, String), Problem> {
    let (folder, name) = match Resource::find(context, context.uri.path(), ItemParts::default()).await? {
        Resource::Item(folder, item) => (folder, item.name.unwrap_or_default()),
        Resource::Missing(missing) => (missing.parent.ok_or_else(Problem::not_found)?, missing.name),
        _ => return Err(Problem::not_found()),
    };
    if folder.space != Space::Files {
        return Err(Problem::not_found());
    }
    folder.check(Rights::READ, "read")?;
    Ok((folder, name))
}

fn list(versions: &[Version]) -> Response<Body> {
    let time = |at: sterna_base::Timestamp| http_date(at.seconds());
    let view = |version: &Version| {
        json!({
            "id": version.id.0,
            "name": version.name,
            "size": version.size,
            "etag": etag(version.blob),
            "written": time(version.written_at),
            "ended": time(version.ended_at),
            "deleted": version.was_deleted,
        })
    };
    let text = json!({ "versions": versions.iter().map(view).collect::<Vec<_>>() }).to_string();
    response(StatusCode::OK, JSON, Bytes::from(text))
}

/// A version as something whose content can be sent.
fn as_item(folder: &Collection, version: &Version) -> Item {
    Item {
        container: folder.container.id,
        uid: version.id,
        modseq: Modseq::ZERO,
        flags: Flags::default(),
        blob: version.blob,
        size: version.size,
        internal_date: version.written_at,
        saved_at: version.ended_at,
        name: None,
        object_uid: None,
        summary: None,
        body: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_say_what_they_want() {
        assert_eq!(Ask::of("versions"), Some(Ask::List));
        assert_eq!(Ask::of("version=7"), Some(Ask::One(Uid(7))));
        assert_eq!(Ask::of("deleted"), Some(Ask::Deleted));
        for other in ["", "version", "version=x", "export", "a=versions"] {
            assert_eq!(Ask::of(other), None, "{other}");
        }
    }
}
