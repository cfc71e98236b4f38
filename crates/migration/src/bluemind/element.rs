//! What events and tasks have in common (`ICalendarElement` of the old system): columns of its tables, properties of
//! iCalendar (RFC 5545).

use jiff::civil::DateTime;
use jiff::tz::{Disambiguation, TimeZone};
use sterna_formats::content_line::{Component, Parameter, Property, escape};
use sterna_formats::mail::html;

use super::dump::value;
use super::people::People;
use super::tables::Row;

/// Most attendees of one event: more are an attack or an accident.
const ATTENDEES_MAX: usize = 10_000;

/// Names of columns and of the parts of a rule that they are (RFC 5545 section 3.3.10).
const RULE_LISTS: [(&str, &str); 8] = [
    ("rrule_bysecond", "BYSECOND"),
    ("rrule_byminute", "BYMINUTE"),
    ("rrule_byhour", "BYHOUR"),
    ("rrule_byday", "BYDAY"),
    ("rrule_bymonthday", "BYMONTHDAY"),
    ("rrule_byyearday", "BYYEARDAY"),
    ("rrule_byweekno", "BYWEEKNO"),
    ("rrule_bymonth", "BYMONTH"),
];

/// A time as the old system stores it: what the clock on the wall shows in a zone, or a day.
#[derive(Clone, Debug)]
pub struct Time {
    clock: DateTime,
    zone: Option<String>,
    is_day: bool,
}

impl Time {
    /// The time in the columns that begin so.
    pub fn of(row: &Row, column: &str) -> Option<Self> {
        let clock = value::time(row.get(&format!("{column}_timestamp"))?)?;
        Some(Time::with(row, column, clock))
    }

    /// All times of columns that begin so and hold several.
    fn all(row: &Row, column: &str) -> Vec<Self> {
        let mut clocks: Vec<DateTime> =
            row.texts(&format!("{column}_timestamp")).iter().filter_map(|text| value::time(text)).collect();
        clocks.sort();
        clocks.into_iter().map(|clock| Time::with(row, column, clock)).collect()
    }

    fn with(row: &Row, column: &str, clock: DateTime) -> Self {
        let is_day = row.get(&format!("{column}_precision")) == Some("Date");
        let zone = row.text(&format!("{column}_timezone")).filter(|_| !is_day).map(str::to_owned);
        Time { clock, zone, is_day }
    }

    fn is_utc(&self) -> bool {
        matches!(self.zone.as_deref(), Some("UTC" | "Etc/UTC" | "GMT" | "Z"))
    }

    fn text(&self) -> String {
        match (self.is_day, self.is_utc()) {
            (true, _) => self.clock.strftime("%Y%m%d").to_string(),
            (false, true) => self.clock.strftime("%Y%m%dT%H%M%SZ").to_string(),
            (false, false) => self.clock.strftime("%Y%m%dT%H%M%S").to_string(),
        }
    }

    /// As a property.
    fn property(&self, name: &str) -> Property {
        let mut property = Property::new(name, self.text());
        self.add_parameters(&mut property);
        property
    }

    fn add_parameters(&self, property: &mut Property) {
        if self.is_day {
            property.set_parameter("VALUE", "DATE");
        } else if let Some(zone) = self.zone.as_deref().filter(|_| !self.is_utc()) {
            property.set_parameter("TZID", zone);
        }
    }

    /// As the end of an event that starts then: of the same kind, and not before it.
    pub fn end_of(&self, start: &Time) -> Property {
        let end = Time { is_day: start.is_day, clock: self.clock.max(start.clock), ..self.clone() };
        // The zones of both may differ, so that what is later isn't told by the clocks.
        let end = if self.zone == start.zone { end } else { Time { clock: self.clock, ..end } };
        end.property("DTEND")
    }

    /// As the time until which a task is to be done, of the same kind as its start.
    pub fn due_after(&self, start: &Time) -> Property {
        Time { is_day: start.is_day, ..self.clone() }.property("DUE")
    }

    /// The name of its zone, when it has one that has to be described.
    pub fn zone_name(&self) -> Option<String> {
        self.zone.clone().filter(|_| !self.is_utc())
    }

    /// As a moment in UTC; what has no zone is taken to be in UTC.
    pub fn moment(&self) -> String {
        let floating = || self.clock.strftime("%Y%m%dT%H%M%SZ").to_string();
        self.zone.as_deref().and_then(|zone| self.in_utc(zone)).unwrap_or_else(floating)
    }

    fn in_utc(&self, zone: &str) -> Option<String> {
        let zone = TimeZone::get(zone).ok()?;
        let moment = zone.into_ambiguous_zoned(self.clock).disambiguate(Disambiguation::Compatible).ok()?;
        Some(moment.timestamp().strftime("%Y%m%dT%H%M%SZ").to_string())
    }

    /// As the end of a rule, which is a day, a floating time or a moment in UTC as the start is one or has a zone
    /// (RFC 5545 section 3.3.10).
    fn until(&self, start: &Time) -> String {
        match (start.is_day, &start.zone) {
            (true, _) => self.clock.strftime("%Y%m%d").to_string(),
            (false, None) => self.clock.strftime("%Y%m%dT%H%M%S").to_string(),
            (false, Some(zone)) => self.in_utc(self.zone.as_deref().unwrap_or(zone)).unwrap_or_else(|| self.moment()),
        }
    }
}

/// A text without what no object may have: controls but for the ends of lines and tabs (RFC 5545 section 3.1).
pub fn cleaned(text: &str) -> String {
    text.chars().filter(|sign| !sign.is_control() || matches!(sign, '\n' | '\t')).collect()
}

/// A text as the value of a property.
pub fn escaped(text: &str) -> String {
    escape(&cleaned(text))
}

/// Adds the properties that events and tasks have in common; `zones` gets the names of all time zones.
pub fn add(row: &Row, uid: &str, people: &People, component: &mut Component, zones: &mut Vec<String>) {
    component.properties.push(Property::new("UID", escaped(uid)));
    component.properties.push(Property::new("DTSTAMP", stamp(row)));
    let start = Time::of(row, "dtstart");
    if let Some(start) = &start {
        component.properties.push(start.property("DTSTART"));
    }
    if let Some(recurrence) = Time::of(row, "recurid") {
        component.properties.push(recurrence.property("RECURRENCE-ID"));
    }
    for (column, name) in [("summary", "SUMMARY"), ("location", "LOCATION")] {
        if let Some(text) = row.text(column) {
            component.properties.push(Property::new(name, escaped(text)));
        }
    }
    description(row, component);
    words(row, component);
    rule(row, start.as_ref(), component);
    times(row, component);
    participants(row, people, component);
    attachments(row, component);
    alarms(row, people, component);
    zones.extend(component.properties.iter().filter_map(|found| found.parameter_value("TZID").map(str::to_owned)));
}

fn stamp(row: &Row) -> String {
    let changed = row.get("item_updated").or(row.get("item_created")).and_then(value::time);
    changed.unwrap_or(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// What is written with the old system's editor is HTML: programs get its text, and those that can, the original.
fn description(row: &Row, component: &mut Component) {
    let Some(written) = row.text("description") else { return };
    let is_html = written.contains('<') && written.contains('>');
    let text = if is_html { html::text(written, html::Titles::LeftOut) } else { written.to_owned() };
    component.properties.push(Property::new("DESCRIPTION", escaped(text.trim())));
    if is_html {
        let mut original = Property::new("X-ALT-DESC", escaped(written));
        original.set_parameter("FMTTYPE", "text/html");
        component.properties.push(original);
    }
}

/// What is one of a few words, or a number.
fn words(row: &Row, component: &mut Component) {
    let mut push = |name: &str, value: String| component.properties.push(Property::new(name, value));
    if let Some(class) = row.text("class") {
        push("CLASS", class.to_uppercase());
    }
    if let Some(status) = row.text("status") {
        push(
            "STATUS",
            match status {
                "NeedsAction" => "NEEDS-ACTION".to_owned(),
                "InProcess" => "IN-PROCESS".to_owned(),
                other => other.to_uppercase(),
            },
        );
    }
    if let Some(priority) = row.number("priority").filter(|priority| (0..=9).contains(priority)) {
        push("PRIORITY", priority.to_string());
    }
    if let Some(sequence) = row.number("sequence").filter(|sequence| *sequence > 0) {
        push("SEQUENCE", sequence.to_string());
    }
    if let Some(url) = row.text("url").filter(|url| !url.contains(char::is_whitespace)) {
        push("URL", url.to_owned());
    }
    if let Some(place) = row.text("conference").filter(|place| !place.contains(char::is_whitespace)) {
        push("X-CONFERENCE", place.to_owned());
    }
}

fn rule(row: &Row, start: Option<&Time>, component: &mut Component) {
    let (Some(frequency), Some(start)) = (row.text("rrule_frequency"), start) else { return };
    let mut parts = vec![format!("FREQ={}", frequency.to_uppercase())];
    if let Some(interval) = row.number("rrule_interval").filter(|interval| *interval > 1) {
        parts.push(format!("INTERVAL={interval}"));
    }
    match (row.number("rrule_count").filter(|count| *count > 0), Time::of(row, "rrule_until")) {
        (Some(count), _) => parts.push(format!("COUNT={count}")),
        (None, Some(until)) => parts.push(format!("UNTIL={}", until.until(start))),
        (None, None) => {}
    }
    for (column, name) in RULE_LISTS {
        let values: Vec<String> = row.texts(column).iter().map(|value| value.trim().to_uppercase()).collect();
        if !values.is_empty() {
            parts.push(format!("{name}={}", values.join(",")));
        }
    }
    component.properties.push(Property::new("RRULE", parts.join(";")));
}

fn times(row: &Row, component: &mut Component) {
    for (column, name) in [("exdate", "EXDATE"), ("rdate", "RDATE")] {
        let times = Time::all(row, column);
        let Some(first) = times.first() else { continue };
        let values: Vec<String> = times.iter().map(Time::text).collect();
        let mut property = Property::new(name, values.join(","));
        first.add_parameters(&mut property);
        component.properties.push(property);
    }
}

/// The address of somebody: as it is written, or the one that an entry of the directory has here.
fn address(mailto: Option<&str>, directory: Option<&str>, people: &People) -> Option<String> {
    let written = mailto.map(str::trim).filter(|mailto| mailto.contains('@'));
    let entry = directory.and_then(|path| path.rsplit('/').next()).and_then(|uid| people.get(uid));
    written.map(str::to_owned).or_else(|| entry?.address().map(str::to_owned))
}

fn participants(row: &Row, people: &People, component: &mut Component) {
    if let Some(address) = address(row.get("organizer_mailto"), row.get("organizer_dir"), people) {
        let mut organizer = Property::new("ORGANIZER", format!("mailto:{address}"));
        if let Some(name) = row.text("organizer_cn") {
            organizer.set_parameter("CN", &cleaned(name));
        }
        component.properties.push(organizer);
    }
    component.properties.extend(attendees(row, people));
}

fn attendees(row: &Row, people: &People) -> Vec<Property> {
    let column = |name: &str| row.array(name);
    let (mailto, dir, cn) = (column("att_mailto"), column("dir"), column("cn"));
    let (cutype, role, partstat, rsvp) = (column("cutype"), column("att_role"), column("partstat"), column("rsvp"));
    let links =
        [("MEMBER", column("member")), ("DELEGATED-TO", column("delto")), ("DELEGATED-FROM", column("delfrom"))];
    let at = |list: &[Option<String>], n: usize| {
        list.get(n).and_then(|value| value.as_deref()).filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let mut found = Vec::new();
    for n in 0..mailto.len().max(dir.len()).max(cn.len()).min(ATTENDEES_MAX) {
        let Some(address) = address(at(&mailto, n).as_deref(), at(&dir, n).as_deref(), people) else { continue };
        let mut property = Property::new("ATTENDEE", format!("mailto:{address}"));
        let mut set = |name: &str, value: Option<String>| {
            property
                .parameters
                .extend(value.map(|value| Parameter { name: name.to_owned(), values: vec![cleaned(&value)] }));
        };
        set("CUTYPE", at(&cutype, n).map(|kind| kind.to_uppercase()));
        set("ROLE", at(&role, n).map(|role| role_of(&role).to_owned()));
        set("PARTSTAT", at(&partstat, n).map(|status| status_of(&status)));
        set("RSVP", at(&rsvp, n).filter(|rsvp| rsvp == "t").map(|_| "TRUE".to_owned()));
        set("CN", at(&cn, n));
        for (name, values) in &links {
            set(name, at(values, n));
        }
        found.push(property);
    }
    found
}

fn role_of(role: &str) -> &'static str {
    match role {
        "Chair" => "CHAIR",
        "OptionalParticipant" => "OPT-PARTICIPANT",
        "NonParticipant" => "NON-PARTICIPANT",
        _ => "REQ-PARTICIPANT",
    }
}

fn status_of(status: &str) -> String {
    match status {
        // A word of the old system for who may not be invited.
        "NeedsAction" | "Forbidden" => "NEEDS-ACTION".to_owned(),
        other => other.to_uppercase(),
    }
}

/// Attachments stay where they are: the dump has their addresses, not their contents.
fn attachments(row: &Row, component: &mut Component) {
    let names = row.array("attach_name");
    for (n, uri) in row.array("attach_uri").into_iter().enumerate() {
        let Some(uri) = uri.filter(|uri| !uri.is_empty() && !uri.contains(char::is_whitespace)) else { continue };
        let mut property = Property::new("ATTACH", uri);
        if let Some(name) = names.get(n).and_then(|name| name.as_deref()) {
            property.set_parameter("FILENAME", &cleaned(name));
        }
        component.properties.push(property);
    }
}

fn alarms(row: &Row, people: &People, component: &mut Component) {
    let (actions, triggers) = (row.array("valarm_action"), row.array("valarm_trigger"));
    let (descriptions, summaries) = (row.array("valarm_description"), row.array("valarm_summary"));
    let (durations, repeats) = (row.array("valarm_duration"), row.array("valarm_repeat"));
    let at = |list: &[Option<String>], n: usize| list.get(n).cloned().flatten();
    for n in 0..actions.len() {
        let seconds = at(&triggers, n).and_then(|seconds| seconds.parse::<i64>().ok());
        let (Some(action), Some(seconds)) = (at(&actions, n), seconds) else { continue };
        let mut alarm = Component { name: "VALARM".to_owned(), ..Component::default() };
        let mut push = |name: &str, value: String| alarm.properties.push(Property::new(name, value));
        push("ACTION", action.to_uppercase());
        push("TRIGGER", duration(seconds));
        let text = at(&descriptions, n).or_else(|| at(&summaries, n)).or_else(|| row.get("summary").map(str::to_owned));
        let text = text.filter(|text| !text.is_empty()).unwrap_or_else(|| "Reminder".to_owned());
        match action.as_str() {
            "Display" => push("DESCRIPTION", escaped(&text)),
            "Email" => {
                push("DESCRIPTION", escaped(&text));
                push("SUMMARY", escaped(&at(&summaries, n).filter(|text| !text.is_empty()).unwrap_or(text)));
            }
            _ => {}
        }
        let number = |list: &[Option<String>]| at(list, n)?.parse::<i64>().ok().filter(|number| *number > 0);
        if let (Some(length), Some(times)) = (number(&durations), number(&repeats)) {
            push("DURATION", duration(length));
            push("REPEAT", times.to_string());
        }
        if action == "Email" {
            // Whom to: those who are invited, as the old system does it.
            let to = attendees(row, people).into_iter().map(|property| Property::new("ATTENDEE", property.value));
            alarm.properties.extend(to);
        }
        component.components.push(alarm);
    }
}

/// Seconds as a duration (RFC 5545 section 3.3.6).
fn duration(seconds: i64) -> String {
    let (sign, left) = (if seconds < 0 { "-" } else { "" }, seconds.unsigned_abs());
    match left {
        0 => "PT0S".to_owned(),
        n if n % 86_400 == 0 => format!("{sign}P{}D", n / 86_400),
        n if n % 3_600 == 0 => format!("{sign}PT{}H", n / 3_600),
        n if n % 60 == 0 => format!("{sign}PT{}M", n / 60),
        n => format!("{sign}PT{n}S"),
    }
}
