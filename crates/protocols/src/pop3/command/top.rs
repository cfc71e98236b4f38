//! TOP (RFC 1939 section 7). It is a look at a message and doesn't count as reading it.

use sterna_formats::pop3::MultiLine;

use super::retr;
use crate::pop3::reply::Outcome;
use crate::pop3::session::Session;

pub async fn run(session: &mut Session, number: u32, lines: u64) -> Outcome {
    let message = session.maildrop()?.message(number)?;
    let item = session.maildrop()?.item(message).await?;
    retr::send(session, &item, MultiLine::top(lines), "The top of the message").await
}
