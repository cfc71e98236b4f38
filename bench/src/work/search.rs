//! Searching, sorting and threading a large mailbox.

use anyhow::Result;

use super::messages::{COMMON_WORD, RARE_WORD};
use super::{open, rounds, time_ms};
use crate::Options;
use crate::peers::Server;
use crate::report::{Report, Unit};

/// A word of few messages, one of every second, two together, and the orders in which clients show mailboxes.
pub fn run(server: &dyn Server, user: u32, count: u32, options: &Options, report: &mut Report) -> Result<()> {
    let took = time_ms(|| {
        if !server.index(user)? {
            crate::eprint_progress(&format!("{}: searches without an index", server.name()));
        }
        Ok(())
    })?;
    crate::eprint_progress(&format!("{}: waited {:.1} s for the index", server.name(), took / 1000.0));
    let mut imap = open(server, user)?;
    imap.command("SELECT INBOX")?;
    let works = [
        ("SEARCH TEXT, a rare word", format!("UID SEARCH TEXT {RARE_WORD}")),
        ("SEARCH TEXT, a word of every second", format!("UID SEARCH TEXT {COMMON_WORD}")),
        ("SEARCH BODY, a rare and a common word", format!("UID SEARCH BODY {RARE_WORD} BODY {COMMON_WORD}")),
        ("SEARCH FROM", "UID SEARCH FROM sender123@".to_owned()),
        ("SORT (REVERSE DATE)", "UID SORT (REVERSE DATE) UTF-8 ALL".to_owned()),
        ("SORT (SUBJECT)", "UID SORT (SUBJECT) UTF-8 ALL".to_owned()),
        ("THREAD REFERENCES", "UID THREAD REFERENCES UTF-8 ALL".to_owned()),
    ];
    for (name, command) in works {
        // The first time is not counted: the peers write their caches.
        let bytes = imap.command(&command)?;
        crate::eprint_progress(&format!("{}: {name}: an answer of {bytes} bytes", server.name()));
        rounds(server, &format!("{name}, {count}"), Unit::Milliseconds, options.rounds, report, || {
            time_ms(|| imap.command(&command).map(drop))
        })?;
    }
    Ok(())
}
