//! Delivery to a mailbox that many sessions look at.

use std::time::Instant;

use anyhow::Result;

use super::{WATCHED, message, open, rounds};
use crate::Options;
use crate::client::Lmtp;
use crate::peers::Server;
use crate::report::{Report, Unit};

/// Sessions that idle on the mailbox.
const SESSIONS: u32 = 50;
/// Messages of one round.
const MESSAGES: u64 = 200;

/// One sender delivers until the last message is acknowledged and every session was told of it.
pub fn run(server: &dyn Server, options: &Options, report: &mut Report) -> Result<()> {
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let mut session = open(server, WATCHED)?;
        session.command("SELECT INBOX")?;
        session.idle()?;
        sessions.push(session);
    }
    let (mut lmtp, recipient) = (Lmtp::connect(server.lmtp())?, server.address(WATCHED));
    let mut number = u64::from(WATCHED) << 40;
    let mut delivered = 0;
    rounds(server, "LMTP delivery while 50 sessions idle there", Unit::PerSecond, options.rounds, report, || {
        let start = Instant::now();
        for _ in 0..MESSAGES {
            number += 1;
            lmtp.deliver(&recipient, &message(number))?;
        }
        delivered += MESSAGES;
        for session in &mut sessions {
            session.wait_for_exists(delivered)?;
        }
        Ok(MESSAGES as f64 / start.elapsed().as_secs_f64())
    })
}
