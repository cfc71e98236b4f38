//! A TCP connection that acknowledges what it read at once.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Reads that are shorter are commands: their acknowledgement goes along with the answer.
const PROMPT_BYTES_MIN: usize = 256;

/// A TCP connection whose larger reads are acknowledged at once.
///
/// Many clients write a literal and the line end behind it apart (Python's imaplib among them). Their kernel holds the
/// second back until the first is acknowledged (Nagle's algorithm), and ours would wait up to 40 ms with that, in the
/// hope of an answer to send along: every APPEND took that long.
pub struct PromptTcp(TcpStream);

impl PromptTcp {
    /// Over this connection.
    pub fn new(stream: TcpStream) -> Self {
        PromptTcp(stream)
    }

    /// Sends the acknowledgement that the kernel holds back. A connection that can't do that is only slower.
    fn acknowledge(&self) {
        #[cfg(target_os = "linux")]
        let _ = self.0.set_quickack(true);
    }
}

impl AsyncRead for PromptTcp {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.0).poll_read(cx, buf);
        if buf.filled().len() - before >= PROMPT_BYTES_MIN {
            self.acknowledge();
        }
        polled
    }
}

impl AsyncWrite for PromptTcp {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}
