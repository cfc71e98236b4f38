//! What a node serves over HTTP besides DAV: pages for people, interfaces for programs, the state of the node for
//! whoever watches it. Who may see which is the node's own matter; here is only the door.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::EXPECT;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep};

use super::body::{self, Body};
use super::limits;
use crate::listener::{Connection, Protocol};

/// The body of a page: made at once or piece by piece.
pub type PageBody = UnsyncBoxBody<Bytes, std::io::Error>;

/// From where a request comes.
#[derive(Clone, Copy, Debug)]
pub struct Visitor {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// Whether the connection is encrypted, by us or by a proxy on this machine that we trust.
    pub encrypted: bool,
}

/// What serves them.
#[async_trait]
pub trait Pages: Send + Sync {
    /// Whether a request is for it.
    fn owns(&self, method: &Method, path: &str) -> bool;

    /// Answers a request that is.
    async fn answer(&self, request: Request<PatientBody>, visitor: Visitor) -> Response<PageBody>;
}

/// The body of a request, from a client that may pause no longer than [`limits::BODY_PAUSE`].
pub struct PatientBody {
    /// Until it is dropped.
    body: Option<Incoming>,
    pause: Pin<Box<Sleep>>,
    left: Left,
}

/// Bodies that nobody read to their end.
type Left = Arc<Mutex<Option<Incoming>>>;

impl PatientBody {
    fn new(body: Incoming, left: Left) -> Self {
        PatientBody { body: Some(body), pause: Box::pin(tokio::time::sleep(limits::BODY_PAUSE)), left }
    }
}

impl Drop for PatientBody {
    fn drop(&mut self) {
        *self.left.lock() = self.body.take().filter(|body| !body.is_end_stream());
    }
}

impl HttpBody for PatientBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
            ready!(self.pause.as_mut().poll(cx));
            return Poll::Ready(Some(Err(std::io::ErrorKind::TimedOut.into())));
        };
        self.pause.as_mut().reset(Instant::now() + limits::BODY_PAUSE);
        Poll::Ready(frame.map(|frame| frame.map_err(std::io::Error::other)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

/// Asks the pages for their answer. Who is refused before the body was read is sent the answer when that is drained:
/// the connection would be closed otherwise, perhaps under the client's next request.
pub(super) async fn answer(pages: &dyn Pages, request: Request<Incoming>, visitor: Visitor) -> Response<Body> {
    let (left, expects) = (Left::default(), request.headers().contains_key(EXPECT));
    let request = request.map(|body| PatientBody::new(body, left.clone()));
    let response = pages.answer(request, visitor).await.map(Body::Page);
    let unread = left.lock().take();
    if let Some(body) = unread.filter(|_| !expects) {
        body::drain(body, &HeaderMap::new()).await;
    }
    response
}

/// The listener of a node that serves pages and no DAV.
pub struct PagesProtocol(pub Arc<dyn Pages>);

#[async_trait]
impl Protocol for PagesProtocol {
    fn name(&self) -> &'static str {
        "https"
    }

    fn busy(&self) -> String {
        BUSY.to_owned()
    }

    async fn serve(&self, connection: Connection) {
        let visitor = Visitor { peer: connection.peer(), encrypted: connection.is_encrypted() };
        let pages = self.0.clone();
        serve(connection, move |request: Request<Incoming>| {
            let pages = pages.clone();
            async move {
                if pages.owns(request.method(), request.uri().path()) {
                    return answer(pages.as_ref(), request, visitor).await;
                }
                let mut response = Response::new(Body::Full(Bytes::from_static(b"There is nothing here.\n")));
                *response.status_mut() = StatusCode::NOT_FOUND;
                let text = HeaderValue::from_static("text/plain; charset=utf-8");
                response.headers_mut().insert(http::header::CONTENT_TYPE, text);
                response
            }
        })
        .await;
    }
}

/// What clients are told for whom there is no room.
pub(super) const BUSY: &str =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Serves one connection by HTTP/1.1 or HTTP/2, until its end or the node's.
pub(super) async fn serve<F, A>(connection: Connection, answer: F)
where
    F: Fn(Request<Incoming>) -> A + Send + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let (peer, shutdown) = (connection.peer(), connection.shutdown().clone());
    let serve = service_fn(move |request| {
        let answered = answer(request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits::HEAD_WAIT);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(limits::STREAMS_MAX);
    builder.http2().keep_alive_interval(limits::HEAD_WAIT);
    let served = builder.serve_connection(TokioIo::new(connection), serve);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = shutdown.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection of HTTP broke");
    }
}
