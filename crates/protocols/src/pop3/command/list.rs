//! LIST (RFC 1939 section 5).

use crate::pop3::reply::Outcome;
use crate::pop3::session::Session;

pub async fn run(session: &mut Session, number: Option<u32>) -> Outcome {
    if let Some(number) = number {
        let message = session.maildrop()?.message(number)?;
        session.ok(&format!("{number} {}", message.octets));
        return Ok(());
    }
    let (count, octets) = session.maildrop()?.totals();
    session.ok(&format!("{count} messages ({octets} octets)"));
    let mut next = 1;
    while let Some((number, message)) = session.maildrop()?.live_from(next) {
        session.io.output.extend_from_slice(format!("{number} {}\r\n", message.octets).as_bytes());
        session.io.flush_if_full().await?;
        next = number + 1;
    }
    session.io.output.extend_from_slice(b".\r\n");
    Ok(())
}
