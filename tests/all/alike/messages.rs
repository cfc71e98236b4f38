//! Messages for both: the zoo, as far as both servers keep its bytes, and messages put together by number.

use std::sync::OnceLock;

use sterna_testkit::zoo;

use super::permitted;
use crate::rng::Rng;

/// Messages of the zoo that are small enough to be fetched again and again.
const ZOO_BYTES_MAX: usize = 20_000;

/// How deep parts are nested.
const DEPTH_MAX: usize = 3;

/// Words that searches look for. They stand in no name of a file: Sterna finds those, as its users want, and Dovecot
/// doesn't.
pub const WORDS: &[&str] = &["tern", "Arctic", "gull", "north", "sea", "pole", "flight", "egg", "nest", "wind"];

/// Words that stand in texts only. Headers of messages in a message are its body (RFC 9051 section 6.4.4), as is what
/// stands around its parts; Dovecot looks into texts.
pub const BODY_WORDS: &[&str] = &["kelp", "Driftwood", "harbour", "lantern", "compass"];

const PEOPLE: &[&str] = &[
    "ana@example.test",
    "Ben <ben@example.test>",
    "\"Arctic, Tern\" <tern@pole.test>",
    "=?utf-8?Q?Zo=C3=AB?= <zoe@example.test>",
    "gull@north.test (Gull of the North)",
    "<@relay.test:routed@sea.test>",
    "Team: ana@example.test, Ben <ben@example.test>;",
    "undisclosed-recipients:;",
    "\"quoted \\\"name\\\"\" <\"odd local\"@example.test>",
    "nobody",
    "Ana Maria Tern\r\n <ana.maria@example.test>",
    "a.dotted.name <dotted@example.test>, second@example.test",
];

const SUBJECTS: &[&str] = &[
    "tern",
    "Re: tern",
    "RE: Re[2]: tern",
    "Fwd: Arctic tern",
    "[birds] Re: tern",
    "Arctic flight (fwd)",
    "=?utf-8?Q?K=C3=BCste?= and sea",
    "=?iso-8859-1?Q?Br=FCter?= =?iso-8859-1?Q?_nest?=",
    "a subject that is\r\n folded over two lines",
    "  spaces   inside\tand a tab ",
    "",
    "gull \"quoted\" \\ north",
];

const DATES: &[&str] = &[
    "Mon, 01 Jan 2024 10:00:00 +0000",
    "Mon, 1 Jan 2024 23:30:00 -0500",
    "Tue, 2 Jan 2024 00:15:00 +0200",
    "Wed, 14 Feb 2024 12:00:00 GMT",
    "3 Mar 2023 08:09:10 +0100",
    "Thu, 29 Feb 2024 23:59:59 +1400",
    "Sun, 5 May 2024 06:07 +0000",
];

const TYPES: &[&str] = &[
    "text/plain",
    "text/plain; charset=utf-8",
    "TEXT/HTML; Charset=\"iso-8859-1\"",
    "text/plain; charset=us-ascii; format=flowed; delsp=yes",
    "application/octet-stream; name=\"some data.bin\"",
    "image/png; name=picture.png",
    "application/x-odd+type; a=1; b=\"two; three\"; c=\"q\\\"uoted\"",
    "text/plain;\r\n\tcharset=utf-8;\r\n\tname=folded.txt",
    "text/calendar; method=REQUEST (a comment); charset=utf-8",
];

const DISPOSITIONS: &[&str] = &[
    "inline",
    "attachment",
    "attachment; filename=note.txt",
    "ATTACHMENT; FileName=\"Long report.pdf\"; size=12",
    "attachment;\r\n filename=\"folded name.txt\";\r\n creation-date=\"Mon, 1 Jan 2024 00:00:00 +0000\"",
];

/// The message with this number: it is the same for ever.
pub fn message(number: usize) -> Vec<u8> {
    match number.checked_sub(1000) {
        None => kept_zoo()[number % zoo_len()].1.clone(),
        Some(seed) => generated(&mut Rng::new(seed as u64)),
    }
}

/// What to call it.
pub fn name(number: usize) -> String {
    if number < 1000 { kept_zoo()[number % zoo_len()].0.to_owned() } else { format!("message {number}") }
}

/// How many messages of the zoo both can keep.
pub fn zoo_len() -> usize {
    kept_zoo().len()
}

fn kept_zoo() -> &'static [(&'static str, Vec<u8>)] {
    static ZOO: OnceLock<Vec<(&str, Vec<u8>)>> = OnceLock::new();
    let is_left_out = |name: &str| permitted::MESSAGES.iter().any(|(left_out, _)| *left_out == name);
    let given = |(name, message): &(&str, Vec<u8>)| is_kept(message) && !is_left_out(name);
    ZOO.get_or_init(|| zoo::zoo().into_iter().filter(given).collect())
}

/// Dovecot keeps lines with LF and shows them with CRLF, and takes no NUL: other line ends come out changed there.
fn is_kept(message: &[u8]) -> bool {
    let plain = String::from_utf8_lossy(message).replace("\r\n", "");
    !plain.contains(['\r', '\n', '\0']) && message.len() <= ZOO_BYTES_MAX
}

fn generated(random: &mut Rng) -> Vec<u8> {
    let mut text = String::new();
    headers(random, &mut text);
    part(random, DEPTH_MAX, &mut text);
    text.into_bytes()
}

fn headers(random: &mut Rng, text: &mut String) {
    for (name, per_mille) in [("From", 950), ("Sender", 150), ("Reply-To", 200), ("To", 850), ("Cc", 300), ("Bcc", 150)]
    {
        if random.chance(per_mille) {
            text.push_str(&format!("{name}: {}\r\n", random.pick(PEOPLE)));
        }
    }
    if random.chance(900) {
        text.push_str(&format!("Subject: {}\r\n", random.pick(SUBJECTS)));
    }
    if random.chance(900) {
        text.push_str(&format!("Date: {}\r\n", random.pick(DATES)));
    }
    let id = random.below(12);
    if random.chance(900) {
        text.push_str(&format!("Message-ID: <{id}@birds.test>\r\n"));
    }
    if random.chance(400) {
        text.push_str(&format!("In-Reply-To: <{}@birds.test>\r\n", random.below(12)));
    }
    if random.chance(400) {
        let references: Vec<String> =
            (0..1 + random.below(3)).map(|_| format!("<{}@birds.test>", random.below(12))).collect();
        text.push_str(&format!("References: {}\r\n", references.join("\r\n ")));
    }
    if random.chance(200) {
        text.push_str(&format!("X-Bird: {}\r\nx-bird:{}\r\n", random.pick(WORDS), random.pick(WORDS)));
    }
}

/// Header fields of MIME, the empty line, and a body.
fn part(random: &mut Rng, depth: usize, text: &mut String) {
    match random.below(if depth == 0 { 3 } else { 6 }) {
        0 => text.push_str(&format!("\r\n{}", words(random))),
        1 | 2 => leaf(random, text),
        3 | 4 => multipart(random, depth, text),
        _ => {
            text.push_str("Content-Type: message/rfc822\r\n");
            more_fields(random, text);
            text.push_str("\r\n");
            headers(random, text);
            part(random, depth - 1, text);
        }
    }
}

fn leaf(random: &mut Rng, text: &mut String) {
    text.push_str(&format!("Content-Type: {}\r\n", random.pick(TYPES)));
    more_fields(random, text);
    match random.below(5) {
        0 => text.push_str("Content-Transfer-Encoding: base64\r\n\r\nQW4gb2xkIGNvbXBhc3MsIGEgbGFudGVybiBhbmQga2VscCBh\r\ndCB0aGUgaGFyYm91ci4NCg==\r\n"),
        1 => text.push_str("Content-Transfer-Encoding: quoted-printable\r\n\r\nAn old comp=61ss at the =\r\nharbour=2E\r\n"),
        2 => text.push_str(&format!("Content-Transfer-Encoding: 8bit\r\n\r\nDie Küste: {}", words(random))),
        3 => text.push_str(&format!("Content-Transfer-Encoding: 7BIT\r\n\r\n{}", words(random))),
        _ => text.push_str(&format!("\r\n{}", words(random))),
    }
}

fn more_fields(random: &mut Rng, text: &mut String) {
    for (field, per_mille) in [
        ("Content-ID: <part@birds.test>\r\n", 150),
        ("Content-Description: a tern\r\n in words\r\n", 150),
        ("Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n", 80),
        ("Content-Language: en, de\r\n", 100),
        ("Content-Location: http://birds.test/tern\r\n", 100),
        ("MIME-Version: 1.0\r\n", 300),
    ] {
        if random.chance(per_mille) {
            text.push_str(field);
        }
    }
    if random.chance(300) {
        text.push_str(&format!("Content-Disposition: {}\r\n", random.pick(DISPOSITIONS)));
    }
}

fn multipart(random: &mut Rng, depth: usize, text: &mut String) {
    let subtype =
        random.pick(&["mixed", "alternative", "related; type=\"text/html\"", "digest", "X-Birds", "SIGNED; micalg=a"]);
    let boundary = format!("b{depth}{}", random.pick(&["", " with blanks", "=_odd'()+,-./:?", "--"]));
    text.push_str(&format!("Content-Type: multipart/{subtype}; boundary=\"{boundary}\"\r\n"));
    more_fields(random, text);
    text.push_str("\r\n");
    if random.chance(400) {
        text.push_str("Nobody reads this: tern.\r\n");
    }
    for _ in 0..random.below(4) {
        text.push_str(&format!("--{boundary}\r\n"));
        part(random, depth - 1, text);
        if random.chance(800) {
            text.push_str("\r\n");
        }
    }
    if random.chance(850) {
        text.push_str(&format!("--{boundary}--\r\n"));
    }
    if random.chance(200) {
        text.push_str("An epilogue about gulls.\r\n");
    }
}

fn words(random: &mut Rng) -> String {
    let one = |random: &mut Rng| *if random.chance(500) { random.pick(WORDS) } else { random.pick(BODY_WORDS) };
    let line = |random: &mut Rng| (0..1 + random.below(6)).map(|_| one(random)).collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = (0..random.below(4)).map(|_| line(random)).collect();
    let end = if random.chance(900) { "\r\n" } else { "" };
    format!("{}{end}", lines.join("\r\n"))
}
