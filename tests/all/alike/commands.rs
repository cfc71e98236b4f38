//! Which command comes next: drawn, from what the clients know.

use std::collections::BTreeSet;

use super::mailbox::Mailbox;
use super::pair::Pair;
use super::side::CLIENTS;
use super::{fetches, searches};
use crate::rng::Rng;

/// Mailboxes that clients work in.
const MAILBOXES: &[&str] = &["{q}/A", "{q}/B"];

/// Names that come and go.
const NAMES: &[&str] = &["{q}/C", "{q}/C/D", "{q}/E", "{q}/E/F", "{q}/E/F/G", "\"{q}/with blank\"", "{q}/K&APw-ste"];

const FLAGS: &[&str] = &["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Forwarded", "Tern", "$Junk"];

const DATES: &[&str] = &[
    "01-Jan-2024 10:00:00 +0000",
    " 2-Jan-2024 23:30:00 -0500",
    "14-Feb-2024 00:10:00 +0200",
    "15-Mar-2023 12:00:00 +0100",
    "30-Jun-2024 23:59:59 +0000",
];

/// The first steps of every run.
pub fn opening(random: &mut Rng) -> Vec<(usize, String)> {
    let mut steps: Vec<(usize, String)> =
        ["{q}", MAILBOXES[0], MAILBOXES[1]].iter().map(|name| (0, format!("CREATE {name}"))).collect();
    steps.extend((0..4 + random.below(4)).map(|_| (0, append(random, MAILBOXES[0]))));
    steps.extend((0..CLIENTS).map(|client| (client, format!("SELECT {}", MAILBOXES[0]))));
    steps
}

/// The next step.
pub fn next(random: &mut Rng, pair: &Pair) -> (usize, String) {
    let client = random.below(CLIENTS);
    if pair.is_idle(client) {
        return (client, "DONE".to_owned());
    }
    let mailbox = pair.sterna.clients[client].mailbox.as_ref();
    let text = match (random.below(100), mailbox) {
        (0..12, _) => {
            let mailbox = random_mailbox(random);
            append(random, mailbox)
        }
        (12..18, _) | (18..60, None) => select(random, pair, client),
        (18..32, Some(mailbox)) => store(random, pair, client, mailbox),
        (32..38, Some(mailbox)) => expunge(random, mailbox),
        (38..45, Some(mailbox)) => copy(random, mailbox),
        (45..58, Some(mailbox)) => searches::search(random, pair, client, mailbox),
        (58..76, Some(mailbox)) => fetches::fetch(random, pair, client, mailbox),
        (76..78, Some(_)) => (*random.pick(&["CLOSE", "UNSELECT"])).to_owned(),
        (78..80, Some(_)) => "IDLE".to_owned(),
        (80..83, Some(_)) => "AUDIT".to_owned(),
        (83..86, _) => status(random),
        (86..89, _) => list(random),
        (89..93, _) => rename(random),
        _ => "NOOP".to_owned(),
    };
    (client, text)
}

fn random_mailbox(random: &mut Rng) -> &'static str {
    MAILBOXES[random.below(MAILBOXES.len())]
}

fn append(random: &mut Rng, mailbox: &str) -> String {
    let flags = if random.chance(700) { format!("({}) ", flags(random)) } else { String::new() };
    let date = random.pick(DATES);
    let number = if random.chance(300) { random.below(1000) } else { 1000 + random.below(100_000) };
    format!("APPEND {mailbox} {flags}\"{date}\" {{message:{number}}}")
}

/// None twice: Dovecot forgets another one then.
fn flags(random: &mut Rng) -> String {
    let flags: BTreeSet<&str> = (0..random.below(4)).map(|_| *random.pick(FLAGS)).collect();
    flags.into_iter().collect::<Vec<_>>().join(" ")
}

fn select(random: &mut Rng, pair: &Pair, client: usize) -> String {
    let verb = if random.chance(850) { "SELECT" } else { "EXAMINE" };
    let mailbox = if random.chance(950) { random_mailbox(random) } else { *random.pick(NAMES) };
    let state = &pair.sterna.clients[client];
    let kept = if state.qresync { pair.kept_of(client, &pair.named(mailbox)) } else { Vec::new() };
    if !kept.is_empty() && random.chance(800) {
        let step = random.pick(&kept);
        return format!("{verb} {mailbox} (QRESYNC ({{validity:{mailbox}}} {{highest:{step}}}))");
    }
    format!("{verb} {mailbox}")
}

/// Messages by sequence number or UID; the second says which. Sequence numbers exist, UIDs need not.
pub fn set(random: &mut Rng, mailbox: &Mailbox) -> (String, bool) {
    let count = mailbox.uids.len();
    let by_uid = count == 0 || random.chance(600);
    let last = if by_uid { mailbox.uids.iter().flatten().max().map_or(3, |uid| *uid as usize + 2) } else { count };
    let number = |random: &mut Rng| match random.below(12) {
        0 => "*".to_owned(),
        _ => (1 + random.below(last)).to_string(),
    };
    let range = |random: &mut Rng| match random.below(4) {
        0 | 1 => number(random),
        2 => format!("{}:{}", number(random), number(random)),
        _ => "1:*".to_owned(),
    };
    let ranges: Vec<String> = (0..1 + random.below(3)).map(|_| range(random)).collect();
    (ranges.join(","), by_uid)
}

pub fn uid(by_uid: bool) -> &'static str {
    if by_uid { "UID " } else { "" }
}

fn store(random: &mut Rng, pair: &Pair, client: usize, mailbox: &Mailbox) -> String {
    let (set, by_uid) = set(random, mailbox);
    let kept = pair.kept_of(client, &mailbox.name);
    let unless = match random.pick(&[false, true]) {
        true if !kept.is_empty() => format!("(UNCHANGEDSINCE {{highest:{}}}) ", random.pick(&kept)),
        _ => String::new(),
    };
    let how = random.pick(&["+FLAGS", "-FLAGS", "FLAGS", "+FLAGS.SILENT", "-FLAGS.SILENT", "FLAGS.SILENT", "+FLAGS"]);
    let flags = if random.chance(300) { "\\Deleted".to_owned() } else { flags(random) };
    format!("{}STORE {set} {unless}{how} ({flags})", uid(by_uid))
}

fn expunge(random: &mut Rng, mailbox: &Mailbox) -> String {
    match set(random, mailbox) {
        (set, true) => format!("UID EXPUNGE {set}"),
        _ => "EXPUNGE".to_owned(),
    }
}

fn copy(random: &mut Rng, mailbox: &Mailbox) -> String {
    let (set, by_uid) = set(random, mailbox);
    let verb = random.pick(&["COPY", "MOVE"]);
    let target = if random.chance(850) { random_mailbox(random) } else { *random.pick(NAMES) };
    format!("{}{verb} {set} {target}", uid(by_uid))
}

fn status(random: &mut Rng) -> String {
    let name = if random.chance(700) { random_mailbox(random) } else { *random.pick(NAMES) };
    let items = random.pick(&[
        "MESSAGES UNSEEN UIDNEXT",
        "MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN",
        "SIZE MESSAGES",
        "UNSEEN",
    ]);
    format!("STATUS {name} ({items})")
}

fn list(random: &mut Rng) -> String {
    let pattern = random.pick(&["*", "%", "%/%", "C*", "E/%", "A", "*/F", "C%", "E", "*blank", "X/Y"]);
    match random.below(8) {
        0 | 1 => format!("LIST \"\" {{q}}/{pattern}"),
        2 => format!("LIST {{q}}/ {pattern}"),
        3 => format!("LSUB \"\" {{q}}/{pattern}"),
        4 => format!("LIST (SUBSCRIBED) \"\" {{q}}/{pattern}"),
        5 => format!("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" {{q}}/{pattern}"),
        6 => format!("LIST \"\" {{q}}/{pattern} RETURN (SUBSCRIBED CHILDREN)"),
        _ => format!("LIST \"\" ({{q}}/{pattern} {{q}}/A) RETURN (CHILDREN STATUS (MESSAGES UNSEEN UIDNEXT))"),
    }
}

/// Names come and go, but never while somebody has them selected: the rules leave open what happens then.
fn rename(random: &mut Rng) -> String {
    let name = random.pick(NAMES);
    match random.below(8) {
        0..3 => format!("CREATE {name}"),
        3 => format!("DELETE {name}"),
        4 | 5 => format!("RENAME {name} {}", random.pick(NAMES)),
        6 => format!("SUBSCRIBE {name}"),
        _ => format!("UNSUBSCRIBE {name}"),
    }
}

/// A word to look for, sometimes in another case or only a piece of it.
pub fn word(random: &mut Rng, words: &[&str]) -> String {
    let word = random.pick(words);
    match random.below(4) {
        0 => word.to_uppercase(),
        1 => word[1..].to_owned(),
        _ => (*word).to_owned(),
    }
}
