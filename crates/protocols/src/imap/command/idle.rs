//! IDLE (RFC 2177).

use tokio::time::{Instant, sleep};

use crate::imap::limits::IDLE_NOTICE_EVERY;
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;
use crate::io::Disconnect;

pub async fn run(session: &mut Session) -> Outcome {
    session.io.output.extend_from_slice(b"+ Idling\r\n");
    let selected = session.selected.as_ref().map(|selected| selected.account.clone());
    let account = selected.map_or_else(|| session.account(), Ok)?;
    let mut watch = account.watch();
    // News of METADATA are of the user's own account, too.
    let mut own = session.account()?.watch();
    let news = session.watching.news.clone();
    let end = Instant::now() + session.idle_wait();
    loop {
        watch.mark_unchanged();
        own.mark_unchanged();
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
        let mut notice = false;
        let changed = async {
            tokio::select! {
                // Without a sender the node is ending; the session will be told.
                Ok(()) = watch.changed() => {}
                Ok(()) = own.changed(), if session.enabled.metadata => {}
                () = news.notified() => {}
                () = sleep(IDLE_NOTICE_EVERY) => notice = true,
            }
        };
        session.io.fill_or(end.saturating_duration_since(Instant::now()), changed).await?;
        if notice {
            session.io.output.extend_from_slice(b"* OK Still here\r\n");
        }
    }
}
