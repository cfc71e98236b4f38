//! Talking to a node: through its administration socket on the same machine, or over HTTPS with a token.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use sterna_base::Secret;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::exit::Exit;
use crate::admin::problem::Problem;
use crate::node::trusted_roots;

/// How long an answer may take, in milliseconds: making an account waits for a data server.
const ANSWER_TIMEOUT_MS: u64 = 60_000;
/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Nobody listens at the socket.
    #[error("no node answers at {socket}")]
    Unreachable {
        /// Where.
        socket: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The node answered something that this program doesn't understand.
    #[error("the node at {socket} gave an answer that can't be read: {cause}")]
    Unreadable {
        /// Where.
        socket: PathBuf,
        /// What was wrong.
        cause: String,
    },
    /// The node took too long.
    #[error("the node at {socket} did not answer within {} s", .timeout.as_secs())]
    TimedOut {
        /// Where.
        socket: PathBuf,
        /// How long was waited.
        timeout: Duration,
    },
    /// The node refused.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// The command line asks for something that can't be.
    #[error("{0}")]
    Usage(String),
    /// A file or the terminal can't be read or written.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system says.
        source: io::Error,
    },
}

impl CliError {
    /// How the program ends.
    pub fn exit(&self) -> Exit {
        match self {
            CliError::Unreachable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Exit::NotAllowed
            }
            CliError::Unreachable { .. } => Exit::Unreachable,
            CliError::TimedOut { .. } => Exit::TryLater,
            CliError::Usage(_) => Exit::Usage,
            CliError::Unreadable { .. } | CliError::Io { .. } => Exit::Failed,
            CliError::Refused(problem) => match problem.status {
                401 | 403 => Exit::NotAllowed,
                503 | 429 => Exit::TryLater,
                400 | 422 => Exit::Usage,
                _ => Exit::Failed,
            },
        }
    }

    /// What to do next.
    pub fn remedy(&self) -> Option<String> {
        match self {
            CliError::Unreachable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("Run the command as root or as the node's user (sudo sterna ...).".to_owned())
            }
            CliError::Unreachable { socket, .. } if socket.to_string_lossy().contains("://") => Some(
                "Is the address right, does the node run, and is its certificate trusted here (--ca FILE)?".to_owned(),
            ),
            CliError::Unreachable { .. } => {
                let usual =
                    "Start the node (sterna serve, systemctl start sterna), or say which one is meant: --dir DIR of";
                Some(format!("{usual} a node on this machine, or --socket PATH."))
            }
            CliError::Unreadable { .. } => Some("Use the program of the same version as the node.".to_owned()),
            CliError::TimedOut { .. } => Some("See how the node is (sterna status), and try again.".to_owned()),
            CliError::Refused(problem) => Some(problem.remedy.clone()),
            CliError::Usage(_) | CliError::Io { .. } => None,
        }
    }
}

/// What a request brings along.
pub type Sent = BoxBody<Bytes, io::Error>;

/// A node's answer to a request that it did.
#[derive(Debug)]
pub struct Answer {
    /// The resource; null when there is nothing to show.
    pub body: Value,
    /// Whether a write changed anything.
    pub changed: bool,
}

/// A node.
pub struct Client {
    /// Where it is, as errors tell it: the socket's path, or the address.
    socket: PathBuf,
    remote: Option<Remote>,
}

/// A node elsewhere.
#[derive(Clone, Debug)]
pub struct Remote {
    /// `https://HOST[:PORT]`, or `http` on this machine.
    pub url: String,
    /// A token of the API.
    pub token: Secret,
    /// A PEM file with certificates to trust besides those that the system trusts.
    pub ca: Option<PathBuf>,
}

impl Client {
    /// For the node that listens at this socket.
    pub fn new(socket: &Path) -> Self {
        Client { socket: socket.to_owned(), remote: None }
    }

    /// For a node elsewhere.
    pub fn remote(remote: Remote) -> Self {
        Client { socket: PathBuf::from(&remote.url), remote: Some(remote) }
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// [`CliError`]; the same holds for the other methods.
    pub async fn get(&self, path: &str) -> Result<Value, CliError> {
        Ok(self.send(Method::GET, path, None).await?.body)
    }

    /// Sends a request and reads its answer, each on a connection of its own: a command makes few.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, CliError> {
        self.send_within(Duration::from_millis(ANSWER_TIMEOUT_MS), method, path, body).await
    }

    /// The same for what takes longer.
    pub async fn send_within(
        &self,
        timeout: Duration,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, CliError> {
        match tokio::time::timeout(timeout, self.exchange(method, path, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(CliError::TimedOut { socket: self.socket.clone(), timeout }),
        }
    }

    async fn exchange(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, CliError> {
        let mut sender = self.connect().await?;
        let bytes = body.map_or_else(Bytes::new, |value| Bytes::from(value.to_string()));
        let body = Full::new(bytes).map_err(|never| match never {}).boxed();
        let request = self.request(method, path, "application/json", body)?;
        let response = sender.send_request(request).await.map_err(|error| self.unreadable(error))?;
        self.whole(response).await
    }

    /// Reads a resource that is a file, as it comes.
    pub async fn download(&self, path: &str) -> Result<Incoming, CliError> {
        let mut sender = self.connect().await?;
        let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed();
        let request = self.request(Method::GET, path, "application/json", body)?;
        let response = sender.send_request(request).await.map_err(|error| self.unreadable(error))?;
        match response.status().is_success() {
            true => Ok(response.into_body()),
            false => Err(match self.whole(response).await {
                Ok(_) => self.unreadable("an error without a reason"),
                Err(error) => error,
            }),
        }
    }

    /// Sends a file as it comes, for as long as that takes.
    pub async fn upload(&self, path: &str, kind: &str, body: Sent) -> Result<Answer, CliError> {
        let mut sender = self.connect().await?;
        let request = self.request(Method::POST, path, kind, body)?;
        let response = sender.send_request(request).await.map_err(|error| self.unreadable(error))?;
        self.whole(response).await
    }

    fn request(&self, method: Method, path: &str, kind: &str, body: Sent) -> Result<Request<Sent>, CliError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.remote.as_ref().map_or("localhost", |remote| authority(&remote.url)))
            .header(header::CONTENT_TYPE, kind);
        let request = match &self.remote {
            Some(remote) => request.header(header::AUTHORIZATION, format!("Bearer {}", remote.token.expose())),
            None => request,
        };
        request.body(body).map_err(|error| CliError::Usage(error.to_string()))
    }

    /// A short answer.
    async fn whole(&self, response: Response<Incoming>) -> Result<Answer, CliError> {
        let status = response.status();
        let changed = response.headers().get("sterna-changed").is_some_and(|value| value.as_bytes() == b"true");
        let bytes = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| self.unreadable(error))?
            .to_bytes();
        self.answer(status, changed, &bytes)
    }

    async fn connect(&self) -> Result<http1::SendRequest<Sent>, CliError> {
        let unreachable = |source| CliError::Unreachable { socket: self.socket.clone(), source };
        let Some(remote) = &self.remote else {
            let stream = UnixStream::connect(&self.socket).await.map_err(unreachable)?;
            return self.handshake(stream).await;
        };
        let uri: Uri = remote.url.parse().map_err(|_| CliError::Usage(format!("{} is no address", remote.url)))?;
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(unreachable)?;
        if !is_https {
            if !stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback()) {
                return Err(CliError::Usage("tokens are not sent in the clear: name an address with https".to_owned()));
            }
            return self.handshake(stream).await;
        }
        let config = trusted_roots(remote.ca.as_deref()).map_err(|cause| unreachable(io::Error::other(cause)))?;
        let name = ServerName::try_from(host).map_err(|error| CliError::Usage(error.to_string()))?;
        let stream = TlsConnector::from(config).connect(name, stream).await.map_err(unreachable)?;
        self.handshake(stream).await
    }

    async fn handshake<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
    ) -> Result<http1::SendRequest<Sent>, CliError> {
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.unreadable(error))?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn answer(&self, status: StatusCode, changed: bool, bytes: &[u8]) -> Result<Answer, CliError> {
        if !status.is_success() {
            let problem = serde_json::from_slice(bytes).map_err(|error| self.unreadable(error))?;
            return Err(CliError::Refused(Box::new(problem)));
        }
        let body = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(bytes).map_err(|error| self.unreadable(error))?,
        };
        Ok(Answer { body, changed })
    }

    fn unreadable(&self, cause: impl ToString) -> CliError {
        CliError::Unreadable { socket: self.socket.clone(), cause: cause.to_string() }
    }
}

/// Host and port of an address.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// A path of the API with segments and parameters that people typed.
pub fn path(segments: &[&str], parameters: &[(&str, Option<&str>)]) -> String {
    let mut path = String::from("/api/v1");
    for segment in segments {
        path.push('/');
        encode(&mut path, segment);
    }
    let mut separator = '?';
    for (name, value) in parameters {
        if let Some(value) = value {
            path.push(separator);
            path.push_str(name);
            path.push('=');
            encode(&mut path, value);
            separator = '&';
        }
    }
    path
}

/// Percent-encodes all but the unreserved characters (RFC 3986 section 2.3) and `@`.
fn encode(path: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            path.push(byte as char);
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_typed_stays_one_segment() {
        assert_eq!(path(&["users", "a/b?c#d%@x.test"], &[]), "/api/v1/users/a%2Fb%3Fc%23d%25@x.test");
        let parameters = [("after", Some("a+b@x.test")), ("domain", None), ("limit", Some("5"))];
        assert_eq!(path(&["users"], &parameters), "/api/v1/users?after=a%2Bb@x.test&limit=5");
    }
}
