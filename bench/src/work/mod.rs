//! The pieces of work.

mod delivery;
mod mailbox;
mod sessions;

use std::time::Instant;

use anyhow::Result;

use crate::Options;
use crate::client::Imap;
use crate::peers::Server;
use crate::report::{Report, Unit};

/// The user whose INBOX holds 10,000 messages.
const MEDIUM_USER: u32 = 60;
/// The user whose INBOX holds the large number.
const LARGE_USER: u32 = 61;
/// The user that single clients write to.
const WRITER: u32 = 62;

/// Runs all the works that the options ask for.
pub fn run_all(server: &mut dyn Server, options: &Options, report: &mut Report) -> Result<()> {
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| name.contains(only));
    for senders in [1, 8, 32] {
        if wanted("delivery") {
            delivery::run(server, senders, options, report)?;
        }
    }
    if wanted("append") {
        mailbox::append(server, options, report)?;
    }
    if wanted("sessions") {
        sessions::run(server, report)?;
    }
    if wanted("mailbox") {
        mailbox::fill(server, MEDIUM_USER, 10_000)?;
        mailbox::run(server, MEDIUM_USER, 10_000, options, report)?;
        mailbox::store(server, MEDIUM_USER, options, report)?;
        mailbox::fill(server, LARGE_USER, options.large)?;
        mailbox::run(server, LARGE_USER, options.large, options, report)?;
    }
    Ok(())
}

/// A message of about four kilobytes that no other message equals; no line starts with a dot.
pub fn message(number: u64) -> Vec<u8> {
    message_of(number, 4000)
}

/// The same with about so many bytes.
pub fn message_of(number: u64, bytes: usize) -> Vec<u8> {
    let mut text = format!(
        "From: Sender {number} <sender{number}@bench.test>\r\nTo: Reader <reader@bench.test>\r\n\
         Subject: Message number {number} of a benchmark\r\nDate: Mon, 16 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{number}@bench.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    );
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    while text.len() < bytes {
        for _ in 0..9 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            text.push_str(WORDS[(state % WORDS.len() as u64) as usize]);
            text.push(' ');
        }
        text.push_str("\r\n");
    }
    text.into_bytes()
}

const WORDS: [&str; 16] = [
    "tern", "island", "harbour", "north", "letter", "winter", "message", "paper", "window", "garden", "evening",
    "river", "stone", "answer", "morning", "journey",
];

/// Milliseconds that the work takes.
fn time_ms(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64() * 1000.0)
}

fn open(server: &dyn Server, user: u32) -> Result<Imap> {
    let (login, password) = server.login(user);
    Imap::login(server.imap(), &login, &password)
}

/// Runs the rounds of one work.
fn rounds(
    server: &dyn Server,
    name: &str,
    unit: Unit,
    count: usize,
    report: &mut Report,
    mut round: impl FnMut() -> Result<f64>,
) -> Result<()> {
    let figures = (0..count).map(|_| round()).collect::<Result<Vec<f64>>>()?;
    report.add(name, server.name(), unit, figures);
    Ok(())
}
