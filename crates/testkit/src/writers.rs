//! Writers of a ledger that come back when their connections end: for nodes that end under them.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::imap::{Answer, Imap};
use crate::ledger::{Ledger, PROGRESS_TIMEOUT, appended_uid};
use crate::smtp::Smtp;
use crate::wait::{pass, until};

/// Between two messages of one writer: these test what is done with a load, not how large it may be.
const PACE: Duration = Duration::from_millis(100);

/// A connection that is made again when it has ended.
struct Again<'a, T, F> {
    ledger: &'a Ledger,
    connect: F,
    connection: Option<T>,
}

/// How one try ended.
enum Try<T> {
    Acknowledged(T),
    Refused,
    /// The connection ended before the answer.
    Unanswered,
    NoConnection,
}

impl<T, F: Fn() -> io::Result<T>> Again<'_, T, F> {
    /// Calls once; `None` from the call is a refusal.
    fn attempt<R>(&mut self, call: impl FnOnce(&mut T) -> io::Result<Option<R>>) -> Try<R> {
        if self.connection.is_none() {
            self.connection = (self.connect)().ok();
        }
        let Some(connection) = &mut self.connection else { return Try::NoConnection };
        match call(connection) {
            Ok(Some(answer)) => Try::Acknowledged(answer),
            Ok(None) => Try::Refused,
            Err(error) => {
                self.connection = None;
                let mut interrupted = self.ledger.interrupted.lock().unwrap_or_else(|error| panic!("{error}"));
                interrupted.push(error.to_string());
                Try::Unanswered
            }
        }
    }
}

/// How often one message was tried in vain.
#[derive(Default)]
struct Tries {
    refused: usize,
    unanswered: usize,
}

impl Ledger {
    /// Sends numbered messages by LMTP until the ledger ends: what is not acknowledged comes again.
    ///
    /// # Panics
    /// When a message is refused for good, or not acknowledged in time.
    pub fn deliver(&self, connect: impl Fn() -> io::Result<Smtp>, recipient: &str, sender: usize) {
        let mut lmtp = Again { ledger: self, connect, connection: None };
        for number in (0..).take_while(|_| !self.is_ended()) {
            pass(PACE);
            let subject = format!("lmtp-{recipient}-{sender}-{number}");
            let message = text(&subject);
            let ((), tries) = self.repeat(&subject, || {
                lmtp.attempt(|lmtp| {
                    let replies = lmtp.send(&[recipient], &message, 1)?;
                    assert!(replies[0].starts_with(['2', '4']), "{replies:?}");
                    Ok(replies[0].starts_with("250").then_some(()))
                })
            });
            self.acknowledge(&subject, |entry| {
                (entry.refused, entry.unanswered) = (tries.refused, tries.unanswered);
                entry.stood = self.stands.load(Ordering::SeqCst);
            });
        }
    }

    /// Appends numbered messages, flags each of them, and expunges every second one, until the ledger ends.
    ///
    /// # Panics
    /// When anything is refused for good, or not acknowledged in time, or a promised UID does not grow.
    pub fn work(&self, connect: impl Fn() -> io::Result<Imap>, mailbox: &str, worker: usize) {
        let select = || {
            let mut imap = connect()?;
            let selected = imap.command(&format!("SELECT {mailbox}"))?;
            if selected.ok() { Ok(imap) } else { Err(io::Error::other(selected.status)) }
        };
        let mut imap = Again { ledger: self, connect: select, connection: None };
        let mut last = 0;
        for number in (0..).take_while(|_| !self.is_ended()) {
            pass(PACE);
            let subject = format!("work-{mailbox}-{worker}-{number}");
            let message = text(&subject);
            let (answer, tries) = self.repeat(&subject, || imap.attempt(|imap| imap.append(mailbox, &message).map(ok)));
            let uid = appended_uid(&answer);
            assert!(uid > last, "UID {uid} was promised after {last}");
            last = uid;
            self.acknowledge(&subject, |entry| {
                (entry.uid, entry.refused, entry.unanswered) = (Some(uid), tries.refused, tries.unanswered);
            });
            let mut command = |text: String| {
                self.repeat(&text, || imap.attempt(|imap| imap.command(&text).map(ok)));
            };
            command(format!("UID STORE {uid} +FLAGS.SILENT (\\Flagged)"));
            self.acknowledge(&subject, |entry| entry.is_flagged = true);
            if number % 2 == 1 {
                command(format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"));
                command(format!("UID EXPUNGE {uid}"));
                self.acknowledge(&subject, |entry| entry.is_expunged = true);
            }
        }
    }

    /// Tries until it is acknowledged.
    fn repeat<T>(&self, what: &str, mut attempt: impl FnMut() -> Try<T>) -> (T, Tries) {
        let mut tries = Tries::default();
        let (answer, _) = until(what, PROGRESS_TIMEOUT, || {
            match attempt() {
                Try::Acknowledged(answer) => return Some(answer),
                Try::Refused => {
                    tries.refused += 1;
                    self.refuse();
                }
                Try::Unanswered => tries.unanswered += 1,
                Try::NoConnection => {}
            }
            None
        });
        (answer, tries)
    }
}

fn text(subject: &str) -> Vec<u8> {
    format!("Subject: {subject}\r\n\r\nWritten once, read once.\r\n").into_bytes()
}

/// The answer, unless it is a refusal that passes.
fn ok(answer: Answer) -> Option<Answer> {
    assert!(answer.ok() || answer.status.starts_with("NO [UNAVAILABLE]"), "{answer:?}");
    answer.ok().then_some(answer)
}
