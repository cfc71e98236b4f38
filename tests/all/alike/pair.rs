//! Sterna and Dovecot in lock step: each command goes to both, and what the client may observe must be the same.

use std::fmt::{self, Display};

use sterna_testkit::demo::User;

use super::mailbox::Mailbox;
use super::names::{Names, first_name};
use super::observed::Observed;
use super::parts::{self, Place};
use super::permitted;
use super::side::Side;

/// How often a client asks for news until both servers must have told it everything.
const NEWS_MAX: usize = 2;

/// Commands that change no mailbox but for `\Seen`.
const READING: &[&str] = &["FETCH", "SEARCH", "SORT", "THREAD"];

/// A command of one client. `{q}` stands for the folder of this run, `{message:N}` for a message as a literal,
/// `{highest:ID}` for the modification sequence that the client knew after that step, `{beyond:ID}` for the next one,
/// `{validity:MAILBOX}` for a UIDVALIDITY: those are each server's own.
#[derive(Clone, Debug)]
pub struct Step {
    pub id: usize,
    pub client: usize,
    pub text: String,
}

/// Where the two differ, or where one breaks a rule.
#[derive(Clone, Debug)]
pub struct Difference {
    pub key: String,
    pub sterna: String,
    pub dovecot: String,
}

impl Difference {
    /// The UID of the message that was fetched.
    fn fetched(&self) -> Option<u32> {
        self.key.split_once("FETCH ")?.1.split(' ').find_map(|word| word.parse().ok())
    }

    /// What it is about, whatever message it was found with: a shorter sequence must still show the same.
    pub fn shape(&self) -> String {
        self.key.chars().filter(|char| !char.is_ascii_digit()).collect()
    }
}

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Long texts are shown from a little before where they part.
        let alike = self.sterna.bytes().zip(self.dovecot.bytes()).take_while(|(a, b)| a == b).count();
        let from = if alike > 200 { alike - 100 } else { 0 };
        let show = |text: &str| String::from_utf8_lossy(&text.as_bytes()[from.min(text.len())..]).into_owned();
        write!(f, "  {}\n    Sterna:  {}\n    Dovecot: {}", self.key, show(&self.sterna), show(&self.dovecot))
    }
}

/// Both servers.
pub struct Pair {
    pub sterna: Side,
    pub dovecot: Side,
    folder: String,
    names: Names,
    /// What both said to the last command.
    result: Option<String>,
}

impl Pair {
    pub fn connect(imap: (&str, u16), user: &User, dovecot_port: u16) -> Self {
        let sterna = Side::connect(imap.0, imap.1, &user.address, &user.password);
        // Whatever the password: it knows every user.
        let dovecot = Side::connect("127.0.0.1", dovecot_port, "ana", "x");
        Pair { sterna, dovecot, folder: String::new(), names: Names::default(), result: None }
    }

    /// A run of its own, in a folder of its own, with the connections there are.
    pub fn begin(&mut self, folder: &str) {
        folder.clone_into(&mut self.folder);
        self.names = Names::default();
        for side in [&mut self.sterna, &mut self.dovecot] {
            side.begin();
        }
    }

    /// What both said, for people.
    pub fn transcript(&self) -> String {
        format!("==== Sterna\n{}==== Dovecot\n{}", self.sterna.transcript, self.dovecot.transcript)
    }

    pub fn is_idle(&self, client: usize) -> bool {
        self.sterna.idling.contains_key(&client)
    }

    /// The steps after which a client kept this mailbox.
    pub fn kept_of(&self, client: usize, mailbox: &str) -> Vec<usize> {
        let kept = self.sterna.kept.iter().filter(|((of, _), kept)| *of == client && kept.mailbox.name == mailbox);
        kept.map(|((_, step), _)| *step).collect()
    }

    /// A name with the folder of this run.
    pub fn named(&self, mailbox: &str) -> String {
        mailbox.replace("{q}", &self.folder)
    }

    /// Whether the sequence numbers of a step exist. Others are refused by us whatever stands beside them (RFC 9051
    /// section 9, seq-number), and by Dovecot not if something does.
    fn has_numbers(&self, client: usize, text: &str) -> bool {
        let takes_set = ["FETCH", "STORE", "COPY", "MOVE"].iter().any(|verb| text.starts_with(verb));
        let Some(mailbox) = self.sterna.clients[client].mailbox.as_ref().filter(|_| takes_set) else { return true };
        let set = text.split(' ').nth(1).unwrap_or_default();
        set.split([',', ':'])
            .all(|number| number == "*" || number.parse().is_ok_and(|n: usize| n <= mailbox.uids.len()))
    }

    /// Whether a step takes a mailbox or one below it away from a client that has it open: RFC 9051 leaves open what
    /// that client is told.
    fn pulls_away(&self, text: &str) -> bool {
        let mut words = text.splitn(2, ' ');
        let verb = words.next().unwrap_or_default();
        let name = self.named(first_name(words.next().unwrap_or_default()));
        let mut open = self.sterna.clients.iter().filter_map(|client| client.mailbox.as_ref());
        ["DELETE", "RENAME"].contains(&verb) && open.any(|open| open.name.starts_with(&name))
    }

    /// Sends a step to both; all differences. A step that makes no sense any more because others were left out is not
    /// sent.
    pub fn step(&mut self, step: &Step) -> Vec<Difference> {
        let (idle, client) = (self.is_idle(step.client), step.client);
        match step.text.as_str() {
            "DONE" if !idle => return Vec::new(),
            "IDLE" if !idle => {
                self.sterna.start_idle(client);
                self.dovecot.start_idle(client);
                return Vec::new();
            }
            "DONE" => {}
            _ if idle => {
                let differences = self.exchange(client, "DONE");
                if !differences.is_empty() {
                    return differences;
                }
            }
            _ => {}
        }
        let mailbox = self.sterna.clients[client].mailbox.as_ref();
        if !permitted::is_asked(&step.text, mailbox) || self.pulls_away(&step.text) || !self.names.allow(&step.text) {
            return Vec::new();
        }
        if ["COPY", "MOVE", "STATUS", "LIST", "EXPUNGE", "CLOSE"].contains(&verb_of(&step.text))
            || step.text.contains("UNCHANGEDSINCE")
        {
            // What others expunged may be left out of a change or be a reason to refuse all of it; the counts of the
            // selected mailbox may be those that its client knows, and what it doesn't know may be expunged or not.
            let differences = self.exchange(client, "NOOP");
            if !differences.is_empty() {
                return differences;
            }
        }
        if !self.has_numbers(client, &step.text) {
            return Vec::new();
        }
        if step.text == "AUDIT" {
            return self.audit(client);
        }
        let differences = self.exchange(client, &step.text);
        if self.result.as_deref() == Some("OK") {
            self.names.done(&step.text);
        }
        if differences.is_empty() && step.text == "NOOP" && self.sterna.clients[client].condstore {
            let ask = "UID FETCH 1:* (MODSEQ)";
            for side in [&mut self.sterna, &mut self.dovecot] {
                let _ = side.run(client, ask, ask.as_bytes());
                side.keep(client, step.id);
            }
        }
        differences
    }

    /// One command to both, and then until both clients know the same.
    pub fn exchange(&mut self, client: usize, text: &str) -> Vec<Difference> {
        let before = self.known(client);
        let text = text.replace("{q}", &self.folder);
        let (Some(sterna), Some(dovecot)) = (self.sterna.rendered(client, &text), self.dovecot.rendered(client, &text))
        else {
            return Vec::new();
        };
        let sterna = self.sterna.run(client, &text, &sterna);
        let dovecot = self.dovecot.run(client, &text, &dovecot);
        let (mut sterna, mut dovecot) = match (sterna, dovecot) {
            (Ok(sterna), Ok(dovecot)) => (sterna, dovecot),
            (sterna, dovecot) => return vec![broken(&text, sterna.err(), dovecot.err())],
        };
        self.result = sterna.get("result").cloned();
        permitted::forget(&text, &mut sterna, &mut dovecot);
        let mut differences = compare(&text, &sterna, &dovecot);
        differences.retain(|difference| !self.is_part_of_dovecots(client, difference));
        // What a message that others expunged or flagged shows to a client that was not told is each server's choice
        // (RFC 2180 section 4.1): that they differ in such a one counts only if they still do when it was told.
        if !differences.is_empty() && READING.contains(&verb_of(&text)) {
            let noop = [&mut self.sterna, &mut self.dovecot].map(|side| side.run(client, "NOOP", b"NOOP"));
            if before != self.known(client) && noop.iter().all(Result::is_ok) {
                // Sequence numbers mean other messages now.
                return if text.starts_with("UID ") { self.exchange(client, &text) } else { Vec::new() };
            }
        }
        if differences.is_empty() { self.settle(client, &text) } else { differences }
    }

    fn known(&self, client: usize) -> [Option<Mailbox>; 2] {
        [&self.sterna, &self.dovecot].map(|side| side.clients[client].mailbox.clone())
    }

    /// Dovecot shows a part without parts as its own first part: 1.1 as 1, where Sterna shows nothing. And it takes the
    /// encoding not only from what BINARY asks for (RFC 3516 section 4.1), but also from the parts in it.
    fn is_part_of_dovecots(&mut self, client: usize, difference: &Difference) -> bool {
        let section = difference.key.split_once('[').map(|(_, rest)| rest.split([']', '.']).map(str::parse::<usize>));
        let (Some(uid), Some(section)) = (difference.fetched(), section) else { return false };
        let numbers: Vec<usize> = section.map_while(Result::ok).collect();
        let ask = format!("UID FETCH {uid} BODYSTRUCTURE");
        let structure = self.sterna.run(client, &ask, ask.as_bytes());
        let structure = structure.ok().and_then(|seen| seen.get(&format!("FETCH {uid} BODYSTRUCTURE")).cloned());
        match structure.map(|structure| parts::place(&structure, &numbers)) {
            Some(Place::Nothing) => ["", "\"\"", "0"].contains(&difference.sterna.as_str()),
            Some(Place::Nested) => difference.key.contains(" BINARY"),
            _ => false,
        }
    }

    /// Both servers may choose when to tell what others did; with news asked for, both must have told all of it.
    fn settle(&mut self, client: usize, text: &str) -> Vec<Difference> {
        for asked in 0.. {
            if let Some(difference) = self.learn(client, text) {
                return vec![difference];
            }
            let (sterna, dovecot) = (&self.sterna.clients[client].mailbox, &self.dovecot.clients[client].mailbox);
            if sterna == dovecot {
                break;
            }
            if asked == NEWS_MAX {
                return vec![known(text, sterna.as_ref(), dovecot.as_ref())];
            }
            let (sterna, dovecot) =
                (self.sterna.run(client, "NOOP", b"NOOP"), self.dovecot.run(client, "NOOP", b"NOOP"));
            if sterna.is_err() || dovecot.is_err() {
                return vec![broken("NOOP", sterna.err(), dovecot.err())];
            }
        }
        Vec::new()
    }

    /// Asks for the UIDs and flags of messages of which only EXISTS told.
    fn learn(&mut self, client: usize, text: &str) -> Option<Difference> {
        let unknown = self.sterna.unknown(client).or(self.dovecot.unknown(client))?;
        let ask = format!("FETCH {unknown}:* (UID FLAGS{})", if client > 0 { " MODSEQ" } else { "" });
        let (sterna, dovecot) =
            (self.sterna.run(client, &ask, ask.as_bytes()), self.dovecot.run(client, &ask, ask.as_bytes()));
        let failed = sterna.is_err() || dovecot.is_err();
        failed.then(|| broken(&format!("{text}, then {ask}"), sterna.err(), dovecot.err()))
    }

    /// After a client asked for news, what it knows of flags must be what the server says when asked.
    fn audit(&mut self, client: usize) -> Vec<Difference> {
        let differences = self.exchange(client, "NOOP");
        if !differences.is_empty() || self.sterna.clients[client].mailbox.is_none() {
            return differences;
        }
        let sides = [("Sterna", &mut self.sterna), ("Dovecot", &mut self.dovecot)];
        let untold = sides.map(|(name, side)| {
            let before = side.clients[client].mailbox.clone();
            let ask = "UID FETCH 1:* (FLAGS)";
            let failed = side.run(client, ask, ask.as_bytes()).err();
            let after = &side.clients[client].mailbox;
            failed.or((before != *after).then(|| format!("{name} had told {before:?}, and now says {after:?}")))
        });
        let [sterna, dovecot] = untold;
        if sterna.is_some() || dovecot.is_some() { vec![broken("AUDIT", sterna, dovecot)] } else { Vec::new() }
    }
}

fn verb_of(text: &str) -> &str {
    text.trim_start_matches("UID ").split(' ').next().unwrap_or_default()
}

fn broken(text: &str, sterna: Option<String>, dovecot: Option<String>) -> Difference {
    let verb: Vec<&str> = text.split(' ').take(2).collect();
    let key = format!("rule broken at {}", verb.join(" "));
    Difference { key, sterna: sterna.unwrap_or_default(), dovecot: dovecot.unwrap_or_default() }
}

fn known(text: &str, sterna: Option<&Mailbox>, dovecot: Option<&Mailbox>) -> Difference {
    let verb = verb_of(text);
    let key = format!("the mailbox after {verb}");
    Difference { key, sterna: format!("{sterna:?}"), dovecot: format!("{dovecot:?}") }
}

fn compare(text: &str, sterna: &Observed, dovecot: &Observed) -> Vec<Difference> {
    let verb = verb_of(text);
    let keys = sterna.keys().chain(dovecot.keys().filter(|key| !sterna.contains_key(*key)));
    let value = |seen: &Observed, key: &String| seen.get(key).cloned().unwrap_or_else(|| "(nothing)".to_owned());
    let differing = keys.filter(|key| sterna.get(*key) != dovecot.get(*key));
    let show = |key: &String| {
        let (sterna, dovecot) = (value(sterna, key), value(dovecot, key));
        Difference { key: format!("{verb}: {key}"), sterna, dovecot }
    };
    differing.map(show).collect()
}
