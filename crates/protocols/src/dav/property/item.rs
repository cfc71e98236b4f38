//! Properties of items: events, cards, files.

use jiff::Timestamp;
use sterna_account::{Item, Rights};
use sterna_base::BlobHash;
use sterna_formats::calendar::Facts;
use sterna_formats::dav::Name;
use sterna_formats::dav::name::{CALDAV, CARDDAV, DAV};

use super::privileges::{self, privileges_of};
use super::selection::Background;
use super::{Value, href, text};
use crate::dav::context::Context;
use crate::dav::paths::{self, Space};
use crate::dav::resource::Collection;
use crate::dav::scheduling::tag_of;

/// How many digits of a content's hash make its tag: as many as nobody can meet by chance.
const TAG_DIGITS: usize = 32;

/// The entity tag of a content: what is stored is what was sent, so its own hash names it wherever it lies.
pub fn etag(blob: BlobHash) -> String {
    let hash = blob.to_string();
    format!("\"{}\"", hash.get(..TAG_DIGITS).unwrap_or(&hash))
}

/// `DAV:supportedlock`
pub const SUPPORTED_LOCK: &str = "<D:lockentry><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/>\
    </D:locktype></D:lockentry><D:lockentry><D:lockscope><D:shared/></D:lockscope><D:locktype><D:write/></D:locktype>\
    </D:lockentry>";

/// What an item says of itself; `None` when it has no such property.
pub fn value(
    context: &Context,
    collection: &Collection,
    item: &Item,
    background: &Background,
    data: Option<&str>,
    name: &Name,
) -> Option<Value> {
    let inner = |xml: String| Some(Value::Inner(xml));
    match (&*name.namespace, &*name.local) {
        (DAV, "getetag") => Some(text(&etag(item.blob))),
        (DAV, "getcontentlength") => inner(item.size.to_string()),
        (DAV, "getcontenttype") => Some(text(&content_type(collection.space, item))),
        (DAV, "getlastmodified") => Some(text(&http_date(item.internal_date.seconds()))),
        (DAV, "creationdate") => Some(text(&Timestamp::from_second(item.saved_at.seconds()).ok()?.to_string())),
        (DAV, "resourcetype") => inner(String::new()),
        (DAV, "owner") => Some(href(&collection.home.principal())),
        (DAV, "current-user-principal") => Some(href(&paths::principal(&context.login.address))),
        (DAV, "current-user-privilege-set") => inner(privileges_of(collection.rights)),
        (DAV, "supported-privilege-set") => inner(privileges::supported()),
        (DAV, "acl-restrictions") => inner(privileges::RESTRICTIONS.to_owned()),
        (DAV, "acl") if collection.rights.has(Rights::ADMINISTER) => {
            let (owner, above) = (collection.home.principal(), collection.href());
            inner(privileges::acl(&owner, &collection.container.acl, &background.principals, Some(&above)))
        }
        (DAV, "supportedlock") => inner(SUPPORTED_LOCK.to_owned()),
        (DAV, "lockdiscovery") => {
            let path = collection.canonical(Some(item.name.as_deref().unwrap_or_default()));
            inner(background.locks.as_ref()?.discovery(&path))
        }
        (DAV, "displayname") if background.stored.get(Some(item.uid), name).is_none() => {
            Some(text(item.name.as_deref()?))
        }
        (CALDAV, "schedule-tag") => Some(text(&tag_of(item)?)),
        (CALDAV, "calendar-data") if collection.space == Space::Calendars => Some(text(data?)),
        (CARDDAV, "address-data") if collection.space == Space::AddressBooks => Some(text(data?)),
        _ => background.stored.get(Some(item.uid), name).map(|xml| Value::Element(xml.to_owned())),
    }
}

/// What it may have.
pub fn names(item: &Item, background: &Background) -> Vec<Name> {
    let mut names: Vec<Name> = [
        "resourcetype",
        "displayname",
        "getetag",
        "getcontentlength",
        "getcontenttype",
        "getlastmodified",
        "creationdate",
        "supportedlock",
        "lockdiscovery",
    ]
    .map(Name::dav)
    .to_vec();
    let stored = background.stored.names(Some(item.uid));
    names.extend(stored.into_iter().filter(|name| !name.is(DAV, "displayname")));
    names
}

/// The media type of an item: what its space holds, or what its name says.
pub fn content_type(space: Space, item: &Item) -> String {
    match space {
        Space::Calendars => match item.summary.as_deref().and_then(Facts::decode) {
            Some(facts) => {
                format!("text/calendar; charset=utf-8; component={}", facts.kind.name().to_ascii_lowercase())
            }
            None => "text/calendar; charset=utf-8".to_owned(),
        },
        Space::AddressBooks => "text/vcard; charset=utf-8".to_owned(),
        Space::Files => file_type(item.name.as_deref().unwrap_or_default()).to_owned(),
    }
}

/// By the end of a name. What browsers would run is not called what it is: files are other people's.
fn file_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "txt" | "log" | "md" | "csv" => "text/plain; charset=utf-8",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "mp4" => "video/mp4",
        "zip" => "application/zip",
        "json" => "application/json",
        "ics" => "text/calendar; charset=utf-8",
        "vcf" => "text/vcard; charset=utf-8",
        "odt" => "application/vnd.oasis.opendocument.text",
        "ods" => "application/vnd.oasis.opendocument.spreadsheet",
        "odp" => "application/vnd.oasis.opendocument.presentation",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => "application/octet-stream",
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
pub fn http_date(seconds: i64) -> String {
    let timestamp = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    timestamp.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_types() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(file_type("a.b.PDF"), "application/pdf");
        assert_eq!(file_type("x.html"), "application/octet-stream");
        assert_eq!(etag(BlobHash::of(b"x")).len(), TAG_DIGITS + 2);
    }
}
