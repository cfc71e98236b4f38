//! SEARCH, SORT and THREAD with every key.

use super::commands::{set, uid, word};
use super::mailbox::Mailbox;
use super::messages::{BODY_WORDS, WORDS};
use super::pair::Pair;
use crate::rng::Rng;

/// How deep NOT, OR and brackets are nested.
const DEPTH_MAX: usize = 2;

const DAYS: &[&str] =
    &["1-Jan-2024", "2-Jan-2024", "13-Feb-2024", "14-Feb-2024", "15-Mar-2023", "30-Jun-2024", "5-May-2024"];

const CRITERIA: &[&str] = &[
    "ARRIVAL",
    "CC",
    "DATE",
    "FROM",
    "SIZE",
    "SUBJECT",
    "TO",
    "REVERSE DATE",
    "REVERSE SIZE",
    "SUBJECT REVERSE DATE",
    "FROM SUBJECT",
];

pub fn search(random: &mut Rng, pair: &Pair, client: usize, mailbox: &Mailbox) -> String {
    let uid = uid(random.chance(500));
    // What the last SEARCH with SAVE found, among those that match.
    if random.chance(60) {
        return format!("{uid}SEARCH $ {}", key(random, mailbox, 0));
    }
    let mut keys: Vec<String> = (0..1 + random.below(2)).map(|_| key(random, mailbox, DEPTH_MAX)).collect();
    let kept = pair.kept_of(client, &mailbox.name);
    if !kept.is_empty() && random.chance(200) {
        keys.push(format!("MODSEQ {{beyond:{}}}", random.pick(&kept)));
    }
    let keys = keys.join(" ");
    match random.below(10) {
        0 | 1 => format!("{uid}SORT ({}) UTF-8 {keys}", random.pick(CRITERIA)),
        2 => format!("{uid}THREAD {} UTF-8 {keys}", random.pick(&["REFERENCES", "ORDEREDSUBJECT"])),
        3 | 4 => {
            let what = random.pick(&[
                "",
                "MIN",
                "MAX",
                "COUNT",
                "ALL",
                "MIN MAX",
                "MIN MAX ALL COUNT",
                "COUNT ALL",
                "SAVE",
                "SAVE COUNT",
            ]);
            format!("{uid}SEARCH RETURN ({what}) {keys}")
        }
        _ => format!("{uid}SEARCH {keys}"),
    }
}

fn key(random: &mut Rng, mailbox: &Mailbox, depth: usize) -> String {
    match random.below(if depth == 0 { 17 } else { 21 }) {
        0..3 => {
            let flag = random.pick(&["ANSWERED", "DELETED", "DRAFT", "FLAGGED", "SEEN"]);
            format!("{}{flag}", random.pick(&["", "UN"]))
        }
        3 => format!(
            "{} {}",
            random.pick(&["KEYWORD", "UNKEYWORD"]),
            random.pick(&["$Forwarded", "tern", "$Junk", "$Never"])
        ),
        4 => format!("{} {}", random.pick(&["BEFORE", "ON", "SINCE"]), random.pick(DAYS)),
        // Dovecot takes a message without a date for one of 1970; it has none (RFC 9051 section 6.4.4).
        5 => format!("(HEADER DATE 20 SENT{} {})", random.pick(&["BEFORE", "ON", "SINCE"]), random.pick(DAYS)),
        6 => format!("{} {}", random.pick(&["LARGER", "SMALLER"]), random.pick(&[0, 100, 300, 500, 700, 1000, 2000])),
        7 | 8 => format!(
            "{} {}",
            random.pick(&["FROM", "TO", "CC", "BCC"]),
            random.pick(&["ana", "tern", "EXAMPLE", "ben@", "sea.test", "\"\""])
        ),
        9 => format!("SUBJECT {}", word(random, WORDS)),
        10 => format!("BODY {}", word(random, BODY_WORDS)),
        11 => format!("TEXT {}", word(random, WORDS)),
        12 => {
            let field = random.pick(&["Message-ID", "X-Bird", "References", "content-type", "Date", "Subject", "Bcc"]);
            format!("HEADER {field} {}", random.pick(&["\"\"", "tern", "birds", "2024", "text"]))
        }
        13 => "ALL".to_owned(),
        14 => format!("{} {}", random.pick(&["YOUNGER", "OLDER"]), random.pick(&[3600, 80_000_000])),
        15 | 16 => match set(random, mailbox) {
            (set, true) => format!("UID {set}"),
            (set, false) => set,
        },
        17 => format!("NOT {}", key(random, mailbox, depth - 1)),
        18 | 19 => format!("OR {} {}", key(random, mailbox, depth - 1), key(random, mailbox, depth - 1)),
        _ => format!("({} {})", key(random, mailbox, depth - 1), key(random, mailbox, depth - 1)),
    }
}
