//! RETR (RFC 1939 section 5), and the sending of messages that TOP has in common with it.

use bytes::Bytes;
use sterna_account::{Account, Item};
use sterna_formats::pop3::MultiLine;

use crate::io::Disconnect;
use crate::message;
use crate::pop3::reply::{Fail, Outcome};
use crate::pop3::session::Session;

pub async fn run(session: &mut Session, number: u32) -> Outcome {
    let message = session.maildrop()?.message(number)?;
    let item = session.maildrop()?.item(message).await?;
    send(session, &item, MultiLine::whole(), &format!("{} octets", message.octets)).await?;
    session.maildrop()?.was_sent(message);
    Ok(())
}

/// Sends a message while it is read: memory holds one piece, and the next is read when the client has taken it.
pub async fn send(session: &mut Session, item: &Item, mut lines: MultiLine, text: &str) -> Outcome {
    let account = session.maildrop()?.account.clone();
    // The first piece before `+OK`: an error then still is an answer.
    let mut piece = message::read(account.as_ref(), item, 0..item.size).await?;
    session.ok(text);
    let mut offset = 0;
    loop {
        offset += piece.len() as u64;
        let more = lines.push(&piece, &mut session.io.output);
        session.io.flush_if_full().await?;
        if !more || offset >= item.size {
            break;
        }
        piece = next(account.as_ref(), item, offset).await?;
    }
    lines.finish(&mut session.io.output);
    Ok(())
}

/// In the middle of a message there is no way to say that it can't be read on but to hang up: without the line with the
/// dot, the client knows that it is not whole.
async fn next(account: &dyn Account, item: &Item, offset: u64) -> Result<Bytes, Fail> {
    message::read(account, item, offset..item.size).await.map_err(|error| {
        tracing::warn!(account = %account.id(), blob = %item.blob, %error, "a message broke off while it was sent");
        Disconnect::Io(std::io::Error::other(error)).into()
    })
}
