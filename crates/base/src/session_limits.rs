//! Limits of sessions: settings of the directory, each with bounds that no setting goes beyond.
//!
//! They are here because the directory checks what is set, and the protocols hold clients to it, and neither knows the
//! other.

use std::time::Duration;

use parking_lot::RwLock;
use std::sync::Arc;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The setting's name; its end says the unit.
    pub name: &'static str,
    /// What holds when it isn't set.
    pub default: u64,
    /// The smallest value that can be set.
    pub least: u64,
    /// The largest.
    pub most: u64,
    /// What it bounds.
    pub what: &'static str,
}

macro_rules! session_limits {
    ($($field:ident = $name:literal: $default:literal, $least:literal to $most:literal, $what:literal;)*) => {
        /// What holds for a session, all in the units that the settings' names say.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct SessionLimits {
            $(#[doc = $what] pub $field: u64,)*
        }

        /// All of them, by name.
        pub const LIMITS: &[Limit] = &[
            $(Limit { name: $name, default: $default, least: $least, most: $most, what: $what },)*
        ];

        impl SessionLimits {
            /// What holds when nothing is set.
            pub const DEFAULT: SessionLimits = SessionLimits { $($field: $default,)* };

            /// What was set; what is out of bounds, because an older version took it, is brought into them.
            ///
            /// # Errors
            /// Those of the question.
            pub fn read<E>(mut set: impl FnMut(&str) -> Result<Option<u64>, E>) -> Result<Self, E> {
                Ok(SessionLimits { $($field: set($name)?.unwrap_or($default).clamp($least, $most),)* })
            }
        }
    };
}

session_limits! {
    imap_contexts = "imap.contexts": 16, 0 to 64, "Searches and sorted results that one session keeps up to date";
    imap_header_fields = "imap.header-fields": 256, 16 to 4096, "Names of header fields in one item of FETCH";
    imap_idle_seconds = "imap.idle-seconds": 1860, 1800 to 86_400, "How long a client may be silent after log-in; RFC 9051 asks for 30 minutes at least";
    imap_line_bytes = "imap.line-bytes": 65_536, 8192 to 1_048_576, "Longest command without its literals";
    imap_literal_bytes = "imap.literal-bytes": 262_144, 8192 to 4_194_304, "All literals of one command together, except those of messages";
    imap_literal_seconds = "imap.literal-seconds": 300, 30 to 3600, "How long a client may pause inside a command or a message";
    imap_literals = "imap.literals": 256, 8 to 4096, "Literals of one command, except those of messages";
    imap_mailbox_name_bytes = "imap.mailbox-name-bytes": 4096, 255 to 8192, "Longest name of a mailbox with those above it; each part can have 255 bytes, and there can be 32";
    imap_nesting = "imap.nesting": 64, 8 to 128, "Deepest nesting of search keys, and of parts in a section";
    imap_search_keys = "imap.search-keys": 1000, 16 to 10_000, "Keys in one search program";
    imap_searched_mailboxes = "imap.searched-mailboxes": 10_000, 1 to 100_000, "Mailboxes that one ESEARCH looks through";
    imap_set_ranges = "imap.set-ranges": 4096, 64 to 65_536, "Ranges in one set of messages";
    message_bytes = "mail.message-bytes": 67_108_864, 65_536 to 67_108_864, "Largest message that SMTP and LMTP take (SIZE)";
    pop3_idle_seconds = "pop3.idle-seconds": 600, 600 to 86_400, "How long a client may be silent after log-in; RFC 1939 asks for ten minutes at least";
    bad_commands = "session.bad-commands": 20, 3 to 1000, "Bad commands in a row after which a session ends";
    connections = "session.connections": 10_000, 1 to 1_000_000, "Connections to one service of one server";
    connections_per_address = "session.connections-per-address": 200, 1 to 1_000_000, "The same from one address, or from one /64 network of IPv6; this machine itself is free";
    failed_logins = "session.failed-log-ins": 5, 1 to 100, "Failed log-ins after which a session ends";
    line_bytes = "session.line-bytes": 16_384, 1024 to 65_536, "Longest line of a log-in, of IDLE, and of POP3";
    login_pause_seconds = "session.log-in-pause-seconds": 120, 10 to 600, "How long a client may be silent before log-in";
    login_seconds = "session.log-in-seconds": 600, 30 to 3600, "How long a client may take to log in, whatever it says";
    per_account = "session.per-account": 500, 1 to 100_000, "Sessions of one user with one protocol on one server";
    refused_recipients = "session.refused-recipients": 100, 1 to 10_000, "Recipients that don't exist, from one connection of another server, after which it ends";
    unread_seconds = "session.unread-seconds": 180, 30 to 3600, "How long a client may leave unread what it is sent";
}

impl Default for SessionLimits {
    fn default() -> Self {
        SessionLimits::DEFAULT
    }
}

impl SessionLimits {
    /// As a duration.
    pub fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }
}

/// What holds at present. Sessions take it when they begin, and keep to it.
#[derive(Debug, Default)]
pub struct LiveSessionLimits(RwLock<Arc<SessionLimits>>);

impl LiveSessionLimits {
    /// For a session that begins.
    pub fn get(&self) -> Arc<SessionLimits> {
        self.0.read().clone()
    }

    /// For those that begin from now on.
    pub fn set(&self, limits: SessionLimits) {
        *self.0.write() = Arc::new(limits);
    }
}

/// The limit of this name.
pub fn limit(name: &str) -> Option<&'static Limit> {
    LIMITS.iter().find(|limit| limit.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_holds_within_bounds() {
        assert!(LIMITS.is_sorted_by(|a, b| a.name < b.name), "by name");
        assert!(LIMITS.iter().all(|limit| limit.least <= limit.default && limit.default <= limit.most));
        let read = |name: &str| match name {
            "imap.literals" => Ok(Some(10)),
            "imap.nesting" => Ok(Some(1_000_000)),
            "imap.idle-seconds" => Err("not that one"),
            _ => Ok(None),
        };
        assert_eq!(SessionLimits::read(read), Err("not that one"));
        let limits = SessionLimits::read(|name| read(name).or(Ok::<_, ()>(None))).unwrap();
        let expected = SessionLimits { imap_literals: 10, imap_nesting: 128, ..SessionLimits::DEFAULT };
        assert_eq!(limits, expected);
        let live = LiveSessionLimits::default();
        let before = live.get();
        live.set(limits);
        assert_eq!((*before, *live.get()), (SessionLimits::DEFAULT, limits));
    }
}
