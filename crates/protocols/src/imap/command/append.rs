//! APPEND (RFC 9051 section 6.3.12) of one or several messages (MULTIAPPEND, RFC 3502), and what REPLACE has in common
//! with it: messages stream from the client, and what all of them come to is one commit.

use sterna_account::Outcome as Done;
use sterna_base::limits::MESSAGE_BYTES_MAX;
use sterna_formats::imap::append::{AppendLiteral, AppendStart, AppendStep, AppendVerb};
use sterna_formats::imap::{Frame, write};

use super::catenate;
use super::copy::Target;
use super::incoming::Incoming;
use super::replace::Replaced;
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;
use crate::io::Disconnect;

/// How far beyond the limit a message that can't be refused beforehand is read and dropped.
const PASSED_OVER_BYTES_MAX: u64 = 4 * MESSAGE_BYTES_MAX;

/// Messages, texts and URLs of one command: those of the whole command that are more than this are refused.
const STEPS_MAX: usize = 16_384;

/// How far the client's command has been read.
enum Standing {
    /// A literal was announced.
    Announced(AppendLiteral),
    /// So many bytes of a literal are still to come.
    Inside(u64),
    /// The command is complete.
    Ended,
}

pub async fn run(session: &mut Session, mut start: AppendStart) -> Outcome {
    if session.user.is_none() && start.literal.is_some_and(|literal| !literal.synchronising) {
        // Nobody's bytes are read for nothing before log-in.
        return Err(Disconnect::Hopeless("Log in first").into());
    }
    let mut standing = start.literal.take().map_or(Standing::Ended, Standing::Announced);
    match receive(session, start, &mut standing).await {
        Err(Fail::Disconnect(disconnect)) => Err(disconnect.into()),
        Err(fail) => {
            pass_over(session, standing).await?;
            Err(fail)
        }
        done => done,
    }
}

async fn receive(session: &mut Session, start: AppendStart, standing: &mut Standing) -> Outcome {
    session.account()?;
    let arguments = start.arguments.map_err(|error| Fail::Reply(Reply::bad(format!("Syntax error: {error}"))))?;
    let replaced = match (start.verb, &arguments.replaced) {
        (AppendVerb::Replace { uid }, Some(set)) => Some(Replaced::find(session, set, uid).await?),
        _ => None,
    };
    let target = Target::find(session, &arguments.mailbox).await?;
    let spare_bytes = replaced.as_ref().filter(|old| old.is_in(target.account.as_ref())).map_or(0, |old| old.size);
    let mut incoming = Incoming::new(target, spare_bytes).await?;
    let (mut steps, mut count) = (arguments.steps, 0);
    loop {
        count += steps.len() + 1;
        if count > STEPS_MAX {
            return Err(Reply::no("Too many parts").code("LIMIT").into());
        }
        for step in steps {
            match step {
                AppendStep::Message(options) => incoming.begin(&options).await?,
                AppendStep::Url(url) => catenate::url(session, &mut incoming, &url).await?,
            }
        }
        let Standing::Announced(literal) = *standing else { break };
        incoming.expect(literal.size).await?;
        take(session, &mut incoming, literal, standing).await?;
        steps = next(session, standing).await?;
    }
    let (account, steps) = incoming.finish().await?;
    match replaced {
        Some(replaced) => replaced.commit(session, account.as_ref(), steps).await,
        None => {
            let committed = session.commit(account.as_ref(), steps).await?;
            Ok(Reply::ok("Appended").code(append_uid(&committed.outcomes)?))
        }
    }
}

/// Takes a literal from the client.
async fn take(
    session: &mut Session,
    incoming: &mut Incoming,
    literal: AppendLiteral,
    standing: &mut Standing,
) -> Result<(), Fail> {
    if literal.synchronising {
        session.io.output.extend_from_slice(b"+ Ready\r\n");
    }
    let (mut left, wait) = (literal.size, session.literal_wait());
    *standing = Standing::Inside(left);
    while left > 0 {
        let piece = session.io.literal_piece(left, wait).await?;
        left -= piece.len() as u64;
        *standing = Standing::Inside(left);
        incoming.write(piece).await?;
    }
    Ok(())
}

/// What stands behind a literal.
async fn next(session: &mut Session, standing: &mut Standing) -> Result<Vec<AppendStep>, Fail> {
    let wait = session.literal_wait();
    loop {
        match session.framer.next(&mut session.io.input) {
            Frame::More => session.io.fill(wait).await?,
            Frame::Continue => session.io.output.extend_from_slice(b"+ Ready\r\n"),
            Frame::AppendNext(next) => {
                *standing = next.literal.map_or(Standing::Ended, Standing::Announced);
                return next.steps.map_err(|error| Reply::bad(format!("Syntax error: {error}")).into());
            }
            Frame::TooLong { hopeless: false, .. } => {
                *standing = Standing::Ended;
                return Err(Reply::bad("The command is too long").code("TOOBIG").into());
            }
            Frame::TooLong { hopeless: true, .. } | Frame::Command(_) | Frame::Append(_) => {
                return Err(Disconnect::Hopeless("The command is too long").into());
            }
        }
    }
}

/// Reads and drops what is left of a command that was refused.
async fn pass_over(session: &mut Session, standing: Standing) -> Result<(), Fail> {
    let mut left = match standing {
        // A client that waits for the continuation sends nothing.
        Standing::Announced(AppendLiteral { synchronising: true, .. }) | Standing::Ended => {
            session.framer.append_refused();
            return Ok(());
        }
        Standing::Announced(literal) => literal.size,
        Standing::Inside(left) => left,
    };
    if left > PASSED_OVER_BYTES_MAX {
        return Err(Disconnect::Hopeless("The message is far too large").into());
    }
    let wait = session.literal_wait();
    while left > 0 {
        left -= session.io.literal_piece(left, wait).await?.len() as u64;
    }
    while !session.framer.append_is_over(&mut session.io.input) {
        if session.framer.is_hopeless() {
            return Err(Disconnect::Hopeless("The command is too long").into());
        }
        session.io.fill(wait).await?;
    }
    Ok(())
}

/// `APPENDUID` (RFC 4315 section 3) of what was appended in one commit.
pub fn append_uid(outcomes: &[Done]) -> Result<String, Fail> {
    let mut uid_validity = None;
    let mut uids = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        let Done::Appended { uid_validity: of, uid } = outcome else {
            return Err(Reply::no("The server could not do that").code("SERVERBUG").into());
        };
        uid_validity = Some(*of);
        uids.push(uid.0);
    }
    let Some(uid_validity) = uid_validity else {
        return Err(Reply::no("The server could not do that").code("SERVERBUG").into());
    };
    let mut set = Vec::new();
    write::sequence_set(uids, &mut set);
    Ok(format!("APPENDUID {uid_validity} {}", String::from_utf8_lossy(&set)))
}
