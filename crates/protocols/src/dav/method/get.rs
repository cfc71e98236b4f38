//! GET and HEAD (RFC 9110 sections 9.3.1 and 9.3.2).

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use http::{HeaderName, Method, Response, StatusCode};
use sterna_account::{Account, Item, ItemParts};
use sterna_formats::dav::headers::Tags;
use tokio::sync::mpsc;

use crate::dav::answer::{Problem, done, response, with_header};
use crate::dav::body::Body;
use crate::dav::context::Request;
use crate::dav::limits::{PIECES_MAX, UNREAD};
use crate::dav::precondition::check_tags;
use crate::dav::property::{content_type, etag, http_date};
use crate::dav::resource::Resource;
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
        _ => content(collection.home.account.clone(), &item),
    };
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

/// The stored bytes; long ones are read while they are sent.
pub fn content(account: Arc<dyn Account>, item: &Item) -> Response<Body> {
    if let Some(body) = &item.body {
        return Response::new(Body::Full(body.clone()));
    }
    let (pieces, rest) = mpsc::channel(PIECES_MAX);
    let (item, length) = (item.clone(), item.size);
    tokio::spawn(async move {
        let mut offset = 0;
        while offset < item.size {
            let piece = message::read(account.as_ref(), &item, offset..item.size).await;
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
