//! Properties of principals, of homes, and of the collections above them.

use sterna_account::Rights;
use sterna_account::calendars::{INBOX, OUTBOX};
use sterna_account::scheduling::CalendarUser;
use sterna_formats::dav::Name;
use sterna_formats::dav::name::{CALDAV, CARDDAV, DAV};
use sterna_formats::dav::write;

use super::privileges::{self, privileges_of};
use super::{Value, href, text};
use crate::dav::context::{Context, Home};
use crate::dav::paths::{self, Space};

/// What everything has that is in no account, or above what is.
fn common(context: &Context, name: &Name) -> Option<Value> {
    match (&*name.namespace, &*name.local) {
        (DAV, "current-user-principal") => Some(href(&paths::principal(&context.login.address))),
        (DAV, "principal-collection-set") => Some(href("/dav/principals/users/")),
        (DAV, "supported-privilege-set") => Some(Value::Inner(privileges::SUPPORTED.to_owned())),
        // Clients look for these at any place.
        (CALDAV, "calendar-home-set") => Some(href(&paths::home(Space::Calendars, &context.login.address))),
        (CARDDAV, "addressbook-home-set") => Some(href(&paths::home(Space::AddressBooks, &context.login.address))),
        _ => None,
    }
}

/// Of a collection that is in no account.
pub fn virtual_collection(context: &Context, title: &str, name: &Name) -> Option<Value> {
    match (&*name.namespace, &*name.local) {
        (DAV, "resourcetype") => Some(Value::Inner("<D:collection/>".to_owned())),
        (DAV, "displayname") => Some(text(title)),
        (DAV, "current-user-privilege-set") => Some(Value::Inner(privileges_of(Rights::READ | Rights::LOOKUP))),
        (DAV, "supported-report-set") => Some(Value::Inner(reports(&PRINCIPAL_REPORTS))),
        _ => common(context, name),
    }
}

/// What it may have.
pub fn virtual_names() -> Vec<Name> {
    let names = ["resourcetype", "displayname", "current-user-principal", "principal-collection-set"];
    names.map(Name::dav).to_vec()
}

/// Of somebody.
pub fn principal(context: &Context, home: &Home, user: &CalendarUser, name: &Name) -> Option<Value> {
    let own = paths::principal(&home.address);
    let collection = |name: &str| paths::within(Space::Calendars, &home.address, [name], true);
    match (&*name.namespace, &*name.local) {
        (DAV, "resourcetype") => Some(Value::Inner("<D:collection/><D:principal/>".to_owned())),
        (DAV, "displayname") => Some(text(&home.address)),
        (DAV, "principal-URL") => Some(href(&own)),
        (DAV, "owner") => Some(href(&own)),
        (DAV, "alternate-URI-set" | "group-membership" | "group-member-set") => Some(Value::Inner(String::new())),
        (DAV, "current-user-privilege-set") => Some(Value::Inner(privileges_of(Rights::READ | Rights::LOOKUP))),
        (DAV, "supported-report-set") => Some(Value::Inner(reports(&PRINCIPAL_REPORTS))),
        (CALDAV, "calendar-home-set") => Some(href(&paths::home(Space::Calendars, &home.address))),
        (CARDDAV, "addressbook-home-set") => Some(href(&paths::home(Space::AddressBooks, &home.address))),
        (CALDAV, "calendar-user-address-set") => {
            let mut xml = String::new();
            let others = user.addresses.iter().filter(|address| **address != home.address);
            for address in std::iter::once(&home.address).chain(others) {
                write::href(&format!("mailto:{address}"), &mut xml);
            }
            write::href(&own, &mut xml);
            Some(Value::Inner(xml))
        }
        (CALDAV, "calendar-user-type") => Some(text(user.kind.name())),
        (CALDAV, "schedule-inbox-URL") => Some(href(&collection(INBOX))),
        (CALDAV, "schedule-outbox-URL") => Some(href(&collection(OUTBOX))),
        _ => common(context, name),
    }
}

/// What it may have.
pub fn principal_names() -> Vec<Name> {
    let mut names = virtual_names();
    names.extend(["principal-URL", "owner", "group-membership"].map(Name::dav));
    names.extend(
        ["calendar-home-set", "calendar-user-address-set", "schedule-inbox-URL", "schedule-outbox-URL"]
            .map(Name::caldav),
    );
    names.push(Name::carddav("addressbook-home-set"));
    names
}

/// Of a home.
pub fn home(context: &Context, home: &Home, space: Space, name: &Name) -> Option<Value> {
    match (&*name.namespace, &*name.local) {
        (DAV, "resourcetype") => Some(Value::Inner("<D:collection/>".to_owned())),
        (DAV, "displayname") => Some(text(&home.address)),
        (DAV, "owner") => Some(href(&paths::principal(&home.address))),
        (DAV, "current-user-privilege-set") => {
            let rights = if home.is_own() { Rights::ALL } else { Rights::READ | Rights::LOOKUP };
            Some(Value::Inner(privileges_of(rights)))
        }
        (DAV, "supported-report-set") => Some(Value::Inner(reports(&PRINCIPAL_REPORTS))),
        (CALDAV, "supported-calendar-component-sets") if space == Space::Calendars => {
            let set = |name: &str| {
                format!(
                    "<C:supported-calendar-component-set><C:comp name=\"{name}\"/></C:supported-calendar-component-set>"
                )
            };
            Some(Value::Inner(["VEVENT", "VTODO", "VJOURNAL"].map(set).concat()))
        }
        _ => common(context, name),
    }
}

/// What it may have.
pub fn home_names() -> Vec<Name> {
    let mut names = virtual_names();
    names.extend(["owner", "current-user-privilege-set"].map(Name::dav));
    names
}

/// Reports that everything answers.
pub const PRINCIPAL_REPORTS: [&str; 5] = [
    "D:expand-property",
    "D:principal-match",
    "D:principal-property-search",
    "D:principal-search-property-set",
    "D:acl-principal-prop-set",
];

/// `DAV:supported-report-set`
pub fn reports(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("<D:supported-report><D:report><{name}/></D:report></D:supported-report>"))
        .collect()
}
