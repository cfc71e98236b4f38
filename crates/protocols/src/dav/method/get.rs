//! GET and HEAD (RFC 9110 sections 9.3.1 and 9.3.2).

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use sterna_account::{Account, Item, ItemParts};
use sterna_formats::dav::headers::Tags;
use tokio::sync::mpsc;

use crate::dav::answer::{Problem, done, response, with_header};
use crate::dav::body::Body;
use crate::dav::context::{Context, Request};
use crate::dav::limits::{PIECES_MAX, UNREAD};
use crate::dav::paths::Space;
use crate::dav::precondition::check_tags;
use crate::dav::property::{content_type, etag, http_date};
use crate::dav::resource::{Collection, Resource};
use crate::dav::scheduling::tag_of;
use crate::dav::{file_links, versions};
use crate::message;

pub async fn run(request: Request) -> Result<Response<Body>, Problem> {
    let context = request.context;
    let query = context.uri.query().unwrap_or_default();
    if let Some(ask) = versions::Ask::of(query) {
        return versions::get(&context, ask).await;
    }
    if query == "links" {
        return file_links::list(&context).await;
    }
    let parts = ItemParts { summary: true, body: context.method == Method::GET, summary_start: false };
    let resource = Resource::find(&context, context.uri.path(), parts).await?;
    check_tags(&context, &resource)?;
    let (collection, item) = match resource {
        Resource::Item(collection, item) => (collection, item),
        Resource::Missing(_) => return Err(Problem::not_found()),
        // For people who look with a browser.
        _ => return Ok(response(StatusCode::OK, "text/plain; charset=utf-8", "This is a DAV collection.\n")),
    };
    let tag = etag(item.blob);
    let known = context.header("if-none-match").map(Tags::parse);
    let answer = match known {
        Some(known) if known.match_weakly(Some(&tag)) => done(StatusCode::NOT_MODIFIED),
        _ if context.method == Method::HEAD => {
            with_header(done(StatusCode::OK), CONTENT_LENGTH, &item.size.to_string())
        }
        _ if let Some(text) = told_otherwise(&context, &collection, &item) => Response::new(Body::Full(text)),
        _ => ranged(&context, collection.home.account.clone(), &item, &tag)?,
    };
    let answer = with_header(answer, ACCEPT_RANGES, "bytes");
    let answer = with_header(answer, ETAG, &tag);
    let answer = match tag_of(&item) {
        Some(tag) => with_header(answer, HeaderName::from_static("schedule-tag"), &tag),
        None => answer,
    };
    let answer = with_header(answer, LAST_MODIFIED, &http_date(item.internal_date.seconds()));
    let answer = with_header(answer, CONTENT_TYPE, &content_type(collection.space, &item));
    // Files of users are not pages of this server.
    let answer = with_header(answer, HeaderName::from_static("x-content-type-options"), "nosniff");
    Ok(with_header(answer, HeaderName::from_static("content-security-policy"), "sandbox; default-src 'none'"))
}

/// A calendar object that is told with other definitions of zones than it was stored with (RFC 7809 section 3.1.2).
fn told_otherwise(context: &Context, collection: &Collection, item: &Item) -> Option<Bytes> {
    let body = item.body.as_ref().filter(|_| collection.space == Space::Calendars)?;
    match context.definitions().apply(std::str::from_utf8(body).ok()?) {
        Cow::Owned(text) => Some(Bytes::from(text)),
        Cow::Borrowed(_) => None,
    }
}

/// The stored bytes, or the part of them that is asked for (RFC 9110 section 14.2).
fn ranged(context: &Context, account: Arc<dyn Account>, item: &Item, tag: &str) -> Result<Response<Body>, Problem> {
    let is_meant = context.header("if-range").is_none_or(|known| known.trim() == tag);
    let range = context.header("range").filter(|_| is_meant).and_then(|text| byte_range(text, item.size));
    let Some(range) = range else { return Ok(content(account, item)) };
    let Some(range) = range else {
        let (name, value) = (CONTENT_RANGE, format!("bytes */{}", item.size));
        let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "There is no such part of it");
        return Err(match HeaderValue::from_str(&value) {
            Ok(value) => problem.header(name, value),
            Err(_) => problem,
        });
    };
    let told = format!("bytes {}-{}/{}", range.start, range.end - 1, item.size);
    let mut answer = part(account, item, range);
    *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    Ok(with_header(answer, CONTENT_RANGE, &told))
}

/// One range of bytes; `Some(None)` when there is nothing of it. Several at once, and other units, are answered with
/// everything.
fn byte_range(text: &str, size: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let range = match (first.trim(), last.trim()) {
        ("", last) => size.saturating_sub(number(last)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..size.min(last.saturating_add(1))
        }
    };
    Some((range.start < range.end).then_some(range))
}

/// The stored bytes; long ones are read while they are sent.
pub fn content(account: Arc<dyn Account>, item: &Item) -> Response<Body> {
    part(account, item, 0..item.size)
}

fn part(account: Arc<dyn Account>, item: &Item, range: Range<u64>) -> Response<Body> {
    if let Some(body) = &item.body {
        let bounds = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(body.len());
        return Response::new(Body::Full(body.slice(bounds(range.start)..bounds(range.end))));
    }
    let (pieces, rest) = mpsc::channel(PIECES_MAX);
    let (item, length) = (item.clone(), range.end - range.start);
    tokio::spawn(async move {
        let mut offset = range.start;
        while offset < range.end {
            let piece = message::read(account.as_ref(), &item, offset..range.end).await;
            offset += piece.as_ref().map_or(0, Bytes::len) as u64;
            let failed = piece.is_err();
            let piece = piece.map_err(|error| {
                tracing::warn!(account = %account.id(), %error, "a file could not be sent to its end");
                std::io::Error::other("the file could not be read to its end")
            });
            let sent = tokio::time::timeout(UNREAD, pieces.send(piece)).await;
            if failed || !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    });
    Response::new(Body::Pieces { first: None, rest, length: Some(length) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_files() {
        let of = |text: &str| byte_range(text, 10);
        assert_eq!(of("bytes=2-5"), Some(Some(2..6)));
        assert_eq!(of("bytes=2-"), Some(Some(2..10)));
        assert_eq!(of("bytes=-3"), Some(Some(7..10)));
        assert_eq!(of("bytes=-30"), Some(Some(0..10)));
        assert_eq!(of("bytes=0-18446744073709551615"), Some(Some(0..10)));
        for nothing in ["bytes=10-", "bytes=-0", "bytes=99-100"] {
            assert_eq!(of(nothing), Some(None), "{nothing}");
        }
        for all in ["bytes=5-2", "bytes=0-1,4-5", "lines=1-2", "bytes=", "bytes=a-b", ""] {
            assert_eq!(of(all), None, "{all}");
        }
        assert_eq!(byte_range("bytes=0-", 0), Some(None));
    }
}
