//! What an organizer's change means for those who are invited (RFC 5546 section 3.2, RFC 6638 section 3.2.1).

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use super::parties::{attendee_mut, organizer};
use super::view::{View, content, exdates, id_of, outgoing, when};
use super::{Agent, Message, Method, NotAllowed, Plan, address_of, agent, attendees, sequence, stamp, wrap};
use crate::calendar::Calendar;
use crate::content_line::{Component, Property};

/// What a change means that the owner makes to an object that others were invited to: `old` is what is stored, `new`
/// what is to be stored (`None` deletes it), `own` are the owner's addresses. With `merges`, what attendees answered
/// since the owner's program has read the object stays (RFC 6638 section 3.2.10.1).
///
/// # Errors
/// [`NotAllowed`].
pub fn plan(
    old: Option<&Calendar>,
    new: Option<&Calendar>,
    own: &[String],
    merges: bool,
    now_s: i64,
) -> Result<Plan, NotAllowed> {
    let said = |calendar: Option<&Calendar>| calendar.and_then(|calendar| calendar.objects().find_map(organizer));
    let (before, after) = (said(old), said(new));
    if before.is_some() && after.is_some() && before != after {
        return Err(NotAllowed::Organizer);
    }
    let sender = after.or(before).unwrap_or_default();
    let next = new.map(|new| follow(old, new, own, merges));
    let mut recipients = old.map(attendees).unwrap_or_default();
    let added = next.as_ref().map(attendees).unwrap_or_default();
    recipients.extend(added.into_iter().filter(|address| !recipients.contains(address)).collect::<Vec<_>>());
    let mut plan = Plan { object: None, messages: Vec::new() };
    let (before, after) = (old.map(Invited::of), next.as_ref().map(Invited::of));
    let (mut old_views, mut new_views) = (Views::new(old), Views::new(next.as_ref()));
    let mut requests: BTreeMap<_, Vec<Message>> = BTreeMap::new();
    for recipient in recipients {
        let (before, after) = (Invited::find(&before, &recipient), Invited::find(&after, &recipient));
        if own.contains(&recipient) || after.or(before).map(|party| party.agent) != Some(Agent::Server) {
            continue;
        }
        let is_forced = after.is_some_and(|party| party.is_forced);
        let told = Told { old, new: next.as_ref(), sender: &sender, recipient: &recipient, is_forced, now_s };
        let (sees_before, sees_after) = (
            before.and_then(|party| old_views.of(party, &recipient)),
            after.and_then(|party| new_views.of(party, &recipient)),
        );
        // Of those who are invited to the same before and after, what one is asked all are asked.
        let key = (before.map(|party| &party.places), after.map(|party| &party.places), is_forced);
        if let Some(same) = requests.get(&key) {
            plan.messages.extend(told.the_same(same));
            continue;
        }
        let messages = told.messages(sees_before.as_deref(), sees_after.as_deref());
        if messages.iter().all(|message| message.method == Method::Request) {
            requests.insert(key, messages.clone());
        }
        plan.messages.extend(messages);
    }
    plan.object = next.map(|mut next| {
        forget_force(&mut next.root);
        next.root
    });
    Ok(plan)
}

/// An attendee's lines in an object, gathered in one go: there may be thousands.
#[derive(Debug)]
struct Party {
    /// In which components, by their place.
    places: Vec<usize>,
    /// Who tells this attendee.
    agent: Agent,
    is_forced: bool,
}

/// All attendees of an object.
struct Invited(HashMap<String, Party>);

impl Invited {
    fn of(calendar: &Calendar) -> Self {
        let mut parties: HashMap<String, Party> = HashMap::new();
        for (place, component) in calendar.objects().enumerate() {
            for line in component.all("ATTENDEE") {
                let new = || Party { places: Vec::new(), agent: agent(line), is_forced: false };
                let party = parties.entry(address_of(&line.value)).or_insert_with(new);
                if party.places.last() != Some(&place) {
                    party.places.push(place);
                }
                let force = line.parameter_value("SCHEDULE-FORCE-SEND");
                party.is_forced |= force.is_some_and(|what| what.eq_ignore_ascii_case("REQUEST"));
            }
        }
        Invited(parties)
    }

    fn find<'a>(of: &'a Option<Invited>, address: &str) -> Option<&'a Party> {
        of.as_ref()?.0.get(address)
    }
}

/// What attendees see of an object: the same for all who are in the same components.
struct Views<'a> {
    calendar: Option<&'a Calendar>,
    known: HashMap<Vec<usize>, Option<Rc<View>>>,
}

impl<'a> Views<'a> {
    fn new(calendar: Option<&'a Calendar>) -> Self {
        Views { calendar, known: HashMap::new() }
    }

    fn of(&mut self, party: &Party, address: &str) -> Option<Rc<View>> {
        if let Some(known) = self.known.get(&party.places) {
            return known.clone();
        }
        let view = self.calendar.and_then(|calendar| View::of(calendar, address)).map(Rc::new);
        self.known.insert(party.places.clone(), view.clone());
        view
    }
}

/// SCHEDULE-FORCE-SEND is said to the server and not stored (RFC 6638 section 7.2).
pub(super) fn forget_force(root: &mut Component) {
    for property in root.components.iter_mut().flat_map(|component| component.properties.iter_mut()) {
        property.remove_parameter("SCHEDULE-FORCE-SEND");
    }
}

/// The new object as it follows the old one: its SEQUENCE is higher where it must be, and who is asked for another time
/// has not answered yet (RFC 6638 section 3.2.8).
fn follow(old: Option<&Calendar>, new: &Calendar, own: &[String], merges: bool) -> Calendar {
    let Some(old) = old else { return new.clone() };
    let mut next = new.clone();
    let before: BTreeMap<Option<i64>, &Component> =
        old.objects().map(|object| (id_of(object, &old.zones), object)).collect();
    let zones = next.zones.clone();
    for component in next.root.components.iter_mut().filter(|component| component.name != "VTIMEZONE") {
        let id = id_of(component, &zones);
        let counterpart = before.get(&id).copied();
        let Some(former) = counterpart.or_else(|| before.get(&None).copied()) else { continue };
        let is_moved = match (counterpart, id) {
            (Some(former), _) => when(former, &old.zones) != when(component, &zones),
            (None, Some(id)) => {
                start_of(component, &zones) != Some(id) || length(former, old) != length_in(component, &zones)
            }
            (None, None) => false,
        };
        let is_other = is_moved
            || former.value("STATUS") != component.value("STATUS")
            || (counterpart.is_some() && exdates(former, &old.zones).keys().ne(exdates(component, &zones).keys()));
        if is_other && sequence(component) <= sequence(former) {
            component.set("SEQUENCE", (sequence(former) + 1).to_string());
        } else if sequence(component) < sequence(former) {
            component.set("SEQUENCE", sequence(former).to_string());
        }
        let known: HashMap<String, &Property> =
            former.all("ATTENDEE").map(|line| (address_of(&line.value), line)).collect();
        for line in component.properties.iter_mut().filter(|property| property.name == "ATTENDEE") {
            let address = address_of(&line.value);
            if own.contains(&address) || agent(line) != Agent::Server {
                continue;
            }
            match known.get(&address) {
                Some(_) if is_moved => line.set_parameter("PARTSTAT", "NEEDS-ACTION"),
                Some(known) if merges => keep_answer(known, line),
                _ => {}
            }
        }
    }
    next
}

fn start_of(component: &Component, zones: &crate::calendar::Zones) -> Option<i64> {
    let start = component.property("DTSTART").or_else(|| component.property("DUE"))?;
    crate::calendar::time::Moment::of(start, zones).map(|moment| moment.instant(&crate::calendar::Zone::Utc))
}

fn length(component: &Component, calendar: &Calendar) -> Option<i64> {
    length_in(component, &calendar.zones)
}

/// How long it takes, in seconds, as far as that is said.
fn length_in(component: &Component, zones: &crate::calendar::Zones) -> Option<i64> {
    use crate::calendar::time::{Duration, Moment};
    let end = component.property("DTEND").or_else(|| component.property("DUE"));
    let end = end.and_then(|end| Moment::of(end, zones)).map(|moment| moment.instant(&crate::calendar::Zone::Utc));
    match (end, start_of(component, zones)) {
        (Some(end), Some(start)) => Some(end - start),
        _ => component.value("DURATION").and_then(Duration::parse).map(Duration::seconds_max),
    }
}

fn keep_answer(known: &Property, line: &mut Property) {
    for name in ["PARTSTAT", "DELEGATED-TO", "SCHEDULE-STATUS", "X-STERNA-REPLIED"] {
        match known.parameters.iter().find(|parameter| parameter.name == name) {
            Some(parameter) => {
                line.remove_parameter(name);
                line.parameters.push(parameter.clone());
            }
            None => line.remove_parameter(name),
        }
    }
}

/// What one attendee is told.
struct Told<'a> {
    old: Option<&'a Calendar>,
    new: Option<&'a Calendar>,
    sender: &'a str,
    recipient: &'a str,
    /// Whether the organizer's program wants it to be told in any case.
    is_forced: bool,
    now_s: i64,
}

impl Told<'_> {
    fn messages(&self, before: Option<&View>, after: Option<&View>) -> Vec<Message> {
        match (before, after) {
            (None, None) => Vec::new(),
            (None, Some(after)) => self.request(after.components()).into_iter().collect(),
            (Some(before), None) => self.cancel_all(before).into_iter().collect(),
            (Some(before), Some(after)) => self.changed(before, after),
        }
    }

    fn changed(&self, before: &View, after: &View) -> Vec<Message> {
        let (Some(old), Some(new)) = (self.old, self.new) else { return Vec::new() };
        let (old_zones, new_zones) = (&old.zones, &new.zones);
        let mut messages = Vec::new();
        let is_same = match (&before.master, &after.master) {
            (Some(former), Some(master)) => content(former, old_zones) == content(master, new_zones),
            (None, None) => true,
            _ => false,
        };
        let stays = is_same && when_of(before, old_zones) == when_of(after, new_zones);
        // Times that are not the attendee's any more; where the whole series is another one, it says so itself.
        let lost: Vec<Property> = match (&before.master, &after.master) {
            _ if !stays => Vec::new(),
            (Some(_), Some(_)) => {
                let gone = after.excluded.iter().filter(|(id, _)| !before.excluded.contains_key(id));
                gone.map(|(_, property)| property.clone()).collect()
            }
            _ => {
                let gone = before.overrides.iter().filter(|(id, _)| !after.overrides.contains_key(id));
                gone.filter_map(|(_, component)| component.property("RECURRENCE-ID").cloned()).collect()
            }
        };
        let is_lost = |id: &i64| after.excluded.contains_key(id) || after.master.is_none();
        let has_back = before.excluded.keys().any(|id| !after.excluded.contains_key(id))
            || before.overrides.keys().any(|id| !after.overrides.contains_key(id) && !is_lost(id));
        if !lost.is_empty() {
            messages.extend(self.cancel_some(before, after, lost));
        }
        if !stays || has_back || self.is_forced {
            messages.extend(self.request(after.components()));
            return messages;
        }
        let is_changed = |(id, component): &(&i64, &Component)| match before.overrides.get(id) {
            Some(former) => content(former, old_zones) != content(component, new_zones),
            None => true,
        };
        let changed: Vec<Component> =
            after.overrides.iter().filter(is_changed).map(|(_, component)| component.clone()).collect();
        if !changed.is_empty() {
            messages.extend(self.request(changed));
        }
        messages
    }

    fn request(&self, components: Vec<Component>) -> Option<Message> {
        self.message(Method::Request, components)
    }

    /// Nothing of it is the attendee's any more.
    fn cancel_all(&self, before: &View) -> Option<Message> {
        let sequence = before.sequence().max(self.new.map_or(0, |new| new.objects().map(sequence).max().unwrap_or(0)));
        let cancelled = |component: &Component| {
            let mut component = self.cancelled(component, sequence + i64::from(self.new.is_none()));
            for name in ["RRULE", "RDATE", "EXDATE"] {
                component.remove(name);
            }
            component
        };
        let components = match &before.master {
            Some(master) => vec![cancelled(master)],
            None => before.overrides.values().map(cancelled).collect(),
        };
        self.message(Method::Cancel, components)
    }

    fn cancel_some(&self, before: &View, after: &View, lost: Vec<Property>) -> Option<Message> {
        let pattern = before.master.as_ref().or_else(|| before.overrides.values().next())?;
        let one = |id: Property| {
            let mut component = self.cancelled(pattern, after.sequence().max(before.sequence()));
            for name in ["RRULE", "RDATE", "EXDATE", "DTSTART", "DTEND", "DUE", "DURATION", "RECURRENCE-ID"] {
                component.remove(name);
            }
            let start = Property { name: "DTSTART".to_owned(), ..id.clone() };
            component.properties.push(Property { name: "RECURRENCE-ID".to_owned(), ..id });
            component.properties.push(start);
            component
        };
        self.message(Method::Cancel, lost.into_iter().map(one).collect())
    }

    /// With nobody else among the attendees: who else comes is not the concern of who doesn't.
    fn cancelled(&self, component: &Component, sequence: i64) -> Component {
        let is_told =
            |property: &&Property| property.name != "ATTENDEE" || address_of(&property.value) == self.recipient;
        // Thousands of others are not even copied.
        let properties = component.properties.iter().filter(is_told).cloned().collect();
        let mut component = outgoing(&Component { name: component.name.clone(), properties, components: Vec::new() });
        component.set("STATUS", "CANCELLED");
        component.set("SEQUENCE", sequence.to_string());
        component
    }

    fn message(&self, method: Method, mut components: Vec<Component>) -> Option<Message> {
        let zones = &self.new.or(self.old)?.root;
        components.iter_mut().for_each(|component| stamp(component, self.now_s));
        let calendar = wrap(Some(method), zones, components);
        let (sender, recipient) = (self.sender.to_owned(), self.recipient.to_owned());
        Some(Message { method, sender, recipient, calendar: Arc::new(calendar) })
    }

    /// What somebody else is told, for this one.
    fn the_same(&self, messages: &[Message]) -> Vec<Message> {
        let to = |message: &Message| Message { recipient: self.recipient.to_owned(), ..message.clone() };
        messages.iter().map(to).collect()
    }
}

fn when_of(view: &View, zones: &crate::calendar::Zones) -> Option<std::collections::BTreeSet<String>> {
    view.master.as_ref().map(|master| when(master, zones))
}

/// The invitation again, for an attendee who asks for it (REFRESH, RFC 5546 section 3.2.6), or whose calendar lacks
/// what an ADD would add to.
pub fn again(calendar: &Calendar, recipient: &str, now_s: i64) -> Option<Message> {
    let sender = calendar.objects().find_map(organizer)?;
    let told = Told { old: None, new: Some(calendar), sender: &sender, recipient, is_forced: false, now_s };
    told.request(View::of(calendar, recipient)?.components())
}

/// The organizer's refusal of another time that was proposed (DECLINECOUNTER, RFC 5546 section 3.2.8).
pub fn decline_counter(counter: &Calendar, recipient: &str, now_s: i64) -> Option<Message> {
    let sender = counter.objects().find_map(organizer)?;
    let mut components: Vec<Component> = counter.objects().map(outgoing).collect();
    for component in &mut components {
        if let Some(line) = attendee_mut(component, recipient) {
            line.set_parameter("PARTSTAT", "NEEDS-ACTION");
        }
        stamp(component, now_s);
    }
    let calendar = wrap(Some(Method::DeclineCounter), &counter.root, components);
    let (recipient, calendar) = (recipient.to_owned(), Arc::new(calendar));
    Some(Message { method: Method::DeclineCounter, sender, recipient, calendar })
}
