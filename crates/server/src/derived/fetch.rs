//! Fetches a calendar file by HTTP: a bounded size, time and number of redirections, and only from where it may be.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
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
use sterna_formats::network::Network;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address::is_allowed;
use super::url::FileUrl;
use crate::node::trusted_roots;

/// How long a file may take altogether, with all redirections.
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);

/// How long one address may take to be connected to.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest file, in bytes.
pub const FILE_BYTES_MAX: usize = 32 * 1024 * 1024;

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
    /// Read when it is needed first.
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
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
            if status == StatusCode::NOT_MODIFIED {
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
        let tls = self.tls.get_or_init(|| trusted_roots(None)).clone().map_err(|error| failed(&error))?;
        let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(|error| failed(&error))?;
        exchange(url, stream, request).await
    }
}

/// Connects to one of the host's addresses that may be asked: to exactly those that were looked at, so that a name
/// whose address changes meanwhile leads nowhere else.
async fn connect(url: &FileUrl, networks: &[Network]) -> Result<TcpStream, FetchError> {
    let host = &url.host;
    let found: Vec<IpAddr> = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => {
            let found = tokio::net::lookup_host((host.as_str(), url.port)).await;
            found.map_err(|error| format!("{host}: {error}"))?.map(|address| address.ip()).collect()
        }
    };
    let allowed = found.into_iter().filter(|address| is_allowed(*address, networks));
    let forbidden = "it leads into a private network; an administrator can allow that (calendar.external-networks)";
    let mut last = format!("{host}: {forbidden}");
    for address in allowed.take(ADDRESSES_MAX) {
        let connecting = TcpStream::connect(SocketAddr::new(address, url.port));
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = format!("{host}: {error}"),
            Err(_) => last = format!("{host}: the connection takes too long"),
        }
    }
    Err(last.into())
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
    let body = Limited::new(body, FILE_BYTES_MAX).collect().await;
    let bytes = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
        Some(_) => FetchError::from(format!("the file is larger than {} MiB", FILE_BYTES_MAX >> 20)),
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
