//! What was read, what came of it, and what could not be brought, by kind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Reasons of one kind that are kept word by word.
const NOTES_MAX: usize = 500;

/// A kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Domains,
    Users,
    SharedMailboxes,
    Resources,
    Groups,
    Contacts,
    Quotas,
    Forwards,
    Vacations,
    Filters,
    Passwords,
    Calendars,
    Events,
    TaskLists,
    Tasks,
    AddressBooks,
    Cards,
    Notes,
    Shares,
    Subscriptions,
    Identities,
    UserSettings,
    SystemSettings,
}

impl Kind {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Domains => "domains",
            Kind::Users => "users",
            Kind::SharedMailboxes => "shared mailboxes",
            Kind::Resources => "resources",
            Kind::Groups => "groups",
            Kind::Contacts => "external contacts",
            Kind::Quotas => "quotas",
            Kind::Forwards => "forwards",
            Kind::Vacations => "vacations",
            Kind::Filters => "filters",
            Kind::Passwords => "passwords",
            Kind::Calendars => "calendars",
            Kind::Events => "events",
            Kind::TaskLists => "task lists",
            Kind::Tasks => "tasks",
            Kind::AddressBooks => "address books",
            Kind::Cards => "cards",
            Kind::Notes => "notes",
            Kind::Shares => "shares",
            Kind::Subscriptions => "subscriptions",
            Kind::Identities => "identities",
            Kind::UserSettings => "settings of users",
            Kind::SystemSettings => "settings of the system",
        }
    }
}

/// What became of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many there were.
    pub read: u64,
    /// How many were written.
    pub written: u64,
    /// How many could not be, or only in part.
    pub left_out: u64,
    /// Which ones, and why: the first few hundred.
    pub reasons: Vec<String>,
}

/// What became of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// By kind.
    pub kinds: BTreeMap<Kind, Tally>,
}

impl Report {
    fn of(&mut self, kind: Kind) -> &mut Tally {
        self.kinds.entry(kind).or_default()
    }

    /// One was read and written.
    pub fn written(&mut self, kind: Kind) {
        let tally = self.of(kind);
        tally.read += 1;
        tally.written += 1;
    }

    /// One was read, and not written.
    pub fn left_out(&mut self, kind: Kind, reason: impl Into<String>) {
        self.of(kind).read += 1;
        self.partly(kind, reason);
    }

    /// Something of one that was written is missing.
    pub fn partly(&mut self, kind: Kind, reason: impl Into<String>) {
        let tally = self.of(kind);
        tally.left_out += 1;
        if tally.reasons.len() < NOTES_MAX {
            tally.reasons.push(reason.into());
        }
    }

    /// So many were read that have no place here, all for the same reason.
    pub fn none_of(&mut self, kind: Kind, count: u64, reason: &str) {
        if count > 0 {
            let tally = self.of(kind);
            tally.read += count;
            tally.left_out += count;
            tally.reasons.push(reason.to_owned());
        }
    }
}
