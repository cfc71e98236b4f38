//! Properties of principals, of homes, and of the collections above them.

use sterna_account::Rights;
use sterna_account::calendars::{INBOX, OUTBOX};
use sterna_account::scheduling::CalendarUser;
use sterna_formats::dav::Name;
use sterna_formats::dav::name::{CALDAV, CALENDARSERVER, CARDDAV, DAV};
use sterna_formats::dav::write;

use super::privileges::{self, privileges_of, privileges_on_principal};
use super::{Value, href, text};
use crate::dav::context::{Context, Home};
use crate::dav::paths::{self, Proxy, Space};
use crate::dav::principals::Crowd;

/// What must be known of a principal before properties of it are told; what was not asked for is not read.
#[derive(Default)]
pub struct Known {
    /// The groups that it is in, as paths.
    pub groups: Vec<String>,
    /// Those whose calendars it may read, and those whose it may write.
    pub proxy_for: [Vec<String>; 2],
    /// What the user may do with its default calendar.
    pub rights: Rights,
}

/// A value that is hrefs.
fn hrefs(paths: &[String]) -> Value {
    let mut xml = String::new();
    paths.iter().for_each(|path| write::href(path, &mut xml));
    Value::Inner(xml)
}

/// What everything has that is in no account, or above what is.
fn common(context: &Context, name: &Name) -> Option<Value> {
    match (&*name.namespace, &*name.local) {
        (DAV, "current-user-principal") => Some(href(&paths::principal(&context.login.address))),
        (DAV, "principal-collection-set") => Some(href("/dav/principals/users/")),
        (DAV, "supported-privilege-set") => Some(Value::Inner(privileges::supported())),
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
pub fn principal(context: &Context, home: &Home, user: &CalendarUser, known: &Known, name: &Name) -> Option<Value> {
    let own = paths::principal(&home.address);
    let collection = |name: &str| paths::within(Space::Calendars, &home.address, [name], true);
    match (&*name.namespace, &*name.local) {
        (DAV, "resourcetype") => Some(Value::Inner("<D:collection/><D:principal/>".to_owned())),
        (DAV, "displayname") => Some(text(&home.address)),
        (DAV, "principal-URL") => Some(href(&own)),
        (DAV, "owner") => Some(href(&own)),
        (DAV, "alternate-URI-set" | "group-member-set") => Some(Value::Inner(String::new())),
        (DAV, "group-membership") => Some(hrefs(&known.groups)),
        (CALENDARSERVER, "calendar-proxy-read-for") => Some(hrefs(&known.proxy_for[0])),
        (CALENDARSERVER, "calendar-proxy-write-for") => Some(hrefs(&known.proxy_for[1])),
        (DAV, "current-user-privilege-set") => Some(Value::Inner(privileges_on_principal(known.rights))),
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
    names.extend(["calendar-proxy-read-for", "calendar-proxy-write-for"].map(|name| Name::new(CALENDARSERVER, name)));
    names
}

/// Of a group, or of everybody in a domain. Who is in it is not told: that is for the directory's books to say.
pub fn crowd(context: &Context, crowd: &Crowd, name: &Name) -> Option<Value> {
    match (&*name.namespace, &*name.local) {
        (DAV, "resourcetype") => Some(Value::Inner("<D:collection/><D:principal/>".to_owned())),
        (DAV, "displayname") => Some(text(&crowd.title)),
        (DAV, "principal-URL") => Some(href(&crowd.href)),
        (DAV, "alternate-URI-set" | "group-membership") => Some(Value::Inner(String::new())),
        (DAV, "current-user-privilege-set") => Some(Value::Inner(privileges_on_principal(Rights::NONE))),
        (DAV, "supported-report-set") => Some(Value::Inner(reports(&PRINCIPAL_REPORTS))),
        (CALDAV, "calendar-user-address-set") => {
            let address = crowd.address.as_ref()?;
            Some(hrefs(&[format!("mailto:{address}"), crowd.href.clone()]))
        }
        (CALDAV, "calendar-user-type") => Some(text("GROUP")),
        (CALDAV, "calendar-home-set") | (CARDDAV, "addressbook-home-set") => None,
        _ => common(context, name),
    }
}

/// Of those who act for somebody; `members` are paths of principals, for who may know them.
pub fn proxy(context: &Context, home: &Home, proxy: Proxy, members: Option<&[String]>, name: &Name) -> Option<Value> {
    match (&*name.namespace, &*name.local) {
        (DAV, "resourcetype") => Some(Value::Inner(format!("<D:collection/><D:principal/><S:{}/>", proxy.part()))),
        (DAV, "displayname") => Some(text(proxy.part())),
        (DAV, "principal-URL") => Some(href(&paths::proxy(&home.address, proxy))),
        (DAV, "owner") => Some(href(&paths::principal(&home.address))),
        (DAV, "group-member-set") => members.map(hrefs),
        (DAV, "group-membership" | "alternate-URI-set") => Some(Value::Inner(String::new())),
        (DAV, "supported-report-set") => Some(Value::Inner(reports(&PRINCIPAL_REPORTS))),
        (CALDAV, "calendar-home-set") | (CARDDAV, "addressbook-home-set") => None,
        _ => common(context, name),
    }
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
