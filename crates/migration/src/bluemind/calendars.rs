//! Events, tasks and notes as iCalendar objects.

use sterna_formats::calendar::zone_text::definition;
use sterna_formats::content_line::{Component, Property, write};

use super::dump::value;
use super::element::{self, Time, escaped};
use super::people::People;
use super::tables::Row;

/// Who wrote it (RFC 5545 section 3.7.3).
const PRODUCT: &str = "-//Sterna//Import from BlueMind//EN";

/// An object with the rows of its item: the master of a series, and what differs in single occurrences.
pub fn event(rows: &[Row], uid: &str, categories: &[String], people: &People) -> Result<String, &'static str> {
    let mut zones = Vec::new();
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        let start = Time::of(row, "dtstart").ok_or("it has no start")?;
        let mut event = named("VEVENT");
        element::add(row, uid, people, &mut event, &mut zones);
        if let Some(end) = Time::of(row, "dtend") {
            event.properties.push(end.end_of(&start));
            zones.extend(end.zone_name());
        }
        if let Some(transparency) = row.text("transparency") {
            event.properties.push(Property::new("TRANSP", transparency.to_uppercase()));
        }
        add_categories(&mut event, categories);
        events.push((row.get("recurid_timestamp").is_some(), event));
    }
    // The master stands first; programs look for it there.
    events.sort_by_key(|(is_exception, _)| *is_exception);
    Ok(calendar(events.into_iter().map(|(_, event)| event), zones))
}

/// A task.
pub fn task(row: &Row, uid: &str, categories: &[String], people: &People) -> String {
    let (mut zones, mut task) = (Vec::new(), named("VTODO"));
    element::add(row, uid, people, &mut task, &mut zones);
    if let Some(due) = Time::of(row, "due") {
        let start = Time::of(row, "dtstart").unwrap_or_else(|| due.clone());
        task.properties.push(due.due_after(&start));
        zones.extend(due.zone_name());
    }
    if let Some(completed) = Time::of(row, "completed") {
        task.properties.push(Property::new("COMPLETED", completed.moment()));
    }
    if let Some(percent) = row.number("percent").filter(|percent| (0..=100).contains(percent)) {
        task.properties.push(Property::new("PERCENT-COMPLETE", percent.to_string()));
    }
    add_categories(&mut task, categories);
    calendar([task], zones)
}

/// A note, as a journal of no day (RFC 5545 section 3.6.3).
pub fn note(row: &Row, uid: &str) -> String {
    let mut note = named("VJOURNAL");
    let changed = row.get("item_updated").and_then(value::time).unwrap_or_default();
    note.properties.push(Property::new("UID", escaped(uid)));
    note.properties.push(Property::new("DTSTAMP", changed.strftime("%Y%m%dT%H%M%SZ").to_string()));
    for (column, name) in [("subject", "SUMMARY"), ("body", "DESCRIPTION")] {
        if let Some(text) = row.text(column) {
            note.properties.push(Property::new(name, escaped(text)));
        }
    }
    calendar([note], Vec::new())
}

fn named(name: &str) -> Component {
    Component { name: name.to_owned(), ..Component::default() }
}

fn add_categories(component: &mut Component, categories: &[String]) {
    if !categories.is_empty() {
        let escaped: Vec<String> = categories.iter().map(|category| escaped(category)).collect();
        component.properties.push(Property::new("CATEGORIES", escaped.join(",")));
    }
}

fn calendar(objects: impl IntoIterator<Item = Component>, mut zones: Vec<String>) -> String {
    let mut calendar = named("VCALENDAR");
    calendar.properties.push(Property::new("VERSION", "2.0"));
    calendar.properties.push(Property::new("PRODID", PRODUCT));
    zones.sort();
    zones.dedup();
    calendar.components.extend(zones.iter().filter_map(|zone| definition(zone)));
    calendar.components.extend(objects);
    let mut text = String::new();
    write(&calendar, &mut text);
    text
}
