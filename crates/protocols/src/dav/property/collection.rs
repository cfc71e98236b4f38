//! Properties of calendars, address books and folders of files.

use sterna_account::{ContainerKind, Rights};
use sterna_formats::calendar::Kind;
use sterna_formats::calendar::itip::PRODUCT;
use sterna_formats::calendar::zone_text::definition;
use sterna_formats::content_line;
use sterna_formats::content_line::OBJECT_BYTES_MAX;
use sterna_formats::content_line::filter::Collation;
use sterna_formats::dav::name::{CALDAV, CALENDARSERVER, CARDDAV, DAV};
use sterna_formats::dav::{Element, Name};

use super::principal::{PRINCIPAL_REPORTS, reports};
use super::privileges::{self, privileges_of};
use super::selection::Background;
use super::{Value, href, text};
use crate::dav::context::Context;
use crate::dav::home;
use crate::dav::limits::{ATTACHMENT_BYTES_MAX, ATTACHMENTS_MAX};
use crate::dav::method::post::ADD_MEMBER;
use crate::dav::mounted::{Away, title};
use crate::dav::paths::{self, Space};
use crate::dav::resource::Collection;
use crate::dav::stored::Stored;

/// What a collection says of itself; `None` when it has no such property.
pub fn value(context: &Context, collection: &Collection, background: &Background, name: &Name) -> Option<Value> {
    let container = &collection.container;
    let inner = |xml: String| Some(Value::Inner(xml));
    match (&*name.namespace, &*name.local) {
        (DAV, "resourcetype") => inner(resource_type(collection).to_owned()),
        (DAV, "sync-token") | (CALENDARSERVER, "getctag") => Some(text(&collection.sync_token())),
        // RFC 5995 section 3.2.1.
        (DAV, "add-member") => Some(href(&format!("{}?{ADD_MEMBER}", collection.href()))),
        (DAV, "owner") => Some(href(&collection.home.principal())),
        (DAV, "current-user-principal") => Some(href(&paths::principal(&context.login.address))),
        (DAV, "principal-collection-set") => Some(href("/dav/principals/users/")),
        (DAV, "current-user-privilege-set") => inner(privileges_of(collection.rights)),
        (DAV, "supported-privilege-set") => inner(privileges::supported()),
        (DAV, "acl") if collection.rights.has(Rights::ADMINISTER) => {
            let owner = collection.home.principal();
            inner(privileges::acl(&owner, &container.acl, &background.principals, None))
        }
        (DAV, "acl-restrictions") => inner(privileges::RESTRICTIONS.to_owned()),
        (DAV, "inherited-acl-set") => inner(String::new()),
        (DAV, "supported-report-set") => inner(supported_reports(collection.space, container.kind)),
        (DAV, "supportedlock") => inner(super::item::SUPPORTED_LOCK.to_owned()),
        (DAV, "lockdiscovery") => inner(background.locks.as_ref()?.discovery(&collection.canonical(None))),
        (DAV, "quota-used-bytes") => inner(background.quota?.bytes_used.to_string()),
        (DAV, "quota-available-bytes") => {
            let quota = background.quota?;
            inner(quota.bytes_max?.saturating_sub(quota.bytes_used).to_string())
        }
        (DAV, "displayname") if collection.mount().is_some() && !background.is_named => {
            let of_owner = background.stored.text(name);
            let name = of_owner.as_deref().or(collection.path.last().map(String::as_str)).unwrap_or(home::FILES);
            Some(text(&title(name, &collection.home.address)))
        }
        (DAV, "displayname") if background.stored.get(None, name).is_none() => {
            let shown = collection.path.last().map_or(collection.home.address.as_str(), String::as_str);
            Some(text(shown))
        }
        // A URL that nobody guesses is as good as a password.
        (CALENDARSERVER, "source") if !collection.home.is_own() => None,
        (CALDAV, "schedule-default-calendar-URL") if container.kind == ContainerKind::ScheduleInbox => {
            match (background.stored.get(None, name), &background.default_calendar) {
                (Some(chosen), _) => Some(Value::Element(chosen.to_owned())),
                (None, Some(first)) => Some(href(first)),
                (None, None) => None,
            }
        }
        (CALDAV, _) if collection.space == Space::Calendars => calendar_value(container.kind, background, name),
        (CARDDAV, "supported-address-data") if collection.space == Space::AddressBooks => inner(
            ["3.0", "4.0"]
                .map(|version| format!("<A:address-data-type content-type=\"text/vcard\" version=\"{version}\"/>"))
                .concat(),
        ),
        (CARDDAV, "max-resource-size") if collection.space == Space::AddressBooks => {
            inner(OBJECT_BYTES_MAX.to_string())
        }
        (CARDDAV, "supported-collation-set") => inner(collations("A")),
        _ => background.stored.get(None, name).map(|xml| Value::Element(xml.to_owned())),
    }
}

/// What is told of a collection whose owner's server is away: what it is, and what it is called. `None` for what only
/// that server knows.
pub fn away(context: &Context, away: &Away, name: &Name) -> Option<Value> {
    let inner = |xml: &str| Some(Value::Inner(xml.to_owned()));
    match (&*name.namespace, &*name.local) {
        (DAV, "resourcetype") => inner(type_of(away.space)),
        (DAV, "owner") => Some(href(&paths::principal(&away.seen.owner))),
        (DAV, "current-user-principal") => Some(href(&paths::principal(&context.login.address))),
        (DAV, "principal-collection-set") => Some(href("/dav/principals/users/")),
        (DAV, "supported-report-set") => inner(&supported_reports(away.space, away.seen.kind)),
        (DAV, "displayname") => {
            let own = away.get(name).and_then(|xml| Element::parse(xml.as_bytes()).ok()).map(|element| element.text());
            let is_own = away.is_named();
            let shown = own.unwrap_or_else(|| away.seen.name.clone());
            Some(text(&if is_own { shown } else { title(&shown, &away.seen.owner) }))
        }
        (CALDAV, "supported-calendar-component-set") => match away.get(name) {
            Some(xml) => Some(Value::Element(xml)),
            None => {
                let of = |kind: &Kind| format!("<C:comp name=\"{}\"/>", kind.name());
                inner(&default_components(away.seen.kind).iter().map(of).collect::<String>())
            }
        },
        _ => away.get(name).map(Value::Element),
    }
}

fn calendar_value(kind: ContainerKind, background: &Background, name: &Name) -> Option<Value> {
    let inner = |xml: String| Some(Value::Inner(xml));
    match &*name.local {
        "schedule-calendar-transp"
            if kind == ContainerKind::Calendar && background.stored.get(None, name).is_none() =>
        {
            inner("<C:opaque/>".to_owned())
        }
        // What others do takes none of the owner's time, and birthdays take nobody's.
        "schedule-calendar-transp" if kind == ContainerKind::DerivedCalendar => inner("<C:transparent/>".to_owned()),
        "supported-calendar-component-set" if kind == ContainerKind::ScheduleInbox => {
            inner("<C:comp name=\"VEVENT\"/><C:comp name=\"VTODO\"/>".to_owned())
        }
        "supported-calendar-component-set" => {
            let of = |kind: Kind| format!("<C:comp name=\"{}\"/>", kind.name());
            inner(components(kind, &background.stored).into_iter().map(of).collect())
        }
        // For who knows nothing of names (RFC 7809 section 5.2).
        "calendar-timezone" if background.stored.get(None, name).is_none() => {
            let named = background.stored.text(&Name::caldav("calendar-timezone-id"))?;
            let mut calendar = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n".to_owned();
            calendar.push_str(&format!("PRODID:{PRODUCT}\r\n"));
            content_line::write(&definition(named.trim())?, &mut calendar);
            Some(text(&(calendar + "END:VCALENDAR\r\n")))
        }
        "supported-calendar-data" => {
            inner("<C:calendar-data content-type=\"text/calendar\" version=\"2.0\"/>".to_owned())
        }
        "max-resource-size" => inner(OBJECT_BYTES_MAX.to_string()),
        "min-date-time" => inner("00010101T000000Z".to_owned()),
        "max-date-time" => inner("99991231T000000Z".to_owned()),
        "max-attachment-size" => inner(ATTACHMENT_BYTES_MAX.to_string()),
        "max-attachments-per-resource" => inner(ATTACHMENTS_MAX.to_string()),
        "max-instances" => inner(sterna_formats::calendar::occurrences::INSTANCES_MAX.to_string()),
        "supported-collation-set" => inner(collations("C")),
        _ => background.stored.get(None, name).map(|xml| Value::Element(xml.to_owned())),
    }
}

fn collations(prefix: &str) -> String {
    let of = |collation: Collation| {
        format!("<{prefix}:supported-collation>{}</{prefix}:supported-collation>", collation.name())
    };
    Collation::ALL.map(of).concat()
}

/// What a calendar holds: as it was made, or what its kind is for.
pub fn components(kind: ContainerKind, stored: &Stored) -> Vec<Kind> {
    let set = stored.get(None, &Name::caldav("supported-calendar-component-set"));
    match set.and_then(|xml| Element::parse(xml.as_bytes()).ok()) {
        Some(set) => components_of(&set),
        None => default_components(kind),
    }
}

/// The components that a `supported-calendar-component-set` names.
pub fn components_of(set: &Element) -> Vec<Kind> {
    set.elements().filter_map(|comp| Kind::named(comp.attribute("name")?)).collect()
}

/// What a kind of container is for.
pub fn default_components(kind: ContainerKind) -> Vec<Kind> {
    match kind {
        ContainerKind::Tasks => vec![Kind::Task],
        ContainerKind::Notes => vec![Kind::Journal],
        _ => vec![Kind::Event],
    }
}

fn resource_type(collection: &Collection) -> &'static str {
    match collection.container.kind {
        ContainerKind::ScheduleInbox => "<D:collection/><C:schedule-inbox/>",
        ContainerKind::ScheduleOutbox => "<D:collection/><C:schedule-outbox/>",
        _ => type_of(collection.space),
    }
}

fn type_of(space: Space) -> &'static str {
    match space {
        Space::Calendars => "<D:collection/><C:calendar/>",
        Space::AddressBooks => "<D:collection/><A:addressbook/>",
        Space::Files => "<D:collection/>",
    }
}

fn supported_reports(space: Space, kind: ContainerKind) -> String {
    let own: &[&str] = match (space, kind) {
        (Space::Calendars, ContainerKind::ScheduleInbox | ContainerKind::ScheduleOutbox) => {
            &["D:sync-collection", "C:calendar-query", "C:calendar-multiget"]
        }
        (Space::Calendars, _) => &["D:sync-collection", "C:calendar-query", "C:calendar-multiget", "C:free-busy-query"],
        (Space::AddressBooks, _) => &["D:sync-collection", "A:addressbook-query", "A:addressbook-multiget"],
        (Space::Files, _) => &["D:sync-collection"],
    };
    reports(own) + &reports(&PRINCIPAL_REPORTS)
}

/// What it may have.
pub fn names(background: &Background) -> Vec<Name> {
    let mut names: Vec<Name> = [
        "resourcetype",
        "displayname",
        "sync-token",
        "owner",
        "current-user-principal",
        "current-user-privilege-set",
        "supported-report-set",
        "supportedlock",
        "lockdiscovery",
        "principal-collection-set",
    ]
    .map(Name::dav)
    .to_vec();
    names.push(Name::new(CALENDARSERVER, "getctag"));
    names.extend(["supported-calendar-component-set", "supported-calendar-data"].map(Name::caldav));
    names.push(Name::carddav("supported-address-data"));
    let ours = names.clone();
    names.extend(background.stored.names(None).into_iter().filter(|name| !ours.contains(name)));
    names
}
