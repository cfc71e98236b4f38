//! What an attendee's change means for the organizer, and for whom the attendee sends instead (RFC 5546 section 3.2.3,
//! RFC 6638 section 3.2.2).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::parties::{attendee, organizer, participation};
use super::view::{exdates, id_of, outgoing, when};
use super::{Agent, Message, Method, NotAllowed, Plan, Role, address_of, agent, role, stamp, wrap};
use crate::calendar::{Calendar, Zones};
use crate::content_line::{Component, Property};

/// What a change means that the owner makes to an object that somebody else is the organizer of. `replies` is false
/// when the owner's program asked for silence (`Schedule-Reply: F`, RFC 6638 section 8.1).
///
/// # Errors
/// [`NotAllowed`].
pub fn plan(
    old: Option<&Calendar>,
    new: Option<&Calendar>,
    own: &[String],
    replies: bool,
    now_s: i64,
) -> Result<Plan, NotAllowed> {
    let of = |calendar: Option<&Calendar>| calendar.map_or(Ok(Role::None), |calendar| role(calendar, own));
    let (before, after) = (of(old)?, of(new)?);
    if let (Some(old), Some(new), Role::Attendee { own, organizer }) = (old, new, &before) {
        check(old, new, own, organizer)?;
    }
    let mut plan = Plan { object: None, messages: Vec::new() };
    plan.object = new.map(|new| {
        let mut next = new.root.clone();
        super::organizer::forget_force(&mut next);
        next
    });
    let role = if new.is_some() { after } else { before };
    let (Role::Attendee { own, organizer }, Some(known)) = (role, new.or(old)) else { return Ok(plan) };
    if !replies || !is_ours(known) {
        return Ok(plan);
    }
    let answer = Answer { known, own: &own, organizer: &organizer, now_s };
    match (old, new) {
        (old, Some(new)) => {
            plan.messages.extend(answer.reply(answer.changed(old, new)));
            plan.messages.extend(answer.delegate(old, new));
        }
        (Some(old), None) => plan.messages.extend(answer.reply(answer.all_declined(old))),
        (None, None) => {}
    }
    Ok(plan)
}

/// Whether the server sends answers.
fn is_ours(calendar: &Calendar) -> bool {
    let line = calendar.objects().find_map(|object| object.property("ORGANIZER"));
    line.is_some_and(|line| agent(line) == Agent::Server)
}

/// What attendees may change is their own answer, and what is theirs alone; they may take single times out.
fn check(old: &Calendar, new: &Calendar, own: &str, before: &str) -> Result<(), NotAllowed> {
    if new.objects().filter_map(organizer).any(|organizer| organizer != before) || !is_invited(new, own) {
        return Err(NotAllowed::Attendee("the organizer, or that they are invited"));
    }
    let former: BTreeMap<Option<i64>, &Component> =
        old.objects().map(|object| (id_of(object, &old.zones), object)).collect();
    for component in new.objects() {
        let id = id_of(component, &new.zones);
        let Some(known) = former.get(&id) else { continue };
        if when(known, &old.zones) != when(component, &new.zones) {
            return Err(NotAllowed::Attendee("when it is"));
        }
        if others(known, own) != others(component, own) && !delegates(component, own) {
            return Err(NotAllowed::Attendee("who else comes"));
        }
    }
    Ok(())
}

fn is_invited(calendar: &Calendar, own: &str) -> bool {
    calendar.objects().any(|object| attendee(object, own).is_some())
}

fn others(component: &Component, own: &str) -> Vec<String> {
    let mut found: Vec<String> = component.all("ATTENDEE").map(|line| address_of(&line.value)).collect();
    found.retain(|address| address != own);
    found.sort();
    found.dedup();
    found
}

fn delegates(component: &Component, own: &str) -> bool {
    attendee(component, own).is_some_and(|line| !delegated_to(line).is_empty())
}

fn delegated_to(line: &Property) -> Vec<String> {
    line.parameter("DELEGATED-TO").unwrap_or_default().iter().map(|address| address_of(address)).collect()
}

/// What a reply has of a component.
const REPLIED: [&str; 18] = [
    "UID",
    "RECURRENCE-ID",
    "SEQUENCE",
    "DTSTAMP",
    "DTSTART",
    "DTEND",
    "DUE",
    "DURATION",
    "RRULE",
    "SUMMARY",
    "LOCATION",
    "ORGANIZER",
    "COMMENT",
    "PERCENT-COMPLETE",
    "COMPLETED",
    "STATUS",
    "PRIORITY",
    "X-ALT-DESC",
];

struct Answer<'a> {
    known: &'a Calendar,
    own: &'a str,
    organizer: &'a str,
    now_s: i64,
}

impl Answer<'_> {
    /// The components that are answered otherwise than before.
    fn changed(&self, old: Option<&Calendar>, new: &Calendar) -> Vec<Component> {
        let none = Zones::default();
        let old_zones = old.map_or(&none, |old| &old.zones);
        let before: BTreeMap<Option<i64>, &Component> =
            old.iter().flat_map(|old| old.objects()).map(|object| (id_of(object, old_zones), object)).collect();
        let master = before.get(&None).copied();
        let is_forced = new.objects().filter_map(|object| object.property("ORGANIZER")).any(|line| {
            line.parameter_value("SCHEDULE-FORCE-SEND").is_some_and(|what| what.eq_ignore_ascii_case("REPLY"))
        });
        let mut components = Vec::new();
        for component in new.objects() {
            let Some(line) = attendee(component, self.own) else { continue };
            let former = before.get(&id_of(component, &new.zones)).copied().or(master);
            let former = former.and_then(|former| attendee(former, self.own));
            let said = former.map_or_else(|| "NEEDS-ACTION".to_owned(), participation);
            let is_other =
                participation(line) != said || former.is_some_and(|former| delegated_to(former) != delegated_to(line));
            if is_other || is_forced {
                components.push(self.answered(component, None));
            }
            if component.property("RECURRENCE-ID").is_none() {
                components.extend(self.taken_out(master, component, old_zones, &new.zones));
            }
        }
        components
    }

    /// Single times that the attendee has taken out of a series are declined.
    fn taken_out(&self, former: Option<&Component>, component: &Component, old: &Zones, new: &Zones) -> Vec<Component> {
        let Some(former) = former else { return Vec::new() };
        let known = exdates(former, old);
        let gone = exdates(component, new).into_iter().filter(|(id, _)| !known.contains_key(id));
        gone.map(|(_, excluded)| {
            let mut declined = self.answered(component, Some("DECLINED"));
            for name in ["DTSTART", "DTEND", "DUE", "DURATION", "RRULE"] {
                declined.remove(name);
            }
            declined.properties.push(Property { name: "RECURRENCE-ID".to_owned(), ..excluded.clone() });
            declined.properties.push(Property { name: "DTSTART".to_owned(), ..excluded });
            declined
        })
        .collect()
    }

    /// A deletion says no to everything that is still to be, and was not refused before.
    fn all_declined(&self, old: &Calendar) -> Vec<Component> {
        let is_open = |component: &&Component| {
            let is_off = component.value("STATUS").is_some_and(|status| status.eq_ignore_ascii_case("CANCELLED"));
            let line = attendee(component, self.own);
            !is_off && line.is_some_and(|line| !matches!(participation(line).as_str(), "DECLINED" | "DELEGATED"))
        };
        let open: Vec<&Component> = old.objects().filter(is_open).collect();
        let master = open.iter().find(|component| component.property("RECURRENCE-ID").is_none());
        match master {
            Some(master) => vec![self.answered(master, Some("DECLINED"))],
            None => open.into_iter().map(|component| self.answered(component, Some("DECLINED"))).collect(),
        }
    }

    /// A component as a reply has it.
    fn answered(&self, component: &Component, answer: Option<&str>) -> Component {
        let mut replied = outgoing(component);
        replied.components.clear();
        let mut line = replied.properties.iter().find(|property| self.is_own(property)).cloned().unwrap_or_default();
        if let Some(answer) = answer {
            line.set_parameter("PARTSTAT", answer);
        }
        let to = delegated_to(&line);
        line.remove_parameter("RSVP");
        let is_delegate =
            |property: &Property| property.name == "ATTENDEE" && to.contains(&address_of(&property.value));
        let keep = |property: &Property| REPLIED.contains(&property.name.as_str()) || is_delegate(property);
        replied.properties.retain(keep);
        replied.properties.push(line);
        replied.properties.push(Property::new("REQUEST-STATUS", "2.0;Success"));
        stamp(&mut replied, self.now_s);
        replied
    }

    fn is_own(&self, property: &Property) -> bool {
        property.name == "ATTENDEE" && address_of(&property.value) == self.own
    }

    fn reply(&self, components: Vec<Component>) -> Option<Message> {
        (!components.is_empty()).then(|| self.message(Method::Reply, self.organizer, components))
    }

    /// Those who come instead are invited by whom they come for (RFC 5546 section 3.2.2.3).
    fn delegate(&self, old: Option<&Calendar>, new: &Calendar) -> Vec<Message> {
        let to = |calendar: &Calendar| -> Vec<String> {
            let lines = calendar.objects().filter_map(|object| attendee(object, self.own));
            lines.flat_map(delegated_to).collect()
        };
        let known = old.map(to).unwrap_or_default();
        let mut found: Vec<String> = to(new);
        found.retain(|address| !known.contains(address) && address != self.own && address != self.organizer);
        found.sort();
        found.dedup();
        found.into_iter().map(|address| self.delegated(new, &address)).collect()
    }

    fn delegated(&self, new: &Calendar, to: &str) -> Message {
        let mut components: Vec<Component> = new.objects().map(outgoing).collect();
        for component in &mut components {
            if attendee(component, to).is_none() {
                let mut line = Property::new("ATTENDEE", format!("mailto:{to}"));
                line.set_parameter("RSVP", "TRUE");
                line.set_parameter("PARTSTAT", "NEEDS-ACTION");
                line.set_parameter("DELEGATED-FROM", &format!("mailto:{}", self.own));
                component.properties.push(line);
            }
            stamp(component, self.now_s);
        }
        self.message(Method::Request, to, components)
    }

    fn message(&self, method: Method, recipient: &str, components: Vec<Component>) -> Message {
        let calendar = wrap(Some(method), &self.known.root, components);
        let (sender, recipient) = (self.own.to_owned(), recipient.to_owned());
        Message { method, sender, recipient, calendar: Arc::new(calendar) }
    }
}

/// The answer of somebody who does not change an object first: a resource. `None` when the object has no organizer, or
/// does not name the attendee.
pub fn reply(calendar: &Calendar, own: &str, answer: &str, comment: Option<&str>, now_s: i64) -> Option<Message> {
    let organizer = calendar.objects().find_map(organizer)?;
    let by = Answer { known: calendar, own, organizer: &organizer, now_s };
    let invited = calendar.objects().filter(|object| attendee(object, own).is_some());
    let mut components: Vec<Component> = invited.map(|object| by.answered(object, Some(answer))).collect();
    for component in &mut components {
        component.remove("COMMENT");
        component.properties.extend(comment.map(|text| Property::new("COMMENT", crate::content_line::escape(text))));
    }
    by.reply(components)
}

/// Asks the organizer to send an invitation again (REFRESH, RFC 5546 section 3.2.6).
pub fn refresh(message: &Calendar, own: &str, now_s: i64) -> Option<Message> {
    let object = message.objects().next()?;
    let organizer_address = organizer(object)?;
    let mut component = Component { name: object.name.clone(), ..Component::default() };
    for name in ["UID", "ORGANIZER"] {
        component.properties.extend(object.property(name).cloned());
    }
    component.properties.push(Property::new("ATTENDEE", format!("mailto:{own}")));
    stamp(&mut component, now_s);
    let by = Answer { known: message, own, organizer: &organizer_address, now_s };
    Some(by.message(Method::Refresh, &organizer_address, vec![component]))
}
