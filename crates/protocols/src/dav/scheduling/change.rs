//! What a change of a calendar object means for others.

use bytes::Bytes;
use http::StatusCode;
use sterna_account::calendars::{self, pending, scheduling_collection};
use sterna_account::scheduling::{CalendarUser, Outgoing};
use sterna_account::{Account, ContainerKind, Item, Mutation};
use sterna_base::ContainerId;
use sterna_formats::calendar::itip::{self, NotAllowed, Plan, Role, attendee, organizer, role, set_statuses};
use sterna_formats::calendar::{Calendar, Facts};
use sterna_formats::dav::write;

use super::is_scheduling;
use crate::dav::answer::Problem;
use crate::dav::context::Context;
use crate::dav::limits::PARSED_INLINE_BYTES_MAX;
use crate::dav::paths::{self, Space};
use crate::dav::resource::Collection;

/// A change: what is there, and what is to be.
pub struct Change<'a> {
    pub context: &'a Context,
    pub collection: &'a Collection,
    /// What is there, with its summary.
    pub old: Option<&'a Item>,
    /// What is to be there: the object's bytes.
    pub new: Option<&'a Bytes>,
}

/// What follows from a change.
pub struct Scheduled {
    /// The object as it is stored; `None` when it is deleted.
    pub object: Option<Calendar>,
    /// What others are told.
    pub messages: Vec<Outgoing>,
    /// Where these are kept.
    pub outbox: Option<ContainerId>,
}

impl Scheduled {
    /// The steps that keep the messages, for the commit of the change.
    ///
    /// # Errors
    /// When the account can't be written.
    pub async fn steps(&self, account: &dyn Account) -> Result<Vec<Mutation>, Problem> {
        let Some(outbox) = self.outbox else { return Ok(Vec::new()) };
        Ok(pending::keep(account, outbox, &self.messages).await?)
    }
}

/// Whether others may be concerned by a change: told by what is stored beside objects, without reading one.
pub fn may_concern(old: Option<&Item>, new: Option<&[u8]>) -> bool {
    // What another version stored is not known.
    let is_scheduled =
        |summary: Option<&[u8]>| summary.and_then(Facts::decode).is_none_or(|facts| facts.schedule_tag.is_some());
    old.is_some_and(|old| is_scheduled(old.summary.as_deref())) || (new.is_some() && is_scheduled(new))
}

impl Change<'_> {
    /// What follows; `None` when nothing does.
    ///
    /// # Errors
    /// The precondition that does not hold.
    pub async fn plan(&self) -> Result<Option<Scheduled>, Problem> {
        let container = &self.collection.container;
        let Some(scheduling) = &self.context.shared.scheduling else { return Ok(None) };
        if self.collection.space != Space::Calendars || is_scheduling(container) {
            return Ok(None);
        }
        let was = self.old.and_then(|old| old.summary.as_deref().and_then(Facts::decode));
        let was_scheduled = self.old.is_some() && was.as_ref().is_none_or(|facts| facts.schedule_tag.is_some());
        // What was stored was read before; here it is read again, and only if somebody may be concerned.
        let new = self.new.and_then(|bytes| Calendar::parse(bytes).ok());
        let is_scheduled = new.as_ref().is_some_and(|new| itip::schedule_tag(new).is_some());
        if !was_scheduled && !is_scheduled {
            return Ok(None);
        }
        let account = self.collection.home.account.as_ref();
        // Whoever throws a copy away still has the meeting.
        if let (None, Some(facts)) = (&self.new, &was)
            && calendars::is_elsewhere(account, &facts.uid, container.id).await?
        {
            return Ok(None);
        }
        let user = scheduling.user(account.id()).await.ok_or_else(|| Problem::unavailable(5))?;
        let old = match self.old {
            Some(item) if was_scheduled => Calendar::parse(&calendars::body(account, item).await?).ok(),
            _ => None,
        };
        if is_scheduled && self.old.is_none() {
            self.check_unique(new.as_ref()).await?;
        }
        let told = Told::by(self.context, user);
        let bytes = self.new.map_or(0, Bytes::len).max(self.old.map_or(0, |old| old.size as usize));
        // Thousands of attendees take a while.
        let plan = match bytes <= PARSED_INLINE_BYTES_MAX {
            true => told.messages(old.as_ref(), new.as_ref()),
            false => {
                let planning = tokio::task::spawn_blocking(move || told.messages(old.as_ref(), new.as_ref()));
                let failed = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The server could not read that");
                planning.await.map_err(failed)?
            }
        };
        let Some(Plan { object, messages }) = plan? else { return Ok(None) };
        let mut object = object;
        if let Some(object) = &mut object {
            let told = messages.iter().map(|message| (message.recipient.as_str(), "1.0")).collect();
            set_statuses(object, &told, |_| true);
        }
        let messages: Vec<Outgoing> = pending::all_outgoing(&messages);
        let outbox = match messages.is_empty() {
            true => None,
            false => Some(scheduling_collection(account, ContainerKind::ScheduleOutbox).await?.id),
        };
        Ok(Some(Scheduled { object: object.map(Calendar::of), messages, outbox }))
    }

    /// One meeting is in one calendar (`unique-scheduling-object-resource`, RFC 6638 section 3.2.4.1).
    async fn check_unique(&self, new: Option<&Calendar>) -> Result<(), Problem> {
        let Some(facts) = new.and_then(|new| Facts::of(new).ok()) else { return Ok(()) };
        let home = &self.collection.home;
        let Some((other, item)) = calendars::find(home.account.as_ref(), &facts.uid).await? else { return Ok(()) };
        if other.id == self.collection.container.id {
            return Ok(());
        }
        Err(not_unique(&home.address, &other.name, &item.name.unwrap_or_default()))
    }
}

/// A meeting is in a calendar already.
pub fn not_unique(address: &str, calendar: &str, name: &str) -> Problem {
    let path = paths::within(Space::Calendars, address, [calendar, name], false);
    let mut condition = "<C:unique-scheduling-object-resource>".to_owned();
    write::href(&path, &mut condition);
    condition.push_str("</C:unique-scheduling-object-resource>");
    Problem::forbidden(&condition, "The meeting is in another calendar already")
}

/// Whose calendar it is, and what the user's program has said of a change.
struct Told {
    user: CalendarUser,
    /// False for `Schedule-Reply: F`.
    replies: bool,
    /// Whether answers that came in between stay.
    merges: bool,
    now_s: i64,
}

impl Told {
    fn by(context: &Context, user: CalendarUser) -> Self {
        let is_silent = |said: &str| said.trim().eq_ignore_ascii_case("f");
        Told {
            user,
            replies: !context.header("schedule-reply").is_some_and(is_silent),
            merges: context.header("if-schedule-tag-match").is_some(),
            now_s: context.now().seconds(),
        }
    }

    /// By what the owner of the calendar has to do with it.
    fn messages(&self, old: Option<&Calendar>, new: Option<&Calendar>) -> Result<Option<Plan>, Problem> {
        let (own, now_s) = (&self.user.addresses, self.now_s);
        let of = |calendar: Option<&Calendar>| calendar.map_or(Ok(Role::None), |calendar| role(calendar, own));
        // What is stored may be older than our rules.
        let (before, after) = (of(old).unwrap_or(Role::None), of(new).map_err(not_allowed)?);
        let plan = match (before, after) {
            (Role::None, Role::None) => return Ok(None),
            (Role::Attendee { .. }, _) | (Role::None, Role::Attendee { .. }) => {
                attendee::plan(old, new, own, self.replies, now_s)
            }
            (Role::Organizer { .. }, Role::Attendee { .. }) => Err(NotAllowed::Organizer),
            (_, Role::Organizer { .. }) | (Role::Organizer { .. }, Role::None) => {
                organizer::plan(old, new, own, self.merges, now_s)
            }
        };
        plan.map(Some).map_err(not_allowed)
    }
}

fn not_allowed(error: NotAllowed) -> Problem {
    let condition = match error {
        NotAllowed::Organizer => "<C:allowed-organizer-scheduling-object-change/>",
        NotAllowed::Attendee(_) => "<C:allowed-attendee-scheduling-object-change/>",
        NotAllowed::SameOrganizer => "<C:same-organizer-in-all-components/>",
        NotAllowed::TooMany => "<C:max-attendees-per-instance/>",
    };
    Problem::forbidden(condition, error.to_string())
}
