//! The side of the node: one process for each document, a few at a time.

use std::collections::HashSet;
use std::process::Stdio;
use std::time::Duration;

use parking_lot::Mutex;
use sterna_account::search::{DocumentReader, NotNow};
use sterna_base::BlobHash;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{PDF_BYTES_MAX, TEXT_BYTES_MAX};
use crate::cli::READ_PDF;

/// Processes that read at the same time. Whoever looks for words waits for them; deliveries never do.
const PROCESSES_MAX: usize = 2;

/// How long one may take; a machine that is busy gives it less of a processor than
/// [`super::PROCESSOR_SECONDS_MAX`] assumes.
const WALL_TIME_MAX: Duration = Duration::from_secs(30);

/// How long to wait for one of [`PROCESSES_MAX`].
const TURN_WAIT_MAX: Duration = Duration::from_secs(60);

/// Documents that are remembered not to be readable, so that they are tried and logged once.
const UNREADABLE_MAX: usize = 4096;

/// This program: also when its file was replaced by a newer one.
const PROGRAM: &str = "/proc/self/exe";

/// Reads PDFs in processes of their own.
pub struct PdfReader {
    runtime: Handle,
    turns: Semaphore,
    unreadable: Mutex<HashSet<BlobHash>>,
}

/// Why a document has no text.
#[derive(Debug, Error)]
enum Unreadable {
    #[error("it is longer than {PDF_BYTES_MAX} bytes")]
    TooLong,
    #[error("reading it took longer than {} s", WALL_TIME_MAX.as_secs())]
    TooSlow,
    #[error("the process that read it ended with {0}")]
    Ended(std::process::ExitStatus),
    #[error("what was read is no text")]
    NoText,
}

impl PdfReader {
    /// Must be called inside the runtime; [`DocumentReader::pdf_text`] on one of its blocking threads.
    pub fn new() -> Self {
        PdfReader { runtime: Handle::current(), turns: Semaphore::new(PROCESSES_MAX), unreadable: Mutex::default() }
    }

    async fn read(&self, pdf: &[u8]) -> std::io::Result<Result<String, Unreadable>> {
        if pdf.len() as u64 > PDF_BYTES_MAX {
            return Ok(Err(Unreadable::TooLong));
        }
        let turn = timeout(TURN_WAIT_MAX, self.turns.acquire()).await;
        let _turn = turn.map_err(std::io::Error::other)?.map_err(std::io::Error::other)?;
        let mut process = Command::new(PROGRAM)
            .arg(READ_PDF)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(mut input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(std::io::Error::other("the process has no pipes"));
        };
        let mut text = Vec::new();
        let work = async {
            let write = async {
                // One that ended before it had read everything says so with its status.
                let _ = input.write_all(pdf).await;
                drop(input);
            };
            let mut output = output.take(TEXT_BYTES_MAX);
            let (_, read) = tokio::join!(write, output.read_to_end(&mut text));
            read?;
            process.wait().await
        };
        let Ok(status) = timeout(WALL_TIME_MAX, work).await else { return Ok(Err(Unreadable::TooSlow)) };
        let status = status?;
        if !status.success() {
            return Ok(Err(Unreadable::Ended(status)));
        }
        Ok(String::from_utf8(text).map_err(|_| Unreadable::NoText))
    }
}

impl DocumentReader for PdfReader {
    fn pdf_text(&self, pdf: &[u8]) -> Result<String, NotNow> {
        let hash = BlobHash::of(pdf);
        if self.unreadable.lock().contains(&hash) {
            return Ok(String::new());
        }
        match self.runtime.block_on(self.read(pdf)) {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(cause)) => {
                tracing::warn!(document = %hash, %cause, "an attached PDF has no text for searches");
                let mut unreadable = self.unreadable.lock();
                if unreadable.len() >= UNREADABLE_MAX {
                    unreadable.clear();
                }
                unreadable.insert(hash);
                Ok(String::new())
            }
            Err(error) => {
                tracing::warn!(document = %hash, %error, "no process could be started to read an attached PDF");
                Err(NotNow)
            }
        }
    }
}
