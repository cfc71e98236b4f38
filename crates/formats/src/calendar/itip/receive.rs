//! What a message means for what is stored (RFC 5546 sections 2.1 and 3.2).

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::parties::{attendee, attendee_mut, organizer, participation};
use super::view::{id_of, when};
use super::{Message, Method, PRODUCT, address_of, attendees, sequence};
use crate::calendar::occurrences::Series;
use crate::calendar::time::{Moment, add_seconds, instant_of, parse_utc, utc_text};
use crate::calendar::{Calendar, Zone, Zones};
use crate::content_line::{Component, Property};

/// A message that has come for somebody.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// What is stored under the message's UID in a calendar of the owner.
    pub stored: Option<&'a Calendar>,
    /// The message, with its METHOD.
    pub message: &'a Calendar,
    /// Who has sent it, as far as that is known for sure ([`address_of`]).
    pub sender: &'a str,
    /// The address that it was sent to.
    pub recipient: &'a str,
    /// All addresses of the owner, the main one first.
    pub own: &'a [String],
    /// Seconds since 1970.
    pub now_s: i64,
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The object is stored so from now on.
    Put(Component),
    /// Nothing changes by itself; the owner is to see it: a proposal, or that one was refused.
    Shown,
    /// Nothing changes, but something is answered.
    Answered(Box<Message>),
    /// Nothing changes: why.
    Nothing(Ignored),
}

/// Why a message changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// It is not one of RFC 5546, or has nothing in it.
    #[error("it is no message of iTIP that we know")]
    Method,
    /// It is about something that only somebody else may say.
    #[error("its sender has no say in it")]
    Stranger,
    /// There is nothing that it could be about.
    #[error("it is about something that is not here")]
    Unknown,
    /// Something newer was here before.
    #[error("it is older than what is known")]
    Stale,
    /// It has more single times than anybody changes at once.
    #[error("it is about too many single times")]
    TooMuch,
}

/// Most components of one message: each is looked for in what is stored.
const COMPONENTS_MAX: usize = 500;

/// Most properties of the owner's own that an update keeps.
const PRIVATE_MAX: usize = 100;

/// What attendees say for themselves once they have said it.
const OWN: [&str; 2] = ["CLASS", "CATEGORIES"];

/// Most people that one answer brings along.
const DELEGATES_MAX: usize = 5;

impl Received<'_> {
    /// What becomes of it.
    pub fn effect(&self) -> Effect {
        let Some(method) = Method::of(self.message) else { return Effect::Nothing(Ignored::Method) };
        if self.message.objects().nth(COMPONENTS_MAX).is_some() {
            return Effect::Nothing(Ignored::TooMuch);
        }
        let result = match method {
            Method::Publish => Err(Ignored::Method),
            Method::Request => self.may_invite().and_then(|()| self.request()),
            Method::Add => self.is_organizers().and_then(|()| self.add()),
            Method::Cancel => self.is_organizers().and_then(|()| self.cancel()),
            Method::DeclineCounter => self.is_organizers().map(|()| Effect::Shown),
            Method::Reply => self.is_attendees().and_then(|()| self.reply()),
            Method::Counter => self.is_attendees().map(|()| Effect::Shown),
            Method::Refresh => self.is_attendees().and_then(|()| self.refresh()),
        };
        result.unwrap_or_else(Effect::Nothing)
    }

    fn organizer(&self) -> Option<String> {
        self.message.objects().find_map(organizer)
    }

    /// Whether the sender is the organizer, of what is stored, too; or sends for the one who was known to be sent for.
    fn is_organizers(&self) -> Result<(), Ignored> {
        let said = self.organizer().ok_or(Ignored::Stranger)?;
        if self.own.contains(&said) {
            return Err(Ignored::Stranger);
        }
        let lines = |calendar: &Calendar| -> Vec<String> {
            let lines = calendar.objects().filter_map(|object| object.property("ORGANIZER"));
            lines.flat_map(|line| line.parameter("SENT-BY").unwrap_or_default()).map(|by| address_of(by)).collect()
        };
        match self.stored {
            Some(stored) => {
                let known = stored.objects().find_map(organizer);
                let is_sender = self.sender == said || lines(stored).iter().any(|by| by == self.sender);
                if known.as_deref() == Some(&said) && is_sender { Ok(()) } else { Err(Ignored::Stranger) }
            }
            None if self.sender == said || lines(self.message).iter().any(|by| by == self.sender) => Ok(()),
            None => Err(Ignored::Stranger),
        }
    }

    /// Whether the sender is the organizer, or has handed the invitation on.
    fn may_invite(&self) -> Result<(), Ignored> {
        let is_handed_on = || {
            let lines = self.message.objects().filter_map(|object| attendee(object, self.sender));
            let mut to = lines.flat_map(|line| line.parameter("DELEGATED-TO").unwrap_or_default());
            // What is there already is the organizer's: that somebody was handed it on is the sender's word alone.
            let is_new = self.stored.is_none();
            let is_others = self.organizer().is_some_and(|organizer| !self.own.contains(&organizer));
            is_new && is_others && to.any(|address| self.own.contains(&address_of(address)))
        };
        self.is_organizers().or_else(|error| if is_handed_on() { Ok(()) } else { Err(error) })
    }

    /// Whether the sender is an attendee, and the owner the organizer of what is stored.
    fn is_attendees(&self) -> Result<(), Ignored> {
        let stored = self.stored.ok_or(Ignored::Unknown)?;
        let known = stored.objects().find_map(organizer).ok_or(Ignored::Stranger)?;
        let says = self.message.objects().all(|object| attendee(object, self.sender).is_some());
        if self.own.contains(&known) && says { Ok(()) } else { Err(Ignored::Stranger) }
    }

    fn request(&self) -> Result<Effect, Ignored> {
        let mut incoming: Vec<Component> = self.message.objects().cloned().collect();
        if incoming.is_empty() {
            return Err(Ignored::Method);
        }
        incoming.iter_mut().for_each(|component| self.name_owner(component));
        let Some(stored) = self.stored else {
            for component in &mut incoming {
                self.ask_again(component);
                component.components.retain(|below| below.name != "VALARM");
            }
            return Ok(Effect::Put(self.wrapped(incoming, None)));
        };
        let known = by_id(stored);
        let is_whole = incoming.iter().any(|component| component.property("RECURRENCE-ID").is_none());
        let is_newer = |component: &Component| {
            let former = known.get(&id_of(component, &self.message.zones)).or_else(|| known.get(&None));
            former.is_none_or(|former| !is_older(component, former))
        };
        if !incoming.iter().any(is_newer) {
            return Err(Ignored::Stale);
        }
        for component in &mut incoming {
            let id = id_of(component, &self.message.zones);
            match (known.get(&id), known.get(&None)) {
                (Some(former), _) => self.keep_own(former, &stored.zones, component),
                // A time that is changed for the first time was one of the series so far.
                (None, Some(master)) => keep_private(master, component),
                (None, None) => component.components.retain(|below| below.name != "VALARM"),
            }
        }
        if is_whole {
            return Ok(Effect::Put(self.wrapped(incoming, None)));
        }
        let changed: Vec<Component> = incoming.into_iter().filter(is_newer).collect();
        Ok(Effect::Put(self.merged(stored, changed)))
    }

    /// Whoever was invited as one of a group stands in the object, so that an answer can be given (MEMBER, RFC 5545
    /// section 3.2.11).
    fn name_owner(&self, component: &mut Component) {
        let is_named = self.own.iter().any(|own| attendee(component, own).is_some());
        let Some(own) = self.own.first().filter(|_| !is_named) else { return };
        if attendee(component, self.recipient).is_none() {
            return;
        }
        let mut line = Property::new("ATTENDEE", format!("mailto:{own}"));
        line.set_parameter("PARTSTAT", "NEEDS-ACTION");
        line.set_parameter("RSVP", "TRUE");
        line.set_parameter("MEMBER", &format!("mailto:{}", self.recipient));
        component.properties.push(line);
    }

    /// The owner has not answered this: nobody else says so, not the organizer either.
    fn ask_again(&self, component: &mut Component) {
        for own in self.own {
            if let Some(line) = attendee_mut(component, own).filter(|line| participation(line) != "NEEDS-ACTION") {
                line.set_parameter("PARTSTAT", "NEEDS-ACTION");
            }
        }
    }

    /// What is the owner's alone stays: alarms, and the answer while it is to the same question.
    fn keep_own(&self, former: &Component, zones: &Zones, component: &mut Component) {
        keep_private(former, component);
        if when(former, zones) != when(component, &self.message.zones) {
            return self.ask_again(component);
        }
        if let Some(transparency) = former.value("TRANSP") {
            component.set("TRANSP", transparency);
        }
        for own in self.own {
            if let (Some(known), Some(line)) = (attendee(former, own), attendee_mut(component, own)) {
                let answer = participation(known);
                line.set_parameter("PARTSTAT", &answer);
                if answer != "NEEDS-ACTION" {
                    line.remove_parameter("RSVP");
                }
            }
        }
    }

    /// Components as an object, with the zones of the message and of what was stored.
    fn wrapped(&self, components: Vec<Component>, stored: Option<&Calendar>) -> Component {
        let mut zones = stored.map_or_else(Component::default, |stored| stored.root.clone());
        let known = |zones: &Component, name: Option<&str>| {
            zones.components.iter().any(|zone| zone.name == "VTIMEZONE" && zone.value("TZID") == name)
        };
        for zone in self.message.root.components.iter().filter(|component| component.name == "VTIMEZONE") {
            if !known(&zones, zone.value("TZID")) {
                zones.components.push(zone.clone());
            }
        }
        let mut object = super::wrap(None, &zones, components);
        let product = stored.and_then(|stored| stored.root.value("PRODID")).or(self.message.root.value("PRODID"));
        object.set("PRODID", product.unwrap_or(PRODUCT));
        object
    }

    /// What is stored, with these components instead of, or beside, those that it has.
    fn merged(&self, stored: &Calendar, changed: Vec<Component>) -> Component {
        let mut components: Vec<Component> = stored.objects().cloned().collect();
        for component in changed {
            let id = id_of(&component, &self.message.zones);
            let place = components.iter().position(|known| id_of(known, &stored.zones) == id);
            if let (Some(id), Some(master)) = (id, master_of(&mut components)) {
                take_in(master, id, &stored.zones);
            }
            match place {
                Some(place) => components[place] = component,
                None => components.push(component),
            }
        }
        self.wrapped(components, Some(stored))
    }

    /// More times of a series (RFC 5546 section 3.2.4). Whoever lacks the series asks for it.
    fn add(&self) -> Result<Effect, Ignored> {
        let own = self.own.first().ok_or(Ignored::Unknown)?;
        let ask = || {
            let message = super::attendee::refresh(self.message, own, self.now_s).ok_or(Ignored::Method)?;
            Ok(Effect::Answered(Box::new(message)))
        };
        let Some(stored) = self.stored else { return ask() };
        let mut components: Vec<Component> = stored.objects().cloned().collect();
        let Some(master) = master_of(&mut components) else { return ask() };
        let former = sequence(master);
        for added in self.message.objects() {
            if sequence(added) < former {
                return Err(Ignored::Stale);
            }
            let start = added.property("DTSTART").ok_or(Ignored::Method)?.clone();
            let Some(master) = master_of(&mut components) else { return ask() };
            master.properties.push(Property { name: "RDATE".to_owned(), ..start.clone() });
            master.set("SEQUENCE", sequence(added).to_string());
            let mut single = added.clone();
            single.properties.push(Property { name: "RECURRENCE-ID".to_owned(), ..start });
            self.name_owner(&mut single);
            components.push(single);
        }
        Ok(Effect::Put(self.wrapped(components, Some(stored))))
    }

    fn cancel(&self) -> Result<Effect, Ignored> {
        let stored = self.stored.ok_or(Ignored::Unknown)?;
        let mut components: Vec<Component> = stored.objects().cloned().collect();
        let mut is_new = false;
        for cancelled in self.message.objects() {
            let id = id_of(cancelled, &self.message.zones);
            let said = sequence(cancelled);
            match id {
                None => {
                    for component in components.iter_mut().filter(|component| sequence(component) <= said) {
                        component.set("STATUS", "CANCELLED");
                        component.set("SEQUENCE", said.to_string());
                        is_new = true;
                    }
                }
                Some(id) => is_new |= cancel_one(&mut components, id, cancelled, &stored.zones),
            }
        }
        if !is_new {
            return Err(Ignored::Stale);
        }
        // When the organizer said so: what was said before that and comes later is older.
        let said = self.message.objects().filter_map(|object| object.value("DTSTAMP")).map(str::trim).max();
        let stamp = said.filter(|said| parse_utc(said).is_some()).map_or_else(|| utc_text(self.now_s), str::to_owned);
        components.iter_mut().for_each(|component| component.set("DTSTAMP", stamp.clone()));
        Ok(Effect::Put(self.wrapped(components, Some(stored))))
    }

    fn reply(&self) -> Result<Effect, Ignored> {
        let stored = self.stored.ok_or(Ignored::Unknown)?;
        let mut components: Vec<Component> = stored.objects().cloned().collect();
        let mut error = Ignored::Unknown;
        let mut is_new = false;
        for answered in self.message.objects() {
            match self.answer(stored, &mut components, answered) {
                Ok(()) => is_new = true,
                Err(other) => error = other,
            }
        }
        if is_new { Ok(Effect::Put(self.wrapped(components, Some(stored)))) } else { Err(error) }
    }

    /// Notes one component of a reply.
    fn answer(&self, stored: &Calendar, components: &mut Vec<Component>, said: &Component) -> Result<(), Ignored> {
        let id = id_of(said, &self.message.zones);
        let place = components.iter().position(|known| id_of(known, &stored.zones) == id);
        let place = match (place, id) {
            (Some(place), _) => place,
            (None, Some(id)) => {
                components.push(single(stored, id).ok_or(Ignored::Unknown)?);
                components.len() - 1
            }
            (None, None) => return Err(Ignored::Unknown),
        };
        let component = &mut components[place];
        if sequence(said) < sequence(component) {
            return Err(Ignored::Stale);
        }
        let line = attendee(said, self.sender).cloned().ok_or(Ignored::Stranger)?;
        let at = said.value("DTSTAMP").and_then(|text| parse_utc(text.trim()));
        self.take_in_new(component, said, &line)?;
        let known = attendee_mut(component, self.sender).ok_or(Ignored::Stranger)?;
        let before = known.parameter_value("X-STERNA-REPLIED").and_then(parse_utc);
        if at.zip(before).is_some_and(|(at, before)| at < before) {
            return Err(Ignored::Stale);
        }
        known.set_parameter("PARTSTAT", &participation(&line));
        known.remove_parameter("RSVP");
        known.remove_parameter("DELEGATED-TO");
        known.parameters.extend(line.parameters.iter().filter(|parameter| parameter.name == "DELEGATED-TO").cloned());
        let status = said.value("REQUEST-STATUS").and_then(|status| status.split(';').next()).unwrap_or("2.0");
        known.set_parameter("SCHEDULE-STATUS", status);
        if let Some(at) = at {
            known.set_parameter("X-STERNA-REPLIED", &utc_text(at));
        }
        // Tasks: how far they are.
        for name in ["PERCENT-COMPLETE", "COMPLETED"] {
            if let Some(value) = said.value(name).filter(|_| component.name == "VTODO") {
                component.set(name, value);
            }
        }
        Ok(())
    }

    /// Those who come instead of an attendee, or as one of a group, become attendees.
    fn take_in_new(&self, component: &mut Component, said: &Component, line: &Property) -> Result<(), Ignored> {
        let by = |line: &Property, name: &str| -> Vec<String> {
            line.parameter(name).unwrap_or_default().iter().map(|address| address_of(address)).collect()
        };
        if attendee(component, self.sender).is_none() {
            // Whoever handed it on has said so before; a group answers nothing itself.
            let handed_on = by(line, "DELEGATED-FROM").iter().any(|address| {
                attendee(component, address)
                    .is_some_and(|known| by(known, "DELEGATED-TO").iter().any(|to| to == self.sender))
            });
            let is_member = by(line, "MEMBER").iter().any(|address| {
                attendee(component, address).is_some_and(|known| participation(known) == "NEEDS-ACTION")
            });
            if !handed_on && !is_member {
                return Err(Ignored::Stranger);
            }
            component.properties.push(line.clone());
        }
        for to in by(line, "DELEGATED-TO").into_iter().take(DELEGATES_MAX) {
            let delegate = attendee(said, &to).cloned();
            if let Some(delegate) = delegate.filter(|_| attendee(component, &to).is_none()) {
                component.properties.push(delegate);
            }
        }
        Ok(())
    }

    fn refresh(&self) -> Result<Effect, Ignored> {
        let stored = self.stored.ok_or(Ignored::Unknown)?;
        if !attendees(stored).iter().any(|address| address == self.sender) {
            return Err(Ignored::Stranger);
        }
        let again = super::organizer::again(stored, self.sender, self.now_s).ok_or(Ignored::Unknown)?;
        Ok(Effect::Answered(Box::new(again)))
    }
}

/// Alarms are each one's own, as is in which drawer somebody puts a meeting, and whether others may see it there.
fn keep_private(former: &Component, component: &mut Component) {
    let alarms = former.components.iter().filter(|below| below.name == "VALARM").cloned();
    component.components.retain(|below| below.name != "VALARM");
    component.components.extend(alarms);
    for name in OWN {
        if former.property(name).is_some() {
            component.remove(name);
        }
    }
    let is_private = |property: &&Property| {
        property.name.starts_with("X-") || property.name == "COLOR" || OWN.contains(&property.name.as_str())
    };
    let kept: Vec<Property> = former.properties.iter().filter(is_private).take(PRIVATE_MAX).cloned().collect();
    for property in kept {
        if OWN.contains(&property.name.as_str()) || component.property(&property.name).is_none() {
            component.properties.push(property);
        }
    }
}

fn by_id(calendar: &Calendar) -> BTreeMap<Option<i64>, &Component> {
    calendar.objects().map(|object| (id_of(object, &calendar.zones), object)).collect()
}

fn master_of(components: &mut [Component]) -> Option<&mut Component> {
    components.iter_mut().find(|component| component.property("RECURRENCE-ID").is_none())
}

/// RFC 5546 section 2.1.5.
fn is_older(component: &Component, known: &Component) -> bool {
    let at = |component: &Component| component.value("DTSTAMP").and_then(|text| parse_utc(text.trim()));
    let (new, old) = (sequence(component), sequence(known));
    new < old || (new == old && at(component).zip(at(known)).is_some_and(|(new, old)| new < old))
}

/// Takes a time into a series again.
fn take_in(master: &mut Component, id: i64, zones: &Zones) {
    for property in master.properties.iter_mut().filter(|property| property.name == "EXDATE") {
        let zone = property.parameter_value("TZID").map(str::to_owned);
        let is_other = |value: &&str| {
            let moment = Moment::parse(value, zone.as_deref(), zones);
            moment.is_none_or(|moment| moment.instant(&Zone::Utc) != id)
        };
        let left: Vec<&str> = property.value.split(',').filter(is_other).collect();
        let left = left.join(",");
        property.value = left;
    }
    master.properties.retain(|property| property.name != "EXDATE" || !property.value.is_empty());
}

/// Takes one time out: of the series, or, where there is none, by saying that it is off.
fn cancel_one(components: &mut Vec<Component>, id: i64, cancelled: &Component, zones: &Zones) -> bool {
    let said = sequence(cancelled);
    let place = components.iter().position(|component| id_of(component, zones) == Some(id));
    if place.is_some_and(|place| sequence(&components[place]) > said) {
        return false;
    }
    let has_master = master_of(components).is_some();
    match (place, cancelled.property("RECURRENCE-ID")) {
        (place, Some(property)) if has_master => {
            let mut excluded = property.clone();
            excluded.name = "EXDATE".to_owned();
            excluded.remove_parameter("RANGE");
            if let Some(place) = place {
                components.remove(place);
            }
            if let Some(master) = master_of(components) {
                master.properties.push(excluded);
            }
            true
        }
        (Some(place), _) => {
            components[place].set("STATUS", "CANCELLED");
            components[place].set("SEQUENCE", said.to_string());
            true
        }
        _ => false,
    }
}

/// One time of a series as a component of its own; `None` when the series has no such time.
pub(crate) fn single(calendar: &Calendar, id: i64) -> Option<Component> {
    let mut found = None;
    Series::of(calendar, &Zone::Utc).visit((id, id.saturating_add(1)), &mut |instance| {
        let is_it = instance.id.as_ref().is_some_and(|moment| moment.instant(&Zone::Utc) == id);
        if is_it {
            found = Some(instance);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    let instance = found?;
    let start = instance.component.property("DTSTART").or_else(|| instance.component.property("DUE"))?.clone();
    let shift = instant_of(instance.start.civil) - instant_of(Moment::of(&start, &calendar.zones)?.civil);
    let mut component = instance.component.clone();
    component.properties.retain(|property| {
        !matches!(property.name.as_str(), "RRULE" | "RDATE" | "EXDATE" | "EXRULE" | "RECURRENCE-ID")
    });
    for property in &mut component.properties {
        if matches!(property.name.as_str(), "DTSTART" | "DTEND" | "DUE") {
            let moment = Moment::of(property, &calendar.zones)?;
            property.value = moment.with_civil(add_seconds(moment.civil, shift)).text();
        }
    }
    let value = instance.id?.text();
    component.properties.push(Property { name: "RECURRENCE-ID".to_owned(), value, ..start });
    Some(component)
}
