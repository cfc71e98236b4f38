//! UIDL (RFC 1939 section 7).

use crate::pop3::reply::Outcome;
use crate::pop3::session::Session;

pub async fn run(session: &mut Session, number: Option<u32>) -> Outcome {
    if let Some(number) = number {
        let maildrop = session.maildrop()?;
        let unique_id = maildrop.unique_id(maildrop.message(number)?);
        session.ok(&format!("{number} {unique_id}"));
        return Ok(());
    }
    session.ok("The unique ids are");
    let mut next = 1;
    loop {
        let maildrop = session.maildrop()?;
        let Some((number, message)) = maildrop.live_from(next) else { break };
        let line = format!("{number} {}\r\n", maildrop.unique_id(message));
        session.io.output.extend_from_slice(line.as_bytes());
        session.io.flush_if_full().await?;
        next = number + 1;
    }
    session.io.output.extend_from_slice(b".\r\n");
    Ok(())
}
