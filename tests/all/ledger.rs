//! A ledger of what was acknowledged, kept while a data server is killed again and again, and compared at the end with
//! what is there.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use sterna_testkit::imap::{Answer, Imap};
use sterna_testkit::installation::{Doors, Installation};
use sterna_testkit::wait::until;

const BEN: &str = "ben@tern.test";
const LMTP_SENDERS: usize = 4;
const APPENDERS: usize = 2;
const KILLS: usize = 5;

/// Acknowledgements between two kills, so that each one hits a server at work.
const ACKNOWLEDGED_BETWEEN_KILLS: usize = 60;

/// How long the senders may take for that, and a restart.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(60);

/// How one message went.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Entry {
    /// Tries that ended with a temporary refusal, or with no answer at all.
    unanswered: usize,
    /// The UID that APPEND promised.
    uid: Option<u32>,
}

/// What the senders know.
#[derive(Default)]
struct Ledger {
    /// Messages that were acknowledged, by subject.
    acknowledged: Mutex<BTreeMap<String, Entry>>,
    count: AtomicUsize,
    unanswered: AtomicUsize,
    ended: AtomicBool,
}

impl Ledger {
    fn acknowledge(&self, subject: String, entry: Entry) {
        self.acknowledged.lock().unwrap().insert(subject, entry);
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    /// One more message, tried until it is acknowledged.
    fn write(&self, subject: String, mut attempt: impl FnMut(&[u8]) -> Option<Option<u32>>) {
        let message = format!("Subject: {subject}\r\n\r\nWritten once, read once.\r\n");
        let mut entry = Entry::default();
        let (uid, _) = until(&subject, PROGRESS_TIMEOUT, || {
            let acknowledged = attempt(message.as_bytes());
            if acknowledged.is_none() {
                entry.unanswered += 1;
                self.unanswered.fetch_add(1, Ordering::SeqCst);
            }
            acknowledged
        });
        self.acknowledge(subject, Entry { uid, ..entry });
    }

    fn running(&self) -> bool {
        !self.ended.load(Ordering::SeqCst)
    }
}

/// Sends numbered messages as a mail server does: what is not acknowledged is sent again.
fn send_by_lmtp(ledger: &Ledger, edge: Doors, sender: usize) {
    let mut lmtp = edge.lmtp().unwrap();
    for number in 0.. {
        if !ledger.running() {
            return;
        }
        ledger.write(format!("lmtp-{sender}-{number}"), |message| {
            let replies = lmtp.send(&[BEN], message, 1).unwrap();
            if replies[0].starts_with("250") {
                return Some(None);
            }
            assert!(replies[0].starts_with("4"), "{replies:?}");
            None
        });
    }
}

/// Appends numbered messages in one session that outlives its data server; the UIDs promised must grow.
fn append_by_imap(ledger: &Ledger, edge: Doors, appender: usize) {
    let (mut imap, mut last) = (edge.login(BEN).unwrap(), 0);
    for number in 0.. {
        if !ledger.running() {
            return;
        }
        ledger.write(format!("append-{appender}-{number}"), |message| {
            let answer = imap.append("Ledger", message).unwrap();
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
}

/// From "OK [APPENDUID validity uid] ..".
fn appended_uid(answer: &Answer) -> u32 {
    let code = answer.status.split(']').next().unwrap_or_default();
    code.rsplit(' ').next().and_then(|uid| uid.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

/// UIDVALIDITY and UIDNEXT.
fn status(imap: &mut Imap, mailbox: &str) -> Option<(u32, u32)> {
    let answer = imap.command(&format!("STATUS {mailbox} (UIDVALIDITY UIDNEXT)")).ok().filter(Answer::ok)?;
    let line = answer.lines.iter().find(|line| line.contains("UIDVALIDITY"))?;
    let numbers: Vec<u32> = line.split([' ', '(', ')']).filter_map(|word| word.parse().ok()).collect();
    numbers.first().copied().zip(numbers.get(1).copied())
}

/// Every message of a mailbox: UID and subject, in the order of the mailbox.
fn subjects(imap: &mut Imap, mailbox: &str) -> Vec<(u32, String)> {
    assert!(imap.command(&format!("EXAMINE {mailbox}")).unwrap().ok());
    let answer = imap.command("FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])").unwrap();
    assert!(answer.ok(), "{}", answer.status);
    let uids = answer.lines.iter().filter(|line| line.contains(" FETCH ")).map(|line| {
        let after = line.split_once("UID ").unwrap_or_else(|| panic!("{line}")).1;
        after.split(' ').next().and_then(|uid| uid.parse().ok()).unwrap_or_else(|| panic!("{line}"))
    });
    let subjects = answer.literals.iter().map(|header| {
        let header = String::from_utf8_lossy(header);
        header.trim().strip_prefix("Subject: ").unwrap_or_else(|| panic!("{header}")).to_owned()
    });
    uids.zip(subjects).collect()
}

#[test]
fn what_was_acknowledged_is_there_once_however_often_its_server_is_killed() {
    let mut installation = Installation::standard();
    let mut observer = installation.node("main").at.login(BEN).unwrap();
    assert!(observer.command("CREATE Ledger").unwrap().ok());
    let before = ["INBOX", "Ledger"].map(|mailbox| status(&mut observer, mailbox).unwrap());

    let ledger = Ledger::default();
    std::thread::scope(|scope| {
        // The senders know where the edge is; the killer needs the installation for itself.
        let edge = installation.node("main").at;
        for sender in 0..LMTP_SENDERS {
            let ledger = &ledger;
            scope.spawn(move || send_by_lmtp(ledger, edge, sender));
        }
        for appender in 0..APPENDERS {
            let ledger = &ledger;
            scope.spawn(move || append_by_imap(ledger, edge, appender));
        }
        let _end = EndOnDrop(&ledger);
        for kill in 0..KILLS {
            let goal = ledger.count.load(Ordering::SeqCst) + ACKNOWLEDGED_BETWEEN_KILLS;
            until(&format!("work before kill {kill}"), PROGRESS_TIMEOUT, || {
                (ledger.count.load(Ordering::SeqCst) >= goal).then_some(())
            });
            installation.kill("beta");
            let refused = ledger.unanswered.load(Ordering::SeqCst);
            until("somebody notices", PROGRESS_TIMEOUT, || {
                (ledger.unanswered.load(Ordering::SeqCst) > refused).then_some(())
            });
            installation.serve("beta");
            let now = until("ben is served", PROGRESS_TIMEOUT, || status(&mut observer, "INBOX")).0;
            assert!(now.0 == before[0].0 && now.1 >= before[0].1, "{before:?} became {now:?}");
        }
    });

    // Once more without load: what is read now comes from the disk.
    installation.kill("beta");
    installation.serve("beta");
    until("ben is served", PROGRESS_TIMEOUT, || status(&mut observer, "INBOX"));
    let entries = ledger.acknowledged.into_inner().unwrap();
    for (mailbox, (validity, _), prefix) in [("INBOX", before[0], "lmtp-"), ("Ledger", before[1], "append-")] {
        assert_eq!(status(&mut observer, mailbox).unwrap().0, validity, "UIDVALIDITY of {mailbox}");
        let found = subjects(&mut observer, mailbox);
        assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0), "UIDs of {mailbox} grow");
        let mut uids: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        found.iter().for_each(|(uid, subject)| uids.entry(subject).or_default().push(*uid));
        let written: Vec<_> = entries.iter().filter(|(subject, _)| subject.starts_with(prefix)).collect();
        assert!(written.iter().any(|(_, entry)| entry.unanswered > 0), "the kills hit nobody in {mailbox}");
        for (subject, entry) in &written {
            let there = uids.remove(subject.as_str()).unwrap_or_default();
            // A refused APPEND may have got through before the server died, and is another message when it comes
            // again. A message that comes again by LMTP is known by the edge, and stays one.
            let most = if entry.uid.is_some() { 1 + entry.unanswered } else { 1 };
            assert!((1..=most).contains(&there.len()), "{subject}: {entry:?}, {there:?}");
            assert!(entry.uid.is_none_or(|uid| there.contains(&uid)), "{subject}: {entry:?}, {there:?}");
        }
        assert!(uids.is_empty(), "nobody wrote {uids:?}");
    }
}

/// Ends the senders also when the killer fails.
struct EndOnDrop<'a>(&'a Ledger);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::SeqCst);
    }
}
