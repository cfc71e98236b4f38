//! Links to files and folders, as their owners make, list and end them: `POST path?link` with a wish in JSON,
//! `GET path?links`, `DELETE path?link=TOKEN`.

use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use sterna_account::links::{self, Link, Target, Token};
use sterna_account::{ItemParts, Rights};
use sterna_formats::discovery;

use super::answer::{Problem, done, response};
use super::body::Body;
use super::context::Context;
use super::paths::Space;
use super::property::http_date;
use super::resource::{Collection, Resource};
use super::versions::JSON;

/// What stands before a token in the path of a public link.
pub const PUBLIC: &str = "/share/";

/// Longest time that a link may be good for, in days: ten years.
const DAYS_MAX: u32 = 3650;

/// Longest password and label, in bytes.
const TEXT_BYTES_MAX: usize = 200;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// What the owner wants.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wish {
    password: Option<String>,
    expires_days: Option<u32>,
    upload: bool,
    download: Option<bool>,
    label: String,
}

/// What a path leads to, for who may give it away.
async fn target(context: &Context) -> Result<(Collection, Target), Problem> {
    let found = Resource::find(context, context.uri.path(), ItemParts::default()).await?;
    let (folder, target) = match found {
        Resource::Collection(folder) => {
            let container = folder.container.id;
            (folder, Target::Folder { container })
        }
        Resource::Item(folder, item) => {
            let (container, name) = (folder.container.id, item.name.unwrap_or_default());
            (folder, Target::File { container, name })
        }
        _ => return Err(Problem::not_found()),
    };
    if folder.space != Space::Files {
        return Err(Problem::not_allowed());
    }
    folder.check(Rights::ADMINISTER, "write-acl")?;
    // What is below a folder, now or later, may be closed to everybody but its owner, and a link asks for no rights.
    if matches!(target, Target::Folder { .. }) && !folder.home.is_own() {
        return Err(Problem::no_right(&folder.href(), "all"));
    }
    Ok((folder, target))
}

/// Makes a link.
///
/// # Errors
/// `400` for a wish that can't be, `403` for who may not give it away.
pub async fn create(context: &Context, wish: &[u8]) -> Result<Response<Body>, Problem> {
    let wish: Wish = match wish.is_empty() {
        true => Wish::default(),
        false => serde_json::from_slice(wish).map_err(|error| Problem::bad_request(error.to_string()))?,
    };
    let (folder, target) = target(context).await?;
    if wish.upload && !matches!(target, Target::Folder { .. }) {
        return Err(Problem::bad_request("Files are uploaded into folders"));
    }
    let is_long = |text: &str| text.len() > TEXT_BYTES_MAX;
    if is_long(&wish.label) || wish.password.as_deref().is_some_and(|password| password.is_empty() || is_long(password))
    {
        return Err(Problem::bad_request("A password or a label has at most 200 bytes, and a password at least one"));
    }
    if wish.expires_days.is_some_and(|days| days == 0 || days > DAYS_MAX) {
        return Err(Problem::bad_request("expires_days is a number from 1 to 3650"));
    }
    let now = context.now();
    let mut link = Link::new(target, now);
    link.expires_at = wish.expires_days.map(|days| now.plus_ms(i64::from(days) * DAY_MS));
    (link.upload, link.download, link.label) = (wish.upload, wish.download.unwrap_or(true), wish.label);
    if let Some(password) = wish.password {
        let mut with = link.clone();
        let hashed = tokio::task::spawn_blocking(move || {
            with.set_password(&password);
            with
        });
        link = hashed.await.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "It could not be done"))?;
    }
    let token = links::create(folder.home.account.as_ref(), &link, now).await?;
    let view = view(&token, &link, base(context, &folder).await.as_deref());
    Ok(response(StatusCode::CREATED, JSON, format!("{view}\n")))
}

/// Lists the links to a file or a folder, and those to what lies in the folder.
///
/// # Errors
/// See [`create`].
pub async fn list(context: &Context) -> Result<Response<Body>, Problem> {
    let (folder, target) = target(context).await?;
    let leads_here = |link: &Link| match &target {
        Target::Folder { container } => link.target.container() == *container,
        other => link.target == *other,
    };
    let base = base(context, &folder).await;
    let all = links::list(folder.home.account.as_ref()).await?.into_iter().filter(|(_, link)| leads_here(link));
    let views: Vec<_> = all.map(|(token, link)| view(&token, &link, base.as_deref())).collect();
    Ok(response(StatusCode::OK, JSON, format!("{}\n", json!({ "links": views }))))
}

/// Ends a link to a file or a folder.
///
/// # Errors
/// `404` when there is none to it.
pub async fn revoke(context: &Context, token: &str) -> Result<Response<Body>, Problem> {
    let (folder, target) = target(context).await?;
    let account = folder.home.account.as_ref();
    let token: Token = token.parse().map_err(|_| Problem::not_found())?;
    let all = links::list(account).await?;
    let found = all.iter().find(|(known, _)| *known == token).map(|(_, link)| link.target.container());
    if found != Some(target.container()) || !links::revoke(account, &token).await? {
        return Err(Problem::not_found());
    }
    Ok(done(StatusCode::NO_CONTENT))
}

/// `https://HOST`, as programs are told of it.
pub async fn base(context: &Context, folder: &Collection) -> Option<String> {
    let domain = discovery::domain_of(&folder.home.address)?;
    let facts = context.shared.facts.as_ref()?.facts(domain).await.ok()??;
    Some(facts.dav_url()?.strip_suffix(discovery::DAV_PATH)?.to_owned())
}

fn view(token: &Token, link: &Link, base: Option<&str>) -> serde_json::Value {
    let path = format!("{PUBLIC}{token}");
    json!({
        "token": token.to_string(),
        "url": base.map(|base| format!("{base}{path}")),
        "path": path,
        "name": match &link.target { Target::File { name, .. } => Some(name), _ => None },
        "created": http_date(link.created_at.seconds()),
        "expires": link.expires_at.map(|end| http_date(end.seconds())),
        "password": link.has_password(),
        "upload": link.upload,
        "download": link.download,
        "label": link.label,
    })
}
