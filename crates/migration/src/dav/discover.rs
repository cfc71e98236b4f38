//! Finds the calendars and address books of a user.

use std::collections::BTreeMap;

use sterna_account::ContainerKind;
use sterna_formats::dav::multistatus::{self, Response};
use sterna_formats::dav::name::{APPLE, CALDAV, CALENDARSERVER, CARDDAV, DAV};
use sterna_formats::dav::{Element, href};

use super::client::{Client, Question};
use crate::limits::{COLLECTIONS_MAX, PROPERTY_BYTES_MAX};
use crate::run::error::SourceError;

/// Where clients ask a server of which they only know the name (RFC 6764 section 5).
const WELL_KNOWN: [&str; 2] = ["/.well-known/caldav", "/.well-known/carddav"];

/// What is asked of a place that may lead on.
const LEADS_ON: &str = "<D:resourcetype/><D:current-user-principal/><C:calendar-home-set/><A:addressbook-home-set/>";

/// What is asked of each collection.
const ABOUT: &str = "<D:resourcetype/><D:displayname/><D:owner/><D:sync-token/><S:getctag/>\
    <C:supported-calendar-component-set/><C:calendar-description/><C:calendar-timezone/><A:addressbook-description/>\
    <I:calendar-color/><I:calendar-order/>";

/// Properties that come along.
const KEPT: [(&str, &str); 6] = [
    (DAV, "displayname"),
    (CALDAV, "calendar-description"),
    (CALDAV, "calendar-timezone"),
    (CARDDAV, "addressbook-description"),
    (APPLE, "calendar-color"),
    (APPLE, "calendar-order"),
];

/// What the last part of a path says of the collection that servers make for everybody.
const USUAL: [&str; 6] = ["default", "personal", "calendar", "contacts", "addressbook", "tasks"];

/// A calendar, task list or address book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCollection {
    /// Its path, as the server writes it; it ends with a slash.
    pub path: String,
    /// Its name, for people and here.
    pub name: String,
    /// What it is here.
    pub kind: ContainerKind,
    /// Changes with its content (sync-token, RFC 6578; getctag), where the server says that.
    pub mark: Option<String>,
    /// Whether it is the one that the user had from the beginning.
    pub is_first: bool,
    /// Properties that come along, by name (`{namespace}local`), as XML.
    pub properties: BTreeMap<String, String>,
}

/// What a user has.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// What comes.
    pub collections: Vec<SourceCollection>,
    /// What doesn't, and why, for people.
    pub passed_over: Vec<String>,
}

/// Finds them, from the path of a server, of a user, of a home or of one collection.
///
/// # Errors
/// [`SourceError`]; also when nothing leads to any.
pub async fn discover(client: &mut Client, path: &str) -> Result<Found, SourceError> {
    let mut places = vec![path.to_owned()];
    if matches!(path, "" | "/") {
        places = WELL_KNOWN.map(str::to_owned).into();
        places.push("/".to_owned());
    }
    let (mut homes, mut found, mut refused) = (Vec::new(), Found::default(), None);
    for place in places {
        // A server for calendars alone has no place for address books.
        match homes_from(client, &place, &mut homes).await {
            Ok(()) => {}
            Err(SourceError::Refused { command, text }) => refused = Some(SourceError::Refused { command, text }),
            Err(error) => return Err(error),
        }
    }
    for home in &homes {
        look_into(client, home, &mut found).await?;
    }
    if found.collections.is_empty() {
        let text = "no calendar and no address book is found from there; give the URL of the user's home";
        return Err(refused.unwrap_or_else(|| SourceError::Protocol(text.to_owned())));
    }
    mark_first(&mut found.collections);
    Ok(found)
}

/// Asks for properties, and gives each response to `each`.
pub(super) async fn propfind(
    client: &mut Client,
    (path, depth): (&str, &str),
    inner: &str,
    each: impl FnMut(Response),
) -> Result<(), SourceError> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><D:propfind xmlns:D=\"{DAV}\" xmlns:C=\"{CALDAV}\" \
         xmlns:A=\"{CARDDAV}\" xmlns:S=\"{CALENDARSERVER}\" xmlns:I=\"{APPLE}\"><D:prop>{inner}</D:prop></D:propfind>"
    );
    let question = Question { method: "PROPFIND", path, depth: Some(depth), body };
    let answer = client.ask(&question).await?.well("PROPFIND")?;
    let read = multistatus::read(&answer.body, each);
    read.map_err(|error| SourceError::Protocol(format!("{}: {error}", answer.path)))
}

async fn ask(client: &mut Client, path: &str, depth: &str, inner: &str) -> Result<Vec<Response>, SourceError> {
    let mut found = Vec::new();
    propfind(client, (path, depth), inner, |response| found.push(response)).await?;
    Ok(found)
}

/// The homes that a place leads to: over its principal, or because it is a collection itself, or stands above some.
async fn homes_from(client: &mut Client, place: &str, homes: &mut Vec<String>) -> Result<(), SourceError> {
    let found = ask(client, place, "0", LEADS_ON).await?;
    let Some(first) = found.first() else { return Ok(()) };
    let mut add = |hrefs: Vec<String>| {
        for href in hrefs {
            if !homes.contains(&href) {
                homes.push(href);
            }
        }
    };
    let own = homes_of(first);
    if place != "/" && !WELL_KNOWN.contains(&place) && own.is_empty() && is_collection(first) {
        add(vec![place.to_owned()]);
        return Ok(());
    }
    match first.property(DAV, "current-user-principal").and_then(first_href).filter(|_| own.is_empty()) {
        Some(principal) => {
            let about = ask(client, &principal, "0", LEADS_ON).await?;
            add(about.first().map(homes_of).unwrap_or_default());
        }
        None => add(own),
    }
    Ok(())
}

pub(super) fn is_collection(response: &Response) -> bool {
    response.property(DAV, "resourcetype").is_some_and(|kinds| kinds.dav("collection").is_some())
}

fn homes_of(response: &Response) -> Vec<String> {
    let sets = [(CALDAV, "calendar-home-set"), (CARDDAV, "addressbook-home-set")];
    let found = sets.iter().filter_map(|(namespace, local)| response.property(namespace, local));
    found.flat_map(hrefs).collect()
}

fn hrefs(property: &Element) -> Vec<String> {
    let found = property.elements().filter(|element| element.name.is(DAV, "href"));
    found.filter_map(|element| Some(href::path_of(&element.text())?.to_owned())).collect()
}

fn first_href(property: &Element) -> Option<String> {
    hrefs(property).into_iter().next()
}

/// All collections in a home; the home itself may be one.
async fn look_into(client: &mut Client, home: &str, found: &mut Found) -> Result<(), SourceError> {
    let responses = ask(client, home, "1", ABOUT).await?;
    let owner = responses.first().and_then(|first| first.property(DAV, "owner")).and_then(first_href);
    for response in &responses {
        let Some(path) = href::path_of(&response.href).map(with_slash) else { continue };
        if found.collections.iter().any(|known| known.path == path) {
            continue;
        }
        let name = name_of(response, &path);
        match kind_of(response) {
            Ok(None) => {}
            Ok(Some(_)) if found.collections.len() >= COLLECTIONS_MAX => {
                return Err(SourceError::Protocol(format!("{home} has more than {COLLECTIONS_MAX} collections")));
            }
            Ok(Some(kind)) => {
                // Others' come with those others.
                let whose = response.property(DAV, "owner").and_then(first_href);
                if let (Some(whose), Some(owner)) = (&whose, &owner)
                    && with_slash(whose) != with_slash(owner)
                {
                    found
                        .passed_over
                        .push(format!("{name}: it belongs to {whose}; share it again when that one is here"));
                    continue;
                }
                found.collections.push(collection(response, path, name, kind));
            }
            Err(why) => found.passed_over.push(format!("{name}: {why}")),
        }
    }
    Ok(())
}

fn with_slash(path: &str) -> String {
    if path.ends_with('/') { path.to_owned() } else { format!("{path}/") }
}

fn name_of(response: &Response, path: &str) -> String {
    let shown = response.property(DAV, "displayname").map(|name| name.text().trim().to_owned());
    let last = || href::parts(path).ok().and_then(|(parts, _)| parts.last().cloned());
    let name = shown.filter(|name| !name.is_empty()).or_else(last).unwrap_or_else(|| "Imported".to_owned());
    name.replace('/', "_").chars().filter(|c| !c.is_control()).collect()
}

/// What it is here: `None` when it is neither calendar nor address book, and why when it is one that doesn't come.
fn kind_of(response: &Response) -> Result<Option<ContainerKind>, &'static str> {
    let Some(kinds) = response.property(DAV, "resourcetype") else { return Ok(None) };
    if kinds.carddav("addressbook").is_some() {
        return Ok(Some(ContainerKind::AddressBook));
    }
    if kinds.find(CALENDARSERVER, "subscribed").is_some() {
        return Err("it is subscribed to from elsewhere; subscribe to it here");
    }
    let is_of_scheduling = ["schedule-inbox", "schedule-outbox"].iter().any(|name| kinds.caldav(name).is_some());
    if kinds.caldav("calendar").is_none() || is_of_scheduling {
        return Ok(None);
    }
    Ok(Some(match &components(response)[..] {
        [only] if only == "VTODO" => ContainerKind::Tasks,
        [only] if only == "VJOURNAL" => ContainerKind::Notes,
        _ => ContainerKind::Calendar,
    }))
}

/// What can be in a calendar; nothing when the server doesn't say.
fn components(response: &Response) -> Vec<String> {
    let Some(set) = response.property(CALDAV, "supported-calendar-component-set") else { return Vec::new() };
    let named = set.elements().filter(|element| element.name.is(CALDAV, "comp"));
    let names = named.filter_map(|comp| Some(comp.attribute("name")?.to_ascii_uppercase()));
    names.filter(|name| matches!(name.as_str(), "VEVENT" | "VTODO" | "VJOURNAL")).collect()
}

fn collection(response: &Response, path: String, name: String, kind: ContainerKind) -> SourceCollection {
    let mut properties = BTreeMap::new();
    let mut keep = |element: &Element| {
        let mut xml = String::new();
        element.write(&mut xml);
        if xml.len() <= PROPERTY_BYTES_MAX {
            properties.insert(element.name.clark(), xml);
        }
    };
    for (namespace, local) in KEPT {
        if let Some(found) = response.property(namespace, local).filter(|found| !found.text().trim().is_empty()) {
            keep(found);
        }
    }
    // One for several kinds stays one for several kinds.
    if kind == ContainerKind::Calendar && components(response).len() > 1 {
        response.property(CALDAV, "supported-calendar-component-set").into_iter().for_each(keep);
    }
    let mark = [(DAV, "sync-token"), (CALENDARSERVER, "getctag")].iter().find_map(|(namespace, local)| {
        let text = response.property(namespace, local)?.text().trim().to_owned();
        (!text.is_empty()).then_some(text)
    });
    SourceCollection { path, name, kind, mark, is_first: false, properties }
}

/// Of each kind the only one, or the one that is called as usual, is the one that the user had from the beginning.
fn mark_first(collections: &mut [SourceCollection]) {
    for kind in [ContainerKind::Calendar, ContainerKind::Tasks, ContainerKind::AddressBook] {
        let of_kind: Vec<usize> = (0..collections.len()).filter(|at| collections[*at].kind == kind).collect();
        let is_usual = |at: &&usize| {
            let (parts, _) = href::parts(&collections[**at].path).unwrap_or_default();
            parts.last().is_some_and(|last| USUAL.contains(&last.to_lowercase().as_str()))
        };
        let first = if let [only] = of_kind[..] { Some(only) } else { of_kind.iter().find(is_usual).copied() };
        if let Some(first) = first {
            collections[first].is_first = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(kinds: &str, more: &str) -> Response {
        let text = format!(
            "<D:multistatus xmlns:D='DAV:' xmlns:C='{CALDAV}' xmlns:A='{CARDDAV}' xmlns:S='{CALENDARSERVER}'>\
             <D:response><D:href>/ana/work/</D:href><D:propstat><D:prop><D:resourcetype><D:collection/>{kinds}\
             </D:resourcetype>{more}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"
        );
        let mut all = Vec::new();
        multistatus::read(text.as_bytes(), |response| all.push(response)).unwrap();
        all.remove(0)
    }

    #[test]
    fn collections_are_what_their_server_says() {
        let set = |names: &[&str]| {
            let comps: String = names.iter().map(|name| format!("<C:comp name='{name}'/>")).collect();
            format!("<C:supported-calendar-component-set>{comps}</C:supported-calendar-component-set>")
        };
        let kind = |kinds: &str, more: &str| kind_of(&found(kinds, more));
        assert_eq!(kind("<C:calendar/>", ""), Ok(Some(ContainerKind::Calendar)));
        assert_eq!(kind("<C:calendar/>", &set(&["VTODO"])), Ok(Some(ContainerKind::Tasks)));
        assert_eq!(kind("<C:calendar/>", &set(&["VJOURNAL"])), Ok(Some(ContainerKind::Notes)));
        assert_eq!(kind("<C:calendar/>", &set(&["VEVENT", "VTODO"])), Ok(Some(ContainerKind::Calendar)));
        assert_eq!(kind("<A:addressbook/>", ""), Ok(Some(ContainerKind::AddressBook)));
        assert_eq!((kind("", ""), kind("<C:schedule-inbox/><C:calendar/>", "")), (Ok(None), Ok(None)));
        assert!(kind("<C:calendar/><S:subscribed/>", "").is_err());
        let mixed = found("<C:calendar/>", &set(&["VEVENT", "VTODO"]));
        let made = collection(&mixed, "/ana/work/".to_owned(), "work".to_owned(), ContainerKind::Calendar);
        assert!(made.properties.keys().any(|name| name.ends_with("supported-calendar-component-set")), "{made:?}");
    }

    #[test]
    fn a_collection_is_called_as_people_call_it() {
        assert_eq!(name_of(&found("", "<D:displayname>Work / Home</D:displayname>"), "/ana/x/"), "Work _ Home");
        assert_eq!(name_of(&found("", "<D:displayname> </D:displayname>"), "/ana/f%C3%BCr%20alle/"), "für alle");
    }

    #[test]
    fn the_one_that_was_there_from_the_beginning_is_known() {
        let one = |path: &str, kind| SourceCollection {
            path: path.to_owned(),
            name: String::new(),
            kind,
            mark: None,
            is_first: false,
            properties: BTreeMap::new(),
        };
        let (calendar, book) = (ContainerKind::Calendar, ContainerKind::AddressBook);
        let mut all = [one("/a/work/", calendar), one("/a/Default/", calendar), one("/b/any/", book)];
        mark_first(&mut all);
        assert_eq!(all.map(|one| one.is_first), [false, true, true]);
        let mut all = [one("/a/work/", calendar), one("/a/home/", calendar)];
        mark_first(&mut all);
        assert_eq!(all.map(|one| one.is_first), [false, false]);
    }
}
