//! Attachments that the server keeps (RFC 8607): the ATTACH properties with a MANAGED-ID of a calendar object.

use std::collections::BTreeSet;

use super::itip::receive::single;
use super::time::Moment;
use super::{Calendar, Zone};
use crate::content_line::{Component, Property};

/// The parameter that names an attachment of the server (section 4.3).
const MANAGED_ID: &str = "MANAGED-ID";

/// Most single times that one request names.
pub const RIDS_MAX: usize = 50;

/// A stored attachment, as objects name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// What it is called by for ever.
    pub id: String,
    /// Where it is fetched.
    pub url: String,
    /// Its media type.
    pub media_type: String,
    /// Its length in bytes.
    pub size: u64,
    /// What people call it; empty for none.
    pub filename: String,
}

impl Attachment {
    /// As it stands in an object.
    pub fn property(&self) -> Property {
        let mut property = Property::new("ATTACH", self.url.clone());
        property.set_parameter(MANAGED_ID, &self.id);
        if !self.media_type.is_empty() {
            property.set_parameter("FMTTYPE", &self.media_type);
        }
        property.set_parameter("SIZE", &self.size.to_string());
        if !self.filename.is_empty() {
            property.set_parameter("FILENAME", &self.filename);
        }
        property
    }
}

/// Which times of an object are meant (the parameter `rid`, section 3.3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rids(Option<Vec<Option<String>>>);

/// Why an object can't be changed so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAttachment {
    /// `CALDAV:valid-rid`
    #[error("there is no such time in it")]
    Rid,
    /// `CALDAV:valid-managed-id`
    #[error("there is no such attachment in it")]
    Id,
}

impl Rids {
    /// All times.
    pub fn all() -> Self {
        Rids(None)
    }

    /// From the parameter: `M` is the series, everything else a RECURRENCE-ID, with commas between them.
    ///
    /// # Errors
    /// [`BadAttachment::Rid`] when there are none, or too many.
    pub fn parse(text: &str) -> Result<Self, BadAttachment> {
        let rid = |rid: &str| match rid.trim() {
            "" => Err(BadAttachment::Rid),
            "M" => Ok(None),
            other => Ok(Some(other.to_owned())),
        };
        let rids = text.split(',').take(RIDS_MAX + 1).map(rid).collect::<Result<Vec<_>, _>>()?;
        if rids.len() > RIDS_MAX { Err(BadAttachment::Rid) } else { Ok(Rids(Some(rids))) }
    }

    /// Whether single times are named.
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Does something to the components that are meant; a time that has none of its own yet gets one.
    fn each(&self, calendar: &Calendar, mut change: impl FnMut(&mut Component)) -> Result<Component, BadAttachment> {
        let mut root = calendar.root.clone();
        let Some(rids) = &self.0 else {
            root.components.iter_mut().filter(|component| component.name != "VTIMEZONE").for_each(change);
            return Ok(root);
        };
        for rid in rids {
            let wanted = match rid {
                None => None,
                Some(rid) => Some(instant_of(calendar, rid).ok_or(BadAttachment::Rid)?),
            };
            let id = |component: &Component| {
                let id = component.property("RECURRENCE-ID")?;
                Moment::of(id, &calendar.zones).map(|moment| moment.instant(&Zone::Utc))
            };
            let is_it = |component: &&mut Component| component.name != "VTIMEZONE" && id(component) == wanted;
            if let Some(component) = root.components.iter_mut().find(is_it) {
                change(component);
                continue;
            }
            let made = wanted.and_then(|wanted| single(calendar, wanted));
            let mut component = made.ok_or(BadAttachment::Rid)?;
            change(&mut component);
            root.components.push(component);
        }
        Ok(root)
    }
}

/// The time that a RECURRENCE-ID means: on the clock of the series where it names none.
fn instant_of(calendar: &Calendar, rid: &str) -> Option<i64> {
    let master = calendar.objects().find(|object| object.property("RECURRENCE-ID").is_none());
    let zone = master.and_then(|master| master.property("DTSTART")?.parameter_value("TZID"));
    Moment::parse(rid, zone, &calendar.zones).map(|moment| moment.instant(&Zone::Utc))
}

/// The MANAGED-IDs in an object.
pub fn ids(calendar: &Calendar) -> BTreeSet<String> {
    let lines = calendar.objects().flat_map(|object| object.all("ATTACH"));
    lines.filter_map(|line| line.parameter_value(MANAGED_ID)).map(str::to_owned).collect()
}

/// The object with one more attachment.
///
/// # Errors
/// [`BadAttachment::Rid`]
pub fn added(calendar: &Calendar, rids: &Rids, attachment: &Attachment) -> Result<Component, BadAttachment> {
    rids.each(calendar, |component| component.properties.push(attachment.property()))
}

/// The object with another attachment in the place of one.
///
/// # Errors
/// [`BadAttachment::Id`]
pub fn updated(calendar: &Calendar, id: &str, attachment: &Attachment) -> Result<Component, BadAttachment> {
    let mut found = false;
    let root = Rids::all().each(calendar, |component| {
        for line in component.properties.iter_mut().filter(|line| is_it(line, id)) {
            // What clients have noted about it stays.
            let former = std::mem::replace(line, attachment.property());
            let is_known = |name: &str| matches!(name, MANAGED_ID | "FMTTYPE" | "SIZE" | "FILENAME");
            line.parameters.extend(former.parameters.into_iter().filter(|parameter| !is_known(&parameter.name)));
            found = true;
        }
    })?;
    if found { Ok(root) } else { Err(BadAttachment::Id) }
}

/// The object without an attachment.
///
/// # Errors
/// [`BadAttachment`]
pub fn removed(calendar: &Calendar, rids: &Rids, id: &str) -> Result<Component, BadAttachment> {
    let mut found = false;
    let root = rids.each(calendar, |component| {
        let before = component.properties.len();
        component.properties.retain(|line| !is_it(line, id));
        found |= component.properties.len() < before;
    })?;
    if found { Ok(root) } else { Err(BadAttachment::Id) }
}

/// How many attachments the component with most of them has.
pub fn most(root: &Component) -> usize {
    root.components.iter().map(|component| component.all("ATTACH").count()).max().unwrap_or(0)
}

fn is_it(line: &Property, id: &str) -> bool {
    line.name == "ATTACH" && line.parameter_value(MANAGED_ID) == Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Calendar {
        let text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:m\r\nDTSTART:20250303T100000Z\r\n\
            RRULE:FREQ=WEEKLY;COUNT=4\r\nSUMMARY:a\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        Calendar::parse(text.as_bytes()).unwrap()
    }

    fn attachment(id: &str) -> Attachment {
        let (url, media_type) = (format!("https://x.test/share/{id}/a%20b.pdf"), "application/pdf".to_owned());
        Attachment { id: id.to_owned(), url, media_type, size: 7, filename: "a, b.pdf".to_owned() }
    }

    fn counts(root: &Component) -> Vec<usize> {
        root.components.iter().map(|component| component.all("ATTACH").count()).collect()
    }

    #[test]
    fn one_time_of_a_series_has_its_own() {
        let one = Rids::parse("20250310T100000Z").unwrap();
        let root = added(&series(), &one, &attachment("x")).unwrap();
        assert_eq!(counts(&root), [0, 1]);
        let single = &root.components[1];
        assert_eq!(single.value("RECURRENCE-ID"), Some("20250310T100000Z"));
        assert!(single.property("RRULE").is_none() && single.value("DTSTART") == Some("20250310T100000Z"));
        let object = Calendar::of(root);
        let text = object.text().replace("\r\n ", "");
        assert!(text.contains(";SIZE=7;FILENAME=\"a, b.pdf\":https://x.test/share/x/a%20b.pdf"), "{text}");
        // Everywhere, then not in the series any more.
        let all = Calendar::of(added(&object, &Rids::all(), &attachment("y")).unwrap());
        assert_eq!((counts(&all.root), most(&all.root)), (vec![1, 2], 2));
        let left = Calendar::of(removed(&all, &Rids::parse("M").unwrap(), "y").unwrap());
        assert_eq!(
            (counts(&left.root), ids(&left).into_iter().collect::<Vec<_>>()),
            (vec![0, 2], vec!["x".into(), "y".into()])
        );
        assert_eq!(removed(&left, &Rids::all(), "z"), Err(BadAttachment::Id));
        for bad in ["20250311T100000Z", "x"] {
            assert_eq!(
                added(&series(), &Rids::parse(bad).unwrap(), &attachment("x")),
                Err(BadAttachment::Rid),
                "{bad}"
            );
        }
        assert_eq!(Rids::parse("M,"), Err(BadAttachment::Rid));
    }

    #[test]
    fn an_update_keeps_what_is_not_its_own() {
        let mut object = series();
        let mut line = attachment("x").property();
        line.set_parameter("X-LABEL", "mine");
        object.root.components[0].properties.push(line);
        let root = updated(&object, "x", &attachment("y")).unwrap();
        let line = root.components[0].property("ATTACH").unwrap();
        assert_eq!((line.parameter_value(MANAGED_ID), line.parameter_value("X-LABEL")), (Some("y"), Some("mine")));
        assert_eq!(line.parameters.len(), 5);
        assert_eq!(updated(&object, "y", &attachment("z")), Err(BadAttachment::Id));
    }
}
