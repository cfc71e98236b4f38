//! NOTIFY (RFC 5465 section 8): which events in which mailboxes a client wants to hear of.

use super::command::{Body, FetchItem, SearchSource};
use super::lexer::{Lexer, Result};

/// Most event groups in one command.
pub const GROUPS_MAX: usize = 64;
/// Most events in one group.
pub const EVENTS_MAX: usize = 64;
/// Most items to fetch of new messages.
const ITEMS_MAX: usize = 256;

/// `notify`
#[derive(Clone, Debug, PartialEq)]
pub enum Notify {
    /// NONE
    None,
    /// SET, in place of what was set before
    Set {
        /// STATUS: as the mailboxes are now
        status: bool,
        /// The groups; of those that mean one mailbox the first holds.
        groups: Vec<EventGroup>,
    },
}

/// `event-group`
#[derive(Clone, Debug, PartialEq)]
pub struct EventGroup {
    /// Which mailboxes.
    pub mailboxes: EventMailboxes,
    /// Which events; none at all is NONE.
    pub events: Vec<Event>,
}

/// `filter-mailboxes`
#[derive(Clone, Debug, PartialEq)]
pub enum EventMailboxes {
    /// selected: expunges at any time
    Selected,
    /// selected-delayed: expunges when a command allows them
    SelectedDelayed,
    /// Any others.
    Others(SearchSource),
}

/// `event`
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// MessageNew, and what to fetch of new messages in the selected mailbox
    MessageNew(Vec<FetchItem>),
    /// MessageExpunge
    MessageExpunge,
    /// FlagChange
    FlagChange,
    /// MailboxName
    MailboxName,
    /// SubscriptionChange
    SubscriptionChange,
    /// MailboxMetadataChange
    MailboxMetadataChange,
    /// ServerMetadataChange
    ServerMetadataChange,
    /// One that is not known here: `NO [BADEVENT (..)]`
    Unknown(String),
}

impl Event {
    /// The names of those that are known.
    pub const NAMES: [&str; 7] = [
        "MessageNew",
        "MessageExpunge",
        "FlagChange",
        "MailboxName",
        "SubscriptionChange",
        "MailboxMetadataChange",
        "ServerMetadataChange",
    ];

    /// `message-event`
    pub fn is_of_messages(&self) -> bool {
        matches!(self, Event::MessageNew(_) | Event::MessageExpunge | Event::FlagChange)
    }
}

impl Lexer<'_> {
    pub fn parse_notify(&mut self) -> Result<Body> {
        match self.atom()?.to_ascii_uppercase().as_str() {
            "NONE" => Ok(Body::Notify(Notify::None)),
            "SET" => {
                self.sp()?;
                let status = self.keyword("STATUS");
                if status {
                    self.sp()?;
                }
                let mut groups = vec![self.event_group()?];
                while self.take(b' ') {
                    if groups.len() == GROUPS_MAX {
                        return self.error("at most 64 groups of events");
                    }
                    groups.push(self.event_group()?);
                }
                self.check_selected(&groups)?;
                Ok(Body::Notify(Notify::Set { status, groups }))
            }
            _ => self.error("SET or NONE"),
        }
    }

    /// Section 6.1: one group at most is about the selected mailbox.
    fn check_selected(&self, groups: &[EventGroup]) -> Result<()> {
        let of_others = |group: &&EventGroup| matches!(group.mailboxes, EventMailboxes::Others(_));
        if groups.iter().filter(|group| !of_others(group)).count() > 1 {
            return self.error("one group of events for the selected mailbox");
        }
        Ok(())
    }

    fn event_group(&mut self) -> Result<EventGroup> {
        self.byte(b'(', "a group of events")?;
        let mailboxes = if self.keyword("SELECTED-DELAYED") {
            EventMailboxes::SelectedDelayed
        } else {
            match self.filter_mailboxes()? {
                SearchSource::Selected => EventMailboxes::Selected,
                // RFC 7377 has it, RFC 5465 doesn't.
                SearchSource::SubtreeOne(_) => return self.error("mailboxes to watch"),
                others => EventMailboxes::Others(others),
            }
        };
        self.sp()?;
        let events = if self.keyword("NONE") { Vec::new() } else { self.events()? };
        self.byte(b')', "the end of the group")?;
        self.check_events(&mailboxes, &events)?;
        Ok(EventGroup { mailboxes, events })
    }

    fn events(&mut self) -> Result<Vec<Event>> {
        let events = self.list(Lexer::event)?;
        if (1..=EVENTS_MAX).contains(&events.len()) { Ok(events) } else { self.error("1 to 64 events") }
    }

    fn event(&mut self) -> Result<Event> {
        let name = self.atom()?;
        let known = Event::NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name));
        Ok(match known {
            Some("MessageNew") => Event::MessageNew(self.optional_items()?),
            Some("MessageExpunge") => Event::MessageExpunge,
            Some("FlagChange") => Event::FlagChange,
            Some("MailboxName") => Event::MailboxName,
            Some("SubscriptionChange") => Event::SubscriptionChange,
            Some("MailboxMetadataChange") => Event::MailboxMetadataChange,
            Some("ServerMetadataChange") => Event::ServerMetadataChange,
            _ => Event::Unknown(name.to_owned()),
        })
    }

    /// ` (fetch-att ..)`, if it is there.
    pub fn optional_items(&mut self) -> Result<Vec<FetchItem>> {
        let mut ahead = self.clone_position();
        if !(ahead.take(b' ') && ahead.take(b'(')) {
            return Ok(Vec::new());
        }
        self.sp()?;
        let items = self.list(Lexer::fetch_att)?;
        if (1..=ITEMS_MAX).contains(&items.len()) { Ok(items) } else { self.error("items to fetch") }
    }

    /// Sections 5 and 6.1.
    fn check_events(&self, mailboxes: &EventMailboxes, events: &[Event]) -> Result<()> {
        let has = |is: fn(&Event) -> bool| events.iter().any(is);
        let (new, expunge) = (has(|e| matches!(e, Event::MessageNew(_))), has(|e| *e == Event::MessageExpunge));
        if new != expunge {
            return self.error("MessageNew and MessageExpunge together");
        }
        // An unknown one may be AnnotationChange, for which the same holds.
        if has(|e| *e == Event::FlagChange) && !new {
            return self.error("MessageNew and MessageExpunge with FlagChange");
        }
        let is_known_other = |e: &Event| !e.is_of_messages() && !matches!(e, Event::Unknown(_));
        match mailboxes {
            EventMailboxes::Others(_) if has(|e| matches!(e, Event::MessageNew(items) if !items.is_empty())) => {
                self.error("items to fetch for the selected mailbox only")
            }
            EventMailboxes::Selected | EventMailboxes::SelectedDelayed if events.iter().any(is_known_other) => {
                self.error("events of messages for the selected mailbox")
            }
            _ => Ok(()),
        }
    }
}
