//! A ledger of acknowledged messages, kept by senders while something breaks, and compared at the end with what is
//! there.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Scope;
use std::time::Duration;

use crate::imap::{Answer, Imap};
use crate::installation::Doors;
use crate::smtp::Smtp;
use crate::wait::until;

/// How long one message may take until it is acknowledged, and a ledger until it has grown.
pub(crate) const PROGRESS_TIMEOUT: Duration = Duration::from_secs(120);

/// How one message went.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Tries that ended with a temporary refusal.
    pub(crate) refused: usize,
    /// Tries that were not answered, because the connection ended.
    pub(crate) unanswered: usize,
    /// Whether servers stood still while it was written.
    pub(crate) stood: bool,
    /// The UID that APPEND promised.
    pub(crate) uid: Option<u32>,
    /// Whether a STORE of `\\Flagged` was acknowledged.
    pub(crate) is_flagged: bool,
    /// Whether its EXPUNGE was acknowledged.
    pub(crate) is_expunged: bool,
}

/// What the senders know.
#[derive(Default)]
pub struct Ledger {
    /// Messages that were acknowledged, by subject.
    acknowledged: Mutex<BTreeMap<String, Entry>>,
    count: AtomicUsize,
    refused: AtomicUsize,
    ended: AtomicBool,
    /// Whether servers stand still for longer than anybody waits.
    pub stands: AtomicBool,
    pub(crate) interrupted: Mutex<Vec<String>>,
}

impl Ledger {
    /// Starts so many who deliver to a user by LMTP, and so many who append to a mailbox of the user by IMAP, each on a
    /// connection of its own. They write until the ledger ends.
    ///
    /// # Panics
    /// When a connection can't be made.
    pub fn is_written<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        edge: Doors,
        user: &'scope str,
        senders: usize,
        (appenders, mailbox): (usize, &'scope str),
    ) {
        for sender in 0..senders {
            scope.spawn(move || self.send_by_lmtp(&mut connected(edge.lmtp()), user, sender));
        }
        for appender in 0..appenders {
            scope.spawn(move || self.append_by_imap(&mut connected(edge.login(user)), mailbox, appender));
        }
    }

    /// Sends numbered messages as a mail server does, until the ledger ends: what is not acknowledged comes again.
    ///
    /// # Panics
    /// When a message is refused for good, or not acknowledged in time.
    pub fn send_by_lmtp(&self, lmtp: &mut Smtp, recipient: &str, sender: usize) {
        self.write(&format!("lmtp-{recipient}-{sender}"), |message| {
            let replies = answered(lmtp.send(&[recipient], message, 1));
            if replies[0].starts_with("250") {
                return Some(None);
            }
            assert!(replies[0].starts_with('4'), "{replies:?}");
            None
        });
    }

    /// Appends numbered messages in one session that outlives its data server; the UIDs promised must grow.
    ///
    /// # Panics
    /// When a message is refused for good, or not acknowledged in time.
    pub fn append_by_imap(&self, imap: &mut Imap, mailbox: &str, appender: usize) {
        let mut last = 0;
        self.write(&format!("append-{mailbox}-{appender}"), |message| {
            let answer = answered(imap.append(mailbox, message));
            if !answer.ok() {
                assert!(answer.status.starts_with("NO [UNAVAILABLE]"), "{answer:?}");
                return None;
            }
            let uid = appended_uid(&answer);
            assert!(uid > last, "UID {uid} was promised after {last}");
            last = uid;
            Some(Some(uid))
        });
    }

    fn write(&self, name: &str, mut attempt: impl FnMut(&[u8]) -> Option<Option<u32>>) {
        for number in 0.. {
            if self.ended.load(Ordering::SeqCst) {
                return;
            }
            let subject = format!("{name}-{number}");
            let message = format!("Subject: {subject}\r\n\r\nWritten once, read once.\r\n");
            let mut refused = 0;
            let (uid, _) = until(&subject, PROGRESS_TIMEOUT, || {
                let acknowledged = attempt(message.as_bytes());
                if acknowledged.is_none() {
                    refused += 1;
                    self.refused.fetch_add(1, Ordering::SeqCst);
                }
                acknowledged
            });
            self.acknowledge(&subject, |entry| (entry.refused, entry.uid) = (refused, uid));
        }
    }

    /// Notes one more acknowledgement.
    pub(crate) fn acknowledge(&self, subject: &str, what: impl FnOnce(&mut Entry)) {
        let mut acknowledged = self.acknowledged.lock().unwrap_or_else(|error| panic!("{error}"));
        what(acknowledged.entry(subject.to_owned()).or_default());
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    /// Notes a try that was refused.
    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether the writers are to end.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// How many acknowledgements there were so far.
    pub fn acknowledgements(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Why connections of writers that come back have ended so far.
    pub fn interruptions(&self) -> Vec<String> {
        self.interrupted.lock().unwrap_or_else(|error| panic!("{error}")).clone()
    }

    /// Ends the senders when it is dropped, also when their test fails.
    pub fn end_later(&self) -> impl Drop + '_ {
        End(self)
    }

    /// Waits until this many more messages were acknowledged.
    pub fn grows_by(&self, messages: usize) {
        let goal = self.count.load(Ordering::SeqCst) + messages;
        until("the ledger grows", PROGRESS_TIMEOUT, || (self.count.load(Ordering::SeqCst) >= goal).then_some(()));
    }

    /// How many tries were refused so far.
    pub fn refusals(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// Waits until one more try was refused.
    pub fn is_refused(&self) {
        let before = self.refused.load(Ordering::SeqCst);
        until("somebody is refused", PROGRESS_TIMEOUT, || (self.refused.load(Ordering::SeqCst) > before).then_some(()));
    }

    /// Compares a mailbox with what was written to it under `name`: every acknowledged message is there, once, under
    /// the UID that was promised, with the flag that was stored; none that was expunged is; nothing else is; UIDs grow;
    /// UIDVALIDITY is the one given.
    ///
    /// # Panics
    /// When anything differs.
    pub fn compare(&self, imap: &mut Imap, mailbox: &str, name: &str, uid_validity: u32) {
        let now = uid_status(imap, mailbox).unwrap_or_else(|| panic!("no status of {mailbox}"));
        assert_eq!(now.0, uid_validity, "UIDVALIDITY of {mailbox}");
        let found = messages(imap, mailbox);
        assert!(found.windows(2).all(|pair| pair[0].uid < pair[1].uid), "UIDs of {mailbox} grow");
        let mut by_subject: BTreeMap<&str, Vec<&Message>> = BTreeMap::new();
        found.iter().for_each(|message| by_subject.entry(&message.subject).or_default().push(message));
        let entries = self.acknowledged.lock().unwrap_or_else(|error| panic!("{error}"));
        let written: Vec<_> = entries.iter().filter(|(subject, _)| subject.starts_with(name)).collect();
        assert!(!written.is_empty(), "nobody wrote {name}");
        for (subject, entry) in &written {
            entry.compare(subject, &by_subject.remove(subject.as_str()).unwrap_or_default());
        }
        assert!(by_subject.is_empty(), "nobody wrote {by_subject:?}");
    }
}

impl Entry {
    fn compare(&self, subject: &str, there: &[&Message]) {
        // A refused APPEND may have got through before the server was gone, and is another message when it comes again.
        // A message that comes again by LMTP is known by the edge, and stays one, unless that edge is gone.
        // One that was refused while its server stood may still get through when that server awakes: such a refusal
        // promises nothing, and its repetition may be another message.
        let more = self.unanswered + if self.uid.is_some() || self.stood { self.refused } else { 0 };
        let least = usize::from(!self.is_expunged);
        assert!((least..=least + more).contains(&there.len()), "{subject}: {self:?}, {there:?}");
        let Some(uid) = self.uid else { return };
        match there.iter().find(|message| message.uid == uid) {
            None => assert!(self.is_expunged, "{subject}: {self:?}, {there:?}"),
            Some(message) => {
                assert!(!self.is_expunged, "{subject} is there again: {self:?}, {there:?}");
                assert!(!self.is_flagged || message.flags.contains("\\Flagged"), "{subject}: {self:?}, {there:?}");
            }
        }
    }
}

struct End<'a>(&'a Ledger);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::SeqCst);
    }
}

fn connected<T>(connection: std::io::Result<T>) -> T {
    connection.unwrap_or_else(|error| panic!("the edge can't be reached: {error}"))
}

fn answered<T>(answer: std::io::Result<T>) -> T {
    answer.unwrap_or_else(|error| panic!("the edge's connection ended: {error}"))
}

/// From "OK [APPENDUID validity uid] ..".
pub(crate) fn appended_uid(answer: &Answer) -> u32 {
    let code = answer.status.split(']').next().unwrap_or_default();
    code.rsplit(' ').next().and_then(|uid| uid.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

/// UIDVALIDITY and UIDNEXT, or nothing while the mailbox can't be asked.
pub fn uid_status(imap: &mut Imap, mailbox: &str) -> Option<(u32, u32)> {
    let answer = imap.command(&format!("STATUS {mailbox} (UIDVALIDITY UIDNEXT)")).ok().filter(Answer::ok)?;
    let line = answer.lines.iter().find(|line| line.contains("UIDVALIDITY"))?;
    let value = |name: &str| line.split_once(name)?.1.split([' ', ')']).find(|word| !word.is_empty())?.parse().ok();
    Some((value("UIDVALIDITY")?, value("UIDNEXT")?))
}

/// A message as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its UID.
    pub uid: u32,
    /// Its subject, which is its name.
    pub subject: String,
    /// Its flags, as FETCH lists them.
    pub flags: String,
}

/// Every message of a mailbox, in the order of the mailbox.
///
/// # Panics
/// When the mailbox can't be read.
pub fn messages(imap: &mut Imap, mailbox: &str) -> Vec<Message> {
    let examined = answered(imap.command(&format!("EXAMINE {mailbox}")));
    assert!(examined.ok(), "{examined:?}");
    let answer = answered(imap.command("FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"));
    assert!(answer.ok() || examined.lines.iter().any(|line| line == "* 0 EXISTS"), "{}", answer.status);
    let lines = answer.lines.iter().filter(|line| line.contains(" FETCH "));
    let message = |(line, header): (&String, &Vec<u8>)| {
        let after = |name: &str| line.split_once(name).unwrap_or_else(|| panic!("{line}")).1;
        let uid = after("UID ").split([' ', ')']).next().and_then(|uid| uid.parse().ok());
        let flags = after("FLAGS (").split(')').next().unwrap_or_default().replace("\\Recent", "");
        let header = String::from_utf8_lossy(header);
        let subject = header.trim().strip_prefix("Subject: ").unwrap_or_else(|| panic!("{header}")).to_owned();
        Message { uid: uid.unwrap_or_else(|| panic!("{line}")), subject, flags: flags.trim().to_owned() }
    };
    lines.zip(&answer.literals).map(message).collect()
}
