//! The sessions of each account that are open on this node, whatever protocol they speak: how many there are, and how
//! they are ended from outside.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use sterna_account::open_sessions::OpenSession;
use sterna_base::{AccountId, Clock, SystemClock};
use tokio_util::sync::CancellationToken;

use crate::listener::Connection;

/// Longest name of a client that is kept, in characters.
const CLIENT_CHARS_MAX: usize = 100;

/// The sessions of every account.
pub struct AccountSessions {
    clock: Arc<dyn Clock>,
    open: Mutex<Open>,
}

impl Default for AccountSessions {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

#[derive(Default)]
struct Open {
    /// The number of the last session.
    last: u64,
    /// How many were ever opened, by protocol.
    opened: BTreeMap<&'static str, u64>,
    by_account: HashMap<AccountId, Vec<(OpenSession, CancellationToken)>>,
}

/// One of them; it is none any more when dropped.
pub struct AccountSession {
    sessions: Arc<AccountSessions>,
    account: AccountId,
    number: u64,
}

impl AccountSessions {
    /// None yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        // A number of before a restart must not name another session after it.
        let last = clock.now().0.unsigned_abs();
        AccountSessions { clock, open: Mutex::new(Open { last, ..Open::default() }) }
    }

    /// One more of a protocol, opened with this app password or none, unless the account has so many. Others' sessions
    /// don't count: whoever opens too many locks nobody else out.
    pub fn enter(
        self: &Arc<Self>,
        (account, app_password): (AccountId, Option<String>),
        (protocol, most): (&'static str, u64),
        connection: &Connection,
    ) -> Option<AccountSession> {
        let since = self.clock.now();
        let mut open = self.open.lock();
        open.last += 1;
        let number = open.last;
        let sessions = open.by_account.entry(account).or_default();
        let count = sessions.iter().filter(|(session, _)| session.protocol == protocol).count();
        if u64::try_from(count).unwrap_or(u64::MAX) >= most {
            return None;
        }
        *open.opened.entry(protocol).or_default() += 1;
        let sessions = open.by_account.entry(account).or_default();
        let (peer, encrypted) = (connection.peer(), connection.is_encrypted());
        let (protocol, client) = (protocol.to_owned(), None);
        let session = OpenSession { number, protocol, peer, encrypted, since, app_password, client };
        sessions.push((session, connection.shutdown().clone()));
        Some(AccountSession { sessions: self.clone(), account, number })
    }

    /// Those of one account, by number.
    pub fn of(&self, account: AccountId) -> Vec<OpenSession> {
        let open = self.open.lock();
        let sessions = open.by_account.get(&account).map(Vec::as_slice).unwrap_or_default();
        sessions.iter().map(|(session, _)| session.clone()).collect()
    }

    /// The accounts that have any.
    pub fn accounts(&self) -> Vec<AccountId> {
        self.open.lock().by_account.keys().copied().collect()
    }

    /// How many there are, of every protocol.
    pub fn count(&self) -> HashMap<String, u64> {
        let mut counts = HashMap::new();
        for (session, _) in self.open.lock().by_account.values().flatten() {
            *counts.entry(session.protocol.clone()).or_default() += 1;
        }
        counts
    }

    /// How many were opened since the node started, of every protocol.
    pub fn opened(&self) -> BTreeMap<&'static str, u64> {
        self.open.lock().opened.clone()
    }

    /// Ends those of an account that are meant; each finishes the command that it is at. Says how many were told.
    pub fn end(&self, account: AccountId, is_meant: impl Fn(&OpenSession) -> bool) -> usize {
        let open = self.open.lock();
        let sessions = open.by_account.get(&account).map(Vec::as_slice).unwrap_or_default();
        let meant = sessions.iter().filter(|(session, end)| !end.is_cancelled() && is_meant(session));
        meant.map(|(_, end)| end.cancel()).count()
    }
}

impl AccountSession {
    /// Notes what the client calls itself.
    pub fn note_client(&self, name: &str) {
        let mut open = self.sessions.open.lock();
        let sessions = open.by_account.get_mut(&self.account).into_iter().flatten();
        for (session, _) in sessions.filter(|(session, _)| session.number == self.number) {
            session.client = Some(name.chars().filter(|c| !c.is_control()).take(CLIENT_CHARS_MAX).collect());
        }
    }
}

impl Drop for AccountSession {
    fn drop(&mut self) {
        let mut open = self.sessions.open.lock();
        if let Some(sessions) = open.by_account.get_mut(&self.account) {
            sessions.retain(|(session, _)| session.number != self.number);
            if sessions.is_empty() {
                open.by_account.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use sterna_base::Timestamp;

    use super::*;

    const ANA: AccountId = AccountId(1);

    fn connection() -> Connection {
        Connection::new(tokio::io::empty(), IpAddr::from([192, 0, 2, 1]), None)
    }

    #[test]
    fn each_protocol_has_its_own_places() {
        let sessions: Arc<AccountSessions> = Arc::default();
        let enter = |protocol, most| sessions.enter((ANA, None), (protocol, most), &connection());
        let first = enter("imap", 1).unwrap();
        assert!(enter("imap", 1).is_none());
        let _pop3 = enter("pop3", 1).unwrap();
        assert_eq!(sessions.of(ANA).len(), 2);
        assert_eq!(sessions.opened(), BTreeMap::from([("imap", 1), ("pop3", 1)]), "who was refused opened none");
        drop(first);
        assert!(enter("imap", 1).is_some());
        assert_eq!(sessions.of(ANA).len(), 1, "it was dropped at once");
    }

    #[test]
    fn those_who_are_meant_are_told_once() {
        let clock = sterna_base::ManualClock::at(Timestamp(10));
        let sessions = Arc::new(AccountSessions::new(Arc::new(clock.clone())));
        let (one, two) = (connection(), connection());
        let _first = sessions.enter((ANA, None), ("imap", 9), &one).unwrap();
        clock.advance_ms(10);
        let second = sessions.enter((ANA, None), ("imap", 9), &two).unwrap();
        second.note_client("Tern\r\n 1.0");
        assert_eq!(sessions.of(ANA)[1].client.as_deref(), Some("Tern 1.0"));
        assert_eq!(sessions.end(ANA, |session| session.since < Timestamp(15)), 1);
        assert!(one.shutdown().is_cancelled() && !two.shutdown().is_cancelled());
        assert_eq!(sessions.end(ANA, |_| true), 1);
        assert_eq!(sessions.end(ANA, |_| true), 0);
        assert_eq!(sessions.end(AccountId(2), |_| true), 0);
    }
}
