//! Fetches a calendar file by HTTP: a bounded size, time and number of redirections, and only from where it may be.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, ETAG, HOST, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, LOCATION, RETRY_AFTER, USER_AGENT,
};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use sterna_account::calendars::external::External;
use sterna_formats::calendar::feed::FEED_BYTES_MAX;
use sterna_formats::network::Network;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use super::address::{is_allowed, is_own};
use super::url::FileUrl;
use crate::node::trusted_roots;

/// How long a file may take altogether, with all redirections.
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);

/// How long one address may take to be connected to.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Most redirections.
const REDIRECTIONS_MAX: usize = 5;

/// Most addresses of one host that are tried.
const ADDRESSES_MAX: usize = 4;

/// Longest entity tag or date that is kept, in bytes.
const VALIDATOR_BYTES_MAX: usize = 512;

/// What came back.
pub enum Fetched {
    /// It is as it was.
    Same,
    /// A file.
    File {
        /// Its content.
        bytes: Bytes,
        /// Its entity tag.
        etag: Option<String>,
        /// When it changed, as the server says it.
        last_modified: Option<String>,
    },
}

/// Why there is no file.
#[derive(Debug, PartialEq, Eq)]
pub struct FetchError {
    /// For the owner of the calendar.
    pub why: String,
    /// How long the server doesn't want to be asked, in seconds.
    pub not_before_s: Option<i64>,
}

impl From<String> for FetchError {
    fn from(why: String) -> Self {
        FetchError { why, not_before_s: None }
    }
}

/// Fetches files. Each question has a connection of its own.
#[derive(Default)]
pub struct Fetcher {
    /// Read when it is needed first, and until that has gone well.
    tls: OnceCell<Arc<ClientConfig>>,
}

impl Fetcher {
    /// Asks for the file of a calendar, unless it is the one that is known. Besides public addresses only those in
    /// `networks` are asked.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn fetch(&self, external: &External, networks: &[Network]) -> Result<Fetched, FetchError> {
        let late = |_| format!("the file was not there within {} s", FETCH_TIMEOUT.as_secs());
        tokio::time::timeout(FETCH_TIMEOUT, self.follow(external, networks)).await.map_err(late)?
    }

    async fn follow(&self, external: &External, networks: &[Network]) -> Result<Fetched, FetchError> {
        let mut url = FileUrl::parse(&external.url).map_err(|error| error.to_string())?;
        for _ in 0..=REDIRECTIONS_MAX {
            let response = self.ask(&url, external, networks).await?;
            let status = response.status();
            // Nothing is the same as what nobody has asked about.
            if status == StatusCode::NOT_MODIFIED && (external.etag.is_some() || external.last_modified.is_some()) {
                return Ok(Fetched::Same);
            }
            if status == StatusCode::OK {
                return file(response).await;
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            match (status.as_u16(), location) {
                (301 | 302 | 303 | 307 | 308, Some(location)) => {
                    let bad = |_| format!("{} sends on to where no calendar is asked for", url.host);
                    url = url.redirected(location).map_err(bad)?;
                }
                _ => return Err(refused(&url, status, response.headers())),
            }
        }
        Err(FetchError::from(format!("it is sent on more than {REDIRECTIONS_MAX} times")))
    }

    async fn ask(
        &self,
        url: &FileUrl,
        external: &External,
        networks: &[Network],
    ) -> Result<Response<Incoming>, FetchError> {
        let request = request(url, external)?;
        let stream = connect(url, networks).await?;
        if !url.is_https {
            return exchange(url, stream, request).await;
        }
        let failed = |error: &dyn std::fmt::Display| FetchError::from(format!("{}: {error}", url.host));
        let name = ServerName::try_from(url.host.clone()).map_err(|error| failed(&error))?;
        let tls = self.tls.get_or_try_init(roots).await.map_err(|error| failed(&error))?;
        let stream = TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(|error| failed(&error))?;
        exchange(url, stream, request).await
    }
}

async fn roots() -> Result<Arc<ClientConfig>, String> {
    let read = tokio::task::spawn_blocking(|| trusted_roots(None)).await;
    read.unwrap_or_else(|error| Err(error.to_string()))
}

/// Connects to one of the host's addresses that may be asked: to exactly those that were looked at, so that a name
/// whose address changes meanwhile leads nowhere else. What fails after that has one text, so that nobody learns from
/// it which ports are open.
async fn connect(url: &FileUrl, networks: &[Network]) -> Result<TcpStream, FetchError> {
    let host = &url.host;
    let found: Vec<IpAddr> = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => match tokio::net::lookup_host((host.as_str(), url.port)).await {
            Ok(found) => found.map(|address| address.ip()).collect(),
            Err(error) => {
                tracing::debug!(%host, %error, "the host of an external calendar has no address");
                return Err(format!("{host}: nobody knows an address of that name").into());
            }
        },
    };
    let mut allowed = found.into_iter().filter(|address| is_allowed(*address, networks)).peekable();
    if allowed.peek().is_none() {
        let forbidden = "it leads into a private network; an administrator can allow that (calendar.external-networks)";
        return Err(format!("{host}: {forbidden}").into());
    }
    for address in allowed.take(ADDRESSES_MAX) {
        match connected(SocketAddr::new(address, url.port), networks).await {
            Ok(stream) => return Ok(stream),
            Err(cause) => tracing::debug!(%host, %address, %cause, "an external calendar can't be fetched"),
        }
    }
    let own = "a server of your own has to be allowed by an administrator (calendar.external-networks)";
    Err(format!("{host} can't be connected to; {own}").into())
}

/// Connects to an address; the cause of a failure is for the operator.
async fn connected(address: SocketAddr, networks: &[Network]) -> Result<TcpStream, String> {
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
    let stream = connecting.map_err(|_| "it takes too long")?.map_err(|error| error.to_string())?;
    let local = stream.local_addr().map_err(|error| error.to_string())?;
    match is_own(local.ip(), address.ip(), networks) {
        true => Err("it is an address of this machine, where services may answer that are not for users".to_owned()),
        false => Ok(stream),
    }
}

fn request(url: &FileUrl, external: &External) -> Result<Request<Empty<Bytes>>, FetchError> {
    let mut request = Request::get(&url.path)
        .header(HOST, url.authority())
        .header(ACCEPT, "text/calendar, */*;q=0.1")
        .header(ACCEPT_ENCODING, "identity")
        .header(USER_AGENT, concat!("Sterna/", env!("CARGO_PKG_VERSION")));
    let known = [
        (AUTHORIZATION, &url.authorization),
        (IF_NONE_MATCH, &external.etag),
        (IF_MODIFIED_SINCE, &external.last_modified),
    ];
    for (name, value) in known {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    request.body(Empty::new()).map_err(|error| FetchError::from(error.to_string()))
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    url: &FileUrl,
    stream: S,
    request: Request<Empty<Bytes>>,
) -> Result<Response<Incoming>, FetchError> {
    let unreadable = |error: hyper::Error| FetchError::from(format!("{} can't be understood: {error}", url.host));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(unreadable)?;
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(unreadable)
}

async fn file(response: Response<Incoming>) -> Result<Fetched, FetchError> {
    let (head, body) = response.into_parts();
    let encoding = head.headers.get(CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase());
    if encoding.is_some_and(|encoding| encoding != b"identity") {
        return Err(FetchError::from("the server sends the file compressed although it was asked not to".to_owned()));
    }
    let body = Limited::new(body, FEED_BYTES_MAX).collect().await;
    let bytes = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
        Some(_) => FetchError::from(format!("the file is larger than {} MiB", FEED_BYTES_MAX >> 20)),
        None => FetchError::from(format!("the file broke off: {error}")),
    })?;
    let kept = |name: HeaderName| {
        let value = head.headers.get(name)?.to_str().ok()?;
        (value.len() <= VALIDATOR_BYTES_MAX).then(|| value.to_owned())
    };
    Ok(Fetched::File { bytes: bytes.to_bytes(), etag: kept(ETAG), last_modified: kept(LAST_MODIFIED) })
}

fn refused(url: &FileUrl, status: StatusCode, headers: &HeaderMap) -> FetchError {
    let not_before = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let why = match status.as_u16() {
        401 | 403 => format!("{} wants a password, or another one ({status})", url.host),
        404 | 410 => format!("{} has no such file ({status})", url.host),
        _ => format!("{} answers {status}", url.host),
    };
    FetchError { why, not_before_s: not_before.and_then(|seconds| seconds.trim().parse().ok()) }
}
