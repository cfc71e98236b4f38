//! What clients are in the middle of when their account is moved: nobody is logged out, nothing is read again, and what
//! was begun comes to its end.

use std::io;

use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Doors, PASSWORD};
use sterna_testkit::raw::Raw;

use crate::moving_stage::{BEN, Setting, Stage, play};

/// Larger than what the sockets and the edge keep of it, so that its end is read from the other server.
const LARGE_BYTES: usize = 12 * 1024 * 1024;

/// What a client has read of it when the account moves.
const READ_BEFORE: usize = 64 * 1024;

fn large(subject: &str) -> Vec<u8> {
    let mut message = format!("Subject: {subject}\r\n\r\n").into_bytes();
    let mut number = 0;
    while message.len() < LARGE_BYTES {
        message.extend_from_slice(format!("Line {number} of a long letter about terns.\r\n").as_bytes());
        number += 1;
    }
    message
}

/// A session that is spoken to line by line.
fn raw(edge: Doors) -> Raw {
    let mut raw = Raw::connect(edge.host, edge.ports.imap).unwrap();
    raw.send(format!("l LOGIN {BEN} \"{PASSWORD}\"\r\n").as_bytes()).unwrap();
    raw.expect("l OK").unwrap();
    raw
}

fn is_idle(edge: Doors) -> Raw {
    let mut idle = raw(edge);
    idle.send(b"s SELECT Still\r\n").unwrap();
    idle.expect("s OK").unwrap();
    idle.send(b"i IDLE\r\n").unwrap();
    idle.expect("+ ").unwrap();
    idle
}

/// A message of which one half is sent.
struct Half {
    raw: Raw,
    rest: Vec<u8>,
}

impl Half {
    /// An APPEND with a literal.
    fn append(edge: Doors, message: &[u8]) -> Half {
        let mut raw = raw(edge);
        raw.send(format!("h APPEND Halves {{{}}}\r\n", message.len()).as_bytes()).unwrap();
        raw.expect("+ ").unwrap();
        Half::of(raw, message, b"\r\n")
    }

    /// LMTP's DATA.
    fn data(edge: Doors, message: &[u8]) -> Half {
        let mut raw = Raw::connect(edge.host, edge.ports.lmtp).unwrap();
        for (line, reply) in [
            ("LHLO client.test", "250 "),
            ("MAIL FROM:<sender@client.test>", "250"),
            (&format!("RCPT TO:<{BEN}>"), "250"),
            ("DATA", "354"),
        ] {
            raw.send(format!("{line}\r\n").as_bytes()).unwrap();
            raw.expect(reply).unwrap();
        }
        Half::of(raw, message, b".\r\n")
    }

    fn of(mut raw: Raw, message: &[u8], end: &[u8]) -> Half {
        let (first, rest) = message.split_at(message.len() / 2);
        raw.send(first).unwrap();
        Half { raw, rest: [rest, end].concat() }
    }

    fn ends(mut self, reply: &str) {
        self.raw.send(&self.rest).unwrap();
        self.raw.expect(reply).unwrap();
    }
}

/// A FETCH of a large message of which the beginning is read.
struct Fetch {
    raw: Raw,
    read: Vec<u8>,
}

impl Fetch {
    fn begun(edge: Doors) -> Fetch {
        let mut raw = raw(edge);
        raw.send(b"s SELECT Still\r\nf FETCH 1 BODY.PEEK[]\r\n").unwrap();
        raw.expect("FETCH (BODY[] {").unwrap();
        let mut fetch = Fetch { raw, read: Vec::new() };
        fetch.read(READ_BEFORE).unwrap();
        fetch
    }

    fn read(&mut self, bytes: usize) -> io::Result<()> {
        let before = self.read.len();
        self.read.resize(before + bytes, 0);
        self.raw.read_exact(&mut self.read[before..])
    }

    fn ends(mut self, message: &[u8]) {
        self.read(message.len() - READ_BEFORE).unwrap();
        assert!(self.read == message, "other bytes came from the other server");
        self.raw.expect("f OK").unwrap();
    }
}

/// A message that is retrieved by POP3, of which the beginning is read. It is in the INBOX, and of another kind of
/// bird, so that nothing here takes it for its own.
struct Retr {
    raw: Raw,
    message: Vec<u8>,
    number: String,
    unique_id: String,
}

impl Retr {
    fn login(edge: Doors) -> Raw {
        let mut raw = Raw::connect(edge.host, edge.ports.pop3).unwrap();
        raw.send(format!("USER {BEN}\r\nPASS {PASSWORD}\r\n").as_bytes()).unwrap();
        raw.expect("messages").unwrap();
        raw
    }

    fn begun(edge: Doors, message: &[u8]) -> Retr {
        let message = String::from_utf8_lossy(message).replace("letter about terns", "song about gulls").into_bytes();
        assert!(edge.login(BEN).unwrap().append("INBOX", &message).unwrap().ok());
        let mut raw = Retr::login(edge);
        raw.send(b"LIST\r\n").unwrap();
        let line = raw.expect(&format!(" {}", message.len())).unwrap();
        let number = line.split(' ').next().unwrap().to_owned();
        raw.expect(".").unwrap();
        raw.send(format!("UIDL {number}\r\nRETR {number}\r\n").as_bytes()).unwrap();
        let unique_id = raw.expect("+OK").unwrap().rsplit(' ').next().unwrap().to_owned();
        raw.expect(&format!("+OK {} octets", message.len())).unwrap();
        let mut begun = Retr { raw, message, number, unique_id };
        begun.reads(0, READ_BEFORE);
        begun
    }

    fn reads(&mut self, from: usize, to: usize) {
        let mut read = vec![0; to - from];
        self.raw.read_exact(&mut read).unwrap();
        assert!(read == self.message[from..to], "other bytes came from the other server");
    }

    /// The rest comes, the message has the same unique id as ever, and goes when the client says so.
    fn ends(mut self, edge: Doors) {
        self.reads(READ_BEFORE, self.message.len());
        assert_eq!(self.raw.line().unwrap().as_deref(), Some("."));
        let mut fresh = Retr::login(edge);
        fresh.send(b"UIDL\r\n").unwrap();
        fresh.expect(&format!(" {}", self.unique_id)).unwrap();
        self.raw.send(format!("DELE {}\r\nQUIT\r\n", self.number).as_bytes()).unwrap();
        self.raw.expect("Good-bye").unwrap();
        fresh.expect(".").unwrap();
        fresh.send(format!("RETR {}\r\n", self.number).as_bytes()).unwrap();
        fresh.expect("-ERR The message was removed by another client").unwrap();
    }
}

/// What a client that synchronises keeps of a mailbox.
fn select(imap: &mut Imap) -> Vec<String> {
    let answer = imap.command("SELECT Still (CONDSTORE)").unwrap();
    assert!(answer.ok(), "{answer:?}");
    // Recent is what no session was told of before: no client keeps that.
    answer.lines.into_iter().filter(|line| !line.contains("FLAGS") && !line.ends_with(" RECENT")).collect()
}

fn number(lines: &[String], name: &str) -> u64 {
    let after = lines.iter().find_map(|line| line.split_once(&format!("[{name} ")));
    after.and_then(|(_, rest)| rest.split(']').next()?.parse().ok()).unwrap_or_else(|| panic!("{name}: {lines:?}"))
}

/// Clients at everything that takes long, while the account is moved, or a move of it is given up.
fn live_through(stage: &mut Stage<'_>, message: &[u8], change: impl FnOnce(&mut Stage<'_>)) {
    let edge = stage.edge;
    let mut knowing = edge.login(BEN).unwrap();
    let known = select(&mut knowing);
    let modseq = number(&known, "HIGHESTMODSEQ");
    let mut idle = is_idle(edge);
    let (fetch, retr) = (Fetch::begun(edge), Retr::begun(edge, message));
    let small = b"Subject: small\r\n\r\nA short letter about terns, of two halves.\r\n";
    let halves = [&small[..], message].map(|message| (Half::append(edge, message), Half::data(edge, message)));

    change(stage);

    fetch.ends(message);
    retr.ends(edge);
    for (append, data) in halves {
        append.ends("h OK");
        data.ends("250");
    }
    arrived_once(stage, &[small, message]);
    // Who knew the mailbox before reads nothing of it again: not in the session that was there, nor in another.
    let noop = knowing.command("NOOP").unwrap();
    assert!(noop.ok() && noop.lines.is_empty(), "{noop:?}");
    let mut fresh = edge.login(BEN).unwrap();
    assert_eq!(select(&mut fresh), known);
    let changed = fresh.command(&format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq})")).unwrap();
    assert!(changed.ok() && changed.lines.is_empty(), "{changed:?}");
    // Who is idle is told of the next message.
    assert!(fresh.append("Still", small).unwrap().ok());
    idle.expect("EXISTS").unwrap();
    idle.send(b"DONE\r\n").unwrap();
    idle.expect("i OK").unwrap();
}

/// Each of the messages is in both mailboxes, once and as it was sent; they go, because the ledger didn't write them.
fn arrived_once(stage: &Stage<'_>, sent: &[&[u8]]) {
    let mut imap = stage.login().unwrap();
    for mailbox in ["Halves", "INBOX"] {
        assert!(imap.command(&format!("SELECT {mailbox}")).unwrap().ok());
        let found = imap.command("UID SEARCH BODY \"letter about terns\"").unwrap();
        let uids: Vec<&str> = found.lines[0].split(' ').skip(2).collect();
        let set = uids.join(",");
        let fetched = imap.command(&format!("UID FETCH {set} BODY.PEEK[]")).unwrap().literals;
        assert_eq!(fetched.len(), sent.len(), "{mailbox}: {found:?}");
        for message in sent {
            // LMTP puts its trace in front.
            assert!(fetched.iter().any(|literal| literal.ends_with(message)), "{mailbox} lacks one as it was sent");
        }
        assert!(imap.command(&format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)")).unwrap().ok());
        assert!(imap.command(&format!("UID EXPUNGE {set}")).unwrap().ok());
    }
}

#[test]
fn whatever_a_client_is_in_the_middle_of_lives_through_a_move_and_through_one_that_is_given_up() {
    play(Setting::PLAIN, |stage| {
        let message = large("large");
        let mut imap = stage.login().unwrap();
        for mailbox in ["Still", "Halves"] {
            assert!(imap.command(&format!("CREATE {mailbox}")).unwrap().ok());
        }
        assert!(imap.append("Still", &message).unwrap().ok());
        live_through(stage, &message, |stage| {
            stage.begin();
            stage.installation.is_moved(BEN, "alpha");
            stage.is_served("on alpha");
        });
        stage.home();
        live_through(stage, &message, |stage| {
            stage.begin_and_stand("alpha", "target-readying");
            stage.is_served("by the source, when the cut-over was given up");
            stage.installation.thaw("alpha");
        });
        stage.home();
    });
}
