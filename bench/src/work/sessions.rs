//! Memory of idle sessions.

use anyhow::Result;

use super::open;
use crate::client::Imap;
use crate::peers::{Server, memory_kib};
use crate::report::{Report, Unit};

const SESSIONS: u32 = 1000;
const TLS_SESSIONS: u32 = 10_000;
/// The users that the sessions are spread over.
const SESSION_USERS: u32 = 50;

/// Sessions that are logged in, have INBOX selected and are in IDLE: a thousand, then ten thousand with TLS.
pub fn run(server: &dyn Server, report: &mut Report) -> Result<()> {
    drop(open(server, 0)?);
    let plain = idle(server, SESSIONS, &|user| open(server, user))?;
    report.add("memory of 1,000 idle sessions, each", server.name(), Unit::KibPerSession, vec![plain]);
    let login = |user: u32| {
        let (login, password) = server.login(user);
        Imap::login_tls(server.imaps(), &login, &password)
    };
    drop(login(0)?);
    let count = TLS_SESSIONS.min(server.most_sessions());
    if count < TLS_SESSIONS {
        crate::eprint_progress(&format!("{}: only {count} sessions with TLS", server.name()));
    }
    let with_tls = idle(server, count, &login)?;
    report.add("memory of 10,000 idle TLS sessions, each", server.name(), Unit::KibPerSession, vec![with_tls]);
    Ok(())
}

/// KiB that each of so many sessions takes on the server.
fn idle(server: &dyn Server, count: u32, login: &dyn Fn(u32) -> Result<Imap>) -> Result<f64> {
    let before = memory_kib(server.processes())?;
    let mut sessions = Vec::new();
    for number in 0..count {
        let mut session = login(number % SESSION_USERS)?;
        session.command("SELECT INBOX")?;
        session.idle()?;
        sessions.push(session);
    }
    let after = memory_kib(server.processes())?;
    Ok(after.saturating_sub(before) as f64 / f64::from(count))
}
