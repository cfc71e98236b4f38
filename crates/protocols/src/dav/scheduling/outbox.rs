//! POST to the scheduling outbox (RFC 6638 section 5): whether somebody is busy. Messages that no change of an object
//! stands for (COUNTER, DECLINECOUNTER, REFRESH of RFC 5546) are taken here, too.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use http::{Response, StatusCode};
use sterna_account::ContainerKind;
use sterna_account::Rights;
use sterna_account::scheduling::{CalendarUser, FreeBusyQuestion, Outgoing, Scheduling};
use sterna_base::OperationId;
use sterna_formats::calendar::itip::{Method, address_of, facts};
use sterna_formats::calendar::time::parse_utc;
use sterna_formats::calendar::{Calendar, Kind};
use sterna_formats::content_line::{Component, Property};
use sterna_formats::dav::write;

use crate::dav::answer::{Problem, XML, response};
use crate::dav::body::Body;
use crate::dav::context::Context;
use crate::dav::limits::{ASKED_AT_ONCE, ASKED_MAX, ASKED_SECONDS_MAX};
use crate::dav::resource::Collection;

/// Answers a POST.
///
/// # Errors
/// The precondition that does not hold.
pub async fn post(context: &Arc<Context>, outbox: &Collection, body: &Bytes) -> Result<Response<Body>, Problem> {
    let Some(scheduling) = context.shared.scheduling.clone() else { return Err(Problem::not_allowed()) };
    if outbox.container.kind != ContainerKind::ScheduleOutbox {
        return Err(Problem::not_allowed());
    }
    outbox.check(Rights::INSERT, "bind")?;
    let kind = context.header("content-type").unwrap_or_default().to_ascii_lowercase();
    if !kind.starts_with("text/calendar") {
        return Err(Problem::forbidden("<C:supported-calendar-data/>", "That is no text/calendar"));
    }
    let invalid = |text: String| Problem::forbidden("<C:valid-calendar-data/>", text);
    let message = Calendar::parse(body).map_err(|error| invalid(error.to_string()))?;
    let found = facts(&message).map_err(|error| invalid(error.to_string()))?;
    let user = scheduling.user(outbox.home.account.id()).await.ok_or_else(|| Problem::unavailable(5))?;
    let asked = Asked { context, scheduling: &scheduling, user: &user, message: &message, outbox };
    match (found.kind, Method::of(&message)) {
        (Kind::FreeBusy, Some(Method::Request)) => asked.free_busy().await,
        (_, Some(method @ (Method::Counter | Method::DeclineCounter | Method::Refresh))) => asked.carry(method).await,
        _ => {
            let text = "Only questions for free time, COUNTER, DECLINECOUNTER and REFRESH are sent so";
            Err(Problem::forbidden("<C:valid-scheduling-message/>", text))
        }
    }
}

struct Asked<'a> {
    context: &'a Arc<Context>,
    scheduling: &'a Arc<dyn Scheduling>,
    user: &'a CalendarUser,
    message: &'a Calendar,
    outbox: &'a Collection,
}

impl Asked<'_> {
    fn component(&self) -> Result<&Component, Problem> {
        let none = || Problem::forbidden("<C:valid-calendar-data/>", "There is nothing in it");
        self.message.objects().next().ok_or_else(none)
    }

    fn is_own(&self, address: &str) -> bool {
        self.user.addresses.iter().any(|own| own == address)
    }

    /// Who asks must be who says so (`organizer-allowed`, RFC 6638 section 5).
    fn check_organizer(&self) -> Result<String, Problem> {
        let organizer = self.component()?.value("ORGANIZER").map(address_of).unwrap_or_default();
        let refused = || Problem::forbidden("<C:organizer-allowed/>", "You can't ask in the name of somebody else");
        if self.is_own(&organizer) { Ok(organizer) } else { Err(refused()) }
    }

    async fn free_busy(&self) -> Result<Response<Body>, Problem> {
        self.check_organizer()?;
        let component = self.component()?;
        let bound = |name: &str| component.value(name).and_then(|text| parse_utc(text.trim()));
        let wrong = |text: &str| Problem::forbidden("<C:valid-calendar-data/>", text);
        let (Some(start), Some(end)) = (bound("DTSTART"), bound("DTEND")) else {
            return Err(wrong("DTSTART and DTEND in UTC say which time is meant"));
        };
        if start >= end || end - start > ASKED_SECONDS_MAX {
            return Err(wrong("That is no time that can be asked for"));
        }
        let attendees: Vec<&Property> = component.all("ATTENDEE").collect();
        if attendees.len() > ASKED_MAX {
            return Err(Problem::forbidden("<C:max-attendees-per-instance/>", "Those are too many people at once"));
        }
        let masked: Vec<String> = component.all("X-CALENDARSERVER-MASK-UID").map(|uid| uid.value.clone()).collect();
        let one = |attendee: &Property| {
            let (attendee, masked) = (attendee.clone(), masked.clone());
            async move { self.busy_of(&attendee, (start, end), &masked).await }
        };
        // In their order, whoever answers first.
        let answers: Vec<String> = stream::iter(attendees.into_iter().map(one)).buffered(ASKED_AT_ONCE).collect().await;
        Ok(schedule_response(&answers.concat()))
    }

    async fn busy_of(&self, attendee: &Property, range: (i64, i64), without: &[String]) -> String {
        let address = address_of(&attendee.value);
        let question = FreeBusyQuestion { address: &address, range, without };
        match (self.scheduling.free_busy(question).await, self.component()) {
            (Ok(busy), Ok(asked)) => {
                let text = busy.reply(range, self.context.now().seconds(), attendee, asked);
                recipient(&attendee.value, "2.0;Success", Some(&text))
            }
            (Err(error), _) => {
                tracing::debug!(address, %error, "nobody can say when somebody is busy");
                recipient(&attendee.value, error.status(), None)
            }
            (_, Err(_)) => recipient(&attendee.value, "3.0;Invalid", None),
        }
    }

    /// Messages that no object stands for.
    async fn carry(&self, method: Method) -> Result<Response<Body>, Problem> {
        let component = self.component()?;
        let organizer = component.value("ORGANIZER").map(address_of).unwrap_or_default();
        let attendees: Vec<String> = component.all("ATTENDEE").map(|line| address_of(&line.value)).collect();
        let (sender, recipients) = if method.is_organizers() {
            (self.check_organizer()?, attendees)
        } else {
            let own = attendees.into_iter().find(|address| self.is_own(address));
            let refused = || Problem::forbidden("<C:attendee-allowed/>", "You are not invited to that");
            (own.ok_or_else(refused)?, vec![organizer])
        };
        if recipients.len() > ASKED_MAX {
            return Err(Problem::forbidden("<C:max-attendees-per-instance/>", "Those are too many people at once"));
        }
        let (text, from) = (Bytes::from(self.message.text()), self.outbox.home.account.id());
        let mut answers = String::new();
        for address in recipients.into_iter().filter(|address| !self.is_own(address)) {
            let (id, sender, text) = (OperationId::random(), sender.clone(), text.clone());
            let message = Outgoing { id, sender, recipient: address.clone(), text, is_automatic: false };
            let status = match self.scheduling.deliver(from, &message).await.status() {
                // Nobody keeps it here: whoever asked hears that it did not go.
                "1.0" => "5.1;Service unavailable",
                "3.7" => "3.7;Invalid calendar user",
                "5.1" => "5.1;Service unavailable",
                _ => "2.0;Success",
            };
            answers.push_str(&recipient(&format!("mailto:{address}"), status, None));
        }
        Ok(schedule_response(&answers))
    }
}

fn schedule_response(answers: &str) -> Response<Body> {
    let mut xml = String::new();
    write::root("C:schedule-response", &mut xml);
    xml.push_str(answers);
    xml.push_str("</C:schedule-response>\n");
    response(StatusCode::OK, XML, xml)
}

/// `CALDAV:response` (RFC 6638 section 10.2)
fn recipient(address: &str, status: &str, data: Option<&str>) -> String {
    let mut xml = "<C:response><C:recipient>".to_owned();
    write::href(address, &mut xml);
    xml.push_str(&format!("</C:recipient><C:request-status>{}</C:request-status>", write::text(status)));
    if let Some(data) = data {
        xml.push_str(&format!("<C:calendar-data>{}</C:calendar-data>", write::text(data)));
    }
    xml.push_str("</C:response>");
    xml
}
