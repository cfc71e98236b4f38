//! Answers: what was done, why not, and the long ones that are made while they are sent.

use std::future::Future;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use sterna_account::{AccountError, CommitError, StoreError};
use sterna_formats::dav::request::RequestError;
use sterna_formats::dav::write::{self, escape};
use tokio::sync::mpsc;

use super::body::{Body, Piece};
use super::limits::{PIECE_BYTES, PIECES_MAX, UNREAD};

/// Why a request was not done.
#[derive(Clone, Debug)]
pub struct Problem {
    pub status: StatusCode,
    /// The precondition that does not hold, as XML (RFC 4918 section 16).
    pub condition: Option<String>,
    /// For people.
    pub text: String,
    /// For the operator, where there is something to do.
    pub cause: Option<AccountError>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Problem { status, condition: None, text: text.into(), cause: None, header: None }
    }

    /// With the precondition: an element that says nothing but its name, or any XML.
    pub fn condition(mut self, xml: impl Into<String>) -> Self {
        self.condition = Some(xml.into());
        self
    }

    /// `403` with a precondition.
    pub fn forbidden(condition: &str, text: impl Into<String>) -> Self {
        Problem::new(StatusCode::FORBIDDEN, text).condition(condition)
    }

    /// `403`: the user has not the right (RFC 3744 section 7.1.1).
    pub fn no_right(href: &str, privilege: &str) -> Self {
        let mut xml = "<D:need-privileges><D:resource>".to_owned();
        write::href(href, &mut xml);
        xml.push_str(&format!("<D:privilege><D:{privilege}/></D:privilege></D:resource></D:need-privileges>"));
        Problem::new(StatusCode::FORBIDDEN, "You have not the right to do that").condition(xml)
    }

    pub fn not_found() -> Self {
        Problem::new(StatusCode::NOT_FOUND, "There is nothing here")
    }

    pub fn bad_request(text: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, text)
    }

    pub fn conflict(text: impl Into<String>) -> Self {
        Problem::new(StatusCode::CONFLICT, text)
    }

    pub fn not_allowed() -> Self {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "That can't be done here")
    }

    pub fn failed_precondition() -> Self {
        Problem::new(StatusCode::PRECONDITION_FAILED, "The resource is not as the request expects it")
    }

    pub fn too_large() -> Self {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "The body is too long")
    }

    pub fn timeout() -> Self {
        Problem::new(StatusCode::REQUEST_TIMEOUT, "The client was silent for too long")
    }

    pub fn unauthorized() -> Self {
        let mut problem = Problem::new(StatusCode::UNAUTHORIZED, "Log in with your address and your password");
        let challenge = HeaderValue::from_static("Basic realm=\"Sterna\", charset=\"UTF-8\"");
        problem.header = Some((WWW_AUTHENTICATE, challenge));
        problem
    }

    pub fn unavailable(seconds: u64) -> Self {
        let mut problem =
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "That is not possible at the moment, please try again");
        problem.header = Some((RETRY_AFTER, HeaderValue::from(seconds)));
        problem
    }

    /// With a header, in the place of one that it has.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    /// As an answer.
    pub fn response(&self) -> Response<Body> {
        let body = match &self.condition {
            Some(condition) => {
                let mut xml = String::new();
                write::root("D:error", &mut xml);
                xml.push_str(condition);
                xml.push_str("</D:error>\n");
                xml
            }
            None => format!("{}\n", self.text),
        };
        let kind = if self.condition.is_some() { XML } else { "text/plain; charset=utf-8" };
        let mut response = response(self.status, kind, body);
        if let Some((name, value)) = &self.header {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        response
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let mut problem = match &error {
            AccountError::NoSuchAccount(_) => Problem::not_found(),
            AccountError::Store(StoreError::NoSuchContainer(_)) => Problem::not_found(),
            AccountError::Unavailable(_) => Problem::unavailable(5),
            AccountError::Store(StoreError::DiskFull(_)) | AccountError::Refused(CommitError::OverQuota) => {
                let condition = match error {
                    AccountError::Refused(_) => "<D:quota-not-exceeded/>",
                    _ => "<D:sufficient-disk-space/>",
                };
                Problem::new(StatusCode::INSUFFICIENT_STORAGE, "There is no room for it").condition(condition)
            }
            AccountError::Store(_) => Problem::unavailable(30),
            AccountError::Refused(refused) => refused_problem(refused),
        };
        problem.cause = Some(error);
        problem
    }
}

fn refused_problem(error: &CommitError) -> Problem {
    match error {
        CommitError::WrongEpoch { .. } | CommitError::Sealed | CommitError::NotEqual => Problem::unavailable(1),
        CommitError::Store(_) => Problem::unavailable(30),
        CommitError::NoSuchContainer(_) => Problem::conflict("The collection is gone"),
        CommitError::NameTaken | CommitError::Unexpected => Problem::failed_precondition(),
        CommitError::InvalidName => Problem::forbidden("<D:name-allowed/>", "It can't be called so"),
        CommitError::Limit(what) => Problem::new(StatusCode::FORBIDDEN, format!("Limit reached: {what}")),
        CommitError::OverQuota => Problem::new(StatusCode::INSUFFICIENT_STORAGE, "There is no room for it"),
        CommitError::SpecialUseTaken | CommitError::InboxStays | CommitError::HasChildren => {
            Problem::conflict("The collection can't be changed so")
        }
        CommitError::ObjectUidTaken { .. } => Problem::conflict("Another resource has the same UID"),
        CommitError::NoSuchBlob(_) | CommitError::Invalid(_) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The server could not do that")
        }
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        Problem::bad_request(error.to_string())
    }
}

/// The media type of answers in XML.
pub const XML: &str = "application/xml; charset=utf-8";

/// An answer with a short body.
pub fn response(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::Full(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// An answer that only says that it is done.
pub fn done(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Full(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// With a header; what can't be one is left out.
pub fn with_header(mut response: Response<Body>, name: HeaderName, value: &str) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// A long answer being written. What is gathered goes on its way when it is enough.
pub struct Out {
    pub text: String,
    pieces: mpsc::Sender<Made>,
}

/// What becomes of an answer that is being made.
enum Made {
    Piece(Bytes),
    Last(Bytes),
    Problem(Problem),
}

impl Out {
    /// Sends on what is gathered, if it is enough.
    ///
    /// # Errors
    /// When nobody reads it any more.
    pub async fn pause(&mut self) -> Result<(), Problem> {
        if self.text.len() < PIECE_BYTES {
            return Ok(());
        }
        let piece = Made::Piece(std::mem::take(&mut self.text).into());
        let sent = tokio::time::timeout(UNREAD, self.pieces.send(piece)).await;
        if matches!(sent, Ok(Ok(()))) { Ok(()) } else { Err(Problem::timeout()) }
    }
}

/// A `207` that `make` writes, with the root element around what it writes. What goes wrong before the first piece is
/// on its way is an answer of its own; later the answer breaks off.
pub async fn multistatus<F, M>(make: M) -> Result<Response<Body>, Problem>
where
    M: FnOnce(Out) -> F + Send + 'static,
    F: Future<Output = Result<Out, Problem>> + Send + 'static,
{
    let (pieces, mut made) = mpsc::channel(PIECES_MAX);
    let last = pieces.clone();
    tokio::spawn(async move {
        let mut out = Out { text: String::new(), pieces };
        write::multistatus_start(&mut out.text);
        let end = match make(out).await {
            Ok(mut out) => {
                write::multistatus_end(&mut out.text);
                Made::Last(out.text.into())
            }
            Err(problem) => Made::Problem(problem),
        };
        // Nobody waits for it when the client is gone.
        let _ = tokio::time::timeout(UNREAD, last.send(end)).await;
    });
    let body = match made.recv().await {
        Some(Made::Last(bytes)) => Body::Full(bytes),
        Some(Made::Piece(bytes)) => Body::Pieces { first: Some(bytes), rest: forward(made), length: None },
        Some(Made::Problem(problem)) => return Err(problem),
        None => return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The server could not do that")),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::MULTI_STATUS;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(XML));
    Ok(response)
}

/// The rest of an answer as its body takes it.
fn forward(mut made: mpsc::Receiver<Made>) -> mpsc::Receiver<Piece> {
    let (pieces, body) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(next) = made.recv().await {
            let (piece, is_last) = match next {
                Made::Piece(bytes) => (Ok(bytes), false),
                Made::Last(bytes) => (Ok(bytes), true),
                Made::Problem(problem) => {
                    tracing::info!(status = %problem.status, cause = ?problem.cause, "an answer was broken off");
                    (Err(std::io::Error::other("the answer could not be finished")), true)
                }
            };
            let sent = tokio::time::timeout(UNREAD, pieces.send(piece)).await;
            if is_last || !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
        // Whoever made it ended without an end.
        let _ = pieces.send(Err(std::io::Error::other("the answer could not be finished"))).await;
    });
    body
}

/// A text as XML within an element of `DAV:`.
pub fn dav_text(local: &str, text: &str) -> String {
    let mut xml = format!("<D:{local}>");
    escape(text, &mut xml);
    xml.push_str(&format!("</D:{local}>"));
    xml
}
