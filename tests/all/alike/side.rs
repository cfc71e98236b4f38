//! One server with all its clients.

use std::collections::BTreeMap;

use super::mailbox::Mailbox;
use super::messages;
use super::names::first_name;
use super::observed::{Client, Observed};
use super::wire::{Connection, Response};

/// Clients of each server: see [`Client::new`].
pub const CLIENTS: usize = 3;

/// What a client kept of a mailbox after a step, for QRESYNC and UNCHANGEDSINCE.
pub struct Kept {
    highest: u64,
    pub mailbox: Mailbox,
}

/// One server, with all clients.
pub struct Side {
    connections: Vec<Connection>,
    pub clients: Vec<Client>,
    pub kept: BTreeMap<(usize, usize), Kept>,
    /// What IDLE told before it was ended.
    pub idling: BTreeMap<usize, Vec<Response>>,
    pub transcript: String,
}

impl Side {
    pub fn connect(host: &str, port: u16, user: &str, password: &str) -> Self {
        let connect = |client| {
            let mut connection = Connection::login(host, port, user, password).unwrap();
            let enable: &[u8] = if client == 1 { b"ENABLE CONDSTORE" } else { b"ENABLE QRESYNC" };
            if client > 0 {
                connection.command(enable).unwrap();
            }
            connection
        };
        let connections = (0..CLIENTS).map(connect).collect();
        let (clients, kept, idling) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Side { connections, clients, kept, idling, transcript: String::new() }
    }

    pub fn begin(&mut self) {
        for client in 0..CLIENTS {
            if self.idling.remove(&client).is_some() {
                self.connections[client].done().unwrap();
            }
            self.connections[client].command(b"UNSELECT").unwrap();
        }
        self.clients = (0..CLIENTS).map(Client::new).collect();
        self.kept.clear();
        self.transcript.clear();
    }

    pub fn start_idle(&mut self, client: usize) {
        let before = self.connections[client].idle().unwrap();
        self.idling.insert(client, before);
    }

    /// Remembers what the client knows: it will ask what changed since.
    pub fn keep(&mut self, client: usize, step: usize) {
        let Client { highest, mailbox, .. } = &self.clients[client];
        if let Some(mailbox) = mailbox {
            self.kept.insert((client, step), Kept { highest: *highest, mailbox: mailbox.clone() });
        }
    }

    /// The first sequence number of which the client doesn't know everything.
    pub fn unknown(&self, client: usize) -> Option<usize> {
        let mailbox = self.clients[client].mailbox.as_ref()?;
        let known = |uid: &Option<u32>| uid.is_some_and(|uid| mailbox.flags.contains_key(&uid));
        Some(mailbox.uids.iter().position(|uid| !known(uid))? + 1)
    }

    /// The bytes to send; `None` where they can't be said.
    pub fn rendered(&self, client: usize, text: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}')?;
            bytes.extend_from_slice(before.as_bytes());
            match name.split_once(':')? {
                ("message", number) => {
                    let message = messages::message(number.parse().ok()?);
                    bytes.extend_from_slice(format!("{{{}+}}\r\n", message.len()).as_bytes());
                    bytes.extend_from_slice(&message);
                }
                (name @ ("highest" | "beyond"), step) => {
                    let kept = self.kept.get(&(client, step.parse().ok()?))?;
                    let modseq = kept.highest + u64::from(name == "beyond");
                    bytes.extend_from_slice(modseq.to_string().as_bytes());
                }
                ("validity", mailbox) => {
                    let validity = self.clients[client].validity.get(mailbox)?;
                    bytes.extend_from_slice(validity.to_string().as_bytes());
                }
                _ => return None,
            }
            rest = after;
        }
        bytes.extend_from_slice(rest.as_bytes());
        Some(bytes)
    }

    /// One command; what it showed, or the rule that the server broke.
    pub fn run(&mut self, client: usize, text: &str, bytes: &[u8]) -> Result<Observed, String> {
        self.transcript.push_str(&format!("{client} C: {}\n", shortened(&String::from_utf8_lossy(bytes))));
        let mut before = Vec::new();
        let connection = &mut self.connections[client];
        let answer = if text == "DONE" {
            before = self.idling.remove(&client).unwrap_or_default();
            connection.done()
        } else {
            connection.command(bytes)
        };
        let mut answer = answer.map_err(|error| format!("the connection ended: {error}"))?;
        for line in answer.raw.lines() {
            self.transcript.push_str(&format!("{client} S: {}\n", shortened(line)));
        }
        answer.untagged.splice(0..0, before);
        self.select(client, text);
        self.clients[client].observe(text, &answer)
    }

    /// SELECT and EXAMINE begin a new mailbox, whatever becomes of them; with QRESYNC what was kept is brought along.
    fn select(&mut self, client: usize, text: &str) {
        let (is_examine, rest) = match text.split_once(' ') {
            Some(("SELECT", rest)) => (false, rest),
            Some(("EXAMINE", rest)) => (true, rest),
            _ => return,
        };
        let name = first_name(rest).to_owned();
        let step = text.split_once("{highest:").and_then(|(_, rest)| rest.split_once('}')?.0.parse().ok());
        let kept = step.and_then(|step| self.kept.get(&(client, step)));
        let state = &mut self.clients[client];
        state.kept = kept.map(|kept| kept.mailbox.clone());
        state.highest = 0;
        state.mailbox = Some(Mailbox { name, read_only: is_examine, ..Mailbox::default() });
    }
}

/// Lines that fit on a screen.
fn shortened(line: &str) -> String {
    const CHARS_MAX: usize = 400;
    let start: String = line.chars().take(CHARS_MAX).collect();
    start.escape_debug().to_string()
}
