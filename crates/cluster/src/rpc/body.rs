//! Bodies of requests and answers: whole ones, and ones that come in pieces and must not end by accident.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;

use crate::limits::BODY_STALL_MS;

/// A body to be sent.
pub enum Payload {
    /// All of it.
    Whole(Option<Bytes>),
    /// Piece by piece.
    Pieces(mpsc::Receiver<Piece>),
}

/// One piece of a body.
pub enum Piece {
    /// More bytes.
    Data(Bytes),
    /// This was all. A queue that closes without it resets the stream: a sender that vanished must not look like the
    /// end.
    End,
}

/// The sender of a body gave up.
#[derive(Debug, thiserror::Error)]
#[error("the body was given up before its end")]
pub struct Abandoned;

impl Payload {
    /// No bytes.
    pub fn empty() -> Self {
        Payload::Whole(None)
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Payload::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Abandoned;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Abandoned>>> {
        match &mut *self {
            Payload::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Payload::Pieces(queue) => queue.poll_recv(cx).map(|piece| match piece {
                Some(Piece::Data(bytes)) => Some(Ok(Frame::data(bytes))),
                Some(Piece::End) => None,
                None => Some(Err(Abandoned)),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Payload::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Payload::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Payload::Pieces(_) => SizeHint::default(),
        }
    }
}

/// Why a body could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is longer than allowed.
    #[error("the body is longer than {0} bytes")]
    TooLarge(u64),
    /// Nothing came for so many milliseconds.
    #[error("the body stood still for {0} ms")]
    Stalled(u64),
    /// The connection or the stream broke.
    #[error("the body broke off: {0}")]
    Broken(hyper::Error),
}

/// The next bytes of a body; `None` at its end. They may take `stall_ms`.
///
/// # Errors
/// [`BodyError::Stalled`] and [`BodyError::Broken`].
pub async fn next_piece(body: &mut Incoming, stall_ms: u64) -> Result<Option<Bytes>, BodyError> {
    let stall = Duration::from_millis(stall_ms);
    loop {
        match tokio::time::timeout(stall, body.frame()).await {
            Err(_) => return Err(BodyError::Stalled(stall_ms)),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(BodyError::Broken(error)),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// The whole body, if it isn't longer than `bytes_max`.
///
/// # Errors
/// [`BodyError`].
pub async fn whole(mut body: Incoming, bytes_max: usize) -> Result<Bytes, BodyError> {
    let too_large = || BodyError::TooLarge(bytes_max as u64);
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large());
    }
    let Some(first) = next_piece(&mut body, BODY_STALL_MS).await? else { return Ok(Bytes::new()) };
    if first.len() > bytes_max {
        return Err(too_large());
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut all = BytesMut::from(first);
    while let Some(piece) = next_piece(&mut body, BODY_STALL_MS).await? {
        if all.len() + piece.len() > bytes_max {
            return Err(too_large());
        }
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}
