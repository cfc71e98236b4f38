//! When the owner of an account is busy (RFC 6638 section 5, RFC 7953 section 4).

use sterna_base::ContainerId;
use sterna_formats::calendar::availability::Availability;
use sterna_formats::calendar::freebusy::FreeBusy;
use sterna_formats::calendar::{Calendar, Kind, Span, Zone};
use sterna_formats::dav::Element;

use super::spans::KeptSpans;
use super::{CALDAV, INBOX, Property, ZONE, body, notes, zone, zone_noted};
use crate::{Account, AccountError, Container, ContainerKind, Head, ItemParts, UidSet};

/// Objects that are read at once.
const BODIES_AT_ONCE: usize = 100;

/// What matters of a calendar: its zone ([`ZONE`]), and whether it counts.
const CALENDAR_NOTES: [Property; 3] = [ZONE[0], ZONE[1], (CALDAV, "schedule-calendar-transp")];

/// Where it is noted, about the inbox, when the owner can be had.
const AVAILABILITY: [Property; 1] = [(CALDAV, "calendar-availability")];

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// From, and before: seconds since 1970.
    pub range: (i64, i64),
    /// The addresses of the owner: meetings that they declined take no time.
    pub own: &'a [String],
    /// The meeting that is not to be counted, because it is about that (CALENDAR-MASK-UID).
    pub without: &'a [String],
    /// Whose clock floating times are on; `None` is that of each calendar.
    pub floating: Option<&'a Zone>,
}

/// When the owner is busy: what is in calendars that count (`schedule-calendar-transp`), and when the owner can't be
/// had at all.
///
/// # Errors
/// When the account can't be read.
pub async fn busy(account: &dyn Account, question: Question<'_>, spans: &KeptSpans) -> Result<FreeBusy, AccountError> {
    let mut found = Found::default();
    let mut calendars = account.containers().await?;
    let inbox = inbox_of(&calendars);
    calendars.retain(|container| container.kind == ContainerKind::Calendar);
    calendars.sort_by_key(|container| container.id);
    let of_calendars = calendars.iter().map(|calendar| (calendar.id, &CALENDAR_NOTES[..]));
    let wanted: Vec<_> = inbox.map(|inbox| (inbox, &AVAILABILITY[..])).into_iter().chain(of_calendars).collect();
    let (Some(head), noted) = notes(account, &wanted).await? else { return Ok(FreeBusy::default()) };
    let (mut noted, mut first_zone) = (noted.into_iter(), None);
    let said = inbox.and_then(|_| noted.next()).and_then(availability_noted);
    for (calendar, mut notes) in calendars.iter().zip(noted) {
        let transparency = notes.pop().flatten();
        let floating = question.floating.cloned().unwrap_or_else(|| zone_noted(notes));
        first_zone.get_or_insert_with(|| floating.clone());
        if transparency.is_some_and(|said| said.elements().any(|below| below.name.is(CALDAV, "transparent"))) {
            continue;
        }
        of_calendar(account, (&head, calendar.id), &floating, question, spans, &mut found).await?;
    }
    if let Some(said) = said {
        found.availability.add(&said, &first_zone.unwrap_or(Zone::Utc), question.range);
    }
    let Found { mut busy, availability } = found;
    busy.add_unavailable(availability, question.range);
    Ok(busy)
}

/// What calendars say of a time.
#[derive(Default)]
struct Found {
    busy: FreeBusy,
    availability: Availability,
}

/// When the owner of an account can be had (`calendar-availability`, RFC 7953 section 7.2.4), if that was said, and the
/// zone of what says none: that of the owner's first calendar, whoever asks.
///
/// # Errors
/// When the account can't be read.
pub async fn availability_of_owner(account: &dyn Account) -> Result<Option<(Calendar, Zone)>, AccountError> {
    let containers = account.containers().await?;
    let Some(inbox) = inbox_of(&containers) else { return Ok(None) };
    let (_, mut noted) = notes(account, &[(inbox, &AVAILABILITY)]).await?;
    let Some(said) = noted.pop().and_then(availability_noted) else { return Ok(None) };
    let calendars = containers.iter().filter(|container| container.kind == ContainerKind::Calendar);
    let floating = match calendars.map(|container| container.id).min() {
        Some(first) => zone(account, first).await?,
        None => Zone::Utc,
    };
    Ok(Some((said, floating)))
}

fn inbox_of(containers: &[Container]) -> Option<ContainerId> {
    let is_inbox = |found: &&Container| found.kind == ContainerKind::ScheduleInbox && found.name == INBOX;
    containers.iter().find(is_inbox).map(|inbox| inbox.id)
}

fn availability_noted(notes: Vec<Option<Element>>) -> Option<Calendar> {
    Calendar::parse(notes.into_iter().next()??.text().trim().as_bytes()).ok()
}

async fn of_calendar(
    account: &dyn Account,
    (head, calendar): (&Head, ContainerId),
    floating: &Zone,
    question: Question<'_>,
    spans: &KeptSpans,
    found: &mut Found,
) -> Result<(), AccountError> {
    let counts = |span: Span| {
        matches!(span.kind, Kind::Event | Kind::FreeBusy | Kind::Availability) && span.may_be_in(question.range)
    };
    let possible = spans.possible_at(account, head, calendar, counts).await?;
    for some in possible.chunks(BODIES_AT_ONCE) {
        let uids = UidSet::from_ranges(some.iter().map(|uid| (*uid, *uid)).collect());
        let parts = ItemParts { body: true, ..ItemParts::default() };
        for item in account.items(calendar, &uids, parts, some.len()).await? {
            if item.object_uid.as_ref().is_some_and(|uid| question.without.contains(uid)) {
                continue;
            }
            if let Ok(object) = Calendar::parse(&body(account, &item).await?) {
                found.busy.add_of(&object, floating, question.range, question.own);
                found.availability.add(&object, floating, question.range);
            }
        }
    }
    Ok(())
}
