//! Attachments of calendar objects that the server keeps (RFC 8607): POST to an object adds, replaces and removes them;
//! objects may only name those that are here. They are fetched by a URL that nobody guesses, below `/share/`, so that
//! whoever is invited gets them, too.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HOST};
use http::{HeaderName, Response, StatusCode};
use hyper::body::Incoming;
use sterna_account::links::Token;
use sterna_account::{Account, Item, ItemParts, Rights, attachments, calendars};
use sterna_formats::calendar::attachments::{self as lines, Attachment, BadAttachment, Rids};
use sterna_formats::calendar::{Calendar, Facts};
use sterna_formats::content_line::Component;
use sterna_formats::dav::href;

use super::answer::{Problem, with_header};
use super::body::{self, Body};
use super::context::{Context, Request};
use super::file_links::{PUBLIC, base};
use super::limits::{ATTACHMENT_BYTES_MAX, ATTACHMENTS_MAX, NAME_BYTES_MAX, TRIES};
use super::method::put::{prepare, receive, store};
use super::paths::Space;
use super::precondition::{came_too_late, check_tags};
use super::report::listing::Pages;
use super::resource::{Collection, Resource};
use super::scheduling::is_scheduling;

/// What is to be done (section 3.3).
enum Action {
    Add(Rids),
    Update(String),
    Remove(String, Rids),
}

impl Action {
    fn parse(query: &str) -> Result<Self, Problem> {
        let decode = |text: &str| href::decode(text).map_err(|error| Problem::bad_request(error.to_string()));
        let (mut action, mut rid, mut id) = (None, None, None);
        for part in query.split('&') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let place = match name {
                "action" => &mut action,
                "rid" => &mut rid,
                "managed-id" => &mut id,
                _ => return Err(Problem::bad_request("That is no parameter of attachments")),
            };
            *place = Some(decode(value)?);
        }
        let rids = rid.as_deref().map_or(Ok(Rids::all()), Rids::parse).map_err(bad)?;
        match (action.as_deref(), id) {
            (Some("attachment-add"), None) => Ok(Action::Add(rids)),
            // An attachment is one, wherever it stands.
            (Some("attachment-update"), Some(_)) if rids.is_some() => Err(bad(BadAttachment::Rid)),
            (Some("attachment-update"), Some(id)) => Ok(Action::Update(id)),
            (Some("attachment-remove"), Some(id)) => Ok(Action::Remove(id, rids)),
            (Some("attachment-add" | "attachment-update" | "attachment-remove"), _) => Err(bad(BadAttachment::Id)),
            _ => Err(Problem::forbidden("<C:valid-action/>", "That can't be done with attachments")),
        }
    }
}

fn bad(error: BadAttachment) -> Problem {
    let condition = match error {
        BadAttachment::Rid => "<C:valid-rid/>",
        BadAttachment::Id => "<C:valid-managed-id/>",
    };
    Problem::forbidden(condition, error.to_string())
}

/// An object that is there, for who may write it.
async fn target(context: &Context) -> Result<(Collection, Item), Problem> {
    let parts = ItemParts { summary: true, ..ItemParts::default() };
    let resource = Resource::find(context, context.uri.path(), parts).await?;
    check_tags(context, &resource)?;
    match resource {
        Resource::Item(collection, item)
            if collection.space == Space::Calendars && !is_scheduling(&collection.container) =>
        {
            collection.check(Rights::WRITE | Rights::INSERT, "write-content")?;
            Ok((collection, item))
        }
        Resource::Missing(_) => Err(Problem::not_found()),
        _ => Err(Problem::not_allowed()),
    }
}

/// Answers a POST.
///
/// # Errors
/// The precondition that does not hold.
pub async fn post(request: Request) -> Result<Response<Body>, Problem> {
    let Request { context, body } = request;
    let begun = async {
        let action = Action::parse(context.uri.query().unwrap_or_default())?;
        let (collection, _) = target(&context).await?;
        Ok::<_, Problem>((action, collection))
    };
    let (action, collection) = match begun.await {
        Ok(begun) => begun,
        Err(problem) => {
            body::drain(body, &context.headers).await;
            return Err(problem);
        }
    };
    if let Action::Remove(id, rids) = action {
        body::drain(body, &context.headers).await;
        let change = |object: &Calendar| lines::removed(object, &rids, &id);
        let answer = changed(&context, &change).await?;
        return Ok(answer);
    }
    let account = collection.home.account.as_ref();
    let (token, attachment) = taken(&context, &collection, body).await?;
    let change = |object: &Calendar| match &action {
        Action::Update(id) => lines::updated(object, id, &attachment),
        Action::Add(rids) => lines::added(object, rids, &attachment),
        Action::Remove(..) => Err(BadAttachment::Id),
    };
    match changed(&context, &change).await {
        Ok(mut answer) => {
            if matches!(action, Action::Add(_)) {
                *answer.status_mut() = StatusCode::CREATED;
            }
            Ok(with_header(answer, HeaderName::from_static("cal-managed-id"), &attachment.id))
        }
        Err(problem) => {
            // Nobody has it.
            if let Err(error) = attachments::forget(account, &token).await {
                tracing::info!(account = %account.id(), %error, "an attachment that nobody has stays");
            }
            Err(problem)
        }
    }
}

/// Keeps what is sent.
async fn taken(context: &Context, collection: &Collection, mut body: Incoming) -> Result<(Token, Attachment), Problem> {
    let account = collection.home.account.as_ref();
    let too_large = |problem: Problem| match problem.status {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::forbidden("<C:max-attachment-size/>", "The attachment is too large"),
        _ => problem,
    };
    let (prepared, size) = match receive(&mut body, account, ATTACHMENT_BYTES_MAX).await {
        Ok(received) => received,
        Err(problem) => {
            body::drain(body, &context.headers).await;
            return Err(too_large(problem));
        }
    };
    let text = |name: http::header::HeaderName| context.headers.get(name).and_then(|value| value.to_str().ok());
    let filename = text(CONTENT_DISPOSITION).and_then(filename_of).unwrap_or_default();
    let media_type = text(CONTENT_TYPE).unwrap_or("application/octet-stream").split(';').next().unwrap_or_default();
    let token = attachments::keep(account, prepared.content).await?;
    let mut url = origin(context, collection).await + PUBLIC + &token.to_string();
    if !filename.is_empty() {
        url.push('/');
        href::encode(&filename, &mut url);
    }
    let id = token.name();
    Ok((token, Attachment { id, url, media_type: media_type.trim().to_ascii_lowercase(), size, filename }))
}

/// Scheme and host that attachments are fetched by: those that the world is told of, else those of this request.
async fn origin(context: &Context, collection: &Collection) -> String {
    if let Some(known) = base(context, collection).await {
        return known;
    }
    let host = context.headers.get(HOST).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let host = host.or_else(|| context.uri.authority().map(ToString::to_string)).unwrap_or_default();
    let scheme = if context.shared.config.plaintext_login { "http" } else { "https" };
    format!("{scheme}://{host}")
}

/// The name of a file (RFC 6266), without what would be a path.
fn filename_of(disposition: &str) -> Option<String> {
    let mut is_quoted = false;
    let parts: Vec<&str> = disposition
        .split(|c| {
            is_quoted ^= c == '"';
            c == ';' && !is_quoted
        })
        .collect();
    let parameter = |wanted: &str| {
        parts.iter().skip(1).find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    let extended = parameter("filename*").and_then(|value| {
        let encoded = value.strip_prefix("UTF-8''").or_else(|| value.strip_prefix("utf-8''"))?;
        href::decode(encoded).ok()
    });
    let name = extended.or_else(|| parameter("filename"))?;
    let name: String = name.rsplit(['/', '\\']).next()?.chars().filter(|c| !c.is_control() && *c != '"').collect();
    let is_good = !name.is_empty() && name != "." && name != ".." && name.len() <= NAME_BYTES_MAX;
    is_good.then_some(name)
}

/// Changes the object, as a PUT of the user would: with locks, preconditions and invitations.
async fn changed(
    context: &Context,
    change: &(dyn Fn(&Calendar) -> Result<Component, BadAttachment> + Sync),
) -> Result<Response<Body>, Problem> {
    for _ in 0..TRIES {
        let (collection, item) = target(context).await?;
        let account = collection.home.account.as_ref();
        let bytes = calendars::body(account, &item).await?;
        let object = Calendar::parse(&bytes).map_err(|error| Problem::conflict(error.to_string()))?;
        let next = Calendar::of(change(&object).map_err(bad)?);
        if lines::most(&next.root) > ATTACHMENTS_MAX {
            let text = "There are too many attachments";
            return Err(Problem::forbidden("<C:max-attachments-per-resource/>", text));
        }
        let prepared = prepare(Space::Calendars, Bytes::from(next.text()), account).await?;
        match store(context, context.uri.path(), &prepared, Some(item.blob)).await {
            Err(problem) if came_too_late(&problem) => {}
            answer => return answer,
        }
    }
    Err(Problem::unavailable(1))
}

/// What an object has that was there before it is written over or deleted; nothing where the account keeps no
/// attachments.
///
/// # Errors
/// When the account can't be read.
pub async fn held(account: &dyn Account, old: &Item) -> Result<BTreeSet<String>, Problem> {
    if !attachments::has_any(account).await? {
        return Ok(BTreeSet::new());
    }
    let bytes = calendars::body(account, old).await?;
    Ok(if says_managed(&bytes) { ids(bytes).await } else { BTreeSet::new() })
}

/// The same of everything in a calendar that goes as a whole: its objects that have some.
///
/// # Errors
/// When the account can't be read.
pub async fn held_by_all(collection: &Collection) -> Result<Vec<(Item, BTreeSet<String>)>, Problem> {
    let account = collection.home.account.as_ref();
    let mut found = Vec::new();
    if collection.space != Space::Calendars || !attachments::has_any(account).await? {
        return Ok(found);
    }
    let mut pages = Pages::new(collection, ItemParts { summary: true, body: true, summary_start: false });
    while let Some(items) = pages.next().await? {
        for item in items {
            let bytes = calendars::body(account, &item).await?;
            if says_managed(&bytes) {
                found.push((Item { body: None, ..item }, ids(bytes).await));
            }
        }
    }
    Ok(found)
}

fn says_managed(bytes: &[u8]) -> bool {
    bytes.windows(10).any(|part| part.eq_ignore_ascii_case(b"MANAGED-ID"))
}

async fn ids(bytes: Bytes) -> BTreeSet<String> {
    let read = move || Calendar::parse(&bytes).map(|object| lines::ids(&object)).unwrap_or_default();
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

/// The MANAGED-IDs in an object.
pub async fn named(object: &Bytes) -> BTreeSet<String> {
    if says_managed(object) { ids(object.clone()).await } else { BTreeSet::new() }
}

/// Whether an object only names attachments that it had, or that this account keeps (section 3.11). The MANAGED-IDs in
/// it.
///
/// # Errors
/// `403 valid-managed-id`
pub async fn check(
    account: &dyn Account,
    new: &Bytes,
    held: &BTreeSet<String>,
    old: Option<&Item>,
) -> Result<BTreeSet<String>, Problem> {
    if !says_managed(new) {
        return Ok(BTreeSet::new());
    }
    let named = ids(new.clone()).await;
    // An attendee's copy names what the organizer's account keeps.
    let known = match old {
        Some(old) if held.is_empty() => ids(calendars::body(account, old).await?).await,
        _ => held.clone(),
    };
    for id in named.difference(&known) {
        let item = match token(account, id) {
            Some(token) => attachments::find(account, &token, ItemParts::default()).await?,
            None => None,
        };
        let item = item.ok_or_else(|| bad(BadAttachment::Id))?;
        attachments::share(account, &item).await?;
    }
    Ok(named)
}

/// Takes away what an object had and has not any more, unless the object is in another calendar, too. What can't be
/// done now stays: nothing is lost.
pub async fn tidy(collection: &Collection, old: &Item, held: &BTreeSet<String>, named: &BTreeSet<String>) {
    let account = collection.home.account.as_ref();
    let uid = old.summary.as_deref().and_then(Facts::decode).map(|facts| facts.uid).unwrap_or_default();
    let tidied = async {
        if held.is_subset(named) || calendars::is_elsewhere(account, &uid, collection.container.id).await? {
            return Ok(());
        }
        for token in held.difference(named).filter_map(|id| token(account, id)) {
            attachments::forget(account, &token).await?;
        }
        Ok::<_, sterna_account::AccountError>(())
    };
    if let Err(error) = tidied.await {
        tracing::info!(account = %account.id(), %error, "an attachment that no object has any more stays");
    }
}

/// The token of an attachment of this account.
fn token(account: &dyn Account, id: &str) -> Option<Token> {
    format!("{:x}.{id}", account.id().0).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_no_paths() {
        let of = |text: &str| filename_of(text);
        assert_eq!(of("attachment; filename=\"a b.pdf\"").as_deref(), Some("a b.pdf"));
        assert_eq!(of("attachment; filename=\"a; b.pdf\"; size=1").as_deref(), Some("a; b.pdf"));
        assert_eq!(of("attachment;filename=../../etc/x").as_deref(), Some("x"));
        assert_eq!(of("attachment; filename=x; filename*=UTF-8''%C3%A4.txt").as_deref(), Some("ä.txt"));
        assert_eq!(of("attachment; filename*=UTF-8''..%2F..").as_deref(), None);
        assert_eq!(of("attachment"), None);
        assert_eq!(of("attachment; filename=\"\""), None);
    }

    #[test]
    fn actions_are_told_apart() {
        let refused = |query: &str| Action::parse(query).err().map(|problem| problem.status.as_u16());
        assert!(matches!(Action::parse("action=attachment-add"), Ok(Action::Add(rids)) if !rids.is_some()));
        let removed = Action::parse("action=attachment-remove&managed-id=a%2Bb&rid=M");
        assert!(matches!(removed, Ok(Action::Remove(id, rids)) if id == "a+b" && rids.is_some()));
        for query in [
            "action=attachment-eat",
            "action=attachment-add&managed-id=x",
            "action=attachment-update",
            "action=attachment-update&managed-id=x&rid=M",
            "action=attachment-add&rid=",
        ] {
            assert_eq!(refused(query), Some(403), "{query}");
        }
        assert_eq!(refused("action=attachment-add&x=y"), Some(400));
    }
}
