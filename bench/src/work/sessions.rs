//! Memory of idle sessions.

use anyhow::Result;

use super::open;
use crate::peers::{Server, memory_kib};
use crate::report::{Report, Unit};

const SESSIONS: u32 = 1000;

/// A thousand sessions over the first fifty users, each logged in, INBOX selected, in IDLE.
pub fn run(server: &dyn Server, report: &mut Report) -> Result<()> {
    drop(open(server, 0)?);
    let before = memory_kib(server.processes())?;
    let mut sessions = Vec::new();
    for number in 0..SESSIONS {
        let mut session = open(server, number % 50)?;
        session.command("SELECT INBOX")?;
        session.idle()?;
        sessions.push(session);
    }
    let after = memory_kib(server.processes())?;
    let each = after.saturating_sub(before) as f64 / f64::from(SESSIONS);
    report.add("memory of 1,000 idle sessions, each", server.name(), Unit::KibPerSession, vec![each]);
    Ok(())
}
