//! Work on one mailbox: opening, listing, writing.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::{WRITER, message, open, rounds, time_ms};
use crate::Options;
use crate::peers::Server;
use crate::report::{Report, Unit};

/// Puts `count` different messages into a user's INBOX, with flushes switched off meanwhile.
pub fn fill(server: &mut dyn Server, user: u32, count: u32, message: &dyn Fn(u64) -> Vec<u8>) -> Result<()> {
    crate::eprint_progress(&format!("{}: filling a mailbox with {count} messages", server.name()));
    let mut messages = (0..count).map(|number| message(u64::from(user) << 32 | u64::from(number)));
    if server.fill(user, &mut messages)? {
        Command::new("sync").status()?;
        return Ok(());
    }
    server.restart(true)?;
    let shared: &dyn Server = server;
    let (login, password) = shared.login(user);
    let address = shared.imap();
    // One client: several would wait for each other's locks on the peers.
    let mut imap = crate::client::Imap::login(address, &login, &password)?;
    for message in messages {
        imap.append("INBOX", &message)?;
    }
    drop(imap);
    server.restart(false)?;
    Command::new("sync").status()?;
    Ok(())
}

/// SELECT with the flags of all messages, and the envelopes of at most 10,000, cold and warm.
pub fn run(server: &mut dyn Server, user: u32, count: u32, options: &Options, report: &mut Report) -> Result<()> {
    // The peers write their caches at the first access; nobody is measured doing that.
    let mut imap = open(server, user)?;
    imap.command("SELECT INBOX")?;
    imap.command("FETCH 1:* (FLAGS)")?;
    imap.command(&format!("FETCH 1:{} (ENVELOPE)", count.min(10_000)))?;
    drop(imap);
    let mut cold = Vec::new();
    for _ in 0..options.rounds {
        server.restart(false)?;
        // The mailbox is cold, not the programs: somebody else's open session keeps their code in memory.
        let mut other = open(server, WRITER)?;
        other.command("SELECT INBOX")?;
        other.command("UID FETCH 1:* (FLAGS)")?;
        drop_caches()?;
        let mut imap = open(server, user)?;
        cold.push(time_ms(|| {
            imap.command("SELECT INBOX")?;
            imap.command("FETCH 1:* (FLAGS)").map(drop)
        })?);
    }
    report.add(&format!("SELECT + FETCH 1:* (FLAGS), {count}, cold"), server.name(), Unit::Milliseconds, cold);
    let name = format!("SELECT + FETCH 1:* (FLAGS), {count}, warm");
    rounds(server, &name, Unit::Milliseconds, options.rounds, report, || {
        let mut imap = open(server, user)?;
        time_ms(|| {
            imap.command("SELECT INBOX")?;
            imap.command("FETCH 1:* (FLAGS)").map(drop)
        })
    })?;
    if count > 10_000 {
        return Ok(());
    }
    let mut imap = open(server, user)?;
    imap.command("SELECT INBOX")?;
    rounds(server, "FETCH 1:* (ENVELOPE), 10,000", Unit::Milliseconds, options.rounds, report, || {
        time_ms(|| imap.command("FETCH 1:* (ENVELOPE)").map(drop))
    })
}

/// One client appends messages one after the other.
pub fn append(server: &dyn Server, options: &Options, report: &mut Report) -> Result<()> {
    const MESSAGES: u32 = 200;
    let mut imap = open(server, WRITER)?;
    let mut number = u64::from(WRITER) << 40;
    rounds(server, "APPEND, one client", Unit::PerSecond, options.rounds, report, || {
        let ms = time_ms(|| {
            for _ in 0..MESSAGES {
                number += 1;
                imap.append("INBOX", &message(number))?;
            }
            Ok(())
        })?;
        Ok(f64::from(MESSAGES) / ms * 1000.0)
    })
}

/// One client sets flags: message by message, and 10,000 at once.
pub fn store(server: &dyn Server, user: u32, options: &Options, report: &mut Report) -> Result<()> {
    const MESSAGES: u32 = 200;
    let mut imap = open(server, user)?;
    imap.command("SELECT INBOX")?;
    let mut sign = '+';
    let mut flip = move || {
        sign = if sign == '+' { '-' } else { '+' };
        sign
    };
    rounds(server, "STORE of one message", Unit::PerSecond, options.rounds, report, || {
        let sign = flip();
        let ms = time_ms(|| {
            for number in 1..=MESSAGES {
                imap.command(&format!("STORE {number} {sign}FLAGS (\\Flagged)"))?;
            }
            Ok(())
        })?;
        Ok(f64::from(MESSAGES) / ms * 1000.0)
    })?;
    rounds(server, "STORE 1:* of 10,000 messages", Unit::Milliseconds, options.rounds, report, || {
        let sign = flip();
        time_ms(|| imap.command(&format!("STORE 1:* {sign}FLAGS (\\Answered)")).map(drop))
    })
}

fn drop_caches() -> Result<()> {
    Command::new("sync").status()?;
    fs::write("/proc/sys/vm/drop_caches", "3").context("dropping the caches: cold figures need root")
}
