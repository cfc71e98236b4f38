//! A mailbox of a million messages opens and answers.

use anyhow::Result;

use super::{mailbox, message_of, open, rounds, time_ms};
use crate::Options;
use crate::client::Lmtp;
use crate::peers::Server;
use crate::report::{Report, Unit};

const MESSAGES: u32 = 1_000_000;
/// Short ones: what is measured is their number.
const MESSAGE_BYTES: usize = 500;

/// Opens it, lists flags and the newest page, takes one more message, and tells of it.
pub fn run(server: &mut dyn Server, user: u32, options: &Options, report: &mut Report) -> Result<()> {
    mailbox::fill(server, user, MESSAGES, &|number| message_of(number, MESSAGE_BYTES))?;
    mailbox::run(server, user, MESSAGES, options, report)?;
    let mut imap = open(server, user)?;
    imap.command("SELECT INBOX")?;
    let page = format!("FETCH {}:* (UID FLAGS ENVELOPE)", MESSAGES - 49);
    rounds(server, "the newest 50 of 1,000,000", Unit::Milliseconds, options.rounds, report, || {
        time_ms(|| imap.command(&page).map(drop))
    })?;
    let (mut lmtp, recipient) = (Lmtp::connect(server.lmtp())?, server.address(user));
    let mut number = u64::from(user) << 40;
    rounds(server, "one more message in 1,000,000, told", Unit::Milliseconds, options.rounds, report, || {
        time_ms(|| {
            number += 1;
            lmtp.deliver(&recipient, &message_of(number, MESSAGE_BYTES))?;
            imap.command("NOOP").map(drop)
        })
    })
}
