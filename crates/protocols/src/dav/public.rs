//! Calendars by public link: `/share/TOKEN` is a calendar as iCalendar for whoever knows the link. What it has of a
//! calendar that is gone, and what is told of a link that was revoked, is the same nothing.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG};
use http::{HeaderMap, Response, StatusCode};
use sterna_account::{Account, Container, ItemParts, Rights};
use sterna_base::{BlobHash, ContainerId};
use sterna_formats::calendar::Calendar;
use sterna_formats::calendar::published::Publisher;
use sterna_formats::dav::Name;
use sterna_formats::dav::headers::Tags;
use tokio::sync::mpsc;

use super::answer::{Problem, done, with_header};
use super::body::{Body, Piece};
use super::context::Home;
use super::limits::{PARSED_INLINE_BYTES_MAX, PIECE_BYTES, PIECES_MAX, UNREAD};
use super::paths::Space;
use super::report::PRODUCT;
use super::report::listing::{Pages, body};
use super::resource::Collection;
use super::stored::Stored;

/// A calendar for who comes with a link to it; with `busy_only` the times of what is in it.
///
/// # Errors
/// `404` when it is gone.
pub async fn calendar(
    account: Arc<dyn Account>,
    container: ContainerId,
    busy_only: bool,
    headers: &HeaderMap,
    is_head: bool,
) -> Result<Response<Body>, Problem> {
    let container = account.container(container).await?.ok_or_else(Problem::not_found)?;
    if !Space::Calendars.kinds().contains(&container.kind) {
        return Err(Problem::not_found());
    }
    let stored = Stored::read(account.as_ref(), container.id).await?;
    let name = stored.text(&Name::dav("displayname")).unwrap_or_else(|| container.name.clone());
    let tag = tag(&container, busy_only, &name);
    let known = headers.get("if-none-match").and_then(|value| value.to_str().ok()).map(Tags::parse);
    let answer = match known {
        Some(known) if known.match_weakly(Some(&tag)) => done(StatusCode::NOT_MODIFIED),
        _ if is_head => done(StatusCode::OK),
        _ => {
            let home = Home::of_link(account);
            let (space, path, rights) = (Space::Calendars, vec![container.name.clone()], Rights::READ);
            let collection = Collection { home, space, path, container, rights, mounted: None };
            published(collection, busy_only, name)
        }
    };
    let answer = with_header(answer, ETAG, &tag);
    let answer = with_header(answer, CONTENT_TYPE, "text/calendar; charset=utf-8");
    let answer = with_header(answer, CONTENT_DISPOSITION, "attachment; filename=\"calendar.ics\"");
    // Whoever keeps it asks each time: it may have been revoked.
    Ok(with_header(answer, CACHE_CONTROL, "private, no-cache"))
}

/// The same wherever the account lives, and another one after every change.
fn tag(container: &Container, busy_only: bool, name: &str) -> String {
    let text = format!("{} {} {busy_only} {name}", container.id, container.highest_modseq);
    let hash = BlobHash::of(text.as_bytes()).to_string();
    format!("\"{}\"", hash.get(..32).unwrap_or(&hash))
}

/// The calendar, read while it is sent; what goes wrong on the way breaks it off, so that nobody takes half for all.
fn published(collection: Collection, busy_only: bool, name: String) -> Response<Body> {
    let (pieces, rest) = mpsc::channel(PIECES_MAX);
    tokio::spawn(async move {
        let account = collection.home.account.id();
        if let Err(problem) = write(collection, busy_only, &name, &pieces).await {
            tracing::info!(%account, status = %problem.status, cause = ?problem.cause, "a public calendar was broken off");
            let failed = Err(std::io::Error::other("the calendar could not be read to its end"));
            let _ = tokio::time::timeout(UNREAD, pieces.send(failed)).await;
        }
    });
    Response::new(Body::Pieces { first: None, rest, length: None })
}

async fn write(
    collection: Collection,
    busy_only: bool,
    name: &str,
    pieces: &mpsc::Sender<Piece>,
) -> Result<(), Problem> {
    let mut publisher = Publisher::new(busy_only);
    let mut text = String::new();
    publisher.start(name, PRODUCT, &mut text);
    let parts = ItemParts { body: true, ..ItemParts::default() };
    let mut pages = Pages::new(&collection, parts);
    while let Some(items) = pages.next().await? {
        for item in items {
            let bytes = body(&collection, &item).await?;
            if bytes.len() <= PARSED_INLINE_BYTES_MAX {
                add(&mut publisher, &bytes, &mut text);
            } else {
                let adding = tokio::task::spawn_blocking(move || {
                    add(&mut publisher, &bytes, &mut text);
                    (publisher, text)
                });
                let failed = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The server could not read that");
                (publisher, text) = adding.await.map_err(failed)?;
            }
            if text.len() >= PIECE_BYTES {
                send(pieces, std::mem::take(&mut text)).await?;
            }
        }
    }
    publisher.end(&mut text);
    send(pieces, text).await
}

/// What was stored was read before; what can't be any more is told to nobody.
fn add(publisher: &mut Publisher, bytes: &[u8], text: &mut String) {
    if let Ok(calendar) = Calendar::parse(bytes) {
        publisher.add(&calendar, text);
    }
}

async fn send(pieces: &mpsc::Sender<Piece>, text: String) -> Result<(), Problem> {
    let sent = tokio::time::timeout(UNREAD, pieces.send(Ok(text.into()))).await;
    if matches!(sent, Ok(Ok(()))) { Ok(()) } else { Err(Problem::timeout()) }
}
