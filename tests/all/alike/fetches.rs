//! FETCH of everything there is.

use super::commands::{set, uid};
use super::mailbox::Mailbox;
use super::pair::Pair;
use crate::rng::Rng;

const ITEMS: &[&str] = &[
    "FLAGS",
    "INTERNALDATE",
    "RFC822.SIZE",
    "ENVELOPE",
    "BODY",
    "BODYSTRUCTURE",
    "RFC822",
    "RFC822.HEADER",
    "RFC822.TEXT",
    "UID",
    "MODSEQ",
    "ENVELOPE",
    "BODYSTRUCTURE",
];

const PARTS: &[&str] = &["1", "2", "1.1", "1.2", "2.1", "3", "1.1.1", "2.2"];

/// Where partial texts begin. Not 1: Dovecot gives the first byte of an empty line again there.
const OFFSETS: &[u32] = &[0, 2, 10, 100, 100_000];

const FIELDS: &[&str] = &["Subject", "FROM", "to", "X-Bird", "Message-ID", "Content-Type", "Received", "Date"];

pub fn fetch(random: &mut Rng, pair: &Pair, client: usize, mailbox: &Mailbox) -> String {
    let (set, by_uid) = match random.below(20) {
        0 => ("$".to_owned(), true),
        _ => set(random, mailbox),
    };
    let kept = pair.kept_of(client, &mailbox.name);
    let since = if !kept.is_empty() && random.chance(200) {
        let vanished =
            if by_uid && pair.sterna.clients[client].qresync && random.chance(500) { " VANISHED" } else { "" };
        format!(" (CHANGEDSINCE {{highest:{}}}{vanished})", random.pick(&kept))
    } else {
        String::new()
    };
    let what = match random.below(10) {
        0 => (*random.pick(&["ALL", "FAST", "FULL"])).to_owned(),
        1..4 => format!("({})", random.pick(ITEMS)),
        _ => {
            let items: Vec<String> = (0..1 + random.below(3)).map(|_| item(random)).collect();
            format!("({})", items.join(" "))
        }
    };
    format!("{}FETCH {set} {what}{since}", uid(by_uid))
}

fn item(random: &mut Rng) -> String {
    if random.chance(350) {
        return (*random.pick(ITEMS)).to_owned();
    }
    if random.chance(150) {
        let part = random.pick(PARTS);
        return format!("{}[{part}]", random.pick(&["BINARY", "BINARY.PEEK", "BINARY.SIZE"]));
    }
    let peek = if random.chance(600) { ".PEEK" } else { "" };
    let partial = match random.below(4) {
        0 => format!("<{}.{}>", random.pick(OFFSETS), random.pick(&[1, 5, 80, 100_000])),
        _ => String::new(),
    };
    format!("BODY{peek}[{}]{partial}", section(random))
}

fn section(random: &mut Rng) -> String {
    let part = random.pick(PARTS);
    let fields =
        |random: &mut Rng| (0..1 + random.below(3)).map(|_| *random.pick(FIELDS)).collect::<Vec<_>>().join(" ");
    match random.below(10) {
        0 => String::new(),
        1 => (*random.pick(&["HEADER", "TEXT"])).to_owned(),
        2 => format!("HEADER.FIELDS ({})", fields(random)),
        3 => format!("HEADER.FIELDS.NOT ({})", fields(random)),
        4 => format!("{part}.{}", random.pick(&["MIME", "HEADER", "TEXT"])),
        5 => format!("{part}.HEADER.FIELDS ({})", fields(random)),
        _ => (*part).to_owned(),
    }
}
