//! Reading what is inside messages.

use anyhow::Result;

use super::{open, rounds, time_ms};
use crate::Options;
use crate::peers::Server;
use crate::report::{Report, Unit};

/// What a client asks for that fills its cache: structures, and whole messages, of a mailbox of 10,000.
pub fn run(server: &dyn Server, user: u32, options: &Options, report: &mut Report) -> Result<()> {
    let mut imap = open(server, user)?;
    imap.command("SELECT INBOX")?;
    let works = [
        ("FETCH 1:* (ENVELOPE BODYSTRUCTURE), 10,000", "FETCH 1:* (UID FLAGS INTERNALDATE ENVELOPE BODYSTRUCTURE)"),
        (
            "FETCH 1:* (BODY.PEEK[HEADER.FIELDS]), 10,000",
            "FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT REFERENCES)])",
        ),
        ("FETCH 1:* (BODY.PEEK[]), 10,000", "FETCH 1:* (UID BODY.PEEK[])"),
    ];
    for (name, command) in works {
        // The peers write their caches at the first time; nobody is measured doing that.
        imap.command(command)?;
        rounds(server, name, Unit::Milliseconds, options.rounds, report, || {
            time_ms(|| imap.command(command).map(drop))
        })?;
    }
    Ok(())
}
