//! One exchange of HTTP with a message as its content, which is never in memory as a whole.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;

use crate::filter::endpoint::Wire;
use crate::filter::{Draft, FilterError};

/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Pieces of a message that wait to be sent.
const PIECES_MAX: usize = 2;

/// The content of a request, of known length.
pub struct Body {
    pieces: Option<mpsc::Receiver<Bytes>>,
    left: u64,
}

impl Body {
    /// None.
    pub fn empty() -> Self {
        Body { pieces: None, left: 0 }
    }

    /// All of it at once.
    pub fn whole(content: Bytes) -> Self {
        let (sender, pieces) = mpsc::channel(1);
        let left = content.len() as u64;
        // There is room for one.
        let _ = sender.try_send(content);
        Body { pieces: Some(pieces), left }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(pieces) = &mut self.pieces else { return Poll::Ready(None) };
        let Poll::Ready(piece) = pieces.poll_recv(context) else { return Poll::Pending };
        Poll::Ready(match piece {
            Some(piece) => {
                self.left = self.left.saturating_sub(piece.len() as u64);
                Some(Ok(Frame::data(piece)))
            }
            None if self.left == 0 => None,
            None => Some(Err(io::ErrorKind::UnexpectedEof.into())),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A message as a content, and what must run beside the exchange for it to come.
pub fn stream(draft: &Draft) -> (Body, impl Future<Output = Result<(), FilterError>> + Send + use<>) {
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    let (mut reader, left) = (draft.read(), draft.size());
    let sending = async move {
        while let Some(piece) = reader.next().await.map_err(FilterError::Message)? {
            if sender.send(piece).await.is_err() {
                break; // whoever was to get it says why
            }
        }
        Ok(())
    };
    (Body { pieces: Some(pieces), left }, sending)
}

/// Sends a request while its content comes, and reads the answer.
pub async fn exchange(
    wire: Box<dyn Wire>,
    request: Request<Body>,
    sending: impl Future<Output = Result<(), FilterError>>,
) -> Result<(StatusCode, Bytes), FilterError> {
    let (mut client, connection) = http1::handshake(TokioIo::new(wire)).await.map_err(broken)?;
    let asked = async {
        let answer = client.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| FilterError::Protocol(error.to_string()))?;
        Ok((status, body.to_bytes()))
    };
    let mut asked = std::pin::pin!(asked);
    let mut beside = std::pin::pin!(async {
        let sent = tokio::join!(sending, connection);
        match sent {
            (Err(error), _) => Err(error),
            (Ok(()), Err(error)) => Err(broken(error)),
            (Ok(()), Ok(())) => Ok(()),
        }
    });
    tokio::select! {
        biased;
        answer = &mut asked => answer,
        ended = &mut beside => {
            ended?;
            asked.await
        }
    }
}

fn broken(error: hyper::Error) -> FilterError {
    if error.is_parse() {
        return FilterError::Protocol(error.to_string());
    }
    let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
    FilterError::Io(io::Error::other(cause))
}
