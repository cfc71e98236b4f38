//! IDLE (RFC 2177).

use crate::imap::io::Disconnect;
use crate::imap::limits::IDLE_WAIT;
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

pub async fn run(session: &mut Session) -> Outcome {
    session.io.output.extend_from_slice(b"+ Idling\r\n");
    let mut watch = session.account()?.watch();
    loop {
        watch.mark_unchanged();
        // Never a tagged answer before DONE, which would then be taken for a command. An account that is away for a
        // while makes itself heard when it is back.
        if let Err(error) = session.tell(true).await {
            tracing::debug!(peer = %session.peer, %error, "a view could not be refreshed");
        }
        if let Some(line) = session.io.take_line()? {
            return match line.trim_ascii() {
                done if done.eq_ignore_ascii_case(b"DONE") => Ok(Reply::ok("Done")),
                // A command with a literal behind it, which must not be taken for commands.
                [.., b'}'] => Err(Disconnect::Hopeless("Expected DONE").into()),
                _ => Ok(Reply::bad("Expected DONE")),
            };
        }
        let changed = async {
            if watch.changed().await.is_err() {
                std::future::pending::<()>().await; // the node is ending; the session will be told
            }
        };
        session.io.fill_or(IDLE_WAIT, changed).await?;
    }
}
