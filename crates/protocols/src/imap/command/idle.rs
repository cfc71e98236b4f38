//! IDLE (RFC 2177).

use crate::imap::limits::{EXCHANGE_BYTES_MAX, IDLE_WAIT};
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

pub async fn run(session: &mut Session) -> Outcome {
    session.io.output.extend_from_slice(b"+ Idling\r\n");
    let mut watch = session.account()?.watch();
    loop {
        watch.mark_unchanged();
        session.tell(true).await?;
        if let Some(at) = memchr::memchr(b'\n', &session.io.input) {
            let line = session.io.input.split_to(at + 1);
            let done = line.trim_ascii().eq_ignore_ascii_case(b"DONE");
            return Ok(if done { Reply::ok("Done") } else { Reply::bad("Expected DONE") });
        }
        if session.io.input.len() > EXCHANGE_BYTES_MAX {
            session.io.input.clear();
            return Ok(Reply::bad("Expected DONE"));
        }
        let changed = async {
            if watch.changed().await.is_err() {
                std::future::pending::<()>().await; // the node is ending; the session will be told
            }
        };
        session.io.fill_or(IDLE_WAIT, changed).await?;
    }
}
