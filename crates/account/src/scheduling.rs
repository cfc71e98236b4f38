//! The door between calendars and those who carry invitations: what a session of DAV asks for its users (RFC 6638). The
//! mail flow stands behind it.

use async_trait::async_trait;
use bytes::Bytes;
use sterna_base::{AccountId, OperationId};
use sterna_formats::calendar::freebusy::FreeBusy;

/// Somebody who schedules.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CalendarUser {
    /// All addresses, the main one first, in lower case.
    pub addresses: Vec<String>,
    /// For people; empty when there is none.
    pub name: String,
    /// What kind (`calendar-user-type`, RFC 6638 section 2.4.2).
    pub kind: UserKind,
}

/// CUTYPE (RFC 5545 section 3.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum UserKind {
    /// A person.
    #[default]
    Individual,
    /// Equipment.
    Resource,
    /// A room.
    Room,
}

impl UserKind {
    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            UserKind::Individual => "INDIVIDUAL",
            UserKind::Resource => "RESOURCE",
            UserKind::Room => "ROOM",
        }
    }
}

/// A message of iTIP on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Names it for ever: it is taken in once.
    pub id: OperationId,
    /// The address of the calendar user who says it.
    pub sender: String,
    /// The address of who is told.
    pub recipient: String,
    /// The VCALENDAR with its METHOD.
    pub text: Bytes,
    /// Whether no person has caused it: mail says so (RFC 3834), so that no program answers it again.
    pub is_automatic: bool,
}

/// What became of a message (SCHEDULE-STATUS, RFC 6638 section 3.2.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It waits in a queue, durably, for a data server that is away.
    Pending,
    /// It is on its way by mail.
    Sent,
    /// It is in the recipient's account.
    Delivered,
    /// There is no such calendar user.
    NoSuchUser,
    /// The recipient's account doesn't take it.
    Refused,
    /// Nobody has it: it must be kept, and tried again.
    Kept,
}

impl Delivery {
    /// As noted in the object.
    pub fn status(self) -> &'static str {
        match self {
            Delivery::Pending | Delivery::Kept => "1.0",
            Delivery::Sent => "1.1",
            Delivery::Delivered => "1.2",
            Delivery::NoSuchUser => "3.7",
            Delivery::Refused => "5.1",
        }
    }
}

/// Whether somebody is busy.
#[derive(Clone, Copy, Debug)]
pub struct FreeBusyQuestion<'a> {
    /// Who is asked about: an address.
    pub address: &'a str,
    /// From, and before: seconds since 1970.
    pub range: (i64, i64),
    /// Meetings that are not to be counted, by UID.
    pub without: &'a [String],
}

/// Why nobody can say whether somebody is busy; with the status that says so (RFC 5546 section 3.6).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FreeBusyError {
    /// `3.7`
    #[error("there is no such calendar user")]
    NoSuchUser,
    /// `3.8`
    #[error("that is nobody whose calendar is here")]
    Elsewhere,
    /// `5.1`: the data server doesn't answer.
    #[error("the server that has the calendar does not answer: {0}")]
    Unavailable(String),
    /// `5.3`: there is too much.
    #[error("there is too much in that time")]
    TooMuch,
}

impl FreeBusyError {
    /// What the answer says.
    pub fn status(&self) -> &'static str {
        match self {
            FreeBusyError::NoSuchUser => "3.7;Invalid calendar user",
            FreeBusyError::Elsewhere => "3.8;No authority",
            FreeBusyError::Unavailable(_) => "5.1;Service unavailable",
            FreeBusyError::TooMuch => "5.3;The request asks for too much",
        }
    }
}

/// What invitations by mail do to a calendar (RFC 6047).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MailPolicy {
    /// Nothing.
    Off,
    /// They change what is known already.
    Update,
    /// New ones come in, too, not answered yet.
    #[default]
    Add,
}

impl MailPolicy {
    /// From its name.
    pub fn named(name: &str) -> Option<Self> {
        match name.trim() {
            "off" => Some(MailPolicy::Off),
            "update" => Some(MailPolicy::Update),
            "add" => Some(MailPolicy::Add),
            _ => None,
        }
    }
}

/// Carries invitations and answers, and knows who is who.
#[async_trait]
pub trait Scheduling: Send + Sync {
    /// Whose an account is; `None` when the directory can't say.
    async fn user(&self, account: AccountId) -> Option<CalendarUser>;

    /// The rooms and things whose name or address has this text in it, a bounded number of them.
    async fn resources(&self, text: &str) -> Vec<CalendarUser>;

    /// Carries a message of whom the account belongs to. When it returns, the message is durable somewhere, unless it
    /// says [`Delivery::Kept`].
    async fn deliver(&self, from: AccountId, message: &Outgoing) -> Delivery;

    /// When somebody is busy, wherever the calendars are.
    ///
    /// # Errors
    /// [`FreeBusyError`]: what is not known is not guessed.
    async fn free_busy(&self, question: FreeBusyQuestion<'_>) -> Result<FreeBusy, FreeBusyError>;
}
