//! APPEND (RFC 9051 section 6.3.12): the message streams from the client into the account.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sterna_account::account::BlobUpload;
use sterna_account::{Account, Content, Mutation, NewItem, Outcome as Done};
use sterna_base::ContainerId;
use sterna_base::limits::{INLINE_BLOB_BYTES_MAX, MESSAGE_BYTES_MAX};
use sterna_formats::imap::AppendStart;
use sterna_formats::mail::Scanner;

use super::copy::Target;
use super::store::flag_set;
use crate::imap::io::Disconnect;
use crate::imap::limits::LITERAL_WAIT;
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::rights;
use crate::imap::session::Session;

/// How far beyond the limit a message that can't be refused beforehand is read and dropped.
const PASSED_OVER_BYTES_MAX: u64 = 4 * MESSAGE_BYTES_MAX;

pub async fn run(session: &mut Session, start: AppendStart) -> Outcome {
    if session.user.is_none() && !start.synchronising {
        // Nobody's bytes are read for nothing before log-in.
        return Err(Disconnect::Hopeless("Log in first").into());
    }
    match prepare(session, &start).await {
        Ok((account, container, item)) => receive(session, &start, account, container, item).await,
        Err(fail @ Fail::Disconnect(_)) => Err(fail),
        // Refused before it was sent: a client that waits for the continuation sends nothing.
        Err(fail) if start.synchronising => Err(fail),
        Err(fail) => {
            pass_over(session, start.size).await?;
            Err(fail)
        }
    }
}

/// Where the message goes, and what is known of it.
type Prepared = (Arc<dyn Account>, ContainerId, NewItem);

/// Everything that can be refused before the message comes.
async fn prepare(session: &mut Session, start: &AppendStart) -> Result<Prepared, Fail> {
    session.account()?;
    let arguments = start.arguments.as_ref().map_err(|error| Fail::Reply(Reply::bad(error.clone())))?;
    if start.size > MESSAGE_BYTES_MAX {
        return Err(Reply::no("The message is too large").code("TOOBIG").into());
    }
    if start.size == 0 {
        return Err(Reply::no("There is no message").into());
    }
    let flags: Vec<String> = arguments.flags.iter().filter(|f| !f.eq_ignore_ascii_case("\\Recent")).cloned().collect();
    let flags = flag_set(&flags)?;
    let target = Target::find(session, &arguments.mailbox).await?;
    let (account, container) = (target.account, target.container);
    // Flags that the user may not set are left out; the message is taken (RFC 4314 section 4).
    let flags = rights::allowed(&flags, target.rights);
    let quota = account.head().await?.quota;
    if quota.bytes_max.is_some_and(|max| quota.bytes_used + start.size > max) {
        return Err(Reply::no("The account is over its quota").code("OVERQUOTA").into());
    }
    let content = Content::Inline(Bytes::new());
    Ok((account, container, NewItem { content, summary: None, internal_date: arguments.date, flags, name: None }))
}

async fn receive(
    session: &mut Session,
    start: &AppendStart,
    account: Arc<dyn Account>,
    container: ContainerId,
    mut item: NewItem,
) -> Outcome {
    if start.synchronising {
        session.io.output.extend_from_slice(b"+ Ready\r\n");
    }
    let mut scanner = Scanner::new();
    let received = if start.size <= INLINE_BLOB_BYTES_MAX as u64 {
        into_memory(session, start.size, &mut scanner).await
    } else {
        into_account(session, account.as_ref(), start.size, &mut scanner).await
    };
    item.content = received?;
    if !line_ends(session).await? {
        return Ok(Reply::bad("Expected the end of the line after the message"));
    }
    item.summary = Some(scanner.finish().encode().into());
    let committed = session.commit(account.as_ref(), vec![Mutation::Append { container, item }]).await?;
    match committed.outcomes.first() {
        Some(Done::Appended { uid_validity, uid }) => {
            Ok(Reply::ok("Appended").code(format!("APPENDUID {uid_validity} {uid}")))
        }
        _ => Ok(Reply::no("The server could not do that").code("SERVERBUG")),
    }
}

async fn into_memory(session: &mut Session, size: u64, scanner: &mut Scanner) -> Result<Content, Fail> {
    let mut message = BytesMut::with_capacity(size as usize);
    while (message.len() as u64) < size {
        let piece = session.io.literal_piece(size - message.len() as u64, LITERAL_WAIT).await?;
        scanner.push(&piece);
        message.extend_from_slice(&piece);
    }
    Ok(Content::Inline(message.freeze()))
}

/// When the account fails in the middle, the rest is read and dropped, so that the session lives on.
async fn into_account(
    session: &mut Session,
    account: &dyn Account,
    size: u64,
    scanner: &mut Scanner,
) -> Result<Content, Fail> {
    let mut upload = match account.stage_blob().await {
        Ok(upload) => upload,
        Err(error) => {
            pass_over(session, size).await?;
            return Err(error.into());
        }
    };
    let mut left = size;
    while left > 0 {
        let piece = session.io.literal_piece(left, LITERAL_WAIT).await?;
        left -= piece.len() as u64;
        scanner.push(&piece);
        if let Err(error) = upload.write(piece).await {
            pass_over(session, left).await?;
            return Err(error.into());
        }
    }
    finish_upload(session, upload).await
}

async fn finish_upload(session: &mut Session, upload: Box<dyn BlobUpload>) -> Result<Content, Fail> {
    match upload.finish().await {
        Ok((hash, _)) => Ok(Content::Stored(hash)),
        Err(error) => {
            line_ends(session).await?;
            Err(error.into())
        }
    }
}

/// Reads and drops a message that was refused, and the rest of its line.
async fn pass_over(session: &mut Session, size: u64) -> Result<(), Fail> {
    if size > PASSED_OVER_BYTES_MAX {
        return Err(Disconnect::Hopeless("The message is far too large").into());
    }
    let mut left = size;
    while left > 0 {
        left -= session.io.literal_piece(left, LITERAL_WAIT).await?.len() as u64;
    }
    line_ends(session).await?;
    Ok(())
}

/// Whether the rest of the command's line is empty, as it must be.
async fn line_ends(session: &mut Session) -> Result<bool, Fail> {
    loop {
        if let Some(empty) = session.framer.append_end(&mut session.io.input) {
            return Ok(empty);
        }
        if session.framer.is_hopeless() {
            return Err(Disconnect::Hopeless("The line is too long").into());
        }
        session.io.fill(LITERAL_WAIT).await?;
    }
}
