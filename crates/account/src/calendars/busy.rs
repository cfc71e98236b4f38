//! When the owner of an account is busy (RFC 6638 section 5, RFC 7953 section 4).

use sterna_formats::calendar::availability::unavailable;
use sterna_formats::calendar::freebusy::FreeBusy;
use sterna_formats::calendar::{Calendar, Kind, Span, Zone};

use super::spans::KeptSpans;
use super::{CALDAV, INBOX, body, note, zone};
use crate::{Account, AccountError, Container, ContainerKind, ItemParts, UidSet};

/// Objects that are read at once.
const BODIES_AT_ONCE: usize = 100;

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
    let (mut busy, mut first_zone) = (FreeBusy::default(), None);
    let mut calendars = account.containers().await?;
    let inbox =
        calendars.iter().find(|found| found.kind == ContainerKind::ScheduleInbox && found.name == INBOX).cloned();
    calendars.retain(|container| container.kind == ContainerKind::Calendar);
    calendars.sort_by_key(|container| container.id);
    for calendar in &calendars {
        let transparency = note(account, calendar.id, (CALDAV, "schedule-calendar-transp")).await?;
        let floating = match question.floating {
            Some(zone) => zone.clone(),
            None => zone(account, calendar.id).await?,
        };
        first_zone.get_or_insert_with(|| floating.clone());
        if transparency.is_some_and(|said| said.elements().any(|below| below.name.is(CALDAV, "transparent"))) {
            continue;
        }
        of_calendar(account, calendar, &floating, question, spans, &mut busy).await?;
    }
    let availability = match &inbox {
        Some(inbox) => note(account, inbox.id, (CALDAV, "calendar-availability")).await?,
        None => None,
    };
    if let Some(said) = availability.and_then(|said| Calendar::parse(said.text().trim().as_bytes()).ok()) {
        let floating = first_zone.unwrap_or(Zone::Utc);
        for period in unavailable(&said, &floating, question.range) {
            busy.add_period(period, question.range);
        }
    }
    Ok(busy)
}

async fn of_calendar(
    account: &dyn Account,
    calendar: &Container,
    floating: &Zone,
    question: Question<'_>,
    spans: &KeptSpans,
    busy: &mut FreeBusy,
) -> Result<(), AccountError> {
    let counts = |span: Span| {
        matches!(span.kind, Kind::Event | Kind::FreeBusy | Kind::Availability) && span.may_be_in(question.range)
    };
    let possible = spans.possible(account, calendar.id, counts).await?;
    for some in possible.chunks(BODIES_AT_ONCE) {
        let uids = UidSet::from_ranges(some.iter().map(|uid| (*uid, *uid)).collect());
        let parts = ItemParts { body: true, ..ItemParts::default() };
        for item in account.items(calendar.id, &uids, parts, some.len()).await? {
            if item.object_uid.as_ref().is_some_and(|uid| question.without.contains(uid)) {
                continue;
            }
            if let Ok(object) = Calendar::parse(&body(account, &item).await?) {
                busy.add_of(&object, floating, question.range, question.own);
                for period in unavailable(&object, floating, question.range) {
                    busy.add_period(period, question.range);
                }
            }
        }
    }
    Ok(())
}
