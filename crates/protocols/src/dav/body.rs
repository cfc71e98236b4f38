//! Bodies: of requests as far as they may go, of answers as they are made.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;

use super::answer::Problem;
use super::limits::{BODY_PAUSE, DRAINED_BYTES_MAX};
use super::pages::PageBody;

/// The body of an answer.
pub enum Body {
    /// All of it.
    Full(Bytes),
    /// Piece by piece; an error breaks the answer off, so that nobody takes half of it for all.
    Pieces {
        /// What came first.
        first: Option<Bytes>,
        /// The rest.
        rest: mpsc::Receiver<Piece>,
        /// How much it is altogether, if that is known.
        length: Option<u64>,
    },
    /// A page.
    Page(PageBody),
}

/// What is on its way.
pub type Piece = Result<Bytes, std::io::Error>;

impl HttpBody for Body {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Body::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Body::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Body::Pieces { first, rest, .. } => match first.take() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None => rest.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data))),
            },
            Body::Page(page) => Pin::new(page).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Full(bytes) => bytes.is_empty(),
            Body::Pieces { .. } => false,
            Body::Page(page) => page.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Pieces { length: Some(length), .. } => SizeHint::with_exact(*length),
            Body::Pieces { length: None, .. } => SizeHint::default(),
            Body::Page(page) => page.size_hint(),
        }
    }
}

/// The next bytes of a request's body; `None` at its end.
///
/// # Errors
/// When the client is gone or silent.
pub async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame = tokio::time::timeout(BODY_PAUSE, body.frame()).await.map_err(|_| Problem::timeout())?;
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(Problem::bad_request(format!("the body broke off: {error}"))),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data()
                    && !bytes.is_empty()
                {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

/// A whole body that may not be longer.
///
/// # Errors
/// `413` when it is.
pub async fn whole(mut body: Incoming, bytes_max: usize) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Problem::too_large());
    }
    let mut all = BytesMut::new();
    while let Some(bytes) = next(&mut body).await? {
        if all.len() + bytes.len() > bytes_max {
            return Err(Problem::too_large());
        }
        all.extend_from_slice(&bytes);
    }
    Ok(all.freeze())
}

/// Takes in what is left of a body that nobody wants, if it is short: a connection with unread bytes can't be used
/// again, and its next request would break. Who waits to be asked for the body is not asked.
pub async fn drain(mut body: Incoming, headers: &hyper::HeaderMap) {
    if headers.contains_key(http::header::EXPECT) || body.size_hint().lower() > DRAINED_BYTES_MAX {
        return;
    }
    let mut left = DRAINED_BYTES_MAX;
    while let Ok(Some(bytes)) = next(&mut body).await {
        left = left.saturating_sub(bytes.len() as u64);
        if left == 0 {
            return;
        }
    }
}
