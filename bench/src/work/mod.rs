//! The pieces of work.

mod bodies;
mod delivery;
mod idlers;
mod mailbox;
mod messages;
mod million;
mod search;
mod sessions;

use std::time::Instant;

use anyhow::Result;

pub use messages::{message, message_of};

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
/// The user on whose INBOX many sessions idle.
const WATCHED: u32 = 63;
/// The user whose INBOX holds a million messages.
const MILLION_USER: u32 = 59;

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
    if wanted("idlers") {
        idlers::run(server, options, report)?;
    }
    if wanted("sessions") {
        sessions::run(server, report)?;
    }
    if wanted("mailbox") {
        mailbox::fill(server, MEDIUM_USER, 10_000, &message)?;
        mailbox::run(server, MEDIUM_USER, 10_000, options, report)?;
        bodies::run(server, MEDIUM_USER, options, report)?;
        mailbox::store(server, MEDIUM_USER, options, report)?;
    }
    if wanted("mailbox") || wanted("search") {
        mailbox::fill(server, LARGE_USER, options.large, &message)?;
    }
    if wanted("mailbox") {
        mailbox::run(server, LARGE_USER, options.large, options, report)?;
    }
    if wanted("search") {
        search::run(server, LARGE_USER, options.large, options, report)?;
    }
    // A million takes long to be put there: only who names it gets it.
    if options.only.as_deref() == Some("million") {
        million::run(server, MILLION_USER, options, report)?;
    }
    Ok(())
}

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
