//! Which properties are told of many resources: worked out once, then applied to each.

use std::sync::Arc;

use sterna_account::calendars::default_calendar;
use sterna_account::{Item, ItemParts};
use sterna_formats::calendar::partial::CalendarData;
use sterna_formats::card::AddressData;
use sterna_formats::dav::name::{CALDAV, CARDDAV, DAV};
use sterna_formats::dav::report::{address_data, calendar_data};
use sterna_formats::dav::request::{Propfind, Wanted};
use sterna_formats::dav::{Name, write};

use super::{ALLPROP, Value, collection, item, principal};
use crate::dav::answer::Problem;
use crate::dav::context::{Context, Home};
use crate::dav::locks::Locks;
use crate::dav::paths::{self, Space};
use crate::dav::resource::Collection;
use crate::dav::stored::Stored;

/// What is told.
#[derive(Clone, Debug)]
pub struct Selection {
    kind: Kind,
    names: Vec<Name>,
    /// How calendar objects are told, if they are.
    pub calendar_data: Option<CalendarData>,
    /// The same of cards.
    pub address_data: Option<AddressData>,
    minimal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Named,
    All,
    NamesOnly,
}

impl Selection {
    /// From a request.
    ///
    /// # Errors
    /// `400` when conditions of a property make no sense.
    pub fn of(wanted: &Propfind, minimal: bool) -> Result<Self, Problem> {
        let (kind, props): (_, &[Wanted]) = match wanted {
            Propfind::Prop(props) => (Kind::Named, props),
            Propfind::AllProp(props) => (Kind::All, props),
            Propfind::PropName => (Kind::NamesOnly, &[]),
        };
        let mut selection = Selection { kind, names: Vec::new(), calendar_data: None, address_data: None, minimal };
        for wanted in props {
            let conditions = wanted.element.as_ref();
            if wanted.name.is(CALDAV, "calendar-data") {
                let data = conditions.map(calendar_data).transpose();
                selection.calendar_data =
                    Some(data.map_err(|error| Problem::bad_request(error.to_string()))?.unwrap_or_default());
            }
            if wanted.name.is(CARDDAV, "address-data") {
                let data = conditions.map(address_data).transpose();
                selection.address_data =
                    Some(data.map_err(|error| Problem::bad_request(error.to_string()))?.unwrap_or_default());
            }
            selection.names.push(wanted.name.clone());
        }
        Ok(selection)
    }

    /// What must be read of items.
    pub fn parts(&self) -> ItemParts {
        let body = self.calendar_data.is_some() || self.address_data.is_some();
        ItemParts { summary: true, body, summary_start: false }
    }

    fn wants(&self, namespace: &str, local: &str) -> bool {
        self.kind == Kind::All || self.names.iter().any(|name| name.is(namespace, local))
    }

    /// Whether something that clients set may be asked for.
    fn wants_stored(&self) -> bool {
        let is_ours = |name: &Name| {
            matches!(&*name.namespace, DAV | CALDAV | CARDDAV)
                && super::is_protected(name)
                && !name.is(CALDAV, "supported-calendar-component-set")
        };
        self.kind != Kind::Named || !self.names.iter().all(is_ours)
    }

    /// What of an answer is told: the found and the missing ones.
    fn write(
        &self,
        href: &str,
        known: impl FnOnce() -> Vec<Name>,
        value: impl Fn(&Name) -> Option<Value>,
        out: &mut String,
    ) {
        let (mut found, mut missing) = (String::new(), String::new());
        if self.kind == Kind::NamesOnly {
            for name in known().iter().filter(|name| value(name).is_some()) {
                write::empty(name, &mut found);
            }
            return write::response(href, &[("200 OK", &found)], out);
        }
        let mut tell = |name: &Name, is_asked: bool| match value(name) {
            Some(Value::Inner(xml)) => write::element(name, &xml, &mut found),
            Some(Value::Element(xml)) => found.push_str(&xml),
            None if is_asked && !self.minimal => write::empty(name, &mut missing),
            None => {}
        };
        if self.kind == Kind::All {
            let is_usual = |name: &&Name| match &*name.namespace {
                DAV => ALLPROP.contains(&&*name.local),
                CALDAV | CARDDAV => false,
                _ => true,
            };
            let known = known();
            for name in known.iter().filter(is_usual).filter(|name| !self.names.contains(name)) {
                tell(name, false);
            }
        }
        self.names.iter().for_each(|name| tell(name, true));
        write::response(href, &[("200 OK", &found), ("404 Not Found", &missing)], out);
    }
}

/// Tells properties; holds what many resources of one account have in common.
pub struct Teller {
    pub context: Arc<Context>,
    pub selection: Selection,
}

/// What must be known of a collection before properties of it and of what is in it are told.
#[derive(Default)]
pub struct Background {
    pub stored: Stored,
    pub locks: Option<Locks>,
    pub quota: Option<sterna_account::Quota>,
    pub owners: std::collections::HashMap<sterna_base::AccountId, String>,
    /// Of a scheduling inbox: the path of the calendar that invitations go to.
    pub default_calendar: Option<String>,
}

impl Teller {
    /// Reads what is needed for a collection.
    ///
    /// # Errors
    /// When the account can't be read.
    pub async fn background(&self, collection: &Collection) -> Result<Background, Problem> {
        let account = collection.home.account.as_ref();
        let mut background = Background::default();
        let selection = &self.selection;
        if selection.wants_stored() {
            background.stored = Stored::read(account, collection.container.id).await?;
        }
        if selection.wants(DAV, "lockdiscovery") {
            background.locks = Some(Locks::read(account, self.context.now()).await?);
        }
        let asks_quota = |name: &Name| name.is(DAV, "quota-available-bytes") || name.is(DAV, "quota-used-bytes");
        if selection.names.iter().any(asks_quota) {
            background.quota = Some(account.head().await?.quota);
        }
        if selection.names.iter().any(|name| name.is(CALDAV, "schedule-default-calendar-URL"))
            && collection.container.kind == sterna_account::ContainerKind::ScheduleInbox
        {
            let first = default_calendar(account, sterna_formats::calendar::Kind::Event).await?;
            let address = &collection.home.address;
            background.default_calendar = Some(paths::within(Space::Calendars, address, [first.name.as_str()], true));
        }
        if selection.names.iter().any(|name| name.is(DAV, "acl")) {
            let entries = collection.container.acl.entries().iter();
            let ids = entries.filter_map(|entry| match entry.identifier {
                sterna_account::Identifier::Entry(id) => Some(id),
                sterna_account::Identifier::Anyone => None,
            });
            background.owners = self.context.addresses(ids.collect()).await?;
        }
        Ok(background)
    }

    /// Tells of a collection.
    pub fn collection(&self, collection: &Collection, background: &Background, out: &mut String) {
        let value = |name: &Name| collection::value(&self.context, collection, background, name);
        let known = || collection::names(background);
        self.selection.write(&collection.href(), known, value, out);
    }

    /// Tells of an item; `data` is its object as it was asked for.
    pub fn item(
        &self,
        collection: &Collection,
        item: &Item,
        background: &Background,
        data: Option<&str>,
        out: &mut String,
    ) {
        let href = collection.href_of(item.name.as_deref().unwrap_or_default());
        let value = |name: &Name| item::value(&self.context, collection, item, background, data, name);
        let known = || item::names(item, background);
        self.selection.write(&href, known, value, out);
    }

    /// Tells of a principal.
    pub async fn principal(&self, home: &Home, href: &str, out: &mut String) {
        let is_asked =
            |name: &Name| name.is(CALDAV, "calendar-user-address-set") || name.is(CALDAV, "calendar-user-type");
        let user = match &self.context.shared.scheduling {
            Some(scheduling) if self.selection.names.iter().any(is_asked) => scheduling.user(home.account.id()).await,
            _ => None,
        };
        let user = user.unwrap_or_default();
        let value = |name: &Name| principal::principal(&self.context, home, &user, name);
        self.selection.write(href, principal::principal_names, value, out);
    }

    /// Tells of a home.
    pub fn home(&self, home: &Home, space: Space, href: &str, out: &mut String) {
        let value = |name: &Name| principal::home(&self.context, home, space, name);
        self.selection.write(href, principal::home_names, value, out);
    }

    /// Tells of a collection that is in no account.
    pub fn virtual_collection(&self, href: &str, title: &str, out: &mut String) {
        let value = |name: &Name| principal::virtual_collection(&self.context, title, name);
        self.selection.write(href, principal::virtual_names, value, out);
    }
}
