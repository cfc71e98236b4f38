//! What is in a collection of a source: names and entity tags, and the objects themselves.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use sterna_account::ContainerKind;
use sterna_formats::dav::href;
use sterna_formats::dav::multistatus::{self, Response};
use sterna_formats::dav::name::{CALDAV, CARDDAV, DAV};
use sterna_formats::dav::write::escape;

use super::client::{Answer, Client, Question};
use super::discover::{SourceCollection, is_collection, propfind};
use crate::limits::OBJECT_BYTES_MAX;
use crate::run::error::SourceError;

/// An object as a list names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its path, as the server writes it.
    pub path: String,
    /// Its entity tag; empty where the server has none.
    pub etag: String,
}

/// An object that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It.
    Object {
        /// Its entity tag; empty where the server has none.
        etag: String,
        /// Its text, with lines that end as iCalendar and vCard want it.
        text: Bytes,
    },
    /// It went since it was listed.
    Gone,
    /// It can't be had; why, for people.
    Damaged(String),
}

/// All objects of a collection, by name.
///
/// # Errors
/// [`SourceError`]
pub async fn list(client: &mut Client, there: &SourceCollection) -> Result<BTreeMap<String, Listed>, SourceError> {
    let own = href::parts(&there.path).map(|(parts, _)| parts).unwrap_or_default();
    let mut found = BTreeMap::new();
    let asked = propfind(client, (&there.path, "1"), "<D:resourcetype/><D:getetag/>", |response| {
        let Some(path) = href::path_of(&response.href).filter(|_| !is_collection(&response)) else { return };
        let Ok((parts, _)) = href::parts(path) else { return };
        let Some((name, above)) = parts.split_last() else { return };
        if above == own {
            found.insert(name.clone(), Listed { path: path.to_owned(), etag: etag_of(&response) });
        }
    });
    asked.await?;
    Ok(found)
}

/// The entity tag of an object; empty where the server has none.
fn etag_of(response: &Response) -> String {
    response.property(DAV, "getetag").map(|etag| etag.text().trim().to_owned()).unwrap_or_default()
}

/// These objects, in their order: together (calendar-multiget, RFC 4791 section 7.9; addressbook-multiget, RFC 6352
/// section 8.7), and each that doesn't come so alone. So does what is said to be gone: some servers find nothing
/// there under a name with percent signs that they gave themselves.
///
/// # Errors
/// [`SourceError`] that holds for all of them.
pub async fn fetch(
    client: &mut Client,
    there: &SourceCollection,
    objects: &[&Listed],
) -> Result<Vec<Fetched>, SourceError> {
    let mut together = multiget(client, there, objects).await?;
    let mut fetched = Vec::new();
    for object in objects {
        let parts = href::parts(&object.path).map(|(parts, _)| parts).unwrap_or_default();
        fetched.push(match together.remove(&parts) {
            Some(found) => found,
            None => alone(client, object).await?,
        });
    }
    Ok(fetched)
}

/// What comes together, by the parts of its path; nothing from a server that can't do that.
async fn multiget(
    client: &mut Client,
    there: &SourceCollection,
    objects: &[&Listed],
) -> Result<BTreeMap<Vec<String>, Fetched>, SourceError> {
    let (namespace, report, data, depth) = match there.kind {
        ContainerKind::AddressBook => (CARDDAV, "addressbook-multiget", "address-data", "0"),
        _ => (CALDAV, "calendar-multiget", "calendar-data", "1"),
    };
    let mut body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><X:{report} xmlns:D=\"{DAV}\" xmlns:X=\"{namespace}\"><D:prop>\
         <D:getetag/><X:{data}/></D:prop>"
    );
    for object in objects {
        body.push_str("<D:href>");
        escape(&object.path, &mut body);
        body.push_str("</D:href>");
    }
    body.push_str(&format!("</X:{report}>"));
    let question = Question { method: "REPORT", path: &there.path, depth: Some(depth), body };
    let answer = client.ask(&question).await?;
    if answer.status != StatusCode::MULTI_STATUS {
        return Ok(BTreeMap::new());
    }
    let mut found = BTreeMap::new();
    // An object that no XML can hold spoils the answer; each is asked for alone then.
    let read = multistatus::read(&answer.body, |response| {
        let Some(Ok((parts, _))) = href::path_of(&response.href).map(href::parts) else { return };
        if let Some(text) = response.property(namespace, data) {
            found.insert(parts, Fetched::Object { etag: etag_of(&response), text: with_crlf(&text.text()) });
        }
    });
    Ok(if read.is_ok() { found } else { BTreeMap::new() })
}

async fn alone(client: &mut Client, object: &Listed) -> Result<Fetched, SourceError> {
    let question = Question { method: "GET", path: &object.path, depth: None, body: String::new() };
    let answer = client.ask(&question).await?;
    Ok(match answer.status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Fetched::Gone,
        StatusCode::OK if answer.body.len() > OBJECT_BYTES_MAX => {
            Fetched::Damaged(format!("it has more than {OBJECT_BYTES_MAX} bytes"))
        }
        StatusCode::OK => whole(&answer),
        status => Fetched::Damaged(format!("the source answers {status}")),
    })
}

fn whole(answer: &Answer) -> Fetched {
    let etag = answer.etag.clone().unwrap_or_default();
    match std::str::from_utf8(&answer.body) {
        Ok(text) => Fetched::Object { etag, text: with_crlf(text) },
        // The reader of objects knows what to do with it, or says so.
        Err(_) => Fetched::Object { etag, text: answer.body.clone() },
    }
}

/// XML makes a line feed of each end of a line.
fn with_crlf(text: &str) -> Bytes {
    let text = text.trim_start_matches(['\r', '\n', ' ', '\t']);
    let mut lines = String::with_capacity(text.len() + text.len() / 32);
    for line in text.lines() {
        lines.push_str(line);
        lines.push_str("\r\n");
    }
    lines.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_calendars_want_it() {
        assert_eq!(with_crlf("\n  BEGIN:X\nEND:X\r\n"), "BEGIN:X\r\nEND:X\r\n");
        assert_eq!(with_crlf("A:1\n B"), "A:1\r\n B\r\n");
    }
}
