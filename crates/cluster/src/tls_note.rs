//! Keeps the TLS error of a connection. The HTTP/2 library reduces it to its text, but an administrator is told what
//! the peer's alert means.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tls::explain_io;

/// What went wrong on a stream, in words.
#[derive(Clone, Default)]
pub(crate) struct Note(Arc<Mutex<Option<String>>>);

impl Note {
    /// The words, once.
    pub fn take(&self) -> Option<String> {
        self.0.lock().take()
    }

    fn keep<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &result
            && error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
        {
            self.0.lock().get_or_insert_with(|| explain_io(error));
        }
        result
    }
}

/// A stream whose TLS errors are noted.
pub(crate) struct NotedStream<S> {
    stream: S,
    note: Note,
}

impl<S> NotedStream<S> {
    pub fn new(stream: S) -> (Self, Note) {
        let note = Note::default();
        (NotedStream { stream, note: note.clone() }, note)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for NotedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.note.keep(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for NotedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note.keep(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.note.keep(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
