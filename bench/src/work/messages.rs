//! The messages that all servers get.

use std::fmt::Write;

/// Messages in a thread: the first one and answers to it.
const THREAD_MESSAGES: u64 = 5;
/// One message in so many has [`RARE_WORD`] in its text.
pub const RARE: u64 = 1000;
/// A word that few messages have.
pub const RARE_WORD: &str = "zugunruhe";
/// A word that about every second message has.
pub const COMMON_WORD: &str = "tern";
/// Syllables of the words that texts are made of: 24 * 24 words of two.
const SYLLABLES: [&str; 24] = [
    "ba", "cor", "den", "el", "fis", "gar", "hol", "in", "jo", "ka", "lun", "mer", "no", "ol", "per", "qua", "ro",
    "sil", "tar", "un", "ver", "win", "yes", "zon",
];
/// Seconds from one message to the next.
const SPACING_SECONDS: u64 = 61;

/// A message of about four kilobytes that no other message equals; no line starts with a dot.
pub fn message(number: u64) -> Vec<u8> {
    message_of(number, 4000)
}

/// The same with about so many bytes.
pub fn message_of(number: u64, bytes: usize) -> Vec<u8> {
    let (thread, place) = (number / THREAD_MESSAGES, number % THREAD_MESSAGES);
    let mut text = format!(
        "From: Sender {number} <sender{}@bench.test>\r\nTo: Reader <reader@bench.test>\r\n\
         Subject: {}Question {thread} of a benchmark\r\nDate: {}\r\nMessage-ID: <{number}@bench.test>\r\n",
        number % 997,
        if place == 0 { "" } else { "Re: " },
        date(number),
    );
    if place > 0 {
        let first = thread * THREAD_MESSAGES;
        let _ = write!(text, "In-Reply-To: <{}@bench.test>\r\nReferences: <{first}@bench.test>", number - 1);
        if place > 1 {
            let _ = write!(text, "\r\n <{}@bench.test>", number - 1);
        }
        text.push_str("\r\n");
    }
    text.push_str("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n");
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    if number.is_multiple_of(RARE) {
        text.push_str(RARE_WORD);
        text.push(' ');
    }
    if number.is_multiple_of(2) {
        text.push_str(COMMON_WORD);
        text.push(' ');
    }
    while text.len() < bytes {
        for _ in 0..9 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            push_word(&mut text, state);
        }
        text.push_str("\r\n");
    }
    text.into_bytes()
}

/// Some words come far more often than others, as in any language.
fn push_word(text: &mut String, random: u64) {
    let below = |shift: u32, limit: u64| (random >> shift) % limit;
    let most = SYLLABLES.len() as u64;
    for shift in [8, 24] {
        let limit = below(shift, most) + 1;
        text.push_str(SYLLABLES[below(shift + 8, limit) as usize]);
    }
    text.push(' ');
}

/// RFC 5322 dates, not in the order of the messages.
fn date(number: u64) -> String {
    let seconds = number.wrapping_mul(7919) % 1_000_003 * SPACING_SECONDS;
    let (day, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, day) = (2020 + day / 336 % 6, day % 336);
    let month =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][(day / 28) as usize];
    format!("{} {month} {year} {:02}:{:02}:{:02} +0000", day % 28 + 1, rest / 3600, rest / 60 % 60, rest % 60)
}
