//! What a long command tells of itself while it goes on (INPROGRESS, RFC 9585), so that clients and middle-boxes don't
//! take it for dead.

use std::future::Future;

use sterna_formats::imap::write;
use tokio::time::{Instant, sleep_until};

use super::limits::PROGRESS_EVERY;
use super::reply::Fail;
use super::session::Session;

/// When a command tells of itself next.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    due: Instant,
}

impl Progress {
    /// Of a command that begins now.
    pub fn begin() -> Self {
        Progress { due: Instant::now() + PROGRESS_EVERY }
    }
}

impl Session {
    /// Between two steps of a command: tells how many of how many are done, if that is due.
    ///
    /// # Errors
    /// When the client is gone.
    pub async fn tell_progress(&mut self, done: usize, goal: Option<usize>) -> Result<(), Fail> {
        if Instant::now() >= self.progress.due {
            self.write_progress(Some(done), goal.map(|goal| goal.max(done)));
            self.io.flush().await?;
        }
        Ok(())
    }

    /// Waits for something that is one step, and tells meanwhile that it goes on. A client that goes meanwhile breaks
    /// nothing off.
    ///
    /// # Errors
    /// When the client is gone.
    pub async fn wait_for<T>(&mut self, step: impl Future<Output = T>) -> Result<T, Fail> {
        tokio::pin!(step);
        loop {
            tokio::select! {
                biased;
                done = &mut step => return Ok(done),
                () = sleep_until(self.progress.due) => {
                    self.write_progress(None, None);
                    if let Err(gone) = self.io.flush().await {
                        step.await;
                        return Err(gone.into());
                    }
                }
            }
        }
    }

    fn write_progress(&mut self, done: Option<usize>, goal: Option<usize>) {
        self.progress = Progress::begin();
        let number = |number: Option<usize>| number.map_or_else(|| "NIL".to_owned(), |number| number.to_string());
        let out = &mut self.io.output;
        out.extend_from_slice(b"* OK [INPROGRESS (");
        write::string(self.tag.as_bytes(), false, out);
        out.extend_from_slice(format!(" {} {})] Still at it\r\n", number(done), number(goal)).as_bytes());
    }
}
