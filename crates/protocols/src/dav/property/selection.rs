//! Which properties are told of many resources: worked out once, then applied to each.

use std::collections::HashMap;
use std::sync::Arc;

use sterna_account::calendars::default_calendar;
use sterna_account::{Identifier, Item, ItemParts, Rights};
use sterna_formats::calendar::partial::CalendarData;
use sterna_formats::card::AddressData;
use sterna_formats::dav::name::{CALDAV, CALENDARSERVER, CARDDAV, DAV};
use sterna_formats::dav::report::{address_data, calendar_data};
use sterna_formats::dav::request::{Propfind, Wanted};
use sterna_formats::dav::{Name, write};

use super::{ALLPROP, Value, collection, item, principal};
use crate::dav::answer::Problem;
use crate::dav::context::{Context, Home};
use crate::dav::locks::Locks;
use crate::dav::mounted::Away;
use crate::dav::paths::{self, Proxy, Space};
use crate::dav::principals::Crowd;
use crate::dav::proxies;
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
        let says = |name: &Name| name.is(DAV, "getcontenttype") || name.is(CALDAV, "schedule-tag");
        let summary = body || self.kind != Kind::Named || self.names.iter().any(says);
        ItemParts { summary, body, summary_start: false }
    }

    /// Whether it is asked for by which a program knows that something has changed.
    pub fn asks_for_state(&self) -> bool {
        self.wants(DAV, "sync-token") || self.wants(CALENDARSERVER, "getctag")
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
        self.write_with(href, known, value, "404 Not Found", out);
    }

    /// The same, with a status for the missing ones.
    fn write_with(
        &self,
        href: &str,
        known: impl FnOnce() -> Vec<Name>,
        value: impl Fn(&Name) -> Option<Value>,
        missing_status: &str,
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
        write::response(href, &[("200 OK", &found), (missing_status, &missing)], out);
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
    /// Whether the user gave a collection of somebody else a name.
    pub is_named: bool,
    pub locks: Option<Locks>,
    pub quota: Option<sterna_account::Quota>,
    /// Of a scheduling inbox: the path of the calendar that invitations go to.
    pub default_calendar: Option<String>,
    /// The paths of those whom the list of rights names.
    pub principals: HashMap<Identifier, String>,
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
            if let Some(mounted) = collection.mount() {
                let kept = mounted.kept().await?;
                for (name, xml) in kept.properties(mounted.mount) {
                    background.is_named |= name.is(DAV, "displayname");
                    background.stored.put_over(name.clone(), xml.clone());
                }
            }
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
        if selection.names.iter().any(|name| name.is(DAV, "acl")) && collection.rights.has(Rights::ADMINISTER) {
            let entries = collection.container.acl.entries().iter().map(|entry| entry.identifier);
            background.principals = self.context.hrefs(entries).await?;
        }
        Ok(background)
    }

    /// Tells of a collection.
    pub fn collection(&self, collection: &Collection, background: &Background, out: &mut String) {
        let value = |name: &Name| collection::value(&self.context, collection, background, name);
        let known = || collection::names(background);
        self.selection.write(&collection.href(), known, value, out);
    }

    /// Tells of a collection whose owner's server is away.
    pub fn away(&self, away: &Away, out: &mut String) {
        let value = |name: &Name| collection::away(&self.context, away, name);
        let known = || collection::names(&Background::default());
        self.selection.write_with(&away.href(), known, value, "503 Service Unavailable", out);
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
    ///
    /// # Errors
    /// When the directory has no answer.
    pub async fn principal(&self, home: &Home, href: &str, out: &mut String) -> Result<(), Problem> {
        let is_asked =
            |name: &Name| name.is(CALDAV, "calendar-user-address-set") || name.is(CALDAV, "calendar-user-type");
        let user = match &self.context.shared.scheduling {
            Some(scheduling) if self.selection.names.iter().any(is_asked) => scheduling.user(home.account.id()).await,
            _ => None,
        };
        let user = user.unwrap_or_default();
        let known = self.known(home).await?;
        let value = |name: &Name| principal::principal(&self.context, home, &user, &known, name);
        self.selection.write(href, principal::principal_names, value, out);
        Ok(())
    }

    /// Reads what is needed for a principal. Of others, only what the user may do for them is told.
    async fn known(&self, home: &Home) -> Result<principal::Known, Problem> {
        let (mut known, context) = (principal::Known::default(), &self.context);
        let asks = |namespace, local| self.selection.names.iter().any(|name| name.is(namespace, local));
        if asks(DAV, "current-user-privilege-set") {
            known.rights = match home.account.containers().await {
                Ok(all) => proxies::default_calendar(&all).map_or(Rights::NONE, |calendar| home.rights(calendar)),
                // The rest is told while its server is away.
                Err(_) => Rights::NONE,
            };
        }
        if !home.is_own() {
            return Ok(known);
        }
        if asks(DAV, "group-membership") {
            let who = context.who().await?;
            let groups = who.groups.iter().map(|group| Identifier::Entry(*group));
            let all: Vec<Identifier> = groups.chain(who.domain.map(Identifier::Domain)).collect();
            known.groups = context.hrefs(all.into_iter()).await?.into_values().collect();
            known.groups.sort_unstable();
        }
        let kinds = [("calendar-proxy-read-for", Proxy::Read), ("calendar-proxy-write-for", Proxy::Write)];
        for (list, (name, proxy)) in known.proxy_for.iter_mut().zip(kinds) {
            if asks(CALENDARSERVER, name) {
                *list = proxies::for_whom(context, proxy).await?;
            }
        }
        Ok(known)
    }

    /// Tells of those who act for somebody.
    ///
    /// # Errors
    /// When the account or the directory has no answer.
    pub async fn proxy(&self, home: &Home, proxy: Proxy, href: &str, out: &mut String) -> Result<(), Problem> {
        let asks = home.is_own() && self.selection.names.iter().any(|name| name.is(DAV, "group-member-set"));
        let members = if asks {
            let members = proxies::members(home, proxy).await?;
            let hrefs = self.context.hrefs(members.iter().copied()).await?;
            Some(members.iter().filter_map(|member| hrefs.get(member).cloned()).collect::<Vec<String>>())
        } else {
            None
        };
        let value = |name: &Name| principal::proxy(&self.context, home, proxy, members.as_deref(), name);
        self.selection.write(href, principal::virtual_names, value, out);
        Ok(())
    }

    /// Tells of a group, or of everybody in a domain.
    pub fn crowd(&self, crowd: &Crowd, out: &mut String) {
        let value = |name: &Name| principal::crowd(&self.context, crowd, name);
        self.selection.write(&crowd.href, principal::virtual_names, value, out);
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
